"""A second factor at every verb that the policy asks it for: spent in one commit, and counted when it is wrong."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr

from bot.access import break_glass, consent, extend, own_request, review
from bot.access.request_form import RequestForm
from bot.access.review import ReviewDecision
from bot.core.errors import AlreadyAnswered, JitError, PolicyMoved
from bot.core.factor_errors import (
    FactorLocked,
    FactorsDoubted,
    FactorTooNew,
    NotEnrolled,
    NotProved,
    ProofRequired,
    WrongProof,
)
from bot.core.proof import NO_CODE, ProofUse
from bot.core.request import Request, State, Verb
from bot.policy.catalog import Catalog
from bot.store.store import Store
from tests.factors import App, enrolled
from tests.house import POLICY, House, catalog

REQUIRED = "{request: required, approve: required, break_glass: required}"


def policy(mfa: str = REQUIRED, *more: tuple[str, str]) -> Catalog:
    """The house's policy with other terms for second factors, and other changes of its text."""
    text = POLICY
    for before, after in (("{request: off, break_glass: off}", mfa), *more):
        assert before in text
        text = text.replace(before, after)
    return catalog(text)


async def opened(store: Store, found: Catalog | None = None) -> House:
    return await House(store, policy=found or policy()).open()


@pytest.fixture
async def house(store: Store) -> House:
    return await opened(store)


@pytest.fixture
async def mia(store: Store) -> App:
    return await enrolled(store, "mia@example.com")


@pytest.fixture
async def dan(store: Store) -> App:
    return await enrolled(store, "dan@example.com")


@pytest.fixture
async def eve(store: Store) -> App:
    return await enrolled(store, "eve@example.com")


@pytest.fixture
async def pat(store: Store) -> App:
    return await enrolled(store, "pat@example.com")


async def approve(house: House, who: str, id_: str, code: SecretStr = NO_CODE, n: int | None = None) -> Request:
    decision = ReviewDecision(verb=Verb.APPROVE, code=code)
    return await review.review(house.context, house.actor(who), id_, decision, extension=n)


async def nothing_open(house: House) -> bool:
    return not await house.store.open_at_all()


# requests


async def test_a_request_without_a_code_is_not_made_and_says_which_factor_would_do(house: House, mia: App) -> None:
    with pytest.raises(ProofRequired) as raised:
        await house.ask()
    assert (raised.value.use, raised.value.factors) == (ProofUse.REQUEST, ("totp",))
    assert await nothing_open(house)


async def test_whoever_has_no_factor_can_request_nothing(house: House) -> None:
    with pytest.raises(NotEnrolled):
        await house.ask(code=SecretStr("123456"))
    assert await nothing_open(house)


async def test_a_request_with_a_code_says_what_proved_it_and_when(house: House, mia: App) -> None:
    made = await house.ask(code=await mia.code())
    assert made.state is State.PENDING
    assert made.proof is not None
    assert made.proof.factor == "totp"
    assert abs(made.proof.at - made.created_at) < 60


async def test_a_code_serves_once_whatever_it_is_typed_for(house: House, mia: App) -> None:
    code = await mia.code()
    await house.ask(code=code)
    with pytest.raises(WrongProof):
        await house.ask(what="vault/shared", code=code)
    assert len(await house.store.open_at_all()) == 1


async def test_of_two_requests_with_one_code_at_one_moment_one_is_made(house: House, mia: App) -> None:
    code = await mia.code()
    asked = (house.ask(what=what, code=code) for what in ("vault/read-only", "vault/shared"))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(each, Request) for each in outcomes) == 1
    assert all(isinstance(each, Request | NotProved) for each in outcomes)


async def test_a_submission_that_is_delivered_twice_makes_one_request_and_no_wrong_code(house: House, mia: App) -> None:
    code = await mia.code()
    made = await house.ask(code=code, token="V1")
    assert (await house.ask(code=code, token="V1")).id == made.id
    assert (await house.store.factors.read(mia.identity)).record.failures == 0


async def test_somebody_elses_code_proves_nothing(house: House, mia: App, dan: App) -> None:
    with pytest.raises(WrongProof):
        await house.ask(code=await dan.code())


async def test_a_request_that_is_refused_anyway_spends_no_code(house: House, mia: App) -> None:
    code = await mia.code()
    with pytest.raises(JitError) as raised:
        await house.ask(code=code, reason="")
    assert not isinstance(raised.value, NotProved)
    assert (await house.ask(code=code)).state is State.PENDING


# wrong codes


async def test_wrong_codes_are_counted_and_the_third_in_a_row_locks(house: House, mia: App) -> None:
    now = await house.store.now()
    left = []
    for _ in range(2):
        with pytest.raises(WrongProof) as raised:
            await house.ask(code=mia.wrong(now))
        left.append(raised.value.tries_left)
    with pytest.raises(FactorLocked) as locked:
        await house.ask(code=mia.wrong(now))
    assert left == [2, 1]
    assert locked.value.until > now + 30
    with pytest.raises(FactorLocked):
        await house.ask(code=await mia.code())
    assert await nothing_open(house)


async def test_wrong_codes_that_arrive_at_once_are_each_counted(house: House, mia: App) -> None:
    now = await house.store.now()
    asked = (house.ask(code=mia.wrong(now)) for _ in range(12))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(each) for each in outcomes} == {WrongProof, FactorLocked}
    assert sum(isinstance(each, WrongProof) for each in outcomes) == 2


async def test_the_right_code_forgets_the_wrong_ones(house: House, mia: App) -> None:
    with pytest.raises(WrongProof):
        await house.ask(code=mia.wrong(await house.store.now()))
    await house.ask(code=await mia.code())
    assert (await house.store.factors.read(mia.identity)).record.failures == 0


@pytest.mark.parametrize("typed", [" " * 70, "1" * 65, "１２３４５６", "\x00", "a" * 64])
async def test_what_is_no_code_counts_as_a_wrong_one(house: House, mia: App, typed: str) -> None:
    with pytest.raises(WrongProof):
        await house.ask(code=SecretStr(typed))


async def test_no_code_and_no_key_is_in_what_a_form_shows_of_itself(mia: App) -> None:
    form = RequestForm(what="vault/read-only", code=SecretStr("123456"))
    assert "123456" not in repr(form) + str(form) + form.model_dump_json()


# terms


async def test_a_critical_role_takes_no_factor_that_is_new(store: Store, house: House) -> None:
    new = await enrolled(store, "eve@example.com", trusted=False)
    with pytest.raises(FactorTooNew):
        await house.ask("eve", "vault/admin", code=await new.code())
    assert (await house.ask("eve", code=await new.code())).state is State.PENDING


async def test_one_proof_is_enough_for_a_while_for_low_roles_alone(store: Store, mia: App) -> None:
    house = await opened(store, policy("{request: required, fresh_for: 10m}"))
    proved = await house.ask(code=await mia.code())
    await own_request.cancel(house.context, house.actor("mia"), proved.id)
    second = await house.ask()
    assert second.proof == proved.proof
    with pytest.raises(ProofRequired):
        await house.ask(what="vault/shared")


async def test_a_proof_of_before_approves_nothing(store: Store, mia: App, dan: App) -> None:
    house = await opened(store, policy("{request: required, approve: required, fresh_for: 10m}"))
    made = await house.ask(code=await mia.code())
    await house.ask("dan", code=await dan.code(-1))
    with pytest.raises(ProofRequired):
        await approve(house, "dan", made.id)
    assert (await approve(house, "dan", made.id, await dan.code())).state is not State.PENDING


async def test_a_proof_of_a_kind_that_does_no_more_is_not_fresh(store: Store, mia: App) -> None:
    house = await opened(store, policy("{request: required, fresh_for: 10m}"))
    known = await store.factors.read(mia.identity)
    proved = {"revision": known.record.revision + 1, "proved_at": known.now, "proved_with": "grid"}
    assert await store.factors.write(known, known.record.model_copy(update=proved), "", {})
    with pytest.raises(ProofRequired):
        await house.ask()


async def test_where_the_policy_asks_for_none_nothing_is_read_and_nothing_is_said(store: Store) -> None:
    house = await opened(store, policy("{request: off}"))
    assert (await house.ask()).proof is None


_RULE = "rules:\n  - {when: {what: [vault/shared]}, then: {require: {mfa: true}}}\ntemplates:\n"


async def test_a_rule_asks_for_a_code_where_nothing_else_does(store: Store, mia: App) -> None:
    house = await opened(store, policy("{request: off, break_glass: off}", ("templates:\n", _RULE)))
    assert (await house.ask()).proof is None
    with pytest.raises(ProofRequired):
        await house.ask(what="vault/shared")
    assert (await house.ask(what="vault/shared", code=await mia.code())).proof is not None


async def test_what_the_policy_has_turned_off_since_is_not_asked_for(store: Store, house: House) -> None:
    house.policy = policy("{request: off}")
    await store.policy.adopt(house.policy.policy_hash)
    assert (await house.ask()).state is State.PENDING


# decisions, extensions, secrets, break-glass


async def test_an_approval_without_a_code_does_not_count(house: House, mia: App, dan: App) -> None:
    made = await house.ask(code=await mia.code())
    with pytest.raises(ProofRequired) as raised:
        await approve(house, "dan", made.id)
    assert raised.value.use is ProofUse.APPROVE
    assert (await house.now(made.id)).state is State.PENDING
    approved = await approve(house, "dan", made.id, await dan.code())
    assert approved.state is State.GRANTING
    assert approved.reviews[0].proof is not None
    assert approved.reviews[0].proof.factor == "totp"


async def test_a_denial_asks_for_no_code(house: House, mia: App) -> None:
    made = await house.ask(code=await mia.code())
    no = ReviewDecision(verb=Verb.DENY, reason="not tonight")
    assert (await review.review(house.context, house.actor("dan"), made.id, no)).state is State.DENIED


async def test_an_approval_that_is_pressed_twice_is_one_and_no_wrong_code(house: House, eve: App, dan: App) -> None:
    made, code = await house.ask("eve", "vault/admin", code=await eve.code()), await dan.code()
    await approve(house, "dan", made.id, code)
    with pytest.raises(AlreadyAnswered):
        await approve(house, "dan", made.id, code)
    assert (await house.store.factors.read(dan.identity)).record.failures == 0


async def active(house: House, mia: App, dan: App) -> Request:
    made = await house.ask(code=await mia.code(-1))
    await approve(house, "dan", made.id, await dan.code(-1))
    request = await house.attempted(made.id)
    assert request.state is State.ACTIVE
    return request


async def test_an_extension_is_asked_for_and_approved_with_a_code_each(house: House, mia: App, dan: App) -> None:
    request = await active(house, mia, dan)
    asking = house.context, house.actor("mia"), request.id, 600, "INC-1 still burns"
    with pytest.raises(ProofRequired):
        await extend.extend(*asking)
    wished = await extend.extend(*asking, await mia.code())
    assert wished.extension is not None
    assert wished.extension.proof is not None
    with pytest.raises(ProofRequired):
        await approve(house, "dan", request.id, n=1)
    approved = await approve(house, "dan", request.id, await dan.code(), n=1)
    assert approved.extension is not None
    assert approved.extension.reviews[0].proof is not None


async def test_a_secret_is_shown_with_a_code(house: House, mia: App, dan: App) -> None:
    request = await active(house, mia, dan)
    with pytest.raises(ProofRequired):
        await own_request.reveal(house.context, house.actor("mia"), request.id, "V1")
    assert (await house.now(request.id)).reveal is None
    shown = await own_request.reveal(house.context, house.actor("mia"), request.id, "V1", code=await mia.code())
    assert shown.reveal is not None
    assert shown.reveal.proof is not None


async def test_a_press_to_show_a_secret_that_is_delivered_twice_is_one_and_no_wrong_code(
    house: House, mia: App, dan: App
) -> None:
    request, code = await active(house, mia, dan), await mia.code()
    for _ in range(2):
        await own_request.reveal(house.context, house.actor("mia"), request.id, "V1", code=code)
    assert (await house.store.factors.read(mia.identity)).record.failures == 0
    with pytest.raises(WrongProof):
        await own_request.reveal(house.context, house.actor("mia"), request.id, "V2", code=code)


async def test_a_policy_that_this_process_has_not_read_yet_may_ask_for_a_code_to_show_a_secret(store: Store) -> None:
    house = await opened(store, policy("{request: off, break_glass: off}"))
    request = await house.granted()
    await store.policy.adopt(policy().policy_hash)
    with pytest.raises(PolicyMoved):
        await own_request.reveal(house.context, house.actor("mia"), request.id, "V1")
    assert (await house.now(request.id)).reveal is None


async def test_a_secret_that_a_code_was_given_for_needs_one_also_when_its_role_has_left_the_policy(
    store: Store, mia: App
) -> None:
    grants = "        grants: {door: vault, secret: true}\n"
    strict = (grants, grants + "        mfa: {request: required}\n")
    house = await opened(store, policy("{request: off, break_glass: off}", strict))
    made = await house.ask(code=await mia.code(-1))
    await house.approved(made.id)
    await house.attempted(made.id)
    renamed = (("      read-only:", "      readonly:"), ("vault/read-only", "vault/readonly"))
    house.policy = policy("{request: off, break_glass: off}", strict, *renamed)
    await store.policy.adopt(house.policy.policy_hash)
    showing = house.context, house.actor("mia"), made.id, "V1"
    with pytest.raises(ProofRequired):
        await own_request.reveal(*showing)
    assert (await own_request.reveal(*showing, code=await mia.code())).reveal is not None


async def test_a_secret_that_a_rule_asked_a_code_for_needs_one(store: Store, mia: App) -> None:
    rule = "rules:\n  - when: {what: [vault/read-only]}\n    then: {require: {mfa: true}}\ntemplates:\n"
    house = await opened(store, policy("{request: off, break_glass: off}", ("templates:\n", rule)))
    made = await house.ask(code=await mia.code(-1))
    await house.approved(made.id)
    await house.attempted(made.id)
    showing = house.context, house.actor("mia"), made.id, "V1"
    with pytest.raises(ProofRequired):
        await own_request.reveal(*showing)
    assert (await own_request.reveal(*showing, code=await mia.code())).reveal is not None


async def test_a_secret_that_is_asked_for_twice_by_one_form_is_no_wrong_code(house: House, mia: App, dan: App) -> None:
    request = await active(house, mia, dan)
    code = await mia.code()
    showing = (own_request.reveal(house.context, house.actor("mia"), request.id, "V1", code=code) for _ in range(4))
    shown = await asyncio.gather(*showing)
    assert all(each.reveal and each.reveal.view == "V1" for each in shown)
    assert (await house.store.factors.read(mia.identity)).record.failures == 0
    with pytest.raises(WrongProof):
        await own_request.reveal(house.context, house.actor("mia"), request.id, "V2", code=code)


_SHARED = "      shared:\n        grants: {door: hall, shared: true}\n"
_GLASS = (_SHARED, _SHARED + "        break_glass: {who: [platform], at_most: 1h, review_within: 1d}\n")


async def test_break_glass_is_used_with_a_code(store: Store, pat: App) -> None:
    house = await opened(store, policy(REQUIRED, _GLASS))
    form = RequestForm(what="vault/shared", duration=600, reason="the vault is on fire, nobody answers")
    with pytest.raises(ProofRequired) as raised:
        await break_glass.use(house.context, house.actor("pat"), form)
    assert raised.value.use is ProofUse.BREAK_GLASS
    assert await nothing_open(house)
    used = await break_glass.use(house.context, house.actor("pat"), form.model_copy(update={"code": await pat.code()}))
    assert used.break_glass is not None
    assert used.proof is not None


async def test_a_pending_request_is_taken_by_break_glass_with_a_code_of_its_own(store: Store, pat: App) -> None:
    house = await opened(store, policy(REQUIRED, _GLASS))
    made = await house.ask("pat", what="vault/shared", code=await pat.code(-1))
    taking = house.context, house.actor("pat"), made.id, "the vault is on fire, nobody answers"
    with pytest.raises(ProofRequired):
        await break_glass.switch(*taking)
    taken = await break_glass.switch(*taking, code=await pat.code())
    assert taken.state is State.GRANTING
    assert taken.proof is not None
    assert made.proof is not None
    assert taken.proof.at > made.proof.at


_FOR_OTHERS = (
    "        sensitivity: low\n        max: 8h\n        may_ask: [everyone]\n",
    "        sensitivity: low\n        max: 8h\n        may_ask: [everyone]\n        may_ask_for: [dba]\n",
)


async def test_whoever_it_is_requested_for_accepts_it_with_a_code(store: Store, mia: App, dan: App) -> None:
    house = await opened(store, policy(REQUIRED, _FOR_OTHERS))
    made = await house.ask("dan", requested_for=house.actor("mia").person, code=await dan.code())
    assert made.state is State.DRAFT
    with pytest.raises(ProofRequired):
        await consent.accept(house.context, house.actor("mia"), made.id)
    accepted = await consent.accept(house.context, house.actor("mia"), made.id, await mia.code())
    assert accepted.state is State.PENDING
    assert accepted.consent_proof is not None
    assert accepted.proof is not None


# what is stored


async def test_a_record_that_was_put_back_proves_nothing(house: House, mia: App) -> None:
    key = house.store.keys.factors(mia.identity)
    earlier = await house.store.redis.get(key)
    assert earlier
    code = await mia.code()
    await house.ask(code=code)
    await house.store.redis.set(key, earlier)
    with pytest.raises(FactorsDoubted):
        await house.ask(what="vault/shared", code=code)


async def test_a_record_that_was_deleted_opens_nothing(house: House, mia: App) -> None:
    await house.store.redis.delete(house.store.keys.factors(mia.identity))
    with pytest.raises(NotProved):
        await house.ask(code=await mia.code())


async def test_a_record_that_is_somebody_elses_proves_nothing(house: House, mia: App, dan: App) -> None:
    keys, redis = house.store.keys, house.store.redis
    dans = await redis.get(keys.factors(dan.identity))
    assert dans
    await redis.set(keys.factors(mia.identity), dans)
    with pytest.raises(FactorsDoubted):
        await house.ask(code=await dan.code())


async def test_a_code_that_was_read_before_a_reset_serves_no_more(house: House, mia: App) -> None:
    known = await house.store.factors.read(mia.identity)
    await house.store.factors.write(known, known.record.without_factors(), "factor_reset", {"by": "test"})
    with pytest.raises(NotEnrolled):
        await house.ask(code=await mia.code())
