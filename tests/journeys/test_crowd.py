"""Very many wait in one channel: twenty have a card, one summary tells of the rest, and in the end each had its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.core.request import State
from bot.playground import LocalSlack, Message, View
from bot.store.indexes.card_queue import ROOM
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Town, running, settings_for
from tests.journeys.test_announcing import calls, told, until
from tests.journeys.test_everyday import types
from tests.servers import RedisServer

SUMMARY = re.compile(r"(\d+) more requests? (?:is|are) waiting for approval here")


async def crowd(town: Town, count: int, start: int = 0) -> list[str]:
    """So many ask; their ids, in the order of asking."""
    town.slack.limits.scale = 100
    ids = []
    for n in range(start, start + count):
        human = town.slack.add_person(f"U{n:06d}", f"Person {n}", f"p{n}@example.com")
        town.slack.world.channels[CHANNEL].members.add(human.id)
        reply = await human.command("/jit", f"request debug 30m -- INC-{n} the vault is stuck", CHANNEL)
        ids.append(re.findall(r"J-\w+", reply.text)[0])
    return ids


def notice(message: Message) -> Mapping[str, str]:
    """Which notice a message is."""
    assert message.metadata is not None
    found: Mapping[str, str] = message.metadata["event_payload"]
    return found


def cards(slack: LocalSlack) -> dict[str, Message]:
    """The cards in the channel by request."""
    found = [message for message in slack.messages(CHANNEL) if notice(message)["audience"] == "card"]
    by_id = {notice(message)["request"]: message for message in found}
    assert len(by_id) == len(found), "nobody has two"
    return by_id


def summaries(slack: LocalSlack) -> list[Message]:
    """Every summary that was ever posted there, as it is now."""
    return [message for message in slack.messages(CHANNEL) if notice(message)["audience"] == "crowd"]


async def counts(town: Town, held: int) -> Message:
    """The last summary, once so many wait by it."""

    def says() -> Message | None:
        last = [m for m in summaries(town.slack) if (found := SUMMARY.search(m.said())) and int(found[1]) == held]
        return last[-1] if last else None

    found: Message = await until(says, f"a summary of {held}", patience=30)
    return found


async def told_but_held(town: Town, held: list[str]) -> None:
    """Wait until all is told but the cards of those that are held."""

    async def only_held() -> bool:
        rows: Any = await town.app.store.redis.zrange(town.app.store.keys.outbox, 0, -1)
        return {row.decode() for row in rows} == {f"{id_}|card" for id_ in held}

    await until(only_held, "nothing to be left but what is held", patience=30)


async def carded(town: Town, wanted: Callable[[Mapping[str, Message]], bool]) -> Mapping[str, Message]:
    """The cards, once they are as wanted."""
    await until(lambda: wanted(cards(town.slack)), "the cards", patience=60)
    return cards(town.slack)


async def test_of_forty_twenty_have_a_card_and_each_gets_its_own_in_the_end(town: Town) -> None:
    ids = await crowd(town, 40)
    summary = await counts(town, 20)
    assert set(await carded(town, lambda c: len(c) == ROOM)) == set(ids[:ROOM])
    assert "<!date^" in summary.said()

    # Those that wait can be decided from the summary, by whom they wait for, and by nobody else.
    await town.kim.click(summary, "waiting")
    await town.kim.sees_view("waiting", lambda v: "is yours to approve" in v.said() and not v.buttons())
    await town.dan.click(summary, "waiting")
    waiting = await town.dan.sees_view("waiting", lambda v: v.said().count(" requests *") == 20)
    assert all(id_ in waiting.said() for id_ in ids[ROOM:])
    await town.dan.click(waiting, "approve", value=ids[30])
    waiting = await town.dan.sees_view("waiting", partial(_without, ids[30]))
    await carded(town, lambda c: ids[30] in c and "active until" in c[ids[30]].said())
    await town.dan.click(waiting, "deny", value=ids[31])
    form = await town.dan.sees_view("deny", lambda v: ids[31] in v.said())
    assert (await town.dan.submit(form, {"reason": "not tonight"})).errors == {}
    await town.dan.sees_view("waiting", lambda v: _without(ids[31], v) and ids[32] in v.said())
    await carded(town, lambda c: ids[31] in c and "denied: not tonight" in c[ids[31]].said())
    await town.slack.person("U000031").sees_dm(lambda m: "not tonight" in m.said())
    await counts(town, 18)

    # As room becomes free, who has waited longest is next.
    for id_ in ids[:5]:
        await town.dan.click(cards(town.slack)[id_], "approve")
    await carded(town, lambda c: set(ids[: ROOM + 5]) <= set(c))
    await counts(town, 13)
    for id_ in ids[5:20]:
        await town.dan.click(cards(town.slack)[id_], "approve")
    everyone = await carded(town, lambda c: set(c) == set(ids))
    await until(
        lambda: "now has its own card" in summaries(town.slack)[0].said(),
        "the summary to say that it is over",
        patience=30,
    )
    await told(town.app)
    assert len(summaries(town.slack)) == 1
    assert summaries(town.slack)[0].buttons() == {}
    assert all("Approve" in everyone[id_].said() for id_ in ids[20:30] + ids[32:])


async def test_whoever_decides_gets_to_each_of_those_that_wait_without_deciding_the_others(town: Town) -> None:
    ids = await crowd(town, 2 * ROOM + 5)
    await town.dan.click(await counts(town, ROOM + 5), "waiting")
    first = await town.dan.sees_view("waiting", lambda v: f"1 to {ROOM} of {ROOM + 5}" in v.said())
    assert ids[-1] not in first.said()
    assert "waiting_before" not in first.buttons()
    await town.dan.click(first, "waiting_after")
    second = await town.dan.sees_view("waiting", lambda v: f"{ROOM + 1} to {ROOM + 5} of" in v.said())
    assert all(id_ in second.said() for id_ in ids[-5:])

    # What is decided there leaves one where one is.
    await town.dan.click(second, "deny", value=ids[-1])
    form = await town.dan.sees_view("deny", lambda v: ids[-1] in v.said())
    assert (await town.dan.submit(form, {"reason": "not tonight"})).errors == {}
    second = await town.dan.sees_view("waiting", lambda v: f"{ROOM + 1} to {ROOM + 4} of" in v.said())
    await town.dan.click(second, "approve", value=ids[-2])
    second = await town.dan.sees_view("waiting", lambda v: f"{ROOM + 1} to {ROOM + 3} of" in v.said())
    await town.dan.click(second, "waiting_before")
    await town.dan.sees_view("waiting", lambda v: ids[ROOM] in v.said() and ids[-3] not in v.said())

    # Once a page is empty, it is the last that is not.
    await town.dan.click(second, "waiting_after")
    second = await town.dan.sees_view("waiting", lambda v: ids[-3] in v.said())
    for id_ in ids[-5:-2]:
        await town.dan.click(second, "approve", value=id_)
        second = await town.dan.sees_view("waiting", partial(_without, id_))
    await town.dan.sees_view(
        "waiting", lambda v: ids[ROOM] in v.said() and not {"waiting_before", "waiting_after"} & v.buttons().keys()
    )


def _without(id_: str, view: View) -> bool:
    """Whether it is not listed any more; what came of it is said above the list."""
    return f"for 30 min ({id_})" not in view.said()


async def test_who_asks_about_one_without_a_card_gives_it_one_and_reads_so_above_the_list(town: Town) -> None:
    ids = await crowd(town, ROOM + 2)
    await town.dan.click(await counts(town, 2), "waiting")
    listed = await town.dan.sees_view("waiting", lambda v: ids[-1] in v.said())
    await town.dan.click(listed, "question", value=ids[-1])
    form = await town.dan.sees_view("question", lambda v: ids[-1] in v.said())
    assert (await town.dan.submit(form, {"reason": "Which table?"})).errors == {}
    await town.dan.sees_view("waiting", lambda v: "gets your question about" in v.said())
    shown = await carded(town, lambda c: ids[-1] in c and "asked: Which table?" in c[ids[-1]].said())
    who = f"<@U{ROOM + 1:06d}>"
    await town.slack.sees(CHANNEL, lambda m: f"Dan asks {who}: Which table?" in m.text, thread=shown[ids[-1]].ts)


async def test_nobody_has_to_scroll_where_few_wait(town: Town) -> None:
    ids = await crowd(town, ROOM)
    await carded(town, lambda c: set(c) == set(ids))
    await told(town.app)
    assert summaries(town.slack) == []


async def test_who_takes_it_back_or_reminds_needs_no_room(town: Town) -> None:
    ids = await crowd(town, ROOM + 4)
    await counts(town, 4)
    assert "You cancelled" in await types(town.slack.person("U000021"), f"cancel {ids[21]}")
    there = await carded(town, lambda c: ids[21] in c and "cancelled" in c[ids[21]].said())
    assert ids[22] not in there
    assert "You reminded the approvers" in await types(town.slack.person("U000023"), f"remind {ids[23]}")
    there = await carded(town, lambda c: ids[23] in c)
    await town.slack.sees(CHANNEL, lambda m: "Reminder: " in m.text, thread=there[ids[23]].ts)
    await counts(town, 2)


@pytest.mark.parametrize("cut", ["stopped", "held cards only"])
async def test_what_is_held_survives_a_restart(slack: LocalSlack, redis: RedisServer, tmp_path: Path, cut: str) -> None:
    settings = settings_for(slack, redis, "http", tmp_path)
    async with running(settings) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        ids = await crowd(Town(slack, app), ROOM + 3)
        await counts(Town(slack, app), 3)
        if cut != "stopped":
            # As if it had died before it asked for the summary, which somebody deleted besides.
            slack.world.messages.remove(summaries(slack)[0])
            await app.store.redis.delete(app.store.keys.posts(CHANNEL))
    async with running(settings) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        town = Town(slack, app)
        await town.dan.click(cards(slack)[ids[0]], "approve")
        if cut != "stopped":
            # Nothing calls them but their own time, which comes within a minute.
            await app.store.redis.zadd(app.store.keys.outbox, {f"{id_}|card": 0 for id_ in ids[ROOM:]}, xx=True)
        await carded(town, lambda c: ids[ROOM] in c)
        await counts(town, 2)


async def test_the_clock_s_reminder_of_what_has_no_card_is_the_summary(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> None:
    policy = POLICY.replace("break_glass: off}", "break_glass: off}\n  remind: 20s\n  pending: 1h", 1)
    async with running(settings_for(slack, redis, "http", tmp_path, policy)) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        town = Town(slack, app)
        ids = await crowd(town, ROOM + 2)

        async def reminded() -> bool:
            found = [(await app.context.find_by_id(id_)).request for id_ in ids]
            return all(request.remind_at == 0 for request in found)

        await until(reminded, "all of them to be reminded of", patience=60)

        await told_but_held(town, ids[ROOM:])
        assert set(cards(slack)) == set(ids[:ROOM])
        lines = [call for call in calls(slack, "chat.postMessage", CHANNEL) if call.args.get("thread_ts")]
        assert len(lines) == ROOM


async def test_what_escalates_without_a_card_has_one_as_soon_as_there_is_room_and_says_so_beneath_it(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> None:
    steps = "approval: {steps: [{any_of: [dba], escalate: {after: 20s, to: [platform]}}]}"
    policy = POLICY.replace("        sensitivity: low", f"        {steps}\n        sensitivity: low")
    async with running(settings_for(slack, redis, "http", tmp_path, policy)) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        town = Town(slack, app)
        ids = await crowd(town, ROOM + 1)

        async def escalated() -> bool:
            found = [(await app.context.find_by_id(id_)).request for id_ in ids]
            return all(each.escalated_at for request in found for each in request.escalations)

        await until(escalated, "all of them to escalate", patience=60)
        await until(lambda: len(_lines(slack)) == ROOM, "a line beneath each card", patience=60)
        assert set(cards(slack)) == set(ids[:ROOM])
        await town.pat.click(cards(slack)[ids[0]], "approve")
        card = (await carded(town, lambda c: ids[ROOM] in c))[ids[ROOM]]
        await slack.sees(CHANNEL, lambda m: "Escalated:" in m.text, thread=card.ts)
        assert len(_lines(slack)) == ROOM + 1


def _lines(slack: LocalSlack) -> list[Message]:
    """What was said of escalations, beneath any card."""
    threads = [slack.messages(CHANNEL, thread=card.ts) for card in cards(slack).values()]
    return [message for thread in threads for message in thread if "Escalated:" in message.text]


async def test_nobody_keeps_a_place_who_does_not_wait(town: Town) -> None:
    line = town.app.store.keys.waiting(CHANNEL)
    await town.app.store.redis.zadd(
        line, {f"J-22{n:02d}".replace("0", "Z").replace("1", "Y"): n for n in range(20, 40)}
    )
    [id_] = await crowd(town, 1)
    await carded(town, lambda c: id_ in c)
    assert (await town.app.context.find_by_id(id_)).request.state is State.PENDING
    assert await town.app.store.redis.zcard(line) == 1


async def test_who_gets_a_message_gets_it_card_or_not_and_the_link_once_there_is_a_card(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> None:
    policy = POLICY.replace(
        "        sensitivity: low", "        notify: {mention: none, dm: all}\n        sensitivity: low"
    )
    async with running(settings_for(slack, redis, "http", tmp_path, policy)) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        town = Town(slack, app)
        ids = await crowd(town, ROOM + 1)
        await counts(town, 1)
        letter = await town.dan.sees_dm(lambda m: ids[ROOM] in m.said(), patience=60)
        assert "archives" not in letter.said()
        await town.dan.click(cards(slack)[ids[0]], "approve")
        await carded(town, lambda c: ids[ROOM] in c)
        await town.dan.sees_dm(lambda m: m.ts == letter.ts and "archives" in m.said(), patience=60)
        await told(app)
        assert sum(ids[ROOM] in m.said() for m in town.dan.dms) == 1


async def test_whose_turn_came_before_the_last_summary_gets_a_card_at_once(town: Town) -> None:
    ids = await crowd(town, ROOM + 1)
    await counts(town, 1)
    await told_but_held(town, ids[ROOM:])
    # A decision is committed, and the summary is told before the card that was decided.
    await town.app.store.redis.zrem(town.app.store.keys.waiting(CHANNEL), ids[0])
    await town.app.announcer.router.summary_cards.queue.request_summary(CHANNEL)
    await carded(town, lambda c: ids[ROOM] in c)


async def test_in_a_channel_that_cannot_be_used_nothing_is_held(town: Town) -> None:
    town.slack.world.channels[CHANNEL].bot_inside = False
    ids = await crowd(town, ROOM + 3)
    await told(town.app)
    dead = await town.app.announcer.outbox.dead()
    assert {f"{id_}|card" for id_ in ids} == {"|".join(line.split("|")[:2]) for line in dead}
