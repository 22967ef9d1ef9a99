"""High-water marks: the newest version of each request that this process has seen. It does no I/O.

Somebody with write access to Redis can restore an older record with a valid MAC. A process that saw a newer version
detects that; what it never saw, or evicted, the archive knows (see audit/trail.py).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from bot.core.request import Request

MOST: Final = 50_000
"""Requests that are remembered; the least recently seen are evicted first."""
_Life = tuple[float, int]
"""Tells one life of an id from another: when it was asked for, and how often its record was restored."""


@dataclass(frozen=True, slots=True)
class HighWaterMark:
    """The newest version that was seen of one life. ``heard``: when, by this process' steady clock."""

    life: _Life
    version: int
    lineage: str
    heard: float


@dataclass
class HighWaterMarks:
    """What one process knows. ``most``: see `MOST`."""

    most: int = MOST
    _marks: OrderedDict[str, HighWaterMark] = field(default_factory=OrderedDict)
    _distrusted: OrderedDict[str, _Life] = field(default_factory=OrderedDict)

    def wrote(self, request: Request) -> None:
        """This process wrote it, or the audit trail tells of it: from here on nothing older is believed."""
        mark, life = self._marks.get(request.id), _life(request)
        if mark is None or (life, request.version) > (mark.life, mark.version):
            self._keep(request.id, HighWaterMark(life, request.version, request.lineage, time.monotonic()))

    def is_rolled_back(self, request: Request, asked: float) -> bool:
        """Whether a record that was read is older than what is known, or of another line; else it is known now.

        ``asked``: the steady clock before the store was asked: what was heard later may be newer than the answer.
        """
        mark, life = self._marks.get(request.id), _life(request)
        if mark is None or life > mark.life:
            self._keep(request.id, HighWaterMark(life, request.version, request.lineage, time.monotonic()))
            return False
        if self.is_distrusted(request):
            return True
        if life == mark.life and request.version > mark.version:
            self._keep(request.id, HighWaterMark(life, request.version, request.lineage, time.monotonic()))
            return False
        if life == mark.life and request.version == mark.version and request.lineage == mark.lineage:
            self._marks.move_to_end(request.id)
            return False
        if mark.heard > asked:
            return False
        self.distrust(request)
        return True

    def distrust(self, request: Request) -> None:
        """This record was put back: nothing new is done with it, however far it is driven on from there."""
        self._distrusted[request.id] = _life(request)
        self._distrusted.move_to_end(request.id)
        while len(self._distrusted) > self.most:
            self._distrusted.popitem(last=False)

    def is_distrusted(self, request: Request) -> bool:
        """Whether this life of the request is in doubt; one that was restored is another."""
        return self._distrusted.get(request.id) == _life(request)

    def newest(self, id_: str) -> HighWaterMark | None:
        """What is known of it."""
        return self._marks.get(id_)

    def _keep(self, id_: str, mark: HighWaterMark) -> None:
        self._marks[id_] = mark
        self._marks.move_to_end(id_)
        while len(self._marks) > self.most:
            self._marks.popitem(last=False)


def _life(request: Request) -> _Life:
    return request.created_at, request.recovered
