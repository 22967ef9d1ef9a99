"""What a holder, and an administrator beside them, can do on a PostgreSQL to keep access from ending.

Each ability is what PostgreSQL's documentation allows such a login, or its administrator; a server that refuses it is
no failure.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
from typing import Any

import psycopg
from psycopg import sql

from tests.chaos.adversary.holder import Acts, Holder, NotHere
from tests.servers import PostgresServer

ACCOMPLICE, THEIRS = "mallory", "mallorys-own"
"""Somebody who may log in, and nothing more."""
_MOST_SESSIONS = 60
_TRAPS = (
    "shobj_description(oid, text)",
    "format(text)",
    "quote_ident(text)",
    "pg_signal(text)",
    "starts_with(text, text)",
)


class PostgresAbilities(abc.ABC):
    """All that begins with ``can_`` is an ability, named by the rest."""

    server: PostgresServer

    @abc.abstractmethod
    async def connect(self, holder: Holder, dbname: str = "app") -> psycopg.AsyncConnection[Any]:
        """As the holder."""

    @abc.abstractmethod
    async def connect_as(
        self, holder: Holder, user: str, password: str, dbname: str = "app"
    ) -> psycopg.AsyncConnection[Any]:
        """As anybody; closed when the holder's time is over."""

    @abc.abstractmethod
    async def logs_in(self, holder: Holder, password: str = "") -> bool:
        """Whether the holder can log in anew and read."""

    @abc.abstractmethod
    async def admin(self, *statements: str, dbname: str = "postgres") -> list[Any]:
        """As the superuser."""

    @abc.abstractmethod
    async def quietly(self, *statements: str, dbname: str = "postgres") -> None:
        """As the superuser, where it may fail."""

    async def can_lock_their_own_row(self, holder: Holder) -> None:
        """A change of their own role that is neither committed nor rolled back."""
        session = await self.connect(holder)
        await session.execute("BEGIN")
        await session.execute("ALTER ROLE current_user PASSWORD 'changed'")
        holder.keep("the session that holds the lock", lambda: reads(session))

    async def can_lock_their_settings(self, holder: Holder) -> None:
        session = await self.connect(holder)
        await session.execute("BEGIN")
        await session.execute("ALTER ROLE current_user SET work_mem = '1MB'")
        holder.keep("the session that holds the lock", lambda: reads(session))

    async def can_change_their_password(self, holder: Holder) -> None:
        session = await self.connect(holder)
        await session.execute("ALTER ROLE current_user PASSWORD 'changed'")
        holder.keep("a login by the changed password", lambda: self.logs_in(holder, "changed"))

    async def can_change_their_end(self, holder: Holder) -> None:
        session = await self.connect(holder)
        await session.execute("ALTER ROLE current_user VALID UNTIL 'infinity'")

    async def can_make_a_role(self, holder: Holder) -> None:
        session = await self.connect(holder)
        await session.execute(f"CREATE ROLE made_by_{holder.n} LOGIN PASSWORD 'x' IN ROLE app_readers")

    async def can_become_the_group(self, holder: Holder) -> None:
        session = await self.connect(holder)
        await session.execute(f"SET ROLE {member_of(holder)}")
        holder.keep("a session that is the group", lambda: reads(session))

    async def can_let_the_accomplice_be_them(self, holder: Holder) -> None:
        """Before 16 everybody may give away membership of themself."""
        mine = sql.Identifier(holder.login).as_string()
        session = await self.connect(holder)
        await session.execute(f"GRANT {mine} TO {ACCOMPLICE}".encode())
        await self._accomplice(holder, mine)
        if holder.kind == "existing":
            holder.at_end(lambda: self.quietly(f"REVOKE {mine} FROM {ACCOMPLICE}"))

    async def can_have_an_administrator_let_the_accomplice_be_them(self, holder: Holder) -> None:
        mine = sql.Identifier(holder.login).as_string()
        await self.admin(f"GRANT {mine} TO {ACCOMPLICE}")
        holder.at_end(lambda: self.quietly(f"REVOKE {mine} FROM {ACCOMPLICE}"))
        await self._accomplice(holder, mine)

    async def _accomplice(self, holder: Holder, mine: str) -> None:
        theirs = await self.connect_as(holder, ACCOMPLICE, THEIRS)
        await theirs.execute(f"SET ROLE {mine}".encode())
        if await reads(theirs):
            holder.keep("the accomplice's session that is them", lambda: reads(theirs))

        async def anew() -> bool:
            words = f"host=127.0.0.1 port={self.server.port} dbname=app user={ACCOMPLICE} password={THEIRS}"
            async with await psycopg.AsyncConnection.connect(words, autocommit=True, connect_timeout=3) as session:
                await session.execute(f"SET ROLE {mine}".encode())
                return await reads(session)

        holder.keep("the accomplice, who becomes them anew", anew)

    async def can_be_given_one_more_role(self, holder: Holder) -> None:
        mine = sql.Identifier(holder.login).as_string()
        await self.admin(f"GRANT extra TO {mine}")

    async def can_be_given_a_role_of_a_superusers(self, holder: Holder) -> None:
        mine = sql.Identifier(holder.login).as_string()
        await self.admin(f"DROP ROLE IF EXISTS only_{holder.n}", f"CREATE ROLE only_{holder.n} CREATEROLE SUPERUSER")
        await self.admin(f"GRANT only_{holder.n} TO {mine}", f"ALTER ROLE only_{holder.n} NOSUPERUSER")
        holder.at_end(lambda: self.quietly(f"DROP ROLE only_{holder.n}"))

    async def can_have_an_administrator_lift_the_end(self, holder: Holder) -> None:
        mine = sql.Identifier(holder.login).as_string()
        if holder.kind == "existing":
            raise NotHere
        await self.admin(f"ALTER ROLE {mine} VALID UNTIL 'infinity'")

    async def can_set_traps(self, holder: Holder) -> None:
        """Functions of the names that a bot calls, wherever the holder may create, which make a role if they run."""
        made = 0
        for dbname in ("app", "postgres"):
            session = await self.connect(holder, dbname)
            for schema in ("public", "shop", "jit_trap"):
                with contextlib.suppress(psycopg.Error):
                    await session.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}".encode())
                for trap in _TRAPS:
                    with contextlib.suppress(psycopg.Error):
                        await session.execute(self._trap(holder, schema, trap).encode())
                        made += 1
        if not made:
            raise NotHere

    @staticmethod
    def _trap(holder: Holder, schema: str, trap: str) -> str:
        does = f"CREATE ROLE trapped_{holder.n} LOGIN PASSWORD 'trapped'"
        return (
            f"CREATE OR REPLACE FUNCTION {schema}.{trap} RETURNS text LANGUAGE plpgsql AS $f$"
            f"BEGIN IF current_user <> '{holder.login}' THEN EXECUTE '{does}'; END IF; RETURN ''; END$f$"
        )

    async def can_own_much(self, holder: Holder) -> None:
        session = await self.connect(holder)
        name, made = f"mine_{holder.n}", 0
        for statement in (
            f"CREATE TABLE shop.{name} AS SELECT * FROM data",
            f"GRANT ALL ON shop.{name} TO PUBLIC",
            f"CREATE VIEW shop.{name}_view AS SELECT * FROM shop.{name}",
            f"CREATE TYPE shop.{name}_type AS (a int)",
            f"CREATE SEQUENCE shop.{name}_seq",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT ALL ON TABLES TO {ACCOMPLICE}",
            "SELECT lo_create(0)",
            f"CREATE TEMP TABLE {name}_temp AS SELECT * FROM data",
        ):
            with contextlib.suppress(psycopg.Error):
                await session.execute(statement.encode())
                made += 1
        if not made:
            raise NotHere

    async def can_leave_a_function_of_the_groups(self, holder: Holder) -> None:
        """SECURITY DEFINER, owned by the granted role: it works for anybody after the end, unless it is found."""
        if holder.role != "write":
            raise NotHere
        session = await self.connect(holder)
        name = f"shop.leak_{holder.n}"
        await session.execute("SET ROLE app_writers")
        await session.execute(
            f"CREATE FUNCTION {name}() RETURNS text LANGUAGE sql SECURITY DEFINER AS "
            "'SELECT word FROM public.data LIMIT 1'".encode()
        )
        await session.execute(f"GRANT EXECUTE ON FUNCTION {name}() TO PUBLIC".encode())
        holder.left.append(f"leak_{holder.n}")
        holder.at_end(lambda: self.quietly(f"DROP FUNCTION IF EXISTS {name}()", dbname="app"))

    async def can_prepare_a_transaction(self, holder: Holder) -> None:
        session = await self.connect(holder)
        await session.execute("BEGIN")
        if holder.dice.random() < 0.5:
            await session.execute("CREATE TEMP TABLE nothing (a int)" if holder.role == "read" else "SELECT 1")
            await session.execute("LOCK TABLE data IN ACCESS SHARE MODE")
        elif holder.role == "write":
            await session.execute(f"CREATE TABLE shop.prepared_{holder.n} (a int)".encode())
        await session.execute(f"PREPARE TRANSACTION 'kept_{holder.n}'".encode())
        holder.at_end(lambda: self.quietly(f"ROLLBACK PREPARED 'kept_{holder.n}'", dbname="app"))

    async def can_prepare_a_change_of_themself(self, holder: Holder) -> None:
        """A lock on their own role that no session holds, and no restart lifts."""
        session = await self.connect(holder)
        await session.execute("BEGIN")
        await session.execute("ALTER ROLE current_user PASSWORD 'prepared'")
        await session.execute(f"PREPARE TRANSACTION 'locks_{holder.n}'".encode())
        holder.at_end(lambda: self.quietly(f"ROLLBACK PREPARED 'locks_{holder.n}'", dbname="app"))
        holder.keep("a login by a password that is prepared", lambda: self.logs_in(holder, "prepared"))

    async def can_be_let_replicate_by_an_administrator(self, holder: Holder) -> None:
        """A session of another kind, which asks for no table."""
        assert holder.secret
        mine = sql.Identifier(holder.login).as_string()
        await self.admin(f"ALTER ROLE {mine} REPLICATION")
        if holder.kind == "existing":
            raise NotHere  # their standing right now, and none of the access
        session = await psycopg.AsyncConnection.connect(
            f"host=127.0.0.1 port={self.server.port} dbname=app replication=database user={holder.login}",
            password=holder.secret.password.get_secret_value(),
            autocommit=True,
            cursor_factory=psycopg.AsyncClientCursor,
        )
        holder.at_end(session.close)

        async def replicates() -> bool:
            return await (await session.execute("IDENTIFY_SYSTEM")).fetchone() is not None

        if not await replicates():
            raise NotHere
        holder.keep("a session that replicates", replicates)

    async def can_leave_a_view_of_the_groups(self, holder: Holder) -> None:
        """A view reads with the rights of its owner, whoever asks it."""
        if holder.role != "write":
            raise NotHere
        session = await self.connect(holder)
        name = f"shop.leak_view_{holder.n}"
        await session.execute("SET ROLE app_writers")
        await session.execute(f"CREATE VIEW {name} AS SELECT word FROM public.data".encode())
        await session.execute(f"GRANT SELECT ON {name} TO PUBLIC".encode())
        holder.left.append(f"leak_view_{holder.n}")
        holder.at_end(lambda: self.quietly(f"DROP VIEW IF EXISTS {name}", dbname="app"))

    async def can_hold_locks(self, holder: Holder) -> None:
        session = await self.connect(holder)
        await session.execute("BEGIN")
        await session.execute("LOCK TABLE data IN ACCESS SHARE MODE")
        await session.execute("SELECT pg_advisory_lock(1)")
        holder.keep("a session in a transaction", lambda: reads(session))

    async def can_be_busy(self, holder: Holder) -> None:
        """A statement that never ends, which is no session that could be asked."""
        session = await self.connect(holder)
        busy = asyncio.create_task(_busy(session))
        holder.tasks.append(busy)

        async def busy_still() -> bool:
            rows = await self.admin(f"SELECT 1 FROM pg_stat_activity WHERE usename = '{holder.login}'")
            return holder.kind == "own" and bool(rows)

        holder.keep("a statement that runs on", busy_still)

    async def can_have_many_sessions(self, holder: Holder) -> None:
        for _ in range(6):
            session = await self.connect(holder)
            await session.execute("LISTEN anything")
            holder.keep("one of many sessions", _reading(session))

    async def can_take_every_connection(self, holder: Holder) -> None:
        """As many as they are let have: nobody else may come in any more, the bot neither."""
        had = 0
        with contextlib.suppress(psycopg.OperationalError):
            while had < _MOST_SESSIONS:
                session = await self.connect(holder)
                had += 1
        if had:
            holder.keep("the last of every connection", _reading(session))

    async def can_log_in_again_and_again(self, holder: Holder) -> None:
        holder.storm(lambda: self.logs_in(holder))

    async def can_make_everything_read_only_for_themself(self, holder: Holder) -> None:
        session = await self.connect(holder)
        await session.execute("ALTER ROLE current_user SET default_transaction_read_only = on")
        await session.execute("ALTER ROLE current_user SET statement_timeout = 0")

    async def can_have_everything_read_only_by_an_administrator(self, holder: Holder) -> None:
        await self.admin("ALTER SYSTEM SET default_transaction_read_only = on")
        await self.admin("SELECT pg_reload_conf()")

    async def can_have_the_database_read_only(self, holder: Holder) -> None:
        await self.admin("ALTER DATABASE postgres SET default_transaction_read_only = on")
        await self.admin("ALTER DATABASE app SET default_transaction_read_only = on")


def member_of(holder: Holder) -> str:
    """The role that was granted."""
    return "app_readers" if holder.role == "read" else "app_writers"


async def reads(session: psycopg.AsyncConnection[Any]) -> bool:
    """Whether the data can be read, which nobody here can but by the access."""
    row = await (await session.execute("SELECT word FROM public.data")).fetchone()
    return row is not None


def _reading(session: psycopg.AsyncConnection[Any]) -> Acts:
    return lambda: reads(session)


async def _busy(session: psycopg.AsyncConnection[Any]) -> None:
    with contextlib.suppress(psycopg.Error):
        await session.execute("SELECT pg_sleep(600)")
