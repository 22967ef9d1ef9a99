"""What a rule of the policy does to a request, or would do, a line each; pure. The card says it of a request itself."""

from __future__ import annotations

from collections.abc import Sequence

from bot.policy.rule_words import BUDGET, conditions, worded
from bot.policy.rules import Finding
from handlers.views.text import code, length, safe

_MOST = 12


def lines(found: Sequence[Finding]) -> list[str]:
    """One line a rule, for a person who reads what they could request; of very many, the first."""
    more = [f"… and {len(found) - _MOST} more rules"] if len(found) > _MOST else []
    return [*map(line, found[:_MOST]), *more]


def denial(n: str, sentence: str = "", unsure: str = "") -> str:
    """What a rule of the policy refuses with; a sentence of the policy ends as sentences do."""
    whole = safe(sentence.rstrip("."), 200)
    if not unsure:
        return f"Rule {safe(n, 3)} of the policy denies this: {whole}."
    doubt = f"Rule {safe(n, 3)} of the policy may deny this ({whole}), and it cannot be checked now"
    return f"{doubt}: {safe(unsure, 300)}. Please try again in a minute."


def line(finding: Finding) -> str:
    """What it does to a request of the reader's now, or why it does not."""
    rule = finding.rule
    if rule.approves:
        return _approval(finding)
    does = {
        "deny": f"denies it ({safe((rule.then.deny or '').rstrip('.'), 200)})",
        "require": _requires(finding),
        "shorten": f"shortens it to {length(rule.then.shorten or 0)}",
    }[rule.then.outcome]
    if finding.applies:
        return f"For you, rule {rule.n} {does}."
    if finding.takes_effect:
        return f"For you, rule {rule.n} {does}, unless it turns out otherwise: {_short_of(finding)}."
    return f"Rule {rule.n} {does} where this holds: {_all(finding)}. It does not apply to you now."


def _approval(finding: Finding) -> str:
    rule = finding.rule
    budget = "once" if rule.budget == 1 else f"{rule.budget} times"
    does = f"approves up to {length(rule.when.at_most or 0)} right away, {budget} in 24 hours"
    if finding.applies:
        return f"For you, rule {rule.n} {does}."
    return f"Rule {rule.n} {does}. Not for you now, it needs: {_short_of(finding)}."


def _short_of(finding: Finding) -> str:
    """The conditions that do not hold, or cannot be told."""
    return ", ".join(
        f"{_plain(finding, name)}{'' if known is False else ' (unknown)'}" for name, known in finding.short_of
    )


def _plain(finding: Finding, name: str) -> str:
    return safe(worded(finding.rule, name), 200) if name != BUDGET else "uses left today"


def _all(finding: Finding) -> str:
    return ", ".join(safe(each, 200) for each in conditions(finding.rule))


def _requires(finding: Finding) -> str:
    steps, require = _steps(finding), finding.rule.then.require
    said = [f"requires more approvals: {steps}"] if steps else []
    return ", and ".join([*said, *(["asks for a code that proves it is you"] if require and require.mfa else [])])


def _steps(finding: Finding) -> str:
    steps = finding.rule.then.require.steps if finding.rule.then.require else ()
    groups = ((step.count, " or ".join(code(group, 40) for group in step.any_of)) for step in steps)
    return ", and ".join(f"{'one' if count == 1 else count} of {named}" for count, named in groups)
