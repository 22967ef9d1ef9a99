"""A due request in a worker's hand: the claim, the store's time, the commit of a step; it calls no provider.

A claim that was lost on the way is never written over: the next claimant goes on from the record.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.core import lifecycle
from bot.core.errors import LockedDown
from bot.core.events import Event, Retried
from bot.core.model import Leg, Request
from bot.store.changes import Change, Claimed, Guard, GuardFailed, Op, Superseded, Unreplicated
from bot.store.store import Store
from providers.systems.base import Order, Principal, ProviderError, Subject

WAIT_FOR_OTHERS = 0.5
"""Seconds after which a step that somebody else was in the way of is tried again."""
WAIT_FOR_LIFT = 2.0
"""Seconds after which it is looked at again whether what a lockdown keeps from being begun may begin."""
_LONGEST_BACKOFF = 300.0


class Unsettled(Exception):
    """The present step cannot be made now; the claim is given back until ``not_before``."""

    def __init__(self, not_before: float) -> None:
        """Keep when to try again, Unix seconds of the store's clock."""
        super().__init__(not_before)
        self.not_before = not_before


@dataclass
class Held:
    """A claim, the request as it is now, and the store's time, carried forward by a steady clock.

    ``lease`` in seconds. ``jitter`` draws from 0 to 1, so that what failed together is not tried again together.
    """

    store: Store
    claimed: Claimed
    request: Request
    lease: float
    jitter: Callable[[], float] = random.random
    _kept: float = field(init=False)

    def __post_init__(self) -> None:
        """The lease runs from when the claim was made."""
        self._kept = self.claimed.taken

    @property
    def now(self) -> float:
        """The store's time."""
        return self.claimed.now + (time.monotonic() - self.claimed.taken)

    @property
    def fresh(self) -> bool:
        """Whether the lease surely still holds; a process that was stopped meanwhile acts no more."""
        return time.monotonic() - self._kept < self.lease / 2

    async def keep(self) -> None:
        """Prolong the lease. Raises `Superseded` when another worker has taken over."""
        asked = time.monotonic()
        if not await self.store.keep(self.claimed, self.lease):
            raise Superseded(self.claimed.id)
        self._kept = asked

    async def commit(
        self,
        event: Event,
        *,
        deadline: float | None = None,
        lease_until: float | None = None,
        guards: tuple[Guard, ...] = (),
        ops: tuple[Op, ...] = (),
    ) -> None:
        """Advance and write. Raises `Superseded`, `IllegalEvent`, `NotSafe`.

        Also `Unsettled`, where a guard failed or a lockdown stands.
        """
        after = lifecycle.advance(self.request, event)
        change = Change(
            self.request,
            after,
            event,
            deadline=deadline,
            fence=self.claimed.fence,
            lease_until=lease_until,
            guards=guards,
            ops=ops,
        )
        try:
            await self.store.commit(change)
        except GuardFailed as error:
            raise Unsettled(self.now + WAIT_FOR_OTHERS) from error
        except LockedDown as error:
            raise Unsettled(self.now + WAIT_FOR_LIFT) from error
        except Unreplicated:
            self.request = after  # it is written, though nobody may act on it
            raise
        self.request = after

    async def locked_down(self) -> bool:
        """Whether a lockdown stands over it: then nothing more is done for it than to close it."""
        standing = await self.store.lockdowns.read()
        return bool(standing.over(leg.role.system for leg in self.request.legs))

    def again(self, leg: Leg, error: str) -> Retried:
        """The step failed: when it is tried again, later each time."""
        wait = min(_LONGEST_BACKOFF, 0.5 * 2 ** min(leg.tries, 16)) * (0.5 + self.jitter() / 2)
        return Retried(at=self.now, leg=leg.n, error=error[:300], retry_at=self.now + wait)

    def order(self, leg: Leg) -> Order:
        """The same order on every retry, from the record alone."""
        return order(self.request, leg)


def order(request: Request, leg: Leg) -> Order:
    """A leg that was attempted, as a provider knows it."""
    return Order(
        id=request.order_id(leg.n),
        principal=principal(request),
        subject=Subject.model_validate(leg.subject),
        params=leg.role.params,
        not_after=request.not_after,
        target=leg.target,
    )


def principal(request: Request) -> Principal:
    """Who asks, as a provider knows people."""
    asker = request.asker
    return Principal(key=asker.identity, email=asker.email, name=asker.name)


def said(error: BaseException) -> str:
    """A provider's own sentence; of anything else only the kind, since its text may carry a secret."""
    return str(error)[:300] if isinstance(error, ProviderError) else f"unexpected {type(error).__name__}"
