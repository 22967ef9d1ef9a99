"""When the digest of a day is told, and to whom else on demand; what is told is read elsewhere, when it is sealed.

A day is told at the policy's time on the day after, once, whichever worker comes first. A time that was missed is made
up, for the last day alone; of days before it, it is said that nobody was told. A time that the clocks skip comes an
hour later, of one that they pass twice the first counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from bot import policy_file, times
from bot.core import moments, policy
from bot.core.catalog import Catalog
from bot.core.errors import BadDay, NotAllowed, StoreAway
from bot.core.shapes import DigestShape
from bot.desk import Desk
from bot.digest import facts as digest
from bot.digest.facts import MARGIN, Digest
from bot.record import search as archive_search
from bot.record.archive import Archive, NoArchive
from bot.store.dated import Dated
from bot.store.store import Store
from bot.wishes import Actor

log = logging.getLogger(__name__)

EVERY = 15
"""Seconds between two looks at the clock."""
DIGEST, TOLD, PICTURE = "digest", "told", "picture"
"""Audiences: the audit channel, whoever asked, and the picture beneath either."""
_LATE = 3_600.0
"""Seconds after its time from which on a digest says that it is late."""
_LOOK_BACK = 7
_LOOK_BACK_FOR_ANY = 35
"""Days: of how many it is said that they were missed, if any was told within the longer time."""


@dataclass(frozen=True)
class Slot:
    """A time of the policy, and the day that is told then. ``at`` in Unix seconds."""

    day: date
    at: float


def last_slot(shape: DigestShape, now: float) -> Slot:
    """The last time that has come by ``now``."""
    today = moments.today(shape.timezone, now)
    at = moments.local(today, shape.at, shape.timezone)
    # Of a day that is just over something may be on its way into the record still.
    if now < max(at, moments.span(today, shape.timezone)[0] + MARGIN):
        today -= timedelta(days=1)
        at = moments.local(today, shape.at, shape.timezone)
    return Slot(today - timedelta(days=1), at)


@dataclass
class Facts:
    """Reads digests out of the archive, which is opened for each: they are few. Calls are made in a thread."""

    workspace: str
    home: Path
    url: str = ""

    async def of(self, day: date, tz: str, now: float) -> Digest:
        """The digest of a day. Raises `NoArchive`."""
        return await asyncio.to_thread(self._made, day, tz, now)

    async def sealed(self, number: int) -> bool:
        """Whether all events up to a number are in the archive. Raises `NoArchive`."""
        return await asyncio.to_thread(self._sealed, number)

    async def begun(self, before: float) -> bool:
        """Whether the record has anything from before a moment. Raises `NoArchive`."""
        return await asyncio.to_thread(self._begun, before)

    def _made(self, day: date, tz: str, now: float) -> Digest:
        with contextlib.closing(Archive.open(self.url, self.home)) as archive:
            return digest.make(archive, self.workspace, day, tz, now, policy_file.of_text)

    def _sealed(self, number: int) -> bool:
        with contextlib.closing(Archive.open(self.url, self.home)) as archive:
            last = archive.last(self.workspace)
            return last is not None and last.last >= number

    def _begun(self, before: float) -> bool:
        with contextlib.closing(Archive.open(self.url, self.home)) as archive:
            return archive_search.begun(archive, self.workspace, before)


@dataclass
class Digesting:
    """The running part. ``draws``: whether there is to be a picture."""

    store: Store
    facts: Facts
    catalog: Callable[[], Catalog]
    draws: Callable[[], bool]
    _told: date | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Register the script; nothing is sent."""
        self.dated = Dated(self.store)

    async def tick(self) -> None:
        """Look at the clock; whatever keeps the digest from being claimed is tried again at the next look."""
        try:
            await self.look(await self.store.now())
        except (StoreAway, NoArchive) as error:
            log.warning("no digest can be made now, it is tried again: %s", error)

    async def look(self, now: float) -> bool:
        """Claim the digest that is due, if nobody has. Raises `StoreAway`, `NoArchive`."""
        shape = self.catalog().workspace.digest
        if shape is None:
            return False
        slot = last_slot(shape, now)
        if slot.day == self._told:
            return False
        if await self.dated.claimed([slot.day.isoformat()]):
            self._told = slot.day
            return False
        if not await self.facts.begun(moments.span(slot.day, shape.timezone)[1]):
            return False  # nothing had begun by then
        claimed = await self._claim(slot, shape.timezone, now)
        self._told = slot.day
        return claimed

    async def _claim(self, slot: Slot, tz: str, now: float) -> bool:
        day = slot.day.isoformat()
        told = {"at": now, "by": "clock", "day": day, "timezone": tz, "due": slot.at, "late": now - slot.at > _LATE}
        rows = [f"{DIGEST}-{day}|{DIGEST}:#"]
        if self.draws():
            rows.append(f"{DIGEST}-{day}|{PICTURE}:#")
        claimed = await self.dated.claim(day, {**told, "missed": await self._missed(slot.day)}, rows)
        if claimed:
            log.info("the digest for %s is claimed", day)
        return claimed

    async def _missed(self, day: date) -> list[str]:
        """The days before it of which nobody was told, if digests were told at all lately; the earliest first."""
        before = [(day - timedelta(days=n)).isoformat() for n in range(1, _LOOK_BACK_FOR_ANY)]
        claimed = set(await self.dated.claimed(before))
        last = next((n for n, each in enumerate(before) if each in claimed), 0)
        return before[: min(last, _LOOK_BACK)][::-1]


async def ask(desk: Desk, actor: Actor, words: str, *, draws: bool) -> date:
    """Have the digest of a day sent to an auditor; that it was read is in the record. Raises `NotAllowed`, `BadDay`."""
    verdict = policy.may_audit(desk.catalog(), actor.roster, actor.person)
    if not verdict.allowed:
        error = NotAllowed(verdict)
        await desk.refused("digest", actor, words, error)
        raise error
    shape = desk.catalog().workspace.digest
    tz, now = shape.timezone if shape else "UTC", await desk.store.now()
    try:
        day = times.day(words, now, tz)
    except times.BadTime as error:
        raise BadDay(words) from error
    user = actor.person.id
    facts = {"at": now, "by": user, "read": "digest", "day": day.isoformat(), "timezone": tz}
    rows = [f"{user}|{TOLD}:#", *([f"{user}|{PICTURE}:#"] if draws else [])]
    await Dated(desk.store).asked(f"digest {user} {day}", facts, rows)
    return day
