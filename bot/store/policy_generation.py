"""The policy generation that a workspace decides by: a process that holds another one decides nothing new."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis

from bot.store.encoding import away, script, text
from bot.store.keys import Keys
from bot.store.types import CommitGuard

_ROW = "policy|policy:#"
_GENERATION = re.compile(r"[0-9a-f]{16}")
"""As `Catalog.policy_hash` is spelled."""


class PolicyGeneration:
    """The policy hash by which one workspace decides, in Redis (there called its generation).

    ``now`` and ``event_args`` are the store's; ``via``: the process's name.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        via: str,
        now: Callable[[], Awaitable[float]],
        event_args: Callable[..., Any],
    ) -> None:
        """Register the script; nothing is sent."""
        self._redis, self._keys, self._via, self._now = redis, keys, via, now
        self._event_arguments = event_args
        self._adopt = script(redis, "adopt")

    async def adopt(self, generation: str) -> None:
        """Make it the one that the workspace decides by; a change is audited and announced."""
        k = self._keys
        # The script compares: where another process adopts meanwhile, what is there now is read, and judged again.
        while text(held := await self._held()) != generation:
            arguments: tuple[str, ...] = ()
            was = text(held)
            if was:
                at = await self._now()
                # What an intruder left there is not carried into the audit log.
                known = was if _GENERATION.fullmatch(was) else ""
                event = {"at": round(at, 6), "by": "policy", "via": self._via, "was": known, "now": generation}
                arguments = self._event_arguments("policy", json.dumps(event, separators=(",", ":")), at, rows=[_ROW])
            keys = [k.audit, k.seq, k.outbox, k.rows, k.policy]
            await away(self._adopt(keys=keys, args=[held, generation, k.wake, *arguments]))

    async def current(self) -> str:
        """The current generation of the workspace; empty before the first start."""
        return text(await self._held())

    def is_current(self, generation: str) -> CommitGuard:
        """The guard that fails the commit once the workspace has another generation."""
        return CommitGuard("EQUALS", self._keys.policy, generation)

    async def _held(self) -> bytes:
        if text(await away(self._redis.type(self._keys.policy))) not in {"string", "none"}:
            return b""
        found: Any = await away(self._redis.get(self._keys.policy))
        return found or b""
