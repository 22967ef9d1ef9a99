"""Who could fill an approval step, to show it before anybody approves; an approval is judged when it is given."""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.request import Person
from bot.core.verdict import Roster
from bot.policy import authorization


def could_fill(roster: Roster, any_of: Iterable[str], person: Person, requester: Person | None) -> bool:
    """Whether this person is in one of the groups now; never the requester. None: of nobody's request in particular."""
    if requester is not None and authorization.same_person(person, requester):
        return False
    return any(group in roster and roster[group].holds(person) for group in any_of)
