"""Gives people places, at most one each, so that as many as possible are filled; it knows no policy and no request."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field


@dataclass(frozen=True)
class StepPlaces:
    """A step's places: how many there are, and which step has to be full before the first person may have one here."""

    places: int
    before: int | None = None


def assign(fits: Sequence[Sequence[int]], steps: Sequence[StepPlaces]) -> list[list[int]]:
    """Who fills each step, in the order in which they came. ``fits``: for each person, the steps that they may fill.

    Each person in turn takes a free place, or one whose holder can move to another step (augmenting paths), so that
    everybody who has a place keeps one. In a step that comes after another, everybody came after all who fill that.
    """
    assignment = _Assignment([tuple(each) for each in fits], steps)
    for who in range(len(fits)):
        assignment.admit(who)
    return assignment.taken


def fillable(places: Sequence[AbstractSet[str]]) -> frozenset[int]:
    """The places that different people can fill at the same time. ``places``: for each, the people who may take it."""
    people = sorted({who for place in places for who in place})
    fits = [[n for n, place in enumerate(places) if who in place] for who in people]
    taken = assign(fits, [StepPlaces(1)] * len(places))
    return frozenset(n for n, there in enumerate(taken) if there)


@dataclass
class _Assignment:
    fits: Sequence[tuple[int, ...]]
    steps: Sequence[StepPlaces]
    taken: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.taken = [[] for _ in self.steps]
        self._after = {step.before: n for n, step in enumerate(self.steps) if step.before is not None}

    def admit(self, who: int) -> None:
        """Give a person a place, if one can be made free."""
        kept = [[*there] for there in self.taken]
        if self._place(who, set()) and not self._in_order():
            self.taken = kept

    def _place(self, who: int, tried: set[int]) -> bool:
        steps = [n for n in self.fits[who] if n not in tried and self._may_fill(who, n)]
        for n in steps:
            if len(self.taken[n]) < self.steps[n].places:
                insort(self.taken[n], who)
                return True
        for n in steps:
            if n not in tried:
                tried.add(n)
                if self._make_room(n, tried):
                    insort(self.taken[n], who)
                    return True
        return False

    def _make_room(self, n: int, tried: set[int]) -> bool:
        """Have somebody move from a full step. Those who may fill the same steps can all move, or none of them can."""
        for holder in {self.fits[each]: each for each in self.taken[n]}.values():
            self.taken[n].remove(holder)
            if self._place(holder, tried):
                return True
            insort(self.taken[n], holder)
        return False

    def _may_fill(self, who: int, n: int) -> bool:
        """Whether they came after all who fill the step before, which is full, and before all who fill the next one."""
        before, after = self.steps[n].before, self._after.get(n)
        if before is not None:
            first = self.taken[before]
            if len(first) < self.steps[before].places or (first and first[-1] > who):
                return False
        return after is None or not self.taken[after] or who < self.taken[after][0]

    def _in_order(self) -> bool:
        return all(self._may_fill(who, n) for n, there in enumerate(self.taken) for who in there)
