"""Whatever Slack does with a call: no notice is lost, none stays twice, and the card shows what is recorded."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from bot.app import App
from bot.playground import Call, LocalSlack, Message
from bot.playground.faults import How
from bot.settings import Settings
from bot.store.audit_stream import AuditStream
from bot.store.encoding import text
from bot.store.outbox import PostedMessage
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Mode, Town, running, settings_for
from tests.servers import RedisServer, redis_server

AUDIT = "C0AUDIT01"
NOTICES = "chat.postMessage"


@contextlib.asynccontextmanager
async def towns(slack: LocalSlack, settings: Settings, *, unknown_for: float = 1.0) -> AsyncIterator[Town]:
    """The bot in its town; it waits only a little for a message of which it does not know."""
    slack.limits.on = False
    async with running(settings) as app:
        if settings.slack_app_token is None:
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        app.announcer.poster.unknown_for = unknown_for
        yield Town(slack, app)


@pytest.fixture
async def town(slack: LocalSlack, redis: RedisServer, tmp_path: Path) -> AsyncIterator[Town]:
    """Over HTTP: how Slack is answered makes no difference to what is posted."""
    async with towns(slack, settings_for(slack, redis, "http", tmp_path)) as town:
        yield town


async def until(condition: Callable[[], Any], what: str, patience: float = 30.0) -> Any:
    """Wait for a condition of the store, or of Slack."""
    async with asyncio.timeout(patience):
        while True:
            found = condition()
            if found := (await found if asyncio.iscoroutine(found) else found):
                return found
            await asyncio.sleep(0.02)
    raise AssertionError(what)


async def told(app: App) -> None:
    """Wait until there is nothing left to tell."""

    async def nothing() -> bool:
        return await app.announcer.outbox.waiting() == 0

    await until(nothing, "an empty outbox")


def cards(slack: LocalSlack, channel: str = CHANNEL) -> list[Message]:
    """The messages in the channel itself."""
    return slack.messages(channel)


def lines(slack: LocalSlack, card: Message) -> list[str]:
    """The first two words of the lines in a card's thread."""
    return [" ".join(message.text.split()[:2]) for message in slack.messages(CHANNEL, card.ts)]


def calls(slack: LocalSlack, method: str, channel: str | None = None) -> list[Call]:
    """The calls of a method, in order."""
    return [call for call in slack.calls if call.method == method and channel in {None, call.args.get("channel")}]


async def ask(town: Town, who: str = "mia") -> str:
    """Ask for the vault, without waiting for a card; the id."""
    reply = await getattr(town, who).command("/jit", "request debug 30m -- INC-1 the vault is stuck", CHANNEL)
    assert "You requested" in reply.text, reply.text
    return str(reply.text.split(" (")[1][:6])


async def deny(town: Town, card: Message) -> None:
    """Dan denies it: one line in the thread, and one DM to the requester."""
    await town.dan.click(card, "deny")
    await town.dan.submit(await town.dan.sees_view("deny"), {"reason": "not tonight"})


def to_mia(slack: LocalSlack) -> list[Call]:
    """The posts to Mia, whatever became of each."""
    return calls(slack, NOTICES, slack.world.dm("UMIA").id)


async def dead(town: Town) -> str:
    """The dead-letter list."""
    return "\n".join(await town.app.announcer.outbox.dead())


# posting


async def test_a_wait_that_slack_asks_for_is_kept_and_each_notice_comes_once(town: Town) -> None:
    card = await town.asked()
    await told(town.app)
    town.slack.faults.add(NOTICES, "ratelimited", 2, retry_after=2)
    await deny(town, card)
    await town.mia.sees_dm(lambda m: "Dan denied" in m.said())
    await told(town.app)
    assert (lines(town.slack, card), len(town.mia.dms)) == (["Dan denied:"], 1)
    for channel in (CHANNEL, town.mia.dms[0].channel):
        refused, accepted = calls(town.slack, NOTICES, channel)[-2:]
        assert (refused.answer, accepted.answer) == ("ratelimited", "ok")
        assert accepted.at - refused.at >= 2


async def test_while_a_channel_rests_nothing_else_is_posted_there_and_then_all_in_order(town: Town) -> None:
    town.slack.faults.add(NOTICES, "ratelimited", retry_after=2)
    id_ = await ask(town)
    await town.slack.was_called(NOTICES, lambda c: c.args["channel"] == CHANNEL)
    assert "You cancelled" in (await town.mia.command("/jit", f"cancel {id_}", CHANNEL)).text
    card = await town.card(id_, "cancelled")
    await told(town.app)
    assert lines(town.slack, card) == ["Mia cancelled"]
    refused, *accepted = calls(town.slack, NOTICES, CHANNEL)
    assert [call.answer for call in accepted] == ["ok", "ok"]
    assert accepted[0].at - refused.at >= 2


@pytest.mark.parametrize("how", ["error_500", "drop_before", "hang"])
async def test_a_post_that_had_no_effect_is_made_in_the_end_and_once(town: Town, how: How) -> None:
    card = await town.asked()
    await told(town.app)
    town.slack.faults.add(NOTICES, how, 2)
    await deny(town, card)
    await until(lambda: len(calls(town.slack, NOTICES)) >= 3 or how == "hang", "both posts")
    if how == "hang":
        await until(lambda: not town.slack.faults.waiting, "both posts to hang")
        town.slack.faults.clear()
    await town.mia.sees_dm(lambda m: "Dan denied" in m.said())
    await told(town.app)
    assert (lines(town.slack, card), len(town.mia.dms)) == (["Dan denied:"], 1)
    assert await dead(town) == ""


@pytest.mark.parametrize("mode", ["http", "socket"])
async def test_a_post_whose_answer_was_lost_is_recognised_and_not_made_again(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode
) -> None:
    async with towns(slack, settings_for(slack, redis, mode, tmp_path), unknown_for=30) as town:
        slack.faults.add(NOTICES, "drop_after")
        card = await town.asked()
        await told(town.app)
        slack.faults.add(NOTICES, "drop_after", 2)
        await town.dan.click(card, "approve")
        await town.card(town.id_of(card), "active until")
        await town.mia.sees_dm(lambda m: "You have access until" in m.said())
        await told(town.app)
        assert len(cards(slack)) == 1
        assert lines(slack, card) == ["Dan approved", "Access granted."]
        assert len(town.mia.dms) == len(to_mia(slack)) == 1
        assert calls(slack, "chat.delete") == []


async def test_when_slack_never_shows_it_it_is_posted_again_and_a_copy_that_shows_up_is_removed(town: Town) -> None:
    town.slack.metadata_events = False
    town.slack.faults.add(NOTICES, "drop_after")
    id_ = await ask(town)
    await told(town.app)
    first, second = cards(town.slack)
    assert float(second.ts) - float(first.ts) >= 1
    town.slack.faults.add(NOTICES, "drop_after", 2)
    await deny(town, second)
    await told(town.app)
    assert (lines(town.slack, second), len(town.mia.dms)) == (["Dan denied:"] * 2, 2)
    town.slack.metadata_events = True
    for message in [*cards(town.slack), *town.slack.messages(CHANNEL, second.ts), *town.mia.dms]:
        town.slack.record_post(message)
    town.slack.delivery.send_events()
    await until(lambda: (len(cards(town.slack)), len(town.mia.dms)) == (1, 1), "the copies to be removed")
    await until(lambda: lines(town.slack, second) == ["Dan denied:"], "the copy of the line to be removed")
    assert [card.ts for card in cards(town.slack)] == [second.ts]
    assert id_ in town.mia.dms[0].said()


async def test_a_copy_is_removed_in_the_end_whatever_slack_says_to_that(town: Town) -> None:
    card = await town.asked()
    await told(town.app)
    town.slack.faults.add("chat.delete", "error_500")
    town.slack.faults.add("chat.delete", "ratelimited")
    copy = await town.app.client.chat_postMessage(channel=CHANNEL, text="a copy", metadata=card.metadata)
    await until(lambda: len(calls(town.slack, "chat.delete")) == 3, "three tries")
    await told(town.app)
    assert [message.ts for message in cards(town.slack)] == [card.ts]
    assert calls(town.slack, "chat.delete")[-1].args["ts"] == copy["ts"]


async def test_the_lines_of_a_thread_stand_in_the_order_of_what_happened(town: Town) -> None:
    card = await town.asked()
    await told(town.app)
    # The line of the approval and the DM fail or are unknown; the lines of the grant and the end come soon after.
    town.slack.faults.add(NOTICES, "drop_before", 2)
    await town.dan.click(card, "approve")
    await town.card(town.id_of(card), "active until")
    assert (await town.mia.command("/jit", "release", CHANNEL)).text.startswith("Thank you")
    await town.card(town.id_of(card), ":lock: ended")
    await told(town.app)
    assert lines(town.slack, card) == ["Dan approved", "Access granted.", "Mia ended", "Access removed,"]


async def test_slack_that_locks_the_app_out_for_a_while_makes_no_notice_lost(town: Town) -> None:
    card = await town.asked()
    await told(town.app)
    town.slack.faults.add(NOTICES, "refuse", 2, code="token_revoked")
    await deny(town, card)
    await until(lambda: len(calls(town.slack, NOTICES)) == 3, "both posts")

    async def waits() -> bool:
        return await town.app.announcer.outbox.waiting() == 2

    await until(waits, "the card's update")
    assert await dead(town) == ""


@pytest.mark.parametrize("how", ["ratelimited", "error_500", "drop_before"])
async def test_a_dm_that_cannot_be_opened_at_once_is_opened_later(town: Town, how: How) -> None:
    town.slack.faults.add("conversations.open", how)
    await deny(town, await town.asked())
    await town.mia.sees_dm(lambda m: "Dan denied" in m.said())
    assert await dead(town) == ""


@pytest.mark.parametrize("heard", ["by its answer", "by the event"])
async def test_what_slack_said_while_the_store_was_away_is_noted_when_it_is_back(
    slack: LocalSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heard: str
) -> None:
    with redis_server() as own:
        loop, record = asyncio.get_running_loop(), slack.record_post

        def stops_the_store(message: Message) -> None:
            own.process.send_signal(signal.SIGSTOP)
            loop.call_later(3, own.process.send_signal, signal.SIGCONT)
            record(message)

        async with towns(slack, settings_for(slack, own, "http", tmp_path), unknown_for=60) as town:
            card = await town.asked()
            await told(town.app)
            slack.metadata_events = heard == "by the event"
            if heard == "by the event":
                slack.faults.add(NOTICES, "drop_after")
            monkeypatch.setattr(slack, "record_post", stops_the_store)
            # One line is posted, and whoever knows where it stands cannot have it written down just now.
            assert "You cancelled" in (await town.mia.command("/jit", f"cancel {town.id_of(card)}", CHANNEL)).text
            await slack.was_called(NOTICES, lambda call: bool(call.args.get("thread_ts")))
            await told(town.app)
            assert lines(slack, card) == ["Mia cancelled"]
            assert len(calls(slack, NOTICES)) == 2


# updating


@pytest.mark.parametrize("how", ["ratelimited", "error_500", "drop_before", "drop_after"])
async def test_the_card_shows_the_record_in_the_end_whatever_becomes_of_an_update(town: Town, how: How) -> None:
    card = await town.asked()
    await told(town.app)
    town.slack.faults.add("chat.update", how, 2)
    await town.dan.click(card, "approve")
    await town.card(town.id_of(card), "active until", patience=6)
    await told(town.app)
    assert len(cards(town.slack)) == 1
    assert await dead(town) == ""


async def soon(find: Callable[[], Message | None], what: str) -> Message:
    """Within two seconds, of which a busy machine makes more: they are counted in turns of the loop, bot and all."""
    for _ in range(100):
        if found := find():
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"two seconds have passed without {what}")


async def test_the_card_shows_each_commit_within_two_seconds(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)

    def shown(words: str) -> Callable[[], Message | None]:
        return lambda: next((m for m in cards(town.slack) if id_ in m.said() and words in m.said()), None)

    def told(words: str) -> Callable[[], Message | None]:
        return lambda: next((m for m in town.mia.dms if words in m.said()), None)

    await town.dan.click(card, "approve")
    await soon(shown("active until"), "a card that says so")
    decided = await soon(told("You have access until"), "a message")
    await town.mia.click(decided, "release")
    await soon(shown(":lock: ended"), "a card that says so")
    await soon(told("has ended"), "a message")


async def test_a_card_that_somebody_deleted_is_posted_anew_and_its_thread_goes_on(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    await told(town.app)
    await town.dan.click(card, "approve")
    await town.card(id_, "active until")
    await told(town.app)
    town.slack.world.messages.remove(cards(town.slack)[0])
    assert (await town.mia.command("/jit", "release", CHANNEL)).text.startswith("Thank you")
    anew = await town.card(id_, ":lock: ended")
    await told(town.app)
    assert [message.ts for message in cards(town.slack)] == [anew.ts]
    assert anew.ts != card.ts
    assert lines(town.slack, anew) == ["Mia ended", "Access removed,"]
    assert await dead(town) == ""


async def test_a_card_that_cannot_be_posted_anew_at_once_keeps_its_lines_waiting(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    await told(town.app)
    town.slack.world.messages.remove(card)
    town.slack.faults.add(NOTICES, "ratelimited")
    assert "You cancelled" in (await town.mia.command("/jit", f"cancel {id_}", CHANNEL)).text
    anew = await town.card(id_, "cancelled")
    await told(town.app)
    assert lines(town.slack, anew) == ["Mia cancelled"]
    assert await dead(town) == ""


# channels that cannot be used


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        ({"archived": True}, "is archived"),
        ({"bot_inside": False}, "invite it"),
        ({"bot_inside": False, "private": True}, "channel_not_found"),
        ({"ext_shared": True}, "shared outside"),
        ({"pending_ext_shared": True}, "shared outside"),
    ],
)
async def test_without_its_channel_a_request_still_works_for_the_requester(
    town: Town, flaw: dict[str, bool], reason: str
) -> None:
    for name, value in flaw.items():
        setattr(town.slack.world.channels[CHANNEL], name, value)
    id_ = await ask(town)
    assert id_ in (await town.mia.command("/jit", "list", CHANNEL)).text
    assert "You cancelled" in (await town.mia.command("/jit", f"cancel {id_}", CHANNEL)).text
    await told(town.app)
    assert cards(town.slack) == town.mia.dms == []
    assert f"{id_}|card|" in await dead(town)
    assert reason in await dead(town)


async def test_a_channel_of_which_slack_does_not_tell_is_posted_in_only_once_it_did(town: Town) -> None:
    town.slack.world.channels[CHANNEL].ext_shared = True
    town.slack.faults.add("conversations.info", "error_500", 2)
    await ask(town)
    await told(town.app)
    assert calls(town.slack, NOTICES, CHANNEL) == []
    assert "shared outside" in await dead(town)


async def test_a_channel_that_was_mended_is_used_at_the_next_commit(town: Town) -> None:
    channel, town.app.announcer.channels.bad_for = town.slack.world.channels[CHANNEL], 0.0
    channel.bot_inside = False
    id_ = await ask(town)
    await told(town.app)
    channel.bot_inside = True
    assert "You cancelled" in (await town.mia.command("/jit", f"cancel {id_}", CHANNEL)).text
    await town.card(id_, "cancelled")


async def test_a_refusal_for_good_keeps_no_other_notice_from_being_given(town: Town) -> None:
    town.slack.faults.add(NOTICES, "refuse", code="restricted_action")
    id_ = await ask(town)
    await told(town.app)
    assert cards(town.slack) == []
    assert f"{id_}|card|Slack refuses it: restricted_action" in await dead(town)
    card = await town.asked("eve")
    await told(town.app)
    town.slack.faults.add(NOTICES, "refuse", 2, code="restricted_action")
    await deny(town, card)
    await told(town.app)
    assert f"{town.id_of(card)}|decided|Slack refuses it: restricted_action" in await dead(town)
    await deny(town, await town.asked("eve"))
    await town.eve.sees_dm(lambda m: "Dan denied" in m.said())


@pytest.mark.parametrize("trouble", ["archived", "refused"])
async def test_access_that_is_not_closed_is_told_in_the_audit_channel_when_its_own_cannot_be_used(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, trouble: str
) -> None:
    doors = tmp_path / "doors"
    doors.mkdir()
    policy = POLICY.replace("provider: sandbox", f"provider: sandbox\n    config: {{path: {doors}}}", 1)
    async with towns(slack, settings_for(slack, redis, "http", tmp_path, policy)) as town:
        card = await town.asked()
        await town.dan.click(card, "approve")
        await town.card(town.id_of(card), "active until")
        await told(town.app)
        (doors / "faults.json").write_text(json.dumps([{"verb": "revoke", "does": "unsure"}]))
        if trouble == "archived":
            slack.world.channels[CHANNEL].archived = True
            town.app.announcer.channels.good_for = 0.0
        await town.mia.command("/jit", "release", AUDIT)
        if trouble == "refused":
            await slack.sees(CHANNEL, lambda m: "ended access early" in m.text, thread=card.ts)
            slack.faults.add(NOTICES, "refuse", code="restricted_action")
        alarm = await slack.sees(AUDIT, lambda m: "Access not revoked yet" in m.said())
        assert town.id_of(card) in alarm.said()
        (doors / "faults.json").unlink()


# the noise budget


async def test_a_plain_request_is_one_message_its_thread_and_the_dms_that_matter(town: Town) -> None:
    card = await town.asked(line="request vault/read-only 5s -- to look at the vault")
    await town.dan.click(card, "approve")
    decided = await town.mia.sees_dm(lambda m: "You have access until" in m.said())
    await town.mia.click(decided, "reveal")
    await town.mia.sees_view("note", lambda v: "Password" in v.said())
    await town.card(town.id_of(card), ":lock: ended", patience=15)
    await town.mia.sees_dm(lambda m: "has ended" in m.said() and "Access expired" in m.said())
    await told(town.app)
    posts = [(call.args["channel"], bool(call.args.get("thread_ts"))) for call in calls(town.slack, NOTICES)]
    dm = town.mia.dms[0].channel
    assert Counter(posts) == {(CHANNEL, False): 1, (CHANNEL, True): 4, (dm, False): 2}
    assert lines(town.slack, card) == ["Dan approved", "Access granted.", "Access expired.", "Access removed,"]
    assert calls(town.slack, "chat.postEphemeral") == []


# what is no news any more rings nobody


async def opened(town: Town) -> str:
    """Mia's access to the vault, once the card shows it."""
    card = await town.asked()
    await told(town.app)
    await town.dan.click(card, "approve")
    await town.card(town.id_of(card), "active until")
    return town.id_of(card)


async def end_early(town: Town, id_: str) -> None:
    """Dan ends it."""
    await town.dan.click(await town.card(id_, "active until"), "revoke")
    await town.dan.submit(await town.dan.sees_view("revoke"), {"reason": "too risky now"})
    await town.card(id_, ":lock: ended")


async def test_what_could_not_be_told_before_it_was_over_is_told_as_over_and_once(town: Town) -> None:
    town.slack.faults.add("conversations.open", "error_500", None)
    id_ = await opened(town)
    await end_early(town, id_)
    town.slack.faults.clear()
    ended = await town.mia.sees_dm(lambda m: "has ended" in m.said() and "too risky now" in m.said())
    await told(town.app)
    assert [message.ts for message in town.mia.dms] == [ended.ts]


@pytest.mark.parametrize(("how", "stand"), [("drop_before", 1), ("drop_after", 2)])
async def test_a_dm_of_which_nobody_knows_whether_it_rang_rings_no_second_time_once_it_is_over(
    town: Town, how: How, stand: int
) -> None:
    town.slack.metadata_events = False
    town.app.announcer.poster.unknown_for = 3.0
    card = await town.asked()
    await told(town.app)
    # Not the lines of the thread, which come between: its channel has a lane of its own.
    town.slack.world.channels[CHANNEL].bot_inside = False
    town.app.announcer.channels.good_for = 0.0
    town.slack.faults.add(NOTICES, how)
    await town.dan.click(card, "approve")
    await until(lambda: len(to_mia(town.slack)) == 1, "the message that access is granted")
    assert (await town.dan.command("/jit", f"revoke {town.id_of(card)} too risky now", "C0GENERAL")).status == 200
    await town.mia.sees_dm(lambda m: "too risky now" in m.said())
    await told(town.app)
    assert (len(to_mia(town.slack)), len(town.mia.dms)) == (2, stand)


async def test_a_dm_that_somebody_deleted_is_not_posted_again_only_to_be_edited(town: Town) -> None:
    id_ = await opened(town)
    await told(town.app)
    town.slack.world.messages.remove(town.mia.dms[0])
    await end_early(town, id_)
    await told(town.app)
    assert ["too risky now" in message.said() for message in town.mia.dms] == [True]
    assert await dead(town) == ""


async def test_a_row_that_somebody_else_wrote_rings_nobody(town: Town) -> None:
    id_ = await ask(town)
    await told(town.app)
    store = town.app.store
    for audience in ("received", "decided", "granted", "ending", "ending@1", "ended"):
        await store.redis.hset(store.keys.rows, f"{id_}|{audience}", "0")
        await store.redis.zadd(store.keys.outbox, {f"{id_}|{audience}": 0})
    await told(town.app)
    assert to_mia(town.slack) == []
    assert await dead(town) == ""


async def test_a_process_that_is_started_again_rings_nobody_twice(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> None:
    settings = settings_for(slack, redis, "http", tmp_path)
    async with towns(slack, settings) as town:
        id_ = await opened(town)
        await told(town.app)
    async with towns(slack, settings) as town:
        await end_early(town, id_)
        await told(town.app)
    async with towns(slack, settings) as town:
        await told(town.app)
        assert len(to_mia(slack)) == len(town.mia.dms) == 2


# events that nobody should believe


async def posts(town: Town, id_: str) -> dict[str, PostedMessage]:
    """Where the notices of a request stand, as far as is known."""
    return await town.app.announcer.outbox.posts(id_)


HOSTILE: list[dict[str, Any]] = [
    {"bot_id": "B0OTHER01"},
    {"bot_id": None},
    {"metadata": None},
    {"metadata": []},
    {"metadata": {"event_type": "jit_notice"}},
    {"metadata": {"event_type": "jit_notice", "event_payload": "card"}},
    {"metadata": {"event_type": "jit_notice", "event_payload": {"request": ["J-2222"], "audience": "card"}}},
    {"metadata": {"event_type": "jit_notice", "event_payload": {"request": "J-2222", "audience": "card"}}},
    {"metadata": {"event_type": "jit_notice", "event_payload": {"request": "@ID@", "audience": "made up"}}},
    {"metadata": {"event_type": "jit_notice", "event_payload": {"request": "@ID@", "audience": "copy:C0 1.2"}}},
    {"metadata": {"event_type": "jit_notice", "event_payload": {"request": "@ID@"}}},
    {"metadata": {"event_type": "other", "event_payload": {"request": "@ID@", "audience": "card"}}},
    {"message_ts": None},
    {"channel_id": 7},
]


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
async def test_an_event_that_is_not_about_a_message_of_ours_removes_and_marks_nothing(town: Town, known: bool) -> None:
    town.slack.metadata_events = False
    if not known:
        town.app.announcer.poster.unknown_for = 60
        town.slack.faults.add(NOTICES, "drop_after")
    card = await town.asked()
    id_ = town.id_of(card)
    await until(lambda: len(calls(town.slack, NOTICES)) == 1, "the post")
    if known:
        await told(town.app)
    before, elsewhere = await posts(town, id_), await town.mia.says("nothing to see", CHANNEL)
    for lie in HOSTILE:
        event = {
            "type": "message_metadata_posted",
            "app_id": town.slack.app_id,
            "bot_id": town.slack.bot_id,
            "user_id": town.slack.bot_user_id,
            "team_id": town.slack.team,
            "channel_id": CHANNEL,
            "message_ts": elsewhere.ts,
            "metadata": {"event_type": "jit_notice", "event_payload": {"request": id_, "audience": "card"}},
        }
        told_lie = json.loads(json.dumps({**event, **lie}).replace("@ID@", id_))
        assert (await town.slack.delivery.event(told_lie)).status == 200, lie
    assert await posts(town, id_) == before
    assert bool(before["card"].ts) is known
    assert [message.ts for message in cards(town.slack)] == [card.ts, elsewhere.ts]
    assert calls(town.slack, "chat.delete") == []


# several processes


async def test_two_announcers_never_post_the_same_not_even_when_both_think_that_it_is_their_turn(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> None:
    settings = settings_for(slack, redis, "http", tmp_path)
    async with towns(slack, settings, unknown_for=30) as town, running(settings, "worker") as other:
        other.announcer.poster.unknown_for = 30
        reconciled = asyncio.Event()
        quarrel = asyncio.create_task(forgets_whose_turn_it_is(town.app, reconciled))
        asked = await asyncio.gather(*(town.asked(who) for who in ("mia", "sam", "kim", "pat")))
        await asyncio.gather(*(town.dan.click(card, "approve") for card in asked))
        for card in asked:
            await town.card(town.id_of(card), "active until")
        await asyncio.gather(*(getattr(town, who).command("/jit", "release", CHANNEL) for who in ("mia", "sam")))
        for card in asked[:2]:
            await town.card(town.id_of(card), ":lock: ended")
        # By a flag: the client of Redis may swallow a cancellation.
        reconciled.set()
        await quarrel
        await told(town.app)
        names = [json.dumps(call.args["metadata"], sort_keys=True) for call in calls(slack, NOTICES)]
        assert [name for name, count in Counter(names).items() if count > 1] == []
        assert len(cards(slack)) == 4
        assert calls(slack, "chat.delete") == []


async def forgets_whose_turn_it_is(app: App, reconciled: asyncio.Event) -> None:
    """Take the lease away from whoever holds it, again and again."""
    while not reconciled.is_set():
        await app.store.redis.delete(app.store.keys.poster)
        await asyncio.sleep(0.01)


async def test_an_announcer_that_is_told_to_stop_finishes_its_message_and_hands_over_at_once(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> None:
    settings = settings_for(slack, redis, "http", tmp_path)
    async with towns(slack, settings, unknown_for=30) as town:
        key = town.app.store.keys.poster

        async def whose() -> str:
            held = await town.app.store.redis.get(key)
            return text(held).split()[0] if held else ""

        await until(whose, "a turn")
        async with running(settings, "worker") as leaving:

            async def has_it() -> bool:
                await town.app.store.redis.delete(key)
                return await leaving.store.lease(key, leaving.announcer.leader.holder, 60)

            leaving.announcer.poster.unknown_for = 0.5
            # The one that leaves has the turn, and a message in hand.
            await until(has_it, "its turn")
            slack.faults.add(NOTICES, "hang", 1)
            id_ = await ask(town)
            await until(lambda: not slack.faults.waiting, "a message in hand")
            leaving.stopping.set()
            slack.faults.clear()
        assert await whose() in {"", town.app.announcer.leader.holder}
        town.app.announcer.poster.unknown_for = 0.5
        await town.card(id_)
        assert await until(whose, "a turn") == town.app.announcer.leader.holder


async def test_an_alarm_of_the_record_is_told_in_the_audit_channel_once(town: Town) -> None:
    window = AuditStream(town.app.store)
    assert await window.alarm("memory", "Redis is nearly full <!channel>")
    assert not await window.alarm("memory", "Redis is nearly full <!channel>")
    told = await town.slack.sees("C0AUDIT01", lambda m: "The audit log needs attention: Redis is nearly full" in m.text)
    assert "<!channel>" not in told.said()
    assert len(town.slack.messages("C0AUDIT01")) == 1
