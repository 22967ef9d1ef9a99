"""What the bot must be able to do on a server, tried out, and what its owner of leftovers must not be."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from providers.systems.base import Refused
from providers.systems.postgresql.params import PostgresConfig, PostgresParams
from providers.systems.postgresql.session import OLDEST, Session
from providers.systems.postgresql.statements import become

_SELF_GRANT_GONE = 150000
_BOT = """
SELECT r.rolsuper AS superuser, r.rolcreaterole AS creates, r.rolinherit AS inherits,
       pg_catalog.pg_has_role(current_user, 'pg_signal_backend', 'USAGE') AS signals,
       pg_catalog.pg_is_in_recovery() AS standby, pg_catalog.current_setting('server_version') AS told,
       pg_catalog.current_setting('max_prepared_transactions')::pg_catalog.int4 AS prepared,
       pg_catalog.current_setting('search_path') AS path
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
"""
_MAKERS = """
SELECT r.rolname::pg_catalog.text AS name, CASE WHEN n.nspowner = r.oid THEN 'owns' ELSE 'may create in' END AS how,
       pg_catalog.string_agg(n.nspname::pg_catalog.text, ', ' ORDER BY n.nspname) AS places
FROM pg_catalog.pg_roles r JOIN pg_catalog.pg_namespace n
  ON pg_catalog.has_schema_privilege(r.oid, n.oid, 'CREATE') AND n.nspname !~ '^pg_'
WHERE r.rolname = ANY(%s::pg_catalog.text[]) GROUP BY 1, 2 ORDER BY 1, 2
"""
_CONNECT = """
SELECT EXISTS (
         SELECT FROM pg_catalog.pg_roles r
         WHERE r.rolname = ANY(%s::pg_catalog.text[])
           AND pg_catalog.has_database_privilege(r.oid, d.oid, 'CONNECT')
       ) AS may
FROM pg_catalog.pg_database d WHERE d.datname = %s::pg_catalog.text AND d.datallowconn
"""
_BLIND = """
SELECT d.datname::pg_catalog.text AS name FROM pg_catalog.pg_database d
WHERE d.datallowconn AND NOT pg_catalog.has_database_privilege(current_user, d.oid, 'CONNECT') ORDER BY 1
"""


async def rights(session: Session, config: PostgresConfig) -> str:
    """One line on the server and the bot, or `Refused` with what to grant."""
    bot = (await session.rows(_BOT))[0]
    if session.version < OLDEST:
        raise Refused(f"PostgreSQL {bot.told} is too old: 14 or later is needed")
    if bot.standby:
        raise Refused("this server is a standby: point the dsn at the primary")
    me = sql.Identifier(session.me).as_string()
    needs = []
    if not (bot.superuser or bot.creates):
        needs.append(f"ALTER ROLE {me} CREATEROLE")
    if not bot.inherits:
        needs.append(f"ALTER ROLE {me} INHERIT")
    if not bot.signals:
        needs.append(f"GRANT pg_signal_backend TO {me}")
    if needs:
        raise Refused(f"the bot's role {session.me} lacks rights: {'; '.join(needs)}")
    await weak(session, config.objects_to)
    notes = [f"PostgreSQL {bot.told}, as {session.me}, which resolves names in {bot.path} alone"]
    if bot.superuser:
        notes.append("WARNING: a superuser, which is more than it needs")
    if bot.prepared:
        notes.append("existing logins can keep prepared transactions, which only they and superusers end")
    if session.version < _SELF_GRANT_GONE:
        notes.append(
            "before 15 a login can make others members of itself and take that back: a session that became it in"
            " between goes on after the end"
        )
    if blind := [row.name for row in await session.rows(_BLIND)]:
        notes.append(
            f"what is made in {', '.join(blind[:5])} can be neither handed over nor compared: no CONNECT there"
        )
    return "; ".join(notes)


async def reachable(session: Session, wanted: PostgresParams) -> None:
    """The database is there, and members of the roles may connect to it. Raises `Refused`."""
    if not wanted.database:
        return
    there = await session.rows(_CONNECT, list(wanted.member_of), wanted.database)
    if not there:
        raise Refused(f"there is no database {wanted.database} on this server that takes connections")
    if not there[0].may:
        grant = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
            sql.Identifier(wanted.database), sql.Identifier(wanted.member_of[0])
        )
        raise Refused(f"none of {', '.join(wanted.member_of)} may connect to {wanted.database}: {grant.as_string()}")


async def makers(session: Session, names: Sequence[str]) -> list[str]:
    """What members of these roles could leave behind in this database."""
    rows = await session.rows(_MAKERS, list(names))
    return [
        f"members of {row.name} can leave objects behind in {session.dbname}: it {row.how} {row.places}" for row in rows
    ]


async def be_able_to_give(session: Session, owner: str) -> None:
    """Only members of a role can give it objects. Made here, it can do nothing and has no other member."""
    name = sql.Identifier(owner)
    if not await weak(session, owner):
        await session.do(sql.SQL("CREATE ROLE {} NOLOGIN NOINHERIT").format(name))
    # Who makes a role from 16 on is a member that may pass it on, but has none of its rights.
    rows = await session.rows("SELECT pg_catalog.pg_has_role(current_user, %s::pg_catalog.name, 'USAGE') AS has", owner)
    if not rows[0].has:
        await session.do(become(session, owner))


async def weak(session: Session, owner: str) -> bool:
    """Whether the owner of what is left behind exists; it must gain nobody anything by owning it."""
    role = await session.role(owner)
    if role is not None and (role.strong or role.name == session.me):
        raise Refused(
            f"objects_to: {owner} is too strong: functions that run as their owner would gain its rights;"
            " use a role that can do nothing"
        )
    return role is not None
