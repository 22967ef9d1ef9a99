"""Which process writes an event, and by which policy it decides: put on every event as it is written; it writes none.

A person who acts in Slack is named by the event itself; Slack tells nobody from which place they do.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from bot.core.happening import Happening

E = TypeVar("E", bound=Happening)


@dataclass(frozen=True)
class Provenance:
    """``via``: ``web@host``, ``worker@host``, ``all@host`` or ``cli@host``. ``generation`` of the policy held here."""

    via: str = ""
    generation: Callable[[], str] = lambda: ""

    def of(self, event: E) -> E:
        """A request's event, with both; one that has its generation keeps it."""
        if not self.via:
            return event
        return event.model_copy(update={"via": self.via, "generation": event.generation or self.generation()})

    def on(self, event: str) -> str:
        """The same of an event that changes no request, as JSON; what is no object stays as it is."""
        if not self.via:
            return event
        said = json.loads(event)
        if not isinstance(said, dict):
            return event
        both = {"via": self.via, "generation": self.generation()}
        return json.dumps(
            said | {name: value for name, value in both.items() if name not in said},
            ensure_ascii=False,
            separators=(",", ":"),
        )


NO_PROVENANCE = Provenance()
"""Puts nothing on an event."""
