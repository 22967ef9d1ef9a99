"""What can be forgotten, remembered: errors worded, actions handled, settings told, modules that say what they are."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
from pathlib import Path

import pytest

from bot import settings
from bot.core import errors, events, policy
from bot.core.errors import JitError, NotUnderstood
from bot.core.policy_text import parse
from bot.core.yaml_source import Source
from bot.policy_file import facts
from handlers import replies
from handlers.views import actions
from providers.systems import registry
from tests.readme import README, written

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for room in ("bot", "handlers", "providers") for path in (ROOT / room).rglob("*.py"))


def _leaves() -> set[type[Exception]]:
    found: set[type[Exception]] = {
        cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, JitError)
    }
    return found - {JitError, NotUnderstood}


def test_every_error_has_a_sentence() -> None:
    assert replies.worded() == _leaves()


def test_every_error_stands_in_the_tree() -> None:
    tree = errors.__doc__ or ""
    assert [cls.__name__ for cls in _leaves() if cls.__name__ not in tree] == []


def test_every_error_is_raised_somewhere() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in MODULES)
    assert [cls.__name__ for cls in _leaves() if not re.search(rf"raise {cls.__name__}\b", code)] == []


@pytest.mark.parametrize("code", list(policy.Code))
def test_every_reason_has_words(code: policy.Code) -> None:
    verdict = policy.Verdict(reasons=(policy.Reason(code=code, about=("dba",)),))
    assert len(replies.sentence(errors.NotAllowed(verdict))) > 30


def test_every_action_and_view_is_listened_to() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "handlers").glob("*.py"))
    names = {value: name for name, value in vars(actions).items() if isinstance(value, str) and name.isupper()}
    for action in actions.BUTTONS:
        assert f"@app.action(actions.{names_of(action, 'button')})" in code
    for view in actions.VIEWS:
        assert re.search(rf"@app\.view\(actions\.{names_of(view, 'view')}\)", code), names[view]


def names_of(value: str, kind: str) -> str:
    """The constant behind a value: views end in _VIEW, buttons do not."""
    names = [name for name, found in vars(actions).items() if found == value and name.isupper()]
    return next(name for name in names if name.endswith("_VIEW") == (kind == "view"))


def test_the_readme_has_what_is_generated() -> None:
    text = README.read_text(encoding="utf-8")
    assert written(text) == text, "run `python -m tests.readme`"


def test_the_policy_file_of_the_readme_is_good() -> None:
    text = README.read_text(encoding="utf-8")
    [sample] = re.findall(r"```yaml\n(version: 1.*?)```", text, re.DOTALL)
    assert parse([Source("README.md", sample)], facts, registry.names()).find("debug-prod") is not None


def test_every_setting_is_told_and_every_told_one_is_read() -> None:
    told = {setting.name for setting in settings.SETTINGS}
    read = {str(field.alias) for field in settings.Settings.model_fields.values()}
    assert told == read


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_opens_with_a_sentence(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), path


def test_only_settings_reads_the_environment() -> None:
    readers = [path.name for path in MODULES if "os.environ" in path.read_text(encoding="utf-8")]
    # The composition root hands the environment on to providers, whose secrets are references into it.
    assert sorted(readers) == ["app.py", "settings.py"]


def test_enum_members_have_a_docstring_beneath() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in node.bases):
                body = node.body
                for member, after in zip(body, [*body[1:], None], strict=True):
                    if isinstance(member, ast.Assign):
                        assert isinstance(after, ast.Expr), f"{path.name}: {ast.unparse(member)}"


def test_events_are_what_the_table_knows() -> None:
    kinds = {
        cls.model_fields["kind"].default
        for _, cls in inspect.getmembers(events, inspect.isclass)
        if issubclass(cls, events.Happening) and "kind" in cls.model_fields
    }
    from bot.core.lifecycle import BEGINNINGS, TRANSITIONS

    placed = {kind for row in TRANSITIONS.values() for kind in row} | set(BEGINNINGS)
    assert {kind for kind in kinds if isinstance(kind, str)} == placed


def test_no_file_names_a_registry_or_a_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    hosts = re.compile("pypi" + r"\.org|npm" + r"js\.(org|com)|files\.python" + "hosted")
    for name in listed:
        text = (ROOT / name).read_text(encoding="utf-8", errors="ignore") if (ROOT / name).exists() else ""
        assert not hosts.search(text), name
    top = {name.split("/")[0] for name in listed}
    allowed = {"bot", "handlers", "providers", "tests", "pyproject.toml", "Procfile", "README.md"}
    assert {name for name in top if not name.startswith(".")} <= allowed


def test_the_whole_tree_is_at_the_top_level_it_should_be() -> None:
    assert (ROOT / "Procfile").read_text().splitlines()[0].startswith("release:")
