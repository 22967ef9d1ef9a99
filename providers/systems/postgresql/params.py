"""What a PostgreSQL system's config and a role's ``grants`` may say. It connects to nothing and needs no driver."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from providers.systems.base import Frozen

NEVER_GRANTED = (
    "pg_execute_server_program",
    "pg_write_server_files",
    "pg_read_server_files",
    "pg_signal_backend",
    "pg_signal_autovacuum_worker",
    "pg_create_subscription",
    "pg_maintain",
    "pg_use_reserved_connections",
)
"""Built-in roles by which one could undo one's own end: by the server's files, or against the bot's sessions (by
signals, by locks on the catalog, or by taking the connections that are kept for it)."""
REVEALING = {
    "pg_read_all_data": "reads every table of the server, the password hashes of all logins (pg_authid) among them",
    "pg_monitor": "reads the settings of the server and the statements that everybody runs, with what is in them",
    "pg_read_all_settings": "reads the settings of the server, passwords of its replication among them",
    "pg_read_all_stats": "reads the statements that everybody runs, with what is in them",
    "pg_stat_scan_tables": "runs functions that read tables past their privileges",
}
"""Built-in roles that read secrets of the server itself or of others, and what they read."""
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,63}")


class PostgresConfig(Frozen):
    """How to reach the server, and who is who on it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    dsn: SecretStr
    """The bot's own login, to the server itself and not to a pooler: a pooler drops the timeouts."""
    address: str = Field(default="", pattern=r"^([A-Za-z0-9.-]{1,200}(:[0-9]{1,5})?)?$")
    """The ``host:port`` that people are told to connect to; by default the dsn's."""
    objects_to: str = "jit_leftovers"
    """Who owns what a temporary login left behind. The default is made when first needed, can do nothing and
    cannot log in: functions that run as their owner must not gain rights by being handed over."""
    login_from: Literal["table", "email", "email-local-part"] = "table"
    """How an existing login is found: in ``logins``, named like the e-mail address, or like what is before the @."""
    logins: Mapping[str, str] = Field(default_factory=dict)
    """E-mail address → login."""
    email_domain: str = Field(default="", pattern=r"^[a-z0-9.-]*$")
    """The one domain whose local parts are logins: another's sam is another Sam."""
    watch: tuple[str, ...] = ()
    """Roles whose members are reported as standing; list those that are granted to existing logins."""
    timeout: float = Field(default=5.0, gt=0, le=60)
    """Seconds for a connection, and for each statement."""
    most_sessions: int = Field(default=20, ge=1, le=1000)
    """How many sessions a temporary login may have at once: it must not take the last connection from the bot."""
    grace: float = Field(default=300.0, ge=0)
    """How long after the end a login becomes invalid by itself: the second lock."""

    @field_validator("logins")
    @classmethod
    def _one_each(cls, logins: Mapping[str, str]) -> Mapping[str, str]:
        if odd := next((email for email in logins if not email.isascii()), ""):
            raise ValueError(f"{odd!r} is not ASCII: an address that looks like another is another person's")
        folded = {email.lower(): login for email, login in logins.items()}
        if len(folded) != len(logins):
            raise ValueError("an e-mail address is listed more than once, in different spellings")
        return folded

    @field_validator("objects_to")
    @classmethod
    def _a_name(cls, name: str) -> str:
        return _named(name)

    @model_validator(mode="after")
    def _findable(self) -> PostgresConfig:
        if self.login_from == "email-local-part" and not self.email_domain:
            raise ValueError("login_from: email-local-part needs an email_domain")
        return self


class PostgresParams(Frozen):
    """What a role's ``grants`` may say: membership of these roles."""

    member_of: tuple[str, ...] = Field(min_length=1, max_length=20)
    database: str = ""
    """The database that its holder is told to connect to; what they may do there and elsewhere is the roles' to say."""
    login: Literal["own", "existing"] = "own"
    """``own``: a temporary login. ``existing``: the login that the person has, found as the config says."""

    @field_validator("database")
    @classmethod
    def _a_database(cls, name: str) -> str:
        if name and (not _NAME.fullmatch(name) or len(name.encode()) > 63):
            raise ValueError(f"{name!r} is no database's name: 1 to 63 bytes, no control characters")
        return name

    @field_validator("member_of")
    @classmethod
    def _grantable(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if _named(name) in NEVER_GRANTED:
                raise ValueError(f"{name} is never granted: who has it can undo the end of the access")
            if name.startswith("jit_"):
                raise ValueError(f"{name} has the name of a temporary login")
        if len(set(names)) != len(names):
            raise ValueError("a role is listed twice")
        return names


def _named(name: str) -> str:
    if not _NAME.fullmatch(name) or len(name.encode()) > 63:
        raise ValueError(f"{name!r} is no role's name: 1 to 63 bytes, no control characters")
    return name
