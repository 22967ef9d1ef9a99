"""Holders on real servers of each version, one wave after another: each does a few things that could keep them in.

Verbs, store and worker are the bot's, and so are the providers; the doors are asked by those who want in.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Any

from bot.access.own_request import reveal
from bot.core.errors import JitError
from bot.core.request import State
from providers.systems.base import Secret
from tests.chaos.adversary.findings import Findings, Mutations
from tests.chaos.adversary.holder import Ability, Holder, Target
from tests.chaos.adversary.postgresql import Postgres
from tests.chaos.adversary.redis import RedisTarget
from tests.chaos.weather import LEASE, MARGIN
from tests.house import POLICY, House, catalog
from tests.servers import postgres_majors, postgres_server, redis_binary, redis_server, valkey_binary

LATE = 5.0
TEAM = "T0HOLDERS"
_EACH = 2
"""Holders of each kind of login and role on each server, in one wave."""
_OPEN = 14
"""Seconds for which access is open: what the abilities take, and a little."""
_MOST = 4
_READY = 30.0
_REDIS = ("--enable-protected-configs", "yes")
"""An administrator may change where a snapshot is written to."""
_SETTINGS = ("max_prepared_transactions=20", "max_connections=200")


@dataclass
class Holders:
    """The servers, the bot's parts, and what was found."""

    seed: int
    findings: Findings
    targets: Sequence[Target]
    house: House
    done: Counter[str] = field(default_factory=Counter)
    abilities: dict[str, Counter[str]] = field(default_factory=dict)
    worst: float = 0.0
    late: list[str] = field(default_factory=list)
    deck: list[tuple[str, str]] = field(default_factory=list)
    """The abilities that were not had yet, by target."""

    @classmethod
    @contextlib.asynccontextmanager
    async def on_servers(cls, seed: int, findings: Findings) -> AsyncIterator[Holders]:
        """All of it, running."""
        async with AsyncExitStack() as stack:
            store = stack.enter_context(redis_server())
            targets: list[Target] = []
            for major in postgres_majors():
                server = stack.enter_context(postgres_server(*_SETTINGS, major=major))
                targets.append(Postgres(server, major))
            for name, title, binary in (("redis7", "Redis", redis_binary()), ("valkey9", "Valkey", valkey_binary())):
                on = stack.enter_context(redis_server(*_REDIS, binary=binary))
                targets.append(await RedisTarget(on, name, title).start())
            house = await stack.enter_async_context(_house(store.socket_url, targets))
            for target in targets:
                stack.push_async_callback(target.system.close)
            yield cls(seed, findings, targets, house)

    async def wave(self, n: int) -> None:
        """So many holders at once; each is judged by itself, 5 seconds after their end."""
        dice, holders = Random(f"{self.seed} holders {n}"), list[Holder]()
        wide = {target.name: dice.choice([*sorted(target.wide()), None, None]) for target in self.targets}
        for target in self.targets:
            for kind in target.kinds:
                for role in target.roles:
                    for _ in range(_EACH):
                        number = n * 1000 + len(holders)
                        holders.append(
                            Holder(number, target, kind, f"h{number}", role, Random(f"{self.seed} {number}"))
                        )
        try:
            await asyncio.gather(*(self._at(target, holders, wide[target.name]) for target in self.targets))
        finally:
            await asyncio.gather(*(holder.tidy() for holder in holders))
            await asyncio.gather(*(target.reset() for target in self.targets))
        self.done["waves"] += 1
        for holder in holders:
            self.done["holders"] += 1
            had = self.abilities.setdefault(f"{holder.target.name} {holder.kind}", Counter())
            had.update(holder.did)
            self.done["abilities"] += len(holder.did)
            self.done["abilities that the server refused"] += len(holder.denied)

    async def _at(self, target: Target, holders: Sequence[Holder], wide: str | None) -> None:
        """Those of one server: what is done to everybody there is done when all of them are in."""
        these = [holder for holder in holders if holder.target is target]
        entered = await asyncio.gather(*(self._enters(holder) for holder in these))
        inside = [holder for holder, is_in in zip(these, entered, strict=True) if is_in]
        await asyncio.gather(*(self._stays(holder, wide) for holder in inside))

    async def _enters(self, holder: Holder) -> bool:
        try:
            async with asyncio.timeout(_READY):
                await holder.target.prepare(holder)
                await self._open(holder)
                await holder.target.enter(holder)
        except (TimeoutError, JitError, AssertionError, OSError) as error:
            # Not opened is allowed; that it is not used at all would show nothing, so it is counted.
            self.done["not opened"] += 1
            self.done[
                f"not opened on {holder.target.name} {holder.kind}: {type(error).__name__} {str(error)[-200:]}"
            ] += 1
            return False
        except Exception as error:  # noqa: BLE001  # a driver's, in whatever words
            self.done[f"not used: {type(error).__name__} on {holder.target.name} {holder.kind}"] += 1
            return False
        return True

    async def _stays(self, holder: Holder, wide: str | None) -> None:
        await holder.misbehave(self._chosen(holder, wide))
        await asyncio.sleep(max(0.0, holder.ends_at - time.time()))
        await self._judged(holder)

    def _chosen(self, holder: Holder, wide: str | None) -> dict[str, Ability]:
        can = dict(holder.target.abilities(holder))
        narrow = sorted(can.keys() - holder.target.wide())
        chosen = holder.dice.sample(narrow, min(len(narrow), holder.dice.randint(1, _MOST)))
        if wide and holder.dice.random() < 0.5:
            chosen.append(wide)
        return {name: can[name] for name in chosen}

    async def _open(self, holder: Holder) -> None:
        house, store = self.house, self.house.store
        what = f"{holder.target.name}/{holder.role}-{holder.kind}"
        request = await house.ask(holder.person, what, duration=_OPEN)
        holder.id = request.id
        await house.approve("dan", request.id)
        while (request := (await house.context.find_by_id(request.id)).request).state is State.GRANTING:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        if request.state is not State.ACTIVE:
            raise AssertionError(f"{request.state}: {request.closed_reason or [leg.error for leg in request.legs]}")
        holder.ends_at = request.ends_at + (time.time() - await store.now())
        if holder.kind == "own":
            await reveal(house.context, house.actor(holder.person), request.id, f"V{holder.n}")
            holder.secret = await self._shown(request.id)

    async def _shown(self, id_: str) -> Secret:
        while True:
            for shown, _, secret in self.house.shown:
                if shown == id_ and isinstance(secret, Secret):
                    return secret
            await asyncio.sleep(0.05)

    async def _judged(self, holder: Holder) -> None:
        """Nothing that they kept works 5 seconds after the end."""
        await asyncio.sleep(max(0.0, holder.ends_at + LATE - time.time()))
        wrong = await self._wrong(holder)
        if not wrong:
            return
        since = time.time()
        while wrong and time.time() - since < 10.0:
            await asyncio.sleep(0.5)
            last, wrong = wrong, await self._wrong(holder)
        past = time.time() - holder.ends_at
        self.worst = max(self.worst, past)
        how = "still" if wrong else f"until {past:.1f} s after its end"
        did = f"after: {', '.join(holder.did) or 'nothing'}; refused: {'; '.join(holder.denied) or 'nothing'}"
        told = (await self._told(holder))[-400:]
        self.findings.add(
            "a holder can act past the end",
            holder.id,
            f"{holder.name}, {how}: {_counted(last)}; {did}; the bot says: {told}",
        )

    async def _wrong(self, holder: Holder) -> list[str]:
        found = await holder.still()
        with contextlib.suppress(Exception):
            found += await holder.target.judge(holder, await self._told(holder))
        return found

    async def _told(self, holder: Holder) -> str:
        """All that the record says of the request's legs."""
        with contextlib.suppress(JitError):
            request = (await self.house.context.find_by_id(holder.id)).request
            legs: list[dict[str, Any]] = [
                leg.model_dump(mode="json", include={"state", "error", "outcome"}) for leg in request.legs
            ]
            return json.dumps([request.state, *legs], default=str)
        return ""

    def shut_out(self) -> list[str]:
        """Where nobody got in, so that nothing was shown."""
        logins = [f"{target.name} {kind}" for target in self.targets for kind in target.kinds]
        return [login for login in logins if not self.abilities.get(login)]

    def counts(self) -> dict[str, Any]:
        """For the summary."""
        return {
            **dict(sorted(self.done.items())),
            "nobody got in on": self.shut_out(),
            "worst past its end, s": round(self.worst, 1),
            "abilities had": {name: dict(sorted(had.items())) for name, had in sorted(self.abilities.items())},
        }


@contextlib.asynccontextmanager
async def _house(url: str, targets: Sequence[Target]) -> AsyncIterator[House]:
    """The verbs, the store and a worker that runs."""
    from redis.asyncio import BlockingConnectionPool, Redis

    from bot.store.keyring import KeyRing
    from bot.store.store import Store

    head, _ = POLICY.split("systems:\n")
    head = head.replace("break_glass: off}", "break_glass: off}\n  limits: {open: 100, submits: 1000}")
    policy = f"{head}systems:\n{''.join(target.policy().lstrip(chr(10)) for target in targets)}"
    client = Redis.from_pool(BlockingConnectionPool.from_url(url, max_connections=128, timeout=10))
    store = Store(client, TEAM, KeyRing.generate())
    systems = {target.name: target.system for target in targets}
    house = House(store, catalog(policy), systems=systems, lease=LEASE, margin=MARGIN)
    await house.open()
    stop = asyncio.Event()
    working = asyncio.create_task(house.worker.run(stop))
    try:
        yield house
    finally:
        stop.set()
        await asyncio.wait({working}, timeout=30)
        await client.aclose()


def _counted(said: Sequence[str]) -> str:
    """Each once, and how often where it is more than that."""
    return "; ".join(f"{each} ({n} times)" if n > 1 else each for each, n in Counter(said).items())


def nobody() -> Findings:
    """Nothing found yet, by a holder who writes nothing to the store."""
    return Findings("holders", Mutations())
