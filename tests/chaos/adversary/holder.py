"""A holder who wants to keep what they were given: their sessions, their ways in, and what they did about it.

It knows no vendor; `postgresql.py` and `redis.py` have the abilities.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from bot import tasks
from providers.systems.base import Secret, System

Acts = Callable[[], Awaitable[bool]]
"""Whether something that was kept still does what only the access allowed."""
Ability = Callable[["Holder"], Awaitable[None]]


class NotHere(Exception):
    """The ability is none on this version, or for this kind of login."""


@dataclass
class Holder:
    """One grant, and what its holder has of it. ``target`` is where; ``kind`` is ``own`` or ``existing``."""

    n: int
    target: Target
    kind: str
    person: str
    role: str
    dice: Random
    id: str = ""
    secret: Secret | None = None
    ends_at: float = 0
    did: list[str] = field(default_factory=list)
    kept: list[tuple[str, Acts]] = field(default_factory=list)
    """What they hope to act by after the end, in words, and a way to try."""
    left: list[str] = field(default_factory=list)
    """Names of what they left behind, which must be told if it still works."""
    closing: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.target.name} {self.kind} {self.role}"

    @property
    def login(self) -> str:
        """Their login's name."""
        assert self.secret
        return self.secret.username

    def keep(self, how: str, acts: Acts) -> None:
        """Hope to act by it later."""
        self.kept.append((how, acts))

    def at_end(self, do: Callable[[], Awaitable[None]]) -> None:
        """Tidy up when all was judged."""
        self.closing.append(do)

    async def misbehave(self, abilities: Mapping[str, Ability]) -> None:
        """Do what they can of it; what the server refuses them is no harm."""
        for name, ability in abilities.items():
            try:
                async with asyncio.timeout(4):
                    await ability(self)
                self.did.append(name)
            except NotHere:
                continue
            except Exception as error:  # noqa: BLE001  # a server's refusal, in whatever words
                self.denied.append(f"{name}: {type(error).__name__}: {str(error).strip()[:80]}")

    async def still(self) -> list[str]:
        """What still works."""
        found = []
        for how, acts in self.kept:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(3):
                    if await acts():
                        found.append(how)
        return found

    async def tidy(self) -> None:
        """Let go of everything, so that the next one meets a clean server."""
        await tasks.end(self.tasks)
        for do in reversed(self.closing):
            with contextlib.suppress(Exception):
                async with asyncio.timeout(5):
                    await do()

    def storm(self, log_in: Acts) -> None:
        """Log in again and again, until the end and beyond; a session that was made late is kept."""

        async def run() -> None:
            while True:
                with contextlib.suppress(Exception):
                    if await log_in() and time.time() > self.ends_at + 5.0 > 5.0:
                        self.kept.append(("a login long after the end", _yes))
                await asyncio.sleep(0.1)

        self.tasks.append(asyncio.create_task(run()))


class Target(Protocol):
    """A server, with a provider of it."""

    name: str
    kinds: Sequence[str]
    roles: Sequence[str]
    system: System

    def policy(self) -> str:
        """The system, as the policy file has it."""

    async def prepare(self, holder: Holder) -> None:
        """Before it is granted: a person's existing login, an accomplice."""

    async def enter(self, holder: Holder) -> None:
        """Use the access as it is meant: a session, and a way to log in anew."""

    def abilities(self, holder: Holder) -> Mapping[str, Ability]:
        """What such a holder could do."""

    def wide(self) -> frozenset[str]:
        """The abilities that everybody on the server feels: one of them at a time."""

    async def judge(self, holder: Holder, told: str) -> list[str]:
        """What is wrong on the server itself; ``told`` is all that the bot said of the request."""

    async def reset(self) -> None:
        """Take back what an administrator changed for everybody."""


async def _yes() -> bool:
    return True
