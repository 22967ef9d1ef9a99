"""Temporary accounts on a MariaDB, or roles of existing ones; never touches another's account.

The bot's account needs, and should have no more than::

    CREATE USER jit_bot@'10.0.0.5' IDENTIFIED BY '…';
    GRANT CREATE USER, PROCESS, CONNECTION ADMIN ON *.* TO jit_bot@'10.0.0.5';
    GRANT SELECT, UPDATE ON mysql.* TO jit_bot@'10.0.0.5';         -- UPDATE: SET DEFAULT ROLE asks for it
    GRANT SHOW VIEW, TRIGGER ON *.* TO jit_bot@'10.0.0.5';         -- to see what is left in the name of a role
    GRANT app_readers TO jit_bot@'10.0.0.5' WITH ADMIN OPTION;     -- each role that it grants
    GRANT SELECT ON `app`.* TO jit_bot@'10.0.0.5' WITH GRANT OPTION;   -- each privilege that it grants

An account that may make accounts can change the password of any other: guard the bot's like root's. MariaDB has no
end of its own for an account but in whole days of its password, so nothing ends access where no worker runs. An own
account bears a mark (see `names`) and has no password until one is revealed. An existing account gets roles; a grant
has no grantor there, so what stood before is recorded first and kept. How access ends: `revoke_steps`. What this
leaves to an administrator: the guide ``mysql.md``. Proved against MariaDB 10.11; MySQL is refused.

Never granted is what could undo its own end: privileges on everything or on the server's own databases, GRANT OPTION,
ADMIN of any role.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar

from pydantic import SecretStr

from providers.systems.base import (
    Capabilities,
    ExistingAccess,
    Frozen,
    Health,
    Json,
    Order,
    Outcome,
    Presence,
    Principal,
    Prior,
    Receipt,
    Refused,
    Secret,
    Subject,
)
from providers.systems.existing_login import login_of
from providers.systems.mysql import logins, names, own, statements
from providers.systems.mysql.params import MAKING, MysqlConfig, MysqlParams

if TYPE_CHECKING:
    from providers.systems.mysql.accounts import NamedAccounts
    from providers.systems.mysql.revoke_steps import AccountEnd
    from providers.systems.mysql.rights import Reach
    from providers.systems.mysql.session import MysqlSession


class MySQL:
    """The provider ``mysql``."""

    Config: ClassVar[type[Frozen]] = MysqlConfig
    Params: ClassVar[type[Frozen]] = MysqlParams

    def __init__(self, config: MysqlConfig) -> None:
        """Take the config. The driver is needed from here on, not for what the class says of itself."""
        from providers.systems.mysql import connection, made, revoke_steps, rights  # noqa: PLC0415  # an extra

        self._config = config
        self._connection, self._rights, self._revoking, self._made = connection, rights, revoke_steps, made

    @property
    def settles_within(self) -> float:
        """A connection, a conversation, and the statement that was running when it was cut."""
        return self._config.timeout * 4 + 2

    @classmethod
    def capabilities(cls, params: Mapping[str, Json]) -> Capabilities:
        """By whose account it is."""
        wanted = MysqlParams.model_validate(params)
        temporary = wanted.login == "own"
        return Capabilities(
            own_principal=temporary,
            issues_secret=temporary,
            kills_sessions=True,
            native_expiry=False,
            grantor_scoped=False,
            can_write=not wanted.reads_only,
            can_extend=True,
            remains=f"what its holder makes in the name of {', '.join(wanted.member_of)}" if wanted.member_of else "",
        )

    @classmethod
    def consequence(cls, params: Mapping[str, Json]) -> str:
        """Whose account, and what it may."""
        wanted = MysqlParams.model_validate(params)
        said = "opens a MariaDB account" if wanted.login == "own" else "adds to one's own MariaDB account"
        if wanted.database:
            said += f" for the database {wanted.database}"
        what = [f"the role {', '.join(wanted.member_of)}"] if wanted.member_of else []
        what += [", ".join(wanted.privileges)] if wanted.privileges else []
        ability = "read only" if wanted.reads_only else "can write"
        left = "; may leave objects in the name of a role" if wanted.member_of else ""
        return f"{said}: {' and '.join(what)}, {ability}{left}"

    async def check(self) -> Health:
        """Reach the server, its identity, and the bot's rights."""
        async with self._connection.talk(self._config, "check") as session:
            return Health(detail=await self._rights.rights(session, self._config), target=session.target)

    async def examine(self, params: Mapping[str, Json]) -> Sequence[str]:
        """Whether the bot may grant this here, and where its holder can leave what acts in a role's name."""
        wanted = MysqlParams.model_validate(params)
        async with self._connection.talk(self._config, "examine") as session:
            return await self._rights.makers(session, await self._grantable(session, wanted))

    async def resolve(self, principal: Principal, params: Mapping[str, Json], order_id: str) -> Subject:
        """An account of the order's own, or the one that the person has."""
        wanted = MysqlParams.model_validate(params)
        if wanted.login == "own":
            return Subject(native=names.own_name(order_id), own=True)
        name = login_of(self._config, principal, "account")
        async with self._connection.talk(self._config, "resolve") as session:
            await logins.existing(session, self._config, name)
        return Subject(native=name, own=False)

    def entitlements(self, order: Order) -> Sequence[str]:
        """Each role of an existing account."""
        if order.subject.own:
            return ()
        return tuple(names.native(order.target, role, order.subject.native) for role in _params(order).member_of)

    async def inspect(self, order: Order) -> Prior:
        """The name must be free; or which roles an existing account has. All of it must be grantable."""
        async with self._talk("inspect", order) as session:
            await self._grantable(session, _params(order))
            if order.subject.own:
                own.mine_or_none(order, await self._named(session, order))
                return Prior(present=False, facts={own.SERVER: session.server})
            account = await logins.existing(session, self._config, order.subject.native)
            logins.alone(account)
            facts = {
                names.native(order.target, role, account.name): role in account.roles
                for role in _params(order).member_of
            }
            return Prior(present=all(facts.values()), facts=facts)

    async def grant(self, order: Order, prior: Prior) -> Receipt:
        """Create the account with its mark and all that it may, or add the roles that lack."""
        async with self._talk("grant", order) as session:
            reach = await self._grantable(session, _params(order))
            if not order.subject.own:
                return await self._add(session, order, prior, reach)
            account = own.mine_or_none(order, await self._named(session, order))
            facts = {own.SERVER: session.server, **await self._made.before(session, reach)}
            if account is None:
                await session.change(own.creation(self._config, order, _params(order)))
            elif account.locked:
                raise Refused(f"{account.name} was closed already")
            return Receipt(native=order.subject.native, facts=facts)

    async def revoke(self, order: Order, prior: Prior | None, receipt: Receipt | None) -> Outcome:
        """Close it step by step; each step may have been made by a revoke before."""
        within = self._revoking.REVOKE_TIMEOUTS
        async with self._talk("revoke", order, within=within, patient=True) as session:
            ends = self._ends(session, _params(order).member_of, _params(order).privileges, receipt)
            if not order.subject.own:
                return await self._remove(session, order, prior, ends)
            named = await self._named(session, order)
            account = named.marked(names.mark(order.id))
            if account is None and named.accounts:
                return own.foreign(named.accounts)
            if account is not None:
                outcome = await ends.own(account)
            else:
                outcome = await ends.gone(order.subject.native, self._config.host)
                own.same_server(session.server, prior, receipt)
            return own.after(order, await self._named(session, order), outcome)

    async def verify(self, order: Order, receipt: Receipt | None) -> Presence:
        """Read the account or the roles back."""
        async with self._talk("verify", order) as session:
            named = await self._named(session, order)
            if order.subject.own:
                if not named.accounts and not named.renamed:
                    own.same_server(session.server, None, receipt)
                return own.presence(order, _params(order), named)
            if receipt is not None and not receipt.ours:
                return Presence.ABSENT
            account = named.at(self._config.host)
            has = set(account.roles) if account else set()
            added = set(_params(order).member_of if receipt is None else receipt.facts["added"])
            if receipt is None:
                return Presence.FOREIGN if has & added else Presence.ABSENT
            if account is None or not has & added:
                return Presence.ABSENT
            return Presence.PRESENT if has >= added and not account.proxies else Presence.FOREIGN

    async def list_access(self) -> Sequence[ExistingAccess]:
        """Our temporary accounts, what only looks like one, and all who have the roles that the config watches."""
        async with self._connection.talk(self._config, "list") as session:
            ours = await session.marked(names.NAMED.pattern, names.LEAST_MARK)
            temporary = {account.name for account in ours}
            watched = [
                ExistingAccess(native=name, entitlement=names.native(session.target, role, name))
                for role, name, host in await session.members(self._config.watch)
                if name not in temporary and statements.account(name, host) != session.me
            ]
        return [*(names.standing(account) for account in ours), *watched]

    async def close_orphan(self, standing: ExistingAccess) -> Outcome:
        """Close and drop an account that has both an order's name and that order's mark."""
        within = self._revoking.REVOKE_TIMEOUTS
        async with self._connection.talk(self._config, "close", within=within, patient=True) as session:
            accounts = (await session.named(standing.native)).accounts
            if not accounts:
                return Outcome(presence=Presence.ABSENT)
            account = next(filter(names.is_ours, accounts), None)
            if account is None:
                return own.foreign(accounts)
            privileges = [word for words in account.databases.values() for word in words]
            outcome = await self._ends(session, account.roles, privileges, None).own(account)
            others = (await session.named(standing.native)).accounts
            return own.foreign(others) if others else outcome

    async def reveal(self, order: Order, receipt: Receipt) -> Secret:
        """A new password, of which only its hash leaves here; who came in by the one before is out."""
        name, password = order.subject.native, secrets.token_urlsafe(32)
        async with self._talk("reveal", order, within=self._revoking.REVOKE_TIMEOUTS) as session:
            named = await self._named(session, order)
            account = named.marked(names.mark(order.id))
            found = own.presence(order, _params(order), named) if order.subject.own else Presence.ABSENT
            if account is None or found is not Presence.PRESENT:
                raise Refused(f"the account {name} is gone, was changed by another hand, or has no password of ours")
            await session.change(statements.set_password(account.quoted, password))
            await session.end_sessions(name)
        return Secret(username=name, password=SecretStr(password), how=self.connect(order, receipt))

    def connect(self, order: Order, receipt: Receipt) -> str:
        """The client's command; it asks for the password. An existing account has to turn the role on."""
        wanted = _params(order)
        role = "" if order.subject.own else wanted.member_of[0]
        return self._connection.command(self._config, order.subject.native, wanted.database, role)

    async def extend(self, order: Order, receipt: Receipt) -> Receipt:
        """An account has no end of its own, so that there is none to move."""
        if receipt.ours and await self.verify(order, receipt) is not Presence.PRESENT:
            raise Refused(f"the access of {order.subject.native} is gone, or was changed by another hand")
        return receipt

    async def close(self) -> None:
        """Nothing is kept open between verbs."""

    async def _named(self, session: MysqlSession, order: Order) -> NamedAccounts:
        return await session.named(order.subject.native, names.mark(order.id) if order.subject.own else 0)

    # existing accounts

    async def _add(self, session: MysqlSession, order: Order, prior: Prior, reach: Reach) -> Receipt:
        account = await logins.existing(session, self._config, order.subject.native)
        ours = self._ours(order, prior)
        facts = await self._made.before(session, reach)
        if lacking := [role for role in ours if role not in account.roles]:
            logins.alone(account)
            await session.change(*statements.add(account.quoted, lacking))
        return Receipt(native=account.name, facts={"added": ours, **facts}, ours=bool(ours))

    async def _remove(self, session: MysqlSession, order: Order, prior: Prior | None, ends: AccountEnd) -> Outcome:
        ours = [] if prior is None else self._ours(order, prior)
        kept = [role for role in _params(order).member_of if role not in ours]
        told = f"the role {', '.join(kept)}, which is older or still needed" if kept else ""
        account = (await session.named(order.subject.native)).at(self._config.host)
        if not ours:
            return Outcome(presence=Presence.ABSENT, kept=told)
        return await (
            ends.existing(account, ours, told) if account else ends.gone(order.subject.native, self._config.host)
        )

    def _ours(self, order: Order, prior: Prior) -> list[str]:
        """The roles that are to go: neither stood before nor does another order need them."""
        login = order.subject.native
        roles = _params(order).member_of
        return [role for role in roles if not prior.facts.get(names.native(order.target, role, login), prior.present)]

    # both

    def _ends(
        self, session: MysqlSession, roles: Sequence[str], privileges: Sequence[str], receipt: Receipt | None
    ) -> AccountEnd:
        facts = receipt.facts if receipt else {}
        return self._revoking.AccountEnd(self._config, session, roles, bool(MAKING & set(privileges)), facts)

    @asynccontextmanager
    async def _talk(
        self, verb: str, order: Order, *, within: float = 2, patient: bool = False
    ) -> AsyncIterator[MysqlSession]:
        async with self._connection.talk(self._config, verb, within=within, patient=patient) as session:
            if session.target != order.target:
                raise Refused(f"this MariaDB is {session.target}, and the order is for {order.target}")
            yield session

    async def _grantable(self, session: MysqlSession, wanted: MysqlParams) -> Reach:
        self._rights.proved(session, self._config)
        return await self._rights.grantable(session, wanted)


def _params(order: Order) -> MysqlParams:
    return MysqlParams.model_validate(order.params)
