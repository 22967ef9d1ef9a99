"""Which requests something is still to be done for, in the order of their times; it only keeps what it is told."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_STALE: Final = 4
"""The heap of due times is rebuilt when it has so many times as many entries as there are requests."""


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest event of a request. ``due``: when it is to be worked on next, Unix seconds; None when it is over.

    ``began``: when it was asked for; 0 where that is not known here.
    """

    version: int
    due: float | None
    began: float = 0.0


@dataclass
class OpenRequests:
    """The requests by their ids; one that is over is in it no more."""

    _latest: dict[str, Latest] = field(default_factory=dict)
    _times: list[tuple[float, str]] = field(default_factory=list)
    _ripe: set[str] = field(default_factory=set)

    def __contains__(self, id_: str) -> bool:
        """Whether something is still to be done for it."""
        return id_ in self._latest

    def __iter__(self) -> Iterator[str]:
        """All of them."""
        return iter(list(self._latest))

    def get(self, id_: str) -> Latest | None:
        """What is known of it."""
        return self._latest.get(id_)

    def put(self, id_: str, latest: Latest) -> None:
        """This is known of it now."""
        if latest.due is None:
            self.drop(id_)
            return
        self._latest[id_] = latest
        heapq.heappush(self._times, (latest.due, id_))
        if len(self._times) > _STALE * len(self._latest) + 1_000:
            self._times = [(known.due or 0.0, each) for each, known in self._latest.items()]
            heapq.heapify(self._times)

    def drop(self, id_: str) -> None:
        """It is over, or nobody's."""
        self._latest.pop(id_, None)
        self._ripe.discard(id_)

    def due_ids(self, now: float) -> list[str]:
        """Those whose time has come, the longest overdue first."""
        while self._times and self._times[0][0] <= now:
            self._ripe.add(heapq.heappop(self._times)[1])
        dues = {id_: latest.due or 0.0 for id_ in self._ripe if (latest := self._latest.get(id_))}
        self._ripe = {id_ for id_, due in dues.items() if due <= now}
        return sorted(self._ripe, key=lambda id_: (dues[id_], id_))
