"""Factors as they lie in Redis: a code counts once, and whoever writes there proves nothing and brings back nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import SecretStr

from bot.core.errors import Tampered
from bot.core.events import Cancelled
from bot.core.factors import RESET_STEP, FactorRecord
from bot.core.lifecycle import advance
from bot.store.factors import ENROLLED, FAILED
from bot.store.keyring import CannotDecrypt
from bot.store.store import Store
from bot.store.types import Change, GuardFailed
from tests.house import House
from tests.providers.test_factors import code_at
from tests.store.factors import DAN, MIA, SEED, alarms, another_process, enrolled, failed, kept, proved, put, reset

# what is kept


async def test_what_was_written_is_read_again_by_every_process(store: Store) -> None:
    after = await enrolled(store)
    for each in (store, another_process(store)):
        known = await each.factors.read(MIA)
        assert (known.record, known.doubt) == (after, "")
        assert each.factors.decrypt(MIA, known.record.factor("f1")).get_secret_value() == SEED
    assert (await store.factors.read(DAN)).record == FactorRecord()


async def test_no_secret_and_no_code_is_in_redis_or_shown(store: Store) -> None:
    await enrolled(store)
    code = await store.factors.offer_enrolment(MIA, "pat")
    known = await store.factors.read(MIA)
    values = b"".join((await kept(store)).values()).decode()
    rows: Any = await store.redis.xrange(store.keys.audit)
    secret = known.record.factor("f1").secret
    for hidden in (SEED, code, code.replace("-", "")):
        assert hidden not in values + repr(rows) + repr(known) + repr(store.factors)
    assert secret not in repr(rows) + repr(known)


async def test_a_secret_serves_no_other_person_and_no_other_factor(store: Store) -> None:
    factor = (await enrolled(store)).factor("f1")
    with pytest.raises(CannotDecrypt):
        store.factors.decrypt(DAN, factor)
    with pytest.raises(CannotDecrypt):
        store.factors.decrypt(MIA, factor.model_copy(update={"id": "f2"}))


# one code, one use


async def test_of_two_submissions_with_one_code_one_commits(store: Store) -> None:
    house = await House(store).open()
    await enrolled(store)
    requests = [await house.ask(name) for name in ("mia", "eve")]
    other = another_process(store)
    await other.policy.adopt(house.policy.policy_hash)
    code = code_at(SEED, await store.now())
    changes: list[tuple[Store, Change]] = []
    for process, request in zip((store, other), requests, strict=True):
        known = await process.factors.read(MIA)
        after = proved(process, known, code)
        assert after is not None
        guards, ops = process.factors.guards_and_ops(known, after)
        event = Cancelled(at=request.created_at + 1, by=request.requester.id)
        changes.append((process, Change(request, advance(request, event), event, guards=guards, extra_writes=ops)))
    answers = await asyncio.gather(*(each.commit(change) for each, change in changes), return_exceptions=True)
    [lost] = [answer for answer in answers if not isinstance(answer, float)]
    assert isinstance(lost, GuardFailed)
    assert store.factors.guarded_by(lost.guard, MIA)
    assert not store.factors.guarded_by(lost.guard, DAN)
    known = await store.factors.read(MIA)
    assert known.record.revision == 2
    assert proved(store, known, code) is None, "judged again, it is spent"


async def test_the_clock_that_counts_is_redis_own(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await enrolled(store)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 600)
    known = await store.factors.read(MIA)
    assert abs(known.now - real()) < 60
    assert proved(store, known, code_at(SEED, known.now)) is not None
    assert proved(store, known, code_at(SEED, known.now - 600)) is None


async def test_every_failure_counts_however_many_come_at_once_and_only_for_that_person(store: Store) -> None:
    await enrolled(store)
    await enrolled(store, DAN)
    processes = [store, another_process(store)]
    await asyncio.gather(*(failed(processes[n % 2]) for n in range(8)))
    known = await store.factors.read(MIA)
    assert known.record.failures == 8
    assert known.record.locked_until > known.now + 1_900
    other = await store.factors.read(DAN)
    assert (other.record.failures, other.record.locked_until) == (0, 0)


# who can write to Redis

Attack = Callable[[Store, dict[str, bytes]], Awaitable[Any]]


async def _older(store: Store, before: dict[str, bytes]) -> None:
    await store.redis.set(store.keys.factors(MIA), before[store.keys.factors(MIA)])


async def _gone(store: Store, before: dict[str, bytes]) -> None:
    await store.redis.delete(store.keys.factors(MIA))


async def _copied(store: Store, before: dict[str, bytes]) -> None:
    await store.redis.copy(store.keys.factors(DAN), store.keys.factors(MIA), replace=True)


async def _changed(store: Store, before: dict[str, bytes]) -> None:
    now: Any = await store.redis.get(store.keys.factors(MIA))
    await store.redis.set(store.keys.factors(MIA), now.replace(b'"revision":', b'"revision":9'))


async def _noise(store: Store, before: dict[str, bytes]) -> None:
    await store.redis.set(store.keys.factors(MIA), b"\xff\n|k1:\xff")


async def _set(store: Store, before: dict[str, bytes]) -> None:
    await store.redis.delete(store.keys.factors(MIA))
    await store.redis.sadd(store.keys.factors(MIA), "x")


ATTACKS: dict[str, tuple[Attack, str]] = {
    "an older one": (_older, "it is an older one, put back"),
    "nothing": (_gone, "it is gone"),
    "another's": (_copied, "it does not have our MAC"),
    "one that was changed": (_changed, "it does not have our MAC"),
    "no text": (_noise, "it does not have our MAC"),
    "another kind": (_set, "it is gone"),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_what_was_put_in_place_of_a_record_proves_nothing_until_a_reset(store: Store, attack: str) -> None:
    await enrolled(store)
    await enrolled(store, DAN)
    before = await kept(store)
    await failed(store)
    newest = (await store.factors.read(MIA)).record.revision
    put_in_place, why = ATTACKS[attack]
    await put_in_place(store, before)
    known = await store.factors.read(MIA)
    assert (known.record, known.doubt) == (FactorRecord(revision=newest), why)
    with pytest.raises(Tampered):
        store.factors.guards_and_ops(known, known.record)
    with pytest.raises(Tampered):
        await store.factors.write(known, known.record.with_failure(known.now), FAILED, {})
    with pytest.raises(Tampered):
        await store.factors.write(known, known.record.with_factor("f2", "totp", "", 0, confirmed=True), ENROLLED, {})
    with pytest.raises(Tampered):
        await store.factors.offer_enrolment(MIA, "pat")
    assert not await store.factors.take_enrolment(MIA, "2222-2222-2222", MIA)
    assert (await store.factors.read(DAN)).doubt == ""
    for _ in range(5):
        await store.factors.read(MIA)
    [said] = await alarms(store)
    assert said == f"the factors of {MIA} cannot be believed ({why}): nothing is proved by them until they are reset"
    await reset(store)
    known = await store.factors.read(MIA)
    assert (known.record, known.doubt) == (FactorRecord(revision=newest + RESET_STEP), "")
    await put_in_place(store, before)
    assert (await store.factors.read(MIA)).doubt, "nor after it"


async def test_a_time_step_is_not_unspent_by_the_record_from_before_it(store: Store) -> None:
    await enrolled(store)
    before, known = await kept(store), await store.factors.read(MIA)
    code = code_at(SEED, known.now)
    after = proved(store, known, code)
    assert after is not None
    assert await store.factors.write(known, after, "proved", {})
    await put(store, before)
    known = await store.factors.read(MIA)
    assert (known.doubt, known.record.usable) == ("it is an older one, put back", ())


async def test_a_commit_that_a_read_overtakes_makes_nobody_doubt(store: Store) -> None:
    await enrolled(store)
    doubts, done = set[str](), asyncio.Event()

    async def look() -> None:
        while not done.is_set():
            doubts.add((await store.factors.read(MIA)).doubt)

    readers = [asyncio.create_task(look()) for _ in range(10)]
    for _ in range(50):
        await failed(store)
        await store.factors.offer_enrolment(MIA, "pat")
    done.set()
    await asyncio.gather(*readers)
    assert doubts == {""}
    assert await alarms(store) == []


async def test_a_commit_spends_a_proof_and_enrols_nothing(store: Store) -> None:
    await enrolled(store)
    known = await store.factors.read(MIA)
    for after in (known.record.without_factors(), known.record.with_factor("f2", "totp", "", 0, confirmed=True)):
        with pytest.raises(ValueError, match="only spends"):
            store.factors.guards_and_ops(known, after)


async def test_somebody_elses_secret_in_ones_own_record_cannot_be_had(store: Store) -> None:
    """Write access copies no ciphertext into a record, since that has a MAC; and the ciphertext would not do."""
    mine, theirs = await enrolled(store), await enrolled(store, DAN)
    factor = mine.factor("f1").model_copy(update={"secret": theirs.factor("f1").secret})
    with pytest.raises(CannotDecrypt):
        store.factors.decrypt(MIA, factor)


# enrolment codes


async def test_an_enrolment_code_serves_once_and_one_person(store: Store) -> None:
    code = await store.factors.offer_enrolment(MIA, "pat")
    assert len(code.replace("-", "")) == 12
    assert not await store.factors.take_enrolment(DAN, code, DAN)
    assert not await store.factors.take_enrolment(MIA, "wrong", MIA)
    assert await store.factors.take_enrolment(MIA, f" {code.lower()} ", MIA)
    assert not await store.factors.take_enrolment(MIA, code, MIA)


@pytest.mark.parametrize("typed", ["\ud800", "é" * 12, "\0", ""])
async def test_what_is_no_enrolment_code_is_a_wrong_one_whatever_was_typed(store: Store, typed: str) -> None:
    await store.factors.offer_enrolment(MIA, "pat")
    assert not store.factors.is_enrolment_code(await store.factors.read(MIA), typed)
    assert not await store.factors.take_enrolment(MIA, typed, MIA)


async def test_of_many_who_take_one_code_at_once_one_gets_it(store: Store) -> None:
    code = await store.factors.offer_enrolment(MIA, "pat")
    processes = [store, another_process(store), another_process(store)]
    taken = await asyncio.gather(*(processes[n % 3].factors.take_enrolment(MIA, code, MIA) for n in range(9)))
    assert sum(taken) == 1


async def test_a_newer_code_voids_the_older_and_five_wrong_ones_void_it(store: Store) -> None:
    older = await store.factors.offer_enrolment(MIA, "pat")
    code = await store.factors.offer_enrolment(MIA, "pat")
    for wrong in (older, "", "\0", "9" * 10_000, code + "2"):
        assert not await store.factors.take_enrolment(MIA, wrong, MIA)
    assert not await store.factors.take_enrolment(MIA, code, MIA)


async def test_a_code_is_too_old_by_redis_clock(store: Store) -> None:
    code = await store.factors.offer_enrolment(MIA, "pat")
    known = await store.factors.read(MIA)
    assert known.record.offer
    assert abs(known.record.offer.until - known.now - 86_400) < 60
    late = known.record.with_offer(known.record.offer.model_copy(update={"until": known.now - 0.001}))
    assert await store.factors.write(known, late, "test", {})
    assert not await store.factors.take_enrolment(MIA, code, MIA)


async def test_a_used_code_does_not_serve_again_when_the_record_that_offered_it_is_put_back(store: Store) -> None:
    code = await store.factors.offer_enrolment(MIA, "pat")
    before = await kept(store)
    assert await store.factors.take_enrolment(MIA, code, MIA)
    other = another_process(store)
    await other.factors.register.refresh()
    await put(store, before)
    for process in (store, other):
        assert not await process.factors.take_enrolment(MIA, code, MIA)


async def test_a_reset_voids_a_code(store: Store) -> None:
    await enrolled(store)
    code = await store.factors.offer_enrolment(MIA, "pat")
    await reset(store)
    assert not await store.factors.take_enrolment(MIA, code, MIA)


async def test_a_secret_of_any_length_comes_back(store: Store) -> None:
    for text in ("", "é|\n", "x" * 10_000):
        encrypted = store.factors.encrypt(MIA, "f1", SecretStr(text))
        record = FactorRecord().with_factor("f1", "totp", encrypted, 0)
        assert store.factors.decrypt(MIA, record.factor("f1")).get_secret_value() == text
