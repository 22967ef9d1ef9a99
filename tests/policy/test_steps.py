"""Which approval steps a request has, in which order they open, and who may answer when."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.access.review import awaiting_decision
from bot.core.escalation import Escalation
from bot.core.lifecycle import begin
from bot.core.request import Extension, ExtensionState, Person, Request, RequiredStep, Review, State, Verb
from bot.core.verdict import Code, Members
from bot.policy import authorization, matching, steps
from bot.policy.catalog import Catalog, RoleRef
from bot.policy.steps import steps_of
from tests.core.test_lifecycle import role, submitted
from tests.house import POLICY, catalog, person

NOW = 1000.0
MIA = person("T1", "mia")
OLD = "steps: [{any_of: [dba]}, {any_of: [security]}]"
ORDERED = f"ordered: true\n          {OLD}"
ADMIN = RoleRef(system="vault", role="admin")


def members(*names: str) -> Members:
    return Members(users=frozenset(f"U{name.upper()}" for name in names))


ROSTER = {"dba": members("dan", "eve"), "security": members("sam", "kim"), "platform": members("pat")}
SECURITY = RequiredStep(any_of=("security",), rule=2, because="it is frozen")


def yes(who: str) -> Review:
    return Review(verb=Verb.APPROVE, by=person("T1", who), at=NOW, duration=900)


def requires(*steps_: RequiredStep, roles: tuple[str, ...] = ("read-only",), **changes: Any) -> Request:
    """A request of Mia's whose record requires these steps."""
    event = submitted().model_copy(
        update={"requester": MIA, "roles": tuple(role(name) for name in roles), "required_steps": steps_}
    )
    return begin(event).model_copy(update=changes)


def admin(*reviews: Review, **changes: Any) -> Request:
    return requires(roles=("admin",), reviews=reviews, **changes)


def policy(written: str) -> Catalog:
    """The policy, with other steps for the vault's admin."""
    return catalog(POLICY.replace(OLD, written).replace("may_ask: [dba]", "may_ask: [everyone]"))


def code(policy_: Catalog, request: Request, who: str, roster: dict[str, Members] = ROSTER) -> Code | None:
    """Why this person's answer would not count now; None where it would."""
    verdict = authorization.may_review(policy_, roster, request, person("T1", who), NOW)
    return verdict.reasons[0].code if verdict.reasons else None


# required by the record


def test_a_required_step_comes_after_those_of_the_roles() -> None:
    request = requires(SECURITY, RequiredStep(any_of=("dba",), count=2, role="vault/admin"), roles=("admin", "shared"))
    assert [(s.name, s.n, s.any_of, s.count, s.required) for s in steps_of(catalog(), ROSTER, request, NOW)] == [
        ("vault/admin", 1, ("dba",), 1, None),
        ("vault/admin", 2, ("security",), 1, None),
        ("vault/shared", 1, ("dba",), 1, None),
        ("vault/admin", 3, ("security",), 1, SECURITY),
        ("vault/admin", 4, ("dba",), 2, request.required_steps[1]),
    ]


def test_what_the_record_requires_is_needed_beside_the_steps_of_the_role() -> None:
    half = requires(SECURITY, reviews=(yes("dan"),))
    progress = authorization.approval_progress(catalog(), ROSTER, half, NOW)
    assert progress.missing == {("security",): 1}
    assert authorization.approval_progress(catalog(), ROSTER, half, NOW, also=yes("sam")).complete
    assert code(catalog(), half, "sam") is None
    assert code(catalog(), half, "eve") is Code.ALREADY_FILLED


def test_a_required_step_of_a_group_that_is_gone_stays_open() -> None:
    done = requires(RequiredStep(any_of=("nobody",)), reviews=(yes("dan"), yes("sam")))
    assert authorization.approval_progress(catalog(), ROSTER, done, NOW).missing == {("nobody",): 1}


def test_a_required_step_of_a_role_that_is_not_requested_counts_for_the_whole_request() -> None:
    request = requires(SECURITY.model_copy(update={"role": "vault/other"}))
    assert [step.name for step in steps_of(catalog(), ROSTER, request, NOW)] == ["vault/read-only"] * 2


def test_the_groups_of_required_steps_are_asked_and_may_end_it() -> None:
    request = requires(SECURITY)
    assert "security" in authorization.approvers(catalog(), request)
    assert authorization.may_revoke(catalog(), ROSTER, request, person("T1", "sam")).allowed
    assert not authorization.may_revoke(catalog(), ROSTER, requires(), person("T1", "sam")).allowed


def test_a_role_that_the_policy_does_not_have_has_a_step_for_nobody() -> None:
    request = requires(roles=("gone",))
    assert authorization.approval_progress(catalog(), ROSTER, request, NOW).missing == {(): 1}
    assert code(catalog(), request, "dan") is Code.NOT_AN_APPROVER


@pytest.mark.parametrize(("scope", "waits"), [("vault/admin", True), ("", False)])
def test_a_required_step_of_an_ordered_role_comes_last_and_one_of_the_whole_request_is_open(
    scope: str, waits: bool
) -> None:
    request = requires(RequiredStep(any_of=("platform",), role=scope), roles=("admin",))
    verdict = authorization.may_review(policy(ORDERED), ROSTER, request, person("T1", "pat"), NOW)
    assert verdict.allowed is not waits


# in order


def test_only_the_first_open_step_of_an_ordered_role_can_be_answered() -> None:
    ordered = policy(ORDERED)
    assert code(ordered, admin(), "dan") is None
    assert code(ordered, admin(), "sam") is Code.NOT_YET_OPEN
    assert code(ordered, admin(yes("dan")), "sam") is None
    assert code(ordered, admin(yes("dan")), "eve") is Code.ALREADY_FILLED


def test_whose_turn_comes_later_is_told_after_whom() -> None:
    verdict = authorization.may_review(policy(ORDERED), ROSTER, admin(), person("T1", "sam"), NOW)
    assert [(reason.code, reason.about) for reason in verdict.reasons] == [(Code.NOT_YET_OPEN, ("dba",))]


def test_an_approval_that_came_before_its_step_opened_does_not_count() -> None:
    progress = authorization.approval_progress(policy(ORDERED), ROSTER, admin(yes("sam"), yes("dan")), NOW)
    assert progress.missing == {("security",): 1}
    assert [review.by.id for review in progress.counted] == ["UDAN"]


def test_what_was_approved_after_somebody_who_does_not_count_any_more_does_not_count_either() -> None:
    left = {**ROSTER, "dba": members("eve")}
    request = admin(yes("dan"), yes("sam"))
    assert authorization.approval_progress(policy(ORDERED), ROSTER, request, NOW).complete
    assert authorization.approval_progress(policy(ORDERED), left, request, NOW).missing == {
        ("dba",): 1,
        ("security",): 1,
    }


def test_an_earlier_approval_moves_to_a_role_that_has_no_order_and_keeps_its_place() -> None:
    text = POLICY.replace(OLD, "ordered: true\n          steps: [{any_of: [dba, security]}, {any_of: [platform]}]")
    both = catalog(
        text.replace("approvers: [dba]", "approvers: [security]").replace("may_ask: [dba]", "may_ask: [everyone]")
    )
    request = requires(roles=("admin", "shared"), reviews=(yes("sam"),))
    # Sam's fills the first step of the admin role; when Dan comes, it moves to the other role, which needs security.
    progress = authorization.approval_progress(both, ROSTER, request, NOW, also=yes("dan"))
    assert progress.given == (("UDAN", ("dba", "security")), ("USAM", ("security",)))
    assert progress.missing == {("platform",): 1}


def test_a_new_request_calls_on_the_first_step_of_an_ordered_role_and_on_each_of_another() -> None:
    for written, expected in ((ORDERED, [("dba",)]), (OLD, [("dba",), ("security",)])):
        found = steps.first_open(steps.steps_of_roles(policy(written), ROSTER, MIA, [ADMIN], NOW))
        assert [step.any_of for step in found] == expected


# the owners of the system


def test_a_step_of_the_owners_is_of_the_approvers_of_the_system() -> None:
    owned = policy("steps: [{any_of: [security]}, {owner: true, count: 2}]")
    assert [(s.any_of, s.count, s.owner) for s in steps_of(owned, ROSTER, admin(), NOW)] == [
        (("security",), 1, False),
        (("dba",), 2, True),
    ]


# not needed


SKIPS = "steps: [{any_of: [dba], skip_if_requester_in: [platform]}, {any_of: [security]}]"


@pytest.mark.parametrize(
    ("platform", "needed"),
    [
        (members("mia"), {("security",): 1}),
        (members("pat"), {("dba",): 1, ("security",): 1}),
        (members("mia").model_copy(update={"known": False}), {("dba",): 1, ("security",): 1}),
        (members("mia").model_copy(update={"nobody": frozenset({"UMIA"})}), {("dba",): 1, ("security",): 1}),
    ],
)
def test_a_step_is_not_needed_only_where_the_requester_is_surely_in_a_group(
    platform: Members, needed: dict[tuple[str, ...], int]
) -> None:
    roster = {**ROSTER, "platform": platform}
    assert authorization.approval_progress(policy(SKIPS), roster, admin(), NOW).missing == needed


def test_a_step_that_is_not_needed_is_nobodys_to_answer() -> None:
    roster = {**ROSTER, "platform": members("mia")}
    assert code(policy(SKIPS), admin(), "dan", roster) is Code.NOT_AN_APPROVER
    assert code(policy(f"ordered: true\n          {SKIPS}"), admin(), "sam", roster) is None


def test_while_nobody_can_tell_whether_a_step_is_needed_nothing_is_decided() -> None:
    roster = {**ROSTER, "platform": Members(known=False)}
    request = admin(yes("sam"))
    progress = authorization.approval_progress(policy(SKIPS), roster, request, NOW)
    assert authorization.in_doubt(policy(SKIPS), roster, request, progress) == ("platform",)
    filled = authorization.approval_progress(policy(SKIPS), roster, request, NOW, also=yes("dan"))
    assert authorization.in_doubt(policy(SKIPS), roster, request, filled) == ()


def test_a_role_never_goes_without_any_step() -> None:
    whole = policy(SKIPS)
    vault = whole.systems["vault"]
    lone = vault.roles["admin"].model_copy(update={"steps": vault.roles["admin"].steps[:1]})
    systems = {"vault": vault.model_copy(update={"roles": {**vault.roles, "admin": lone}})}
    roster = {**ROSTER, "platform": members("mia")}
    progress = authorization.approval_progress(whole.model_copy(update={"systems": systems}), roster, admin(), NOW)
    assert progress.missing == {("dba",): 1}


def test_who_requests_is_looked_up_in_the_groups_that_skip_a_step() -> None:
    assert "platform" in authorization.concerned(policy(SKIPS), admin())


# escalation


ESCALATES = "steps: [{any_of: [dba], count: 2, escalate: {after: 30m, to: [platform]}}, {any_of: [security]}]"
DONE = Escalation(role="vault/admin", step=1, any_of=("dba",), to=("platform",), escalate_at=1.0, escalated_at=2.0)


def test_the_groups_of_an_escalation_count_from_then_on_and_it_needs_no_fewer() -> None:
    before, after = admin(), admin(escalations=(DONE,))
    assert code(policy(ESCALATES), before, "pat") is Code.NOT_AN_APPROVER
    assert code(policy(ESCALATES), after, "pat") is None
    progress = authorization.approval_progress(policy(ESCALATES), ROSTER, after, NOW, also=yes("pat"))
    assert progress.missing == {("dba", "platform"): 1, ("security",): 1}


@pytest.mark.parametrize(
    "today",
    [
        OLD,
        ESCALATES.replace("to: [platform]", "to: [security]"),
        ESCALATES.replace("any_of: [dba]", "any_of: [dba, security]"),
        "steps: [{any_of: [security]}, {any_of: [dba], count: 2, escalate: {after: 30m, to: [platform]}}]",
    ],
)
def test_an_escalation_that_the_policy_does_not_have_any_more_counts_for_nothing(today: str) -> None:
    request = admin(yes("pat"), escalations=(DONE,))
    assert authorization.approval_progress(policy(ESCALATES), ROSTER, request, NOW).counted
    assert not authorization.approval_progress(policy(today), ROSTER, request, NOW).counted


def test_an_escalation_to_come_counts_for_nothing() -> None:
    coming = DONE.model_copy(update={"escalated_at": 0.0})
    assert code(policy(ESCALATES), admin(escalations=(coming,)), "pat") is Code.NOT_AN_APPROVER


def test_an_escalation_begins_when_its_step_opens_and_is_kept_while_it_is_open() -> None:
    twice = ESCALATES.replace("[security]}", "[security], escalate: {after: 10m, to: [platform]}}")
    ordered = policy(f"ordered: true\n          {twice}")
    roles = steps.steps_of_roles(ordered, ROSTER, MIA, [ADMIN], NOW)
    first = steps.escalations_of(steps.first_open(roles), (), NOW, 99_999.0)
    assert [(each.step, each.escalate_at) for each in first] == [(1, NOW + 1800)]
    kept = steps.escalations_of(roles[:1], first, NOW + 60, 99_999.0)
    assert kept == first
    second = steps.escalations_of(roles[1:], first, NOW + 60, 99_999.0)
    assert [(each.step, each.escalate_at) for each in second] == [(2, NOW + 660)]
    done = (first[0].model_copy(update={"escalated_at": NOW + 1800}),)
    assert steps.escalations_of(roles[1:], done, NOW + 1900, 99_999.0)[0] == done[0]


def test_what_would_escalate_after_the_request_expires_does_not() -> None:
    roles = steps.steps_of_roles(policy(ESCALATES), ROSTER, MIA, [ADMIN], NOW)
    assert steps.escalations_of(roles, (), NOW, NOW + 1800) == ()


def test_an_extension_has_no_escalation_and_the_same_steps() -> None:
    extension = Extension(n=1, until=9_000.0, reason="still burns", at=NOW, reviews=(yes("pat"),))
    request = admin(escalations=(DONE,), state=State.ACTIVE, extension=extension)
    assert extension.state is ExtensionState.PENDING
    open_ = awaiting_decision(request)
    assert open_
    progress = authorization.approval_progress(policy(ESCALATES), ROSTER, open_, NOW)
    assert progress.counted == ()
    assert progress.missing == {("dba",): 2, ("security",): 1}


# could anybody approve it


def test_a_role_that_only_an_escalation_could_fill_is_refused() -> None:
    choice = policy(ESCALATES).find("vault/admin")
    assert choice
    verdict = authorization.may_request(policy(ESCALATES), {**ROSTER, "dba": members("dan")}, MIA, choice, NOW)
    assert Code.NOBODY_TO_APPROVE in {reason.code for reason in verdict.reasons}


def test_a_step_that_is_not_needed_needs_nobody_to_fill_it() -> None:
    choice = policy(SKIPS).find("vault/admin")
    assert choice
    roster = {"dba": members(), "security": members("sam"), "platform": members("mia")}
    assert authorization.may_request(policy(SKIPS), roster, MIA, choice, NOW).allowed


@pytest.mark.parametrize("crowd", [4, 40, 4_000])
def test_of_a_crowd_no_more_people_are_looked_at_than_there_are_places(
    crowd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    fillable = matching.fillable

    def counting(places: Sequence[frozenset[str]]) -> frozenset[int]:
        looked.extend(map(len, places))
        return fillable(places)

    monkeypatch.setattr(matching, "fillable", counting)
    many = members(*(f"n{n}" for n in range(crowd)))
    assert steps.could_fill(policy(ORDERED), {"dba": many, "security": many}, MIA, (ADMIN,), NOW)
    assert looked == [2, 2]


# every sequence


NAMES = ("mia", "dan", "eve", "sam", "kim", "pat")
GROUPS = ("dba", "security", "platform")
POLICIES = (
    OLD,
    ORDERED,
    SKIPS,
    ESCALATES,
    f"ordered: true\n          {SKIPS}",
    f"ordered: true\n          {ESCALATES}",
    "ordered: true\n          steps: [{any_of: [dba, security]}, {owner: true}, {any_of: [platform, security]}]",
)
CATALOGS = tuple(policy(written) for written in POLICIES)
rosters = st.fixed_dictionaries(
    {
        group: st.builds(
            Members,
            users=st.frozensets(st.sampled_from([f"U{n.upper()}" for n in NAMES])),
            known=st.sampled_from([True, True, True, False]),
        )
        for group in GROUPS
    }
)


def entitled(roster: dict[str, Members], groups: tuple[str, ...], who: Person) -> bool:
    return any(roster[group].holds(who) for group in groups)


def can_be_full(policy_: Catalog, roster: dict[str, Members], request: Request) -> bool:
    """Whether distinct, entitled people other than the requester fill each step in order; tries everything."""
    found = [step for step in steps_of(policy_, roster, request, NOW) if not step.skipped_by]
    people = [r.by for r in request.reviews if r.by.id != MIA.id]
    for chosen in product([None, *range(len(found))], repeat=len(people)):
        by = [[i for i, n in enumerate(chosen) if n == step] for step in range(len(found))]
        full = all(len(there) == step.count for there, step in zip(by, found, strict=True))
        fits = all(n is None or entitled(roster, found[n].any_of, who) for n, who in zip(chosen, people, strict=True))
        in_order = all(
            not step.ordered or n == 0 or max(by[n - 1], default=-1) < min(by[n], default=99)
            for n, step in enumerate(found)
        )
        if full and fits and in_order:
            return True
    return False


@st.composite
def clicks(draw: st.DrawFn) -> list[tuple[Catalog, dict[str, Members], str, bool]]:
    """Who presses when, by which policy and groups, which change now and then; whether the clock escalates first."""
    policy_, roster = draw(st.sampled_from(CATALOGS)), ROSTER
    found = []
    for who in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=8)):
        if draw(st.integers(0, 5)) == 5:
            policy_ = draw(st.sampled_from(CATALOGS))
        if draw(st.integers(0, 4)) == 4:
            roster = draw(rosters)
        found.append((policy_, roster, who, draw(st.booleans())))
    return found


@given(clicks())
@settings(max_examples=300)
def test_no_sequence_is_complete_without_distinct_entitled_people_in_order(
    sequence: list[tuple[Catalog, dict[str, Members], str, bool]],
) -> None:
    request = admin(escalations=(DONE.model_copy(update={"escalated_at": 0.0}),))
    for policy_, roster, who, escalates in sequence:
        if escalates:
            request = request.model_copy(update={"escalations": (DONE,)})
        if any(review.by.id == person("T1", who).id for review in request.reviews):
            continue
        if code(policy_, request, who, roster) is not None:
            continue
        after = request.model_copy(update={"reviews": (*request.reviews, yes(who))})
        progress = authorization.approval_progress(policy_, roster, after, NOW)
        assert progress.complete <= can_be_full(policy_, roster, after)
        seated = [review.by.id for step in progress.steps for review in step.by]
        assert len(seated) == len(set(seated))
        assert MIA.id not in seated
        if progress.complete:
            return
        request = after


def test_the_policies_of_the_sequences_are_all_different() -> None:
    assert len({re.sub(r"\s+", " ", written) for written in POLICIES}) == len({each.policy_hash for each in CATALOGS})
