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


FORMS = "refused, approved-by-rule, approved, asks, or {asks: [dba, 2 of platform or security]}"


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
