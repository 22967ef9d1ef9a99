"""Who counts: nobody twice, nobody for themself, and nobody whom a directory does not vouch for."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from bot.core.lifecycle import begin
from bot.core.request import Person, Request, Review, Verb
from bot.core.verdict import Code, Members
from bot.policy import authorization
from bot.policy.catalog import Catalog
from tests.core.test_lifecycle import role, submitted
from tests.house import POLICY, catalog, person

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
    tally = authorization.tally(policy_, roster, request)
    people = [person("T1", who) for who in approvers]
    assert tally.complete == brute_force(policy_, roster, request, people)
    assert all(review.by.identity != request.requester.identity for review in tally.counted)


@given(rosters, st.sampled_from(NAMES), st.integers(2, 5))
def test_one_person_approving_often_counts_once(roster: dict[str, Members], who: str, times: int) -> None:
    request = asked(person("T1", "zoe"), tuple(yes(who) for _ in range(times)))
    assert not authorization.tally(with_steps(("dba, security", 2)), roster, request).complete


@given(rosters, st.sampled_from(NAMES))
def test_who_may_not_review_could_not_have_counted(roster: dict[str, Members], who: str) -> None:
    request, policy_ = asked(person("T1", "mia")), catalog()
    verdict = authorization.may_review(policy_, roster, request, person("T1", who))
    counted = authorization.tally(policy_, roster, request, also=yes(who)).counted
    assert verdict.allowed == bool(counted)


def test_a_second_account_with_the_same_address_is_the_same_person() -> None:
    roster = {"dba": Members(users=frozenset({"UMIA2"})), "security": Members(), "platform": Members()}
    second = person("T1", "mia").model_copy(update={"id": "UMIA2"})
    verdict = authorization.may_review(catalog(), roster, asked(person("T1", "mia")), second)
    assert [reason.code for reason in verdict.reasons] == [Code.OWN_REQUEST]


def test_a_second_account_with_an_address_of_its_own_is_another_person() -> None:
    """What this cannot tell: that they are one human. The security model says so."""
    second = person("T1", "mia").model_copy(
        update={"id": "UMIA2", "identity": "mia.two@example.com", "email": "mia.two@example.com"}
    )
    roster = {"dba": Members(users=frozenset({"UMIA2"})), "security": Members(), "platform": Members()}
    assert authorization.may_review(catalog(), roster, asked(person("T1", "mia")), second).allowed


def test_a_group_that_is_not_known_allows_nothing_and_says_so() -> None:
    roster = {name: Members(users=frozenset({"UDAN"}), known=False) for name in ("dba", "security", "platform")}
    policy_, dan = catalog(), person("T1", "dan")
    request = asked(person("T1", "mia"))
    for verdict in (
        authorization.may_review(policy_, roster, request, dan),
        authorization.may_revoke(policy_, roster, request, dan),
    ):
        assert not verdict.allowed
        assert Code.UNKNOWN_GROUP in {reason.code for reason in verdict.reasons}


def test_a_role_that_only_the_asker_could_approve_cannot_be_asked_for() -> None:
    roster = {"dba": Members(users=frozenset({"UMIA"})), "security": Members(), "platform": Members()}
    policy_ = catalog()
    choice = policy_.find("vault/read-only")
    assert choice is not None
    verdict = authorization.may_request(policy_, roster, person("T1", "mia"), choice)
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
    assert not authorization.may_review(policy_, roster, request, pat).allowed
    assert not authorization.may_read(policy_, roster, request, kim).allowed
    assert authorization.may_read(policy_, roster, request, mia).allowed
    assert not authorization.may_revoke(policy_, roster, request, mia).allowed


def test_an_approval_is_needed_once_for_all_roles_that_have_its_step() -> None:
    rules = with_steps(("dba", 1), ("security", 2))
    event = submitted().model_copy(update={"requester": person("T1", "mia"), "roles": (role("admin"), role("shared"))})
    tally = authorization.tally(rules, {}, begin(event))
    assert [step.any_of for step in tally.open] == [("dba",), ("security",), ("dba",)]
    assert tally.missing == {("dba",): 1, ("security",): 2}


def test_a_tally_says_which_step_each_approval_fills() -> None:
    rules = with_steps(("dba", 1), ("security", 1))
    roster = {"dba": Members(users=frozenset({"UDAN"})), "security": Members(identities=frozenset({"sam@example.com"}))}
    tally = authorization.tally(rules, roster, asked(person("T1", "mia"), (yes("sam"), yes("kim"))))
    assert tally.given == (("USAM", ("security",)),)
    assert tally.missing == {("dba",): 1}
