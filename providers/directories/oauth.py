"""OAuth 2.0 for the account of a directory: GETs with an access token that is asked for with a form (RFC 6749, 7523).

A token is kept in memory until shortly before it expires. Neither it nor what it is asked for with is in any message
or log.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from providers.directories.base import NoAnswer, Refused
from providers.directories.http import HttpOptions, HttpReader, json_object
from providers.http_client import HttpAnswer

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EARLY = 120.0
"""Seconds before its end at which a token is used no more."""
_LASTS = 300
"""Seconds for which an assertion counts from now on."""
_CLOCKS_APART = 60
"""Seconds by which this machine's clock may be ahead."""
_SMALLEST_KEY = 2_048
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_LONGEST_LIFE = 100_000
_ERROR = re.compile(r"[a-z][a-z_]{1,60}")
_PASSING = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
_NONSENSE = "it answers something else than an access token where it is asked for one"

Form = Callable[[], Mapping[str, str]]
"""What a token is asked for with, made for each token."""
Hint = Callable[[str, Mapping[str, Any]], str]
"""What to do about an error, by its OAuth code and the answer's other fields; it shows nothing that was typed."""
Algorithm = Literal["RS256", "PS256"]


class OAuthReader:
    """A session that reads with an access token."""

    def __init__(self, options: HttpOptions, token_url: str, form: Form, hint: Hint) -> None:
        """Open nothing."""
        self._reader = HttpReader(options)
        self._token_url, self._form, self._hint = token_url, form, hint
        self._token, self._usable_until = "", 0.0
        self._asking = asyncio.Lock()

    def __repr__(self) -> str:
        """Without the token."""
        return "OAuthReader()"

    @property
    def settles_within(self) -> float:
        """Seconds in which one call has surely ended."""
        return self._reader.settles_within

    async def get(self, url: str, params: list[tuple[str, str]] | None = None) -> HttpAnswer:
        """Ask once; once more, with a new token, where the first is not taken (401). Raises `Refused`, `NoAnswer`."""
        token = await self.token()
        page = await self._reader.get(url, _headers(token), params)
        if page.status != 401:
            return page
        if token == self._token:
            self._token = ""
        return await self._reader.get(url, _headers(await self.token()), params)

    async def token(self) -> str:
        """The one that is kept, or a new one. Raises `Refused`, `NoAnswer`."""
        async with self._asking:
            if not self._token or time.monotonic() >= self._usable_until:
                asked = time.monotonic()
                self._token, life = self._granted(await self._reader.post_form(self._token_url, self._form()))
                self._usable_until = asked + life - EARLY
            return self._token

    async def close(self) -> None:
        """Forget the token, and let go of the connection."""
        self._token = ""
        await self._reader.close()

    def _granted(self, page: HttpAnswer) -> tuple[str, float]:
        """A token, and for how many seconds it counts."""
        answer = json_object(page) or {}
        if not page.ok:
            raise self._refusal(page, answer)
        token, life, kind = (answer.get(key) for key in ("access_token", "expires_in", "token_type"))
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise NoAnswer(_NONSENSE)
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise NoAnswer(_NONSENSE)
        if isinstance(life, bool) or not isinstance(life, int) or life < 1:
            raise NoAnswer(_NONSENSE)
        return token, float(min(life, _LONGEST_LIFE))

    def _refusal(self, page: HttpAnswer, answer: Mapping[str, Any]) -> Refused | NoAnswer:
        error = answer.get("error")
        definite = page.status in {400, 401, 403} and isinstance(error, str) and _ERROR.fullmatch(error)
        if not definite or error in _PASSING:
            return NoAnswer(f"it answers {page.named()} where it is asked for an access token", page.after)
        return Refused(f"it gives no access token ({error}): {self._hint(str(error), answer)}")


class JwtKey:
    """A private key that signs JSON Web Tokens (RFC 7519)."""

    def __init__(self, pem: str, algorithm: Algorithm, header: Mapping[str, str]) -> None:
        """Take an RSA key in PEM, without a passphrase. Raises `ValueError`, which shows nothing of it."""
        try:
            key = serialization.load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("it holds no private key in PEM without a passphrase") from None
        if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < _SMALLEST_KEY:
            raise ValueError(f"its key is no RSA key of at least {_SMALLEST_KEY:,} bits")
        self._key, self._algorithm = key, algorithm
        self._header = {"alg": algorithm, "typ": "JWT", **header}

    def __repr__(self) -> str:
        """Without the key."""
        return "JwtKey()"

    def belongs_to(self, public: object) -> bool:
        """Whether it is the private part of a public key."""
        own = self._key.public_key().public_numbers()
        return isinstance(public, rsa.RSAPublicKey) and public.public_numbers() == own

    def assertion(self, claims: Mapping[str, Any]) -> str:
        """A signed token with these claims, which counts from now on for a few minutes."""
        now = int(time.time())
        said = {**claims, "iat": now - _CLOCKS_APART, "exp": now + _LASTS}
        signed = f"{base64url(_json(self._header))}.{base64url(_json(said))}"
        signature = self._key.sign(signed.encode(), self._padding(), hashes.SHA256())
        return f"{signed}.{base64url(signature)}"

    def _padding(self) -> padding.AsymmetricPadding:
        if self._algorithm == "RS256":
            return padding.PKCS1v15()
        # RFC 7518, 3.5: the salt is as long as the hash.
        return padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=hashes.SHA256().digest_size)


def base64url(content: bytes) -> str:
    """Base64 for addresses, without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _headers(token: str) -> dict[str, str]:
    return {"Accept": "application/json", "Authorization": f"Bearer {token}"}
