"""An operator frees an e-mail address from the account that it is bound to; who may have it next is Slack's to say.

People are told apart by address, so whoever is bound next is taken for the same person, with all that is theirs:
nothing is freed while anything of theirs is open.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.desk import Desk
from bot.store.bindings import Bindings
from bot.wishes import bounded


class CannotUnbind(Exception):
    """Nothing was freed; the sentence says why, and what to do first."""


@dataclass(frozen=True)
class Unbinding:
    """The verb, over the desk."""

    desk: Desk

    async def unbind(self, by: str, address: str, reason: str) -> str:
        """Free the address; the account that it was bound to. ``by`` is ``cli:<user>@<host>``.

        Raises `BadReason`, `CannotUnbind`.
        """
        reason = bounded(reason, 3, "how you made sure whose address it is")
        identity, bindings = address.strip().casefold(), Bindings(self.desk.store)
        user = await bindings.of(identity)
        if not user:
            raise CannotUnbind(f"{address!r} is bound to no account: whoever has it next in Slack is bound to it")
        held = [request.id for request in await self.desk.everything() if request.asker.identity == identity]
        if held:
            first = ", ".join(held[:5]) + (f" and {len(held) - 5} more" if len(held) > 5 else "")
            raise CannotUnbind(f"{address!r} still has {first}: whoever is bound next would have that; end it first")
        said = f"{identity} was freed from the account {user} by {by}: {reason}"
        facts = {"by": by, "identity": identity, "user": user, "reason": reason, "said": said, "well": True}
        if not await bindings.free(identity, user, facts):
            raise CannotUnbind(f"{address!r} was bound anew just now: look again before you free it")
        return user
