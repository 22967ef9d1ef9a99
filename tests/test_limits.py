"""A test that hangs is named with its stacks, and ends; so does a process that hangs after its last test."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFTEST = """
from tests.limits import pytest_configure, pytest_sessionfinish, pytest_timeout_set_timer
"""
DEAF = """
import asyncio

async def deaf_to_cancelling() -> None:
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

async def test_that_leaves_a_deaf_task() -> None:
    task = asyncio.create_task(deaf_to_cancelling(), name="the deaf one")
    await asyncio.sleep(0)
    task.cancel()

def test_after_it() -> None:
    pass
"""


def pytests(directory: Path, code: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A small suite of its own, with the limits of this one."""
    (directory / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (directory / "test_small.py").write_text(textwrap.dedent(code), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(directory)]
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", *words, str(directory)],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("words", [(), ("-n", "1")], ids=["alone", "under xdist"])
def test_a_test_whose_loop_cannot_end_is_named_with_the_stack_of_the_task_that_keeps_it(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    ended = pytests(tmp_path, DEAF, "-o", "timeout=3", *words)
    said = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert "test_small.py::test_that_leaves_a_deaf_task took more than 3 s" in said
    assert "+++ task the deaf one +++" in said
    assert "in deaf_to_cancelling" in said
    if words:
        assert "1 failed, 2 passed" in said, "its body had passed, and the others go on"


def test_a_test_that_never_gives_the_loop_back_is_named_with_the_stack_of_its_thread(tmp_path: Path) -> None:
    code = """
    import threading

    def stuck() -> None:
        threading.Event().wait()

    async def test_that_blocks() -> None:
        print("what it said until then")
        stuck()
    """
    ended = pytests(tmp_path, code, "-o", "timeout=3")
    said = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert "test_that_blocks took more than 3 s" in said
    assert "in stuck" in said
    assert "what it said until then" in said


def test_a_process_that_hangs_after_its_last_test_ends_with_its_stacks(tmp_path: Path) -> None:
    code = """
    import threading

    def never() -> None:
        threading.Event().wait()

    def test_that_leaves_a_thread() -> None:
        threading.Thread(target=never).start()
    """
    ended = pytests(tmp_path, code, JIT_TESTS_AFTER="12")
    assert ended.returncode != 0
    assert "1 passed" in ended.stdout
    assert "in never" in ended.stderr


def test_a_worker_that_waits_for_the_others_is_not_ended(tmp_path: Path) -> None:
    (tmp_path / "test_quick.py").write_text("def test_quick() -> None: ...\n", encoding="utf-8")
    code = """
    import time

    def test_long() -> None:
        time.sleep(10)  # what its neighbour waits for is this time itself
    """
    ended = pytests(tmp_path, code, "-n", "2", "--dist", "loadfile", JIT_TESTS_AFTER="8")
    assert "2 passed" in ended.stdout
    assert "Timeout" not in ended.stderr
