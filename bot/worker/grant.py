"""Grants one leg (one role) of an approved request: inspect, record the attempt, call, record the outcome.

Recorded before the provider is called: the prior state (what the target had before), inspected once and never on a
retry, and until when the call may take effect. A crash at any line leaves enough in the record to revoke.

An order is what the provider is called with for a leg, under the id `J-xxxx.n`; a receipt, what it returned; a subject,
the account that gets the access; an entitlement, what the system gives (its native name is the system's own), shared
where several orders need it. A provider promises that within `settles_within` seconds a call has taken effect or
failed.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.core.errors import JitError
from bot.core.events import Event, GrantAttempted, Granted, GrantRefused, GrantUncertain, Retried
from bot.core.request import Leg, LegState, Request
from bot.store.shared_entitlements import CLOSING, HolderUnknown, SharedEntitlements
from bot.store.types import CommitGuard, ExtraWrite, NotSafe, Superseded
from bot.worker.claim import WAIT_FOR_OTHERS, Claim, TryLater, error_text, principal
from bot.worker.provider_gateway import ProviderGateway
from providers.systems.base import Connecting, Order, Prior, ProviderError, Receipt, System
from providers.systems.base import Refused as ProviderRefused

log = logging.getLogger(__name__)

_ARCHIVED_WITHIN = 5.0
"""Seconds that an attempt waits until the archive (the audit log outside Redis) has its record."""
_MAX_INSTRUCTIONS = 500
"""Characters of the instructions to connect."""


class PriorStateUnknown(ProviderError):
    """Another order shares the entitlement and has no record, so the prior state is unknown."""


@dataclass(frozen=True)
class GrantPlan:
    """What is to be granted, and the guards and writes that the attempt adds to the commit."""

    order: Order
    prior: Prior
    guards: tuple[CommitGuard, ...] = ()
    extra_writes: tuple[ExtraWrite, ...] = ()


@dataclass(frozen=True)
class Granter:
    """Makes the grant attempts of one worker. ``margin``: seconds added to a provider's `settles_within`."""

    entitlements: SharedEntitlements
    margin: float
    open_on: Callable[[str], Awaitable[Collection[str]]]
    """The requests that may have access on a system."""
    is_archived: Callable[[Request, float], Awaitable[bool]]
    """Whether the archive has a record's events, or has them within so many seconds."""

    async def grant(self, claim: Claim, leg: Leg, gateway: ProviderGateway) -> None:
        """Make the one attempt that is due. Raises `TryLater`, `Superseded`."""
        if wait := gateway.circuit.seconds_to_wait():
            await claim.commit(_held_back(claim, leg, wait))
            return
        try:
            plan = await self._plan(claim, leg, gateway)
        except ProviderRefused as error:
            await claim.commit(GrantRefused(at=claim.now, leg=leg.n, error=error_text(error)))
            return
        except (JitError, Superseded, TryLater):
            raise
        except Exception as error:  # noqa: BLE001  # any other provider error is an unknown outcome
            await claim.commit(claim.retry_event(leg, error_text(error)))
            return
        # A shared entitlement looks in the system as if it was there before the request: if Redis loses the record,
        # only the archive shows that we granted it. An account that the grant creates has the order's id on it.
        shared = bool(gateway.system.entitlements(plan.order))
        in_flight_until = (
            claim.now + gateway.system.settles_within + self.margin + (_ARCHIVED_WITHIN if shared else 0.0)
        )
        # Record first, act second: from here on a crash leaves a record by which another worker revokes.
        try:
            await self._record(claim, leg, gateway, plan, in_flight_until)
        except NotSafe as error:
            await claim.commit(claim.retry_event(leg, str(error)))
            return
        if shared and not await self.is_archived(claim.request, _ARCHIVED_WITHIN):
            await claim.commit(claim.retry_event(leg, "waiting until the audit archive has the record of this attempt"))
            return
        if not claim.fresh or claim.now + gateway.system.settles_within > in_flight_until:
            raise TryLater(in_flight_until)  # called now, it could take effect later than the record says
        await claim.commit(await self._call(claim, leg, gateway, plan))

    async def _record(
        self, claim: Claim, leg: Leg, gateway: ProviderGateway, plan: GrantPlan, in_flight_until: float
    ) -> None:
        attempted = GrantAttempted(
            at=claim.now,
            leg=leg.n,
            subject=plan.order.subject.model_dump(),
            target=plan.order.target,
            prior=plan.prior.model_dump(),
            entitlements=tuple(gateway.system.entitlements(plan.order)),
            in_flight_until=in_flight_until,
        )
        # The lease outlasts the call: no other worker claims the request while the call may take effect.
        await claim.commit(
            attempted, lease_until=in_flight_until + claim.lease, guards=plan.guards, extra_writes=plan.extra_writes
        )

    async def _call(self, claim: Claim, leg: Leg, gateway: ProviderGateway, plan: GrantPlan) -> Event:
        try:
            receipt = await gateway.call(gateway.system.grant(plan.order, plan.prior))
        except ProviderRefused as error:
            return GrantRefused(at=claim.now, leg=leg.n, error=error_text(error))
        except Exception as error:  # noqa: BLE001  # any other provider error is an unknown outcome
            return claim.retry_event(leg, error_text(error))
        instructions = connect_instructions(gateway.system, plan.order, receipt)
        return Granted(at=claim.now, leg=leg.n, receipt=receipt.model_dump(), connect=instructions)

    async def _plan(self, claim: Claim, leg: Leg, gateway: ProviderGateway) -> GrantPlan:
        """The order and its prior state: inspected once, or taken from the order that shares the entitlement."""
        if leg.prior is not None:  # a retry: what the system has by now may be our own
            return GrantPlan(claim.order(leg), Prior.model_validate(leg.prior))
        order = await self._first_order(claim.request, leg, gateway)
        natives = gateway.system.entitlements(order)
        # Read before the inspection: access of ours that is revoked meanwhile must not pass for the prior state.
        last_leavers = {native: await self.entitlements.last_to_leave(native) for native in natives}
        inspected = await gateway.call(gateway.system.inspect(order))
        if not natives:
            return GrantPlan(order, inspected)
        prior, guards, extra_writes = dict(inspected.facts), list[CommitGuard](), list[ExtraWrite]()
        for native in natives:
            others = await self.entitlements.others(native, order.id)
            # The last order that needed it is revoking it just now: nobody may join.
            if CLOSING in others.values():
                raise TryLater(claim.now + WAIT_FOR_OTHERS)
            # What looks like the prior state may be another order's access, whose entry somebody deleted.
            if not others and prior.get(native) and await self._has_unlisted_holder(native, claim.request, leg):
                raise TryLater(claim.now + WAIT_FOR_OTHERS)
            if others:
                prior[native] = await self._existed_before(native, other := min(others))
                join_guards, join_write = self.entitlements.join_with(native, other, order.id)
            else:
                join_guards, join_write = self.entitlements.join_alone(native, order.id, last_leavers[native])
            guards += join_guards
            extra_writes.append(join_write)
        # The guards fail the commit if an order joined or left the entitlement since it was read.
        present = all(bool(prior.get(native)) for native in natives)
        return GrantPlan(order, Prior(present=present, facts=prior), tuple(guards), tuple(extra_writes))

    async def _has_unlisted_holder(self, native: str, request: Request, leg: Leg) -> bool:
        """Whether another order needs the entitlement, or may need it, and its entry in the index was deleted."""
        order = request.order_id(leg.n)
        ids = await self.open_on(leg.role.system)
        try:
            found = await self.entitlements.restore_entries(native, order, request.requester.identity, ids)
        except HolderUnknown:
            log.warning(
                "%s: not granted yet: the record of a request that may share the entitlement is missing or old", order
            )
            return True
        if found:
            log.error(
                "%s: orders that share the entitlement were deleted from the index, and are restored: %s", order, found
            )
        return bool(found)

    async def _existed_before(self, native: str, other: str) -> bool:
        """The prior state of the other order, from its record: never from its entry in the index, which has no MAC."""
        holder = await self.entitlements.holder(native, other)
        if holder is None or holder.prior is None:
            raise PriorStateUnknown(
                f"{other} shares this access by our records, and its own record is missing: "
                "look at what is in the system, and revoke what is left of it yourself"
            )
        return bool(holder.prior["facts"].get(native))

    async def _first_order(self, request: Request, leg: Leg, gateway: ProviderGateway) -> Order:
        who, id_ = principal(request), request.order_id(leg.n)
        target = await gateway.identity()
        subject = await gateway.call(gateway.system.resolve(who, leg.role.params, id_), from_system=False)
        return Order(
            id=id_,
            principal=who,
            subject=subject,
            params=leg.role.params,
            not_after=request.not_after,
            target=target,
        )


def _held_back(claim: Claim, leg: Leg, wait: float) -> Retried:
    """Not tried, since the circuit breaker is open: not counted as a failure. Jitter spreads the retries."""
    at = claim.now + wait + claim.jitter()
    clock = f"{datetime.fromtimestamp(at, UTC):%H:%M:%S} UTC"
    why = f"{leg.role.system} does not answer; tried again at {clock}"
    return Retried(at=claim.now, leg=leg.n, error=why, retry_at=at, failed=False)


def connect_instructions(system: System, order: Order, receipt: Receipt) -> str:
    """How the requester connects; empty where the provider cannot say, which does not undo the grant.

    Empty also where the text is too long: a command that is cut off is another command.
    """
    if not isinstance(system, Connecting):
        return ""
    try:
        instructions = system.connect(order, receipt)
    except Exception as error:  # noqa: BLE001  # only the instructions are lost
        log.warning("%s: its provider could not give connect instructions: %s", order.id, error_text(error))
        return ""
    return instructions if len(instructions) <= _MAX_INSTRUCTIONS and instructions.isprintable() else ""


def out_of_budget(request: Request, now: float) -> Event:
    """The event when the grant budget (the time that granting may take) is used up: any access is revoked."""
    why = "it could not be granted within the time that granting may take"
    attempted = [leg for leg in request.legs if leg.attempts]
    if attempted or any(leg.state is LegState.ACTIVE for leg in request.legs):
        return GrantUncertain(at=now, error=why)
    return GrantRefused(at=now, leg=0, error=why)
