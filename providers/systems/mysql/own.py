"""The account that an order has as its own: whose it is, and whether it is as the order says. It asks no server."""

from __future__ import annotations

from collections.abc import Sequence

from providers.systems.base import Order, Outcome, Presence, Prior, Receipt, Refused
from providers.systems.mysql import names, statements
from providers.systems.mysql.accounts import MysqlAccount, NamedAccounts
from providers.systems.mysql.params import MysqlConfig, MysqlParams

SERVER = "server"
"""The key of the server that granted, in the facts of a prior and of a receipt."""


def mine_or_none(order: Order, named: NamedAccounts) -> MysqlAccount | None:
    """The order's account, if it is there already. Raises `Refused` where its name is taken."""
    account = named.marked(names.mark(order.id))
    if named.renamed or len(named.accounts) > (account is not None):
        raise Refused(f"an account {order.subject.native} of another hand exists already")
    return account


def presence(order: Order, wanted: MysqlParams, named: NamedAccounts) -> Presence:
    """Ours and as it was made, not there, or changed."""
    if not named.accounts and not named.renamed:
        return Presence.ABSENT
    account = named.marked(names.mark(order.id))
    on = {statements.pattern(wanted.database): set(wanted.privileges)} if wanted.privileges else {}
    ours = (
        account is not None
        and len(named.accounts) == 1
        and not named.renamed
        and not account.locked
        and not account.access
        and not account.more
        and not account.proxies
        and not account.admin_of
        and set(account.roles) == set(wanted.member_of)
        and {pattern: set(words) for pattern, words in account.databases.items()} == on
    )
    return Presence.PRESENT if ours else Presence.FOREIGN


def creation(config: MysqlConfig, order: Order, wanted: MysqlParams) -> str:
    """The statement that makes it."""
    who = statements.account(order.subject.native, config.host)
    mark, most = names.mark(order.id), config.most_sessions
    return statements.create(who, mark, most, wanted.member_of, wanted.privileges, wanted.database)


def same_server(server: str, prior: Prior | None, receipt: Receipt | None) -> None:
    """Behind an ``id`` another server may answer: that an account is absent there says nothing of the first."""
    known = (receipt.facts if receipt else prior.facts if prior else {}).get(SERVER)
    if known and server != known:
        raise Refused(
            f"this is another server ({server}) than the one that granted ({known}), where access may remain: there,"
            " DROP USER and KILL HARD USER; or close the request by hand"
        )


def after(order: Order, named: NamedAccounts, outcome: Outcome) -> Outcome:
    """The outcome of an end, unless something of that name, or with that mark, is there after it."""
    if named.renamed:
        again = "; ".join(f"DROP USER {each.quoted}" for each in named.renamed)
        raise Refused(f"{order.subject.native} was renamed by another hand, and goes on so: {again}")
    return foreign(named.accounts) if named.accounts else outcome


def foreign(accounts: Sequence[MysqlAccount]) -> Outcome:
    """Accounts that are not touched."""
    again = "; ".join(f"DROP USER {account.quoted}" for account in accounts)
    kept = f"{accounts[0].name}, an account of another hand, which bears no mark of the order (to end it: {again})"
    return Outcome(presence=Presence.FOREIGN, kept=kept)
