"""A request as its audit events tell it: replays those in the archive, and those in Redis that are not archived yet.

The archive is what a thief of the store cannot reach, and the events that come after it bear our tag. A record is
whole when it is what its events lead to; one that is older, or of another line, was put back. It writes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from bot.audit.archive import break_glass, projection
from bot.audit.archive.archive import Archive, Archived, NoArchive
from bot.audit.archive.projection import Life
from bot.audit.open_requests import Latest, OpenRequests
from bot.core.audit_chain import AuditEntry
from bot.core.events import EVENT, ApprovedByRule, Consented
from bot.core.request import Request
from bot.policy.rules import WINDOW
from bot.store.audit_stream import AuditStream
from bot.store.store import Store

T = TypeVar("T")
_PAGE: Final = 2_000
_EVER: Final = 1e12
DELEGATION_ENDED: Final = "delegation_ended"
_BY_RULE: Final = ("approved_by_rule", "consented")
"""The events by which a rule may have approved a request."""


class TrailUnknown(Exception):
    """The events of a request cannot be read now; the sentence says why."""


@dataclass(frozen=True)
class EventReplay:
    """The replayed state of a request; None where it has no events.

    ``incomplete``: events since it was requested are lost, so that its state may be a newer one.
    """

    request: Request | None
    incomplete: bool = False

    def matches(self, request: Request) -> bool:
        """Whether a record equals the replay."""
        known = self.request
        return known is not None and (known.version, known.lineage) == (request.version, request.lineage)


@dataclass
class Trail:
    """The events of one workspace. ``archive`` opens the archive, which may not be there yet.

    Every verb raises `StoreAway`, and `TrailUnknown` while the archive does not answer.
    """

    store: Store
    archive: Callable[[], Archive]
    open: OpenRequests = field(default_factory=OpenRequests, init=False)
    """The open requests, by their events."""
    undated: list[str] = field(default_factory=list, init=False)
    """Those of them that are known from the archive alone, so that their times are not known."""
    _opened: Archive | None = field(default=None, init=False)
    _cursor: int = field(default=-1, init=False)
    _place: str = field(default="", init=False)
    _begun: bool = field(default=False, init=False)
    _end: int = field(default=0, init=False)
    _holes: deque[int] = field(default_factory=deque, init=False)
    _order: deque[tuple[int, str]] = field(default_factory=deque, init=False)
    _tail: dict[str, list[AuditEntry]] = field(default_factory=dict, init=False)
    _ended: deque[AuditEntry] = field(default_factory=lambda: deque(maxlen=_PAGE), init=False)
    """The last delegations that were ended, which the archive may not have yet."""
    _looked: float = field(default=-1.0, init=False)

    def __post_init__(self) -> None:
        """Nothing is sent or opened."""
        self._stream, self._lock = AuditStream(self.store), asyncio.Lock()

    async def close(self) -> None:
        """Give the archive back."""
        if self._opened:
            await asyncio.to_thread(self._opened.close)
            self._opened = None

    async def replay(self, id_: str) -> EventReplay:
        """The replay of a request."""
        await self.refresh()
        known = await self._archived(id_)
        self._forget(known.last)
        if self._holes or self._end > max(self._cursor, known.last):
            raise TrailUnknown("an audit event is missing in Redis, and is not on the record as lost yet")
        life = self._told(id_, known)
        if life is None:
            return EventReplay(None)
        return EventReplay(life.request, incomplete=known.lost >= life.request.created_at)

    async def is_archived(self, request: Request) -> bool:
        """Whether the archive has the event that led to this record, so that Redis may lose all it knows of it."""
        life = (await self._archived(request.id)).life
        return EventReplay(life.request if life else None).matches(request)

    async def rule_uses(self, request: Request) -> int:
        """How many requests of its requester its rule approved within the window up to this one, itself included."""
        rule = request.rule
        if rule is None:
            return 0
        await self.refresh()
        since, until = request.approved_at - WINDOW, request.approved_at
        workspace = self.store.workspace
        entries = [entry for entries in self._tail.values() for entry in entries if entry.kind in _BY_RULE]
        for kind in _BY_RULE:
            entries += await self._asked(
                partial(Archive.of_kind, workspace=workspace, kind=kind, after=since, until=until)
            )
        uses: set[str] = set()
        for entry in entries:
            event = EVENT.validate_json(entry.event)
            by = event.rule if isinstance(event, ApprovedByRule | Consented) else None
            # Nobody but the requester consents.
            whose = event.requester.id if isinstance(event, ApprovedByRule) else event.by
            if by and whose == request.requester.id and by.key == rule.key and since < event.at <= until:
                uses.add(entry.id)
        return len(uses | {request.id})

    async def of_kinds(self, kinds: Iterable[str], since: float) -> list[AuditEntry]:
        """The events of these kinds after a moment, of any request."""
        await self.refresh()
        workspace, wanted = self.store.workspace, sorted(frozenset(kinds))
        # Before the archive is asked: what is forgotten meanwhile, the archive has.
        tail = [entry for entries in self._tail.values() for entry in entries if entry.kind in wanted]

        def read(archive: Archive) -> list[AuditEntry]:
            return [entry for kind in wanted for entry in archive.of_kind(workspace, kind, since, _EVER)]

        return [*await self._asked(read), *(entry for entry in tail if entry.at > since)]

    async def delegations_held(self, request: Request) -> bool:
        """Whether each approval by a stand-in was given before its delegation ended."""
        extension = request.extension
        reviews = (*request.reviews, *(extension.reviews if extension else ()))
        given = {review.delegation: review.at for review in reviews if review.stands_in_for}
        if not given:
            return True
        await self.refresh()
        workspace, until = self.store.workspace, max(given.values())
        archived = await self._asked(lambda archive: archive.of_kind(workspace, DELEGATION_ENDED, 0, until))
        ended = ((projection.fields(entry).get("delegation"), entry.at) for entry in (*archived, *self._ended))
        return not any(at < given.get(str(id_), 0.0) for id_, at in ended)

    async def break_glass_uses(self, request: Request, window: float) -> list[str]:
        """The requests that who asked took by break-glass within a window up to this one, itself among them."""
        glass, who = request.break_glass, request.requester.id
        if glass is None:
            return []
        await self.refresh()
        workspace, since = self.store.workspace, glass.at - window
        archived = await self._asked(lambda archive: break_glass.uses(archive, workspace, since, glass.at + 1))
        waiting = [entry for entries in self._tail.values() for entry in entries if entry.kind in break_glass.USES]
        events = ((entry.id, EVENT.validate_json(entry.event)) for entry in (*archived, *waiting))
        ids = [id_ for id_, event in events if event.by == who and since < event.at <= glass.at]
        return list(dict.fromkeys((*ids, request.id)))

    async def partial_replay(self, id_: str) -> Request | None:
        """The replay as far as its events can be read: enough to revoke access by, never enough to grant it."""
        try:
            known = await self._archived(id_)
        except TrailUnknown:
            known = Archived(0, 0.0, None)
        life = self._told(id_, known)
        return life.request if life else None

    def _told(self, id_: str, known: Archived) -> Life | None:
        life = known.life
        for entry in self._tail.get(id_, ()):
            if entry.seq > known.last:
                life = projection.project(entry, life).life
        return life

    async def refresh(self) -> None:
        """Read the events since the last call; a concurrent call waits for the next read.

        While the archive does not answer, what Redis has is read all the same.
        """
        asked = time.monotonic()
        async with self._lock:
            if self._looked > asked:
                return
            began = time.monotonic()
            unknown = await self._begin() if not self._begun else None
            while await self._page():
                pass
            if self._holes and not unknown:
                unknown = await self._fill()
            self._looked = began
            if unknown:
                raise unknown

    async def _begin(self) -> TrailUnknown | None:
        """From the last event that the archive has; whose access may be open by then is known from there."""
        try:
            archived = await self._archived("")
            for id_ in await self._asked(self._unfinished):
                if id_ not in self.open:
                    self.open.put(id_, Latest(0, 0.0))
                    self.undated.append(id_)
        except TrailUnknown as error:
            if self._cursor < 0:
                self._stand(0)
            return error
        self._begun = True
        if self._cursor < 0:
            self._stand(archived.last)
        return None

    def _unfinished(self, archive: Archive) -> list[str]:
        """What is open by the archive: access that may be there, and break-glass whose review is outstanding."""
        workspace = self.store.workspace
        return list(dict.fromkeys((*archive.unclosed(workspace), *break_glass.unreviewed(archive, workspace))))

    async def _fill(self) -> TrailUnknown | None:
        """What was taken out of Redis after it was archived, and before it was read here, the archive tells."""
        before = len(self._holes)
        try:
            self._forget((await self._archived("")).last)
        except TrailUnknown as error:
            return error
        return await self._begin() if len(self._holes) < before else None

    async def _sealed(self) -> int:
        try:
            return (await self._archived("")).last
        except TrailUnknown:
            return 0

    async def _page(self) -> bool:
        seq, found = await self._stream.written(self._place, _PAGE)
        if seq < self._cursor:
            # The store came back from before: its numbers are given out again. What was seen is still known.
            self._stand(min(seq, await self._sealed()))
            self._holes = deque(hole for hole in self._holes if hole <= seq)
            return True
        for id_, entry, due, ours in found:
            if entry.seq > seq:
                self._end = seq
                return False  # that number was not given out: whoever wrote it is none of us
            if entry.seq != self._cursor + 1:
                self._holes.append(entry.seq - 1)
            if ours:
                self._note(entry, due)
            else:
                self._holes.append(entry.seq)
            self._place, self._cursor = id_, entry.seq
        if len(found) == _PAGE:
            return True
        self._end = seq
        return False

    def _stand(self, number: int) -> None:
        self._cursor, self._place = number, f"{number}-0"

    def _note(self, entry: AuditEntry, due: str) -> None:
        if not entry.version:
            if entry.kind == DELEGATION_ENDED:
                self._ended.append(entry)
            return
        tail = self._tail.setdefault(entry.id, [])
        if any(known.version == entry.version and known.event == entry.event for known in tail):
            return
        tail.append(entry)
        self._order.append((entry.seq, entry.id))
        known = self.open.get(entry.id)
        began = entry.at if entry.version == 1 else known.began if known else 0.0
        # The first event of a life that is known, put into the stream once more, takes nothing back.
        again = known is not None and 0 < known.began < began
        if known is None or entry.version > known.version or again:
            self.open.put(entry.id, Latest(entry.version, float(due) if due else None, began))

    def _forget(self, last: int) -> None:
        """Drop from memory what the archive has by now."""
        while self._holes and self._holes[0] <= last:
            self._holes.popleft()
        while self._order and self._order[0][0] <= last:
            _, id_ = self._order.popleft()
            tail = self._tail.get(id_, [])
            if tail:
                tail.pop(0)
            if not tail:
                self._tail.pop(id_, None)

    async def _archived(self, id_: str) -> Archived:
        return await self._asked(lambda archive: archive.life(self.store.workspace, id_))

    async def _asked(self, ask: Callable[[Archive], T]) -> T:
        try:
            if self._opened is None:
                self._opened = await asyncio.to_thread(self.archive)
            return await asyncio.to_thread(ask, self._opened)
        except NoArchive as error:
            raise TrailUnknown(str(error)) from error
