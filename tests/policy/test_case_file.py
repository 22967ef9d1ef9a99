"""A file of policy tests is read strictly: each mistake has its place and what was probably meant."""

from __future__ import annotations

import pytest

from bot.policy import case_file
from bot.policy.problems import PolicyMistakes
from bot.policy.yaml_source import Source
from tests.house import POLICY, catalog

GOOD = """\
groups:
  dba: [dan@example.com]
cases:
  - as: mia@example.com
    what: debug
    expect: {asks: [dba]}
"""


def told(text: str, policy: str = POLICY) -> list[str]:
    try:
        case_file.against(case_file.parse(Source("t.yaml", text)), catalog(policy))
    except PolicyMistakes as error:
        return [str(mistake) for mistake in error.mistakes]
    return []


def test_a_good_file_has_no_mistake() -> None:
    assert told(GOOD) == []


FORMS = (
    "refused, approved-by-rule, approved, asks, awaits-consent, break-glass, expired, "
    "or {asks: [dba, 2 of platform or security]}"
)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "what: debug",
            "wat: debug",
            "5:5: cases.0.wat: there is no key `wat` here; did you mean `what` or `at`?",
        ),
        ("what: debug", "what: debgu", "5:11: cases.0.what: there is nothing called `debgu` to request; did you mean"),
        (
            "what: debug",
            "what: vault/read-only + vault/shard",
            "5:11: cases.0.what: there is nothing called `vault/shard` to request; did you mean `vault/shared` or",
        ),
        (
            "what: debug",
            "what: debug + vault/shared",
            "5:11: cases.0.what: `debug + vault/shared` is not one request; combine up to 4 roles, no templates",
        ),
        (
            "what: debug",
            "what: debug\n    inputs: {room: hall}",
            "6:14: cases.0.inputs.room: `debug` does not ask for `room`; leave it out: it asks for nothing",
        ),
        ("what: debug", "what: debug\n    inputs: hall", "6:13: cases.0.inputs: this should be a mapping"),
        ("what: debug", "what: debug\n    inputs: {room: 5}", "6:20: cases.0.inputs.room: this should be text"),
        ("what: debug", "what: debug\n    input: {}", "there is no key `input` here; did you mean `inputs`?"),
        (
            "what: debug",
            "what: debug\n    duration: 5 hours",
            "t.yaml:6:15: cases.0.duration: '5 hours' is no duration",
        ),
        ("    what: debug\n", "", "t.yaml:4:5: cases.0: `what` is missing here"),
        ("cases:", "case:", "t.yaml:3:1: case: there is no key `case` here; did you mean `cases`?"),
        ("mia@example.com", "{groups: [dbaa]}", "there is no group `dbaa` in the policy; did you mean `dba`?"),
        ("mia@example.com", "{group: [dba]}", "there is no key `group` here; did you mean `groups`?"),
        ("mia@example.com", "mia", "t.yaml:4:9: cases.0.as.person: people are written by e-mail address"),
        ("{asks: [dba]}", "no", f"t.yaml:6:13: cases.0.expect: write {FORMS}"),
        ("{asks: [dba]}", "denied", f"t.yaml:6:13: cases.0.expect: write {FORMS}"),
        ("{asks: [dba]}", "{asks: [dbaa]}", "there is no group `dbaa` in the policy; did you mean `dba`?"),
        ("{asks: [dba]}", "{asks: ['0 of dba']}", "write a group, `2 of dba`, or `dba or security`"),
        ("  dba: [dan@example.com]", "  dbaa: [dan@example.com]", "who is in the Slack user group `dba` is not said"),
        ("dba: [dan@", "platform: [pat@example.com]\n  dba: [dan@", "the policy lists who is in `platform`"),
        (GOOD, "- a", "t.yaml:1:1: a file of policy tests is a mapping with `cases:`"),
        (GOOD[GOOD.index("  - as") :], "  []", "t.yaml:4:3: cases: list at least one"),
        ("cases:", "cases", "t.yaml:3:1: this is no YAML"),
    ],
)
def test_each_mistake_has_its_place_and_a_hint(old: str, new: str, said: str) -> None:
    assert old in GOOD
    found = told(GOOD.replace(old, new, 1))
    assert any(said in mistake for mistake in found), found


DEBUG = "what: debug"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("for: mia", "6:10: cases.0.for: people are written by e-mail address"),
        ("for: mia@example.com", "6:10: cases.0.for: this person requests it themself; leave it out, or name somebody"),
        ("fro: eve@example.com", "6:5: cases.0.fro: there is no key `fro` here; did you mean `frozen` or `for`?"),
        ("accepted: true", "6:15: cases.0.accepted: it says nothing without `for`; add `for`, or leave it out"),
        ("accepted: maybe", "6:15: cases.0.accepted: this should be true or false"),
        ("after: soon", "6:12: cases.0.after: 'soon' is no duration"),
        ("break_glas: true", "there is no key `break_glas` here; did you mean `break_glass`"),
        ("break_glass: 1h", "6:18: cases.0.break_glass: this should be true or false"),
        ("break_glass_used: 2", "cases.0.break_glass_used: it says nothing without `break_glass`; add `break_glass`"),
        ("review_overdue: true", "cases.0.review_overdue: it says nothing without `break_glass`"),
        ("review_within: 1d", "cases.0.review_within: only break-glass access is reviewed; add `break_glass: true`"),
        ("break_glass: true\n    for: eve@example.com", "7:10: cases.0.for: `break_glass` has no `for`"),
        ("break_glass: true\n    start: 2h", "7:12: cases.0.start: `break_glass` has no `start`"),
        ("holds: [vault/shard]", "6:13: cases.0.holds.0: there is no role `vault/shard` in the policy; did you mean"),
        ("holds: vault/shared", "6:12: cases.0.holds: this should be a list"),
        ("denied: often", "6:13: cases.0.denied: 'often' is no duration"),
        ("denied: -1", "6:13: cases.0.denied: write how often, up to 1000, or how long ago, like 10m or [10m, 2h]"),
        ("denied: true", "6:13: cases.0.denied: write how often"),
        ("live: [vault/shared]", "6:11: cases.0.live: this should be a whole number"),
        ("approved_lately: 3", "6:22: cases.0.approved_lately: this should be a mapping"),
        (
            "approved_lately: {per_dy: 3}",
            "6:23: cases.0.approved_lately.per_dy: there is no key `per_dy` here; did you",
        ),
        ("approved_lately: {per_person: {per_wek: 3}}", "no key `per_wek` here; did you mean `per_week`"),
        ("approved_by: [{as: dan@example.com, aftr: 5m}]", "no key `aftr` here; did you mean `after`"),
        ("approved_by: [dan]", "6:19: cases.0.approved_by.0.as: people are written by e-mail address"),
    ],
)
def test_what_a_case_says_of_the_other_flows_is_checked_in_the_same_way(more: str, said: str) -> None:
    found = told(GOOD.replace(DEBUG, f"{DEBUG}\n    {more}"))
    assert any(said in mistake for mistake in found), found


@pytest.mark.parametrize("what", ["vault/read-only", "vault/read-only + vault/shared", "vault/shared+vault/admin"])
def test_whatever_can_be_requested_can_be_tested(what: str) -> None:
    assert told(GOOD.replace("debug", what)) == []


ASKS = "grants: {door: {ask: room}, shared: true}\n        asks: {room: {choice: [hall, attic]}}"


def test_an_input_is_one_that_the_roles_ask_for() -> None:
    asking = POLICY.replace("grants: {door: hall, shared: true}", ASKS)
    file = GOOD.replace("debug", "vault/read-only + vault/shared\n    inputs: {room: hall}")
    assert told(file, asking) == []
    [mistake] = told(file.replace("room:", "rom:"), asking)
    said = "6:14: cases.0.inputs.rom: `vault/read-only + vault/shared` does not ask for `rom`; did you mean `room`?"
    assert said in mistake
