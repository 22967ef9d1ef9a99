"""How an order, its temporary login and its entitlements are named on the server; it asks the server nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from providers.systems.base import ExistingAccess, Receipt

if TYPE_CHECKING:
    from providers.systems.postgresql.session import RoleFacts

MARK = "jit-access "
"""Begins the comment on a temporary login; the order's id follows."""
_MARKED = re.compile(r"jit-access (J-[2-9A-HJ-NP-Z]{4,8}\.[0-9]{1,2})")
NAMED = re.compile(r"^jit_j_([2-9a-hj-np-z]{4,8})_([0-9]{1,2})$")
"""Also the server's own words for it: both understand this much in the same way."""


def native(target: str, role: str, login: str) -> str:
    """The entitlement that a membership of an existing login is."""
    return f"{target}/{role}/{login}"


def own_name(order_id: str) -> str:
    """The temporary login of an order."""
    return "jit_" + re.sub(r"[-.]", "_", order_id.lower())


def order_of(named: re.Match[str]) -> str:
    """The order whose name a login has."""
    return f"J-{named[1].upper()}.{named[2]}"


def standing(role: RoleFacts) -> ExistingAccess:
    """A temporary login, with the order that its mark or its name says."""
    marked, named = _MARKED.fullmatch(role.mark or ""), NAMED.fullmatch(role.name)
    order = marked[1] if marked else order_of(named) if named else None
    return ExistingAccess(native=role.name, entitlement=", ".join(role.member_of), order=order)


def proved(role: RoleFacts, receipt: Receipt | None) -> bool:
    """Whether the receipt proves that it is the role that we made, though somebody took its mark away.

    A role that was dropped and created again under our name has another oid.
    """
    return receipt is not None and receipt.native == role.name and receipt.facts.get("oid") == role.oid
