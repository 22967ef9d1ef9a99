"""An operator unbinds an e-mail address from its Slack account; it binds no other.

An address identifies a person, so the account that is bound next counts as the same person: an address is not unbound
while that person has an open request.
"""

from __future__ import annotations

from bot.access import read
from bot.access.context import AccessContext
from bot.core.identity import NotAnIdentity, identity_of
from bot.core.ids import bounded
from bot.store.indexes.identity_bindings import Bindings


class CannotUnbind(Exception):
    """Nothing was unbound; the sentence says why, and what to do first."""


async def unbind(context: AccessContext, by: str, address: str, reason: str) -> str:
    """Unbind the address; returns the account that it was bound to. ``by`` is ``cli:<user>@<host>``.

    Raises `BadReason`, `CannotUnbind`.
    """
    reason = bounded(reason, 3, "how you made sure whose address it is")
    bindings = Bindings(context.store)
    try:
        identity = identity_of(address.strip(" "))
    except NotAnIdentity as error:
        raise CannotUnbind(f"{address!r} is bound to no account: {error}") from None
    user = (await bindings.person(identity)).user
    if not user:
        raise CannotUnbind(f"{address!r} is bound to no account: whoever has it next in Slack is bound to it")
    if open_ := await open_requests(context, identity):
        raise CannotUnbind(f"{address!r} still has {open_}: whoever is bound next would have that; end it first")
    sentence = f"{identity} was unbound from the account {user} by {by}: {reason}"
    fields = {"by": by, "identity": identity, "user": user, "reason": reason, "said": sentence, "well": True}
    # Compare-and-delete: an account that was bound since the look-up above remains bound.
    if not await bindings.unbind(identity, user, fields):
        raise CannotUnbind(f"{address!r} was bound to another account just now: check again before you unbind it")
    return user


async def open_requests(context: AccessContext, identity: str) -> str:
    """The ids of the open requests of an address, as a sentence has them; '' for none."""
    open_ = [request.id for request in await read.all_open(context) if request.requester.identity == identity]
    return ", ".join(open_[:5]) + (f" and {len(open_) - 5} more" if len(open_) > 5 else "")
