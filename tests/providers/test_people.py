"""A person in a directory: whose account counts as one that may be used, and what no directory has to guess."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from providers.directories.base import DirectoryPerson, NoAnswer, PeopleDirectory, PeopleOptions, Refused
from providers.directories.entra import Entra, EntraConfig
from providers.directories.google import SCOPE, GoogleConfig, GoogleWorkspace
from providers.directories.ldap.config import LdapConfig
from providers.directories.ldap.provider import Ldap
from providers.directories.okta import Okta, OktaConfig
from providers.directories.people import attributes_of, value_at
from providers.directories.scim import Scim, ScimConfig
from tests import scratch
from tests.providers import entra, google, okta, scim
from tests.providers.slapd import BASE, BOT, Slapd, account, dn, group, person
from tests.store.redis.test_tls import Authority

MIA = "mia@example.com"
Options = dict[str, Any]


async def found(directory: PeopleDirectory, email: str = MIA) -> DirectoryPerson | None:
    try:
        return await directory.person(email, time.time())
    finally:
        await directory.close()


async def active(directory: PeopleDirectory, email: str = MIA) -> bool:
    person = await found(directory, email)
    assert person
    return person.active


# What a config may name, and what is taken of it.


@pytest.mark.parametrize("name", ["", "7up", "a b", "a" * 129, "a,b", "a)(b", "../users"])
def test_no_attribute_has_a_name_that_would_be_something_else(name: str) -> None:
    with pytest.raises(ValidationError):
        PeopleOptions(attributes=(name,))


def test_more_attributes_than_anybody_needs_are_too_many() -> None:
    with pytest.raises(ValidationError):
        PeopleOptions(attributes=tuple(f"a{n}" for n in range(11)))


def test_only_one_short_line_of_text_is_taken_for_the_value_of_an_attribute() -> None:
    about: Mapping[str, Any] = {
        "fits": "x" * 256, "long": "x" * 257, "none": None, "empty": "", "lines": "a\nb", "blank": " a", "many": ["a"],
        "number": 7, "flag": True, "inner": {"name": "Dan", "deep": {"er": "yes"}}, "dotted.name": "no",
    }  # fmt: skip
    names = [*about, "inner.name", "inner.deep.er", "inner.name.er", "missing.inner"]
    told = attributes_of(names, lambda name: value_at(about, name))
    assert told == {"fits": "x" * 256, "number": "7", "inner.name": "Dan", "inner.deep.er": "yes"}


# Okta.


@pytest.fixture
async def okta_server() -> AsyncIterator[okta.OktaServer]:
    server = okta.OktaServer()
    await server.start()
    yield server
    await server.stop()


def by_okta(server: okta.OktaServer, **more: Any) -> Okta:
    return Okta(OktaConfig.model_validate({"token": okta.TOKEN, "url": server.url, "timeout": 2, **more}))


@pytest.mark.parametrize(
    ("status", "may_be_used"),
    [
        ("ACTIVE", True),
        ("PASSWORD_EXPIRED", True),
        ("RECOVERY", True),
        ("LOCKED_OUT", True),
        ("STAGED", False),
        ("PROVISIONED", False),
        ("SUSPENDED", False),
        ("DEPROVISIONED", False),
    ],
)
async def test_an_account_of_okta_may_be_used_by_its_status(
    okta_server: okta.OktaServer, status: str, may_be_used: bool
) -> None:
    okta_server.hire(MIA, status)
    assert await active(by_okta(okta_server)) is may_be_used


async def test_a_status_that_nobody_knows_says_nothing_of_somebody(okta_server: okta.OktaServer) -> None:
    okta_server.hire(MIA, "MAROONED")
    with pytest.raises(NoAnswer, match="status that is not known here"):
        await found(by_okta(okta_server))


async def test_what_a_search_of_okta_says_is_looked_up_again(okta_server: okta.OktaServer) -> None:
    gone = okta_server.hire(MIA, "SUSPENDED")
    okta_server.user_index = {gone["id"]: "ACTIVE"}
    assert not await active(by_okta(okta_server))
    okta_server.user_index = {gone["id"]: "DEPROVISIONED"}
    gone["status"] = "ACTIVE"
    assert await active(by_okta(okta_server))


async def test_a_leaver_and_a_newcomer_with_one_address_are_not_one_person(okta_server: okta.OktaServer) -> None:
    okta_server.hire(MIA, "DEPROVISIONED")
    okta_server.hire(MIA)
    with pytest.raises(Refused, match="more than one account has this address"):
        await found(by_okta(okta_server))


# SCIM.


@pytest.fixture
async def scim_faults() -> AsyncIterator[scim.FaultyScim]:
    server = scim.FaultyScim()
    await server.start()
    yield server
    await server.stop()


def by_scim(server: scim.FaultyScim, **more: Any) -> Scim:
    about = {"token": scim.TOKEN, "url": f"{server.url}/scim/v2", "timeout": 2, **more}
    return Scim(ScimConfig.model_validate(about))


async def test_a_server_of_scim_that_cannot_search_for_an_address_has_not_lost_anybody(
    scim_faults: scim.FaultyScim,
) -> None:
    scim_faults.put("dba", MIA)
    scim_faults.faults.filters = ()
    with pytest.raises(Refused, match="finds nobody by their address"):
        await found(by_scim(scim_faults))


async def test_one_that_answers_any_search_with_everybody_is_read_with_care(scim_faults: scim.FaultyScim) -> None:
    ids = scim_faults.put("dba", "dan@example.com", MIA, "kim@example.com")
    scim_faults.faults.filters, scim_faults.faults.unfiltered = (), 200
    known = await found(by_scim(scim_faults))
    assert known
    assert known.id == ids[1]
    scim_faults.put("dba", *(f"p{n}@example.com" for n in range(20)))
    with pytest.raises(Refused, match="more accounts are found for this address than are read"):
        await found(by_scim(scim_faults, attributes=["userName"]), "nobody@example.com")


async def test_the_address_of_somebody_is_the_one_that_counts_in_groups(scim_faults: scim.FaultyScim) -> None:
    scim_faults.users["u1"] = scim.user("mia", scim.email("m@example.com"), scim.email(MIA, "home", primary=False))
    assert await found(by_scim(scim_faults)) is None
    assert await active(by_scim(scim_faults), "m@example.com")
    for one in scim_faults.users["u1"]["emails"]:
        one |= {"primary": False, "type": "work"}
    with pytest.raises(Refused, match="which of its addresses counts"):
        await found(by_scim(scim_faults))


async def test_who_does_not_say_whether_somebody_is_active_does_not_say_they_are_not(
    scim_faults: scim.FaultyScim,
) -> None:
    scim_faults.users["u1"] = scim.user("mia", scim.email(MIA), active=None)
    with pytest.raises(Refused, match="whether it is active"):
        await found(by_scim(scim_faults))


async def test_the_id_is_the_servers_own_and_not_the_one_that_its_clients_write(scim_faults: scim.FaultyScim) -> None:
    scim_faults.users["u1"] = {**scim.user("mia", scim.email(MIA)), "externalId": "dan"}
    known = await found(by_scim(scim_faults))
    assert known
    assert known.id == "u1"


# Microsoft Entra ID.


@pytest.fixture
async def tenant() -> AsyncIterator[entra.EntraServer]:
    server = entra.EntraServer()
    await server.start()
    yield server
    await server.stop()


def by_entra(server: entra.EntraServer, **more: Any) -> Entra:
    place = {"url": server.url, "login_url": server.url, "timeout": 2}
    app = {"tenant": entra.TENANT, "client_id": entra.CLIENT, "client_secret": entra.SECRET}
    return Entra(EntraConfig.model_validate({**app, **place, **more}))


async def test_an_account_of_entra_is_found_by_the_attribute_that_counts_in_groups(tenant: entra.EntraServer) -> None:
    tenant.others.append(tenant.user(None, userPrincipalName="o'mia@Example.com"))
    assert await found(by_entra(tenant), "o'mia@example.com") is None
    assert await active(by_entra(tenant, address="user_principal_name"), "o'mia@example.com")


async def test_without_the_right_to_read_accounts_nobody_is_gone(tenant: entra.EntraServer) -> None:
    tenant.others.append(tenant.user(MIA, accountEnabled=None))
    with pytest.raises(Refused, match="whether accounts are enabled"):
        await found(by_entra(tenant))
    tenant.rights = {"GroupMember.Read.All"}
    for address in (MIA, "nobody@example.com"):
        with pytest.raises(Refused, match=r"User\.Read\.All"):
            await found(by_entra(tenant), address)


# Google Workspace.


@pytest.fixture
async def organization() -> AsyncIterator[google.GoogleServer]:
    server = google.GoogleServer()
    await server.start()
    yield server
    await server.stop()


def by_google(server: google.GoogleServer, **more: Any) -> GoogleWorkspace:
    place = {"url": server.url, "token_url": f"{server.url}/token", "timeout": 2}
    return GoogleWorkspace(GoogleConfig.model_validate({"key": google.key_file(), "subject": google.ADMIN, **place}))


@pytest.mark.parametrize("state", ["suspended", "archived"])
async def test_a_suspended_or_archived_account_may_not_be_used(organization: google.GoogleServer, state: str) -> None:
    user = organization.hire(MIA)
    assert await active(by_google(organization))
    user[state] = True
    assert not await active(by_google(organization))


async def test_another_address_of_somebodys_is_theirs(organization: google.GoogleServer) -> None:
    organization.hire("m.miller@example.com", aliases=[MIA])
    known = await found(by_google(organization))
    assert known
    assert known.email == MIA


async def test_an_answer_about_somebody_else_is_none(organization: google.GoogleServer) -> None:
    user = organization.hire("dan@example.com")
    with pytest.raises(NoAnswer):
        await found(by_google(organization), str(user["id"]))


async def test_without_leave_to_read_users_groups_are_read_and_nobody_is_gone(
    organization: google.GoogleServer,
) -> None:
    organization.delegated = {SCOPE}
    organization.put([MIA])
    directory = by_google(organization)
    assert (await directory.members(google.GROUP, time.time())).people == {MIA}
    with pytest.raises(Refused, match=r"admin\.directory\.user\.readonly"):
        await found(directory)


async def test_of_an_address_of_another_organization_nothing_is_known(organization: google.GoogleServer) -> None:
    with pytest.raises(Refused, match="the address one of its organization"):
        await found(by_google(organization), "mia@example.org")


# LDAP.


@asynccontextmanager
async def slapd(*rules: str) -> AsyncIterator[Slapd]:
    with scratch.directory() as directory:
        server = Slapd(directory, Authority(directory))
        server.rules = (*rules, *server.rules)
        try:
            yield server
        finally:
            server.stop()


def by_ldap(server: Slapd, **more: Any) -> Ldap:
    return Ldap(LdapConfig.model_validate(server.config(**more)))


def staff() -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Accounts, and whether each may be used."""
    yield "locked", {"pwdAccountLockedTime": "20260101000000Z"}, True
    yield "for-ever", {"pwdAccountLockedTime": "000001010000Z"}, False
    yield "of-389", {"objectClass": ("inetOrgPerson", "extensibleObject"), "nsAccountLock": "TRUE"}, False
    yield "enabled", {"userAccountControl": "512"}, True
    yield "disabled", {"userAccountControl": "514"}, False
    yield "expired", {"userAccountControl": "512", "accountExpires": "133485408000000000"}, False


async def test_a_lock_after_wrong_passwords_is_no_end_of_an_account_in_ldap() -> None:
    async with slapd() as server:
        entries = [account(n, **m) if "userAccountControl" in m else person(n, **m) for n, m, _ in staff()]
        server.load(*entries)
        told = {name: await active(by_ldap(server), f"{name}@example.com") for name, _, _ in staff()}
        assert told == {name: may_be_used for name, _, may_be_used in staff()}


async def test_groups_and_contacts_with_an_address_are_nobody() -> None:
    async with slapd() as server:
        name, about = group("dba", dn("mia"))
        server.load(
            person("mia", employeeNumber=["7", "8"], uid="mia"),
            (name, {**about, "objectClass": ("groupOfNames", "extensibleObject"), "mail": "dba@example.com"}),
        )
        assert await found(by_ldap(server), "dba@example.com") is None
        known = await found(by_ldap(server, attributes=["uid", "employeeNumber", "title"]))
        assert known
        assert known.attributes == {"uid": "mia"}, "of two values, none"


async def test_an_account_with_two_addresses_is_not_guessed_at() -> None:
    async with slapd() as server:
        server.load(person("mia", mail=[MIA, "m@example.com"]))
        with pytest.raises(Refused, match="more than one in `mail`"):
            await found(by_ldap(server))


async def test_an_account_that_may_not_read_addresses_has_not_lost_anybody() -> None:
    hidden = f'access to attrs=mail by dn.exact="{BOT}" none by * none'
    async with slapd(hidden) as server:
        server.load(person("mia"))
        with pytest.raises(Refused, match="may not read `mail`"):
            await found(by_ldap(server))
        with pytest.raises(Refused):
            await found(by_ldap(server, base_dn=f"ou=hidden,{BASE}"))
        with pytest.raises(Refused, match="there is no entry"):
            await found(by_ldap(server, base_dn=f"ou=gone,{BASE}"))


async def test_an_account_without_a_stable_id_is_not_known() -> None:
    async with slapd(f'access to attrs=entryUUID by dn.exact="{BOT}" none by * none') as server:
        server.load(person("mia"))
        with pytest.raises(Refused, match="stable"):
            await found(by_ldap(server))
