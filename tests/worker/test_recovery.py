"""An older record put back opens, extends and shows nothing, whoever knows better: this process, or the archive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.access import extend, own_request, review
from bot.access.review import ReviewDecision
from bot.audit.archive.archive import Archive
from bot.audit.sealer import Sealer
from bot.audit.trail import Trail, TrailUnknown
from bot.core import lifecycle
from bot.core.errors import NotAllowed, Overtaken, RolledBack
from bot.core.events import Approved
from bot.core.request import Request, Review, State, Verb
from bot.store.store import Store
from bot.store.types import Change
from bot.worker.recovery import Recovery
from tests.house import House, person

Fields = dict[Any, Any]
WAYS = ("one process", "restarted", "restarted, sealed")


@dataclass
class Thief:
    """Who can write to Redis, and the bot beside them. ``how``: which of the bot's processes knows what was."""

    store: Store
    home: Path
    how: str
    places: list[House] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.place = self._place(self.store)

    def _place(self, store: Store) -> House:
        recovery = Recovery(store, Trail(store, lambda: Archive.open("", self.home)))
        house = House(store, recovery=recovery)
        if self.places:
            house = House(store, recovery=recovery, systems=self.places[0].systems)
        self.places.append(house)
        return house

    @property
    def recovery(self) -> Recovery:
        assert self.place.recovery
        return self.place.recovery

    async def sealed(self) -> None:
        sealer = Sealer(self.store, lambda: Archive.open("", self.home, create=True), self.home)
        await sealer.once()
        await sealer.close()

    def again(self) -> None:
        """Another process goes on, which remembers nothing."""
        self.place = self._place(Store(self.store.redis, self.store.workspace, self.store.ring))

    async def granted(self) -> Request:
        """Opened, however often that has to be tried."""
        request = await self.place.ask()
        await self.place.approve("dan", request.id)
        return await self.place.until(request.id, State.ACTIVE)

    async def copied(self, id_: str) -> Fields:
        return dict(await self.store.redis.hgetall(self.store.keys.record(id_)))

    async def puts(self, id_: str, old: Fields) -> None:
        """The old record, due now; before a process that is told by ``how``."""
        if self.how == "restarted, sealed":
            await self.sealed()
        if self.how != "one process":
            self.again()
        async with self.store.redis.pipeline(transaction=True) as pipe:
            pipe.delete(self.store.keys.record(id_))
            pipe.hset(self.store.keys.record(id_), mapping={**old, b"lease": "0"})
            pipe.zadd(self.store.keys.due, {id_: 1.0})
            await pipe.execute()

    async def backup(self) -> dict[Any, Any]:
        """All that lies in Redis now."""
        keys = await self.store.redis.keys(self._ours)
        return {key: await self.store.redis.dump(key) for key in keys}

    async def puts_all(self, backup: dict[Any, Any]) -> None:
        """Redis as it was then; what was added since is left, and no index names it any more."""
        there: list[Any] = await self.store.redis.keys(self._ours)
        await self.store.redis.delete(*(key for key in there if key not in backup and b":request:" not in key))
        for key, dump in backup.items():
            await self.store.redis.restore(key, 0, dump, replace=True)

    @property
    def _ours(self) -> str:
        return self.store.keys.record("").removesuffix("request:") + "*"

    async def alarms(self) -> list[str]:
        entries: Any = await self.store.redis.xrange(self.store.keys.audit)
        return [entry[b"id"].decode() for _, entry in entries if b"rolled_back" in entry[b"event"]]

    async def doors(self) -> list[str]:
        return [str(list_access.order) for list_access in await self.place.sandbox.list_access()]


@pytest.fixture(params=WAYS)
async def thief(store: Store, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Thief]:
    thief = Thief(store, tmp_path / "home", request.param)
    await thief.place.open()
    await thief.sealed()
    yield thief
    for place in thief.places:
        assert place.recovery
        await place.recovery.trail.close()


async def ended(thief: Thief) -> tuple[Request, dict[str, Fields]]:
    """A request's whole life, and its record at each state."""
    place, copies = thief.place, {}
    request = await place.ask()
    copies["pending"] = await thief.copied(request.id)
    await place.approve("dan", request.id)
    copies["granting"] = await thief.copied(request.id)
    await place.until(request.id, State.ACTIVE)
    copies["active"] = await thief.copied(request.id)
    await own_request.release(place.context, place.actor("mia"), request.id)
    copies["revoking"] = await thief.copied(request.id)
    await place.until(request.id, State.ENDED)
    return request, copies


@pytest.mark.parametrize("state", ["granting", "active", "revoking", "pending"])
async def test_a_request_that_has_ended_is_not_opened_by_any_of_its_older_records(thief: Thief, state: str) -> None:
    request, copies = await ended(thief)
    await thief.puts(request.id, copies[state])
    await thief.place.work()
    await thief.recovery.compare()
    await thief.place.work()
    assert await thief.doors() == []
    assert (await thief.place.now(request.id)).state is State.ENDED
    # What is only closed once more is no harm, and a process that knows nothing does that first.
    assert await thief.alarms() == ([] if state == "revoking" and thief.how != "one process" else [request.id])


async def test_a_record_that_two_find_rolled_back_at_once_is_restored_once(thief: Thief) -> None:
    """Restored twice, it would have two histories: no replay leads to it, and whoever shares its access waits."""
    request = await thief.granted()
    older = dict(await thief.copied(request.id))
    truth = await thief.place.now(request.id)
    await extend.extend(thief.place.context, thief.place.actor("mia"), request.id, 600, "INC-1 goes on")
    await thief.puts(request.id, older)
    stale = await thief.place.now(request.id)
    found = await thief.recovery.replayed(request.id, stale)
    assert found
    assert found.version > truth.version
    other = Store(thief.store.redis, thief.store.workspace, thief.store.ring)
    assert [await thief.place.store.restore(found, stale), await other.restore(found, stale)] == [True, False]
    await thief.recovery.check(await thief.place.now(request.id))
    assert not await other.restore(found, None), "nor by whoever found none in its place"


async def test_a_request_that_was_denied_is_not_opened_when_it_is_put_back_and_approved(thief: Thief) -> None:
    request = await thief.place.ask()
    pending = await thief.copied(request.id)
    await review.review(
        thief.place.context, thief.place.actor("eve"), request.id, ReviewDecision(verb=Verb.DENY, reason="no")
    )
    await thief.puts(request.id, pending)
    if thief.how == "one process":
        with pytest.raises(RolledBack):
            await thief.place.approve("dan", request.id)
    else:
        assert (await thief.place.approve("dan", request.id)).state is State.GRANTING
    await thief.place.work()
    assert await thief.doors() == []
    assert (await thief.place.now(request.id)).state is State.DENIED
    assert await thief.alarms() == [request.id]
    with pytest.raises((NotAllowed, Overtaken)):
        await thief.place.approve("dan", request.id)


async def test_a_denied_request_that_is_driven_past_its_denial_is_not_opened(thief: Thief) -> None:
    """Put back, and moved on by honest clicks in a process that knows nothing: further than the archive knows it."""
    request = await thief.place.ask("dan", "vault/admin")
    pending = await thief.copied(request.id)
    await review.review(
        thief.place.context, thief.place.actor("eve"), request.id, ReviewDecision(verb=Verb.DENY, reason="no")
    )
    await thief.puts(request.id, pending)
    elsewhere = House(Store(thief.store.redis, thief.store.workspace, thief.store.ring))
    await elsewhere.approve("eve", request.id)
    assert (await elsewhere.approve("sam", request.id)).state is State.GRANTING
    await thief.place.work()
    assert await thief.doors() == []
    assert (await thief.place.now(request.id)).state is State.DENIED
    assert await thief.alarms() == [request.id]


async def test_no_secret_is_shown_from_a_record_that_was_put_back(thief: Thief) -> None:
    request, copies = await ended(thief)
    await thief.puts(request.id, copies["active"])
    elsewhere = House(Store(thief.store.redis, thief.store.workspace, thief.store.ring))
    await own_request.reveal(elsewhere.context, elsewhere.actor("mia"), request.id, "V1")
    await thief.place.work()
    assert thief.place.shown == []
    assert await thief.doors() == []
    assert (await thief.place.now(request.id)).state is State.ENDED


async def test_a_revoke_that_is_under_way_goes_on_when_the_record_says_active_again(thief: Thief) -> None:
    request = await thief.granted()
    active = await thief.copied(request.id)
    await own_request.release(thief.place.context, thief.place.actor("mia"), request.id)
    await thief.puts(request.id, active)
    await thief.store.redis.zadd(thief.store.keys.due, {request.id: await thief.store.now() + 1800})
    await thief.recovery.compare()
    await thief.place.work()
    assert await thief.doors() == []
    assert (await thief.place.now(request.id)).state is State.ENDED


Hide = Callable[[Thief, str], Awaitable[Any]]
HIDDEN: dict[str, Hide] = {
    "its due time is taken away": lambda thief, id_: thief.store.redis.zrem(thief.store.keys.due, id_),
    "its record is deleted": lambda thief, id_: thief.store.redis.delete(thief.store.keys.record(id_)),
    "its record is a word": lambda thief, id_: thief.store.redis.set(thief.store.keys.record(id_), "none"),
    "its body is another's": lambda thief, id_: thief.store.redis.hset(thief.store.keys.record(id_), "body", "x"),
    "all is hidden": lambda thief, id_: thief.store.redis.delete(thief.store.keys.due, thief.store.keys.record(id_)),
}


@pytest.mark.parametrize("how", HIDDEN)
async def test_what_is_open_is_found_and_closed_however_it_is_hidden(thief: Thief, how: str) -> None:
    request = await thief.granted()
    assert len(await thief.doors()) == 1
    if thief.how == "restarted, sealed":
        await thief.sealed()
    if thief.how != "one process":
        thief.again()
    await HIDDEN[how](thief, request.id)
    await thief.recovery.compare()
    assert await thief.store.redis.zscore(thief.store.keys.due, request.id) is not None
    await thief.place.work()
    assert (await thief.place.now(request.id)).ends_at == request.ends_at
    await own_request.release(thief.place.context, thief.place.actor("mia"), request.id)
    await thief.place.until(request.id, State.ENDED)
    assert await thief.doors() == []


@pytest.mark.parametrize("archived", ["nothing", "its first event", "all but its first event", "all of it"])
async def test_what_is_open_is_found_and_closed_when_redis_is_put_back_as_a_whole(
    store: Store, tmp_path: Path, archived: str
) -> None:
    thief = Thief(store, tmp_path / "home", "restarted")
    await thief.place.open()
    await thief.sealed()
    before = await thief.backup()
    request = await thief.place.ask()
    if archived == "its first event":
        await thief.sealed()
    if archived == "all but its first event":
        await thief.recovery.compare()
        await thief.puts_all(before)
        await thief.recovery.compare()
    await thief.place.approve("dan", request.id)
    request = await thief.place.until(request.id, State.ACTIVE)
    if archived in {"all but its first event", "all of it"}:
        await thief.sealed()
    assert len(await thief.doors()) == 1
    thief.again()
    await thief.puts_all(before)
    for _ in range(2_000):  # all keys of the server are passed by, and other tests have left theirs
        await thief.recovery.compare()
        if await store.redis.zscore(store.keys.due, request.id) is not None:
            break
    assert await store.redis.zscore(store.keys.due, request.id) is not None
    await thief.place.work()
    assert (await thief.place.now(request.id)).ends_at == request.ends_at
    await own_request.release(thief.place.context, thief.place.actor("mia"), request.id)
    await thief.place.until(request.id, State.ENDED)
    assert await thief.doors() == []
    for place in thief.places:
        assert place.recovery
        await place.recovery.trail.close()


async def test_a_grant_that_cannot_be_checked_is_given_up_when_what_was_approved_would_be_over(
    store: Store, tmp_path: Path
) -> None:
    """Its record may have been put back to before the grant: what is open since is to end on time."""
    thief = Thief(store, tmp_path / "home", "restarted")
    await thief.place.open()
    await thief.sealed()
    request = await thief.place.ask(duration=5)
    await thief.place.approve("dan", request.id)
    approved = await thief.copied(request.id)
    await thief.place.until(request.id, State.ACTIVE)
    thief.home.joinpath("archive.db").rename(thief.home / "elsewhere.db")
    compared: list[str] = []

    async def compare() -> None:
        compared.append(request.id)

    await thief.puts(request.id, approved)
    thief.recovery.on_unknown_access = compare
    failed = await thief.place.until(request.id, State.FAILED)
    assert "could not be checked against the audit log" in failed.closed_reason
    assert failed.closed_at >= failed.begun_at + 5
    assert compared == [request.id], "the access that no record shows is looked for"
    for place in thief.places:
        assert place.recovery
        await place.recovery.trail.close()


async def test_an_end_that_was_put_off_is_put_before_the_workers_again(thief: Thief) -> None:
    request = await thief.granted()
    await own_request.release(thief.place.context, thief.place.actor("mia"), request.id)
    await thief.store.redis.zadd(thief.store.keys.due, {request.id: await thief.store.now() + 3600})
    async with asyncio.timeout(30):
        while (await thief.place.now(request.id)).state is not State.ENDED:
            await thief.recovery.compare()
            await thief.place.work()
            await asyncio.sleep(0.05)
    assert await thief.doors() == []


async def test_nothing_is_opened_while_the_archive_does_not_answer_and_closing_goes_on(
    store: Store, tmp_path: Path
) -> None:
    thief = Thief(store, tmp_path / "home", "one process")
    await thief.place.open()
    await thief.sealed()
    open_, waits = await thief.granted(), await thief.place.ask("kim")
    thief.home.joinpath("archive.db").rename(thief.home / "elsewhere.db")
    thief.again()
    await thief.place.approve("dan", waits.id)
    with pytest.raises(TrailUnknown):
        await thief.recovery.compare()
    await thief.place.work()
    assert (await thief.place.now(waits.id)).state is State.GRANTING
    await own_request.release(thief.place.context, thief.place.actor("mia"), open_.id)
    await thief.place.until(open_.id, State.ENDED)
    assert await thief.doors() == []
    thief.home.joinpath("elsewhere.db").rename(thief.home / "archive.db")
    await thief.place.until(waits.id, State.ACTIVE)
    await thief.recovery.trail.close()


async def test_without_an_archive_what_this_process_knows_is_believed_and_the_rest_is_closed(store: Store) -> None:
    place = await House(store).open()
    request = await place.granted()
    record: Any = await store.redis.hgetall(store.keys.record(request.id))
    await own_request.release(place.context, place.actor("mia"), request.id)
    await place.work()
    await store.redis.hset(store.keys.record(request.id), mapping=record)
    await store.redis.zadd(store.keys.due, {request.id: 1.0})
    await place.until(request.id, State.ENDED)
    assert await place.sandbox.list_access() == []


async def test_who_has_the_keys_too_can_approve_anything(store: Store) -> None:
    """What no tag keeps from them, and what the security model therefore says: keep the keys and Redis apart."""
    place = await House(store).open()
    request = await place.ask()
    review = Review(verb=Verb.APPROVE, by=person(store.workspace, "eve"), at=request.created_at, duration=600)
    forged = Approved(at=request.created_at, by="UEVE", review=review, duration=600)
    theirs = Store(store.redis, store.workspace, store.ring)
    await theirs.commit(Change(request, lifecycle.advance(request, forged), forged))
    await place.until(request.id, State.ACTIVE)
    assert [str(list_access.order) for list_access in await place.sandbox.list_access()] == [f"{request.id}.0"]
