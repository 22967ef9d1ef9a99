"""Offboarding: revokes the access of people who left, after two polls agree; a failed or empty answer revokes nothing.

An account is gone when two polls, some twenty seconds apart, found it deactivated; a right to request, when two polls,
a minute apart and by the same policy, found the requester outside all the groups that have it. Many at once are
more likely a mistaken directory than people who left: such a mass change revokes nothing before a person confirms it.

A sighting is a poll's finding that an account, or a right to request, is gone; a hint, a sign of it that brings the
next poll forward; a roster, the members of groups as known now; a generation, the hash of the policy. ``exposure`` is
the exposure index: the users with live or pending access.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from bot.access import revoke
from bot.access.context import AccessContext
from bot.background import Loop
from bot.core.errors import NotFound, PolicyMoved, Tampered
from bot.core.request import Request
from bot.core.verdict import AccountStates, Roster
from bot.policy import authorization, lost_rights
from bot.policy.catalog import Catalog
from bot.store.indexes.exposure import ExposureIndex
from bot.store.indexes.offboarding import Sightings
from bot.store.leader import Leader
from bot.worker.group_membership import GroupMembership
from bot.worker.offboarding_scan import Loss, OffboardingScan, facts, held, people

log = logging.getLogger(__name__)

PACE = 20.0
"""Seconds between two polls."""
ACCOUNT_RECHECK = 18.0
"""Seconds between two sightings of a deactivated account: a little less than `PACE`, since polls may come early."""
GROUP_RECHECK = 60.0
"""Seconds between two sightings of somebody outside their groups."""
MASS_MIN = 5
"""People; more of them, if they are more than a quarter of those who could be gone, need a confirmation."""
MASS_DIVISOR = 4
MAX_PER_POLL = 25
"""Accounts in one poll."""
MAX_PER_MINUTE = 75
"""Accounts in any minute: Slack's tier 4 is 100 and more, and people's clicks need some of it."""
AUDIENCE = "leaving:#"
"""The message, in the audit channel, that a mass change waits for a person."""
_BEAT = 2.0
"""Seconds between two checks for a hint, and between two renewals of the lease."""
_LEASE = 30.0
"""Seconds; also the age at which the answers of a poll are too old to be acted on."""
_SOON = 5.0
"""Seconds that a hint waits after the last poll."""
_ALARM_INTERVAL = 300.0
_DEACTIVATED = "their Slack account was deactivated"


Accounts = Callable[[Sequence[str]], Awaitable[AccountStates]]
"""The state of these accounts in Slack now."""
Groups = Callable[[], Awaitable[Roster | None]]
"""Each group of the policy, looked up now; None when there was no answer."""


@dataclass
class Offboarding:
    """The offboarding loop; one process of a workspace runs it at a time.

    ``clock``: the time in Unix seconds; None reads the store's. ``pace``, ``apart``, ``groups_apart`` and ``a_minute``:
    see the constants.
    """

    context: AccessContext
    accounts: Accounts
    groups: Groups
    clock: Callable[[], Awaitable[float]] | None = None
    pace: float = PACE
    apart: float = ACCOUNT_RECHECK
    groups_apart: float = GROUP_RECHECK
    a_minute: int = MAX_PER_MINUTE
    _cursor: str = field(default="", init=False)
    _polled_at: deque[float] = field(default_factory=deque, init=False)
    """When each account of the last minute was polled, in monotonic seconds."""
    _sample: dict[str, bool] = field(default_factory=dict, init=False)
    """Whether each of the users polled in turn was gone."""
    _last_poll_at: float = field(default=-1e9, init=False)
    _rate_limited_until: float = field(default=0.0, init=False)
    """Monotonic seconds before which Slack is not polled again."""
    _alarmed_at: float = field(default=-1e9, init=False)

    def __post_init__(self) -> None:
        """Build the indexes; nothing is sent."""
        self.sightings, self.exposure = Sightings(self.context.store), ExposureIndex(self.context.store)
        self.membership = GroupMembership(self.exposure)
        self.leader = Leader(self.context.store, self.context.store.keys.leavers, _LEASE)
        self.loop = Loop("offboarding", self._turn, min(_BEAT, self.pace))

    # when

    async def run(self, stop: asyncio.Event) -> None:
        """Poll at each pace, and soon after a hint, until ``stop`` is set."""
        try:
            await self.loop.run(stop)
        finally:
            await self.leader.resign()

    async def _turn(self) -> None:
        """Poll, if this process leads and a poll is due. Each turn renews the lease, so that no other process polls."""
        if await self.leader.elected() and await self._poll_is_due():
            self._last_poll_at = time.monotonic()
            await self.poll()

    async def _poll_is_due(self) -> bool:
        now = time.monotonic()
        if now < self._rate_limited_until or now - self._last_poll_at < min(_SOON, self.pace):
            return False
        return now - self._last_poll_at >= self.pace or bool(await self.sightings.hinted())

    # one poll

    async def poll(self) -> None:
        """Poll who is gone, note it, and revoke what two polls agree on; or ask a person to confirm a mass change."""
        scan = await self._begin()
        begun = time.monotonic()
        await self._poll_accounts(scan)
        await self._poll_groups(scan)
        await self.sightings.keep(scan.seen)
        kept = [loss for loss in scan.losses if scan.awaits_confirmation(loss)]
        await self._hold_back(scan, kept)
        # The lease may be another process's by now, and the answers are too old to revoke by.
        if time.monotonic() - begun > _LEASE:
            log.warning("the offboarding poll took too long to act on; it is repeated")
            return
        await self._revoke([loss for loss in scan.losses if loss not in kept])

    async def _begin(self) -> OffboardingScan:
        if await self.exposure.complete():
            await self.exposure.review()
        else:
            log.info("the exposure index is built for the first time")
            await self.exposure.fill(self.leader.elected)
        sightings, now = self.sightings, await (self.clock or self.context.store.now)()
        seen, confirmed = await sightings.seen(now), await sightings.confirmed()
        scan = OffboardingScan(now, seen, confirmed, await sightings.hinted(), await sightings.held())
        named = {one.user for one in seen.values()} | {each.user for each in scan.known} | confirmed | scan.hinted
        scan.present = await self.exposure.among(named)
        return scan

    async def _poll_accounts(self, scan: OffboardingScan) -> None:
        urgent, turn = await self._select_users(scan)
        states = await self.accounts([*urgent, *turn]) if scan.users else AccountStates()
        self._rate_limited_until = time.monotonic() + states.rest
        await self.sightings.heeded((states.gone | states.here | (scan.hinted - scan.present)) & scan.hinted)
        if all(one.by for one in scan.seen.values()):
            self._sample.clear()
        for user in states.gone:
            scan.sight(user, user)
            if scan.now - scan.seen[user].first >= self.apart:
                scan.losses += [Loss(request, _DEACTIVATED) for request in scan.users[user]]
        for user in states.here:
            scan.seen.pop(user, None)
        self._sample |= {user: user in states.gone for user in turn if user in states.gone | states.here}
        self._sample |= dict.fromkeys(states.here & self._sample.keys(), False)
        scan.mass = await self._is_mass(scan)

    async def _is_mass(self, scan: OffboardingScan) -> bool:
        """Whether this is a mass change. Where a poll cannot reach everybody, those it did reach are a sample.

        Only those polled since somebody was first seen gone are in the sample: an earlier answer says nothing of now.
        """
        # Sightings of those whose access was revoked are kept for a while: a mass change may come little by little.
        gone = {one.user for one in scan.seen.values() if not one.by} - scan.confirmed
        if len(gone) <= MASS_MIN:
            return False
        everyone = await self._people(scan)
        if mass(len(gone), everyone + len(gone - scan.present)):
            return True
        if everyone == len(scan.present & (gone | scan.confirmed)):
            return False
        return not self._sample or sum(self._sample.values()) * MASS_DIVISOR > len(self._sample)

    async def _people(self, scan: OffboardingScan) -> int:
        return await self.exposure.people() - len(scan.without)

    async def _select_users(self, scan: OffboardingScan) -> tuple[list[str], list[str]]:
        """Whom to poll: those who may be gone, the longest unpolled first; and of the others, whose turn it is."""
        now = time.monotonic()
        while self._polled_at and now - self._polled_at[0] >= 60.0:
            self._polled_at.popleft()
        most = max(0, min(MAX_PER_POLL, self.a_minute - len(self._polled_at)))
        suspected = [user for user in scan.present if user in scan.seen or user in scan.hinted]
        suspected.sort(key=lambda user: (scan.seen[user].last if user in scan.seen else 0.0, user))
        known = set(suspected)
        others = [user for user in await self.exposure.after(self._cursor, most + len(known)) if user not in known]
        urgent = suspected[: most - min(len(others), most // 3)]
        turn = others[: most - len(urgent)]
        self._cursor = turn[-1] if turn else self._cursor
        scan.users = await self.exposure.of([*urgent, *turn])
        # Those for whom no record of ours shows live or pending access are not polled.
        scan.without = {*urgent, *turn} - scan.users.keys()
        scan.present = (scan.present | scan.users.keys()) - scan.without
        self._polled_at.extend([now] * len(scan.users))
        return [user for user in urgent if user in scan.users], [user for user in turn if user in scan.users]

    async def _poll_groups(self, scan: OffboardingScan) -> None:
        catalog = self.context.catalog()
        if await self.membership.resting(catalog) and (roster := await self.groups()) is not None:
            for request in await self.membership.lost(catalog, roster, scan.seen.keys()):
                self._note_lost_right(scan, catalog, roster, request)
        gone = {one.user for one in scan.seen.values() if one.by} - scan.confirmed
        if len(gone) > MASS_MIN:
            scan.mass_by_groups = mass(len(gone), len(await self.membership.people() | gone))

    def _note_lost_right(self, scan: OffboardingScan, catalog: Catalog, roster: Roster, request: Request) -> None:
        if names := lost_rights.lost(catalog, roster, request):
            scan.sight(request.id, request.requester.id, catalog.generation)
            if scan.now - scan.seen[request.id].first >= self.groups_apart:
                why = f"the requester is in none of the groups that may request {', '.join(names)}"
                scan.losses.append(Loss(request, why, by_groups=True))
        elif authorization.may_still_request(catalog, roster, request, scan.now).allowed:
            scan.seen.pop(request.id, None)

    # a mass change

    async def _hold_back(self, scan: OffboardingScan, losses: Sequence[Loss]) -> None:
        """Report what waits for a confirmation, once, and again when there is more: each time all of it."""
        if not (scan.mass or scan.mass_by_groups):
            if scan.known:
                await self.sightings.let_go()
            return
        now = {loss.request.id: held(loss) for loss in losses}
        suspected = {one.user for one in scan.seen.values()}
        stays = {each.request: each for each in scan.known if each.user in suspected and each.user in scan.present}
        if not now.keys() - stays.keys() or (stays and time.monotonic() - self._alarmed_at < _ALARM_INTERVAL):
            return
        holds = [*{**stays, **now}.values()]
        await self.sightings.hold(holds, facts(holds, await self._people(scan)), f"offboarding|{AUDIENCE}")
        self._alarmed_at = time.monotonic()
        log.critical("%s people would lose access at once; nothing is revoked, see `jit offboarding`", people(holds))

    # revoking

    async def _revoke(self, losses: Iterable[Loss]) -> None:
        for loss in losses:
            request, catalog = loss.request, self.context.catalog() if loss.by_groups else None
            try:
                taken = await revoke.offboard(self.context, request.id, loss.why, catalog)
            except (NotFound, PolicyMoved, Tampered) as error:
                log.warning("%s is not revoked: %s", request.id, type(error).__name__)
                continue
            if taken:
                log.warning("%s is revoked from %s: %s", request.id, request.requester.id, loss.why)


def mass(gone: int, of: int) -> bool:
    """Whether ``gone`` people of ``of`` who could be gone are so many that a person has to confirm it."""
    return gone > MASS_MIN and gone * MASS_DIVISOR > of
