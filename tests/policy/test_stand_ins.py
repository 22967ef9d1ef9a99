"""Who counts in whose place: one right fills one place, whoever uses it, and nobody counts who is not entitled now."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.delegation import Delegation
from bot.core.lifecycle import begin
from bot.core.request import Person, Request, Review, Verb
from bot.core.verdict import Code, Members, Verdict
from bot.policy import authorization, stand_ins
from bot.policy.catalog import Catalog
from tests.core.test_lifecycle import role, submitted
from tests.house import POLICY, catalog, person

NOW = 1_000_000.0
HOUR = 3600
DELEGATED = POLICY.replace(
    "dba: {slack_usergroup: S0DBA0001}",
    "dba: {slack_usergroup: S0DBA0001, may_stand_in: [helpers]}\n"
    "  helpers: {people: [lee@example.com, mia@example.com]}",
)
"""Lee and Mia may stand in for the people of the dba."""
NAMES = ("mia", "dan", "eve", "sam", "kim", "lee")
GROUPS = ("dba", "security", "helpers")


def who(name: str) -> Person:
    return person("T1", name)


def members(*names: str, **more: object) -> Members:
    """A group of these people, by address."""
    return Members(identities=frozenset(f"{name}@example.com" for name in names)).model_copy(update=more)


def delegation(of: str, to: str, at: float = NOW - HOUR, until: float = NOW + HOUR) -> Delegation:
    return Delegation(id=f"D-{of}", person=who(of), stand_in=who(to), at=at, until=until)


def roster(*delegations: Delegation, dba: Sequence[str] = ("dan", "eve"), **more: Members) -> dict[str, Members]:
    groups = {
        "dba": members(*dba),
        "security": members("sam", "kim"),
        "platform": members("pat"),
        "helpers": members("lee", "mia"),
    }
    return stand_ins.with_delegations(groups | more, delegations)


def asked(requester: str = "zoe", *reviews: Review, of: str = "read-only") -> Request:
    event = submitted().model_copy(update={"requester": who(requester), "roles": (role(of),)})
    return begin(event).model_copy(update={"reviews": reviews})


def yes(by: str, for_: str = "") -> Review:
    """An approval, in the place of somebody."""
    given_ = Review(verb=Verb.APPROVE, by=who(by), at=NOW, duration=900)
    return given_.model_copy(update={"stands_in_for": who(for_), "delegation": f"D-{for_}"}) if for_ else given_


def policy(count: int = 1) -> Catalog:
    return catalog(DELEGATED.replace("{any_of: [dba]}", f"{{any_of: [dba], count: {count}}}"))


def codes(verdict: Verdict) -> list[Code]:
    return [reason.code for reason in verdict.reasons]


def complete(found: dict[str, Members], request: Request, *, decided: bool = False) -> bool:
    return authorization.approval_progress(policy(), found, request, NOW, decided=decided).complete


# in whose place


def test_a_stand_in_may_approve_and_is_recorded_in_whose_place() -> None:
    found, request = roster(delegation("dan", "lee")), asked()
    assert authorization.may_review(policy(), found, request, who("lee"), NOW).allowed
    review = authorization.attribute_review(policy(), found, request, yes("lee"), NOW)
    assert (review.stands_in_for, review.delegation) == (who("dan"), "D-dan")
    assert complete(found, asked("zoe", review))


def test_without_a_delegation_nobody_stands_in() -> None:
    assert codes(authorization.may_review(policy(), roster(), asked(), who("lee"), NOW)) == [Code.NOT_AN_APPROVER]
    assert not complete(roster(), asked("zoe", yes("lee", "dan")))


def test_who_is_an_approver_anyway_answers_in_their_own_right() -> None:
    found = roster(delegation("dan", "lee"), dba=("dan", "eve", "lee"))
    assert authorization.attribute_review(policy(), found, asked(), yes("lee"), NOW).stands_in_for is None


@pytest.mark.parametrize(
    "found",
    [
        roster(delegation("dan", "lee", until=NOW)),
        roster(delegation("dan", "lee", at=NOW + 1)),
        roster(delegation("dan", "lee"), dba=("eve",)),
        roster(delegation("dan", "lee"))
        | {"dba": members("dan", known=False, delegations=(delegation("dan", "lee"),))},
        roster(delegation("dan", "lee"), helpers=members("mia")),
        roster(delegation("dan", "lee"), helpers=members("lee", known=False)),
        roster(delegation("dan", "lee"), helpers=members("lee", nobody=frozenset({"ULEE"}))),
        roster(delegation("dan", "sam")),
        roster(delegation("dan", "dan")),
    ],
    ids=[
        "over",
        "not begun",
        "approver left",
        "group unknown",
        "stand-in left",
        "unknown",
        "deactivated",
        "no helper",
        "self",
    ],
)
def test_what_is_not_surely_so_now_counts_for_nothing(found: dict[str, Members]) -> None:
    for by in ("lee", "sam"):
        assert Code.NOT_AN_APPROVER in codes(authorization.may_review(policy(), found, asked(), who(by), NOW))
        assert not complete(found, asked("zoe", yes(by, "dan")))


def test_an_approver_who_is_deactivated_is_stood_in_for_by_nobody() -> None:
    gone = members("dan", "eve", nobody=frozenset({"UDAN"}), delegations=(delegation("dan", "lee"),))
    assert not complete(roster(dba=()) | {"dba": gone}, asked("zoe", yes("lee", "dan")))


def test_the_policy_of_today_says_who_may_stand_in() -> None:
    found = roster(delegation("dan", "lee"))
    assert not authorization.approval_progress(catalog(), found, asked("zoe", yes("lee", "dan")), NOW).complete


def test_it_never_chains() -> None:
    found = roster(delegation("dan", "lee"), delegation("lee", "mia"))
    assert Code.NOT_AN_APPROVER in codes(authorization.may_review(policy(), found, asked(), who("mia"), NOW))
    assert not complete(found, asked("zoe", yes("mia", "lee")))


def test_both_together_fill_one_place() -> None:
    found, two = roster(delegation("dan", "lee")), policy(2)
    both = asked("zoe", yes("dan"), yes("lee", "dan"), of="admin")
    assert authorization.approval_progress(two, found, both, NOW).missing[("dba",)] == 1
    again = authorization.may_review(two, found, asked("zoe", yes("dan"), of="admin"), who("lee"), NOW)
    assert codes(again) == [Code.ALREADY_FILLED]
    third = asked("zoe", yes("dan"), yes("lee", "dan"), yes("eve"), of="admin")
    assert ("dba",) not in authorization.approval_progress(two, found, third, NOW).missing


# nobody for themself


@pytest.mark.parametrize(("requester", "reviewer"), [("dan", "lee"), ("lee", "dan")])
def test_who_stands_in_for_the_other_decides_nothing_of_theirs(requester: str, reviewer: str) -> None:
    found = roster(delegation("dan", "lee"))
    request = asked(requester)
    assert codes(authorization.may_review(policy(), found, request, who(reviewer), NOW)) == [Code.LINKED]
    for review in (yes(reviewer), yes(reviewer, "dan"), yes("lee", "dan")):
        assert not complete(found, asked(requester, review))
    assert complete(found, asked(requester, yes("eve")))


def test_who_stands_in_for_whom_is_known_while_nobody_tells_of_the_group() -> None:
    found = roster(delegation("dan", "sam"))
    dark = {**found, "dba": found["dba"].model_copy(update={"known": False})}
    both = {**dark, "owners": Members(identities=frozenset({"sam@example.com"}))}
    assert stand_ins.linked(stand_ins.with_delegations(both, [delegation("dan", "sam")]), who("sam"), who("dan"), NOW)
    assert not complete(stand_ins.with_delegations(dark, [delegation("dan", "lee")]), asked("mia", yes("lee", "dan")))


def test_nobody_is_asked_for_whom_only_a_partner_could_approve() -> None:
    choice = policy().find("vault/read-only")
    assert choice
    alone = roster(delegation("dan", "lee"), dba=("dan",))
    verdict = authorization.may_request(policy(), alone, who("lee"), choice, NOW)
    assert codes(verdict) == [Code.NOBODY_TO_APPROVE]
    assert authorization.may_request(policy(), roster(dba=("dan",)), who("lee"), choice, NOW).allowed


# once it is decided


def test_what_was_approved_for_later_stays_approved_while_both_are_in_their_groups() -> None:
    request = asked("zoe", yes("lee", "dan"))
    assert not complete(roster(), request)
    assert complete(roster(), request, decided=True)
    assert not complete(roster(dba=("eve",)), request, decided=True)
    assert not complete(roster(helpers=members("mia")), request, decided=True)


# naming one


def test_the_policy_says_who_may_name_whom() -> None:
    found, of = roster(), policy()
    assert stand_ins.may_delegate(of, found, who("dan"), who("lee")).allowed
    assert stand_ins.groups_for(of, found, who("dan"), who("lee")) == ("dba",)
    assert codes(stand_ins.may_delegate(of, found, who("dan"), who("sam"))) == [Code.NOT_A_STAND_IN]
    assert codes(stand_ins.may_delegate(of, found, who("sam"), who("lee"))) == [Code.NO_STAND_IN]
    assert codes(stand_ins.may_delegate(of, found, who("dan"), who("dan"))) == [Code.OWN_STAND_IN]
    dark = roster(helpers=members("lee", known=False))
    assert codes(stand_ins.may_delegate(of, dark, who("dan"), who("lee"))) == [Code.NOT_A_STAND_IN, Code.UNKNOWN_GROUP]


# new people


def fresh(name: str, since: float) -> dict[str, Members]:
    """The roster in which somebody is a dba since then, and all others are since long."""
    old = {f"{each}@example.com": 0.0 for each in NAMES}
    joined = old | {f"{name}@example.com": since}
    found = roster(delegation("dan", "lee"))
    kept = {"dba": joined, "security": old, "helpers": joined}
    return {group: one.model_copy(update={"since": kept.get(group)}) for group, one in found.items()}


def test_who_joined_lately_approves_no_critical_role_and_every_other() -> None:
    found = fresh("dan", NOW - HOUR + 1)
    for of, open_ in (("read-only", False), ("admin", True)):
        request = asked("eve", yes("dan"), of=of)
        assert (("dba",) in authorization.approval_progress(policy(), found, request, NOW).missing) is open_
    later = authorization.approval_progress(policy(), found, asked("eve", yes("dan"), of="admin"), NOW + 1)
    assert ("dba",) not in later.missing


def test_they_are_told_so_and_may_deny() -> None:
    found, request = fresh("dan", NOW - 60), asked("eve", of="admin")
    assert authorization.may_review(policy(), found, request, who("dan"), NOW).allowed
    verdict = authorization.counts_yet(policy(), found, request, yes("dan"), NOW)
    assert codes(verdict) == [Code.FRESH_MEMBER]
    assert authorization.counts_yet(policy(), found, asked("eve"), yes("dan"), NOW).allowed


@pytest.mark.parametrize("new", ["dan", "lee"])
def test_neither_may_be_new_where_one_stands_in_for_the_other(new: str) -> None:
    request = asked("zoe", yes("lee", "dan"), of="admin")
    assert ("dba",) in authorization.approval_progress(policy(), fresh(new, NOW - 60), request, NOW).missing
    assert ("dba",) not in authorization.approval_progress(policy(), fresh(new, NOW - HOUR), request, NOW).missing


def test_who_is_new_could_not_approve_a_critical_role_either() -> None:
    choice = policy().find("vault/admin")
    assert choice
    found = fresh("eve", NOW - 60)
    verdict = authorization.may_request(policy(), found, who("dan"), choice, NOW)
    assert Code.NOBODY_TO_APPROVE in codes(verdict)
    assert authorization.may_request(policy(), fresh("eve", NOW - HOUR), who("dan"), choice, NOW).allowed


def test_who_is_not_known_to_be_in_a_group_is_new_in_it() -> None:
    unseen = {group: one.model_copy(update={"since": {}}) for group, one in roster().items()}
    request = asked("zoe", yes("dan"), yes("sam"), of="admin")
    assert len(authorization.approval_progress(policy(), unseen, request, NOW).open) == 2
    none = catalog(DELEGATED.replace("operators:", "fresh_member: 0\n  operators:"))
    assert authorization.approval_progress(none, unseen, request, NOW).complete


# any order of them


FEW = ("mia", "dan", "eve", "lee")
"""So few that they meet often."""
people = st.sampled_from(FEW)
delegated = st.lists(
    st.builds(
        lambda of, to, at, until: delegation(of, to, NOW + at, NOW + until),
        people,
        people,
        st.integers(-2, 0),
        st.integers(0, 2),
    ),
    max_size=5,
    unique_by=lambda each: each.id,
)
groups = st.fixed_dictionaries({name: st.frozensets(people, min_size=2, max_size=5) for name in GROUPS})
PLAIN = "sensitivity: low\n        max: 8h\n        may_ask: [everyone]"


def several(count: int) -> Catalog:
    """The policy whose read-only needs so many of the dba."""
    steps = f"\n        approval: {{steps: [{{any_of: [dba], count: {count}}}]}}"
    return catalog(DELEGATED.replace(PLAIN, PLAIN + steps))


@settings(max_examples=150)
@given(delegated, groups, groups, st.permutations(FEW), people, st.integers(1, 2))
def test_no_sequence_of_delegations_and_clicks_needs_fewer_people_who_are_entitled(
    given_: list[Delegation],
    first: dict[str, frozenset[str]],
    then: dict[str, frozenset[str]],
    clicks: list[str],
    requester: str,
    count: int,
) -> None:
    """Whoever clicks is judged as it is then; at the end, each place has a person and a right of its own."""
    of, request = several(count), asked(requester)
    for n, click in enumerate(clicks):
        standing = first if n < len(clicks) // 2 else then
        found = stand_ins.with_delegations({name: members(*names) for name, names in standing.items()}, given_)
        if not authorization.may_review(of, found, request, who(click), NOW).allowed:
            continue
        review = authorization.attribute_review(of, found, request, yes(click), NOW)
        request = request.model_copy(update={"reviews": (*request.reviews, review)})
        progress = authorization.approval_progress(of, found, request, NOW)
        if not progress.complete:
            continue
        rights = [(each.stands_in_for or each.by).identity for each in progress.counted]
        clicked = [each.by.identity for each in progress.counted]
        assert len(set(rights)) == len(set(clicked)) == count
        assert who(requester).identity not in {*rights, *clicked}
        assert {right.partition("@")[0] for right in rights} <= standing["dba"]
        for each in progress.counted:
            if each.stands_in_for:
                assert each.by.identity.partition("@")[0] in standing["helpers"]
                assert any(
                    d.is_active(NOW) and d.stand_in == each.by and d.person == each.stands_in_for for d in given_
                )
        # The same people, each in their own right, would have been enough.
        own = asked(requester, *(yes(right.partition("@")[0]) for right in rights))
        assert authorization.approval_progress(
            of, {n: m.model_copy(update={"delegations": ()}) for n, m in found.items()}, own, NOW
        ).complete
        return


@pytest.mark.parametrize("party", ["requester", "filer"])
def test_who_stands_in_for_one_of_the_two_whose_request_it_is_approves_nothing(party: str) -> None:
    found = roster(delegation("dan", "lee"))
    request = asked("dan") if party == "requester" else asked().model_copy(update={"requested_by": who("dan")})
    assert codes(authorization.may_review(policy(), found, request, who("lee"), NOW)) == [Code.LINKED]
    assert not complete(found, request.model_copy(update={"reviews": (yes("lee", "dan"),)}))
    assert authorization.may_review(policy(), found, request, who("eve"), NOW).allowed
