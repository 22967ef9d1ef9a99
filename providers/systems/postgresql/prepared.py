"""Transactions that a login prepared: they outlive its sessions, hold locks, and could be committed after the end."""

from __future__ import annotations

from contextlib import suppress

from psycopg import errors, sql

from providers.systems.postgresql.connection import talk
from providers.systems.postgresql.params import PostgresConfig
from providers.systems.postgresql.session import RoleFacts, Session
from providers.systems.postgresql.statements import become

_MOST_NAMED = 3


async def roll_back(config: PostgresConfig, session: Session, role: RoleFacts) -> None:
    """Roll back what an order's own login has prepared, as that login: nobody else may but a superuser."""
    found = await session.prepared_by(role.name)
    if not found:
        return
    await session.do(become(session, role.name))
    for dbname in dict.fromkeys(dbname for dbname, _ in found):
        async with talk(config, "revoke", dbname=dbname) as there:
            await there.do(sql.SQL("SET ROLE {}").format(sql.Identifier(role.name)))
            for gid in [gid for at, gid in found if at == dbname]:
                with suppress(errors.UndefinedObject):
                    await there.do(_rollback(gid))


def to_type(found: list[tuple[str, str]]) -> str:
    """What somebody types who may, for as many as a sentence holds; then how to list the rest."""
    said = [f"in database {dbname}: {_rollback(gid).as_string()}" for dbname, gid in found[:_MOST_NAMED]]
    if len(found) > _MOST_NAMED:
        said.append(f"and {len(found) - _MOST_NAMED} more, all of them in the view pg_prepared_xacts")
    return "; ".join(said)


def _rollback(gid: str) -> sql.Composed:
    return sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(gid))
