"""Requests in Redis: sealed bodies, one due set, one commit script; nothing else writes a request.

It decides nothing. Every read brings Redis `TIME`, which is the ``now`` of whatever is decided on it.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from redis.asyncio import Redis

from bot.core.errors import Late, StoreAway, Tampered
from bot.core.events import EVENT, Event
from bot.core.lockdown import BEGINS
from bot.core.model import Request
from bot.core.rules import WINDOW
from bot.keyring import KeyRing
from bot.store.barrier import Barrier
from bot.store.changes import (
    Answered,
    Change,
    Claimed,
    Counters,
    Due,
    Guard,
    GuardFailed,
    Loaded,
    NotSafe,
    Op,
    Superseded,
)
from bot.store.keys import Keys
from bot.store.lockdowns import Lockdowns
from bot.store.sealing import Sealing
from bot.store.spelling import SUBMIT_WINDOW, Spelling
from bot.store.together import Together
from bot.store.whence import NOWHERE, Whence
from bot.store.wire import away, script, seconds, stamp, text

_MONTH = 30 * 86_400
_POLICY = "policy|policy:#"
_LOCK_TRIES = 5
"""How often a commit is judged again since the lockdowns were changed meanwhile."""


@dataclass
class Store:
    """One workspace's requests. ``retention`` in seconds: how long an ended request can be read.

    ``replicas``: how many must have the record of an attempt before it is made; None for what is found (`Barrier`).
    ``watch`` is told what became of each change; it changes nothing, and raises nothing. ``whence``: what each event
    bears about the process that writes it.
    """

    redis: Redis
    workspace: str
    ring: KeyRing
    retention: int = _MONTH
    replicas: int | None = None
    watch: Callable[[Answered], None] = lambda _: None
    whence: Whence = NOWHERE
    keys: Keys = field(init=False)

    def __post_init__(self) -> None:
        """Name the keys and register the scripts; nothing is sent before the first call."""
        self.keys = Keys(self.workspace)
        self._sealing = Sealing(self.workspace, self.ring)
        self._spelling = Spelling(self.keys, self._sealing, self.retention)
        self._commit, self._claim, self._free, self._keep, self._note, self._counters, self._lease = (
            script(self.redis, name) for name in ("commit", "claim", "free", "keep", "note", "counters", "lease")
        )
        self._together = Together(self.redis, self._commit)
        self._barrier = Barrier(self.redis, self.keys, self._commit, self.replicas)
        self.lockdowns = Lockdowns(self.redis, self.keys, self.ring, self.workspace, self.note, self.whence.on)

    # reading

    async def now(self) -> float:
        """Redis `TIME`, Unix seconds."""
        return seconds(await away(self.redis.time()))

    async def load(self, id_: str) -> Loaded | None:
        """A request by its id, or None. Raises `Tampered` when its seal does not fit."""
        found = await self.load_many([id_])
        return found[0] if found else None

    async def load_many(self, ids: Sequence[str]) -> list[Loaded]:
        """Those of the requests that exist, in order. Raises `Tampered`."""
        now, rows = await self._rows(ids)
        return [Loaded(self._sealing.open(id_, *row), now) for id_, row in rows.items()]

    async def load_ours(self, ids: Sequence[str]) -> list[Loaded]:
        """Those that exist and bear our seal: one that does not, which is told elsewhere, hides no other."""
        now, rows = await self._rows(ids)
        found: list[Loaded] = []
        for id_, row in rows.items():
            with contextlib.suppress(Tampered):
                found.append(Loaded(self._sealing.open(id_, *row), now))
        return found

    async def _rows(self, ids: Sequence[str]) -> tuple[float, dict[str, Any]]:
        if not ids:
            return 0.0, {}
        async with self.redis.pipeline(transaction=False) as pipe:
            pipe.time()
            for id_ in ids:
                pipe.hmget(self.keys.record(id_), ["version", "body", "seal"])
            time, *rows = await away(pipe.execute())
        return seconds(time), {id_: row for id_, row in zip(ids, rows, strict=True) if row[1] is not None}

    async def counters(self, person: str, rules: Sequence[str] = ()) -> Counters:
        """What a verdict on a new request relies on; ``rules`` by their keys."""
        keys = [self.keys.revision(person), self.keys.mine(person), self.keys.submits(person)]
        keys += [self.keys.ruled(person, rule) for rule in rules]
        now, revision, lately, *more = await away(self._counters(keys=keys, args=[SUBMIT_WINDOW, WINDOW]))
        ruled = {rule: int(count) for rule, count in zip(rules, more, strict=False)}
        open_ids = tuple(sorted(text(id_) for id_ in more[len(rules) :]))
        return Counters(text(revision), open_ids, int(lately), float(now), ruled)

    async def asked_by(self, token: str) -> str | None:
        """The request that a submission's token led to."""
        found = await away(self.redis.get(self.keys.once(token)))
        return None if found is None else text(found)

    async def open_of(self, person: str) -> list[Loaded]:
        """A person's open requests, the latest first."""
        ids = await away(self.redis.smembers(self.keys.mine(person)))
        return _latest(await self.load_ours([text(i) for i in ids]))

    async def open_on(self, systems: Sequence[str]) -> list[Loaded]:
        """The open requests on any of the systems, the latest first."""
        if not systems:
            return []
        ids = await away(self.redis.sunion([self.keys.of_system(s) for s in systems]))
        return _latest(await self.load_ours([text(i) for i in ids]))

    async def open_at_all(self) -> list[Loaded]:
        """Every open request, the longest overdue first; what bears no seal of ours is left out, and told elsewhere."""
        ids: Any = await away(self.redis.zrange(self.keys.due, 0, -1))
        return await self.load_ours([text(id_) for id_ in ids])

    async def event(self, seq: int) -> tuple[str, Event] | None:
        """An audit event that changed a request, by its number: the request's id and the event."""
        found: Any = await away(self.redis.xrange(self.keys.audit, f"{seq}-0", f"{seq}-0"))
        if not found or found[0][1][b"version"] == b"0":
            return None
        entry = found[0][1]
        return text(entry[b"id"]), EVENT.validate_json(entry[b"event"])

    async def holders(self, native: str) -> Mapping[str, str]:
        """The orders that hold a native entitlement: ``held`` or ``closing`` by order id."""
        found = await away(self.redis.hgetall(self.keys.holds(native)))
        return {text(k): text(v) for k, v in found.items()}

    # writing

    async def recognise(self) -> str:
        """Note which store this is, once, at the start of a process: in another one nothing is opened. Its id."""
        return await self._barrier.begin()

    async def commit(self, change: Change) -> float:
        """Write it, or say why not: `Superseded`, `Late`, `GuardFailed`. Answers Redis' time.

        Before a provider is called: `OtherStore`, and `Unreplicated` where it is written and does not count. What
        begins or lengthens access: `LockedDown`.
        """
        change = replace(change, event=self.whence.of(change.event))
        if change.event.kind not in BEGINS:
            return await self._commit_once(change)
        for _ in range(_LOCK_TRIES):
            unlocked = await self.lockdowns.guard([leg.role.system for leg in change.after.legs])
            try:
                return await self._commit_once(replace(change, guards=(*change.guards, unlocked)))
            except GuardFailed as error:
                if error.guard != unlocked:
                    raise
                await self.lockdowns.read()
        raise Superseded(change.after.id)

    async def _commit_once(self, change: Change) -> float:
        if change.durable:
            change = replace(change, guards=(*change.guards, await self._barrier.same_store()))
        answer = await self._watched(change)
        match text(answer[0]):
            case "OK":
                return float(answer[1])
            case "SUPERSEDED":
                raise Superseded(change.after.id)
            case "LATE":
                raise Late(change.after.id, cast("float", change.deadline))
            case _:
                raise self._barrier.failed(change.guards[int(answer[2]) - 1])

    async def _watched(self, change: Change) -> Any:
        """The script's answer, told to whoever watches."""
        keys, words = self._spelling.spell(change)
        began = time.monotonic()
        try:
            answer = await (self._barrier.commit(keys, words) if change.durable else self._committed(keys, words))
        except (StoreAway, NotSafe) as error:
            word = "AWAY" if isinstance(error, StoreAway) else "UNSAFE"
            self.watch(Answered(change, word, 0.0, time.monotonic() - began))
            raise
        self.watch(Answered(change, text(answer[0]), float(answer[1]), time.monotonic() - began))
        return answer

    async def _committed(self, keys: Sequence[str], words: Sequence[Any]) -> Any:
        return await away(self._together(keys, words))

    def submission(self, request: Request, token: str, revision: str) -> tuple[tuple[Guard, ...], tuple[Op, ...]]:
        """What a new request adds to the commit: the person's counters hold still, and a token is used once."""
        return self._spelling.submission(request, token, revision)

    async def note(
        self, kind: str, event: str, *, id_: str = "", window: int = 0, once: str = "", row: str = ""
    ) -> bool:
        """Write an audit event that changes no request; False when it repeats one of the same ``once``.

        ``row``: the notice of it, ``<request>|<audience>``, in which ``#`` becomes the event's number.
        """
        k = self.keys
        keys = [k.audit, k.seq, k.seen(once or kind), k.outbox, k.rows]
        answer = await away(self._note(keys=keys, args=[id_, kind, self.whence.on(event), window, row, k.wake]))
        return text(answer[0]) == "WRITTEN"

    async def alarm(self, kind: str, id_: str) -> None:
        """Something is wrong with a record: audited once an hour, and told in the audit channel."""
        event = f'{{"alarm":"{kind}"}}'
        await self.note("alarm", event, id_=id_, window=3600, once=f"{kind} {id_}", row=f"{id_}|{kind}")

    # time

    async def due(self, most: int) -> Due:
        """What is due, and when the next is."""
        async with self.redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zrange(self.keys.due, 0, most, withscores=True)
            time, rows = await away(pipe.execute())
        now = seconds(time)
        ripe = tuple(text(id_) for id_, at in rows[:most] if at <= now)
        later = [at for _, at in rows if at > now]
        return Due(ripe, now if len(ripe) == most else min(later, default=None), now)

    async def claim(self, ids: Sequence[str], lease: float, fence: str) -> list[Claimed]:
        """Take those of the due requests that no other worker holds, for ``lease`` seconds.

        ``fence`` is a name for this claim that was never used before (`new_fence`): who hears no answer can still
        give back what it may have taken. One whose record is missing or was tampered with comes back without a
        request: it stays in the due set.
        """
        async with self.redis.pipeline(transaction=False) as pipe:
            for id_ in ids:
                await self._claim(keys=[self.keys.record(id_), self.keys.due], args=[id_, lease, fence], client=pipe)
            answers = await away(pipe.execute())
        return [
            self._claimed(id_, fence, answer)
            for id_, answer in zip(ids, answers, strict=True)
            if text(answer[0]) != "HELD"
        ]

    async def keep(self, claimed: Claimed, lease: float) -> bool:
        """Prolong a claim for ``lease`` seconds from now; False when it is no longer ours."""
        keys = [self.keys.record(claimed.id), self.keys.due]
        answer = await away(self._keep(keys=keys, args=[claimed.id, claimed.fence, lease]))
        return text(answer) == "KEPT"

    async def free(self, claimed: Claimed, not_before: float | None = None) -> bool:
        """Give a claim back; False when it is no longer ours."""
        at = "" if not_before is None else stamp(not_before)
        keys = [self.keys.record(claimed.id), self.keys.due]
        answer = await away(self._free(keys=keys, args=[claimed.id, claimed.fence, self.keys.wake, at]))
        return text(answer) == "FREED"

    async def lease(self, key: str, holder: str, seconds: float) -> bool:
        """Take or renew a named lease; 0 seconds gives it up."""
        answer = await away(self._lease(keys=[key], args=[holder, int(seconds * 1000)]))
        return text(answer) == "MINE"

    # identity and policy

    async def bind(self, identity: str, user: str) -> bool:
        """Bind an e-mail address to a Slack user, once; False when it is bound to another."""
        key = self.keys.identity(identity)
        if await away(self.redis.set(key, user, nx=True)):
            return True
        return text(await away(self.redis.get(key))) == user

    async def adopt(self, generation: str) -> None:
        """Make a policy generation the one that the workspace decides by; a change of it is audited, and told."""
        k = self.keys
        keys = [k.policy, k.audit, k.seq, k.outbox, k.rows]
        words = [generation, json.dumps(self.whence.via), _POLICY, k.wake]
        await away(script(self.redis, "adopt")(keys=keys, args=words))

    def same_policy(self, generation: str) -> Guard:
        """Holds while the workspace decides by this generation."""
        return Guard("EQUALS", self.keys.policy, generation)

    def _claimed(self, id_: str, fence: str, answer: Sequence[bytes]) -> Claimed:
        now = float(answer[1])
        if text(answer[0]) == "MISSING":
            return Claimed(id_, fence, None, now)
        try:
            return Claimed(id_, fence, self._sealing.open(id_, *answer[2:]), now)
        except Tampered:
            return Claimed(id_, fence, None, now)


def new_fence() -> str:
    """A name for one claim, which no other claim has."""
    return secrets.token_hex(8)


def _latest(found: list[Loaded]) -> list[Loaded]:
    return sorted(found, key=lambda loaded: loaded.request.created_at, reverse=True)
