"""Google Workspace: who counts as being in a group, how nested groups are followed, and what each answer means."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from providers.directories import http, registry
from providers.directories.base import GroupAnswer, NoAnswer, Refused
from providers.directories.google import MOST_CALLS, GoogleConfig, GoogleWorkspace
from providers.secret_refs import Misconfigured
from tests.providers.google import ADMIN, GROUP, GROUP_ID, GoogleServer, failed, key_file
from tests.providers.oauth import key, other_key, pem

INNER, OTHER = "01innerinnerinn", "02otherotheroth"


@pytest.fixture
async def server() -> AsyncIterator[GoogleServer]:
    server = GoogleServer()
    await server.start()
    yield server
    await server.stop()


def organization(server: GoogleServer, **more: Any) -> GoogleWorkspace:
    place = {"url": server.url, "token_url": f"{server.url}/token", "timeout": 1}
    return GoogleWorkspace(GoogleConfig.model_validate({"key": key_file(), "subject": ADMIN, **place, **more}))


async def told(directory: GoogleWorkspace, group: str = GROUP, *, check: bool = False) -> GroupAnswer:
    try:
        if check:
            await directory.check()
        return await directory.members(group, time.time())
    finally:
        await directory.close()


async def test_a_group_is_found_by_its_address_and_by_its_id(server: GoogleServer) -> None:
    server.put(["mia@example.com"])
    for group in (GROUP, GROUP_ID):
        assert await told(organization(server), group) == GroupAnswer(frozenset({"mia@example.com"}))


async def test_nested_groups_are_followed_and_circles_end(server: GoogleServer) -> None:
    server.put(["mia@example.com"])
    server.members[GROUP_ID] += [server.nested(INNER), server.nested(OTHER)]
    server.put(["dan@example.com", "mia@example.com"], INNER)
    server.put(["kim@example.com"], OTHER)
    server.members[INNER] += [server.nested(GROUP_ID), server.nested(INNER), server.nested(OTHER)]
    found = await told(organization(server))
    assert found == GroupAnswer(frozenset({"mia@example.com", "dan@example.com", "kim@example.com"}))


@pytest.mark.parametrize("theirs", [True, False])
async def test_a_nested_group_that_cannot_be_read_is_not_an_empty_one(server: GoogleServer, theirs: bool) -> None:
    server.put(["mia@example.com"])
    server.members[GROUP_ID].append(server.nested(INNER, "team@example.org"))
    if theirs:
        server.ids["team@example.org"] = INNER
    assert await told(organization(server)) == GroupAnswer(frozenset({"mia@example.com"}), whole=False)


async def test_a_suspended_or_archived_account_is_nobody(server: GoogleServer) -> None:
    server.put(["mia@example.com"])
    server.members[GROUP_ID] += [
        server.user("dan@example.com", status="SUSPENDED"),
        server.user("kim@example.com", status="ARCHIVED"),
        server.user("eve@example.org", status="SUSPENDED"),
    ]
    for external in (False, True):
        found = await told(organization(server, external=external))
        assert found == GroupAnswer(frozenset({"mia@example.com"}))


@pytest.mark.parametrize(
    "unknown",
    [
        {"type": "CUSTOMER", "email": None},
        {"type": "CUSTOMER"},
        {"type": "ROBOT"},
        {"type": "GROUP", "id": "../users"},
        {"type": "GROUP", "id": None},
        {"status": None},
        {"status": "PENDING"},
        {"status": 7},
        {"email": "no address"},
    ],
)
async def test_of_whom_nothing_sure_is_known_is_nobody_and_makes_it_not_whole(
    server: GoogleServer, unknown: dict[str, Any]
) -> None:
    server.put(["mia@example.com"])
    server.members[GROUP_ID].append(server.user("eve@example.com", **unknown))
    for external in (False, True):
        found = await told(organization(server, external=external))
        assert found == GroupAnswer(frozenset({"mia@example.com"}), whole=False)
    assert all(f"/groups/{GROUP}/" in call or "/token" in call for call in server.calls)


OUTSIDE: list[dict[str, Any]] = [{}, {"status": None}, {"type": "EXTERNAL"}, {"type": "EXTERNAL", "status": None}]


@pytest.mark.parametrize("about", OUTSIDE)
async def test_people_of_other_organizations_count_only_where_the_config_says_so(
    server: GoogleServer, about: dict[str, Any]
) -> None:
    server.put(["mia@example.com"])
    server.members[GROUP_ID].append(server.user("eve@example.org", **about))
    assert await told(organization(server)) == GroupAnswer(frozenset({"mia@example.com"}), whole=False)
    both = GroupAnswer(frozenset({"mia@example.com", "eve@example.org"}))
    assert await told(organization(server, external=True)) == both
    ours = await told(organization(server, domains=["Example.com", "example.org"]))
    assert ours == (both if about == {} else GroupAnswer(frozenset({"mia@example.com"}), whole=False))


async def test_a_group_that_is_not_there_is_refused_by_its_name(server: GoogleServer) -> None:
    with pytest.raises(Refused, match=r"no group nobody@example\.com"):
        await told(organization(server), "nobody@example.com")


async def test_a_404_that_is_not_of_the_api_is_no_answer(server: GoogleServer) -> None:
    server.answer = web.Response(status=404, text="<html>no such page</html>")
    with pytest.raises(NoAnswer, match="404"):
        await told(organization(server))


@pytest.mark.parametrize("reason", ["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"])
async def test_a_limit_is_no_answer_even_where_it_is_said_as_a_403(server: GoogleServer, reason: str) -> None:
    server.answer = failed(403, reason, "usageLimits", {"Retry-After": "33"})
    with pytest.raises(NoAnswer, match="too much is asked") as said:
        await told(organization(server))
    assert said.value.after == 33


async def test_a_limit_within_a_nested_group_is_no_answer_either(server: GoogleServer) -> None:
    server.members[GROUP_ID].append(server.nested(INNER))
    server.put(["mia@example.com"], INNER)
    server.nested_answer = failed(403, "quotaExceeded", "usageLimits")
    with pytest.raises(NoAnswer, match="too much is asked"):
        await told(organization(server))


@pytest.mark.parametrize("status", [429, 503])
async def test_a_limit_says_when_to_ask_again(server: GoogleServer, status: int) -> None:
    server.answer = failed(status, "rateLimitExceeded", headers={"Retry-After": "33"})
    with pytest.raises(NoAnswer) as said:
        await told(organization(server))
    assert said.value.after == 33


async def test_a_subject_who_may_not_read_groups_is_a_definite_no(server: GoogleServer) -> None:
    with pytest.raises(Refused, match="403 Forbidden: `subject` has to be an administrator"):
        await told(organization(server, subject="eve@example.com"))


@pytest.mark.parametrize("form", ["errors", "details"])
async def test_an_api_that_is_off_is_a_definite_no_that_says_so(server: GoogleServer, form: str) -> None:
    server.enabled = False
    if form == "details":
        cause = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}
        server.answer = web.json_response({"error": {"code": 403, "details": [cause, 7]}}, status=403)
    with pytest.raises(Refused, match="enable the Admin SDK API"):
        await told(organization(server))


@pytest.mark.parametrize("status", [400, 500, 502, 504, 301])
async def test_every_other_answer_is_no_answer(server: GoogleServer, status: int) -> None:
    server.answer = failed(status, "backendError", headers={"Location": server.url} if status == 301 else {})
    with pytest.raises(NoAnswer, match=str(status)):
        await told(organization(server))


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"key": "another"}, "see `key`"),
        ({"subject": "nobody@example.com"}, "`subject`"),
    ],
)
async def test_a_wrong_key_or_subject_is_a_definite_no(
    server: GoogleServer, changed: dict[str, str], said: str, check: bool
) -> None:
    changed = {**changed, **({"key": key_file(private_key=pem(other_key()))} if "key" in changed else {})}
    with pytest.raises(Refused, match=rf"\(invalid_grant\): .*{said}") as error:
        await told(organization(server, **changed), check=check)
    assert "PRIVATE KEY" not in f"{error.value}{error.value.__cause__}"


async def test_a_scope_that_is_not_delegated_is_a_definite_no_that_names_it(server: GoogleServer) -> None:
    server.delegated = set()
    with pytest.raises(Refused, match=r"admin\.directory\.group\.member\.readonly in the domain-wide delegation"):
        await told(organization(server), check=True)


@pytest.mark.parametrize("ahead", [3600.0, -3600.0])
async def test_a_clock_that_is_wrong_is_named(server: GoogleServer, ahead: float) -> None:
    server.clock_ahead = ahead
    with pytest.raises(Refused, match="this machine's clock"):
        await told(organization(server))


async def test_a_token_that_expired_is_replaced_and_one_that_is_never_taken_is_a_definite_no(
    server: GoogleServer,
) -> None:
    server.put(["mia@example.com"])
    directory = organization(server)
    await directory.members(GROUP, 0.0)
    server.tokens.clear()
    assert (await directory.members(GROUP, 0.0)).people == {"mia@example.com"}
    server.answer = failed(401, "authError")
    with pytest.raises(Refused, match="401 Unauthorized: it does not take the token"):
        await told(directory)


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{}",
        "[" * 100_000,
        '{"kind": "admin#directory#groups", "members": []}',
        '{"kind": "admin#directory#members", "members": {}}',
        '{"kind": "admin#directory#members", "members": null}',
        '{"kind": "admin#directory#members", "members": [1]}',
        '{"kind": "admin#directory#members", "members": [{"email": "eve@example.com", "status": "ACTIVE"}]}',
        '{"kind": "admin#directory#members", "nextPageToken": 7}',
        json.dumps({"kind": "admin#directory#members", "nextPageToken": "x" * 4_001}),
    ],
)
async def test_json_that_is_none_of_the_api_is_no_answer(server: GoogleServer, body: str) -> None:
    server.answer = web.json_response(text=body)
    with pytest.raises(NoAnswer, match="something else than Google's Directory API"):
        await told(organization(server))


async def test_a_list_that_comes_round_again_is_no_answer(server: GoogleServer) -> None:
    server.put(["mia@example.com"])
    server.page_token = "from-0"
    with pytest.raises(NoAnswer, match="never ends"):
        await told(organization(server))


async def test_more_lists_than_are_read_are_not_everybody(server: GoogleServer) -> None:
    for n in range(MOST_CALLS):
        below = f"{n:015}"
        server.put(["mia@example.com"], below)
        if n < MOST_CALLS - 2:
            server.members[below].append(server.nested(f"{n + 1:015}"))
    server.members[GROUP_ID] = [server.nested(f"{0:015}")]
    assert (await told(organization(server))).whole
    server.members[f"{MOST_CALLS - 2:015}"].append(server.nested(f"{MOST_CALLS - 1:015}"))
    server.calls.clear()
    assert not (await told(organization(server))).whole
    assert len(server.calls) == MOST_CALLS + 1, "a token, and the lists"


async def test_a_server_that_hangs_or_says_too_much_is_given_up(server: GoogleServer) -> None:
    server.answer = web.Response(body=b"x" * 5_000_001)
    with pytest.raises(NoAnswer, match="longer than 5 MB"):
        await told(organization(server, timeout=5))
    server.hangs = True
    with pytest.raises(NoAnswer, match="did not answer in time"):
        await told(organization(server, timeout=0.2))


async def test_a_server_that_is_slow_all_along_is_given_up(
    server: GoogleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LOOK_UP", 0.3)
    server.delay = 0.2
    with pytest.raises(NoAnswer, match="did not answer in time"):
        await told(organization(server))


async def test_a_server_that_closes_the_connection_is_no_answer(server: GoogleServer) -> None:
    gone = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = gone.sockets[0].getsockname()[1]
    with pytest.raises(NoAnswer, match="without an answer"):
        await told(organization(server, url=f"http://127.0.0.1:{port}"))
    gone.close()
    await gone.wait_closed()


def test_a_config_takes_its_key_by_reference(tmp_path: Path) -> None:
    config = {"key": f"file:{tmp_path / 'key.json'}", "subject": ADMIN}
    with pytest.raises(Misconfigured, match="cannot be read"):
        registry.build("google", config, {})
    (tmp_path / "key.json").write_text(key_file(), encoding="utf-8")
    assert "PRIVATE KEY" not in repr(registry.build("google", config, {}))
    (tmp_path / "key.json").write_text(key_file(more="x" * 64_000), encoding="utf-8")
    with pytest.raises(Misconfigured, match="over 64 kB"):
        registry.build("google", config, {})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"key": "hunter2"}, "no key file"),
        ({"key": "[" * 100_000}, "no key file"),
        ({"key": '["hunter2"]'}, "no key file"),
        ({"key": '{"type": "authorized_user", "client_secret": "hunter2"}'}, "no key file"),
        ({"key": '{"type": "service_account", "private_key": "hunter2"}'}, "lacks `client_email`"),
        ({"key": '{"type": "service_account", "client_email": "a@b.c", "private_key": "hunter2"}'}, "no private key"),
        ({"subject": "hunter2"}, "no e-mail address"),
        ({"domains": ["hunter2"]}, "no domain"),
        ({"url": "http://admin.googleapis.com"}, "https://"),
        ({"token_url": "http://oauth2.googleapis.com/token"}, "https://"),
    ],
)
def test_a_config_that_cannot_be_used_is_refused_without_its_values(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as error:
        GoogleConfig.model_validate({"key": key_file(), "subject": ADMIN, **changed})
    assert "hunter2" not in str(error.value)


def test_the_key_file_does_not_say_where_its_assertion_goes() -> None:
    config = GoogleConfig.model_validate({"key": key_file(token_uri="https://evil.example.org/"), "subject": ADMIN})
    assert config.token_url == "https://oauth2.googleapis.com/token"
    assert pem(key()) not in repr(config)
