"""What the bot reads of a PostgreSQL and how it changes it, over one connection; it decides nothing about orders.

Identifiers and literals go in only through ``psycopg.sql``. Each name is qualified: a name that is not could become
another's function. Operators cannot well be written so; they are found by ``search_path``, which `connection` sets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row

from providers.systems.base import Unsure
from providers.systems.postgresql.params import NEVER_GRANTED

OLDEST, GRANTOR_SCOPED = 140000, 160000
LATE = "JIT01"
"""The SQLSTATE of a change that the server came to too late."""
_POLL = 0.02

_ME = "(SELECT me.oid FROM pg_catalog.pg_roles me WHERE me.rolname = current_user)"
_ROLE = """
SELECT r.oid::pg_catalog.int8 AS oid, r.rolname::pg_catalog.text AS name, r.rolcanlogin AS can_login,
       r.rolsuper AS superuser,
       r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls OR r.rolsuper AS strong,
       r.rolconnlimit AS most_sessions, EXTRACT(epoch FROM r.rolvaliduntil)::pg_catalog.float8 AS valid_until,
       (SELECT d.description FROM pg_catalog.pg_shdescription d
        WHERE d.objoid = r.oid AND d.classoid = 'pg_catalog.pg_authid'::pg_catalog.regclass) AS mark,
       ARRAY(SELECT DISTINCT g.rolname::pg_catalog.text FROM pg_catalog.pg_auth_members m
             JOIN pg_catalog.pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid ORDER BY 1) AS member_of,
       acting.names AS members, acting.oids AS acting
FROM pg_catalog.pg_roles r CROSS JOIN LATERAL (
    WITH RECURSIVE acts(oid) AS (
        SELECT m.member FROM pg_catalog.pg_auth_members m WHERE m.roleid = r.oid AND {acts}
        UNION SELECT m.member FROM pg_catalog.pg_auth_members m JOIN acts ON m.roleid = acts.oid WHERE {acts})
    SELECT coalesce(pg_catalog.array_agg(u.rolname::pg_catalog.text ORDER BY u.rolname), '{{}}') AS names,
           coalesce(pg_catalog.array_agg(u.oid::pg_catalog.int8), '{{}}') AS oids
    FROM acts JOIN pg_catalog.pg_roles u ON u.oid = acts.oid WHERE NOT u.rolsuper) acting
"""
_TOO_STRONG = """
WITH RECURSIVE reach(oid) AS (
    SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = ANY(%s::pg_catalog.text[])
    UNION SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN reach ON m.member = reach.oid)
SELECT r.rolname::pg_catalog.text AS name FROM reach JOIN pg_catalog.pg_roles r ON r.oid = reach.oid
WHERE r.rolsuper OR r.rolcreaterole OR r.rolreplication OR r.rolcanlogin OR r.rolname = ANY(%s::pg_catalog.text[])
   OR EXISTS (SELECT FROM pg_catalog.pg_auth_members a WHERE a.member = r.oid AND a.admin_option)
ORDER BY 1
"""
_LEFT = """
SELECT coalesce(d.datname, pg_catalog.current_database())::pg_catalog.text AS db,
       pg_catalog.count(*) FILTER (WHERE s.deptype = 'o') AS owned
FROM pg_catalog.pg_shdepend s LEFT JOIN pg_catalog.pg_database d ON d.oid = s.dbid
WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND s.refobjid = %s::pg_catalog.oid
  AND s.classid <> 'pg_catalog.pg_auth_members'::pg_catalog.regclass
GROUP BY 1 ORDER BY 1
"""
_MEMBERS = """
SELECT DISTINCT g.rolname::pg_catalog.text AS role, r.rolname::pg_catalog.text AS member
FROM pg_catalog.pg_auth_members m
JOIN pg_catalog.pg_roles g ON g.oid = m.roleid JOIN pg_catalog.pg_roles r ON r.oid = m.member
WHERE g.rolname = ANY(%s::pg_catalog.text[]) ORDER BY 1, 2
"""
_DATABASES = """
SELECT d.datname::pg_catalog.text AS name FROM pg_catalog.pg_database d
WHERE d.datallowconn AND pg_catalog.has_database_privilege(current_user, d.oid, 'CONNECT') ORDER BY 1 LIMIT 20
"""
_NOT_TO_GIVE = """
SELECT r.rolname::pg_catalog.text AS name FROM pg_catalog.pg_roles r WHERE r.rolname = ANY(%s::pg_catalog.text[])
  AND NOT pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER WITH ADMIN OPTION') ORDER BY 1
"""
_SESSIONS = """
SELECT a.pid FROM pg_catalog.pg_stat_activity a
WHERE a.usesysid = ANY(%s::pg_catalog.oid[]) AND a.pid <> pg_catalog.pg_backend_pid()
"""
_CUT = "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.unnest(%s::pg_catalog.int4[]) AS each(pid)"
_BEGAN = """
SELECT d.xmin::pg_catalog.text AS xid FROM pg_catalog.pg_shdescription d
WHERE d.objoid = %s::pg_catalog.oid AND d.classoid = 'pg_catalog.pg_authid'::pg_catalog.regclass
"""
_JOINED = """
SELECT m.xmin::pg_catalog.text AS xid
FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
WHERE m.member = %s::pg_catalog.oid AND g.rolname = ANY(%s::pg_catalog.text[])
ORDER BY pg_catalog.age(m.xmin) DESC LIMIT 1
"""
_PREPARED = """
SELECT p.gid, p.database::pg_catalog.text AS dbname FROM pg_catalog.pg_prepared_xacts p
WHERE p.owner = %s::pg_catalog.name ORDER BY p.prepared
"""
_SPARE = """
SELECT pg_catalog.current_setting('max_connections')::pg_catalog.int4
       - pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int4
       - coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::pg_catalog.int4 AS places,
       (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)
       OR (coalesce(pg_catalog.current_setting('reserved_connections', true), '0') <> '0' AND EXISTS (
           SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = 'pg_use_reserved_connections'
           AND pg_catalog.pg_has_role(current_user, r.oid, 'USAGE'))) AS reserved
"""


@dataclass(frozen=True)
class RoleFacts:
    """What the catalog says of one role."""

    oid: int
    name: str
    can_login: bool
    superuser: bool
    strong: bool
    most_sessions: int
    valid_until: float | None
    mark: str | None
    member_of: Sequence[str]
    members: Sequence[str]
    """Who can act as it, directly or through others; not the bot, and no superuser, who gains nothing by it."""
    acting: Sequence[int]
    """The same by their oids."""

    @property
    def actors(self) -> list[int]:
        """Whoever's sessions may be acting as the role: its own, and its members'."""
        return [self.oid, *self.acting]


@dataclass
class Session:
    """A connection, and what the server said of itself when it was made."""

    connection: psycopg.AsyncConnection[Any]
    target: str
    version: int
    me: str
    dbname: str
    pid: int
    fence: datetime
    ends: float

    @property
    def remaining(self) -> float:
        """Seconds until the connection is cut off."""
        return self.ends - asyncio.get_running_loop().time()

    async def rows(self, query: str, *values: object) -> list[Any]:
        """Read."""
        cursor = self.connection.cursor(row_factory=namedtuple_row)
        return await (await cursor.execute(query.encode(), values or None)).fetchall()

    async def change(self, *statements: sql.Composable) -> None:
        """All of it in one transaction and one message, or nothing; nothing when the server comes to it late."""
        late = sql.SQL(
            "DO $jit$BEGIN IF pg_catalog.clock_timestamp() > {}::pg_catalog.timestamptz THEN"
            " RAISE EXCEPTION USING ERRCODE = {}, MESSAGE = 'too late'; END IF; END$jit$"
        ).format(sql.Literal(self.fence.isoformat()), sql.Literal(LATE))
        await self.connection.execute(sql.SQL("; ").join((*statements, late)))

    async def do(self, *statements: sql.Composable) -> None:
        """The same with no fence, for what takes away: it may be late, but never too late."""
        await self.connection.execute(sql.SQL("; ").join(statements))

    async def role(self, name: str) -> RoleFacts | None:
        """One role, if it is there."""
        found = await self.rows(self._of_role() + "WHERE r.rolname = %s::pg_catalog.text", name)
        return RoleFacts(**found[0]._asdict()) if found else None

    async def marked(self, prefix: str, pattern: str) -> list[RoleFacts]:
        """Every role whose comment starts so, or whose name fits the pattern."""
        query = (  # nothing of it comes from outside
            f"SELECT * FROM ({self._of_role()}) found WHERE pg_catalog.starts_with(found.mark, %s::pg_catalog.text)"  # noqa: S608
            " OR found.name ~ %s::pg_catalog.text ORDER BY found.name"
        )
        return [RoleFacts(**row._asdict()) for row in await self.rows(query, prefix, pattern)]

    def _of_role(self) -> str:
        # A member that may only administer the role does not act as it; before 16 every member does.
        acts = f"m.member <> {_ME}"
        if self.version >= GRANTOR_SCOPED:
            acts += " AND (m.inherit_option OR m.set_option)"
        return _ROLE.format(acts=acts)

    async def members(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """Each (role, member) of these roles, and whoever gave it."""
        return [(row.role, row.member) for row in await self.rows(_MEMBERS, list(names))]

    async def too_strong(self, names: Sequence[str]) -> list[str]:
        """Which of these roles, or of those that they reach, could undo the end of the access."""
        return [row.name for row in await self.rows(_TOO_STRONG, list(names), list(NEVER_GRANTED))]

    async def not_to_give(self, names: Sequence[str]) -> list[str]:
        """Which of these roles the bot may not grant; before 16, CREATEROLE is enough for all."""
        if self.version < GRANTOR_SCOPED:
            return []
        return [row.name for row in await self.rows(_NOT_TO_GIVE, list(names))]

    async def databases(self) -> list[str]:
        """Those that the bot may connect to; the first twenty."""
        return [row.name for row in await self.rows(_DATABASES)]

    async def left_behind(self, role: RoleFacts) -> list[tuple[str, int]]:
        """Each database where something hangs on the role, and how many objects there it owns."""
        return [(row.db, row.owned) for row in await self.rows(_LEFT, role.oid)]

    async def places(self) -> tuple[int, bool]:
        """How many connections those who are no superusers share, and whether some are kept for the bot."""
        found = (await self.rows(_SPARE))[0]
        return found.places, found.reserved

    async def cut(self, role: RoleFacts) -> list[int]:
        """Tell the sessions of a role and its members to end; which there were."""
        pids = [row.pid for row in await self.rows(_SESSIONS, role.actors)]
        if pids:
            await self.rows(_CUT, pids)
        return pids

    async def end_sessions(self, role: RoleFacts, *, so_far: bool = False) -> set[int]:
        """End the sessions of a role and its members, and wait until they are gone; which there were.

        ``so_far``: those that are in now. Later ones have only what the role has now, and may come for ever. (When a
        session began is not for the bot to see.)
        """
        seen: set[int] = set()
        first: set[int] | None = None
        while pids := set(await self.cut(role)):
            first = pids if first is None else first & pids
            if so_far and not first:
                break
            if self.remaining < 0:
                raise Unsure(f"{len(pids)} sessions of {', '.join([role.name, *role.members])} do not end")
            seen |= pids
            await asyncio.sleep(_POLL)
        return seen

    async def end_orphans(self, oid: int) -> int:
        """End the sessions of a role that is there no more, by its oid; how many there were."""
        bare = RoleFacts(oid, f"the role with oid {oid}", False, False, False, 0, None, None, (), (), ())
        return len(await self.end_sessions(bare)) if oid else 0

    async def began(self, role: RoleFacts) -> str:
        """The transaction that made an order's own login, as its mark still says; empty where there is no mark."""
        rows = await self.rows(_BEGAN, role.oid)
        return str(rows[0].xid) if rows else ""

    async def joined(self, role: RoleFacts, names: Sequence[str]) -> str:
        """The first transaction that made the role a member of one of these; empty where it is a member of none."""
        rows = await self.rows(_JOINED, role.oid, list(names))
        return str(rows[0].xid) if rows else ""

    async def prepared_by(self, name: str) -> list[tuple[str, str]]:
        """Each (database, transaction id) of what a role has prepared."""
        return [(row.dbname, row.gid) for row in await self.rows(_PREPARED, name)]
