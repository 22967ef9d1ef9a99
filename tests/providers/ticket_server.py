"""A ticket system over HTTP that knows some tickets, refuses what is not signed for it, and can misbehave."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
import time
from dataclasses import dataclass, field

from aiohttp import web

SECRET = "a secret of the ticket system"


@dataclass
class Tickets:
    """A ticket system that knows some tickets, and refuses what is not signed for it."""

    tls: ssl.SSLContext | None = None
    known: tuple[str, ...] = ("INC-42", "INC/../43 ü", "%2e%2e")
    paths: list[str] = field(default_factory=list)
    misbehaves: str = ""
    port: int = 0
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.tls)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.raw_path)
        match self.misbehaves:
            case "slow":
                await asyncio.sleep(30)
            case "redirect":
                return web.Response(status=302, headers={"Location": "/rest/INC-42"})
            case "huge":
                return await self._huge(request)
            case "headers":
                return web.Response(headers={"X-Long": "x" * 100_000})
            case "drops":
                assert request.transport is not None
                request.transport.abort()
            case status if status.isdecimal():
                return web.Response(status=int(status))
        if not self._signed(request):
            return web.Response(status=401)
        return web.Response(status=200 if request.match_info["path"].removeprefix("rest/") in self.known else 404)

    async def _huge(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(status=200)
        await answer.prepare(request)
        try:
            while True:
                await answer.write(b"x" * 65_536)
        except (ConnectionError, asyncio.CancelledError):
            return answer

    def _signed(self, request: web.Request) -> bool:
        at = request.headers["Jit-Timestamp"]
        said = f"{request.method}\n{request.raw_path}\n{at}".encode()
        good = hmac.new(SECRET.encode(), said, hashlib.sha256).hexdigest()
        fresh = abs(time.time() - int(at)) < 60
        return fresh and hmac.compare_digest(request.headers["Jit-Signature"], f"v1={good}")
