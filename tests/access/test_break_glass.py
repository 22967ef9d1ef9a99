"""Break-glass: access at once and without approval, judged at the click, loud, and reviewed by somebody else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.access import break_glass, break_glass_review, extend, lockdown, own_request, review
from bot.access.break_glass_review import ReviewOutcome
from bot.access.review import ReviewDecision
from bot.access.submit import RequestForm
from bot.audit.archive import projection
from bot.audit.archive.archive import Archive
from bot.audit.sealer import Sealer
from bot.audit.trail import Trail
from bot.core import deadlines
from bot.core.audit_chain import AuditEntry
from bot.core.errors import (
    AlreadyRequested,
    BadDuration,
    BadReason,
    LimitReached,
    LockedDown,
    NotAllowed,
    Overtaken,
    PolicyMoved,
    RoleChanged,
    RolledBack,
    UnknownChoice,
)
from bot.core.events import EVENT
from bot.core.lifecycle import advance, fold
from bot.core.request import Extension, Request, RequiredStep, State, Verb
from bot.core.verdict import Actor, Code, Members
from bot.policy import authorization
from bot.policy import break_glass as glass_policy
from bot.policy.break_glass import MAX_PER_DAY
from bot.store.store import Store
from bot.store.types import Change
from bot.worker import approval_check
from bot.worker.approval_check import ApprovalInvalid
from bot.worker.recovery import Recovery
from tests.house import POLICY, House, catalog

GLASS = "        break_glass: {who: [oncall, dba], at_most: 30m, review_within: 2h}\n"
WITH = POLICY.replace(
    "        grants: {door: vault, secret: true}\n", f"        grants: {{door: vault, secret: true}}\n{GLASS}"
).replace("groups:\n", "groups:\n  oncall: {people: [mia@example.com, dan@example.com]}\n")
STRICT = WITH.replace(
    "        grants: {door: safe}\n",
    "        grants: {door: safe}\n        break_glass: {who: [oncall], at_most: 30m}\n",
)
WHY = "the vault is on fire"
YES = ReviewOutcome(justified=True)
NO = ReviewOutcome(justified=False, reason="it could have waited", follow_up="talk to the team")


@pytest.fixture
async def house(store: Store) -> House:
    """An open house where Mia and Dan may use break-glass for the vault; Dan and Eve own it."""
    return await House(store, catalog(WITH)).open()


def form(**more: Any) -> RequestForm:
    return RequestForm(**{"what": "vault/read-only", "reason": WHY, "duration": 900, **more})


async def taken(house: House, name: str = "mia", **more: Any) -> Request:
    """Somebody uses break-glass."""
    return await break_glass.use(house.context, house.actor(name), form(**more))


async def over(house: House, request: Request) -> Request:
    """Granted, ended by its holder, and revoked: only the review is outstanding."""
    await house.work()
    await own_request.release(house.context, house.actor("mia"), request.id)
    return await house.until(request.id, State.AWAITING_REVIEW)


async def late(house: House, request: Request) -> Request:
    """Its review is overdue, as the worker records it."""
    before = await house.now(request.id)
    assert before.break_glass
    event = deadlines.due_event(before, before.break_glass.review_by)
    assert event
    after = advance(before, event)
    await house.store.commit(Change(before, after, event))
    return after


async def rows(house: House, id_: str) -> set[str]:
    """Who is to be told of a request."""
    found: Any = await house.store.redis.hkeys(house.store.keys.rows)
    told = (row.decode().split("|") for row in found)
    return {audience.partition(":")[0] for request, audience in told if request == id_}


async def entries(house: House, id_: str) -> list[Any]:
    """The events of a request."""
    found: Any = await house.store.redis.xrange(house.store.keys.audit)
    return [EVENT.validate_json(e[b"event"]) for _, e in found if e[b"id"].decode() == id_ and e[b"version"] != b"0"]


def code(error: pytest.ExceptionInfo[NotAllowed]) -> set[Code]:
    return {reason.code for reason in error.value.verdict.reasons}


# access at once


async def test_it_is_one_step_of_the_record_and_loud_before_anything_is_granted(house: House) -> None:
    request = await taken(house)
    assert (request.state, request.version, request.reviews) == (State.GRANTING, 1, ())
    assert request.break_glass
    assert request.break_glass.review_by == request.created_at + 7200
    assert await house.sandbox.list_access() == []
    # The alarm and the owners' messages are in the same commit: there before the worker can grant anything.
    assert await rows(house, request.id) == {"break_glass", "owners", "card", "thread"}
    await house.work()
    assert (await house.now(request.id)).state is State.ACTIVE
    assert fold(await entries(house, request.id)) == await house.now(request.id)


async def test_its_story_ends_with_the_review(house: House) -> None:
    request = await over(house, await taken(house))
    assert request.is_over
    assert await house.store.redis.exists(house.store.keys.active(request.id)) == 0
    assert await house.store.redis.ttl(house.store.keys.record(request.id)) == -1, "kept until it is reviewed"
    done = await break_glass_review.review(house.context, house.actor("dan"), request.id, NO)
    assert done.state is State.ENDED
    assert done.break_glass
    assert done.break_glass.review
    assert (done.break_glass.review.by.id, done.break_glass.review.follow_up) == ("UDAN", "talk to the team")
    assert await house.store.redis.ttl(house.store.keys.record(request.id)) > 0
    assert fold(await entries(house, request.id)) == done
    assert {"reviewed", "owners"} <= await rows(house, request.id)


async def test_reviewed_early_it_ends_as_any_request(house: House) -> None:
    request = await taken(house)
    assert (await break_glass_review.review(house.context, house.actor("eve"), request.id, YES)).state is State.GRANTING
    await house.work()
    await own_request.release(house.context, house.actor("mia"), request.id)
    await house.until(request.id, State.ENDED)


@pytest.mark.parametrize("name", ["eve", "sam", "kim"])
async def test_only_the_groups_that_the_role_names_may_use_it(store: Store, name: str) -> None:
    house = await House(store, catalog(WITH.replace("who: [oncall, dba]", "who: [oncall]"))).open()
    with pytest.raises(NotAllowed) as error:
        await taken(house, name)
    assert code(error) == {Code.MAY_NOT_BREAK_GLASS}


async def test_a_role_without_it_has_none_and_every_role_must_allow_it(house: House) -> None:
    for what in ("vault/shared", "both", "vault/read-only + vault/shared"):
        with pytest.raises(NotAllowed) as error:
            await taken(house, what=what)
        assert code(error) == {Code.NO_BREAK_GLASS}
    with pytest.raises(UnknownChoice):
        await taken(house, what="vault/nothing")


async def test_the_least_of_several_roles_counts(store: Store) -> None:
    more = WITH.replace(
        "        grants: {door: hall, shared: true}\n",
        "        grants: {door: hall, shared: true}\n"
        "        break_glass: {who: [oncall], at_most: 10m, review_within: 4h}\n",
    )
    house = await House(store, catalog(more)).open()
    with pytest.raises(BadDuration):
        await taken(house, what="both", duration=900)
    request = await taken(house, what="both", duration=None)
    assert request.break_glass
    assert (request.duration, request.break_glass.review_by - request.created_at) == (600, 7200)


async def test_it_works_while_user_groups_cannot_be_read_by_the_list_of_the_policy(house: House) -> None:
    mia, eve = house.actor("mia"), house.actor("eve")
    dark = {**mia.roster, "dba": Members(known=False)}
    request = await break_glass.use(house.context, Actor(person=mia.person, roster=dark), form())
    assert request.break_glass
    assert request.break_glass.by_list
    with pytest.raises(NotAllowed) as error:
        await break_glass.use(house.context, Actor(person=eve.person, roster=dark), form())
    assert code(error) == {Code.MAY_NOT_BREAK_GLASS, Code.UNKNOWN_GROUP}
    assert not (await taken(house, "dan")).break_glass.by_list  # type: ignore[union-attr]  # it is set


async def test_a_deactivated_account_has_none(house: House) -> None:
    mia = house.actor("mia")
    gone = {**mia.roster, "oncall": Members(identities=frozenset({"mia@example.com"}), nobody=frozenset({"UMIA"}))}
    with pytest.raises(NotAllowed):
        await break_glass.use(house.context, Actor(person=mia.person, roster=gone), form())


async def test_a_reason_says_something_and_it_lasts_no_longer_than_allowed(house: House) -> None:
    with pytest.raises(BadReason):
        await taken(house, reason="")
    with pytest.raises(BadReason):
        await taken(house, reason="now")
    with pytest.raises(BadDuration):
        await taken(house, duration=1801)
    assert (await taken(house, duration=None)).duration == 1800
    # No form is required in an emergency: who has no ticket has a reason all the same.
    assert (await taken(house, "dan", what="debug")).state is State.GRANTING


async def test_two_submits_at_once_are_one(house: House) -> None:
    made = await asyncio.gather(*(taken(house, token="t1") for _ in range(5)))
    assert len({request.id for request in made}) == 1
    with pytest.raises(AlreadyRequested):
        await taken(house, token="t2")
    both = await asyncio.gather(*(taken(house, "dan") for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(one, Request) for one in both) == 1
    assert sum(isinstance(one, AlreadyRequested) for one in both) == 2


async def test_so_many_a_day_and_the_limits_of_requests_do_not_stop_it(store: Store) -> None:
    tight = WITH.replace("  mfa:", "  limits: {open: 1, submits: 1}\n  mfa:", 1)
    house = await House(store, catalog(tight)).open()
    await house.ask("mia", "vault/shared")
    for _ in range(MAX_PER_DAY):
        await over(house, await taken(house))
    with pytest.raises(LimitReached, match="break_glass"):
        await taken(house)
    assert (await taken(house, "dan")).state is State.GRANTING


async def test_what_waits_for_its_review_is_no_open_request(store: Store) -> None:
    tight = WITH.replace("  mfa:", "  limits: {open: 1}\n  mfa:", 1)
    house = await House(store, catalog(tight)).open()
    await over(house, await taken(house))
    assert (await house.ask("mia")).state is State.PENDING


async def test_a_lockdown_beats_it(house: House) -> None:
    waiting = await house.ask("dan")
    await lockdown.lock(house.context, house.actor("pat"), "vault", "a key leaked")
    with pytest.raises(LockedDown):
        await taken(house)
    with pytest.raises(LockedDown):
        await break_glass.switch(house.context, house.actor("dan"), waiting.id, WHY)
    assert (await house.now(waiting.id)).state is State.PENDING


async def test_another_policy_by_the_time_of_the_commit_is_a_no(house: House) -> None:
    waiting = await house.ask()
    await house.store.policy.adopt("another")
    with pytest.raises(PolicyMoved):
        await taken(house, "dan")
    with pytest.raises(PolicyMoved):
        await break_glass.switch(house.context, house.actor("mia"), waiting.id, WHY)


async def test_it_is_extended_by_people_alone_and_offboarding_judges_it_by_who_may_use_it(store: Store) -> None:
    only = WITH.replace("may_ask: [everyone]", "may_ask: [security]", 1)
    house = await House(store, catalog(only)).open()
    request = await taken(house)
    await house.work()
    asked = await extend.extend(house.context, house.actor("mia"), request.id, 3600, "still on fire")
    assert asked.awaits_extension
    assert (await house.now(request.id)).ends_at == asked.ends_at
    decision = ReviewDecision(verb=Verb.APPROVE)
    await review.review(house.context, house.actor("dan"), request.id, decision, extension=1)
    await house.work()
    assert (await house.now(request.id)).ends_at == pytest.approx(asked.ends_at + 3600)
    roster = house.actor("mia").roster
    from bot.policy import lost_rights

    assert lost_rights.lost(house.policy, roster, request) == ()
    without = {**roster, "oncall": Members(identities=frozenset({"dan@example.com"}))}
    assert lost_rights.lost(house.policy, without, request) == ("vault/read-only",)


# a request that waits


async def test_a_pending_request_is_taken_at_once(house: House) -> None:
    waiting = await house.ask(duration=3600)
    assert waiting.may_break_glass
    _, longest = await break_glass.switchable(house.context, house.actor("mia"), waiting.id)
    assert longest == 1800
    request = await break_glass.switch(house.context, house.actor("mia"), waiting.id, WHY)
    assert (request.state, request.duration, request.reason, request.id) == (State.GRANTING, 1800, WHY, waiting.id)
    assert {"break_glass", "owners"} <= await rows(house, request.id)
    with pytest.raises(Overtaken):
        await house.approve("dan", request.id)
    with pytest.raises(Overtaken):
        await break_glass.switch(house.context, house.actor("mia"), waiting.id, WHY)
    assert (await house.attempted(request.id)).state is State.ACTIVE


async def test_the_line_takes_the_same_request_that_waits(house: House) -> None:
    waiting = await house.ask()
    request = await taken(house, duration=600)
    assert (request.id, request.state, request.duration) == (waiting.id, State.GRANTING, 600)


async def test_a_use_by_a_waiting_request_counts(house: House) -> None:
    for _ in range(MAX_PER_DAY):
        waiting = await house.ask()
        await over(house, await break_glass.switch(house.context, house.actor("mia"), waiting.id, WHY))
    waiting = await house.ask()
    with pytest.raises(LimitReached, match="break_glass"):
        await break_glass.switch(house.context, house.actor("mia"), waiting.id, WHY)


async def test_only_its_requester_takes_it_and_only_as_it_was_requested(house: House) -> None:
    waiting = await house.ask()
    with pytest.raises(NotAllowed) as error:
        await break_glass.switch(house.context, house.actor("dan"), waiting.id, WHY)
    assert code(error) == {Code.NOT_THE_REQUESTER}
    house.policy = catalog(WITH.replace("door: vault", "door: other"))
    await house.store.policy.adopt(house.policy.policy_hash)
    with pytest.raises(RoleChanged):
        await break_glass.switch(house.context, house.actor("mia"), waiting.id, WHY)
    assert (await house.now(waiting.id)).state is State.CANCELLED


async def test_an_approval_and_a_switch_at_once_are_one_of_them(house: House) -> None:
    waiting = await house.ask()
    found = await asyncio.gather(
        house.approve("dan", waiting.id),
        break_glass.switch(house.context, house.actor("mia"), waiting.id, WHY),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Overtaken) for one in found) == 1
    request = await house.now(waiting.id)
    assert request.state is State.GRANTING
    assert bool(request.break_glass) is not bool(request.reviews)


# an overdue review


async def test_an_overdue_review_lets_an_owner_decide_about_the_next(house: House) -> None:
    first = await late(house, await over(house, await taken(house)))
    assert first.break_glass
    assert first.break_glass.overdue == 1
    second = await taken(house)
    assert (second.state, second.only_required, second.break_glass) == (State.PENDING, True, None)
    assert first.id in second.required_steps[0].because
    with pytest.raises(AlreadyRequested):
        await taken(house)
    with pytest.raises(NotAllowed):
        await house.approve("mia", second.id)
    with pytest.raises(Overtaken):
        await break_glass.switch(house.context, house.actor("mia"), second.id, WHY)
    assert (await house.approve("eve", second.id)).state is State.GRANTING
    await own_request.release(house.context, house.actor("mia"), second.id)
    await break_glass_review.review(house.context, house.actor("dan"), first.id, YES)
    await house.until(second.id, State.ENDED)
    assert (await taken(house)).state is State.GRANTING


async def test_an_owner_approves_in_place_of_the_roles_own_steps(store: Store) -> None:
    house = await House(store, catalog(STRICT)).open()
    await late(house, await over(house, await taken(house)))
    second = await taken(house, what="vault/admin")
    with pytest.raises(NotAllowed):
        await house.approve("sam", second.id)
    assert (await house.approve("eve", second.id)).state is State.GRANTING


async def test_what_an_owner_approved_is_extended_and_ended_by_the_approvers_of_its_role(store: Store) -> None:
    house = await House(store, catalog(STRICT)).open()
    await late(house, await over(house, await taken(house)))
    second = await taken(house, what="vault/admin")
    kept = house.policy
    # Slack is asked about these for a critical decision: about the right to use it, and the role's own approvers.
    assert {"oncall", "dba", "security"} <= set(authorization.concerned(kept, second))
    house.policy = catalog(WITH)
    await house.open()
    verdict = authorization.may_still_request(house.policy, house.actor("mia").roster, second, 0.0)
    assert not verdict.allowed, "it is no break-glass any more"
    house.policy = catalog(STRICT.replace("approvers: [dba]", "approvers: [security]", 1))
    await house.open()
    with pytest.raises(NotAllowed):
        await house.approve("eve", second.id)  # an owner no more
    house.policy = kept
    await house.open()
    await house.approve("eve", second.id)
    approved = await house.now(second.id)
    security = house.actor("sam")
    assert authorization.may_revoke(kept, security.roster, approved, security.person).allowed
    extension = Extension(
        n=1, until=9e9, reason=WHY, at=1.0, required_steps=(RequiredStep(any_of=("dba",), rule=1, because="x"),)
    )
    asked = approved.model_copy(update={"state": State.ACTIVE, "extension": extension})
    judged = review.awaiting_decision(asked)
    assert judged
    assert not judged.only_required
    missing = authorization.approval_progress(kept, security.roster, judged, 0.0).missing
    assert missing == {("dba",): 2, ("security",): 1}


async def test_a_review_that_became_overdue_afterwards_was_not_overdue_then(house: House) -> None:
    first = await late(house, await over(house, await taken(house)))
    assert first.break_glass
    due = first.break_glass.review_by
    assert glass_policy.is_overdue(first, due - 60), "its record says so, whatever the clock"
    assert not glass_policy.was_overdue(first, due - 60), "what was taken before it was due stays"
    assert glass_policy.was_overdue(first, due)


async def test_an_overdue_review_keeps_what_waits_waiting(house: House) -> None:
    first = await late(house, await over(house, await taken(house)))
    waiting = await house.ask()
    with pytest.raises(NotAllowed) as error:
        await break_glass.switch(house.context, house.actor("mia"), waiting.id, WHY)
    assert error.value.verdict.reasons[0].about == (first.id,)
    assert code(error) == {Code.REVIEW_OVERDUE}
    assert (await house.approve("dan", waiting.id)).state is State.GRANTING


async def test_counters_that_are_not_known_let_an_owner_decide(house: House) -> None:
    await over(house, await taken(house))
    await house.store.redis.set(house.store.keys.ledger("UMIA"), "forged|tag")
    second = await taken(house)
    assert (second.state, second.only_required) == (State.PENDING, True)


# the review


async def test_a_review_is_somebody_elses_who_owns_the_system(house: House) -> None:
    request = await taken(house, "dan")
    for name, why in (("dan", Code.OWN_BREAK_GLASS), ("sam", Code.NOT_AN_OWNER), ("pat", Code.NOT_AN_OWNER)):
        with pytest.raises(NotAllowed) as error:
            await break_glass_review.review(house.context, house.actor(name), request.id, YES)
        assert why in code(error)
    other = house.actor("dan")
    other = other.model_copy(update={"person": other.person.model_copy(update={"id": "UDAN2"})})
    roster = {**other.roster, "dba": Members(users=frozenset({"UDAN", "UDAN2", "UEVE"}))}
    with pytest.raises(NotAllowed) as error:
        await break_glass_review.review(house.context, other.model_copy(update={"roster": roster}), request.id, YES)
    assert code(error) == {Code.OWN_BREAK_GLASS}, "another account of the same person is that person"
    await break_glass_review.review(house.context, house.actor("eve"), request.id, YES)


async def test_where_nobody_else_owns_it_an_operator_reviews_it(house: House) -> None:
    house.dba = ("dan",)
    request = await taken(house, "dan")
    assert await break_glass_review.may_review(house.context, house.actor("pat"), request)
    pat = house.actor("pat")
    dark = pat.model_copy(update={"roster": {**pat.roster, "dba": Members(known=False)}})
    with pytest.raises(NotAllowed) as error:
        await break_glass_review.review(house.context, dark, request.id, YES)
    assert Code.UNKNOWN_GROUP in code(error)
    done = await break_glass_review.review(house.context, pat, request.id, YES)
    assert not done.lacks_review


async def test_two_owners_at_once_review_it_once(house: House) -> None:
    request = await over(house, await taken(house))
    found = await asyncio.gather(
        *(break_glass_review.review(house.context, house.actor(name), request.id, YES) for name in ("dan", "eve")),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Request) for one in found) == 1
    [refused] = [one for one in found if not isinstance(one, Request)]
    assert isinstance(refused, NotAllowed)
    assert refused.verdict.reasons[0].code is Code.ALREADY_REVIEWED


async def test_not_justified_says_why(house: House) -> None:
    request = await taken(house)
    with pytest.raises(BadReason):
        await break_glass_review.review(house.context, house.actor("dan"), request.id, ReviewOutcome(justified=False))


async def test_what_is_no_break_glass_has_no_review(house: House) -> None:
    request = await house.ask()
    with pytest.raises(Overtaken):
        await break_glass_review.review(house.context, house.actor("dan"), request.id, YES)


async def test_a_record_that_was_rolled_back_is_not_reviewed(house: House) -> None:
    request = await taken(house)
    key = house.store.keys.record(request.id)
    old: Any = await house.store.redis.hgetall(key)
    await house.work()
    await house.store.redis.hset(key, mapping=old)
    with pytest.raises(RolledBack):
        await break_glass_review.review(house.context, house.actor("dan"), request.id, YES)


# what a thief of the store cannot do


def recovering(store: Store, home: Path) -> House:
    """A house whose worker checks records against the archive."""
    trail = Trail(store, lambda: Archive.open("", home))
    return House(store, catalog(WITH), recovery=Recovery(store, trail))


async def sealed(house: House, home: Path) -> None:
    """All events are in the archive."""
    await Sealer(house.store, lambda: Archive.open("", home), home).once()


async def test_uses_that_were_deleted_from_redis_are_counted_by_the_worker(store: Store, tmp_path: Path) -> None:
    Archive.open("", tmp_path, create=True).close()
    house = await recovering(store, tmp_path).open()
    for _ in range(MAX_PER_DAY):
        await over(house, await taken(house))
    # Another process, which remembers nothing, after somebody deleted the counters.
    await store.redis.delete(store.keys.ledger("UMIA"))
    other = await recovering(Store(store.redis, store.workspace, store.ring), tmp_path).open()
    request = await taken(other)
    assert request.state is State.GRANTING
    await other.work()
    assert (await other.now(request.id)).state is State.FAILED
    assert await other.sandbox.list_access() == []


async def test_an_overdue_review_that_was_hidden_is_found_by_the_worker(store: Store, tmp_path: Path) -> None:
    Archive.open("", tmp_path, create=True).close()
    house = await recovering(store, tmp_path).open()
    first = await over(house, await taken(house))
    # The record says that the review is due long from now only where nobody looks at its events.
    before = await house.now(first.id)
    assert before.break_glass
    past = before.break_glass.review_by
    await store.redis.delete(store.keys.ledger("UMIA"), store.keys.mine("UMIA"))
    other = await recovering(Store(store.redis, store.workspace, store.ring), tmp_path).open()
    request = await taken(other)
    assert request.state is State.GRANTING, "nothing in Redis shows the other one any more"
    assert other.recovery
    await approval_check.check(other.recovery.trail, request)
    assert request.break_glass
    later = request.model_copy(update={"break_glass": request.break_glass.model_copy(update={"at": past + 1})})
    with pytest.raises(ApprovalInvalid):
        await approval_check.check(other.recovery.trail, later)


async def test_a_request_that_waits_for_its_review_is_restored_after_a_restart(store: Store, tmp_path: Path) -> None:
    home = tmp_path
    Archive.open("", home, create=True).close()
    house = await recovering(store, home).open()
    request = await over(house, await taken(house))
    await sealed(house, home)
    await store.redis.delete(store.keys.record(request.id))
    await store.redis.zrem(store.keys.due, request.id)
    other = await recovering(Store(store.redis, store.workspace, store.ring), home).open()
    assert other.recovery
    for _ in range(4):
        await other.recovery.compare()
    assert (await other.now(request.id)).state is State.AWAITING_REVIEW
    done = await break_glass_review.review(other.context, other.actor("dan"), request.id, YES)
    assert done.state is State.ENDED


async def test_its_reviewer_is_found_in_the_audit_log(house: House) -> None:
    request = await taken(house)
    await break_glass_review.review(house.context, house.actor("dan"), request.id, YES)
    found: Any = await house.store.redis.xrange(house.store.keys.audit)
    life = None
    for n, (_, e) in enumerate(found, start=1):
        entry = AuditEntry(n, 0.0, e[b"id"].decode(), int(e[b"version"]), e[b"kind"].decode(), e[b"event"].decode())
        if entry.id == request.id:
            told = projection.project(entry, life)
            life = told.life
    assert ("dan@example.com", "UDAN") in told.people
    assert life
    assert life.request == await house.now(request.id)
