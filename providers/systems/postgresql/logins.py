"""Logins that people had before: whose is which, and to which of them no membership is added."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.systems.base import Refused
from providers.systems.postgresql.names import MARK
from providers.systems.postgresql.params import PostgresConfig

if TYPE_CHECKING:
    from providers.systems.postgresql.session import RoleFacts, Session


async def existing(session: Session, name: str) -> RoleFacts:
    """An existing login that memberships may be added to. Raises `Refused`."""
    role = await session.role(name)
    if role is None or not role.can_login:
        raise Refused(f"there is no PostgreSQL login {name}")
    if role.superuser or role.name == session.me or (role.mark or "").startswith(MARK):
        raise Refused(f"{name} is a superuser, the bot or a temporary login: nothing is added to those")
    return role


async def alone(config: PostgresConfig, session: Session, role: RoleFacts) -> None:
    """Refuse a login that others act as, or that has work lying about which could be finished after the end."""
    if role.members:
        who = ", ".join(role.members[:5])
        raise Refused(f"{who} can act as {role.name} and would gain what it gains: REVOKE {role.name} FROM {who}")
    if prepared := await session.prepared_by(role.name):
        raise Refused(f"{role.name} has {len(prepared)} prepared transactions: it has to end them first")
    places, reserved = await session.places()
    if not reserved and not 0 <= role.most_sessions < places:
        # Who takes every connection keeps the bot out, and with it the end of the access.
        raise Refused(
            f"{role.name} could take all {places} connections, so that its access could not be ended:"
            f" ALTER ROLE {role.name} CONNECTION LIMIT {config.most_sessions}"
        )
