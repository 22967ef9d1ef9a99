"""Active Directory, by a real domain controller: one test, since its ports are fixed and each takes a while to make."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from providers.directories.base import DirectoryPerson, GroupAnswer, Refused
from providers.directories.ldap.config import LdapConfig
from providers.directories.ldap.connection import connected
from providers.directories.ldap.messages import Search
from providers.directories.ldap.provider import Ldap
from tests.providers.samba import BASE, DomainController, account, domain_controller, group, name

MANY = [f"p{n}" for n in range(1_600)]
ENTRIES = [
    *(account(each) for each in ("mia", "kim", *MANY)),
    account("dan", userAccountControl="546"),
    account("eve", accountExpires="133485408000000000"),
    (name("lee"), {"objectClass": "contact", "mail": "lee@example.com"}),
    (name("machine"), {"objectClass": "computer", "sAMAccountName": "machine$", "userAccountControl": "4128"}),
    group("Nested", *map(name, ("kim", "eve"))),
    group("DBA", *map(name, ("mia", "dan", "lee", "machine", "Nested"))),
    group("Empty"),
    account("twin1", mail="twin@example.com"),
    account("twin2", mail="twin@example.com"),
    group("Many", *map(name, MANY)),
    group("Foreign", name("mia"), f"CN=S-1-5-11,CN=ForeignSecurityPrincipals,{BASE}"),
]


def people(*names: str) -> frozenset[str]:
    return frozenset(f"{each}@example.com" for each in names)


async def told(controller: DomainController, of: str) -> GroupAnswer:
    return await Ldap(LdapConfig.model_validate(controller.config())).members(name(of), time.time())


async def known(controller: DomainController, address: str) -> DirectoryPerson | None:
    directory = Ldap(LdapConfig.model_validate(controller.config(attributes=["sAMAccountName", "memberOf"])))
    return await directory.person(address, time.time())


async def people_are_known_by_their_guid(controller: DomainController) -> None:
    found = {each: await known(controller, f"{each}@example.com") for each in ("mia", "dan", "eve", "lee", "nobody")}
    assert {each: one.active for each, one in found.items() if one} == {"mia": True, "dan": False, "eve": False}
    mia = found["mia"]
    assert mia
    assert uuid.UUID(mia.id).version == 4, "Active Directory makes random ones"
    assert mia.attributes == {"sAMAccountName": "mia"}
    # The first three numbers of the id have their lowest byte first there: by it as it is here, the account is found.
    raw = "".join(f"\\{byte:02x}" for byte in uuid.UUID(mia.id).bytes_le)
    assert await ids_of(controller, f"(objectGUID={raw})") == [name("mia")]
    with pytest.raises(Refused, match="more than one account"):
        await known(controller, "twin@example.com")


async def ids_of(controller: DomainController, condition: str) -> list[str]:
    config = LdapConfig.model_validate(controller.config())
    async with connected(config) as connection:
        [found] = await connection.search([Search(BASE, ("objectClass",), condition, below=True)])
    return [entry.name for entry in found.entries]


async def refused(controller: DomainController, said: str, **more: Any) -> None:
    with pytest.raises(Refused, match=said):
        await Ldap(LdapConfig.model_validate(controller.config(**more))).check()


@pytest.mark.timeout(500)
async def test_a_plain_account_reads_who_is_in_the_groups_of_a_domain() -> None:
    with domain_controller(*ENTRIES) as controller:
        assert await told(controller, "DBA") == GroupAnswer(people("mia", "kim"))
        assert await told(controller, "Empty") == GroupAnswer(frozenset())
        assert await told(controller, "Many") == GroupAnswer(people(*MANY))
        await people_are_known_by_their_guid(controller)
        assert await told(controller, "Foreign") == GroupAnswer(people("mia"), whole=False)
        # Their primary group, whose members are told in pages; the administrator has no address.
        everybody = people("jit", "mia", "kim", "twin", *MANY)
        assert await told(controller, "Domain Users") == GroupAnswer(everybody, whole=False)
        with pytest.raises(Refused, match="there is no entry"):
            await told(controller, "Gone")
        await refused(controller, "see `bind_dn` and `bind_password`", bind_password="another")
        await refused(controller, "it wants TLS", url="ldap://127.0.0.1")
        by_start_tls = controller.config(url="ldap://127.0.0.1", start_tls=True)
        assert (await Ldap(LdapConfig.model_validate(by_start_tls)).check()).target == BASE
