"""What a person asked for before, for as long as it can be read; it writes nothing."""

from __future__ import annotations

from typing import Any

from bot.core.model import Request
from bot.store.store import Store
from bot.store.wire import away, stamp, text


async def asked(store: Store, person: str, since: float, most: int) -> list[Request]:
    """A person's requests since a moment (Unix seconds), whatever became of them, the latest first."""
    key, after = store.keys.submits(person), f"({stamp(since)}"
    ids: Any = await away(store.redis.zrange(key, "+inf", after, desc=True, byscore=True, offset=0, num=most))
    found = await store.load_ours([text(id_) for id_ in ids])
    # An id that was drawn again may be somebody else's request by now.
    return [loaded.request for loaded in found if loaded.request.asker.id == person]
