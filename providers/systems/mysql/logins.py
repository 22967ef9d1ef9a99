"""Accounts that people had before: whose is which, and to which of them no role is added."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.systems.base import Refused
from providers.systems.mysql.names import LEAST_MARK, NAMED
from providers.systems.mysql.params import MysqlConfig

if TYPE_CHECKING:
    from providers.systems.mysql.accounts import MysqlAccount
    from providers.systems.mysql.session import MysqlSession

_STRONG = 1 << 15 | 1 << 25
"""SUPER and CREATE USER, as bits of ``access``."""


async def existing(session: MysqlSession, config: MysqlConfig, name: str) -> MysqlAccount:
    """An existing account that roles may be added to. Raises `Refused`."""
    account = (await session.named(name)).at(config.host)
    if account is None or account.locked:
        raise Refused(f"there is no MariaDB account {name} from {config.host}, or it is locked")
    ours = account.mark >= LEAST_MARK or NAMED.fullmatch(name)
    if account.access & _STRONG or name == session.name or ours:
        raise Refused(f"{name} may make accounts, is the bot or a temporary account: nothing is added to those")
    return account


def alone(account: MysqlAccount) -> None:
    """Refuse an account that others may act as: they would gain what it gains."""
    if account.proxies:
        who = ", ".join(account.proxies[:5])
        raise Refused(f"{who} may act as {account.name}: REVOKE PROXY ON {account.quoted} FROM {who}")
