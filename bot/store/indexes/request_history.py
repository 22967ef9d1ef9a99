"""What a person asked for before, for as long as it can be read; it writes nothing."""

from __future__ import annotations

from typing import Any

from bot.core.request import Request
from bot.store.encoding import away, stamp, text
from bot.store.store import Store


async def recent(store: Store, person: str, since: float, most: int) -> list[Request]:
    """A person's requests since a moment (Unix seconds), whatever became of them, the latest first."""
    key, after = store.keys.submits(person), f"({stamp(since)}"
    ids: Any = await away(store.redis.zrange(key, "+inf", after, desc=True, byscore=True, offset=0, num=most))
    found = await store.load_ours([text(id_) for id_ in ids])
    # An id that was drawn again may be somebody else's request by now.
    return [loaded.request for loaded in found if loaded.request.requester.id == person]


async def before(store: Store, request: Request, since: float, most: int) -> list[Request] | None:
    """All that the person requested since a moment and before this request; None where not all of it can be told.

    The index may have lost ids: one that does not even know of this request is not believed. Nor is a record left out
    that is missing, of somebody else or not ours: then nothing is known.
    """
    key, after = store.keys.submits(request.requester.id), f"({stamp(since)}"
    last = stamp(request.created_at)
    read: Any = await away(store.redis.zrange(key, last, after, desc=True, byscore=True, offset=0, num=most + 2))
    ids = [text(id_) for id_ in read]
    if request.id not in ids or len(ids) > most + 1:
        return None
    found = [loaded.request for loaded in await store.load_ours(ids)]
    if len(found) != len(ids) or any(each.requester.id != request.requester.id for each in found):
        return None
    return [each for each in found if each.id != request.id]
