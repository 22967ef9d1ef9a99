"""The sandbox's failures by script: which call meets which fault, and what the fault does to it."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable

from providers.systems.base import Unsure
from providers.systems.sandbox.config import SandboxConfig, SandboxFault
from providers.systems.sandbox.doors import DirectoryDoors, MemoryDoors


class FaultScript:
    """The faults of one sandbox: those beside its doors come before those of its config."""

    def __init__(self, config: SandboxConfig, doors: MemoryDoors | DirectoryDoors) -> None:
        """Nothing is in flight."""
        self._config, self._doors = config, doors
        self._random = random.Random(config.seed)  # noqa: S311  # which calls fail is no secret
        self._flying: list[Callable[[], object]] = []

    def land(self) -> int:
        """Let every late effect that has no time of its own land now; how many did."""
        flying, self._flying = self._flying, []
        for effect in flying:
            effect()
        return len(flying)

    async def slow(self, verb: str, seconds: float) -> None:
        """Answer slowly; a client's timeout ends the wait without an effect."""
        await asyncio.sleep(min(seconds, self._config.settles_within))
        if seconds > self._config.settles_within:
            raise Unsure(f"the sandbox did not answer to {verb} within {self._config.settles_within} s")

    def crash(self, verb: str) -> None:
        """Kill this process where its doors outlive it."""
        if self._config.path is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        raise Unsure(f"the sandbox broke off in {verb}, as its script says")

    def later(self, effect: Callable[[], object], seconds: float | None) -> None:
        """Have an effect land after its call was given up."""
        if seconds is None:
            self._flying.append(effect)
        else:
            asyncio.get_running_loop().call_later(seconds, effect)

    def met(self, verb: str, door: str | None) -> SandboxFault | None:
        """The fault that a call meets; one that happens so many times is spent by it."""
        scripted = [SandboxFault.model_validate(each) for each in self._doors.faults()]
        for n, fault in enumerate((*scripted, *self._config.faults)):
            meets = fault.verb in {verb, "any"} and fault.door in {None, door}
            if meets and (fault.share >= 1 or self._random.random() < fault.share) and self._spend(n, fault):
                return fault
        return None

    def _spend(self, n: int, fault: SandboxFault) -> bool:
        return fault.times is None or self._doors.spend(n, fault.times)
