"""Systems against the books: what no record accounts for is closed and told once, all else is left and told once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bot.access import own_request
from bot.core.request import Request, State
from bot.store.store import Store
from bot.worker.claim import order
from bot.worker.drift import DriftKind, DriftReport
from bot.worker.reconcile import ReconciledElsewhere, Reconciler
from providers.systems.base import ExistingAccess, Order, Outcome, Prior, Receipt, System
from providers.systems.conformance.bench import new_order
from providers.systems.sandbox import Sandbox, SandboxConfig, SandboxFault
from tests.house import House, catalog

LANDS = 0.05
"""Seconds in which the doors of these tests answer."""
ONE_TURN = 4 * 10**9
"""Seconds of a turn that outlasts every test."""


class Watched(Sandbox):
    """Doors that count what is asked of them, and beside which something can happen."""

    after_list: Callable[[], Awaitable[object]] | None = None
    after_closing: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, config: SandboxConfig) -> None:
        super().__init__(config)
        self.closed: list[str] = []

    async def list_access(self) -> Any:
        found = await super().list_access()
        happens, self.after_list = self.after_list, None
        if happens:
            await happens()
        return found

    async def close_orphan(self, standing: ExistingAccess) -> Outcome:
        outcome = await super().close_orphan(standing)
        self.closed.append(standing.native)
        self.after_closing()
        return outcome


class CannotClose(Watched):
    """A stranger's provider, which has no word for it."""

    close_orphan = None  # type: ignore[assignment]  # as if it were not there


def watched(*faults: SandboxFault, kind: type[Watched] = Watched, **more: Any) -> Watched:
    return kind(SandboxConfig(settles_within=LANDS, faults=faults, **more))


@pytest.fixture
def doors() -> Watched:
    return watched()


@pytest.fixture
async def house(store: Store, doors: Watched) -> House:
    return await House(store, systems={"vault": doors}).open()


def reconciler(house: House, **more: Any) -> Reconciler:
    """Of a process of its own."""
    return Reconciler(house.store, house.worker.gateways, lambda: house.policy, **{"margin": LANDS, **more})


async def reconciled(house: House, **more: Any) -> DriftReport:
    return await reconciler(house, **more).reconcile("vault")


def kinds(look: DriftReport) -> list[str]:
    return sorted(finding.kind.value for finding in look.findings)


async def keys(store: Store) -> list[bytes]:
    found: Any = await store.redis.keys(f"jit:{{{store.workspace}}}:*")
    return list(found)


async def copied(store: Store) -> dict[bytes, tuple[int, Any]]:
    """A copy of all that the workspace has in Redis."""
    return {key: (max(0, await store.redis.pttl(key)), await store.redis.dump(key)) for key in await keys(store)}


async def restored(store: Store, copy: dict[bytes, tuple[int, Any]]) -> None:
    """Redis comes back from that copy; from an empty one, it was flushed."""
    if lost := await keys(store):
        await store.redis.delete(*lost)
    for key, (ttl, value) in copy.items():
        await store.redis.restore(key, ttl, value)


async def events(store: Store, kind: str) -> list[Any]:
    """The audit events of a kind."""
    entries: Any = await store.redis.xrange(store.keys.audit)
    return [json.loads(entry[b"event"]) for _, entry in entries if entry[b"kind"].decode() == kind]


async def messages(store: Store) -> list[str]:
    """What waits to be posted to the audit channel about a system."""
    rows: Any = await store.redis.zrange(store.keys.outbox, 0, -1)
    return [row.decode() for row in rows if row.startswith(b"system:")]


async def lines(store: Store, id_: str) -> list[str]:
    """What waits to be posted in a request's thread."""
    rows: Any = await store.redis.zrange(store.keys.outbox, 0, -1)
    return [row.decode() for row in rows if row.startswith(f"{id_}|thread:".encode())]


# orphans


async def test_after_a_flush_what_orders_of_ours_have_is_closed_and_all_else_stands(
    house: House, doors: Watched, store: Store
) -> None:
    request = await house.granted()
    password = (await doors.reveal(await _order(house, request.id), _receipt(request))).password.get_secret_value()
    session = doors.enter("vault", f"jit-{request.id.lower()}-0", password)
    doors.open_by_hand("hall", "boss@example.com")
    await restored(store, {})
    look = await reconciled(house)
    assert kinds(look) == ["closed", "unmanaged"]
    assert not doors.is_inside("vault", f"jit-{request.id.lower()}-0", session)
    assert [each.native for each in await doors.list_access()] == ["boss@example.com"]
    [closed] = [finding for finding in look.findings if finding.kind is DriftKind.CLOSED]
    assert "no request of ours has it; it was revoked, 1 sessions were ended" in closed.sentence


async def test_after_a_restore_only_what_the_older_copy_does_not_know_is_closed(
    house: House, doors: Watched, store: Store
) -> None:
    known = await house.granted("mia")
    copy = await copied(store)
    lost = await house.granted("kim")
    await restored(store, copy)
    look = await reconciled(house)
    assert kinds(look) == ["closed"]
    assert doors.closed == [f"jit-{lost.id.lower()}-0"]
    assert [each.order for each in await doors.list_access()] == [known.order_id(0)]
    assert (await house.now(known.id)).state is State.ACTIVE


async def test_what_is_closed_is_in_the_audit_trail_before_and_after_and_told_in_one_message(
    house: House, store: Store
) -> None:
    request = await house.granted()
    await restored(store, {})
    await reconciled(house, by="cli:pat@context")
    found = await events(store, "found")
    assert [each["found"] for each in found] == ["orphan", "closed"]
    assert {each["what"] for each in found} == {f"{request.order_id(0)} jit-{request.id.lower()}-0"}
    [summary] = await events(store, "reconciled")
    assert summary["found"] == {"closed": 1}
    assert (summary["system"], summary["by"], summary["mass"]) == ("vault", "cli:pat@context", False)
    assert await messages(store) == ["system:vault|found:3"]


async def test_what_landed_after_its_request_was_over_is_closed(store: Store) -> None:
    doors = watched(SandboxFault(verb="grant", does="late", times=1))
    house = await House(store, systems={"vault": doors}).open()
    request = await house.ask()
    await house.approve("dan", request.id)
    await house.work()
    await own_request.release(house.context, house.actor("mia"), request.id)
    await house.until(request.id, State.ENDED)
    doors.land()
    look = await reconciled(house)
    assert kinds(look) == ["closed"]
    assert f"{request.order_id(0)} is over" in look.findings[0].sentence
    assert await doors.list_access() == []


async def test_a_record_that_was_not_written_by_us_accounts_for_nothing(
    house: House, doors: Watched, store: Store
) -> None:
    request, other = await house.granted("mia"), await house.granted("kim")
    await store.redis.hset(store.keys.record(request.id), "body", b"forged")
    assert kinds(await reconciled(house)) == ["closed"]
    assert [each.order for each in await doors.list_access()] == [other.order_id(0)]


async def test_an_order_that_is_open_elsewhere_accounts_for_nothing_here(store: Store, doors: Watched) -> None:
    copy = watched(id="a-copy-of-the-vault")
    house = await House(store, systems={"vault": doors, "copy": copy}).open()
    request = await house.granted()
    order = (await _order(house, request.id)).model_copy(update={"target": "a-copy-of-the-vault"})
    await copy.grant(order, Prior(present=False))
    assert kinds(await reconciler(house).reconcile("copy")) == ["closed"]
    assert await copy.list_access() == []
    assert kinds(await reconciler(house).reconcile("vault")) == []
    assert len(await doors.list_access()) == 1


async def test_one_server_under_two_names_has_no_orphans(store: Store, doors: Watched) -> None:
    house = await House(store, systems={"vault": doors, "vault-again": doors}).open()
    await house.granted()
    for name in ("vault", "vault-again"):
        assert (await reconciler(house).reconcile(name)).findings == ()


async def test_so_many_orphans_that_the_books_are_to_be_doubted_are_one_message(
    house: House, doors: Watched, store: Store
) -> None:
    for n in range(7):
        await house.granted(f"n{n}")
    await restored(store, {})
    look = await reconciled(house)
    assert (kinds(look), look.mass) == (["closed"] * 7, True)
    assert await doors.list_access() == []
    [summary] = await events(store, "reconciled")
    assert summary["found"] == {"closed": 7}
    assert summary["mass"] is True
    assert len(summary["said"]) == 5
    assert len(await messages(store)) == 1


async def test_an_orphan_that_cannot_be_closed_is_tried_each_time_and_told_once(store: Store) -> None:
    doors = watched(SandboxFault(verb="close", does="unsure", times=2))
    house = await House(store, systems={"vault": doors}).open()
    await house.granted()
    await restored(store, {})
    assert kinds(await reconciled(house)) == ["orphan"]
    assert kinds(await reconciled(house)) == ["orphan"]
    assert len(await messages(store)) == 1
    assert kinds(await reconciled(house)) == ["closed"]
    assert [each["found"] for each in await events(store, "found")] == ["orphan", "orphan", "closed"]
    assert len(await messages(store)) == 2
    assert await doors.list_access() == []


async def test_a_provider_that_cannot_close_orphans_has_them_told(store: Store) -> None:
    doors = watched(kind=CannotClose)
    house = await House(store, systems={"vault": doors}).open()
    await house.granted()
    await restored(store, {})
    for _ in range(2):
        [orphan] = (await reconciled(house)).findings
        assert orphan.kind is DriftKind.ORPHAN
        assert "revoke it yourself" in orphan.sentence
    assert len(await messages(store)) == 1
    assert len(await doors.list_access()) == 1


async def test_a_process_that_died_over_an_orphan_has_it_told_by_the_next(
    house: House, doors: Watched, store: Store
) -> None:
    await house.granted()
    await restored(store, {})

    class Dead(BaseException):
        """What no `except Exception` catches, as a kill."""

    def dies() -> None:
        raise Dead

    doors.after_closing = dies
    with pytest.raises(Dead):
        await reconciled(house)
    assert await messages(store) == []
    look = await reconciled(house)
    assert look.findings == ()
    assert [each["found"] for each in await events(store, "found")] == ["orphan", "closed"]
    assert len(await messages(store)) == 1
    await reconciled(house)
    assert len(await messages(store)) == 1


# what is no orphan


async def test_what_is_being_opened_is_left_alone(store: Store) -> None:
    doors = watched(SandboxFault(verb="grant", does="crash after", times=1))
    house = await House(store, systems={"vault": doors}).open()
    request = await house.ask()
    await house.approve("dan", request.id)
    await house.work()
    assert (await house.now(request.id)).state is State.GRANTING
    assert len(await doors.list_access()) == 1
    assert (await reconciled(house)).findings == ()
    assert (await house.until(request.id, State.ACTIVE)).state is State.ACTIVE


async def test_what_is_opened_while_it_is_looked_at_is_left_alone(house: House, doors: Watched) -> None:
    doors.after_list = house.granted
    look = await reconciled(house)
    assert look.findings == ()
    assert len(await doors.list_access()) == 1


async def test_what_is_closed_while_it_is_looked_at_is_no_orphan(house: House, doors: Watched, store: Store) -> None:
    request = await house.granted()

    async def ends() -> None:
        await own_request.release(house.context, house.actor("mia"), request.id)
        await house.until(request.id, State.ENDED)

    doors.after_list = ends
    assert (await reconciled(house)).findings == ()
    assert doors.closed == []
    assert await messages(store) == []


async def test_what_is_in_the_books_at_the_second_look_is_left_alone(
    house: House, doors: Watched, store: Store
) -> None:
    request = await house.granted()
    copy = await copied(store)
    await restored(store, {})

    async def comes_back(_: float) -> None:
        await restored(store, copy)

    assert (await reconciled(house, pause=comes_back)).findings == ()
    assert doors.closed == []
    assert (await house.now(request.id)).state is State.ACTIVE


async def test_the_second_look_is_after_whatever_is_in_flight_has_landed(house: House, store: Store) -> None:
    await house.granted()
    await restored(store, {})
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    await reconciled(house, pause=pause, margin=7.0)
    assert waited == [LANDS + 7.0]


# what is left to people


async def test_what_is_gone_is_told_once_and_its_leg_is_closed_on_time(
    house: House, doors: Watched, store: Store
) -> None:
    request = await house.granted()
    before = await lines(store, request.id)
    doors.doors.drop("vault", f"jit-{request.id.lower()}-0")
    for _ in range(2):
        [gone] = (await reconciled(house)).findings
        assert (gone.kind, gone.request) == (DriftKind.GONE, request.id)
    assert (await house.now(request.id)) == request
    [event] = await events(store, "found")
    assert event["found"] == "gone"
    assert len(await lines(store, request.id)) == len(before) + 1
    assert len(await messages(store)) == 1
    await own_request.release(house.context, house.actor("mia"), request.id)
    assert (await house.until(request.id, State.ENDED)).state is State.ENDED
    assert (await reconciled(house)).findings == ()


async def test_what_is_gone_again_is_told_again(house: House, doors: Watched, store: Store) -> None:
    request = await house.granted()
    order, account = await _order(house, request.id), f"jit-{request.id.lower()}-0"
    for _ in range(2):
        doors.doors.drop("vault", account)
        assert kinds(await reconciled(house)) == ["gone"]
        await doors.grant(order, Prior(present=False))
        assert kinds(await reconciled(house)) == []
    assert len(await messages(store)) == 2


async def test_what_another_hand_changed_is_told_once_and_left(house: House, doors: Watched, store: Store) -> None:
    request = await house.granted()
    doors.open_by_hand("vault", f"jit-{request.id.lower()}-0")
    for _ in range(2):
        [foreign] = (await reconciled(house)).findings
        assert foreign.kind is DriftKind.FOREIGN
    assert doors.is_open("vault", f"jit-{request.id.lower()}-0")
    assert len(await messages(store)) == 1


async def test_a_name_like_ours_by_another_hand_is_told_once_and_left(
    house: House, doors: Watched, store: Store
) -> None:
    doors.open_by_hand("vault", "jit-j-2222-0")
    for _ in range(2):
        [foreign] = (await reconciled(house)).findings
        assert foreign.kind is DriftKind.FOREIGN
        assert "not provably ours" in foreign.sentence
    assert doors.is_open("vault", "jit-j-2222-0")
    assert len(await messages(store)) == 1


async def test_what_is_shared_is_looked_up_in_the_books_and_told_once_where_they_know_nothing(
    house: House, doors: Watched, store: Store
) -> None:
    doors.open_by_hand("hall", "boss@example.com")
    await house.granted("mia", "vault/shared")
    await house.granted("boss", "vault/shared")
    assert (await reconciled(house)).findings == ()
    await restored(store, {})
    look = await reconciled(house)
    assert kinds(look) == ["unmanaged", "unmanaged"]
    assert not any(finding.wrong for finding in look.findings)
    await reconciled(house)
    assert len(await messages(store)) == 1
    assert sorted(each.native for each in await doors.list_access()) == ["boss@example.com", "mia@example.com"]
    doors.open_by_hand("hall", "kim@example.com")
    await reconciled(house)
    assert len(await messages(store)) == 2


async def test_where_nothing_is_shared_other_accounts_are_nobodys_business(store: Store, doors: Watched) -> None:
    policy = catalog()
    roles = {name: role for name, role in policy.systems["vault"].roles.items() if name != "shared"}
    vault = policy.systems["vault"].model_copy(update={"roles": roles})
    house = await House(
        store, policy=policy.model_copy(update={"systems": {"vault": vault}}), systems={"vault": doors}
    ).open()
    doors.open_by_hand("hall", "boss@example.com")
    assert (await reconciled(house)).findings == ()


# what cannot be looked at


async def test_a_system_that_does_not_answer_is_not_told_of_in_slack_and_nothing_is_forgotten(store: Store) -> None:
    doors = watched(SandboxFault(verb="list_access", does="unsure", times=1))
    house = await House(store, systems={"vault": doors}).open()
    assert kinds(await reconciled(house)) == ["unseen"]
    assert await messages(store) == []
    doors.open_by_hand("vault", "jit-j-2222-0")
    await reconciled(house)
    house.worker.gateways["vault"].system = watched(SandboxFault(verb="list_access", does="unsure"))
    await reconciled(house)
    house.worker.gateways["vault"].system = doors
    await reconciled(house)
    assert len(await messages(store)) == 1
    assert [each["found"] for each in await events(store, "found")].count("foreign") == 1


async def test_what_was_closed_is_told_though_the_rest_could_not_be_looked_at(store: Store) -> None:
    doors = watched(SandboxFault(verb="verify", does="unsure"))
    house = await House(store, systems={"vault": doors}).open()
    await house.granted("mia")
    copy = await copied(store)
    await house.granted("kim")
    await restored(store, copy)
    look = await reconciled(house)
    assert kinds(look) == ["closed", "unseen"]
    assert [each["found"] for each in await events(store, "found")] == ["orphan", "closed", "unseen"]
    assert len(await messages(store)) == 1


# only looking, and who looks


async def test_a_dry_run_changes_nothing(house: House, doors: Watched, store: Store) -> None:
    await house.granted()
    await restored(store, {})
    doors.open_by_hand("vault", "jit-j-2222-0")
    before, stood = await copied(store), await doors.list_access()
    look = await reconciler(house).dry_run("vault")
    assert kinds(look) == ["orphan", "orphan"]
    assert await copied(store) == before == {}
    assert await doors.list_access() == stood
    assert doors.closed == []


async def test_two_replicas_look_once(house: House, doors: Watched, store: Store) -> None:
    await house.granted()
    await restored(store, {})
    replicas = [reconciler(house, interval=ONE_TURN) for _ in range(4)]
    await asyncio.gather(*(replica.reconcile_all() for replica in replicas))
    assert len(doors.closed) == 1
    assert len(await events(store, "reconciled")) == 1
    order = await new_order(doors, {"door": "vault"})
    await doors.grant(order, Prior(present=False))
    await asyncio.gather(*(replica.reconcile_all() for replica in replicas))
    assert len(doors.closed) == 2, "the turn is one replica's, which may look again in it"
    assert len(await messages(store)) == 2


async def test_whose_turn_it_is_not_leaves_it_to_who_has_it(house: House, doors: Watched, store: Store) -> None:
    first, second = reconciler(house, interval=ONE_TURN), reconciler(house, interval=ONE_TURN)
    await first.reconcile_all()
    await house.granted()
    await restored_but_turns(store)
    await second.reconcile_all()
    assert doors.closed == []
    await second.reconcile_all(at_start=True)
    assert len(doors.closed) == 1


async def test_while_one_looks_another_is_sent_away(house: House, store: Store) -> None:
    await house.granted()
    await restored(store, {})

    async def another(_: float) -> None:
        with pytest.raises(ReconciledElsewhere):
            await reconciled(house)

    assert kinds(await reconciled(house, pause=another)) == ["closed"]
    assert (await reconciled(house)).findings == (), "it gave the system up"


async def test_a_tick_has_it_looked_at_again_and_a_stop_ends_a_wait(store: Store, doors: Watched) -> None:
    house = await House(store, systems={"vault": doors}).open()
    running, stop = reconciler(house, margin=3600.0), asyncio.Event()
    looked = asyncio.Event()

    async def at_start() -> None:
        looked.set()

    doors.after_list = at_start
    task = asyncio.create_task(running.run(stop))
    await asyncio.wait_for(looked.wait(), 30)
    await _being_looked_at(store, now=False)
    await house.granted()
    await restored(store, {})
    await running.tick()
    await _being_looked_at(store, now=True)
    stop.set()
    await asyncio.wait_for(task, 30)
    assert doors.closed == []
    assert not await store.redis.exists(store.keys.reconciling("vault"))


async def test_every_key_of_it_lapses(house: House, store: Store) -> None:
    await house.granted()
    await restored(store, {})
    await reconciler(house).reconcile_all()
    house.sandbox.open_by_hand("vault", "jit-j-2222-0")
    await reconciled(house)
    mine = [key for key in await keys(store) if b":system:" in key]
    assert len(mine) == 2
    assert all([await store.redis.ttl(key) > 0 for key in mine])


async def test_doors_that_outlive_their_process_are_closed_by_the_next_one(store: Store, tmp_path: Path) -> None:
    def systems() -> dict[str, System]:
        return {"vault": Sandbox(SandboxConfig(path=str(tmp_path), settles_within=LANDS))}

    await (await House(store, systems=systems()).open()).granted()
    await restored(store, {})
    house = await House(store, systems=systems()).open()
    await reconciler(house).reconcile_all(at_start=True)
    assert await house.sandbox.list_access() == []


# tools


async def restored_but_turns(store: Store) -> None:
    """All is lost but whose turn it is."""
    kept = [key for key in await keys(store) if b":reconciled:" in key]
    copy = {key: value for key, value in (await copied(store)).items() if key in kept}
    await restored(store, copy)


async def _order(house: House, id_: str) -> Order:
    request = await house.now(id_)
    return order(request, request.legs[0])


def _receipt(request: Request) -> Receipt:
    return Receipt.model_validate(request.legs[0].receipt)


async def _being_looked_at(store: Store, *, now: bool) -> None:
    async with asyncio.timeout(30):
        while bool(await store.redis.exists(store.keys.reconciling("vault"))) is not now:  # noqa: ASYNC110  # in Redis
            await asyncio.sleep(0.01)
