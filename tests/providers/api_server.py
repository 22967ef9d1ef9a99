"""A JSON API on this machine that can be stopped, hang and misbehave; what it has are its routes."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web


class ApiServer:
    """It keeps its port over a stop, and notes each call."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        """The path and the query of each, as they came."""
        self.called = asyncio.Event()
        self.answer: web.Response | None = None
        """In place of each answer to whoever may read."""
        self.instead: dict[str, web.Response] = {}
        """In place of the answers at these paths."""
        self.delay = 0.0
        """Seconds before each answer."""
        self.hangs = False
        self.dies = False
        """Whether it ends in the middle of each answer."""
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def routes(self) -> list[web.RouteDef]:
        raise NotImplementedError

    def refusal(self, request: web.Request) -> web.Response | None:
        """What is said to a call that is not allowed."""
        raise NotImplementedError

    def replaced(self, request: web.Request) -> web.Response | None:
        """What is said in place of the answer to a call."""
        return self.instead.get(request.path, self.answer)

    async def start(self) -> None:
        app = web.Application(middlewares=[self._guard])
        app.router.add_routes(self.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self.port or self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.calls.append(request.path_qs)
        self.called.set()
        if self.hangs:
            await asyncio.sleep(60)
        await asyncio.sleep(self.delay)
        if self.dies:
            part = web.StreamResponse(headers={"Content-Length": "1000"})
            await part.prepare(request)
            await part.write(b"[")
            assert request.transport is not None
            request.transport.abort()
            return part
        if (refused := self.refusal(request)) is not None:
            return refused
        if (instead := self.replaced(request)) is not None:
            return again(instead)
        found: web.StreamResponse = await handler(request)
        return found


def again(answer: web.Response) -> web.Response:
    """The same answer; one can be sent once only."""
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
