"""The findings of the last insights scan, which of them are known, and which are snoozed. All of it expires.

Findings and snoozes have a MAC: write access to Redis puts no words into them, and hides a finding only by restoring an
old snooze. The audit log has each finding and each snooze as an event. It judges nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot.store.encoding import away, text
from bot.store.leader import Leader
from bot.store.store import Store

KNOWN = 30 * 86_400
"""Seconds without being found again after which a finding counts as new."""
_LOOK = 7 * 86_400
"""Seconds for which the last look is kept, should no other follow."""
_LONGEST_SNOOZE = 400 * 86_400
_MEMBERS = 120 * 86_400
_MOST_MEMBERS = 20_000


class Insights:
    """The findings of one workspace, by their keys. All verbs raise `StoreAway`."""

    def __init__(self, store: Store) -> None:
        """Take the store; nothing is sent."""
        self._store, self._redis, self._keys = store, store.redis, store.keys
        self._turn = Leader(store, store.keys.insights_turn, 0.0)

    # whose turn it is

    async def turn(self, pace: float) -> bool:
        """Whether this process is the one that looks, once in so many seconds."""
        # No two turns have a holder in common: whoever comes within the pace comes too late, this process too.
        self._turn = Leader(self._store, self._keys.insights_turn, pace)
        return await self._turn.elected()

    async def again_in(self, seconds: float) -> None:
        """The scan failed: give up the lease, so that the next one is soon."""
        await self._turn.elected(seconds)

    # the last look

    async def save(self, look: str) -> None:
        """Keep the findings of this scan."""
        await away(self._redis.set(self._keys.insights, self._store.authorship.wrapped("insights", look), ex=_LOOK))

    async def last(self) -> str:
        """The findings of the last scan; empty where there was none lately."""
        return self._store.authorship.unwrapped("insights", text(await away(self._redis.get(self._keys.insights))))

    # what is new, what is snoozed

    async def report(self, key: str, fields: Mapping[str, Any]) -> bool:
        """Audit a finding, where it is new. Whether it is."""
        new = await self._store.audit_event("insight", _json(fields), window=KNOWN, once=_known(key))
        if not new:
            await away(self._redis.expire(self._keys.seen(_known(key)), KNOWN))
        return new

    async def snooze(self, key: str, fields: Mapping[str, Any], seconds: int) -> bool:
        """Snooze and audit in one script; False where it is snoozed already."""
        return await self._store.audit_event("snoozed", _json(fields), window=seconds, once=_snoozed(key))

    async def snoozed(self, keys: Sequence[str]) -> dict[str, float]:
        """Which of these are snoozed, and until when; Unix seconds."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.get(self._keys.seen(_snoozed(key)))
                pipe.pttl(self._keys.seen(_snoozed(key)))
            found: Any = await away(pipe.execute())
        now, marked = await self._store.now() if keys else 0.0, self._store.authorship.marked
        left = {
            key: each
            for key, mark, each in zip(keys, found[::2], found[1::2], strict=True)
            if marked(self._keys.seen(_snoozed(key)), text(mark), now, _LONGEST_SNOOZE)
        }
        return {key: now + each / 1000 for key, each in left.items() if each > 0}

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


def _json(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
