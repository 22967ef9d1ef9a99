"""Decisions that this process acknowledged lately, compared with the store when another server answers there.

A promoted replica, or a restored backup, may have lost what was acknowledged. This process still knows its own part: a
bounded number from the last ten minutes, gone with the process. It writes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bot.core.events import ApprovedByRule
from bot.core.request import Request
from bot.store.encoding import away, text
from bot.store.store import Store
from bot.store.types import CommitOutcome

KEPT: Final = 600.0
"""Seconds for which a decision is remembered: a master may be cut off for a while before another is made one."""
MOST: Final = 10_000
_PAGE = 1000
_DECISIONS = frozenset({
    *("drafted", "consented"),
    *("submitted", "approved_by_rule", "endorsed", "approved", "denied", "cancelled", "ended_early", "closed_manually"),
    *("extension_requested", "extension_endorsed", "extension_approved", "extension_denied"),
    *("question_asked", "question_answered"),
    *("break_glass_used", "switched_to_break_glass", "break_glass_reviewed"),
})  # fmt: skip
_NOBODY = frozenset({"worker", "clock", "policy"})
"""What time, the worker and the policy do, they do again by themselves."""
_Mark = tuple[str, str, bytes]
"""An audit entry: the request's id, its version, and the digest of the event."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided. ``by``: a Slack user id or ``cli:…``; ``who``: their address where it is known.

    ``at``: by the store's clock; ``told``: when it was acknowledged, by this process' steady clock.
    """

    request: str
    version: int
    what: str
    kind: str
    by: str
    who: str
    at: float
    told: float
    digest: bytes


@dataclass
class Acknowledged:
    """The decisions that one process acknowledged."""

    kept: float = KEPT
    _known: deque[Decision] = field(default_factory=lambda: deque(maxlen=MOST))

    def heard(self, answered: CommitOutcome) -> None:
        """Remember it, if it is somebody's decision and it was written."""
        change, event = answered.change, answered.change.event
        by = event.requester.id if isinstance(event, ApprovedByRule) else event.by
        if answered.status != "OK" or event.kind not in _DECISIONS or by in _NOBODY:
            return
        now = time.monotonic()
        while self._known and now - self._known[0].told > self.kept:
            self._known.popleft()
        after, who = change.after, _who(change.after, by)
        digest = _digest(event.model_dump_json().encode())
        self._known.append(Decision(after.id, after.version, after.what, event.kind, by, who, event.at, now, digest))

    def latest(self) -> Sequence[Decision]:
        """What is remembered, the oldest first."""
        now = time.monotonic()
        return [decision for decision in self._known if now - decision.told <= self.kept]


class RecentDecisions:
    """The store, as far as it tells what it remembers. Raises `StoreAway`."""

    def __init__(self, store: Store) -> None:
        """Nothing is sent."""
        self._redis, self._keys, self._authorship = store.redis, store.keys, store.authorship

    async def server(self) -> str:
        """The name of the process that answers as the store: another one after a failover or a restart."""
        info: Any = await away(self._redis.info("server"))
        return text(info.get("run_id"))

    async def lack(self, decisions: Sequence[Decision]) -> list[Decision]:
        """Those of the decisions that are not in the record as they were acknowledged."""
        if not decisions:
            return []
        marks, first = await self._trail(min(decision.at for decision in decisions) - 1.0)
        lacking = [d for d in decisions if (d.request, str(d.version), d.digest) not in marks]
        versions = await self._versions(lacking)
        # What lies before the first entry that is still here was archived, and not lost, if the record says so, too.
        return [d for d in lacking if d.at >= first or versions[d.request] < d.version]

    async def _trail(self, since: float) -> tuple[set[_Mark], float]:
        """The entries back to some moment; and from when on there are any, infinity where there are none."""
        marks: set[_Mark] = set()
        end, first = "+", float("inf")
        while True:
            rows: Any = await away(self._redis.xrevrange(self._keys.audit, end, "-", count=_PAGE))
            for _, entry in rows:
                if not self._authorship.ours(entry):
                    continue  # nobody hides by forging it that a decision is lost
                event = entry.get(b"event", b"")
                marks.add((text(entry.get(b"id")), text(entry.get(b"version")), _digest(event)))
            if rows:
                first = _at(rows[-1][1])
            if len(rows) < _PAGE or first < since:
                return marks, first
            end = f"({text(rows[-1][0])}"

    async def _versions(self, decisions: Sequence[Decision]) -> dict[str, int]:
        ids = list({decision.request for decision in decisions})
        async with self._redis.pipeline(transaction=False) as pipe:
            for id_ in ids:
                pipe.hget(self._keys.record(id_), "version")
            found = await away(pipe.execute()) if ids else []
        return {id_: int(text(version) or 0) for id_, version in zip(ids, found, strict=True)}


def _at(entry: Mapping[bytes, bytes]) -> float:
    """When it happened, by the store's clock; what none of our scripts wrote happened long ago."""
    with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
        return float(text(entry[b"at"]) if b"at" in entry else json.loads(entry[b"event"])["at"])
    return 0.0


def _digest(event: bytes) -> bytes:
    return hashlib.sha256(event).digest()


def _who(request: Request, by: str) -> str:
    """The address of whoever decided, where the record tells it."""
    extension = request.extension.reviews if request.extension else ()
    reviewers = (review.by for review in (*request.reviews, *extension))
    people = [*request.parties, *reviewers, *(question.by for question in request.questions)]
    return next((person.email for person in people if person.id == by), by)
