"""Requests in Redis: records with a MAC, one due set, one commit script; nothing else writes a request.

It decides nothing. Every read returns Redis `TIME`, the ``now`` of every decision on what was read.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from redis.asyncio import Redis

from bot.core import lifecycle
from bot.core.errors import Late, RolledBack, StoreAway, Tampered
from bot.core.events import RecordRestored
from bot.core.lockdown import BEGINS
from bot.core.request import Request
from bot.store.batching import Together
from bot.store.commit_encoding import BODY, Spelling
from bot.store.due_set import DueSet
from bot.store.durability import Barrier
from bot.store.encoding import away, raised, script, seconds, stamp, text
from bot.store.forged_values import ForgedValues
from bot.store.high_water import HighWaterMarks
from bot.store.identities import Identities
from bot.store.indexes.person_counters import SUBMIT_WINDOW, PersonLedger, PersonLedgers
from bot.store.indexes.usage import UsageStore
from bot.store.keyring import KeyRing
from bot.store.keys import Keys
from bot.store.leases import Leases
from bot.store.lockdowns import LockdownStore
from bot.store.policy_generation import PolicyGeneration
from bot.store.provenance import NO_PROVENANCE, Provenance
from bot.store.quarantine import quarantine_wrong_types
from bot.store.recent_writes import RecentWrites
from bot.store.record_seal import Authorship, Sealing
from bot.store.types import Change, CommitOutcome, CommitParts, GuardFailed, Loaded, NotSafe, PersonCounters, Superseded
from bot.store.workspace_values import workspace_values

log = logging.getLogger(__name__)

_MONTH = 30 * 86_400
_ALARMED = 86_400
_LOCK_TRIES = 5
"""How often a commit is tried again when lockdowns change meanwhile."""


@dataclass
class Store:
    """One workspace's requests. ``retention`` in seconds, of today's policy: how long an ended request can be read.

    ``replicas``: how many must have the record of an attempt before it is made; None for what is found (`Barrier`).
    ``watch`` observes the outcome of each change, and raises nothing. ``provenance``: what each event says about the
    process that writes it.
    """

    redis: Redis
    workspace: str
    ring: KeyRing
    retention: int = _MONTH
    replicas: int | None = None
    watch: Callable[[CommitOutcome], None] = lambda _: None
    provenance: Provenance = NO_PROVENANCE
    keys: Keys = field(init=False)
    _told_back: set[str] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        """Name the keys and register the scripts; nothing is sent before the first call."""
        self.keys = Keys(self.workspace)
        self._sealing = Sealing(self.workspace, self.ring)
        self.authorship, self.high_water_marks = Authorship(self.workspace, self.ring), HighWaterMarks()
        self.forged_values, self.foreign_keys = ForgedValues(self.ring), set[str]()
        self._ledgers = PersonLedgers(self.authorship, self.keys, self.forged_values)
        self._spelling = Spelling(self.keys, self._sealing, self.authorship, lambda: self.retention)
        self._commit, self._note, self._counters, self._discard = (
            script(self.redis, name) for name in ("commit", "note", "counters", "discard")
        )
        self.leases = Leases(self.redis, self.ring, self.now)
        self.recent_writes = RecentWrites()
        self._together = Together(self.redis, self._commit)
        self._barrier = Barrier(self.redis, self.keys, self._commit, self.replicas)
        self.due_set = DueSet(self.redis, self.keys, self._sealing, self.high_water_marks, self.foreign_keys)
        self.usage = UsageStore(self.redis, self.keys, self.authorship, self.forged_values, self.load_ours)
        self.identities = Identities(self.redis, self.keys, self.authorship, self.forged_values)
        self.policy = PolicyGeneration(self.redis, self.keys, self.provenance.via, self.now, self.event_args)
        self.lockdowns = LockdownStore(
            self.redis, self.keys, self.ring, self.workspace, self.audit_event, self.event_args
        )
        values = workspace_values(self.redis, self.keys, self.ring, self.audit_event, self.event_args)
        self.delegations, self.members, self.factors = values.delegations, values.members, values.factors

    # reading

    async def now(self) -> float:
        """Redis `TIME`, Unix seconds."""
        return seconds(await away(self.redis.time()))

    async def load(self, id_: str) -> Loaded | None:
        """A request by its id, or None. Raises `Tampered` where its MAC is wrong.

        A record older than its high-water mark raises an alarm and is marked (`Loaded.back`): it can be closed, and
        nothing else is done with it.
        """
        found = await self.load_many([id_])
        return found[0] if found else None

    async def load_many(self, ids: Sequence[str]) -> list[Loaded]:
        """Those of the requests that exist, in order. Raises `Tampered`."""
        asked = time.monotonic()
        now, rows = await self._rows(ids)
        return await self._seen([Loaded(self._sealing.open(id_, *row), now) for id_, row in rows.items()], asked)

    async def load_ours(self, ids: Sequence[str]) -> list[Loaded]:
        """Those that exist and have our MAC: one that has not, which is alarmed elsewhere, hides no other."""
        asked = time.monotonic()
        now, rows = await self._rows(ids)
        found: list[Loaded] = []
        for id_, row in rows.items():
            with contextlib.suppress(Tampered):
                found.append(Loaded(self._sealing.open(id_, *row), now))
        return await self._seen(found, asked)

    async def _seen(self, found: list[Loaded], asked: float) -> list[Loaded]:
        """The same, each compared with its high-water mark."""
        back = {loaded.request.id for loaded in found if self.high_water_marks.is_rolled_back(loaded.request, asked)}
        for id_ in back:
            await self.alarm_rolled_back(id_)
        return [replace(loaded, rolled_back=True) if loaded.request.id in back else loaded for loaded in found]

    async def _rows(self, ids: Sequence[str]) -> tuple[float, dict[str, Any]]:
        if not ids:
            return 0.0, {}
        async with self.redis.pipeline(transaction=False) as pipe:
            pipe.time()
            for id_ in ids:
                pipe.hmget(self.keys.record(id_), ["version", "body", "seal"])
            time, *rows = await away(pipe.execute(raise_on_error=False))
        for n, row in enumerate(rows):
            # A key of another type in place of a record is foreign; it must not make the other reads fail.
            if isinstance(row, Exception) and str(row).startswith("WRONGTYPE"):
                rows[n] = [None, b"", None]
        if wrong := [row for row in (time, *rows) if isinstance(row, Exception)]:
            await away(raised(wrong[0]))
        return seconds(time), {id_: row for id_, row in zip(ids, rows, strict=True) if row[1] is not None}

    async def counters(self, person: str, rules: Sequence[str] = ()) -> PersonCounters:
        """What a verdict on a new request relies on; ``rules`` by their keys."""
        keys = [self.keys.ledger(person), self.keys.mine(person)]
        newest = self._ledgers.newest(person)
        now, read, *found = await away(self._counters(keys=keys, args=[]))
        ledger = self._ledgers.read(person, text(read), at := float(now), newest)
        open_ids = tuple(sorted({*ledger.open, *(text(id_) for id_ in found)}))
        return PersonCounters(
            ledger, text(read), open_ids, ledger.asked_within(SUBMIT_WINDOW, at), at, ledger.uses(rules, at)
        )

    async def request_of_token(self, token: str) -> str | None:
        """The request that a submission's token led to."""
        found = await away(self.redis.get(self.keys.once(token)))
        return None if found is None else text(found)

    async def forget_token(self, token: str) -> None:
        """Make the token usable again: what it led to is gone."""
        await away(self.redis.delete(self.keys.once(token)))

    async def open_of(self, person: str) -> list[Loaded]:
        """A person's open requests, the latest first."""
        ids = await away(self.redis.smembers(self.keys.mine(person)))
        return _latest(await self.load_ours([text(i) for i in ids]))

    async def open_on(self, systems: Sequence[str]) -> list[Loaded]:
        """The open requests on any of the systems, the latest first."""
        if not systems:
            return []
        keys = [self.keys.of_system(system) for system in systems]
        await quarantine_wrong_types(self.redis, dict.fromkeys(keys, "set"))
        ids = await away(self.redis.sunion(keys))
        return _latest(await self.load_ours([text(i) for i in ids]))

    async def open_at_all(self) -> list[Loaded]:
        """Every open request, the longest overdue first; records without our MAC, alarmed elsewhere, are left out."""
        ids: Any = await away(self.redis.zrange(self.keys.due, 0, -1))
        return await self.load_ours([text(id_) for id_ in ids])

    # writing

    async def recognise(self) -> str:
        """Note which store this is, once, at the start of a process: in another one nothing is granted. Its id."""
        return await self._barrier.begin()

    async def commit(self, change: Change) -> float:
        """Write it, or say why not: `Superseded`, `Late`, `GuardFailed`. Answers Redis' time.

        Before a provider is called: `OtherStore`, and `Unreplicated` where it is written and does not count. What
        begins or lengthens access: `LockedDown`, and `RolledBack` where the record was put back.
        """
        change = replace(change, event=self.provenance.of(change.event))
        if change.event.kind not in BEGINS:
            return await self._commit_once(change)
        if change.before and self.high_water_marks.is_distrusted(change.before):
            raise RolledBack(change.before.id)
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
        keys, words = self._spelling.spell(change)
        answer = await self._watched(change, keys, words)
        match text(answer[0]):
            case "OK":
                self.high_water_marks.wrote(change.after)
                self.recent_writes.add(change.after, cast("bytes", words[BODY]))
                return float(answer[1])
            case "SUPERSEDED":
                raise Superseded(change.after.id)
            case "LATE":
                raise Late(change.after.id, cast("float", change.deadline))
            case _:
                raise self._barrier.failed(change.guards[int(answer[2]) - 1])

    async def _watched(self, change: Change, keys: Sequence[str], words: Sequence[Any]) -> Any:
        """The script's answer, reported to `watch`."""
        began = time.monotonic()
        try:
            answer = await (self._barrier.commit(keys, words) if change.durable else away(self._together(keys, words)))
        except (StoreAway, NotSafe) as error:
            word = "AWAY" if isinstance(error, StoreAway) else "UNSAFE"
            self.watch(CommitOutcome(change, word, 0.0, time.monotonic() - began))
            raise
        self.watch(CommitOutcome(change, text(answer[0]), float(answer[1]), time.monotonic() - began))
        return answer

    def submission(self, request: Request, token: str, counters: Mapping[str, PersonCounters]) -> CommitParts:
        """What a new request adds to the commit: guards on ``counters``, by person, and a token that is used once."""
        read = {person: each.ledger_raw for person, each in counters.items()}
        after = {person: each.after(request, person) for person, each in counters.items()}
        return self._spelling.submission(request, token, read, self._ledgers.all_sealed(after))

    def ledger(self, person: str, counters: PersonCounters, after: PersonLedger) -> CommitParts:
        """What a person's ledger adds to the commit that it counts: a guard on the one that was read, and the next."""
        return self._spelling.ledger(person, counters.ledger_raw, self._ledgers.sealed(person, after))

    def ledgers_committed(self, ledgers: Mapping[str, PersonLedger]) -> None:
        """The commit with these ledgers is written: no older ones of these people are believed from here on."""
        for person, ledger in ledgers.items():
            self._ledgers.seen(person, ledger)

    async def audit_event(
        self, kind: str, event: str, *, id_: str = "", window: int = 0, once: str = "", row: str = ""
    ) -> bool:
        """Write an audit event that changes no request; False when it repeats one of the same ``once``.

        ``row``: its notification, ``<request>|<audience>``, in which ``#`` becomes the event's number.
        """
        k, seen = self.keys, self.keys.seen(once or kind)
        async with self.redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.get(seen)
            time, known = await away(pipe.execute(raise_on_error=False))
        if isinstance(time, Exception):
            await away(raised(time))
        at, known = seconds(time), b"" if isinstance(known, Exception) else known or b""
        if window and self.authorship.marked(seen, text(known), at, window):
            return False
        arguments = self.event_args(kind, event, at, id_=id_, rows=(row,) if row else ())
        mark = self.authorship.mark(seen, at) if window else ""
        answer = await away(self._note(keys=[*self.event_keys, seen], args=[window, known, mark, k.wake, *arguments]))
        return text(answer[0]) == "WRITTEN"

    def event_args(
        self, kind: str, event: str, at: float, *, id_: str = "", rows: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """An event that changes no request, signed: as the scripts read it (see `say` in event.lua)."""
        event, when, lines = self.provenance.on(event), stamp(at), "\n".join(rows)
        mac = self.authorship.mac(id_, "0", kind, event, at=when, rows=lines)
        return id_, kind, event, when, lines, mac

    @property
    def event_keys(self) -> tuple[str, str, str, str]:
        """The keys that each script begins with that writes such an event."""
        return self.keys.audit, self.keys.seq, self.keys.outbox, self.keys.rows

    async def alarm(self, kind: str, id_: str) -> None:
        """Something is wrong with a record: audited and posted in the audit channel once a day."""
        event = f'{{"alarm":"{kind}"}}'
        await self.audit_event("alarm", event, id_=id_, window=_ALARMED, once=f"{kind} {id_}", row=f"{id_}|{kind}:#")

    async def restore(self, truth: Request, instead: Request | None) -> bool:
        """Rebuild a request's record from its events. False where another record came meanwhile.

        ``instead``: the record that was compared and is replaced; None where there was none, or none of ours.
        """
        seen, current = await self._standing(truth.id)
        if current and (instead is None or current.lineage != instead.lineage):
            return False
        mark = self.high_water_marks.newest(truth.id)
        versions = (truth.version, current.version if current else 0, mark.version if mark else 0)
        event = self.provenance.of(RecordRestored(at=await self.now(), version=max(versions) + 1))
        after = lifecycle.advance(truth, event)
        await away(self._discard(keys=[self.keys.record(truth.id)], args=[seen]))
        extra_writes = self._spelling.unindexed(after) if after.state not in lifecycle.OPEN else ()
        try:
            await self._commit_once(Change(None, after, event, extra_writes=extra_writes))
        except Superseded:
            return False
        self._told_back.discard(truth.id)
        log.warning("%s: its record is written again as the audit log tells it: %s", truth.id, after.state)
        return True

    async def _standing(self, id_: str) -> tuple[bytes, Request | None]:
        """What is in place of a record: its MAC, ours or not, and the record if the MAC is ours."""
        if text(await away(self.redis.type(self.keys.record(id_)))) != "hash":
            return b"", None
        row: Any = await away(self.redis.hmget(self.keys.record(id_), ["version", "body", "seal"]))
        with contextlib.suppress(Tampered):
            return row[2], self._sealing.open(id_, *row)
        return row[2] or b"", None

    async def alarm_rolled_back(self, id_: str) -> None:
        """A record with our MAC is older than its high-water mark: one alarm."""
        if id_ in self._told_back:
            return
        self._told_back.add(id_)
        log.critical("%s: its record is older than what is known of it: somebody, or a failover, put it back", id_)
        await self.alarm("rolled_back", id_)

    async def lease(self, key: str, holder: str, seconds: float) -> bool:
        """Take or renew a named lease; 0 seconds gives it up."""
        return await self.leases.take(key, holder, seconds)


def _latest(found: list[Loaded]) -> list[Loaded]:
    return sorted(found, key=lambda loaded: loaded.request.created_at, reverse=True)
