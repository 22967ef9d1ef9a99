"""Says which decisions the store forgot after it was acknowledged that they are made; it makes none of them again.

Each process that answers people looks every few seconds whether the same server still answers as the store. When it
is another one, what this process acknowledged lately and is not there any more is told in the audit channel, each
with who decided it, so that a person can ask again. Access that no record tells of is not found here: comparing the
systems with the books is (see reconciling.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bot.core.errors import StoreAway
from bot.store.acknowledged import KEPT, Acknowledged, Books, Decision
from bot.store.store import Store
from bot.times import spelled

log = logging.getLogger(__name__)

PACE: Final = 2.0
"""Seconds between two looks at which server answers."""
AUDIENCE: Final = "forgotten:#"
_SHOWN = 20
_DID = {
    "submitted": "asked for {what}",
    "approved_by_rule": "asked for {what}, which a rule approved",
    "endorsed": "said yes to {what}",
    "approved": "approved {what}",
    "denied": "denied {what}",
    "cancelled": "took {what} back",
    "withdrawn": "had {what} closed",
    "closed_by_hand": "took {what} out of the books",
    "extension_asked": "asked for a later end of {what}",
    "extension_endorsed": "said yes to a later end of {what}",
    "extension_approved": "approved a later end of {what}",
    "extension_denied": "denied a later end of {what}",
}


@dataclass
class Forgotten:
    """The looks of one process. ``acknowledged`` is told of each change by the store."""

    store: Store
    acknowledged: Acknowledged
    pace: float = PACE
    _server: str = field(default="", init=False)
    _complaint: str = field(default="", init=False)

    def __post_init__(self) -> None:
        """Nothing is sent."""
        self._books = Books(self.store)

    async def run(self, stop: asyncio.Event) -> None:
        """Look until told to stop; what goes wrong is tried again."""
        while not stop.is_set():
            try:
                await self.look()
                self._complaint = ""
            except StoreAway as error:
                if str(error) != self._complaint:
                    log.warning("which server answers as the store is not known (it is to allow INFO): %s", error)
                self._complaint = str(error)
            except Exception:
                log.exception("what the store may have forgotten could not be looked at; it is tried again")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self.pace)

    async def look(self) -> Sequence[Decision]:
        """What was acknowledged here and forgotten by a server that answers since the last look; told by now."""
        server = await self._books.server()
        if server == self._server:
            return ()
        lost = await self._books.lack(self.acknowledged.latest()) if self._server else []
        if lost:
            log.critical("another server answers as the store, and lacks %s of the decisions made here", len(lost))
            await self._tell(lost)
        elif self._server:
            log.warning("the store is answered by another server; what was decided here lately is there")
        self._server = server
        return lost

    async def _tell(self, lost: Sequence[Decision]) -> None:
        facts = {
            "alarm": "forgotten",
            "count": len(lost),
            "minutes": int(KEPT // 60),
            "said": [_said(decision) for decision in lost[:_SHOWN]],
            "decisions": [[each.request, each.version, each.kind, each.by, round(each.at, 3)] for each in lost],
        }
        await self.store.note("alarm", json.dumps(facts, ensure_ascii=False), row=f"forgotten|{AUDIENCE}")


def _said(decision: Decision) -> str:
    did = _DID[decision.kind].format(what=decision.what)
    return f"{decision.request} · {spelled(decision.at)} · {decision.who} {did}"
