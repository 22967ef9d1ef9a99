"""Very many people ask in one channel at once, and Slack takes one message a second there: none is lost.

`python -m tests.chaos.flood --requests 1000 --scale 20 --seed 7`: Slack's limits are so many times wider than Slack's,
so that it does not take an hour. It prints how soon each was acknowledged, and what is wrong at the end. It is seeded:
who cancels and who is approved follows from the seed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from bot.core.request import State
from bot.playground import LocalSlack, Message, Reply
from bot.store.indexes.card_queue import CardQueue
from bot.store.keyring import KeyRing
from bot.store.store import Store
from tests.bench.acknowledging import environment
from tests.bench.starting import ready
from tests.servers import RedisServer, free_port, program, redis_server

CHANNEL = "C0VAULT01"
ACK = 3.0
"""Seconds in which Slack wants an answer."""
WAITS = 5
"""How often Slack says so at least."""
_LOOK = 0.5
"""Seconds between two looks of the one who approves."""
_AGAIN = ("press again", "try again in a few seconds", "Storage isn't responding")
_PAUSE = 1.0, 5.0
"""Seconds until somebody who was told to press again does so."""
_PATIENCE = 300.0
_TELLS = 5.0
"""Seconds between two lines that say how far it is."""
_SAID = {State.PENDING: "waiting for approval", State.ACTIVE: "active until", State.CANCELLED: "cancelled"}
_HELD = re.compile(r"(\d+) more requests? (?:is|are) waiting for approval")
_ID = re.compile(r"J-[2-9A-Z]{4,8}")


@dataclass
class Flood:
    """The workspace, a process that answers and one that works, and what came of each request."""

    slack: LocalSlack
    store: Store
    dice: random.Random
    acks: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    wanted: dict[str, State] = field(default_factory=dict)
    again: int = 0
    unanswered: int = 0
    held: frozenset[str] = frozenset()

    async def all(self, count: int) -> None:
        """Everybody asks at once; then a third takes it back, and a third is approved."""
        asking = asyncio.gather(*(self._one(n) for n in range(count)))
        approved: set[str] = set()
        while True:
            asked = asking.done()
            left = {id_ for id_, state in self.wanted.items() if state is State.ACTIVE} - approved
            if asked and not left:
                break
            cards = self.cards()
            for id_ in left & cards.keys():
                await self._approved(id_, cards[id_][0])
                approved.add(id_)
            approved |= await self._from_the_list(left - cards.keys())
            await asyncio.sleep(_LOOK)
        await asking

    async def progress(self, over: asyncio.Event) -> None:
        """How far it is, on stderr."""
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), _TELLS)
            states = Counter(state.value for state in (await self._states(list(self.wanted))).values())
            left = await self.store.redis.zcard(self.store.keys.outbox)
            print(f"asked {len(self.wanted)}: {dict(states)}; {left} left to tell", file=sys.stderr, flush=True)

    def cards(self) -> dict[str, list[Message]]:
        """The cards in the channel by request."""
        found: dict[str, list[Message]] = {}
        for message in self.slack.messages(CHANNEL):
            if message.blocks and (id_ := _ID.search(message.said())):
                found.setdefault(id_[0], []).append(message)
        return found

    async def _one(self, n: int) -> None:
        name = f"U{n:06d}"
        self.slack.add_person(name, f"Person {n}", f"p{n}@example.com")
        self.slack.world.channels[CHANNEL].members.add(name)
        found = _ID.search(await self._asked(name))
        if found is None:
            return
        id_ = found[0]
        self.wanted[id_] = self.dice.choice([State.PENDING, State.CANCELLED, State.ACTIVE])
        if self.wanted[id_] is State.CANCELLED:
            await self._insist(lambda: self.slack.person(name).command("/jit", f"cancel {id_}", CHANNEL))

    async def _approved(self, id_: str, card: Message) -> None:
        """Dan presses until it holds; what a click came to is in the record when it is acknowledged."""
        while (await self._states([id_]))[id_] is State.PENDING:
            self.acks.append((await self.slack.person("UDAN").click(card, "approve")).seconds)

    async def _from_the_list(self, wanted: set[str]) -> set[str]:
        """Those without a card are approved from the list that the summary offers, page by page."""
        dan, summary = self.slack.person("UDAN"), self.summary()
        if not wanted or summary is None or "waiting" not in summary.buttons():
            return set()
        self.acks.append((await dan.click(summary, "waiting")).seconds)
        done: set[str] = set()
        while (view := dan.view) is not None:
            here = next((id_ for id_ in wanted - done if f"({id_})" in view.said()), None)
            if here is not None:
                # Each press shows the page anew, with others in it.
                self.acks.append((await dan.click(view, "approve", value=here)).seconds)
                if (await self._states([here]))[here] is not State.PENDING:
                    done.add(here)
            elif "waiting_after" in view.buttons():
                self.acks.append((await dan.click(view, "waiting_after")).seconds)
            else:
                break
        return done

    def summary(self) -> Message | None:
        """The last summary of those who have no card."""
        found = [message for message in self.slack.messages(CHANNEL) if "crowd" in str(message.metadata)]
        return found[-1] if found else None

    async def _asked(self, name: str) -> str:
        """What the person is told in the end."""
        line = "request debug 30m -- INC-1 the vault is stuck"
        reply = await self._insist(lambda: self.slack.person(name).command("/jit", line, CHANNEL))
        # Whose first answer was lost is told that it was asked for already.
        if not any(word in reply.text for word in ("You requested", "You have already requested this")):
            self.refused[reply.text[:80] or f"status {reply.status}"] += 1
        return reply.text

    async def _insist(self, verb: Callable[[], Awaitable[Reply]]) -> Reply:
        """As a person does: who is told to press again presses again."""
        while True:
            reply = await verb()
            self.acks.append(reply.seconds)
            self.unanswered += reply.status == 0
            if reply.status != 0 and not any(word in reply.text for word in _AGAIN):
                return reply
            self.again += 1
            await asyncio.sleep(self.dice.uniform(*_PAUSE))

    async def told(self) -> None:
        """Wait until nothing is left to tell, and what was approved is open."""
        try:
            async with asyncio.timeout(_PATIENCE):
                while not await self._settled():  # noqa: ASYNC110  # other processes change it
                    await asyncio.sleep(0.1)
        except TimeoutError:
            sys.exit(f"not settled after {_PATIENCE:.0f} s:\n{await self._unsettled()}")

    async def _settled(self) -> bool:
        """Nothing is left to tell but the cards of those for which there is no room, and the summary counts them."""
        self.held = frozenset(await CardQueue(self.store).deferred(CHANNEL))
        left = await self.store.redis.zcard(self.store.keys.outbox)
        return left == len(self.held) and await self._states(list(self.wanted)) == self.wanted

    async def _unsettled(self) -> str:
        """What is not as it should be in the end."""
        states = await self._states(list(self.wanted))
        lines = [f"{id_} is {states.get(id_)}, not {to}" for id_, to in self.wanted.items() if states.get(id_) != to]
        rows: Any = await self.store.redis.zrange(self.store.keys.outbox, 0, -1, withscores=True)
        now, cards = await self.store.now(), {f"{id_}|card".encode() for id_ in self.held}
        lines += [f"{name.decode()} is to be told in {at - now:.1f} s" for name, at in rows if name not in cards]
        return "\n".join(lines)

    async def _states(self, ids: Sequence[str]) -> dict[str, State]:
        return {found.request.id: found.request.state for found in await self.store.load_many(ids)}

    def wrong(self) -> list[str]:
        """What the channel shows that is not so, or does not show."""
        cards = {id_: [message.said() for message in messages] for id_, messages in self.cards().items()}
        summary = self.summary()
        told = _HELD.search(summary.said()) if summary else None
        flaws = [
            f"{id_} has {len(cards.get(id_, []))} cards, {state.value}: {cards.get(id_)}"
            for id_, state in self.wanted.items()
            if id_ not in self.held and (len(cards.get(id_, [])) != 1 or _SAID[state] not in cards[id_][0])
        ]
        flaws += [f"{id_} has a card and is held" for id_ in self.held & cards.keys()]
        flaws += [f"{id_} is held, {self.wanted[id_]}" for id_ in self.held if self.wanted[id_] is not State.PENDING]
        if (int(told[1]) if told else 0) != len(self.held):
            flaws.append(f"{len(self.held)} have no card, and the summary says {summary and summary.said()}")
        return flaws


@contextlib.asynccontextmanager
async def bot(slack: LocalSlack, redis: RedisServer, home: Path, keys: str) -> AsyncIterator[None]:
    """A process that answers, and one that works and posts."""
    ports = {role: (free_port(), free_port()) for role in ("web", "worker")}
    processes = []
    for role, (port, ops) in ports.items():
        env = {**environment(slack, redis, home, port, ops), "JIT_KEYS": keys, "JIT_HOME": str(home)}
        processes.append(program("bot", "run", "--role", role, log=home / role, **env))
    try:
        for _, ops in ports.values():
            await ready(f"http://127.0.0.1:{ops}/readyz")
        slack.deliver_to(f"http://127.0.0.1:{ports['web'][0]}/slack/events")
        yield
    finally:
        for process in processes:
            process.terminate()
            process.wait()


async def run(count: int, scale: float, seed: int, patience: float) -> dict[str, Any]:
    """One flood; what came of it. ``patience``: seconds after which an answer that did not come counts as none."""
    ring = KeyRing.generate()
    async with LocalSlack() as slack:
        slack.limits.scale, slack.delivery.ack_seconds = scale, patience
        slack.add_person("UDAN", "Dan", "dan@example.com")
        slack.add_usergroup("S0DBA0001", "dba", ["UDAN"])
        slack.add_channel(CHANNEL, "vault", ["UDAN"])
        slack.add_channel("C0AUDIT01", "audit")
        with redis_server() as redis, tempfile.TemporaryDirectory() as home:
            async with Redis.from_url(redis.socket_url) as client, bot(slack, redis, Path(home), ring.spelled()):
                flood = Flood(slack, Store(client, slack.team, ring), random.Random(seed))
                # However slow the machine is, and the bot with it: it is told to wait.
                slack.faults.add("chat.postMessage", "ratelimited", times=WAITS)
                began = time.monotonic()
                over = asyncio.Event()
                telling = asyncio.create_task(flood.progress(over))
                try:
                    await flood.all(count)
                    await flood.told()
                finally:
                    over.set()
                    await telling
                took = time.monotonic() - began
                dead = await client.llen(flood.store.keys.dead)
    acks = sorted(flood.acks)
    return {
        "requests": count,
        "committed": len(flood.wanted),
        "told to press again": flood.again,
        "not answered": flood.unanswered,
        "refused": dict(flood.refused),
        "acknowledged after, p50 / p99 / last, s": [round(acks[len(acks) * p // 100], 2) for p in (50, 99)]
        + [acks[-1]],
        f"later than {ACK:.0f} s": sum(seconds > ACK for seconds in acks),
        "states": Counter(state.value for state in flood.wanted.values()),
        "told to wait by Slack": sum(call.answer == "ratelimited" for call in slack.calls),
        "all told after, s": round(took, 1),
        "without a card of their own": len(flood.held),
        "given up": dead,
        "wrong": flood.wrong(),
    }


def main() -> None:
    """One flood, from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--scale", type=float, default=20)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--patience", type=float, default=60, help="seconds for which an acknowledgement is waited for")
    options = parser.parse_args()
    found = asyncio.run(run(options.requests, options.scale, options.seed, options.patience))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
