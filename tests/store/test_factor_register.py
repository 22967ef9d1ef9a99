"""What was reset stays so in every process, whatever is put back; and what was lost is known from the audit log."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.audit.archive.archive import Archive
from bot.audit.sealer import Sealer
from bot.core.errors import StoreAway, Tampered
from bot.core.factors import RESET_STEP, FactorRecord
from bot.store.factor_register import FactorRegisters
from bot.store.factors import RESET
from bot.store.keyring import KeyRing
from bot.store.store import Store
from bot.worker.key_rotation import KeyRotation
from bot.worker.lockdown_high_water import LockdownHighWater
from bot.worker.tamper_alarms import TamperAlarms
from tests.providers.test_factors import code_at
from tests.store.factors import DAN, MIA, SEED, alarms, another_process, enrolled, failed, kept, proved, put, reset

OLDER = "it is an older one, put back"


async def test_a_factor_that_was_reset_does_not_come_back_in_a_process_that_never_saw_it(store: Store) -> None:
    await enrolled(store)
    before = await kept(store)
    await reset(store)
    await store.redis.set(store.keys.factors(MIA), before[store.keys.factors(MIA)])
    known = await another_process(store).factors.read(MIA)
    assert (known.record, known.doubt) == (FactorRecord(revision=1 + RESET_STEP), OLDER)


async def test_nor_where_the_register_is_put_back_with_it_and_the_process_ran_by_then(store: Store) -> None:
    await enrolled(store)
    before = await kept(store)
    other = another_process(store)
    await reset(store)
    await TamperAlarms(other).report()  # as each process does each second
    await put(store, before)
    assert (await other.factors.read(MIA)).doubt == OLDER
    said = [each for each in await alarms(store) if "register" in each]
    assert len(said) == 1
    assert OLDER in said[0]
    late = another_process(store)
    assert (await late.factors.read(MIA)).doubt == OLDER, "the register is written again, for those who come later"


@pytest.mark.parametrize("left", ["nothing", "the record from before"])
async def test_a_reset_by_a_process_that_saw_less_is_believed_by_those_that_saw_more(store: Store, left: str) -> None:
    await enrolled(store)
    before = await kept(store)
    for _ in range(3):
        await failed(store)
    key = store.keys.factors(MIA)
    await (store.redis.delete(key) if left == "nothing" else store.redis.set(key, before[key]))
    assert (await store.factors.read(MIA)).doubt
    await reset(another_process(store))
    for process in (store, another_process(store)):
        known = await process.factors.read(MIA)
        assert (known.doubt, known.record.factors) == ("", ())
    await put(store, before)
    assert (await store.factors.read(MIA)).doubt == OLDER


async def test_a_worker_that_starts_knows_from_the_archive_what_was_reset(store: Store, tmp_path: Path) -> None:
    await enrolled(store)
    await enrolled(store, DAN)
    before = await kept(store)
    await reset(store)
    await Sealer(store, lambda: Archive.open("", tmp_path, create=True), tmp_path).once()
    await put(store, before)
    worker = another_process(store)
    await LockdownHighWater(worker, lambda: Archive.open("", tmp_path)).read()
    await TamperAlarms(worker).report()
    for process in (worker, another_process(store)):
        assert (await process.factors.read(MIA)).doubt == OLDER
        assert (await process.factors.read(DAN)).doubt == ""


async def test_a_register_that_was_lost_is_known_from_the_archive(store: Store, tmp_path: Path) -> None:
    await enrolled(store)
    await Sealer(store, lambda: Archive.open("", tmp_path, create=True), tmp_path).once()
    await store.redis.delete(store.keys.factor_register)
    worker = another_process(store)
    await LockdownHighWater(worker, lambda: Archive.open("", tmp_path)).read()
    assert (await worker.factors.read(MIA)).doubt == ""
    assert (await another_process(store).factors.read(MIA)).doubt == ""


async def test_the_limit_where_all_is_put_back_and_nobody_and_no_archive_knows_better(store: Store) -> None:
    await enrolled(store)
    before = await kept(store)
    await reset(store)
    await put(store, before)
    assert (await another_process(store).factors.read(MIA)).doubt == ""


async def test_the_limit_of_a_process_that_did_not_see_the_last_proof(store: Store) -> None:
    await enrolled(store)
    before, known = await kept(store), await store.factors.read(MIA)
    code = code_at(SEED, known.now)
    after = proved(store, known, code)
    assert after is not None
    assert await store.factors.write(known, after, "proved", {})
    await put(store, before)
    other = another_process(store)
    assert proved(other, await other.factors.read(MIA), code) is not None
    assert (await store.factors.read(MIA)).doubt == OLDER, "whoever judged it knows"


async def test_deleting_everything_is_no_way_to_enrol(store: Store) -> None:
    await enrolled(store)
    code = await store.factors.offer_enrolment(MIA, "pat")
    await store.factors.take_enrolment(MIA, code, MIA)
    await put(store, {})
    fresh = another_process(store)
    known = await fresh.factors.read(MIA)
    assert known.record.usable == ()
    assert not await fresh.factors.take_enrolment(MIA, code, MIA)
    assert not await fresh.factors.take_enrolment(MIA, "", MIA)
    assert (await store.factors.read(MIA)).doubt == "it is gone"


async def test_a_record_that_was_left_without_its_register_is_not_believed(store: Store) -> None:
    await enrolled(store)
    await store.redis.delete(store.keys.factor_register)
    assert (await another_process(store).factors.read(MIA)).doubt == "the register does not know it"


@pytest.mark.parametrize("value", [None, b"", b"nonsense", b"{}|k1:00", b"\xff\n"])
async def test_a_register_that_is_missing_or_forged_is_written_again_by_who_knows_it(
    store: Store, value: bytes | None
) -> None:
    await enrolled(store)
    await enrolled(store, DAN)
    await (
        store.redis.delete(store.keys.factor_register)
        if value is None
        else store.redis.set(store.keys.factor_register, value)
    )
    await TamperAlarms(store).report()
    await TamperAlarms(store).report()
    assert len(await alarms(store)) == 1
    fresh = another_process(store)
    for identity in (MIA, DAN):
        assert (await store.factors.read(identity)).doubt == ""
        assert (await fresh.factors.read(identity)).doubt == ""


async def test_a_forged_register_that_ends_as_ours_keeps_nobody_from_enrolling(store: Store) -> None:
    await enrolled(store)
    value: Any = await store.redis.get(store.keys.factor_register)
    await store.redis.set(store.keys.factor_register, b"{}" + value)
    await enrolled(store, DAN)
    assert len(await alarms(store)) == 1
    fresh = another_process(store)
    assert [(await fresh.factors.read(each)).doubt for each in (MIA, DAN)] == ["", ""]


async def test_a_register_of_another_kind_keeps_nobody_from_proving(store: Store) -> None:
    await enrolled(store)
    await store.redis.delete(store.keys.factor_register)
    await store.redis.sadd(store.keys.factor_register, "x")
    assert (await store.factors.read(MIA)).doubt == ""
    await TamperAlarms(store).report()
    assert (await another_process(store).factors.read(MIA)).doubt == ""


async def test_many_who_enrol_at_once_are_all_in_the_register(store: Store) -> None:
    people = [f"person{n}@example.com" for n in range(12)]
    processes = [store, another_process(store), another_process(store)]
    await asyncio.gather(*(enrolled(processes[n % 3], who) for n, who in enumerate(people)))
    fresh = another_process(store)
    assert [(await fresh.factors.read(who)).doubt for who in people] == [""] * 12
    assert sorted(fresh.factors.register.people) == sorted(people)
    assert await alarms(store) == []


async def test_a_proof_or_a_failure_leaves_the_register_as_it_is(store: Store) -> None:
    await enrolled(store)
    before = await store.redis.get(store.keys.factor_register)
    await failed(store)
    assert await store.redis.get(store.keys.factor_register) == before


async def test_what_two_processes_read_at_once_only_one_of_them_changes(store: Store) -> None:
    await enrolled(store)
    other = another_process(store)
    first, second = await store.factors.read(MIA), await other.factors.read(MIA)
    assert await store.factors.write(first, first.record.without_factors(), RESET, {})
    await other.factors.register.refresh()
    assert not await other.factors.write(second, second.record.without_factor("f1"), "test", {})
    assert not await other.factors.write(second, second.record.with_failure(second.now), "test", {})


async def test_a_register_that_is_read_while_this_process_writes_it_is_not_taken_for_an_older_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enrolled(store)
    other = another_process(store)
    await enrolled(other, DAN)
    real, nested = store.redis.get, list[str]()

    async def late(key: Any) -> Any:
        value = await real(key)
        if key == store.keys.factor_register and not nested:
            nested.append(key)
            await reset(store)
        return value

    monkeypatch.setattr(store.redis, "get", late)
    await store.factors.register.refresh()
    assert nested
    assert await alarms(store) == []
    assert store.factors.register.people == {MIA: 1 + RESET_STEP, DAN: 1}


async def test_an_alarm_that_could_not_be_raised_is_raised_at_the_next_look(store: Store) -> None:
    await enrolled(store)
    raised: list[str] = []

    async def note(kind: str, event: str, **_: Any) -> bool:
        raised.append(event)
        if len(raised) == 1:
            raise StoreAway("ConnectionError")
        return True

    register = FactorRegisters(store.redis, store.keys, store.ring, note)
    await register.refresh()
    await store.redis.set(store.keys.factor_register, "nonsense")
    with pytest.raises(StoreAway):
        await register.refresh()
    await register.refresh()
    await register.refresh()
    assert len(raised) == 2
    assert (await another_process(store).factors.read(MIA)).doubt == ""


# rotation


async def test_everything_is_encrypted_with_the_current_key_before_the_old_one_goes(store: Store) -> None:
    await enrolled(store)
    await reset(store, DAN)
    both = another_process(store, KeyRing.parse(f"{KeyRing.generate('k2').spelled()},{store.ring.spelled()}"))
    await KeyRotation(both, after=0.0).run(asyncio.Event())
    new = KeyRing.parse(both.ring.spelled().splitlines()[0])
    assert new.ids == ("k2",)
    process = another_process(store, new)
    known = await process.factors.read(MIA)
    assert known.doubt == ""
    assert proved(process, known, code_at(SEED, known.now)) is not None
    assert (await process.factors.read(DAN)).doubt == ""
    assert b"k1:" not in b"".join((await kept(store)).values())
    assert await alarms(store) == []
    before = await kept(store)
    await both.factors.re_encrypt()
    assert await kept(store) == before, "once"


async def test_failures_meanwhile_are_counted(store: Store) -> None:
    await enrolled(store)
    both = another_process(store, KeyRing.parse(f"{KeyRing.generate('k2').spelled()},{store.ring.spelled()}"))
    other = another_process(store, both.ring)
    await asyncio.gather(both.factors.re_encrypt(), *(failed(other) for _ in range(10)))
    known = await both.factors.read(MIA)
    assert known.record.failures == 10
    assert both.ring.is_current(known.record.factor("f1").secret)


async def test_a_process_without_the_key_believes_nothing_and_writes_over_nothing(store: Store) -> None:
    new = another_process(store, KeyRing.parse(f"{KeyRing.generate('k2').spelled()},{store.ring.spelled()}"))
    await enrolled(new)
    values = await kept(store)
    assert (await store.factors.read(MIA)).doubt == "the key that sealed it is not among JIT_KEYS here"
    known = await store.factors.read(DAN)
    with pytest.raises(Tampered):
        await store.factors.write(known, known.record.with_factor("f1", "totp", "", 0), "test", {})
    with pytest.raises(Tampered):
        await reset(store)
    assert await kept(store) == values
    assert any(said.endswith("nothing is proved by them in this process") for said in await alarms(store))
    assert (await new.factors.read(MIA)).doubt == ""
