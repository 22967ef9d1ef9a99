"""One system's provider as a worker reaches it: with slots, a limit of time, a circuit; it decides nothing.

Half of the slots are kept for revokes. A provider promises that each of its calls ends within `settles_within`; one
that breaks the promise is given up a little later, so that its slot is not lost to the others. A system that answers
nothing for a while opens its circuit: nobody tries to open anything there but one at a time, and closing goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from providers.systems.base import Refused, System, Unsure

log = logging.getLogger(__name__)

T = TypeVar("T")
Told = Callable[[str, str, str, float], None]
"""Of each call: the system, the verb (one of `VERBS`, or ``other``), how it went, and how many seconds it took.

How: ``ok``, ``refused``, ``unsure``, ``timeout`` (given up by us or by the provider), ``broke`` (anything else).
"""
VERBS = frozenset(
    {
        "check",
        "close_orphan",
        "grant",
        "inspect",
        "prolong",
        "resolve",
        "reveal",
        "revoke",
        "standing",
        "usage",
        "verify",
    }
)
SLOTS = 16
PATIENCE = 5.0
"""Seconds beyond its promise after which a provider's call is given up."""
_IDENTITY_AGE = 60.0
_QUEUE = 2.0
"""Seconds for which a slot is waited for, so that a system that hangs does not fill the hands of a worker."""


class Busy(Unsure):
    """No slot is free, and none was for a while: the system may hang. Nothing was done."""


@dataclass
class Circuit:
    """Whether a system answers, as this process sees it; nothing of it is stored.

    It opens after ``most`` calls in a row without an answer within ``window`` seconds, and any answer closes it. While
    it is open one trial is let through each ``interval`` seconds, which doubles from ``first`` to ``longest``.
    """

    window: float = 60.0
    first: float = 5.0
    longest: float = 60.0
    most: int = 5
    clock: Callable[[], float] = time.monotonic
    _failed: deque[float] = field(default_factory=deque)
    _interval: float = 0.0
    _trial_at: float = 0.0

    @property
    def open(self) -> bool:
        """Whether new access is held back."""
        return self._interval > 0

    def answered(self) -> bool:
        """The system did or refused something; True when this closed the circuit."""
        closed, self._interval = self.open, 0.0
        self._failed.clear()
        return closed

    def failed(self) -> bool:
        """A call found no answer; True when this opened the circuit."""
        now = self.clock()
        self._failed.append(now)
        while len(self._failed) > self.most or now - self._failed[0] > self.window:
            self._failed.popleft()
        if self.open or len(self._failed) < self.most:
            return False
        self._interval = self.first
        self._trial_at = now + self._interval
        return True

    def holds_back(self) -> float:
        """For how many seconds nothing new may be tried; 0: go on, and where the circuit is open, as its trial."""
        now = self.clock()
        if not self.open:
            return 0.0
        if now < self._trial_at:
            return self._trial_at - now
        self._interval = min(self.longest, self._interval * 2)
        self._trial_at = now + self._interval
        return 0.0


@dataclass
class Post:
    """One system's provider. ``name`` is the system's. ``told`` changes nothing, and raises nothing."""

    system: System
    patience: float = PATIENCE
    name: str = ""
    circuit: Circuit = field(default_factory=Circuit)
    target: str = ""
    checked: float = 0.0
    told: Told = lambda *_: None
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SLOTS))
    _grants: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SLOTS // 2))
    _full_since: float = 0.0

    def __post_init__(self) -> None:
        """Failures that come one after the other, each as late as it may, are still failures in a row."""
        slowest = self.circuit.most * (self.system.settles_within + self.patience)
        self.circuit.window = max(self.circuit.window, 2 * slowest)

    @contextlib.asynccontextmanager
    async def granting(self) -> AsyncIterator[None]:
        """A slot for a grant: of those, there are half as many. Raises `Busy`."""
        async with self._slot(self._grants), self._slot(self._slots):
            yield

    @contextlib.asynccontextmanager
    async def revoking(self) -> AsyncIterator[None]:
        """A slot for a revoke. Raises `Busy`."""
        async with self._slot(self._slots):
            yield

    @contextlib.asynccontextmanager
    async def _slot(self, slots: asyncio.Semaphore) -> AsyncIterator[None]:
        if self._slots.locked() and time.monotonic() - self._full_since > _QUEUE:
            raise Busy(f"{self.name} answers nobody just now")
        try:
            async with asyncio.timeout(_QUEUE):
                await slots.acquire()
        except TimeoutError as error:
            raise Busy(f"{self.name} answers nobody just now") from error
        self._full_since = time.monotonic()
        try:
            yield
        finally:
            slots.release()
            self._full_since = time.monotonic()

    async def call(
        self, verb: Awaitable[T], within: float = math.inf, *, proves: bool = True, closes: bool = False
    ) -> T:
        """The provider's answer. Raises what the provider raises, and `Unsure` when it does not answer at all.

        ``within``: seconds after which nobody can wait for it any longer. ``proves``: whether an answer is the
        system's; False where a provider may know it by itself. ``closes``: a revoke, which may take twice the promise.
        """
        name, began = str(getattr(verb, "__name__", "")), time.monotonic()  # a coroutine has its verb's name
        how = ""
        try:
            answer = await self._answer(verb, within, proves=proves, closes=closes)
            how = "ok"
        except Exception as error:
            how = _kind(error)
            raise
        finally:
            if how:  # a call that was cancelled went no way at all
                self.told(self.name, name if name in VERBS else "other", how, time.monotonic() - began)
        return answer

    async def _answer(self, verb: Awaitable[T], within: float, *, proves: bool, closes: bool) -> T:
        longest = self.system.settles_within * (2 if closes else 1) + self.patience
        limit = max(0.0, min(within, longest))
        try:
            async with asyncio.timeout(limit) as waiting:
                answer = await verb
        except Refused:
            self._answered(proves)
            raise
        except TimeoutError as error:
            if not waiting.expired():
                self._failed(error)
                raise
            if limit == longest:  # who could wait no longer has learnt nothing about the system
                self._failed(error)
            raise Unsure(f"the provider did not answer within {limit:g} s, and was given up") from error
        except Exception as error:
            self._failed(error)
            raise
        self._answered(proves)
        return answer

    def _answered(self, proves: bool) -> None:
        if proves and self.circuit.answered():
            log.info("%s answers again", self.name)

    def _failed(self, error: Exception) -> None:
        if self.circuit.failed():
            log.error(
                "%s does not answer; new access is held back, closing goes on (%s)", self.name, type(error).__name__
            )

    async def identity(self) -> str:
        """Which system this really is, asked at most once a minute."""
        if not self.target or time.monotonic() - self.checked > _IDENTITY_AGE:
            self.target = (await self.call(self.system.check())).target
            self.checked = time.monotonic()
        return self.target


def _kind(error: Exception) -> str:
    """An error as `Told` has it; a timeout is one whether the provider or we gave up."""
    match error:
        case Refused():
            return "refused"
        case TimeoutError():
            return "timeout"
        case Unsure():
            return "timeout" if isinstance(error.__cause__, TimeoutError) else "unsure"
        case _:
            return "broke"
