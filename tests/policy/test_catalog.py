"""A good policy file becomes what can be asked for; text of any kind becomes that, or mistakes, and nothing else."""

from __future__ import annotations

import itertools

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.policy.catalog import EVERYONE, Catalog, EscalateTo, RoleRef, Step
from bot.policy.field_types import Sensitivity
from tests.policy.policies import WHOLE, catalog, mistakes


def test_what_is_not_written_has_a_careful_default() -> None:
    whole = catalog(WHOLE)
    admin = whole.systems["prod-db"].roles["admin"]
    assert admin.sensitivity is Sensitivity.HIGH
    assert admin.title is None
    assert whole.templates["debug"].reason.required
    space = whole.workspace
    assert (space.pending, space.grant_budget, space.retention) == (4 * 3600, 600, 30 * 86_400)
    assert (space.limits.open, space.limits.submits) == (5, 10)


@pytest.mark.parametrize(
    ("on_call", "written", "mention", "dm"),
    [
        (False, "", "group", "none"),
        (True, "", "group", "on-call"),
        (True, "notify: {mention: on-call}", "on-call", "on-call"),
        (True, "notify: {dm: none}", "group", "none"),
        (False, "notify: {mention: none, dm: all}", "none", "all"),
    ],
)
def test_who_decides_is_reached_as_the_role_says(on_call: bool, written: str, mention: str, dm: str) -> None:
    text = WHOLE.replace("max: 8h", f"max: 8h\n        {written}")
    found = catalog(text.replace("approvers: [dba]", "approvers: [dba]\n    on_call: dba") if on_call else text)
    role = found.role("prod-db", "read-only")
    assert role
    assert (role.notify.mention, role.notify.dm) == (mention, dm)
    assert found.systems["prod-db"].on_call == ("dba" if on_call else None)


def test_a_role_without_steps_needs_one_of_its_systems_approvers() -> None:
    role = catalog(WHOLE).role("prod-db", "read-only")
    assert role
    assert role.steps == (Step(any_of=("dba",), count=1),)
    assert role.may_ask == (EVERYONE,)


def test_steps_keep_their_order_and_counts() -> None:
    role = catalog(WHOLE).role("prod-db", "admin")
    assert role
    assert role.steps == (Step(any_of=("dba",)), Step(any_of=("platform",), count=2))


def test_a_step_can_be_of_the_owners_skipped_for_some_and_escalate_and_all_of_them_in_order() -> None:
    steps = "{owner: true, skip_if_requester_in: [platform]}, {any_of: [platform], escalate: {after: 30m, to: [dba]}}"
    old = "{steps: [{any_of: [dba]}, {any_of: [platform], count: 2}]}"
    text = WHOLE.replace(old, f"{{ordered: true, steps: [{steps}]}}")
    role = catalog(text).role("prod-db", "admin")
    assert role
    assert role.ordered
    assert role.steps == (
        Step(any_of=("dba",), owner=True, skip_if_requester_in=("platform",)),
        Step(any_of=("platform",), escalate=EscalateTo(after=1800, to=("dba",))),
    )
    plain = catalog(WHOLE).role("prod-db", "admin")
    assert plain
    assert not plain.ordered
    assert plain.digest == role.digest, "what is granted is the same: nothing that was requested is cancelled"


def test_a_template_is_found_by_its_name() -> None:
    choice = catalog(WHOLE).find("debug")
    assert choice
    assert choice.roles == (RoleRef(system="prod-db", role="read-only"),)
    assert choice.durations == (1800, 3600, 4 * 3600)
    assert choice.cap == 8 * 3600
    assert choice.reason.pattern == "[A-Z]+-[0-9]+"


def test_a_template_is_capped_by_the_least_of_its_roles() -> None:
    text = WHOLE.replace("[prod-db/read-only]", "[prod-db/read-only, prod-db/admin]").replace("[30m, 1h, 4h]", "[30m]")
    choice = catalog(text).find("debug")
    assert choice
    assert choice.cap == 3600


def test_a_role_is_found_by_itself() -> None:
    choice = catalog(WHOLE).find("prod-db/admin")
    assert choice
    assert (choice.title, choice.durations, choice.cap) == ("Production: admin", (), 3600)


@pytest.mark.parametrize("what", ["", "/", "debu", "prod-db", "prod-db/", "prod-db/debug", "/admin", "prod-db/admin/x"])
def test_what_is_not_in_the_policy_is_not_found(what: str) -> None:
    assert catalog(WHOLE).find(what) is None


def test_what_was_probably_meant_is_offered() -> None:
    whole = catalog(WHOLE)
    assert whole.nearest("debgu") == ["debug"]
    assert whole.nearest("prod-db/adm")[0] == "prod-db/admin"
    assert whole.nearest("zzzzzz") == []


def test_every_choice_is_found_by_its_name() -> None:
    whole = catalog(WHOLE)
    names = [choice.name for choice in whole.choices()]
    assert names == ["debug", "prod-db/read-only", "prod-db/admin"]
    assert [whole.find(name) for name in names] == whole.choices()


def test_a_catalog_cannot_be_changed() -> None:
    whole = catalog(WHOLE)
    with pytest.raises(ValidationError):
        whole.policy_hash = "another"  # type: ignore[misc]  # that is the point
    with pytest.raises(ValidationError):
        whole.systems["prod-db"].roles["admin"].max = 1  # type: ignore[misc]  # that is the point


def test_off_may_be_written_with_and_without_quotes() -> None:
    assert catalog(WHOLE.replace("request: off", 'request: "off"')) == catalog(WHOLE)


def test_files_are_one_policy_in_parts() -> None:
    head, tail = WHOLE.split("templates:\n")
    other = head.split("systems:\n")[1].replace("prod-db", "test-db")
    assert catalog(head, f"version: 1\ntemplates:\n{tail}") == catalog(WHOLE)
    whole = catalog(WHOLE, f"systems:\n{other}")
    assert list(whole.systems) == ["prod-db", "test-db"]


def test_an_entry_stands_in_one_file_only() -> None:
    found = mistakes(WHOLE, "groups:\n  dba: {people: [eve@example.com]}\n")
    assert [str(mistake) for mistake in found] == ["b.yaml:2:3: groups.dba: this is in a.yaml already (line 7)"]


@pytest.mark.parametrize("section", ["workspace: {audit_channel: C0AUDIT01}", "version: 2"])
def test_a_section_that_is_no_list_of_entries_stands_in_one_file_only(section: str) -> None:
    found = mistakes(WHOLE, section)
    assert [(mistake.mark.file, mistake.mark.line) for mistake in found] == [("b.yaml", 1)]
    assert "a.yaml already" in found[0].sentence


@pytest.mark.parametrize("other", ["- a list\n", "", "version: [\n"])
def test_one_file_that_is_no_mapping_is_told_as_its_own(other: str) -> None:
    for texts in itertools.permutations([WHOLE, other]):
        assert {mistake.mark.file for mistake in mistakes(*texts)} == {"ab"[texts.index(other)] + ".yaml"}


def test_a_mistake_in_the_second_file_has_its_own_place() -> None:
    head, tail = WHOLE.split("templates:\n")
    found = mistakes(head, "templates:\n" + tail.replace("[30m, 1h, 4h]", "[30m, 1h, 40h]"))
    assert [(mistake.mark.file, mistake.mark.line) for mistake in found] == [("b.yaml", 5)]


def test_no_file_at_all_is_a_mistake() -> None:
    assert mistakes()


def flow(text: str) -> str:
    """The same policy written in another way: no comment kept, braces throughout, keys in order of the alphabet."""
    return yaml.safe_dump(yaml.safe_load(text), default_flow_style=True, sort_keys=True)


@pytest.mark.parametrize(
    "same",
    [
        WHOLE.replace("groups:", "# who is who\ngroups:  # here"),
        WHOLE.replace("max: 1h", "max: 60m"),
        WHOLE.replace("sensitivity: low", 'sensitivity: "low"'),
        WHOLE.replace("count: 2", "count: 0x2"),
        flow(WHOLE),
        "\ufeff" + WHOLE,
        WHOLE.replace("\n", "\r\n"),
    ],
)
def test_a_generation_does_not_change_with_layout(same: str) -> None:
    assert catalog(same).policy_hash == catalog(WHOLE).policy_hash


CHANGES = [
    ("max: 8h", "max: 7h"),
    ("sensitivity: low", "sensitivity: medium"),
    ("[prod_admin]", "[other_admin]"),
    ("kim@example.com", "eve@example.com"),
    ("count: 2", "count: 1"),
    ("env:PROD_DB_DSN", "env:OTHER_DSN"),
    ("C0PRODDB1", "C0OTHER01"),
    ("title: Production\n", "title: Other\n"),
    ("[30m, 1h, 4h]", "[30m, 1h]"),
    ("hint: Ticket", "hint: Why"),
    ("operators: [platform]", "operators: [dba]"),
]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_a_generation_changes_with_what_is_said(old: str, new: str) -> None:
    assert WHOLE.count(old) == 1
    assert catalog(WHOLE.replace(old, new)).policy_hash != catalog(WHOLE).policy_hash


def digest(whole: Catalog, role: str) -> str:
    """What a role grants, in short."""
    found = whole.role("prod-db", role)
    assert found
    return found.digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[prod_admin]", "[other_admin]"),
        ("max: 1h", "max: 2h"),
        ("max: 1h", "max: 1h\n        sensitivity: low"),
        ("env:PROD_DB_DSN", "env:OTHER_DSN"),
    ],
)
def test_a_role_is_another_when_what_it_grants_is(old: str, new: str) -> None:
    assert digest(catalog(WHOLE.replace(old, new)), "admin") != digest(catalog(WHOLE), "admin")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("may_ask: [dba]", "may_ask: [dba, platform]"),
        ("count: 2", "count: 1"),
        ("max: 8h", "max: 5h"),
        ("C0PRODDB1", "C0OTHER01"),
        ("max: 1h", "max: 60m\n        title: All of it"),
        ("max: 1h", "max: 1h\n        notify: {mention: none, dm: all}"),
    ],
)
def test_a_role_is_the_same_when_only_who_decides_is_another(old: str, new: str) -> None:
    assert digest(catalog(WHOLE.replace(old, new)), "admin") == digest(catalog(WHOLE), "admin")


def is_told_or_read(*texts: str) -> None:
    """Nothing but a catalog or mistakes comes of a text; a mistake has a place in it, and a line to be shown."""
    found = mistakes(*texts)
    assert found or catalog(*texts)
    for mistake in found:
        lines = texts["abc".index(mistake.mark.file[0])].count("\n") + 1
        assert 1 <= mistake.mark.line <= lines
        assert mistake.mark.column >= 1
        assert str(mistake).isprintable()


@given(st.text(max_size=300))
@example("? a\n")
@example("!!int ''\n")
@example("!!float ''\n")
@example("a: !!set {b}\n")
@example("&a [*a]\n")
@example("%YAML 9.9\n---\na: 1")
@example("\ud800")
@example("2001-99-99: 2001-99-99")
@example("=: =\n<<: <<")
@example("\x85\x850")
@example("\u2028- {\u2029")
def test_any_text_is_told_or_read(text: str) -> None:
    is_told_or_read(text)


PIECES = [
    *"{}[]:,-&*!|>'\"%@#?\n\t \0",
    "\n  ",
    "12",
    ".inf",
    "null",
    "on",
    "<<: ",
    "&a ",
    "*a",
    "!!map ",
    "2001-01-01",
]


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """The whole policy with some of its text cut out, doubled or written over."""
    text = WHOLE
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        put = draw(st.one_of(st.sampled_from(PIECES), st.text(max_size=10), st.just(text[start:end] * 2)))
        text = text[:start] + put + text[end:]
    return text


@given(damaged())
@settings(max_examples=150)
def test_a_damaged_policy_is_told_or_read(text: str) -> None:
    is_told_or_read(text)


@given(damaged(), damaged())
@settings(max_examples=40)
def test_two_damaged_files_are_told_or_read(first: str, second: str) -> None:
    is_told_or_read(first, second)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("[key]") | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


def paths(data: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in plain data."""
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(found for key, inner in entries for found in paths(inner, (*path, key)))]


PLACES = paths(yaml.safe_load(WHOLE))[1:]


@given(st.dictionaries(st.sampled_from(PLACES), ODD, min_size=1, max_size=3))
@settings(max_examples=200)
def test_a_policy_of_odd_values_is_told_or_read(odd: dict[tuple[str | int, ...], object]) -> None:
    data = yaml.safe_load(WHOLE)
    for path, value in sorted(odd.items(), key=lambda item: -len(item[0])):
        holder = data
        for part in path[:-1]:
            holder = holder[part]
        holder[path[-1]] = value
    is_told_or_read(yaml.dump(data))
