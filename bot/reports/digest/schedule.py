"""Claims each edition of the digest at its time, and the digests that auditors ask for; others render and post them.

Each edition is claimed once, by whichever worker comes first. A time that was missed is made up, for the last edition
of its kind alone; the earlier ones are named. A time that the clocks skip comes an hour later; one that comes twice is
the first of the two.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from bot.access.context import AccessContext
from bot.audit.archive import queries as archive_search
from bot.audit.archive.archive import Archive, NoArchive
from bot.core import human_times, start_times
from bot.core.errors import BadDay, NotAllowed, StoreAway
from bot.core.verdict import Actor
from bot.policy import authorization, loader
from bot.policy.catalog import Catalog
from bot.reports.digest import editions
from bot.reports.digest import facts as digest
from bot.reports.digest.editions import Edition, Slot, Span
from bot.reports.digest.facts import Digest
from bot.store.indexes.daily_claim import DailyClaims
from bot.store.store import Store

log = logging.getLogger(__name__)

EVERY = 15
"""Seconds between two looks at the clock."""
DIGEST, TOLD, DETAILS, PICTURE = "digest", "told", "details", "picture"
"""Audiences: the audit channel, an auditor who asked, and the details and the chart in the thread of either."""
_LATE = 3_600.0
"""Seconds after its time from which on a digest says that it is late."""
_NAMED = {Edition.DAILY: 7, Edition.WEEKLY: 4, Edition.MONTHLY: 0}
"""How many missed editions are named at most."""
_LOOK_BACK = {Edition.DAILY: 34, Edition.WEEKLY: 5, Edition.MONTHLY: 1}
"""How many editions back a claim is looked for; without one, nothing was missed: digests are new here."""
_SPANS = {"week": Edition.WEEKLY, "last week": Edition.WEEKLY, "month": Edition.MONTHLY, "last month": Edition.MONTHLY}


@dataclass
class DigestReader:
    """Reads digests from the archive, which is opened for each, in a thread."""

    workspace: str
    home: Path
    url: str = ""

    async def of(self, span: Span, tz: str, now: float) -> Digest:
        """The digest of some days. Raises `NoArchive`."""
        return await asyncio.to_thread(self._made, span, tz, now)

    async def sealed(self, number: int) -> bool:
        """Whether all events up to a number are in the archive. Raises `NoArchive`."""
        return await asyncio.to_thread(self._sealed, number)

    async def begun(self, before: float) -> bool:
        """Whether the archive has anything from before a moment. Raises `NoArchive`."""
        return await asyncio.to_thread(self._begun, before)

    def _made(self, span: Span, tz: str, now: float) -> Digest:
        with contextlib.closing(Archive.open(self.url, self.home)) as archive:
            return digest.make(archive, self.workspace, span, tz, now, loader.of_text)

    def _sealed(self, number: int) -> bool:
        with contextlib.closing(Archive.open(self.url, self.home)) as archive:
            last = archive.last(self.workspace)
            return last is not None and last.last >= number

    def _begun(self, before: float) -> bool:
        with contextlib.closing(Archive.open(self.url, self.home)) as archive:
            return archive_search.begun(archive, self.workspace, before)


@dataclass
class Digesting:
    """Looks at the clock and claims what is due. ``draws``: whether a chart can be drawn."""

    store: Store
    facts: DigestReader
    catalog: Callable[[], Catalog]
    draws: Callable[[], bool]
    _claimed: set[str] = field(default_factory=set, init=False)
    """Claims that are known already, so that Redis is not asked at each look."""

    def __post_init__(self) -> None:
        """Register the script; nothing is sent."""
        self.dated = DailyClaims(self.store)

    async def tick(self) -> None:
        """Look at the clock; a failure is tried again at the next look."""
        try:
            await self.check(await self.store.now())
        except (StoreAway, NoArchive) as error:
            log.warning("no digest can be made now, it is tried again: %s", error)

    async def check(self, now: float) -> bool:
        """Claim each edition that is due and not claimed yet. Raises `StoreAway`, `NoArchive`."""
        shape = self.catalog().workspace.digest
        slots = editions.last_slots(shape, now) if shape else []
        claimed = [shape is not None and await self._due(slot, shape.timezone, now) for slot in slots]
        self._claimed &= {slot.span.name for slot in slots}
        return any(claimed)

    async def _due(self, slot: Slot, tz: str, now: float) -> bool:
        name = slot.span.name
        if name in self._claimed:
            return False
        if await self.dated.claimed([name]):
            self._claimed.add(name)
            return False
        if not await self.facts.begun(slot.span.moments(tz)[1]):
            return False  # the bot was not there in those days
        claimed = await self._claim(slot, tz, now)
        self._claimed.add(name)
        return claimed

    async def _claim(self, slot: Slot, tz: str, now: float) -> bool:
        missed, new = await self._missed(slot.span)
        facts = {
            "at": now,
            "by": "clock",
            "day": slot.day.isoformat(),
            "edition": slot.span.edition.value,
            "timezone": tz,
            "due": slot.at,
            "late": not new and now - slot.at > _LATE,
            "missed": missed,
        }
        name = slot.span.name
        claimed = await self.dated.claim(name, facts, _rows(f"{DIGEST}-{name}", DIGEST, draws=self.draws()))
        if claimed:
            log.info("the digest for %s is claimed", slot.span.name)
        return claimed

    async def _missed(self, span: Span) -> tuple[list[str], bool]:
        """The editions before it that nobody claimed, the earliest first; and whether none was ever claimed."""
        before: list[str] = []
        for _ in range(_LOOK_BACK[span.edition]):
            span = span.before()
            before.append(span.name)
        claimed = set(await self.dated.claimed(before))
        last = next((n for n, each in enumerate(before) if each in claimed), 0)
        return before[: min(last, _NAMED[span.edition])][::-1], not claimed


async def ask(context: AccessContext, actor: Actor, words: str, *, draws: bool) -> Span:
    """Have a digest sent to an auditor; the read is audited. Raises `NotAllowed`, `BadDay`."""
    verdict = authorization.may_audit(context.catalog(), actor.roster, actor.person)
    if not verdict.allowed:
        error = NotAllowed(verdict)
        await context.audit_refusal("digest", actor, words, error)
        raise error
    shape = context.catalog().workspace.digest
    tz, now = shape.timezone if shape else "UTC", await context.store.now()
    span, user = _asked(words, now, tz), actor.person.id
    facts = {
        "at": now,
        "by": user,
        "read": "digest",
        "day": span.last.isoformat(),
        "edition": span.edition.value,
        "timezone": tz,
    }
    await DailyClaims(context.store).enqueue_once(f"digest {user} {span.name}", facts, _rows(user, TOLD, draws=draws))
    return span


def _rows(about: str, audience: str, *, draws: bool) -> list[str]:
    """The message, its details, and its chart: claimed together, so that whatever dies, each comes once."""
    return [f"{about}|{each}:#" for each in (audience, DETAILS, *([PICTURE] if draws else []))]


def _asked(words: str, now: float, tz: str) -> Span:
    """``yesterday``, ``2026-11-24``, ``last week``, ``last month``. Raises `BadDay`."""
    edition = _SPANS.get(" ".join(words.lower().split()))
    today = start_times.today(tz, now)
    if edition is Edition.WEEKLY:
        return Span(edition, today - timedelta(days=today.weekday() + 1))
    if edition is Edition.MONTHLY:
        return Span(edition, today.replace(day=1) - timedelta(days=1))
    try:
        return editions.day(human_times.day(words, now, tz))
    except human_times.BadTime as error:
        raise BadDay(words) from error
