"""One system's provider as a worker reaches it: with slots, under a limit of time; it decides nothing.

Half of the slots are kept for revokes. A provider promises that each of its calls ends within `settles_within`; one
that breaks the promise is given up a little later, so that its slot is not lost to the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from typing import TypeVar

from providers.systems.base import System, Unsure

T = TypeVar("T")
SLOTS = 16
PATIENCE = 5.0
"""Seconds beyond its promise after which a provider's call is given up."""
_IDENTITY_AGE = 60.0


@dataclass
class Post:
    """One system's provider."""

    system: System
    patience: float = PATIENCE
    target: str = ""
    checked: float = 0.0
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SLOTS))
    _grants: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SLOTS // 2))

    @contextlib.asynccontextmanager
    async def granting(self) -> AsyncIterator[None]:
        """A slot for a grant: of those, there are half as many."""
        async with self._grants, self._slots:
            yield

    @contextlib.asynccontextmanager
    async def revoking(self) -> AsyncIterator[None]:
        """A slot for a revoke."""
        async with self._slots:
            yield

    async def call(self, verb: Awaitable[T]) -> T:
        """The provider's answer. Raises what the provider raises, and `Unsure` when it does not answer at all."""
        limit = self.system.settles_within + self.patience
        try:
            async with asyncio.timeout(limit) as waiting:
                return await verb
        except TimeoutError as error:
            if not waiting.expired():
                raise
            raise Unsure(f"the provider did not answer within {limit:g} s, and was given up") from error

    async def identity(self) -> str:
        """Which system this really is, asked at most once a minute."""
        if not self.target or time.monotonic() - self.checked > _IDENTITY_AGE:
            self.target = (await self.call(self.system.check())).target
            self.checked = time.monotonic()
        return self.target
