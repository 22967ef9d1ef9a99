"""What the bot reads of a MariaDB and how it changes it, over one connection; it decides nothing about orders."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from pymysql.connections import Connection
from pymysql.cursors import DictCursor

from providers.systems.base import Refused, Unsure
from providers.systems.mysql import queries, statements
from providers.systems.mysql.accounts import MysqlAccount, NamedAccounts, read
from providers.systems.mysql.params import MysqlConfig
from providers.systems.mysql.statements import literal

_POLL = 0.02
_SESSIONS = "SELECT p.ID AS id FROM information_schema.PROCESSLIST p WHERE BINARY p.USER = {name}"
"""The user of a session is who signed in, or as whom an event runs. Two accounts of one name are not told apart."""


_REPLICAS = "SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST p WHERE p.COMMAND LIKE 'Binlog Dump%'"


_WAYS = """
SELECT g.User AS name, JSON_VALUE(g.Priv, '$.plugin') AS plugin, JSON_EXTRACT(g.Priv, '$.auth_or[*].plugin') AS others
FROM mysql.global_priv g WHERE g.Host <> '' AND g.User IN ({names})
"""
_UNMAPPED = {"", "mysql_native_password", "mysql_old_password", "ed25519", "unix_socket"}


class MysqlSession:
    """A connection, and what the server said of itself when it was made."""

    def __init__(self, call: Callable[..., Awaitable[Any]], driver: Connection[DictCursor] | None, ends: float) -> None:
        """Over the driver's connection, in its thread."""
        assert driver is not None  # noqa: S101  # it is connected
        self._call, self._driver, self._ends = call, driver, ends
        self.greeting = str(driver.get_server_info())  # type: ignore[no-untyped-call]  # the driver's stubs
        self.greeted_as = driver.thread_id()  # type: ignore[no-untyped-call]  # the same
        self.me = self.target = self.server = self.series = ""
        self.facts: Mapping[str, str] = {}
        self.fence = 0.0
        self.rights: frozenset[str] = frozenset()
        """What the bot may do on everything."""

    def meet(self, config: MysqlConfig, who: Mapping[str, Any], fence: float) -> None:
        """Take what the server says of itself."""
        self.facts = json.loads(who["facts"])
        name, _, host = str(who["me"]).rpartition("@")
        self.me, self.fence = statements.account(name, host), fence
        self.name, self.host = name, host
        self.rights = frozenset(str(who["rights"] or "").split(","))
        self.server = str(self.facts.get("server_uid") or "")
        self.target = config.id or self.server
        self.series = ".".join(str(self.facts.get("version", "")).split(".")[:2])

    @property
    def remaining(self) -> float:
        """Seconds until the connection is cut off."""
        return self._ends - asyncio.get_running_loop().time()

    async def rows(self, query: str) -> list[dict[str, Any]]:
        """Read."""
        return list(await self._call(lambda: self._run(query)))

    async def do(self, statement: str) -> None:
        """One statement, for what takes away: it may be late, but never too late."""
        await self._call(lambda: self._run(statement))

    async def change(self, *changes: str) -> None:
        """All of it in one message, each after the other; none when the server comes to it late."""
        await self.do(statements.in_time(self.fence, *changes))

    def _run(self, query: str) -> Sequence[dict[str, Any]]:
        with self._driver.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    async def named(self, name: str, mark: int = 0) -> NamedAccounts:
        """Every account of a name, and one that bears the mark under another name."""
        return read(await self.rows(queries.named(name, mark)), name)

    async def marked(self, pattern: str, least_mark: int) -> list[MysqlAccount]:
        """Every account whose name fits the pattern, or that bears some order's mark."""
        names = await self.rows(
            "SELECT DISTINCT g.User AS name FROM mysql.global_priv g WHERE g.Host <> ''"  # noqa: S608  # quoted
            f" AND (g.User REGEXP {literal(pattern)}"
            f" OR CAST(JSON_VALUE(g.Priv, '$.max_questions') AS UNSIGNED) >= {least_mark:d}) ORDER BY 1"
        )
        found = [await self.named(row["name"]) for row in names]
        return [account for each in found for account in each.accounts]

    async def members(self, roles: Sequence[str]) -> list[tuple[str, str, str]]:
        """Each (role, account, host) of these roles, whoever gave it."""
        rows = await self.rows(
            "SELECT m.Role AS role, m.User AS name, m.Host AS host FROM mysql.roles_mapping m"  # noqa: S608  # quoted
            f" WHERE m.Role IN ({statements.literals(roles)}) AND m.Host <> '' ORDER BY 1, 2, 3"
        )
        return [(row["role"], row["name"], row["host"]) for row in rows]

    async def sessions(self, name: str) -> set[int]:
        """The sessions of a name."""
        return {int(row["id"]) for row in await self.rows(_SESSIONS.format(name=literal(name)))}

    async def end_sessions(self, name: str, *, so_far: bool = False) -> set[int]:
        """End the sessions of a name, and wait until they are gone; which there were.

        ``so_far``: those that are in now. Later ones have only what the account has now, and may come for ever.
        Without the right to see them, the list is empty; without that to end them, KILL may say yes all the same.
        """
        seen: set[int] = set()
        first: set[int] | None = None
        while ids := await self.sessions(name):
            first = ids if first is None else first & ids
            if so_far and not first:
                break
            if self.remaining < 0:
                raise Unsure(f"{len(ids)} sessions of {name} do not end")
            self._may("CONNECTION ADMIN", f"{len(ids)} sessions of {name} cannot be ended")
            await self.do(statements.kill(name))
            seen |= ids
            await asyncio.sleep(_POLL)
        if "PROCESS" not in self.rights:
            await self.do(statements.kill(name))
        self._may("PROCESS", f"whether sessions of {name} are left cannot be seen")
        return seen

    def _may(self, right: str, lacking: str) -> None:
        if not self.rights & {right, "SUPER"}:
            raise Refused(f"{lacking}: GRANT {right} ON *.* TO {self.me}")

    async def mapped(self, account: MysqlAccount) -> set[str]:
        """Who may act as the account by a way to sign in that can map one to another. A password of its own cannot."""
        if not account.proxies:
            return set()
        rows = await self.rows(
            _WAYS.format(names=statements.literals([each.rpartition("@")[0] for each in account.proxies]))
        )
        return {row["name"] for row in rows if {row["plugin"] or "", *json.loads(row["others"] or "[]")} - _UNMAPPED}

    async def replicas(self) -> int:
        """How many replicas are fed by this server now."""
        rows = await self.rows(_REPLICAS)
        return int(rows[0]["n"])

    async def prepared(self) -> list[str]:
        """Transactions that were prepared and not ended, as XA ROLLBACK takes them; whose they are nothing says."""
        return [str(row["data"]) for row in await self.rows("XA RECOVER FORMAT='SQL'")]
