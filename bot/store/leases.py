"""Named leases, for leader election: one process at a time does what is done once for all.

A lease says until when it is held, with a MAC. Without our MAC, or past its time, it is nobody's, whatever its TTL: a
forged lease keeps no process from its work.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from bot.store.encoding import away, script, text
from bot.store.key_types import kind_of
from bot.store.keyring import KeyRing

log = logging.getLogger(__name__)

PURPOSE = "lease"
"""What the key ring's subkey for leases is called."""


class Leases:
    """The leases of one workspace. ``forged``: the names of keys (see `KINDS`) that held a forged one, for an alarm."""

    def __init__(self, redis: Redis, ring: KeyRing, now: Callable[[], Awaitable[float]]) -> None:
        """Register the script; nothing is sent. ``now``: the store's time."""
        self._ring, self._now = ring, now
        self._lease = script(redis, "lease")
        self.forged: set[str] = set()

    async def take(self, key: str, holder: str, seconds: float) -> bool:
        """Take or renew it for so many seconds; 0 gives it up. Whether it is, or was, this holder's."""
        value = self._written(key, holder, await self._now() + seconds) if seconds > 0 else ""
        words: list[str | int] = [holder, value, max(1, int(seconds * 1000))]
        answer = await away(self._lease(keys=[key], args=[*words, ""]))
        if text(answer[0]) == "THEIRS" and not self._ours(key, answer[1]):
            self._note(key)
            answer = await away(self._lease(keys=[key], args=[*words, answer[1]]))
        return text(answer[0]) == "MINE"

    def _written(self, key: str, holder: str, until: float) -> str:
        said = f"{holder} {until:.6f}"
        return f"{said} {self._ring.mac(PURPOSE, _bound(key, said))}"

    def _ours(self, key: str, value: bytes) -> bool:
        said, _, mac = text(value).rpartition(" ")
        return self._ring.verify(PURPOSE, _bound(key, said), mac)

    def _note(self, key: str) -> None:
        log.critical("%.200r was held by somebody who is none of us: a lease that we did not write is taken over", key)
        if known := kind_of(key):
            self.forged.add(known[0])


def _bound(key: str, said: str) -> bytes:
    return f"{key}\0{said}".encode()
