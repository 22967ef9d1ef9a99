"""How an order, its temporary account and its entitlements are named on the server; it asks the server nothing.

MariaDB keeps no comment on an account. The mark of an order is a number in a limit that is so high that it limits
nothing: ``MAX_QUERIES_PER_HOUR``, four billion and some, of which the rest follows from the order's id. The holder
cannot change it, a new password leaves it alone, and an account that another hand made does not have it.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from providers.systems.base import ExistingAccess

if TYPE_CHECKING:
    from providers.systems.mysql.accounts import MysqlAccount

LEAST_MARK = 4_000_000_000
_MARKS = 290_000_000
"""So many; the server keeps the limit in 32 bits."""
NAMED = re.compile(r"^jit_j_([2-9a-hj-np-z]{4,8})_([0-9]{1,2})$")
"""Also the server's own words for it: both understand this much in the same way."""


def mark(order_id: str) -> int:
    """The number that an order's account bears."""
    digest = hashlib.sha256(f"jit-access {order_id}".encode()).digest()
    return LEAST_MARK + int.from_bytes(digest[:8]) % _MARKS


def native(target: str, role: str, login: str) -> str:
    """The entitlement that a role of an existing account is."""
    return f"{target}/{role}/{login}"


def own_name(order_id: str) -> str:
    """The temporary account of an order."""
    return "jit_" + re.sub(r"[-.]", "_", order_id.lower())


def order_of(named: re.Match[str]) -> str:
    """The order whose name an account has."""
    return f"J-{named[1].upper()}.{named[2]}"


def is_ours(account: MysqlAccount) -> bool:
    """Whether it has an order's name and that order's mark."""
    named = NAMED.fullmatch(account.name)
    return named is not None and account.mark == mark(order_of(named))


def standing(account: MysqlAccount) -> ExistingAccess:
    """A temporary account, with the order that its name says."""
    named = NAMED.fullmatch(account.name)
    said = ", ".join([*account.roles, *(f"{', '.join(words)} on {db}" for db, words in account.databases.items())])
    return ExistingAccess(native=account.name, entitlement=said, order=order_of(named) if named else None)
