"""From the local Slack to the app: signed HTTP, or a Socket Mode envelope, acknowledged within three seconds.

Events are delivered again over HTTP, and anything over Socket Mode, while nothing acknowledges them; commands and
clicks over HTTP are delivered once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from slack_sdk.signature import SignatureVerifier

if TYPE_CHECKING:
    from bot.playground.slack import LocalSlack

_TYPES = {"command": "slash_commands", "interactive": "interactive", "event": "events_api"}


@dataclass(frozen=True)
class Acked:
    """The app's answer: the HTTP status (0: none came, and ``why``), and the body as JSON or text."""

    status: int
    body: Any
    seconds: float
    why: str = ""
    final: bool = False
    """The app asks not to be told again."""

    @property
    def ok(self) -> bool:
        """Whether it counts as acknowledged."""
        return 200 <= self.status < 300


@dataclass(eq=False)
class Socket:
    """One connection of the app; ``lost`` is done when it is gone."""

    ws: web.WebSocketResponse
    lost: asyncio.Future[None]


@dataclass
class Delivery:
    """Delivers over HTTP where there is a request URL, else to one of the sockets."""

    slack: LocalSlack
    url: str | None = None
    sockets: list[Socket] = field(default_factory=list)
    retry_delays: tuple[float, ...] = (0.05, 0.2, 0.5)
    """Seconds before an event is delivered again (Slack: at once, a minute, five minutes)."""
    redeliver: bool = True
    """Whether an envelope that is not acknowledged goes to another socket."""
    ack_seconds: float = 3.0

    def __post_init__(self) -> None:
        """Nothing waits for an acknowledgement."""
        self._session: aiohttp.ClientSession | None = None
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._turn = 0

    async def close(self) -> None:
        """Let go of the connections."""
        for socket in list(self.sockets):
            await socket.ws.close()
        if self._session:
            await self._session.close()

    async def command(self, payload: dict[str, Any]) -> Acked:
        """A slash command."""
        return await self._deliver("command", payload, urlencode(payload))

    async def interactive(self, payload: dict[str, Any]) -> Acked:
        """A click or a submission; without interactivity the person sees an error, and the app nothing."""
        if self.slack.installed is not None and not self.slack.installed.interactive:
            return Acked(0, "", 0.0, "interactivity_is_off")
        return await self._deliver("interactive", payload, urlencode({"payload": json.dumps(payload)}))

    async def event(self, event: dict[str, Any]) -> Acked:
        """An event; delivered again, up to three times, while it is not acknowledged; one not subscribed to, never."""
        if not self.slack.hears(event):
            return Acked(0, "", 0.0, "not_subscribed")
        payload = self.event_payload(event)
        acked = await self._deliver("event", payload, json.dumps(payload))
        for attempt, delay in enumerate(self.retry_delays, start=1):
            if self.url is None or acked.ok or acked.final:
                break
            await asyncio.sleep(delay)
            again = {"x-slack-retry-num": str(attempt), "x-slack-retry-reason": acked.why or "http_error"}
            acked = await self._http(json.dumps(payload), "application/json", again)
        return acked

    def event_payload(self, event: dict[str, Any]) -> dict[str, Any]:
        """What Slack would deliver."""
        installed = {"enterprise_id": None, "team_id": self.slack.team, "user_id": self.slack.bot_user_id}
        return {
            "token": "unused",
            "team_id": self.slack.team,
            "api_app_id": self.slack.app_id,
            "type": "event_callback",
            "event_id": f"Ev{secrets.token_hex(5).upper()}",
            "event_time": int(self.slack.clock()),
            "event": {"event_ts": self.slack.world.ts(), **event},
            "authorizations": [{**installed, "is_bot": True, "is_enterprise_install": False}],
            "is_ext_shared_channel": False,
        }

    async def verifies_url(self) -> bool:
        """Whether the app answers the challenge with which Slack tries a request URL."""
        challenge = secrets.token_hex(16)
        body = json.dumps({"token": "unused", "challenge": challenge, "type": "url_verification"})
        acked = await self._http(body, "application/json", {})
        return acked.ok and acked.body in ({"challenge": challenge}, challenge)

    async def _deliver(self, kind: str, payload: dict[str, Any], encoded: str) -> Acked:
        if self.url is None:
            return await self._envelope(kind, payload)
        content_type = "application/json" if kind == "event" else "application/x-www-form-urlencoded"
        return await self._http(encoded, content_type, {})

    # HTTP

    async def _http(self, body: str, content_type: str, more: dict[str, str]) -> Acked:
        return await self.raw(body.encode(), {**self.signed(body), "content-type": content_type, **more})

    def signed(self, body: str, secret: str | None = None, at: float | None = None) -> dict[str, str]:
        """The headers that sign a body; with another secret or time, a forgery or a replay."""
        timestamp = str(int(self.slack.clock() if at is None else at))
        verifier = SignatureVerifier(secret or self.slack.signing_secret)
        signature = verifier.generate_signature(timestamp=timestamp, body=body)
        return {"x-slack-request-timestamp": timestamp, "x-slack-signature": str(signature)}

    async def raw(self, body: bytes, headers: dict[str, str]) -> Acked:
        """Any bytes with any headers, to the request URL."""
        if self._session is None:
            # As many at once as there are: Slack does not wait for one answer before it asks for the next.
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        loop = asyncio.get_running_loop()
        started, patience = loop.time(), aiohttp.ClientTimeout(total=self.ack_seconds)
        call = self._session.post(str(self.url), data=body, headers=headers, timeout=patience, allow_redirects=False)
        try:
            async with call as answer:
                text, final = await answer.text(), answer.headers.get("x-slack-no-retry") == "1"
                return Acked(answer.status, _parsed(text), loop.time() - started, "", final)
        except TimeoutError:
            return Acked(0, "", loop.time() - started, "http_timeout")
        except (aiohttp.ClientError, OSError):
            return Acked(0, "", loop.time() - started, "connection_failed")

    # Socket Mode

    @contextlib.contextmanager
    def connection(self, ws: web.WebSocketResponse) -> Any:
        """A socket that gets its share of the envelopes while it is open."""
        socket = Socket(ws, asyncio.get_running_loop().create_future())
        self.sockets.append(socket)
        try:
            yield socket
        finally:
            self.sockets.remove(socket)
            socket.lost.set_result(None)

    async def _envelope(self, kind: str, payload: dict[str, Any]) -> Acked:
        loop = asyncio.get_running_loop()
        started, id_ = loop.time(), secrets.token_hex(16)
        answered = self._waiting[id_] = loop.create_future()
        envelope: dict[str, Any] = {
            "envelope_id": id_,
            "type": _TYPES[kind],
            "accepts_response_payload": kind != "event",
            "payload": payload,
        }
        try:
            for attempt in range(3 if self.redeliver else 1):
                again = {"retry_attempt": attempt, "retry_reason": "timeout"} if attempt else {"retry_attempt": 0}
                await self._send({**envelope, **again}, answered)
                if answered.done():
                    return Acked(200, answered.result().get("payload") or "", loop.time() - started)
            return Acked(0, "", loop.time() - started, "timeout")
        finally:
            del self._waiting[id_]

    async def _send(self, envelope: dict[str, Any], answered: asyncio.Future[dict[str, Any]]) -> None:
        """To the next socket, and wait until it answers, is lost, or time is up."""
        try:
            await self.slack.connected(patience=self.ack_seconds)
        except TimeoutError:
            return
        self._turn += 1
        socket = self.sockets[self._turn % len(self.sockets)]
        with contextlib.suppress(ConnectionError):
            await socket.ws.send_json(envelope)
            either: set[asyncio.Future[Any]] = {answered, socket.lost}
            await asyncio.wait(either, timeout=self.ack_seconds, return_when=asyncio.FIRST_COMPLETED)

    def acked(self, answer: dict[str, Any]) -> None:
        """The app acknowledges an envelope; the first acknowledgement counts."""
        future = self._waiting.get(str(answer.get("envelope_id")))
        if future and not future.done():
            future.set_result(answer)

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Ask the app to connect anew, as Slack does now and then; after anything but a ``warning``, close.

        After ``link_disabled`` no new connection is given out.
        """
        self.slack.socket_mode = self.slack.socket_mode and reason != "link_disabled"
        for socket in list(self.sockets):
            with contextlib.suppress(ConnectionError):
                await socket.ws.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "local"}})
                if reason != "warning":
                    await socket.ws.close()


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
