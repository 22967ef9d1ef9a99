"""Gives people places, at most one each, so that as many as possible are filled; it knows no policy and no request."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Table:
    """A step's places: how many there are, and which step has to be full before the first person may sit here."""

    places: int
    before: int | None = None


def seat(fits: Sequence[Sequence[int]], tables: Sequence[Table]) -> list[list[int]]:
    """Who sits at each table, in the order in which they came. ``fits``: for each person, the tables for them.

    Each person in turn takes a free place, or one whose holder can move to another table (augmenting paths), so that
    everybody who has a place keeps one. At a table that comes after another, everybody came after all who sit there.
    """
    seating = _Seating([tuple(each) for each in fits], tables)
    for who in range(len(fits)):
        seating.admit(who)
    return seating.taken


def fillable(places: Sequence[AbstractSet[str]]) -> frozenset[int]:
    """The places that different people can fill at the same time. ``places``: for each, the people who may take it."""
    people = sorted({who for place in places for who in place})
    fits = [[n for n, place in enumerate(places) if who in place] for who in people]
    taken = seat(fits, [Table(1)] * len(places))
    return frozenset(n for n, there in enumerate(taken) if there)


@dataclass
class _Seating:
    fits: Sequence[tuple[int, ...]]
    tables: Sequence[Table]
    taken: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.taken = [[] for _ in self.tables]
        self._after = {table.before: n for n, table in enumerate(self.tables) if table.before is not None}

    def admit(self, who: int) -> None:
        """Give a person a place, if one can be made free."""
        kept = [[*there] for there in self.taken]
        if self._seat(who, set()) and not self._in_order():
            self.taken = kept

    def _seat(self, who: int, tried: set[int]) -> bool:
        tables = [n for n in self.fits[who] if n not in tried and self._may_sit(who, n)]
        for n in tables:
            if len(self.taken[n]) < self.tables[n].places:
                insort(self.taken[n], who)
                return True
        for n in tables:
            if n not in tried:
                tried.add(n)
                if self._make_room(n, tried):
                    insort(self.taken[n], who)
                    return True
        return False

    def _make_room(self, n: int, tried: set[int]) -> bool:
        """Have somebody move from a full table. Those who fit the same tables can all move, or none of them can."""
        for holder in {self.fits[each]: each for each in self.taken[n]}.values():
            self.taken[n].remove(holder)
            if self._seat(holder, tried):
                return True
            insort(self.taken[n], holder)
        return False

    def _may_sit(self, who: int, n: int) -> bool:
        """Whether they come after all at the table before this one, which is full, and before all at the next one."""
        before, after = self.tables[n].before, self._after.get(n)
        if before is not None:
            first = self.taken[before]
            if len(first) < self.tables[before].places or (first and first[-1] > who):
                return False
        return after is None or not self.taken[after] or who < self.taken[after][0]

    def _in_order(self) -> bool:
        return all(self._may_sit(who, n) for n, there in enumerate(self.taken) for who in there)
