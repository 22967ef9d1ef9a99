"""Hands over what a temporary login owns, takes away what was granted to it, and says what stands in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors, sql

from providers.systems.base import ProviderError, Refused
from providers.systems.postgresql.connection import talk
from providers.systems.postgresql.params import PostgresConfig
from providers.systems.postgresql.rights import be_able_to_give
from providers.systems.postgresql.session import RoleFacts, Session
from providers.systems.postgresql.statements import become

if TYPE_CHECKING:
    from providers.systems.postgresql.revoke_steps import Steps

_MANY = 500
"""From so many objects on, they are handed over some at a time: one transaction would run out of time or of locks."""
_AT_ONCE = 100
_LONGEST_HAND_OVER = 300_000
"""Milliseconds that the server may go on with one statement here, also when the bot is not there any more."""

_UNSAFE_TRIGGERS = """
SELECT e.evtname::pg_catalog.text AS name, o.rolname::pg_catalog.text AS owner
FROM pg_catalog.pg_event_trigger e JOIN pg_catalog.pg_proc p ON p.oid = e.evtfoid
JOIN pg_catalog.pg_roles o ON o.oid = p.proowner
WHERE e.evtenabled <> 'D' AND NOT o.rolsuper AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e'
    AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass)
LIMIT 1
"""
_RELATIONS = """
SELECT n.nspname::pg_catalog.text AS schema, c.relname::pg_catalog.text AS name
FROM pg_catalog.pg_shdepend s
JOIN pg_catalog.pg_database b ON b.oid = s.dbid AND b.datname = pg_catalog.current_database()
JOIN pg_catalog.pg_class c ON c.oid = s.objid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE s.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND s.deptype = 'o'
  AND s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND s.refobjid = %s::pg_catalog.oid
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND pg_catalog.has_schema_privilege(%s::pg_catalog.text, n.oid, 'CREATE')
ORDER BY c.oid LIMIT %s
"""
_HANGS = """
SELECT s.deptype::pg_catalog.text AS how, i.type, i.schema, i.identity,
       pg_catalog.pg_describe_object(s.classid, s.objid, s.objsubid) AS told,
       i.schema IS NOT NULL AND s.classid NOT IN ('pg_catalog.pg_class'::pg_catalog.regclass,
           'pg_catalog.pg_type'::pg_catalog.regclass)
       AND NOT pg_catalog.has_schema_privilege(%s::pg_catalog.text, n.oid, 'CREATE') AS needs_schema,
       coalesce(a.grantor, '') AS grantor
FROM pg_catalog.pg_shdepend s
LEFT JOIN pg_catalog.pg_database b ON b.oid = s.dbid
CROSS JOIN LATERAL pg_catalog.pg_identify_object(s.classid, s.objid, s.objsubid) i
LEFT JOIN pg_catalog.pg_namespace n ON n.nspname::pg_catalog.text = i.schema
LEFT JOIN LATERAL (
    SELECT u.rolname::pg_catalog.text AS grantor FROM (
        SELECT c.relacl AS acl FROM pg_catalog.pg_class c
        WHERE s.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = s.objid
        UNION ALL SELECT p.proacl FROM pg_catalog.pg_proc p
        WHERE s.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = s.objid
        UNION ALL SELECT e.nspacl FROM pg_catalog.pg_namespace e
        WHERE s.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND e.oid = s.objid
        UNION ALL SELECT d.datacl FROM pg_catalog.pg_database d
        WHERE s.classid = 'pg_catalog.pg_database'::pg_catalog.regclass AND d.oid = s.objid) acls
    CROSS JOIN LATERAL pg_catalog.aclexplode(acls.acl) x JOIN pg_catalog.pg_roles u ON u.oid = x.grantor
    WHERE s.deptype = 'a' AND x.grantee = s.refobjid LIMIT 1) a ON true
WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND s.refobjid = %s::pg_catalog.oid
  AND (s.dbid = 0 OR b.datname = pg_catalog.current_database())
  AND s.classid <> 'pg_catalog.pg_auth_members'::pg_catalog.regclass
ORDER BY s.deptype <> 'o', needs_schema DESC NULLS LAST, s.objid LIMIT 1000
"""


@dataclass
class Leftovers:
    """What hangs on a login that is shut, in every database."""

    config: PostgresConfig
    session: Session
    role: RoleFacts

    async def hand_over(self, steps: Steps) -> list[str]:
        """Database by database: what the role owns goes to ``objects_to``, its privileges go away. What was kept."""
        kept: list[str] = []
        found: list[tuple[str, int]] = []
        with steps.step():
            found = await self.session.left_behind(self.role)
        for dbname, owned in found:
            with steps.step():
                within = max(1.0, self.session.remaining / self.config.timeout)
                async with talk(self.config, "revoke", within=within, dbname=dbname) as there:
                    await self._in_one(there, owned)
                if owned:
                    kept.append(f"{owned} objects in {dbname} belong to {self.config.objects_to} now")
        return kept

    async def _in_one(self, there: Session, owned: int) -> None:
        if unsafe := await there.rows(_UNSAFE_TRIGGERS):
            # What the bot does here would run that function with the bot's rights.
            raise Refused(
                f"in database {there.dbname} the event trigger {unsafe[0].name} runs a function of {unsafe[0].owner},"
                " who is no superuser, so the bot changes nothing there"
            )
        if owned:
            await be_able_to_give(there, self.config.objects_to)
        await there.do(become(there, self.role.name))
        # The server goes on where the bot's own time is over, so that the next revoke finds it further.
        await there.rows("SELECT pg_catalog.set_config('statement_timeout', %s, false)", str(_LONGEST_HAND_OVER))
        try:
            if owned >= _MANY:
                await self._some_at_a_time(there)
            await there.do(*self._all(owned))
        except psycopg.Error as error:
            raise await self._worded(there, error) from error
        if left := await self._hangs(there):
            raise Refused(self._to_type(there, left))

    def _all(self, owned: int) -> list[sql.Composable]:
        old, new = sql.Identifier(self.role.name), sql.Identifier(self.config.objects_to)
        reassign = [sql.SQL("REASSIGN OWNED BY {} TO {}").format(old, new)] if owned else []
        # Where all was handed over, this only takes privileges away; it would rather fail than drop what others use.
        return [*reassign, sql.SQL("DROP OWNED BY {}").format(old)]

    async def _some_at_a_time(self, there: Session) -> None:
        """Relations, each hundred in a transaction of its own, where the new owner may have them one by one."""
        new = sql.Identifier(self.config.objects_to)
        while rows := await there.rows(_RELATIONS, self.role.oid, self.config.objects_to, _AT_ONCE):
            alter = sql.SQL("ALTER TABLE {} OWNER TO {}")
            await there.do(*(alter.format(sql.Identifier(row.schema, row.name), new) for row in rows))

    async def _hangs(self, there: Session) -> list[Any]:
        return await there.rows(_HANGS, self.config.objects_to, self.role.oid)

    async def _worded(self, there: Session, error: psycopg.Error) -> ProviderError:
        """What the server said, with the object it was about and what to type."""
        try:
            left = await self._hangs(there)
        except psycopg.Error:
            raise error from None
        if not left or (
            isinstance(error, (errors.LockNotAvailable, errors.OperationalError)) and error.sqlstate != "53200"
        ):
            raise error
        return Refused(self._to_type(there, left))

    def _to_type(self, there: Session, left: Sequence[Any]) -> str:
        role, new = sql.Identifier(self.role.name).as_string(), sql.Identifier(self.config.objects_to).as_string()
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        before = f"in database {there.dbname}, {left[0].told}{more}"
        owned = [each for each in left if each.how == "o"]
        if not owned:
            first = left[0]
            if first.grantor and first.type in {"table", "view", "schema", "function", "procedure", "database"}:
                kind = "TABLE" if first.type == "view" else first.type.upper()
                words = f"REVOKE ALL ON {kind} {first.identity} FROM {role}"
                return f"{before}: privileges given by {first.grantor}, who types there: {words}"
            return f"{before}: privileges or settings of another hand; a superuser types there: DROP OWNED BY {role}"
        if schemas := list(dict.fromkeys(each.schema for each in owned if each.needs_schema)):
            names = ", ".join(sql.Identifier(schema).as_string() for schema in schemas[:3])
            return f"{before} cannot be handed over until there: GRANT CREATE ON SCHEMA {names} TO {new}"
        if any(each.type == "schema" for each in owned):
            db, me = sql.Identifier(there.dbname).as_string(), sql.Identifier(there.me).as_string()
            return f"{before} cannot be handed over until there: GRANT CREATE ON DATABASE {db} TO {me}"
        if len(owned) >= _MANY:
            names = ", ".join(sql.Identifier(s).as_string() for s in dict.fromkeys(e.schema for e in owned if e.schema))
            allow = f"GRANT CREATE ON SCHEMA {names} TO {new}"
            return f"{before} are too many for one step; they go some at a time once there: {allow}"
        return f"{before}: a superuser types there: REASSIGN OWNED BY {role} TO {new}; DROP OWNED BY {role}"
