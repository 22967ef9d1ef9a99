"""The policy has each rule's thresholds, or switches it off; what is wrong with them is told with its place."""

from __future__ import annotations

from importlib.resources import files

import pytest

from bot.core import durations
from bot.policy.insight_thresholds import Rules
from bot.reports.insights.findings import explained
from tests.policy.policies import WHOLE, catalog, marked, mistakes

TABLE = {
    # What is broken: (what is written, path, what the sentence says, what the hint says)
    "an unknown rule": ("{‸rubber-stmp: off}", "rubber-stmp", "there is no key", "`rubber-stamp`"),
    "a name as it is in the code": ("{‸asked_again: off}", "asked_again", "there is no key", "`asked-again`"),
    "an unknown threshold": ("{asked-again: {‸tims: 5}}", "asked-again.tims", "there is no key", "`times`"),
    "another rule's threshold": ("{asked-again: {‸waits: 5m}}", "asked-again.waits", "there is no key", ""),
    "a number for a rule": ("{asked-again: ‸5}", "asked-again", "write `off`, or its thresholds", ""),
    "once is no habit": ("{asked-again: {times: ‸1}}", "asked-again.times", "greater than or equal to 2", ""),
    "too long a time": ("{asked-again: {within: ‸100d}}", "asked-again.within", "1d to 90d", ""),
    "too short a time": ("{inactive: {within: ‸4h}}", "inactive.within", "1d to 90d", ""),
    "a number for a time": ("{one-approver: {waits: ‸30}}", "one-approver.waits", "write it like 10s", ""),
    "more than all": ("{each-other: {percent: ‸101}}", "each-other.percent", "less than or equal to 100", ""),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_mistake_is_told_with_its_place(name: str) -> None:
    written, path, sentence, hint = TABLE[name]
    text, marks = marked(WHOLE.replace("  operators:", f"  insights: {written}\n  operators:"))
    [found] = mistakes(text)
    assert [found.mark] == marks
    assert found.path == f"workspace.insights.{path}"
    assert sentence in found.sentence
    assert hint in found.hint


def test_beside_a_mistake_the_rest_is_checked_too() -> None:
    text = WHOLE.replace(
        "  operators: [platform]", "  insights: {asked-again: {times: x, within: 1h}}\n  operators: [nobody]"
    )
    assert [each.path for each in mistakes(text)] == [
        "workspace.insights.asked-again.times",
        "workspace.insights.asked-again.within",
        "workspace.operators.0",
    ]


@pytest.mark.parametrize("word", ["off", "'off'", "false"])
def test_a_rule_or_all_of_them_are_off(word: str) -> None:
    one = catalog(WHOLE.replace("  operators:", f"  insights: {{rubber-stamp: {word}}}\n  operators:"))
    assert [name for name in Rules.names() if one.workspace.insights.of(name).off] == ["rubber-stamp"]
    none = catalog(WHOLE.replace("  operators:", f"  insights: {word}\n  operators:"))
    assert all(none.workspace.insights.of(name).off for name in Rules.names())


def test_what_is_not_written_is_as_it_was() -> None:
    said = "{asked-again: {times: 7}, never-denied: {off: true, times: 9}}"
    rules = catalog(WHOLE.replace("  operators:", f"  insights: {said}\n  operators:")).workspace.insights
    assert (rules.asked_again.times, rules.asked_again.within) == (7, 14 * 86_400)
    assert (rules.never_denied.off, rules.never_denied.times) == (True, 9)
    assert catalog(WHOLE).workspace.insights == Rules()


def test_the_guide_has_every_rule_with_its_thresholds() -> None:
    guide = files("bot").joinpath("guides", "insights.md").read_text(encoding="utf-8")
    rows = [line for line in guide.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{name}` | {says} | `{{{written(name)}}}` |" for name, says in explained().items()]


def written(name: str) -> str:
    """A rule's thresholds as a policy would have them."""
    lengths = {"within", "faster_than", "waits", "soon"}
    limits = Rules().of(name).model_dump(exclude={"off"})
    return ", ".join(f"{key}: {durations.short(value) if key in lengths else value}" for key, value in limits.items())
