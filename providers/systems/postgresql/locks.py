"""Makes a change that the holder's sessions try to keep from happening, and names whoever else is in its way."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field

import psycopg
from psycopg import errors, sql

from providers.systems.base import ProviderError, Unsure
from providers.systems.postgresql.connection import talk
from providers.systems.postgresql.params import PostgresConfig
from providers.systems.postgresql.prepared import roll_back
from providers.systems.postgresql.session import RoleFacts, Session

_LONGEST_WAIT = 0.5
_POLL = 0.02
_BLOCKED = (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected)

_CUT = """
SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a
WHERE a.usesysid = ANY({}::pg_catalog.oid[]) AND a.pid <> pg_catalog.pg_backend_pid()
"""
_BLOCKERS = """
SELECT a.pid, a.usesysid::pg_catalog.int8 AS oid, coalesce(a.usename::pg_catalog.text, a.backend_type) AS name
FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids(%s)) AS b(pid) JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid
"""
_PREPARED = """
SELECT p.gid, p.owner::pg_catalog.text AS owner, p.database::pg_catalog.text AS dbname
FROM pg_catalog.pg_locks w
JOIN pg_catalog.pg_locks h ON h.granted AND h.pid IS NULL AND h.locktype = w.locktype
 AND ROW(h.database, h.relation, h.page, h.tuple, h.transactionid, h.classid, h.objid, h.objsubid)
     IS NOT DISTINCT FROM
     ROW(w.database, w.relation, w.page, w.tuple, w.transactionid, w.classid, w.objid, w.objsubid)
JOIN pg_catalog.pg_prepared_xacts p ON h.virtualtransaction = '-1/' || p.transaction::pg_catalog.text
WHERE w.pid = %s AND NOT w.granted
"""


@dataclass
class Contest:
    """One role's sessions against one session of the bot."""

    config: PostgresConfig
    session: Session
    role: RoleFacts
    own: bool
    """Whether the role is an order's own, so that the bot may act as it."""
    seen: set[int] = field(default_factory=set)
    """The sessions that were told to end."""

    async def win(self, statement: sql.Composable, until: float = 0.0) -> None:
        """Make the change, ending the role's sessions until it is made or only ``until`` seconds remain.

        The sessions are ended and the change asked for in one message: it stands in line for a lock while whoever
        has the lock is ended, and a session that comes anew would have to log in before it gets there. Raises
        `Unsure` with what to type, where others hold the lock.
        """
        others: list[str] = []
        with suppress(psycopg.Error):
            self.seen.update(await self.session.cut(self.role))
        async with AsyncExitStack() as stack:
            watcher: Session | None = None
            while True:
                try:
                    await self._attempt(statement, watcher, others)
                except errors.InsufficientPrivilege:
                    # Some session may not be ended by the bot: the change must not be hostage to that.
                    await self.session.do(statement)
                except _BLOCKED as error:
                    if self.session.remaining <= until:
                        raise Unsure(_sentence(others)) from error
                    if self.own:
                        await self._roll_back()
                    watcher = watcher or await self._watcher(stack)
                    continue
                return

    async def end_sessions(self) -> None:
        """End the role's sessions and its members', and wait: for all of them, or those so far if the login stays."""
        self.seen.update(await self.session.end_sessions(self.role, so_far=not self.own))

    async def _attempt(self, statement: sql.Composable, watcher: Session | None, others: list[str]) -> None:
        wait = int(min(_LONGEST_WAIT, self.config.timeout / 2) * 1000)
        words = (
            sql.SQL("SELECT pg_catalog.set_config('lock_timeout', {}, true)").format(sql.Literal(str(wait))),
            sql.SQL(_CUT).format(sql.Literal(self.role.actors)),
            statement,
        )
        if watcher is None:
            await self.session.do(*words)
            return
        change = asyncio.ensure_future(self.session.do(*words))
        try:
            while not (await asyncio.wait({change}, timeout=_POLL))[0]:
                if found := await self._others(watcher):
                    others[:] = found
        finally:
            if not change.done():
                change.cancel()
        await change

    async def _watcher(self, stack: AsyncExitStack) -> Session | None:
        """A second connection, to see who holds what the first one waits for; it does without where it gets none."""
        within = max(1.0, self.session.remaining / self.config.timeout)
        try:
            return await stack.enter_async_context(talk(self.config, "revoke", within=within))
        except ProviderError:
            return None

    async def _others(self, watcher: Session) -> list[str]:
        """Whoever is in the way and is none of the role's, with what to type."""
        try:
            blockers = await watcher.rows(_BLOCKERS, self.session.pid)
            prepared = await watcher.rows(_PREPARED, self.session.pid)
        except psycopg.Error:
            return []  # only a name is lost
        found = [
            f"session {row.pid} of {row.name} (SELECT pg_terminate_backend({row.pid}))"
            for row in blockers
            if row.oid not in self.role.actors
        ]
        for row in prepared:
            how = sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(row.gid)).as_string()
            found.append(f"a prepared transaction of {row.owner} (in database {row.dbname}: {how})")
        return found

    async def _roll_back(self) -> None:
        try:
            await roll_back(self.config, self.session, self.role)
        except ProviderError:
            return  # it is told by whoever looks for what is prepared at the end


def _sentence(others: list[str]) -> str:
    if not others:
        return "the role is locked by sessions that come faster than they are ended; it is tried again"
    return f"the role is locked by {others[0]}{f' and {len(others) - 1} more' if len(others) > 1 else ''}"
