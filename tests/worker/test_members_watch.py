"""Since when people are in the approvers' groups: kept, never guessed, and not to be reset by a writer of Redis."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.audit.archive.archive import Archive, NoArchive
from bot.audit.sealer import Sealer
from bot.core.group_members import BEFORE
from bot.core.verdict import Members
from bot.policy import authorization
from bot.store.indexes.known_members import KnownMembers
from bot.store.store import Store
from bot.worker.lockdown_high_water import LockdownHighWater
from bot.worker.members_watch import MembersWatch
from tests.house import POLICY, House, catalog


@dataclass
class Groups:
    """A directory whose groups a test changes, and the watch over it."""

    house: House
    folder: Path
    now: dict[str, Members] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.now = {
            "dba": Members(users=frozenset({"UDAN", "UEVE"})),
            "security": Members(identities=frozenset({"sam@example.com"})),
            "platform": Members(identities=frozenset({"pat@example.com"})),
        }
        self.watch = self.watching(self.house.store)

    def watching(self, store: Store) -> MembersWatch:
        context = House(store, policy=self.house.policy).context
        return MembersWatch(context, self._roster, self.archive)

    async def _roster(self) -> dict[str, Members]:
        return self.now

    def archive(self) -> Archive:
        return Archive.open("", self.folder, create=True)

    async def looks(self) -> None:
        assert await self.watch.run_once() is None

    async def sealed(self) -> None:
        await Sealer(self.house.store, self.archive, self.folder).once()

    async def since(self, group: str, who: str) -> float | None:
        found, _ = await self.house.store.members.read()
        return found.of(group).get(who)

    async def noted(self, kind: str) -> list[dict[str, Any]]:
        found: Any = await self.house.store.redis.xrange(self.house.store.keys.audit)
        return [json.loads(fields[b"event"]) for _, fields in found if fields[b"kind"].decode() == kind]


@pytest.fixture
async def groups(store: Store, tmp_path: Path) -> Groups:
    return Groups(await House(store).open(), tmp_path)


async def test_a_new_workspace_takes_its_people_to_have_been_there_before(groups: Groups) -> None:
    await groups.looks()
    assert await groups.since("dba", "UDAN") == BEFORE
    assert await groups.since("security", "sam@example.com") == BEFORE
    [event] = await groups.noted("group_members")
    assert (event["first"], event["since"]) == ({"dba": 2, "security": 1, "platform": 1}, "before")
    await groups.looks()
    assert len(await groups.noted("group_members")) == 1, "nothing is written where nothing changed"


async def test_who_joins_is_new_and_who_comes_back_is_new_again(groups: Groups) -> None:
    await groups.looks()
    began = await groups.house.store.now()
    groups.now["dba"] = Members(users=frozenset({"UDAN", "UEVE", "UKIM"}))
    await groups.looks()
    joined = await groups.since("dba", "UKIM")
    assert joined
    assert joined >= began
    groups.now["dba"] = Members(users=frozenset({"UDAN", "UKIM"}))
    await groups.looks()
    groups.now["dba"] = Members(users=frozenset({"UDAN", "UEVE", "UKIM"}))
    await groups.looks()
    assert await groups.since("dba", "UKIM") == joined
    back = await groups.since("dba", "UEVE")
    assert back
    assert back >= joined
    assert [(e["joined"], e["left"]) for e in await groups.noted("group_members")][1:] == [
        ({"dba": ["UKIM"]}, {}),
        ({}, {"dba": ["UEVE"]}),
        ({"dba": ["UEVE"]}, {}),
    ]


async def test_a_directory_that_does_not_tell_changes_nothing(groups: Groups) -> None:
    await groups.looks()
    for silent in (Members(known=False), Members()):
        groups.now["dba"] = silent
        await groups.looks()
    assert await groups.since("dba", "UDAN") == BEFORE


async def test_the_first_look_of_all_waits_for_all_groups(groups: Groups) -> None:
    groups.now["dba"] = Members(known=False)
    assert await groups.watch.run_once()
    assert not groups.watch.seen.is_set()
    groups.now["dba"] = Members(users=frozenset({"UDAN"}))
    await groups.looks()
    assert groups.watch.seen.is_set()
    assert await groups.since("dba", "UDAN") == BEFORE


async def test_a_group_that_the_policy_names_later_is_new_as_a_whole(groups: Groups) -> None:
    await groups.looks()
    more = POLICY.replace("{any_of: [security]}", "{any_of: [security, late]}")
    groups.house.policy = catalog(more.replace("groups:\n", "groups:\n  late: {people: [lee@example.com]}\n"))
    groups.now["late"] = Members(identities=frozenset({"lee@example.com"}))
    groups.watch = groups.watching(groups.house.store)
    await groups.house.store.redis.delete(groups.house.store.keys.members_turn)
    await groups.looks()
    assert await groups.since("late", "lee@example.com")
    assert await groups.since("dba", "UDAN") == BEFORE


TAKEN: dict[str, Callable[[bytes], bytes]] = {
    "deleted": lambda _: b"",
    "forged": lambda value: value.replace(b"UDAN", b"UEVL"),
    "junk": lambda _: b"junk",
}


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("way", TAKEN)
async def test_a_record_that_was_taken_away_makes_everybody_new_and_is_loud(
    groups: Groups, way: str, *, restarted: bool
) -> None:
    await groups.looks()
    await groups.sealed()
    store = groups.house.store
    value: Any = await store.redis.get(store.keys.members)
    await store.redis.delete(store.keys.members, store.keys.members_turn)
    if forged := TAKEN[way](value):
        await store.redis.set(store.keys.members, forged)
    if restarted:
        store = Store(store.redis, store.workspace, store.ring)
        await LockdownHighWater(store, groups.archive).read()
    groups.watch, before = groups.watching(store), await store.now()
    await groups.looks()
    found, _ = await store.members.read()
    assert all(since >= before for people in found.groups.values() for since in people.values())
    assert [each["alarm"] for each in await groups.noted("alarm")] == ["sealed_value"]
    assert "since" not in (await groups.noted("group_members"))[-1]


async def test_an_older_record_is_known_for_older(groups: Groups) -> None:
    await groups.looks()
    store = groups.house.store
    old: Any = await store.redis.get(store.keys.members)
    groups.now["dba"] = Members(users=frozenset({"UDAN"}))
    await groups.looks()
    await store.redis.set(store.keys.members, old)
    await groups.looks()
    assert await groups.since("dba", "UDAN")
    assert await groups.since("dba", "UEVE") is None


async def test_without_the_archive_nobody_is_taken_to_have_been_there_before(groups: Groups, tmp_path: Path) -> None:
    groups.watch.archive = lambda: Archive.open("", tmp_path / "none")
    with pytest.raises(NoArchive):
        await groups.watch.run_once()
    assert await groups.since("dba", "UDAN") is None


async def test_only_groups_that_decide_are_watched_and_only_where_a_role_is_critical(groups: Groups) -> None:
    assert set(authorization.watched(groups.house.policy)) == {"dba", "security", "platform"}
    assert authorization.watched(catalog(POLICY.replace("operators:", "fresh_member: 0\n  operators:"))) == ()
    assert authorization.watched(catalog(POLICY.replace("sensitivity: critical", "sensitivity: high"))) == ()


async def test_a_process_reads_again_what_it_does_not_know_yet(groups: Groups) -> None:
    store = Store(groups.house.store.redis, groups.house.store.workspace, groups.house.store.ring)
    known = KnownMembers(store, again=0.0)
    assert (await known.known(["dba"])).of("dba") == {}
    await groups.looks()
    assert (await known.known(["dba"])).of("dba") == {"UDAN": BEFORE, "UEVE": BEFORE}
