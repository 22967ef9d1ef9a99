"""Closes one leg and reads it back; it never gives up, and never takes away what another request still needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.core.events import Retried, Revoked
from bot.core.model import Leg
from bot.held import WAIT_FOR_OTHERS, Held, Unsettled, said
from bot.posts import Post
from bot.store.changes import Op
from bot.store.holds import HELD, Holds, Unlooked
from providers.systems.base import Outcome, Presence, Prior, Receipt

_NEEDED = Outcome(presence=Presence.ABSENT, kept="still needed by another request, which will close it")
NEVER_ATTEMPTED = Outcome(presence=Presence.ABSENT, kept="nothing was ever attempted")


@dataclass(frozen=True)
class Revoking:
    """The way of one leg from open, or perhaps open, to closed."""

    holds: Holds

    async def revoke(self, held: Held, leg: Leg, post: Post) -> None:
        """Make the one attempt that is due. Raises `Unsettled`, `Superseded`."""
        order = held.order(leg)
        last = {native: await self._leave(held, leg, native) for native in leg.holds}
        gone = self.holds.gone(leg.holds, order.id)
        if last and not any(last.values()):
            await self._settle(held, leg, _NEEDED, gone)
            return
        prior = _must_remain(Prior.model_validate(leg.prior), last)
        receipt = None if leg.receipt is None else Receipt.model_validate(leg.receipt)
        if not held.fresh:
            # Another may have closed it meanwhile, and somebody else may have opened it again.
            raise Unsettled(held.now)
        try:
            outcome = await post.call(post.system.revoke(order, prior, receipt), closes=True)
        except Exception as error:  # noqa: BLE001  # whatever escapes a provider here, the door may be open: try again
            await held.commit(held.again(leg, said(error)))
            return
        await self._settle(held, leg, outcome, gone)

    async def _leave(self, held: Held, leg: Leg, native: str) -> bool:
        """Whether this order is the last that needs it. While its own slow grant may land, it stays a holder."""
        order, stay = held.request.order_id(leg.n), held.now < leg.in_flight_until
        others = await self.holds.others(native, order)
        known = []
        for other, state in others.items():
            if await self.holds.holder(native, other):
                known.append(other)
            elif state == HELD:
                await self.holds.drop(native, other)
        try:
            return await self.holds.leave(native, order, held.claimed, known, stay=stay)
        except Unlooked as error:
            raise Unsettled(held.now + WAIT_FOR_OTHERS) from error

    async def _settle(self, held: Held, leg: Leg, outcome: Outcome, gone: tuple[Op, ...]) -> None:
        """Closed only when read back as absent, and when no slow grant can land any more."""
        if outcome.presence is not Presence.ABSENT:
            await held.commit(held.again(leg, f"read back as {outcome.presence} after the revoke"))
        elif held.now < leg.in_flight_until:
            waiting = "closed, and looked at again when a slow call cannot land any more"
            wait = Retried(at=held.now, leg=leg.n, error=waiting, retry_at=leg.in_flight_until, failed=False)
            await held.commit(wait)
        else:
            await held.commit(Revoked(at=held.now, leg=leg.n, outcome=outcome.model_dump()), ops=gone)


def _must_remain(prior: Prior, last: Mapping[str, bool]) -> Prior:
    """What must be left standing: what stood before, and what another request still holds."""
    held = {native: True for native, mine in last.items() if not mine}
    return prior.model_copy(update={"facts": {**prior.facts, **held}})
