"""Lost writes: reports the decisions that a failover of the store lost after they were acknowledged; it repeats none.

Every few seconds each process checks whether the same server still answers as the store. When it is another one, the
decisions that this process acknowledged lately and that are missing there are reported in the audit channel, each with
who made it, so that a person can repeat it. Orphaned access is found by reconciling (see reconcile.py).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bot.background import Loop
from bot.core.human_times import spelled
from bot.store.indexes.recent_decisions import KEPT, Acknowledged, Decision, RecentDecisions
from bot.store.store import Store

log = logging.getLogger(__name__)

INTERVAL: Final = 2.0
"""Seconds between two checks whether the same server answers."""
AUDIENCE: Final = "forgotten:#"
"""The audience of the outbox row about lost decisions, in the audit channel."""
_SHOWN = 20
_DID = {
    "submitted": "requested {what}",
    "approved_by_rule": "requested {what}, which a rule approved",
    "drafted": "requested {what} for somebody else",
    "consented": "accepted {what}",
    "break_glass_used": "used break-glass for {what}",
    "switched_to_break_glass": "used break-glass for {what}",
    "break_glass_reviewed": "reviewed the break-glass access to {what}",
    "endorsed": "gave one of the approvals of {what}",
    "approved": "approved {what}",
    "denied": "denied {what}",
    "cancelled": "cancelled {what}",
    "ended_early": "ended {what} early",
    "closed_manually": "closed {what} manually",
    "extension_requested": "requested an extension of {what}",
    "extension_endorsed": "gave one of the approvals of an extension of {what}",
    "extension_approved": "approved an extension of {what}",
    "extension_denied": "denied an extension of {what}",
    "question_asked": "asked the requester of {what} a question",
    "question_answered": "answered a question about {what}",
}


@dataclass
class LostWrites:
    """The checks of one process. ``acknowledged``: the changes that the store acknowledged to it."""

    store: Store
    acknowledged: Acknowledged
    interval: float = INTERVAL
    _server: str = field(default="", init=False)

    def __post_init__(self) -> None:
        """Build the index; nothing is sent."""
        self._decisions = RecentDecisions(self.store)

    async def run(self, stop: asyncio.Event) -> None:
        """Check until ``stop`` is set; a check that fails is retried."""
        await Loop("checking for lost writes", self._run_once, self.interval).run(stop)

    async def _run_once(self) -> None:
        await self.search()

    async def search(self) -> Sequence[Decision]:
        """The decisions acknowledged here that the server now answering lacks; each is reported by this call."""
        server = await self._decisions.server()
        if server == self._server:
            return ()
        lost = await self._decisions.lack(self.acknowledged.latest()) if self._server else []
        if lost:
            log.critical("another server answers as the store, and lacks %s of the decisions made here", len(lost))
            await self._report(lost)
        elif self._server:
            log.warning("another server now answers as the store; it has all recent decisions of this process")
        self._server = server  # last: if the report failed, the next run reports again
        return lost

    async def _report(self, lost: Sequence[Decision]) -> None:
        fields = {
            "alarm": "forgotten",
            "count": len(lost),
            "minutes": int(KEPT // 60),
            "said": [_sentence(decision) for decision in lost[:_SHOWN]],
            "decisions": [[each.request, each.version, each.kind, each.by, round(each.at, 3)] for each in lost],
        }
        await self.store.audit_event("alarm", json.dumps(fields, ensure_ascii=False), row=f"forgotten|{AUDIENCE}")


def _sentence(decision: Decision) -> str:
    did = _DID[decision.kind].format(what=decision.what)
    return f"{decision.request} · {spelled(decision.at)} · {decision.who} {did}"
