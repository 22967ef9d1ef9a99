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
    from bot.access.policy_case import CaseOutcome
    from bot.policy.case_file import CaseFile, CaseShape, ExpectShape, Verdict
    from bot.policy.catalog import Catalog
    from bot.policy.problems import PolicyMistakes

TESTS = "jit.test.yaml"


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
    from bot.access import case_attempt, policy_case
    from bot.core import durations
    from bot.policy.loader import can_extend, consequence

    now = case.at or now
    attempt = case_attempt.attempt_of(cases.shape, case, catalog, now)
    outcome = policy_case.judge(catalog, attempt, now, consequence, can_extend)
    verdict, came, sentence = what_came(outcome)
    mark = cases.place(index)
    wrong = _wrong(case.expect, verdict, outcome) or _wrong_rules(case, outcome)
    if not wrong and case.sentence not in sentence:
        wrong = "sentence"
    more = {
        "sentence": f" ({case.sentence})",
        "rules": f", rules {_listed(case.rules or ())}",
        "lasts": f", lasting {durations.short(case.lasts or 0)}",
        "review_within": f", reviewed within {durations.short(case.review_within or 0)}",
    }
    expected = f"{case.expect}{more.get(wrong, '')}"
    came += {
        "rules": f", rules {_listed(effective(outcome))}",
        "lasts": f", lasting {durations.short(outcome.duration)}",
        "review_within": f", reviewed within {durations.short(review_within(outcome))}",
    }.get(wrong, "")
    return CaseResult(f"{mark.file}:{mark.line}:{mark.column}", _name(case), expected, came, sentence, wrong)


def what_came(outcome: CaseOutcome) -> tuple[Verdict, str, str]:
    """What came of it: the verdict, the same in the words of a file of tests, and what the requester reads."""
    from bot.core.factor_errors import ProofRequired
    from bot.core.request import State
    from handlers import error_messages
    from handlers.views import case_outcome, text

    request = outcome.request
    if isinstance(outcome.refused, ProofRequired):
        return "refused", "refused", case_outcome.unproved(outcome.refused.use)
    if outcome.refused:
        return "refused", "refused", text.spelt_out(error_messages.sentence(outcome.refused))
    if request is None:
        raise RuntimeError("a case is refused, or it has a request")
    if request.is_draft:
        verdict: Verdict = "awaits-consent"
    elif request.state is State.EXPIRED:
        verdict = "expired"
    elif request.break_glass:
        verdict = "break-glass"
    elif outcome.missing:
        verdict = "asks"
    else:
        verdict = "approved-by-rule" if outcome.rule else "approved"
    steps = [f"{f'{count} of ' if count > 1 else ''}{' or '.join(groups)}" for groups, count in outcome.missing]
    came = f"asks {', '.join(steps)}" if verdict == "asks" else verdict
    return verdict, came, text.spelt_out(case_outcome.sentence(request, outcome.missing))


def review_within(outcome: CaseOutcome) -> int:
    """Seconds after it was taken until which it should be reviewed; 0 for what is not break-glass."""
    glass = outcome.request.break_glass if outcome.request else None
    return round(glass.review_by - glass.at) if glass else 0


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
    if case.lasts is not None and case.lasts != outcome.duration:
        return "lasts"
    return "review_within" if case.review_within not in {None, review_within(outcome)} else ""


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
    them = f"for {case.requested_for}" if case.requested_for else ""
    parts = [who, "break-glass" if case.break_glass else "", case.what, them, *given]
    parts += [durations.short(case.duration) if case.duration else ""]
    parts += [f"after {durations.short(case.after)}" if case.after else ""]
    parts += [f"approved by {' and '.join(each.who for each in case.approved_by)}" if case.approved_by else ""]
    return ", ".join(filter(None, parts))


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
