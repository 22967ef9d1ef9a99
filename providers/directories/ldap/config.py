"""Where an LDAP server is, who the bot is there, and by which attribute people are known."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from providers.directories.base import PeopleOptions
from providers.directories.ldap.names import is_name
from providers.http_client import forbidden, loopback

_PORTS = {"ldap": 389, "ldaps": 636}
_NO_ADDRESS = "this is no address: ldaps://host:port"


class LdapConfig(PeopleOptions):
    """Where a server is and who the bot is there. Plain LDAP is for this machine; elsewhere TLS comes before the bind.

    ``ca``: whom to trust, in PEM, in place of the machine's authorities; ``timeout``: seconds for one answer.
    """

    url: str = Field(max_length=300)
    start_tls: bool = False
    ca: Path | None = None
    bind_dn: str = Field(min_length=1, max_length=1_000)
    """A distinguished name, or what else the server takes for one, such as ``bot@example.com`` in Active Directory."""
    bind_password: SecretStr = Field(min_length=1, max_length=1_000)
    """Not empty: to a server, a bind without a password is one by nobody, and it succeeds."""
    base_dn: str = Field(max_length=1_000)
    """Where the directory begins: below it, accounts are found that a group names by their uid."""
    mail: str = Field(default="mail", max_length=60, pattern=r"^[A-Za-z][A-Za-z0-9-]*$")
    """The attribute of an account with the one address by which Slack knows the person."""
    timeout: float = Field(default=5.0, gt=0, le=5)

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            raise ValueError(_NO_ADDRESS) from None
        bare = url == f"{parts.scheme}://{parts.netloc}" and "@" not in url and not any(sign.isspace() for sign in url)
        if parts.scheme not in _PORTS or not host or not bare:
            raise ValueError(_NO_ADDRESS)
        if forbidden(host):
            raise ValueError("no directory is at a link-local address")
        return url

    @field_validator("base_dn")
    @classmethod
    def _base(cls, base: str) -> str:
        if not is_name(base):
            raise ValueError("this is no distinguished name: write it like dc=example,dc=com")
        return base

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        scheme, host, _ = self.at
        if scheme == "ldaps" and self.start_tls:
            raise ValueError("`start_tls` is for ldap://; ldaps:// is under TLS from the start")
        if scheme == "ldap" and not self.start_tls and not loopback(host):
            raise ValueError("use ldaps://, or `start_tls: true` (plain ldap:// is for this machine)")
        return self

    @property
    def at(self) -> tuple[str, str, int]:
        """The scheme, the host and the port."""
        parts = urlsplit(self.url)
        return parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme]
