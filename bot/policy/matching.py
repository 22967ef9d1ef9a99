"""Gives people places, at most one each, so that as many as possible are filled; it knows no policy and no request."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet


def fill(fits: Sequence[Sequence[int]]) -> dict[int, int]:
    """Which person has which place, by place. ``fits``: for each person, the places that they may take.

    Each person in turn takes the first free place, or one whose holder can move to another (augmenting paths). So
    everybody who has a place keeps one.
    """
    taken: dict[int, int] = {}

    def seat(who: int, tried: set[int]) -> bool:
        for place in fits[who]:
            if place not in taken:
                taken[place] = who
                return True
        for place in fits[who]:
            if place not in tried:
                tried.add(place)
                if seat(taken[place], tried):
                    taken[place] = who
                    return True
        return False

    for who in range(len(fits)):
        seat(who, set())
    return taken


def fillable(places: Sequence[AbstractSet[str]]) -> frozenset[int]:
    """The places that different people can fill at the same time. ``places``: for each, the people who may take it."""
    people = sorted({who for place in places for who in place})
    return frozenset(fill([[n for n, place in enumerate(places) if who in place] for who in people]))
