"""Whatever people, approvers, policies and somebody in Redis do in whatever order: no limit and no conflict is passed.

It is judged by the records: no step takes a role beyond the limit of its policy, and none gives one human both sides.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import BlockingConnectionPool, Redis

from bot.access import own_request, review
from bot.access.review import ReviewDecision
from bot.core.errors import JitError
from bot.core.request import Request, State, Verb
from bot.core.usage import is_live
from bot.core.verdict import Actor
from bot.policy.catalog import Catalog
from bot.policy.counted import limits_of
from bot.store.keyring import KeyRing
from bot.store.quarantine import Client
from bot.store.store import Store
from tests.access.limited import policy
from tests.house import House, catalog
from tests.servers import RedisServer

RULES = "rules:\n  - {when: {sensitivity: low, at_most: 1h}, then: approve, budget: 20/day}\n"
POLICIES = [
    catalog(text)
    for text in (
        policy(role="{live: 2, per_person: {live: 1}}", conflicts="[[vault/read-only, billing]]"),
        policy(role="{live: 1, per_day: 3, cooldown: 1h}", system="{live: 2}"),
        policy(system="{live: 2, per_person: {live: 1}}", conflicts="[[vault, billing/approve]]", rules=RULES),
        policy(role="{live: 3}", rules=RULES),
    )
]
ROLES = ("vault/read-only", "vault/shared", "billing/approve", "both")
PEOPLE = ("mia", "sam", "kim", "twin")
"""The twin is Mia, by another account."""
SCOPES = ("vault/read-only", "vault", "billing", "billing/approve")


@dataclass
class Play:
    """One workspace: its houses share a store, as processes do, and each remembers what it has seen."""

    client: Redis
    houses: list[House] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    old: dict[str, bytes] = field(default_factory=dict)

    async def begin(self, workspace: str) -> None:
        """Two processes, and the first policy."""
        ring = KeyRing.generate()
        for _ in range(2):
            house = House(Store(self.client, workspace, ring), policy=POLICIES[0])
            house.actor = _twin_of(house, house.actor)  # type: ignore[method-assign,assignment]
            house.systems = {"vault": house.sandbox, "billing": house.sandbox}
            house.__post_init__()
            self.houses.append(house)
        await self.houses[0].open()

    async def ask(self, house: House, who: str, what: str) -> None:
        """Request something."""
        request = await house.ask(who, what, reason=f"INC-{len(self.made)} is on fire", token="")
        self.made.append(request.id)

    async def decide(self, house: House, n: int, verb: Verb, by: str) -> None:
        """Approve or deny one of the requests."""
        if self.made:
            decision = ReviewDecision(verb=verb, reason="not now" if verb is Verb.DENY else "")
            await review.review(house.context, house.actor(by), self.made[n % len(self.made)], decision)

    async def end(self, house: House, n: int) -> None:
        """Whoever has it ends it, or takes the request back."""
        if self.made:
            request = await house.now(self.made[n % len(self.made)])
            actor = Actor(person=request.requester, roster=house.actor("dan").roster)
            verb = own_request.cancel if request.state in {State.PENDING, State.SCHEDULED} else own_request.release
            await verb(house.context, actor, request.id)

    async def change(self, n: int) -> None:
        """Another policy."""
        for house in self.houses:
            house.policy = POLICIES[n]
        await self.houses[0].store.policy.adopt(POLICIES[n].policy_hash)

    async def tamper(self, scope: str, way: str) -> None:
        """Somebody deletes, forges, or puts back a ledger."""
        key = self.houses[0].store.keys.usage(scope)
        match way:
            case "keep":
                found: Any = await self.client.get(key)
                self.old[scope] = found or b""
            case "restore":
                # What a process has not seen, only a worker finds out, before it grants (test_usage.py).
                for house in self.houses:
                    await house.store.usage.read([scope], house.policy.policy_hash)
                await self.client.set(key, self.old.get(scope, b"x"))
            case "forge":
                await self.client.set(key, b"\xff\n?|x")
            case _:
                await self.client.delete(key)

    async def requests(self) -> list[Request]:
        """All of them, as they stand."""
        return [found.request for found in await self.houses[0].store.load_ours(sorted(set(self.made)))]


def _twin_of(house: House, actor: Callable[[str], Actor]) -> Callable[[str], Actor]:
    def find(name: str) -> Actor:
        if name != "twin":
            return actor(name)
        mia = actor("mia")
        return mia.model_copy(update={"person": mia.person.model_copy(update={"id": "UTWIN"})})

    return find


def live(requests: list[Request], scope: str, who: str = "") -> int:
    """How many approved requests have a place there, of one human or of all."""
    return sum(
        bool(each.approved_at) and is_live(each, scope) and who in {"", each.requester.identity} for each in requests
    )


def excess(found: list[Request], rules: Catalog) -> dict[tuple[str, ...], int]:
    """By how much each limit, and each conflict, is passed."""
    people = {each.requester.identity for each in found}
    over: dict[tuple[str, ...], int] = {}
    for scope in rules.counted_scopes:
        limits = limits_of(rules, scope)
        if limits and limits.live:
            over[scope,] = live(found, scope) - limits.live
        if limits and limits.per_person and limits.per_person.live:
            for who in people:
                over[scope, who] = live(found, scope, who) - limits.per_person.live
        if limits and limits.per_day:
            over[scope, "day"] = _approved(found, scope) - limits.per_day
    for one, other in rules.conflicts:
        for who in people:
            over[one, other, who] = min(live(found, one, who), live(found, other, who))
    return {name: count for name, count in over.items() if count > 0}


def _approved(requests: list[Request], scope: str) -> int:
    """How many were approved at all: a run takes far less than a day."""
    return sum(
        bool(each.approved_at) and any(scope in (leg.role.name, leg.role.system) for leg in each.legs)
        for each in requests
    )


NUMBER = st.integers(0, 7)
STEP = st.one_of(
    st.tuples(st.just("ask"), st.integers(0, 1), st.sampled_from(PEOPLE), st.sampled_from(ROLES)),
    st.tuples(st.just("approve"), st.integers(0, 1), NUMBER, st.sampled_from(("dan", "eve"))),
    st.tuples(st.just("approve"), st.integers(0, 1), NUMBER, st.sampled_from(("dan", "eve"))),
    st.tuples(st.just("deny"), st.integers(0, 1), NUMBER),
    st.tuples(st.just("end"), st.integers(0, 1), NUMBER),
    st.tuples(st.just("count"), st.integers(0, 1)),
    st.tuples(st.just("tamper"), st.sampled_from(SCOPES), st.sampled_from(("keep", "restore", "forge", "delete"))),
)
ROUND = st.one_of(
    st.lists(STEP, min_size=1, max_size=4),
    st.tuples(st.tuples(st.just("policy"), st.integers(0, len(POLICIES) - 1))),
)
_WORKSPACES: Iterator[int] = iter(range(1_000_000))


async def _step(play: Play, step: tuple[Any, ...]) -> None:
    with contextlib.suppress(JitError):
        match step:
            case ("ask", n, who, what):
                await play.ask(play.houses[n], who, what)
            case ("approve", n, which, by):
                await play.decide(play.houses[n], which, Verb.APPROVE, by)
            case ("deny", n, which):
                await play.decide(play.houses[n], which, Verb.DENY, "dan")
            case ("end", n, which):
                await play.end(play.houses[n], which)
            case ("count", n):
                await play.houses[n].counter.run_once()
            case ("tamper", scope, way):
                await play.tamper(scope, way)
            case ("policy", n):
                await play.change(n)


async def _play(address: str, rounds: list[Any]) -> None:
    client = Client.from_pool(BlockingConnectionPool.from_url(address, max_connections=16, timeout=30))
    play = Play(client)
    try:
        await play.begin(f"TSEQ{next(_WORKSPACES):06d}")
        for steps in rounds:
            before = excess(await play.requests(), play.houses[0].policy)
            if steps[0][0] == "policy":
                await _step(play, steps[0])  # what is there already stays, however much it is by the new policy
                continue
            await asyncio.gather(*(_step(play, step) for step in steps))
            after = excess(await play.requests(), play.houses[0].policy)
            assert {name: n for name, n in after.items() if n > before.get(name, 0)} == {}
    finally:
        await client.aclose()


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(rounds=st.lists(ROUND, min_size=3, max_size=14))
def test_no_limit_and_no_conflict_is_passed(redis: RedisServer, rounds: list[Any]) -> None:
    asyncio.run(_play(redis.socket_url, rounds))
