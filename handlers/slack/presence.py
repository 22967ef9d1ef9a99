"""Who is active in Slack, and whose notifications are off: asked for with a limit, and remembered for a minute.

What is not answered is unknown. It is shown to people and decides nothing. Few calls a minute leave Slack's limits to
the look-ups that decide.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from slack_sdk.web.async_client import AsyncWebClient

from bot import tasks
from handlers.slack.api import NotNow, SlackRefused, Unanswered, answered
from handlers.views.reach import SlackPresence

log = logging.getLogger(__name__)
T = TypeVar("T")

MOST = 20
"""People who are looked up at a time."""
PATIENCE = 1.0
"""Seconds that all the answers together may take."""
FRESH = 60.0
_AT_A_TIME = 5
_KEPT = 5_000
_MINUTE = 60.0
PRESENCE_CALLS, DND_CALLS, PEOPLE_CALLS = 40, 15, 40
"""Calls a minute, of the 50, 20 and 100 that Slack allows at least: what decides has the rest of the last."""


@dataclass
class Answers(Generic[T]):
    """The answers of one method by account, and how often it was called lately."""

    calls: int
    _kept: dict[str, tuple[T, float]] = field(default_factory=dict)
    _called: deque[float] = field(default_factory=deque)
    _not_before: float = 0.0

    def fresh(self, user: str) -> T | None:
        """What was answered within the last minute."""
        kept = self._kept.get(user)
        return kept[0] if kept and time.monotonic() - kept[1] < FRESH else None

    def keep(self, found: Mapping[str, T]) -> None:
        """Remember the answers."""
        if len(self._kept) + len(found) > _KEPT:
            self._kept.clear()
        now = time.monotonic()
        self._kept.update({user: (value, now) for user, value in found.items()})

    def may_call(self) -> bool:
        """Whether there is a call left in this minute; it counts as made."""
        now = time.monotonic()
        while self._called and now - self._called[0] >= _MINUTE:
            self._called.popleft()
        if now < self._not_before or len(self._called) >= self.calls:
            return False
        self._called.append(now)
        return True

    def rest(self, seconds: float) -> None:
        """Not again before so many seconds."""
        self._not_before = time.monotonic() + seconds


@dataclass
class Presences:
    """What Slack says of people. ``team``: on an organisation-wide install, whose people it is asked about."""

    client: AsyncWebClient
    team: Callable[[], str | None] = lambda: None

    def __post_init__(self) -> None:
        """Nothing is asked yet."""
        self._active = Answers[bool](PRESENCE_CALLS)
        self._quiet = Answers[Mapping[str, Any]](DND_CALLS)
        self._people = Answers[None](PEOPLE_CALLS)
        self._few = asyncio.Semaphore(_AT_A_TIME)

    async def of(self, users: Iterable[str], now: float, patience: float = PATIENCE) -> dict[str, SlackPresence]:
        """Each person's; unknown where no answer came in time, and for all but the first `MOST`. It raises nothing."""
        wanted = list(dict.fromkeys(users))
        asked = wanted[:MOST]
        calls = [self._ask_presence(user) for user in asked if self._active.fresh(user) is None]
        if unknown := [user for user in asked if self._quiet.fresh(user) is None]:
            calls.append(self._ask_dnd(unknown))
        running = [asyncio.create_task(call, name="who can be reached") for call in calls]
        try:
            if running:
                await asyncio.wait(running, timeout=patience)
        finally:
            await tasks.end(running)
        return {
            user: SlackPresence(self._active.fresh(user), muted_until(self._quiet.fresh(user), now)) for user in wanted
        }

    def may_look(self) -> bool:
        """Whether one more account may be looked up for this; it counts as done."""
        return self._people.may_call()

    async def _ask_presence(self, user: str) -> None:
        async with self._few:
            told = await _told(self._active, lambda: self.client.users_getPresence(user=user))
        if told and told.get("presence") in {"active", "away"}:
            self._active.keep({user: told["presence"] == "active"})

    async def _ask_dnd(self, users: Sequence[str]) -> None:
        told = await _told(self._quiet, lambda: self.client.dnd_teamInfo(users=list(users), team_id=self.team()))
        each = told.get("users") if told else None
        if isinstance(each, dict):
            self._quiet.keep({user: each[user] for user in users if isinstance(each.get(user), dict)})


async def _told(method: Answers[Any], call: Callable[[], Awaitable[Any]]) -> Mapping[str, Any] | None:
    """The answer; None where there is none, and where it is not asked for."""
    if not method.may_call():
        return None
    try:
        answer = await answered(call())
    except NotNow as error:
        method.rest(error.after)
        log.info("who can be reached is not known: %s", error)
    except (SlackRefused, Unanswered) as error:
        log.info("who can be reached is not known: %s", error)
    else:
        return answer.data if isinstance(answer.data, dict) else None
    return None


def muted_until(told: Mapping[str, Any] | None, now: float) -> float | None:
    """Until when notifications are off: by hand, or by the person's schedule."""
    if told is None or not isinstance(told.get("dnd_enabled"), bool):
        return None
    start, end, paused = (_time(told, name) for name in ("next_dnd_start_ts", "next_dnd_end_ts", "snooze_endtime"))
    by_schedule = end if told["dnd_enabled"] and start <= now < end else 0.0
    by_hand = 0.0
    if told.get("snooze_enabled") is True:
        by_hand = math.inf if told.get("snooze_is_indefinite") is True else paused
    return max(by_schedule, by_hand if by_hand > now else 0.0)


def _time(told: Mapping[str, Any], name: str) -> float:
    value = told.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
