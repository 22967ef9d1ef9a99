"""What `/jit explain` says of a second factor: who proves who they are, and when."""

from __future__ import annotations

import pytest

from bot.access.terms import terms
from bot.policy.catalog import Catalog
from bot.policy.conditions import Circumstances, RequestedAccess
from bot.policy.rules import judge
from handlers.views import role_terms, rule_lines
from tests.house import POLICY, catalog, person

MIA = person("T1", "mia")
OFF = "mfa: {request: off, break_glass: off}"


def house(mfa: str = OFF, rule: str = "") -> Catalog:
    """The policy with this line, and a rule."""
    assert OFF in POLICY
    return catalog(POLICY.replace(OFF, mfa) + (f"\nrules: [{rule}]\n" if rule else ""))


def said(known: Catalog, *, may_request: bool = True) -> list[str]:
    """The lines about proofs."""
    choice = known.find("debug")
    assert choice is not None
    return role_terms.conditions(terms(known, choice, may_request=may_request))[:-1]


YOU, YOU_ONLY = "You prove that it is you, with a code; approvers do too.", "You prove that it is you, with a code."
SAID = {
    "": [YOU_ONLY],
    OFF: [],
    "mfa: {request: required}": [YOU_ONLY],
    "mfa: {approve: required}": [YOU],
    "mfa: {request: off, approve: required}": ["Approvers prove that it is them, with a code, when they approve it."],
}


@pytest.mark.parametrize("mfa", SAID)
def test_it_says_who_proves_who_they_are(mfa: str) -> None:
    assert said(house(mfa)) == SAID[mfa]


def test_it_says_so_to_somebody_who_may_not_request_it_too() -> None:
    assert said(house(""), may_request=False) == ["Whoever requests it proves who they are, with a code."]


@pytest.mark.parametrize(
    ("require", "does"),
    [
        ("mfa: true", "asks for a code that proves it is you"),
        (
            "mfa: true, steps: [{any_of: [security]}]",
            "requires more approvals: one of `security`, and asks for a code that proves it is you",
        ),
        ("steps: [{any_of: [security]}]", "requires more approvals: one of `security`"),
    ],
)
def test_a_rule_says_that_it_asks_for_a_code(require: str, does: str) -> None:
    known = house(rule=f"{{when: {{what: [debug]}}, then: {{require: {{{require}}}}}}}")
    choice = known.find("debug")
    assert choice is not None
    wanted = RequestedAccess(requester=MIA, what="debug", roles=choice.roles, duration=600)
    [finding] = judge(known, {}, wanted, Circumstances(now=1.0, begins=1.0), {}).findings
    assert rule_lines.line(finding) == f"For you, rule 1 {does}."


def test_break_glass_with_a_code_says_so() -> None:
    [plain] = role_terms.in_an_emergency(["vault/admin"])
    [proved] = role_terms.in_an_emergency(["vault/admin"], proved=True)
    assert "code that" not in plain
    assert "without approval but with a code that proves it is you" in proved
