"""The running part that ships the record to the sinks of the policy; it ships what is sealed, and nothing else.

One process of a workspace does it at a time, a task a sink, so that one which is down holds up neither another nor
the sealing. Two that ship at once, for a moment, send records twice and lose none: see cursors.py. Every process
knows how far each sink is behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bot.core import durations
from bot.core.errors import StoreAway
from bot.core.shapes import SinkShape
from bot.record import cursors
from bot.record.archive import Archive, NoArchive
from bot.record.cursors import Cursor, Lag, Overtaken
from bot.record.lane import Lane
from bot.store.audit import Window
from bot.store.store import Store
from providers.references import Misconfigured
from providers.sinks import registry
from providers.sinks.base import Sink

log = logging.getLogger(__name__)

PACE = 1.0
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

    ``pace`` and ``longest``: see `Lane`. ``lease``: seconds for which a process that died keeps the others waiting.
    """

    store: Store
    archive: Callable[[], Archive]
    sinks: Sinks
    pace: float = PACE
    longest: float = 300.0
    lease: float = _LEASE
    grace: float = _GRACE
    _opened: Archive | None = field(default=None, init=False)
    _holder: str = field(default_factory=lambda: secrets.token_hex(8), init=False)
    _lanes: dict[str, Lane] = field(default_factory=dict, init=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _lags: dict[str, Lag] = field(default_factory=dict, init=False)
    _held_until: float = field(default=0.0, init=False)
    _complaint: str = field(default="", init=False)
    _looked_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Nothing is sent or opened before the first look."""
        self._window = Window(self.store)

    def lag(self) -> Mapping[str, Lag]:
        """How far each sink is behind; a sink that was never looked at is not in it.

        Where nobody could look for a while, it is the last look, and the time since.
        """
        since = time.monotonic() - self._looked_at
        more = since if since > _STALE else 0.0
        return {name: Lag(lag.events, lag.seconds + more) for name, lag in self._lags.items()}

    async def run(self, stop: asyncio.Event) -> None:
        """Ship, or stand by, until told to stop."""
        halt = asyncio.Event()
        try:
            while self.sinks and not stop.is_set():
                await self._beat(halt)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self.pace)
        finally:
            await self._halt(halt, self.grace)
            await self._close()

    async def _beat(self, halt: asyncio.Event) -> None:
        try:
            archive = await self._archive()
            elected = await self._elected()
            if elected and not self._tasks:
                await self._begin(archive, halt)
            await self._look(archive, elected)
        except (StoreAway, NoArchive) as error:
            if self._complaint != str(error):
                log.warning("nothing new can be shipped, or told of it: %s", error)
            self._complaint = str(error)
        except Overtaken:
            log.info("another process moves a cursor at the same moment; looking again")
        else:
            self._complaint = ""
        if self._tasks and time.monotonic() >= self._held_until:
            log.warning("another process may ship by now; this one stands by")
            await self._halt(halt, 0.0)

    async def _elected(self) -> bool:
        asked = time.monotonic()
        mine = await self.store.lease(self.store.keys.shipper, self._holder, self.lease)
        # Given up a little before another may have it.
        self._held_until = asked + self.lease * 0.8 if mine else 0.0
        return mine

    async def _archive(self) -> Archive:
        """The archive that the events go to: one that is another's would seem to have nothing to ship."""
        if self._opened is None:
            self._opened = await asyncio.to_thread(self.archive)
        mark = await self._window.marked()
        if mark and mark.archive != self._opened.id:
            raise NoArchive("this is another archive than the one that holds the events: see JIT_ARCHIVE_URL")
        return self._opened

    async def _begin(self, archive: Archive, halt: asyncio.Event) -> None:
        """A cursor and a task for each sink."""
        now, workspace = await self.store.now(), self.store.workspace
        for name, (shape, _) in self.sinks.items():
            start = functools.partial(cursors.begin, now=now, all_of_it=shape.begin == "start")
            await asyncio.to_thread(start, archive, workspace, name, digest(shape))
        halt.clear()
        for name, (shape, sink) in self.sinks.items():
            lane = Lane(
                name=name,
                sink=sink,
                form=shape.format,
                archive=archive,
                workspace=workspace,
                tell=functools.partial(self._tell, name),
                now=self.store.now,
                pace=self.pace,
                longest=self.longest,
            )
            self._lanes[name] = lane
            self._tasks.add(asyncio.create_task(lane.run(halt), name=f"sink {name}"))

    async def _halt(self, halt: asyncio.Event, grace: float) -> None:
        """End the tasks; what was sent and not confirmed is sent again by whoever goes on."""
        halt.set()
        late, wait = set(self._tasks), grace
        while late:
            _, late = await asyncio.wait(late, timeout=wait)
            for task in late:
                task.cancel()
            wait = 0.5
        self._tasks.clear()
        self._lanes.clear()

    async def _close(self) -> None:
        with contextlib.suppress(StoreAway):
            await self.store.lease(self.store.keys.shipper, self._holder, 0)
        if self._opened:
            await asyncio.to_thread(self._opened.close)
            self._opened = None
        for _, sink in self.sinks.values():
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
            why = self._lanes[name].trouble if name in self._lanes else ""
            said = (
                f"sink {name} is {lag.events} events behind, the oldest waits for {durations.words(int(lag.seconds))}"
            )
            await self._tell(name, "sink_behind", f"{said}{f': {why}' if why else ''}", {"events": lag.events})
            await asyncio.to_thread(cursors.know, archive, cursor, now)
        elif cursor.behind is not None and lag.seconds * 2 < most:
            took = durations.words(max(1, int(now - cursor.behind)))
            said = f"Sink {name} has caught up, {took} after it was told to be behind."
            await self._note("sink_back", name, said, {"well": True}, once=f"sink_back {name} {cursor.behind}")
            await asyncio.to_thread(cursors.know, archive, cursor, None)

    async def _tell(self, sink: str, what: str, said: str, facts: Mapping[str, object]) -> None:
        log.error(said)
        once = f"{what} {sink} {facts.get('number', '')}"
        await self._note("alarm", sink, said, {"alarm": what, **facts}, once=once)

    async def _note(self, kind: str, sink: str, said: str, facts: Mapping[str, object], once: str) -> None:
        event = json.dumps({"by": "worker", "sink": sink, "said": said, **facts})
        await self.store.note(kind, event, window=_HOUR, once=once, row=_ROW)


def digest(shape: SinkShape) -> str:
    """Tells one configuration of a sink from another; references are in it, and no secret."""
    return hashlib.sha256(shape.model_dump_json().encode()).hexdigest()[:16]
