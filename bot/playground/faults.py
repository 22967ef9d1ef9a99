"""Faults for the next calls of a method: Slack answers 429 or 500, hangs, or drops the connection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final, Literal

How = Literal["ratelimited", "error_500", "error_500_after", "hang", "drop_before", "drop_after", "refuse"]
AFTER: Final = frozenset({"error_500_after", "drop_after"})
"""The faults that come after the call took effect."""


@dataclass
class Fault:
    """``drop_*``: the connection breaks before or after the effect. ``times`` None: until `Faults.clear`."""

    method: str
    how: How
    times: int | None = 1
    code: str = "internal_error"
    retry_after: int = 1


@dataclass
class Faults:
    """The faults still to happen, in the order in which they were added.

    ``lost``: the arguments of the calls that took effect but whose answer was lost.
    """

    waiting: list[Fault] = field(default_factory=list)
    lost: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.released = asyncio.Event()

    def add(
        self, method: str, how: How, times: int | None = 1, *, code: str = "internal_error", retry_after: int = 1
    ) -> None:
        """Make the next ``times`` calls of a method (``*``: any) fail; ``code`` is the error of a ``refuse``."""
        self.released.clear()
        self.waiting.append(Fault(method, how, times, code, retry_after))

    def clear(self) -> None:
        """Remove all faults, and release the calls that hang."""
        self.waiting.clear()
        self.released.set()

    def next(self, method: str) -> Fault | None:
        """The fault for this call; it counts as used once more."""
        for fault in self.waiting:
            if fault.method in {method, "*"}:
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self.waiting.remove(fault)
                return fault
        return None
