"""A worker's claim on a due request: its lease, its fencing token, the store's time; it calls no provider.

Commits after a lost lease are fenced off: the next worker goes on from the record. A request is due when the time of
its next step has come. A leg is one role of a request; its order, what the provider is called with under the id
`J-xxxx.n`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.core import lifecycle
from bot.core.errors import LockedDown
from bot.core.events import Event, Retried
from bot.core.request import Leg, Request
from bot.store.store import Store
from bot.store.types import Change, ClaimedRequest, CommitGuard, ExtraWrite, GuardFailed, Superseded, Unreplicated
from providers.systems.base import Order, Principal, ProviderError, Subject

WAIT_FOR_OTHERS = 0.5
"""Seconds after which a step that another request blocked is retried."""
MAX_ERROR = 800
"""Characters of a provider's error that are kept: enough for the obstacle and the command to type."""
WAIT_FOR_LIFT = 2.0
"""Seconds after which a step that a lockdown stopped is retried."""
_MAX_BACKOFF = 300.0


class TryLater(Exception):
    """The step cannot be made now: the claim is released, and the request is due again at ``not_before``."""

    def __init__(self, not_before: float) -> None:
        """Take the time of the retry, Unix seconds of the store's clock."""
        super().__init__(not_before)
        self.not_before = not_before


@dataclass
class Claim:
    """A claim, the request as of its last commit, and the store's time, carried forward by a monotonic clock.

    ``lease`` in seconds. ``jitter`` draws from 0 to 1, so that steps that failed together are not retried together.
    """

    store: Store
    claimed: ClaimedRequest
    request: Request
    lease: float
    jitter: Callable[[], float] = random.random
    _renewed_at: float = field(init=False)

    def __post_init__(self) -> None:
        """The lease runs from when the claim was made."""
        self._renewed_at = self.claimed.read_at

    @property
    def now(self) -> float:
        """The store's time."""
        return self.claimed.now + (time.monotonic() - self.claimed.read_at)

    @property
    def fresh(self) -> bool:
        """Whether less than half of the lease has passed: a process that was suspended for longer must not act."""
        return time.monotonic() - self._renewed_at < self.lease / 2

    async def renew_lease(self) -> None:
        """Renew the lease. Raises `Superseded` when another worker has claimed the request."""
        sent_at = time.monotonic()  # before the call: the lease runs from when the store got it, not from its answer
        if not await self.store.due_set.renew(self.claimed, self.lease):
            raise Superseded(self.claimed.id)
        self._renewed_at = sent_at

    async def commit(
        self,
        event: Event,
        *,
        deadline: float | None = None,
        lease_until: float | None = None,
        guards: tuple[CommitGuard, ...] = (),
        extra_writes: tuple[ExtraWrite, ...] = (),
    ) -> None:
        """Advance the lifecycle and commit. Raises `Superseded`, `IllegalEvent`, `NotSafe`.

        Also `TryLater`, where a guard failed or a lockdown is in force.
        """
        after = lifecycle.advance(self.request, event)
        change = Change(
            self.request,
            after,
            event,
            deadline=deadline,
            fence=self.claimed.fence,  # the commit fails once another worker has claimed the request
            lease_until=lease_until,
            guards=guards,
            extra_writes=extra_writes,
        )
        try:
            await self.store.commit(change)
        except GuardFailed as error:
            raise TryLater(self.now + WAIT_FOR_OTHERS) from error
        except LockedDown as error:
            raise TryLater(self.now + WAIT_FOR_LIFT) from error
        except Unreplicated:
            self.request = after  # written, but not replicated: no provider may be called on it
            raise
        self.request = after

    async def locked_down(self) -> bool:
        """Whether a lockdown covers the request: then its access may only be revoked."""
        lockdowns = await self.store.lockdowns.read()
        return bool(lockdowns.over(leg.role.system for leg in self.request.legs))

    def retry_event(self, leg: Leg, error: str) -> Retried:
        """The event of a failed step: it is retried with exponential backoff and jitter."""
        wait = min(_MAX_BACKOFF, 0.5 * 2 ** min(leg.tries, 16)) * (0.5 + self.jitter() / 2)
        return Retried(at=self.now, leg=leg.n, error=error[:MAX_ERROR], retry_at=self.now + wait)

    def order(self, leg: Leg) -> Order:
        """The order of a leg, from the record alone: every retry sends the same one, so that the call is idempotent."""
        return order(self.request, leg)


def order(request: Request, leg: Leg) -> Order:
    """The order of an attempted leg, as a provider gets it."""
    return Order(
        id=request.order_id(leg.n),
        principal=principal(request),
        subject=Subject.model_validate(leg.subject),
        params=leg.role.params,
        not_after=request.not_after,
        target=leg.target,
    )


def principal(request: Request) -> Principal:
    """The requester, in the form that providers take."""
    requester = request.requester
    return Principal(key=requester.identity, email=requester.email, name=requester.name)


def error_text(error: BaseException) -> str:
    """The text of a provider's error; of any other error only the type, since its text may contain a secret."""
    return str(error)[:MAX_ERROR] if isinstance(error, ProviderError) else f"unexpected {type(error).__name__}"
