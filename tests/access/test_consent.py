"""What somebody requests for another waits for that person, and is judged again at each step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bot.access import (
    ask,
    consent,
    extend,
    lockdown,
    own_request,
    read,
    remind,
    review,
    revoke,
    scheduled_start,
    submit,
)
from bot.access.review import ReviewDecision
from bot.access.submit import RequestForm
from bot.audit.archive.archive import Archive
from bot.audit.sealer import Sealer
from bot.audit.trail import Trail
from bot.core.errors import (
    AlreadyRequested,
    Ambiguous,
    BadReason,
    CouldNotCheck,
    JitError,
    Late,
    LimitReached,
    LockedDown,
    NotAllowed,
    NotFound,
    Overtaken,
    PolicyMoved,
    RoleChanged,
    RolledBack,
)
from bot.core.events import EVENT, Cancelled
from bot.core.lifecycle import fold
from bot.core.request import DraftWait, Ending, Request, State, Verb
from bot.core.verdict import Actor, Code, Members
from bot.store.indexes.person_counters import PersonLedgers
from bot.store.store import Store
from bot.worker.recovery import Recovery
from tests.access.test_rules import RULES, WIDE, entries, rows
from tests.house import House, catalog, person
from tests.policy.test_on_behalf import FOR_OTHERS

WIDE_FOR_OTHERS = WIDE.replace("may_ask: [everyone]}", "may_ask: [everyone], may_ask_for: [platform]}").replace(
    "may_ask: [everyone]\n", "may_ask: [everyone]\n        may_ask_for: [platform]\n"
)
NOBODY = Members(identities=frozenset({"nobody@example.com"}))
DARK = Members(known=False)


@pytest.fixture
async def house(store: Store) -> House:
    """An open house where Pat may request for others."""
    return await House(store, catalog(FOR_OTHERS)).open()


async def drafted(
    house: House, what: str = "vault/read-only", whom: str = "mia", by: str = "pat", **more: Any
) -> Request:
    """Pat requests something for Mia."""
    return await house.ask(by, what, requested_for=person(house.store.workspace, whom), **more)


async def accepted(house: House, what: str = "vault/read-only", whom: str = "mia", **more: Any) -> Request:
    """And Mia accepts it."""
    made = await drafted(house, what, whom, **more)
    return await consent.accept(house.context, house.actor(whom), made.id)


def seen_by(house: House, name: str, **groups: Members) -> Actor:
    """Somebody, with some groups as they are known to be now."""
    actor = house.actor(name)
    return actor.model_copy(update={"roster": {**actor.roster, **groups}})


async def test_it_is_a_draft_that_only_the_two_know_of(house: House) -> None:
    request, store = await drafted(house), house.store
    assert (request.state, request.waits_for, request.version) == (State.DRAFT, DraftWait.CONSENT, 1)
    assert (request.requester.id, request.requested_by and request.requested_by.id) == ("UMIA", "UPAT")
    assert request.waits_until == pytest.approx(request.created_at + 1800)
    assert await rows(house, request.id) == {"consent"}
    assert not await store.redis.exists(store.keys.pending(request.id), store.keys.waiting("C0VAULT01"))
    assert await read.open_as_party(house.context, house.actor("mia")) == ([request], [])
    assert await read.open_as_party(house.context, house.actor("pat")) == ([], [request])
    for approver in ("dan", "sam"):
        assert await read.overseen(house.context, house.actor(approver)) == []
        with pytest.raises(NotFound):
            await read.find(house.context, house.actor(approver), request.id)
    with pytest.raises(NotFound):
        await house.approve("dan", request.id)
    with pytest.raises(NotFound):
        await ask.ask(house.context, house.actor("dan"), request.id, "Why?")
    with pytest.raises(NotFound):
        await revoke.revoke(house.context, house.actor("dan"), request.id, "no")


async def test_once_accepted_it_goes_to_the_approvers_with_their_whole_time(house: House) -> None:
    request = await accepted(house, "vault/shared")
    assert (request.state, request.waits_for, request.version) == (State.PENDING, None, 2)
    assert request.decide_by == pytest.approx(request.consented_at + 4 * 3600)
    assert request.remind_at == pytest.approx(request.consented_at + 2 * 3600)
    assert {"card", "consent", "filed"} <= await rows(house, request.id)
    assert [each.id for each in await read.waiting(house.context, house.actor("dan"))] == [request.id]
    await house.approve("dan", request.id)
    active = await house.until(request.id, State.ACTIVE)
    assert house.sandbox.is_open("hall", "mia@example.com")
    assert not house.sandbox.is_open("hall", "pat@example.com")
    events = [EVENT.validate_json(entry[b"event"]) for entry in await entries(house, request.id)]
    assert [event.kind for event in events][:3] == ["drafted", "consented", "approved"]
    assert (events[0].by, events[1].by) == ("UPAT", "UMIA")
    assert fold(events) == active


async def test_a_second_press_and_a_press_after_declining_change_nothing(house: House) -> None:
    request = await accepted(house)
    for late in (consent.accept(house.context, house.actor("mia"), request.id), _declined(house, request.id)):
        with pytest.raises(Overtaken):
            await late
    other = await drafted(house, "vault/shared")
    assert (await _declined(house, other.id)).closed_reason == "not me"
    with pytest.raises(Overtaken) as raised:
        await consent.accept(house.context, house.actor("mia"), other.id)
    assert raised.value.request.unseen
    assert [entry[b"kind"] for entry in await entries(house, other.id)] == [b"drafted", b"cancelled"]
    assert await rows(house, other.id) == {"consent", "filed"}


async def test_of_two_presses_at_once_one_counts(house: House) -> None:
    request = await drafted(house)
    presses = [consent.accept(house.context, house.actor("mia"), request.id) for _ in range(8)]
    answers = await asyncio.gather(*presses, _declined(house, request.id), return_exceptions=True)
    assert sum(isinstance(answer, Request) for answer in answers) == 1
    assert all(isinstance(answer, Request | Overtaken) for answer in answers)
    assert len(await entries(house, request.id)) == 2


async def _declined(house: House, id_: str, reason: str = "not me") -> Request:
    return await consent.decline(house.context, house.actor("mia"), id_, reason)


async def test_declining_needs_a_reason(house: House) -> None:
    request = await drafted(house)
    with pytest.raises(BadReason):
        await _declined(house, request.id, " ")
    assert (await house.now(request.id)).state is State.DRAFT


Answer = Callable[[House, Actor, str], Awaitable[Request]]
ANSWERS: dict[str, Answer] = {
    "accept": lambda house, who, id_: consent.accept(house.context, who, id_),
    "decline": lambda house, who, id_: consent.decline(house.context, who, id_, "no"),
    "open the form": lambda house, who, id_: consent.consentable(house.context, who, id_),
}


@pytest.mark.parametrize("how", ANSWERS)
async def test_nobody_else_answers_for_the_person(house: House, how: str) -> None:
    request = await drafted(house)
    for stranger in ("dan", "sam", "eve"):
        with pytest.raises(NotFound):
            await ANSWERS[how](house, house.actor(stranger), request.id)
    with pytest.raises(NotAllowed) as raised:
        await ANSWERS[how](house, house.actor("pat"), request.id)
    assert [reason.code for reason in raised.value.verdict.reasons] == [Code.NOT_THE_REQUESTER]
    with pytest.raises(NotFound):
        await ANSWERS[how](house, house.actor("mia"), "J-2222")
    assert (await house.now(request.id)).version == 1


async def test_another_account_with_the_same_address_does_not_accept(house: House) -> None:
    request = await drafted(house)
    twin = house.actor("mia").model_copy(
        update={"person": person(house.store.workspace, "mia").model_copy(update={"id": "UMIA2"})}
    )
    with pytest.raises(NotAllowed):
        await consent.accept(house.context, twin, request.id)


async def test_what_nobody_accepts_in_time_expires_and_is_not_accepted_after_that(house: House) -> None:
    workspace = house.policy.workspace.model_copy(update={"consent": 0})
    house.policy = house.policy.model_copy(update={"workspace": workspace})
    request = await drafted(house)
    with pytest.raises(Late):
        await consent.accept(house.context, house.actor("mia"), request.id)
    expired = await house.until(request.id, State.EXPIRED)
    assert expired.unseen
    assert await rows(house, request.id) == {"consent", "filed"}
    with pytest.raises(Overtaken):
        await consent.accept(house.context, house.actor("mia"), request.id)


async def test_the_time_to_accept_is_at_most_the_time_to_decide(store: Store) -> None:
    text = FOR_OTHERS.replace("  mfa:", "  consent: 2h\n  pending: 1h\n  mfa:", 1)
    house = await House(store, catalog(text)).open()
    request = await drafted(house)
    assert request.waits_until == pytest.approx(request.created_at + 3600)
    start = await house.store.now() + 120
    later = await drafted(house, "vault/shared", starts_at=start)
    assert later.waits_until == pytest.approx(start + 900)
    assert (await consent.accept(house.context, house.actor("mia"), later.id)).decide_by == pytest.approx(start + 900)


# what is judged again


async def test_a_policy_that_changed_is_a_sentence_and_a_role_that_changed_cancels(house: House) -> None:
    request, before = await drafted(house), house.policy
    await house.store.policy.adopt("another")
    with pytest.raises(PolicyMoved):
        await consent.accept(house.context, house.actor("mia"), request.id)
    house.policy = catalog(FOR_OTHERS.replace("grants: {door: vault, secret: true}", "grants: {door: shed}"))
    await house.open()
    with pytest.raises(RoleChanged):
        await consent.accept(house.context, house.actor("mia"), request.id)
    assert (await house.now(request.id)).closed_by == "policy"
    assert before.policy_hash != house.policy.policy_hash


async def test_who_may_not_have_it_any_more_cannot_accept_it(house: House) -> None:
    request = await drafted(house, "vault/admin", "dan")
    with pytest.raises(NotAllowed):
        await consent.accept(house.context, seen_by(house, "dan", dba=NOBODY), request.id)
    assert (await house.now(request.id)).state is State.DRAFT


async def test_if_who_requested_it_may_not_any_more_it_is_cancelled_and_what_is_not_told_changes_nothing(
    house: House,
) -> None:
    request = await drafted(house)
    with pytest.raises(CouldNotCheck):
        await consent.accept(house.context, seen_by(house, "mia", platform=DARK), request.id)
    assert (await house.now(request.id)).state is State.DRAFT
    with pytest.raises(Overtaken) as raised:
        await consent.accept(house.context, seen_by(house, "mia", platform=NOBODY), request.id)
    assert raised.value.request.closed_reason == consent.MAY_NO_LONGER_REQUEST
    assert (await house.now(request.id)).state is State.CANCELLED


async def test_the_same_at_the_approval_and_a_denial_never_waits_for_it(house: House) -> None:
    request, yes = await accepted(house), ReviewDecision(verb=Verb.APPROVE)
    with pytest.raises(CouldNotCheck):
        await review.review(house.context, seen_by(house, "dan", platform=DARK), request.id, yes)
    gone = Members(identities=frozenset({"pat@example.com"}), nobody=frozenset({"UPAT"}))
    with pytest.raises(Overtaken):
        await review.review(house.context, seen_by(house, "dan", platform=gone), request.id, yes)
    assert (await house.now(request.id)).closed_reason == consent.MAY_NO_LONGER_REQUEST
    other, no = await accepted(house, "vault/shared"), ReviewDecision(verb=Verb.DENY, reason="no")
    denied = await review.review(house.context, seen_by(house, "dan", platform=DARK), other.id, no)
    assert denied.state is State.DENIED


async def test_the_same_at_a_later_start(house: House) -> None:
    now = await house.store.now()
    request = await accepted(house, starts_at=now + 120)
    approved = await house.approve("dan", request.id)
    assert approved.state is State.SCHEDULED
    roster = house.actor("mia").roster
    begun = [
        await scheduled_start.start_event(house.context, {**roster, "platform": members}, approved, now + 121)
        for members in (roster["platform"], DARK, NOBODY)
    ]
    assert [found and found[0].kind for found in begun] == ["started", None, "cancelled"]
    assert begun[2] is not None
    assert isinstance(begun[2][0], Cancelled)
    assert begun[2][0].reason == consent.MAY_NO_LONGER_REQUEST


async def test_neither_of_the_two_approves_it(house: House) -> None:
    house.dba = ("dan", "mia", "pat")
    request = await accepted(house)
    for name in ("mia", "pat"):
        with pytest.raises(NotAllowed) as raised:
            await house.approve(name, request.id)
        assert [reason.code for reason in raised.value.verdict.reasons] == [Code.OWN_REQUEST]
    assert (await house.approve("dan", request.id)).state is State.GRANTING


# what each of the two may do


async def test_who_requested_it_may_cancel_and_end_it_and_nothing_else(house: House) -> None:
    pat, mia = house.actor("pat"), house.actor("mia")
    assert (await own_request.cancel(house.context, pat, (await drafted(house)).id)).closed_by == "UPAT"
    assert (await own_request.cancel(house.context, pat, (await accepted(house)).id)).state is State.CANCELLED
    request = await accepted(house, "vault/shared")
    await house.approve("dan", request.id)
    active = await house.until(request.id, State.ACTIVE)
    for verb in (
        own_request.reveal(house.context, pat, active.id, "V1"),
        extend.extend(house.context, pat, active.id, 600, "more"),
        remind.remind(house.context, pat, active.id),
    ):
        with pytest.raises(NotAllowed):
            await verb
    with pytest.raises(Ambiguous) as raised:
        await extend.extend(house.context, pat, None, 600, "more")
    assert raised.value.ids == (), "what they requested for others is not theirs to extend"
    ended = await own_request.release(house.context, pat, None)
    assert (ended.ending, ended.closed_by) == (Ending.REVOKED, "UPAT")
    assert (await house.until(active.id, State.ENDED)).requester.id == mia.person.id
    assert not house.sandbox.is_open("hall", "mia@example.com")


async def test_the_person_may_cancel_a_draft_and_end_the_access_as_their_own(house: House) -> None:
    mia = house.actor("mia")
    assert (await own_request.cancel(house.context, mia, (await drafted(house)).id)).state is State.CANCELLED
    request = await accepted(house)
    await house.approve("dan", request.id)
    await house.until(request.id, State.ACTIVE)
    assert (await own_request.release(house.context, mia, request.id)).ending is Ending.RELEASED


async def test_for_oneself_is_no_request_for_another(house: House) -> None:
    request = await drafted(house, whom="pat")
    assert (request.state, request.requested_by) == (State.PENDING, None)


# limits and rules


async def test_open_requests_count_for_the_person_and_submits_for_who_requests(store: Store) -> None:
    text = WIDE_FOR_OTHERS.replace("limits: {open: 50, submits: 100}", "limits: {open: 2, submits: 3}")
    house = await House(store, catalog(text)).open()
    for n in range(2):
        await drafted(house, f"vault/n{n}")
    with pytest.raises(LimitReached, match="open_for"):
        await drafted(house, "vault/n2")
    with pytest.raises(LimitReached, match="open"):
        await house.ask("mia", "vault/n3")
    await drafted(house, "vault/n0", "eve")
    with pytest.raises(LimitReached, match="submits"):
        await drafted(house, "vault/n1", "eve")
    assert (await store.counters("UMIA")).submits == (await store.counters("UEVE")).submits == 0
    assert (await store.counters("UPAT")).submits == 3
    await house.ask("eve", "vault/n1")


async def test_of_many_at_once_no_more_are_open_than_the_limit(store: Store) -> None:
    text = WIDE_FOR_OTHERS.replace("limits: {open: 50, submits: 100}", "limits: {open: 3, submits: 100}")
    house = await House(store, catalog(text)).open()
    asked = [drafted(house, f"vault/n{n}") for n in range(6)] + [house.ask("mia", f"vault/n{n}") for n in range(6, 10)]
    made = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(each, Request) for each in made) == 3
    assert sum(isinstance(each, LimitReached) for each in made) == 7


@pytest.mark.parametrize("whose", ["UMIA", "UPAT"])
async def test_the_commit_is_guarded_by_both_ledgers(house: House, whose: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store, judged = house.store, submit.event_of_ruling
    moved = list[str]()

    def meanwhile(*given: Any) -> Any:
        moved.append(whose)
        return judged(*given)

    monkeypatch.setattr(submit, "event_of_ruling", meanwhile)
    counters, real = store.counters, store.commit

    async def commit(change: Any) -> float:
        if len(moved) == 1:
            ledger = (await counters(whose)).ledger
            raised = ledger.model_copy(update={"n": ledger.n + 1, "at": await store.now()})
            await store.redis.set(
                store.keys.ledger(whose),
                PersonLedgers(store.authorship, store.keys, store.forged_values).sealed(whose, raised),
            )
        return await real(change)

    monkeypatch.setattr(store, "commit", commit)
    await drafted(house)
    assert moved == [whose, whose], "judged again"


async def test_the_same_is_not_requested_twice_whoever_requests_it(house: House) -> None:
    await drafted(house)
    with pytest.raises(AlreadyRequested) as raised:
        await drafted(house)
    assert not raised.value.of_another, "it is their own to see"
    with pytest.raises(AlreadyRequested) as raised:
        await house.ask("mia")
    assert not raised.value.of_another
    await house.ask("eve")
    with pytest.raises(AlreadyRequested) as raised:
        await drafted(house, whom="eve")
    assert raised.value.of_another


async def test_a_line_that_is_delivered_twice_makes_one_request(house: House) -> None:
    made = await asyncio.gather(*(drafted(house, token="t1") for _ in range(4)), return_exceptions=True)
    ids = {each.id for each in made if isinstance(each, Request)}
    assert len(ids) == 1
    assert all(isinstance(each, Request | AlreadyRequested) for each in made)


async def by_rules(store: Store, **more: Any) -> House:
    """A house whose rules approve three low requests of a dba a day."""
    return await House(store, catalog(WIDE_FOR_OTHERS + RULES), **more).open()


async def test_a_rule_is_asked_when_the_person_accepts_and_counts_for_them(store: Store) -> None:
    house = await by_rules(store)
    for n in range(3):
        made = await drafted(house, f"vault/n{n}", "dan")
        assert (made.state, made.rule) == (State.DRAFT, None)
        accepted_ = await consent.accept(house.context, house.actor("dan"), made.id)
        assert accepted_.state is State.GRANTING
        assert accepted_.rule is not None
        assert accepted_.rule.used == n + 1
    assert (await accepted(house, "vault/n3", "dan")).state is State.PENDING
    assert (await house.ask("dan", "vault/n4")).state is State.PENDING
    assert (await house.ask("eve", "vault/n4")).rule is not None
    assert (await accepted(house, "vault/n5")).state is State.PENDING, "no rule speaks of Mia"


async def test_of_ten_accepted_at_once_as_many_as_the_budget_are_approved(store: Store) -> None:
    house = await by_rules(store)
    made = [await drafted(house, f"vault/n{n}", "dan") for n in range(8)]
    after = await asyncio.gather(*(consent.accept(house.context, house.actor("dan"), each.id) for each in made))
    assert sorted(each.rule.used for each in after if each.rule) == [1, 2, 3]
    assert {each.state for each in after if not each.rule} == {State.PENDING}


async def test_no_rule_approves_by_a_ledger_that_was_deleted(store: Store) -> None:
    house = await by_rules(store)
    await accepted(house, "vault/n0", "dan")
    made = await drafted(house, "vault/n1", "dan")
    await store.redis.delete(store.keys.ledger("UDAN"))
    assert (await consent.accept(house.context, house.actor("dan"), made.id)).state is State.PENDING


async def test_what_no_process_remembers_is_counted_again_from_the_audit_log(store: Store, tmp_path: Path) -> None:
    def archive() -> Archive:
        return Archive.open("", tmp_path, create=True)

    house = await by_rules(store)
    for n in range(3):
        await accepted(house, f"vault/n{n}", "dan")
    sealer = Sealer(store, archive, tmp_path)
    await sealer.once()
    await store.redis.delete(store.keys.ledger("UDAN"))
    thief = Store(store.redis, store.workspace, store.ring)
    recovery = Recovery(thief, Trail(thief, archive))
    other = await by_rules(thief, recovery=recovery)
    fourth = await accepted(other, "vault/n3", "dan")
    assert fourth.rule is not None, "this process remembers nothing"
    assert await recovery.trail.rule_uses(fourth) == 4
    await other.work()
    over = await other.now(fourth.id)
    assert (over.state, over.legs[0].attempts) == (State.FAILED, 0)
    assert "an approver decides" in over.legs[0].error
    await sealer.close()
    await recovery.trail.close()


# what else ends it, and what somebody put into the store


async def test_a_lockdown_stops_a_draft_and_its_acceptance(house: House) -> None:
    request = await drafted(house)
    await lockdown.lock(house.context, house.actor("pat"), "vault", "INC-9 everything is on fire")
    with pytest.raises(LockedDown):
        await consent.accept(house.context, house.actor("mia"), request.id)
    with pytest.raises(LockedDown):
        await drafted(house, "vault/shared")
    assert (await _declined(house, request.id)).state is State.CANCELLED


async def test_a_draft_of_somebody_who_left_is_cancelled(house: House) -> None:
    request = await drafted(house)
    gone = await revoke.offboard(house.context, request.id, "their Slack account was deactivated")
    assert gone is not None
    assert (gone.state, gone.closed_by) == (State.CANCELLED, "policy")


async def test_another_process_goes_on_with_a_draft(house: House) -> None:
    request, store = await drafted(house), house.store
    other = await House(Store(store.redis, store.workspace, store.ring), house.policy).open()
    assert (await consent.accept(other.context, other.actor("mia"), request.id)).state is State.PENDING


async def test_a_draft_that_was_put_back_is_not_accepted(house: House) -> None:
    request, store = await drafted(house), house.store
    key = store.keys.record(request.id)
    copy = await store.redis.dump(key)
    await _declined(house, request.id)
    assert copy is not None
    await store.redis.restore(key, 0, copy, replace=True)
    with pytest.raises(RolledBack):
        await consent.accept(house.context, house.actor("mia"), request.id)


@pytest.mark.parametrize("field", ["body", "seal"])
async def test_a_forged_draft_is_nobodys(house: House, field: str) -> None:
    request, store = await drafted(house), house.store
    other = await drafted(house, "vault/shared", "eve")
    forged = await store.redis.hget(store.keys.record(other.id), field)
    await store.redis.hset(store.keys.record(request.id), field, forged)
    with pytest.raises(NotFound):
        await consent.accept(house.context, house.actor("mia"), request.id)


async def test_a_draft_in_somebody_elses_index_is_not_theirs(house: House) -> None:
    request, store = await drafted(house), house.store
    await store.redis.sadd(store.keys.mine("UEVE"), request.id)
    assert await read.open_as_party(house.context, house.actor("eve")) == ([], [])
    assert (await house.ask("eve")).state is State.PENDING, "and it is no open request of theirs"
    for verb in (own_request.cancel(house.context, house.actor("eve"), request.id),):
        with pytest.raises(NotFound):
            await verb


async def test_a_refusal_is_in_the_audit_log(house: House) -> None:
    them = person(house.store.workspace, "mia")
    with pytest.raises(NotAllowed):
        await submit.submit(
            house.context,
            house.actor("dan"),
            RequestForm(what="vault/read-only", reason="INC-1", duration=1800, requested_for=them),
        )
    found: Any = await house.store.redis.xrange(house.store.keys.audit)
    assert [entry[b"kind"] for _, entry in found] == [b"refused"]
    assert issubclass(NotAllowed, JitError)
