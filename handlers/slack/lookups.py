"""Answers of Slack that are remembered for a while; how old one may be, whoever relies on it says."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from handlers.slack.usergroups import FRESH

MOST_REMEMBERED = 20_000
"""Answers of a kind; beyond that all are forgotten, and asked for again."""


@dataclass(frozen=True)
class LookupAnswer:
    """An answer, when it came (a steady clock's seconds), and when Slack says it last changed, Unix seconds."""

    value: Any
    at: float
    updated: float = 0.0

    @property
    def fresh(self) -> bool:
        """Whether it may still be relied on."""
        return time.monotonic() - self.at < FRESH


def remember(memory: dict[str, LookupAnswer], key: str, value: object, at: float = 0.0) -> LookupAnswer:
    """The answer, as it is kept from here on."""
    if len(memory) >= MOST_REMEMBERED:
        memory.clear()
    memory[key] = LookupAnswer(value, time.monotonic(), at)
    return memory[key]
