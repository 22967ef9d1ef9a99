"""Watches the doors themselves: which are open, since when, and whether they may be; it never asks the record."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from tests.chaos.adversary.book import CRITICAL, RULED, SHARED, Book, Entry
from tests.chaos.adversary.findings import Findings
from tests.chaos.adversary.site import Site

LATE = 5.0
"""Seconds after its end by which access is closed, on a machine that does nothing else."""
_LOOK = 0.1
_STALL = 0.3
_PATIENCE = 12.0
"""How much longer than that what is late is watched, to say by how much."""
_STARTS = 6.0
"""Seconds within which the second door of a request, which may be open for another already, follows the first."""

Door = tuple[str, str, str]
"""The door, the account, and by whose order."""


@dataclass
class Doors:
    """What was seen."""

    site: Site
    book: Book
    findings: Findings
    within: float = LATE
    """Seconds past its end from which access that is open is a finding."""
    first: dict[Door, float] = field(default_factory=dict)
    last: dict[Door, float] = field(default_factory=dict)
    gone: dict[Door, float] = field(default_factory=dict)
    late: dict[Door, float] = field(default_factory=dict)
    """By how many seconds the worst of them was open past its end."""

    async def watch(self) -> None:
        """Look again and again."""
        looked = time.time()
        while True:
            now = time.time()
            if now - looked > _STALL:
                self.site.down.append((looked, now))  # nobody looked, so nobody can say
            looked = now
            self.look(now)
            await asyncio.sleep(_LOOK)

    def look(self, now: float) -> None:
        """Once."""
        there = self.site.open_doors()
        for each in there:
            if each not in self.first:
                self.first[each] = now
                self._opened(each, now)
            elif each in self.gone and each[0] != SHARED:
                self.findings.add("opened again after it was closed", _id(each), f"{each[0]} for {each[1]}")
            self.last[each] = now
            self.gone.pop(each, None)
            self._overdue(each, now)
        for each in self.first.keys() - there:
            self.gone.setdefault(each, now)

    def _opened(self, each: Door, now: float) -> None:
        door, account, order = each
        id_ = _id(each)
        entry = self.book.entries.get(id_)
        if entry is None:
            # Nobody here approves what they know no id of; only a rule does.
            ruled = {_id(e) for e in self.first if e[0] == RULED and _id(e) not in self.book.entries}
            if door != RULED or len(ruled) > self.book.unknown["vault/lamp"]:
                self.findings.add(
                    "opened without its approvals", id_, f"{door} for {account}: nobody asked for {order}"
                )
            return
        if missing := self.book.unapproved(entry, door, now):
            self.findings.add("opened without its approvals", id_, f"{door} for {account}: {missing}")
        if entry.closed_at and entry.closed_at < now - 1.0 and not self._opened_before(id_):
            self.findings.add("opened after it was over", id_, f"{door} for {account}: {entry.closed_by}")
        if door == SHARED and account != f"{entry.requester}@example.com":
            self.findings.add("opened for somebody else", id_, f"{door} for {account}, asked for by {entry.requester}")
        if self.book.locked_at(now):
            self.findings.add("opened while all was locked down", id_, f"{door} for {account}")

    def _opened_before(self, id_: str) -> bool:
        return sum(_id(each) == id_ for each in self.first) > 1

    def _overdue(self, each: Door, now: float) -> None:
        end = self._end(each)
        if end is None:
            return
        past = now - end - self.site.excused(end, now)
        if past > self.within:
            if self.findings.add("open past its end", _id(each), f"{each[0]} for {each[1]}"):
                self.site.stacks()
            self.late[each] = max(self.late.get(each, 0.0), past)

    def _end(self, each: Door) -> float | None:
        """When it is to be closed, as people know it."""
        door, account, _ = each
        entry = self.book.entries.get(_id(each))
        if entry is None:
            return self.first[each] + 60.0  # the longest that anything may be open here
        if door != SHARED:
            return self.ends(entry)
        sharing = [
            e for e in self.book.entries.values() if SHARED in e.doors and f"{e.requester}@example.com" == account
        ]
        return max((end for e in sharing if (end := self.ends(e)) is not None), default=None)

    def ends(self, entry: Entry) -> float | None:
        """When all of a request is to be closed; None for never opened."""
        seen = [at for each, at in self.first.items() if _id(each) == entry.id]
        starts = max(seen, default=0.0)
        if entry.what != "vault/lamp" and not entry.approvals and not seen:
            return None
        if SHARED in entry.doors:
            # It may have been open for another request before: what is seen tells no start.
            starts = max([starts, *(at + _STARTS for at in entry.approvals.values())])
        if not starts:
            return None
        end = starts + entry.seconds + entry.extended
        return min(end, entry.closed_at) if entry.closed_at else end

    async def all_over(self) -> None:
        """Wait until everything has come to its end, and what is late is closed or given up."""
        ends = [end for entry in self.book.entries.values() if (end := self.ends(entry)) is not None]
        until = max([time.time(), *ends]) + self.within + 1.0
        until = min(until, time.time() + 60.0 + self.within)
        while time.time() < until and self._open():  # noqa: ASYNC110  # processes change it
            await asyncio.sleep(_LOOK)
        until = time.time() + _PATIENCE
        while time.time() < until and self._open():  # noqa: ASYNC110  # processes change it
            await asyncio.sleep(_LOOK)

    def _open(self) -> set[Door]:
        return self.first.keys() - self.gone.keys()

    def over_budget(self) -> None:
        """Whether a rule approved more than its budget."""
        opened = {_id(each): at for each, at in self.first.items() if each[0] == RULED}
        for said in self.book.over_budget(opened):
            self.findings.add("a rule approved more than its budget", "", said)

    def told_late(self, where: str) -> list[str]:
        """What was open past its end, and for how long."""
        return [
            f"{where}: {each[2]} {each[0]} {'closed' if each in self.gone else 'still open'} {past:.1f} s after its end"
            for each, past in self.late.items()
        ]

    def counts(self) -> dict[str, int | float]:
        """For the summary."""
        return {
            "grants": len(self.first),
            "of them critical": sum(each[0] == CRITICAL for each in self.first),
            "of them by a rule": sum(each[0] == RULED for each in self.first),
            "still open": len(self._open()),
            "worst past its end, s": round(max(self.late.values(), default=0.0), 1),
        }


def _id(each: Door) -> str:
    return each[2].partition(".")[0]
