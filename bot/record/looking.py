"""What an auditor asks of the record from Slack: judged, looked up beside the event loop, recorded, and then shown.

Two questions are looked up at a time and a few more wait; one that takes too long is given up, and said to be. It
posts nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, TypeVar

from pydantic import Field

from bot.core import policy
from bot.core.errors import NotAllowed
from bot.core.model import Frozen, Request
from bot.desk import Desk
from bot.record import reads
from bot.record.archive import Archive, NoArchive
from bot.record.audit import Trail, UnknownNumber, Wanted
from bot.record.folding import Holding
from bot.record.reads import Read
from bot.record.seals import Entry
from bot.store.audit import Window
from bot.wishes import Actor

T = TypeVar("T")

MOST = 12
"""Events, or roles held, on a page."""
PAGES = 60
"""Pages that can be turned back."""
_AT_ONCE = 2
_WAITING = 8
_PATIENCE = 30.0
_TAIL = 12_000
"""Events of the window that are looked at: more than it keeps while all is well."""


class CannotLook(Exception):
    """The record cannot be looked at from here now; the sentence says why, and what to do."""


class Question(Frozen):
    """What is asked; each empty one fits all. ``since``, ``until``, ``at`` in Unix seconds, ``when`` as it was typed.

    ``at``: who held what then. ``pages``: where each page that was turned to begins, the last of them is shown: the
    number of the event before which it lies, or how many roles come before it.
    """

    person: Annotated[str, Field(max_length=255)] = ""
    system: Annotated[str, Field(max_length=40)] = ""
    role: Annotated[str, Field(max_length=90)] = ""
    request: Annotated[str, Field(max_length=12)] = ""
    kind: Annotated[str, Field(max_length=40)] = ""
    when: Annotated[str, Field(max_length=60)] = ""
    since: float | None = None
    until: float | None = None
    at: float | None = None
    pages: Annotated[tuple[Annotated[int, Field(ge=0, lt=10**12)], ...], Field(max_length=PAGES)] = ()

    @property
    def asked(self) -> dict[str, str]:
        """The question in words, for the record."""
        named = ("person", "system", "role", "request", "kind", "when")
        found = {name: str(getattr(self, name)) for name in named}
        page = {"before" if self.at is None else "after": str(self.pages[-1])} if self.pages else {}
        return {name: said for name, said in found.items() if said} | page

    @property
    def about(self) -> str:
        """The request or the role that it is about."""
        return self.request or self.role

    def older(self, begins: int) -> Question:
        """The next page."""
        return self.model_copy(update={"pages": (*self.pages, begins)[-PAGES:]})

    def newer(self) -> Question:
        """The page before."""
        return self.model_copy(update={"pages": self.pages[:-1]})


@dataclass(frozen=True)
class Shown:
    """One page. ``entries`` each with the request that it belongs to; or ``holdings`` of the ``held`` there are.

    ``more``: where the next page begins. ``sealed``: the last number that is sealed; ``tail``: how many events after it
    were looked at. ``doubts``: what was not looked at, and why.
    """

    question: Question
    entries: Sequence[tuple[Entry, Request | None]] = ()
    holdings: Sequence[Holding] = ()
    held: int = 0
    more: int | None = None
    sealed: int = 0
    tail: int = 0
    doubts: tuple[str, ...] = ()

    @property
    def read(self) -> dict[str, int]:
        """How much of it is shown, as the record has it."""
        numbers = [entry.seq for entry, _ in self.entries]
        rows = len(numbers) + len(self.holdings)
        return {"rows": rows, "first": min(numbers, default=0), "last": max(numbers, default=0)}


async def require(desk: Desk, actor: Actor, what: str) -> None:
    """Raises `NotAllowed`, audited, unless this person is an auditor. ``what``: what they want to read."""
    verdict = policy.may_audit(desk.catalog(), actor.roster, actor.person)
    if not verdict.allowed:
        error = NotAllowed(verdict)
        await desk.refused("audit", actor, what, error)
        raise error


@dataclass
class Looking:
    """Looks for one workspace. ``archive`` opens it, which may have to be tried again. ``patience`` in seconds."""

    desk: Desk
    archive: Callable[[], Archive]
    patience: float = _PATIENCE
    _opened: Archive | None = field(default=None, init=False)
    _waiting: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Nothing is opened before the first question."""
        self._threads = ThreadPoolExecutor(_AT_ONCE, "audit")
        self.window = Window(self.desk.store)
        self.workspace = self.desk.store.workspace

    def close(self) -> None:
        """Give the archive back; who is still looked up for gets no answer."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._opened:
            self._opened.close()

    async def page(self, actor: Actor, question: Question) -> Shown:
        """What fits, once it is on the record that it is read.

        Raises `NotAllowed`, `CannotLook`, `StoreAway`.
        """
        await require(self.desk, actor, question.about)
        shown = await self._bounded(question)
        what = "search" if question.at is None else "held"
        now = await self.desk.store.now()
        await reads.note(
            self.desk.store,
            Read(at=now, by=actor.person.id, read=what, asked=question.asked, about=question.about, **shown.read),
        )
        return shown

    async def _bounded(self, question: Question) -> Shown:
        if self._waiting >= _AT_ONCE + _WAITING:
            raise CannotLook("Many look at the record just now. Please ask again in a minute.")
        self._waiting += 1
        try:
            return await asyncio.wait_for(self._look(question), self.patience)
        except TimeoutError:
            more = "Narrow it by a time or a name, or use `jit audit search` at a terminal"
            raise CannotLook(f"This took longer than {self.patience:.0f} seconds and was given up. {more}.") from None
        except UnknownNumber:
            raise CannotLook("This page is not there any more. Please ask again.") from None
        finally:
            self._waiting -= 1

    async def _look(self, question: Question) -> Shown:
        try:
            return await self._whole(question)
        except NoArchive as error:
            await self._aside(self._forget)
            return await self._latest(question, f"Only the latest events, those in Redis, were looked at: {error}")

    async def _whole(self, question: Question) -> Shown:
        """Archive and window alike. Raises `NoArchive`, `UnknownNumber`."""
        mark = await self.window.marked()
        archive, sealed = await self._aside(self._ends)
        if mark and mark.archive != archive.id:
            raise NoArchive("the archive here is not the one that the worker seals into: set JIT_ARCHIVE_URL to that")
        tail = await self.window.tail(sealed, _TAIL)
        doubts: list[str] = []
        if mark and sealed < mark.head.last:
            doubts.append(f"The archive here ends at {sealed:,}, and what is sealed ends at {mark.head.last:,}.")
        if len(tail) >= _TAIL:
            doubts.append(f"More than {_TAIL:,} events wait to be sealed, and the latest were not looked at.")
        trail = partial(Trail, self.workspace, archive, tail)
        return await self._aside(lambda: _found(trail(), question, sealed, doubts))

    async def _latest(self, question: Question, doubt: str) -> Shown:
        """What there is without an archive."""
        mark = await self.window.marked()
        tail = await self.window.tail(0, _TAIL)
        sealed = mark.head.last if mark else 0
        return await self._aside(lambda: _found(Trail(self.workspace, None, tail), question, sealed, [doubt]))

    def _ends(self) -> tuple[Archive, int]:
        """The archive, and the last number that is sealed in it."""
        if self._opened is None:
            self._opened = self.archive()
        last = self._opened.last(self.workspace)
        return self._opened, last.last if last else 0

    def _forget(self) -> None:
        """Open it anew for the next question: it may be another one by then."""
        if self._opened:
            self._opened.close()
        self._opened = None

    async def _aside(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def _found(trail: Trail, question: Question, sealed: int, doubts: Sequence[str]) -> Shown:
    begins = question.pages[-1] if question.pages else None
    wanted = Wanted(
        person=question.person,
        system=question.system,
        role=question.role,
        request=question.request,
        kind=question.kind,
        since=question.since,
        until=question.until,
        before=begins if question.at is None else None,
        most=MOST,
    )
    told = {"question": question, "sealed": sealed, "tail": sum(entry.seq > sealed for entry in trail.tail)}
    if question.at is not None:
        held, first = trail.holders(question.at, wanted), begins or 0
        some = held[first : first + MOST]
        more = first + MOST if len(held) > first + MOST else None
        return Shown(**told, holdings=some, held=len(held), more=more, doubts=tuple(doubts))  # type: ignore[arg-type]
    page = trail.search(wanted)
    entries = [(entry, _request(trail, entry)) for entry in page.entries]
    return Shown(**told, entries=entries, more=page.more, doubts=tuple(doubts))  # type: ignore[arg-type]


def _request(trail: Trail, entry: Entry) -> Request | None:
    found = trail.request(entry.id) if entry.id else None
    return found[1] if found and found[0] <= entry.seq else None
