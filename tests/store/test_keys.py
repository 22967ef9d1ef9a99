"""Each key has a TTL or is declared permanent; nothing is kept for ever by accident."""

from __future__ import annotations

import fnmatch
import inspect
import re
from importlib.resources import files
from typing import Any

from bot.access import own_request, read
from bot.core.audit_chain import GENESIS, Head
from bot.core.factor_resets import ResetProposal
from bot.core.lockdown import Operator
from bot.core.request import State
from bot.local_account import OsAccount
from bot.store.audit_stream import ArchiveHead, AuditStream
from bot.store.indexes.directory_changes import DirectoryChanges
from bot.store.indexes.directory_people import DirectoryPeople, PersonSnapshot
from bot.store.indexes.directory_snapshots import (
    CalendarSnapshot,
    DirectorySnapshot,
    DirectorySnapshots,
    InactivePeople,
)
from bot.store.indexes.exposure import ExposureIndex
from bot.store.indexes.factor_resets import FactorResets
from bot.store.indexes.insights import Insights
from bot.store.indexes.offboarding import HeldAccess, Sighting, Sightings
from bot.store.indexes.read_requests import GroupReadRequests
from bot.store.indexes.terminal_bindings import Binding, Terminals, terminal_of
from bot.store.key_types import kind_of
from bot.store.keys import PERMANENT, Keys, home
from bot.store.outbox import Outbox
from bot.store.store import Store
from tests.house import House
from tests.store.factors import enrolled

HERE = OsAccount(1000, "pat", "host", "")


async def _kept(store: Store) -> list[str]:
    """The keys without a TTL, without their prefix."""
    found: Any = await store.redis.keys(f"jit:{{{store.workspace}}}:*")
    return [key.decode().split("}:", 1)[1] for key in found if await store.redis.ttl(key) == -1]


PAT = Operator(by="cli:me@here", name="Pat")
RESET = ResetProposal(identity="mia@example.com", operator=PAT, reason="a lost phone", at=1.0)


async def _of_another_kind(store: Store) -> list[str]:
    """The keys whose kind is not told in bot/store/key_types.py, or told wrong."""
    found: Any = await store.redis.keys(f"jit:{{{store.workspace}}}:*")
    types: list[Any] = [await store.redis.type(key) for key in found]
    kinds = {key.decode(): kind.decode() for key, kind in zip(found, types, strict=True)}
    return [key for key, kind in kinds.items() if (kind_of(key) or ("", ""))[1] != kind]


async def left(sightings: Sightings) -> None:
    """All that is kept of somebody who may have left."""
    await sightings.save({"UMIA": Sighting(user="UMIA", first=1.0, last=2.0)})
    await sightings.hint("UEVE")
    held = HeldAccess(request="J-2222", user="UMIA", who="", what="", why="")
    await sightings.hold_back([held], {}, "offboarding|leaving:#")
    await sightings.confirm(["UMIA"], "cli:me@here")


async def looked(insights: Insights) -> None:
    """All that is kept of what stands out."""
    await insights.turn(60)
    await insights.save("{}")
    await insights.members({"dba": frozenset({"UDAN"})}, 1.0)
    await insights.report("a finding", {})
    await insights.snooze("a finding", {}, 60)


async def test_every_key_has_a_ttl_or_is_declared_permanent(store: Store) -> None:
    house = await House(store).open()
    await store.identities.bind("mia@example.com", "UMIA")
    await store.lease(store.keys.poster, "me", 1)
    await store.lease(store.keys.sealer, "me", 1)
    await store.lease(store.keys.shipper, "me", 1)
    await store.lease(store.keys.leavers, "me", 1)
    await store.lease(store.keys.account_checks, "me", 1)
    await store.lease(store.keys.refresher, "me", 60)
    await DirectorySnapshots(store).write(DirectorySnapshot(name="pd", generation="", at=1.0))
    await DirectorySnapshots(store).write(CalendarSnapshot(name="freeze", generation="", at=1.0))
    await DirectorySnapshots(store).write(InactivePeople(name="ad", source="", at=1.0))
    await DirectoryPeople(store).write(PersonSnapshot(directory="ad", identity="a@b.io", source="", at=1.0))
    await DirectoryPeople(store).want("a@b.io")
    await GroupReadRequests(store).add(["dba"])
    waiting = await house.ask("eve", token="V1")
    await left(Sightings(store))
    await DirectoryChanges(store).gone("UMIA", 1.0, "deactivated")
    await Terminals(store).bind(Binding(terminal=terminal_of(HERE), person=house.actor("pat").person, until=1.0))
    await Terminals(store).offer(HERE)
    await store.factors.offer_enrolment("mia@example.com", "cli:me@here")
    await FactorResets(store).propose(RESET, instead=False)
    await ExposureIndex(store).build(store.now)
    await looked(Insights(store))
    await AuditStream(store).write_checkpoint(ArchiveHead("archive", Head(1, GENESIS)))
    await store.audit_event("refused", "{}", window=60, once="x")
    await store.alarm("tampered", "J-2222")
    await house.granted(what="both")
    ended = await house.granted(what="vault/read-only")
    await own_request.release(house.context, house.actor("mia"), ended.id)
    await house.work()
    rows, _, _ = await Outbox(store).ready(10)
    await Outbox(store).posting(rows[0], 10.0)
    await Outbox(store).bury(rows[1], "no such channel")

    await enrolled(store)
    open_records = {f"request:{r.id}" for r in await read.own_open(house.context, house.actor("mia"))} | {
        f"request:{waiting.id}"
    }
    assert await store.redis.exists(store.keys.seen_gone, store.keys.hinted, store.keys.held, store.keys.confirmed) == 4
    assert await store.redis.exists(store.keys.insights, store.keys.insights_turn, store.keys.insights_members) == 3
    undeclared = [
        key
        for key in await _kept(store)
        if key not in open_records and not any(fnmatch.fnmatch(key, pattern) for pattern in PERMANENT)
    ]
    assert undeclared == []
    assert await _of_another_kind(store) == []
    assert f"request:{ended.id}" not in await _kept(store)


async def test_an_ended_request_is_kept_for_the_retention(store: Store) -> None:
    house = await House(store).open()
    request = await house.ask()
    await own_request.cancel(house.context, house.actor("mia"), request.id)
    assert 0 < await store.redis.ttl(store.keys.record(request.id)) <= store.retention


async def test_the_ttl_keys_lapse_at_the_deadlines(store: Store) -> None:
    house = await House(store).open()
    request = await house.ask()
    lapses = await store.redis.pexpiretime(store.keys.pending(request.id))
    assert abs(lapses / 1000 - request.decide_by) < 0.01
    await house.approve("dan", request.id)
    active = await house.attempted(request.id)
    assert active.state is State.ACTIVE
    assert not await store.redis.exists(store.keys.pending(request.id))
    assert abs(await store.redis.pexpiretime(store.keys.active(request.id)) / 1000 - active.ends_at) < 0.01


def test_the_security_guide_says_of_every_key_what_a_writer_gains_by_it() -> None:
    guide = files("bot").joinpath("guides", "redis-keys.md").read_text(encoding="utf-8")
    rows = [line for line in guide.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])}
    assert all(len([cell for cell in row.split("|")[1:-1] if cell.strip()]) == 3 for row in rows)
    keys = Keys("T000001")
    made = {value for name, value in vars(keys).items() if name != "_prefix"}
    verbs = [verb for name, verb in vars(Keys).items() if callable(verb) and not name.startswith("_")]
    made |= {verb(keys, *("7" for _ in list(inspect.signature(verb).parameters)[1:])) for verb in verbs}
    prefix = "jit:{T000001}:"
    assert all(key.startswith(prefix) for key in made)
    every = {key.removeprefix(prefix) for key in made} | {home("token")}
    missing = [key for key in every if not any(fnmatch.fnmatchcase(key, pattern) for pattern in named)]
    assert missing == []
    unused = [name for name in named if not any(fnmatch.fnmatchcase(key, name) for key in every)]
    assert unused == [], "the guide names no key that there is not"
    assert [pattern for pattern in PERMANENT if f"jit:{pattern}" not in named and pattern not in named] == []
