"""Asks directories and calendars within a time limit, and gives one that does not answer a rest; it keeps no answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bot.worker.provider_gateway import Circuit
from providers.directories.base import NoAnswer, ProviderError, Refused

log = logging.getLogger(__name__)

BUDGET = 25.0
"""Seconds that all look-ups of one turn in one directory, or one calendar, may take together."""

Key = tuple[str, str]
"""`directory` or `calendar`, and its name in the policy; or `people`, and that of their directory."""
Failed = Callable[[str, str], None]
"""Called with `directory` or `calendar` and its name after a failed read; raises nothing."""


def _circuit() -> Circuit:
    """Opens after three reads in a row without an answer; then there is one trial each two minutes."""
    return Circuit(window=600.0, first_interval=60.0, longest_interval=120.0, max_failures=3)


@dataclass
class _Health:
    """How one source answers this process. ``not_before``: until when it asked for no more calls."""

    circuit: Circuit = field(default_factory=_circuit)
    not_before: float = 0.0


@dataclass
class SourceCalls:
    """The calls of one process. A directory has one circuit, whatever it is asked about."""

    failed: Failed = lambda _, __: None
    _health: dict[Key, _Health] = field(default_factory=dict, init=False)
    _problems: dict[Key, str] = field(default_factory=dict, init=False)

    def problem(self, key: Key) -> str:
        """Why the last call failed; '' where it went well."""
        return self._problems.get(key, "")

    def forget(self, name: str, kind: str) -> None:
        """Forget the state of a source that is another one now, or gone."""
        self._health.pop((kind, name), None)
        for each in (kind, *(("people",) if kind == "directory" else ())):
            self._problems.pop((each, name), None)

    async def ask(self, key: Key, question: Callable[[], Awaitable[None]]) -> bool:
        """Ask a source, within `BUDGET`, unless its circuit breaker is open. Whether it refused."""
        source = self._source(key)
        health = self._health.setdefault(source, _Health())
        if time.monotonic() < health.not_before or health.circuit.seconds_to_wait():
            return False
        try:
            async with asyncio.timeout(BUDGET):
                await question()
        except Refused as error:
            health.circuit.answered()
            self._failed(key, str(error))
            return True
        except Exception as error:
            if not isinstance(error, ProviderError | TimeoutError):
                log.exception("unexpected error of %s %s", *key)
            if isinstance(error, NoAnswer) and error.after:
                health.not_before = time.monotonic() + error.after
            health.circuit.failed()
            self._failed(key, str(error) if isinstance(error, ProviderError) else "it did not answer in time")
        else:
            health.circuit.answered()
            if self._problems.pop(key, ""):
                log.info("%s %s can be read again", *key)
        return False

    def _source(self, key: Key) -> Key:
        return ("directory", key[1]) if key[0] == "people" else key

    def _failed(self, key: Key, problem: str) -> None:
        if problem != self.problem(key):
            log.warning("%s %s could not be read: %s", *key, problem)
        self._problems[key] = problem
        self.failed(*self._source(key))
