"""A connection to a MariaDB for one verb, with settings of the bot's own; the driver's calls are made in a thread.

Cancelling a thread stops nothing, so each call has its time in the socket, and the socket is shut when the time of
the whole conversation is over.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any, NoReturn, TypeVar

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import DictCursor

from providers.systems.base import ProviderError, Refused, Unsure
from providers.systems.mysql.params import MysqlConfig, Place
from providers.systems.mysql.session import MysqlSession
from providers.systems.mysql.statements import LATE, NO_HASHES, identifier, literal

_T = TypeVar("_T")
FENCE_TIMEOUTS = 2
"""How many timeouts after its session began the server still makes a change."""
_MODE = "NO_BACKSLASH_ESCAPES,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION,STRICT_ALL_TABLES"
_SETTINGS = {
    "sql_mode": literal(_MODE),
    "autocommit": "1",
    "time_zone": "'+00:00'",
    "tx_read_only": "0",
}
_WHO = """
SELECT CONNECTION_ID() AS id, CURRENT_USER() AS me, @@SESSION.sql_mode AS mode,
       CAST(UNIX_TIMESTAMP(SYSDATE(6)) AS CHAR) AS now,
       (SELECT JSON_OBJECTAGG(LOWER(v.VARIABLE_NAME), v.VARIABLE_VALUE) FROM information_schema.GLOBAL_VARIABLES v
        WHERE v.VARIABLE_NAME IN ('version', 'server_uid', 'wsrep_on', 'read_only', 'skip_grant_tables')) AS facts,
       (SELECT CONCAT_WS(',', GROUP_CONCAT(u.PRIVILEGE_TYPE), IF(MAX(u.IS_GRANTABLE) = 'YES', 'GRANT OPTION', NULL))
        FROM information_schema.USER_PRIVILEGES u
        WHERE u.GRANTEE = CONCAT("'", REGEXP_REPLACE(CURRENT_USER(), '@([^@]*)$', "'@'"),
                                 SUBSTRING_INDEX(CURRENT_USER(), '@', -1), "'")) AS rights
"""
_FULL = {1040, 1203, 1226}
_DENIED = {1044, 1045, 1095, 1141, 1142, 1143, 1227, 1370, 1410, 1698}
_NO = {
    1133: "there is no such account",
    1290: "the server takes no changes (it is a replica, or read-only): the url has to lead to the primary",
    1396: "an account of that name is there already, or is not there any more",
    1836: "the server takes no changes",
}
_POLL = 0.05


class _NeverAsked:
    """Refuses ways to sign in that would give the password itself to whoever asks."""

    def __init__(self, connection: object) -> None:
        """As the driver makes it."""

    def authenticate(self, packet: object) -> NoReturn:
        raise pymysql.OperationalError(0, "the server asks for the password itself, without TLS")


_REFUSED_PLUGINS = ("mysql_clear_password", "dialog", "sha256_password", "caching_sha2_password", "mysql_old_password")


class _Line:
    """A driver's connection, used by one thread, and its socket, which anybody may shut."""

    def __init__(self, config: MysqlConfig) -> None:
        """Not connected."""
        self._config = config
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mysql")
        self._socket: socket.socket | None = None
        self._shut = False
        self.driver: Connection[DictCursor] | None = None

    async def call(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def connect(self) -> None:
        """Connect and sign in. Raises what the driver and the socket raise."""
        config, place = self._config, self._config.place
        self.driver = Connection(**_wanted(config, place), cursorclass=DictCursor, defer_connect=True)
        raw = _opened(place, config.timeout)
        self._socket = socket.socket(fileno=os.dup(raw.fileno()))
        if self._shut:
            self.cut()
        self.driver.connect(raw)  # which closes it where it fails

    def cut(self) -> None:
        """End whatever is under way."""
        self._shut = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Let go of everything, when the thread is done."""
        self._thread.submit(self._close)
        self._thread.shutdown(wait=False)

    def _close(self) -> None:
        with suppress(pymysql.Error, OSError):
            if self.driver is not None and self.driver.open:
                self.driver.close()
        if self._socket is not None:
            self._socket.close()


@asynccontextmanager
async def talk(
    config: MysqlConfig, verb: str, *, within: float = 2, patient: bool = False
) -> AsyncIterator[MysqlSession]:
    """A session for one verb, at most ``within`` timeouts long, every failure in the contract's words.

    ``patient``: where the server has no connection left, wait for one that comes free.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + within * config.timeout
    line = await _connected(config, verb, ends if patient else 0)
    timer = loop.call_at(ends, line.cut)
    try:
        yield await _introduced(line, config, ends)
    except pymysql.Error as error:
        raise worded(verb, error) from error
    except asyncio.CancelledError:
        line.cut()  # else its thread would wait for the answer
        raise
    finally:
        timer.cancel()
        line.end()


async def _connected(config: MysqlConfig, verb: str, until: float) -> _Line:
    loop = asyncio.get_running_loop()
    while True:
        line = _Line(config)
        timer = loop.call_later(config.timeout * 1.5, line.cut)
        try:
            await line.call(line.connect)
        except (pymysql.Error, OSError, ssl.SSLError, ValueError) as error:
            line.end()
            if _code(error) not in _FULL or loop.time() + config.timeout > until:
                raise Unsure(f"{verb}: cannot connect to MariaDB: {_said(error)}") from error
        except BaseException:
            line.cut()
            line.end()
            raise
        else:
            return line
        finally:
            timer.cancel()
        await asyncio.sleep(_POLL)


def _opened(place: Place, timeout: float) -> socket.socket:
    if place.socket:
        raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            raw.settimeout(timeout)
            raw.connect(place.socket)
        except OSError:
            raw.close()
            raise
        return raw
    raw = socket.create_connection((place.host, place.port), timeout)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return raw


def _wanted(config: MysqlConfig, place: Place) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "host": place.host,
        "user": place.user,
        "password": place.password.get_secret_value().encode(),
        "charset": "utf8mb4",
        "collation": "utf8mb4_bin",
        "autocommit": None,
        "read_timeout": config.timeout,
        "write_timeout": config.timeout,
        "program_name": "jit-access",
    }
    if not config.tls or place.socket:
        plugins = {name.encode(): _NeverAsked for name in _REFUSED_PLUGINS}
        return {**wanted, "ssl_disabled": True, "auth_plugin_map": plugins}
    return {**wanted, "ssl": ssl.create_default_context(cafile=config.ca)}


async def _introduced(line: _Line, config: MysqlConfig, ends: float) -> MysqlSession:
    session = MysqlSession(line.call, line.driver, ends)
    told = session.greeting
    if "mariadb" not in told.lower():
        raise Refused(f"this server calls itself {told[:60]}: only MariaDB is served, MySQL was not tested")
    # Sooner than the socket gives up. It ends each wait for a lock; `lock_wait_timeout` leaves a backup's out.
    settings = {**_SETTINGS, "max_statement_time": f"{config.timeout * 0.8:.3f}"}
    await session.do(f"SET {', '.join(f'SESSION {name} = {value}' for name, value in settings.items())}")
    [who] = await session.rows(_WHO)
    if set(who["mode"].split(",")) != set(_MODE.split(",")) or who["id"] != session.greeted_as:
        raise Refused(
            "the bot's settings are dropped on the way, or its session is another's: a proxy is in front of the"
            " server, and the url has to name the server itself"
        )
    session.meet(config, who, float(who["now"]) + FENCE_TIMEOUTS * config.timeout)
    return session


def worded(verb: str, error: pymysql.Error) -> ProviderError:
    """The contract's error for the driver's. What was typed into a statement is never quoted."""
    code, said = _code(error), _said(error)
    if code == 1290 and "strict-password" in said:
        return Refused(f"{verb}: {NO_HASHES}")
    if said.endswith(LATE):
        return Unsure(f"{verb}: came too late and was stopped by the server, nothing was changed")
    if code in _DENIED:
        return Refused(f"{verb}: the bot's account may not do this: {said}")
    if code in _NO:
        return Refused(f"{verb}: {_NO[code]} ({said})")
    if code in {1959, 1049, 1146, 1054}:
        return Refused(f"{verb}: {said}")
    if code == 1064:  # it quotes the statement
        return Unsure(f"{verb}: MariaDB did not understand the bot")
    return Unsure(f"{verb}: MariaDB did not do it ({code or 'connection lost'}: {said})")


def _code(error: BaseException) -> int:
    return int(error.args[0]) if error.args and isinstance(error.args[0], int) else 0


def _said(error: BaseException) -> str:
    said = str(error.args[-1]) if error.args else ""
    return (said.splitlines() or [""])[0][:300] or type(error).__name__


def command(config: MysqlConfig, user: str, database: str, role: str) -> str:
    """What somebody types to get in; it asks for the password. ``role``: what an existing account has to turn on."""
    place = config.place
    host, _, port = config.address.partition(":")
    words = ["mariadb", f"--host={host or place.host}", f"--port={port or place.port}", f"--user={user}", "--password"]
    if role:
        words.append(f"--init-command=SET ROLE {identifier(role)}")
    if database:
        words.append(f"--database={database}")
    return shlex.join(words)
