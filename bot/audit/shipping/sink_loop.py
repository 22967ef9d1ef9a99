"""Ships the sealed events to one sink, in order, and moves its cursor once the sink has them; it waits for no other.

A sink that is down is retried with backoff, without end. A record that it can never take is found by bisection, set
aside and reported; a sink that refuses several in a row refuses us, and nothing more is set aside.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bot.audit.archive.archive import Archive, NoArchive
from bot.audit.export.export import request_lookup
from bot.audit.shipping import cursors
from bot.audit.shipping.cursors import Cursor, CursorMoved, Refusal, Sealed
from bot.audit.shipping.payload import Form, shipped
from bot.background import Loop
from bot.core.errors import StoreAway
from providers.base import ProviderError
from providers.sinks.base import NotDelivered, ReceiverGone, Record, RecordRefused, Sink

log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between two looks where nothing waits."""
LONGEST = 300.0
"""The longest pause, in seconds, before a sink that is down is tried again."""
MOST_REFUSED = 5
"""Records that are set aside in a row; from then on it is not the record that is refused."""
_PATIENCE = 5.0
"""Seconds beyond its promise after which a sink's call is given up."""

Report = Callable[[str, str, Mapping[str, object]], Awaitable[None]]
"""Puts an alarm into the record (what, in words, facts), from where it is told in the audit channel."""


@dataclass
class Lane:
    """One sink. ``jitter``: a number from 0 to 1, drawn anew at each pause. ``now``: the time by the store."""

    name: str
    sink: Sink
    form: Form
    archive: Archive
    workspace: str
    report: Report
    now: Callable[[], Awaitable[float]]
    interval: float = INTERVAL
    longest: float = LONGEST
    jitter: Callable[[], float] = random.random
    trouble: str = field(default="", init=False)
    """Why it does not go on, in the sink's own words; '' where it does."""
    _failed: int = field(default=0, init=False)
    _size: int = field(default=0, init=False)
    _at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Begin with whole batches."""
        self._most = max(1, self.sink.capabilities().most)
        self._size = self._most

    async def run(self, stop: asyncio.Event) -> None:
        """Ship until told to stop."""
        await Loop(f"shipping to {self.name}", self.once, self.interval).run(stop)

    async def once(self) -> float:
        """One batch; after how many seconds the next is to be tried."""
        try:
            return await self._once()
        except CursorMoved:
            return 0.0
        except NotDelivered as error:
            return self._again(str(error), error.after)
        except (ProviderError, NoArchive, StoreAway) as error:
            return self._again(str(error))
        except Exception as error:
            log.exception("sink %s broke; what it did not take is sent again", self.name)
            return self._again(f"it broke ({type(error).__name__})")

    async def _once(self) -> float:
        cursor = (await asyncio.to_thread(cursors.cursors, self.archive, self.workspace))[self.name]
        if cursor.stopped:
            self.trouble = cursor.stopped
            return self.interval
        found = await asyncio.to_thread(cursors.after, self.archive, self.workspace, cursor.number, self._size)
        if not found:
            self._well()
            return self.interval
        for changed in (each.entry.seq for each in found if each.digest != each.entry.digest()):
            said = f"event {changed} in the archive is not what was sealed: `jit audit verify` says more"
            await self.report("archive_changed", said, {"number": changed})
        records = await asyncio.to_thread(self._rendered, found)
        self._at = await self.now()  # before anything is sent, so that a store that is away costs no duplicate
        await self._give(cursor, records)
        return 0.0

    def _rendered(self, found: Sequence[Sealed]) -> list[Record]:
        """As the sink gets them."""
        asked = request_lookup(self.archive, self.workspace)
        ocsf = self.form == "ocsf"
        return [shipped(each, self.workspace, self.form, asked(each.entry) if ocsf else None) for each in found]

    async def _give(self, cursor: Cursor, records: Sequence[Record]) -> None:
        try:
            async with asyncio.timeout(self.sink.settles_within + _PATIENCE):
                await self.sink.send(records)
        except TimeoutError:
            raise NotDelivered("it did not answer at all, and was given up") from None
        except (RecordRefused, NotDelivered, ReceiverGone) as error:
            taken = min(max(error.taken, 0), len(records))
            if taken:
                cursor = await self._move(cursor, records[taken - 1].number)
                self._failed = 0
            await self._not_taken(cursor, records[taken:], error, alone=len(records) == 1)
        else:
            await self._move(cursor, records[-1].number)
            self._size = min(self._size * 2, self._most)
            self._well()

    async def _not_taken(
        self, cursor: Cursor, rest: Sequence[Record], error: RecordRefused | NotDelivered | ReceiverGone, *, alone: bool
    ) -> None:
        """What becomes of records that were not taken. Raises the error where they are to be sent again later."""
        match error:
            case ReceiverGone():
                said = f"sink {self.name}: {error}. Nothing is sent until `jit sinks --resume {self.name}`"
                await self.report("sink_stopped", said, {})
                await asyncio.to_thread(cursors.stop, self.archive, cursor, str(error))
            case RecordRefused() if not (alone and rest):
                self._size = max(1, len(rest) // 2)
            case RecordRefused() if cursor.refused >= MOST_REFUSED:
                raise NotDelivered(f"it refuses every record, now {rest[0].number}: {error}")
            case RecordRefused():
                await self._set_aside(cursor, rest[0], error)
            case _:
                raise error

    async def _set_aside(self, cursor: Cursor, record: Record, error: RecordRefused) -> None:
        """Told first: what is stepped over is on the record, whatever happens then."""
        said = f"sink {self.name} can never take event {record.number} ({record.kind}): {error}. It goes on without it"
        await self.report("sink_refused", said, {"number": record.number})
        refusal = Refusal(record.number, str(error))
        await asyncio.to_thread(cursors.move, self.archive, cursor, record.number, self._at, refusal)

    async def _move(self, cursor: Cursor, number: int) -> Cursor:
        return await asyncio.to_thread(cursors.move, self.archive, cursor, number, self._at)

    def _well(self) -> None:
        if self.trouble:
            log.info("sink %s takes records again", self.name)
        self.trouble, self._failed = "", 0

    def _again(self, said: str, after: float = 0.0) -> float:
        """After how many seconds: twice as many each time, scattered, and never before the receiver wants it."""
        if said != self.trouble:
            log.warning("sink %s: %s; it is tried again", self.name, said)
        self.trouble = said
        pause = min(self.interval * 2.0 ** min(self._failed, 20), self.longest)
        self._failed += 1
        return max(after, pause * (0.5 + self.jitter() / 2))
