"""A replay knows requests for others, escalation, break-glass, limits and conflicts as the bot judges them."""

from __future__ import annotations

import pytest

from bot.audit.archive.archive import Archive
from bot.core.audit_chain import AuditEntry, Signer
from bot.core.break_glass import BreakGlass, BreakGlassReview
from bot.core.break_glass_events import BreakGlassReviewed, BreakGlassUsed, SwitchedToBreakGlass
from bot.core.errors import LimitReached, NotAllowed
from bot.core.escalation import Escalation
from bot.core.events import (
    AccessExpired,
    Cancelled,
    Consented,
    Drafted,
    Escalated,
    Event,
    GrantAttempted,
    Granted,
    RequestExpired,
    Revoked,
)
from bot.core.happening import Requested
from bot.core.limit_errors import Conflicting, OverLimit
from bot.core.request import DraftWait, RequiredStep
from bot.policy.loader import can_extend, consequence
from bot.reports.replay import Fate, Replayed, ReviewFate, replay
from tests.audit.stories import HOUR, keep, role, submitted
from tests.house import POLICY, catalog, person
from tests.policy.flows import FLOWS
from tests.reports.insights.stories import DAY, NOON, Story, W, named

GROUPS = {"dba": ("dan@example.com", "eve@example.com")}
SPAN = (NOON - DAY, NOON + 30 * DAY)


class Told(Story):
    """Requests of every kind, as an archive has them."""

    def add(self, id_: str, *events: Event) -> str:
        """What happened to a request."""
        for event in events:
            self._add(id_, event)
        return id_

    def ends(self, id_: str, granted: float, ended: float) -> None:
        """Access is granted, and is over."""
        facts = {"native": id_}
        self.add(
            id_,
            GrantAttempted(
                at=granted, leg=0, subject=facts, target="vault", prior={"present": False}, in_flight_until=granted + 1
            ),
            Granted(at=granted, leg=0, receipt={**facts, "ours": True}),
            AccessExpired(at=ended),
            Revoked(at=ended, leg=0, outcome={"presence": "absent"}),
        )

    def held(self, who: str, at: float, lasting: float = HOUR) -> str:
        """Requested, approved by Dan five minutes later, granted, and ended."""
        id_ = self.approved(who, "dan", at)
        self.ends(id_, at + 300, at + 300 + lasting)
        return id_

    def new_id(self) -> str:
        """The next one."""
        self.asked += 1
        return named(self.asked)

    def shared(self, who: str, at: float) -> str:
        """Somebody requests the vault's shared role."""
        id_ = self.new_id()
        said = {"what": "vault/shared", "roles": (role("vault", "shared"),)}
        return self.add(id_, submitted(id_, person(W, who), at, "vault").model_copy(update=said))

    def filed(self, by: str, who: str, at: float) -> str:
        """Somebody requests it for somebody else."""
        id_ = self.new_id()
        said = _facts(submitted(id_, person(W, who), at, "vault"))
        said |= {"by": f"U{by.upper()}", "requested_by": person(W, by)}
        return self.add(id_, Drafted(waits_for=DraftWait.CONSENT, waits_until=at + 1800, **said))

    def accepted(self, id_: str, who: str, at: float) -> str:
        """That person accepts it."""
        return self.add(id_, Consented(at=at, by=f"U{who.upper()}", decide_by=at + HOUR))

    def broke_glass(self, who: str, at: float, lasting: int = HOUR, within: float = DAY) -> str:
        """Somebody takes it at once, for so long, and it is over then."""
        id_ = self.new_id()
        said = _facts(submitted(id_, person(W, who), at, "vault")) | {"duration": lasting}
        self.add(id_, BreakGlassUsed(break_glass=BreakGlass(at=at, review_by=at + within), **said))
        self.ends(id_, at + 5, at + 5 + lasting)
        return id_

    def by_owner(self, who: str, at: float) -> str:
        """Somebody wants it by break-glass, and an owner has to approve it first."""
        id_, step = self.new_id(), RequiredStep(any_of=("dba",), role="vault/read-only", because="a review is overdue")
        said = {"required_steps": (step,), "only_required": True}
        return self.add(id_, submitted(id_, person(W, who), at, "vault").model_copy(update=said))

    def reviewed(self, id_: str, by: str, at: float) -> str:
        """An owner reviews it."""
        given = BreakGlassReview(justified=True, by=person(W, by), at=at)
        return self.add(id_, BreakGlassReviewed(at=at, by=given.by.id, review=given))


def _facts(event: Requested) -> dict[str, object]:
    return {name: getattr(event, name) for name in type(event).model_fields if name != "kind"}


class Played:
    """A story in an archive, replayed by a policy."""

    def __init__(self, archive: Archive, signer: Signer) -> None:
        self.archive, self.signer, self.story = archive, signer, Told()
        self.kept = False

    def by(self, policy: str, span: tuple[float, float] = SPAN) -> list[Replayed]:
        if not self.kept:
            keep(self.archive, self.signer, W, self.story.entries())
            self.kept = True
        found = replay(self.archive, W, catalog(policy), span, GROUPS, consequence, can_extend)
        assert found.unreadable == 0
        return list(found.requests)


@pytest.fixture
def played(archive: Archive, signer: Signer) -> Played:
    return Played(archive, signer)


def fates(found: list[Replayed]) -> list[Fate]:
    return [each.fate for each in found]


def limit(one: Replayed) -> str:
    """The limit that refuses it, or by which an approval would not have counted."""
    error = one.outcome.refused or one.held
    assert isinstance(error, OverLimit)
    return f"{'own ' if error.hit.personal else ''}{error.hit.kind}"


def because(one: Replayed) -> str:
    """Why it needs an owner."""
    assert one.outcome.request
    return one.outcome.request.required_steps[0].because


LIMITS = "limits: {live: 3, per_day: 5, per_week: 9, per_person: {live: 1, per_day: 2}, cooldown: 1h}"


def limited(limits: str) -> str:
    return FLOWS.replace(LIMITS, f"limits: {{{limits}}}")


# limits and conflicts


def test_a_person_gets_no_more_in_a_day_than_the_new_limit_says(played: Played) -> None:
    for hour in (0, 3, 6, 30):
        played.story.held("mia", NOON + hour * HOUR)
    played.story.held("kim", NOON + 6.1 * HOUR)
    found = played.by(FLOWS)
    assert fates(found) == [Fate.APPROVED, Fate.APPROVED, Fate.REFUSED, Fate.APPROVED, Fate.APPROVED]
    assert limit(found[2]) == "own per_day"


def test_what_is_live_takes_a_place_until_it_has_ended(played: Played) -> None:
    played.story.held("mia", NOON, lasting=2 * HOUR)
    played.story.held("kim", NOON + HOUR)
    played.story.held("kim", NOON + 3 * HOUR)
    found = played.by(limited("live: 1"))
    assert fates(found) == [Fate.APPROVED, Fate.REFUSED, Fate.APPROVED]
    assert limit(found[1]) == "live"


def test_what_the_new_policy_refuses_takes_no_place(played: Played) -> None:
    played.story.held("mia", NOON, lasting=HOUR)
    played.story.held("kim", NOON + 0.5 * HOUR, lasting=7 * HOUR)
    played.story.held("eve", NOON + 2 * HOUR)
    assert fates(played.by(limited("live: 1"))) == [Fate.APPROVED, Fate.REFUSED, Fate.APPROVED]


def test_of_two_that_wait_the_first_approval_takes_the_place(played: Played) -> None:
    played.story.approved("mia", "dan", NOON, wait=600)
    played.story.approved("kim", "dan", NOON + 60, wait=60)
    found = played.by(limited("live: 1"))
    assert fates(found) == [Fate.WAITS, Fate.APPROVED]
    assert (limit(found[0]), found[0].same) == ("live", False)


def test_after_a_denial_the_new_cooldown_lasts(played: Played) -> None:
    played.story.denied("mia", "dan", NOON)
    played.story.denied("kim", "sam", NOON)  # by this policy it is not theirs to deny
    for name in ("mia", "kim"):
        played.story.held(name, NOON + 0.5 * HOUR)
    played.story.held("mia", NOON + 2 * HOUR)
    found = played.by(limited("cooldown: 1h"))
    assert fates(found) == [Fate.DENIED, Fate.WAITS, Fate.REFUSED, Fate.APPROVED, Fate.APPROVED]
    assert limit(found[2]) == "own cooldown"


def test_what_happened_before_the_span_counts_as_it_went(played: Played) -> None:
    played.story.held("mia", NOON - 3 * HOUR)
    played.story.held("mia", NOON - 5 * HOUR)
    played.story.held("mia", NOON + HOUR)
    [found] = played.by(FLOWS, (NOON, NOON + DAY))
    assert (found.fate, limit(found)) == (Fate.REFUSED, "own per_day")


def test_what_a_rule_would_have_approved_counts_for_as_long_as_it_was_to_last(played: Played) -> None:
    rule = "rules: [{when: {sensitivity: low, at_most: 1h}, then: approve, budget: 9/day}]\n"
    played.story.lapse(played.story.ask("mia", "vault", NOON), NOON + 600)
    played.story.held("kim", NOON + 0.5 * HOUR)
    played.story.held("kim", NOON + 2 * HOUR)
    found = played.by(limited("live: 1") + rule)
    assert fates(found) == [Fate.BY_RULE, Fate.REFUSED, Fate.BY_RULE]


def test_nobody_would_have_held_both_sides_of_a_conflict(played: Played) -> None:
    first = played.story.answer(played.story.shared("mia", NOON), "dan", NOON + 60)
    played.story.approved("mia", "dan", NOON + 600)
    played.story.approved("kim", "dan", NOON + 600)
    played.story.ends(first, NOON + 60, NOON + HOUR)
    played.story.approved("mia", "dan", NOON + 2 * HOUR)
    found = played.by(FLOWS)
    assert fates(found) == [Fate.APPROVED, Fate.REFUSED, Fate.APPROVED, Fate.APPROVED]
    error = found[1].outcome.refused
    assert isinstance(error, Conflicting)
    assert (error.conflict.other, error.conflict.request) == ("vault/shared", first)


# for somebody else


def test_what_was_requested_for_somebody_else_goes_as_it_went_and_says_who_requested_it(played: Played) -> None:
    played.story.answer(
        played.story.accepted(played.story.filed("pat", "mia", NOON), "mia", NOON + 60), "dan", NOON + 90
    )
    found = played.by(FLOWS)
    assert [(each.fate, each.same, each.took) for each in found] == [(Fate.APPROVED, True, 30.0)]
    assert [who.name for who in found[0].past.parties] == ["Mia", "Pat"]


@pytest.mark.parametrize("policy", [POLICY, FLOWS.replace("may_ask_for: [platform]", "may_ask_for: [security]")])
def test_whoever_may_not_request_for_others_any_more_is_refused(played: Played, policy: str) -> None:
    played.story.answer(
        played.story.accepted(played.story.filed("pat", "mia", NOON), "mia", NOON + 60), "dan", NOON + 90
    )
    [found] = played.by(policy)
    assert found.fate is Fate.REFUSED
    assert isinstance(found.outcome.refused, NotAllowed)


def test_what_was_never_accepted_reaches_no_approver(played: Played) -> None:
    played.story.add(played.story.filed("pat", "mia", NOON), RequestExpired(at=NOON + 1800))
    played.story.add(
        played.story.filed("pat", "mia", NOON + HOUR), Cancelled(at=NOON + 1.2 * HOUR, by="UMIA", reason="no")
    )
    found = played.by(FLOWS)
    assert fates(found) == [Fate.CONSENT, Fate.CANCELLED]
    assert all(each.same for each in found)


def test_a_shorter_time_to_accept_is_over_before_they_did(played: Played) -> None:
    played.story.accepted(played.story.filed("pat", "mia", NOON), "mia", NOON + 900)
    [found] = played.by(FLOWS.replace("workspace:\n", "workspace:\n  consent: 10m\n"))
    assert (found.fate, found.same) == (Fate.CONSENT, False)


def test_limits_are_those_of_whoever_gets_the_access(played: Played) -> None:
    played.story.held("mia", NOON, lasting=3 * HOUR)
    played.story.accepted(played.story.filed("pat", "mia", NOON + HOUR), "mia", NOON + HOUR + 60)
    [_, found] = played.by(FLOWS)
    assert (found.fate, limit(found)) == (Fate.REFUSED, "own live")


# escalation


def test_who_is_reached_by_escalation_may_have_decided(played: Played) -> None:
    played.story.approved("mia", "sam", NOON, wait=2400)
    [found] = played.by(FLOWS)
    assert (found.fate, found.reached, found.was_reached, found.same) == (Fate.APPROVED, ("security",), (), False)
    [sooner] = played.by(FLOWS.replace("after: 30m", "after: 45m"))
    assert (sooner.fate, sooner.outcome.missing, sooner.reached) == (Fate.WAITS, ((("dba",), 1),), ())


def test_who_decides_after_an_escalation_is_said_of_what_nobody_decided(played: Played) -> None:
    played.story.lapse(played.story.ask("mia", "vault", NOON), NOON + HOUR)
    [found] = played.by(FLOWS)
    assert (found.fate, found.outcome.missing) == (Fate.WAITS, ((("dba", "security"), 1),))


def test_an_escalation_of_then_that_the_new_policy_has_as_well_changes_nothing(played: Played) -> None:
    id_ = played.story.new_id()
    made = submitted(id_, person(W, "mia"), NOON, "vault")
    step = Escalation(role="vault/read-only", step=1, any_of=("dba",), to=("security",), escalate_at=NOON + 1800)
    played.story.add(id_, made.model_copy(update={"escalations": (step,)}))
    played.story.add(id_, Escalated(at=NOON + 1800, role="vault/read-only", step=1))
    played.story.answer(id_, "sam", NOON + 2400)
    [found] = played.by(FLOWS)
    assert (found.reached, found.was_reached, found.same) == (("security",), ("security",), True)
    [without] = played.by(POLICY)
    assert (without.fate, without.reached, without.same) == (Fate.WAITS, (), False)


def test_with_less_time_to_decide_it_would_have_expired(played: Played) -> None:
    played.story.approved("mia", "dan", NOON, wait=2400)
    [found] = played.by(FLOWS.replace("workspace:\n", "workspace:\n  pending: 35m\n"))
    assert (found.fate, found.too_late, found.same, found.longer) == (Fate.WAITS, True, False, None)


# break-glass


def test_break_glass_that_the_new_policy_has_as_well_goes_as_it_went(played: Played) -> None:
    played.story.reviewed(played.story.broke_glass("sam", NOON), "dan", NOON + 7200)
    [found] = played.by(FLOWS)
    assert (found.fate, found.review, found.was_reviewed) == (Fate.BREAK_GLASS, ReviewFate.GIVEN, ReviewFate.GIVEN)
    assert found.same


@pytest.mark.parametrize(
    "policy",
    [
        POLICY,
        FLOWS.replace("who: [security]", "who: [platform]"),
        FLOWS.replace("at_most: 1h, review", "at_most: 30m, review"),
    ],
    ids=["no break-glass", "somebody else's", "shorter"],
)
def test_break_glass_that_may_not_be_taken_any_more_is_refused(played: Played, policy: str) -> None:
    played.story.broke_glass("sam", NOON)
    [found] = played.by(policy)
    assert (found.past.fate, found.fate, found.same) == (Fate.BREAK_GLASS, Fate.REFUSED, False)


def test_with_less_time_for_a_review_it_was_late_and_the_next_one_needs_an_owner(played: Played) -> None:
    id_ = played.story.broke_glass("sam", NOON)
    played.story.broke_glass("sam", NOON + 2 * HOUR)
    played.story.reviewed(id_, "dan", NOON + 3 * HOUR)
    played.story.broke_glass("sam", NOON + 4 * HOUR)
    found = played.by(FLOWS.replace("review_within: 1d", "review_within: 1h"))
    assert fates(found) == [Fate.BREAK_GLASS, Fate.WAITS, Fate.BREAK_GLASS]
    assert [each.review for each in found] == [ReviewFate.LATE, None, ReviewFate.OVERDUE]
    assert found[1].outcome.missing == ((("dba",), 1),)
    assert "is overdue" in because(found[1])


def test_a_review_by_somebody_who_does_not_own_the_system_any_more_is_not_theirs(played: Played) -> None:
    played.story.reviewed(played.story.broke_glass("sam", NOON), "dan", NOON + 7200)
    [found] = played.by(FLOWS.replace("approvers: [dba]", "approvers: [platform]", 1))
    assert (found.fate, found.review, found.same) == (Fate.BREAK_GLASS, ReviewFate.NOT_THEIRS, False)


def test_what_waited_and_was_taken_may_be_taken_or_goes_on_waiting(played: Played) -> None:
    id_ = played.story.ask("sam", "vault", NOON)
    glass = BreakGlass(at=NOON + 60, review_by=NOON + DAY)
    taken = SwitchedToBreakGlass(at=NOON + 60, by="USAM", break_glass=glass, reason="INC-1 is on fire", duration=1800)
    played.story.add(id_, taken)
    [found] = played.by(FLOWS)
    assert (found.fate, found.took, found.outcome.duration) == (Fate.BREAK_GLASS, 60.0, 1800)
    [without] = played.by(POLICY)
    assert (without.past.fate, without.fate, without.outcome.missing) == (
        Fate.BREAK_GLASS,
        Fate.WAITS,
        ((("dba",), 1),),
    )
    assert isinstance(without.held, NotAllowed)


def test_a_conflict_stops_break_glass_and_a_limit_does_not(played: Played) -> None:
    played.story.held("mia", NOON, lasting=3 * HOUR)
    played.story.answer(played.story.shared("kim", NOON), "dan", NOON + 60)
    played.story.broke_glass("sam", NOON + HOUR)
    played.story.broke_glass("kim", NOON + HOUR)
    assert fates(played.by(limited("live: 1")))[-2:] == [Fate.BREAK_GLASS, Fate.REFUSED]


def test_limits_are_judged_again_when_it_is_accepted(played: Played) -> None:
    filed = played.story.filed("pat", "mia", NOON)
    played.story.held("kim", NOON + 60)
    played.story.accepted(filed, "mia", NOON + 600)
    found = played.by(limited("live: 1"))
    assert fates(found) == [Fate.REFUSED, Fate.APPROVED]
    assert limit(found[0]) == "live"


def test_what_would_have_expired_conflicts_with_nothing(played: Played) -> None:
    first = played.story.answer(played.story.shared("mia", NOON), "dan", NOON + 2400)
    played.story.ends(first, NOON + 2400, NOON + 4 * HOUR)
    played.story.approved("mia", "dan", NOON + HOUR)
    assert fates(played.by(FLOWS)) == [Fate.APPROVED, Fate.REFUSED]
    quick = FLOWS.replace("workspace:\n", "workspace:\n  pending: 35m\n")
    assert fates(played.by(quick)) == [Fate.WAITS, Fate.APPROVED]


def test_what_an_owner_approved_first_is_taken_at_once_where_no_review_would_be_overdue(played: Played) -> None:
    for hour in (0, 2):
        played.story.broke_glass("sam", NOON + hour * HOUR, within=HOUR)
    for hour in (4, 6):
        played.story.answer(played.story.by_owner("sam", NOON + hour * HOUR), "dan", NOON + hour * HOUR + 60)
    found = played.by(FLOWS)
    assert [each.past.fate for each in found[2:]] == [Fate.APPROVED, Fate.APPROVED]
    assert fates(found) == [Fate.BREAK_GLASS, Fate.BREAK_GLASS, Fate.BREAK_GLASS, Fate.REFUSED]
    assert isinstance(found[3].outcome.refused, LimitReached)


def test_a_request_whose_end_cannot_be_read_takes_no_place(played: Played) -> None:
    first = played.story.approved("mia", "dan", NOON)
    played.story.approved("kim", "dan", NOON + 2 * HOUR)
    odd = AuditEntry(900, NOON + HOUR, first, 3, "granted", '{"kind": "granted", "odd": true}')
    keep(played.archive, played.signer, W, _in_order([*played.story.entries(), odd]))
    played.kept = True
    assert fates(played.by(limited("live: 1"))) == [Fate.APPROVED, Fate.APPROVED]


def _in_order(entries: list[AuditEntry]) -> list[AuditEntry]:
    """Numbered anew, in the order of time."""
    return [each._replace(seq=n) for n, each in enumerate(sorted(entries, key=lambda each: each.at), start=1)]
