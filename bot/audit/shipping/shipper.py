"""Ships sealed audit events to the sinks of the policy; events that are not sealed are not shipped.

One elected process of a workspace ships, with a task for each sink, so that a sink that is down delays neither the
others nor the sealer. Two processes that ship for a moment send records twice and lose none (see cursors.py). Every
process knows the lag of each sink.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bot import tasks
from bot.audit.archive.archive import Archive, NoArchive
from bot.audit.shipping import cursors
from bot.audit.shipping.cursors import Cursor, CursorMoved, Lag
from bot.audit.shipping.sink_loop import Lane
from bot.background import Loop
from bot.core import durations
from bot.core.errors import StoreAway
from bot.policy.schema import SinkShape
from bot.store.audit_stream import AuditStream
from bot.store.leader import Leader
from bot.store.store import Store
from providers.secret_refs import Misconfigured
from providers.sinks import registry
from providers.sinks.base import Sink

log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between two looks at who ships, and at how far each sink is."""
_LEASE = 15.0
_GRACE = 10.0
"""Seconds that a batch in hand may take at the end; what is cut off is sent again."""
_STALE = 30.0
"""Seconds after which a look is not the present any more."""
_HOUR = 3_600
_ROW = "record|record:#"
"""The message about the record, in the audit channel."""


Sinks = Mapping[str, tuple[SinkShape, Sink]]
"""Each sink by its name, with what the policy says of it."""


def built(shapes: Mapping[str, SinkShape], env: Mapping[str, str]) -> Sinks:
    """The sinks of a policy; nothing is connected yet. Raises `Misconfigured` with all that is wrong."""
    found, wrong = {}, []
    for name, shape in shapes.items():
        try:
            found[name] = shape, registry.build(shape.kind, shape.config, env)
        except Misconfigured as error:
            wrong.append(f"sink {name}: {error}")
    if wrong:
        raise Misconfigured("\n".join(wrong))
    return found


@dataclass
class Shipping:
    """The running part; it closes its sinks at the end. ``archive`` opens the archive.

    ``interval`` and ``longest``: see `Lane`. ``lease``: seconds for which a process that died keeps the others waiting.
    """

    store: Store
    archive: Callable[[], Archive]
    sinks: Sinks
    interval: float = INTERVAL
    longest: float = 300.0
    lease: float = _LEASE
    grace: float = _GRACE
    _opened: Archive | None = field(default=None, init=False)
    _lanes: dict[str, Lane] = field(default_factory=dict, init=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _lags: dict[str, Lag] = field(default_factory=dict, init=False)
    _next: Sinks | None = field(default=None, init=False)
    _halted: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _looked_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Nothing is sent or opened before the first look."""
        self._stream = AuditStream(self.store)
        self.leader = Leader(self.store, self.store.keys.shipper, self.lease)
        self.loop = Loop("shipping to the sinks", self._run_once, self.interval, expected=(StoreAway, NoArchive))

    @property
    def shipping(self) -> bool:
        """Whether this process is the one that ships."""
        return bool(self._tasks)

    def trouble(self, sink: str) -> str:
        """Why the last delivery to a sink failed; '' where it went well, or where another process ships."""
        return self._lanes[sink].trouble if sink in self._lanes else ""

    def lag(self) -> Mapping[str, Lag]:
        """How far each sink is behind; a sink that was never looked at is not in it.

        Where nobody could look for a while, it is the last look, and the time since.
        """
        since = time.monotonic() - self._looked_at
        more = since if since > _STALE else 0.0
        return {name: Lag(lag.events, lag.seconds + more) for name, lag in self._lags.items()}

    def use(self, sinks: Sinks) -> None:
        """Ship to these from the next look on; each goes on where its cursor is."""
        self._next = sinks

    async def run(self, stop: asyncio.Event) -> None:
        """Ship, or stand by, until told to stop."""
        try:
            await self.loop.run(stop)
        finally:
            await self._halt(self.grace)
            await self._close()

    async def _run_once(self) -> None:
        if self._next is not None:
            await self._switch(self._next)
        if not self.sinks:
            return
        try:
            archive = await self._archive()
            elected = await self.leader.elected()
            if elected and not self._tasks:
                await self._begin(archive)
            await self._look(archive, elected)
        except CursorMoved:
            log.info("another process moves a cursor at the same moment; looking again")
        finally:
            # Also where the store or the archive is away, and before another process may have the lease.
            if self._tasks and not self.leader.sure:
                log.warning("another process may ship by now; this one waits")
                await self._halt(0.0)

    async def _switch(self, sinks: Sinks) -> None:
        """Finish what is in hand, and go on with other sinks."""
        await self._halt(self.grace)
        before, self.sinks, self._next = self.sinks, sinks, None
        for name in set(self._lags) - set(sinks):
            del self._lags[name]
        for _, sink in before.values():
            await sink.close()
        if not sinks:
            await self.leader.resign()

    async def _archive(self) -> Archive:
        """The archive that the events go to: one that is another's would seem to have nothing to ship."""
        if self._opened is None:
            self._opened = await asyncio.to_thread(self.archive)
        mark = await self._stream.checkpoint()
        if mark and mark.archive != self._opened.id:
            await self._close_archive()  # the right one may be there at the next look
            raise NoArchive("this is another archive than the one that holds the events: see JIT_ARCHIVE_URL")
        return self._opened

    async def _close_archive(self) -> None:
        if self._opened:
            await asyncio.to_thread(self._opened.close)
            self._opened = None

    async def _begin(self, archive: Archive) -> None:
        """A cursor and a task for each sink."""
        now, workspace = await self.store.now(), self.store.workspace
        for name, (shape, _) in self.sinks.items():
            start = functools.partial(cursors.begin, now=now, all_of_it=shape.begin == "start")
            await asyncio.to_thread(start, archive, workspace, name, digest(shape))
        self._halted.clear()
        for name, (shape, sink) in self.sinks.items():
            lane = Lane(
                name=name,
                sink=sink,
                form=shape.format,
                archive=archive,
                workspace=workspace,
                report=functools.partial(self._tell, name),
                now=self.store.now,
                interval=self.interval,
                longest=self.longest,
            )
            self._lanes[name] = lane
            self._tasks.add(asyncio.create_task(lane.run(self._halted), name=f"sink {name}"))

    async def _halt(self, grace: float) -> None:
        """End the tasks; what was sent and not confirmed is sent again by whoever goes on."""
        self._halted.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            await tasks.end(late)
        self._tasks.clear()
        self._lanes.clear()

    async def _close(self) -> None:
        await self.leader.resign()
        await self._close_archive()
        for _, sink in (*self.sinks.values(), *(self._next or {}).values()):
            await sink.close()

    # how far

    async def _look(self, archive: Archive, elected: bool) -> None:
        """How far each sink is; who ships also tells when one falls behind, and when it is back."""
        now, self._looked_at = await self.store.now(), time.monotonic()
        known = await asyncio.to_thread(cursors.cursors, archive, self.store.workspace)
        for name, (shape, _) in self.sinks.items():
            if (cursor := known.get(name)) is None:
                continue
            lag = self._lags[name] = await asyncio.to_thread(cursors.lag, archive, cursor, now)
            if elected:
                await self._judge(archive, cursor, shape.behind, lag, now)

    async def _judge(self, archive: Archive, cursor: Cursor, most: int, lag: Lag, now: float) -> None:
        name = cursor.sink
        if cursor.behind is None and lag.seconds > most:
            why = self.trouble(name)
            said = (
                f"sink {name} is {lag.events} events behind, the oldest waits for {durations.words(int(lag.seconds))}"
            )
            await self._tell(name, "sink_behind", f"{said}{f': {why}' if why else ''}", {"events": lag.events})
            await asyncio.to_thread(cursors.know, archive, cursor, now)
        elif cursor.behind is not None and lag.seconds * 2 < most:
            took = durations.words(max(1, int(now - cursor.behind)))
            said = f"Sink {name} has caught up, {took} after it was reported to be behind."
            await self._note("sink_back", name, said, {"well": True}, once=f"sink_back {name} {cursor.behind}")
            await asyncio.to_thread(cursors.know, archive, cursor, None)

    async def _tell(self, sink: str, what: str, said: str, fields: Mapping[str, object]) -> None:
        log.error(said)
        once = f"{what} {sink} {fields.get('number', '')}"
        await self._note("alarm", sink, said, {"alarm": what, **fields}, once=once)

    async def _note(self, kind: str, sink: str, said: str, fields: Mapping[str, object], once: str) -> None:
        event = json.dumps({"by": "worker", "sink": sink, "said": said, **fields})
        await self.store.audit_event(kind, event, window=_HOUR, once=once, row=_ROW)


def digest(shape: SinkShape) -> str:
    """Tells one configuration of a sink from another; references are in it, and no secret."""
    return hashlib.sha256(shape.model_dump_json().encode()).hexdigest()[:16]
