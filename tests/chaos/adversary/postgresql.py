"""A PostgreSQL of one version, on which holders are let in and judged; what they do there is in a module of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from pydantic import SecretStr

from providers.systems import registry
from providers.systems.base import Secret
from tests.chaos.adversary.holder import Ability, Holder
from tests.chaos.adversary.postgresql_abilities import ACCOMPLICE, THEIRS, PostgresAbilities, reads
from tests.providers.postgres_bench import BOT, PASSWORD, furnish, let_bot_grant, run, version
from tests.servers import PostgresServer

_OWN = "existing-password"


class Postgres(PostgresAbilities):
    """One server of one version."""

    kinds: Sequence[str] = ("own", "existing")
    roles: Sequence[str] = ("read", "write")

    def __init__(self, server: PostgresServer, major: int) -> None:
        """Furnish it: the bot, the application's roles and data, an accomplice who may log in and nothing more."""
        self.server, self.major, self.name = server, major, f"pg{major}"
        furnish(server)
        self.version = version(server)
        run(
            server,
            f"CREATE ROLE {ACCOMPLICE} LOGIN PASSWORD '{THEIRS}'",
            "CREATE ROLE app_owners",
            "CREATE ROLE extra",
        )
        for role in ("app_owners", "extra"):
            let_bot_grant(server, role)
        run(
            server,
            "CREATE SCHEMA shop",
            "GRANT USAGE, CREATE ON SCHEMA shop TO app_writers",
            "GRANT USAGE ON SCHEMA shop TO PUBLIC",
            "GRANT SELECT, INSERT ON data TO app_writers",
            dbname="app",
        )
        dsn = f"postgresql://{BOT}:{PASSWORD}@127.0.0.1:{server.port}/postgres"
        config = {
            "dsn": f"env:{self._variable}",
            "timeout": 2.0,
            "login_from": "email-local-part",
            "email_domain": "example.com",
        }
        os.environ[self._variable] = dsn
        self.system = registry.build("postgresql", config, os.environ)

    @property
    def _variable(self) -> str:
        return f"HOSTILE_{self.name.upper()}"

    def policy(self) -> str:
        """Four roles: reading and writing, for a login of its own and for the one that the person has."""
        roles = "".join(
            f"""
      {role}-{kind}:
        grants: {{member_of: [{member}], login: {kind}}}
        max: 60s
        may_ask: [everyone]"""
            for role, member in (("read", "app_readers"), ("write", "app_writers"))
            for kind in self.kinds
        )
        return f"""
  {self.name}:
    title: PostgreSQL {self.major}
    provider: postgresql
    config: {{dsn: "env:{self._variable}", login_from: email-local-part, email_domain: example.com}}
    channel: C0VAULT01
    approvers: [dba]
    roles:{roles}
"""

    # as it is meant

    async def prepare(self, holder: Holder) -> None:
        """A person of their own, who has a login where that is what they use."""
        if holder.kind == "existing":
            await self.admin(f"CREATE ROLE {holder.person} LOGIN CONNECTION LIMIT 20 PASSWORD '{_OWN}'")
            holder.secret = Secret(username=holder.person, password=SecretStr(_OWN))

    async def enter(self, holder: Holder) -> None:
        """A session that reads, and a login that would."""
        session = await self.connect(holder)
        if not await reads(session):
            raise AssertionError(f"{holder.name}: what was granted cannot be used")
        holder.keep("the session that was open", lambda: reads(session))
        holder.keep("a new login", lambda: self.logs_in(holder))

    async def connect(self, holder: Holder, dbname: str = "app") -> psycopg.AsyncConnection[Any]:
        """As the holder, in the application's database; closed when all is over."""
        assert holder.secret
        return await self.connect_as(holder, holder.login, holder.secret.password.get_secret_value(), dbname)

    async def connect_as(
        self, holder: Holder, user: str, password: str, dbname: str = "app"
    ) -> psycopg.AsyncConnection[Any]:
        words = f"host=127.0.0.1 port={self.server.port} dbname={dbname} user={user} password={password}"
        session = await psycopg.AsyncConnection.connect(words, autocommit=True, connect_timeout=3)
        holder.at_end(session.close)
        return session

    async def logs_in(self, holder: Holder, password: str = "") -> bool:
        assert holder.secret
        words = f"host=127.0.0.1 port={self.server.port} dbname=app user={holder.login}"
        known = password or holder.secret.password.get_secret_value()
        async with await psycopg.AsyncConnection.connect(
            f"{words} password={known}", autocommit=True, connect_timeout=3
        ) as session:
            return await reads(session)

    async def admin(self, *statements: str, dbname: str = "postgres") -> list[Any]:
        """As the superuser, whom no setting keeps from writing; the rows of the last statement."""
        words = f"{self.server.dsn}?options=-cdefault_transaction_read_only%3Doff"
        async with await psycopg.AsyncConnection.connect(words, dbname=dbname, autocommit=True) as session:
            for statement in statements:
                cursor = await session.execute(statement.encode())
            return await cursor.fetchall() if cursor.description else []

    # what they can do

    def abilities(self, holder: Holder) -> Mapping[str, Ability]:
        """All of it."""
        return {
            name.removeprefix("can_").replace("_", " "): getattr(self, name)
            for name in sorted(dir(self))
            if name.startswith("can_")
        }

    def wide(self) -> frozenset[str]:
        """What an administrator does to everybody."""
        return frozenset({"have everything read only by an administrator", "have the database read only"})

    # afterwards

    async def judge(self, holder: Holder, told: str) -> list[str]:
        """What the catalogs say, and whether what was left behind was told."""
        wrong = []
        if await self.admin(f"SELECT 1 FROM pg_roles WHERE rolname IN ('trapped_{holder.n}', 'made_by_{holder.n}')"):
            wrong.append("a role that the holder's code made is there")
        if holder.kind == "own":
            rows = await self.admin(f"SELECT rolcanlogin FROM pg_roles WHERE rolname = '{holder.login}'")
            if rows and rows[0][0]:
                wrong.append("the temporary login may log in")
            if await self.admin(f"SELECT 1 FROM pg_stat_activity WHERE usename = '{holder.login}'"):
                wrong.append("a session of the temporary login lives")
        prepared = await self.admin(f"SELECT gid FROM pg_prepared_xacts WHERE owner = '{holder.login}'")
        wrong += [f"the prepared transaction {gid} is there and not told of" for (gid,) in prepared if gid not in told]
        for name in holder.left:
            if name not in told and await self._leaks(holder, name):
                wrong.append(f"{name} still works and is not told of")
        return wrong

    async def _leaks(self, holder: Holder, name: str) -> bool:
        with contextlib.suppress(psycopg.Error):
            session = await self.connect_as(holder, ACCOMPLICE, THEIRS)
            asked = f"SELECT word FROM shop.{name}" if "view" in name else f"SELECT shop.{name}()"
            row = await (await session.execute(asked.encode())).fetchone()
            return row is not None
        return False

    async def reset(self) -> None:
        """As an administrator would."""
        await self.quietly("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
        for dbname in ("postgres", "app"):
            await self.quietly(f"ALTER DATABASE {dbname} RESET default_transaction_read_only")

    async def quietly(self, *statements: str, dbname: str = "postgres") -> None:
        for statement in statements:
            with contextlib.suppress(psycopg.Error):
                await self.admin(statement, dbname=dbname)
