"""What the doctor finds of Slack: the tokens, the scopes, and the channels, groups, people and forms of a policy."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_sdk.models.views import View

from bot.cli.doctor.checks import CheckResult, CheckVerdict, gathered
from bot.cli.doctor.policy_names import MOST_PEOPLE, most_filled
from bot.cli.doctor.slack import Slack, SlackUnavailable, not_told
from bot.playground import SCOPES, LocalSlack
from bot.policy.catalog import Step
from bot.redaction import Secrets
from bot.settings import load
from tests.cli.doctor.examining import Env, Found, look, policy
from tests.house import POLICY
from tests.journeys.conftest import people
from tests.playground.conftest import client_of
from tests.servers import free_port


async def test_without_tokens_all_else_is_looked_at(env: Env) -> None:
    found = await look(env, SLACK_BOT_TOKEN=None, SLACK_APP_TOKEN=None)
    assert found.wrong() == {"settings"}
    why = "not checked: there is no SLACK_BOT_TOKEN that can be used"
    for name in ("token", "scopes", "channels", "user groups", "people", "steps", "forms"):
        assert found.one(name) == CheckResult(name, CheckVerdict.UNCHECKED, why)
    assert "that can be used" in found.said("connection", CheckVerdict.UNCHECKED)
    for name in ("policy", "store", "clock", "keys", "system vault"):
        assert found.one(name).verdict is CheckVerdict.GOOD


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        ("invalid_auth", "xoxb-"),
        ("account_inactive", "install it again"),
        ("token_revoked", "install it again"),
        ("token_expired", "rotation"),
        ("not_allowed_token_type", "another kind"),
    ],
)
async def test_a_token_that_slack_refuses_is_said_once(env: Env, slack: LocalSlack, code: str, fix: str) -> None:
    slack.faults.add("*", "refuse", None, code=code)
    found = await look(env, "worker", SLACK_APP_TOKEN=None)
    assert code in found.said("token")
    assert fix in found.said("token")
    assert found.one("store").verdict is CheckVerdict.GOOD
    if code != "not_allowed_token_type":
        assert found.wrong() == {"token"}


async def test_a_token_that_is_a_persons_is_not_a_bots(env: Env, slack: LocalSlack) -> None:
    slack.bot_id = ""
    assert "a person's" in (await look(env)).said("token")


@pytest.mark.parametrize(
    ("method", "check"),
    [
        ("auth.test", "token"),
        ("usergroups.list", "user groups"),
        ("conversations.info", "channel C0VAULT01"),
        ("users.lookupByEmail", "person sam@example.com"),
        ("apps.connections.open", "connection"),
    ],
)
async def test_a_method_that_is_missing_is_named_and_not_taken_for_a_lost_connection(
    env: Env, slack: LocalSlack, method: str, check: str
) -> None:
    slack.faults.add(method, "refuse", None, code="unknown_method")
    said = (await look(env)).said(check)
    assert f"{method}: unknown_method" in said
    assert "see SLACK_API_URL: what answers there does not have this method" in said
    assert "proxy" not in said


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
async def test_slack_that_cannot_be_reached_is_said_once_and_the_store_is_still_looked_at(env: Env, host: str) -> None:
    found = await look(env, SLACK_API_URL=f"https://{host}:{free_port()}/api/")
    assert found.wrong() == {"token"}
    assert "status.slack.com" in found.said("token")
    for name in ("connection", "scopes", "channel C0AUDIT01", "channel C0VAULT01", "user groups", "people", "forms"):
        assert found.one(name).verdict is CheckVerdict.UNCHECKED, name
        assert "Slack cannot be reached" in found.one(name).found, name
    assert found.one("store").verdict is found.one("system vault").verdict is CheckVerdict.GOOD


async def test_a_connection_that_fails_where_another_came_about_is_a_finding_of_its_own(
    env: Env, slack: LocalSlack
) -> None:
    async with aiohttp.ClientSession() as session:
        doctor, elsewhere = Slack(client_of(slack, session), load(env, "doctor")), client_of(slack, session)
        elsewhere.base_url = f"http://127.0.0.1:{free_port()}/api/"
        with pytest.raises(SlackUnavailable) as caught:
            await doctor.ask(elsewhere.api_test)
        await doctor.identity.stop()
    assert not caught.value.unreachable
    assert not_told("people", caught.value).verdict is CheckVerdict.WRONG


async def test_scopes_that_are_missing_are_wrong_and_those_too_many_a_note(env: Env, slack: LocalSlack) -> None:
    slack.scopes = [*SCOPES[:-2], "channels:history"]
    found = await look(env)
    assert "groups:read, metadata.message:read" in found.said("scopes")
    assert "jit manifest" in found.said("scopes")
    assert "channels:history" in found.said("scopes", CheckVerdict.NOTE)


async def test_a_scope_that_an_earlier_install_lacks_is_a_note_with_what_is_missing(
    env: Env, slack: LocalSlack
) -> None:
    slack.scopes = [scope for scope in slack.scopes if scope != "dnd:read"]
    found = await look(env)
    assert found.wrong() == set()
    noted = found.said("scopes", CheckVerdict.NOTE)
    assert "not granted: dnd:read; nobody sees whose notifications are off" in noted
    assert "install the app again" in noted


async def test_a_private_channel_without_its_scope_is_left_to_the_scopes(env: Env, slack: LocalSlack) -> None:
    slack.world.channels["C0VAULT01"].private = True
    slack.scopes = [scope for scope in SCOPES if scope not in {"groups:read", "users:read.email"}]
    found = await look(env)
    assert found.wrong() == {"scopes"}
    assert "scope is missing" in found.said("channel C0VAULT01", CheckVerdict.UNCHECKED)
    assert found.one("people").verdict is CheckVerdict.UNCHECKED


async def test_socket_mode_that_is_off_is_said(env: Env, slack: LocalSlack) -> None:
    slack.socket_mode = False
    assert "switch Socket Mode on" in (await look(env)).said("connection")


async def test_tokens_of_two_apps_are_said(env: Env, slack: LocalSlack) -> None:
    slack.app_token = "xapp-1-A0OTHER99-abcdef"
    found = await look(env, SLACK_APP_TOKEN=slack.app_token)
    assert "A0OTHER99" in found.said("connection")
    assert slack.app_id in found.said("connection")


async def test_an_app_token_that_slack_refuses_is_said(env: Env) -> None:
    assert "invalid_auth" in (await look(env, SLACK_APP_TOKEN="xapp-1-A0LOCAL01-wrong")).said("connection")


async def test_over_http_it_says_what_it_cannot_see(env: Env) -> None:
    found = await look(env, SLACK_APP_TOKEN=None, SLACK_SIGNING_SECRET="0123456789abcdef")
    assert "over HTTP" in found.said("connection", CheckVerdict.UNCHECKED)


@pytest.mark.parametrize(
    ("flaws", "said", "fix"),
    [
        ({"bot_inside": False}, "the bot is not in it", "/invite @jit"),
        ({"bot_inside": False, "private": True}, "private and the bot is not in it", "/invite @jit"),
        ({"archived": True}, "archived", "restore it"),
        ({"ext_shared": True}, "shared outside", "this workspace alone"),
        ({"pending_ext_shared": True}, "about to be shared outside", "take the invitation back"),
    ],
)
async def test_a_channel_that_cannot_be_used_says_why(
    env: Env, slack: LocalSlack, flaws: dict[str, bool], said: str, fix: str
) -> None:
    for name, value in flaws.items():
        setattr(slack.world.channels["C0VAULT01"], name, value)
    found = await look(env)
    assert found.wrong() == {"channel C0VAULT01"}
    assert said in found.said("channel C0VAULT01")
    assert fix in found.said("channel C0VAULT01")


async def test_a_channel_that_is_not_there_is_said_with_what_it_is_for(env: Env, slack: LocalSlack) -> None:
    del slack.world.channels["C0AUDIT01"]
    assert "for the audit" in (await look(env)).said("channel C0AUDIT01")


async def test_user_groups(env: Env, slack: LocalSlack) -> None:
    group = slack.world.usergroups["S0DBA0001"]
    group.users = []
    found = await look(env)
    assert "nobody is in @dba" in found.said("user group dba")
    assert "at most 0 can" in found.said("steps")
    group.users, group.disabled = ["UDAN", "UEVE"], True
    found = await look(env)
    assert "disabled" in found.said("user group dba")
    assert "at most 0 can" in found.said("steps")
    del slack.world.usergroups["S0DBA0001"]
    assert "no user group S0DBA0001" in (await look(env)).said("user group dba")


async def test_a_group_of_people_who_cannot_act_is_nobody(env: Env, slack: LocalSlack) -> None:
    group = slack.world.usergroups["S0DBA0001"]
    group.users = ["UGUEST", "UGONE", slack.bot_user_id]
    found = await look(env)
    assert "user group dba" in found.wrong()
    assert "nobody in @dba can act: 3 people, deactivated, guests, bots" in found.said("user group dba")
    assert "at most 0 can" in found.said("steps")
    group.users = ["UGUEST", "UDAN", "UEVE"]
    found = await look(env)
    assert "1 cannot act" in found.said("user group dba", CheckVerdict.NOTE)
    assert "take them out in Slack: UGUEST" in found.said("user group dba", CheckVerdict.NOTE)
    assert "user group dba" not in found.wrong()


async def test_an_install_for_all_teams_needs_the_team_of_each_user_group(
    workspace: str, env: Env, tmp_path: Path
) -> None:
    async with LocalSlack(team=workspace, enterprise="E0LOCAL01", organisation=True) as slack:
        slack.limits.on = False
        people(slack)
        tokens = {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token}
        grid = {**env, **tokens, "SLACK_API_URL": slack.api_url}
        assert "say `slack_team: T…` beside its `slack_usergroup`" in (await look(grid)).said("user groups")
        told = POLICY.replace("slack_usergroup: S0DBA0001", f"slack_usergroup: S0DBA0001, slack_team: {workspace}")
        found = await look({**grid, "JIT_POLICY": policy(tmp_path, told)})
        assert not {"user groups", "user group dba", "people", "steps"} & found.wrong()
        assert "organisation-wide" in found.one("token").found


async def test_who_is_in_a_group_and_cannot_be_looked_up_is_thought_to_be_somebody(env: Env, slack: LocalSlack) -> None:
    slack.faults.add("users.info", "error_500", None)
    found = await look(env)
    assert "user group dba" not in found.wrong()
    assert "steps" not in found.wrong()


async def test_a_plan_without_user_groups_is_said(env: Env, slack: LocalSlack) -> None:
    slack.faults.add("usergroups.list", "refuse", None, code="plan_upgrade_required")
    found = await look(env)
    assert "by e-mail address" in found.said("user groups")
    assert found.one("steps").verdict is CheckVerdict.UNCHECKED


@pytest.mark.parametrize(
    ("kind", "said"),
    [("guest", "guest"), ("deactivated", "no active account"), ("bot", "apps cannot"), ("external", "another")],
)
async def test_people_who_cannot_decide_are_named(env: Env, slack: LocalSlack, kind: Any, said: str) -> None:
    slack.add_person("USAM", "Sam", "sam@example.com", kind=kind)
    found = await look(env)
    assert found.wrong() == {"person sam@example.com"}
    assert said in found.said("person sam@example.com").lower()
    assert found.one("people").found.startswith("2 found")


async def test_a_step_that_nobody_or_one_person_alone_can_fill_is_said(env: Env, slack: LocalSlack) -> None:
    slack.world.usergroups["S0DBA0001"].users = ["USAM"]
    slack.add_person("UKIM", "Kim", "kim@example.com", kind="deactivated")
    found = await look(env)
    # Sam is all of dba, and all of security.
    admin = next(f for f in found.of("steps") if "vault/admin" in f.check)
    assert admin.verdict is CheckVerdict.WRONG
    assert "2 different people have to approve, and at most 1 can" in admin.found
    lone = next(f for f in found.of("steps") if "vault/read-only" in f.check)
    assert lone.verdict is CheckVerdict.NOTE
    assert "rests on one person" in lone.found
    assert "vault/shared" in lone.check


@pytest.mark.parametrize(
    ("steps", "without", "filled"),
    [
        ([("a", 1), ("b", 1)], "", 2),
        ([("b", 1), ("a", 1)], "", 2),
        ([("a", 2), ("b", 1)], "", 2),
        ([("a", 1), ("b", 1)], "ann", 1),
        ([("c", 3)], "", 0),
    ],
)
def test_nobody_fills_two_places(steps: list[tuple[str, int]], without: str, filled: int) -> None:
    members = {"a": frozenset({"ann", "bob"}), "b": frozenset({"ann"}), "c": frozenset[str]()}
    assert most_filled([Step(any_of=(name,), count=count) for name, count in steps], members, without) == filled


async def test_a_form_that_slack_would_refuse_is_said_with_its_place(
    env: Env, slack: LocalSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {"type": "modal", "callback_id": "ask", "title": {"type": "plain_text", "text": "x" * 25}, "blocks": []}
    monkeypatch.setattr(View, "to_dict", lambda _: bad)
    found = await look(env)
    assert found.wrong() == {"forms"}
    assert "Slack would refuse the form for debug" in found.said("forms")
    assert "/title" in found.said("forms")


@pytest.mark.parametrize(
    ("code", "verdict"), [("unknown_method", CheckVerdict.UNCHECKED), ("internal_error", CheckVerdict.WRONG)]
)
async def test_forms_that_cannot_be_validated(env: Env, slack: LocalSlack, code: str, verdict: CheckVerdict) -> None:
    slack.faults.add("blocks.validate", "refuse", None, code=code)
    assert (await look(env)).one("forms").verdict is verdict


async def test_a_limit_is_waited_out_for_as_long_as_slack_says(env: Env, slack: LocalSlack) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    slack.faults.add("auth.test", "ratelimited", 1, retry_after=7)
    slack.faults.add("auth.test", "ratelimited", 1, retry_after=30)
    async with aiohttp.ClientSession() as session:
        doctor = Slack(client_of(slack, session), load(env, "doctor"), pause)
        found = Found(await gathered(doctor.checks(), Secrets()))
    assert pauses == [7, 30]
    assert found.wrong() == set()
    answers = [call.answer for call in slack.calls if call.method == "auth.test"]
    assert answers == ["ratelimited", "ratelimited", "ok"]


async def test_so_many_people_are_looked_up_and_the_rest_is_said(env: Env, slack: LocalSlack, tmp_path: Path) -> None:
    addresses = ", ".join(f"p{n}@example.com" for n in range(MOST_PEOPLE + 20))
    text = POLICY.replace("people: [pat@example.com]", f"people: [{addresses}]")
    found = await look(env, JIT_POLICY=policy(tmp_path, text))
    assert len([call for call in slack.calls if call.method == "users.lookupByEmail"]) == MOST_PEOPLE
    assert "22 more" in found.said("people", CheckVerdict.UNCHECKED)


async def test_few_calls_run_at_a_time(slack: LocalSlack) -> None:
    running, most = 0, 0
    three, over = asyncio.Event(), asyncio.Event()

    async def call() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 3:
            three.set()
        await over.wait()
        running -= 1

    doctor = Slack(client_of(slack, None), load({}, "doctor"))  # type: ignore[arg-type]  # nothing is called
    calls = [asyncio.create_task(doctor.ask(call)) for _ in range(10)]
    await three.wait()
    over.set()
    await asyncio.gather(*calls)
    assert most == 3


async def test_an_outage_in_the_middle_is_unknown(env: Env, slack: LocalSlack) -> None:
    slack.faults.add("conversations.info", "error_500", None)
    slack.faults.add("usergroups.list", "drop_before", None)
    found = await look(env)
    assert found.wrong() == {"channel C0AUDIT01", "channel C0VAULT01", "user groups"}
    assert found.one("steps").verdict is CheckVerdict.UNCHECKED
