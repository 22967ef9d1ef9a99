"""An operator says whose an e-mail address is: which Slack account has it, or who it is in a directory.

An address identifies a person, so whoever is bound to one has its open requests: where another person may have had it
before, it is not bound while there are any. Nor is another stable id while there are second factors, which that person
still holds.
"""

from __future__ import annotations

from typing import Any

from bot.access.context import AccessContext
from bot.access.unbind import open_requests
from bot.core.bound_person import BoundPerson, is_account, is_directory_id
from bot.core.identity import NotAnIdentity, identity_of
from bot.core.ids import bounded
from bot.store.indexes.identity_bindings import Bindings

_HINT = "how you made sure whose address it is"


class CannotBind(Exception):
    """Nothing was bound; the sentence says why, and what to do first."""


async def person(context: AccessContext, address: str) -> BoundPerson:
    """All that is bound to an address. Raises `CannotBind` where there is nothing."""
    found = await Bindings(context.store).person(_identity(address))
    if not found.user and not found.directories:
        raise CannotBind(f"{address!r} is bound to no account and no directory: whoever has it next in Slack is bound")
    return found


async def bind_account(context: AccessContext, by: str, address: str, account: str, reason: str) -> None:
    """Bind a free address to a Slack account. ``by`` is ``cli:<user>@<host>``. Raises `BadReason`, `CannotBind`."""
    identity, reason, bindings = _identity(address), bounded(reason, 3, _HINT), Bindings(context.store)
    if not is_account(account):
        raise CannotBind(f"{account!r} is no id of a Slack account: it is in the account's profile, like U012AB3CD")
    found = await bindings.person(identity)
    if found.user:
        raise CannotBind(
            f"{identity} is bound to the account {found.user}"
            + ("" if found.user == account else f": free it first, with jit people unbind {identity}")
        )
    if open_ := await open_requests(context, identity):
        raise CannotBind(f"{identity} has {open_}: whoever is bound to it would have that; end it first")
    sentence = f"{identity} was bound to the account {account} by {by}: {reason}"
    if not await bindings.bind_account(identity, account, _facts(by, identity, reason, sentence, person=account)):
        raise CannotBind(f"{identity} was bound just now: check again before you bind it")


async def bind_directory(context: AccessContext, by: str, address: str, directory: str, id_: str, reason: str) -> str:
    """Bind who an address is in a directory; the address that had this id before, '' for none.

    Raises `BadReason`, `CannotBind`.
    """
    identity, reason, bindings = _identity(address), bounded(reason, 3, _HINT), Bindings(context.store)
    found, known = await bindings.person(identity), context.catalog().directories
    if directory not in known and directory not in found.directories:
        names = ", ".join(sorted(known)) or "none"
        raise CannotBind(f"the policy has no directory {directory[:60]!r}, only: {names}")
    if not is_directory_id(id_):
        raise CannotBind(f"{id_[:60]!r} is no stable id: it has up to 255 printable ASCII characters, and no space")
    bound = found.directories.get(directory)
    if bound and bound.id == id_ and not bound.refused:
        raise CannotBind(f"{identity} has this id in {directory} already")
    open_ = await open_requests(context, identity)
    if open_ and (bound is None or bound.id != id_):
        raise CannotBind(f"{identity} has {open_}: whoever is bound to it would have that; end it first")
    if bound and bound.id != id_ and await _has_factors(context, identity):
        raise CannotBind(
            f"{identity} has second factors, which whoever had the address before still holds: have two operators "
            f"reset them first, with jit people reset-factors {identity}"
        )
    before = f" in place of {bound.id}" if bound and bound.id not in {"", id_} else ""
    sentence = f"{identity} was bound to the id {id_} of the directory {directory}{before} by {by}: {reason}"
    facts = _facts(by, identity, reason, sentence, person=found.user, directory=directory, directory_id=id_)
    former = await bindings.accept_directory(identity, directory, id_, facts)
    if former is None:
        raise CannotBind(f"something else was bound to {identity} just now: check again before you bind it")
    return former


async def _has_factors(context: AccessContext, identity: str) -> bool:
    known = await context.store.factors.read(identity)
    return bool(known.doubt or known.record.factors or known.record.offer)


def _identity(address: str) -> str:
    try:
        return identity_of(address.strip(" "))
    except NotAnIdentity as error:
        raise CannotBind(f"{address!r} can be bound to nobody: {error}") from None


def _facts(by: str, identity: str, reason: str, sentence: str, **more: str) -> dict[str, Any]:
    return {"by": by, "identity": identity, **more, "reason": reason, "said": sentence, "well": True}
