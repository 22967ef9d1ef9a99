"""What a MariaDB system's config and a role's ``grants`` may say. It connects to nothing and needs no driver."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import unquote, urlsplit

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from providers.systems.base import Frozen

Privilege = Literal[
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "CREATE",
    "DROP",
    "REFERENCES",
    "INDEX",
    "ALTER",
    "CREATE TEMPORARY TABLES",
    "LOCK TABLES",
    "EXECUTE",
    "CREATE VIEW",
    "SHOW VIEW",
    "CREATE ROUTINE",
    "ALTER ROUTINE",
    "EVENT",
    "TRIGGER",
    "DELETE HISTORY",
]
"""What may be granted on a database; ``GRANT OPTION`` is not among them."""
SYSTEM_DATABASES = ("mysql", "sys", "performance_schema", "information_schema")
"""Nothing is granted there: the accounts and their privileges are rows of ``mysql``."""
MAKING = frozenset({"CREATE VIEW", "CREATE ROUTINE", "EVENT", "TRIGGER"})
"""Privileges by which somebody makes what has a definer."""
_READS = {"SELECT", "SHOW VIEW"}
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
_DATABASE = re.compile(r"[^\x00-\x1f\x7f/\\]{1,64}")


class MysqlConfig(Frozen):
    """How to reach the server, and who is who on it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: SecretStr
    """``mysql://jit_bot:password@host:3306``: the bot's own account, on the server itself and not a proxy; or
    ``mysql://jit_bot:password@localhost/?socket=/path``."""
    tls: bool = True
    """Under TLS the server's certificate and the name in it are verified. ``off`` is for this machine alone."""
    ca: Path | None = None
    """Who vouches for the server's certificate; by default whom the machine trusts."""
    address: str = Field(default="", pattern=r"^([A-Za-z0-9.-]{1,200}(:[0-9]{1,5})?)?$")
    """The ``host:port`` that people are told to connect to; by default the url's."""
    id: str = Field(default="", pattern=r"^[A-Za-z0-9_.:-]{0,64}$")
    """What the server is called for good. Without it the server's ``server_uid`` is taken, which follows from its
    port and its network card: name it where those change, as in a container, or where a replica may take its place."""
    version: str = Field(default="10.11", pattern=r"^[0-9]{2}\.[0-9]{1,2}$")
    """The server's series. Only 10.11 is tested; with another one this has to be changed, so that somebody knows."""
    host: str = Field(default="%", pattern=r"^[A-Za-z0-9_.:%/-]{1,60}$")
    """From where accounts may connect: the part after the @ of each account that is made or looked for."""
    login_from: Literal["table", "email", "email-local-part"] = "table"
    """How an existing account is found: in ``logins``, named like the e-mail address, or like what is before the @."""
    logins: Mapping[str, str] = Field(default_factory=dict)
    """E-mail address → account."""
    email_domain: str = Field(default="", pattern=r"^[a-z0-9.-]*$")
    """The one domain whose local parts are accounts: another's sam is another Sam."""
    watch: tuple[str, ...] = ()
    """Roles whose members are reported as standing; list those that are granted to existing accounts."""
    timeout: float = Field(default=5.0, gt=0, le=60)
    """Seconds for a connection, and for each statement."""
    most_sessions: int = Field(default=20, ge=1, le=1000)
    """How many sessions a temporary account may have at once."""

    @field_validator("url")
    @classmethod
    def _readable(cls, url: SecretStr) -> SecretStr:
        """Its own complaint could quote a password."""
        try:
            parts = urlsplit(url.get_secret_value())
            known = parts.scheme in {"mysql", "mariadb"} and bool(parts.hostname and parts.username and parts.password)
            known = known and parts.path in {"", "/"} and re.fullmatch(r"(socket=/[^&=]+)?", parts.query) is not None
            known = known and (parts.port or 1) > 0 and not parts.fragment
        except ValueError:
            known = False
        if not known:
            raise ValueError("write mysql://USER:PASSWORD@HOST:PORT, with special characters quoted, and nothing else")
        return url

    @field_validator("logins")
    @classmethod
    def _one_each(cls, logins: Mapping[str, str]) -> Mapping[str, str]:
        if odd := next((email for email in logins if not email.isascii()), ""):
            raise ValueError(f"{odd!r} is not ASCII: an address that looks like another is another person's")
        folded = {email.lower(): login for email, login in logins.items()}
        if len(folded) != len(logins):
            raise ValueError("an e-mail address is listed more than once, in different spellings")
        return folded

    @model_validator(mode="after")
    def _encrypted(self) -> MysqlConfig:
        if not self.tls and not self.place.local:
            raise ValueError("`tls: off` is for a server on this machine")
        if self.login_from == "email-local-part" and not self.email_domain:
            raise ValueError("login_from: email-local-part needs an email_domain")
        return self

    @property
    def place(self) -> Place:
        """Where the server is, and as whom the bot comes."""
        parts = urlsplit(self.url.get_secret_value())
        return Place(
            host=parts.hostname or "",
            port=parts.port or 3306,
            socket=unquote(parts.query.partition("socket=")[2]),
            user=unquote(parts.username or ""),
            password=SecretStr(unquote(parts.password or "")),
        )


class Place(Frozen):
    """A url of the config, read."""

    host: str
    port: int
    socket: str
    user: str
    password: SecretStr

    @property
    def local(self) -> bool:
        """Whether it is this machine, by a name that nobody else can answer to."""
        if self.socket or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class MysqlParams(Frozen):
    """What a role's ``grants`` may say: these roles, or these privileges on one database, or both."""

    member_of: tuple[str, ...] = Field(default=(), max_length=20)
    """Roles. The first is active from the start; for another one its holder types ``SET ROLE``."""
    database: str = ""
    """The database that the privileges are on, and that its holder is told to connect to."""
    privileges: tuple[Privilege, ...] = Field(default=(), max_length=len(get_args(Privilege)))
    """What a temporary account may do in that database, besides what its roles allow."""
    login: Literal["own", "existing"] = "own"
    """``own``: a temporary account. ``existing``: the account that the person has, found as the config says."""

    @field_validator("database")
    @classmethod
    def _a_database(cls, name: str) -> str:
        if name and (not _DATABASE.fullmatch(name) or name != name.strip()):
            raise ValueError(f"{name!r} is no database's name: 1 to 64 characters, none of them / or \\")
        if name.casefold() in SYSTEM_DATABASES:
            raise ValueError(f"{name} is the server's own database: nothing is granted there")
        return name

    @field_validator("member_of")
    @classmethod
    def _grantable(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not _NAME.fullmatch(name) or name != name.strip():
                raise ValueError(f"{name!r} is no role's name: 1 to 128 characters, no control characters")
            if name.startswith("jit_"):
                raise ValueError(f"{name} has the name of a temporary account")
            if name.upper() in {"NONE", "PUBLIC", "CURRENT_ROLE", "CURRENT_USER"}:
                raise ValueError(f"{name} is no role that can be granted")
        if len(set(names)) != len(names):
            raise ValueError("a role is listed twice")
        return names

    @model_validator(mode="after")
    def _something(self) -> MysqlParams:
        if not self.member_of and not self.privileges:
            raise ValueError("`member_of` or `privileges` has to name something")
        if self.privileges and not self.database:
            raise ValueError("`privileges` are on a `database`: name it")
        if self.privileges and self.login == "existing":
            raise ValueError("`privileges` are for a temporary account: an existing one is given a role")
        if len(set(self.privileges)) != len(self.privileges):
            raise ValueError("a privilege is listed twice")
        return self

    @property
    def reads_only(self) -> bool:
        """Whether it is known that nothing can be changed: what a role allows is only known on the server."""
        return not self.member_of and set(self.privileges) <= _READS
