"""What is done while access is open: a new secret is made, a later end told to the systems; it keeps nothing open.

No call here is waited for beyond the end: closing on time comes first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bot.core.events import Event, Extended, ExtensionFailed, ExtensionRetried, Revealed
from bot.core.model import Extension, Request
from bot.held import WAIT_FOR_LIFT, Held, Unsettled, said
from bot.posts import Post
from providers.systems.base import Prolonging, Receipt, Revealing, Secret
from providers.systems.base import Refused as ProviderRefused

_REVEAL_AGE = 60.0
_LONGEST_WAIT = 60.0

Deliver = Callable[[Request, str, Secret | str], Awaitable[None]]
"""Shows a secret, or the sentence why there is none, in the modal that is open before the asker."""


class CannotProlong(Exception):
    """A system that has no later end."""


@dataclass(frozen=True)
class Attending:
    """The steps of access that is open and stays open."""

    posts: Mapping[str, Post]
    deliver: Deliver

    async def reveal(self, held: Held) -> None:
        """Make a new secret and show it, if somebody still waits for it."""
        request, wish = held.request, held.request.reveal
        if wish is None:
            return
        if held.now - wish.at > _REVEAL_AGE:
            await held.commit(Revealed(at=held.now, error="nobody was there to make it in time"))
            return
        if await held.locked_down():
            stopped = "a lockdown stands, and nothing new is made"
            await self.deliver(request, wish.view, stopped)
            await held.commit(Revealed(at=held.now, error=stopped))
            return
        shown, error = await self._secret(held)
        await self.deliver(request, wish.view, shown)
        await held.commit(Revealed(at=held.now, error=error))

    async def _secret(self, held: Held) -> tuple[Secret | str, str]:
        for leg in held.request.legs:
            post = self.posts.get(leg.role.system)
            if post is None or not isinstance(post.system, Revealing) or leg.receipt is None:
                continue
            try:
                receipt = Receipt.model_validate(leg.receipt)
                call = post.system.reveal(held.order(leg), receipt)
                return await post.call(call, within=held.request.ends_at - held.now), ""
            except Exception as error:  # noqa: BLE001  # no secret was handed over; the asker is told to press again
                return said(error), said(error)
        nothing = "there is no secret to show for this access"
        return nothing, nothing

    async def prolong(self, held: Held, extension: Extension) -> None:
        """Have every system know the new end; only then does it hold. Raises `Late` at the present end, `Unsettled`."""
        if await held.locked_down():
            raise Unsettled(held.now + WAIT_FOR_LIFT)
        await held.commit(await self._prolonged(held, extension), deadline=held.request.ends_at)

    async def _prolonged(self, held: Held, extension: Extension) -> Event:
        try:
            receipts = await self._prolong_all(held, extension)
        except (ProviderRefused, CannotProlong) as error:
            why = str(error) if isinstance(error, CannotProlong) else said(error)
            return ExtensionFailed(at=held.now, error=why)
        except Exception as error:  # noqa: BLE001  # whatever else escapes a provider: the end stays, and it is tried again
            wait = min(_LONGEST_WAIT, 0.5 * 2 ** min(extension.tries, 10))
            return ExtensionRetried(at=held.now, error=said(error)[:300], retry_at=held.now + wait)
        return Extended(at=held.now, receipts=tuple(receipt.model_dump() for receipt in receipts))

    async def _prolong_all(self, held: Held, extension: Extension) -> list[Receipt]:
        receipts = []
        for leg in held.request.legs:
            post = self.posts.get(leg.role.system)
            if post is None or not isinstance(post.system, Prolonging) or leg.receipt is None:
                raise CannotProlong(f"{leg.role.system} cannot have a later end")
            not_after = max(held.request.not_after, extension.until)
            order = held.order(leg).model_copy(update={"not_after": not_after})
            call = post.system.prolong(order, Receipt.model_validate(leg.receipt))
            receipts.append(await post.call(call, within=held.request.ends_at - held.now))
        return receipts
