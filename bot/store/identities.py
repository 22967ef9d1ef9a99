"""Binds an e-mail address to one Slack account, once: another account with the same address is refused.

An operator lists and frees bindings in indexes/identity_bindings.py.
"""

from __future__ import annotations

import logging

from redis.asyncio import Redis

from bot.store.encoding import away, text
from bot.store.forged_values import ForgedValues
from bot.store.keys import Keys
from bot.store.record_seal import Authorship

log = logging.getLogger(__name__)

_FREED = "-"
_MOST_BOUND = 50_000


class Identities:
    """The bindings of one workspace. This process remembers those that it saw, so that a deleted key frees nobody."""

    def __init__(self, redis: Redis, keys: Keys, authorship: Authorship, found: ForgedValues) -> None:
        """Nothing is sent."""
        self._redis, self._keys, self._authorship, self._found = redis, keys, authorship, found
        self._bound: dict[str, str] = {}

    async def bind(self, identity: str, user: str) -> bool:
        """Bind an e-mail address to a Slack user, once; False when it is bound to another.

        A binding without our MAC binds nobody, and one that was deleted frees nobody's address where this process
        knows whose it is: only an operator does.
        """
        known, owner = self._bound.get(identity), await self.owner(identity)
        if owner and not owner.startswith(_FREED) and owner != user:
            return False
        if known and known != user and owner not in {user, f"{_FREED}{known}"}:
            return False
        if owner != user:
            value = self.value(identity, user)
            if owner:
                await away(self._redis.set(self._keys.identity(identity), value))
            elif not await away(self._redis.set(self._keys.identity(identity), value, nx=True)):
                # Two processes bind the same address at one moment: the first one's binding counts.
                return await self.owner(identity) == user
        self._bound[identity] = user
        if len(self._bound) > _MOST_BOUND:
            self._bound.clear()
        return True

    async def bound(self, identity: str) -> str:
        """The Slack user that an address is bound to; empty for none."""
        owner = await self.owner(identity)
        return "" if owner.startswith(_FREED) else owner

    def value(self, identity: str, user: str, *, freed: bool = False) -> str:
        """What is stored of who has an address, or from whom it was freed, with its MAC."""
        owner = f"{_FREED}{user}" if freed else user
        return f"{owner} {self._authorship.sign('identity', identity, owner)}"

    async def owner(self, identity: str) -> str:
        """Who has an address, or behind a ``-`` from whom it was freed; '' where nothing of ours says so.

        A value without our MAC is removed.
        """
        key = self._keys.identity(identity)
        if text(await away(self._redis.type(key))) not in {"string", "none"}:
            await away(self._redis.delete(key))
        value = text(await away(self._redis.get(key)))
        owner, _, tag = value.partition(" ")
        if self._authorship.signed(tag, "identity", identity, owner):
            return owner
        if value:
            log.error("a binding of an e-mail address that the bot did not write was removed")
            self._found.wrong_mac(key, tag)
            await away(self._redis.delete(key))
        return ""
