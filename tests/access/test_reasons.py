"""Whoever does something that others read a reason for gives one that can be seen, whichever way it comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from bot.access import extend, lockdown, review, revoke, unbind
from bot.access.review import ReviewDecision
from bot.access.revoke import RevokeTarget
from bot.core.errors import BadReason
from bot.core.request import State, Verb
from bot.store.store import Store
from handlers.slack.membership import member
from tests.house import House

BLANK = "\u3164\u202e\u200b\u2800\u3164"
HIDDEN = "\u202eINC-1 is \u200bover\u3164 👨\u200d👩"
SHOWN = "INC-1 is over 👨\u200d👩"
Way = Callable[[House, str, str], Awaitable[object]]
WAYS: dict[str, Way] = {
    "a denied extension": lambda house, id_, reason: review.review(
        house.context, house.actor("dan"), id_, ReviewDecision(verb=Verb.DENY, reason=reason), extension=1
    ),
    "revoked": lambda house, id_, reason: revoke.revoke(house.context, house.actor("dan"), id_, reason),
    "all revoked": lambda house, _, reason: revoke.revoke_all(
        house.context, house.actor("dan"), RevokeTarget(user="UMIA"), reason
    ),
    "at a terminal": lambda house, id_, reason: revoke.revoke_at_terminal(house.context, "cli:x@y", id_, reason),
    "closed by hand": lambda house, id_, reason: revoke.close_manually(house.context, "cli:x@y", id_, reason),
    "a lockdown": lambda house, _, reason: lockdown.lock(house.context, house.actor("pat"), "", reason),
    "unbound": lambda house, _, reason: unbind.unbind(house.context, "cli:x@y", "mia@example.com", reason),
    "an extension": lambda house, id_, reason: extend.extend(house.context, house.actor("mia"), id_, 600, reason),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_reason_that_nobody_can_see_is_none(store: Store, way: str) -> None:
    house = await House(store).open()
    request = await house.granted()
    if way == "a denied extension":
        await WAYS["an extension"](house, request.id, "still on fire")
    with pytest.raises(BadReason):
        await WAYS[way](house, request.id, BLANK)
    assert (await house.now(request.id)).state is State.ACTIVE


async def test_what_is_kept_of_a_reason_is_what_can_be_seen(store: Store) -> None:
    house = await House(store).open()
    request = await house.ask(reason=HIDDEN)
    assert request.reason == SHOWN
    with pytest.raises(BadReason):
        await review.review(house.context, house.actor("dan"), request.id, ReviewDecision(verb=Verb.DENY, reason=BLANK))
    denied = await review.review(
        house.context, house.actor("dan"), request.id, ReviewDecision(verb=Verb.DENY, reason=HIDDEN)
    )
    assert [review.reason for review in denied.reviews] == [SHOWN]


def test_a_name_of_slacks_is_what_can_be_seen_of_it_or_the_next_that_says_something() -> None:
    def named(*names: str) -> str:
        account = {"id": "UMIA", "team_id": "T1", "name": names[-1]}
        return member({**account, "profile": {"email": "mia@example.com", "real_name": names[0]}}, "T1").name

    assert named("\u202eMia\u3164 👩\u200d🚒", "mia") == "Mia 👩\u200d🚒"
    assert named(BLANK, "mia") == "mia"
    assert named(BLANK, BLANK) == ""
