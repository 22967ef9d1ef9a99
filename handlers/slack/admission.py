"""Payloads take turns: so many are answered at once, the rest wait in line, and nobody waits in vain.

Slack gives up after three seconds and then tells the person nothing of use. Whose turn would come too late is told so
at once, and nothing is done for them that they would not hear of.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from bot.core.errors import Crowded

AT_ONCE = 32
"""Payloads in hand at a time: enough to wait for Slack's look-ups together, few enough to be done in time."""
PATIENCE = 0.8
"""Seconds in line; what is left of Slack's three is for the answer and the way to it."""


@dataclass
class Queue:
    """The line of one process. ``patience`` in seconds."""

    at_once: int = AT_ONCE
    patience: float = PATIENCE
    _places: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        """Nobody is in line."""
        self._places = asyncio.Semaphore(self.at_once)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One's turn, in the order of coming. Raises `Crowded` when it does not come in time."""
        try:
            async with asyncio.timeout(self.patience):
                await self._places.acquire()
        except TimeoutError:
            raise Crowded from None
        try:
            yield
        finally:
            self._places.release()
