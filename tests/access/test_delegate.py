"""An approver names a stand-in: who may, for how long, and what a changed record of it does to decisions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import BlockingConnectionPool, Redis

from bot.access import delegate, extend, review
from bot.access.delegate import NOTIFIED
from bot.access.review import ReviewDecision
from bot.audit.archive.archive import Archive
from bot.audit.sealer import Sealer
from bot.audit.trail import Trail
from bot.core.errors import BadDuration, DelegationsChanged, NotAllowed
from bot.core.request import Request, State, Verb
from bot.core.verdict import AccountStates, Actor, Code
from bot.policy import stand_ins
from bot.store.indexes.directory_changes import DirectoryChanges
from bot.store.keyring import KeyRing
from bot.store.store import Store
from bot.worker.delegation_ends import DelegationEnds
from bot.worker.key_rotation import KeyRotation
from bot.worker.lockdown_high_water import LockdownHighWater
from bot.worker.recovery import Recovery
from tests.house import House, catalog, person
from tests.policy.test_stand_ins import DELEGATED
from tests.servers import RedisServer

HOUR = 3600.0
YES = ReviewDecision(verb=Verb.APPROVE)


class Standing(House):
    """The house whose groups are read with the delegations, as the directory reads them."""

    async def who(self, name: str) -> Actor:
        """Someone, and the groups as they are known now."""
        actor, (found, now) = self.actor(name), await self.store.delegations.read()
        roster = stand_ins.with_delegations(actor.roster, found.active(now))
        return actor.model_copy(update={"roster": roster})

    async def delegated(self, of: str = "dan", to: str = "lee", seconds: float = HOUR) -> delegate.NamedStandIn:
        until = await self.store.now() + seconds
        return await delegate.name_stand_in(self.context, await self.who(of), person(self.store.workspace, to), until)

    async def reviewed(self, name: str, id_: str, decision: ReviewDecision = YES) -> Request:
        return await review.review(self.context, await self.who(name), id_, decision)

    async def refused(self, name: str, id_: str) -> list[Code]:
        """Why an approval does not count."""
        with pytest.raises(NotAllowed) as error:
            await self.reviewed(name, id_)
        return [reason.code for reason in error.value.verdict.reasons]


@pytest.fixture
async def house(store: Store) -> House:
    """Lee and Mia may stand in for Dan and Eve."""
    return await Standing(store, policy=catalog(DELEGATED)).open()


@pytest.fixture
async def replica(house: Standing, redis: RedisServer) -> AsyncIterator[House]:
    """Another process over the same store, with a memory of its own."""
    client = Redis.from_pool(BlockingConnectionPool.from_url(redis.socket_url, max_connections=16, timeout=30))
    yield Standing(Store(client, house.store.workspace, house.store.ring), policy=house.policy, systems=house.systems)
    await client.aclose()


async def noted(store: Store, kind: str) -> list[dict[str, Any]]:
    """The audit events of a kind."""
    found: Any = await store.redis.xrange(store.keys.audit)
    return [json.loads(fields[b"event"]) for _, fields in found if fields[b"kind"].decode() == kind]


async def told(store: Store) -> set[str]:
    """Who gets a message about a delegation."""
    rows: Any = await store.redis.hkeys(store.keys.rows)
    kind = NOTIFIED.partition(":")[0]
    return {row.decode().partition("|")[0] for row in rows if f"|{kind}:" in row.decode()}


# naming one


async def test_a_stand_in_approves_in_the_approvers_place_and_the_record_says_so(house: Standing) -> None:
    named = await house.delegated()
    assert named.groups == ("dba",)
    request = await house.ask("eve")
    after = await house.reviewed("lee", request.id)
    [given] = after.reviews
    assert after.state is State.GRANTING
    assert given.stands_in_for
    assert (given.by.name, given.stands_in_for.name, given.delegation) == ("Lee", "Dan", named.delegation.id)
    [event] = await noted(house.store, "delegated")
    assert (event["by"], event["person"], event["stand_in"]) == ("UDAN", "UDAN", "ULEE")
    assert await told(house.store) == {"ULEE"}


async def test_a_stand_in_may_deny_as_well(house: Standing) -> None:
    await house.delegated()
    request = await house.ask("eve")
    after = await house.reviewed("lee", request.id, ReviewDecision(verb=Verb.DENY, reason="not today"))
    assert after.state is State.DENIED
    assert after.reviews[0].stands_in_for


async def test_the_policy_says_who_and_for_how_long(house: Standing) -> None:
    for of, to in (("dan", "sam"), ("sam", "lee"), ("dan", "dan")):
        with pytest.raises(NotAllowed):
            await house.delegated(of, to)
    house.policy = catalog(DELEGATED.replace("operators:", "delegation: {at_most: 2d}\n  operators:"))
    await house.store.policy.adopt(house.policy.policy_hash)
    for seconds in (0.0, 2 * 86_400 + 60.0):
        with pytest.raises(BadDuration):
            await house.delegated(seconds=seconds)
    await house.delegated(seconds=2 * 86_400)
    assert len(await noted(house.store, "refused")) == 3


async def test_one_that_is_named_instead_ends_the_first_and_one_that_is_lengthened_stays(house: Standing) -> None:
    first = (await house.delegated()).delegation
    longer = (await house.delegated(seconds=2 * HOUR)).delegation
    assert (longer.id, longer.until > first.until) == (first.id, True)
    await house.delegated(to="mia")
    found, _ = await house.store.delegations.read()
    assert [each.stand_in.name for each in found.each] == ["Mia"]
    [ended] = await noted(house.store, "delegation_ended")
    assert (ended["why"], ended["stand_in"]) == ("replaced", "ULEE")


# ending it


async def test_once_it_is_ended_an_earlier_approval_no_longer_counts(house: Standing) -> None:
    house.policy = catalog(DELEGATED.replace("{any_of: [dba]}", "{any_of: [dba], count: 1}"))
    await house.store.policy.adopt(house.policy.policy_hash)
    await house.delegated()
    request = await house.ask("eve", "vault/admin", duration=600)
    await house.reviewed("lee", request.id)
    assert await delegate.end_own(house.context, await house.who("dan"))
    after = await house.reviewed("sam", request.id)
    assert after.state is State.PENDING
    assert (await house.reviewed("dan", request.id)).state is State.GRANTING


async def test_its_time_ends_it_at_once_and_the_worker_notes_it(house: Standing) -> None:
    await house.delegated(seconds=6)
    ends = DelegationEnds(house.context, lambda _: _nobody())
    assert await ends.run_once() <= 6
    assert not await noted(house.store, "delegation_ended")
    found, now = await house.store.delegations.read()
    past = found.each[0].model_copy(update={"at": now - 10, "until": now - 1})
    after = found.with_delegation(past)
    assert await house.store.delegations.write(after, "", {})
    request = await house.ask("eve")
    assert await house.refused("lee", request.id) == [Code.NOT_AN_APPROVER]
    await ends.run_once()
    [ended] = await noted(house.store, "delegation_ended")
    assert (ended["by"], ended["why"]) == ("clock", "expired")
    assert not (await house.store.delegations.read())[0].each
    assert await told(house.store) == {"UDAN", "ULEE"}


@pytest.mark.parametrize("marked", ["ULEE", "lee@example.com"])
async def test_an_account_that_slack_confirms_as_deactivated_ends_it(house: Standing, marked: str) -> None:
    await house.delegated()
    await DirectoryChanges(house.store).gone(marked, await house.store.now(), "deactivated")
    asked: list[list[str]] = []

    def accounts(gone: frozenset[str]) -> Callable[[Any], Awaitable[AccountStates]]:
        async def answer(users: Any) -> AccountStates:
            asked.append(list(users))
            return AccountStates(gone, frozenset(users) - gone)

        return answer

    await DelegationEnds(house.context, accounts(frozenset())).run_once()
    assert not await noted(house.store, "delegation_ended")
    await DelegationEnds(house.context, accounts(frozenset({"ULEE"}))).run_once()
    [ended] = await noted(house.store, "delegation_ended")
    assert (ended["why"], asked) == ("deactivated", [["ULEE"], ["ULEE"]])


async def test_an_operator_ends_anybodys_at_a_terminal(house: Standing) -> None:
    named = await house.delegated()
    assert [each.id for each in await delegate.all_active(house.context)] == [named.delegation.id]
    assert await delegate.end_by_operator(house.context, "cli:pat@host", "D-NONE") is None
    assert await delegate.end_by_operator(house.context, "cli:pat@host", named.delegation.id.lower())
    [ended] = await noted(house.store, "delegation_ended")
    assert ended["by"] == "cli:pat@host"
    assert await told(house.store) == {"UDAN", "ULEE"}


async def test_a_stand_in_decides_about_an_extension_as_well(house: Standing) -> None:
    await house.delegated()
    live = await house.ask("eve", "vault/shared")
    await house.reviewed("dan", live.id)
    await house.until(live.id, State.ACTIVE)
    asked = await extend.extend(house.context, await house.who("eve"), live.id, 600, "INC-1 goes on")
    assert asked.extension
    lee = await house.who("lee")
    after = await review.review(house.context, lee, live.id, YES, extension=asked.extension.n)
    assert after.extension
    [given] = after.extension.reviews
    assert given.stands_in_for


async def test_it_is_sealed_with_the_current_key_before_the_old_one_goes(house: Standing, redis: RedisServer) -> None:
    await house.delegated()
    both = KeyRing.parse(f"{KeyRing.generate('k2').spelled()},{house.store.ring.spelled()}")
    client = Redis.from_pool(BlockingConnectionPool.from_url(redis.socket_url))
    await KeyRotation(Store(client, house.store.workspace, both), after=0.0).run(asyncio.Event())
    value: Any = await client.get(house.store.keys.delegations)
    assert b"|k2:" in value
    assert (await Store(client, house.store.workspace, both).delegations.read())[0].each
    await client.aclose()


# what a writer of Redis gains


async def test_a_decision_counts_only_by_the_delegations_that_it_was_judged_by(
    house: Standing, replica: Standing
) -> None:
    await house.delegated()
    request, lee = await house.ask("eve"), await house.who("lee")
    assert await delegate.end_own(replica.context, await replica.who("dan"))
    with pytest.raises(DelegationsChanged):  # this process does not know yet: the guard of the commit does
        await review.review(house.context, lee, request.id, YES)
    await house.store.delegations.read()
    with pytest.raises(DelegationsChanged):  # it knows by now, and the groups were read before
        await review.review(house.context, lee, request.id, YES)
    assert (await house.now(request.id)).reviews == ()
    assert await house.refused("lee", request.id) == [Code.NOT_AN_APPROVER]


FORGED: dict[str, Callable[[bytes], bytes]] = {
    "deleted": lambda _: b"",
    "another's name": lambda value: value.replace(b"ULEE", b"USAM").replace(b"lee@", b"sam@"),
    "without a MAC": lambda value: value.rpartition(b"|")[0],
    "junk": lambda _: b"\xff\njunk",
}


@pytest.mark.parametrize("way", FORGED)
async def test_a_forged_or_missing_record_means_no_stand_in_and_is_loud(house: Standing, way: str) -> None:
    await house.delegated()
    request = await house.ask("eve")
    value: Any = await house.store.redis.get(house.store.keys.delegations)
    if forged := FORGED[way](value):
        await house.store.redis.set(house.store.keys.delegations, forged)
    else:
        await house.store.redis.delete(house.store.keys.delegations)
    for name in ("lee", "sam"):
        assert await house.refused(name, request.id) == [Code.NOT_AN_APPROVER]
    assert len([each for each in await noted(house.store, "alarm") if each["alarm"] == "sealed_value"]) == 1
    assert (await house.reviewed("dan", request.id)).state is State.GRANTING, "others decide all the while"
    await house.delegated("eve", "mia")
    other = await house.ask("zoe")
    assert (await house.reviewed("mia", other.id)).state is State.GRANTING, "and it can be made again"


async def test_a_value_of_another_key_or_workspace_is_none_of_ours(house: Standing) -> None:
    await house.delegated()
    value: Any = await house.store.redis.get(house.store.keys.delegations)
    await house.store.redis.set(house.store.keys.members, value)
    assert not (await house.store.members.read())[0].groups
    assert house.store.members.doubted == "it does not have our MAC"


async def test_an_older_record_is_known_for_older_where_the_newer_was_seen(house: Standing, replica: Standing) -> None:
    await house.delegated()
    old: Any = await house.store.redis.get(house.store.keys.delegations)
    await delegate.end_own(house.context, await house.who("dan"))
    await house.store.redis.set(house.store.keys.delegations, old)
    request = await house.ask("eve")
    assert await house.refused("lee", request.id) == [Code.NOT_AN_APPROVER]
    assert (await replica.who("lee")).roster["dba"].delegations, "a process that never saw it believes the older one"


async def test_a_worker_that_starts_knows_from_the_archive_that_one_was_ended(
    house: Standing, replica: Standing, tmp_path: Path
) -> None:
    await house.delegated()
    old: Any = await house.store.redis.get(house.store.keys.delegations)
    await delegate.end_own(house.context, await house.who("dan"))
    await Sealer(house.store, lambda: Archive.open("", tmp_path, create=True), tmp_path).once()
    await house.store.redis.set(house.store.keys.delegations, old)
    await LockdownHighWater(replica.store, lambda: Archive.open("", tmp_path)).read()
    assert not (await replica.who("lee")).roster["dba"].delegations


@pytest.mark.parametrize("sealed", [True, False])
async def test_a_worker_grants_nothing_that_was_approved_by_a_delegation_that_was_put_back(
    house: Standing, replica: Standing, tmp_path: Path, *, sealed: bool
) -> None:
    def archive() -> Archive:
        return Archive.open("", tmp_path, create=True)

    sealer = Sealer(house.store, archive, tmp_path)
    await sealer.once()
    await house.delegated()
    old: Any = await house.store.redis.get(house.store.keys.delegations)
    await delegate.end_own(house.context, await house.who("dan"))
    await house.store.redis.set(house.store.keys.delegations, old)
    request = await replica.ask("eve")
    assert (await replica.reviewed("lee", request.id)).state is State.GRANTING, "the process was deceived"
    if sealed:
        await sealer.once()
    recovery = Recovery(house.store, Trail(house.store, archive))
    house.worker.records = type(house.worker.records)(house.store, recovery)
    over = await house.until(request.id, State.FAILED, State.ACTIVE)
    assert over.state is State.FAILED
    assert "after their delegation had ended" in over.closed_reason
    assert [each["alarm"] for each in await noted(house.store, "alarm")][-1] == "delegation_over"
    await recovery.trail.close()


async def _nobody() -> AccountStates:
    return AccountStates()
