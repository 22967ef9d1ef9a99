"""What is written for people: links lead somewhere, and what is named is there."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from bot.cli.main import main
from bot.policy.catalog import EscalateTo, Role
from bot.policy.loader import facts, installed
from bot.policy.parse import parse
from bot.policy.yaml_source import Source
from handlers.slack.verbs import COMMANDS
from providers.systems import registry
from tests.house import POLICY

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / ".github").glob("*.md")), *sorted((ROOT / "bot/guides").glob("*.md"))]
IN_SLACK = {"commands.md", "help.md"}
"""What the bot itself shows, which links to nothing."""
ROOMS = r"(?:bot|handlers|providers|tests|\.github|\.ci)"
documents = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _links(path: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", _read(path), flags=re.DOTALL))


def _anchors(path: Path) -> set[str]:
    """The headings of a document, as GitHub names them."""
    heads = re.findall(r"^#+ (.+)$", _read(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@documents
def test_each_link_leads_to_a_file_of_ours_and_to_a_heading_in_it(path: Path) -> None:
    for link in _links(path):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.is_file(), f"{path.name}: {link}"
        assert target.is_relative_to(ROOT), f"{path.name}: {link}"
        assert not anchor or anchor in _anchors(target), f"{path.name}: {link}"


def test_each_guide_can_be_reached_from_the_readme() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in _links(ROOT / "README.md")}
    # These are in the README word for word, in Slack, or in an evidence page.
    own = IN_SLACK | {"workspace.md"}
    assert [path.name for path in DOCUMENTS[1:] if path.name not in own and path not in linked] == []


@documents
def test_each_path_and_module_that_is_named_exists(path: Path) -> None:
    text = _read(path)
    for named in set(re.findall(rf"`({ROOMS}(?:/[\w.-]+)*/?)`", text)):
        assert (ROOT / named).exists(), f"{path.name}: {named}"
    for module in set(re.findall(rf"(?<![\w./-])({ROOMS}(?:\.\w+)+)(?![\w/])", text)):
        if not (ROOT / module).exists():
            assert importlib.util.find_spec(module), f"{path.name}: {module}"


@documents
def test_each_command_that_is_named_exists(path: Path) -> None:
    text = _read(path)
    assert set(re.findall(r"`/jit ([a-z-]+)", text)) <= set(COMMANDS)
    named = set(re.findall(r"(?:^|`|  )jit ([a-z]+)", text, re.MULTILINE))
    assert named <= set(main.commands), path.name
    for group, command in re.findall(r"`jit (requests|people|audit|policy) ([a-z-]+)", text):
        assert command in getattr(main.commands[group], "commands", {}), f"{path.name}: jit {group} {command}"


def test_the_rule_of_the_policy_guide_is_good() -> None:
    [rules] = re.findall(r"```yaml\n(rules:.*?)```", _read(ROOT / "bot/guides/policy.md"), re.DOTALL)
    policy = POLICY.replace("    approvers: [dba]\n", "    approvers: [dba]\n    on_call: dba\n", 1) + rules
    known = parse([Source("policy.md", policy)], facts, registry.names(), installed()).rules
    assert [rule.then.outcome for rule in known] == ["approve", "deny", "require", "require", "shorten"]


def test_the_second_factor_of_the_policy_guide_says_what_holds_without_it() -> None:
    [line] = re.findall(r"```yaml\nworkspace:\n  (mfa: .*?)\n```", _read(ROOT / "bot/guides/policy.md"), re.DOTALL)
    texts = [re.sub("mfa: .*", said, POLICY, count=1) for said in (line, "")]
    written, default = (
        parse([Source("policy.md", text)], facts, registry.names(), installed()).workspace.mfa for text in texts
    )
    assert written.factors == ("totp",)
    assert written.model_copy(update={"factors": None}) == default


def test_the_tests_of_the_policy_guide_pass_with_the_starter(tmp_path: Path) -> None:
    [cases] = re.findall(r"```yaml\n(policy: .*?)```", _read(ROOT / "bot/guides/policy.md"), re.DOTALL)
    (tmp_path / "jit.yaml").write_text(_read(ROOT / "bot/guides/starter.yaml"), encoding="utf-8")
    (tmp_path / "jit.test.yaml").write_text(cases, encoding="utf-8")
    done = CliRunner().invoke(main, ["policy", "test", str(tmp_path / "jit.test.yaml")])
    assert (done.exit_code, "2 passed" in done.output) == (0, True), done.output


def _role_of_the_policy_guide(name: str, provider: str = "postgresql") -> Role:
    """A role of the guide's examples, in a policy that has what it names."""
    examples = re.findall(r"```yaml\n(roles:\n.*?)```", _read(ROOT / "bot/guides/policy.md"), re.DOTALL)
    [roles] = [each for each in examples if f"  {name}:\n" in each]
    config = "    config: {dsn: env:DSN}\n" if provider == "postgresql" else ""
    system = f"systems:\n  db:\n    title: Database\n    provider: {provider}\n{config}"
    system += "    channel: C0VAULT01\n    approvers: [dba]\n"
    text = POLICY.replace("systems:\n", system + "".join(f"    {line}\n" for line in roles.splitlines()))
    groups = "".join(
        f"  {g}: {{slack_usergroup: S0DBA0001}}\n" for g in ("developers", "reviewers", "release-managers")
    )
    groups += "  on-call: {slack_usergroup: S0ONCALL1}\n  dba-leads: {people: [lea@example.com]}\n"
    text = text.replace("groups:\n", f"groups:\n{groups}", 1)
    role = parse([Source("policy.md", text)], facts, registry.names()).role("db", name)
    assert role
    return role


def test_the_system_of_the_mariadb_guide_is_good() -> None:
    [systems] = re.findall(r"```yaml\n(systems:\n.*?)```", _read(ROOT / "bot/guides/mysql.md"), re.DOTALL)
    text = POLICY.replace("systems:\n", systems, 1)
    policy = parse([Source("mysql.md", text)], facts, registry.names())
    role = policy.role("orders", "read-only")
    assert role
    assert role.grants == {"privileges": ["SELECT"], "database": {"ask": "database"}}
    assert policy.role("orders", "deploy")


def test_the_inputs_of_the_policy_guide_are_good() -> None:
    role = _role_of_the_policy_guide("read-only")
    assert [(name, shape.kind) for name, shape in role.asks.items()] == [("group", "choice"), ("database", "pattern")]


def test_the_approval_steps_of_the_policy_guide_are_good() -> None:
    role = _role_of_the_policy_guide("push")
    assert role.ordered
    assert [(step.any_of, step.count, step.owner) for step in role.steps] == [
        (("reviewers",), 1, False),
        (("dba",), 2, True),
    ]
    assert role.steps[0].skip_if_requester_in == ("release-managers",)
    assert role.steps[1].escalate == EscalateTo(after=1800, to=("platform",))


def test_the_break_glass_of_the_policy_guide_is_good() -> None:
    role = _role_of_the_policy_guide("admin", "sandbox")
    assert role.break_glass
    assert (role.break_glass.at_most, role.break_glass.review_within) == (3600, 86_400)


def test_the_digest_of_the_policy_guide_has_every_edition() -> None:
    [lines] = re.findall(r"```yaml\nworkspace:\n(  digest: .*?)```", _read(ROOT / "bot/guides/policy.md"), re.DOTALL)
    known = parse(
        [Source("policy.md", POLICY.replace("workspace:\n", f"workspace:\n{lines}"))], facts, registry.names()
    )
    digest = known.workspace.digest
    assert digest is not None
    assert (digest.at, digest.weekly, digest.monthly) == ("09:00", "monday 09:00", "1 09:00")


def test_the_times_of_the_policy_guide_are_the_defaults() -> None:
    from bot.core import durations
    from bot.policy.schema import WorkspaceShape

    [times] = re.findall(r"^## Times\n(.*?)^## ", _read(ROOT / "bot/guides/policy.md"), re.DOTALL | re.MULTILINE)
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.+) \|$", times, re.MULTILINE)
    assert {name for name, _ in rows} == {
        "pending",
        "consent",
        "remind",
        "warn",
        "start_grace",
        "grant_budget",
        "retention",
    }
    for name, default in rows:
        known = WorkspaceShape.model_fields[name].default
        assert default == ("half of `pending`" if known is None else f"`{durations.short(known)}`")


def test_the_readme_is_short() -> None:
    assert len(_read(ROOT / "README.md").splitlines()) < 200


def test_the_entry_points_that_the_guide_of_providers_names_are_those_of_the_project() -> None:
    groups = tomllib.loads(_read(ROOT / "pyproject.toml"))["project"]["entry-points"]
    named = re.findall(r"`(jit\.\w+)`", _read(ROOT / "bot/guides/providers.md"))
    assert named
    assert set(named) <= set(groups)
