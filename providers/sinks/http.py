"""What the sinks over HTTP share: one POST that follows no redirect, believes no proxy and meets no link-local host.

Plain `http://` is for this machine alone. What an answer means is each sink's own matter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import aiohttp
from pydantic import AfterValidator, Field

from providers.http_client import HttpAnswer, HttpSession, reason, retry_after, web_address
from providers.sinks.base import NotDelivered
from providers.sinks.tls import Tls

_LONGEST_ANSWER = 65_536


class HttpConfig(Tls):
    """Where to post, and how long an answer may take, in seconds."""

    url: Annotated[str, Field(max_length=2000, repr=False), AfterValidator(web_address)]
    """Not shown, since some have a secret in their path."""
    timeout: float = Field(default=10.0, gt=0, le=120)


class HttpSender(HttpSession):
    """A session that posts."""

    def __init__(self, config: HttpConfig) -> None:
        """Open nothing."""
        super().__init__(config.timeout, config.context)

    async def call(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """Send it, once, and read the answer. Raises `NotDelivered`."""
        try:
            session = self.opened()
            async with session.request(method, url, data=body, headers=headers, allow_redirects=False) as answer:
                content = await answer.content.read(_LONGEST_ANSWER) if method != "HEAD" else b""
                after = retry_after(answer.headers.get("Retry-After"))
                return HttpAnswer(answer.status, answer.content_type, content, after)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise NotDelivered(reason(error)) from None


def unsure(answer: HttpAnswer, more: str = "", taken: int = 0) -> NotDelivered:
    """The error of an answer by which it was not taken; a person may have to fix it."""
    hints = {401: "see the token or the secret", 403: "see the token and its rights", 404: "see the address"}
    redirect = "it points elsewhere, which is not followed: give the address itself"
    hint = more or (redirect if 300 <= answer.status < 400 else hints.get(answer.status, ""))
    return NotDelivered(f"it answers {answer.named()}{f': {hint}' if hint else ''}", taken, answer.after)


def loaded(answer: HttpAnswer) -> Any:
    """The JSON of an answer; None where it has none."""
    if answer.kind != "application/json":
        return None
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError):
        return None
