"""Looks a few times a day at what stands out, and puts what is new on the record; people see it, and act, elsewhere.

One worker looks for all of them. A look that fails is tried again; it keeps nothing else from being done.
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

from bot import policy_file
from bot.core import policy
from bot.core.errors import NotAllowed, StoreAway
from bot.desk import Desk
from bot.insights import findings as insights
from bot.insights.cases import Finding
from bot.insights.findings import SNOOZE
from bot.record import reads
from bot.record.archive import Archive, NoArchive
from bot.record.reads import Read
from bot.store.insights import Insights
from bot.wishes import Actor

log = logging.getLogger(__name__)

PACE = 6 * 3_600.0
"""Seconds between two looks."""
_BEAT = 30.0
_SOON = 300.0


@dataclass(frozen=True)
class Seen:
    """A finding, when it was first found, and until when it is snoozed (0: it is not); Unix seconds."""

    finding: Finding
    first: float
    snoozed: float = 0.0


@dataclass(frozen=True)
class Look:
    """What stood out ``at`` a moment, the newest first; ``at`` is 0 where nobody has looked lately."""

    at: float
    seen: tuple[Seen, ...] = ()


_LOOK = TypeAdapter(Look)


@dataclass
class Watching:
    """The running part. ``roster``: each group as it is known now; ``archive`` opens the archive."""

    desk: Desk
    roster: Callable[[], Awaitable[policy.Roster]]
    archive: Callable[[], Archive]
    pace: float = PACE

    def __post_init__(self) -> None:
        """Open what is known; nothing is sent."""
        self.kept = Insights(self.desk.store)

    async def run(self, stop: asyncio.Event) -> None:
        """Look at each pace until told to stop."""
        while not stop.is_set():
            await self._beat()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), min(_BEAT, self.pace))

    async def _beat(self) -> None:
        """Look, if it is time to and nobody else does."""
        try:
            if await self.kept.turn(self.pace) and not await self._looked():
                await self.kept.again_in(min(_SOON, self.pace))
        except StoreAway as error:
            log.warning("the store is away, nothing is looked for: %s", error)

    async def _looked(self) -> bool:
        """Whether it could be looked."""
        try:
            await self.look()
        except NoArchive as error:
            log.warning("what stands out cannot be looked for, it is tried again: %s", error)
            return False
        except StoreAway:
            raise
        except Exception:
            log.exception("what stands out could not be looked for; it is tried again")
            return False
        return True

    async def look(self) -> Look:
        """Look now, and put what is new on the record. Raises `StoreAway`, `NoArchive`."""
        began, now = time.monotonic(), await self.desk.store.now()
        members = await self._members(now)
        found = await asyncio.to_thread(self._found, now, members)
        before = {seen.finding.key: seen.first for seen in (await _last(self.kept)).seen}
        snoozed = await self.kept.snoozed([finding.key for finding in found])
        new = [
            finding
            for finding in map(insights.brief, found)
            if finding.key not in snoozed
            and await self.kept.tell(finding.key, {"by": "worker", "finding": insights.document(finding)})
        ]
        look = Look(now, tuple(Seen(insights.brief(each), before.get(each.key, now)) for each in found))
        await self.kept.keep(json.dumps(_LOOK.dump_python(look, mode="json"), ensure_ascii=False))
        log.info("%s findings, %s of them new, in %.1f s", len(found), len(new), time.monotonic() - began)
        return look

    async def _members(self, now: float) -> insights.Members:
        """Who is in the Slack user groups, as far as that is known."""
        groups, roster = self.desk.catalog().groups, await self.roster()
        known = {
            name: members.users
            for name, members in roster.items()
            if name in groups and groups[name].slack_usergroup and members.known and members.users
        }
        return await self.kept.members(known, now)

    def _found(self, now: float, members: insights.Members) -> list[Finding]:
        with contextlib.closing(self.archive()) as archive:
            catalog = self.desk.catalog()
            return insights.look(archive, self.desk.store.workspace, catalog, now, policy_file.of_text, members)


async def see(desk: Desk, actor: Actor) -> Look:
    """The last look, for whoever may see it; that it was read is on the record. Raises `NotAllowed`."""
    await _judged(desk, actor, "see", ())
    look = await _current(desk)
    read = Read(at=await desk.store.now(), by=actor.person.id, read="insights", rows=len(look.seen))
    await reads.note(desk.store, read)
    return look


async def snooze(desk: Desk, actor: Actor, key: str) -> Look:
    """Do not show a finding for a while, on the record; one that is gone is let be. Raises `NotAllowed`."""
    kept, now = Insights(desk.store), await desk.store.now()
    found = next((seen.finding for seen in (await _last(kept)).seen if seen.finding.key == key), None)
    await _judged(desk, actor, key, found.about if found else ())
    if found:
        facts = {"by": actor.person.id, "key": key, "until": now + SNOOZE, "finding": found.sentence}
        await kept.snooze(key, facts, SNOOZE)
    return await _current(desk)


async def _judged(desk: Desk, actor: Actor, verb: str, about: Sequence[str]) -> None:
    verdict = policy.may_snooze(desk.catalog(), actor.roster, actor.person, about)
    if not verdict.allowed:
        error = NotAllowed(verdict)
        await desk.refused("insights", actor, verb, error)
        raise error


async def _current(desk: Desk) -> Look:
    """The last look, with what is snoozed at this moment."""
    kept = Insights(desk.store)
    look = await _last(kept)
    quiet = await kept.snoozed([seen.finding.key for seen in look.seen])
    seen = [Seen(each.finding, each.first, quiet.get(each.finding.key, 0.0)) for each in look.seen]
    seen.sort(key=lambda each: -each.first)  # those of one look stay in its order, the most severe first
    return Look(look.at, tuple(seen))


async def _last(kept: Insights) -> Look:
    try:
        return _LOOK.validate_json(await kept.last() or '{"at": 0}')
    except ValidationError:  # another version of this product wrote it
        return Look(0)
