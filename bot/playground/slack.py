"""The local Slack's server: the Web API over HTTP, Socket Mode over WebSocket, and answers to `response_url`."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import WSMsgType, web

from bot.playground import blocks
from bot.playground.delivery import Delivery
from bot.playground.driver import Human
from bot.playground.errors import RateLimited, SlackRefusal
from bot.playground.faults import Faults
from bot.playground.limits import Limits
from bot.playground.methods import METHODS, Arguments, Method, arguments
from bot.playground.workspace import (
    RESPONSE_SECONDS,
    RESPONSE_USES,
    Account,
    Channel,
    Kind,
    Message,
    Usergroup,
    View,
    Workspace,
)

SCOPES = (
    "commands",
    "chat:write",
    "users:read",
    "users:read.email",
    "usergroups:read",
    "im:write",
    "channels:read",
    "groups:read",
    "metadata.message:read",
)
_MOST_SOCKETS = 10


@dataclass(frozen=True)
class Call:
    """One Web API call: what was asked, and what was answered (``ok`` or the error)."""

    method: str
    args: Arguments
    answer: str
    at: float


@dataclass
class LocalSlack:
    """One workspace, served on loopback. ``clock`` in Unix seconds."""

    team: str = "T0LOCAL01"
    scopes: Iterable[str] = SCOPES
    clock: Callable[[], float] = time.time
    metadata_events: bool = True
    port: int = 0
    calls: list[Call] = field(default_factory=list)
    payloads: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the tokens; nothing listens before `start`."""
        self.world = Workspace(self.team, self.clock)
        self.faults, self.limits = Faults(), Limits(self.clock)
        self.bot_token, self.app_token = f"xoxb-{secrets.token_hex(12)}", f"xapp-{secrets.token_hex(12)}"
        self.signing_secret = secrets.token_hex(16)
        self.app_id, self.bot_id, self.bot_user_id = "A0LOCAL01", "B0LOCAL01", "U0JITBOT1"
        self.world.people[self.bot_user_id] = Account(self.bot_user_id, "jit", "", "bot", self.team)
        self.delivery = Delivery(self)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._tickets = itertools.count(1)
        self._valid_tickets: set[str] = set()
        self._runner: web.AppRunner | None = None

    # running

    async def start(self) -> LocalSlack:
        """Listen on loopback."""
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_route("*", "/api/{method:.*}", self._api)
        app.router.add_get("/socket", self._socket)
        app.router.add_post("/response/{id}", self._response)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        """Let go of everything."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.delivery.close()
        if self._runner:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    @property
    def base(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        """What a client takes as its base URL."""
        return f"{self.base}/api/"

    # what there is

    def add_person(self, id_: str, name: str, email: str = "", kind: Kind = "member", team: str | None = None) -> Human:
        """Someone. An external has a team of their own."""
        home = team or ("T0ELSEWHR" if kind in {"external", "stranger"} else self.team)
        self.world.people[id_] = Account(id_, name, email, kind, home)
        return self.person(id_)

    def add_channel(self, id_: str, name: str, members: Iterable[str] = (), **more: Any) -> Channel:
        """A channel."""
        channel = Channel(id_, name, set(members), **more)
        self.world.channels[id_] = channel
        return channel

    def add_usergroup(self, id_: str, handle: str, users: Iterable[str]) -> Usergroup:
        """A user group."""
        group = Usergroup(id_, handle, list(users))
        self.world.usergroups[id_] = group
        return group

    def person(self, id_: str) -> Human:
        """Someone's hands and eyes."""
        return Human(self, self.world.people[id_])

    async def deactivate(self, id_: str) -> None:
        """Take someone's account away; the app is told."""
        self.world.people[id_].kind = "deactivated"
        await self.delivery.event({"type": "user_change", "user": self.world.people[id_].json()})

    def deliver_to(self, url: str | None) -> None:
        """Deliver over HTTP to the app's request URL; None: over Socket Mode."""
        self.delivery.url = url

    async def connected(self, sockets: int = 1, patience: float = 10.0) -> None:
        """Wait for the app's sockets."""
        await self.world.until(lambda: len(self.delivery.sockets) >= sockets or None, f"{sockets} sockets", patience)

    def messages(self, channel: str, thread: str | None = None) -> list[Message]:
        """What stands in a channel, or in a thread of it, for everyone to see."""
        return [m for m in self.world.messages if m.channel == channel and m.thread == thread and m.to is None]

    async def sees(
        self, channel: str, wanted: Callable[[Message], bool], *, thread: str | None = None, patience: float = 10.0
    ) -> Message:
        """Wait until a message there is as wanted."""

        def find() -> Message | None:
            return next((m for m in reversed(self.messages(channel, thread)) if wanted(m)), None)

        return await self.world.until(find, f"a message in {channel}", patience)

    # what happens

    def posted(self, message: Message) -> None:
        """The app posted: tell it so, when it asked for that by metadata."""
        if not self.metadata_events or message.metadata is None:
            return
        event = {
            "type": "message_metadata_posted",
            "app_id": self.app_id,
            "bot_id": self.bot_id,
            "user_id": self.bot_user_id,
            "team_id": self.team,
            "channel_id": message.channel,
            "message_ts": message.ts,
            "metadata": message.metadata,
        }
        self.spawn(self.delivery.event(event))

    def spawn(self, work: Any) -> None:
        """Do it beside."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def replace_view(self, view: View, body: dict[str, Any]) -> None:
        """Show another body in the same view; what was filled in stays where the same input is."""
        kept = {block.get("block_id") for block in body["blocks"]}
        view.body, view.hash = body, self.world.ts()
        view.state = {block: state for block, state in view.state.items() if block in kept}
        self.payloads.append(("view", body))

    def socket_url(self) -> str:
        """A ticket for one socket."""
        ticket = f"{next(self._tickets)}-{secrets.token_hex(8)}"
        self._valid_tickets.add(ticket)
        return f"ws://127.0.0.1:{self.port}/socket?ticket={ticket}&app_id={self.app_id}"

    def response_url(self, id_: str) -> str:
        """Where the app may answer."""
        return f"{self.base}/response/{id_}"

    # the Web API

    async def _api(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        body = await request.read()
        form = dict(await request.post()) if not request.content_type.startswith("application/json") else {}
        fault = self.faults.next(name)
        args: Arguments = {}
        try:
            if fault and fault.how in {"ratelimited", "error_500", "hang", "drop_before", "refuse"}:
                early = await self._fail(request, fault.how, fault.retry_after, fault.code)
                if early is not None:
                    self.calls.append(Call(name, args, fault.how, self.clock()))
                    return early
            args = arguments(request.headers.get("Content-Type", ""), body, dict(request.query), form)
            answer = self._call(name, request, args)
        except RateLimited as error:
            self.calls.append(Call(name, args, error.code, self.clock()))
            headers = {"Retry-After": str(error.retry_after)}
            return web.json_response({"ok": False, "error": error.code}, status=429, headers=headers)
        except SlackRefusal as error:
            self.calls.append(Call(name, args, error.code, self.clock()))
            return web.json_response({"ok": False, "error": error.code, **error.more})
        self.calls.append(Call(name, args, "ok", self.clock()))
        self._record(name, args)
        await self.world.changed()
        if fault and fault.how == "drop_after":
            return await self._drop(request)
        return web.json_response({"ok": True, **answer})

    def _call(self, name: str, request: web.Request, args: Arguments) -> dict[str, Any]:
        method = METHODS.get(name)
        if method is None:
            raise SlackRefusal("unknown_method", req_method=name)
        self._authorized(method, request, args)
        for argument in method.required:
            if args.get(argument) in {None, ""} if not isinstance(args.get(argument), dict | list) else False:
                code = "no_channel" if argument == "channel" else "invalid_arguments"
                raise SlackRefusal(
                    code, response_metadata={"messages": [f"[ERROR] missing required field: {argument}"]}
                )
        self.limits.take(name, method.tier, str(args.get("channel")))
        return method.run(self, args)

    def _authorized(self, method: Method, request: web.Request, args: Arguments) -> None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ") or str(args.pop("token", ""))
        if not given:
            raise SlackRefusal("not_authed")
        right, wrong = (self.app_token, self.bot_token) if method.kind == "app" else (self.bot_token, self.app_token)
        if given == wrong:
            raise SlackRefusal("not_allowed_token_type")
        if given != right:
            raise SlackRefusal("invalid_auth")
        provided = ["connections:write"] if method.kind == "app" else list(self.scopes)
        if method.scopes and not set(method.scopes) & set(provided):
            raise SlackRefusal("missing_scope", needed=method.scopes[0], provided=",".join(provided))

    def _record(self, name: str, args: Arguments) -> None:
        if name in {"chat.postMessage", "chat.update", "chat.postEphemeral"}:
            self.payloads.append(("message", {"text": args.get("text"), "blocks": args.get("blocks")}))
        elif name in {"views.open", "views.push", "views.publish"}:
            self.payloads.append(("view", args["view"]))

    async def _fail(self, request: web.Request, how: str, retry_after: int, code: str) -> web.StreamResponse | None:
        match how:
            case "ratelimited":
                raise RateLimited(retry_after)
            case "refuse":
                raise SlackRefusal(code)
            case "error_500":
                return web.Response(status=500, text="oops")
            case "hang":
                await asyncio.sleep(60)
        return await self._drop(request)

    @staticmethod
    async def _drop(request: web.Request) -> web.StreamResponse:
        if request.transport:
            request.transport.close()
        return web.Response(status=500)

    # Socket Mode

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self._valid_tickets or len(self.delivery.sockets) >= _MOST_SOCKETS:
            return web.Response(status=403)
        self._valid_tickets.discard(ticket)
        socket = web.WebSocketResponse(heartbeat=30)
        await socket.prepare(request)
        hello = {"type": "hello", "num_connections": len(self.delivery.sockets) + 1}
        await socket.send_json({**hello, "connection_info": {"app_id": self.app_id}})
        self.delivery.sockets.append(socket)
        await self.world.changed()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self.delivery.acked(message.json())
        finally:
            self.delivery.sockets.remove(socket)
        return socket

    # response_url

    async def _response(self, request: web.Request) -> web.StreamResponse:
        found = self.world.responses.get(request.match_info["id"])
        if found is None or self.clock() - found.at > RESPONSE_SECONDS or found.uses >= RESPONSE_USES:
            return web.json_response({"ok": False, "error": "used_url" if found else "invalid_url"}, status=404)
        found.uses += 1
        body = await request.json()
        try:
            self.respond(found.user, found.channel, body, found.ts)
        except SlackRefusal as error:
            return web.json_response({"ok": False, "error": error.code, **error.more}, status=400)
        await self.world.changed()
        return web.Response(text="ok")

    def respond(self, user: str, channel: str, body: dict[str, Any], ts: str | None = None) -> None:
        """What an app answers to a command or a click: to the person alone, unless it says otherwise."""
        original = next((m for m in self.world.messages if m.ts == ts), None)
        if body.get("delete_original"):
            if original:
                self.world.messages.remove(original)
            return
        blocks.check_message(body.get("text"), body.get("blocks"))
        self.payloads.append(("message", {"text": body.get("text"), "blocks": body.get("blocks")}))
        if body.get("replace_original") and original:
            original.text, original.blocks = body.get("text", ""), body.get("blocks", [])
            original.edits += 1
            return
        to = None if body.get("response_type") == "in_channel" else user
        message = Message(channel, self.world.ts(), body.get("text", ""), body.get("blocks") or [], to=to)
        self.world.messages.append(message)
