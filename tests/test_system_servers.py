"""A machine with nothing but Python and pip has its tests too, and those that made do are known by name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import valkey_binary

ROOT = Path(__file__).parents[1]
CONFTEST = """
import pytest
from tests.servers import redis_server
from tests.system_servers import pytest_addoption, pytest_collection_modifyitems, pytest_runtest_logreport

@pytest.fixture(scope="session")
def shared():
    with redis_server() as server:
        yield server

@pytest.fixture(scope="session")
def nowhere():
    from tests.servers import need
    return need("a-server-of-nobody", "write one")
"""
SUITE = """
import subprocess
import sys
import pytest

@pytest.mark.parametrize("name", ["one", "two"])
def test_shared(shared, name):
    assert shared.port

def test_in_a_process():
    words = [sys.executable, "-c", "from tests.servers import redis_binary; print(redis_binary())"]
    print(subprocess.run(words, check=True, capture_output=True, text=True).stdout)

def test_without_a_server():
    pass

@pytest.mark.parametrize("name", ["one", "two"])
def test_nowhere(nowhere, name):
    pass
"""
ELSEWHERE = """
def test_shared_where_the_server_is_not_the_matter(shared):
    assert shared.port

def test_nowhere(nowhere):
    pass
"""
LISTED = [
    "tests/access/test_elsewhere.py::test_nowhere",
    "tests/store/test_small.py::test_in_a_process",
    "tests/store/test_small.py::test_nowhere[one]",
    "tests/store/test_small.py::test_nowhere[two]",
    "tests/store/test_small.py::test_shared[one]",
    "tests/store/test_small.py::test_shared[two]",
]


def run(directory: Path, *words: str, **environment: str) -> tuple[str, int]:
    """A small suite of its own on a machine whose programs are those in ``bin``; how it ended."""
    (directory / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    for file, suite in (("store/test_small.py", SUITE), ("access/test_elsewhere.py", ELSEWHERE)):
        (directory / "tests" / file).parent.mkdir(parents=True, exist_ok=True)
        (directory / "tests" / file).write_text(suite, encoding="utf-8")
    (directory / "bin").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(directory)]
    kept = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("JIT_TEST")}
    here = {"PYTHONPATH": str(ROOT), "PATH": str(directory / "bin"), "JIT_TEST_STAND_INS": str(directory / "listed")}
    ended = subprocess.run(
        [*command, "-p", "no:cacheprovider", *words, str(directory)],
        cwd=directory,
        env={**kept, **here, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return ended.stdout + ended.stderr, ended.returncode


def listed(directory: Path) -> list[str]:
    return sorted(set((directory / "listed").read_text(encoding="utf-8").splitlines()))


@pytest.mark.parametrize("words", [(), ("-n", "1")], ids=["alone", "under xdist"])
def test_each_test_about_a_server_that_had_a_stand_in_and_each_skipped_one_is_listed_and_run_again(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    said, code = run(tmp_path, *words)
    assert code == 0, said
    assert "5 passed, 3 skipped" in said
    assert "a-server-of-nobody is not on this machine: write one" in said
    assert listed(tmp_path) == LISTED
    said, code = run(tmp_path, f"--again={tmp_path / 'listed'}", *words)
    assert code == 0, said
    assert "3 passed, 3 skipped" in said


@pytest.mark.parametrize("text", ["", "tests/store/test_small.py::test_that_is_gone\n"])
def test_a_list_of_nothing_or_of_other_tests_is_a_mistake(tmp_path: Path, text: str) -> None:
    (tmp_path / "other").write_text(text, encoding="utf-8")
    said, code = run(tmp_path, f"--again={tmp_path / 'other'}")
    assert code == pytest.ExitCode.USAGE_ERROR, said
    assert "other lists" in said


def test_where_the_machines_servers_are_required_nothing_stands_in(tmp_path: Path) -> None:
    said, code = run(tmp_path, CI="true")
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "redis-server is not on this machine: apt-get install redis-server" in said
    assert "1 failed, 1 passed, 6 errors" in said


def test_of_a_machine_that_is_to_have_none_its_servers_are_not_taken(tmp_path: Path) -> None:
    trap = tmp_path / "bin" / "redis-server"
    trap.parent.mkdir()
    trap.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    trap.chmod(0o755)
    said, code = run(tmp_path, CI="true", JIT_TEST_SYSTEM_SERVERS="none")
    assert code == 0, said
    assert "5 passed, 3 skipped" in said
    assert listed(tmp_path) == LISTED


def test_a_server_of_the_machine_goes_before_a_stand_in(tmp_path: Path) -> None:
    own = tmp_path / "bin" / "redis-server"
    own.parent.mkdir()
    own.write_text(f'#!/bin/sh\nexec {valkey_binary()} "$@"\n', encoding="utf-8")
    own.chmod(0o755)
    said, code = run(tmp_path)
    assert code == 0, said
    assert listed(tmp_path) == [test for test in LISTED if "nowhere" in test]
