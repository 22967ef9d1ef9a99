"""What a hostile holder can do with a login: one function an ability, each played as that login on a real server."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.providers.postgres_bench import run
from tests.servers import PostgresServer

MINE = "mine-alone"


@dataclass
class Holder:
    """Somebody who has a login, and does not want to give it back."""

    server: PostgresServer
    login: str
    password: str
    open: list[psycopg.AsyncConnection[Any]] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    left: bool = False
    helper: str = ""
    """A standing login of somebody else, with no rights; made when it is needed."""

    async def enter(self, user: str = "", password: str = "") -> psycopg.AsyncConnection[Any]:
        """A session that stays."""
        connection = await psycopg.AsyncConnection.connect(self._dsn(user, password), autocommit=True)
        self.open.append(connection)
        return connection

    async def does(self, *statements: str) -> psycopg.AsyncConnection[Any]:
        """A session that stays, in which these were run."""
        connection = await self.enter()
        for statement in statements:
            await connection.execute(statement.encode())
        return connection

    async def may_not(self, statement: str) -> None:
        """The server refuses it."""
        connection = await self.enter()
        try:
            await connection.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege:
            return
        raise AssertionError(f"the holder could do this: {statement}")

    async def has_helper(self) -> str:
        """Make the helper."""
        self.helper = f"helper_{secrets.token_hex(4)}"
        run(self.server, f"CREATE ROLE {self.helper} LOGIN PASSWORD '{MINE}'")
        return self.helper

    async def reads(self, connection: psycopg.AsyncConnection[Any]) -> bool:
        """Whether a session still shows the application's data."""
        try:
            await connection.execute(b"ROLLBACK")
            return await (await connection.execute("SELECT word FROM data")).fetchone() == ("one",)
        except psycopg.Error:
            return False

    async def can_enter(self, password: str = "") -> bool:
        """Whether a new session shows the application's data."""
        try:
            connection = await psycopg.AsyncConnection.connect(self._dsn("", password), autocommit=True)
        except psycopg.OperationalError:
            return False
        async with connection:
            return await self.reads(connection)

    async def rests(self) -> None:
        """Begin nothing anew, and wait until what is under way has come to its end."""
        self.left = True
        for task in self.tasks:
            await asyncio.wait_for(task, 30)

    async def leave(self) -> None:
        """Let go of everything."""
        self.left = True
        for connection in self.open:
            await connection.close()
        await self.rests()

    def _dsn(self, user: str, password: str) -> str:
        who = f"user={user or self.login} password={password or self.password}"
        return f"host=127.0.0.1 port={self.server.port} dbname=app connect_timeout=30 {who}"


Ability = Callable[[Holder], Awaitable[None]]
LOCK = "ALTER ROLE CURRENT_USER PASSWORD 'locked'"


async def reads_on(holder: Holder) -> None:
    """Does nothing but stay."""
    await holder.does("SELECT word FROM data")


async def locks_own_row(holder: Holder) -> None:
    """Leaves a change of the own role open."""
    await holder.does("BEGIN", LOCK)


async def locks_own_row_in_a_queue(holder: Holder) -> None:
    """Has more sessions stand in line for the lock."""
    await holder.does("BEGIN", LOCK)
    for _ in range(5):
        waiting = await holder.does("BEGIN")
        holder.tasks.append(asyncio.create_task(_quietly(waiting.execute(LOCK.encode()))))


async def comes_back_faster_than_it_is_ended(holder: Holder) -> None:
    """Connects in a tight loop, six at a time, each taking the lock at once."""

    async def storm() -> None:
        while not holder.left:
            try:
                connection = await holder.enter()
                await connection.execute(b"SET lock_timeout = '2s'")
                await connection.execute(b"BEGIN")
                await connection.execute(LOCK.encode())
            except psycopg.Error:
                await asyncio.sleep(0)

    holder.tasks += [asyncio.create_task(storm()) for _ in range(6)]
    await holder.does("SELECT 1")


async def takes_every_connection(holder: Holder) -> None:
    """Opens sessions until none is given."""
    with contextlib.suppress(psycopg.OperationalError):
        for _ in range(60):
            await holder.enter()


async def changes_own_password(holder: Holder) -> None:
    """Has a password that the bot does not know."""
    await holder.does(f"ALTER ROLE CURRENT_USER PASSWORD '{MINE}'")
    holder.password = MINE
    await holder.does("SELECT word FROM data")


async def changes_own_expiry(holder: Holder) -> None:
    """Wants to last for ever."""
    await holder.may_not("ALTER ROLE CURRENT_USER VALID UNTIL 'infinity'")
    await holder.may_not("ALTER ROLE CURRENT_USER CONNECTION LIMIT -1")


async def creates_roles(holder: Holder) -> None:
    """Wants another login."""
    await holder.may_not("CREATE ROLE another LOGIN PASSWORD 'x'")
    await holder.may_not("ALTER ROLE CURRENT_USER CREATEROLE")
    await holder.may_not("GRANT app_readers TO jit_bot")


async def becomes_the_bot(holder: Holder) -> None:
    """Wants to be somebody else."""
    await holder.may_not("SET ROLE jit_bot")
    await holder.may_not("SET SESSION AUTHORIZATION jit_bot")


async def changes_own_settings(holder: Holder) -> None:
    """Leaves a change of the own role's settings open, which locks the role itself."""
    await holder.does("BEGIN", "ALTER ROLE CURRENT_USER SET default_transaction_read_only = on")


async def becomes_the_group(holder: Holder) -> None:
    """Reads as the role that was granted."""
    await holder.does("SET ROLE app_readers", "SELECT word FROM data")


async def prepares_a_change_of_its_role(holder: Holder) -> None:
    """A prepared transaction that holds the lock on the own role for ever."""
    await holder.does("BEGIN", LOCK, f"PREPARE TRANSACTION '{holder.login}-ddl'")


async def prepares_a_write(holder: Holder) -> None:
    """A prepared transaction with the own role as its owner, to be committed at leisure."""
    table = f"t_{secrets.token_hex(4)}"
    await holder.does("BEGIN", f"CREATE TABLE {table} ()", f"PREPARE TRANSACTION 'it''s {holder.login}'")


async def locks_its_tables(holder: Holder) -> None:
    """Holds the strongest lock on what it owns."""
    table = f"t_{secrets.token_hex(4)}"
    await holder.does(f"CREATE TABLE {table} ()", "BEGIN", f"LOCK TABLE {table}")


async def makes_and_grants_in_an_open_transaction(holder: Holder) -> None:
    """Uncommitted work of every kind that names the own role."""
    table = f"t_{secrets.token_hex(4)}"
    await holder.does("BEGIN", f"CREATE TABLE {table} (n serial)", f"GRANT ALL ON {table} TO app_readers")


async def hands_itself_on(holder: Holder) -> None:
    """Makes another login a member of itself, which then reads as the granted role: 14 lets it."""
    helper = await holder.has_helper()
    connection = await holder.enter()
    try:
        await connection.execute(f"GRANT {holder.login} TO {helper}".encode())
    except psycopg.errors.InsufficientPrivilege:
        assert connection.info.server_version >= 150000
        return
    other = await holder.enter(helper, MINE)
    await other.execute(b"SET ROLE app_readers")
    assert await holder.reads(other)


async def is_handed_on_by_an_administrator(holder: Holder) -> None:
    """A login that is a member of a member, and reads as the granted role."""
    helper = await holder.has_helper()
    between = f"{helper}_between"
    run(holder.server, f"CREATE ROLE {between}", f"GRANT {holder.login} TO {between}", f"GRANT {between} TO {helper}")
    other = await holder.enter(helper, MINE)
    await other.execute(b"SET ROLE app_readers")
    assert await holder.reads(other)


async def is_given_more_by_an_administrator(holder: Holder) -> None:
    """A superuser's membership, which the bot may not take back before 16, and does not see as its own after."""
    run(holder.server, f"GRANT pg_monitor TO {holder.login}", f"GRANT through_deployers TO {holder.login}")
    if run(holder.server, "SHOW server_version_num")[0][0] < "160000":
        run(holder.server, f"GRANT postgres TO {holder.login}")
    await holder.does("SELECT 1")


async def listens_and_waits(holder: Holder) -> None:
    """Everything that lives as long as a session does."""
    await holder.does(
        "LISTEN news", "SELECT pg_advisory_lock(1)", "CREATE TEMP TABLE mine AS SELECT * FROM data",
        "BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM data", "COMMIT",
    )  # fmt: skip


async def does_not_stop(holder: Holder) -> None:
    """A statement that catches whatever can be caught."""
    loop = "LOOP BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN OTHERS OR QUERY_CANCELED THEN NULL; END; END LOOP"
    connection = await holder.enter()
    await connection.execute(b"SET statement_timeout = 0")
    holder.tasks.append(asyncio.create_task(_quietly(connection.execute(f"DO $$BEGIN {loop}; END$$".encode()))))


async def owns_what_cannot_be_missed(holder: Holder) -> None:
    """Objects of many kinds in its own name, and privileges on them for others."""
    name = f"x_{secrets.token_hex(4)}"
    await holder.does(
        f"CREATE TABLE {name} (n serial PRIMARY KEY)", f"CREATE VIEW v{name} AS SELECT * FROM {name}",
        f"CREATE TYPE t{name} AS ENUM ('a')", f"GRANT ALL ON {name} TO PUBLIC", "SELECT lo_create(0)",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO app_readers",
    )  # fmt: skip


async def replicates(holder: Holder) -> None:
    """Wants a copy of everything that happens."""
    await holder.may_not("SELECT pg_create_logical_replication_slot('mine', 'pgoutput')")


async def _quietly(work: Awaitable[object]) -> None:
    with contextlib.suppress(psycopg.Error):
        await work


FOR_ALL: tuple[Ability, ...] = (
    reads_on,
    locks_own_row,
    locks_own_row_in_a_queue,
    comes_back_faster_than_it_is_ended,
    takes_every_connection,
    changes_own_password,
    changes_own_expiry,
    creates_roles,
    becomes_the_bot,
    changes_own_settings,
    becomes_the_group,
    locks_its_tables,
    makes_and_grants_in_an_open_transaction,
    hands_itself_on,
    is_handed_on_by_an_administrator,
    listens_and_waits,
    does_not_stop,
    owns_what_cannot_be_missed,
    replicates,
)
"""After each, access ends at once, whoever's login it is."""
FOR_OWN: tuple[Ability, ...] = (
    prepares_a_change_of_its_role,
    prepares_a_write,
    is_given_more_by_an_administrator,
)
"""After each, an order's own login is gone; an existing one has something left that its owner or a DBA has to end."""
