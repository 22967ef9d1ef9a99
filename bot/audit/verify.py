"""Verifies the audit chain: finds the first event that was changed, removed, added or reordered since it was sealed.

It reads its input once, in order and in constant memory, and trusts only the keys that it is given. The result says
what it cannot prove: that an event was true when it was written, and anything after the last seal.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bot.core.audit_chain import SIZE, AuditEntry, Head, Seal

_MOST_WAITING = 100_000
"""Events before their seal: a seal has far fewer."""


class What(StrEnum):
    """What is wrong with an event, or with all from it on."""

    CHANGED = "changed"
    """It differs from what was sealed under its number."""
    REMOVED = "removed"
    """It was sealed, and is not there."""
    ADDED = "added"
    """It is there, and was never sealed."""
    REORDERED = "reordered"
    """It is there, and not in its place."""
    REWRITTEN = "rewritten"
    """From it on the chain is not the one whose head is known: any of these may be changed, though each is sealed."""
    UNSIGNED = "unsigned"
    """From it on the seal is not signed, or not by a key that is trusted."""


class ChainFlaw(Exception):
    """The first mismatch, by the event's number; ``until`` where it may be any of a range."""

    def __init__(self, what: What, seq: int, why: str, until: int = 0) -> None:
        """Keep what it is, and where."""
        super().__init__(why)
        self.what, self.seq, self.why, self.until = what, seq, why, until

    def __str__(self) -> str:
        """One sentence."""
        if self.until <= self.seq:
            return f"event {self.seq} was {self.what}: {self.why}"
        if self.what is What.UNSIGNED:
            return f"events {self.seq} to {self.until} are under no signature that counts: {self.why}"
        return f"events {self.seq} to {self.until} were {self.what}, or some of them: {self.why}"


@dataclass
class Report:
    """What was looked at. ``first`` and ``last``: numbers; ``lost``: those that are recorded as never seen.

    ``flaw``: the first thing that is wrong. ``heads``: known heads that were found in the chain. ``keys``: who signed.
    """

    first: int = 0
    last: int = 0
    events: int = 0
    lost: list[tuple[int, int]] = field(default_factory=list)
    flaw: ChainFlaw | None = None
    heads: int = 0
    keys: list[bytes] = field(default_factory=list)
    head: Head | None = None
    trusted: bool = False


@dataclass(frozen=True)
class Part:
    """Which numbers are there, when it is not all: from ``first`` to ``last``, or only ``some`` of those."""

    first: int
    last: int
    some: Sequence[int] | None = None

    def of(self, seal: Seal) -> Sequence[int]:
        """Those that lie under a seal, in order."""
        first, last = max(seal.first, self.first), min(seal.last, self.last)
        if self.some is None:
            return range(first, last + 1)
        return self.some[bisect_left(self.some, first) : bisect_right(self.some, last)]


def verify(
    items: Iterable[AuditEntry | Seal],
    heads: Sequence[Head] = (),
    trusted: Collection[bytes] | None = None,
    part: Part | None = None,
) -> Report:
    """Look at events and seals in the order in which they were added, each seal after its events.

    ``heads``: known from elsewhere, such as a digest. ``trusted``: public keys; None believes those that the seals
    name.
    """
    looking = _Looking({head.last: head for head in heads}, trusted, part)
    try:
        for item in items:
            if isinstance(item, AuditEntry):
                looking.event(item)
            else:
                looking.seal(item)
        looking.end()
    except ChainFlaw as flaw:
        looking.report.flaw = flaw
    return looking.report


@dataclass
class _Looking:
    """One pass."""

    heads: dict[int, Head]
    trusted: Collection[bytes] | None
    part: Part | None
    report: Report = field(default_factory=Report)
    before: Seal | None = None
    anchored: int = 0
    """The last number up to which a known head stands for everything."""
    vouched: int = 0
    """The last number up to which a trusted key's signature does."""
    waiting: list[AuditEntry] = field(default_factory=list)

    def event(self, entry: AuditEntry) -> None:
        self.waiting.append(entry)
        if len(self.waiting) > _MOST_WAITING:
            raise ChainFlaw(What.ADDED, self.waiting[0].seq, "no seal follows it")

    def seal(self, seal: Seal) -> None:
        self._chained(seal)
        self._compared(seal)
        report, part = self.report, self.part
        report.first = report.first or max(seal.first, part.first if part else 1)
        report.last = min(seal.last, part.last) if part else seal.last
        report.head = seal.head
        if seal.lost:
            report.lost.append((max(seal.first, report.first), report.last))
        self._known(seal)
        if self.trusted is not None and seal.key in self.trusted:
            self.vouched = seal.last
        self.before = seal

    def end(self) -> None:
        if self.waiting:
            raise ChainFlaw(What.ADDED, self.waiting[0].seq, "no seal covers it; or the seal after it was removed")
        after = self.report.last + 1
        if self.part and self.report.last < self.part.last:
            why = f"{self.part.first} to {self.part.last} are said to be here"
            raise ChainFlaw(What.REMOVED, max(after, self.part.first), why, self.part.last)
        for head in sorted(self.heads.values(), key=lambda head: head.last):
            if head.last > self.report.last and not self.part:
                raise ChainFlaw(
                    What.REMOVED, after, f"the head {head} is known, and the chain ends before it", head.last
                )
        self._trust()

    def _trust(self) -> None:
        """The last signature stands for all before it, whoever signed those: a seal names the head before it."""
        end = self.before.last if self.before else 0
        self.report.trusted = end == max(self.anchored, self.vouched)
        if self.trusted is not None and not self.report.trusted:
            why = "no seal from there on is signed by a key of JIT_KEYS"
            raise ChainFlaw(What.UNSIGNED, max(self.anchored, self.vouched) + 1, why, end)

    def _chained(self, seal: Seal) -> None:
        """The seal is signed and follows the one before it."""
        if not seal.signed():
            raise ChainFlaw(What.UNSIGNED, seal.first, "its seal is not what was signed", seal.last)
        before = self.before
        if before is None:
            begins = self.part.first if self.part else 1
            if seal.first > begins:
                raise ChainFlaw(What.REMOVED, begins, f"the first seal begins at {seal.first}", seal.first - 1)
        elif seal.first > before.last + 1:
            raise ChainFlaw(What.REMOVED, before.last + 1, "their seals are not there", seal.first - 1)
        elif seal.first <= before.last:
            raise ChainFlaw(What.REORDERED, seal.first, f"its seal comes after the one that ends at {before.last}")
        elif seal.previous != before.hash or seal.n != before.n + 1:
            why = f"the seal after {before.last} names another head than the one that is there"
            raise ChainFlaw(What.REWRITTEN, self.anchored + 1, why, before.last)
        if seal.key not in self.report.keys:
            self.report.keys.append(seal.key)

    def _known(self, seal: Seal) -> None:
        """Where a head is known from elsewhere, the chain has it."""
        for last, head in list(self.heads.items()):
            if not seal.first <= last <= seal.last or last <= self.anchored:
                continue
            if seal.head != head:
                why = f"the known head at {last} is another: who has the key has signed again"
                raise ChainFlaw(What.REWRITTEN, self.anchored + 1, why, last)
            self.anchored = last
            self.report.heads += 1

    def _compared(self, seal: Seal) -> None:
        """Each event against its hash in the seal, in their order."""
        wanted = self._wanted(seal)
        digests, first, good = seal.digests, seal.first, 0
        for entry, number in zip(self.waiting, wanted, strict=False):
            at = (number - first) * SIZE
            if entry.seq != number or entry.digest() != digests[at : at + SIZE]:
                break
            good += 1
        if not len(wanted) == len(self.waiting) == good:
            raise self._named(seal, wanted, good)
        self.report.events += good
        self.waiting.clear()

    def _wanted(self, seal: Seal) -> Sequence[int]:
        if seal.lost:
            return ()
        return self.part.of(seal) if self.part else range(seal.first, seal.last + 1)

    def _named(self, seal: Seal, wanted: Sequence[int], at: int) -> ChainFlaw:
        """What became of the first that does not fit."""
        if at == len(self.waiting):
            return ChainFlaw(What.REMOVED, wanted[at], "it was sealed, and is not there")
        entry = self.waiting[at]
        if entry.seq in wanted[:at]:
            return ChainFlaw(What.ADDED, entry.seq, "it is there a second time")
        if entry.seq not in wanted:
            under = f"the numbers {seal.first} to {seal.last} are sealed {'as lost' if seal.lost else 'without it'}"
            return ChainFlaw(What.ADDED, entry.seq, under)
        if entry.seq == wanted[at]:
            return self._differs(seal, entry)
        if any(other.seq == wanted[at] for other in self.waiting[at:]):
            return ChainFlaw(What.REORDERED, wanted[at], f"{entry.seq} is in its place")
        return ChainFlaw(What.REMOVED, wanted[at], f"it was sealed, and {entry.seq} is in its place")

    def _differs(self, seal: Seal, entry: AuditEntry) -> ChainFlaw:
        for number in range(seal.first, seal.last + 1):
            if number != entry.seq and entry._replace(seq=number).digest() == seal.digest(number):
                return ChainFlaw(What.REORDERED, entry.seq, f"its number has what was sealed as {number}")
        return ChainFlaw(What.CHANGED, entry.seq, "it is not what was sealed under its number")
