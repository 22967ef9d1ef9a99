"""Which approval steps a request has: those of its roles, and those that its record requires."""

from __future__ import annotations

from bot.core.lifecycle import begin
from bot.core.request import Request, RequiredStep, Review, Verb
from bot.core.verdict import Code, Members
from bot.policy import authorization
from bot.policy.steps import steps_of
from tests.core.test_lifecycle import role, submitted
from tests.house import catalog, person

NOW = 1000.0
MIA = person("T1", "mia")


def members(*names: str) -> Members:
    return Members(users=frozenset(f"U{name.upper()}" for name in names))


ROSTER = {"dba": members("dan", "eve"), "security": members("sam", "kim"), "platform": members("pat")}
SECURITY = RequiredStep(any_of=("security",), rule=2, because="it is frozen")


def yes(who: str) -> Review:
    return Review(verb=Verb.APPROVE, by=person("T1", who), at=NOW, duration=900)


def requires(*steps: RequiredStep, roles: tuple[str, ...] = ("read-only",)) -> Request:
    """A request of Mia's whose record requires these steps."""
    event = submitted().model_copy(
        update={"requester": MIA, "roles": tuple(role(name) for name in roles), "required_steps": steps}
    )
    return begin(event)


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
    request = requires(SECURITY)
    half = request.model_copy(update={"reviews": (yes("dan"),)})
    tally = authorization.tally(catalog(), ROSTER, half, NOW)
    assert tally.missing == {("security",): 1}
    assert authorization.tally(catalog(), ROSTER, half, NOW, also=yes("sam")).complete
    assert authorization.may_review(catalog(), ROSTER, half, person("T1", "sam"), NOW).allowed
    assert not authorization.may_review(catalog(), ROSTER, half, person("T1", "eve"), NOW).allowed


def test_a_required_step_of_a_group_that_is_gone_stays_open() -> None:
    request = requires(RequiredStep(any_of=("nobody",)))
    done = request.model_copy(update={"reviews": (yes("dan"), yes("sam"))})
    assert authorization.tally(catalog(), ROSTER, done, NOW).missing == {("nobody",): 1}


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
    assert authorization.tally(catalog(), ROSTER, request, NOW).missing == {(): 1}
    verdict = authorization.may_review(catalog(), ROSTER, request, person("T1", "dan"), NOW)
    assert verdict.reasons[0].code is Code.NOT_AN_APPROVER
