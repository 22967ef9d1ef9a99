"""Microsoft Entra ID: who counts as being in a group, how the app proves itself, and what each answer means."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from providers.directories import http, registry
from providers.directories.base import GroupAnswer, NoAnswer, Refused
from providers.directories.entra import MOST_PAGES, Entra, EntraConfig
from providers.secret_refs import Misconfigured
from tests.providers.entra import CLIENT, GROUP, SECRET, TENANT, EntraServer, failed, guid
from tests.providers.oauth import certificate_pem, key, other_key, pem

APP = {"tenant": TENANT, "client_id": CLIENT, "client_secret": SECRET}
PROVED = {"tenant": TENANT, "client_id": CLIENT}


@pytest.fixture
async def server() -> AsyncIterator[EntraServer]:
    server = EntraServer()
    await server.start()
    yield server
    await server.stop()


def tenant(server: EntraServer, app: dict[str, Any] | None = None, **more: Any) -> Entra:
    place = {"url": server.url, "login_url": server.url, "timeout": 1}
    return Entra(EntraConfig.model_validate({**(app or APP), **place, **more}))


async def told(directory: Entra, group: str = GROUP, *, check: bool = False) -> GroupAnswer:
    try:
        if check:
            await directory.check()
        return await directory.members(group, time.time())
    finally:
        await directory.close()


async def test_the_people_of_nested_groups_count_and_circles_end(server: EntraServer) -> None:
    server.put(["mia@example.com"])
    inner = server.group(guid(7))
    server.members[GROUP].append(inner)
    server.put(["dan@example.com", "mia@example.com"], guid(7))
    server.members[guid(7)].append(server.groups[GROUP])
    assert await told(tenant(server)) == GroupAnswer(frozenset({"mia@example.com", "dan@example.com"}))


async def test_a_disabled_account_is_nobody_and_devices_apps_and_contacts_are_no_people(server: EntraServer) -> None:
    server.put(["mia@example.com"])
    server.members[GROUP] += [
        server.user("dan@example.com", accountEnabled=False),
        server.user(None, accountEnabled=False),
        {"@odata.type": "#microsoft.graph.device", "id": guid(50), "accountEnabled": True},
        {"@odata.type": "#microsoft.graph.servicePrincipal", "id": guid(51), "accountEnabled": True},
        {"@odata.type": "#microsoft.graph.orgContact", "id": guid(52), "mail": "kim@example.org"},
    ]
    assert await told(tenant(server)) == GroupAnswer(frozenset({"mia@example.com"}))


async def test_the_mail_is_the_address_unless_the_config_says_the_principal_name(server: EntraServer) -> None:
    server.members[GROUP] = [server.user(None, userPrincipalName="Mia@Example.com")]
    assert await told(tenant(server)) == GroupAnswer(frozenset(), whole=False)
    by_name = tenant(server, address="user_principal_name")
    assert await told(by_name) == GroupAnswer(frozenset({"mia@example.com"}))


async def test_of_whom_it_is_not_known_whether_the_account_is_enabled_is_nobody(server: EntraServer) -> None:
    server.members[GROUP] = [server.user("mia@example.com"), server.user("eve@example.com", accountEnabled=None)]
    assert await told(tenant(server)) == GroupAnswer(frozenset({"mia@example.com"}), whole=False)


async def test_without_the_right_to_read_accounts_nobody_is_told_and_the_right_is_named(server: EntraServer) -> None:
    server.put(["mia@example.com"])
    server.rights = {"GroupMember.Read.All"}
    with pytest.raises(Refused, match=r"User\.Read\.All \(User\.ReadBasic\.All is not enough\)"):
        await told(tenant(server))
    with pytest.raises(Refused, match=r"403 Forbidden: .*User\.Read\.All"):
        await told(tenant(server), check=True)


async def test_without_the_right_to_read_groups_it_is_a_definite_no(server: EntraServer) -> None:
    server.rights = {"User.Read.All"}
    for check in (False, True):
        with pytest.raises(Refused, match=r"403 Forbidden: .*GroupMember\.Read\.All"):
            await told(tenant(server), check=check)


async def test_the_check_needs_to_know_of_accounts_whether_they_are_enabled(server: EntraServer) -> None:
    server.members[GROUP] = [server.user("eve@example.com", accountEnabled=None), server.user("mia@example.com")]
    assert (await told(tenant(server))).people == {"mia@example.com"}
    with pytest.raises(Refused, match="whether accounts are enabled"):
        await told(tenant(server), check=True)


async def test_a_group_that_is_not_there_is_refused_by_its_name(server: EntraServer) -> None:
    with pytest.raises(Refused, match=f"no group {guid(404)}"):
        await told(tenant(server), guid(404))


async def test_a_404_that_is_not_of_graph_is_no_answer(server: EntraServer) -> None:
    server.answer = web.Response(status=404, text="<html>no such page</html>")
    with pytest.raises(NoAnswer, match="404"):
        await told(tenant(server))


async def test_security_groups_and_microsoft_365_groups_count_and_distribution_lists_not(
    server: EntraServer,
) -> None:
    server.put(["mia@example.com"])
    server.group(GROUP, securityEnabled=False, groupTypes=["Unified"])
    assert (await told(tenant(server))).people == {"mia@example.com"}
    server.group(GROUP, securityEnabled=False)
    with pytest.raises(Refused, match="neither a security group nor a Microsoft 365 group"):
        await told(tenant(server))


async def test_a_group_that_hides_its_members_is_not_an_empty_one(server: EntraServer) -> None:
    server.group(GROUP, securityEnabled=False, groupTypes=["Unified"], visibility="HiddenMembership")
    with pytest.raises(Refused, match="hides its members"):
        await told(tenant(server))


async def test_a_wrong_secret_is_a_definite_no_that_does_not_show_it(server: EntraServer) -> None:
    for check in (False, True):
        with pytest.raises(Refused, match=r"see `client_secret`.* \(AADSTS7000215\)") as said:
            await told(tenant(server, {**APP, "client_secret": "another-secret"}), check=check)
        assert "another-secret" not in f"{said.value}{said.value.__cause__}"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tenant": guid(9)}, r"see `tenant` \(AADSTS90002\)"),
        ({"tenant": "other.example.com"}, r"see `tenant` \(AADSTS90002\)"),
        ({"client_id": guid(9)}, r"see `tenant` and `client_id`.* \(AADSTS700016\)"),
    ],
)
async def test_a_wrong_tenant_or_app_is_a_definite_no(server: EntraServer, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        await told(tenant(server, {**APP, **changed}))


async def test_a_certificate_proves_the_app_with_a_new_assertion_each_time(server: EntraServer) -> None:
    server.put(["mia@example.com"])
    directory = tenant(server, {**PROVED, "certificate": f"{pem(key())}{certificate_pem(key())}"})
    await directory.members(GROUP, 0.0)
    server.tokens.clear()
    assert (await told(directory)).people == {"mia@example.com"}
    assert len({form["client_assertion"] for form in server.forms}) == 2
    assert all("client_secret" not in form for form in server.forms)


@pytest.mark.parametrize("ahead", [3600.0, -3600.0])
async def test_a_clock_that_is_wrong_is_named(server: EntraServer, ahead: float) -> None:
    server.clock_ahead = ahead
    directory = tenant(server, {**PROVED, "certificate": f"{certificate_pem(key())}{pem(key())}"})
    with pytest.raises(Refused, match=r"this machine's clock \(AADSTS700024\)"):
        await told(directory)


async def test_a_certificate_that_the_app_does_not_have_is_a_definite_no(server: EntraServer) -> None:
    pair = f"{pem(other_key())}{certificate_pem(other_key())}"
    with pytest.raises(Refused, match="no access token"):
        await told(tenant(server, {**PROVED, "certificate": pair}))


async def test_a_token_that_was_revoked_is_replaced(server: EntraServer) -> None:
    server.put(["mia@example.com"])
    directory = tenant(server)
    await directory.members(GROUP, 0.0)
    server.tokens.clear()
    assert (await told(directory)).people == {"mia@example.com"}


async def test_a_token_that_is_never_taken_is_a_definite_no(server: EntraServer) -> None:
    server.answer = failed(401, "InvalidAuthenticationToken")
    with pytest.raises(Refused, match="401 Unauthorized: it does not take the token"):
        await told(tenant(server))


@pytest.mark.parametrize("status", [429, 503])
async def test_a_limit_says_when_to_ask_again(server: EntraServer, status: int) -> None:
    server.answer = failed(status, "TooManyRequests", {"Retry-After": "33"})
    with pytest.raises(NoAnswer) as said:
        await told(tenant(server))
    assert said.value.after == 33


@pytest.mark.parametrize("status", [400, 500, 502, 504, 301])
async def test_every_other_answer_is_no_answer(server: EntraServer, status: int) -> None:
    server.answer = failed(status, "UnknownError", {"Location": server.url} if status == 301 else {})
    with pytest.raises(NoAnswer, match=str(status)):
        await told(tenant(server))


USER = '"@odata.type": "#microsoft.graph.user", "mail": "eve@x.io"'
ABOUT = '"id": "0b5c5f3e-1111-4222-8333-944444444444", "securityEnabled": true, "groupTypes": []'


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{}",
        "[" * 100_000,
        '{"id": "another", "securityEnabled": true, "groupTypes": [], "value": []}',
        '{"id": "0b5c5f3e-1111-4222-8333-944444444444", "value": []}',
        f"{{{ABOUT}}}",
        f'{{{ABOUT}, "value": {{}}}}',
        f'{{{ABOUT}, "value": [1]}}',
        f'{{{ABOUT}, "value": [{{"id": "1", "mail": "eve@x.io", "accountEnabled": true}}]}}',
        f'{{{ABOUT}, "value": [{{{USER}, "accountEnabled": "yes"}}]}}',
        f'{{{ABOUT}, "value": [], "@odata.nextLink": 7}}',
        f'{{{ABOUT}, "value": [], "@odata.nextLink": "http://[::1"}}',
        f'{{{ABOUT}, "value": [], "@odata.nextLink": ""}}',
    ],
)
async def test_json_that_is_none_of_the_api_is_no_answer(server: EntraServer, body: str) -> None:
    server.answer = web.json_response(text=body)
    with pytest.raises(NoAnswer, match="something else than Microsoft Graph"):
        await told(tenant(server))


async def test_a_link_to_another_host_gets_no_token(server: EntraServer) -> None:
    other = EntraServer()
    await other.start()
    server.put(["mia@example.com"])
    for link in (
        f"{other.url}/v1.0/groups/{GROUP}/transitiveMembers",
        f"http://eve@127.0.0.1:{server.port}/v1.0/groups/{GROUP}/transitiveMembers",
        f"https://127.0.0.1:{server.port}/v1.0/groups/{GROUP}/transitiveMembers",
        f"{server.url}/beta/groups/{GROUP}/transitiveMembers",
        f"{server.url}/v1.0/../beta/groups",
    ):
        server.link = link
        with pytest.raises(NoAnswer, match="another host"):
            await told(tenant(server))
    assert other.calls == []
    await other.stop()


async def test_a_link_that_is_too_long_is_not_followed(server: EntraServer) -> None:
    server.link = f"{server.url}/v1.0/groups/{GROUP}/transitiveMembers?%24skiptoken={'0' * 8_000}"
    with pytest.raises(NoAnswer, match="something else than Microsoft Graph"):
        await told(tenant(server))


async def test_a_list_that_comes_round_again_is_no_answer(server: EntraServer) -> None:
    server.put(["mia@example.com"])
    link = f"{server.url}/v1.0/groups/{GROUP}/transitiveMembers?%24select=id&%24top=1&%24skiptoken=0"
    server.link = link
    with pytest.raises(NoAnswer, match="never ends"):
        await told(tenant(server))


async def test_more_pages_than_are_read_are_not_everybody(server: EntraServer) -> None:
    server.largest_page = 2
    server.put(f"person{n}@example.com" for n in range(MOST_PAGES * 2))
    assert await told(tenant(server)) == GroupAnswer(frozenset(f"person{n}@example.com" for n in range(MOST_PAGES * 2)))
    server.put(f"person{n}@example.com" for n in range(MOST_PAGES * 2 + 1))
    assert not (await told(tenant(server))).whole


async def test_a_server_that_hangs_or_says_too_much_is_given_up(server: EntraServer) -> None:
    server.answer = web.Response(body=b"x" * 5_000_001)
    with pytest.raises(NoAnswer, match="longer than 5 MB"):
        await told(tenant(server, timeout=5))
    server.hangs = True
    with pytest.raises(NoAnswer, match="did not answer in time"):
        await told(tenant(server, timeout=0.2))


async def test_a_server_that_is_slow_all_along_is_given_up(
    server: EntraServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LOOK_UP", 0.3)
    server.delay = 0.2
    for look in ("members", "check"):
        directory = tenant(server)
        with pytest.raises(NoAnswer, match="did not answer in time"):
            await (directory.check() if look == "check" else directory.members(GROUP, 0.0))
        await directory.close()


async def test_a_server_that_goes_away_between_two_pages_is_no_answer(server: EntraServer) -> None:
    server.put(["mia@example.com"])
    gone = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = gone.sockets[0].getsockname()[1]
    directory = tenant(server)
    await directory.members(GROUP, 0.0)
    await server.stop()
    with pytest.raises(NoAnswer, match="cannot be reached"):
        await told(directory)
    with pytest.raises(NoAnswer, match="without an answer"):
        await told(tenant(server, url=f"http://127.0.0.1:{port}", login_url=f"http://127.0.0.1:{port}"))
    gone.close()
    await gone.wait_closed()


def test_a_config_proves_itself_in_one_way_and_takes_secrets_by_reference() -> None:
    with pytest.raises(ValidationError, match="one of them"):
        EntraConfig.model_validate(PROVED)
    with pytest.raises(ValidationError, match="one of them"):
        EntraConfig.model_validate({**APP, "certificate": f"{pem(key())}{certificate_pem(key())}"})
    with pytest.raises(Misconfigured, match="ENTRA_SECRET is not set"):
        registry.build("entra", {**APP, "client_secret": "env:ENTRA_SECRET"}, {})
    built = registry.build("entra", {**APP, "client_secret": "env:ENTRA_SECRET"}, {"ENTRA_SECRET": SECRET})
    assert SECRET not in repr(built)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"url": "http://graph.microsoft.com"}, "https://"),
        ({"login_url": "http://login.microsoftonline.com"}, "https://"),
        ({"tenant": "common"}, "neither the id of a tenant nor one of its domains"),
        ({"tenant": "example.com/../other"}, "neither the id of a tenant nor one of its domains"),
        ({"client_id": "the bot"}, "no application id"),
        ({"address": "proxyAddresses"}, "mail"),
    ],
)
def test_a_config_that_leads_elsewhere_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        EntraConfig.model_validate({**APP, **changed})


def test_a_certificate_comes_with_its_own_key_and_is_not_shown_where_it_does_not() -> None:
    for text, said in (
        (pem(key()), "no certificate"),
        (certificate_pem(key()), "no private key"),
        (f"{pem(other_key())}{certificate_pem(key())}", "not that of its certificate"),
    ):
        with pytest.raises(ValidationError, match=said) as error:
            EntraConfig.model_validate({**PROVED, "certificate": text})
        assert "PRIVATE KEY" not in str(error.value)
