"""Okta: which groups and which people count, and what each answer of its API means."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from providers.directories import http, registry
from providers.directories.base import GroupAnswer, NoAnswer, Refused
from providers.directories.okta import Okta, OktaConfig
from providers.secret_refs import Misconfigured
from tests.providers.okta import GROUP, TOKEN, OktaGroup, OktaServer

OTHER = "00g2emaKYZTWRYYRRTSK"


@pytest.fixture
async def server() -> AsyncIterator[OktaServer]:
    server = OktaServer()
    await server.start()
    yield server
    await server.stop()


def account(server: OktaServer, **more: Any) -> Okta:
    return Okta(OktaConfig.model_validate({"token": TOKEN, "url": server.url, "timeout": 2, **more}))


async def told(directory: Okta, group: str = GROUP, *, check: bool = False) -> GroupAnswer:
    try:
        if check:
            await directory.check()
        return await directory.members(group, time.time())
    finally:
        await directory.close()


@pytest.mark.parametrize("name", ["dba", 'DBA "nights" \\ Köln', 'x" or profile.name sw "', "a,b;c <d>"])
async def test_a_group_is_found_by_its_id_or_its_very_name(server: OktaServer, name: str) -> None:
    server.groups = {OTHER: OktaGroup("other"), GROUP: OktaGroup(name)}
    server.put(["mia@example.com"])
    server.put(["eve@example.com"], group=OTHER)
    for group in (GROUP, name):
        assert await told(account(server), group) == GroupAnswer(frozenset({"mia@example.com"}))


async def test_a_name_in_other_letters_or_of_two_groups_is_refused(server: OktaServer) -> None:
    with pytest.raises(Refused, match="no group of this name, in these very letters"):
        await told(account(server), "Dba")
    server.groups[OTHER] = OktaGroup("DBA")
    assert not (await told(account(server), "dba")).people
    server.groups[OTHER].name = "dba"
    with pytest.raises(Refused, match="more than one group of this name"):
        await told(account(server), "dba")


async def test_more_groups_that_look_alike_than_a_page_has_are_refused(server: OktaServer) -> None:
    server.groups = {f"00g{n:017}": OktaGroup("DBA") for n in range(51)} | {GROUP: OktaGroup("dba")}
    with pytest.raises(Refused, match="more than one group of this name"):
        await told(account(server), "dba")


async def test_a_name_is_that_of_the_group_now_whatever_the_search_still_says(server: OktaServer) -> None:
    server.put(["eve@example.com"])
    server.groups[GROUP].name, server.index = "interns", {GROUP: "dba"}
    with pytest.raises(NoAnswer, match="another name just now"):
        await told(account(server), "dba")


async def test_a_name_leads_to_the_group_that_has_it_at_each_look(server: OktaServer) -> None:
    directory = account(server)
    server.put(["mia@example.com"])
    assert (await directory.members("dba", 0.0)).people == {"mia@example.com"}
    server.groups[GROUP].name = "former dba"
    server.groups[OTHER] = OktaGroup("dba")
    server.put(["dan@example.com"], group=OTHER)
    assert (await told(directory, "dba")).people == {"dan@example.com"}


async def test_an_id_that_is_of_nothing_is_refused_by_its_name(server: OktaServer) -> None:
    with pytest.raises(Refused, match=f"no group {OTHER}"):
        await told(account(server), OTHER)


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("ACTIVE", True),
        ("PASSWORD_EXPIRED", True),
        ("STAGED", False),
        ("PROVISIONED", False),
        ("RECOVERY", False),
        ("LOCKED_OUT", False),
        ("SUSPENDED", False),
        ("DEPROVISIONED", False),
    ],
)
async def test_who_cannot_sign_in_is_no_member(server: OktaServer, status: str, counts: bool) -> None:
    server.put(["dan@example.com"])
    server.put(["Mia@Example.com"], status=status)
    people = {"dan@example.com"} | ({"mia@example.com"} if counts else set())
    assert await told(account(server)) == GroupAnswer(frozenset(people), whole=True)


async def test_whoever_is_out_needs_no_address_and_whoever_is_in_does(server: OktaServer) -> None:
    server.put(["", "no address"], status="DEPROVISIONED")
    assert (await told(account(server))).whole
    server.put(["no address"])
    assert not (await told(account(server))).whole


async def test_a_status_that_is_new_is_no_answer(server: OktaServer) -> None:
    server.put(["mia@example.com"], status="ON_HOLD")
    with pytest.raises(NoAnswer, match="a status that is not known here"):
        await told(account(server))


@pytest.mark.parametrize("check", [False, True])
async def test_a_wrong_token_is_a_definite_no_that_does_not_show_it(server: OktaServer, check: bool) -> None:
    with pytest.raises(Refused, match="401 Unauthorized: see the token") as said:
        await told(account(server, token="another-token"), check=check)
    assert "another-token" not in f"{said.value}{said.value.__cause__}"


@pytest.mark.parametrize("check", [False, True])
async def test_a_token_without_the_rights_and_a_wrong_address_are_a_definite_no(
    server: OktaServer, check: bool
) -> None:
    server.answer = web.Response(status=403)
    with pytest.raises(Refused, match="403 Forbidden: see the rights of the token"):
        await told(account(server), check=check)
    server.answer = web.Response(status=404)
    with pytest.raises(Refused, match="see `url`"):
        await told(account(server), "dba")


async def test_the_check_of_a_token_that_reads_groups_and_nobody_in_them_is_a_no(server: OktaServer) -> None:
    server.instead[f"/api/v1/groups/{GROUP}/users"] = web.Response(status=403)
    directory = account(server)
    with pytest.raises(Refused, match="403 Forbidden: see the rights of the token"):
        await directory.check()
    await directory.close()


async def test_another_group_than_was_asked_for_is_no_answer(server: OktaServer) -> None:
    body = {"id": OTHER, "profile": {"name": "dba"}}
    server.instead[f"/api/v1/groups/{GROUP}"] = web.json_response(body)
    with pytest.raises(NoAnswer, match="something else than Okta's API"):
        await told(account(server))


async def test_the_check_asks_for_both_rights(server: OktaServer) -> None:
    server.put(["mia@example.com"])
    await told(account(server), check=True)
    assert server.calls[:2] == ["/api/v1/groups?limit=1", f"/api/v1/groups/{GROUP}/users?limit=1"]


@pytest.mark.parametrize(
    ("headers", "after"),
    [
        ({"X-Rate-Limit-Reset": "1800000042", "Date": formatdate(1_800_000_000, usegmt=True)}, 42),
        ({"X-Rate-Limit-Reset": "1800009999", "Date": formatdate(1_800_000_000, usegmt=True)}, 600),
        ({"X-Rate-Limit-Reset": "1700000000", "Date": formatdate(1_800_000_000, usegmt=True)}, 1),
        ({"X-Rate-Limit-Reset": "soon", "Retry-After": "33"}, 33),
        ({"X-Rate-Limit-Reset": "9" * 5_000}, 0),
    ],
)
async def test_a_limit_says_when_to_ask_again(server: OktaServer, headers: dict[str, str], after: float) -> None:
    server.answer = web.Response(status=429, headers=headers)
    with pytest.raises(NoAnswer) as said:
        await told(account(server))
    assert said.value.after == after


@pytest.mark.parametrize("status", [500, 502, 503, 400, 301])
async def test_every_other_answer_is_no_answer(server: OktaServer, status: int) -> None:
    server.answer = web.Response(status=status, headers={"Location": "http://127.0.0.1:1/"} if status == 301 else {})
    with pytest.raises(NoAnswer, match=str(status)):
        await told(account(server))


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        "[]",
        "[1]",
        f'{{"id": "{OTHER}", "profile": {{"name": "dba"}}}}',
        f'{{"id": "{GROUP}", "profile": "dba"}}',
        f'{{"id": "{GROUP}", "profile": {{"name": 1}}}}',
        "[" * 100_000,
        "<html>",
    ],
)
async def test_a_group_that_is_none_of_the_api_is_no_answer(server: OktaServer, body: str) -> None:
    server.answer = web.json_response(text=body)
    with pytest.raises(NoAnswer, match="something else than Okta's API"):
        await told(account(server))


@pytest.mark.parametrize(
    "user",
    [
        1,
        {},
        {"status": "ACTIVE"},
        {"status": "ACTIVE", "profile": "mia@example.com"},
        {"profile": {"email": "mia@example.com"}},
        {"status": ["ACTIVE"], "profile": {"email": "mia@example.com"}},
    ],
)
async def test_a_person_who_is_none_of_the_api_is_no_answer(server: OktaServer, user: Any) -> None:
    server.put(["dan@example.com"])
    server.groups[GROUP].users.append(user)
    with pytest.raises(NoAnswer, match="something else than Okta's API"):
        await told(account(server))


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1:{port}/api/v1/groups/{group}/users?after=200",
        "http://localhost:{port}/api/v1/groups/{group}/users?after=200",
        "http://127.0.0.1:1/api/v1/groups/{group}/users?after=200",
        "http://eve@127.0.0.1:{port}/api/v1/groups/{group}/users?after=200",
        "http://127.0.0.1:{port}/api/v1/groups/{other}/users?after=200",
        "http://127.0.0.1:{port}/api/v1/groups/{group}/users/../../../users?after=200",
        "/api/v1/groups/{group}/users?after=200",
        "http://[",
    ],
)
async def test_a_next_page_is_read_where_the_first_was_and_nowhere_else(server: OktaServer, address: str) -> None:
    server.put([f"person{n}@example.com" for n in range(201)])
    server.next_page = address.format(port=server.port, group=GROUP, other=OTHER)
    with pytest.raises(NoAnswer, match="at another address than the group"):
        await told(account(server))
    assert not [call for call in server.calls if "after" in call]


async def test_pages_that_lead_round_are_no_answer(server: OktaServer) -> None:
    server.put([f"person{n}@example.com" for n in range(201)])
    server.next_page = f"{server.url}/api/v1/groups/{GROUP}/users?limit=200"
    with pytest.raises(NoAnswer, match="something else than Okta's API"):
        await told(account(server))
    assert len(server.calls) == 2


async def test_a_full_page_that_says_nothing_of_a_next_one_is_no_answer(server: OktaServer) -> None:
    server.links = False
    server.put([f"person{n}@example.com" for n in range(199)])
    assert (await told(account(server))).whole
    server.put(["one@example.com", "another@example.com"])
    with pytest.raises(NoAnswer, match="whether there are more people"):
        await told(account(server))


async def test_more_people_than_fifteen_pages_are_not_everybody(server: OktaServer) -> None:
    server.put([f"person{n}@example.com" for n in range(3_000)])
    assert (await told(account(server))).whole
    server.put(["one@example.com"])
    assert not (await told(account(server))).whole


async def test_a_group_that_goes_between_two_pages_is_no_part_of_a_group(server: OktaServer) -> None:
    server.put([f"person{n}@example.com" for n in range(201)])
    server.goes = True
    with pytest.raises(Refused, match=f"no group {GROUP}"):
        await told(account(server))


async def test_a_server_that_hangs_is_given_up(server: OktaServer) -> None:
    server.hangs = True
    with pytest.raises(NoAnswer, match="did not answer in time"):
        await told(account(server, timeout=0.2))


async def test_a_server_that_dies_while_it_answers_is_no_answer(server: OktaServer) -> None:
    server.put(["mia@example.com"])
    server.dies = True
    with pytest.raises(NoAnswer, match="it cannot be reached"):
        await told(account(server))


async def test_all_calls_together_have_an_end(server: OktaServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LOOK_UP", 0.2)
    server.delay = 0.15
    with pytest.raises(NoAnswer, match="did not answer in time"):
        await told(account(server, timeout=5))


async def test_an_answer_that_is_too_long_is_not_read(server: OktaServer) -> None:
    server.answer = web.Response(body=b"[" + b" " * 5_000_000)
    with pytest.raises(NoAnswer, match="longer than 5 MB"):
        await told(account(server, timeout=5))


@pytest.mark.parametrize("name", ["", " dba", "dba\n", "d\x00ba", "x" * 256])
def test_what_cannot_be_the_name_of_a_group(name: str) -> None:
    assert "the id of a group" in Okta.group_flaw(name)


def test_a_config_takes_a_token_by_reference_and_no_plain_address() -> None:
    with pytest.raises(ValidationError, match="https://"):
        OktaConfig.model_validate({"token": TOKEN, "url": "http://example.okta.com"})
    config = {"token": "env:OKTA_TOKEN", "url": "https://example.okta.com"}
    with pytest.raises(Misconfigured, match="OKTA_TOKEN is not set"):
        registry.build("okta", config, {})
    assert TOKEN not in repr(registry.build("okta", config, {"OKTA_TOKEN": TOKEN}))
    assert not Okta.capabilities().shifts
