"""What the grant tables say of accounts, as values; it asks the server nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from providers.systems.mysql import statements


@dataclass
class MysqlAccount:
    """One account: a name, and from where it may connect."""

    name: str
    host: str
    mark: int
    locked: bool
    access: int
    """Its privileges on everything, as bits."""
    most_sessions: int
    roles: list[str] = field(default_factory=list)
    admin_of: list[str] = field(default_factory=list)
    databases: dict[str, list[str]] = field(default_factory=dict)
    """By the pattern of a database, as the server keeps it: what it may do there by itself."""
    more: list[str] = field(default_factory=list)
    """Tables on which it has privileges of its own."""
    proxies: list[str] = field(default_factory=list)
    """Accounts that may act as it, where their way to sign in lets them."""

    @property
    def quoted(self) -> str:
        """As a statement takes it."""
        return statements.account(self.name, self.host)


@dataclass(frozen=True)
class NamedAccounts:
    """All that has one name, and what bears the mark that goes with it under another."""

    accounts: Sequence[MysqlAccount]
    renamed: Sequence[MysqlAccount]

    def marked(self, mark: int) -> MysqlAccount | None:
        """The one with the mark."""
        return next((account for account in self.accounts if account.mark == mark), None)

    def at(self, host: str) -> MysqlAccount | None:
        """The one that may connect from there."""
        return next((account for account in self.accounts if account.host == host), None)


def read(rows: Sequence[Mapping[str, Any]], name: str) -> NamedAccounts:
    """The rows of the grant tables about one name."""
    found = {(row["a"], row["host"]): _account(row) for row in rows if row["kind"] == "account"}
    for row in rows:
        account = found.get((name, row["host"]))
        match row["kind"]:
            case "role" if account:
                account.roles.append(row["a"])
                if row["b"] == "Y":
                    account.admin_of.append(row["a"])
            case "db" if account:
                account.databases[row["a"]] = [word for word in str(row["b"]).split(",") if word]
            case "more" if account:
                account.more.append(f"{row['a']}.{row['b']}")
            case "proxy" if proxied := found.get((name, row["b"])):
                proxied.proxies.append(f"{row['a']}@{row['host']}")
    accounts = [account for account in found.values() if account.name == name]
    return NamedAccounts(accounts, [account for account in found.values() if account.name != name])


def _account(row: Mapping[str, Any]) -> MysqlAccount:
    about = json.loads(row["b"])
    return MysqlAccount(
        name=row["a"],
        host=row["host"],
        mark=int(about.get("max_questions", 0)),
        locked=bool(about.get("account_locked")),
        access=int(about.get("access", 0)),
        most_sessions=int(about.get("max_user_connections", 0)),
    )
