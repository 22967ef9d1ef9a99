"""Records written straight into Redis while workers run: they open nothing, and an alarm is raised for each."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from bot.access import own_request
from bot.core import lifecycle
from bot.core.events import Approved
from bot.core.request import Request, Review, State, Verb
from bot.store.keyring import KeyRing
from bot.store.record_seal import Sealing
from bot.store.redis.client import Link
from tests.chaos.weather import house
from tests.house import House, person
from tests.servers import RedisServer, program

WORKERS = 2
FORGER = KeyRing({"k1": bytes(range(32))})
"""A key of the same name, which is not ours."""
Fields = dict[Any, Any]


@pytest.fixture
async def place(redis: RedisServer, workspace: str, tmp_path: Path) -> AsyncIterator[House]:
    """A house with workers in processes of their own."""
    link = Link(redis.socket_url)
    place = await house(link, workspace, tmp_path).open()
    words = (redis.socket_url, workspace, str(tmp_path))
    workers = [program("tests.chaos.laborer", *words, log=tmp_path / "output") for _ in range(WORKERS)]
    try:
        yield place
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
        await link.aclose()


async def met(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what other processes bring about."""
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110  # other processes change it
            await asyncio.sleep(0.02)


async def become(place: House, id_: str, state: State) -> Request:
    """Wait until the workers have brought it there."""

    async def there() -> bool:
        return (await place.now(id_)).state is state

    await met(there)
    return await place.now(id_)


async def opened(place: House, name: str) -> Request:
    """Asked for, approved, and opened by the workers."""
    request = await place.ask(name)
    await place.approve("dan", request.id)
    return await become(place, request.id, State.ACTIVE)


async def closed(place: House, name: str, id_: str) -> Request:
    """Given back, and closed by the workers."""
    await own_request.release(place.context, place.actor(name), id_)
    return await become(place, id_, State.ENDED)


async def record(place: House, id_: str) -> Fields:
    """What lies in Redis."""
    return dict(await place.store.redis.hgetall(place.store.keys.record(id_)))


async def put(place: House, id_: str, fields: Fields) -> str:
    """A record that is due now, past every script; its id."""
    now = await place.store.now()
    named = {name if isinstance(name, bytes) else name.encode(): value for name, value in fields.items()}
    async with place.store.redis.pipeline(transaction=True) as pipe:
        pipe.hset(place.store.keys.record(id_), mapping={**named, b"lease": "0", b"due": f"{now:.6f}"})
        pipe.zadd(place.store.keys.due, {id_: now})
        pipe.publish(place.store.keys.wake, id_)
        await pipe.execute()
    return id_


async def approval(place: House, request: Request, **other: Any) -> Fields:
    """The record as if somebody entitled had approved it, under a seal that is not ours. ``other``: fields instead."""
    at = await place.store.now()
    review = Review(verb=Verb.APPROVE, by=person(request.workspace, "dan"), at=at, duration=request.duration)
    forged = lifecycle.advance(request, Approved(at=at, review=review, duration=request.duration))
    body, seal = Sealing(place.store.workspace, FORGER).pack(forged)
    return {"version": forged.version, "body": body, "seal": seal, "state": forged.state, **other}


# the ways to forge


async def under_another_key(place: House) -> str:
    request = await place.ask("n1")
    return await put(place, request.id, await approval(place, request))


async def without_a_seal(place: House) -> str:
    request = await place.ask("n2")
    return await put(place, request.id, await approval(place, request, seal=""))


async def under_the_seal_that_was_there(place: House) -> str:
    request = await place.ask("n3")
    true = await record(place, request.id)
    return await put(place, request.id, await approval(place, request, seal=true[b"seal"]))


async def packed_to_burst(place: House) -> str:
    request = await place.ask("n4")
    return await put(place, request.id, await approval(place, request, body=zlib.compress(bytes(10_000_000))))


async def no_record_but_a_word(place: House) -> str:
    request = await place.ask("n5")
    await place.store.redis.set(place.store.keys.record(request.id), "granting")
    await place.store.redis.zadd(place.store.keys.due, {request.id: 1.0})
    return request.id


async def no_record_at_all(place: House) -> str:
    await place.store.redis.zadd(place.store.keys.due, {"J-ZZZ2": 1.0})
    return "J-ZZZ2"


async def nobodys_request(place: House) -> str:
    request = (await place.ask("n6")).model_copy(update={"id": "J-ZZZ3"})
    return await put(place, "J-ZZZ3", await approval(place, request))


async def an_old_body_of_ours_with_a_raised_version(place: House) -> str:
    request = await opened(place, "n7")
    open_ = await record(place, request.id)
    ended = await closed(place, "n7", request.id)
    return await put(place, request.id, {**open_, b"version": ended.version + 1})


async def a_copy_under_an_id_of_its_own(place: House) -> str:
    request = await opened(place, "n8")
    copy = await record(place, request.id)
    await closed(place, "n8", request.id)
    return await put(place, "J-ZZZ4", copy)


async def a_copy_over_another_request(place: House) -> str:
    request, other = await opened(place, "n9"), await place.ask("n10")
    copy = await record(place, request.id)
    await closed(place, "n9", request.id)
    return await put(place, other.id, copy)


WAYS = (
    under_another_key,
    without_a_seal,
    under_the_seal_that_was_there,
    packed_to_burst,
    no_record_but_a_word,
    no_record_at_all,
    nobodys_request,
    an_old_body_of_ours_with_a_raised_version,
    a_copy_under_an_id_of_its_own,
    a_copy_over_another_request,
)


async def alarmed(place: House) -> set[str]:
    """What the audit has an alarm about that is to be told in the audit channel."""
    entries: Any = await place.store.redis.xrange(place.store.keys.audit)
    alarms = {entry[b"id"].decode() for _, entry in entries if entry[b"kind"] == b"alarm"}
    rows: Any = await place.store.redis.hkeys(place.store.keys.rows)
    return alarms & {row.decode().partition("|")[0] for row in rows if row.partition(b":")[0].endswith(b"|tampered")}


async def kept(place: House, ids: Collection[str]) -> set[str]:
    """Those that are still due: nothing is dropped that a person has not seen."""
    scores = {id_: await place.store.redis.zscore(place.store.keys.due, id_) for id_ in ids}
    return {id_ for id_, score in scores.items() if score is not None}


async def doors(place: House) -> set[str]:
    """The requests behind the doors that are open."""
    return {str(list_access.order).partition(".")[0] for list_access in await place.sandbox.list_access()}


async def test_what_was_written_past_us_opens_nothing_raises_an_alarm_and_keeps_nobody_from_being_served(
    place: House,
) -> None:
    forged = dict(zip(await asyncio.gather(*(way(place) for way in WAYS)), WAYS, strict=True))

    async def all_alarmed() -> bool:
        return await alarmed(place) >= set(forged)

    try:
        await met(all_alarmed)
    except TimeoutError:
        missing = set(forged) - await alarmed(place)
        raise AssertionError(f"no alarm: {[forged[id_].__name__ for id_ in missing]}") from None
    honest = await opened(place, "kim")
    assert await doors(place) == {honest.id}
    await closed(place, "kim", honest.id)
    assert await doors(place) == set()
    assert await kept(place, forged) == set(forged)
    assert await alarmed(place) == set(forged)
