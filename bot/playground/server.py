"""The local Slack's endpoints: Web API, Socket Mode, `response_url`, uploads.

They check tokens, scopes and rates; the methods are in other modules.
"""

from __future__ import annotations

import hmac

from aiohttp import WSMsgType, web

from bot.playground import chat, files
from bot.playground.block_tree import Json
from bot.playground.delivery import Delivery
from bot.playground.errors import RateLimited, SlackRefusal, lacks_scope
from bot.playground.faults import AFTER, Fault, Faults
from bot.playground.installation import Installation
from bot.playground.methods import Method, arguments, method_of
from bot.playground.rate_limits import RateLimits
from bot.playground.workspace import RESPONSE_SECONDS, RESPONSE_USES

UPLOAD = "upload"
"""The name for faults of a file's upload."""
_MOST_SOCKETS = 10
_MOST_BYTES = 8 * 1024 * 1024


class Server:
    """The endpoints of one workspace."""

    def __init__(self, slack: Installation, delivery: Delivery, faults: Faults, limits: RateLimits) -> None:
        self._slack, self._delivery, self._faults, self._limits = slack, delivery, faults, limits

    def app(self) -> web.Application:
        """The application for an HTTP server."""
        app = web.Application(client_max_size=_MOST_BYTES)
        app.router.add_route("*", "/api/{method:.*}", self._api)
        app.router.add_get("/socket", self._socket)
        app.router.add_post("/response/{id}", self._response)
        app.router.add_post("/upload/v1/{ticket}", self._upload)
        return app

    # the Web API

    async def _api(self, request: web.Request) -> web.StreamResponse:
        name, args = request.match_info["method"], Json()
        fault = self._faults.next(name)
        try:
            method = method_of(name)
            args, token = await _read(request, method)
            if fault and fault.how not in AFTER:
                return await self._fail(request, fault, name, args)
            answer = self._call(name, method, args, token)
        except SlackRefusal as error:
            refusal: Json = {"ok": False, "error": error.code, **error.more}
            await self._slack.record_call(name, args, error.code, refusal)
            limited = isinstance(error, RateLimited)
            headers = {"Retry-After": str(error.retry_after)} if isinstance(error, RateLimited) else {}
            return web.json_response(refusal, status=429 if limited else 200, headers=headers)
        await self._slack.record_call(name, args, "ok", answer)
        if fault:
            self._faults.lost.append(args)
            return _failed() if fault.how == "error_500_after" else _dropped(request)
        headers = {"X-OAuth-Scopes": ",".join(self._slack.scopes)} if method.caller == "bot" else {}
        return web.json_response({"ok": True, **answer}, headers=headers)

    def _call(self, name: str, method: Method, args: Json, token: str) -> Json:
        self._check_token(method, token)
        self._limits.take(name, method.tier, str(args.get("channel")))
        method.check(args)
        answer = method.run(self._slack, args)
        self._delivery.send_events()
        return answer

    def _check_token(self, method: Method, token: str) -> None:
        if method.caller == "anyone":
            return
        if not token:
            raise SlackRefusal("not_authed")
        bot, app = (_same(token, known) for known in (self._slack.bot_token, self._slack.app_token))
        if not bot and not app:
            raise SlackRefusal("invalid_auth")
        if app != (method.caller == "app"):
            raise SlackRefusal("not_allowed_token_type")
        provided = ["connections:write"] if app else list(self._slack.scopes)
        if method.scopes and not set(method.scopes) & set(provided):
            raise lacks_scope(method.scopes[0], provided)

    async def _fail(self, request: web.Request, fault: Fault, name: str, args: Json) -> web.StreamResponse:
        match fault.how:
            case "ratelimited":
                raise RateLimited(fault.retry_after)
            case "refuse":
                raise SlackRefusal(fault.code)
        await self._slack.record_call(name, args, fault.how, {})
        if fault.how == "error_500":
            return _failed()
        if fault.how == "hang":
            await self._faults.released.wait()
        return _dropped(request)

    # Socket Mode

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        slack, delivery, ws = self._slack, self._delivery, web.WebSocketResponse(heartbeat=30)
        if not slack.admits(request.query.get("ticket", "")):
            return web.Response(status=403)
        await ws.prepare(request)
        if len(delivery.sockets) >= _MOST_SOCKETS:
            await ws.send_json({"type": "disconnect", "reason": "too_many_websockets", "debug_info": {"host": "local"}})
            await ws.close()
            return ws
        with delivery.connection(ws):
            info = {"connection_info": {"app_id": slack.app_id}, "debug_info": {"host": "local"}}
            await ws.send_json({"type": "hello", "num_connections": len(delivery.sockets), **info})
            await slack.world.changed()
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    delivery.acked(message.json())
        await slack.world.changed()
        return ws

    # response_url

    async def _response(self, request: web.Request) -> web.StreamResponse:
        found = self._slack.world.responses.get(request.match_info["id"])
        if found is None:
            return web.json_response({"ok": False, "error": "invalid_url"}, status=404)
        if self._slack.clock() - found.at > RESPONSE_SECONDS or found.uses >= RESPONSE_USES:
            code = "used_url" if found.uses >= RESPONSE_USES else "expired_url"
            return web.json_response({"ok": False, "error": code}, status=404)
        found.uses += 1
        try:
            chat.respond(self._slack, found.user, found.channel, await _payload(request), found.ts)
        except SlackRefusal as error:
            return web.json_response({"ok": False, "error": error.code, **error.more}, status=400)
        await self._slack.world.changed()
        return web.Response(text="ok")

    # uploads

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        """Takes no token: the address is the secret."""
        fault = self._faults.next(UPLOAD)
        if fault and fault.how == "error_500":
            return web.Response(status=500, text="Internal Server Error")
        try:
            files.receive(self._slack, request.match_info["ticket"], await request.read())
        except SlackRefusal as error:
            return web.Response(status=400, text=error.code)
        return _dropped(request) if fault else web.Response(text="OK")


async def _read(request: web.Request, method: Method) -> tuple[Json, str]:
    """The arguments, and the token, which is removed from them."""
    json_body = request.content_type == "application/json"
    form = {} if json_body else dict(await request.post())
    args = arguments(method, dict(request.query), form, await request.read() if json_body else None)
    in_body = str(args.pop("token", ""))
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return args, token if scheme == "Bearer" else in_body


async def _payload(request: web.Request) -> Json:
    try:
        body = await request.json()
    except ValueError:
        raise SlackRefusal("invalid_payload") from None
    if not isinstance(body, dict):
        raise SlackRefusal("invalid_payload")
    return body


def _same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), known.encode())


def _failed() -> web.StreamResponse:
    return web.Response(status=500, text="Internal Server Error")


def _dropped(request: web.Request) -> web.StreamResponse:
    """Break the connection, so that the caller does not learn the outcome."""
    if request.transport:
        request.transport.abort()
    return web.Response(status=500)
