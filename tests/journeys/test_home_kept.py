"""A Home tab is kept true: whoever looked at theirs lately sees what others did, and nobody else is published to."""

from __future__ import annotations

from bot.playground import Call
from tests.journeys.conftest import CHANNEL, Town
from tests.journeys.test_announcing import told, until
from tests.journeys.test_home import home


def published(town: Town, user: str) -> list[Call]:
    """The times that somebody's tab was published."""
    return [call for call in town.slack.calls if call.method == "views.publish" and call.args["user_id"] == user]


async def test_what_others_do_shows_on_the_tabs_of_those_concerned_who_looked_lately(town: Town) -> None:
    town.app.home_tabs.rest = 0.1
    for human in (town.mia, town.dan, town.kim):
        await home(human)
    card = await town.asked()
    id_ = town.id_of(card)
    await town.dan.sees_home(lambda v: f"({id_})" in v.said() and "approve" in v.buttons())
    await town.mia.sees_home(lambda v: id_ in v.said() and "waiting for approval" in v.said())
    await town.dan.click(card, "approve")
    await town.mia.sees_home(lambda v: "active until" in v.said() and "release" in v.buttons())
    await town.dan.sees_home(lambda v: "Nothing is waiting for you." in v.said())
    assert "Thank you" in (await town.mia.command("/jit", "done", CHANNEL)).text
    await town.mia.sees_home(lambda v: "You have no active access and no open requests." in v.said())
    # Kim decides about nothing of it, and Eve, who does, never looked.
    assert len(published(town, "UKIM")) == 1
    assert town.eve.home is None


async def test_a_tab_is_shown_anew_once_for_much_that_happens_at_once(town: Town) -> None:
    town.app.home_tabs.rest = 3600
    await home(town.dan)
    first = town.id_of(await town.asked())
    await town.dan.sees_home(lambda v: first in v.said())
    for who in ("kim", "sam", "pat"):
        await town.asked(who, "request vault/read-only 30m -- to look at it")
    await told(town.app)
    kept = town.app.home_tabs.index

    async def waits_its_turn() -> bool:
        turn = await kept.next()
        return turn is not None and turn[0] == "UDAN" and turn[1] > 3000

    await until(waits_its_turn, "the rest to be left for when its time has come")
    assert len(published(town, "UDAN")) == 2


async def test_what_is_newer_is_not_overwritten(town: Town) -> None:
    town.app.home_tabs.rest = 0.1
    await home(town.dan)
    # Somebody else's view of Dan's tab came between, and it may be newer than what we are about to show.
    await town.app.client.views_publish(user_id="UDAN", view={"type": "home", "blocks": [{"type": "divider"}]})
    id_ = town.id_of(await town.asked())
    await town.dan.sees_home(lambda v: id_ in v.said())
    answers = [call.answer for call in published(town, "UDAN")]
    assert "hash_conflict" in answers, "it was tried by the view that was known, and read anew before the next try"


async def test_a_slack_that_does_not_take_it_is_asked_again(town: Town) -> None:
    town.app.home_tabs.rest = 0.1
    await home(town.dan)
    town.slack.faults.add("views.publish", "ratelimited", retry_after=1)
    town.slack.faults.add("views.publish", "error_500")
    id_ = town.id_of(await town.asked())
    await town.dan.sees_home(lambda v: id_ in v.said())


async def test_a_tab_that_nobody_looked_at_for_a_day_is_left_alone(town: Town) -> None:
    await home(town.dan)
    keys, redis = town.app.store.keys, town.app.store.redis
    await redis.zincrby(keys.looked, -86_401, "UDAN dan@example.com")
    await town.asked()
    await told(town.app)
    assert await redis.exists(keys.stale) == 0
    assert len(published(town, "UDAN")) == 1


async def test_someone_who_left_since_is_not_published_to(town: Town) -> None:
    town.app.home_tabs.rest = 0.1
    await home(town.dan)
    town.slack.world.people["UDAN"].kind = "deactivated"
    town.app.people.forget("UDAN")
    await town.asked()

    async def nobody() -> bool:
        return await town.app.home_tabs.index.next() is None

    await until(nobody, "nobody's turn")
    assert len(published(town, "UDAN")) == 1
