"""What the servers of directories share that give access tokens: signatures are checked, and each token is known."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import itertools
import json
import secrets
import time
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.providers.api_server import ApiServer

FORM = "application/x-www-form-urlencoded"


@functools.cache
def key(size: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=size)


@functools.cache
def other_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


def pem(private: rsa.RSAPrivateKey) -> str:
    shape = serialization.PrivateFormat.PKCS8
    return private.private_bytes(serialization.Encoding.PEM, shape, serialization.NoEncryption()).decode()


def certificate(private: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "jit")])
    since = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
    builder = builder.serial_number(1).not_valid_before(since).not_valid_after(since + dt.timedelta(days=36_500))
    return builder.sign(private, hashes.SHA256())


def certificate_pem(private: rsa.RSAPrivateKey) -> str:
    return certificate(private).public_bytes(serialization.Encoding.PEM).decode()


def decoded(part: str) -> bytes:
    if "=" in part:
        raise ValueError("padded")
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def read(assertion: str, public: rsa.RSAPublicKey) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the claims of a JWT that a key signed. Raises `ValueError`, `InvalidSignature`."""
    head, body, signature = assertion.split(".")
    header, claims = json.loads(decoded(head)), json.loads(decoded(body))
    pad: padding.AsymmetricPadding = padding.PKCS1v15()
    if header["alg"] == "PS256":
        pad = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
    public.verify(decoded(signature), f"{head}.{body}".encode(), pad, hashes.SHA256())
    return header, claims


class OAuthServer(ApiServer):
    """Gives tokens, and answers to those that it gave. A vendor says by which forms, and what it answers."""

    TOKEN_PATH = ""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, str]] = []
        self.tokens: dict[str, dict[str, str]] = {}
        """Those that count, with the form that each was given for."""
        self.lifetime = 3600
        self.clock_ahead = 0.0
        self.token_answer: web.Response | None = None
        """In place of each token; ``answer`` is in place of each other answer."""
        self._numbers = itertools.count(1)

    @property
    def now(self) -> float:
        return time.time() + self.clock_ahead

    def routes(self) -> list[web.RouteDef]:
        return [web.post(self.TOKEN_PATH, self._token)]

    def refused(self, form: dict[str, str]) -> web.Response | None:
        """Why there is no token for a form; None where there is one. Raises `KeyError`, `ValueError` for a bad one."""
        raise NotImplementedError

    def malformed(self) -> web.Response:
        raise NotImplementedError

    def unauthorized(self) -> web.Response:
        raise NotImplementedError

    def refusal(self, request: web.Request) -> web.Response | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        known = scheme == "Bearer" and token in self.tokens
        return None if known or request.method == "POST" else self.unauthorized()

    def replaced(self, request: web.Request) -> web.Response | None:
        return self.token_answer if request.method == "POST" else super().replaced(request)

    async def _token(self, request: web.Request) -> web.Response:
        fields = await request.post()
        form = {name: value for name, value in fields.items() if isinstance(value, str)}
        if request.content_type != FORM or request.query or len(form) != len(fields):
            return self.malformed()
        self.forms.append(form)
        form = {**form, "tenant": request.match_info.get("tenant", "")}
        try:
            refused = self.refused(form)
        except (KeyError, ValueError, InvalidSignature):
            return self.malformed()
        if refused is not None:
            return refused
        token = f"token-{next(self._numbers)}-{secrets.token_urlsafe(16)}"
        self.tokens[token] = form
        return web.json_response({"token_type": "Bearer", "expires_in": self.lifetime, "access_token": token})
