"""What all calls over HTTP share: which addresses are called, the session, what an answer is, and why a call failed.

Plain `http://` is for this machine alone, and no link-local host is ever met: a cloud keeps credentials there.
"""

from __future__ import annotations

import email.utils
import ipaddress
import math
import os
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

_LONGEST_WAIT = 600.0
"""Seconds; a server that says that it wants nothing for longer is asked again nevertheless."""
_METADATA = frozenset({ipaddress.ip_address("fd00:ec2::254")})
"""Addresses that hand out a cloud machine's credentials and are not link-local."""
_PATIENCE = 2.0
_LONGEST_HEADER = 8_190


class Forbidden(OSError):
    """A name that leads to an address where no receiver can be."""


def forbidden(address: str) -> bool:
    """Whether no server of anybody's can be at an IP address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = getattr(found, "ipv4_mapped", None) or found
    return inner.is_link_local or inner in _METADATA


def loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def web_address(url: str) -> str:
    """A URL that may be called, as it is. Raises `ValueError`."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("this is no address: https://host:port/path") from None
    if parts.scheme not in {"http", "https"} or not host or any(sign.isspace() for sign in url):
        raise ValueError("this is no address: https://host:port/path")
    if parts.username or parts.password or parts.fragment:
        raise ValueError("an address has no user, password or fragment here")
    if parts.scheme == "http" and not loopback(host):
        raise ValueError("use https:// (http:// is for this machine)")
    if forbidden(host):
        raise ValueError("a link-local address is no receiver: it is where a cloud keeps this machine's credentials")
    return url


class Resolver(AbstractResolver):
    """Names to addresses; one that leads to a link-local address leads nowhere."""

    def __init__(self) -> None:
        """Ask nothing."""
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises `Forbidden`."""
        found = await self._inner.resolve(host, port, family)
        if any(forbidden(each["host"]) for each in found):
            raise Forbidden("its name leads to a link-local address, where no receiver can be")
        return found

    async def close(self) -> None:
        """Nothing is kept."""
        await self._inner.close()


@dataclass(frozen=True)
class HttpAnswer:
    """What a server answered. ``content``: what was read of it, not to be shown; ``after``: its Retry-After, in s.

    ``headers``: by their names in small letters, where the caller needs them; one that came twice has a comma between.
    """

    status: int
    kind: str
    content: bytes
    after: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300

    def named(self) -> str:
        """The status in words, which shows nothing of the answer's text."""
        phrase = next((each.phrase for each in HTTPStatus if each.value == self.status), "")
        return f"{self.status} {phrase}".strip()


class HttpSession:
    """A session with one server, opened by the first call; it believes no proxy and keeps no cookie."""

    def __init__(
        self,
        timeout: float,
        trusted: Callable[[], ssl.SSLContext],
        connections: int = 2,
        longest_header: int = _LONGEST_HEADER,
    ) -> None:
        """Open nothing. ``timeout``: seconds of one call, all of it; ``longest_header``: bytes of the answer's."""
        self._timeout, self._trusted = timeout, trusted
        self._connections, self._longest_header = connections, longest_header
        self._session: aiohttp.ClientSession | None = None

    @property
    def settles_within(self) -> float:
        """Seconds in which one call has surely ended."""
        return self._timeout + _PATIENCE

    def opened(self) -> aiohttp.ClientSession:
        """The session. Raises what ``trusted`` raises."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._trusted(), resolver=Resolver(), limit=self._connections),
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                # What is packed could be far larger than it looks: it is asked for as it is.
                headers={"User-Agent": "jit-access", "Accept-Encoding": "identity"},
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=self._longest_header,
                max_field_size=self._longest_header,
            )
        return self._session

    async def close(self) -> None:
        """Close it; the next call opens another."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def reason(error: Exception) -> str:
    """Why a call came to nothing, in a few words without an address in them."""
    for cause in (getattr(error, "certificate_error", None), getattr(error, "os_error", None), error.__cause__, error):
        if isinstance(cause, Forbidden):
            return str(cause)
        if isinstance(cause, ssl.SSLError):
            return connection_error(cause)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection without an answer"
    return (
        connection_error(error)
        if isinstance(error, TimeoutError)
        else f"it cannot be reached: {connection_error(error)}"
    )


def retry_after(value: str | None) -> float:
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


def connection_error(error: Exception) -> str:
    """What went wrong with a connection, in a few words without an address in them."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message or 'no reason is given'}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or type(error).__name__).replace('_', ' ').lower()}"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    # By its number: a library puts the address into its own words.
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else type(error).__name__
