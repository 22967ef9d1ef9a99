"""How often a method may be called: Slack's tiers, and one message a second per channel, with a small burst."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.playground.errors import RateLimited

TIERS = {1: 1, 2: 20, 3: 50, 4: 100}
"""Calls per minute (Slack, "Rate limits")."""
_BURST = 10
_POSTS_BURST = 5


@dataclass
class Bucket:
    """A token bucket."""

    tokens: float
    at: float


@dataclass
class RateLimits:
    """``scale``: how many times faster than Slack; ``on``: whether it limits at all.

    A burst is scaled too: ``Retry-After`` cannot be less than a second.
    """

    clock: Callable[[], float]
    on: bool = True
    scale: float = 1.0
    _buckets: dict[str, Bucket] = field(default_factory=dict)

    def take(self, method: str, tier: int | None, channel: str | None) -> None:
        """Count one call. Raises `RateLimited`."""
        if not self.on:
            return
        if method == "chat.postMessage":
            self._take(f"{method} {channel}", 1.0, _POSTS_BURST)
        elif tier is not None:
            self._take(method, TIERS[tier] / 60, max(_BURST, TIERS[tier] // 4))

    def _take(self, key: str, per_second: float, usual: int) -> None:
        now, rate, burst = self.clock(), per_second * self.scale, usual * max(1.0, self.scale)
        bucket = self._buckets.setdefault(key, Bucket(burst, now))
        bucket.tokens = min(burst, bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.tokens < 1:
            raise RateLimited(max(1, math.ceil((1 - bucket.tokens) / rate)))  # a caller that waits so long gets through
        bucket.tokens -= 1
