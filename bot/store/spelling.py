"""A change as the keys and words that commit.lua reads; it sends nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bot.core.deadlines import due
from bot.core.lifecycle import AT_STAKE, OPEN
from bot.core.model import Request, State
from bot.core.notices import notices
from bot.core.rules import WINDOW
from bot.store.changes import Change, Guard, Op
from bot.store.keys import Keys
from bot.store.sealing import Sealing
from bot.store.wire import milliseconds, stamp

SUBMIT_WINDOW = 600
"""Seconds over which a person's submits are counted."""
_DAY = 86_400
_ONCE = 3_600

Words = list[str | int | bytes]


@dataclass(frozen=True)
class Spelling:
    """How the changes of one workspace are spelled. ``retention``: see `Store`."""

    keys: Keys
    sealing: Sealing
    retention: int

    def spell(self, change: Change) -> tuple[list[str], Words]:
        """The keys and the words of commit.lua, in the order that it tells."""
        after = change.after
        keys = _Numbered(self._fixed_keys(after.id))
        rows = [f"{after.id}|{audience}" for audience in notices(after, change.event)]
        ops = (*change.ops, *self._indexed(change))
        words = [*self._fixed_words(change), len(rows), *rows, len(change.guards)]
        # A guard or an op is one argument, its words on lines: a hundred short arguments cost more than the script.
        words += ["\n".join((g.word, keys.number(g.key), g.a, g.b)) for g in change.guards]
        words.append(len(ops))
        words += ["\n".join((op.command, keys.number(op.key), *op.words)) for op in ops]
        return keys.all, words

    def submission(self, request: Request, token: str, revision: str) -> tuple[tuple[Guard, ...], tuple[Op, ...]]:
        """What a new request adds to the commit: the person's counters hold still, and a token is used once."""
        k, person, at = self.keys, request.asker.id, stamp(request.created_at)
        # Asked lately is counted, and for as long as requests can be read it is what the person asked before.
        kept = max(self.retention, SUBMIT_WINDOW)
        guards = [Guard("EQUALS", k.revision(person), revision)]
        ops = [
            # An id that is drawn again has no messages of its former life.
            Op("DEL", k.posts(request.id), ()),
            Op("INCR", k.revision(person), ()),
            Op("EXPIRE", k.revision(person), (str(_DAY),)),
            Op("ZADD", k.submits(person), (at, request.id)),
            Op("ZREMRANGEBYSCORE", k.submits(person), ("-inf", stamp(request.created_at - kept))),
            Op("EXPIRE", k.submits(person), (str(kept),)),
        ]
        if request.rule:
            # Counted in the script that checks the revision: whoever judged by the count that was must judge again.
            ruled = k.ruled(person, request.rule.key)
            ops += [
                Op("ZADD", ruled, (at, request.id)),
                Op("ZREMRANGEBYSCORE", ruled, ("-inf", stamp(request.created_at - WINDOW))),
                Op("EXPIRE", ruled, (str(WINDOW),)),
            ]
        if token:
            guards.append(Guard("EQUALS", k.once(token), ""))
            ops.append(Op("SET", k.once(token), (request.id, "EX", str(_ONCE))))
        return tuple(guards), tuple(ops)

    def _fixed_keys(self, id_: str) -> list[str]:
        k = self.keys
        return [k.record(id_), k.due, k.audit, k.seq, k.outbox, k.rows, k.pending(id_), k.active(id_)]

    def _fixed_words(self, change: Change) -> Words:
        after = change.after
        body, seal = self.sealing.pack(after)
        return [
            after.id,
            change.before.version if change.before else 0,
            change.fence,
            stamp(change.deadline),
            after.version,
            body,
            seal,
            stamp(due(after)),
            stamp(change.lease_until),
            milliseconds(after.decide_by if after.state is State.PENDING else None),
            milliseconds(after.ends_at if after.state is State.ACTIVE else None),
            "" if after.state in OPEN else self.retention,
            self.keys.wake,
            change.event.kind,
            change.event.model_dump_json(),
        ]

    def _indexed(self, change: Change) -> list[Op]:
        """The difference that a change makes to the indexes."""
        old, new = self._indexes(change.before), self._indexes(change.after)
        ops = [Op("SADD", key, (change.after.id,)) for key in sorted(new - old)]
        ops += [Op("SREM", key, (change.after.id,)) for key in sorted(old - new)]
        was, is_ = (request is not None and request.state in AT_STAKE for request in (change.before, change.after))
        # Before a provider is called it is noted again, whichever version of this wrote what came before.
        if is_ and (not was or change.durable):
            ops.append(Op("ZADD", self.keys.stakes, ("0", stake(change.after))))
        if was and not is_:
            ops.append(Op("ZREM", self.keys.stakes, (stake(change.after),)))
        return ops + self._line(change)

    def _line(self, change: Change) -> list[Op]:
        """Who waits for a decision in a channel, in the order of asking."""
        request, line = change.after, self.keys.waiting(change.after.channel)
        waited, waits = (known is not None and known.state is State.PENDING for known in (change.before, request))
        if waits and not waited:
            return [Op("ZADD", line, (stamp(request.created_at), request.id))]
        return [Op("ZREM", line, (request.id,))] if waited and not waits else []

    def _indexes(self, request: Request | None) -> set[str]:
        if request is None or request.state not in OPEN:
            return set()
        systems = {self.keys.of_system(leg.role.system) for leg in request.legs}
        return systems | {self.keys.mine(request.asker.id)}


def stake(request: Request) -> str:
    """What somebody could lose, as it is noted: whose it is comes first, so that a person's stand together."""
    return f"{request.asker.id} {request.id}"


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
