"""What people are told in a storm: a local Slack that fails, the processes that post there, and what came of it.

It counts at the end: each notice that an event asks for has its message, and a second copy is one of which Slack's
answer never came, or came to a process that could not note it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.core.events import Event
from bot.core.lifecycle import advance, begin
from bot.core.notifications import is_news, notices
from bot.playground import LocalSlack, Message
from bot.playground.faults import How
from handlers.views.message import Needed
from handlers.views.thread import line
from tests.bench.starting import ready
from tests.chaos.weather import RING
from tests.house import House
from tests.servers import free_port, program

CHANNEL, AUDIT = "C0VAULT01", "C0AUDIT01"
TELLERS = 2
_METHODS = ("chat.postMessage", "chat.postMessage", "chat.postMessage", "chat.update", "conversations.open")
_HOWS: tuple[How, ...] = ("ratelimited", "error_500", "error_500_after", "drop_before", "drop_after", "hang")
_LETS_GO = 2.0
"""Seconds after which calls that got no answer are let go: their connections break."""
_SURELY = 2
"""How often each kind of it happens to a post, however slow the machine is; after that, as the dice fall."""

Notice = tuple[str, str]
"""A request and an audience of it."""


@dataclass
class Telling:
    """The local Slack, one process that hears what it shows, and those that post. ``policy``: the policy file."""

    slack: LocalSlack
    directory: Path
    redis: str
    policy: str
    dice: random.Random
    done: Counter[str] = field(default_factory=Counter)
    hurt: list[float] = field(default_factory=list)
    """When some process was killed or stopped, or Redis was, by Slack's clock."""

    def __post_init__(self) -> None:
        """Set the scene; nothing runs before `start`."""
        self.slack.limits.on = False
        self.slack.add_usergroup("S0DBA0001", "dba", ["UDAN"])
        self.slack.add_person("UDAN", "Dan", "dan@example.com")
        self.slack.add_channel(CHANNEL, "vault")
        self.slack.add_channel(AUDIT, "audit")
        (self.directory / "jit.yaml").write_text(self.policy)
        self.tellers: list[subprocess.Popen[bytes]] = []
        self.hearing: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def over(
        cls, directory: Path, redis: str, policy: str, dice: random.Random, team: str
    ) -> AsyncIterator[Telling]:
        """All of it, running."""
        async with LocalSlack(team=team) as slack:
            telling = cls(slack, directory, redis, policy, dice)
            try:
                await telling.start()
                yield telling
            finally:
                telling.end()

    async def told_by_somebody(self, place: House) -> None:
        """Wait until one of them is the one that posts."""
        async with asyncio.timeout(60):
            while not await place.store.redis.exists(place.store.keys.poster):  # noqa: ASYNC110  # processes change it
                await asyncio.sleep(0.1)

    async def start(self) -> None:
        """Start them, and wait until it is heard what Slack shows."""
        port, ops = free_port(), free_port()
        more = {"HOST": "127.0.0.1", "PORT": str(port), "JIT_OPS_PORT": str(ops)}
        self.hearing = program("bot", "run", "--role", "web", log=self.directory / "web.log", **self._told(), **more)
        await ready(f"http://127.0.0.1:{ops}/readyz")
        self.slack.deliver_to(f"http://127.0.0.1:{port}/slack/events")
        self.tellers = [self._teller() for _ in range(TELLERS)]

    def _teller(self) -> subprocess.Popen[bytes]:
        log = self.directory / "tellers.log"
        return program("tests.chaos.teller", log=log, **self._told(), JIT_OPS_PORT="0")

    def _told(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SLACK_", "JIT_", "REDIS_"))},
            "SLACK_BOT_TOKEN": self.slack.bot_token,
            "SLACK_SIGNING_SECRET": self.slack.signing_secret,
            "SLACK_API_URL": self.slack.api_url,
            "REDIS_URL": self.redis,
            "JIT_KEYS": RING.spelled(),
            "JIT_POLICY": str(self.directory / "jit.yaml"),
            "JIT_HOME": str(self.directory),
        }

    def somebody(self, name: str) -> None:
        """Somebody who will be told."""
        self.slack.add_person(f"U{name.upper()}", name.title(), f"{name}@example.com")

    # what goes wrong

    @contextlib.asynccontextmanager
    async def blowing(self) -> AsyncIterator[None]:
        """Have calls of Slack's go wrong, again and again."""
        calm = asyncio.Event()
        blowing = asyncio.create_task(self._blow(calm))
        try:
            yield
        finally:
            calm.set()
            await blowing
            self.slack.faults.clear()

    async def _blow(self, calm: asyncio.Event) -> None:
        for how in _HOWS:
            self.slack.faults.add("chat.postMessage", how, _SURELY)
        letting_go = asyncio.get_running_loop().time()
        while not calm.is_set():
            await asyncio.sleep(self.dice.uniform(0.05, 0.3))
            self.slack.faults.add(self.dice.choice(_METHODS), self.dice.choice(_HOWS))
            if (now := asyncio.get_running_loop().time()) - letting_go > _LETS_GO:
                letting_go = now
                self.slack.faults.released.set()

    def met(self) -> dict[str, int]:
        """What went wrong with calls of Slack's, and how often."""
        answers: Counter[str] = Counter(call.answer for call in self.slack.calls if call.answer in _HOWS)
        return {**answers, "answers that never came": len(self.slack.faults.lost)}

    def kill_a_teller(self) -> None:
        """SIGKILL; another is started."""
        n = self.dice.randrange(TELLERS)
        self.tellers[n].send_signal(signal.SIGKILL)
        self.tellers[n].wait()
        self.tellers[n] = self._teller()
        self.done["tellers killed"] += 1
        self.hurt.append(self.slack.clock())

    def tend(self) -> None:
        """Start again those that ended by themselves: a host does."""
        for n, teller in enumerate(self.tellers):
            if teller.poll() is not None:
                self.tellers[n] = self._teller()

    def end(self) -> None:
        """Let go of everything."""
        for process in [*self.tellers, *([self.hearing] if self.hearing else [])]:
            process.kill()
            process.wait()

    # what came of it

    def stand(self) -> dict[Notice, list[Message]]:
        """The messages that stand in Slack, by what they tell."""
        found: dict[Notice, list[Message]] = {}
        for message in self.slack.world.messages:
            if message.metadata and message.metadata["event_type"] == "jit_notice":
                told = message.metadata["event_payload"]
                found.setdefault((told["request"], told["audience"]), []).append(message)
        return found

    def lost(self, events: dict[str, list[tuple[int, Event]]]) -> list[str]:
        """The notices that nobody was given. ``events``: each request's, with their numbers."""
        stand = self.stand()
        wanted = [notice for id_, its in events.items() for notice in _wanted(id_, its)]
        return [f"no message: {id_} {audience}" for id_, audience in wanted if (id_, audience) not in stand]

    def copies(self) -> tuple[int, int, list[str]]:
        """How many second copies were posted; how many of them stand; and those that nothing accounts for."""
        posted: dict[Notice, list[float]] = {}
        for call in self.slack.calls:
            if call.method == "chat.postMessage" and call.answer == "ok":
                posted.setdefault(_of(call.args), []).append(call.at)
        unanswered = {_of(args) for args in self.slack.faults.lost if "metadata" in args}
        odd = [
            f"posted {len(times)} times: {' '.join(notice)}"
            for notice, times in posted.items()
            if len(times) > 1 and notice not in unanswered and not self._hurt_between(times)
        ]
        again = sum(len(times) - 1 for times in posted.values())
        return again, sum(len(messages) - 1 for messages in self.stand().values()), odd

    def _hurt_between(self, times: Sequence[float]) -> bool:
        # The first answer may have been on its way when it happened.
        return any(times[0] - 1.0 <= at <= times[-1] for at in self.hurt)


def _wanted(id_: str, events: Sequence[tuple[int, Event]]) -> list[Notice]:
    """What is to be told of a request: one message a projection, and one a line."""
    request, found = None, dict[Notice, None]()
    for seq, event in events:
        request = advance(request, event) if request else begin(event)  # type: ignore[arg-type]  # the first one
        for audience in notices(request, event):
            if audience == "thread:#" and not line(request, event, Needed()):
                continue
            found[id_, audience.replace("#", str(seq))] = None
    # What is no news any more is told to nobody who was not told in time.
    return [(id_, audience) for id_, audience in found if request and is_news(request, audience)]


def _of(args: dict[str, Any]) -> Notice:
    told = args["metadata"]["event_payload"]
    return told["request"], told["audience"]
