"""One conversation with a PostgreSQL server, within a time; it decides nothing about orders.

Identifiers and literals go in only through ``psycopg.sql``. What is sent to change something is one message and
carries a fence: the server refuses it when it comes to it too late.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import namedtuple_row

from providers.systems.base import ProviderError, Refused, Unsure
from providers.systems.postgresql_params import NEVER_GRANTED, PostgresConfig

OLDEST, GRANTOR_SCOPED = 140000, 160000
FENCE_TIMEOUTS = 2
"""How many timeouts after its session began the server still makes a change."""
_POLL = 0.02
_LATE = "JIT01"

_WHO = """
SELECT (SELECT system_identifier::text FROM pg_control_system()) AS target, clock_timestamp() AS now,
       current_setting('server_version_num')::int AS version, current_user::text AS me
"""
_ROLE = """
SELECT r.oid::bigint AS oid, r.rolname::text AS name, r.rolcanlogin AS can_login, r.rolsuper AS superuser,
       r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls OR r.rolsuper AS strong,
       extract(epoch FROM r.rolvaliduntil)::float8 AS valid_until, shobj_description(r.oid, 'pg_authid') AS mark,
       ARRAY(SELECT DISTINCT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
             WHERE m.member = r.oid ORDER BY 1) AS member_of
FROM pg_roles r
"""
_TOO_STRONG = """
WITH RECURSIVE reach(oid) AS (
    SELECT oid FROM pg_roles WHERE rolname = ANY(%s)
    UNION SELECT m.roleid FROM pg_auth_members m JOIN reach ON m.member = reach.oid)
SELECT r.rolname::text AS name FROM reach JOIN pg_roles r USING (oid)
WHERE r.rolsuper OR r.rolcreaterole OR r.rolreplication OR r.rolname = ANY(%s)
   OR EXISTS (SELECT FROM pg_auth_members a WHERE a.member = r.oid AND a.admin_option)
ORDER BY 1
"""
_LEFT = """
SELECT coalesce(d.datname::text, current_database()::text) AS db, count(*) FILTER (WHERE s.deptype = 'o') AS owned
FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid
WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = %s AND s.classid <> 'pg_auth_members'::regclass
GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True)
class Role:
    """What the catalog says of one role."""

    oid: int
    name: str
    can_login: bool
    superuser: bool
    strong: bool
    valid_until: float | None
    mark: str | None
    member_of: Sequence[str]


@dataclass
class Session:
    """A connection, and what the server said of itself when it was made."""

    connection: psycopg.AsyncConnection[Any]
    target: str
    version: int
    me: str
    fence: datetime
    ends: float

    async def rows(self, query: str, *values: object) -> list[Any]:
        """Read."""
        cursor = self.connection.cursor(row_factory=namedtuple_row)
        return await (await cursor.execute(query.encode(), values or None)).fetchall()

    async def change(self, *statements: sql.Composable) -> None:
        """All of it in one transaction and one message, or nothing; nothing when the server comes to it late."""
        late = sql.SQL(
            "DO $jit$BEGIN IF clock_timestamp() > {} THEN"
            " RAISE EXCEPTION USING ERRCODE = {}, MESSAGE = 'too late'; END IF; END$jit$"
        ).format(sql.Literal(self.fence), sql.Literal(_LATE))
        await self.connection.execute(sql.SQL("; ").join((*statements, late)))

    async def do(self, *statements: sql.Composable) -> None:
        """The same with no fence, for what takes away: it may be late, but never too late."""
        await self.connection.execute(sql.SQL("; ").join(statements))

    async def role(self, name: str) -> Role | None:
        """One role, if it is there."""
        found = await self.rows(_ROLE + "WHERE r.rolname = %s", name)
        return Role(**found[0]._asdict()) if found else None

    async def marked(self, prefix: str, pattern: str) -> list[Role]:
        """Every role whose comment starts so, or whose name fits the pattern."""
        query = _ROLE + "WHERE starts_with(shobj_description(r.oid, 'pg_authid'), %s) OR r.rolname ~ %s ORDER BY 2"
        return [Role(**row._asdict()) for row in await self.rows(query, prefix, pattern)]

    async def members(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """Each (role, member) of these roles, and whoever gave it."""
        query = """
            SELECT DISTINCT g.rolname::text AS role, r.rolname::text AS member FROM pg_auth_members m
            JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles r ON r.oid = m.member
            WHERE g.rolname = ANY(%s) ORDER BY 1, 2
        """
        return [(row.role, row.member) for row in await self.rows(query, list(names))]

    async def too_strong(self, names: Sequence[str]) -> list[str]:
        """Which of these roles, or of those that they reach, could undo the end of the access."""
        return [row.name for row in await self.rows(_TOO_STRONG, list(names), list(NEVER_GRANTED))]

    async def not_to_give(self, names: Sequence[str]) -> list[str]:
        """Which of these roles the bot may not grant; before 16, CREATEROLE is enough for all."""
        if self.version < GRANTOR_SCOPED:
            return []
        query = """
            SELECT rolname::text AS name FROM pg_roles
            WHERE rolname = ANY(%s) AND NOT pg_has_role(current_user, oid, 'MEMBER WITH ADMIN OPTION') ORDER BY 1
        """
        return [row.name for row in await self.rows(query, list(names))]

    async def left_behind(self, role: Role) -> list[tuple[str, int]]:
        """Each database where something hangs on the role, and how many objects there it owns."""
        return [(row.db, row.owned) for row in await self.rows(_LEFT, role.oid)]

    async def end_sessions(self, role: Role) -> int:
        """End the role's sessions, and wait until they are gone; how many there were."""
        seen: set[int] = set()
        while True:
            query = "SELECT pid FROM pg_stat_activity WHERE usesysid = %s AND pid <> pg_backend_pid()"
            pids = [row.pid for row in await self.rows(query, role.oid)]
            if not pids:
                return len(seen)
            if asyncio.get_running_loop().time() > self.ends:
                raise Unsure(f"{len(pids)} sessions of {role.name} do not end")
            seen.update(pids)
            await self.rows("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", pids)
            await asyncio.sleep(_POLL)


@asynccontextmanager
async def talk(config: PostgresConfig, verb: str, *, within: float = 2, dbname: str = "") -> AsyncIterator[Session]:
    """A session for one verb, at most ``within`` timeouts long, every failure in the contract's words."""
    try:
        connection = await _connect(config, dbname)
    except (OSError, TimeoutError, psycopg.OperationalError) as error:
        raise Unsure(f"{verb}: cannot connect to PostgreSQL: {_first_line(error)}") from error
    except psycopg.Error:
        # The driver's own words would quote the dsn.
        raise Refused(f"{verb}: the dsn cannot be read, or asks for what the driver does not know") from None
    cut = _Cut(connection, within * config.timeout)
    try:
        yield await _introduced(connection, config, cut.at)
    except psycopg.Error as error:
        raise _worded(verb, error) from error
    finally:
        cut.off()
        await connection.close()


async def _connect(config: PostgresConfig, dbname: str) -> psycopg.AsyncConnection[Any]:
    milliseconds = int(config.timeout * 1000)
    settings = {
        "statement_timeout": milliseconds,
        "lock_timeout": milliseconds,
        "idle_in_transaction_session_timeout": milliseconds * 2,
    }
    wanted: dict[str, Any] = {
        "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        "connect_timeout": max(2, int(config.timeout)),
        "tcp_user_timeout": milliseconds,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 2,
        "application_name": "jit-access",
    }
    if dbname:
        wanted["dbname"] = dbname
    async with asyncio.timeout(config.timeout):
        return await psycopg.AsyncConnection.connect(config.dsn.get_secret_value(), autocommit=True, **wanted)


async def _introduced(connection: psycopg.AsyncConnection[Any], config: PostgresConfig, ends: float) -> Session:
    cursor = connection.cursor(row_factory=namedtuple_row)
    try:
        who: Any = await (await cursor.execute(_WHO.encode())).fetchone()
    except errors.InsufficientPrivilege as error:
        raise Refused(
            "the bot may not read the server's identity: GRANT EXECUTE ON FUNCTION pg_control_system() TO its role"
        ) from error
    fence = who.now + timedelta(seconds=FENCE_TIMEOUTS * config.timeout)
    return Session(connection, who.target, who.version, who.me, fence.astimezone(UTC), ends)


class _Cut:
    """Cuts a connection off when its time is over: cancelling a query would wait for the very server that hangs."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], after: float) -> None:
        """Start the time."""
        loop = asyncio.get_running_loop()
        self.at = loop.time() + after
        self._socket = socket.socket(fileno=os.dup(connection.pgconn.socket))
        self._timer = loop.call_at(self.at, self._fire)

    def off(self) -> None:
        """It was in time."""
        self._timer.cancel()
        self._socket.close()

    def _fire(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


def _worded(verb: str, error: psycopg.Error) -> ProviderError:
    """The contract's error for the driver's. What was typed into a statement is never quoted."""
    said = error.diag.message_primary or type(error).__name__
    match error:
        case errors.InsufficientPrivilege():
            return Refused(f"{verb}: the bot's role may not do this: {said} {error.diag.message_detail or ''}".strip())
        case errors.UndefinedObject():
            return Refused(f"{verb}: {said}")
        case errors.DependentObjectsStillExist():
            return Refused(f"{verb}: {said}: {error.diag.message_detail}")
    if error.sqlstate == _LATE:
        return Unsure(f"{verb}: came too late and was stopped by the server, nothing was changed")
    return Unsure(f"{verb}: PostgreSQL did not do it ({error.sqlstate or 'connection lost'}: {said})")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def command(config: PostgresConfig, user: str) -> str:
    """What somebody types to get in: of the dsn only where the server is, and how it is spoken to."""
    parts = conninfo_to_dict(config.dsn.get_secret_value())
    host, _, port = config.address.partition(":")
    told: dict[str, str] = {
        "host": host or str(parts.get("host") or "localhost"),
        "port": port or str(parts.get("port") or 5432),
        "dbname": str(parts.get("dbname") or parts.get("user") or "postgres"),
        "user": user,
    }
    if mode := parts.get("sslmode"):
        told["sslmode"] = str(mode)
    return f"psql {shlex.quote(make_conninfo(**told))}"
