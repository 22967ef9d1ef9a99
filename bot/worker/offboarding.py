"""Offboarding: revokes the access of people who left, after two polls agree; a failed or empty answer revokes nothing.

An account is gone when two polls, some twenty seconds apart, found it deactivated; a right to request, when two polls,
a minute apart and by the same policy, found the requester outside all the groups that have it; an account in a
directory, when the worker found it so twice, a minute apart. Many at once are more likely a mistaken directory than
people who left: such a mass change revokes nothing before a person confirms it.

A sighting is a poll's finding that an account, or a right to request, is gone; a hint, a sign of it that brings the
next poll forward; a roster, the members of groups as known now. ``exposure`` is the exposure index: the users with live
or pending access.
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
from bot.worker.directory_leavers import DirectoryLeavers
from bot.worker.group_membership import GroupMembership
from bot.worker.offboarding_scan import Loss, OffboardingScan, alarm_details, count_people, held_access

log = logging.getLogger(__name__)

INTERVAL = 20.0
"""Seconds between two polls."""
ACCOUNT_RECHECK = 18.0
"""Seconds between two sightings of a deactivated account: a little less than `INTERVAL`, since polls may come early."""
GROUP_RECHECK = 60.0
"""Seconds between two sightings of somebody outside their groups."""
MASS_MIN = 5
"""People; more of them need a confirmation, if they are also more than a quarter of those who could be gone."""
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

    ``clock``: the time in Unix seconds; None reads the store's. ``interval``, ``account_recheck``, ``group_recheck``,
    ``max_per_minute``: see the constants.
    """

    context: AccessContext
    accounts: Accounts
    groups: Groups
    clock: Callable[[], Awaitable[float]] | None = None
    interval: float = INTERVAL
    account_recheck: float = ACCOUNT_RECHECK
    group_recheck: float = GROUP_RECHECK
    max_per_minute: int = MAX_PER_MINUTE
    _cursor: str = field(default="", init=False)
    _polled_at: deque[float] = field(default_factory=deque, init=False)
    """When each account of the last minute was polled, in monotonic seconds."""
    _sample: dict[str, bool] = field(default_factory=dict, init=False)
    """Whether each of the users polled in rotation was gone."""
    _last_poll_at: float = field(default=-1e9, init=False)
    _rate_limited_until: float = field(default=0.0, init=False)
    """Monotonic seconds before which Slack is not polled again."""
    _alarmed_at: float = field(default=-1e9, init=False)

    def __post_init__(self) -> None:
        """Build the indexes; nothing is sent."""
        self.sightings, self.exposure = Sightings(self.context.store), ExposureIndex(self.context.store)
        self.membership = GroupMembership(self.exposure)
        self.leavers = DirectoryLeavers(self.context.store, self.exposure)
        self.leader = Leader(self.context.store, self.context.store.keys.leavers, _LEASE)
        self.loop = Loop("offboarding", self._run_once, min(_BEAT, self.interval))

    # when

    async def run(self, stop: asyncio.Event) -> None:
        """Poll at the interval, and soon after a hint, until ``stop`` is set."""
        try:
            await self.loop.run(stop)
        finally:
            await self.leader.resign()

    async def _run_once(self) -> None:
        """Poll, if this process leads and a poll is due. Each run renews the lease, so that no other process polls."""
        if await self.leader.elected() and await self._poll_is_due():
            self._last_poll_at = time.monotonic()
            await self.poll()

    async def _poll_is_due(self) -> bool:
        now = time.monotonic()
        if now < self._rate_limited_until or now - self._last_poll_at < min(_SOON, self.interval):
            return False
        return now - self._last_poll_at >= self.interval or bool(await self.sightings.hinted())

    # one poll

    async def poll(self) -> None:
        """Poll who is gone, save the sightings, revoke what two polls agree on; hold back a mass change."""
        scan = await self._begin()
        begun = time.monotonic()
        await self._poll_accounts(scan)
        await self._poll_groups(scan)
        await self.leavers.poll(scan, self.context.catalog())
        # Saved before anything is revoked: if this process dies, the next leader has the first sightings.
        await self.sightings.save(scan.seen)
        held_back = [loss for loss in scan.losses if scan.awaits_confirmation(loss)]
        await self._hold_back(scan, held_back)
        # The lease may have expired, so that another process polls now; and the answers are too old to revoke by.
        if time.monotonic() - begun > _LEASE:
            log.warning("the offboarding poll took too long to act on; it is repeated")
            return
        await self._revoke([loss for loss in scan.losses if loss not in held_back])

    async def _begin(self) -> OffboardingScan:
        if await self.exposure.complete():
            await self.exposure.repair_page()
        else:
            log.info("the exposure index is built for the first time")
            await self.exposure.build(self.leader.elected)
        sightings, now = self.sightings, await (self.clock or self.context.store.now)()
        seen, confirmed = await sightings.seen(now), await sightings.confirmed()
        scan = OffboardingScan(now, seen, confirmed, await sightings.hinted(), await sightings.held())
        named = (
            {sighting.user for sighting in seen.values()}
            | {each.user for each in scan.held_back}
            | confirmed
            | scan.hinted
        )
        scan.exposed = await self.exposure.exposed(named)
        return scan

    async def _poll_accounts(self, scan: OffboardingScan) -> None:
        urgent, in_rotation = await self._select_users(scan)
        states = await self.accounts([*urgent, *in_rotation]) if scan.requests_of else AccountStates()
        self._rate_limited_until = time.monotonic() + states.rest
        await self.sightings.clear_hints((states.gone | states.here | (scan.hinted - scan.exposed)) & scan.hinted)
        if all(sighting.by for sighting in scan.seen.values()):
            self._sample.clear()
        for user in states.gone:
            scan.add_sighting(user, user)
            if scan.now - scan.seen[user].first >= self.account_recheck:
                scan.losses += [Loss(request, _DEACTIVATED) for request in scan.requests_of[user]]
        for user in states.here:
            scan.seen.pop(user, None)
        self._sample |= {user: user in states.gone for user in in_rotation if user in states.gone | states.here}
        self._sample |= dict.fromkeys(states.here & self._sample.keys(), False)
        scan.mass = await self._is_mass(scan)

    async def _is_mass(self, scan: OffboardingScan) -> bool:
        """Whether this is a mass change. Where a poll cannot reach everybody, those it reached are a sample.

        The sample has only those polled since somebody was first seen gone: earlier answers may be outdated.
        """
        # Sightings outlive the revocation for a while, and count here: a mass change may come little by little.
        gone = {sighting.user for sighting in scan.seen.values() if not sighting.by} - scan.confirmed
        if len(gone) <= MASS_MIN:
            return False
        everyone = await self._count_exposed(scan)
        if is_mass_change(len(gone), everyone + len(gone - scan.exposed)):
            return True
        if everyone == len(scan.exposed & (gone | scan.confirmed)):
            return False
        return not self._sample or sum(self._sample.values()) * MASS_DIVISOR > len(self._sample)

    async def _count_exposed(self, scan: OffboardingScan) -> int:
        """How many people have live or pending access: the index, without those whom no record confirms."""
        return await self.exposure.count_people() - len(scan.not_exposed)

    async def _select_users(self, scan: OffboardingScan) -> tuple[list[str], list[str]]:
        """Users to poll: first those who may be gone, by the age of their last poll; then others, in rotation."""
        now = time.monotonic()
        while self._polled_at and now - self._polled_at[0] >= 60.0:
            self._polled_at.popleft()
        room = max(0, min(MAX_PER_POLL, self.max_per_minute - len(self._polled_at)))
        suspected = [user for user in scan.exposed if user in scan.seen or user in scan.hinted]
        suspected.sort(key=lambda user: (scan.seen[user].last if user in scan.seen else 0.0, user))
        suspected_set = set(suspected)
        others = [
            user
            for user in await self.exposure.users_after(self._cursor, room + len(suspected_set))
            if user not in suspected_set
        ]
        urgent = suspected[: room - min(len(others), room // 3)]
        in_rotation = others[: room - len(urgent)]
        self._cursor = in_rotation[-1] if in_rotation else self._cursor
        scan.requests_of = await self.exposure.requests_of([*urgent, *in_rotation])
        # Those for whom no record of ours shows live or pending access are not polled.
        scan.not_exposed = {*urgent, *in_rotation} - scan.requests_of.keys()
        scan.exposed = (scan.exposed | scan.requests_of.keys()) - scan.not_exposed
        self._polled_at.extend([now] * len(scan.requests_of))
        polled = scan.requests_of
        return [user for user in urgent if user in polled], [user for user in in_rotation if user in polled]

    async def _poll_groups(self, scan: OffboardingScan) -> None:
        catalog = self.context.catalog()
        if await self.membership.restricted_ids(catalog) and (roster := await self.groups()) is not None:
            for request in await self.membership.lost(catalog, roster, scan.seen.keys()):
                self._note_lost_right(scan, catalog, roster, request)
        gone = {sighting.user for sighting in scan.seen.values() if sighting.in_groups} - scan.confirmed
        if len(gone) > MASS_MIN:
            scan.mass_by_groups = is_mass_change(len(gone), len(await self.membership.people() | gone))

    def _note_lost_right(self, scan: OffboardingScan, catalog: Catalog, roster: Roster, request: Request) -> None:
        if names := lost_rights.lost(catalog, roster, request):
            scan.add_sighting(request.id, request.requester.id, catalog.policy_hash)
            if scan.now - scan.seen[request.id].first >= self.group_recheck:
                why = f"the requester is in none of the groups that may request {', '.join(names)}"
                scan.losses.append(Loss(request, why, by_groups=True))
        elif authorization.may_still_request(catalog, roster, request, scan.now).allowed:
            scan.seen.pop(request.id, None)

    # a mass change

    async def _hold_back(self, scan: OffboardingScan, losses: Sequence[Loss]) -> None:
        """Report all losses that wait for a confirmation: once, and again when there are more of them."""
        if not scan.any_mass:
            if scan.held_back:
                await self.sightings.release_held()
            return
        waiting = {loss.request.id: held_access(loss) for loss in losses}
        suspected = {sighting.user for sighting in scan.seen.values()}
        before = {each.request: each for each in scan.held_back if each.user in suspected and each.user in scan.exposed}
        alarmed_lately = time.monotonic() - self._alarmed_at < _ALARM_INTERVAL
        if not waiting.keys() - before.keys() or (before and alarmed_lately):
            return
        held = [*{**before, **waiting}.values()]
        details = alarm_details(held, await self._count_exposed(scan))
        await self.sightings.hold_back(held, details, f"offboarding|{AUDIENCE}")
        self._alarmed_at = time.monotonic()
        how_many = count_people(held)
        log.critical("%s people would lose access at once; nothing is revoked, see `jit offboarding`", how_many)

    # revoking

    async def _revoke(self, losses: Iterable[Loss]) -> None:
        for loss in losses:
            request, catalog = loss.request, self.context.catalog() if loss.by_groups else None
            try:
                ended = await revoke.offboard(self.context, request.id, loss.why, catalog)
            except (NotFound, PolicyMoved, Tampered) as error:
                log.warning("%s is not revoked: %s", request.id, type(error).__name__)
                continue
            if ended:
                log.warning("%s is revoked from %s: %s", request.id, request.requester.id, loss.why)


def is_mass_change(gone: int, total: int) -> bool:
    """Whether ``gone`` people, of ``total`` who could be gone, are so many that a person has to confirm it."""
    return gone > MASS_MIN and gone * MASS_DIVISOR > total
