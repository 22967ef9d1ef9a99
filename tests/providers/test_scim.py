"""SCIM 2.0: nested groups, addresses and faults of servers, on a real server and on one that has the faults."""

from __future__ import annotations

import asyncio
import base64
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from providers.directories import http, registry
from providers.directories.base import GroupAnswer, NoAnswer, Refused
from providers.directories.scim import Scim, ScimConfig
from providers.secret_refs import Misconfigured
from tests.providers.scim import PASSWORD, TOKEN, USERNAME, Faults, FaultyScim, RealScim, email, user


@pytest.fixture
async def server() -> AsyncIterator[FaultyScim]:
    server = FaultyScim()
    await server.start()
    yield server
    await server.stop()


def reader(url: str, **more: Any) -> Scim:
    return Scim(ScimConfig.model_validate({"token": TOKEN, "url": url, "timeout": 2, **more}))


def faulty(server: FaultyScim, **more: Any) -> Scim:
    return reader(f"{server.url}/scim/v2/", **more)


async def told(directory: Scim, group: str = "dba", *, check: bool = False) -> GroupAnswer:
    try:
        if check:
            await directory.check()
        return await directory.members(group, time.time())
    finally:
        await directory.close()


def whole(*people: str) -> GroupAnswer:
    return GroupAnswer(frozenset(people))


# The real server


@pytest.mark.parametrize("name", ["dba", 'DBA "nights" \\ Köln', 'x" or displayName sw "'])
async def test_a_group_is_found_by_its_id_or_its_very_name(real_scim: RealScim, name: str) -> None:
    mia, eve = real_scim.create_users([user("mia", email("Mia@Example.com")), user("eve", email("eve@example.com"))])
    id_ = real_scim.group(name, [mia])
    real_scim.group("another", [eve])
    for group in (name, f"id:{id_}"):
        assert await told(reader(real_scim.url), group) == whole("mia@example.com")


async def test_a_name_in_other_letters_or_of_two_groups_is_refused(real_scim: RealScim) -> None:
    [mia] = real_scim.create_users([user("mia", email("mia@example.com"))])
    real_scim.group("dba", [mia])
    with pytest.raises(Refused, match="no group of this name, in these very letters"):
        await told(reader(real_scim.url), "DBA")
    real_scim.group("DBA")
    assert await told(reader(real_scim.url), "dba") == whole("mia@example.com")
    real_scim.group("dba")
    with pytest.raises(Refused, match="more than one group of this name"):
        await told(reader(real_scim.url), "dba")


async def test_an_id_of_nothing_is_refused(real_scim: RealScim) -> None:
    with pytest.raises(Refused, match="there is no group nothing"):
        await told(reader(real_scim.url), "id:nothing")


async def test_people_of_the_groups_inside_are_in_it_and_a_circle_ends(real_scim: RealScim) -> None:
    mia, dan, kim = real_scim.create_users([user(name, email(f"{name}@example.com")) for name in ("mia", "dan", "kim")])
    inner = real_scim.group("inner", [kim])
    middle = real_scim.group("middle", [dan, mia], [inner])
    outer = real_scim.group("dba", [mia], [middle])
    circle = {"op": "add", "path": "members", "value": [{"value": outer, "type": "Group"}]}
    patch = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [circle]}
    real_scim.call("PATCH", f"Groups/{inner}", patch)
    assert await told(reader(real_scim.url)) == whole("mia@example.com", "dan@example.com", "kim@example.com")
    assert await told(reader(real_scim.url), "inner") == whole("mia@example.com", "dan@example.com", "kim@example.com")


async def test_whoever_is_not_active_is_no_member_and_needs_no_address(real_scim: RealScim) -> None:
    people = [user("mia", email("mia@example.com")), user("dan", email("dan@example.com"), active=False)]
    ids = real_scim.create_users([*people, user("eve", active=False)])
    real_scim.group("dba", ids)
    assert await told(reader(real_scim.url)) == whole("mia@example.com")


@pytest.mark.parametrize(
    ("emails", "address"),
    [
        ([email("a@x.io", "work"), email("b@x.io", "home", primary=False)], "a@x.io"),
        ([email("a@x.io", "work", primary=False), email("b@x.io", "home")], "b@x.io"),
        ([email("a@x.io", "work", primary=False), email("b@x.io", "home", primary=False)], "a@x.io"),
        ([email("a@x.io", "", primary=False), email("b@x.io", "home", primary=False)], "a@x.io"),
        ([email("a@x.io", "work", primary=False), email("b@x.io", "work", primary=False)], None),
        ([email("b@x.io", "home", primary=False)], None),
        ([], None),
    ],
)
async def test_the_primary_address_counts_else_the_one_at_work(
    real_scim: RealScim, emails: list[dict[str, Any]], address: str | None
) -> None:
    real_scim.group("dba", real_scim.create_users([user("mia", *emails)]))
    assert await told(reader(real_scim.url)) == GroupAnswer(
        frozenset({address} if address else ()), whole=bool(address)
    )


async def test_whether_somebody_is_active_has_to_be_said(real_scim: RealScim) -> None:
    real_scim.group("dba", real_scim.create_users([user("mia", email("mia@example.com"), active=None)]))
    assert await told(reader(real_scim.url)) == GroupAnswer(frozenset(), whole=False)


async def test_a_user_or_a_group_inside_that_is_gone_makes_it_not_whole(real_scim: RealScim) -> None:
    mia, dan = real_scim.create_users([user("mia", email("mia@example.com")), user("dan", email("dan@example.com"))])
    inner = real_scim.group("inner")
    real_scim.group("dba", [mia, dan])
    real_scim.group("web", [mia], [inner])
    real_scim.call("DELETE", f"Users/{dan}")
    real_scim.call("DELETE", f"Groups/{inner}")
    for group in ("dba", "web"):
        assert await told(reader(real_scim.url), group) == GroupAnswer(frozenset({"mia@example.com"}), whole=False)


@pytest.mark.parametrize("check", [False, True])
async def test_a_wrong_token_is_a_definite_no_that_does_not_show_it(real_scim: RealScim, check: bool) -> None:
    with pytest.raises(Refused, match="401 Unauthorized: see the token") as said:
        await told(reader(real_scim.url, token="another-token"), check=check)
    assert "another-token" not in f"{said.value}{said.value.__cause__}"


async def test_a_wrong_address_is_a_definite_no(real_scim: RealScim) -> None:
    with pytest.raises(Refused, match="404 Not Found: see `url`"):
        await told(reader(f"{real_scim.url}/nothing"), check=True)


async def test_a_server_that_is_stopped_for_a_while_is_given_up(real_scim: RealScim) -> None:
    real_scim.group("dba")
    assert real_scim.process is not None
    real_scim.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(NoAnswer, match="did not answer in time"):
            await told(reader(real_scim.url, timeout=0.3))
    finally:
        real_scim.process.send_signal(signal.SIGCONT)
    assert await told(reader(real_scim.url)) == whole()


# What others do


@pytest.mark.parametrize(
    "faults",
    [
        Faults(keeps_members=True),
        Faults(page=7),
        Faults(page=1, lies=0),
        Faults(lies=0),
        Faults(lies=100_000),
        Faults(repeats=True),
        Faults(repeats=True, page=7),
        Faults(filters=("displayName",)),
        Faults(filters=("displayName",), unfiltered=501),
        Faults(filters=("displayName",), unfiltered=403),
        Faults(filters=(), unfiltered=200),
        Faults(filters=(), unfiltered=200, page=3),
        Faults(unlisted=("active", "emails")),
        Faults(unlisted=("active",)),
        Faults(unlisted=("emails",)),
        Faults(typed=False),
        Faults(typed=False, references=True),
        Faults(typed=False, filters=("displayName",)),
    ],
    ids=str,
)
async def test_whatever_a_server_leaves_out_everybody_is_told(server: FaultyScim, faults: Faults) -> None:
    server.put("others", *(f"other{n}@example.com" for n in range(9)))
    server.put("dba", *(f"person{n}@example.com" for n in range(30)))
    server.put("inner", "kim@example.com", "person1@example.com")
    server.nest("dba", "inner")
    server.nest("inner", "dba")
    server.faults = faults
    people = {*(f"person{n}@example.com" for n in range(30)), "kim@example.com"}
    assert await told(faulty(server)) == whole(*people)


async def test_members_without_a_kind_are_no_danger_where_an_id_is_of_nothing(server: FaultyScim) -> None:
    server.put("dba", "mia@example.com")
    server.groups["g-dba"]["members"].append({"value": "gone", "type": "User"})
    assert await told(faulty(server)) == GroupAnswer(frozenset({"mia@example.com"}), whole=False)
    server.faults.typed = False
    assert await told(faulty(server)) == GroupAnswer(frozenset({"mia@example.com"}), whole=False)
    server.groups["g-dba"]["members"][-1] = {"value": "gone", "type": "Group"}
    server.faults.typed = True
    assert await told(faulty(server)) == GroupAnswer(frozenset({"mia@example.com"}), whole=False)


@pytest.mark.parametrize("typed", [True, False])
async def test_what_a_member_is_said_to_be_is_what_it_is_read_as(server: FaultyScim, typed: bool) -> None:
    server.users["same"] = user("eve", email("eve@example.com"))
    server.put("inner", "kim@example.com")
    server.groups["same"] = server.groups.pop("g-inner")
    server.put("dba")
    server.faults = Faults(typed=typed, references=True)
    server.groups["g-dba"]["members"] = [{"value": "same", "type": "Group"}]
    assert await told(faulty(server)) == whole("kim@example.com")
    server.groups["g-dba"]["members"] = [{"value": "same", "type": "User"}]
    assert await told(faulty(server)) == whole("eve@example.com")
    del server.users["same"]
    assert await told(faulty(server)) == GroupAnswer(frozenset(), whole=False)


async def test_people_on_more_than_one_page_are_read_together(server: FaultyScim) -> None:
    server.put("dba", *(f"person{n}@example.com" for n in range(120)))
    server.faults = Faults(page=10)
    assert await told(faulty(server)) == whole(*(f"person{n}@example.com" for n in range(120)))
    assert not [call for call in server.calls if "/Users/" in call]


async def test_another_group_or_user_than_was_asked_for_is_no_answer(server: FaultyScim) -> None:
    server.put("dba", "mia@example.com")
    server.faults = Faults(filters=("displayName",))
    other = {"id": "other", "active": True, "emails": [email("eve@example.com")], "members": [{"value": "u0"}]}
    for path in ("Groups/g-dba", "Users/u0"):
        server.instead = {f"/scim/v2/{path}": web.json_response(other)}
        with pytest.raises(NoAnswer, match=r"something else than SCIM 2\.0"):
            await told(faulty(server))


async def test_a_member_that_is_neither_a_user_nor_a_group_makes_it_not_whole(server: FaultyScim) -> None:
    server.put("dba", "mia@example.com")
    server.groups["g-dba"]["members"].append({"value": "printer", "type": "Device"})
    assert await told(faulty(server)) == GroupAnswer(frozenset({"mia@example.com"}), whole=False)


async def test_a_server_that_never_lists_members_has_no_empty_group(server: FaultyScim) -> None:
    server.put("dba", "mia@example.com")
    server.faults.never_members = True
    with pytest.raises(NoAnswer, match="keeps `members` back"):
        await told(faulty(server))


@pytest.mark.parametrize("unfiltered", [400, 501, 200])
async def test_an_empty_group_is_one_whatever_the_server_can_filter(server: FaultyScim, unfiltered: int) -> None:
    server.put("others", "eve@example.com")
    server.put("dba")
    server.faults = Faults(filters=("displayName",), unfiltered=unfiltered)
    assert await told(faulty(server)) == whole()


async def test_whoever_was_put_into_other_groups_is_not_looked_up_twice(server: FaultyScim) -> None:
    [mia] = server.put("dba", "mia@example.com")
    server.put("inner")
    server.groups["g-inner"]["members"] = [{"value": mia, "type": "User"}]
    server.nest("dba", "inner")
    await told(faulty(server))
    assert len([call for call in server.calls if "/Users" in call]) == 1


async def test_a_name_that_can_be_on_more_pages_than_are_read_is_no_answer(server: FaultyScim) -> None:
    for n in range(6):
        server.put(f"group{n}")
    server.put("dba", "mia@example.com")
    server.faults = Faults(filters=(), unfiltered=200, page=1)
    with pytest.raises(NoAnswer, match="more groups than are read for one name: write `group:` with `id:`"):
        await told(faulty(server))
    assert await told(faulty(server), "id:g-dba") == whole("mia@example.com")


async def test_the_second_of_a_name_is_found_behind_a_total_that_is_wrong(server: FaultyScim) -> None:
    server.put("dba", "mia@example.com")
    server.groups["g-2"] = {"displayName": "dba", "members": []}
    server.faults = Faults(page=1, lies=1)
    with pytest.raises(Refused, match="more than one group of this name"):
        await told(faulty(server))


async def test_a_server_that_finds_no_names_says_how_to_write_the_group(server: FaultyScim) -> None:
    server.put("dba", "mia@example.com")
    server.faults = Faults(filters=())
    with pytest.raises(Refused, match="write `id:` and the id"):
        await told(faulty(server))


async def test_no_more_than_a_hundred_are_read_one_by_one(server: FaultyScim) -> None:
    server.faults = Faults(filters=("displayName",))
    server.put("dba", *(f"person{n}@example.com" for n in range(100)))
    assert (await told(faulty(server))).whole
    server.put("dba", "one@example.com")
    answer = await told(faulty(server))
    assert (len(answer.people), answer.whole) == (100, False)


async def test_more_people_than_are_read_are_not_everybody(server: FaultyScim) -> None:
    server.put("dba", *(f"person{n}@example.com" for n in range(2_001)))
    assert await told(faulty(server)) == GroupAnswer(frozenset(), whole=False)
    assert not [call for call in server.calls if "/Users" in call]


async def test_more_groups_in_a_group_than_are_read_are_not_everybody(server: FaultyScim) -> None:
    server.put("dba", "mia@example.com")
    for n in range(51):
        server.put(f"inner{n}")
        server.nest("dba", f"inner{n}")
    assert await told(faulty(server)) == GroupAnswer(frozenset({"mia@example.com"}), whole=False)
    server.groups["g-dba"]["members"].pop()
    assert await told(faulty(server)) == whole("mia@example.com")


async def test_ids_that_are_long_are_still_looked_up(server: FaultyScim) -> None:
    server.put("dba")
    for n in range(60):
        id_ = f"{n:03}{'x' * 250}"
        server.users[id_] = user(id_, email(f"person{n}@example.com"))
        server.groups["g-dba"]["members"].append({"value": id_, "type": "User"})
    assert await told(faulty(server)) == whole(*(f"person{n}@example.com" for n in range(60)))
    assert not [call for call in server.calls if "/Users/" in call]


@pytest.mark.parametrize(
    "member",
    [
        1,
        {},
        {"value": 1},
        {"value": ""},
        {"value": "../Groups"},
        {"value": "..", "type": "User"},
        {"value": 'x" or active eq true or id eq "', "type": "User"},
        {"value": "x" * 256, "type": "User"},
    ],
)
async def test_a_member_whose_id_is_none_is_no_answer(server: FaultyScim, member: Any) -> None:
    server.put("dba", "mia@example.com")
    server.groups["g-dba"]["members"].append(member)
    with pytest.raises(NoAnswer, match=r"something else than SCIM 2\.0"):
        await told(faulty(server))


@pytest.mark.parametrize("id_", ["../Users", "..", "a b", "a/b", "", 7])
async def test_a_group_whose_id_is_none_is_no_answer(server: FaultyScim, id_: Any) -> None:
    server.groups[id_] = {"displayName": "dba", "members": []}
    with pytest.raises(NoAnswer, match=r"something else than SCIM 2\.0"):
        await told(faulty(server))
    assert not [call for call in server.calls if "/Groups?" not in call]


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{}",
        '{"totalResults": 1}',
        '{"totalResults": 1, "Resources": {}}',
        '{"totalResults": 1, "Resources": [1]}',
        '{"totalResults": 1, "Resources": [{"displayName": "dba"}]}',
        "[" * 100_000,
        "<html>",
    ],
)
async def test_a_list_that_is_none_of_the_protocol_is_no_answer(server: FaultyScim, body: str) -> None:
    server.answer = web.json_response(text=body)
    with pytest.raises(NoAnswer, match=r"something else than SCIM 2\.0"):
        await told(faulty(server))


@pytest.mark.parametrize(
    "body", ["[]", "{}", '{"id": "other"}', '{"id": "g", "members": {}}', '{"id": "g", "members": 0}']
)
async def test_a_group_that_is_none_of_the_protocol_is_no_answer(server: FaultyScim, body: str) -> None:
    server.answer = web.json_response(text=body)
    with pytest.raises(NoAnswer, match=r"something else than SCIM 2\.0"):
        await told(faulty(server), "id:g")


async def test_an_account_is_a_token_or_a_name_and_a_password(server: FaultyScim) -> None:
    server.put("dba", "mia@example.com")
    basic = {"token": None, "username": USERNAME, "password": PASSWORD}
    assert await told(faulty(server, **basic), check=True) == whole("mia@example.com")
    with pytest.raises(Refused, match="or `username` and `password`") as said:
        await told(faulty(server, **basic | {"password": "another-password"}))
    shown = f"{said.value}{said.value.__cause__}{faulty(server, **basic)!r}"
    assert PASSWORD not in shown
    assert "another-password" not in shown
    assert base64.b64encode(b"another-password").decode()[:8] not in shown


async def test_an_account_without_rights_is_a_definite_no(server: FaultyScim) -> None:
    server.answer = web.Response(status=403)
    for check in (False, True):
        with pytest.raises(Refused, match="403 Forbidden: see the rights of the account"):
            await told(faulty(server), check=check)


async def test_the_check_asks_for_groups_and_users(server: FaultyScim) -> None:
    server.put("dba", "mia@example.com")
    await told(faulty(server), check=True)
    assert [call.partition("?")[0] for call in server.calls[:2]] == ["/scim/v2/Groups", "/scim/v2/Users"]


@pytest.mark.parametrize("status", [500, 502, 503, 301])
async def test_every_other_answer_is_no_answer(server: FaultyScim, status: int) -> None:
    server.answer = web.Response(status=status, headers={"Location": "http://127.0.0.1:1/"} if status == 301 else {})
    with pytest.raises(NoAnswer, match=str(status)):
        await told(faulty(server))


async def test_a_limit_says_when_to_ask_again(server: FaultyScim) -> None:
    server.answer = web.Response(status=429, headers={"Retry-After": "33"})
    with pytest.raises(NoAnswer) as said:
        await told(faulty(server))
    assert said.value.after == 33


async def test_a_server_that_dies_while_it_answers_is_no_answer(server: FaultyScim) -> None:
    server.put("dba", "mia@example.com")
    server.dies = True
    with pytest.raises(NoAnswer, match="it cannot be reached"):
        await told(faulty(server))


async def test_all_calls_together_have_an_end(server: FaultyScim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LOOK_UP", 0.2)
    server.put("dba", "mia@example.com")
    server.delay = 0.15
    with pytest.raises(NoAnswer, match="it did not answer in time"):
        await told(faulty(server, timeout=5))


async def test_whoever_gives_up_a_look_is_not_told_of_a_time_limit(server: FaultyScim) -> None:
    server.hangs = True
    look = asyncio.create_task(told(faulty(server, timeout=5)))
    await server.called.wait()
    look.cancel()
    with pytest.raises(asyncio.CancelledError):
        await look


async def test_an_answer_that_is_too_long_is_not_read(server: FaultyScim) -> None:
    server.answer = web.Response(body=b"{" + b" " * 5_000_000)
    with pytest.raises(NoAnswer, match="longer than 5 MB"):
        await told(faulty(server, timeout=5))


@pytest.mark.parametrize("name", ["", " dba", "dba\n", "x" * 256, "id:", "id:a b", "id:../x", "id:.."])
def test_what_cannot_be_the_name_of_a_group(name: str) -> None:
    assert "id:" in Scim.group_flaw(name)


def test_a_config_is_one_account_by_reference_at_no_plain_address() -> None:
    address = "https://id.example.com/scim/v2"
    with pytest.raises(ValidationError, match="https://"):
        ScimConfig.model_validate({"token": TOKEN, "url": "http://id.example.com/scim/v2"})
    for account in (
        {},
        {"username": USERNAME},
        {"password": PASSWORD},
        {"token": TOKEN, "username": USERNAME},
        {"token": TOKEN, "username": USERNAME, "password": PASSWORD},
    ):
        with pytest.raises(ValidationError, match="either `token`, or `username` and `password`") as said:
            ScimConfig.model_validate({"url": address, **account})
        assert PASSWORD not in str(said.value)
    config = {"url": address, "token": "env:SCIM_TOKEN"}
    with pytest.raises(Misconfigured, match="SCIM_TOKEN is not set"):
        registry.build("scim", config, {})
    assert TOKEN not in repr(registry.build("scim", config, {"SCIM_TOKEN": TOKEN}))
    assert not Scim.capabilities().shifts
