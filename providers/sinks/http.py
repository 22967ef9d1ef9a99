"""What the sinks over HTTP share: one POST that follows no redirect, believes no proxy and meets no link-local host.

Plain `http://` is for this machine alone. What an answer means is each sink's own matter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

import aiohttp
from pydantic import AfterValidator, Field

from providers.http_client import Resolver, reason, retry_after, web_address
from providers.sinks.base import NotDelivered
from providers.sinks.tls import Tls

_LONGEST_ANSWER = 65_536
_PATIENCE = 2.0


class HttpConfig(Tls):
    """Where to post, and how long an answer may take, in seconds."""

    url: Annotated[str, Field(max_length=2000, repr=False), AfterValidator(web_address)]
    """Not shown, since some have a secret in their path."""
    timeout: float = Field(default=10.0, gt=0, le=120)


@dataclass(frozen=True)
class HttpAnswer:
    """What a receiver answered. ``text``: the beginning of it, not to be shown; ``after``: its Retry-After, seconds."""

    status: int
    kind: str
    text: str
    after: float

    @property
    def ok(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300

    def named(self) -> str:
        """The status in words, which shows nothing of the answer's text."""
        phrase = next((each.phrase for each in HTTPStatus if each.value == self.status), "")
        return f"{self.status} {phrase}".strip()

    def unsure(self, more: str = "", taken: int = 0) -> NotDelivered:
        """It was not taken; a person may have to mend it."""
        hints = {401: "see the token or the secret", 403: "see the token and its rights", 404: "see the address"}
        redirect = "it points elsewhere, which is not followed: give the address itself"
        hint = more or (redirect if 300 <= self.status < 400 else hints.get(self.status, ""))
        return NotDelivered(f"it answers {self.named()}{f': {hint}' if hint else ''}", taken, self.after)


class HttpSession:
    """A session with one receiver, opened by the first call."""

    def __init__(self, config: HttpConfig) -> None:
        """Open nothing."""
        self._config = config
        self._session: aiohttp.ClientSession | None = None

    @property
    def settles_within(self) -> float:
        """Seconds in which one call has surely ended."""
        return self._config.timeout + _PATIENCE

    async def call(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """Send it, once, and read the answer. Raises `NotDelivered`."""
        try:
            session = self._opened()
            async with session.request(method, url, data=body, headers=headers, allow_redirects=False) as answer:
                text = (await answer.content.read(_LONGEST_ANSWER)).decode(errors="replace") if method != "HEAD" else ""
                return HttpAnswer(
                    answer.status, answer.content_type, text, retry_after(answer.headers.get("Retry-After"))
                )
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise NotDelivered(reason(error)) from None

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._config.context(), resolver=Resolver(), limit=2)
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=self._config.timeout),
                headers={"User-Agent": "jit-access"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def loaded(answer: HttpAnswer) -> Any:
    """The JSON of an answer; None where it has none."""
    if answer.kind != "application/json":
        return None
    try:
        return json.loads(answer.text)
    except (ValueError, RecursionError):
        return None
