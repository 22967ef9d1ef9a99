"""A change as the keys and words that commit.lua reads; it sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bot.core.deadlines import due
from bot.core.lifecycle import EXPOSED, OPEN
from bot.core.notifications import notices
from bot.core.request import Request, State
from bot.store.encoding import milliseconds, stamp
from bot.store.indexes.person_counters import KEPT, SUBMIT_WINDOW
from bot.store.keys import Keys
from bot.store.record_seal import Authorship, Sealing
from bot.store.types import Change, CommitGuard, ExtraWrite

BODY = 5
"""Where the packed body is among the words."""
_ONCE = 3_600

Words = list[str | int | bytes]


@dataclass(frozen=True)
class Spelling:
    """How the changes of one workspace are spelled. ``retention``: see `Store`."""

    keys: Keys
    sealing: Sealing
    authorship: Authorship
    retention: Callable[[], int]

    def spell(self, change: Change) -> tuple[list[str], Words]:
        """The keys and the words of commit.lua, in the order that it tells."""
        after = change.after
        keys = _Numbered(self._fixed_keys(after.id))
        rows = [f"{after.id}|{audience}" for audience in notices(after, change.event)]
        extra_writes = (*change.extra_writes, *self._indexed(change))
        words = [*self._fixed_words(change, "\n".join(rows)), len(change.guards)]
        # A guard, or a write, is one argument, its words on lines: a hundred short arguments cost more than the script.
        words += ["\n".join((g.kind, keys.number(g.key), g.a, g.b)) for g in change.guards]
        words.append(len(extra_writes))
        words += [
            "\n".join((extra_write.command, keys.number(extra_write.key), *extra_write.words))
            for extra_write in extra_writes
        ]
        return keys.all, words

    def submission(
        self, request: Request, token: str, read: Mapping[str, str], ledgers: Mapping[str, str]
    ) -> tuple[tuple[CommitGuard, ...], tuple[ExtraWrite, ...]]:
        """What a new request adds to the commit: the ledgers of people, over those that were read; a token's use."""
        k, person, at = self.keys, request.requester.id, stamp(request.created_at)
        # For as long as requests can be read it is known what the person asked before.
        kept = max(self.retention(), SUBMIT_WINDOW)
        written = [self.ledger(who, read[who], ledger) for who, ledger in ledgers.items()]
        guards = [guard for found, _ in written for guard in found]
        extra_writes = [
            # An id that is drawn again has no messages of its former life.
            ExtraWrite("DEL", k.posts(request.id), ()),
            *(extra_write for _, found in written for extra_write in found),
            ExtraWrite("ZADD", k.submits(person), (at, request.id)),
            ExtraWrite("ZREMRANGEBYSCORE", k.submits(person), ("-inf", stamp(request.created_at - kept))),
            ExtraWrite("EXPIRE", k.submits(person), (str(kept),)),
        ]
        if token:
            guards.append(CommitGuard("EQUALS", k.once(token), ""))
            extra_writes.append(ExtraWrite("SET", k.once(token), (request.id, "EX", str(_ONCE))))
        return tuple(guards), tuple(extra_writes)

    def ledger(self, person: str, read: str, ledger: str) -> tuple[tuple[CommitGuard, ...], tuple[ExtraWrite, ...]]:
        """A person's ledger, over the one that was read."""
        # Written in the script that checks it: a verdict that relied on the older counters fails its guard.
        key = self.keys.ledger(person)
        return (CommitGuard("EQUALS", key, read),), (ExtraWrite("SET", key, (ledger, "EX", str(KEPT))),)

    def _fixed_keys(self, id_: str) -> list[str]:
        k = self.keys
        return [k.record(id_), k.due, k.audit, k.seq, k.outbox, k.rows, k.pending(id_), k.active(id_)]

    def _fixed_words(self, change: Change, rows: str) -> Words:
        after, kind, event = change.after, change.event.kind, change.event.model_dump_json()
        when = stamp(due(after))
        body, seal = self.sealing.pack(after)
        return [
            after.id,
            change.before.version if change.before else 0,
            change.fence,
            stamp(change.deadline),
            after.version,
            body,
            seal,
            when,
            stamp(change.lease_until),
            milliseconds(after.decide_by if after.state is State.PENDING else None),
            milliseconds(after.ends_at if after.state is State.ACTIVE else None),
            "" if after.state in OPEN else self.retention(),
            self.keys.wake,
            kind,
            event,
            self.authorship.mac(after.id, str(after.version), kind, event, due=when, rows=rows),
            rows,
        ]

    def _indexed(self, change: Change) -> list[ExtraWrite]:
        """The difference that a change makes to the indexes."""
        old, new = self._indexes(change.before), self._indexes(change.after)
        extra_writes = [ExtraWrite("SADD", key, (change.after.id,)) for key in sorted(new - old)]
        extra_writes += [ExtraWrite("SREM", key, (change.after.id,)) for key in sorted(old - new)]
        was, is_ = (request is not None and request.state in EXPOSED for request in (change.before, change.after))
        # Before a provider is called it is noted again, whichever version of this wrote what came before.
        if is_ and (not was or change.durable):
            extra_writes.append(ExtraWrite("ZADD", self.keys.exposure, ("0", exposure_entry(change.after))))
        if was and not is_:
            extra_writes.append(ExtraWrite("ZREM", self.keys.exposure, (exposure_entry(change.after),)))
        return extra_writes + self._line(change)

    def unindexed(self, request: Request) -> tuple[ExtraWrite, ...]:
        """Removes a closed request from every index."""
        keys = {self.keys.of_system(leg.role.system) for leg in request.legs}
        keys |= {self.keys.mine(person.id) for person in request.parties}
        extra_writes = [ExtraWrite("SREM", key, (request.id,)) for key in sorted(keys)]
        extra_writes.append(ExtraWrite("ZREM", self.keys.exposure, (exposure_entry(request),)))
        extra_writes += [ExtraWrite("ZREM", self.keys.waiting(channel), (request.id,)) for channel in request.channels]
        return tuple(extra_writes)

    def _line(self, change: Change) -> list[ExtraWrite]:
        """Who waits for a decision in each of its channels, in the order of asking."""
        request, lines = change.after, [self.keys.waiting(channel) for channel in change.after.channels]
        waited, waits = (known is not None and known.state is State.PENDING for known in (change.before, request))
        if waits and not waited:
            return [ExtraWrite("ZADD", line, (stamp(request.created_at), request.id)) for line in lines]
        return [ExtraWrite("ZREM", line, (request.id,)) for line in lines] if waited and not waits else []

    def _indexes(self, request: Request | None) -> set[str]:
        if request is None or request.state not in OPEN:
            return set()
        systems = {self.keys.of_system(leg.role.system) for leg in request.legs}
        return systems | {self.keys.mine(person.id) for person in request.parties}


def exposure_entry(request: Request) -> str:
    """What somebody could lose, as it is noted: whose it is comes first, so that a person's stand together."""
    return f"{request.requester.id} {request.id}"


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
