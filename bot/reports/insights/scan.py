"""Scans the audit log for findings every six hours, records the new ones, and snoozes them for auditors and operators.

One worker scans for all. A failed scan is repeated soon, and blocks nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from bot.access.context import AccessContext
from bot.audit import read_log
from bot.audit.archive.archive import Archive, NoArchive
from bot.audit.read_log import Read
from bot.background import Loop
from bot.core.errors import NotAllowed, StoreAway
from bot.core.verdict import Actor, Roster
from bot.policy import authorization, loader
from bot.reports.insights import findings as insights
from bot.reports.insights.cases import Insight
from bot.reports.insights.findings import SNOOZE
from bot.store.indexes.insights import Insights

log = logging.getLogger(__name__)

INTERVAL = 6 * 3_600.0
"""Seconds between two scans."""
_BEAT = 30.0
_SOON = 300.0


@dataclass(frozen=True)
class SeenInsight:
    """A finding, when it was first found, and until when it is snoozed (0: it is not); Unix seconds."""

    finding: Insight
    first: float
    snoozed: float = 0.0


@dataclass(frozen=True)
class Scan:
    """The findings ``at`` a moment, the newest first; ``at`` is 0 where no scan is known."""

    at: float
    seen: tuple[SeenInsight, ...] = ()


_LOOK = TypeAdapter(Scan)


@dataclass
class Watching:
    """The scanner. ``roster``: each group as it is known now; ``archive`` opens the archive."""

    context: AccessContext
    roster: Callable[[], Awaitable[Roster]]
    archive: Callable[[], Archive]
    interval: float = INTERVAL

    def __post_init__(self) -> None:
        """Nothing is sent yet."""
        self.index = Insights(self.context.store)
        beat = min(_BEAT, self.interval)
        self.loop = Loop("the insights scan", self._run_once, beat, expected=(StoreAway, NoArchive))

    async def run(self, stop: asyncio.Event) -> None:
        """Scans at its interval until stopped."""
        await self.loop.run(stop)

    async def _run_once(self) -> None:
        """Scans if it is time and no other worker does."""
        if not await self.index.turn(self.interval):
            return
        try:
            await self.scan()
        except Exception:
            # The claim lasts for hours: without this no worker would scan again before it ends.
            await self.index.again_in(min(_SOON, self.interval))
            raise

    async def scan(self) -> Scan:
        """Scans now, and records what is new. Raises `StoreAway`, `NoArchive`."""
        began, now = time.monotonic(), await self.context.store.now()
        members = await self._members(now)
        found = await asyncio.to_thread(self._found, now, members)
        before = {seen.finding.key: seen.first for seen in (await _last(self.index)).seen}
        snoozed = await self.index.snoozed([finding.key for finding in found])
        new = [
            finding
            for finding in map(insights.brief, found)
            if finding.key not in snoozed
            and await self.index.report(finding.key, {"by": "worker", "finding": insights.document(finding)})
        ]
        look = Scan(now, tuple(SeenInsight(insights.brief(each), before.get(each.key, now)) for each in found))
        await self.index.save(json.dumps(_LOOK.dump_python(look, mode="json"), ensure_ascii=False))
        log.info("%s findings, %s of them new, in %.1f s", len(found), len(new), time.monotonic() - began)
        return look

    async def _members(self, now: float) -> insights.Members:
        """The members of the Slack user groups, as far as they are known."""
        groups, roster = self.context.catalog().groups, await self.roster()
        known = {
            name: members.users
            for name, members in roster.items()
            if name in groups and groups[name].slack_usergroup and members.known and members.users
        }
        return await self.index.members(known, now)

    def _found(self, now: float, members: insights.Members) -> list[Insight]:
        with contextlib.closing(self.archive()) as archive:
            catalog = self.context.catalog()
            return insights.look(archive, self.context.store.workspace, catalog, now, loader.of_text, members)


async def see(context: AccessContext, actor: Actor) -> Scan:
    """The last scan, for auditors and operators; the read is audited. Raises `NotAllowed`."""
    await _judged(context, actor, "see", ())
    look = await _current(context)
    read = Read(at=await context.store.now(), by=actor.person.id, read="insights", rows=len(look.seen))
    await read_log.record(context.store, read)
    return look


async def snooze(context: AccessContext, actor: Actor, key: str) -> Scan:
    """Hides a finding for a while, audited; one that is gone stays as it is. Raises `NotAllowed`."""
    index, now = Insights(context.store), await context.store.now()
    found = next((seen.finding for seen in (await _last(index)).seen if seen.finding.key == key), None)
    await _judged(context, actor, key, found.about if found else ())
    if found:
        facts = {"by": actor.person.id, "key": key, "until": now + SNOOZE, "finding": found.sentence}
        await index.snooze(key, facts, SNOOZE)
    return await _current(context)


async def _judged(context: AccessContext, actor: Actor, verb: str, about: Sequence[str]) -> None:
    verdict = authorization.may_snooze(context.catalog(), actor.roster, actor.person, about)
    if not verdict.allowed:
        error = NotAllowed(verdict)
        await context.audit_refusal("insights", actor, verb, error)
        raise error


async def _current(context: AccessContext) -> Scan:
    """The last scan, with what is snoozed now."""
    index = Insights(context.store)
    look = await _last(index)
    quiet = await index.snoozed([seen.finding.key for seen in look.seen])
    seen = [SeenInsight(each.finding, each.first, quiet.get(each.finding.key, 0.0)) for each in look.seen]
    seen.sort(key=lambda each: -each.first)  # those of one scan keep its order, the most severe first
    return Scan(look.at, tuple(seen))


async def _last(index: Insights) -> Scan:
    try:
        return _LOOK.validate_json(await index.last() or '{"at": 0}')
    except ValidationError:  # another version of this product wrote it
        return Scan(0)
