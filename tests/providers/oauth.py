"""What the servers of directories share that give access tokens: signatures are checked, and each token is known."""

from __future__ import annotations

import asyncio
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


class OAuthServer:
    """Gives tokens, and answers to those that it gave. A vendor says by which forms, and what it answers."""

    TOKEN_PATH = ""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.tokens: dict[str, dict[str, str]] = {}
        """Those that count, with the form that each was given for."""
        self.lifetime = 3600
        self.clock_ahead = 0.0
        self.answer: web.Response | None = None
        """In place of each answer but tokens."""
        self.token_answer: web.Response | None = None
        self.hangs = False
        self.delay = 0.0
        self.port = 0
        self._numbers = itertools.count(1)
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def now(self) -> float:
        return time.time() + self.clock_ahead

    def routes(self, router: web.UrlDispatcher) -> None:
        raise NotImplementedError

    def refused(self, form: dict[str, str]) -> web.Response | None:
        """Why there is no token for a form; None where there is one. Raises `KeyError`, `ValueError` for a bad one."""
        raise NotImplementedError

    def malformed(self) -> web.Response:
        raise NotImplementedError

    def unauthorized(self) -> web.Response:
        raise NotImplementedError

    async def start(self) -> None:
        app = web.Application(middlewares=[self._guard])
        app.router.add_post(self.TOKEN_PATH, self._token)
        self.routes(app.router)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self.port or self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.calls.append(f"{request.method} {request.path_qs}")
        await asyncio.sleep(60 if self.hangs else self.delay)
        if request.method == "GET":
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            if scheme != "Bearer" or token not in self.tokens:
                return self.unauthorized()
            if self.answer is not None:
                return again(self.answer)
        found: web.StreamResponse = await handler(request)
        return found

    async def _token(self, request: web.Request) -> web.Response:
        if self.token_answer is not None:
            return again(self.token_answer)
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


def again(answer: web.Response) -> web.Response:
    """The same answer; one can be sent once only."""
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
