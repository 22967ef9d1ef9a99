"""Calls one system's provider, with a concurrency limit, a timeout and a circuit breaker; it decides nothing.

Half of the slots (calls at a time) are reserved for revokes. A provider promises that each call ends within
`settles_within` seconds; a call that does not is abandoned a little later, and its slot freed. An open circuit breaker
lets through every revoke, and one grant at a time as its trial.
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

from bot import tasks
from providers.systems.base import Refused, System, Unsure

log = logging.getLogger(__name__)

T = TypeVar("T")
CallObserver = Callable[[str, str, str, float], None]
"""Called with the system, the provider's method (of `VERBS`, or ``other``), the outcome, and the seconds it took.

Outcomes: ``ok``, ``refused``, ``unsure``, ``timeout`` (ours or the provider's), ``broke`` (any other error).
"""
VERBS = frozenset(
    {
        "check",
        "close_orphan",
        "grant",
        "inspect",
        "extend",
        "resolve",
        "reveal",
        "revoke",
        "list_access",
        "usage",
        "verify",
    }
)
SLOTS = 16
TIMEOUT_MARGIN = 5.0
"""Seconds beyond `settles_within` after which a provider's call is abandoned."""
_IDENTITY_TTL = 60.0
_SLOT_WAIT = 2.0
"""Seconds to wait for a slot, so that a system that hangs does not use up a worker's claims."""
_CANCEL_GRACE = 1.0
"""Seconds that an abandoned call may take to be cancelled."""


class NoFreeSlot(Unsure):
    """No slot has been free for a while: the system may hang. The call was not made."""


@dataclass
class Circuit:
    """A circuit breaker: whether a system answers, as this process sees it; it stores nothing.

    It opens after ``max_failures`` calls in a row without an answer within ``window`` seconds, and any answer closes
    it. While it is open it lets one trial through each interval, which doubles from ``first_interval`` to
    ``longest_interval`` seconds.
    """

    window: float = 60.0
    first_interval: float = 5.0
    longest_interval: float = 60.0
    max_failures: int = 5
    clock: Callable[[], float] = time.monotonic
    _failed: deque[float] = field(default_factory=deque)
    _interval: float = 0.0
    _trial_at: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether grants are held back."""
        return self._interval > 0

    def answered(self) -> bool:
        """The system answered, if only with a refusal; True when this closed the circuit breaker."""
        closed, self._interval = self.is_open, 0.0
        self._failed.clear()
        return closed

    def failed(self) -> bool:
        """A call got no answer; True when this opened the circuit breaker."""
        now = self.clock()
        self._failed.append(now)
        while len(self._failed) > self.max_failures or now - self._failed[0] > self.window:
            self._failed.popleft()
        if self.is_open or len(self._failed) < self.max_failures:
            return False
        self._interval = self.first_interval
        self._trial_at = now + self._interval
        return True

    def seconds_to_wait(self) -> float:
        """Seconds until a grant may be tried; 0: now, which takes the trial while the circuit breaker is open."""
        now = self.clock()
        if not self.is_open:
            return 0.0
        if now < self._trial_at:
            return self._trial_at - now
        self._interval = min(self.longest_interval, self._interval * 2)
        self._trial_at = now + self._interval
        return 0.0


@dataclass
class ProviderGateway:
    """One system's provider. ``name`` is the system's; ``target``: see `identity`. ``observe`` raises nothing."""

    system: System
    timeout_margin: float = TIMEOUT_MARGIN
    name: str = ""
    circuit: Circuit = field(default_factory=Circuit)
    target: str = ""
    target_read_at: float = 0.0
    observe: CallObserver = lambda *_: None
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SLOTS))
    _grants: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SLOTS // 2))
    _slots_changed_at: float = 0.0

    def __post_init__(self) -> None:
        """Widen the circuit breaker's window, so that as many calls in a row as open it fit in, each timing out."""
        slowest = self.circuit.max_failures * (self.system.settles_within + self.timeout_margin)
        self.circuit.window = max(self.circuit.window, 2 * slowest)

    @contextlib.asynccontextmanager
    async def granting(self) -> AsyncIterator[None]:
        """A slot for a grant: half of all slots at most. Raises `NoFreeSlot`."""
        async with self._slot(self._grants), self._slot(self._slots):
            yield

    @contextlib.asynccontextmanager
    async def revoking(self) -> AsyncIterator[None]:
        """A slot for a revoke. Raises `NoFreeSlot`."""
        async with self._slot(self._slots):
            yield

    @contextlib.asynccontextmanager
    async def _slot(self, slots: asyncio.Semaphore) -> AsyncIterator[None]:
        if self._slots.locked() and time.monotonic() - self._slots_changed_at > _SLOT_WAIT:
            raise NoFreeSlot(f"{self.name} has no free slot right now")
        try:
            async with asyncio.timeout(_SLOT_WAIT):
                await slots.acquire()
        except TimeoutError as error:
            raise NoFreeSlot(f"{self.name} has no free slot right now") from error
        self._slots_changed_at = time.monotonic()
        try:
            yield
        finally:
            slots.release()
            self._slots_changed_at = time.monotonic()

    async def call(
        self, verb: Awaitable[T], within: float = math.inf, *, from_system: bool = True, is_revoke: bool = False
    ) -> T:
        """The provider's answer. Raises what the provider raises, and `Unsure` when it does not answer at all.

        ``within``: seconds that the caller can wait. ``from_system``: whether an answer is the system's; False where
        the provider may answer without it. ``is_revoke``: a revoke may take twice `settles_within`.
        """
        name, began = str(getattr(verb, "__name__", "")), time.monotonic()  # a coroutine has its method's name
        outcome = ""
        try:
            answer = await self._answer(verb, within, from_system=from_system, is_revoke=is_revoke)
            outcome = "ok"
        except Exception as error:
            outcome = _outcome(error)
            raise
        finally:
            if outcome:  # a call that was cancelled has none
                self.observe(self.name, name if name in VERBS else "other", outcome, time.monotonic() - began)
        return answer

    async def _answer(self, verb: Awaitable[T], within: float, *, from_system: bool, is_revoke: bool) -> T:
        longest = self.system.settles_within * (2 if is_revoke else 1) + self.timeout_margin
        limit = max(0.0, min(within, longest))
        try:
            answer = await _within(verb, limit)
        except Refused:
            self._answered(from_system)
            raise
        except _Abandoned as error:
            if limit == longest:  # a caller's shorter limit proves nothing about the system
                self._failed(error)
            raise Unsure(f"the provider did not answer within {limit:g} s, and the call was abandoned") from error
        except Exception as error:
            self._failed(error)
            raise
        self._answered(from_system)
        return answer

    def _answered(self, from_system: bool) -> None:
        if from_system and self.circuit.answered():
            log.info("%s answers again", self.name)

    def _failed(self, error: Exception) -> None:
        if self.circuit.failed():
            log.error(
                "%s does not answer; nothing is granted for now, revoking goes on (%s)", self.name, type(error).__name__
            )

    async def identity(self) -> str:
        """The identity of the target system, read at most once a minute."""
        if not self.target or time.monotonic() - self.target_read_at > _IDENTITY_TTL:
            self.target = (await self.call(self.system.check())).target
            self.target_read_at = time.monotonic()
        return self.target


class _Abandoned(TimeoutError):
    """The call was abandoned."""


async def _within(verb: Awaitable[T], limit: float) -> T:
    """The answer within ``limit`` seconds; the wait ends even where the provider's client ignores its cancellation.

    Raises `_Abandoned`, and what the call raises; an answer that comes while it is being cancelled counts.
    """
    task = asyncio.ensure_future(verb)
    try:
        await asyncio.wait({task}, timeout=limit)
    finally:
        await tasks.end({task}, within=_CANCEL_GRACE)
    if not task.done() or task.cancelled():
        raise _Abandoned
    return task.result()


def _outcome(error: Exception) -> str:
    """The outcome of a failed call, as `CallObserver` names it: ``timeout`` whether the provider or we gave up."""
    match error:
        case Refused():
            return "refused"
        case TimeoutError():
            return "timeout"
        case Unsure():
            return "timeout" if isinstance(error.__cause__, TimeoutError) else "unsure"
        case _:
            return "broke"
