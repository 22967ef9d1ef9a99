"""The local Slack limits its callers as Slack does, and fails in the ways that a test chooses."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import LocalSlack
from bot.playground.faults import How
from tests.playground.conftest import CHANNEL, Clock, client_of, refused


async def limited(call: Any) -> int | None:
    """How long Slack says to wait; None if the call went through."""
    try:
        await call
    except SlackApiError as error:
        if error.response.status_code != 429 or error.response["error"] != "ratelimited":
            raise
        return int(error.response.headers["Retry-After"])
    return None


async def until_limited(client: AsyncWebClient, method: str, most: int, **said: str) -> tuple[int, int]:
    """How many calls went through, and how long the next is to wait."""
    for count in range(most):
        if (wait := await limited(client.api_call(method, data=said))) is not None:
            return count, wait
    raise AssertionError(f"{method} was never limited")


async def test_a_channel_accepts_a_message_a_second_after_a_small_burst(
    client: AsyncWebClient, slack: LocalSlack, clock: Clock
) -> None:
    slack.limits.on = True
    slack.add_channel("C0OTHER", "other")
    passed, wait = await until_limited(client, "chat.postMessage", 20, channel=CHANNEL, text="x")
    assert (passed, wait) == (5, 1)
    await client.chat_postMessage(channel="C0OTHER", text="x")
    clock.now += wait
    await client.chat_postMessage(channel=CHANNEL, text="x")
    assert (await refused(client.chat_postMessage(channel=CHANNEL, text="x")))["error"] == "ratelimited"
    assert len(slack.messages(CHANNEL)) == 6


@pytest.mark.parametrize(
    ("method", "a_minute"), [("usergroups.list", 20), ("users.lookupByEmail", 50), ("users.info", 100)]
)
async def test_a_tier_limits_the_calls_per_minute(
    client: AsyncWebClient, slack: LocalSlack, clock: Clock, method: str, a_minute: int
) -> None:
    slack.limits.on = True
    said = {"email": "mia@example.com", "user": "UMIA"}
    await until_limited(client, method, a_minute, **said)
    passed = 0
    for _ in range(60):
        clock.now += 1
        passed += await limited(client.api_call(method, data=said)) is None
    assert passed == pytest.approx(min(a_minute, 60), abs=2)


@pytest.mark.parametrize("method", ["usergroups.list", "users.lookupByEmail", "users.info", "chat.postMessage"])
async def test_a_caller_that_obeys_retry_after_gets_through(
    client: AsyncWebClient, slack: LocalSlack, clock: Clock, method: str
) -> None:
    slack.limits.on = True
    said = {"email": "mia@example.com", "user": "UMIA", "channel": CHANNEL, "text": "x"}
    _, wait = await until_limited(client, method, 100, **said)
    clock.now += wait
    assert (await client.api_call(method, data=said))["ok"]


async def test_limits_can_be_scaled_and_switched_off(client: AsyncWebClient, slack: LocalSlack, clock: Clock) -> None:
    slack.limits.on, slack.limits.scale = True, 100.0
    for _ in range(20):
        clock.now += 0.01
        await client.chat_postMessage(channel=CHANNEL, text="x")
    slack.limits.on = False
    for _ in range(20):
        await client.chat_postMessage(channel=CHANNEL, text="x")


async def test_a_fault_affects_a_number_of_calls_of_its_method(client: AsyncWebClient, slack: LocalSlack) -> None:
    slack.faults.add("chat.postMessage", "ratelimited", times=2, retry_after=7)
    for _ in range(2):
        with pytest.raises(SlackApiError) as caught:
            await client.chat_postMessage(channel=CHANNEL, text="x")
        assert caught.value.response.headers["Retry-After"] == "7"
    await client.auth_test()
    await client.chat_postMessage(channel=CHANNEL, text="x")
    assert [call.answer for call in slack.calls] == ["ratelimited", "ratelimited", "ok", "ok"]


async def test_a_fault_can_last_until_it_is_cleared(client: AsyncWebClient, slack: LocalSlack) -> None:
    slack.faults.add("*", "refuse", times=None, code="fatal_error")
    for _ in range(3):
        assert (await refused(client.auth_test()))["error"] == "fatal_error"
    slack.faults.clear()
    assert (await client.auth_test())["ok"]


@pytest.mark.parametrize(
    ("how", "posted"), [("drop_before", 0), ("drop_after", 1), ("error_500", 0), ("error_500_after", 1)]
)
async def test_the_outcome_of_a_call_can_stay_unknown(
    client: AsyncWebClient, slack: LocalSlack, how: How, posted: int
) -> None:
    slack.faults.add("chat.postMessage", how)
    with pytest.raises((aiohttp.ClientError, SlackApiError)):
        await client.chat_postMessage(channel=CHANNEL, text="x")
    assert len(slack.messages(CHANNEL)) == posted
    call = await slack.was_called("chat.postMessage")
    assert (call.answer, call.args["text"]) == ("ok" if posted else how, "x")


async def test_a_call_can_hang_until_the_faults_are_cleared(client: AsyncWebClient, slack: LocalSlack) -> None:
    slack.faults.add("auth.test", "hang")
    hanging = asyncio.create_task(client.auth_test())
    await slack.was_called("auth.test", lambda call: call.answer == "hang")
    assert not hanging.done()
    slack.faults.clear()
    with pytest.raises(aiohttp.ClientError):
        await hanging


async def test_stopping_releases_what_hangs(session: aiohttp.ClientSession) -> None:
    async with LocalSlack() as slack:
        slack.faults.add("auth.test", "hang")
        hanging = asyncio.create_task(client_of(slack, session).auth_test())
        await slack.was_called("auth.test")
    with pytest.raises(aiohttp.ClientError):
        await asyncio.wait_for(hanging, 30)


async def test_a_wait_that_times_out_lists_the_last_messages(client: AsyncWebClient, slack: LocalSlack) -> None:
    await client.chat_postMessage(channel=CHANNEL, text="something else")
    with pytest.raises(TimeoutError, match="something else"):
        await slack.sees(CHANNEL, lambda m: m.text == "this", patience=0.01)
