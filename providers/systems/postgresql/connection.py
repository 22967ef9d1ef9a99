"""A connection to a PostgreSQL server for one verb, with settings of the bot's own from its first packet on.

What others may set for the bot (``ALTER ROLE … SET``, ``ALTER DATABASE … SET``, the server's configuration) has less
weight than the start packet, so none of it decides how the bot's names are resolved or whether it may write.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, timedelta
from typing import Any

import psycopg
from psycopg import errors, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import namedtuple_row

from providers.systems.base import ProviderError, Refused, Unsure
from providers.systems.postgresql.params import PostgresConfig
from providers.systems.postgresql.session import GRANTOR_SCOPED, LATE, Session

FENCE_TIMEOUTS = 2
"""How many timeouts after its session began the server still makes a change."""
_WITH_TRANSACTION_TIMEOUT = 170000
_SETTINGS = {
    # pg_temp comes last. Left out, it would be searched before pg_catalog for the names of tables and types.
    "search_path": "pg_catalog,pg_temp",
    "role": "none",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "row_security": "off",
    "standard_conforming_strings": "on",
    "local_preload_libraries": "",
    "client_min_messages": "warning",
    "datestyle": "ISO",
    "timezone": "UTC",
    "idle_session_timeout": "0",
    "jit": "off",  # the server's compiler takes longer than any of our queries
}
_TIMEOUTS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
_AFTER_START = ("createrole_self_grant", "transaction_timeout", "synchronous_commit")
"""Set in the first query: not every version knows them, or what stands there may be better than what we know."""
_BY_TIMEOUT = (
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
)
_FULL = re.compile(r"connection slots|too many (clients|connections)")
_ESCAPED, _BACKSLASH = re.compile(r"([\\ ])"), r"\\\1"
_POLL = 0.05
# No operator stands in here, and each name is qualified: it proves the search path, and must not rest on it.
_WHO = """
SELECT pg_catalog.current_setting('search_path') AS path,
       pg_catalog.current_setting('default_transaction_read_only') AS read_only,
       pg_catalog.current_setting('synchronous_commit') AS durable,
       pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS version,
       (pg_catalog.pg_control_system()).system_identifier::pg_catalog.text AS target,
       pg_catalog.clock_timestamp() AS now, current_user::pg_catalog.text AS me,
       pg_catalog.current_database()::pg_catalog.text AS dbname, pg_catalog.pg_backend_pid() AS pid
"""


@asynccontextmanager
async def talk(
    config: PostgresConfig, verb: str, *, within: float = 2, dbname: str = "", patient: bool = False
) -> AsyncIterator[Session]:
    """A session for one verb, at most ``within`` timeouts long, every failure in the contract's words.

    ``patient``: where the server has no connection left, wait for one that comes free.
    """
    ends = asyncio.get_running_loop().time() + within * config.timeout
    try:
        connection = await _connected(config, dbname, ends if patient else 0)
    except (OSError, TimeoutError, psycopg.OperationalError) as error:
        raise Unsure(f"{verb}: cannot connect to PostgreSQL: {_first_line(error)}") from error
    except psycopg.Error:
        # The driver's own words would quote the dsn.
        raise Refused(f"{verb}: the dsn cannot be read, or asks for what the driver does not know") from None
    cut = _Cut(connection, ends)
    try:
        yield await _introduced(connection, config, ends)
    except psycopg.Error as error:
        raise worded(verb, error) from error
    finally:
        cut.off()
        await connection.close()


async def _connected(config: PostgresConfig, dbname: str, until: float) -> psycopg.AsyncConnection[Any]:
    wanted = _wanted(config, dbname)
    while True:
        try:
            async with asyncio.timeout(config.timeout):
                return await psycopg.AsyncConnection.connect(config.dsn.get_secret_value(), autocommit=True, **wanted)
        except psycopg.OperationalError as error:
            if not _FULL.search(str(error)) or asyncio.get_running_loop().time() + config.timeout > until:
                raise
        await asyncio.sleep(_POLL)


def _wanted(config: PostgresConfig, dbname: str) -> dict[str, Any]:
    """What the start packet and the socket are given beside the dsn. Raises `Refused` where the dsn says otherwise."""
    given = conninfo_to_dict(config.dsn.get_secret_value())
    milliseconds = int(config.timeout * 1000)
    settings = {**_SETTINGS, **dict.fromkeys(_TIMEOUTS, str(milliseconds))}
    settings["idle_in_transaction_session_timeout"] = str(milliseconds * 2)
    for key in _BY_TIMEOUT:
        if key in given:
            raise Refused(f"the dsn says {key}, which follows from `timeout`: take it out of the dsn, set `timeout`")
    for key in ("service", "replication", "client_encoding"):
        if key in given:
            raise Refused(f"the dsn says {key}, which the bot cannot use: take it out, name host and database")
    wanted: dict[str, Any] = {
        "options": _options(str(given.get("options") or _default("options")), settings),
        "client_encoding": "UTF8",
        "connect_timeout": max(2, int(config.timeout)),
        "tcp_user_timeout": milliseconds,
        "keepalives": 1,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 2,
    }
    if not given.get("application_name"):
        wanted["application_name"] = "jit-access"
    if dbname:
        wanted["dbname"] = dbname
    return wanted


def _options(given: str, ours: Mapping[str, str]) -> str:
    """The options of the dsn, and then ours. One that would be overruled is refused rather than dropped."""
    for name in _named_in(given):
        if name in ours or name in _AFTER_START:
            raise Refused(f"the options of the dsn set {name}, which the bot sets itself: take it out of the dsn")
    said = [f"-c {name}={_ESCAPED.sub(_BACKSLASH, value)}" for name, value in ours.items()]
    return " ".join([*([given] if given else []), *said])


def _named_in(options: str) -> list[str]:
    """Which settings options name, as the server reads them."""
    words = [re.sub(r"\\(.)", r"\1", word) for word in re.findall(r"(?:\\.|[^\s\\])+", options)]
    named, rest = [], iter(words)
    for word in rest:
        if word == "-c":
            setting = next(rest, "")
        elif word.startswith(("-c", "--")):
            setting = word[2:]
        else:
            setting = ""
        name, equals, _ = setting.partition("=")
        if not equals:
            raise Refused("the options of the dsn are read as `-c name=value` alone: write them so")
        named.append(name.replace("-", "_").lower())
    return named


def _default(keyword: str) -> str:
    """What the driver takes from its environment (PGOPTIONS) when the dsn says nothing."""
    found = {option.keyword: option.val for option in pq.Conninfo.get_defaults()}
    return (found.get(keyword.encode()) or b"").decode()


async def _introduced(connection: psycopg.AsyncConnection[Any], config: PostgresConfig, ends: float) -> Session:
    cursor = connection.cursor(row_factory=namedtuple_row)
    try:
        who: Any = await (await cursor.execute(_WHO.encode())).fetchone()
    except errors.InsufficientPrivilege as error:
        raise Refused(
            "the bot may not read the server's identity: GRANT EXECUTE ON FUNCTION pg_control_system() TO its role"
        ) from error
    if who.path.replace(" ", "") != _SETTINGS["search_path"] or who.read_only != "off":
        raise Refused(
            f"the bot's settings are dropped on the way (search_path is {who.path!r}): a pooler is in front of the"
            " server, and the dsn has to name the server itself"
        )
    later = {}
    if who.version >= GRANTOR_SCOPED:
        later["createrole_self_grant"] = ""  # a role of the bot's making is the bot's only where it says so
    if who.version >= _WITH_TRANSACTION_TIMEOUT:
        later["transaction_timeout"] = "0"
    if who.durable == "off":
        later["synchronous_commit"] = "local"  # what was closed stays closed when the server crashes
    for name, value in later.items():
        await connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, value))
    fence = who.now + timedelta(seconds=FENCE_TIMEOUTS * config.timeout)
    return Session(connection, who.target, who.version, who.me, who.dbname, who.pid, fence.astimezone(UTC), ends)


class _Cut:
    """Cuts a connection off when its time is over: cancelling a query would wait for the very server that hangs."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], at: float) -> None:
        """Start the time."""
        self._socket = socket.socket(fileno=os.dup(connection.pgconn.socket))
        self._timer = asyncio.get_running_loop().call_at(at, self._fire)

    def off(self) -> None:
        """It was in time."""
        self._timer.cancel()
        self._socket.close()

    def _fire(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


def worded(verb: str, error: psycopg.Error) -> ProviderError:
    """The contract's error for the driver's. What was typed into a statement is never quoted."""
    said = error.diag.message_primary or type(error).__name__
    match error:
        case errors.InsufficientPrivilege():
            return Refused(f"{verb}: the bot's role may not do this: {said} {error.diag.message_detail or ''}".strip())
        case errors.UndefinedObject():
            return Refused(f"{verb}: {said}")
        case errors.DependentObjectsStillExist():
            return Refused(f"{verb}: {said}: {error.diag.message_detail}")
    if error.sqlstate == LATE:
        return Unsure(f"{verb}: came too late and was stopped by the server, nothing was changed")
    return Unsure(f"{verb}: PostgreSQL did not do it ({error.sqlstate or 'connection lost'}: {said})")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def command(config: PostgresConfig, user: str, dbname: str = "") -> str:
    """What somebody types to get in: of the dsn only where the server is, and how it is spoken to."""
    parts = conninfo_to_dict(config.dsn.get_secret_value())
    host, _, port = config.address.partition(":")
    told: dict[str, str] = {
        "host": host or str(parts.get("host") or "localhost"),
        "port": port or str(parts.get("port") or 5432),
        "dbname": dbname or str(parts.get("dbname") or parts.get("user") or "postgres"),
        "user": user,
    }
    if mode := parts.get("sslmode"):
        told["sslmode"] = str(mode)
    return f"psql {shlex.quote(make_conninfo(**told))}"
