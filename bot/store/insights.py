"""What stood out at the last look, what is known already and what is snoozed; all of it lapses, and it judges nothing.

None of it bears a seal, since nothing here opens anything: who can write to Redis can hide a finding from Slack, and
not from the record, which has each finding and each snooze as an event.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot.store.store import Store
from bot.store.wire import away, text

KNOWN = 30 * 86_400
"""Seconds without being seen again after which a finding is new once more."""
_LOOK = 7 * 86_400
"""Seconds for which the last look is kept, should no other follow."""
_MEMBERS = 120 * 86_400
_MOST_MEMBERS = 20_000


class Insights:
    """The findings of one workspace, by their keys. All verbs raise `StoreAway`."""

    def __init__(self, store: Store) -> None:
        """Take the store; nothing is sent."""
        self._store, self._redis, self._keys = store, store.redis, store.keys

    # whose turn it is

    async def turn(self, pace: float) -> bool:
        """Whether this process is the one that looks, once in so many seconds."""
        return bool(await away(self._redis.set(self._keys.insights_turn, "1", nx=True, px=int(pace * 1000))))

    async def again_in(self, seconds: float) -> None:
        """The look came to nothing: somebody may look again soon."""
        await away(self._redis.pexpire(self._keys.insights_turn, int(seconds * 1000)))

    # the last look

    async def keep(self, look: str) -> None:
        """This is what stands out as of now."""
        await away(self._redis.set(self._keys.insights, look, ex=_LOOK))

    async def last(self) -> str:
        """What stood out at the last look; empty where there was none lately."""
        return text(await away(self._redis.get(self._keys.insights)))

    # what is new, what is snoozed

    async def tell(self, key: str, facts: Mapping[str, Any]) -> bool:
        """Put a finding on the record, if it was not seen lately. Whether it is new."""
        new = await self._store.note("insight", _json(facts), window=KNOWN, once=_known(key))
        if not new:
            await away(self._redis.expire(self._keys.seen(_known(key)), KNOWN))
        return new

    async def snooze(self, key: str, facts: Mapping[str, Any], seconds: int) -> bool:
        """Put on the record that somebody does not want to see it for a while, in one step; False when it is so."""
        return await self._store.note("snoozed", _json(facts), window=seconds, once=_snoozed(key))

    async def snoozed(self, keys: Sequence[str]) -> dict[str, float]:
        """Which of these are snoozed, and until when; Unix seconds."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.pttl(self._keys.seen(_snoozed(key)))
            left: Any = await away(pipe.execute())
        now = await self._store.now() if keys else 0.0
        return {key: now + each / 1000 for key, each in zip(keys, left, strict=True) if each > 0}

    # who is in the user groups

    async def members(self, groups: Mapping[str, frozenset[str]], now: float) -> dict[str, dict[str, float]]:
        """Note who is in which group now. Each one's members, and since when they were seen in it without a break.

        What is not told of a group now changes nothing about it, and nothing is said of it.
        """
        key = self._keys.insights_members
        known: Any = await away(self._redis.hgetall(key))
        before = {text(member): text(since) for member, since in known.items()}
        here = {f"{group} {user}" for group, users in groups.items() for user in users}
        gone = [member for member in before if member.partition(" ")[0] in groups and member not in here]
        new = sorted(here - before.keys())[: max(0, _MOST_MEMBERS - len(before) + len(gone))]
        async with self._redis.pipeline(transaction=True) as pipe:
            if gone:
                pipe.hdel(key, *gone)
            if new:
                pipe.hset(key, mapping=dict.fromkeys(new, str(int(now))))
            pipe.expire(key, _MEMBERS)
            await away(pipe.execute())
        return {
            group: {user: float(since) for user in users if (since := before.get(f"{group} {user}", "")).isdigit()}
            for group, users in groups.items()
        }


def _known(key: str) -> str:
    return f"insight {key}"


def _snoozed(key: str) -> str:
    return f"snoozed {key}"


def _json(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
