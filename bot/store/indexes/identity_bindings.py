"""Which Slack account an e-mail address is bound to, as an operator sees and frees it; it binds nobody."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bot.store.encoding import away, script, text
from bot.store.store import Store

_ROW = "people|record:#"


class Bindings:
    """The bindings of one workspace. All verbs raise `StoreAway`."""

    def __init__(self, store: Store) -> None:
        """Register the script; nothing is sent."""
        self._store, self._redis, self._keys = store, store.redis, store.keys
        self._unbind = script(store.redis, "unbind")

    async def of(self, identity: str) -> str:
        """The account that an address is bound to; empty for none."""
        return await self._store.identities.bound(identity)

    async def unbind(self, identity: str, user: str, fields: Mapping[str, Any]) -> bool:
        """Free it from this account, audited and told with ``fields``; False when it is not bound to it any more."""
        key, event = self._keys.identity(identity), json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        arguments = self._store.event_args("unbound", event, await self._store.now(), rows=[_ROW])
        freed = self._store.identities.value(identity, user, freed=True)
        value = text(await away(self._redis.get(key)))
        if await self._store.identities.bound(identity) != user:
            return False
        answer = await away(
            self._unbind(keys=[*self._store.event_keys, key], args=[value, freed, self._keys.wake, *arguments])
        )
        return text(answer) == "FREED"
