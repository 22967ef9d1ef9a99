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
class News:
    """What was written. ``due``: when it is to be worked on next, Unix seconds; None when it is over."""

    id: str
    version: int
    due: float | None


@dataclass
class Remembered:
    """What one process wrote. ``most``: see `MOST`."""

    most: int = MOST
    _bodies: OrderedDict[str, bytes] = field(default_factory=OrderedDict)
    _news: dict[str, News] = field(default_factory=dict)

    def wrote(self, request: Request, body: bytes) -> None:
        """It is in the store; ``body`` as it was packed for it."""
        self._news[request.id] = News(request.id, request.version, deadlines.due(request))
        if len(self._news) > self.most:  # nobody asks
            self._news.clear()
        self._bodies.pop(request.id, None)
        if request.state not in MAY_HAVE_ACCESS:
            return
        self._bodies[request.id] = body
        if len(self._bodies) > self.most:
            self._bodies.popitem(last=False)

    def news(self) -> list[News]:
        """What was written since somebody asked last, the latest of each request."""
        found, self._news = self._news, {}
        return list(found.values())

    def of(self, id_: str) -> Request | None:
        """The request, if its access may have been open when this process wrote it last."""
        body = self._bodies.get(id_)
        return Request.model_validate_json(zlib.decompress(body)) if body else None
