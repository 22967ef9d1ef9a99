"""Claims due requests and makes their next step: grant, revoke, reveal, extend, start. It judges nobody, posts nothing.

Each step is recorded before it is made, so that a crash at any line leaves a due time and enough to undo the step. A
request is due when the time of its next step has come. A leg is one role of a request; a slot,
room for one more call to a system.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bot import logs
from bot.background import Loop, Wait, paused
from bot.core import deadlines
from bot.core.errors import JitError, Late, StoreAway
from bot.core.events import AccessExpired, Event, Revoked
from bot.core.illegal_event import IllegalEvent
from bot.core.request import ExtensionState, Request, State
from bot.store.due_set import new_fence
from bot.store.indexes.drift import DriftIndex
from bot.store.shared_entitlements import SharedEntitlements
from bot.store.store import Store
from bot.store.types import ClaimedRequest, CommitGuard, Superseded
from bot.worker.active import ActiveAccess, Deliver
from bot.worker.approval_check import ApprovalInvalid
from bot.worker.claim import Claim, TryLater
from bot.worker.grant import Granter, out_of_budget
from bot.worker.provider_gateway import TIMEOUT_MARGIN, NoFreeSlot, ProviderGateway
from bot.worker.record_checks import RecordChecks
from bot.worker.recovery import Recovery, StaleRecord
from bot.worker.revoke import NEVER_ATTEMPTED, Revoker
from bot.worker.standing_access import StandingAccess
from bot.worker.usage_counter import UsageCounter
from providers.systems.base import System

log = logging.getLogger(__name__)

BATCH = 64
_MAX_CLAIMS = 256
"""Requests that one worker has claimed at a time: other workers claim the rest, or it waits in order of due times."""
_NO_SLOT_RETRY = 1.0
_FULL_PAUSE = 0.01
"""Seconds to the next round of a worker with as many claims as it may have."""
_RETRY_STEP = 1.0
_RETRY_STORE = 0.5
"""Seconds between two tries to claim, or to release a claim, while the store is away."""

StartCheck = Callable[[Request, float], Awaitable[tuple[Event, tuple[CommitGuard, ...]] | None]]
"""Checks a scheduled request at its start: the event and the guards of its commit, or None while it is unknown."""


@dataclass
class Worker:
    """One worker; any number of them run over one store.

    ``lease``: seconds of a new claim's lease; it is renewed for as long as a provider's call takes. ``margin``: seconds
    added to `settles_within`, after which a provider promises that a call has taken effect. ``timeout_margin``: seconds
    beyond that promise after which a provider's call is abandoned.
    """

    store: Store
    systems: Mapping[str, System]
    deliver: Deliver
    start_check: StartCheck
    wait: Wait
    jitter: Callable[[], float] = random.random
    lease: float = 30.0
    margin: float = 1.0
    timeout_margin: float = TIMEOUT_MARGIN
    recovery: Recovery | None = None
    """Checks records against the audit log; None: only the newest versions that this process has seen count."""
    counter: UsageCounter | None = None
    """Counts limits and conflicts again before a grant; None: only their ledgers count."""

    def __post_init__(self) -> None:
        """Build a gateway, with its slots, for each system."""
        self.gateways = {
            name: ProviderGateway(system, self.timeout_margin, name) for name, system in self.systems.items()
        }
        standing_access = StandingAccess(DriftIndex(self.store), self.gateways)
        self.records = RecordChecks(self.store, self.recovery, self.counter, standing_access)
        entitlements = SharedEntitlements(self.store, self.records.is_stale)
        self.granter = Granter(entitlements, self.margin, self.records.open_on, self.records.is_archived)
        self.revoker = Revoker(entitlements)
        self.active = ActiveAccess(self.gateways, self.deliver, self.records.check)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        if self.recovery:
            self.recovery.due_times.is_in_progress = lambda id_: any(task.get_name() == id_ for task in self._tasks)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then finish the calls in flight, and release the other claims at once."""
        try:
            # After any failure in a round, the next one is made: nothing else revokes due access.
            await Loop("claiming due requests", partial(self._round, stop), _RETRY_STORE, wait=self.wait).run(stop)
        finally:
            self._stopping = True
            if self._tasks:
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _round(self, stop: asyncio.Event) -> float:
        """Claim due requests and start their steps. Returns the seconds until the next request is due."""
        due = await self.store.due_set.read(BATCH)
        free_claims = _MAX_CLAIMS - len(self._tasks)
        if due.ids and free_claims > 0 and not stop.is_set():
            page_is_full = len(due.ids) == BATCH
            ids = self.recovery.known_first(due.ids, due.now) if self.recovery and page_is_full else due.ids
            for claimed in await self._claim(ids[:free_claims]):
                self._start(self.handle(claimed), claimed.id)
        if free_claims <= 0:
            return _FULL_PAUSE
        return 1.0 if due.next_at is None else min(1.0, max(0.0, due.next_at - due.now))

    async def _claim(self, ids: Sequence[str]) -> list[ClaimedRequest]:
        fence = new_fence()
        try:
            return await self.store.due_set.claim(ids, self.lease, fence)
        except StoreAway:
            # What was claimed before the answer was lost would be worked on by nobody until the lease expires.
            for id_ in ids:
                self._start(self._release_claim(ClaimedRequest(id_, fence, None, 0.0), None), id_)
            raise

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        with logs.about(request=name):
            task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def handle(self, claimed: ClaimedRequest) -> None:
        """Make the one step that is due and commit it."""
        if claimed.request is None:
            await self.records.replace_missing(claimed)
            return
        claim = Claim(self.store, claimed, claimed.request, self.lease, self.jitter)
        try:
            # Rolled back: this process has seen a newer version of the record.
            await (self._end_stale(claim) if claimed.rolled_back else self._step(claim))
        except StaleRecord:
            await self._handle_stale(claim)
        except ApprovalInvalid as error:
            await self.records.end_unapproved(claim, error)
        except (Superseded, IllegalEvent):
            await self._release_claim(claimed, None)
        except TryLater as error:
            await self._release_claim(claimed, error.not_before)
        except StoreAway as error:
            log.warning("%s: the store is away; the claim is released once it answers: %s", claimed.id, error)
            await self._release_claim(claimed, None)
        except Late:
            await self._release_claim(claimed, None)
        except NoFreeSlot:
            await self._release_claim(claimed, claim.now + _NO_SLOT_RETRY + self.jitter())
        except JitError as error:
            log.warning("%s: not done: %s %s", claimed.id, type(error).__name__, error)
            await self._release_claim(claimed, claim.now + _RETRY_STEP)

    # a record that was rolled back

    async def _handle_stale(self, claim: Claim) -> None:
        """Restore or end the request; after a failure, another worker may retry."""
        self.store.high_water_marks.distrust(claim.request)  # from here on this record only revokes
        try:
            await self._end_stale(claim)
        except (JitError, Superseded, IllegalEvent, TryLater) as error:
            log.warning("%s: rolled back, and not ended yet: %s", claim.claimed.id, error)
            await self._release_claim(claim.claimed, claim.now + _RETRY_STEP)

    async def _end_stale(self, claim: Claim) -> None:
        if await self.records.end_stale(claim):
            return
        if claim.request.state is State.REVOKING:
            await self._revoke_due(claim)
        else:
            await self._release_claim(claim.claimed, None)

    # the step that is due

    async def _step(self, claim: Claim) -> None:
        request = claim.request
        event = deadlines.due_event(request, claim.now)
        if isinstance(event, AccessExpired):
            # Revoked under the same claim: released, it would wait behind everything else that is due.
            await claim.commit(event, lease_until=claim.now + self.lease)
            await self._revoke_due(claim)
            return
        if event:
            await claim.commit(event)
            return
        match request.state:
            case State.SCHEDULED:
                await self._start_scheduled(claim)
            case State.GRANTING:
                await self._grant_due(claim)
            case State.REVOKING:
                await self._revoke_due(claim)
            case State.ACTIVE if request.reveal:
                async with self._lease_renewed(claim):
                    await self.active.reveal(claim)
            case State.ACTIVE if request.extension and request.extension.state is ExtensionState.EXTENDING:
                async with self._lease_renewed(claim):
                    await self.active.extend(claim, request.extension)
            case _:
                await self._release_claim(claim.claimed, None)

    async def _start_scheduled(self, claim: Claim) -> None:
        """At its start, check permission again; the guards fail the commit if what it relied on has changed since."""
        started = await self.start_check(claim.request, claim.now)
        if started is None:
            raise TryLater(claim.now + _RETRY_STEP)
        event, guards = started
        await claim.commit(event, guards=guards)

    async def _grant_due(self, claim: Claim) -> None:
        request, now = claim.request, claim.now
        if now >= deadlines.budget_ends(request):
            await claim.commit(out_of_budget(request, now))
            return
        leg = deadlines.next_leg(request, now)
        if leg is None:
            raise TryLater(deadlines.due(request) or now)
        # Only a grant waits for this check: access that is revoked by a stale record can be requested again.
        await self.records.check(claim)
        if await self.records.end_if_exceeding(claim):
            return
        gateway = self.gateways.get(leg.role.system)
        if gateway is None:
            await claim.commit(claim.retry_event(leg, f"no provider serves {leg.role.system} here"))
            return
        # The slot first: no call is made for a claim that was lost while it waited for one.
        async with gateway.granting(), self._lease_renewed(claim):
            await self.granter.grant(claim, leg, gateway)

    async def _revoke_due(self, claim: Claim) -> None:
        leg = deadlines.next_leg(claim.request, claim.now)
        if leg is None:
            raise TryLater(deadlines.due(claim.request) or claim.now)
        if leg.subject is None:
            await claim.commit(Revoked(at=claim.now, leg=leg.n, outcome=NEVER_ATTEMPTED.model_dump()))
            return
        gateway = self.gateways.get(leg.role.system)
        if gateway is None:
            await claim.commit(claim.retry_event(leg, f"no provider serves {leg.role.system} here"))
            return
        async with gateway.revoking(), self._lease_renewed(claim):
            await self.revoker.revoke(claim, leg, gateway)

    @contextlib.asynccontextmanager
    async def _lease_renewed(self, claim: Claim) -> AsyncIterator[None]:
        """Renew the lease while a provider's call runs. Raises `TryLater` if the claim may be lost by then."""
        if self._stopping or not claim.fresh:
            raise TryLater(claim.now)
        done = asyncio.Event()
        renewal = asyncio.create_task(self._renew_lease(claim, done), name=f"renewing {claim.claimed.id}")
        try:
            yield
        finally:
            # By an event, not cancelled: the store's client may take a cancellation for an answer that did not come.
            done.set()
            await renewal

    async def _renew_lease(self, claim: Claim, done: asyncio.Event) -> None:
        with contextlib.suppress(Superseded):  # another worker has claimed it: commits here are fenced off
            while not await paused(done, self.lease / 3):
                try:
                    await claim.renew_lease()
                except StoreAway as error:
                    log.warning("%s: its lease could not be extended: %s", claim.claimed.id, error)

    # claims

    async def _release_claim(self, claimed: ClaimedRequest, not_before: float | None) -> None:
        """Release the claim: the request is due again. While the store is away, retry for as long as a lease."""
        until = time.monotonic() + self.lease
        while True:
            try:
                await self.store.due_set.release(claimed, not_before)
            except StoreAway as error:
                if self._stopping or time.monotonic() > until:
                    log.warning("%s: the claim could not be released, its lease will expire: %s", claimed.id, error)
                    return
            else:
                return
            await asyncio.sleep(_RETRY_STORE * (0.5 + self.jitter()))
