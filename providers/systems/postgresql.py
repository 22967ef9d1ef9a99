"""Temporary logins on a PostgreSQL (14 or later), or memberships of existing ones; never touches another's role.

The bot's role needs, and should have no more than::

    CREATE ROLE jit_bot LOGIN CREATEROLE PASSWORD '…';
    GRANT pg_signal_backend TO jit_bot;
    GRANT app_readers TO jit_bot WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;   -- 16 or later, each role it grants

An own login is marked by a comment on its role; a role of our name without the mark is another hand's. It has no
password until one is revealed, and is invalid by itself a little after the end (``VALID UNTIL`` stops new
sessions only). At the end it can log in no more, its sessions are ended, what it owns is handed to ``objects_to``
in each database where something hangs on it, and it is dropped. Handing functions over needs
``GRANT CREATE ON SCHEMA … TO jit_leftovers``; until then the login stays, closed, and the revoke is not done.

An existing login gets memberships. Before 16 a grant has no grantor of its own, so what stood before is recorded
first and kept. All sessions of that login end with it, since one that did SET ROLE would keep the role.

Never granted is what could undo its own end: superusers, CREATEROLE, REPLICATION, ADMIN of any role, programs
and files of the server.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar

from pydantic import SecretStr

from providers.systems.base import (
    Capabilities,
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
    Standing,
    Subject,
)
from providers.systems.postgresql_params import PostgresConfig, PostgresParams

if TYPE_CHECKING:
    from providers.systems.postgresql_session import Role, Session

_MARK = "jit-access "
_MARKED = re.compile(r"jit-access (J-[2-9A-HJ-NP-Z]{4,8}\.[0-9]{1,2})")
_NAMED = re.compile(r"^jit_j_([2-9a-hj-np-z]{4,8})_([0-9]{1,2})$")
"""Also the server's own words for it: both understand this much in the same way."""
_REVOKE_TIMEOUTS = 8


class PostgreSQL:
    """The provider ``postgresql``."""

    Config: ClassVar[type[Frozen]] = PostgresConfig
    Params: ClassVar[type[Frozen]] = PostgresParams

    def __init__(self, config: PostgresConfig) -> None:
        """Take the config. The driver is needed from here on, not for what the class says of itself."""
        from providers.systems import postgresql_session, postgresql_sql  # noqa: PLC0415  # an extra

        self._config = config
        self._session, self._sql = postgresql_session, postgresql_sql

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
            prolongs=True,
            remains="objects that were made, in another owner's name" if own else "",
        )

    @classmethod
    def consequence(cls, params: Mapping[str, Json]) -> str:
        """Whose login, and what it may."""
        wanted = PostgresParams.model_validate(params)
        login = "opens a PostgreSQL login" if wanted.login == "own" else "adds to one's own PostgreSQL login"
        ability = "can write" if cls.capabilities(params).can_write else "read only"
        return f"{login}: member of {', '.join(wanted.member_of)}, {ability}"

    async def check(self) -> Health:
        """Reach the server, its identity, and the bot's rights."""
        async with self._session.talk(self._config, "check") as session:
            return Health(target=session.target, detail=await self._sql.rights(session, self._config))

    async def resolve(self, principal: Principal, params: Mapping[str, Json], order_id: str) -> Subject:
        """A login of the order's own, or the one that the person has."""
        wanted = PostgresParams.model_validate(params)
        if wanted.login == "own":
            return Subject(native=_own_name(order_id), own=True)
        name = self._login_of(principal)
        async with self._session.talk(self._config, "resolve") as session:
            await self._existing(session, name)
        return Subject(native=name, own=False)

    def entitlements(self, order: Order) -> Sequence[str]:
        """Each membership of an existing login."""
        if order.subject.own:
            return ()
        return tuple(_native(order.target, role, order.subject.native) for role in _params(order).member_of)

    async def inspect(self, order: Order) -> Prior:
        """The name must be free; or which memberships an existing login has. The roles must be grantable."""
        async with self._talk("inspect", order) as session:
            await self._grantable(session, order)
            if order.subject.own:
                self._mine_or_none(order, await session.role(order.subject.native))
                return Prior(present=False)
            await self._existing(session, order.subject.native)
            has = await self._has(session, order)
            facts = {
                _native(order.target, role, order.subject.native): role in has for role in _params(order).member_of
            }
            return Prior(present=all(facts.values()), facts=facts)

    async def grant(self, order: Order, prior: Prior) -> Receipt:
        """Create the login with its mark and memberships in one transaction, or add the memberships that lack."""
        async with self._talk("grant", order) as session:
            await self._grantable(session, order)
            if not order.subject.own:
                return await self._add(session, order, prior)
            valid_until = self._valid_until(order)
            role = self._mine_or_none(order, await session.role(order.subject.native))
            if role is None:
                create = self._sql.create(order.subject.native, _MARK + order.id, _params(order).member_of, valid_until)
                await session.change(*create)
            elif not role.can_login:
                raise Refused(f"{role.name} was closed already")
            return Receipt(native=order.subject.native, facts={"valid_until": valid_until})

    async def revoke(self, order: Order, prior: Prior | None, receipt: Receipt | None) -> Outcome:
        """Close it step by step; each step may have been made by a revoke before."""
        async with self._talk("revoke", order, within=_REVOKE_TIMEOUTS) as session:
            role = await session.role(order.subject.native)
            if role is None:
                return Outcome(presence=Presence.ABSENT)
            if not order.subject.own:
                return await self._remove(session, order, prior, role)
            if role.mark != _MARK + order.id:
                return Outcome(presence=Presence.FOREIGN, kept=f"the role {role.name} of another hand")
            return await self._drop(session, role)

    async def verify(self, order: Order, receipt: Receipt | None) -> Presence:
        """Read the login or the memberships back."""
        async with self._talk("verify", order) as session:
            if order.subject.own:
                return self._own_presence(order, receipt, await session.role(order.subject.native))
            if receipt is not None and not receipt.ours:
                return Presence.ABSENT
            added = _params(order).member_of if receipt is None else receipt.facts["added"]
            has = await self._has(session, order)
            if receipt is None:
                return Presence.FOREIGN if has & set(added) else Presence.ABSENT
            if not has & set(added):
                return Presence.ABSENT
            return Presence.PRESENT if has >= set(added) else Presence.FOREIGN

    async def standing(self) -> Sequence[Standing]:
        """Our temporary logins, what only looks like one, and every member of the roles that the config watches."""
        async with self._session.talk(self._config, "list") as session:
            ours = await session.marked(_MARK, _NAMED.pattern)
            names = {role.name for role in ours}
            members = await session.members(self._config.watch)
            watched = [
                Standing(native=member, entitlement=_native(session.target, role, member))
                for role, member in members
                if member not in {*names, session.me}
            ]
        return [*(_standing(role) for role in ours), *watched]

    async def close_orphan(self, standing: Standing) -> Outcome:
        """Close and drop a login that has both an order's name and that order's mark."""
        async with self._session.talk(self._config, "close", within=_REVOKE_TIMEOUTS) as session:
            role = await session.role(standing.native)
            if role is None:
                return Outcome(presence=Presence.ABSENT)
            named = _NAMED.fullmatch(role.name)
            if named is None or role.mark != _MARK + _order_of(named):
                return Outcome(presence=Presence.FOREIGN, kept=f"the role {role.name}, which bears no mark of ours")
            return await self._drop(session, role)

    async def reveal(self, order: Order, receipt: Receipt) -> Secret:
        """A new password, which only its SCRAM verifier leaves here; who came in by the one before is out."""
        name, password = order.subject.native, secrets.token_urlsafe(32)
        async with self._talk("reveal", order, within=_REVOKE_TIMEOUTS) as session:
            role = await session.role(name)
            found = self._own_presence(order, receipt, role) if order.subject.own else Presence.ABSENT
            if role is None or found is not Presence.PRESENT:
                raise Refused(f"the login {name} is gone, was changed by another hand, or has no password of ours")
            await session.change(self._sql.set_password(session, name, password))
            await session.end_sessions(role)
        return Secret(username=name, password=SecretStr(password), how=self.connect(order, receipt))

    def connect(self, order: Order, receipt: Receipt) -> str:
        """The client's command; it asks for the password."""
        return self._session.command(self._config, order.subject.native)

    async def prolong(self, order: Order, receipt: Receipt) -> Receipt:
        """A later ``VALID UNTIL`` for a login of the order's own; a membership has no end of its own."""
        if not order.subject.own:
            if receipt.ours and await self.verify(order, receipt) is not Presence.PRESENT:
                raise Refused(f"the memberships of {order.subject.native} are gone, or were changed by another hand")
            return receipt
        async with self._talk("prolong", order) as session:
            role = await session.role(order.subject.native)
            later = self._valid_until(order)
            known = {receipt.facts.get("valid_until"), later}  # later, where an answer to this was lost
            if role is None or role.valid_until not in known:
                raise Refused(f"the login {order.subject.native} is gone, or was changed by another hand")
            there = receipt.model_copy(update={"facts": {**receipt.facts, "valid_until": role.valid_until}})
            if self._own_presence(order, there, role) is not Presence.PRESENT:
                raise Refused(f"the login {order.subject.native} was changed by another hand")
            lasts = max(later, math.ceil(role.valid_until or later))
            await session.change(self._sql.prolong(role.name, lasts))
            return receipt.model_copy(update={"facts": {**receipt.facts, "valid_until": lasts}})

    async def close(self) -> None:
        """Nothing is kept open between verbs."""

    # own logins

    def _mine_or_none(self, order: Order, role: Role | None) -> Role | None:
        if role is not None and role.mark != _MARK + order.id:
            raise Refused(f"a role {role.name} of another hand exists already")
        return role

    def _own_presence(self, order: Order, receipt: Receipt | None, role: Role | None) -> Presence:
        if role is None:
            return Presence.ABSENT
        lasts = self._valid_until(order) if receipt is None else receipt.facts.get("valid_until")
        ours = (
            role.mark == _MARK + order.id
            and role.can_login
            and not role.strong
            and role.valid_until == lasts
            and set(role.member_of) == set(_params(order).member_of)
        )
        return Presence.PRESENT if ours else Presence.FOREIGN

    def _valid_until(self, order: Order) -> int:
        return math.ceil(order.not_after + self._config.grace)

    async def _drop(self, session: Session, role: Role) -> Outcome:
        """Stop new logins first; then nobody is in; then nothing hangs on it; then it is gone."""
        await session.do(*self._sql.close_login(role))
        killed = await session.end_sessions(role)
        kept = []
        for dbname, owned in await session.left_behind(role):
            async with self._session.talk(self._config, "revoke", within=_REVOKE_TIMEOUTS, dbname=dbname) as there:
                await self._sql.hand_over(there, role, self._config.objects_to if owned else "")
            if owned:
                kept.append(f"{owned} objects in {dbname} belong to {self._config.objects_to} now")
        await session.do(self._sql.drop(role))
        # A login that was half way in when it was closed shows itself only now.
        killed += await session.end_sessions(role)
        left = await session.role(role.name)
        presence = Presence.ABSENT if left is None else Presence.FOREIGN
        return Outcome(presence=presence, killed=killed, kept="; ".join(kept))

    # existing logins

    def _login_of(self, principal: Principal) -> str:
        email = principal.key.casefold()
        local, at, domain = email.partition("@")
        match self._config.login_from:
            case "email":
                return email
            case "email-local-part" if at and local and domain == self._config.email_domain:
                return local
            case "table" if email in self._config.logins:
                return self._config.logins[email]
        raise Refused(f"{principal.key} has no login that is known here: see `login_from` of the system")

    async def _existing(self, session: Session, name: str) -> None:
        role = await session.role(name)
        if role is None or not role.can_login:
            raise Refused(f"there is no PostgreSQL login {name}")
        if role.superuser or role.name == session.me or (role.mark or "").startswith(_MARK):
            raise Refused(f"{name} is a superuser, the bot or a temporary login: nothing is added to those")

    async def _has(self, session: Session, order: Order) -> set[str]:
        members = await session.members(_params(order).member_of)
        return {role for role, member in members if member == order.subject.native}

    async def _add(self, session: Session, order: Order, prior: Prior) -> Receipt:
        await self._existing(session, order.subject.native)
        ours = self._ours(order, prior)
        has = await self._has(session, order)
        if lacking := [role for role in ours if role not in has]:
            await session.change(*self._sql.add(order.subject.native, lacking))
        return Receipt(native=order.subject.native, facts={"added": ours}, ours=bool(ours))

    async def _remove(self, session: Session, order: Order, prior: Prior | None, role: Role) -> Outcome:
        ours = [] if prior is None else self._ours(order, prior)
        kept = [name for name in _params(order).member_of if name not in ours]
        told = f"membership of {', '.join(kept)}, which stood before or is still needed" if kept else ""
        if not ours:
            return Outcome(presence=Presence.ABSENT, kept=told)
        if there := sorted(await self._has(session, order) & set(ours)):
            await session.do(*self._sql.remove(order.subject.native, there))
        # Also when they were gone: a revoke before this one may have come no further.
        killed = await session.end_sessions(role)
        # From 16 on, a membership that another hand gave meanwhile is a row of its own and stays.
        stays = await self._has(session, order) & set(ours)
        return Outcome(presence=Presence.FOREIGN if stays else Presence.ABSENT, killed=killed, kept=told)

    def _ours(self, order: Order, prior: Prior) -> list[str]:
        """The memberships that are to go: neither stood before nor does another order need them."""
        login = order.subject.native
        names = _params(order).member_of
        return [name for name in names if not prior.facts.get(_native(order.target, name, login), prior.present)]

    # both

    @asynccontextmanager
    async def _talk(self, verb: str, order: Order, *, within: float = 2) -> AsyncIterator[Session]:
        async with self._session.talk(self._config, verb, within=within) as session:
            if session.target != order.target:
                raise Refused(f"this PostgreSQL is {session.target}, and the order is for {order.target}")
            yield session

    async def _grantable(self, session: Session, order: Order) -> None:
        names = _params(order).member_of
        if strong := await session.too_strong(names):
            raise Refused(f"{', '.join(strong)}: never granted, who has it could undo the end of the access")
        if denied := await session.not_to_give(names):
            raise Refused(f"the bot may not grant {', '.join(denied)}: {self._sql.to_allow(session, denied)}")


def _params(order: Order) -> PostgresParams:
    return PostgresParams.model_validate(order.params)


def _native(target: str, role: str, login: str) -> str:
    return f"{target}/{role}/{login}"


def _own_name(order_id: str) -> str:
    return "jit_" + re.sub(r"[-.]", "_", order_id.lower())


def _order_of(named: re.Match[str]) -> str:
    """The order whose name a login has."""
    return f"J-{named[1].upper()}.{named[2]}"


def _standing(role: Role) -> Standing:
    marked, named = _MARKED.fullmatch(role.mark or ""), _NAMED.fullmatch(role.name)
    order = marked[1] if marked else _order_of(named) if named else None
    return Standing(native=role.name, entitlement=", ".join(role.member_of), order=order)
