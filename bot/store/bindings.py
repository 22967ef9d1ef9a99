"""Which Slack account an e-mail address is bound to, as an operator sees and frees it; it binds nobody."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bot.store.store import Store
from bot.store.wire import away, script, text

_ROW = "people|record:#"


class Bindings:
    """The bindings of one workspace. All verbs raise `StoreAway`."""

    def __init__(self, store: Store) -> None:
        """Register the script; nothing is sent."""
        self._redis, self._keys = store.redis, store.keys
        self._unbind = script(store.redis, "unbind")

    async def of(self, identity: str) -> str:
        """The account that an address is bound to; empty for none."""
        return text(await away(self._redis.get(self._keys.identity(identity))))

    async def free(self, identity: str, user: str, facts: Mapping[str, Any]) -> bool:
        """Free it from this account, audited and told with ``facts``; False when it is not bound to it any more."""
        k = self._keys
        keys = [k.identity(identity), k.audit, k.seq, k.outbox, k.rows]
        event = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
        return bool(text(await away(self._unbind(keys=keys, args=[user, event, _ROW, k.wake]))) == "FREED")
