"""What the sinks over HTTP share: one POST that follows no redirect, believes no proxy and meets no link-local host.

Plain `http://` is for this machine alone. What an answer means is each sink's own matter.
"""

from __future__ import annotations

import email.utils
import ipaddress
import json
import math
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from pydantic import AfterValidator, Field

from providers.sinks.base import NotDelivered
from providers.sinks.tls import Tls, said

_LONGEST_ANSWER = 65_536
_LONGEST_WAIT = 600.0
"""Seconds; a receiver that says that it wants nothing for longer is asked again nevertheless."""
_METADATA = frozenset({ipaddress.ip_address("fd00:ec2::254")})
"""Addresses that hand out a cloud machine's credentials and are not link-local."""
_PATIENCE = 2.0


class Forbidden(OSError):
    """A name that leads to an address where no receiver can be."""


def _forbidden(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = getattr(found, "ipv4_mapped", None) or found
    return inner.is_link_local or inner in _METADATA


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _receiver(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("this is no address: https://host:port/path") from None
    if parts.scheme not in {"http", "https"} or not host or any(sign.isspace() for sign in url):
        raise ValueError("this is no address: https://host:port/path")
    if parts.username or parts.password or parts.fragment:
        raise ValueError("an address has no user, password or fragment here")
    if parts.scheme == "http" and not _loopback(host):
        raise ValueError("use https:// (http:// is for this machine)")
    if _forbidden(host):
        raise ValueError("a link-local address is no receiver: it is where a cloud keeps this machine's credentials")
    return url


class HttpConfig(Tls):
    """Where to post, and how long an answer may take, in seconds."""

    url: Annotated[str, Field(max_length=2000, repr=False), AfterValidator(_receiver)]
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
                    answer.status, answer.content_type, text, _retry_after(answer.headers.get("Retry-After"))
                )
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise NotDelivered(_reason(error)) from None

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._config.context(), resolver=_Resolver(), limit=2)
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=self._config.timeout),
                headers={"User-Agent": "jit-access"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


class _Resolver(AbstractResolver):
    """Names to addresses; one that leads to a link-local address leads nowhere."""

    def __init__(self) -> None:
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if any(_forbidden(each["host"]) for each in found):
            raise Forbidden("its name leads to a link-local address, where no receiver can be")
        return found

    async def close(self) -> None:
        await self._inner.close()


def _reason(error: Exception) -> str:
    for cause in (getattr(error, "certificate_error", None), getattr(error, "os_error", None), error.__cause__, error):
        if isinstance(cause, Forbidden):
            return str(cause)
        if isinstance(cause, ssl.SSLError):
            return said(cause)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection without an answer"
    return said(error) if isinstance(error, TimeoutError) else f"it cannot be reached: {said(error)}"


def _retry_after(value: str | None) -> float:
    """Seconds or an HTTP date (RFC 9110, 10.2.3), as seconds from now; 0 for none that can be read."""
    if not value:
        return 0.0
    seconds = math.nan
    if value.strip().isdecimal():
        seconds = float(value)
    else:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT)


def loaded(answer: HttpAnswer) -> Any:
    """The JSON of an answer; None where it has none."""
    if answer.kind != "application/json":
        return None
    try:
        return json.loads(answer.text)
    except (ValueError, RecursionError):
        return None
