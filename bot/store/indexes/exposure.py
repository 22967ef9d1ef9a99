"""Index of users with live or pending access, kept by each commit: offboarding need not read every open request.

A store from before this index is indexed once; then a page of the open requests is compared with it at each turn, which
cures what an older version, or a forger, wrote. It has no MAC: only what a record says counts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import Any

from bot.core.lifecycle import EXPOSED
from bot.core.request import Request
from bot.store.commit_encoding import exposure_entry
from bot.store.encoding import away, script, text
from bot.store.store import Store

_PAGE = 200
"""Records that are read at once."""
_REVIEWED = 50
"""Records that are held against the index at each look."""
_MANY = 1000


class ExposureIndex:
    """The index of one workspace. All verbs raise `StoreAway`."""

    def __init__(self, store: Store) -> None:
        """Register the scripts; nothing is sent."""
        self._store, self._redis, self._keys = store, store.redis, store.keys
        self._entry, self._people = script(store.redis, "exposure"), script(store.redis, "people")
        self._reviewed = 0

    # people

    async def users_after(self, user: str, most: int) -> list[str]:
        """The next users after one, in the order of their ids; after the last one comes the first."""
        later = await self._next(user, most)
        rest = await self._next("", most - len(later)) if user and len(later) < most else []
        return later + [other for other in rest if other <= user]

    async def count_people(self) -> int:
        """How many people have live or pending access. It counts all of them, so it is for rare use."""
        count, page = 0, await self._next("", _MANY)
        while page:
            count += len(page)
            page = await self._next(page[-1], _MANY)
        return count

    async def _next(self, user: str, most: int) -> list[str]:
        if most <= 0:
            return []
        return [text(name) for name in await away(self._people(keys=[self._keys.exposure], args=[user, most]))]

    async def exposed(self, users: Collection[str]) -> set[str]:
        """The users among these who have live or pending access."""
        asked = sorted(users)
        async with self._redis.pipeline(transaction=False) as pipe:
            for user in asked:
                pipe.zlexcount(self._keys.exposure, *_of(user))
            counts = await away(pipe.execute())
        return {user for user, count in zip(asked, counts, strict=True) if count}

    async def requests_of(self, users: Sequence[str]) -> dict[str, list[Request]]:
        """The live or pending access of each, by their records; people without any are left out."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for user in users:
                pipe.zrangebylex(self._keys.exposure, *_of(user))
            noted = await away(pipe.execute())
        found: dict[str, list[Request]] = {}
        for page in _pages([text(one) for some in noted for one in some]):
            for request in await self._read(page):
                found.setdefault(request.requester.id, []).append(request)
        return found

    async def _read(self, noted: Sequence[str]) -> list[Request]:
        """What is something to lose indeed; of what is none any more, that is noted."""
        ids = {one.partition(" ")[2]: one for one in noted}
        ours = {loaded.request.id: loaded.request for loaded in await self._store.load_ours(list(ids))}
        over = [(one, ours.get(id_)) for id_, one in ids.items() if id_ not in ours or not is_exposed(ours[id_])]
        await self._note(over)
        return [request for request in ours.values() if is_exposed(request)]

    # requests

    async def ids(self) -> set[str]:
        """The requests that are something to lose. All of them are listed: for when it matters."""
        found: set[str] = set()
        while True:
            start = len(found)
            page: Any = await away(self._redis.zrange(self._keys.exposure, start, start + _MANY - 1))
            found |= {text(one).partition(" ")[2] for one in page}
            if len(page) < _MANY:
                return found

    async def load(self, ids: Collection[str]) -> list[Request]:
        """The requests with these ids, by records of ours, whether anybody could lose them or not."""
        found: list[Request] = []
        for page in _pages(sorted(ids)):
            found += [loaded.request for loaded in await self._store.load_ours(page)]
        return found

    async def open_on(self, systems: Collection[str]) -> set[str]:
        """The ids of the open requests on any of the systems."""
        if not systems:
            return set()
        found = await away(self._redis.sunion([self._keys.of_system(system) for system in systems]))
        return {text(id_) for id_ in found}

    # the index itself

    async def complete(self) -> bool:
        """Whether the index was ever built."""
        return bool(await away(self._redis.exists(self._keys.exposure_complete)))

    async def build(self, still: Callable[[], Awaitable[object]]) -> None:
        """Index all open requests of a store that has no index yet. ``still`` is called for each page."""
        ids: Any = await away(self._redis.zrange(self._keys.due, 0, -1))
        for page in _pages([text(id_) for id_ in ids]):
            await still()
            moved: Sequence[str] = page
            while moved:
                moved = await self._index(moved)
        await away(self._redis.set(self._keys.exposure_complete, "1"))

    async def repair_page(self) -> None:
        """Compare the next page of open requests with the index, and repair it."""
        ids: Any = await away(self._redis.zrange(self._keys.due, self._reviewed, self._reviewed + _REVIEWED - 1))
        self._reviewed = self._reviewed + _REVIEWED if len(ids) == _REVIEWED else 0
        await self._index([text(id_) for id_ in ids])

    async def _index(self, ids: Sequence[str]) -> list[str]:
        """Note what these are; those that moved on meanwhile are to be looked at again."""
        found = [loaded.request for loaded in await self._store.load_ours(ids)]
        return await self._note([(exposure_entry(request), request) for request in found])

    async def _note(self, noted: Sequence[tuple[str, Request | None]]) -> list[str]:
        """Note each as its record says; None where there is no record of ours, and none at all then."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for one, request in noted:
                keys = [self._keys.record(one.partition(" ")[2]), self._keys.exposure]
                words = [one, str(request.version), "1" if is_exposed(request) else ""] if request else [one, "", ""]
                await self._entry(keys=keys, args=words, client=pipe)
            answers = await away(pipe.execute())
        return [
            one.partition(" ")[2] for (one, _), answer in zip(noted, answers, strict=True) if text(answer) == "MOVED"
        ]


def is_exposed(request: Request) -> bool:
    """Whether whoever asked could lose it."""
    return request.state in EXPOSED


def _of(user: str) -> tuple[str, str]:
    """From the first to the last of a person's stakes, which begin with their id and a blank."""
    return f"[{user} ", f"({user}!"


def _pages(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE))
