"""Requests whose access may be open, as this process wrote them last, packed; what it knows though Redis forgets it.

Of a request that others moved on meanwhile it knows an older version: enough to close it, and never to open it.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from bot.core import deadlines
from bot.core.request import Request, State

MOST: Final = 50_000
"""Requests that are remembered, those that were written last; some 50 MB of them."""
MAY_HAVE_ACCESS: Final = frozenset({State.GRANTING, State.ACTIVE, State.REVOKING})
"""The states in which somebody may have access."""


@dataclass(frozen=True, slots=True)
class RecentWrite:
    """What was written. ``due``: when it is to be worked on next, Unix seconds; None when it is over."""

    id: str
    version: int
    due: float | None


@dataclass
class RecentWrites:
    """What one process wrote. ``most``: see `MOST`."""

    most: int = MOST
    _bodies: OrderedDict[str, bytes] = field(default_factory=OrderedDict)
    _new: dict[str, RecentWrite] = field(default_factory=dict)

    def add(self, request: Request, body: bytes) -> None:
        """It is in the store; ``body`` as it was packed for it."""
        self._new[request.id] = RecentWrite(request.id, request.version, deadlines.due(request))
        if len(self._new) > self.most:  # nobody asks
            self._new.clear()
        self._bodies.pop(request.id, None)
        if request.state not in MAY_HAVE_ACCESS:
            return
        self._bodies[request.id] = body
        if len(self._bodies) > self.most:
            self._bodies.popitem(last=False)

    def take_new(self) -> list[RecentWrite]:
        """What was written since somebody asked last, the latest of each request."""
        found, self._new = self._new, {}
        return list(found.values())

    def newest(self, id_: str) -> Request | None:
        """The request, if its access may have been open when this process wrote it last."""
        body = self._bodies.get(id_)
        return Request.model_validate_json(zlib.decompress(body)) if body else None
