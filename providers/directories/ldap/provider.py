"""LDAP: who is in a group of a directory server, and who has an e-mail address there; it writes nothing.

The account needs no more than to read the groups, their members, and of these what `accounts` looks at.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

from providers.base import Frozen, Health
from providers.directories.base import DirectoryCapabilities, DirectoryPerson, GroupAnswer, NoAnswer
from providers.directories.ldap.config import LdapConfig
from providers.directories.ldap.connection import LdapConnection, connected
from providers.directories.ldap.groups import GroupWalk, entry_at
from providers.directories.ldap.names import is_name
from providers.directories.ldap.search import find_person

_LOOK = 20.0
"""Seconds that a look at one group may take, all answers together."""
_PATIENCE = 2.0


class Ldap:
    """One server. Each look has a connection of its own."""

    Config: ClassVar[type[Frozen]] = LdapConfig

    def __init__(self, config: LdapConfig) -> None:
        """Open nothing."""
        self._config = config

    def __repr__(self) -> str:
        """Without the password."""
        return "Ldap()"

    @property
    def settles_within(self) -> float:
        """A look, and hanging up."""
        return _LOOK + _PATIENCE

    @classmethod
    def capabilities(cls) -> DirectoryCapabilities:
        """No shifts."""
        group = "the distinguished name of a group, like cn=dba,dc=example"
        return DirectoryCapabilities(shifts=False, group=group, people=True)

    @classmethod
    def group_flaw(cls, group: str) -> str:
        """A distinguished name."""
        if is_name(group):
            return ""
        return "write `group:` with the distinguished name of a group, like CN=DBA,OU=Groups,DC=example,DC=com"

    async def members(self, group: str, now: float) -> GroupAnswer:
        """Everybody in a group, and in the groups in it. Raises `Refused`, `NoAnswer`."""
        async with self._look() as connection:
            return await GroupWalk(connection, self._config.base_dn, self._config.mail, now).answer(group)

    async def person(self, email: str, now: float) -> DirectoryPerson | None:
        """Who has this address, below `base_dn`. Raises `Refused`, `NoAnswer`."""
        async with self._look() as connection:
            return await find_person(connection, self._config, email, now)

    async def check(self) -> Health:
        """Whether the account may sign in and read. Raises `Refused`, `NoAnswer`."""
        async with self._look() as connection:
            await entry_at(connection, self._config.base_dn, ("objectClass",))
        return Health(target=self._config.base_dn, detail="the account may sign in and read")

    async def close(self) -> None:
        """Nothing is open between two looks."""

    @asynccontextmanager
    async def _look(self) -> AsyncIterator[LdapConnection]:
        try:
            async with asyncio.timeout(_LOOK), connected(self._config) as connection:
                yield connection
        except TimeoutError:
            raise NoAnswer(f"it takes longer than {_LOOK:.0f} seconds") from None
