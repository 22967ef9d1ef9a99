"""Who left loses what they have; one mistaken answer, a silent directory and a mass change take nothing away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.access import own_request, revoke
from bot.core.events import EndedEarly
from bot.core.request import Ending, Request, State
from bot.core.verdict import AccountStates, Members, Roster
from bot.policy import lost_rights
from bot.store.indexes.offboarding import KEPT, Sightings
from bot.store.outbox import Outbox
from bot.store.store import Store
from bot.worker.offboarding import Offboarding, is_mass_change
from tests.house import POLICY, House, catalog


@dataclass
class Directory:
    """What Slack says: who is deactivated, of whom it says nothing, who is in the group that may ask."""

    gone: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    dba: frozenset[str] | None = frozenset({"UDAN", "UEVE"})
    answers: bool = True
    rest: float = 0.0
    asked: list[str] = field(default_factory=list)
    asked_often: asyncio.Event = field(default_factory=asyncio.Event)
    asked_for_groups: int = 0

    async def accounts(self, users: Sequence[str]) -> AccountStates:
        self.asked += users
        if len(self.asked) >= 5:
            self.asked_often.set()
        told = [user for user in users if user not in self.silent]
        gone = frozenset(user for user in told if user in self.gone)
        return AccountStates(gone, frozenset(told) - gone, self.rest)

    async def groups(self) -> Roster | None:
        self.asked_for_groups += 1
        if not self.answers:
            return None
        dba = Members(known=False) if self.dba is None else Members(users=self.dba)
        return {"dba": dba, "security": Members(identities=frozenset({"sam@example.com"}))}


@dataclass
class Town:
    """A house, its directory, and a clock that the test moves."""

    house: House
    slack: Directory
    now: float

    def __post_init__(self) -> None:
        self.leavers = self.replica()

    def replica(self) -> Offboarding:
        """A process that looks; it remembers nothing of another one."""
        return Offboarding(
            self.house.context, self.slack.accounts, self.slack.groups, self.clock, max_per_minute=10_000
        )

    async def clock(self) -> float:
        return self.now

    async def looks(self, *after: float) -> None:
        """Look again and again, each time so many seconds later."""
        for seconds in after or (0.0,):
            self.now += seconds
            await self.leavers.poll()

    async def state(self, request: Request) -> State:
        return (await self.house.now(request.id)).state

    async def admin(self) -> Request:
        """Eve has what only her group may ask for."""
        request = await self.house.ask("eve", "vault/admin")
        await self.house.approve("dan", request.id)
        await self.house.approve("sam", request.id)
        return await self.house.attempted(request.id)

    async def crowd(self, people: int) -> list[Request]:
        """So many people ask for something."""
        return [await self.house.ask(f"p{n:03}") for n in range(people)]

    async def cancelled(self, requests: Sequence[Request]) -> int:
        return [await self.state(request) for request in requests].count(State.CANCELLED)

    async def alarms(self) -> list[dict[str, Any]]:
        """What was told of a mass change, the first one first; each has its message."""
        rows, _, _ = await Outbox(self.house.store).ready(1000)
        its = sorted((row for row in rows if row.request == "offboarding"), key=lambda row: row.seq or 0)
        found = [await Outbox(self.house.store).audit_event(row) for row in its]
        return [dict(facts) for facts in found if facts]


@pytest.fixture
async def town(store: Store) -> Town:
    house = await House(store).open()
    return Town(house, Directory(), await store.now())


# an account


async def test_who_is_seen_deactivated_twice_loses_what_is_open_and_what_was_asked(town: Town) -> None:
    house = town.house
    open_ = await house.granted()
    pending = await house.ask("mia", "vault/shared")
    scheduled = await house.ask("mia", "debug", starts_at=town.now + 7200)
    await house.approve("dan", scheduled.id)
    others = await house.granted("kim")
    town.slack.gone = {"UMIA"}
    await town.looks()
    assert await town.state(open_) is State.ACTIVE
    await town.looks(20)
    assert [await town.state(r) for r in (open_, pending, scheduled)] == [
        State.REVOKING,
        State.CANCELLED,
        State.CANCELLED,
    ]
    await house.work()
    ended = await house.now(open_.id)
    assert (ended.state, ended.ending, ended.closed_by) == (State.ENDED, Ending.REVOKED, "policy")
    assert ended.closed_reason == "their Slack account was deactivated"
    assert await house.sandbox.list_access()  # Kim's
    assert await town.state(others) is State.ACTIVE


async def test_it_is_in_the_audit_trail_and_told_in_the_thread(town: Town) -> None:
    request = await town.house.granted()
    town.slack.gone = {"UMIA"}
    await town.looks(0, 20)
    rows, _, _ = await Outbox(town.house.store).ready(100)
    outbox = Outbox(town.house.store)
    told = [await outbox.event(row) for row in rows if row.audience.startswith("thread:")]
    [event] = [found for found in told if isinstance(found, EndedEarly)]
    assert (event.by, event.reason) == ("policy", "their Slack account was deactivated")
    assert f"{request.id}|card" in {row.name for row in rows}


@pytest.mark.parametrize("apart", [[0, 5], [0, 17], [5, 5, 5]])
async def test_two_answers_too_soon_are_one(town: Town, apart: list[float]) -> None:
    request = await town.house.granted()
    town.slack.gone = {"UMIA"}
    await town.looks(*apart)
    assert await town.state(request) is State.ACTIVE


async def test_one_mistaken_answer_takes_nothing_away(town: Town) -> None:
    request = await town.house.granted()
    for _ in range(3):
        town.slack.gone = {"UMIA"}
        await town.looks(20)
        town.slack.gone = set()
        await town.looks(20)
    assert await town.state(request) is State.ACTIVE
    town.slack.gone = {"UMIA"}
    await town.looks(20, 20)
    assert await town.state(request) is State.REVOKING


async def test_a_directory_that_says_nothing_takes_nothing_away(town: Town) -> None:
    request = await town.house.granted()
    town.slack.gone = town.slack.silent = {"UMIA"}
    await town.looks(*[20] * 10)
    assert await town.state(request) is State.ACTIVE


async def test_what_was_seen_once_is_forgotten_when_nothing_more_is_said_for_long(town: Town) -> None:
    request = await town.house.granted()
    town.slack.gone = {"UMIA"}
    await town.looks()
    town.slack.silent = {"UMIA"}
    await town.looks(KEPT / 2, KEPT / 2)
    town.slack.silent = set()
    await town.looks(1)
    assert await town.state(request) is State.ACTIVE


async def test_another_replica_goes_on_from_what_was_seen(town: Town) -> None:
    request = await town.house.granted()
    town.slack.gone = {"UMIA"}
    await town.looks()
    town.leavers = town.replica()
    await town.looks(20)
    assert await town.state(request) is State.REVOKING


async def test_what_somebody_else_wrote_was_not_seen(town: Town) -> None:
    request = await town.house.granted()
    keys, redis = town.house.store.keys, town.house.store.redis
    late = json.dumps({"user": "UMIA", "first": town.now + 50, "last": town.now + 60})
    for written in ("nonsense", late, '{"user": "UMIA", "first": 0, "last": 0}'):
        await redis.hset(keys.seen_gone, "UMIA", written)
        town.slack.gone = {"UMIA"}
        await town.leavers.poll()
        assert await town.state(request) is State.ACTIVE


async def test_nobody_is_looked_at_who_has_nothing_to_lose(town: Town) -> None:
    request = await town.house.granted()
    await own_request.release(town.house.context, town.house.actor("mia"), request.id)
    town.slack.gone = {"UMIA"}
    await town.looks(0, 20)
    assert (town.slack.asked, town.slack.asked_for_groups) == ([], 0)


async def test_a_record_that_is_not_ours_keeps_nobody_elses_from_being_taken_away(town: Town) -> None:
    forged, request = await town.house.granted("kim"), await town.house.granted()
    await town.house.store.redis.hset(town.house.store.keys.record(forged.id), "seal", "no")
    town.slack.gone = {"UMIA", "UKIM"}
    await town.looks(0, 20)
    assert await town.state(request) is State.REVOKING
    assert "UKIM" not in town.slack.asked


async def test_what_is_over_or_closing_is_left_alone(town: Town) -> None:
    house = town.house
    request = await house.granted()
    assert (await revoke.offboard(house.context, request.id, "gone")) is not None
    assert await revoke.offboard(house.context, request.id, "gone") is None
    await house.work()
    assert await revoke.offboard(house.context, request.id, "gone") is None


# groups


async def test_who_is_out_of_the_group_that_may_ask_twice_a_minute_apart_loses_it(town: Town) -> None:
    request, everyones = await town.admin(), await town.house.granted("eve")
    town.slack.dba = frozenset({"UDAN"})
    await town.looks(0, 20, 20, 19)
    assert await town.state(request) is State.ACTIVE
    await town.looks(1)
    closing = await town.house.now(request.id)
    assert closing.state is State.REVOKING
    assert closing.closed_reason == "the requester is in none of the groups that may request vault/admin"
    assert await town.state(everyones) is State.ACTIVE


async def test_who_is_back_in_the_group_meanwhile_loses_nothing(town: Town) -> None:
    request = await town.admin()
    for _ in range(4):
        town.slack.dba = frozenset({"UDAN"})
        await town.looks(30)
        town.slack.dba = frozenset({"UDAN", "UEVE"})
        await town.looks(30)
    assert await town.state(request) is State.ACTIVE


@pytest.mark.parametrize("dba", [None, frozenset[str]()], ids=["not told", "empty"])
async def test_a_group_that_is_not_told_or_is_empty_takes_nothing_away(town: Town, dba: frozenset[str] | None) -> None:
    request = await town.admin()
    town.slack.dba = dba
    await town.looks(*[60] * 4)
    assert await town.state(request) is State.ACTIVE


async def test_a_directory_of_groups_that_is_down_takes_nothing_away(town: Town) -> None:
    request = await town.admin()
    town.slack.dba, town.slack.answers = frozenset({"UDAN"}), False
    await town.looks(*[60] * 4)
    assert await town.state(request) is State.ACTIVE


async def test_groups_are_not_asked_for_where_everyone_may_ask(town: Town) -> None:
    await town.house.granted()
    await town.looks(0, 60)
    assert town.slack.asked_for_groups == 0


async def test_another_policy_begins_to_look_anew(town: Town) -> None:
    request = await town.house.granted()
    changed = POLICY.replace("may_ask: [everyone]", "may_ask: [dba]", 1)
    town.house.policy = catalog(changed)
    await town.house.open()
    await town.looks()
    town.house.policy = catalog(changed.replace("max: 1h", "max: 2h"))
    await town.house.open()
    await town.looks(60)
    assert await town.state(request) is State.ACTIVE
    await town.looks(60)
    assert await town.state(request) is State.REVOKING


async def test_a_replica_with_another_policy_takes_nothing_away_for_groups(town: Town) -> None:
    request = await town.admin()
    await town.house.store.policy.adopt("another")
    town.slack.dba = frozenset({"UDAN"})
    await town.looks(0, 60, 60)
    assert await town.state(request) is State.ACTIVE
    town.slack.gone = {"UEVE"}
    await town.looks(0, 20)
    assert await town.state(request) is State.REVOKING


async def test_only_a_group_that_is_wholly_told_is_out_of(town: Town) -> None:
    request = await town.admin()
    outside = {"dba": Members(users=frozenset({"UDAN"}))}
    assert lost_rights.lost(town.house.policy, outside, request) == ("vault/admin",)
    dark = {"dba": Members(users=frozenset({"UDAN"}), known=False)}
    assert lost_rights.lost(town.house.policy, dark, request) == ()
    both = catalog(POLICY.replace("may_ask: [dba]", "may_ask: [dba, security]"))
    assert lost_rights.lost(both, outside, request) == ()
    sams = Members(identities=frozenset({"sam@example.com"}))
    assert lost_rights.lost(both, {**outside, "security": sams}, request) == ("vault/admin",)
    eves = Members(identities=frozenset({"eve@example.com"}))
    assert lost_rights.lost(both, {**outside, "security": eves}, request) == ()


# many at once


async def test_a_mass_change_takes_nothing_away_and_asks_a_person(town: Town) -> None:
    requests = await town.crowd(8)
    town.slack.gone = {r.requester.id for r in requests[:6]}
    await town.looks()
    assert await town.alarms() == []
    await town.looks(20, 20, 20)
    assert await town.cancelled(requests) == 0
    [alarm] = await town.alarms()
    assert (alarm["alarm"], alarm["people"], alarm["of"], alarm["more"]) == ("offboarding", 6, 8, 0)
    assert alarm["holds"] == {r.id: r.requester.id for r in requests[:6]}
    assert (
        f"{requests[0].id} · p000@example.com · vault/read-only: their Slack account was deactivated" in alarm["said"]
    )


async def test_what_is_confirmed_is_taken_away_and_nothing_else(town: Town) -> None:
    requests = await town.crowd(16)
    town.slack.gone = {r.requester.id for r in requests[:7]}
    await town.looks(0, 20)
    sightings = Sightings(town.house.store)
    held = await sightings.held()
    assert {each.user for each in held} == town.slack.gone
    await sightings.confirm({each.user for each in held}, "cli:pat@context")
    town.slack.gone = {r.requester.id for r in requests[1:15]}  # the first one is back, and seven more are gone
    await town.looks(20, 20)
    assert [await town.state(r) for r in requests[1:7]] == [State.CANCELLED] * 6
    assert await town.cancelled(requests) == 6
    trail: Any = await town.house.store.redis.xrange(town.house.store.keys.audit)
    [confirmed] = [json.loads(entry[b"event"]) for _, entry in trail if entry[b"kind"] == b"offboarding_confirmed"]
    assert confirmed == {"by": "cli:pat@context", "users": sorted(r.requester.id for r in requests[:7])}


async def test_whoever_leaves_beside_those_who_are_confirmed_is_no_mass(town: Town) -> None:
    requests = await town.crowd(16)
    town.slack.gone = {r.requester.id for r in requests[:7]}
    await town.looks(0, 20)
    await Sightings(town.house.store).confirm(town.slack.gone, "cli:pat@context")
    town.slack.gone = {r.requester.id for r in requests[:9]}
    await town.looks(20, 20)
    assert await town.cancelled(requests) == 9


async def test_a_mass_change_that_was_a_mistake_passes_by_itself(town: Town) -> None:
    requests = await town.crowd(8)
    town.slack.gone = {r.requester.id for r in requests}
    await town.looks(0, 20, 20)
    assert len(await Sightings(town.house.store).held()) == 8
    town.slack.gone = set()
    await town.looks(20)
    assert await Sightings(town.house.store).held() == ()
    assert await town.cancelled(requests) == 0


async def test_a_mass_change_that_trickles_in_is_one_too(town: Town) -> None:
    requests = await town.crowd(12)
    for gone in (3, 5, 7, 9, 11, 12):
        town.slack.gone = {r.requester.id for r in requests[:gone]}
        await town.looks(20, 20)
    assert await town.cancelled(requests) == 5
    assert await town.alarms()


@pytest.mark.parametrize(("gone", "of", "held"), [(5, 5, False), (6, 23, True), (6, 24, False), (6, 6, True)])
def test_a_mass_is_more_than_five_and_more_than_a_quarter(gone: int, of: int, held: bool) -> None:
    assert is_mass_change(gone, of) is held


async def test_a_few_of_few_are_no_mass(town: Town) -> None:
    requests = await town.crowd(5)
    town.slack.gone = {r.requester.id for r in requests}
    await town.looks(0, 20)
    assert await town.cancelled(requests) == 5
    assert await town.alarms() == []


async def test_where_a_look_does_not_reach_everyone_all_being_gone_is_seen_as_such(town: Town) -> None:
    requests = await town.crowd(70)
    town.slack.gone = {r.requester.id for r in requests}
    await town.looks(*[20] * 8)
    assert await town.cancelled(requests) == 0
    assert len(await town.alarms()) == 1


async def test_where_a_look_does_not_reach_everyone_a_few_who_left_lose_what_they_have(town: Town) -> None:
    requests = await town.crowd(70)
    await town.looks(0, 20, 20)
    gone = [requests[n] for n in range(0, 70, 9)]
    town.slack.gone = {r.requester.id for r in gone}
    for request in gone:
        await Sightings(town.house.store).hint(request.requester.id)
    await town.looks(1, 20, 20)
    assert await town.cancelled(gone) == len(gone) == 8
    assert await town.cancelled(requests) == 8
    assert await town.alarms() == []


async def test_who_was_there_before_says_nothing_of_now(town: Town) -> None:
    requests = await town.crowd(160)
    await town.looks(*[20] * 7)
    town.slack.gone = {r.requester.id for r in requests}
    await town.looks(*[20] * 5)
    assert await town.cancelled(requests) == 0
    assert await town.alarms()


async def test_where_nothing_is_told_of_the_others_more_than_a_few_are_a_mass(town: Town) -> None:
    requests = await town.crowd(40)
    town.slack.gone = {r.requester.id for r in requests[:8]}
    town.slack.silent = {r.requester.id for r in requests[8:]}
    for user in town.slack.gone:
        await Sightings(town.house.store).hint(user)
    await town.looks(0, 20, 20)
    assert await town.cancelled(requests) == 0


async def test_a_mass_change_of_groups_counts_among_those_who_rest_on_them(town: Town) -> None:
    names = [f"p{n}" for n in range(8)]
    town.house.dba = ("dan", "eve", *names)
    town.slack.dba = frozenset(f"U{name.upper()}" for name in town.house.dba)
    requests = [await town.house.ask(name, "vault/admin") for name in names]
    await town.crowd(40)
    town.slack.dba = frozenset({"UDAN", "UEVE"})
    await town.looks(0, 60, 60)
    assert await town.cancelled(requests) == 0
    town.slack.answers = False
    await town.looks(20)
    assert {each.request for each in await Sightings(town.house.store).held()} == {r.id for r in requests}
    town.slack.answers = True
    await town.looks(20)
    [alarm] = await town.alarms()
    assert alarm["holds"] == {r.id: r.requester.id for r in requests}


# when


async def test_everyone_is_looked_at_in_turn_and_who_may_be_gone_first(town: Town) -> None:
    requests = await town.crowd(60)
    await town.looks(0, 20, 20)
    assert len(town.slack.asked) == 75
    assert set(town.slack.asked) == {r.requester.id for r in requests}
    town.slack.asked.clear()
    last = sorted(r.requester.id for r in requests)[14]  # whose turn was just now
    await Sightings(town.house.store).hint(last)
    await town.looks(20)
    assert town.slack.asked[0] == last
    assert await Sightings(town.house.store).hinted() == frozenset()


async def test_no_more_accounts_are_asked_for_in_a_minute_than_slack_bears(town: Town) -> None:
    await town.crowd(30)
    town.leavers = Offboarding(town.house.context, town.slack.accounts, town.slack.groups, town.clock)
    await town.looks(*[1] * 6)
    assert len(town.slack.asked) == 75


async def test_a_hint_of_somebody_with_nothing_open_is_not_kept(town: Town) -> None:
    await Sightings(town.house.store).hint("UMIA")
    assert await Sightings(town.house.store).hinted() == frozenset()


async def test_one_process_looks_at_a_time_and_the_next_takes_over(town: Town) -> None:
    await town.house.granted()
    slacks, stops = (Directory(), Directory()), (asyncio.Event(), asyncio.Event())
    parts = [
        Offboarding(town.house.context, slack.accounts, slack.groups, interval=0.02, max_per_minute=10_000)
        for slack in slacks
    ]
    running = [asyncio.create_task(part.run(stop)) for part, stop in zip(parts, stops, strict=True)]
    often = [asyncio.create_task(slack.asked_often.wait()) for slack in slacks]
    await asyncio.wait(often, return_when=asyncio.FIRST_COMPLETED, timeout=10)
    leads = 0 if often[0].done() else 1
    assert slacks[1 - leads].asked == []
    stops[leads].set()
    await asyncio.wait_for(often[1 - leads], 30)
    stops[1 - leads].set()
    await asyncio.gather(*running)


async def test_slack_is_left_alone_for_as_long_as_it_says(town: Town) -> None:
    await town.house.granted()
    town.slack.rest = 3600.0
    part = Offboarding(town.house.context, town.slack.accounts, town.slack.groups, interval=0.0)
    await part.loop.once()
    await part.loop.once()
    assert town.slack.asked == ["UMIA"]


async def test_a_part_that_meets_nonsense_goes_on(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    await town.house.granted()

    async def broken(users: Sequence[str]) -> AccountStates:
        raise KeyError("user")

    part = Offboarding(town.house.context, broken, town.slack.groups, interval=0.0)
    await part.loop.once()
    assert "offboarding failed, it is tried again: KeyError" in caplog.text
