"""What can be forgotten, remembered: errors worded, actions handled, settings told, modules that say what they are."""

from __future__ import annotations

import ast
import inspect
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot import settings
from bot.core import (
    enrolment_errors,
    errors,
    events,
    factor_errors,
    identity_errors,
    limit_errors,
    question_errors,
)
from bot.core.enrolment_errors import CannotEnrol
from bot.core.errors import JitError, NotUnderstood
from bot.core.factor_errors import NotProved
from bot.core.happening import Happening
from bot.core.verdict import Code, Reason, Verdict
from bot.policy.loader import facts
from bot.policy.parse import parse
from bot.policy.yaml_source import Source
from handlers import error_messages
from handlers.views import action_ids
from providers.systems import registry
from tests.readme import README, generated, written
from tests.system_servers import lacking

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for room in ("bot", "handlers", "providers") for path in (ROOT / room).rglob("*.py"))


ERRORS = (errors, identity_errors, limit_errors, question_errors, factor_errors, enrolment_errors)


def _leaves() -> set[type[Exception]]:
    found: set[type[Exception]] = {
        cls for module in ERRORS for _, cls in inspect.getmembers(module, inspect.isclass) if issubclass(cls, JitError)
    }
    return found - {JitError, NotUnderstood, NotProved, CannotEnrol}


def test_every_error_has_a_sentence() -> None:
    assert error_messages.worded() == _leaves()


def test_every_error_stands_in_the_tree() -> None:
    tree = "".join(str(module.__doc__) for module in ERRORS)
    assert [cls.__name__ for cls in _leaves() if cls.__name__ not in tree] == []


def test_every_error_is_raised_somewhere() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in MODULES)
    assert [cls.__name__ for cls in _leaves() if not re.search(rf"raise {cls.__name__}\b", code)] == []


@pytest.mark.parametrize("code", list(Code))
def test_every_reason_has_words(code: Code) -> None:
    verdict = Verdict(reasons=(Reason(code=code, about=("dba",)),))
    assert len(error_messages.sentence(errors.NotAllowed(verdict))) > 25


def test_every_action_and_view_is_listened_to() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "handlers").glob("*.py"))
    names = {value: name for name, value in vars(action_ids).items() if isinstance(value, str) and name.isupper()}
    for action in action_ids.BUTTONS:
        assert f"@app.action(action_ids.{names_of(action, 'button')})" in code
    for view in action_ids.VIEWS:
        assert re.search(rf"@app\.view\(action_ids\.{names_of(view, 'view')}\)", code), names[view]


def names_of(value: str, kind: str) -> str:
    """The constant behind a value: views end in _VIEW, buttons do not."""
    names = [name for name, found in vars(action_ids).items() if found == value and name.isupper()]
    return next(name for name in names if name.endswith("_VIEW") == (kind == "view"))


@pytest.mark.parametrize("path", generated(), ids=lambda path: path.name)
def test_the_readme_and_the_guides_have_what_is_generated(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert written(text, generated()[path]) == text, "run `python -m tests.readme`"


def test_the_policy_file_of_the_readme_is_good() -> None:
    text = README.read_text(encoding="utf-8")
    [sample] = re.findall(r"```yaml\n(version: 1.*?)```", text, re.DOTALL)
    assert parse([Source("README.md", sample)], facts, registry.names()).find("debug-prod") is not None


def test_every_setting_is_told_and_every_told_one_is_read() -> None:
    told = {setting.name for setting in settings.SETTINGS}
    read = {str(field.alias) for field in settings.Settings.model_fields.values()}
    assert told == read


def test_every_module_opens_with_a_sentence() -> None:
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in MODULES}
    assert [name for name, text in texts.items() if text.strip() and not ast.get_docstring(ast.parse(text))] == []


_MOST_LINES = 350
_UNSAID = re.compile(r"\b(TODO|FIXME|XXX|TBD)\b|^\W*$")


def test_a_type_that_others_use_has_a_name_of_its_own() -> None:
    defined: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                defined.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    twice = {name: places for name, places in defined.items() if len(places) > 1}
    # A provider imports nothing of the bot.
    assert twice == {
        "Frozen": ["bot/core/frozen.py", "providers/base.py"],
        "System": ["bot/policy/catalog.py", "providers/systems/base.py"],
    }


def test_no_module_is_too_long_to_be_read_at_once() -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: lines for name, lines in long.items() if lines > _MOST_LINES} == {}


def test_every_docstring_says_something() -> None:
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    unsaid = [
        f"{path.relative_to(ROOT)}: {getattr(node, 'name', 'module')}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, kinds) and _UNSAID.search(ast.get_docstring(node) or "said")
    ]
    assert unsaid == []


_PUBLIC = {"_asdict", "_replace", "_make", "_fields", "_exit"}
_PRIVATE_STILL = {
    "tests/audit/export/test_export.py: cli_audit._progress",
    "tests/journeys/test_digest.py: app.announcer._stopping",
}


def _is_anothers(node: ast.Attribute) -> bool:
    own = ast.unparse(node.value) in {"self", "cls", "super()"}
    return node.attr.startswith("_") and not node.attr.startswith("__") and node.attr not in _PUBLIC and not own


def test_tests_look_at_what_is_public() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {ast.unparse(node)}"
        for path in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and _is_anothers(node)
    }
    assert found - _PRIVATE_STILL == set()


_OF_THE_MOMENT = {"time", "monotonic", "now", "today", "signed", "free_port"}


def _calls(node: ast.AST) -> Iterator[str]:
    """What an expression calls by itself: a lambda in it is called later."""
    if isinstance(node, ast.Lambda):
        return
    if isinstance(node, ast.Call):
        yield node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    for child in ast.iter_child_nodes(node):
        yield from _calls(child)


def _at_collection(module: ast.Module) -> Iterator[ast.AST]:
    """What runs when a module of tests is collected, which may be minutes before its tests run."""
    for node in module.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            yield node
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults))


def test_no_test_keeps_a_moment_from_when_it_was_collected() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in _at_collection(ast.parse(path.read_text(encoding="utf-8")))
        for name in _calls(node)
        if name in _OF_THE_MOMENT
    }
    assert found == set()


def test_only_settings_reads_the_environment() -> None:
    readers = [path.name for path in MODULES if "os.environ" in path.read_text(encoding="utf-8")]
    # The composition root hands the environment on to providers, whose secrets are references into it.
    assert sorted(readers) == ["app.py", "settings.py"]


def test_tasks_are_cancelled_in_one_place_which_waits_for_them_with_a_limit() -> None:
    cancelling = {str(path.relative_to(ROOT)) for path in MODULES if ".cancel()" in path.read_text(encoding="utf-8")}
    assert cancelling == {
        "bot/tasks.py",
        "bot/http_connections.py",  # timers
        "bot/store/batching.py",  # the answer that somebody waits for, which is no task
        "providers/systems/mysql/connection.py",  # timers
        "providers/systems/postgresql/connection.py",  # a timer
        # They import nothing of the bot, and bound the wait themselves.
        "providers/systems/postgresql/locks.py",  # whose connection is cut off at its time
        "bot/playground/delivery.py",
        "providers/systems/conformance/hazards.py",
    }


def test_no_time_limit_can_lose_a_cancellation() -> None:
    """`asyncio.wait_for` does on Python 3.11; `bot.tasks.within` does not."""
    losing = {
        str(path.relative_to(ROOT)) for path in MODULES if "asyncio.wait_for(" in path.read_text(encoding="utf-8")
    }
    assert losing == {"providers/systems/conformance/hostile.py", "providers/systems/conformance/hazards.py"}


def test_no_command_prints_around_the_terminal() -> None:
    around = re.compile(r"click\.(echo|secho|style|ClickException)|\bprint\(|sys\.(stdout|stderr)\.(write|buffer)")
    found = {str(path.relative_to(ROOT)) for path in MODULES if around.search(path.read_text(encoding="utf-8"))}
    # The others write a picture, and the events of a calendar, to the process that started them.
    assert found == {"bot/terminal.py", "bot/reports/digest/chart.py", "providers/directories/ical/expand.py"}


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
        if issubclass(cls, Happening) and "kind" in cls.model_fields
    }
    from bot.core.lifecycle import ANYWHERE, BEGINNINGS, TRANSITIONS

    placed = {kind for row in TRANSITIONS.values() for kind in row} | set(BEGINNINGS) | ANYWHERE
    assert {kind for kind in kinds if isinstance(kind, str)} == placed


def test_no_file_names_a_registry_or_a_machine() -> None:
    if shutil.which("git") is None:
        lacking("git", "apt-get install git")
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
