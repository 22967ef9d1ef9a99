"""Snapshots of directories and calendars: what is ours, young and of today's policy counts, and nothing else does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bot.policy.catalog import Catalog
from bot.store.indexes.directory_snapshots import (
    CALENDARS_COUNT,
    GROUPS_COUNT,
    KEPT,
    CalendarSnapshot,
    DirectorySnapshot,
    DirectorySnapshots,
    GroupSnapshot,
)
from bot.store.keyring import KeyRing
from bot.store.store import Store
from tests.house import POLICY, catalog

SECTIONS = """\
directories:
  pd: {kind: pagerduty, config: {token: "env:PAGERDUTY_TOKEN"}}
calendars:
  freeze: {ical: "file:/etc/freeze.ics"}
groups:
  on-call: {directory: pd, group: PSCHED1}
"""


def policy() -> Catalog:
    return catalog(POLICY.replace("groups:\n", SECTIONS, 1))


async def directory(store: Store, **more: Any) -> DirectorySnapshot:
    now = more.pop("at", None) or await store.now()
    group = GroupSnapshot(people=("eve@example.com",), at=now, whole=more.pop("whole", True))
    groups = more.pop("groups", {"on-call": group})
    return DirectorySnapshot(**{"name": "pd", "generation": policy().policy_hash, "at": now, "groups": groups, **more})


async def calendar(store: Store, **more: Any) -> CalendarSnapshot:
    now = more.pop("at", None) or await store.now()
    spans = ((now - 60, now + 60), (now + 3600, now + 7200))
    told = {"since": now - 600, "until": now + 8 * 86_400, "busy": spans, **more}
    return CalendarSnapshot(**{"name": "freeze", "generation": policy().policy_hash, "at": now, **told})


async def known(store: Store) -> dict[str, frozenset[str]]:
    """Who is in the groups, for a process that has seen nothing yet."""
    return (await DirectorySnapshots(store).groups(policy())).members(policy())


async def frozen(store: Store, later: float = 0.0) -> bool | None:
    return (await DirectorySnapshots(store).calendars(policy())).frozen("freeze", await store.now() + later)


async def test_what_was_read_is_known_for_a_while(store: Store) -> None:
    await DirectorySnapshots(store).write(await directory(store))
    assert await known(store) == {"on-call": {"eve@example.com"}}
    assert 0 < await store.redis.ttl(store.keys.directory("pd")) <= KEPT
    await DirectorySnapshots(store).write(await directory(store, at=await store.now() - GROUPS_COUNT + 10))
    assert await known(store)
    snapshots = await DirectorySnapshots(store).groups(policy())
    assert snapshots.members(policy(), 120) == {}, "too old for what is critical"


async def test_nobody_on_call_is_an_answer(store: Store) -> None:
    nobody = {"on-call": GroupSnapshot(at=await store.now())}
    await DirectorySnapshots(store).write(await directory(store, groups=nobody))
    assert await known(store) == {"on-call": frozenset()}


Put = Callable[[Store], Awaitable[Any]]


async def _write(store: Store, **more: Any) -> None:
    await DirectorySnapshots(store).write(await directory(store, **more))


async def _aged(store: Store) -> None:
    await _write(store, at=await store.now() - GROUPS_COUNT)


async def _ahead(store: Store) -> None:
    await _write(store, at=await store.now() + 60)


async def _by_strangers(store: Store) -> None:
    other = Store(store.redis, store.workspace, KeyRing.generate())
    await DirectorySnapshots(other).write(await directory(store))


async def _of_another_workspace(store: Store) -> None:
    other = Store(store.redis, "T999999", store.ring)
    await DirectorySnapshots(other).write(await directory(store))
    await store.redis.copy(other.keys.directory("pd"), store.keys.directory("pd"), replace=True)
    await store.redis.delete(other.keys.directory("pd"))


async def _of_another_directory(store: Store) -> None:
    await _write(store, name="other")
    await store.redis.copy(store.keys.directory("other"), store.keys.directory("pd"), replace=True)


async def _changed(store: Store) -> None:
    await _write(store)
    value = await store.redis.get(store.keys.directory("pd"))
    assert isinstance(value, bytes)
    await store.redis.set(store.keys.directory("pd"), value.replace(b"eve@", b"mia@"))


async def _of_another_kind(store: Store) -> None:
    await store.redis.delete(store.keys.directory("pd"))
    await store.redis.sadd(store.keys.directory("pd"), "eve@example.com")


async def _a_calendar(store: Store) -> None:
    await DirectorySnapshots(store).write(await calendar(store, name="pd"))
    await store.redis.copy(store.keys.calendar("pd"), store.keys.directory("pd"), replace=True)


async def _odd(store: Store) -> None:
    people = GroupSnapshot(people=("eve@example.com", "ſam@example.com"), at=await store.now())
    await _write(store, groups={"on-call": people})


WAYS: dict[str, Put] = {
    "missing": lambda store: store.redis.delete(store.keys.directory("pd")),
    "old": _aged,
    "of the future": _ahead,
    "of another policy": lambda store: _write(store, generation="0" * 16),
    "not everybody": lambda store: _write(store, whole=False),
    "without the group": lambda store: _write(store, groups={}),
    "of strangers": _by_strangers,
    "of another workspace": _of_another_workspace,
    "of another directory": _of_another_directory,
    "changed": _changed,
    "of another kind": _of_another_kind,
    "a calendar's": _a_calendar,
    "an address that nobody has": _odd,
}


@pytest.mark.parametrize("way", WAYS)
async def test_whatever_else_is_there_says_nothing(store: Store, way: str) -> None:
    await _write(store)
    assert await known(store)
    await WAYS[way](store)
    assert await known(store) == {}


async def test_one_that_is_put_back_counts_no_more_where_a_newer_one_was_seen(store: Store) -> None:
    snapshots, now = DirectorySnapshots(store), await store.now()
    await snapshots.write(await directory(store, at=now - 100))
    old = await store.redis.get(store.keys.directory("pd"))
    assert old
    await snapshots.write(await directory(store, groups={"on-call": GroupSnapshot(at=now)}))
    assert (await snapshots.groups(policy())).members(policy()) == {"on-call": frozenset()}
    await store.redis.set(store.keys.directory("pd"), old)
    assert (await snapshots.groups(policy())).members(policy()) == {}


async def test_a_calendar_is_known_ahead_and_for_an_hour(store: Store) -> None:
    await DirectorySnapshots(store).write(await calendar(store))
    assert await frozen(store) is True
    assert await frozen(store, 600) is False
    assert await frozen(store, 5000) is True
    assert await frozen(store, 9 * 86_400) is None, "further than it was read"
    assert await frozen(store, -3600) is None
    await DirectorySnapshots(store).write(await calendar(store, at=await store.now() - CALENDARS_COUNT + 30))
    assert (await frozen(store), await frozen(store, 600)) == (False, True), "a short outage changes nothing"
    for more in ({"at": await store.now() - CALENDARS_COUNT}, {"generation": "0" * 16}, {"name": "other"}):
        await store.redis.delete(store.keys.calendar("freeze"))
        await DirectorySnapshots(store).write(await calendar(store, **more))
        assert await frozen(store) is None
    known = await DirectorySnapshots(store).calendars(policy())
    assert known.frozen("no such calendar", await store.now()) is None


async def test_a_policy_without_directories_costs_no_round_trip_and_one_with_them_one(store: Store) -> None:
    async def calls() -> dict[str, int]:
        told: Any = await store.redis.info("commandstats")
        return {name: told.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("mget", "time", "get")}

    before = await calls()
    await DirectorySnapshots(store).groups(catalog())
    await DirectorySnapshots(store).calendars(catalog())
    assert await calls() == before
    await DirectorySnapshots(store).groups(policy())
    after = await calls()
    assert {name: after[name] - before[name] for name in after} == {"mget": 1, "time": 1, "get": 0}
