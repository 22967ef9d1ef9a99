"""Asks a ticket system by HTTP whether a ticket exists; it says yes, no, or nothing. It knows nothing of requests.

One GET, signed, that follows no redirect, believes no proxy, meets no link-local host and reads no answer beyond its
status. The host and the path are those of the address; a ticket is one part of the path, percent-encoded.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import ssl
import time
from collections.abc import Callable
from urllib.parse import quote, urlsplit

import aiohttp
from pydantic import SecretStr
from yarl import URL

from providers.http_client import HttpSession, reason, web_address

log = logging.getLogger(__name__)

TIMEOUT = 1.0
"""Seconds for all of it: the name, the connection and the answer."""
SHORTEST_SECRET = 16
"""Characters of the secret that questions are signed with."""
PLACE = "{ticket}"
_EXISTS, _DOES_NOT = 200, 404
_LONGEST_HEADER = 4_096
_CONNECTIONS = 8


class TicketSystem:
    """One ticket system. ``url``: its address with ``{ticket}`` in the path. Raises `ValueError` for one that is none.

    Each question has ``Jit-Timestamp`` (Unix seconds) and ``Jit-Signature``, ``v1=`` and the hexadecimal HMAC-SHA256 of
    ``GET``, the path and the timestamp, on a line each.
    """

    def __init__(
        self,
        url: str,
        secret: SecretStr,
        clock: Callable[[], float] = time.time,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        """Open nothing. ``trusted``: whose certificates count; the machine's own where it is not given."""
        if PLACE not in urlsplit(web_address(url)).path:
            raise ValueError("the address has `{ticket}` in its path")
        if len(secret.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(f"the secret has at least {SHORTEST_SECRET} characters")
        self._url, self._secret, self._clock = url, secret, clock
        trusted = trusted or ssl.create_default_context()
        self._session = HttpSession(TIMEOUT, lambda: trusted, _CONNECTIONS, _LONGEST_HEADER)

    def __repr__(self) -> str:
        """Without the secret."""
        return f"TicketSystem({urlsplit(self._url).hostname})"

    async def exists(self, ticket: str) -> bool | None:
        """Whether a ticket exists; None where the system does not say so within a second."""
        if not ticket.strip("."):
            return None  # as a part of a path it is no ticket, but another place
        url = URL(self._url.replace(PLACE, quote(ticket, safe="")), encoded=True)
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                self._session.opened().get(url, headers=self._signed(url.raw_path), allow_redirects=False) as answer,
            ):
                found = {_EXISTS: True, _DOES_NOT: False}.get(answer.status)
                answer.close()  # what it sends besides is not read, however much it is
                if found is None:
                    self._warn(f"it answers {answer.status}")
                return found
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            self._warn(reason(error))
            return None

    async def close(self) -> None:
        """Close the session."""
        await self._session.close()

    def _warn(self, why: str) -> None:
        log.warning("%r does not say whether a ticket exists: %s", self, why)

    def _signed(self, path: str) -> dict[str, str]:
        at = str(int(self._clock()))
        said = f"GET\n{path}\n{at}".encode()
        signature = hmac.new(self._secret.get_secret_value().encode(), said, hashlib.sha256).hexdigest()
        return {"Jit-Timestamp": at, "Jit-Signature": f"v1={signature}"}
