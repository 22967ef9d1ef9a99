"""The JSON Schema of the policy file takes what the bot takes, and refuses what it refuses for its form."""

from __future__ import annotations

import re
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bot.cli.main import main
from bot.core import durations
from bot.policy import json_schema
from bot.policy.loader import facts, installed
from bot.policy.parse import parse
from bot.policy.problems import PolicyMistakes
from bot.policy.yaml_source import Source, read
from providers.systems import registry
from tests.house import POLICY
from tests.policy.policies import WHOLE
from tests.readme import GUIDES, README, SCHEMA

SCHEMA_OF_TODAY = json_schema.schema()
EDITOR = Draft202012Validator(SCHEMA_OF_TODAY)


def flaws(text: str) -> list[str]:
    """Where an editor would show a mistake."""
    return [".".join(map(str, flaw.absolute_path)) for flaw in EDITOR.iter_errors(read(Source("a.yaml", text)).data)]


def accepted(text: str) -> bool:
    try:
        parse([Source("a.yaml", text)], facts, registry.names(), installed())
    except PolicyMistakes:
        return False
    return True


def test_it_is_a_schema_and_the_one_of_the_package_is_of_today() -> None:
    Draft202012Validator.check_schema(SCHEMA_OF_TODAY)
    assert SCHEMA.read_text(encoding="utf-8") == json_schema.text(), "run `python -m tests.readme`"


def test_the_command_prints_it() -> None:
    assert CliRunner().invoke(main, ["policy", "schema"]).stdout == json_schema.text()


def _readme() -> str:
    [found] = re.findall(r"```yaml\n(version: 1.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


def _examples() -> dict[str, str]:
    """Each example of the guides in a policy."""
    guides = {path: path.read_text(encoding="utf-8") for path in sorted(GUIDES.glob("*.md"))}
    found = {"starter": (GUIDES / "starter.yaml").read_text(encoding="utf-8"), "README": _readme()}
    for path, text in guides.items():
        for number, example in enumerate(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)):
            name = f"{path.name} {number}"
            if example.startswith("workspace:\n"):
                found[name] = POLICY.replace("workspace:\n", example)
            elif example.startswith("rules:\n"):
                found[name] = POLICY + example
    return found


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in _examples().items()])
def test_what_the_guides_show_is_accepted(text: str) -> None:
    assert flaws(text) == []


LOUD = "workspace:\n  insights: {asked-again: {times: 3, within: 7d}, rubber-stamp: off, never-denied: on}"
SINK = "workspace:\n  sinks: {siem: {kind: syslog, config: {host: a.example.com}, from: now, behind: 1h}}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("workspace:", LOUD),
        ("workspace:", "workspace:\n  insights: off"),
        ("workspace:", "workspace:\n  digest: {weekly: MONDAY 09:00, monthly: 01 23:59}"),
        ("workspace:", SINK),
        ("mfa: {request: off}", 'mfa: {request: "off"}'),
        ("max: 8h", 'max: " 7H30M "'),
        ("templates:", "rules: [{when: {sensitivity: low, at_most: 1h}, then: approve, budget: 03/day}]\ntemplates:"),
    ],
)
def test_each_way_to_write_it_is_accepted_by_both(old: str, new: str) -> None:
    text = WHOLE.replace(old, new, 1)
    assert (accepted(text), flaws(text)) == (True, [])


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("version: 1", "version: 2", "version"),
        ("operators:", "operator:", "workspace"),
        ("audit_channel: C0AUDIT01", "audit_channel: audit", "workspace.audit_channel"),
        ("  audit_channel: C0AUDIT01\n", "", "workspace"),
        ("max: 8h", "max: 8", "systems.prod-db.roles.read-only.max"),
        ("max: 8h", "max: 8 hours", "systems.prod-db.roles.read-only.max"),
        ("sensitivity: low", "sensitivity: none", "systems.prod-db.roles.read-only.sensitivity"),
        ("may_ask: [everyone]", "may_ask: everyone", "systems.prod-db.roles.read-only.may_ask"),
        ("may_ask: [everyone]", "may_ask: []", "systems.prod-db.roles.read-only.may_ask"),
        ("count: 2", "count: 0", "systems.prod-db.roles.admin.approval.steps.1.count"),
        ("count: 2", "owner: maybe", "systems.prod-db.roles.admin.approval.steps.1.owner"),
        (
            "count: 2",
            "escalate: {after: 30m}",
            "systems.prod-db.roles.admin.approval.steps.1.escalate",
        ),
        (
            "count: 2",
            "escalate: {after: soon, to: [dba]}",
            "systems.prod-db.roles.admin.approval.steps.1.escalate.after",
        ),
        ("{steps: [", "{ordered: first, steps: [", "systems.prod-db.roles.admin.approval.ordered"),
        ("S0DBA0001", "dba", "groups.dba.slack_usergroup"),
        ("pat@example.com", "pat", "groups.platform.people.0"),
        ("  prod-db:", "  Prod DB:", "systems"),
        ("durations: [30m, 1h, 4h]", "durations: [30m, 4]", "templates.debug.durations.1"),
        ("workspace:", "workspace:\n  digest: {at: 9:00}", "workspace.digest.at"),
        ("workspace:", "workspace:\n  limits: {open: 0}", "workspace.limits.open"),
        ("mfa: {request: off}", "mfa: {request: never}", "workspace.mfa.request"),
        ("workspace:", "workspace:\n  insights: {asked-agian: off}", "workspace.insights"),
        ("workspace:", "workspace:\n  insights: {asked-again: {times: 1}}", "workspace.insights.asked-again"),
        ("templates:", "rules: [{when: {sensitivity: low}, then: approve, budget: 1/day}]\ntemplates:", "rules.0.when"),
        (
            "templates:",
            "rules: [{when: {sensitivity: low, at_most: 1h}, then: approve, budget: 21/day}]\ntemplates:",
            "rules.0.budget",
        ),
    ],
)
def test_what_is_wrong_in_form_is_shown_where_it_stands(old: str, new: str, where: str) -> None:
    assert old in WHOLE
    text = WHOLE.replace(old, new, 1)
    assert not accepted(text)
    assert any(where.startswith(found) or found.startswith(where) for found in flaws(text)), flaws(text)
    assert any(found for found in flaws(text)), "at its place, and not of the whole file"


@given(st.from_regex(r"[ 0-9dhmsDHMSx]{0,9}", fullmatch=True))
def test_a_duration_that_the_bot_reads_has_the_form_that_editors_are_told(text: str) -> None:
    try:
        durations.parse(text)
    except durations.NotADuration:
        return
    assert re.search(durations.PATTERN, text)


def _objects(part: Any) -> list[Any]:
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return [part, *(found for each in inner for found in _objects(each))]


def test_no_default_contradicts_its_own_schema_and_each_shape_is_described() -> None:
    parts = SCHEMA_OF_TODAY["$defs"]
    for part in _objects(SCHEMA_OF_TODAY):
        if isinstance(part, dict) and "default" in part:
            assert Draft202012Validator({**part, "$defs": parts}).is_valid(part["default"]), part
    shapes = [shape for part in parts.values() for shape in part.get("anyOf", [part]) if shape.get("type") == "object"]
    assert [shape["title"] for shape in shapes if not shape.get("description")] == []


def test_an_editor_can_explain_each_key() -> None:
    shapes = {"": SCHEMA_OF_TODAY, **{name: part for name, part in SCHEMA_OF_TODAY["$defs"].items() if "Shape" in name}}
    bare = [
        f"{name}.{key}"
        for name, shape in shapes.items()
        for key, field in shape.get("properties", {}).items()
        if not field.get("description")
    ]
    assert bare == []
