"""Somebody who can write to Redis, seeded: each key the bot has is set, deleted, put back, swapped, renamed, expired.

They have seen everything that ever lay there, and have no key of the bot's key ring. What they make up bears a mark.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from redis.exceptions import RedisError

from bot.store.keys import Keys
from tests.chaos.adversary import inside
from tests.chaos.adversary.findings import Mutation, Mutations
from tests.chaos.adversary.kinds import Kind, Kinds, Known, ids_in
from tests.chaos.adversary.site import TEAM, TRAP
from tests.chaos.adversary.words import MARK

_EVERY = 0.2
_KEPT = 40
_WHOLE = 6
_COMMON = {"record": 8, "due": 6, "outbox": 5, "rows": 5, "audit": 6, "posts": 5, "holds": 3, "mine": 2, "ruled": 3}
SINGLE = frozenset({"lockdown", "store", "seq", "policy", "sealed", "home", "replicated"})
BRICKS = SINGLE | {"audit", "due", "outbox", "rows", "of_system", "waiting", "stakes", "staked"}
"""Keys on which everybody relies: who breaks one as a whole stops all that is new, so that is done last."""


@dataclass
class Writer:
    """The intruder. ``deck`` has the kinds of key that no episode has mutated yet."""

    redis: Any
    dice: Random
    mutations: Mutations
    known: Callable[[], Known]
    deck: list[str]
    replayed: dict[str, float] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    bold: bool = False
    """Whether what everybody relies on may be broken now."""
    ruthless: bool = False
    """Whether it stays broken."""

    def __post_init__(self) -> None:
        """Nothing was seen yet."""
        self.keys, self.kinds = Keys(TEAM), Kinds(TEAM)
        self.past: dict[str, deque[tuple[float, bytes]]] = {}
        self.wholes: deque[tuple[float, dict[str, bytes]]] = deque(maxlen=_WHOLE)
        self.rows_seen: set[str] = set()
        self.posters: list[float] = []
        """When another process than before was seen to post."""
        self._poster = b""
        self._whole_at = 0.0
        self._numbers = 0
        self._undoing: list[asyncio.Task[None]] = []

    # what they see

    async def spy(self) -> None:
        """Keep what lies there, again and again, so that it can be put back."""
        while True:
            with contextlib.suppress(RedisError, OSError):
                await self._look()
            await asyncio.sleep(_EVERY)

    async def _look(self) -> None:
        names = [name async for name in self.redis.scan_iter(match="jit:*", count=500)]
        async with self.redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.dump(name)
            pipe.hkeys(self.keys.rows)
            *dumps, rows = await pipe.execute(raise_on_error=False)
        if isinstance(rows, list):
            self.rows_seen |= {row.decode(errors="replace") for row in rows}
        now = time.time()
        there = {name.decode(): dump for name, dump in zip(names, dumps, strict=True) if isinstance(dump, bytes)}
        for name, dump in there.items():
            past = self.past.setdefault(name, deque(maxlen=_KEPT))
            if not past or past[-1][1] != dump:
                past.append((now, dump))
        if (poster := there.get(self.keys.poster, self._poster)) != self._poster:
            self._poster = poster
            self.posters.append(now)
        if now - self._whole_at > 2.0:
            self._whole_at = now
            self.wholes.append((now, there))

    async def live(self) -> dict[str, list[str]]:
        """The keys that are there, by kind."""
        found: dict[str, list[str]] = {}
        async for name in self.redis.scan_iter(match="jit:*", count=500):
            key = name.decode(errors="replace")
            if kind := self.kinds.of(key):
                found.setdefault(kind, []).append(key)
        return found

    # what they do

    async def write(self, until: float, pause: float) -> None:
        """One mutation after another until it is time to stop."""
        from tests.chaos.adversary.recipes import RECIPES

        while time.monotonic() < until:
            await asyncio.sleep(self.dice.expovariate(1 / pause))
            try:
                if self.dice.random() < 0.45:
                    await self.dice.choice(RECIPES)(self)
                else:
                    await self._one()
            except (RedisError, OSError) as error:
                self.done[f"not done: {type(error).__name__}"] += 1

    async def _one(self) -> None:
        kind = self._kind()
        live = (await self.live()).get(kind.name, [])
        if kind.name in BRICKS and not live and not self.bold:
            return
        ops: list[tuple[str, Callable[[Kind, str], Awaitable[str | None]]]] = [
            ("set", self._set),
            ("delete", self._delete),
            ("put back", self._put_back),
            ("swap", self._swap),
            ("rename", self._rename),
            ("expire", self._expire),
            ("inside", self._inside),
        ]
        weights = [2, 2, 4, 2, 1, 2, 6] if kind.name not in BRICKS or self.bold else [0, 0, 0, 0, 0, 0, 1]
        op, do = self.dice.choices(ops, weights)[0]
        if not live:
            op, do = "set", self._set
        key = self.dice.choice(sorted(live)) if live else self.known().key(kind, self.dice)
        before = await self.redis.dump(key)
        said = await do(kind, key)
        if said is None:
            return
        self.note(kind.name, op, said, key)
        if (
            not self.ruthless
            and (kind.name in BRICKS or not kind.arguments)
            and (op != "inside" or kind.name in SINGLE)
        ):
            # Put as it was a little later: they cover their tracks, and what depends on it goes on.
            self._undo(key, before)

    def _undo(self, key: str, before: bytes | None) -> None:
        async def undo() -> None:
            await asyncio.sleep(self.dice.uniform(0.2, 2.0))
            with contextlib.suppress(RedisError, OSError):
                await (self.redis.delete(key) if before is None else self.restore(key, before))
                self.note(self.kinds.of(key), "put as it was", key)

        self._undoing.append(asyncio.create_task(undo()))

    async def undone(self) -> None:
        """Wait until all that is to be put as it was is."""
        await asyncio.gather(*self._undoing)

    def _kind(self) -> Kind:
        """Those first that nobody has mutated; then by how much depends on them."""
        untouched = [name for name in self.deck if self.bold or name not in SINGLE]
        if untouched and self.dice.random() < 0.5:
            name = untouched[0]
        else:
            names = [kind.name for kind in self.kinds.all if self.bold or kind.name not in SINGLE]
            name = self.dice.choices(names, [_COMMON.get(each, 1) for each in names])[0]
        return self.kinds.named[name]

    def mark(self) -> str:
        """A name that the bot never gives: of a request, a field, a member, a kind."""
        self._numbers += 1
        return f"ZNM{self._numbers:05d}Z"

    def words(self) -> str:
        """What the bot never says."""
        self._numbers += 1
        return f"ZWD{self._numbers:05d}Z"

    def note(self, kind: str, op: str, said: str, *where: str | bytes, marks: Sequence[str] = ()) -> None:
        """Write down what was done, and that the kind of key has had its turn."""
        mutations = self.mutations
        mutation = Mutation(len(mutations.done) + 1, time.time(), kind, op, said[:300], ids_in(said, *where))
        mutations.add(mutation)
        self.done[op] += 1
        if kind in self.deck:
            self.deck.remove(kind)
        for mark in (*marks, *MARK.findall(said)):
            mutations.marks.setdefault(mark, mutation)

    # whole keys

    async def _set(self, kind: Kind, key: str) -> str | None:
        name, word = self.mark(), self.words()
        await self.redis.delete(key)
        match self.dice.choice(["string", "string", "hash", "zset", "set", "list", "stream"]):
            case "string":
                await self.redis.set(key, self.dice.choice([word, "0", "9" * 12, f"{word} {TRAP} 1.0"]))
            case "hash":
                await self.redis.hset(key, mapping={name: word, "version": "9", "body": word, "seal": word})
            case "zset":
                await self.redis.zadd(key, {name: time.time()})
            case "set":
                await self.redis.sadd(key, name)
            case "list":
                await self.redis.rpush(key, word)
            case _:
                await self.redis.xadd(key, {"id": name, "version": "1", "kind": "granted", "event": word})
        return f"{key} to what bears {name} {word}"

    async def _delete(self, kind: Kind, key: str) -> str | None:
        await self.redis.delete(key)
        return key

    async def _put_back(self, kind: Kind, key: str) -> str | None:
        past = self.past.get(key)
        if not past:
            return None
        at, dump = self.dice.choice(list(past))
        await self.restore(key, dump)
        return f"{key} as it was {time.time() - at:.1f} s ago"

    async def _swap(self, kind: Kind, key: str) -> str | None:
        others = [other for other in (await self.live()).get(kind.name, []) if other != key]
        if not others:
            return None
        other = self.dice.choice(sorted(others))
        one, two = await self.redis.dump(key), await self.redis.dump(other)
        if one is None or two is None:
            return None
        await self.restore(key, two)
        await self.restore(other, one)
        return f"{key} and {other}"

    async def _rename(self, kind: Kind, key: str) -> str | None:
        to = self.known().key(kind, self.dice) if kind.arguments else f"{key}:{self.mark()}"
        if to == key or not await self.redis.exists(key):
            return None
        await self.redis.rename(key, to)
        return f"{key} to {to}"

    async def _expire(self, kind: Kind, key: str) -> str | None:
        match self.dice.choice(["soon", "soon", "never", "late"]):
            case "soon":
                await self.redis.pexpire(key, self.dice.randint(1, 3000))
                return f"{key} soon"
            case "never":
                await self.redis.persist(key)
                return f"{key} never"
            case _:
                await self.redis.expire(key, 10**7)
                return f"{key} late"

    async def restore(self, key: str, dump: bytes) -> None:
        """Put a value there, whatever is there now; it lapses never."""
        await self.redis.restore(key, 0, dump, replace=True)

    async def _inside(self, kind: Kind, key: str) -> str | None:
        return await inside.change(self, key)

    async def add(self, key: str, fields: Any) -> str:
        """An entry as the bot's scripts write one: the counter moved, and under its number."""
        seq = await self.redis.incr(self.keys.seq) if key == self.keys.audit else 0
        new = await self.redis.xadd(key, fields, id=f"{seq}-0" if seq else "*")
        return str(new.decode())

    # for recipes

    async def ids(self) -> list[str]:
        """The requests whose records were ever seen."""
        prefix = self.keys.record("")
        return sorted(name.removeprefix(prefix) for name in self.past if name.startswith(prefix))

    def records(self, id_: str) -> list[tuple[float, bytes]]:
        """Each record of a request that was seen, the first one first."""
        return list(self.past.get(self.keys.record(id_), ()))

    async def due_now(self, id_: str) -> None:
        """Have the bot act on it."""
        await self.redis.zadd(self.keys.due, {id_: time.time()})
        await self.redis.publish(self.keys.wake, id_)

    async def ask(self, row: str, version: int | str = 99) -> None:
        """A notice, asked for past the bot."""
        await self.redis.hset(self.keys.rows, row, str(version))
        await self.redis.zadd(self.keys.outbox, {row: 0.0})
        await self.redis.publish(self.keys.wake, "")
        self.replayed.setdefault(row, time.time())
