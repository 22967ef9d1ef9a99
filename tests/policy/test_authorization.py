"""Who counts: nobody twice, nobody for themself, and nobody whom a directory does not vouch for."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.lifecycle import begin
from bot.core.request import Person, Request, Review, Verb
from bot.core.verdict import Code, Members
from bot.policy import authorization, matching
from bot.policy.catalog import Catalog
from tests.core.test_lifecycle import role, submitted
from tests.house import POLICY, catalog, person

NOW = 1000.0
NAMES = ("mia", "dan", "eve", "sam", "kim", "pat")
STEPS = "steps: [{any_of: [dba]}, {any_of: [security]}]"


def with_steps(*steps: tuple[str, int]) -> Catalog:
    """The policy, with other steps for the vault's admin."""
    written = ", ".join(f"{{any_of: [{groups}], count: {count}}}" for groups, count in steps)
    text = POLICY.replace(STEPS, f"steps: [{written}]").replace("may_ask: [dba]", "may_ask: [everyone]")
    return catalog(text)


def asked(requester: Person, reviews: tuple[Review, ...] = ()) -> Request:
    """A request for the vault's admin."""
    event = submitted().model_copy(update={"requester": requester, "roles": (role("admin"),)})
    return begin(event).model_copy(update={"reviews": reviews})


def yes(who: str) -> Review:
    """Somebody's approval."""
    return Review(verb=Verb.APPROVE, by=person("T1", who), at=1.0, duration=900)


rosters = st.fixed_dictionaries(
    {
        group: st.builds(
            Members,
            identities=st.frozensets(st.sampled_from([f"{n}@example.com" for n in NAMES])),
            users=st.frozensets(st.sampled_from([f"U{n.upper()}" for n in NAMES])),
            known=st.booleans(),
        )
        for group in ("dba", "security", "platform")
    }
)
steps = st.lists(
    st.tuples(st.sampled_from(["dba", "security", "platform", "dba, security"]), st.integers(1, 2)),
    min_size=1,
    max_size=3,
)


def brute_force(catalog_: Catalog, roster: dict[str, Members], request: Request, people: list[Person]) -> bool:
    """Whether some way of giving each person one place fills them all; slow, and plainly right."""
    admin = catalog_.role("vault", "admin")
    assert admin is not None
    places = [step for step in admin.steps for _ in range(step.count)]
    counted = [p for p in people if p.identity != request.requester.identity]
    return any(
        all(any(roster[g].holds(who) for g in step.any_of) for who, step in zip(chosen, places, strict=True))
        for chosen in permutations(counted, len(places))
    )


@given(steps, rosters, st.lists(st.sampled_from(NAMES), max_size=5, unique=True), st.sampled_from(NAMES))
def test_complete_exactly_when_each_place_has_a_person_of_its_own(
    wanted: list[tuple[str, int]], roster: dict[str, Members], approvers: list[str], requester: str
) -> None:
    policy_ = with_steps(*[(g, min(c, 1) if g == "platform" else c) for g, c in wanted])
    request = asked(person("T1", requester), tuple(yes(who) for who in approvers))
    progress = authorization.approval_progress(policy_, roster, request, NOW)
    people = [person("T1", who) for who in approvers]
    assert progress.complete == brute_force(policy_, roster, request, people)
    assert all(review.by.identity != request.requester.identity for review in progress.counted)


@given(rosters, st.sampled_from(NAMES), st.integers(2, 5))
def test_one_person_approving_often_counts_once(roster: dict[str, Members], who: str, times: int) -> None:
    request = asked(person("T1", "zoe"), tuple(yes(who) for _ in range(times)))
    assert not authorization.approval_progress(with_steps(("dba, security", 2)), roster, request, NOW).complete


@given(rosters, st.sampled_from(NAMES))
def test_who_may_not_review_could_not_have_counted(roster: dict[str, Members], who: str) -> None:
    request, policy_ = asked(person("T1", "mia")), catalog()
    verdict = authorization.may_review(policy_, roster, request, person("T1", who), NOW)
    counted = authorization.approval_progress(policy_, roster, request, NOW, also=yes(who)).counted
    assert verdict.allowed == bool(counted)


def test_a_second_account_with_the_same_address_is_the_same_person() -> None:
    roster = {"dba": Members(users=frozenset({"UMIA2"})), "security": Members(), "platform": Members()}
    second = person("T1", "mia").model_copy(update={"id": "UMIA2"})
    verdict = authorization.may_review(catalog(), roster, asked(person("T1", "mia")), second, NOW)
    assert [reason.code for reason in verdict.reasons] == [Code.OWN_REQUEST]


def test_a_second_account_with_an_address_of_its_own_is_another_person() -> None:
    """What this cannot tell: that they are one human. The security model says so."""
    second = person("T1", "mia").model_copy(
        update={"id": "UMIA2", "identity": "mia.two@example.com", "email": "mia.two@example.com"}
    )
    roster = {"dba": Members(users=frozenset({"UMIA2"})), "security": Members(), "platform": Members()}
    assert authorization.may_review(catalog(), roster, asked(person("T1", "mia")), second, NOW).allowed


@pytest.mark.parametrize("marked", ["UDAN", "dan@example.com"])
def test_an_approval_of_somebody_who_is_no_member_any_more_counts_no_more(marked: str) -> None:
    policy = with_steps(("dba", 2))
    listed = {"dba": Members(identities=frozenset({"dan@example.com", "eve@example.com"}))}
    request = asked(person("T1", "mia"), (yes("dan"), yes("eve")))
    assert authorization.approval_progress(policy, listed, request, NOW).complete
    gone = {"dba": listed["dba"].model_copy(update={"nobody": frozenset({marked})})}
    assert not authorization.approval_progress(policy, gone, request, NOW).complete


def test_a_group_that_is_not_known_allows_nothing_and_says_so() -> None:
    roster = {name: Members(users=frozenset({"UDAN"}), known=False) for name in ("dba", "security", "platform")}
    policy_, dan = catalog(), person("T1", "dan")
    request = asked(person("T1", "mia"))
    for verdict in (
        authorization.may_review(policy_, roster, request, dan, NOW),
        authorization.may_revoke(policy_, roster, request, dan),
    ):
        assert not verdict.allowed
        assert Code.UNKNOWN_GROUP in {reason.code for reason in verdict.reasons}


def test_a_role_that_only_the_asker_could_approve_cannot_be_asked_for() -> None:
    roster = {"dba": Members(users=frozenset({"UMIA"})), "security": Members(), "platform": Members()}
    policy_ = catalog()
    choice = policy_.find("vault/read-only")
    assert choice is not None
    verdict = authorization.may_request(policy_, roster, person("T1", "mia"), choice, NOW)
    assert [reason.code for reason in verdict.reasons] == [Code.NOBODY_TO_APPROVE]


def test_asking_approving_taking_away_and_reading_are_separate_rights() -> None:
    roster = {
        "dba": Members(users=frozenset({"UDAN"})),
        "security": Members(identities=frozenset({"sam@example.com"})),
        "platform": Members(identities=frozenset({"pat@example.com"})),
    }
    policy_, request = catalog(), asked(person("T1", "mia"))
    pat, kim, mia = (person("T1", who) for who in ("pat", "kim", "mia"))
    assert authorization.may_revoke(policy_, roster, request, pat).allowed
    assert not authorization.may_review(policy_, roster, request, pat, NOW).allowed
    assert not authorization.may_read(policy_, roster, request, kim).allowed
    assert authorization.may_read(policy_, roster, request, mia).allowed
    assert not authorization.may_revoke(policy_, roster, request, mia).allowed


def of_two_roles(*reviews: Review) -> Request:
    """A request for the vault's admin and its hall."""
    event = submitted().model_copy(update={"requester": person("T1", "mia"), "roles": (role("admin"), role("shared"))})
    return begin(event).model_copy(update={"reviews": reviews})


DBAS = Members(users=frozenset({"UDAN", "UEVE"}))


def test_each_role_needs_people_of_its_own() -> None:
    progress = authorization.approval_progress(with_steps(("dba", 1), ("security", 2)), {}, of_two_roles(), NOW)
    assert [step.any_of for step in progress.open] == [("dba",), ("security",), ("dba",)]
    assert progress.missing == {("dba",): 2, ("security",): 2}
    assert progress.missing_for(["vault/shared"]) == {("dba",): 1}


def test_one_approval_never_counts_for_two_roles() -> None:
    rules, roster = with_steps(("dba", 1)), {"dba": DBAS}
    one = authorization.approval_progress(rules, roster, of_two_roles(yes("dan")), NOW)
    assert [(step.name, step.missing) for step in one.open] == [("vault/shared", 1)]
    assert not authorization.may_review(rules, roster, of_two_roles(yes("dan")), person("T1", "dan"), NOW).allowed
    assert authorization.may_review(rules, roster, of_two_roles(yes("dan")), person("T1", "eve"), NOW).allowed
    assert authorization.approval_progress(rules, roster, of_two_roles(yes("dan"), yes("eve")), NOW).complete


def test_whoever_can_fill_another_place_makes_room_for_who_cannot() -> None:
    """Dan is in both groups, and Eve only in the one whose place he has."""
    rules = with_steps(("security", 1))
    roster = {"security": Members(users=frozenset({"UDAN", "UEVE"})), "dba": Members(users=frozenset({"UDAN"}))}
    half = of_two_roles(yes("dan"))
    assert authorization.approval_progress(rules, roster, half, NOW).missing == {("dba",): 1}
    assert authorization.may_review(rules, roster, half, person("T1", "eve"), NOW).allowed
    assert authorization.approval_progress(rules, roster, half, NOW, also=yes("eve")).complete


def test_an_approver_of_one_role_has_no_say_about_the_other() -> None:
    rules = with_steps(("security", 1))
    roster = {"security": Members(identities=frozenset({"sam@example.com", "kim@example.com"})), "dba": DBAS}
    half = of_two_roles(yes("sam"))
    verdict = authorization.may_review(rules, roster, half, person("T1", "kim"), NOW)
    assert [reason.code for reason in verdict.reasons] == [Code.ALREADY_FILLED]
    assert authorization.may_review(rules, roster, half, person("T1", "dan"), NOW).allowed


def test_several_roles_can_only_be_requested_where_there_are_people_enough_for_all() -> None:
    rules = catalog()
    together = rules.find("vault/read-only + vault/shared")
    assert together is not None
    mia, alone = person("T1", "mia"), {"dba": Members(users=frozenset({"UDAN"}))}
    reasons = authorization.may_request(rules, alone, mia, together, NOW).reasons
    assert [(reason.code, reason.about) for reason in reasons] == [(Code.NOBODY_TO_APPROVE, ("vault/shared",))]
    for each in ("vault/read-only", "vault/shared"):
        choice = rules.find(each)
        assert choice is not None
        assert authorization.may_request(rules, alone, mia, choice, NOW).allowed
    assert authorization.may_request(rules, {"dba": DBAS}, mia, together, NOW).allowed


def test_somebody_known_by_account_and_by_address_is_one_person() -> None:
    rules = with_steps(("dba", 1), ("security", 1))
    admin = rules.find("vault/admin")
    assert admin is not None
    listed = {"dba": {"users": frozenset({"UDAN"})}, "security": {"identities": frozenset({"dan@example.com"})}}
    known = {name: Members(**group, accounts={"UDAN": "dan@example.com"}) for name, group in listed.items()}
    mia = person("T1", "mia")
    assert not authorization.may_request(rules, known, mia, admin, NOW).allowed
    two = {**known, "security": Members(identities=frozenset({"dan@example.com", "sam@example.com"}))}
    assert authorization.may_request(rules, two, mia, admin, NOW).allowed
    assert not authorization.approval_progress(rules, known, asked(mia, (yes("dan"),)), NOW).complete


places = st.lists(st.frozensets(st.sampled_from(NAMES)), max_size=5)


@given(places)
def test_as_many_places_are_fillable_as_any_choice_of_different_people_fills(wanted: list[frozenset[str]]) -> None:
    sets = [*wanted, *[frozenset[str]()] * (len(NAMES) - len(wanted))]
    most = max(sum(who in place for who, place in zip(chosen, sets, strict=True)) for chosen in permutations(NAMES))
    assert len(matching.fillable(wanted)) == most


def test_progress_says_which_step_each_approval_fills() -> None:
    rules = with_steps(("dba", 1), ("security", 1))
    roster = {"dba": Members(users=frozenset({"UDAN"})), "security": Members(identities=frozenset({"sam@example.com"}))}
    progress = authorization.approval_progress(rules, roster, asked(person("T1", "mia"), (yes("sam"), yes("kim"))), NOW)
    assert progress.given == (("USAM", ("security",)),)
    assert progress.missing == {("dba",): 1}
