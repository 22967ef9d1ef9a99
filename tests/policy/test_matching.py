"""People get places: as many as possible, in order where that is asked for, at a cost that a crowd does not raise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bot.policy.matching import StepPlaces, assign, fillable

TABLES = 4
fits = st.lists(st.lists(st.integers(0, TABLES - 1), max_size=TABLES, unique=True), max_size=6)
places = st.lists(st.integers(1, 2), min_size=TABLES, max_size=TABLES)
chains = st.sampled_from([(None, None, None, None), (None, 0, None, None), (None, 0, 1, None), (None, 0, None, 2)])


def most(fits_: Sequence[Sequence[int]], rooms: Sequence[int]) -> int:
    """How many can have a place at once, by trying everything; without an order."""
    seats = [n for n, room in enumerate(rooms) for _ in range(room)]
    people = [*range(len(fits_)), *[-1] * len(seats)]
    found = 0
    for order in permutations(people, len(seats)):
        found = max(found, sum(who >= 0 and n in fits_[who] for n, who in zip(seats, order, strict=True)))
    return found


@given(fits, places, chains)
def test_everybody_fills_one_place_where_they_fit_and_after_all_of_the_step_before(
    fits_: list[list[int]], rooms: list[int], before: Sequence[int | None]
) -> None:
    taken = assign(fits_, [StepPlaces(room, first) for room, first in zip(rooms, before, strict=True)])
    placed = [who for there in taken for who in there]
    assert len(placed) == len(set(placed))
    for n, there in enumerate(taken):
        assert len(there) <= rooms[n]
        assert all(n in fits_[who] for who in there)
        if there and (first := before[n]) is not None:
            assert len(taken[first]) == rooms[first]
            assert max(taken[first]) < min(there)


@given(st.lists(st.lists(st.integers(0, 2), max_size=3, unique=True), max_size=4), st.permutations([1, 1, 2]))
def test_without_an_order_as_many_places_are_filled_as_can_be(fits_: list[list[int]], rooms: list[int]) -> None:
    taken = assign(fits_, [StepPlaces(room) for room in rooms])
    assert sum(map(len, taken)) == most(fits_, rooms)


@given(fits, places, chains)
def test_whoever_has_a_place_keeps_one_when_somebody_comes(
    fits_: list[list[int]], rooms: list[int], before: Sequence[int | None]
) -> None:
    steps = [StepPlaces(room, first) for room, first in zip(rooms, before, strict=True)]
    for count in range(len(fits_)):
        earlier = {who for there in assign(fits_[:count], steps) for who in there}
        assert earlier <= {who for there in assign(fits_[: count + 1], steps) for who in there}


def test_an_earlier_person_makes_room_where_the_order_allows_it() -> None:
    # 0 fits both; 1 fits the first step alone. 0 moves on to the step that nobody waits for.
    assert assign([[0, 1], [0]], [StepPlaces(1), StepPlaces(1)]) == [[1], [0]]
    # In the second of two steps in order nobody has a place who came before all of the first.
    assert assign([[0, 1], [0]], [StepPlaces(1), StepPlaces(1, before=0)]) == [[0], []]


class Counted(list[StepPlaces]):
    """Steps that count how often they are looked at."""

    looked = 0

    def __getitem__(self, n: Any) -> Any:
        self.looked += 1
        return super().__getitem__(n)


def looks(people: int) -> int:
    """How many looks it costs that one more person finds no place, in a step that is full of ``people`` alike."""
    found = []
    for come in (people, people + 1):
        steps = Counted([StepPlaces(people), StepPlaces(1)])
        assert assign([(0,)] * come, steps) == [[*range(people)], []]
        found.append(steps.looked)
    return found[1] - found[0]


def test_forty_people_in_a_step_cost_no_more_than_four() -> None:
    assert looks(40) == looks(4)


def test_a_crowd_in_a_group_is_not_looked_through_for_a_few_places() -> None:
    crowd = frozenset(f"u{n}" for n in range(3))
    assert fillable([crowd, crowd, crowd]) == {0, 1, 2}
    assert fillable([crowd, frozenset({"u0"}), frozenset({"u0"})]) in ({0, 1}, {0, 2})
