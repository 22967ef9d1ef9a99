"""Takes access away from people who left, as their directory tells twice; it believes no single answer, and no silence.

An account is gone when it was seen deactivated twice, some twenty seconds apart; a right to ask, when whoever asked
was seen outside all the groups that have it, twice, a minute apart, by the same policy. Many at once are more likely
a mistaken directory than people who left: then nothing is taken away before a person confirms it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from bot.core import policy
from bot.core.catalog import Catalog
from bot.core.errors import NotFound, PolicyMoved, StoreAway, Tampered
from bot.core.model import Request
from bot.desk import Desk
from bot.losses import Look, Loss, facts, held, people
from bot.outsiders import Outsiders
from bot.store.sightings import Sightings
from bot.store.stakes import Stakes

log = logging.getLogger(__name__)

PACE = 20.0
"""Seconds between two looks."""
APART = 18.0
"""Seconds between two sightings of a deactivated account: a little under two looks, which are never quite on time."""
GROUPS_APART = 60.0
"""Seconds between two sightings of somebody outside their groups."""
MANY = 5
"""People; more of them, which are more than a quarter of those who could be gone, are to be confirmed."""
QUARTER = 4
MOST = 25
"""Accounts in one look."""
A_MINUTE = 75
"""Accounts in any minute: Slack's tier 4 is 100 and more, and people's clicks need some of it."""
AUDIENCE = "leaving:#"
"""The message, in the audit channel, that a mass change waits for a person."""
_BEAT = 2.0
"""Seconds between two questions whether there is a hint, and between two renewals of the lease."""
_LEASE = 30.0
"""Seconds; also the age at which the answers of a look are too old to be acted on."""
_SOON = 5.0
"""Seconds that a hint waits after the last look."""
_TOLD_AGAIN = 300.0
_DEACTIVATED = "their Slack account was deactivated"


@dataclass(frozen=True)
class Told:
    """Who surely is deactivated and who surely is not; of the others nobody knows. ``rest``: seconds to ask nothing."""

    gone: frozenset[str] = frozenset()
    here: frozenset[str] = frozenset()
    rest: float = 0.0


Accounts = Callable[[Sequence[str]], Awaitable[Told]]
"""What Slack says of these accounts now."""
Groups = Callable[[], Awaitable[policy.Roster | None]]
"""Each group of the policy by an answer that was asked for now; None when it was not given."""


@dataclass
class Leavers:
    """The running part; one process of a workspace does it at a time.

    ``clock``: the store's time, Unix seconds, where it is not to be asked for it. ``pace``, ``apart``,
    ``groups_apart`` and ``a_minute``: see the constants.
    """

    desk: Desk
    accounts: Accounts
    groups: Groups
    clock: Callable[[], Awaitable[float]] | None = None
    pace: float = PACE
    apart: float = APART
    groups_apart: float = GROUPS_APART
    a_minute: int = A_MINUTE
    holder: str = field(default_factory=lambda: secrets.token_hex(8))
    _after: str = field(default="", init=False)
    _asked: deque[float] = field(default_factory=deque, init=False)
    _sample: dict[str, bool] = field(default_factory=dict, init=False)
    _looked_at: float = field(default=-1e9, init=False)
    _rests_until: float = field(default=0.0, init=False)
    _told_at: float = field(default=-1e9, init=False)

    def __post_init__(self) -> None:
        """Open what was seen; nothing is sent."""
        self.sightings, self.stakes = Sightings(self.desk.store), Stakes(self.desk.store)
        self.outsiders = Outsiders(self.stakes)

    # when

    async def run(self, stop: asyncio.Event) -> None:
        """Look at each pace, and soon after a hint, until told to stop."""
        try:
            while not stop.is_set():
                await self._beat()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), min(_BEAT, self.pace))
        finally:
            with contextlib.suppress(StoreAway):
                await self.sightings.elected(self.holder, 0)

    async def _beat(self) -> None:
        """Look, if it is this process's turn and time to; what goes wrong is tried again."""
        try:
            if await self.sightings.elected(self.holder, _LEASE) and await self._time_to():
                self._looked_at = time.monotonic()
                await self.look()
        except StoreAway as error:
            log.warning("the store is away, nobody can be looked at: %s", error)
        except Exception:
            log.exception("who has left could not be looked at; it is tried again")

    async def _time_to(self) -> bool:
        now = time.monotonic()
        if now < self._rests_until or now - self._looked_at < min(_SOON, self.pace):
            return False
        return now - self._looked_at >= self.pace or bool(await self.sightings.hinted())

    # one look

    async def look(self) -> None:
        """Ask who is gone, note it, and take away what is surely lost; or tell that so much is to be confirmed."""
        look = await self._begin()
        begun = time.monotonic()
        await self._see_accounts(look)
        await self._see_groups(look)
        await self.sightings.keep(look.seen)
        kept = [loss for loss in look.losses if look.holds_back(loss)]
        await self._hold(look, kept)
        if time.monotonic() - begun > _LEASE:
            log.warning("the look at who has left took too long to be acted on; it is taken again")
            return
        await self._take([loss for loss in look.losses if loss not in kept])

    async def _begin(self) -> Look:
        if await self.stakes.complete():
            await self.stakes.review()
        else:
            log.info("who has something to lose is noted for the first time")
            await self.stakes.fill(lambda: self.sightings.elected(self.holder, _LEASE))
        sightings, now = self.sightings, await (self.clock or self.desk.store.now)()
        seen, confirmed = await sightings.seen(now), await sightings.confirmed()
        look = Look(now, seen, confirmed, await sightings.hinted(), await sightings.held())
        named = {one.user for one in seen.values()} | {each.user for each in look.known} | confirmed | look.hinted
        look.present = await self.stakes.among(named)
        return look

    async def _see_accounts(self, look: Look) -> None:
        urgent, turn = await self._whom(look)
        told = await self.accounts([*urgent, *turn]) if look.users else Told()
        self._rests_until = time.monotonic() + told.rest
        await self.sightings.heeded((told.gone | told.here | (look.hinted - look.present)) & look.hinted)
        if all(one.by for one in look.seen.values()):
            self._sample.clear()
        for user in told.gone:
            look.sight(user, user)
            if look.now - look.seen[user].first >= self.apart:
                look.losses += [Loss(request, _DEACTIVATED) for request in look.users[user]]
        for user in told.here:
            look.seen.pop(user, None)
        self._sample |= {user: user in told.gone for user in turn if user in told.gone | told.here}
        self._sample |= dict.fromkeys(told.here & self._sample.keys(), False)
        look.mass = await self._is_mass(look)

    async def _is_mass(self, look: Look) -> bool:
        """Where so many hold something that a look does not reach all, those whose turn it was stand for the others.

        Only those who were looked at since somebody was first seen gone: whoever was there before says nothing of now.
        """
        # Those who lost what they had stay among the sightings for a while: what trickles in is a mass change, too.
        gone = {one.user for one in look.seen.values() if not one.by} - look.confirmed
        if len(gone) <= MANY:
            return False
        everyone = await self._people(look)
        if mass(len(gone), everyone + len(gone - look.present)):
            return True
        if everyone == len(look.present & (gone | look.confirmed)):
            return False
        return not self._sample or sum(self._sample.values()) * QUARTER > len(self._sample)

    async def _people(self, look: Look) -> int:
        return await self.stakes.people() - len(look.without)

    async def _whom(self, look: Look) -> tuple[list[str], list[str]]:
        """Who is looked at: those who may be gone, the longest ago first; and of the others whose turn it is."""
        now = time.monotonic()
        while self._asked and now - self._asked[0] >= 60.0:
            self._asked.popleft()
        most = max(0, min(MOST, self.a_minute - len(self._asked)))
        doubted = [user for user in look.present if user in look.seen or user in look.hinted]
        doubted.sort(key=lambda user: (look.seen[user].last if user in look.seen else 0.0, user))
        known = set(doubted)
        others = [user for user in await self.stakes.after(self._after, most + len(known)) if user not in known]
        urgent = doubted[: most - min(len(others), most // 3)]
        turn = others[: most - len(urgent)]
        self._after = turn[-1] if turn else self._after
        look.users = await self.stakes.of([*urgent, *turn])
        # Where no record of ours says that they have something to lose, nobody asks about them.
        look.without = {*urgent, *turn} - look.users.keys()
        look.present = (look.present | look.users.keys()) - look.without
        self._asked.extend([now] * len(look.users))
        return [user for user in urgent if user in look.users], [user for user in turn if user in look.users]

    async def _see_groups(self, look: Look) -> None:
        catalog = self.desk.catalog()
        if await self.outsiders.resting(catalog) and (roster := await self.groups()) is not None:
            for request in await self.outsiders.lost(catalog, roster, look.seen.keys()):
                self._see_rights(look, catalog, roster, request)
        gone = {one.user for one in look.seen.values() if one.by} - look.confirmed
        if len(gone) > MANY:
            look.mass_by_groups = mass(len(gone), len(await self.outsiders.people() | gone))

    def _see_rights(self, look: Look, catalog: Catalog, roster: policy.Roster, request: Request) -> None:
        if names := policy.lost(catalog, roster, request):
            look.sight(request.id, request.asker.id, catalog.generation)
            if look.now - look.seen[request.id].first >= self.groups_apart:
                why = f"who asked is in none of the groups that may ask for {', '.join(names)}"
                look.losses.append(Loss(request, why, by_groups=True))
        elif policy.may_be_given(catalog, roster, request).allowed:
            look.seen.pop(request.id, None)

    # a mass change

    async def _hold(self, look: Look, losses: Sequence[Loss]) -> None:
        """Tell what is held back, once, and again when it is more; each time all of it, since all is confirmed."""
        if not (look.mass or look.mass_by_groups):
            if look.known:
                await self.sightings.let_go()
            return
        now = {loss.request.id: held(loss) for loss in losses}
        doubted = {one.user for one in look.seen.values()}
        stays = {each.request: each for each in look.known if each.user in doubted and each.user in look.present}
        if not now.keys() - stays.keys() or (stays and time.monotonic() - self._told_at < _TOLD_AGAIN):
            return
        holds = [*{**stays, **now}.values()]
        await self.sightings.hold(holds, facts(holds, await self._people(look)), f"leavers|{AUDIENCE}")
        self._told_at = time.monotonic()
        log.critical("%s people would lose access at once; nothing is taken away, see `jit leavers`", people(holds))

    # taking away

    async def _take(self, losses: Iterable[Loss]) -> None:
        for loss in losses:
            request, catalog = loss.request, self.desk.catalog() if loss.by_groups else None
            try:
                taken = await self.desk.left(request.id, loss.why, catalog)
            except (NotFound, PolicyMoved, Tampered) as error:
                log.warning("%s is not taken away: %s", request.id, type(error).__name__)
                continue
            if taken:
                log.warning("%s is taken away from %s: %s", request.id, request.asker.id, loss.why)


def mass(gone: int, of: int) -> bool:
    """Whether so many people are gone, of so many who could be, that somebody has to confirm it."""
    return gone > MANY and gone * QUARTER > of
