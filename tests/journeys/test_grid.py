"""On an Enterprise Grid: whoever is in our team or organisation is a member, whatever team a payload names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.app import opened
from bot.core.request import State
from bot.playground import Human, LocalSlack
from bot.settings import Settings
from bot.startup import CannotStart
from tests.handlers.views.shown import flaws
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Mode, Town, people, running, settings_for
from tests.journeys.test_everyday import types
from tests.servers import RedisServer

OTHER = "T0OTHER01"


@dataclass
class Grid(Town):
    """One team of an organisation, and the bot in it; ``whole``: it is installed for all of the organisation."""

    whole: bool = False

    def __getattr__(self, name: str) -> Human:
        """People of a Grid have W ids too."""
        if name.startswith("_"):
            raise AttributeError(name)
        ids = (f"{kind}{name.upper()}" for kind in "WU")
        return self.slack.person(next(id_ for id_ in ids if id_ in self.slack.world.people))


def organisation(workspace: str, *, whole: bool) -> LocalSlack:
    """Mia is in our team and shows another; Dan's account is the organisation's own."""
    enterprise = workspace.replace("T", "E", 1)
    slack = LocalSlack(team=workspace, enterprise=enterprise, organisation=whole, granted={workspace})
    people(slack)
    slack.add_person("UMIA", "Mia", "mia@example.com", team=OTHER, teams=[OTHER, workspace])
    del slack.world.people["UDAN"]
    slack.add_person("WDAN", "Dan", "dan@example.com", team=enterprise, teams=[workspace])
    slack.add_person("WTHEM", "Them", "them@example.com", team=OTHER, teams=[OTHER])
    slack.add_person("USTRANGE", "Strange", "strange@elsewhere.example", kind="stranger")
    slack.add_usergroup("S0DBA0001", "dba", ["WDAN", "UEVE"], team=workspace)
    slack.world.channels[CHANNEL].members |= set(slack.world.people)
    return slack


def rules(slack: LocalSlack) -> str:
    team = f", slack_team: {slack.team}" if slack.organisation else ""
    return POLICY.replace("slack_usergroup: S0DBA0001", f"slack_usergroup: S0DBA0001{team}")


@pytest.fixture(params=["team, http", "team, socket", "organisation, http", "organisation, socket"])
async def grid(
    request: pytest.FixtureRequest, workspace: str, redis: RedisServer, tmp_path: Path
) -> AsyncIterator[Grid]:
    install, _, way = request.param.partition(", ")
    mode: Mode = "http" if way == "http" else "socket"
    async with organisation(workspace, whole=install == "organisation") as slack:
        async with running(settings_for(slack, redis, mode, tmp_path, rules(slack))) as app:
            if mode == "http":
                slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
            await (slack.connected() if mode == "socket" else asyncio.sleep(0))
            yield Grid(slack, app, whole=slack.organisation)
        assert flaws(slack) == []


async def test_from_the_request_to_its_end(grid: Grid) -> None:
    card = await grid.asked()
    id_ = grid.id_of(card)
    await grid.dan.click(card, "approve")
    await grid.card(id_, "active until")
    assert (await grid.app.context.find_by_id(id_)).request.requester.workspace == grid.app.identity.home
    assert id_ in await types(grid.mia, f"done {id_}")
    await grid.card(id_, ":lock: ended")
    assert (await grid.app.context.find_by_id(id_)).request.state is State.ENDED


async def test_a_form_is_filled_in_and_a_home_tab_is_shown(grid: Grid) -> None:
    await grid.mia.command("/jit", "request debug", CHANNEL)
    view = await grid.mia.sees_view("ask")
    assert (await grid.mia.submit(view, {"reason": "INC-1 the vault"})).errors == {}
    await grid.slack.sees(CHANNEL, lambda m: "INC-1 the vault" in m.said() and "approve" in m.buttons())
    await grid.dan.opens_home()
    assert "INC-1 the vault" in (await grid.dan.sees_home(lambda v: "INC-1" in v.said())).said()


async def test_strangers_and_other_organisations_stay_refused(grid: Grid) -> None:
    card = await grid.asked()
    for outside in (grid.ext, grid.strange):
        assert "You belong to another organisation" in await types(outside, "list")
        await outside.click(card, "approve")
        assert "You belong to another organisation" in outside.ephemerals[-1].said()
    assert (await grid.app.context.find_by_id(grid.id_of(card))).request.state is State.PENDING


async def test_another_team_of_the_organisation_is_within_it_and_not_within_ours(grid: Grid) -> None:
    said = await types(grid.them, "list")
    assert ("Nothing is open" if grid.whole else "You belong to another organisation") in said


async def test_a_payload_that_names_our_team_lets_nobody_in(grid: Grid) -> None:
    claimed = {**grid.ext.command_payload("/jit", "list", CHANNEL), "team_id": grid.slack.team}
    answer = await grid.slack.delivery.command(claimed)
    assert "You belong to another organisation" in answer.body["text"]


async def test_an_install_for_all_asks_for_user_groups_team_by_team(grid: Grid) -> None:
    await grid.asked()
    calls = [call for call in grid.slack.calls if call.method == "usergroups.list"]
    assert calls
    assert {call.answer for call in calls} == {"ok"}
    assert {call.args.get("team_id") for call in calls} == {grid.slack.team if grid.whole else None}


@pytest.mark.parametrize(
    ("whole", "team", "said"),
    [
        (True, "", r"groups.dba: .* organisation-wide install, which asks .* say `slack_team: T…`"),
        (False, ", slack_team: T0OTHER01", r"groups.dba: T0OTHER01 is another team .* leave `slack_team` out"),
    ],
)
async def test_a_start_is_refused_where_user_groups_could_not_be_asked_for(
    workspace: str, redis: RedisServer, tmp_path: Path, whole: bool, team: str, said: str
) -> None:
    policy = POLICY.replace("slack_usergroup: S0DBA0001", f"slack_usergroup: S0DBA0001{team}")
    async with organisation(workspace, whole=whole) as slack:
        settings: Settings = settings_for(slack, redis, "http", tmp_path, policy)
        with pytest.raises(CannotStart, match=said):
            async with opened(settings, "all"):
                pass


async def test_a_team_that_the_app_was_not_given_is_unknown_and_approves_nothing(
    workspace: str, redis: RedisServer, tmp_path: Path
) -> None:
    async with organisation(workspace, whole=True) as slack:
        slack.granted = {OTHER}
        async with running(settings_for(slack, redis, "http", tmp_path, rules(slack))) as app:
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
            said = await types(slack.person("UMIA"), "request debug 30m -- INC-1 the vault")
            assert "the members of `dba` cannot be checked right now" in said
