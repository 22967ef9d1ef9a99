"""People, user groups and channels are visible as far as the scopes allow; tokens and arguments are checked."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import SCOPES, LocalSlack
from bot.playground.methods import METHODS
from bot.playground.workspace import Kind
from tests.playground.conftest import CHANNEL, Clock, Json, client_of, modal, refused


@pytest.mark.parametrize(
    ("kind", "flags", "ours"),
    [
        ("member", set(), True),
        ("guest", {"is_restricted"}, True),
        ("single_channel_guest", {"is_restricted", "is_ultra_restricted"}, True),
        ("deactivated", {"deleted"}, True),
        ("bot", {"is_bot"}, True),
        ("stranger", {"is_stranger"}, False),
        ("external", set(), False),
    ],
)
async def test_each_kind_of_account_shows_what_it_is(
    client: AsyncWebClient, slack: LocalSlack, kind: Kind, flags: set[str], ours: bool
) -> None:
    slack.add_person("UXYZ", "Ann Other", "ann@example.com", kind, tz="Asia/Kolkata")
    user = (await client.users_info(user="UXYZ"))["user"]
    every = ("is_restricted", "is_ultra_restricted", "deleted", "is_bot", "is_stranger")
    assert {flag for flag in every if user[flag]} == flags
    assert (user["team_id"] == slack.team) is ours
    assert (user["tz"], user["tz_offset"]) == ("Asia/Kolkata", 19800)
    assert (user["real_name"], user["profile"]["email"]) == ("Ann Other", "ann@example.com")


async def test_e_mail_addresses_need_the_scope(client: AsyncWebClient, slack: LocalSlack) -> None:
    slack.scopes = [scope for scope in SCOPES if scope != "users:read.email"]
    assert "email" not in (await client.users_info(user="UMIA"))["user"]["profile"]
    assert (await refused(client.users_lookupByEmail(email="mia@example.com")))["error"] == "missing_scope"


async def test_active_people_are_found_by_e_mail_in_any_case(client: AsyncWebClient, slack: LocalSlack) -> None:
    assert (await client.users_lookupByEmail(email="MIA@example.com"))["user"]["id"] == "UMIA"
    slack.world.people["UMIA"].kind = "deactivated"
    assert (await refused(client.users_lookupByEmail(email="mia@example.com")))["error"] == "users_not_found"
    assert (await refused(client.users_info(user="UNOBODY")))["error"] == "user_not_found"


async def test_lists_come_in_pages(client: AsyncWebClient, slack: LocalSlack) -> None:
    pages = [[user["id"] for user in page["members"]] async for page in await client.users_list(limit=2)]
    assert [len(page) for page in pages] == [2, 2]
    assert {user for page in pages for user in page} == set(slack.world.people)
    members = [page["members"] async for page in await client.conversations_members(channel=CHANNEL, limit=2)]
    assert sorted(user for page in members for user in page) == sorted(["UDAN", "UMIA", slack.bot_user_id])
    for said, error in (({"cursor": "?"}, "invalid_cursor"), ({"limit": 1001}, "invalid_limit")):
        assert (await refused(client.conversations_members(channel=CHANNEL, **said)))["error"] == error


async def test_user_groups(client: AsyncWebClient, slack: LocalSlack) -> None:
    slack.add_usergroup("S0DBA", "dba", ["UDAN"])
    slack.add_usergroup("S0OLD", "old", ["UMIA"]).disabled = True
    assert [g["id"] for g in (await client.usergroups_list())["usergroups"]] == ["S0DBA"]
    assert "users" not in (await client.usergroups_list())["usergroups"][0]
    every = (await client.usergroups_list(include_users=True, include_disabled=True))["usergroups"]
    assert {g["id"]: g["users"] for g in every} == {"S0DBA": ["UDAN"], "S0OLD": ["UMIA"]}
    assert (await client.usergroups_users_list(usergroup="S0DBA"))["users"] == ["UDAN"]
    assert (await refused(client.usergroups_users_list(usergroup="S0OLD")))["error"] == "no_such_subteam"


async def test_channels_show_whether_they_are_shared(client: AsyncWebClient, slack: LocalSlack) -> None:
    slack.add_channel("C0SHARED", "shared", ext_shared=True, bot_inside=False)
    slack.add_channel("C0SOON", "soon", pending_ext_shared=True, archived=True)
    flags = ("is_ext_shared", "is_pending_ext_shared", "is_member", "is_archived")
    for id_, wanted in (
        (CHANNEL, (False, False, True, False)),
        ("C0SHARED", (True, False, False, False)),
        ("C0SOON", (False, True, True, True)),
    ):
        info = (await client.conversations_info(channel=id_))["channel"]
        assert tuple(info[flag] for flag in flags) == wanted


async def test_each_kind_of_channel_has_its_scope(client: AsyncWebClient, slack: LocalSlack) -> None:
    slack.add_channel("C0SECRET", "secret", private=True)
    dm = (await client.conversations_open(users="UMIA"))["channel"]["id"]
    assert (await refused(client.conversations_info(channel=dm)))["needed"] == "im:read"
    slack.scopes = ["channels:read"]
    assert (await client.conversations_info(channel=CHANNEL))["channel"]["name"] == "town"
    answer = await refused(client.conversations_info(channel="C0SECRET"))
    assert (answer["error"], answer["needed"], answer["provided"]) == ("missing_scope", "groups:read", "channels:read")


@pytest.mark.parametrize(
    ("users", "error"),
    [
        ("", "users_list_not_supplied"),
        ("UNOBODY", "user_not_found"),
        ("UGONE", "user_disabled"),
        ("UMIA,UDAN", "missing_scope"),
    ],
)
async def test_a_dm_that_cannot_be_opened(client: AsyncWebClient, slack: LocalSlack, users: str, error: str) -> None:
    slack.add_person("UGONE", "Gone", kind="deactivated")
    assert (await refused(client.conversations_open(users=users)))["error"] == error


async def test_the_bot_and_its_home(client: AsyncWebClient, slack: LocalSlack) -> None:
    ours = await client.auth_test()
    assert (ours["team_id"], ours["user_id"], ours["bot_id"]) == (slack.team, slack.bot_user_id, slack.bot_id)
    assert ours.headers["X-OAuth-Scopes"] == ",".join(SCOPES)
    assert (await client.bots_info(bot=slack.bot_id))["bot"]["user_id"] == slack.bot_user_id
    assert (await refused(client.bots_info(bot="B0OTHER")))["error"] == "bot_not_found"
    slack.scopes = [*SCOPES, "team:read"]
    assert (await client.team_info())["team"]["id"] == slack.team


async def test_who_is_away_and_who_is_not_to_be_disturbed(
    client: AsyncWebClient, slack: LocalSlack, clock: Clock
) -> None:
    slack.away, slack.snoozed = {"UMIA"}, {"UMIA": clock.now + 600, "UZOE": clock.now}
    slack.do_not_disturb = {"UDAN": (clock.now - 60, clock.now + 3600)}
    said = {who: (await client.users_getPresence(user=who))["presence"] for who in ("UMIA", "UDAN")}
    assert said == {"UMIA": "away", "UDAN": "active"}
    quiet = (await client.dnd_teamInfo(users="UMIA,UDAN,UZOE"))["users"]
    assert quiet["UDAN"] == {
        "dnd_enabled": True,
        "snooze_enabled": False,
        "next_dnd_start_ts": int(clock.now - 60),
        "next_dnd_end_ts": int(clock.now + 3600),
    }
    assert quiet["UMIA"]["dnd_enabled"] is False
    assert (quiet["UMIA"]["snooze_enabled"], quiet["UMIA"]["snooze_endtime"]) == (True, int(clock.now + 600))
    assert quiet["UZOE"]["snooze_enabled"] is False
    assert {"ok": True, **quiet["UMIA"]} == (await client.dnd_info(user="UMIA")).data


async def test_presence_and_do_not_disturb_that_slack_does_not_tell(client: AsyncWebClient, slack: LocalSlack) -> None:
    assert (await refused(client.users_getPresence(user="UNOBODY")))["error"] == "user_not_found"
    assert (await refused(client.dnd_teamInfo(users="UMIA,UNOBODY")))["error"] == "user_not_found"
    assert (await refused(client.dnd_teamInfo(users="")))["error"] == "no_users_provided"
    for n in range(51):
        slack.add_person(f"U{n:03}", f"Number {n}")
    everybody = [f"U{n:03}" for n in range(51)]
    assert len((await client.dnd_teamInfo(users=everybody[:50]))["users"]) == 50
    assert (await refused(client.dnd_teamInfo(users=everybody)))["error"] == "too_many_users"
    slack.scopes = [scope for scope in SCOPES if scope != "dnd:read"]
    answer = await refused(client.dnd_teamInfo(users="UMIA"))
    assert (answer["error"], answer["needed"]) == ("missing_scope", "dnd:read")


# tokens, scopes, arguments


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.scopes])
async def test_a_method_needs_its_scope(slack: LocalSlack, client: AsyncWebClient, method: str) -> None:
    if METHODS[method].caller == "app":
        assert (await refused(client.api_call(method)))["error"] == "not_allowed_token_type"
        return
    slack.scopes = ["commands"]
    answer = await refused(client.api_call(method))
    assert (answer["error"], answer["provided"]) == ("missing_scope", "commands")
    assert answer["needed"] == METHODS[method].scopes[0]


async def test_tokens(slack: LocalSlack, session: aiohttp.ClientSession) -> None:
    wrong = {"": "not_authed", "xoxb-wrong": "invalid_auth", slack.app_token: "not_allowed_token_type"}
    for token, error in wrong.items():
        assert (await refused(client_of(slack, session, token).auth_test()))["error"] == error
    opened = await client_of(slack, session, "").apps_connections_open(app_token=slack.app_token)
    assert opened["url"].startswith("ws://127.0.0.1:")
    async with session.post(f"{slack.api_url}auth.test", data={"token": slack.bot_token}) as answer:
        assert (await answer.json())["ok"]


async def test_no_token_is_remembered_or_shown(slack: LocalSlack, session: aiohttp.ClientSession) -> None:
    everywhere = {"token": slack.bot_token}
    headers = {"Authorization": f"Bearer {slack.bot_token}"}
    await session.post(f"{slack.api_url}auth.test", data=everywhere, headers=headers)
    await session.post(f"{slack.api_url}auth.test", json=everywhere)
    await session.post(f"{slack.api_url}api.test", params=everywhere)
    said = repr(slack) + repr(slack.calls) + repr(slack.delivery.sockets)
    assert len(slack.calls) == 3
    assert not any(secret in said for secret in (slack.bot_token, slack.app_token, slack.signing_secret))


@pytest.mark.parametrize(
    ("method", "said", "error"),
    [
        ("chat.explode", {}, "unknown_method"),
        ("chat.update", {"channel": CHANNEL}, "invalid_arguments"),
        ("users.info", {}, "invalid_arguments"),
        ("views.open", {"trigger_id": "1.2.a"}, "invalid_arguments"),
        ("views.open", {"view": modal()}, "invalid_arguments"),
        ("views.publish", {"user_id": "UNOBODY", "view": {"type": "home", "blocks": []}}, "invalid_arguments"),
        ("views.publish", {"user_id": "UMIA", "view": modal()}, "invalid_arguments"),
        ("api.test", {"error": "my_error"}, "my_error"),
    ],
)
async def test_a_call_that_is_malformed(client: AsyncWebClient, method: str, said: Json, error: str) -> None:
    form = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in said.items()}
    assert (await refused(client.api_call(method, data=form)))["error"] == error


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.caller != "app"])
async def test_junk_as_an_argument_is_refused_and_breaks_nothing(
    slack: LocalSlack, session: aiohttp.ClientSession, method: str
) -> None:
    headers = {"Authorization": f"Bearer {slack.bot_token}"}
    slack.scopes = [*SCOPES, "team:read"]
    junk: list[Any] = [[], {}, [[]], {"a": []}, 0, 1, True, ""]
    good: Json = {"channel": CHANNEL, "text": "x", "user": "UMIA", "user_id": "UMIA", "usergroup": "S0", "ts": "1.0"}
    good |= {"message_ts": "1.0", "email": "mia@example.com", "view": modal(), "trigger_id": "1.2.a", "users": "UMIA"}
    optional = ("blocks", "metadata", "thread_ts", "view_id", "external_id", "hash", "cursor", "limit", "bot")
    for name in (*good, *optional):
        for bad in junk:
            said = {**good, name: bad}
            form = {key: value if isinstance(value, str) else json.dumps(value) for key, value in said.items()}
            for body in ({"json": said}, {"data": form}):
                async with session.post(f"{slack.api_url}{method}", headers=headers, **body) as answer:
                    assert answer.status == 200, (said, await answer.text())


@pytest.mark.parametrize(("body", "error"), [("{", "invalid_json"), ("[]", "json_not_object")])
async def test_a_body_that_is_not_a_json_object(
    slack: LocalSlack, session: aiohttp.ClientSession, body: str, error: str
) -> None:
    headers = {"Authorization": f"Bearer {slack.bot_token}", "Content-Type": "application/json"}
    async with session.post(f"{slack.api_url}chat.postMessage", data=body, headers=headers) as answer:
        assert (await answer.json())["error"] == error


async def test_json_is_not_read_where_slack_does_not_offer_it(client: AsyncWebClient) -> None:
    assert (await refused(client.api_call("users.info", json={"user": "UMIA"})))["error"] == "invalid_arguments"
    assert (await client.api_call("users.info", data={"user": "UMIA"}))["ok"]


async def test_structures_are_json_or_form_fields(client: AsyncWebClient, slack: LocalSlack) -> None:
    metadata: dict[str, Any] = {"event_type": "a", "event_payload": {"id": "J-1"}}
    await client.api_call("chat.postMessage", json={"channel": CHANNEL, "text": "x", "metadata": metadata})
    form = {"channel": CHANNEL, "text": "x", "metadata": json.dumps(metadata)}
    await client.api_call("chat.postMessage", data=form)
    assert [m.metadata for m in slack.messages(CHANNEL)] == [metadata, metadata]
