"""A small workspace to test in: its policy, its people, and a desk and a worker over a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.core.catalog import Catalog
from bot.core.events import Event
from bot.core.model import Person, Request, State, Verb
from bot.core.policy import Members
from bot.core.policy_text import parse
from bot.core.yaml_source import Source
from bot.desk import Desk
from bot.extending import Extending
from bot.policy_file import consequence, facts, prolongs
from bot.store.changes import Guard
from bot.store.store import Store, new_fence
from bot.submitting import Submitting
from bot.wishes import Actor, Answer, Ask
from bot.worker import Worker
from providers.systems import registry
from providers.systems.base import Secret, System
from providers.systems.sandbox import Sandbox, SandboxConfig

POLICY = """
version: 1
workspace:
  audit_channel: C0AUDIT01
  mfa: {request: off}
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
    reason: {hint: Incident or ticket, pattern: "[A-Z]+-\\\\d+"}
  both:
    title: Vault and hall
    roles: [vault/read-only, vault/shared]
    durations: [30m]
"""


def catalog(text: str = POLICY) -> Catalog:
    """The policy of a text."""
    return parse([Source("jit.yaml", text)], facts, registry.names())


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
    patience: float = 2.0
    shown: list[tuple[str, str, Secret | str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Wire them."""
        self.desk = Desk(self.store, lambda: self.policy, consequence, prolongs)
        self.extending = Extending(self.desk)
        self.worker = Worker(
            self.store,
            self.systems,
            self.deliver,
            self.judge,
            self._wait,
            jitter=lambda: 0.0,
            lease=self.lease,
            margin=self.margin,
            patience=self.patience,
        )

    async def open(self) -> House:
        """Adopt the policy."""
        await self.store.adopt(self.policy.generation)
        return self

    def actor(self, name: str) -> Actor:
        """Someone, and the groups as they are known."""
        users = frozenset(f"U{who.upper()}" for who in self.dba)
        roster = {
            group: Members(users=users) if shape.slack_usergroup else Members(identities=frozenset(shape.people))
            for group, shape in self.policy.groups.items()
        }
        return Actor(person=person(self.store.workspace, name), roster=roster)

    @property
    def sandbox(self) -> Sandbox:
        """The vault's doors."""
        found = self.systems["vault"]
        assert isinstance(found, Sandbox)
        return found

    async def ask(self, name: str = "mia", what: str = "vault/read-only", **more: Any) -> Request:
        """Ask for something."""
        ask = Ask(what=what, **{"reason": "INC-1 is on fire", "duration": 1800, **more})
        return await Submitting(self.desk).submit(self.actor(name), ask)

    async def approve(self, name: str, id_: str, duration: int | None = None) -> Request:
        """Say yes."""
        return await self.desk.review(self.actor(name), id_, Answer(verb=Verb.APPROVE, duration=duration))

    async def work(self) -> None:
        """Let the worker do all that is due now, and wait for it."""
        while (due := await self.store.due(64)).ids:
            claimed = await self.store.claim(due.ids, self.worker.lease, new_fence())
            await asyncio.gather(*(self.worker.handle(one) for one in claimed))

    async def granted(self, name: str = "mia", what: str = "vault/read-only") -> Request:
        """Ask, approve, open."""
        request = await self.ask(name, what)
        await self.approve("dan", request.id)
        await self.work()
        return await self.now(request.id)

    async def now(self, id_: str) -> Request:
        """The request as it stands."""
        return (await self.desk.get(id_)).request

    async def until(self, id_: str, *states: State, patience: float = 10.0) -> Request:
        """Work until the request is in one of the states."""
        async with asyncio.timeout(patience):
            while (request := await self.now(id_)).state not in states:
                await self.work()
                await asyncio.sleep(0.01)
        return request

    async def judge(self, request: Request, now: float) -> tuple[Event, Guard] | None:
        """Whether what was approved for a later start may be opened; by the groups as they are known."""
        return await self.desk.begin(self.actor("mia").roster, request, now)

    async def deliver(self, request: Request, view: str, secret: Secret | str) -> None:
        self.shown.append((request.id, view, secret))

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))
