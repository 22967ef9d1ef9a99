"""The statements that change a PostgreSQL; nothing here opens a connection or decides."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from psycopg import sql

from providers.systems.postgresql.session import GRANTOR_SCOPED, Session


def _until(seconds: int) -> sql.Literal:
    return sql.Literal(datetime.fromtimestamp(seconds, UTC).isoformat())


def create(
    name: str, mark: str, member_of: Sequence[str], valid_until: int, most_sessions: int
) -> list[sql.Composable]:
    """A login with no password, its mark and its memberships."""
    login = sql.Identifier(name)
    return [
        sql.SQL("CREATE ROLE {} LOGIN INHERIT CONNECTION LIMIT {} VALID UNTIL {}").format(
            login, sql.Literal(most_sessions), _until(valid_until)
        ),
        sql.SQL("COMMENT ON ROLE {} IS {}").format(login, sql.Literal(mark)),
        *add(name, member_of),
    ]


def extend(name: str, valid_until: int) -> sql.Composable:
    """A later end."""
    return sql.SQL("ALTER ROLE {} VALID UNTIL {}").format(sql.Identifier(name), _until(valid_until))


def add(login: str, roles: Sequence[str]) -> list[sql.Composable]:
    """Memberships."""
    return [sql.SQL("GRANT {} TO {}").format(_names(roles), sql.Identifier(login))]


def remove(login: str, role: str) -> sql.Composable:
    """One membership, gone. One at a time: a refused one must not keep the others."""
    return sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(role), sql.Identifier(login))


def set_password(session: Session, name: str, password: str) -> sql.Composable:
    """A password of which only the SCRAM verifier is sent, so that no log of the server can hold it."""
    verifier = session.connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    return sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(name), sql.Literal(verifier.decode()))


def close_login(name: str) -> sql.Composable:
    """No new session, by no password."""
    return sql.SQL("ALTER ROLE {} NOLOGIN PASSWORD NULL").format(sql.Identifier(name))


def drop(name: str) -> sql.Composable:
    """The role, gone, with its memberships, whoever gave them."""
    return sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name))


def become(session: Session, name: str) -> sql.Composable:
    """The bot may act as the role, and hand over what is the role's."""
    how = " WITH INHERIT TRUE, SET TRUE" if session.version >= GRANTOR_SCOPED else ""
    return sql.SQL("GRANT {} TO CURRENT_USER" + how).format(sql.Identifier(name))


def to_allow(session: Session, roles: Sequence[str]) -> str:
    """What an administrator types so that the bot may grant these roles, and have none of their rights itself."""
    allow = sql.SQL("GRANT {} TO {} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
    return allow.format(_names(roles), sql.Identifier(session.me)).as_string()


def _names(roles: Sequence[str]) -> sql.Composable:
    return sql.SQL(", ").join([sql.Identifier(role) for role in roles])
