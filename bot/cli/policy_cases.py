"""`jit policy test`: what a policy makes of the requests in a file, and whether that is what was expected; for CI.

It asks nobody: neither Slack nor a store, and no system is called.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot import terminal
from bot.cli.policy_command import STARTER

if TYPE_CHECKING:
    from bot.access.policy_case import Attempt, CaseOutcome
    from bot.core.request import Person
    from bot.policy.case_file import CaseFile, CaseShape, ExpectShape, Verdict
    from bot.policy.catalog import Catalog
    from bot.policy.problems import PolicyMistakes

TESTS = "jit.test.yaml"
_NOBODY = "somebody@example.invalid"


@dataclass(frozen=True)
class CaseResult:
    """One case: what was expected and what came; ``wrong`` is empty where they are the same."""

    place: str
    case: str
    expected: str
    came: str
    sentence: str
    wrong: str = ""


@click.command("test")
@click.argument("file", type=click.Path(path_type=Path), default=TESTS)
@click.option("--policy", "policy_file", type=click.Path(path_type=Path), help="The policy; else the file's, or yours.")
@click.option("--json", "as_json", is_flag=True, help="For machines: every case as JSON.")
def test(file: Path, policy_file: Path | None, *, as_json: bool) -> None:
    """Test a policy: who requests what, and what should become of it, as FILE (jit.test.yaml) lists it.

    The policy is that of --policy, else the one that FILE names, else that of JIT_POLICY, or jit.yaml.
    """
    from bot.policy.problems import PolicyMistakes

    try:
        cases, catalog = _read(file.expanduser(), policy_file)
    except PolicyMistakes as error:
        _refuse(file, error, as_json=as_json)
        sys.exit(2)
    now = time.time()
    results = [_judged(cases, index, case, catalog, now) for index, case in enumerate(cases.shape.cases)]
    failed = [result for result in results if result.wrong]
    if as_json:
        terminal.document(_document(file, results), indent=2)
    else:
        terminal.say(*_lines(file, results))
    sys.exit(int(bool(failed)))


def _read(file: Path, named: Path | None) -> tuple[CaseFile, Catalog]:
    """Raises `PolicyMistakes`, of either file."""
    from bot import settings
    from bot.policy import case_file, loader

    cases = case_file.parse(loader.source(file))
    own = file.parent / cases.shape.policy if cases.shape.policy else None
    path = named or own or Path(settings.environment().get("JIT_POLICY") or STARTER)
    catalog = loader.load(path.expanduser())
    case_file.against(cases, catalog)
    return cases, catalog


def _refuse(file: Path, error: PolicyMistakes, *, as_json: bool) -> None:
    from bot.cli.policy_command import mistakes

    if as_json:
        found = {"good": False, "file": str(file), "passed": 0, "failed": 0, "cases": [], "mistakes": mistakes(error)}
        terminal.document(found, indent=2)
    else:
        terminal.say(*str(error).split("\n"), err=True)


def _judged(cases: CaseFile, index: int, case: CaseShape, catalog: Catalog, now: float) -> CaseResult:
    from bot.access import policy_case
    from bot.core import durations
    from bot.policy.loader import can_extend, consequence

    now = case.at or now
    outcome = policy_case.judge(catalog, _attempt(cases, case, catalog, now), now, consequence, can_extend)
    verdict, came, sentence = what_came(outcome)
    mark = cases.place(index)
    wrong = _wrong(case.expect, verdict, outcome) or _wrong_rules(case, outcome)
    if not wrong and case.sentence not in sentence:
        wrong = "sentence"
    more = {
        "sentence": f" ({case.sentence})",
        "rules": f", rules {_listed(case.rules or ())}",
        "lasts": f", lasting {durations.short(case.lasts or 0)}",
    }
    expected = f"{case.expect}{more.get(wrong, '')}"
    came += {
        "rules": f", rules {_listed(effective(outcome))}",
        "lasts": f", lasting {durations.short(outcome.duration)}",
    }.get(wrong, "")
    return CaseResult(f"{mark.file}:{mark.line}:{mark.column}", _name(case), expected, came, sentence, wrong)


def _attempt(cases: CaseFile, case: CaseShape, catalog: Catalog, now: float) -> Attempt:
    from bot.access.policy_case import Attempt
    from bot.access.submit import RequestForm
    from bot.core.verdict import Members
    from bot.policy.conditions import Circumstances

    roster: dict[str, Members] = {}
    for name, group in catalog.groups.items():
        people = group.people if group.is_listed else cases.shape.groups.get(name, ())
        also = [_NOBODY] if name in case.who.groups else []
        roster[name] = Members(identities=frozenset(map(_identity, [*people, *also])))
    form = RequestForm(
        what=case.what,
        duration=case.duration,
        reason=fitting_reason(catalog, case.what) if case.reason is None else case.reason,
        starts_at=now + case.start if case.start else 0.0,
        inputs=case.inputs,
    )
    used = {rule.key: case.used for rule in catalog.rules}
    approvers = tuple(map(person, case.approved_by))
    roles = [f"{ref.system}/{ref.role}" for ref in choice.roles] if (choice := catalog.find(case.what)) else []
    facts = Circumstances(
        now=now,
        begins=form.starts_at or now,
        frozen={name: name in case.frozen for name in catalog.calendar_names},
        denials=dict.fromkeys(roles, (now,) * case.denied),
        live=dict.fromkeys(roles, case.live),
    )
    return Attempt(person(case.who.person or _NOBODY), roster, form, used, approvers, facts, case.tickets)


def _identity(address: str) -> str:
    from bot.core.identity import identity_of

    return identity_of(address)


def person(address: str) -> Person:
    """Somebody by their e-mail address."""
    from bot.core.request import Person

    identity = _identity(address)
    return Person(workspace="T0", id=identity, identity=identity, email=address, name=address.partition("@")[0])


def fitting_reason(catalog: Catalog, what: str) -> str:
    """A reason that fits, where it is not about the reason."""
    found = catalog.find(what)
    if found and found.reason.example:
        return found.reason.example
    return "policy test ".ljust(found.reason.min_length if found else 0, ".")


def what_came(outcome: CaseOutcome) -> tuple[Verdict, str, str]:
    """What came of it: the verdict, the same in the words of a file of tests, and what the requester reads."""
    from handlers import error_messages
    from handlers.views import text
    from handlers.views.message import Needed

    if outcome.refused:
        return "refused", "refused", error_messages.sentence(outcome.refused)
    if outcome.rule:
        return "approved-by-rule", "approved-by-rule", f"Approved by {text.by_rule(outcome.rule)}."
    if not outcome.missing:
        return "approved", "approved", "Approved: every step has its approvals."
    steps = [f"{f'{count} of ' if count > 1 else ''}{' or '.join(groups)}" for groups, count in outcome.missing]
    needed = Needed(tuple((" or ".join(f"@{group}" for group in groups), count) for groups, count in outcome.missing))
    return "asks", f"asks {', '.join(steps)}", f"Needs {needed}."


def _wrong(expected: ExpectShape, verdict: Verdict, outcome: CaseOutcome) -> str:
    if expected.verdict != verdict:
        return "verdict"
    if expected.steps is None:
        return ""
    came = Counter((frozenset(groups), count) for groups, count in outcome.missing)
    return "" if came == Counter(expected.steps) else "asks"


def _wrong_rules(case: CaseShape, outcome: CaseOutcome) -> str:
    if case.rules is not None and sorted(case.rules) != sorted(effective(outcome)):
        return "rules"
    return "lasts" if case.lasts is not None and case.lasts != outcome.duration else ""


def effective(outcome: CaseOutcome) -> tuple[int, ...]:
    """The rules that have an effect, by their places in the policy: of those that approve the one that does."""
    if outcome.ruling is None:
        return ()
    found = [each.rule for each in outcome.ruling.findings if each.takes_effect and not each.rule.approves]
    shortest = outcome.ruling.shortened.rule if outcome.ruling.shortened else 0
    numbers = [rule.n for rule in found if rule.then.shorten is None or rule.n == shortest]
    return tuple(sorted(numbers + ([outcome.rule.n] if outcome.rule else [])))


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"


def _name(case: CaseShape) -> str:
    from bot.core import durations

    who = case.who.person or f"somebody in {' and '.join(case.who.groups) or 'no group'}"
    given = [f"{name}={value}" for name, value in case.inputs.items()]
    parts = [who, case.what, *given, *([durations.short(case.duration)] if case.duration else [])]
    return ", ".join(parts + ([f"approved by {' and '.join(case.approved_by)}"] if case.approved_by else []))


def _lines(file: Path, results: Sequence[CaseResult]) -> list[str]:
    lines = [f"{file} {''.join('F' if result.wrong else '.' for result in results)}"]
    for result in results:
        if result.wrong:
            came = f"{result.came}: {result.sentence}"
            lines += [f"FAILED {result.place} {result.case}", f"  - {result.expected}", f"  + {came}"]
    failed = sum(bool(result.wrong) for result in results)
    return [*lines, ", ".join([*([f"{failed} failed"] if failed else []), f"{len(results) - failed} passed"])]


def _document(file: Path, results: Sequence[CaseResult]) -> dict[str, object]:
    """For machines; keys stay, more may come."""
    failed = sum(bool(result.wrong) for result in results)
    return {
        "good": not failed,
        "file": str(file),
        "passed": len(results) - failed,
        "failed": failed,
        "cases": [{**vars(result), "passed": not result.wrong} for result in results],
        "mistakes": [],
    }
