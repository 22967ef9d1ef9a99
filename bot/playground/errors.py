"""How the local Slack says no: by the codes that Slack documents, and with nothing more helpful."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class SlackRefusal(Exception):
    """An ``ok: false`` answer. ``more`` is what Slack adds beside the code."""

    def __init__(self, code: str, **more: Any) -> None:
        """Keep the code and what comes with it."""
        super().__init__(code, *([more] if more else []))
        self.code, self.more = code, more


class RateLimited(SlackRefusal):
    """HTTP 429 with ``Retry-After``, in whole seconds."""

    def __init__(self, retry_after: int) -> None:
        """Keep how long to wait."""
        super().__init__("ratelimited")
        self.retry_after = retry_after


class NotThere(LookupError):
    """What a person wanted to click or fill in is not before them."""


class BadAnswer(ValueError):
    """The app answered a delivery with something at which Slack shows the person an error of its own."""


def lacks_scope(needed: str, provided: Iterable[str]) -> SlackRefusal:
    """The token may not do this."""
    return SlackRefusal("missing_scope", needed=needed, provided=",".join(provided))


def bad_arguments(*flaws: str) -> SlackRefusal:
    """The call itself is malformed."""
    return SlackRefusal("invalid_arguments", response_metadata={"messages": [f"[ERROR] {flaw}" for flaw in flaws]})
