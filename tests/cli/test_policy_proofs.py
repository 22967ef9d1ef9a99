"""`jit policy test` and `jit policy explain` know what the policy asks a second factor for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.access.break_glass_verdict import EarlierUses
from bot.access.case_attempt import person
from bot.access.policy_case import Trial
from bot.access.submit import RequestForm
from bot.core.factor_errors import ProofRequired
from bot.core.identity import identity_of
from bot.core.proof import ProofUse
from bot.core.verdict import Members
from bot.policy.conditions import Circumstances
from bot.policy.loader import can_extend, consequence
from tests.cli.test_policy_cases import run_cases
from tests.cli.test_policy_explain import ALWAYS, explained
from tests.house import POLICY, catalog
from tests.policy.flows import FLOWS

OFF = "mfa: {request: off, break_glass: off}"
MIA = "as: mia@example.com, what: debug, duration: 1h"
FOR_MIA = "as: pat@example.com, for: mia@example.com, what: debug, duration: 1h"
SAM = "as: sam@example.com, what: debug, break_glass: true"
NO = "proved: false"
REQUESTS, APPROVES, TAKES = (
    f"expect: refused, sentence: Whoever {does} this" for does in ("requests", "approves", "takes")
)
RULE = "rules: [{when: {what: [debug]}, then: {require: {mfa: true}}}]\n"
DENY = "rules: [{when: {what: [debug]}, then: {deny: Not today}}]\n"


def policy(mfa: str, rules: str = "") -> str:
    assert OFF in FLOWS
    return FLOWS.replace(OFF, mfa) + rules


CASES = {
    "nobody proves who they are": ("", f"{MIA}, {NO}, {REQUESTS}"),
    "all do, where nothing is said": ("", f"{MIA}, approved_by: [dan@example.com], expect: approved"),
    "all do": ("", f"{MIA}, proved: true, expect: {{asks: [dba]}}"),
    "none is asked for": (OFF, f"{MIA}, {NO}, approved_by: [dan@example.com], expect: approved"),
    "for somebody else": ("", f"{FOR_MIA}, {NO}, {REQUESTS}"),
    "of approvers": (
        "mfa: {request: off, approve: required}",
        f"{MIA}, {NO}, approved_by: [dan@example.com], {APPROVES}",
    ),
    "of approvers alone": ("mfa: {request: off, approve: required}", f"{MIA}, {NO}, expect: {{asks: [dba]}}"),
    "of break-glass": ("mfa: {request: off}", f"{SAM}, {NO}, {TAKES}"),
    "of break-glass, proved": ("mfa: {request: off}", f"{SAM}, expect: break-glass"),
    "of break-glass, off": (OFF, f"{SAM}, {NO}, expect: break-glass"),
    "not of requests": ("mfa: {request: off}", f"{MIA}, {NO}, expect: {{asks: [dba]}}"),
}


@pytest.mark.parametrize("name", CASES)
def test_who_proves_nothing_is_refused_where_the_policy_asks(name: str, tmp_path: Path) -> None:
    mfa, case = CASES[name]
    done = run_cases(tmp_path, f"{{{case}}}", policy=policy(mfa))
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("rules", "case"),
    [
        (RULE, f"{MIA}, {NO}, {REQUESTS}"),
        (RULE, f"{MIA}, expect: {{asks: [dba]}}, rules: [1]"),
        (DENY, f"{MIA}, {NO}, expect: refused, sentence: Not today"),
    ],
)
def test_a_rule_asks_too_and_a_denial_needs_no_proof(rules: str, case: str, tmp_path: Path) -> None:
    done = run_cases(tmp_path, f"{{{case}}}", policy=policy(OFF, rules))
    assert done.exit_code == 0, done.output


def trial_of(mfa: str) -> Trial:
    """Of the policy with this line; everybody proves who they are until it is said otherwise."""
    roster = {"dba": Members(identities=frozenset({identity_of("dan@example.com")}))}
    known = catalog(policy(mfa))
    listed = {name: Members(identities=frozenset(map(identity_of, g.people))) for name, g in known.groups.items()}
    return Trial(known, {**listed, **roster}, consequence, can_extend)


FACTS = Circumstances(now=1.0, begins=1.0)
REASON = "INC-42 the vault does not open"


def test_whoever_accepts_proves_it_as_well() -> None:
    trial, mia = trial_of(""), person("mia@example.com")
    form = RequestForm(what="debug", duration=3600, reason=REASON, requested_for=mia)
    trial.submit(person("pat@example.com"), form, FACTS, {})
    trial.proved = False
    with pytest.raises(ProofRequired) as raised:
        trial.accept(FACTS, {})
    assert raised.value.use is ProofUse.REQUEST
    assert trial.request is not None
    assert trial.request.is_draft
    trial.proved = True
    trial.accept(FACTS, {})
    assert not trial.request.is_draft


def test_whoever_takes_a_pending_request_at_once_proves_it_as_well() -> None:
    trial, sam = trial_of("mfa: {request: off}"), person("sam@example.com")
    trial.submit(sam, RequestForm(what="debug", duration=3600, reason=REASON), FACTS, {})
    trial.proved = False
    with pytest.raises(ProofRequired) as raised:
        trial.switch(sam, REASON, 600, EarlierUses("", 0), 2.0)
    assert raised.value.use is ProofUse.BREAK_GLASS
    assert trial.request is not None
    assert trial.request.break_glass is None


def test_explain_says_nothing_of_break_glass_where_there_is_none(tmp_path: Path) -> None:
    known = POLICY.replace(OFF, "mfa: {request: off}")
    done = explained(tmp_path, "debug", "--as", "mia@example.com", *ALWAYS, "--json", policy=known)
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["proofs"] == []


LINES = {
    OFF: [],
    "": ["second factor: whoever requests it"],
    "mfa: {approve: required}": ["second factor: whoever requests it or approves it"],
}


@pytest.mark.parametrize("mfa", LINES)
def test_explain_says_what_a_second_factor_is_asked_for(mfa: str, tmp_path: Path) -> None:
    done = explained(tmp_path, "debug", "--as", "mia@example.com", *ALWAYS, policy=policy(mfa))
    assert done.exit_code == 0, done.output
    said = [line for line in done.output.splitlines() if line.startswith("second factor")]
    assert said == [f"{line} or takes it by break-glass" for line in LINES[mfa]]


def test_explain_says_it_of_a_rule_and_to_machines(tmp_path: Path) -> None:
    done = explained(tmp_path, "debug", "--as", "mia@example.com", *ALWAYS, "--json", policy=policy(OFF, RULE))
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["proofs"] == ["request"]
