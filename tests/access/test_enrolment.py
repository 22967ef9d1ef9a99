"""Setting up and resetting a second factor, as somebody tries it who has taken over an account, a code or Redis."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from bot.access import enrolment, factor_reset
from bot.access.enrolment import BegunFactor, ConfirmedFactor
from bot.access.factor_reset import ResetOutcome
from bot.core.enrolment_errors import (
    CannotEnrol,
    EnrolmentLocked,
    EnrolmentOver,
    FactorsUnreadable,
    NobodyBound,
    NoEnrolmentCode,
    NothingInstalled,
    NothingToReset,
    OtherReason,
    OwnReset,
    TooManyFactors,
    WrongEnrolmentCode,
    WrongFirstCode,
)
from bot.core.errors import BadReason, TerminalDoesNotCount
from bot.core.factors import EnrolmentOffer
from bot.core.lockdown import Operator
from bot.store.factors import ENROLLED, FAILED, LOCKED, OFFER_FAILED, OFFERED, RESET
from bot.store.indexes.factor_resets import FactorResets
from bot.store.store import Store
from tests.factors import App
from tests.house import POLICY, House, catalog, person

MIA = "mia@example.com"
WHY = "Mia called from her desk phone"
BY = "cli:pat@host"
WRONG = SecretStr("000000")
OPERATORS = catalog(POLICY.replace("platform: {people: [pat@", "platform: {people: [pat@example.com, kim@"))


class Enrolling(House):
    """The house, in which Mia and Dan are bound to their accounts."""

    async def open(self) -> Enrolling:
        await super().open()
        for name in ("mia", "dan", "pat", "kim"):
            assert await self.store.identities.bind(f"{name}@example.com", f"U{name.upper()}")
        return self

    async def offered(self, name: str = "mia") -> SecretStr:
        return SecretStr(await enrolment.offer(self.context, BY, f"{name}@example.com", WHY))

    def app(self, begun: BegunFactor) -> App:
        """The app of somebody who typed the key into it."""
        return App(self.store, MIA, begun.lines[0].text.get_secret_value().replace(" ", ""))

    async def begun(self, code: SecretStr, name: str = "mia") -> BegunFactor:
        return await enrolment.begin(self.context, self.actor(name), code)

    async def confirmed(self, begun: BegunFactor, code: SecretStr | None = None, name: str = "mia") -> ConfirmedFactor:
        typed = code or await self.app(begun).code()
        return await enrolment.confirm(self.context, self.actor(name), begun.id, typed)

    async def enrolled(self, name: str = "mia") -> tuple[BegunFactor, ConfirmedFactor]:
        begun = await self.begun(await self.offered(name), name)
        return begun, await self.confirmed(begun, name=name)

    async def reset(self, by: str, reason: str = WHY, of: str = MIA) -> ResetOutcome:
        who = Operator(by=f"cli:{by}@host", name=by.title(), person=person(self.store.workspace, by))
        return await factor_reset.reset(self.context, who, self.actor(by).roster, of, reason)

    async def kinds(self, name: str = "mia") -> list[str]:
        """The factors that count."""
        known = await self.store.factors.read(f"{name}@example.com")
        return sorted(factor.kind for factor in known.record.usable)

    async def audited(self, kind: str) -> list[dict[str, Any]]:
        found: Any = await self.store.redis.xrange(self.store.keys.audit)
        return [json.loads(fields[b"event"]) for _, fields in found if fields[b"kind"].decode() == kind]

    async def rows(self) -> set[str]:
        names: Any = await self.store.redis.hkeys(self.store.keys.rows)
        return {name.decode().rpartition(":")[0] for name in names}


@pytest.fixture
async def house(store: Store) -> Enrolling:
    return await Enrolling(store, policy=OPERATORS).open()


# what should work


async def test_a_code_of_an_operators_and_a_first_code_of_the_app_set_it_up(house: Enrolling) -> None:
    code = await house.offered()
    begun = await house.begun(SecretStr(code.get_secret_value().lower().replace("-", " ")))
    assert await house.kinds() == []
    done = await house.confirmed(begun)
    assert await house.kinds() == ["recovery", "totp"]
    assert len(done.recovery) == 10
    own = await enrolment.own_factors(house.context, house.actor("mia"))
    assert [(each.kind, each.left) for each in own.factors] == [("totp", None), ("recovery", 10)]
    assert own.offered_until == 0
    assert all(abs(each.trusted_from - own.now - 86_400) < 60 for each in own.factors)
    known = await house.store.factors.read(MIA)
    used = known.record.factor(next(each.id for each in known.record.usable if each.kind == "recovery"))
    secret = house.store.factors.decrypt(MIA, used).get_secret_value()
    assert house.context.factors["recovery"].prove(
        secret, used.spent, done.recovery[3].text.get_secret_value(), known.now
    )


async def test_the_person_and_the_audit_channel_read_of_each_step_and_no_secret_is_in_what_is_kept(
    house: Enrolling,
) -> None:
    code = await house.offered()
    begun = await house.begun(code)
    first = await house.app(begun).code()
    done = await house.confirmed(begun, first)
    assert await house.rows() >= {"people|record", "UMIA|person"}
    [offered], enrolled = await house.audited(OFFERED), await house.audited(ENROLLED)
    assert "set up a second factor" in offered["dm"]
    assert WHY in offered["said"]
    assert "mia@example.com" in enrolled[-1]["said"]
    hidden = [code, *(line.text for line in (*begun.lines, *done.recovery))]
    kept = json.dumps([await house.audited(kind) for kind in (OFFERED, ENROLLED)]) + repr((begun, done, code))
    kept += str(await house.store.redis.get(house.store.keys.factors(MIA)))
    for secret in hidden:
        text = secret.get_secret_value()
        assert text not in kept
        assert text.replace("-", "").replace(" ", "") not in kept


async def test_a_form_that_was_closed_loses_nothing_and_a_second_device_replaces_what_was_not_confirmed(
    house: Enrolling,
) -> None:
    code = await house.offered()
    on_laptop = await house.begun(code)
    on_phone = await house.begun(code)
    with pytest.raises(EnrolmentOver):
        await house.confirmed(on_laptop)
    await house.confirmed(on_phone)
    with pytest.raises(EnrolmentOver):
        await house.confirmed(on_laptop)
    assert await house.kinds() == ["recovery", "totp"]


async def test_two_devices_at_once_leave_one_factor_and_codes_that_work(house: Enrolling) -> None:
    code = await house.offered()
    begun = await asyncio.gather(*(house.begun(code) for _ in range(4)))
    done = await asyncio.gather(*(house.confirmed(each) for each in begun), return_exceptions=True)
    assert [type(each) for each in done].count(ConfirmedFactor) == 1
    assert await house.kinds() == ["recovery", "totp"]


async def test_whoever_presses_twice_reads_nothing_of_a_wrong_code(house: Enrolling) -> None:
    begun = await house.begun(await house.offered())
    first = await house.app(begun).code()
    done = await asyncio.gather(*(house.confirmed(begun, first) for _ in range(3)))
    assert sorted(len(each.recovery) for each in done) == [0, 0, 10]
    assert await house.audited(FAILED) == []
    assert (await house.confirmed(begun, WRONG)).recovery == ()
    assert (await house.store.factors.read(MIA)).record.failures == 0


async def test_an_earlier_app_stays_and_recovery_codes_are_replaced(house: Enrolling) -> None:
    _, first = await house.enrolled()
    _, second = await house.enrolled()
    assert await house.kinds() == ["recovery", "totp", "totp"]
    assert {line.text for line in first.recovery}.isdisjoint({line.text for line in second.recovery})


async def test_there_are_only_so_many(house: Enrolling) -> None:
    for _ in range(9):
        await house.enrolled()
    with pytest.raises(TooManyFactors):
        await house.enrolled()
    assert len(await house.kinds()) == 10


# who has taken over an account, or a code


async def test_nothing_is_set_up_without_a_code(house: Enrolling) -> None:
    for _ in range(20):
        with pytest.raises(NoEnrolmentCode):
            await house.begun(SecretStr("7K3Q-9WXZ-ABCD"))
    assert (await house.store.factors.read(MIA)).record.revision == 0


async def test_a_code_is_good_for_nobody_else(house: Enrolling) -> None:
    code = await house.offered("mia")
    with pytest.raises(NoEnrolmentCode):
        await house.begun(code, "dan")
    await house.offered("dan")
    with pytest.raises(WrongEnrolmentCode):
        await house.begun(code, "dan")
    assert await house.kinds("dan") == []


async def test_nobody_confirms_what_another_one_began(house: Enrolling) -> None:
    begun = await house.begun(await house.offered())
    await house.offered("dan")
    with pytest.raises(EnrolmentOver):
        await house.confirmed(begun, name="dan")


async def test_a_code_that_was_used_serves_no_more(house: Enrolling) -> None:
    code = await house.offered()
    await house.confirmed(await house.begun(code))
    with pytest.raises(NoEnrolmentCode):
        await house.begun(code)


async def test_a_code_that_is_too_old_begins_nothing_and_confirms_nothing(house: Enrolling) -> None:
    code = await house.offered()
    begun = await house.begun(code)
    known = await house.store.factors.read(MIA)
    assert known.record.offer
    old = known.record.offer.model_copy(update={"until": known.now})
    after = known.record.model_copy(update={"offer": old, "revision": known.record.revision + 1})
    assert await house.store.factors.write(known, after, OFFERED, {"by": BY})
    with pytest.raises(EnrolmentOver):
        await house.confirmed(begun)
    with pytest.raises(NoEnrolmentCode):
        await house.begun(code)
    assert await house.kinds() == []


async def test_five_wrong_codes_take_it_away_however_many_arrive_at_once(house: Enrolling) -> None:
    code = await house.offered()
    tries = await asyncio.gather(
        *(house.begun(SecretStr(f"AAAA-AAAA-AAA{n}")) for n in "23456789"), return_exceptions=True
    )
    left = sorted(error.tries_left for error in tries if isinstance(error, WrongEnrolmentCode))
    assert left == [1, 2, 3, 4]
    assert len(await house.audited(OFFER_FAILED)) == 5
    assert "Five wrong codes" in (await house.audited(OFFER_FAILED))[-1]["dm"]
    with pytest.raises(NoEnrolmentCode):
        await house.begun(code)


async def test_a_new_code_ends_what_was_begun_with_the_one_before(house: Enrolling) -> None:
    """Whoever saw the key of then, and not the new code, confirms nothing with it."""
    begun = await house.begun(await house.offered())
    await house.offered()
    with pytest.raises(EnrolmentOver):
        await house.confirmed(begun)


async def test_wrong_first_codes_lock_as_all_wrong_codes_do(house: Enrolling) -> None:
    begun = await house.begun(await house.offered())
    errors: list[CannotEnrol] = []
    wrong = house.app(begun).wrong(await house.store.now())
    for typed in (wrong, SecretStr("x" * 5_000), SecretStr("")):
        with pytest.raises(CannotEnrol) as refused:
            await enrolment.confirm(house.context, house.actor("mia"), begun.id, typed)
        errors.append(refused.value)
    assert [type(error) for error in errors] == [WrongFirstCode, WrongFirstCode, EnrolmentLocked]
    with pytest.raises(EnrolmentLocked):
        await house.confirmed(begun)
    [told] = await house.audited(LOCKED)
    assert "Three wrong codes in a row" in told["dm"]
    assert await house.kinds() == []


# who writes to Redis


async def test_a_record_that_was_put_back_sets_up_nothing_until_it_is_reset(house: Enrolling) -> None:
    key = house.store.keys.factors(MIA)
    code = await house.offered()
    before: Any = await house.store.redis.get(key)
    await house.confirmed(await house.begun(code))
    await house.store.redis.set(key, before)
    with pytest.raises(FactorsUnreadable, match="put back"):
        await house.begun(code)
    with pytest.raises(FactorsUnreadable):
        await house.offered()
    assert "put back" in (await enrolment.own_factors(house.context, house.actor("mia"))).doubt
    assert "put back" in (await house.reset("pat")).doubt
    assert (await house.reset("kim")).done
    await house.enrolled()
    assert await house.kinds() == ["recovery", "totp"]


async def test_an_offer_of_another_person_moved_to_ones_own_record_is_none(house: Enrolling) -> None:
    code = await house.offered("dan")
    stolen: Any = await house.store.redis.get(house.store.keys.factors("dan@example.com"))
    await house.store.redis.set(house.store.keys.factors(MIA), stolen)
    with pytest.raises(FactorsUnreadable):
        await house.begun(code)


async def test_a_code_made_up_in_a_record_is_none(house: Enrolling) -> None:
    """Not even with the MAC of a record: a code's own is over the person."""
    known = await house.store.factors.read(MIA)
    offer = EnrolmentOffer(mac=house.store.ring.mac("enrolment", b"ABCD"), by=BY, until=known.now + 60)
    assert await house.store.factors.write(known, known.record.with_offer(offer), OFFERED, {"by": BY})
    with pytest.raises(WrongEnrolmentCode):
        await house.begun(SecretStr("ABCD"))


# an operator's part


@pytest.mark.parametrize("address", ["nobody@example.com", "mia", "", "mia@example.com, dan@example.com"])
async def test_nobody_gets_a_code_who_is_bound_to_no_account(house: Enrolling, address: str) -> None:
    for verb in (enrolment.offer(house.context, BY, address, WHY), house.reset("pat", of=address)):
        with pytest.raises(NobodyBound):
            await verb


async def test_a_reason_has_to_be_given(house: Enrolling) -> None:
    for verb in (enrolment.offer(house.context, BY, MIA, "."), house.reset("pat", reason="")):
        with pytest.raises(BadReason):
            await verb


async def test_without_the_factor_nothing_is_begun(house: Enrolling) -> None:
    code = await house.offered()
    house.context = replace(house.context, factors={})
    with pytest.raises(NothingInstalled):
        await house.begun(code)


# a reset


async def test_two_operators_reset_and_everybody_who_should_reads_of_it(house: Enrolling) -> None:
    await house.enrolled()
    first = await house.reset("pat")
    assert (first.done, first.repeated) == (False, False)
    assert await house.kinds() == ["recovery", "totp"]
    assert (await house.reset("pat")).repeated
    assert (await house.reset("kim")).done
    assert await house.kinds() == []
    [event] = await house.audited(RESET)
    assert event["said"] == f"Pat and Kim reset the second factors of {MIA}: {WHY}"
    assert "Pat and Kim reset your second factors" in event["dm"]
    with pytest.raises(NothingToReset):
        await house.reset("kim")


async def test_two_at_once_are_two(house: Enrolling) -> None:
    await house.enrolled()
    done = await asyncio.gather(house.reset("pat"), house.reset("kim"))
    assert sorted(each.done for each in done) == [False, True]
    assert await house.kinds() == []


async def test_nobody_resets_alone_or_for_themself_or_from_a_terminal_that_is_nobodys(house: Enrolling) -> None:
    await house.enrolled("pat")
    with pytest.raises(OwnReset):
        await house.reset("pat", of="PAT@example.com")
    await house.reset("kim", of="pat@example.com")
    with pytest.raises(OwnReset):
        await house.reset("pat", of="pat@example.com")
    nobody = Operator(by="cli:x@host", name="cli:x@host")
    with pytest.raises(TerminalDoesNotCount):
        await factor_reset.reset(house.context, nobody, {}, "pat@example.com", WHY)
    assert await house.kinds("pat") == ["recovery", "totp"]


async def test_one_operator_with_two_addresses_is_no_two(house: Enrolling) -> None:
    await house.enrolled()
    house.policy = catalog(POLICY.replace("platform: {people: [pat@", "platform: {people: [patricia@example.com, pat@"))
    await house.reset("pat")
    # Who married has another address by now, and bound another terminal by it; it is the same account.
    me = person(house.store.workspace, "pat")
    me = me.model_copy(update={"identity": "patricia@example.com", "email": "patricia@example.com"})
    again = Operator(by="cli:pat@laptop", name="Patricia", person=me)
    assert not (await factor_reset.reset(house.context, again, house.actor("pat").roster, MIA, WHY)).done
    assert await house.kinds() == ["recovery", "totp"]


async def test_it_is_for_one_person_and_one_reason(house: Enrolling) -> None:
    await house.enrolled("mia")
    await house.enrolled("dan")
    await house.reset("pat")
    with pytest.raises(OtherReason, match="Pat"):
        await house.reset("kim", reason="something else")
    assert not (await house.reset("kim", of="dan@example.com")).done
    assert not (await house.reset("pat", reason="a better reason")).repeated
    assert (await house.reset("kim", reason="a better reason")).done


async def test_who_is_no_operator_any_more_proposed_nothing(house: Enrolling) -> None:
    await house.enrolled()
    await house.reset("pat")
    house.policy = catalog(POLICY.replace("platform: {people: [pat@", "platform: {people: [kim@"))
    assert not (await house.reset("kim")).done
    assert await house.kinds() == ["recovery", "totp"]


async def test_a_proposal_that_was_carried_out_and_is_put_back_resets_nothing_that_was_set_up_since(
    house: Enrolling,
) -> None:
    await house.enrolled()
    await house.reset("pat")
    key = house.store.keys.factor_reset(MIA)
    proposal: Any = await house.store.redis.get(key)
    assert 3_500 < await house.store.redis.ttl(key) <= 3_600
    await house.reset("kim")
    assert await house.store.redis.get(key) is None
    await house.enrolled()
    await house.store.redis.set(key, proposal)
    assert not (await house.reset("kim")).done
    assert await house.kinds() == ["recovery", "totp"]


async def test_a_proposal_made_up_moved_or_kept_past_its_hour_is_none(house: Enrolling) -> None:
    await house.enrolled("mia")
    await house.enrolled("dan")
    await house.reset("pat")
    resets, proposal = FactorResets(house.store), await FactorResets(house.store).of(MIA)
    assert proposal
    moved: Any = await house.store.redis.get(house.store.keys.factor_reset(MIA))
    for value in (moved, b'{"x":1}|k1:00', b"nonsense"):
        await house.store.redis.set(house.store.keys.factor_reset("dan@example.com"), value)
        assert await resets.of("dan@example.com") is None
    await resets.propose(proposal.model_copy(update={"at": proposal.at - 3_600}), instead=True)
    assert await resets.of(MIA) is None
    assert not (await house.reset("kim")).done
