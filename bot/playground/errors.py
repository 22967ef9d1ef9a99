"""How the local Slack refuses: with the codes that Slack documents, and nothing more helpful."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class SlackRefusal(Exception):
    """An ``ok: false`` answer. ``more`` is what Slack adds to the code."""

    def __init__(self, code: str, **more: Any) -> None:
        super().__init__(code, *([more] if more else []))
        self.code, self.more = code, more


class RateLimited(SlackRefusal):
    """HTTP 429 with ``Retry-After``, in whole seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("ratelimited")
        self.retry_after = retry_after


class NotThere(LookupError):
    """A person cannot see what they wanted to click or fill in."""


class BadAnswer(ValueError):
    """The app answered a delivery with something for which Slack shows the person an error."""


def lacks_scope(needed: str, provided: Iterable[str]) -> SlackRefusal:
    """The token lacks a scope."""
    return SlackRefusal("missing_scope", needed=needed, provided=",".join(provided))


def bad_arguments(*flaws: str) -> SlackRefusal:
    """The call is malformed."""
    return SlackRefusal("invalid_arguments", response_metadata={"messages": [f"[ERROR] {flaw}" for flaw in flaws]})
