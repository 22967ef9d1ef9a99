"""Which servers the tests may have: this machine's, or only those that pip brings. It starts none.

Where the machine has no `redis-server` or PostgreSQL, the Valkey and the PostgreSQL of the ``dev`` extra stand in.
With ``JIT_TEST_SYSTEM_SERVERS=none`` they do so everywhere: the machine's servers are not looked for, as if it had
nothing but Python and pip. With ``CI=true`` nothing stands in, and a missing server is a failure instead of a skip,
except for the machine's where ``JIT_TEST_SYSTEM_SERVERS=none``.

``JIT_TEST_STAND_INS=FILE`` lists the tests that a second run, with the machine's servers, has to run: those that were
skipped for want of a server, and in the rooms where the server itself is the matter those that had a stand-in.
``pytest --again=FILE`` runs those and no others.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

_IS_LACKING = "is not on this machine"
_ABOUT_SERVERS = ("store", "providers", "audit/archive", "audit/shipping", "chaos")
"""Rooms of tests whose matter is a server, or a program that speaks to one past the store."""


def allowed() -> bool:
    """Whether the machine's own servers may be used."""
    return os.environ.get("JIT_TEST_SYSTEM_SERVERS") != "none"


def which(binary: str) -> str | None:
    """A program of the machine's, if it may be used."""
    return shutil.which(binary) if allowed() else None


def required() -> bool:
    """Whether the machine must have each server."""
    return allowed() and os.environ.get("CI") == "true"


def lacking(what: str, how: str, *, from_pip: bool = False) -> NoReturn:
    """Skip for a person, fail in CI: a test that needs a server is never silently left out there."""
    sentence = f"{what} {_IS_LACKING}: {how}"
    if required() or (from_pip and os.environ.get("CI") == "true"):
        pytest.fail(sentence)
    pytest.skip(sentence)


def stands_in() -> None:
    """List the test that runs now, which may have started this process, where it is about the server."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
    if test.startswith(tuple(f"tests/{room}/" for room in _ABOUT_SERVERS)):
        _listed(test)


def _listed(test: str) -> None:
    file = os.environ.get("JIT_TEST_STAND_INS")
    if file and test:
        with Path(file).open("a", encoding="utf-8") as tests:
            tests.write(f"{test}\n")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--again``, after the list of an earlier run."""
    parser.addoption("--again", metavar="FILE", help="run only the tests that JIT_TEST_STAND_INS=FILE has listed")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A shared server that is lacking is looked for once, and each of its tests is skipped."""
    if report.skipped and _IS_LACKING in str(report.longrepr):
        _listed(report.nodeid)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the listed tests; a list that is empty or of another suite is a mistake."""
    file = config.getoption("--again")
    if file is None:
        return
    listed = set(Path(file).read_text(encoding="utf-8").splitlines())
    if unknown := listed - {item.nodeid for item in items}:
        raise pytest.UsageError(f"{file} lists what is no test here: {sorted(unknown)[:5]}")
    if not listed:
        raise pytest.UsageError(f"{file} lists no test")
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in listed])
    items[:] = [item for item in items if item.nodeid in listed]
