"""Which login a person already has in a system, as the config of a database says how to find it; it asks no server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from providers.systems.base import Principal, Refused


class LoginOptions(Protocol):
    """The keys of a config that say it; see the configs that have them."""

    @property
    def login_from(self) -> Literal["table", "email", "email-local-part"]:
        """How it is found."""

    @property
    def logins(self) -> Mapping[str, str]:
        """E-mail address → login."""

    @property
    def email_domain(self) -> str:
        """The one domain whose local parts are logins."""


def login_of(config: LoginOptions, principal: Principal, noun: str) -> str:
    """The login of a person. ``noun``: what the system calls one. Raises `Refused`."""
    email = principal.key.lower()
    local, at, domain = email.partition("@")
    match config.login_from:
        case "email":
            return email
        case "email-local-part" if at and local and domain == config.email_domain:
            return local
        case "table" if email in config.logins:
            return config.logins[email]
    raise Refused(f"{principal.key} has no {noun} that is known here: see `login_from` of the system")
