"""How the local Slack says no: by the codes that Slack documents, and with nothing more helpful."""

from __future__ import annotations

from typing import Any


class SlackRefusal(Exception):
    """An ``ok: false`` answer. ``more`` is what Slack adds beside the code."""

    def __init__(self, code: str, **more: Any) -> None:
        """Keep the code and what comes with it."""
        super().__init__(code)
        self.code, self.more = code, more


class RateLimited(SlackRefusal):
    """HTTP 429 with ``Retry-After``, in whole seconds."""

    def __init__(self, retry_after: int) -> None:
        """Keep how long to wait."""
        super().__init__("ratelimited")
        self.retry_after = retry_after
