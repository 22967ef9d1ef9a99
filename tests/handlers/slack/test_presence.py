"""Who is active and whose notifications are off: what Slack does not tell is unknown, and it is asked little."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import LocalSlack
from handlers.slack import presence
from handlers.slack.presence import Presences
from handlers.views.reach import SlackPresence

NOW = 1_800_000_000.0
PEOPLE = [f"U{n:03}" for n in range(60)]


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack(clock=lambda: NOW) as slack:
        slack.limits.on = False
        for user in PEOPLE:
            slack.add_person(user, user)
        yield slack


@pytest.fixture
async def presences(slack: LocalSlack) -> AsyncIterator[Presences]:
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, session=session, retry_handlers=[])
        yield Presences(client)


def calls(slack: LocalSlack, method: str) -> int:
    return sum(call.method == method for call in slack.calls)


async def test_what_slack_says_is_known_and_remembered_for_a_minute(
    slack: LocalSlack, presences: Presences, monkeypatch: pytest.MonkeyPatch
) -> None:
    slack.away = {"U001"}
    slack.do_not_disturb = {"U002": (NOW - 60, NOW + 600), "U003": (NOW + 60, NOW + 600)}
    slack.snoozed = {"U002": NOW + 900}
    found = await presences.of(PEOPLE[:4], NOW)
    assert found == {
        "U000": SlackPresence(active=True, muted_until=0.0),
        "U001": SlackPresence(active=False, muted_until=0.0),
        "U002": SlackPresence(active=True, muted_until=NOW + 900),
        "U003": SlackPresence(active=True, muted_until=0.0),
    }
    assert [found[user].reachable for user in PEOPLE[:4]] == [True, False, False, True]
    slack.away = set()
    assert (await presences.of(PEOPLE[:4], NOW + 100))["U003"].muted_until == NOW + 600
    assert (calls(slack, "users.getPresence"), calls(slack, "dnd.teamInfo")) == (4, 1)
    steady = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: steady() + presence.FRESH)
    assert (await presences.of(["U001"], NOW))["U001"].active is True


async def test_at_most_twenty_are_looked_up_the_others_are_unknown(slack: LocalSlack, presences: Presences) -> None:
    found = await presences.of(PEOPLE, NOW)
    assert [user for user in PEOPLE if found[user] != SlackPresence()] == PEOPLE[:20]
    assert calls(slack, "users.getPresence") == 20


async def test_so_many_calls_a_minute_and_no_more(slack: LocalSlack, presences: Presences) -> None:
    for n in range(0, 60, 20):
        await presences.of(PEOPLE[n : n + 20], NOW)
    assert calls(slack, "users.getPresence") == presence.PRESENCE_CALLS
    assert (await presences.of(PEOPLE[59:], NOW))["U059"].active is None
    for n in range(20):
        await presences.of([f"UNOBODY{n}"], NOW)
    assert calls(slack, "dnd.teamInfo") == presence.DND_CALLS


async def test_slacks_limit_is_kept(slack: LocalSlack, presences: Presences) -> None:
    slack.faults.add("users.getPresence", "ratelimited", retry_after=60)
    assert (await presences.of(["U000"], NOW))["U000"] == SlackPresence(None, 0.0)
    await presences.of(["U000", "U001"], NOW)
    assert calls(slack, "users.getPresence") == 1


async def test_what_does_not_come_in_time_is_unknown_and_the_rest_is_known(
    slack: LocalSlack, presences: Presences
) -> None:
    slack.faults.add("dnd.teamInfo", "hang", None)
    began = time.monotonic()
    assert (await presences.of(["U000"], NOW, 0.2))["U000"] == SlackPresence(active=True, muted_until=None)
    assert time.monotonic() - began < 5
    slack.faults.clear()


@pytest.mark.parametrize("how", ["error_500", "drop_before", "refuse"])
async def test_trouble_is_unknown(slack: LocalSlack, presences: Presences, how: Any) -> None:
    for method in ("users.getPresence", "dnd.teamInfo"):
        slack.faults.add(method, how, None, code="user_not_visible")
    assert await presences.of(["U000"], NOW) == {"U000": SlackPresence()}


@pytest.mark.parametrize(
    ("told", "until"),
    [
        ({}, None),
        ({"dnd_enabled": "yes"}, None),
        ({"dnd_enabled": True, "next_dnd_start_ts": 1, "next_dnd_end_ts": 1}, 0.0),
        ({"dnd_enabled": False, "next_dnd_start_ts": NOW - 1, "next_dnd_end_ts": NOW + 1}, 0.0),
        ({"dnd_enabled": True, "next_dnd_start_ts": NOW - 1, "next_dnd_end_ts": NOW + 1}, NOW + 1),
        ({"dnd_enabled": True, "next_dnd_start_ts": "a", "next_dnd_end_ts": None}, 0.0),
        ({"dnd_enabled": False, "snooze_enabled": True, "snooze_endtime": NOW - 1}, 0.0),
        ({"dnd_enabled": False, "snooze_enabled": True, "snooze_is_indefinite": True}, math.inf),
    ],
)
def test_the_forms_of_an_answer(told: dict[str, Any], until: float | None) -> None:
    assert presence.muted_until(told, NOW) == until
