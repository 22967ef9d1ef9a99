"""A small workspace to test in: its policy, its people, and the verbs and a worker over a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.access import review, scheduled_start, submit
from bot.access.context import AccessContext
from bot.access.review import ReviewDecision
from bot.access.rule_lookups import NO_LOOKUPS, RuleLookups
from bot.access.submit import RequestForm
from bot.core.events import Event
from bot.core.request import Person, Request, State, Verb
from bot.core.verdict import Actor, Members
from bot.policy.catalog import Catalog
from bot.policy.loader import can_extend, consequence, facts, installed
from bot.policy.parse import parse
from bot.policy.yaml_source import Source
from bot.store.due_set import new_fence
from bot.store.store import Store
from bot.store.types import CommitGuard
from bot.worker.recovery import Recovery
from bot.worker.usage_counter import UsageCounter
from bot.worker.worker import Worker
from providers.factors import registry as factors
from providers.systems import registry
from providers.systems.base import Secret, System
from providers.systems.sandbox import Sandbox, SandboxConfig

POLICY = """
version: 1
workspace:
  audit_channel: C0AUDIT01
  mfa: {request: off, break_glass: off}
  operators: [platform]
groups:
  dba: {slack_usergroup: S0DBA0001}
  security: {people: [sam@example.com, kim@example.com]}
  platform: {people: [pat@example.com]}
systems:
  vault:
    title: Vault
    provider: sandbox
    channel: C0VAULT01
    approvers: [dba]
    roles:
      read-only:
        grants: {door: vault, secret: true}
        sensitivity: low
        max: 8h
        may_ask: [everyone]
      shared:
        grants: {door: hall, shared: true}
        max: 8h
        may_ask: [everyone]
      admin:
        grants: {door: safe}
        sensitivity: critical
        max: 1h
        may_ask: [dba]
        approval:
          steps: [{any_of: [dba]}, {any_of: [security]}]
templates:
  debug:
    title: Debug the vault
    roles: [vault/read-only]
    durations: [30m, 1h, 4h]
    reason: {hint: Incident or ticket, pattern: "[A-Z]+-\\\\d+", example: INC-42}
  both:
    title: Vault and hall
    roles: [vault/read-only, vault/shared]
    durations: [30m]
"""


def catalog(text: str = POLICY) -> Catalog:
    """The policy of a text."""
    return parse([Source("jit.yaml", text)], facts, registry.names(), installed())


def person(workspace: str, name: str) -> Person:
    """Someone of the workspace: ``mia`` is UMIA with mia@example.com."""
    email = f"{name}@example.com"
    return Person(workspace=workspace, id=f"U{name.upper()}", identity=email, email=email, name=name.title())


@dataclass
class House:
    """The parts between the door and the provider, wired as the app wires them."""

    store: Store
    policy: Catalog = field(default_factory=catalog)
    systems: Mapping[str, System] = field(default_factory=lambda: {"vault": Sandbox(SandboxConfig())})
    dba: tuple[str, ...] = ("dan", "eve")
    lease: float = 30.0
    margin: float = 0.1
    timeout_margin: float = 2.0
    recovery: Recovery | None = None
    lookups: RuleLookups = NO_LOOKUPS
    shown: list[tuple[str, str, Secret | str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Wire them."""
        self.context = AccessContext(
            self.store, lambda: self.policy, consequence, can_extend, self.lookups, factors.build_all()
        )
        self.counter = UsageCounter(self.store, lambda: self.policy, self.recovery)
        self.worker = Worker(
            self.store,
            self.systems,
            self.deliver,
            self.judge,
            self._wait,
            jitter=lambda: 0.0,
            lease=self.lease,
            margin=self.margin,
            timeout_margin=self.timeout_margin,
            recovery=self.recovery,
            counter=self.counter,
        )

    async def open(self) -> House:
        """Adopt the policy, and count what it limits."""
        await self.store.policy.adopt(self.policy.policy_hash)
        if self.policy.counted_scopes:
            await self.counter.run_once()
        return self

    def actor(self, name: str) -> Actor:
        """Someone, and the groups as they are known."""
        users = frozenset(f"U{who.upper()}" for who in self.dba)
        roster = {
            group: Members(users=users) if shape.slack_usergroup else Members(identities=frozenset(shape.people))
            for group, shape in self.policy.groups.items()
        }
        return Actor(person=person(self.store.workspace, name), roster=roster, looked_up_now=True)

    @property
    def sandbox(self) -> Sandbox:
        """The vault's doors."""
        found = self.systems["vault"]
        assert isinstance(found, Sandbox)
        return found

    async def ask(self, name: str = "mia", what: str = "vault/read-only", **more: Any) -> Request:
        """Ask for something."""
        form = RequestForm(what=what, **{"reason": "INC-1 is on fire", "duration": 1800, **more})
        return await submit.submit(self.context, self.actor(name), form)

    async def approve(self, name: str, id_: str, duration: int | None = None) -> Request:
        """Say yes."""
        return await review.review(
            self.context, self.actor(name), id_, ReviewDecision(verb=Verb.APPROVE, duration=duration)
        )

    async def work(self) -> None:
        """Let the worker do all that is due now, and wait for it."""
        while (due := await self.store.due_set.read(64)).ids:
            claimed = await self.store.due_set.claim(due.ids, self.worker.lease, new_fence())
            await asyncio.gather(*(self.worker.handle(one) for one in claimed))

    async def granted(self, name: str = "mia", what: str = "vault/read-only") -> Request:
        """Ask, approve, open."""
        request = await self.ask(name, what)
        await self.approved(request.id)
        return await self.attempted(request.id)

    async def approved(self, id_: str) -> Request:
        """Have as many of the dba say yes as its roles need."""
        request = await self.now(id_)
        for name in self.dba:
            if request.state is State.PENDING and all(each.by.name != name.title() for each in request.reviews):
                request = await self.approve(name, id_)
        return request

    async def attempted(self, id_: str, patience: float = 30.0) -> Request:
        """Work until the provider has answered: an attempt that a busy machine recorded too slowly is put off."""
        async with asyncio.timeout(patience):
            while True:
                await self.work()
                request = await self.now(id_)
                if request.state is not State.GRANTING or any(leg.error for leg in request.legs):
                    return request
                await asyncio.sleep(0.01)

    async def now(self, id_: str) -> Request:
        """The request as it stands."""
        return (await self.context.find_by_id(id_)).request

    async def until(self, id_: str, *states: State, patience: float = 30.0) -> Request:
        """Work until the request is in one of the states."""
        async with asyncio.timeout(patience):
            while (request := await self.now(id_)).state not in states:
                await self.work()
                await asyncio.sleep(0.01)
        return request

    async def judge(self, request: Request, now: float) -> tuple[Event, tuple[CommitGuard, ...]] | None:
        """Whether what was approved for a later start may be opened; by the groups as they are known."""
        return await scheduled_start.start_event(self.context, self.actor("mia").roster, request, now)

    async def deliver(self, request: Request, view: str, secret: Secret | str) -> None:
        self.shown.append((request.id, view, secret))

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))
