"""The local Slack as one team of an Enterprise Grid, and as an organisation with one app for all its teams."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import LocalSlack
from tests.playground.conftest import client_of, refused

OURS, OTHER, CLOSED, ORG = "T0OURS001", "T0OTHER01", "T0CLOSED1", "E0LOCAL01"


@pytest.fixture(params=["team", "organisation"])
async def slack(request: pytest.FixtureRequest) -> AsyncIterator[LocalSlack]:
    whole = request.param == "organisation"
    async with LocalSlack(team=OURS, enterprise=ORG, organisation=whole, granted={OURS, OTHER}) as slack:
        slack.add_person("WMIA", "Mia", "mia@example.com", team=OTHER, teams=[OURS, OTHER])
        slack.add_person("USTRANGE", "Strange", kind="stranger")
        slack.add_usergroup("S0OURS001", "ours", ["WMIA"], team=OURS)
        slack.add_usergroup("S0OTHER01", "other", ["WMIA"], team=OTHER)
        slack.add_channel("C0OURS001", "ours", ["WMIA"])
        slack.add_channel("C0CLOSED1", "closed", ["WMIA"], team=CLOSED)
        yield slack


@pytest.fixture
async def client(slack: LocalSlack) -> AsyncIterator[AsyncWebClient]:
    async with aiohttp.ClientSession() as session:
        yield client_of(slack, session)


async def test_auth_test_names_the_organisation(slack: LocalSlack, client: AsyncWebClient) -> None:
    told = await client.auth_test()
    assert told["enterprise_id"] == ORG
    assert told["is_enterprise_install"] is slack.organisation
    assert told["team_id"] == (ORG if slack.organisation else OURS)


async def test_an_account_has_its_teams(client: AsyncWebClient) -> None:
    mia = (await client.users_info(user="WMIA"))["user"]
    assert mia["team_id"] == OTHER
    assert (mia["enterprise_user"]["enterprise_id"], mia["enterprise_user"]["teams"]) == (ORG, [OURS, OTHER])
    strange = (await client.users_info(user="USTRANGE"))["user"]
    assert strange["is_stranger"]
    assert strange["enterprise_user"]["enterprise_id"] != ORG


async def test_an_organisations_token_names_the_team(slack: LocalSlack, client: AsyncWebClient) -> None:
    for method, more in (
        ("usergroups.list", {}),
        ("usergroups.users.list", {"usergroup": "S0OURS001"}),
        ("users.list", {}),
    ):
        if slack.organisation:
            assert (await refused(client.api_call(method, params=more)))["error"] == "missing_argument"
            closed = client.api_call(method, params={**more, "team_id": CLOSED})
            assert (await refused(closed))["error"] == "team_access_not_granted"
        assert (await client.api_call(method, params={**more, "team_id": OURS}))["ok"]


async def test_a_user_group_belongs_to_one_team(slack: LocalSlack, client: AsyncWebClient) -> None:
    ours = (await client.usergroups_list(team_id=OURS, include_users=True))["usergroups"]
    assert [(group["id"], group["users"]) for group in ours] == [("S0OURS001", ["WMIA"])]
    other = client.usergroups_users_list(usergroup="S0OTHER01", team_id=OURS)
    assert (await refused(other))["error"] == "no_such_subteam"


async def test_payloads_name_organisation_and_team(slack: LocalSlack) -> None:
    mia, whole = slack.person("WMIA"), slack.organisation
    command = mia.command_payload("/jit", "list", "C0OURS001")
    assert (command["enterprise_id"], command["is_enterprise_install"]) == (ORG, "true" if whole else "false")
    pressed = mia.shortcut_payload("anywhere")
    assert (pressed["enterprise"]["id"], pressed["team"]["enterprise_id"], pressed["team"]["id"]) == (ORG, ORG, OURS)
    assert (pressed["is_enterprise_install"], pressed["user"]["team_id"]) == (whole, OTHER)
    [authorized] = slack.delivery.event_payload({"type": "user_change"})["authorizations"]
    assert (authorized["enterprise_id"], authorized["team_id"]) == (ORG, None if whole else OURS)


async def test_a_team_that_was_not_granted_gets_no_post(slack: LocalSlack, client: AsyncWebClient) -> None:
    assert (await client.chat_postMessage(channel="C0OURS001", text="hello"))["ok"]
    if slack.organisation:
        posted = client.chat_postMessage(channel="C0CLOSED1", text="hello")
        assert (await refused(posted))["error"] == "team_access_not_granted"
