"""Every test has a limit: one that takes longer is named, with what it waits for, and ends the process that runs it.

A hung event loop cannot be reasoned with: an exception raised into it ends the test's body, and the loop's own end
then waits for the same task again, with no limit left. So the process ends; under xdist another takes its place.
After the last test a second limit holds, for what an interpreter waits for at its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import os
import threading
from typing import Any, NoReturn, TextIO

import pytest

AFTER = 180.0
"""Seconds from the last test to the end of the process; the whole coverage is put together in them."""
_ERROR = pytest.StashKey[TextIO]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep the way to the terminal: within a test, standard error is captured."""
    config.stash[_ERROR] = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool:
    """Start the time of one test, from its first fixture to the end of its last."""
    timer = threading.Timer(settings.timeout, _too_long, (item, settings.timeout))
    timer.daemon = True
    item.cancel_timeout = timer.cancel  # type: ignore[attr-defined]  # where pytest-timeout looks for it
    timer.start()
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Start the time of the end. Written in C, it also holds when Python waits for a thread that never ends.

    A worker of xdist has none: it may wait long for the others, and whoever started it ends it.
    """
    if hasattr(session.config, "workerinput"):
        return
    seconds = float(os.environ.get("JIT_TESTS_AFTER", AFTER))
    faulthandler.dump_traceback_later(seconds, exit=True, file=session.config.stash[_ERROR])


def _too_long(item: pytest.Item, seconds: float) -> NoReturn:
    error = item.config.stash[_ERROR]
    try:
        print(f"\n+++ {item.nodeid} took more than {seconds:g} s +++", file=error)
        _captured(item, error)
        error.flush()
        faulthandler.dump_traceback(error, all_threads=True)
        # The stack of a loop that waits says nothing: its tasks know what they wait for.
        for task in (found for found in gc.get_objects() if isinstance(found, asyncio.Task)):
            if not task.done():
                print(f"\n+++ task {task.get_name()} +++", file=error)
                task.print_stack(file=error)
        print(f"+++ {item.nodeid}: end of the stacks +++", file=error)
        error.flush()
    finally:
        os._exit(1)


def _captured(item: pytest.Item, error: TextIO) -> None:
    capturing: Any = item.config.pluginmanager.getplugin("capturemanager")
    with contextlib.suppress(Exception):  # what a test said until now is a help, and no more
        capturing.suspend_global_capture(item)
        for said in capturing.read_global_capture():
            print(said, file=error)
