"""Active access: creates the secrets that the requester wants to see, and extends in the systems; it grants nothing.

No call here is waited for beyond the end of the access: revoking on time comes first. A leg is one role of a request;
its order, what the provider is called with; a receipt, what the provider returned.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bot.core.events import Event, Extended, ExtensionFailed, ExtensionRetried, Revealed
from bot.core.request import Extension, Request
from bot.worker.claim import WAIT_FOR_LIFT, Claim, TryLater, error_text
from bot.worker.provider_gateway import ProviderGateway
from providers.systems.base import Extending, Receipt, Revealing, Secret
from providers.systems.base import Refused as ProviderRefused

_REVEAL_TIMEOUT = 60.0
_MAX_BACKOFF = 60.0

Deliver = Callable[[Request, str, Secret | str], Awaitable[None]]
"""Shows a secret, or a sentence why there is none, in the requester's open modal."""


class NotExtended(Exception):
    """A system that cannot extend access."""


@dataclass(frozen=True)
class ActiveAccess:
    """The steps of active access that leave it active."""

    gateways: Mapping[str, ProviderGateway]
    deliver: Deliver
    check_record: Callable[[Claim], Awaitable[None]]
    """Raises if the record was rolled back, or may have been: then no secret is created and nothing is extended."""

    async def reveal(self, claim: Claim) -> None:
        """Create a new secret and show it, if the requester still waits for it."""
        request, reveal = claim.request, claim.request.reveal
        if reveal is None:
            return
        if claim.now - reveal.at > _REVEAL_TIMEOUT:
            await claim.commit(Revealed(at=claim.now, error="no worker created it within 60 s"))
            return
        if await claim.locked_down():
            stopped = "a lockdown is in force, so no new secret is created"
            await self.deliver(request, reveal.view, stopped)
            await claim.commit(Revealed(at=claim.now, error=stopped))
            return
        # Before the call, which cannot be undone: a rolled-back record may name access that is somebody else's by now.
        await self.check_record(claim)
        # Show first, then record: a crash in between repeats the reveal with a new secret. Recorded first, a crash
        # could leave a secret that nobody saw.
        shown, error = await self._secret(claim, reveal.leg)
        await self.deliver(request, reveal.view, shown)
        await claim.commit(Revealed(at=claim.now, error=error))

    async def _secret(self, claim: Claim, n: int | None) -> tuple[Secret | str, str]:
        """A new secret of leg ``n``, or of the first that has one; those of the other legs stay as they are."""
        for leg in claim.request.legs:
            if n not in {None, leg.n}:
                continue
            gateway = self.gateways.get(leg.role.system)
            if gateway is None or not isinstance(gateway.system, Revealing) or leg.receipt is None:
                continue
            try:
                receipt = Receipt.model_validate(leg.receipt)
                call = gateway.system.reveal(claim.order(leg), receipt)
                return await gateway.call(call, within=claim.request.ends_at - claim.now), ""
            except Exception as error:  # noqa: BLE001  # no secret was shown; the requester reads why, and may retry
                return error_text(error), error_text(error)
        nothing = "there is no secret to show for this access"
        return nothing, nothing

    async def extend(self, claim: Claim, extension: Extension) -> None:
        """Extend in every system; only then does the new end count. Raises `Late` at the current end, `TryLater`."""
        if await claim.locked_down():
            raise TryLater(claim.now + WAIT_FOR_LIFT)
        await self.check_record(claim)
        # By the store's clock: it refuses an extension that comes after the end, and the access is revoked.
        await claim.commit(await self._extension_event(claim, extension), deadline=claim.request.ends_at)

    async def _extension_event(self, claim: Claim, extension: Extension) -> Event:
        try:
            receipts = await self._extend_all(claim, extension)
        except (ProviderRefused, NotExtended) as error:
            why = str(error) if isinstance(error, NotExtended) else error_text(error)
            return ExtensionFailed(at=claim.now, error=why)
        except Exception as error:  # noqa: BLE001  # any other provider error: the end is unchanged, and it is retried
            wait = min(_MAX_BACKOFF, 0.5 * 2 ** min(extension.tries, 10))
            return ExtensionRetried(at=claim.now, error=error_text(error)[:300], retry_at=claim.now + wait)
        return Extended(at=claim.now, receipts=tuple(receipt.model_dump() for receipt in receipts))

    async def _extend_all(self, claim: Claim, extension: Extension) -> list[Receipt]:
        receipts = []
        for leg in claim.request.legs:
            gateway = self.gateways.get(leg.role.system)
            if gateway is None or not isinstance(gateway.system, Extending) or leg.receipt is None:
                raise NotExtended(f"{leg.role.system} cannot be extended")
            not_after = max(claim.request.not_after, extension.until)
            order = claim.order(leg).model_copy(update={"not_after": not_after})
            call = gateway.system.extend(order, Receipt.model_validate(leg.receipt))
            receipts.append(await gateway.call(call, within=claim.request.ends_at - claim.now))
        return receipts
