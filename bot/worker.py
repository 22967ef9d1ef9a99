"""Claims what is due, calls the providers and commits what came of it; it judges nobody and posts nothing.

Each step is recorded before it is made, so that a kill at any line leaves a due time and enough knowledge to
undo. A claim that was lost on the way is never written over: the next claimant goes on from the record.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from bot.core import lifecycle
from bot.core.errors import JitError, StoreAway
from bot.core.events import (
    Attempted,
    Doubted,
    Event,
    Granted,
    Refused,
    Retried,
    Revealed,
    Revoked,
)
from bot.core.lifecycle import IllegalEvent
from bot.core.model import Leg, LegState, Request, State
from bot.store.holds import CLOSING, Holds
from bot.store.store import Change, Claimed, Guard, GuardFailed, Op, Store, Superseded
from providers.systems.base import (
    Order,
    Outcome,
    Presence,
    Principal,
    Prior,
    ProviderError,
    Receipt,
    Revealing,
    Secret,
    Subject,
    System,
)
from providers.systems.base import Refused as ProviderRefused

log = logging.getLogger(__name__)

_BATCH = 64
_LONGEST_BACKOFF = 300.0
_WAIT_FOR_HOLD = 0.5
_IDENTITY_AGE = 60.0
_REVEAL_AGE = 60.0

Deliver = Callable[[Request, str, Secret | str], Awaitable[None]]
"""Shows a secret, or the sentence why there is none, in the modal that is open before the asker."""
Wait = Callable[[float], Awaitable[None]]
"""Returns after so many seconds, or sooner when something may be due."""


class Unsettled(Exception):
    """The present step cannot be made now; the claim is given back until ``not_before``."""

    def __init__(self, not_before: float) -> None:
        """Keep when to try again, Unix seconds of the store's clock."""
        super().__init__(not_before)
        self.not_before = not_before


@dataclass
class Post:
    """One system's provider, as this worker reaches it."""

    system: System
    slots: asyncio.Semaphore
    grants: asyncio.Semaphore
    target: str = ""
    checked: float = 0.0

    @classmethod
    def of(cls, system: System, slots: int = 16) -> Post:
        """Half of the slots are kept for revokes."""
        return cls(system, asyncio.Semaphore(slots), asyncio.Semaphore(slots // 2))

    async def identity(self) -> str:
        """Which system this really is, asked at most once a minute."""
        if not self.target or time.monotonic() - self.checked > _IDENTITY_AGE:
            self.target = (await self.system.check()).target
            self.checked = time.monotonic()
        return self.target


@dataclass
class Held:
    """A claim in hand: the request as it is now, and the store's time, carried forward by a steady clock."""

    claimed: Claimed
    request: Request
    lease: float
    taken: float = field(default_factory=time.monotonic)

    @property
    def now(self) -> float:
        """The store's time."""
        return self.claimed.now + (time.monotonic() - self.taken)

    @property
    def fresh(self) -> bool:
        """Whether the first lease surely still holds; a process that was stopped meanwhile acts no more."""
        return time.monotonic() - self.taken < self.lease / 2


@dataclass
class Worker:
    """One worker; any number of them run over one store.

    ``lease``: seconds for which a claim is ours at first; it is prolonged to cover a provider's call. ``margin``:
    seconds added to the time after which a provider says that a call has surely landed.
    """

    store: Store
    systems: Mapping[str, System]
    deliver: Deliver
    wait: Wait
    jitter: Callable[[], float] = random.random
    lease: float = 30.0
    margin: float = 1.0

    def __post_init__(self) -> None:
        """Give each system its slots."""
        self.holds = Holds(self.store)
        self.posts = {name: Post.of(system) for name, system in self.systems.items()}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; then finish what is in hand."""
        try:
            while not stop.is_set():
                await self.wait(await self._round(stop))
        finally:
            if self._tasks:
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _round(self, stop: asyncio.Event) -> float:
        """Claim what is due and start on it. Answers how many seconds nothing will be due."""
        try:
            due = await self.store.due(_BATCH)
            if due.ids and not stop.is_set():
                for claimed in await self.store.claim(due.ids, self.lease):
                    self._start(claimed)
        except StoreAway as error:
            log.warning("the store is away, nothing can be claimed: %s", error)
            return 0.5
        return 1.0 if due.next_at is None else min(1.0, max(0.0, due.next_at - due.now))

    def _start(self, claimed: Claimed) -> None:
        task = asyncio.create_task(self.handle(claimed), name=claimed.id)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def handle(self, claimed: Claimed) -> None:
        """Make the one step that is due and commit it."""
        if claimed.request is None:
            await self._alarm(claimed.id)
            return
        held = Held(claimed, claimed.request, self.lease)
        try:
            await self._step(held)
        except (Superseded, IllegalEvent):
            await self._give_back(claimed, None)
        except Unsettled as error:
            await self._give_back(claimed, error.not_before)
        except StoreAway as error:
            log.warning("%s: the store went away, its lease will lapse: %s", claimed.id, error)
        except JitError as error:
            log.warning("%s: not done: %s %s", claimed.id, type(error).__name__, error)

    async def _step(self, held: Held) -> None:
        request = held.request
        if event := lifecycle.woken(request, held.now):
            await self._commit(held, event)
            return
        match request.state:
            case State.GRANTING:
                await self._grant_due(held)
            case State.REVOKING:
                await self._revoke_due(held)
            case State.ACTIVE if request.reveal:
                await self._reveal(held)
            case _:
                await self._give_back(held.claimed, None)

    # granting

    async def _grant_due(self, held: Held) -> None:
        request, now = held.request, held.now
        if now >= lifecycle.budget_ends(request):
            await self._commit(held, _out_of_budget(request, now))
            return
        leg = lifecycle.next_leg(request, now)
        if leg is None:
            raise Unsettled(lifecycle.due(request) or now)
        post = self.posts.get(leg.role.system)
        if post is None:
            await self._commit(held, self._again(held, leg, f"no provider serves {leg.role.system} here"))
            return
        async with post.grants, post.slots:
            if not held.fresh:
                raise Unsettled(now)
            await self._grant(held, leg, post)

    async def _grant(self, held: Held, leg: Leg, post: Post) -> None:
        try:
            order, prior, guards, ops = await self._prepare(held, leg, post)
        except ProviderRefused as error:
            await self._commit(held, Refused(at=held.now, leg=leg.n, error=_said(error)))
            return
        except (JitError, Superseded, Unsettled):
            raise
        except Exception as error:  # noqa: BLE001  # whatever else escapes a provider is an unknown outcome
            await self._commit(held, self._again(held, leg, _said(error)))
            return
        lands_by = held.now + post.system.settles_within + self.margin
        attempted = Attempted(
            at=held.now,
            leg=leg.n,
            subject=order.subject.model_dump(),
            target=order.target,
            prior=prior.model_dump(),
            holds=tuple(post.system.entitlements(order)),
            in_flight_until=lands_by,
        )
        await self._commit(held, attempted, lease_until=lands_by + self.lease, guards=guards, ops=ops)
        if not held.fresh:
            raise Unsettled(lands_by)
        await self._commit(held, await self._call_grant(held, leg, post, order, prior))

    async def _call_grant(self, held: Held, leg: Leg, post: Post, order: Order, prior: Prior) -> Event:
        try:
            receipt = await post.system.grant(order, prior)
        except ProviderRefused as error:
            return Refused(at=held.now, leg=leg.n, error=_said(error))
        except Exception as error:  # noqa: BLE001  # whatever else escapes a provider is an unknown outcome
            return self._again(held, leg, _said(error))
        return Granted(at=held.now, leg=leg.n, receipt=receipt.model_dump())

    async def _prepare(
        self, held: Held, leg: Leg, post: Post
    ) -> tuple[Order, Prior, tuple[Guard, ...], tuple[Op, ...]]:
        """The order, and what stood before it: seen once, or learnt from whoever shares the entitlement."""
        if leg.prior is not None:
            return _order(held.request, leg), Prior.model_validate(leg.prior), (), ()
        order = await self._first_order(held.request, leg, post)
        inspected = await post.system.inspect(order)
        guards: list[Guard] = []
        ops: list[Op] = []
        facts = dict(inspected.facts)
        natives = post.system.entitlements(order)
        for native in natives:
            others = await self.holds.others(native, order.id)
            if CLOSING in others.values():
                raise Unsettled(held.now + _WAIT_FOR_HOLD)
            if others:
                other = min(others)
                facts[native] = await self._stood_before(native, other)
                guard, op = self.holds.join_with(native, other, order.id)
            else:
                guard, op = self.holds.join_alone(native, order.id)
            guards.append(guard)
            ops.append(op)
        present = all(bool(facts.get(native)) for native in natives) if natives else inspected.present
        return order, Prior(present=present, facts=facts), tuple(guards), tuple(ops)

    async def _stood_before(self, native: str, other: str) -> bool:
        """What stood before the other order, from its sealed record: never from the hold, which has no seal."""
        id_, _, n = other.partition(".")
        loaded = await self.store.load(id_)
        if loaded is None or (prior := loaded.request.legs[int(n)].prior) is None:
            raise Superseded(other)
        return bool(prior["facts"].get(native))

    async def _first_order(self, request: Request, leg: Leg, post: Post) -> Order:
        principal, id_ = _principal(request), request.order_id(leg.n)
        target = await post.identity()
        subject = await post.system.resolve(principal, leg.role.params, id_)
        return Order(
            id=id_,
            principal=principal,
            subject=subject,
            params=leg.role.params,
            not_after=request.not_after,
            target=target,
        )

    # revoking

    async def _revoke_due(self, held: Held) -> None:
        leg = lifecycle.next_leg(held.request, held.now)
        if leg is None:
            raise Unsettled(lifecycle.due(held.request) or held.now)
        if leg.subject is None:
            outcome = Outcome(presence=Presence.ABSENT, kept="nothing was ever attempted")
            await self._commit(held, Revoked(at=held.now, leg=leg.n, outcome=outcome.model_dump()))
            return
        post = self.posts.get(leg.role.system)
        if post is None:
            await self._commit(held, self._again(held, leg, f"no provider serves {leg.role.system} here"))
            return
        async with post.slots:
            if not held.fresh:
                raise Unsettled(held.now)
            await self._revoke(held, leg, post)

    async def _revoke(self, held: Held, leg: Leg, post: Post) -> None:
        order = _order(held.request, leg)
        last = {native: await self.holds.leave(native, order.id, held.claimed) for native in leg.holds}
        gone = self.holds.gone(leg.holds, order.id)
        if last and not any(last.values()):
            kept = Outcome(presence=Presence.ABSENT, kept="still needed by another request, which will close it")
            await self._settle(held, leg, kept, gone)
            return
        prior = _must_remain(Prior.model_validate(leg.prior), last)
        receipt = None if leg.receipt is None else Receipt.model_validate(leg.receipt)
        if not held.fresh:
            # Another may have closed it meanwhile, and somebody else may have opened it again.
            raise Unsettled(held.now)
        try:
            outcome = await post.system.revoke(order, prior, receipt)
        except Exception as error:  # noqa: BLE001  # whatever escapes a provider here, the door may be open: try again
            await self._commit(held, self._again(held, leg, _said(error)))
            return
        await self._settle(held, leg, outcome, gone)

    async def _settle(self, held: Held, leg: Leg, outcome: Outcome, gone: tuple[Op, ...]) -> None:
        """Closed only when read back as absent, and when no slow grant can land any more."""
        if outcome.presence is not Presence.ABSENT:
            error = f"read back as {outcome.presence} after the revoke"
            await self._commit(held, self._again(held, leg, error))
        elif held.now < leg.in_flight_until:
            waiting = "closed, and looked at again when a slow call cannot land any more"
            wait = Retried(at=held.now, leg=leg.n, error=waiting, retry_at=leg.in_flight_until, failed=False)
            await self._commit(held, wait)
        else:
            await self._commit(held, Revoked(at=held.now, leg=leg.n, outcome=outcome.model_dump()), ops=gone)

    # revealing

    async def _reveal(self, held: Held) -> None:
        request = held.request
        wish = request.reveal
        if wish is None:
            return
        if held.now - wish.at > _REVEAL_AGE:
            await self._commit(held, Revealed(at=held.now, error="nobody was there to make it in time"))
            return
        shown, error = await self._secret(request)
        await self.deliver(request, wish.view, shown)
        await self._commit(held, Revealed(at=held.now, error=error))

    async def _secret(self, request: Request) -> tuple[Secret | str, str]:
        for leg in request.legs:
            post = self.posts.get(leg.role.system)
            if post is None or not isinstance(post.system, Revealing) or leg.receipt is None:
                continue
            try:
                receipt = Receipt.model_validate(leg.receipt)
                return await post.system.reveal(_order(request, leg), receipt), ""
            except Exception as error:  # noqa: BLE001  # no secret was handed over; the asker is told to press again
                return _said(error), _said(error)
        nothing = "there is no secret to show for this access"
        return nothing, nothing

    # the outcome

    async def _commit(
        self,
        held: Held,
        event: Event,
        *,
        lease_until: float | None = None,
        guards: tuple[Guard, ...] = (),
        ops: tuple[Op, ...] = (),
    ) -> None:
        after = lifecycle.advance(held.request, event)
        change = Change(
            held.request,
            after,
            event,
            fence=held.claimed.fence,
            lease_until=lease_until,
            guards=guards,
            ops=ops,
        )
        try:
            await self.store.commit(change)
        except GuardFailed as error:
            raise Unsettled(held.now + _WAIT_FOR_HOLD) from error
        held.request = after

    async def _give_back(self, claimed: Claimed, not_before: float | None) -> None:
        try:
            await self.store.free(claimed, not_before)
        except StoreAway as error:
            log.warning("%s: could not be given back, its lease will lapse: %s", claimed.id, error)

    async def _alarm(self, id_: str) -> None:
        """A due request without a record that is ours: kept in the due set, loud, and nothing is done with it."""
        log.error("%s is due, but its record is missing or was not written by us; nothing is done with it", id_)
        try:
            await self.store.alarm("tampered", id_)
        except StoreAway as error:
            log.warning("the alarm for %s could not be recorded: %s", id_, error)

    def _again(self, held: Held, leg: Leg, error: str) -> Retried:
        wait = min(_LONGEST_BACKOFF, 0.5 * 2 ** min(leg.tries, 16)) * (0.5 + self.jitter() / 2)
        return Retried(at=held.now, leg=leg.n, error=error[:300], retry_at=held.now + wait)


def _out_of_budget(request: Request, now: float) -> Event:
    late = "it could not be opened within the time that opening may take"
    tried = [leg for leg in request.legs if leg.attempts]
    if tried or any(leg.state is LegState.ACTIVE for leg in request.legs):
        return Doubted(at=now, error=late)
    return Refused(at=now, leg=0, error=late)


def _principal(request: Request) -> Principal:
    asker = request.asker
    return Principal(key=asker.identity, email=asker.email, name=asker.name)


def _order(request: Request, leg: Leg) -> Order:
    """The same order on every retry, from the record alone."""
    return Order(
        id=request.order_id(leg.n),
        principal=_principal(request),
        subject=Subject.model_validate(leg.subject),
        params=leg.role.params,
        not_after=request.not_after,
        target=leg.target,
    )


def _must_remain(prior: Prior, last: Mapping[str, bool]) -> Prior:
    """What must be left standing: what stood before, and what another request still holds."""
    held = {native: True for native, mine in last.items() if not mine}
    return prior.model_copy(update={"facts": {**prior.facts, **held}})


def _said(error: Exception) -> str:
    """A provider's own sentence; of anything else only the kind, since its text may carry a secret."""
    return str(error)[:300] if isinstance(error, ProviderError) else f"unexpected {type(error).__name__}"
