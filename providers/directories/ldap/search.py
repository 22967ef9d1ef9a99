"""Who has an address in LDAP: one search for it, and one for whether addresses can be read at all."""

from __future__ import annotations

from providers.directories.base import DirectoryPerson, Refused
from providers.directories.ldap import accounts
from providers.directories.ldap.config import LdapConfig
from providers.directories.ldap.connection import LdapConnection
from providers.directories.ldap.groups import is_group, require_readable
from providers.directories.ldap.messages import Search, SearchAnswer
from providers.directories.ldap.names import escaped
from providers.directories.people import one_of

_MOST_NAMESAKES = 10


async def find_person(connection: LdapConnection, config: LdapConfig, email: str, now: float) -> DirectoryPerson | None:
    """Who has this address. Raises `Refused`, `NoAnswer`."""
    names = ("objectClass", "member", "uniqueMember", config.mail, *accounts.IDS, *accounts.ATTRIBUTES)
    attributes = tuple(dict.fromkeys((*names, *config.attributes)))
    found = await _search(connection, config, f"({config.mail}={escaped(email)})", attributes)
    people = [
        accounts.person(entry, config.mail, email, now, config.attributes)
        for entry in found.entries
        if not is_group(entry)
    ]
    if found.cookie or len(found.entries) > _MOST_NAMESAKES:
        raise Refused("more entries have this address than are read")
    if not found.entries and not (await _search(connection, config, f"({config.mail}=*)", ("objectClass",))).entries:
        # Of an attribute that may not be read, a server says that nobody has it: that is not the end of anybody.
        raise Refused(f"the account may not read `{config.mail}`, or nobody below `base_dn` has one")
    return one_of([person for person in people if person])


async def _search(
    connection: LdapConnection, config: LdapConfig, condition: str, attributes: tuple[str, ...]
) -> SearchAnswer:
    asked = Search(config.base_dn, attributes, condition, below=True, page=_MOST_NAMESAKES)
    [found] = await connection.search([asked])
    require_readable(found.code, config.base_dn)
    return found
