"""Revokes one leg and verifies it; it never gives up, and leaves an entitlement that another request still needs.

A leg is one role of a request; an order, what the provider is called with for it, under the id `J-xxxx.n`; a receipt,
what the provider returned; an entitlement, what the system gives (its native name is the system's own), shared where
several orders need it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.core.events import Retried, Revoked
from bot.core.request import Leg
from bot.store.shared_entitlements import HELD, HolderUnknown, SharedEntitlements
from bot.store.types import ExtraWrite
from bot.worker.claim import WAIT_FOR_OTHERS, Claim, TryLater, error_text
from bot.worker.provider_gateway import ProviderGateway
from providers.systems.base import Outcome, Presence, Prior, Receipt

_STILL_NEEDED = Outcome(presence=Presence.ABSENT, kept="still needed by another request; revoked when that one ends")
NEVER_ATTEMPTED = Outcome(presence=Presence.ABSENT, kept="no grant was attempted")


@dataclass(frozen=True)
class Revoker:
    """Makes the revoke attempts of one worker."""

    entitlements: SharedEntitlements

    async def revoke(self, claim: Claim, leg: Leg, gateway: ProviderGateway) -> None:
        """Make the one attempt that is due. Raises `TryLater`, `Superseded`."""
        order = claim.order(leg)
        # Leave before the call: once the last order is marked as revoking, no other order joins the entitlement.
        is_last = {native: await self._leave(claim, leg, native) for native in leg.entitlements}
        leaving_writes = self.entitlements.leaving_writes(leg.entitlements, order.id)
        if is_last and not any(is_last.values()):  # the last order that needs the entitlements revokes them
            await self._commit_outcome(claim, leg, _STILL_NEEDED, leaving_writes)
            return
        prior = _must_remain(Prior.model_validate(leg.prior), is_last)
        receipt = None if leg.receipt is None else Receipt.model_validate(leg.receipt)
        if not claim.fresh:
            # Another worker may have revoked the leg meanwhile, and another request may have been granted since.
            raise TryLater(claim.now)
        try:
            outcome = await gateway.call(gateway.system.revoke(order, prior, receipt), is_revoke=True)
        except Exception as error:  # noqa: BLE001  # any provider error: there may still be access; retry
            await claim.commit(claim.retry_event(leg, error_text(error)))
            return
        await self._commit_outcome(claim, leg, outcome, leaving_writes)

    async def _leave(self, claim: Claim, leg: Leg, native: str) -> bool:
        """Whether this order is the last that needs the entitlement.

        While its own slow grant may take effect, it still counts as needing the entitlement.
        """
        order, stay = claim.request.order_id(leg.n), claim.now < leg.in_flight_until
        others = await self.entitlements.others(native, order)
        confirmed = []
        for other, state in others.items():
            if await self.entitlements.holder(native, other):
                confirmed.append(other)
            elif state == HELD:
                await self.entitlements.drop(native, other)  # an entry that no record confirms
        try:
            return await self.entitlements.leave(native, order, claim.claimed, confirmed, stay=stay)
        except HolderUnknown as error:
            raise TryLater(claim.now + WAIT_FOR_OTHERS) from error

    async def _commit_outcome(
        self, claim: Claim, leg: Leg, outcome: Outcome, leaving_writes: tuple[ExtraWrite, ...]
    ) -> None:
        """Commit `Revoked` if verified as absent after the last moment a slow grant can take effect; else retry."""
        if outcome.presence is not Presence.ABSENT:
            details = "; ".join(words for words in (outcome.kept, outcome.remains, outcome.detail) if words)
            why = f"{outcome.presence} after the revoke, not absent" + (f": {details}" if details else "")
            await claim.commit(claim.retry_event(leg, why))
        elif claim.now < leg.in_flight_until:
            waiting = "revoked; verified again once a slow grant can no longer take effect"
            wait = Retried(at=claim.now, leg=leg.n, error=waiting, retry_at=leg.in_flight_until, failed=False)
            await claim.commit(wait)
        else:
            await claim.commit(
                Revoked(at=claim.now, leg=leg.n, outcome=outcome.model_dump()), extra_writes=leaving_writes
            )


def _must_remain(prior: Prior, is_last: Mapping[str, bool]) -> Prior:
    """The state to leave: the prior state (what the target had before) plus what another request still needs."""
    needed = {native: True for native, ours in is_last.items() if not ours}
    return prior.model_copy(update={"facts": {**prior.facts, **needed}})
