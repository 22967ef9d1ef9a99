"""The statements that change a PostgreSQL, and what the bot must be to make them; nothing here opens a connection."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from psycopg import sql

from providers.systems.base import Refused
from providers.systems.postgresql_params import PostgresConfig
from providers.systems.postgresql_session import GRANTOR_SCOPED, OLDEST, Role, Session

_BOT = """
SELECT r.rolsuper AS superuser, r.rolcreaterole AS creates, r.rolinherit AS inherits,
       pg_has_role(current_user, 'pg_signal_backend', 'USAGE') AS signals, pg_is_in_recovery() AS standby,
       current_setting('server_version') AS told
FROM pg_roles r WHERE r.rolname = current_user
"""


def _until(seconds: int) -> sql.Literal:
    return sql.Literal(datetime.fromtimestamp(seconds, UTC).isoformat())


def create(name: str, mark: str, member_of: Sequence[str], valid_until: int) -> list[sql.Composable]:
    """A login with no password, its mark and its memberships."""
    login = sql.Identifier(name)
    return [
        sql.SQL("CREATE ROLE {} LOGIN INHERIT VALID UNTIL {}").format(login, _until(valid_until)),
        sql.SQL("COMMENT ON ROLE {} IS {}").format(login, sql.Literal(mark)),
        *add(name, member_of),
    ]


def prolong(name: str, valid_until: int) -> sql.Composable:
    """A later end."""
    return sql.SQL("ALTER ROLE {} VALID UNTIL {}").format(sql.Identifier(name), _until(valid_until))


def add(login: str, roles: Sequence[str]) -> list[sql.Composable]:
    """Memberships."""
    return [sql.SQL("GRANT {} TO {}").format(_names(roles), sql.Identifier(login))]


def remove(login: str, roles: Sequence[str]) -> list[sql.Composable]:
    """Memberships, gone."""
    return [sql.SQL("REVOKE {} FROM {}").format(_names(roles), sql.Identifier(login))]


def set_password(session: Session, name: str, password: str) -> sql.Composable:
    """A password of which only the SCRAM verifier is sent, so that no log of the server can hold it."""
    verifier = session.connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    return sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(name), sql.Literal(verifier.decode()))


def close_login(role: Role) -> list[sql.Composable]:
    """No new session, by no password, and nothing to be had in those that are."""
    login = sql.Identifier(role.name)
    closed = [sql.SQL("ALTER ROLE {} NOLOGIN PASSWORD NULL").format(login)]
    return [*closed, *remove(role.name, role.member_of)] if role.member_of else [*closed]


def drop(role: Role) -> sql.Composable:
    """The role, gone."""
    return sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role.name))


def to_allow(session: Session, roles: Sequence[str]) -> str:
    """What an administrator types so that the bot may grant these roles, and have none of their rights itself."""
    allow = sql.SQL("GRANT {} TO {} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
    return allow.format(_names(roles), sql.Identifier(session.me)).as_string()


async def hand_over(session: Session, role: Role, owner: str) -> None:
    """In this database: what the role owns goes to ``owner`` (empty: it owns nothing), its grants go away."""
    old = sql.Identifier(role.name)
    if owner:
        await _be_able_to_give(session, owner)
    statements: list[sql.Composable] = [_become(session, old)]
    if owner:
        statements.append(sql.SQL("REASSIGN OWNED BY {} TO {}").format(old, sql.Identifier(owner)))
    # Where all was handed over, this only takes privileges away; it would rather fail than drop what others use.
    statements.append(sql.SQL("DROP OWNED BY {}").format(old))
    await session.do(*statements)


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
    await _weak(session, config.objects_to)
    warning = "; WARNING: a superuser, which is more than it needs" if bot.superuser else ""
    return f"PostgreSQL {bot.told}, as {session.me}{warning}"


async def _be_able_to_give(session: Session, owner: str) -> None:
    """Only members of a role can give it objects. Made here, it can do nothing and has no other member."""
    name = sql.Identifier(owner)
    if not await _weak(session, owner):
        await session.do(sql.SQL("CREATE ROLE {} NOLOGIN NOINHERIT").format(name))
    # Who makes a role from 16 on is a member that may pass it on, but has none of its rights.
    rows = await session.rows("SELECT pg_has_role(current_user, %s, 'USAGE') AS has", owner)
    if not rows[0].has:
        await session.do(_become(session, name))


async def _weak(session: Session, owner: str) -> bool:
    """Whether the owner of what is left behind exists; it must gain nobody anything by owning it."""
    role = await session.role(owner)
    if role is not None and (role.strong or role.name == session.me):
        raise Refused(
            f"objects_to: {owner} is too strong: functions that run as their owner would gain its rights;"
            " use a role that can do nothing"
        )
    return role is not None


def _become(session: Session, name: sql.Identifier) -> sql.Composable:
    how = " WITH INHERIT TRUE, SET TRUE" if session.version >= GRANTOR_SCOPED else ""
    return sql.SQL("GRANT {} TO CURRENT_USER" + how).format(name)


def _names(roles: Sequence[str]) -> sql.Composable:
    return sql.SQL(", ").join([sql.Identifier(role) for role in roles])
