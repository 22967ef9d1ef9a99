"""What Slack's events took away holds at once in every process; what is critical is asked of Slack for each press."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bot.core.request import State
from bot.playground import LocalSlack, Message
from bot.settings import Settings
from tests.journeys.conftest import CHANNEL, Mode, Town, running, settings_for
from tests.journeys.test_everyday import types
from tests.servers import RedisServer

DEACTIVATED = "This account is deactivated"
NOT_AN_APPROVER = "Only `dba` can approve this"


class Peers(Town):
    """Two processes that answer Slack: events go to ``peer``, people to the other."""

    peer: Town
    to_people: str
    to_peer: str

    async def event(self, event: dict[str, Any]) -> None:
        """Slack tells the peer."""
        self.slack.deliver_to(self.to_peer)
        assert (await self.slack.delivery.event(event)).ok
        self.slack.deliver_to(self.to_people)

    async def tells(self, change: Callable[[], Awaitable[Any]]) -> Any:
        """Something changes in Slack, and the peer is told."""
        self.slack.deliver_to(self.to_peer)
        told = await change()
        self.slack.deliver_to(self.to_people)
        return told

    def changed(self, user: str, *, later: int = 1, **facts: Any) -> dict[str, Any]:
        """An event about an account, of which ``users.info`` knows nothing yet."""
        account = self.slack.user_json(self.slack.world.people[user])
        return {"type": "user_change", "user": {**account, **facts, "updated": account["updated"] + later}}

    def removed(self, *users: str, later: int = 1) -> dict[str, Any]:
        """An event about the group ``dba``, of which ``usergroups.list`` knows nothing yet."""
        at = self.slack.world.usergroups["S0DBA0001"].updated + later
        facts = {"subteam_id": "S0DBA0001", "date_update": at, "added_users": [], "removed_users": list(users)}
        return {"type": "subteam_members_changed", **facts}

    def listed(self, *users: str, later: int = 1, **facts: Any) -> dict[str, Any]:
        """The same, as all who are in it."""
        group = self.slack.world.usergroups["S0DBA0001"].json(users=False)
        at = group["date_update"] + later
        return {"type": "subteam_updated", "subteam": {**group, "users": list(users), "date_update": at, **facts}}

    async def refused(self, who: str, card: Message) -> str:
        """What somebody reads who presses Approve; nothing came of it."""
        before = (await self.app.context.find_by_id(self.id_of(card))).request
        human = self.slack.person(f"U{who.upper()}")
        await human.click(card, "approve")
        after = (await self.app.context.find_by_id(self.id_of(card))).request
        assert after == before
        return human.ephemerals[-1].said()


@pytest.fixture
async def peers(slack: LocalSlack, redis: RedisServer, tmp_path: Path) -> AsyncIterator[Peers]:
    """Each has looked at everybody, and remembers."""
    settings = settings_for(slack, redis, "http", tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        app = await stack.enter_async_context(running(settings))
        peer = await stack.enter_async_context(running(settings, "web"))
        town = Peers(slack, app)
        town.peer = Town(slack, peer)
        town.to_people, town.to_peer = (f"http://127.0.0.1:{one.port}/slack/events" for one in (app, peer))
        for url in (town.to_peer, town.to_people):
            slack.deliver_to(url)
            for human in (town.mia, town.dan, town.eve, town.sam):
                await types(human, "list")
        yield town


# an account


async def test_who_was_deactivated_is_refused_directly_after_the_event(peers: Peers) -> None:
    card = await peers.asked()
    await peers.tells(lambda: peers.slack.deactivate("UDAN"))
    assert DEACTIVATED in await peers.refused("dan", card)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"deleted": True}, DEACTIVATED),
        ({"is_restricted": True}, "Guests cannot"),
        ({"is_restricted": True, "is_ultra_restricted": True}, "Guests cannot"),
        ({"is_bot": True}, "Apps cannot"),
    ],
)
async def test_an_event_holds_though_the_web_api_still_says_what_was_before(
    peers: Peers, facts: dict[str, Any], said: str
) -> None:
    card = await peers.asked()
    await peers.event(peers.changed("UDAN", **facts))
    assert said in await peers.refused("dan", card)
    peers.app.people.forget("UDAN")
    assert said in await peers.refused("dan", card)


async def test_an_older_event_that_comes_late_brings_nobody_back(peers: Peers) -> None:
    card = await peers.asked()
    await peers.event(peers.changed("UDAN", later=20, deleted=True))
    await peers.event(peers.changed("UDAN", later=10))
    assert DEACTIVATED in await peers.refused("dan", card)


async def test_an_event_brings_nobody_back_before_slack_says_so_itself(peers: Peers) -> None:
    card = await peers.asked()
    await peers.event(peers.changed("UDAN", later=10, deleted=True))
    await peers.event(peers.changed("UDAN", later=20))
    assert DEACTIVATED in await peers.refused("dan", card)
    peers.slack.world.people["UDAN"].updated += 20  # now `users.info` says so
    await peers.dan.click(card, "approve")
    await peers.card(peers.id_of(card), "active until")


async def test_who_is_activated_again_may_again_and_a_repeated_event_changes_nothing(peers: Peers) -> None:
    card = await peers.asked()
    event = await peers.tells(lambda: peers.slack.set_kind("UDAN", "deactivated"))
    assert DEACTIVATED in await peers.refused("dan", card)
    await peers.tells(lambda: peers.slack.set_kind("UDAN", "member"))
    await peers.event(event)
    await peers.dan.click(card, "approve")
    await peers.card(peers.id_of(card), "active until")


async def test_an_answer_given_before_the_event_does_not_count_after_it(peers: Peers) -> None:
    card = await peers.asked("eve", "request vault/admin 30m -- INC-1 the safe")
    await peers.dan.click(card, "approve")
    card = await peers.card(peers.id_of(card), "Dan")
    await peers.event(peers.changed("UDAN", deleted=True))
    await peers.sam.click(card, "approve")
    request = (await peers.app.context.find_by_id(peers.id_of(card))).request
    assert request.state is State.PENDING, "Dan's place is open again"
    assert [review.by.id for review in request.reviews] == ["UDAN", "USAM"]


async def test_who_is_listed_by_address_is_refused_too(peers: Peers) -> None:
    await peers.tells(lambda: peers.slack.deactivate("UPAT"))
    assert DEACTIVATED in await types(peers.pat, "lockdown INC-9 a key leaked")


# a user group


@pytest.mark.parametrize("how", ["members changed", "updated", "disabled"])
async def test_who_was_taken_out_of_a_group_is_refused_directly_after_the_event(peers: Peers, how: str) -> None:
    card = await peers.asked()
    match how:
        case "members changed":
            await peers.event(peers.removed("UDAN"))
        case "updated":
            await peers.event(peers.listed("UEVE"))
        case _:
            await peers.event(peers.listed("UDAN", "UEVE", date_delete=1_800_000_000))
    assert NOT_AN_APPROVER in await peers.refused("dan", card)
    await peers.app.people.refresh()  # `usergroups.list` still has Dan in it
    assert NOT_AN_APPROVER in await peers.refused("dan", card)


async def test_an_older_group_event_that_comes_late_puts_nobody_back(peers: Peers) -> None:
    card = await peers.asked()
    await peers.event(peers.removed("UDAN", later=20))
    await peers.event(peers.listed("UDAN", "UEVE", later=10))
    await peers.event(peers.listed("UDAN", "UEVE", later=30))
    assert NOT_AN_APPROVER in await peers.refused("dan", card)


async def test_whom_an_event_puts_into_a_group_is_in_it_once_slack_says_so_itself(peers: Peers) -> None:
    card = await peers.asked()
    await peers.event(peers.listed("UDAN", "UEVE", "USAM"))
    assert NOT_AN_APPROVER in await peers.refused("sam", card)
    group = peers.slack.world.usergroups["S0DBA0001"]
    group.users, group.updated = ["UDAN", "UEVE", "USAM"], group.updated + 5
    await peers.app.people.refresh()
    await peers.sam.click(card, "approve")
    await peers.card(peers.id_of(card), "active until")


async def test_who_is_put_back_into_a_group_counts_again(peers: Peers) -> None:
    card = await peers.asked()
    await peers.tells(lambda: peers.slack.set_usergroup("S0DBA0001", ["UEVE"]))
    assert NOT_AN_APPROVER in await peers.refused("dan", card)
    await peers.tells(lambda: peers.slack.set_usergroup("S0DBA0001", ["UEVE", "UDAN"]))
    await peers.app.people.refresh()
    await peers.dan.click(card, "approve")
    await peers.card(peers.id_of(card), "active until")


async def test_a_lost_event_is_made_up_for_within_the_age_of_an_answer(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = await peers.asked()
    peers.slack.world.usergroups["S0DBA0001"].users = ["UDAN"]
    peers.slack.world.people["UDAN"].kind = "deactivated"
    monkeypatch.setattr("handlers.slack.lookups.FRESH", 0.0)
    monkeypatch.setattr("handlers.slack.usergroups.FRESH", 0.0)
    assert DEACTIVATED in await peers.refused("dan", card)
    assert NOT_AN_APPROVER in await peers.refused("eve", card)


async def test_an_address_that_changed_is_the_new_one_within_the_age_of_an_answer(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers.slack.world.people["UDAN"].email = "daniel@example.com"
    assert (await peers.app.people.person("UDAN")).identity == "dan@example.com"
    monkeypatch.setattr("handlers.slack.lookups.FRESH", 0.0)
    assert (await peers.app.people.person("UDAN")).identity == "daniel@example.com"


async def test_what_was_deleted_from_the_store_is_still_known_to_who_was_told(peers: Peers) -> None:
    card = await peers.asked()
    await peers.event(peers.changed("UDAN", deleted=True))
    assert DEACTIVATED in await peers.refused("dan", card)
    keys = peers.app.store.keys
    await peers.app.store.redis.delete(keys.changed, keys.changed_until)
    assert DEACTIVATED in await peers.refused("dan", card)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "user_change"},
        {"type": "user_change", "user": "UDAN"},
        {"type": "user_change", "user": {"id": 7, "deleted": True}},
        {"type": "user_change", "user": {"id": "U<!>", "deleted": True, "updated": "soon"}},
        {"type": "subteam_updated", "subteam": []},
        {"type": "subteam_updated", "subteam": {"id": "S0DBA0001"}},
        {"type": "subteam_members_changed", "subteam_id": "S0DBA0001", "removed_users": {"UDAN": 1}},
        {"type": "subteam_members_changed", "subteam_id": ["S0DBA0001"], "removed_users": ["UDAN"]},
        {"type": "subteam_members_changed", "subteam_id": "S0OTHER01", "removed_users": ["UDAN"]},
    ],
)
async def test_an_event_that_is_none_changes_nothing(peers: Peers, event: dict[str, Any]) -> None:
    card = await peers.asked()
    await peers.event(event)
    await peers.dan.click(card, "approve")
    await peers.card(peers.id_of(card), "active until")


# what is critical


class Critical(Town):
    """A workspace where no event arrives, and everybody is remembered as they were."""

    settings: Settings

    async def half(self) -> Message:
        """Eve asks for the safe, and Dan has approved: Sam's word opens it."""
        card = await self.asked("eve", "request vault/admin 30m -- INC-1 the safe")
        await self.dan.click(card, "approve")
        return await self.card(self.id_of(card), "Dan")

    async def state(self, card: Message) -> State:
        return (await self.app.context.find_by_id(self.id_of(card))).request.state


@pytest.fixture(params=["http", "socket"])
async def critical(
    request: pytest.FixtureRequest, slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> AsyncIterator[Critical]:
    mode: Mode = request.param
    settings = settings_for(slack, redis, mode, tmp_path)
    async with running(settings) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if mode == "socket" else asyncio.sleep(0))
        town = Critical(slack, app)
        town.settings = settings
        for human in (town.mia, town.dan, town.eve, town.sam, town.kim, town.pat):
            await types(human, "list")
        yield town


async def test_a_critical_role_is_opened_by_answers_that_were_asked_for_just_then(critical: Critical) -> None:
    card = await critical.half()
    before = len(critical.slack.calls)
    await critical.sam.click(card, "approve")
    await critical.card(critical.id_of(card), "active until")
    asked = [call for call in critical.slack.calls[before:] if call.method in {"users.info", "usergroups.users.list"}]
    assert {str(call.args.get("user") or call.args.get("usergroup")) for call in asked[:4]} == {
        "USAM", "UEVE", "UDAN", "S0DBA0001",
    }  # fmt: skip


@pytest.mark.parametrize("who", ["UDAN", "UEVE"])
async def test_whoever_left_a_moment_ago_counts_for_nothing_critical_even_without_an_event(
    critical: Critical, who: str
) -> None:
    """Dan, who had approved; Eve, who asked: of neither did an event come."""
    card = await critical.half()
    critical.slack.world.people[who].kind = "deactivated"
    await critical.sam.click(card, "approve")
    assert await critical.state(card) is State.PENDING


async def test_an_approver_taken_out_of_the_group_a_moment_ago_is_refused_even_without_an_event(
    critical: Critical,
) -> None:
    card = await critical.asked("eve", "request vault/admin 30m -- INC-1 the safe")
    critical.slack.world.usergroups["S0DBA0001"].users = ["UEVE"]
    await critical.dan.click(card, "approve")
    assert "can approve this" in critical.dan.ephemerals[-1].said()
    assert (await critical.app.context.find_by_id(critical.id_of(card))).request.reviews == ()


@pytest.mark.parametrize("method", ["users.info", "usergroups.users.list"])
@pytest.mark.parametrize("how", ["hang", "error_500", "ratelimited", "drop_before"])
async def test_without_an_answer_nothing_critical_is_decided_and_it_can_be_tried_again(
    critical: Critical, method: str, how: str
) -> None:
    card = await critical.half()
    critical.slack.faults.add(method, how, None)  # type: ignore[arg-type]  # one of those that are listed above
    await critical.sam.click(card, "approve")
    assert "Slack did not answer in time" in critical.sam.ephemerals[-1].said()
    assert "please try again in a moment" in critical.sam.ephemerals[-1].said()
    assert await critical.state(card) is State.PENDING
    critical.slack.faults.clear()
    await critical.sam.click(card, "approve")
    await critical.card(critical.id_of(card), "active until")


async def test_what_is_not_critical_costs_slack_nothing(critical: Critical) -> None:
    card = await critical.asked()
    before = len(critical.slack.calls)
    await critical.dan.click(card, "approve")
    await critical.card(critical.id_of(card), "active until")
    methods = {call.method for call in critical.slack.calls[before:]}
    assert not methods & {"users.info", "usergroups.list", "usergroups.users.list"}


async def test_a_press_that_is_refused_anyway_costs_slack_nothing(critical: Critical) -> None:
    card = await critical.half()
    before = len(critical.slack.calls)
    for _ in range(3):
        await critical.mia.click(card, "approve")
    assert not {call.method for call in critical.slack.calls[before:]} & {"users.info", "usergroups.users.list"}


async def test_a_critical_extension_is_asked_about_afresh(critical: Critical) -> None:
    card = await critical.half()
    await critical.sam.click(card, "approve")
    id_ = critical.id_of(card)
    await critical.card(id_, "active until")
    await types(critical.eve, f"extend {id_} 10m -- still at it")
    asked = await critical.slack.sees(CHANNEL, lambda m: "extend_approve" in m.buttons())
    await critical.dan.click(asked, "extend_approve")
    critical.slack.world.people["UDAN"].kind = "deactivated"
    await critical.sam.click(asked, "extend_approve")
    extension = (await critical.app.context.find_by_id(id_)).request.extension
    assert extension
    assert extension.state == "pending"


async def test_a_lockdown_is_lifted_by_those_who_are_operators_at_that_moment(critical: Critical) -> None:
    assert await types(critical.pat, "lockdown INC-9 a key leaked") == ""
    await critical.pat.submit(await critical.pat.sees_view("lockdown"))
    critical.slack.faults.add("users.info", "error_500", None)
    assert "Slack did not answer in time" in await types(critical.pat, "lockdown lift")
    critical.slack.faults.clear()
    critical.slack.world.people["UPAT"].kind = "deactivated"
    assert DEACTIVATED in await types(critical.pat, "lockdown lift")
    assert "INC-9" in str((await critical.app.store.lockdowns.read()).locks)
