"""A request on several systems has a card in each of their channels; what befalls one card spoils no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.core.request import State
from bot.playground import LocalSlack, Message
from bot.store.indexes.card_queue import ROOM
from tests.journeys.conftest import CHANNEL, Town, running, settings_for
from tests.journeys.test_announcing import dead, told, until
from tests.servers import RedisServer
from tests.worker.test_several_roles import THREE

OTHER = "C0ORDERS1"
"""Of the orders; the vault and the queue share a channel."""
LINE = "request incident 30m -- INC-1 all of it is stuck"


@pytest.fixture
async def town(slack: LocalSlack, redis: RedisServer, tmp_path: Path) -> AsyncIterator[Town]:
    """The bot with three systems in two channels, over HTTP."""
    slack.add_channel(OTHER, "orders", list(slack.world.people))
    async with running(settings_for(slack, redis, "http", tmp_path, THREE)) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        yield Town(slack, app)


async def asked(town: Town, line: str = LINE) -> str:
    """Mia's request."""
    return str((await town.mia.command("/jit", line, CHANNEL)).text.split(" (")[1][:6])


def cards(town: Town, channel: str) -> list[Message]:
    """The cards in a channel; each is edited, and none is posted twice."""
    found = [m for m in town.slack.messages(channel) if m.metadata and m.blocks]
    return [m for m in found if m.metadata["event_payload"]["audience"].startswith("card")]  # type: ignore[index]


async def card_in(town: Town, channel: str, said: str) -> Message:
    """The card there, once it says so."""
    return await town.slack.sees(channel, lambda m: bool(m.blocks) and said in m.said())


async def test_two_systems_of_one_channel_share_a_card_and_each_part_is_decided_by_its_own(town: Town) -> None:
    id_ = await asked(town)
    card = await card_in(town, CHANNEL, "*Your part*: needs 2 approvals: one from <!subteam^S0DBA0001>, one from")
    other = await card_in(town, OTHER, "*Your part*: needs 1 approval from <@USAM> or <@UKIM>")
    assert "<!subteam^" not in other.said(), "nobody is mentioned on the card of another system"
    assert "*Vault: read-only* (<#C0VAULT01>): needs 1 approval from `dba`" in other.said()
    for who, there in (("pat", card), ("sam", other), ("dan", other)):
        assert (await getattr(town, who).click(there, "approve")).status == 200
    for channel in (CHANNEL, OTHER):
        await card_in(town, channel, "active until")
    await town.pat.click(cards(town, OTHER)[0], "revoke")
    await town.pat.submit(await town.pat.sees_view("revoke"), {"reason": "INC-2"})
    for channel in (CHANNEL, OTHER):
        ended = await card_in(town, channel, ":lock: ended")
        assert id_ in ended.said()
    await told(town.app)
    assert [len(cards(town, channel)) for channel in (CHANNEL, OTHER)] == [1, 1]
    assert town.slack.messages(OTHER) == cards(town, OTHER), "the thread is beneath the first card"
    assert await dead(town) == ""


async def test_an_approver_is_led_to_the_card_with_their_part(town: Town) -> None:
    """On the Home tab, and by a message where the role says so."""
    id_ = await asked(town)
    card, other = await card_in(town, CHANNEL, "Your part"), await card_in(town, OTHER, "Your part")
    for who, theirs in (("dan", card), ("sam", other), ("pat", card)):
        human = getattr(town, who)
        await human.opens_home()
        tab = await human.sees_home(lambda v: id_ in v.said())
        assert f"/archives/{theirs.channel}/p{theirs.ts.replace('.', '')}" in tab.said()
    letter = await town.kim.sees_dm(lambda m: id_ in m.said())
    assert f"/archives/{OTHER}/p{other.ts.replace('.', '')}" in letter.said()


async def test_a_denial_of_one_part_ends_all_of_it(town: Town) -> None:
    id_ = await asked(town)
    card, other = await card_in(town, CHANNEL, "Your part"), await card_in(town, OTHER, "Your part")
    await town.dan.click(card, "approve")
    await town.sam.click(other, "deny")
    await town.sam.submit(await town.sam.sees_view("deny"), {"reason": "not tonight"})
    for channel in (CHANNEL, OTHER):
        denied = await card_in(town, channel, "denied: not tonight")
        assert denied.buttons() == {}
    request = (await town.app.context.find_by_id(id_)).request
    assert request.state is State.DENIED
    assert [leg.attempts for leg in request.legs] == [0, 0, 0]


async def test_a_reminder_and_an_extension_call_on_each_channel_s_own_approvers_who_have_not_answered(
    town: Town,
) -> None:
    id_ = await asked(town)
    card, other = await card_in(town, CHANNEL, "Your part"), await card_in(town, OTHER, "Your part")
    await town.dan.click(card, "approve")
    assert "You reminded" in (await town.mia.command("/jit", f"remind {id_}", CHANNEL)).text
    first = await town.slack.sees(CHANNEL, lambda m: m.text.startswith("Reminder"), thread=card.ts)
    second = await town.slack.sees(OTHER, lambda m: m.text.startswith("Reminder"), thread=other.ts)
    assert " needs 1 approval from <@UPAT> by" in first.text
    assert " needs 1 approval from <@USAM> or <@UKIM> by" in second.text
    for who in ("sam", "pat"):
        await getattr(town, who).click(card, "approve")
    await card_in(town, OTHER, "active until")
    assert "asked" in (await town.mia.command("/jit", f"extend {id_} 10m -- not done yet", CHANNEL)).text
    line = await town.slack.sees(OTHER, lambda m: "Mia asks to extend" in m.text, thread=other.ts)
    assert "Needs 1 approval from <@USAM> or <@UKIM>" in line.text
    for who, there in (("sam", OTHER), ("dan", CHANNEL), ("pat", CHANNEL)):
        await getattr(town, who).click(await card_in(town, there, "asks to extend"), "extend_approve")
    await card_in(town, OTHER, "Extended; ")
    await told(town.app)
    lines = [m.text.partition(" ")[0] for m in town.slack.messages(OTHER, other.ts)]
    assert lines == ["Reminder:", "Mia"]
    assert await dead(town) == ""


@pytest.mark.parametrize(("broken", "usable"), [(CHANNEL, OTHER), (OTHER, CHANNEL)])
async def test_a_channel_that_cannot_be_used_spoils_no_other(town: Town, broken: str, usable: str) -> None:
    town.slack.world.channels[broken].archived = True
    id_ = await asked(town)
    card = await card_in(town, usable, id_)
    for who in ("dan", "sam", "pat"):
        assert (await getattr(town, who).click(card, "approve")).status == 200
    await card_in(town, usable, "active until")
    await town.mia.sees_dm(lambda m: "You have access until" in m.said())
    assert cards(town, broken) == []
    assert "is archived" in await dead(town)


async def test_a_card_that_somebody_deleted_is_posted_anew_in_its_own_channel(town: Town) -> None:
    await asked(town)
    card, other = await card_in(town, CHANNEL, "Your part"), await card_in(town, OTHER, "Your part")
    town.slack.world.messages.remove(other)
    await town.dan.click(card, "approve")
    anew = await card_in(town, OTHER, "*Vault: read-only* (<#C0VAULT01>): approved")
    await told(town.app)
    assert anew.ts != other.ts
    assert [m.ts for m in cards(town, CHANNEL)] == [card.ts]


async def test_nobody_who_writes_to_redis_has_a_card_posted_in_another_channel(town: Town) -> None:
    id_ = await asked(town)
    await card_in(town, OTHER, id_)
    await told(town.app)
    keys, redis = town.app.store.keys, town.app.store.redis
    for channel in ("C0GENERAL", CHANNEL):
        await redis.hset(keys.rows, f"{id_}|card:{channel}", "9")
        await redis.zadd(keys.outbox, {f"{id_}|card:{channel}": 0.0})
    await until(lambda: _gone(town), "both rows to be refused")
    assert cards(town, "C0GENERAL") == []
    assert len(cards(town, CHANNEL)) == 1
    assert "its request has no card there" in await dead(town)


async def _gone(town: Town) -> bool:
    rows: Any = await town.app.store.redis.zrange(town.app.store.keys.outbox, 0, -1)
    return not any(b"|card:" in row for row in rows)


async def test_a_crowd_in_one_channel_defers_only_the_cards_of_that_channel(town: Town) -> None:
    """The orders have room for none more, and the vault has."""
    town.slack.limits.scale = 100
    for n in range(ROOM):
        human = town.slack.add_person(f"U{n:06d}", f"Person {n}", f"p{n}@example.com")
        town.slack.world.channels[CHANNEL].members.add(human.id)
        await human.command("/jit", f"request orders/read-only 30m -- INC-{n} stuck", CHANNEL)
    await until(lambda: len(cards(town, OTHER)) == ROOM, "a card for each")
    id_ = await asked(town)
    await card_in(town, CHANNEL, id_)
    summary = await town.slack.sees(OTHER, lambda m: "1 more request is waiting for approval here" in m.said())
    assert not any(id_ in card.said() for card in cards(town, OTHER))

    await town.sam.click(summary, "waiting")
    waiting = await town.sam.sees_view("waiting", lambda v: id_ in v.said())
    await town.sam.click(waiting, "question", value=id_)
    await town.sam.submit(await town.sam.sees_view("question"), {"reason": "Which orders?"})
    await town.sam.sees_view("waiting", lambda v: v.body["private_metadata"] == f"{OTHER} 0")
    await card_in(town, OTHER, "Which orders?")
    await town.sam.click(await card_in(town, OTHER, f"{id_} · requested"), "approve")
    other = await card_in(town, OTHER, "*Your part*: approved")
    assert id_ in other.said()
    await town.slack.sees(OTHER, lambda m: "now has its own card" in m.said())


async def test_a_crowd_in_the_first_channel_keeps_no_card_from_the_others(town: Town) -> None:
    town.slack.limits.scale = 100
    for n in range(ROOM):
        human = town.slack.add_person(f"U{n:06d}", f"Person {n}", f"p{n}@example.com")
        town.slack.world.channels[CHANNEL].members.add(human.id)
        await human.command("/jit", f"request vault/read-only 30m -- INC-{n} stuck", CHANNEL)
    await until(lambda: len(cards(town, CHANNEL)) == ROOM, "a card for each")
    id_ = await asked(town)
    other = await card_in(town, OTHER, id_)
    await town.slack.sees(CHANNEL, lambda m: "1 more request is waiting for approval here" in m.said())
    queue = town.app.announcer.router.summary_cards.queue
    assert (await queue.deferred(CHANNEL), await queue.deferred(OTHER)) == ([id_], [])
    await town.sam.click(other, "approve")
    first = await card_in(town, CHANNEL, id_)
    assert "*Orders: read-only* (<#C0ORDERS1>): approved" in first.said()
    assert not any("waiting for approval here" in m.said() for m in town.slack.messages(OTHER))
