"""What a check finds, and how checks are run: all at once, each under a time limit, none keeping another from running.

Nothing that is found may show a secret: what is known to be one is struck out of every sentence here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Generic, TypeVar

from bot import tasks
from bot.redaction import Secrets

T = TypeVar("T")


class CheckVerdict(StrEnum):
    """How it is with the thing that was looked at."""

    GOOD = "good"
    """As it should be."""
    NOTE = "note"
    """It works; something about it is worth knowing."""
    WRONG = "wrong"
    """Something does not work, or will not when it is needed."""
    UNCHECKED = "unchecked"
    """Nobody could look: what is needed for it is not set, or another finding says why."""


@dataclass(frozen=True)
class CheckResult:
    """One thing that was looked at: ``found`` is what is there, ``fix`` what to do, empty where nothing is to do.

    ``stops_run``: `jit run` does not start like this.
    """

    check: str
    verdict: CheckVerdict
    found: str
    fix: str = ""
    stops_run: bool = False


def good(check: str, found: str) -> CheckResult:
    """All is well."""
    return CheckResult(check, CheckVerdict.GOOD, found)


def note(check: str, found: str, fix: str = "") -> CheckResult:
    """Worth knowing."""
    return CheckResult(check, CheckVerdict.NOTE, found, fix)


def wrong(check: str, found: str, fix: str) -> CheckResult:
    """Something is to be done."""
    return CheckResult(check, CheckVerdict.WRONG, found, fix)


def stops_run(check: str, found: str, fix: str) -> CheckResult:
    """Something is to be done before `jit run` starts."""
    return CheckResult(check, CheckVerdict.WRONG, found, fix, stops_run=True)


def unchecked(check: str, why: str, fix: str = "") -> CheckResult:
    """Nobody could look."""
    return CheckResult(check, CheckVerdict.UNCHECKED, f"not checked: {why}", fix)


@dataclass(frozen=True)
class Check:
    """Something to look at; ``patience`` in seconds."""

    name: str
    look: Callable[[], Awaitable[Sequence[CheckResult]]]
    patience: float = 20.0


class Once(Generic[T]):
    """An answer that several checks need, asked for once; an error is each one's who waits for it."""

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> None:
        """Nothing is asked yet."""
        self._ask = ask
        self._task: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """The answer. Who is tired of waiting leaves, and the others go on."""
        if self._task is None:
            self._task = asyncio.create_task(self._ask())
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._task)

    async def stop(self) -> None:
        """Ask no further."""
        if self._task is not None:
            await tasks.end([self._task])


async def gathered(
    checks: Sequence[Check], secrets: Secrets, done: Callable[[Check], None] = lambda _: None
) -> list[CheckResult]:
    """What all of them find, in their order. ``done`` is told of each when it is over."""

    async def one(check: Check) -> list[CheckResult]:
        found = await _looked(check)
        done(check)
        return [replace(f, found=secrets.hide(f.found), fix=secrets.hide(f.fix)) for f in found]

    return [finding for found in await asyncio.gather(*map(one, checks)) for finding in found]


async def _looked(check: Check) -> Sequence[CheckResult]:
    try:
        async with asyncio.timeout(check.patience):
            return await check.look()
    except TimeoutError:
        late = f"no answer within {check.patience:g} s"
        return [wrong(check.name, late, "see that it can be reached from here, and look again")]
    except Exception as error:  # noqa: BLE001  # one that breaks keeps no other from running, and is loud itself
        kind = type(error).__name__
        return [wrong(check.name, f"the check itself broke ({kind})", "the others went on; please report this one")]
