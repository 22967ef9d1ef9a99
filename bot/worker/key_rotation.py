"""Key rotation: signs or encrypts, with the current key, the values in Redis that may not change for months."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bot.background import Done, Loop, paused
from bot.store.store import Store

_AFTER = 3600.0
"""Seconds that a process waits before it uses its current key here: other processes may not have that key yet."""
_INTERVAL = 1.0


@dataclass
class KeyRotation:
    """Does so once in the life of a process: JIT_KEYS is read when a process starts."""

    store: Store
    after: float = _AFTER

    async def run(self, stop: asyncio.Event) -> None:
        """Wait, sign and encrypt, and return; while the store is away, retry."""
        if not await paused(stop, self.after):
            await Loop("signing and encrypting with the current key", self._run_once, _INTERVAL).run(stop)

    async def _run_once(self) -> None:
        await self.store.lockdowns.re_sign()
        await self.store.delegations.re_sign()
        await self.store.members.re_sign()
        await self.store.factors.re_encrypt()
        raise Done
