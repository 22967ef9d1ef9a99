"""Messages appear in the channel as in Slack, and refusals have Slack's codes."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import LocalSlack
from tests.playground.conftest import CHANNEL, Clock, Json, actions, button, client_of, refused, section


async def test_a_post_an_update_and_a_deletion(client: AsyncWebClient, slack: LocalSlack) -> None:
    posted = await client.chat_postMessage(channel=CHANNEL, text="one", blocks=[section("one")])
    assert posted["message"]["bot_id"] == slack.bot_id
    seen = await slack.sees(CHANNEL, lambda m: m.text == "one")
    await client.chat_update(channel=CHANNEL, ts=posted["ts"], text="two")
    now = await slack.sees(CHANNEL, lambda m: m.text == "two")
    assert (now.ts, now.edits, now.blocks) == (posted["ts"], 1, [])
    assert (seen.text, seen.edits) == ("one", 0)
    await client.chat_delete(channel=CHANNEL, ts=posted["ts"])
    assert slack.messages(CHANNEL) == []
    assert [body["text"] for kind, body in slack.payloads if kind == "message"] == ["one", "two"]


async def test_missing_ids_are_generated(client: AsyncWebClient, slack: LocalSlack) -> None:
    pressed = {key: value for key, value in button().items() if key != "action_id"}
    await client.chat_postMessage(channel=CHANNEL, text="x", blocks=[{"type": "actions", "elements": [pressed]}])
    (block,) = slack.messages(CHANNEL)[0].blocks
    assert block["block_id"]
    assert block["elements"][0]["action_id"]


@pytest.mark.parametrize("text", ["1", "true", "False", "0"])
async def test_a_text_stays_a_text_however_it_is_sent(client: AsyncWebClient, slack: LocalSlack, text: str) -> None:
    await client.api_call("chat.postMessage", params={"channel": CHANNEL, "text": text})
    await client.api_call("chat.postMessage", data={"channel": CHANNEL, "text": text})
    await client.api_call("chat.postMessage", json={"channel": CHANNEL, "text": text})
    assert [m.text for m in slack.messages(CHANNEL)] == [text] * 3


@pytest.mark.parametrize(
    ("changes", "said", "error"),
    [
        ({}, {"channel": "C0NOWHERE", "text": "x"}, "channel_not_found"),
        ({}, {"channel": CHANNEL}, "no_text"),
        ({}, {"channel": CHANNEL, "text": ""}, "no_text"),
        ({"bot_inside": False}, {"channel": CHANNEL, "text": "x"}, "not_in_channel"),
        ({"archived": True}, {"channel": CHANNEL, "text": "x"}, "is_archived"),
        ({"private": True, "bot_inside": False}, {"channel": CHANNEL, "text": "x"}, "channel_not_found"),
        ({}, {"channel": CHANNEL, "text": "x", "metadata": {"event_type": "a"}}, "invalid_metadata_format"),
        (
            {},
            {"channel": CHANNEL, "text": "x", "metadata": {"event_type": "a", "event_payload": []}},
            "invalid_metadata_schema",
        ),
        ({}, {"text": "x"}, "invalid_arguments"),
    ],
)
async def test_a_post_that_is_refused_leaves_nothing(
    client: AsyncWebClient, slack: LocalSlack, changes: Json, said: Json, error: str
) -> None:
    for name, value in changes.items():
        setattr(slack.world.channels[CHANNEL], name, value)
    answer = await refused(client.api_call("chat.postMessage", json=said))
    assert answer["error"] == error
    assert slack.world.messages == []
    assert slack.payloads == []
    assert slack.calls[-1].answer == error


async def test_a_user_id_means_the_dm(client: AsyncWebClient, slack: LocalSlack) -> None:
    opened = await client.conversations_open(users="UMIA")
    posted = await client.chat_postMessage(channel="UMIA", text="psst")
    assert posted["channel"] == opened["channel"]["id"]
    assert [m.text for m in slack.person("UMIA").dms] == ["psst"]
    assert slack.person("UDAN").dms == []


async def test_a_reply_to_a_reply_joins_the_thread(client: AsyncWebClient, slack: LocalSlack) -> None:
    first = (await client.chat_postMessage(channel=CHANNEL, text="first"))["ts"]
    reply = (await client.chat_postMessage(channel=CHANNEL, text="reply", thread_ts=first))["ts"]
    await client.chat_postMessage(channel=CHANNEL, text="to the reply", thread_ts=reply)
    assert [m.text for m in slack.messages(CHANNEL)] == ["first"]
    assert [m.text for m in slack.messages(CHANNEL, first)] == ["reply", "to the reply"]


async def test_a_reply_to_a_deleted_message_is_posted_outside_a_thread(
    client: AsyncWebClient, slack: LocalSlack
) -> None:
    first = (await client.chat_postMessage(channel=CHANNEL, text="first"))["ts"]
    await client.chat_delete(channel=CHANNEL, ts=first)
    answer = await client.chat_postMessage(channel=CHANNEL, text="reply", thread_ts=first)
    assert "thread_ts" not in answer["message"]
    assert [m.text for m in slack.messages(CHANNEL)] == ["reply"]


async def test_an_ephemeral_message_has_one_reader_and_cannot_be_changed(
    client: AsyncWebClient, slack: LocalSlack
) -> None:
    ts = (await client.chat_postEphemeral(channel=CHANNEL, user="UMIA", text="psst"))["message_ts"]
    assert [m.text for m in slack.person("UMIA").ephemerals] == ["psst"]
    assert slack.messages(CHANNEL) == slack.person("UDAN").ephemerals == []
    for call in (client.chat_update(channel=CHANNEL, ts=ts, text="x"), client.chat_delete(channel=CHANNEL, ts=ts)):
        assert (await refused(call))["error"] == "message_not_found"
    reply = client.chat_postMessage(channel=CHANNEL, text="x", thread_ts=ts)
    assert (await refused(reply))["error"] == "cannot_reply_to_message"
    outside = client.chat_postEphemeral(channel=CHANNEL, user="UZOE", text="psst")
    assert (await refused(outside))["error"] == "user_not_in_channel"


async def test_the_app_changes_only_its_own_messages(client: AsyncWebClient, slack: LocalSlack) -> None:
    ts = (await slack.person("UMIA").says("mine", CHANNEL)).ts
    update = client.chat_update(channel=CHANNEL, ts=ts, text="yours")
    assert (await refused(update))["error"] == "cant_update_message"
    assert (await refused(client.chat_delete(channel=CHANNEL, ts=ts)))["error"] == "cant_delete_message"
    assert [m.text for m in slack.messages(CHANNEL)] == ["mine"]


@pytest.mark.parametrize(
    ("age", "archived", "error"), [(59, False, None), (61, False, "edit_window_closed"), (0, True, "is_inactive")]
)
async def test_an_update_can_come_too_late(
    client: AsyncWebClient, slack: LocalSlack, clock: Clock, age: float, archived: bool, error: str | None
) -> None:
    slack.edit_window = 60
    ts = (await client.chat_postMessage(channel=CHANNEL, text="x"))["ts"]
    clock.now += age
    slack.world.channels[CHANNEL].archived = archived
    call = client.chat_update(channel=CHANNEL, ts=ts, text="y")
    if error:
        assert (await refused(call))["error"] == error
    else:
        await call


async def test_an_update_of_an_unknown_message_is_refused(client: AsyncWebClient) -> None:
    ts = (await client.chat_postMessage(channel=CHANNEL, text="x"))["ts"]
    said = {"channel": CHANNEL, "ts": ts, "text": ""}
    assert (await refused(client.api_call("chat.update", json=said)))["error"] == "no_text"
    other = client.chat_update(channel=CHANNEL, ts="1.000000", text="y")
    assert (await refused(other))["error"] == "message_not_found"


async def test_a_permalink(client: AsyncWebClient) -> None:
    ts = (await client.chat_postMessage(channel=CHANNEL, text="x"))["ts"]
    link = (await client.chat_getPermalink(channel=CHANNEL, message_ts=ts))["permalink"]
    assert link.endswith(f"/archives/{CHANNEL}/p{ts.replace('.', '')}")
    gone = client.chat_getPermalink(channel=CHANNEL, message_ts="1.000000")
    assert (await refused(gone))["error"] == "message_not_found"


async def test_no_two_messages_have_one_timestamp(client: AsyncWebClient, slack: LocalSlack) -> None:
    for number in range(20):
        await client.chat_postMessage(channel=CHANNEL, text=str(number))
    assert len({m.ts for m in slack.messages(CHANNEL)}) == 20


# response_url


@pytest.fixture
def url(slack: LocalSlack) -> str:
    """What a command in the channel came with."""
    return str(slack.person("UMIA").command_payload("/jit", "", CHANNEL)["response_url"])


async def answered(session: aiohttp.ClientSession, url: str, body: Any) -> tuple[int, str]:
    async with session.post(url, json=body) as answer:
        return answer.status, await answer.text()


async def test_only_the_person_sees_an_answer_unless_it_is_in_channel(
    session: aiohttp.ClientSession, slack: LocalSlack, url: str
) -> None:
    slack.world.channels[CHANNEL].bot_inside = False
    await answered(session, url, {"text": "psst"})
    await answered(session, url, {"text": "all", "response_type": "in_channel"})
    assert [m.text for m in slack.person("UMIA").ephemerals] == ["psst"]
    assert [m.text for m in slack.messages(CHANNEL)] == ["all"]


async def test_a_response_url_works_five_times(session: aiohttp.ClientSession, slack: LocalSlack, url: str) -> None:
    statuses = [(await answered(session, url, {"text": str(n)}))[0] for n in range(6)]
    assert statuses == [200] * 5 + [404]
    assert len(slack.person("UMIA").ephemerals) == 5


@pytest.mark.parametrize(("age", "status"), [(1800, 200), (1801, 404)])
async def test_a_response_url_works_for_half_an_hour(
    session: aiohttp.ClientSession, clock: Clock, url: str, age: float, status: int
) -> None:
    clock.now += age
    assert (await answered(session, url, {"text": "x"}))[0] == status


@pytest.mark.parametrize(
    ("body", "error"),
    [([], "invalid_payload"), ({}, "no_text"), ({"text": "x", "blocks": [section("")]}, "invalid_blocks")],
)
async def test_a_malformed_answer_is_refused(session: aiohttp.ClientSession, url: str, body: Any, error: str) -> None:
    status, text = await answered(session, url, body)
    assert status == 400
    assert error in text
    assert (await answered(session, f"{url}x", {"text": "x"}))[0] == 404


async def test_the_clicked_message_can_be_replaced_and_deleted(
    client: AsyncWebClient, session: aiohttp.ClientSession, slack: LocalSlack
) -> None:
    await client.chat_postMessage(channel=CHANNEL, text="card", blocks=[actions(button())])
    card = slack.messages(CHANNEL)[0]
    url = slack.person("UMIA").click_payload(card, card.buttons()["go"])["response_url"]
    await answered(session, url, {"text": "done", "replace_original": True})
    assert [(m.ts, m.text, m.blocks) for m in slack.messages(CHANNEL)] == [(card.ts, "done", [])]
    await answered(session, url, {"delete_original": True})
    assert slack.messages(CHANNEL) == []


async def test_an_answer_needs_no_token(session: aiohttp.ClientSession, slack: LocalSlack, url: str) -> None:
    assert (await answered(session, url, {"text": "x"}))[0] == 200
    anonymous = client_of(slack, session, "")
    assert (await refused(anonymous.chat_postMessage(channel=CHANNEL, text="x")))["error"] == "not_authed"
