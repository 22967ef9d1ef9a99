"""A call of Slack's Web API → its answer, or one of three errors: not now, no, and nobody knows; it repeats nothing."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry.async_handler import AsyncRetryHandler
from slack_sdk.http_retry.request import HttpRequest
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.http_retry.state import RetryState

T = TypeVar("T")

AWAY = (SlackClientError, aiohttp.ClientError, OSError, AttributeError)
"""What a call raises (a timeout is an `OSError`); the SDK breaks with an `AttributeError` on a body that is no JSON."""
_METHOD = re.compile(r"[a-zA-Z.]{1,60}")
_LONGEST = 86_400.0
_LIMITS = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_LOCKED_OUT = frozenset(
    {
        "access_denied",
        "account_inactive",
        "invalid_auth",
        "missing_scope",
        "not_authed",
        "org_login_required",
        "team_access_not_granted",
        "token_expired",
        "token_revoked",
    }
)
"""The app, not the call, is refused until somebody repairs the installation."""
_LOCKED_OUT_FOR = 30.0
_PASSING = frozenset(
    {"", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}
)
"""Slack's own trouble, or an answer without a code: some of the call may have been done."""


class NotNow(Exception):
    """Nothing was done; not again before ``after`` seconds. ``locked_out``: until the installation is repaired."""

    def __init__(self, after: float, code: str, *, locked_out: bool = False) -> None:
        """Keep them."""
        super().__init__(f"{code}, again in {after:.0f} s")
        self.after, self.locked_out = after, locked_out


class SlackRefused(Exception):
    """A definite refusal: surely nothing was done, nor would be by asking again."""

    def __init__(self, code: str) -> None:
        """Keep Slack's code."""
        super().__init__(code)
        self.code = code


class Unanswered(Exception):
    """It may have been done or not."""


async def answered(call: Awaitable[T]) -> T:
    """The answer of a call. Raises `NotNow`, `SlackRefused`, `Unanswered`."""
    try:
        return await call
    except SlackApiError as error:
        raise _judged(error) from error
    except AWAY as error:
        raise Unanswered(type(error).__name__) from error


def code(error: Exception) -> str:
    """Slack's code of an error; empty when it gave none, as behind a proxy that answers in its place."""
    data = getattr(getattr(error, "response", None), "data", None)
    return str(data.get("error") or "") if isinstance(data, dict) else ""


def error_name(error: Exception) -> str:
    """An error in a word, for a log: Slack's code, or what kind it is."""
    return code(error) or type(error).__name__


def _judged(error: SlackApiError) -> Exception:
    word, response = code(error), error.response
    status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0) or 0)
    if status == 429 or word in _LIMITS:
        return NotNow(_seconds(response.headers.get("Retry-After")), word or "429")
    if word in _LOCKED_OUT:
        return NotNow(_LOCKED_OUT_FOR, word, locked_out=True)
    if word in _PASSING or status >= 500:
        return Unanswered(word or f"HTTP {status}")
    return SlackRefused(word)


def _seconds(text: object) -> float:
    written = str(text or "").strip()
    return min(max(1.0, float(written)), _LONGEST) if written.isascii() and written.isdigit() else 1.0


class CallObserver(AsyncRetryHandler):
    """Sees each answer of Slack, by the SDK's one hook for it; it never asks for a retry.

    ``told``: the method, and ``ok``, ``refused``, ``limited`` (429), ``locked_out``, or ``unanswered``.
    """

    def __init__(self, told: Callable[[str, str], None]) -> None:
        """``told`` changes nothing, and raises nothing."""
        super().__init__()
        self._told = told

    async def can_retry_async(
        self,
        *,
        state: RetryState,  # noqa: ARG002  # the SDK's own names
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,  # noqa: ARG002
    ) -> bool:
        """Never."""
        method = request.url.rpartition("/")[2]
        self._told(method if _METHOD.fullmatch(method) else "other", _heard(response))
        return False


def _heard(response: HttpResponse | None) -> str:
    body = response.body if response is not None and isinstance(response.body, dict) else {}
    word = str(body.get("error") or "")
    if response is not None and (response.status_code == 429 or word in _LIMITS):
        return "limited"
    if body.get("ok"):
        return "ok"
    if word in _LOCKED_OUT:
        return "locked_out"
    return "unanswered" if word in _PASSING or response is None or response.status_code >= 500 else "refused"
