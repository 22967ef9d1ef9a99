"""What kind of value each key has in Redis; of another kind, it was not written by us."""

from __future__ import annotations

import fnmatch
import functools
import re
from typing import Final

from bot.store.keys import Keys

KINDS: Final = {
    "audit": "stream",
    "seq": "string",
    "due": "zset",
    "request:*": "hash",
    "pending:*": "string",
    "active:*": "string",
    "outbox": "zset",
    "outbox:rows": "hash",
    "outbox:dead": "list",
    "messages:*": "hash",
    "poster": "string",
    "policy": "string",
    "lockdown": "string",
    "delegations": "string",
    "store": "string",
    "replicated": "string",
    "sealer": "string",
    "shipper": "string",
    "sealed": "string",
    "submission:*": "string",
    "coalesced:*": "string",
    "answered:*": "string",
    "digest:*": "string",
    "identity:*": "string",
    "factors:*": "string",
    "factor_register": "string",
    "factor_reset:*": "string",
    "bound_person:*": "string",
    "bound_account:*": "string",
    "bound_id:*": "string",
    "bound_people": "zset",
    "shared:*": "hash",
    "shared_revoked:*": "string",
    "exposure": "zset",
    "exposure:complete": "string",
    "channel:*:waiting": "zset",
    "person:*:submits": "zset",
    "person:*:counters": "string",
    "person:*:open": "set",
    "usage:*": "string",
    "system:*:open": "set",
    "system:*:reconciling": "string",
    "system:*:reconciled:*": "string",
    "system:*:drift": "hash",
    "home_tabs:looked": "zset",
    "home_tabs:stale": "zset",
    "home_tabs:of:*": "string",
    "home_tabs:rests:*": "string",
    "directory:changed": "hash",
    "directory:changed_until": "zset",
    "directory:account_checks": "string",
    "directory:refresher": "string",
    "directory:snapshot:*": "string",
    "directory:inactive:*": "string",
    "directory:person:*": "string",
    "directory:people_wanted": "set",
    "directory:groups_wanted": "set",
    "calendar:*": "string",
    "directory:members": "string",
    "directory:members_turn": "string",
    "terminal:*": "string",
    "terminal_code:*": "string",
    "offboarding": "string",
    "offboarding:seen": "hash",
    "offboarding:hinted": "set",
    "offboarding:held": "string",
    "offboarding:confirmed": "set",
    "insights": "string",
    "insights:turn": "string",
    "insights:members": "hash",
    "home:*": "string",
}
"""What kind of value each key has in Redis; of another kind it was not written by us."""

_KINDS = [(re.compile(fnmatch.translate(name), re.ASCII), name, kind) for name, kind in KINDS.items()]
_ANY: Final = re.compile(r"jit:(?:\{[TE][A-Z0-9]{1,30}\}:)?(.+)", re.DOTALL)


def kind_of(key: str) -> tuple[str, str] | None:
    """The name that a key goes by, without whose it is, and the kind of its value; None for what is no key of ours."""
    return _named(found[1]) if (found := _ANY.fullmatch(key)) else None


@functools.lru_cache(maxsize=4096)
def _named(key: str) -> tuple[str, str] | None:
    return next(((name, kind) for pattern, name, kind in _KINDS if pattern.match(key)), None)


def kinds(keys: Keys) -> dict[str, str]:
    """Of the keys that a workspace has one of."""
    prefix = keys.due.removesuffix("due")
    return {f"{prefix}{name}": kind for name, kind in KINDS.items() if "*" not in name}
