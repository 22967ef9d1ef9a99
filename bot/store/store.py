"""Requests in Redis: sealed bodies, one due set, one commit script; nothing else writes a request.

It decides nothing. Every read brings Redis `TIME`, which is the ``now`` of whatever is decided on it.
"""

from __future__ import annotations

import contextlib
import math
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final, TypeVar, cast

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from bot.core.errors import Late, StoreAway, Tampered
from bot.core.events import EVENT, Event
from bot.core.lifecycle import OPEN, due
from bot.core.model import Request, State
from bot.core.notices import notices
from bot.keyring import KeyRing
from bot.store.keys import Keys

SEAL = "request"
"""What the key ring's subkey for bodies is called."""
SUBMIT_WINDOW = 600
"""Seconds over which a person's submits are counted."""
T = TypeVar("T")

_DAY = 86_400
_ONCE = 3_600
_QUICK = 1
"""The level at which a body is packed: half its size for some 20 µs."""


class Superseded(Exception):
    """The record moved on since it was read, or another worker holds it: read again and judge again."""


class GuardFailed(Exception):
    """A counter that a verdict relied on has changed: judge again. ``guard`` is the one that failed."""

    def __init__(self, guard: Guard) -> None:
        """Keep which guard it was."""
        super().__init__(guard.word)
        self.guard = guard


@dataclass(frozen=True)
class Guard:
    """A condition that the commit checks in Redis; the words are explained in commit.lua."""

    word: str
    key: str
    a: str = ""
    b: str = ""


@dataclass(frozen=True)
class Op:
    """One more write in the same script, on a key that it declares."""

    command: str
    key: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Loaded:
    """A request as it was read, and when, by the store's clock."""

    request: Request
    now: float


@dataclass(frozen=True)
class Claimed:
    """A due request under a lease: ``fence`` proves that it is still ours. ``request`` is None when it is missing."""

    id: str
    fence: str
    request: Request | None
    now: float


@dataclass(frozen=True)
class Change:
    """One event on its way into the record. ``before`` is None for a new request.

    ``deadline``: the commit is refused when Redis' clock has reached it. ``lease_until``: keep the claim until
    then; without it, a commit under a fence gives the claim back.
    """

    before: Request | None
    after: Request
    event: Event
    deadline: float | None = None
    fence: str = ""
    lease_until: float | None = None
    guards: tuple[Guard, ...] = ()
    ops: tuple[Op, ...] = ()


@dataclass(frozen=True)
class Counters:
    """What a person has open and asked lately, at ``revision``."""

    revision: str
    open_ids: tuple[str, ...]
    submits: int
    now: float


@dataclass(frozen=True)
class Due:
    """What is due now, oldest first, and when the next is (None when nothing waits)."""

    ids: tuple[str, ...]
    next_at: float | None
    now: float


@dataclass
class Store:
    """One workspace's requests. ``retention`` in seconds: how long an ended request can be read."""

    redis: Redis
    workspace: str
    ring: KeyRing
    retention: int = 30 * _DAY
    keys: Keys = field(init=False)

    def __post_init__(self) -> None:
        """Name the keys and register the scripts; nothing is sent before the first call."""
        self.keys = Keys(self.workspace)
        self._commit = self._script("commit")
        self._claim = self._script("claim")
        self._free = self._script("free")
        self._note = self._script("note")
        self._counters = self._script("counters")
        self._lease = self._script("lease")

    def _script(self, name: str) -> Callable[..., Awaitable[Any]]:
        text = files("bot.store").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
        return self.redis.register_script(text)

    # reading

    async def now(self) -> float:
        """Redis `TIME`, Unix seconds."""
        return _seconds(await away(self.redis.time()))

    async def load(self, id_: str) -> Loaded | None:
        """A request by its id, or None. Raises `Tampered` when its seal does not fit."""
        found = await self.load_many([id_])
        return found[0] if found else None

    async def load_many(self, ids: Sequence[str]) -> list[Loaded]:
        """Those of the requests that exist, in order. Raises `Tampered`."""
        if not ids:
            return []
        async with self.redis.pipeline(transaction=False) as pipe:
            pipe.time()
            for id_ in ids:
                pipe.hmget(self.keys.record(id_), ["version", "body", "seal"])
            time, *rows = await away(pipe.execute())
        now = _seconds(time)
        return [Loaded(self._open(id_, *row), now) for id_, row in zip(ids, rows, strict=True) if row[1] is not None]

    async def counters(self, person: str) -> Counters:
        """What a verdict on a new request relies on."""
        keys = [self.keys.revision(person), self.keys.mine(person), self.keys.submits(person)]
        now, revision, lately, *open_ids = await away(self._counters(keys=keys, args=[SUBMIT_WINDOW]))
        return Counters(_text(revision), tuple(sorted(_text(i) for i in open_ids)), int(lately), float(now))

    async def asked_by(self, token: str) -> str | None:
        """The request that a submission's token led to."""
        found = await away(self.redis.get(self.keys.once(token)))
        return None if found is None else _text(found)

    async def open_of(self, person: str) -> list[Loaded]:
        """A person's open requests, the latest first."""
        ids = await away(self.redis.smembers(self.keys.mine(person)))
        return _latest(await self.load_many([_text(i) for i in ids]))

    async def open_on(self, systems: Sequence[str]) -> list[Loaded]:
        """The open requests on any of the systems, the latest first."""
        if not systems:
            return []
        ids = await away(self.redis.sunion([self.keys.of_system(s) for s in systems]))
        return _latest(await self.load_many([_text(i) for i in ids]))

    async def open_at_all(self) -> list[Loaded]:
        """Every open request, the longest overdue first; what bears no seal of ours is left out, and told elsewhere."""
        ids: Any = await away(self.redis.zrange(self.keys.due, 0, -1))
        found: list[Loaded] = []
        for id_ in ids:
            with contextlib.suppress(Tampered):
                found += await self.load_many([_text(id_)])
        return found

    async def event(self, seq: int) -> tuple[str, Event] | None:
        """An audit event that changed a request, by its number: the request's id and the event."""
        found: Any = await away(self.redis.xrange(self.keys.audit, f"{seq}-0", f"{seq}-0"))
        if not found or found[0][1][b"version"] == b"0":
            return None
        entry = found[0][1]
        return _text(entry[b"id"]), EVENT.validate_json(entry[b"event"])

    async def holders(self, native: str) -> Mapping[str, str]:
        """The orders that hold a native entitlement: ``held`` or ``closing`` by order id."""
        found = await away(self.redis.hgetall(self.keys.holds(native)))
        return {_text(k): _text(v) for k, v in found.items()}

    # writing

    async def commit(self, change: Change) -> float:
        """Write it, or say why not: `Superseded`, `Late`, `GuardFailed`. Answers Redis' time."""
        keys, words = self._spell(change)
        answer = await away(self._commit(keys=keys, args=words))
        match _text(answer[0]):
            case "OK":
                return float(answer[1])
            case "SUPERSEDED":
                raise Superseded(change.after.id)
            case "LATE":
                raise Late(change.after.id, cast("float", change.deadline))
            case _:
                raise GuardFailed(change.guards[int(answer[2]) - 1])

    async def note(self, kind: str, event: str, *, id_: str = "", window: int = 0, once: str = "") -> bool:
        """Write an audit event that changes no request; False when it repeats one of the same ``once``."""
        keys = [self.keys.audit, self.keys.seq, self.keys.seen(once or kind)]
        answer = await away(self._note(keys=keys, args=[id_, kind, event, window]))
        return _text(answer[0]) == "WRITTEN"

    async def alarm(self, kind: str, id_: str) -> None:
        """Something is wrong with a record: audited once an hour, and told in the audit channel."""
        if await self.note("alarm", f'{{"alarm":"{kind}"}}', id_=id_, window=3600, once=f"{kind} {id_}"):
            row = f"{id_}|{kind}"
            async with self.redis.pipeline(transaction=True) as pipe:
                pipe.hset(self.keys.rows, row, "0")
                pipe.zadd(self.keys.outbox, {row: 0.0}, nx=True)
                pipe.publish(self.keys.wake, id_)
                await away(pipe.execute())

    # time

    async def due(self, most: int) -> Due:
        """What is due, and when the next is."""
        async with self.redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zrange(self.keys.due, 0, most, withscores=True)
            time, rows = await away(pipe.execute())
        now = _seconds(time)
        ripe = tuple(_text(id_) for id_, at in rows[:most] if at <= now)
        later = [at for _, at in rows if at > now]
        return Due(ripe, now if len(ripe) == most else min(later, default=None), now)

    async def claim(self, ids: Sequence[str], lease: float) -> list[Claimed]:
        """Take those of the due requests that no other worker holds, for ``lease`` seconds.

        One whose record is missing or was tampered with comes back without a request: it stays in the due set.
        """
        async with self.redis.pipeline(transaction=False) as pipe:
            for id_ in ids:
                await self._claim(keys=[self.keys.record(id_), self.keys.due], args=[id_, lease], client=pipe)
            answers = await away(pipe.execute())
        return [
            self._claimed(id_, answer) for id_, answer in zip(ids, answers, strict=True) if _text(answer[0]) != "HELD"
        ]

    async def free(self, claimed: Claimed, not_before: float | None = None) -> bool:
        """Give a claim back; False when it is no longer ours."""
        at = "" if not_before is None else _stamp(not_before)
        keys = [self.keys.record(claimed.id), self.keys.due]
        answer = await away(self._free(keys=keys, args=[claimed.id, claimed.fence, self.keys.wake, at]))
        return _text(answer) == "FREED"

    async def lease(self, key: str, holder: str, seconds: float) -> bool:
        """Take or renew a named lease; 0 seconds gives it up."""
        answer = await away(self._lease(keys=[key], args=[holder, int(seconds * 1000)]))
        return _text(answer) == "MINE"

    # identity and policy

    async def bind(self, identity: str, user: str) -> bool:
        """Bind an e-mail address to a Slack user, once; False when it is bound to another."""
        key = self.keys.identity(identity)
        if await away(self.redis.set(key, user, nx=True)):
            return True
        return _text(await away(self.redis.get(key))) == user

    async def adopt(self, generation: str) -> None:
        """Make a policy generation the one that the workspace decides by."""
        await away(self.redis.set(self.keys.policy, generation))

    def same_policy(self, generation: str) -> Guard:
        """Holds while the workspace decides by this generation."""
        return Guard("EQUALS", self.keys.policy, generation)

    # spelling

    def seal(self, id_: str, version: int, body: bytes) -> str:
        """The tag that binds a stored body to its workspace, id and version."""
        return self.ring.mac(SEAL, f"{self.workspace}\0{id_}\0{version}\0".encode() + body)

    def _open(self, id_: str, version: bytes, body: bytes, seal: bytes | None) -> Request:
        message = f"{self.workspace}\0{id_}\0{_text(version)}\0".encode() + body
        if seal is None or not self.ring.verify(SEAL, message, _text(seal)):
            raise Tampered(id_)
        # Unpacked only now that it is known to be ours.
        return Request.model_validate_json(zlib.decompress(body))

    def _claimed(self, id_: str, answer: Sequence[bytes]) -> Claimed:
        now = float(answer[1])
        if _text(answer[0]) == "MISSING":
            return Claimed(id_, "", None, now)
        fence, version, body, seal = answer[2:]
        try:
            return Claimed(id_, _text(fence), self._open(id_, version, body, seal), now)
        except Tampered:
            return Claimed(id_, _text(fence), None, now)

    def _spell(self, change: Change) -> tuple[list[str], list[str | int | bytes]]:
        after = change.after
        body = zlib.compress(after.model_dump_json(exclude_defaults=True).encode(), _QUICK)
        keys = _Numbered(self._fixed_keys(after.id))
        ops = (*change.ops, *self._indexed(change))
        when = due(after)
        words: list[str | int | bytes] = [
            after.id,
            change.before.version if change.before else 0,
            change.fence,
            _stamp(change.deadline),
            after.version,
            body,
            self.seal(after.id, after.version, body),
            after.state,
            _stamp(when),
            _stamp(change.lease_until),
            _milliseconds(after.decide_by if after.state is State.PENDING else None),
            _milliseconds(after.ends_at if after.state is State.ACTIVE else None),
            "" if after.state in OPEN else self.retention,
            self.keys.wake,
            change.event.kind,
            change.event.model_dump_json(),
        ]
        rows = [f"{after.id}|{audience}" for audience in notices(after, change.event)]
        words += [len(rows), *rows, len(change.guards)]
        # A guard or an op is one argument, its words on lines: a hundred short arguments cost more than the script.
        words += ["\n".join((g.word, keys.number(g.key), g.a, g.b)) for g in change.guards]
        words.append(len(ops))
        words += ["\n".join((op.command, keys.number(op.key), *op.words)) for op in ops]
        return keys.all, words

    def _fixed_keys(self, id_: str) -> list[str]:
        k = self.keys
        return [k.record(id_), k.due, k.audit, k.seq, k.outbox, k.rows, k.pending(id_), k.active(id_)]

    def _indexed(self, change: Change) -> list[Op]:
        """The difference that a change makes to the indexes."""
        old, new = self._indexes(change.before), self._indexes(change.after)
        ops = [Op("SADD", key, (change.after.id,)) for key in sorted(new - old)]
        return ops + [Op("SREM", key, (change.after.id,)) for key in sorted(old - new)]

    def _indexes(self, request: Request | None) -> set[str]:
        if request is None or request.state not in OPEN:
            return set()
        systems = {self.keys.of_system(leg.role.system) for leg in request.legs}
        return systems | {self.keys.mine(request.asker.id)}

    def submission(self, request: Request, token: str, revision: str) -> tuple[tuple[Guard, ...], tuple[Op, ...]]:
        """What a new request adds to the commit: the person's counters hold still, and a token is used once."""
        k, person, at = self.keys, request.asker.id, _stamp(request.created_at)
        guards = [Guard("EQUALS", k.revision(person), revision)]
        ops = [
            Op("INCR", k.revision(person), ()),
            Op("EXPIRE", k.revision(person), (str(_DAY),)),
            Op("ZADD", k.submits(person), (at, request.id)),
            Op("ZREMRANGEBYSCORE", k.submits(person), ("-inf", _stamp(request.created_at - SUBMIT_WINDOW))),
            Op("EXPIRE", k.submits(person), (str(SUBMIT_WINDOW),)),
        ]
        if token:
            guards.append(Guard("EQUALS", k.once(token), ""))
            ops.append(Op("SET", k.once(token), (request.id, "EX", str(_ONCE))))
        return tuple(guards), tuple(ops)


class _Numbered:
    """Keys in the order in which a script gets them; each is passed once."""

    def __init__(self, fixed: list[str]) -> None:
        self.all: Final = fixed
        self._numbers: dict[str, int] = {}

    def number(self, key: str) -> str:
        if key not in self._numbers:
            self.all.append(key)
            self._numbers[key] = len(self.all)
        return str(self._numbers[key])


async def away(call: Awaitable[T]) -> T:
    """Wait for Redis; whatever keeps it from answering is one error to everyone else."""
    try:
        return await call
    except RedisConnectionError as error:
        raise StoreAway(type(error).__name__) from error
    except (RedisError, OSError) as error:
        raise StoreAway(f"{type(error).__name__}: {error}") from error


def _latest(found: list[Loaded]) -> list[Loaded]:
    return sorted(found, key=lambda loaded: loaded.request.created_at, reverse=True)


def _text(value: bytes | str | None) -> str:
    if value is None:
        return ""
    return value.decode() if isinstance(value, bytes) else value


def _seconds(time: tuple[int, int]) -> float:
    return time[0] + time[1] / 1e6


def _stamp(at: float | None) -> str:
    return "" if at is None else f"{at:.6f}"


def _milliseconds(at: float | None) -> str:
    return "" if at is None else str(math.ceil(at * 1000))
