"""Temporary logins on a PostgreSQL (14 or later), or memberships of existing ones; never touches another's role.

The bot's role needs, and should have no more than::

    CREATE ROLE jit_bot LOGIN CREATEROLE PASSWORD '…';
    GRANT pg_signal_backend TO jit_bot;
    GRANT app_readers TO jit_bot WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;   -- 16 or later, each role it grants

An own login is marked by a comment on its role; a role of our name without the mark is another hand's. It has no
password until one is revealed, and is invalid by itself a little after the end (``VALID UNTIL`` stops new
sessions only). An existing login gets memberships. Before 16 a grant has no grantor of its own, so what stood before
is recorded first and kept. How access ends: `revoke_steps`. What this leaves to an administrator: the guide
``postgresql.md``.

Never granted is what could undo its own end: superusers, logins (whoever becomes one may set its password),
CREATEROLE, REPLICATION, ADMIN of any role, programs and files of the server.
"""

from __future__ import annotations

import math
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
from providers.systems.postgresql import logins, names
from providers.systems.postgresql.params import REVEALING, PostgresConfig, PostgresParams

if TYPE_CHECKING:
    from providers.systems.postgresql.revoke_steps import RevokeSteps
    from providers.systems.postgresql.session import RoleFacts, Session


class PostgreSQL:
    """The provider ``postgresql``."""

    Config: ClassVar[type[Frozen]] = PostgresConfig
    Params: ClassVar[type[Frozen]] = PostgresParams

    def __init__(self, config: PostgresConfig) -> None:
        """Take the config. The driver is needed from here on, not for what the class says of itself."""
        from providers.systems.postgresql import connection, made, revoke_steps, rights, statements  # noqa: PLC0415  # an extra

        self._config = config
        self._connection, self._rights, self._sql = connection, rights, statements
        self._revoking, self._made = revoke_steps, made

    @property
    def settles_within(self) -> float:
        """A connection, a conversation, and the statement that was running when it was cut."""
        return self._config.timeout * 4

    @classmethod
    def capabilities(cls, params: Mapping[str, Json]) -> Capabilities:
        """By whose login it is."""
        wanted = PostgresParams.model_validate(params)
        own = wanted.login == "own"
        return Capabilities(
            own_principal=own,
            issues_secret=own,
            kills_sessions=True,
            native_expiry=own,
            grantor_scoped=False,
            can_write=set(wanted.member_of) != {"pg_read_all_data"},
            can_extend=True,
            remains=f"what its holder makes in the name of {', '.join(wanted.member_of)}",
            reveals="; ".join(f"{name} {REVEALING[name]}" for name in wanted.member_of if name in REVEALING),
        )

    @classmethod
    def consequence(cls, params: Mapping[str, Json]) -> str:
        """Whose login, and what it may."""
        wanted = PostgresParams.model_validate(params)
        login = "opens a PostgreSQL login" if wanted.login == "own" else "adds to one's own PostgreSQL login"
        login = f"{login} for the database {wanted.database}" if wanted.database else login
        ability = "can write" if cls.capabilities(params).can_write else "read only"
        able = cls.capabilities(params)
        secret = f"; {able.reveals}" if able.reveals else ""
        return f"{login}: member of {', '.join(wanted.member_of)}, {ability}; may leave objects in their name{secret}"

    async def check(self) -> Health:
        """Reach the server, its identity, and the bot's rights."""
        async with self._connection.talk(self._config, "check") as session:
            return Health(target=session.target, detail=await self._rights.rights(session, self._config))

    async def examine(self, params: Mapping[str, Json]) -> Sequence[str]:
        """Whether the bot may grant these roles here, and in which databases their members can leave objects behind."""
        wanted, found = PostgresParams.model_validate(params), list[str]()
        async with self._connection.talk(self._config, "examine") as session:
            await self._grantable(session, wanted)
            databases = await session.databases()
        for dbname in databases:
            async with self._connection.talk(self._config, "examine", dbname=dbname) as there:
                found += await self._rights.makers(there, wanted.member_of)
        return [*found, *filter(None, [self.capabilities(params).reveals])]

    async def resolve(self, principal: Principal, params: Mapping[str, Json], order_id: str) -> Subject:
        """A login of the order's own, or the one that the person has."""
        wanted = PostgresParams.model_validate(params)
        if wanted.login == "own":
            return Subject(native=names.own_name(order_id), own=True)
        name = login_of(self._config, principal, "login")
        async with self._connection.talk(self._config, "resolve") as session:
            await logins.existing(session, name)
        return Subject(native=name, own=False)

    def entitlements(self, order: Order) -> Sequence[str]:
        """Each membership of an existing login."""
        if order.subject.own:
            return ()
        return tuple(names.native(order.target, role, order.subject.native) for role in _params(order).member_of)

    async def inspect(self, order: Order) -> Prior:
        """The name must be free; or which memberships an existing login has. The roles must be grantable."""
        async with self._talk("inspect", order) as session:
            await self._grantable(session, _params(order))
            if order.subject.own:
                self._mine_or_none(order, await session.role(order.subject.native))
                return Prior(present=False)
            await logins.alone(self._config, session, await logins.existing(session, order.subject.native))
            has = await self._has(session, order)
            facts = {
                names.native(order.target, role, order.subject.native): role in has for role in _params(order).member_of
            }
            return Prior(present=all(facts.values()), facts=facts)

    async def grant(self, order: Order, prior: Prior) -> Receipt:
        """Create the login with its mark and memberships in one transaction, or add the memberships that lack."""
        async with self._talk("grant", order) as session:
            await self._grantable(session, _params(order))
            if not order.subject.own:
                return await self._add(session, order, prior)
            valid_until = self._valid_until(order)
            role = self._mine_or_none(order, await session.role(order.subject.native))
            if role is None:
                name, most = order.subject.native, self._config.most_sessions
                await session.change(
                    *self._sql.create(name, names.MARK + order.id, _params(order).member_of, valid_until, most)
                )
                role = self._mine_or_none(order, await session.role(name))
            if role is None or not role.can_login:
                raise Refused(f"{order.subject.native} was closed already")
            facts = {"valid_until": valid_until, "oid": role.oid, "since": await session.began(role)}
            return Receipt(native=order.subject.native, facts=facts)

    async def revoke(self, order: Order, prior: Prior | None, receipt: Receipt | None) -> Outcome:
        """Close it step by step; each step may have been made by a revoke before."""
        within = self._revoking.REVOKE_TIMEOUTS
        async with self._talk("revoke", order, within=within, patient=True) as session:
            role = await session.role(order.subject.native)
            granted = _params(order).member_of
            if role is None:
                return await self._gone(session, receipt, granted)
            if not order.subject.own:
                return await self._remove(session, order, prior, receipt, role)
            if role.mark != names.MARK + order.id and not names.proved(role, receipt):
                return Outcome(presence=Presence.FOREIGN, kept=f"the role {role.name} of another hand")
            return await self._closes(session, role, granted, await session.began(role)).own()

    async def verify(self, order: Order, receipt: Receipt | None) -> Presence:
        """Read the login or the memberships back."""
        async with self._talk("verify", order) as session:
            if order.subject.own:
                return self._own_presence(order, receipt, await session.role(order.subject.native))
            if receipt is not None and not receipt.ours:
                return Presence.ABSENT
            added = _params(order).member_of if receipt is None else receipt.facts["added"]
            has = await self._has(session, order)
            role = await session.role(order.subject.native)
            if receipt is None:
                return Presence.FOREIGN if has & set(added) else Presence.ABSENT
            if not has & set(added):
                return Presence.ABSENT
            alone = role is not None and not role.members
            return Presence.PRESENT if alone and has >= set(added) else Presence.FOREIGN

    async def list_access(self) -> Sequence[ExistingAccess]:
        """Our temporary logins, what only looks like one, and every member of the roles that the config watches."""
        async with self._connection.talk(self._config, "list") as session:
            ours = await session.marked(names.MARK, names.NAMED.pattern)
            own = {role.name for role in ours}
            members = await session.members(self._config.watch)
            watched = [
                ExistingAccess(native=member, entitlement=names.native(session.target, role, member))
                for role, member in members
                if member not in {*own, session.me}
            ]
        return [*(names.standing(role) for role in ours), *watched]

    async def close_orphan(self, standing: ExistingAccess) -> Outcome:
        """Close and drop a login that has both an order's name and that order's mark."""
        within = self._revoking.REVOKE_TIMEOUTS
        async with self._connection.talk(self._config, "close", within=within, patient=True) as session:
            role = await session.role(standing.native)
            if role is None:
                return Outcome(presence=Presence.ABSENT)
            named = names.NAMED.fullmatch(role.name)
            if named is None or role.mark != names.MARK + names.order_of(named):
                return Outcome(presence=Presence.FOREIGN, kept=f"the role {role.name}, which bears no mark of ours")
            return await self._closes(session, role, role.member_of, await session.began(role)).own()

    async def reveal(self, order: Order, receipt: Receipt) -> Secret:
        """A new password, which only its SCRAM verifier leaves here; who came in by the one before is out."""
        name, password = order.subject.native, secrets.token_urlsafe(32)
        async with self._talk("reveal", order, within=self._revoking.REVOKE_TIMEOUTS) as session:
            role = await session.role(name)
            found = self._own_presence(order, receipt, role) if order.subject.own else Presence.ABSENT
            if role is None or found is not Presence.PRESENT:
                raise Refused(f"the login {name} is gone, was changed by another hand, or has no password of ours")
            await session.change(self._sql.set_password(session, name, password))
            await session.end_sessions(role)
        return Secret(username=name, password=SecretStr(password), how=self.connect(order, receipt))

    def connect(self, order: Order, receipt: Receipt) -> str:
        """The client's command; it asks for the password."""
        return self._connection.command(self._config, order.subject.native, _params(order).database)

    async def extend(self, order: Order, receipt: Receipt) -> Receipt:
        """A later ``VALID UNTIL`` for a login of the order's own; a membership has no end of its own."""
        if not order.subject.own:
            if receipt.ours and await self.verify(order, receipt) is not Presence.PRESENT:
                raise Refused(f"the memberships of {order.subject.native} are gone, or were changed by another hand")
            return receipt
        async with self._talk("extend", order) as session:
            role = await session.role(order.subject.native)
            later = self._valid_until(order)
            known = {receipt.facts.get("valid_until"), later}  # later, where an answer to this was lost
            if role is None or role.valid_until not in known:
                raise Refused(f"the login {order.subject.native} is gone, or was changed by another hand")
            there = receipt.model_copy(update={"facts": {**receipt.facts, "valid_until": role.valid_until}})
            if self._own_presence(order, there, role) is not Presence.PRESENT:
                raise Refused(f"the login {order.subject.native} was changed by another hand")
            lasts = max(later, math.ceil(role.valid_until or later))
            await session.change(self._sql.extend(role.name, lasts))
            return receipt.model_copy(update={"facts": {**receipt.facts, "valid_until": lasts}})

    async def close(self) -> None:
        """Nothing is kept open between verbs."""

    # own logins

    def _mine_or_none(self, order: Order, role: RoleFacts | None) -> RoleFacts | None:
        if role is not None and role.mark != names.MARK + order.id:
            raise Refused(f"a role {role.name} of another hand exists already")
        return role

    def _own_presence(self, order: Order, receipt: Receipt | None, role: RoleFacts | None) -> Presence:
        if role is None:
            return Presence.ABSENT
        lasts = self._valid_until(order) if receipt is None else receipt.facts.get("valid_until")
        ours = (
            role.mark == names.MARK + order.id
            and role.can_login
            and not role.strong
            and role.valid_until == lasts
            and set(role.member_of) == set(_params(order).member_of)
            and not role.members
        )
        return Presence.PRESENT if ours else Presence.FOREIGN

    def _valid_until(self, order: Order) -> int:
        return math.ceil(order.not_after + self._config.grace)

    def _closes(self, session: Session, role: RoleFacts, granted: Sequence[str], since: str) -> RevokeSteps:
        made = self._made.Comparison(self._config, session, granted, since)
        return self._revoking.RevokeSteps(self._config, session, role, made)

    async def _gone(self, session: Session, receipt: Receipt | None, granted: Sequence[str]) -> Outcome:
        """The role is there no more, as after a revoke whose answer was lost: nobody may be in by it all the same."""
        facts = {} if receipt is None else receipt.facts
        killed = await session.end_orphans(int(facts.get("oid", 0)))
        since = str(facts.get("since", ""))
        remains = await self._made.Comparison(self._config, session, granted, since).told() if since else ""
        return Outcome(presence=Presence.ABSENT, killed=killed, remains=remains)

    # existing logins

    async def _has(self, session: Session, order: Order) -> set[str]:
        members = await session.members(_params(order).member_of)
        return {role for role, member in members if member == order.subject.native}

    async def _add(self, session: Session, order: Order, prior: Prior) -> Receipt:
        role = await logins.existing(session, order.subject.native)
        ours = self._ours(order, prior)
        if lacking := [name for name in ours if name not in role.member_of]:
            await logins.alone(self._config, session, role)
            await session.change(*self._sql.add(order.subject.native, lacking))
        facts = {"added": ours, "since": await session.joined(role, ours)}
        return Receipt(native=order.subject.native, facts=facts, ours=bool(ours))

    async def _remove(
        self, session: Session, order: Order, prior: Prior | None, receipt: Receipt | None, role: RoleFacts
    ) -> Outcome:
        ours = [] if prior is None else self._ours(order, prior)
        kept = [name for name in _params(order).member_of if name not in ours]
        told = f"membership of {', '.join(kept)}, which is older or still needed" if kept else ""
        if not ours:
            return Outcome(presence=Presence.ABSENT, kept=told)
        since = str(receipt.facts.get("since", "")) if receipt else await session.joined(role, ours)
        return await self._closes(session, role, ours, since).existing(ours, told)

    def _ours(self, order: Order, prior: Prior) -> list[str]:
        """The memberships that are to go: neither stood before nor does another order need them."""
        login = order.subject.native
        roles = _params(order).member_of
        return [role for role in roles if not prior.facts.get(names.native(order.target, role, login), prior.present)]

    # both

    @asynccontextmanager
    async def _talk(
        self, verb: str, order: Order, *, within: float = 2, patient: bool = False
    ) -> AsyncIterator[Session]:
        async with self._connection.talk(self._config, verb, within=within, patient=patient) as session:
            if session.target != order.target:
                raise Refused(f"this PostgreSQL is {session.target}, and the order is for {order.target}")
            yield session

    async def _grantable(self, session: Session, wanted: PostgresParams) -> None:
        roles = wanted.member_of
        await self._rights.reachable(session, wanted)
        if strong := await session.too_strong(roles):
            raise Refused(f"{', '.join(strong)}: never granted, who has it could undo the end of the access")
        if denied := await session.not_to_give(roles):
            raise Refused(f"the bot may not grant {', '.join(denied)}: {self._sql.to_allow(session, denied)}")


def _params(order: Order) -> PostgresParams:
    return PostgresParams.model_validate(order.params)
