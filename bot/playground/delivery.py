"""Delivers to the app: signed HTTP, or a Socket Mode envelope, acknowledged within three seconds.

Without an acknowledgement, events are retried over HTTP, and everything over Socket Mode; commands and clicks over
HTTP are not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from slack_sdk.signature import SignatureVerifier

from bot.playground.installation import Installation

_TYPES = {"command": "slash_commands", "interactive": "interactive", "event": "events_api"}
_STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Ack:
    """The app's answer: the HTTP status (0: no answer, ``why`` says the reason), and the body as JSON or text."""

    status: int
    body: Any
    seconds: float
    why: str = ""
    final: bool = False
    """The app wants no retry."""

    @property
    def ok(self) -> bool:
        """Whether it counts as acknowledged."""
        return 200 <= self.status < 300


@dataclass(eq=False)
class Socket:
    """One socket of the app; ``lost`` is done when it is closed."""

    ws: web.WebSocketResponse
    lost: asyncio.Future[None]


@dataclass
class Delivery:
    """Delivers over HTTP if there is a request URL, else to one of the sockets."""

    slack: Installation
    url: str | None = None
    sockets: list[Socket] = field(default_factory=list)
    retry_delays: tuple[float, ...] = (0.05, 0.2, 0.5)
    """Seconds before each retry of an event (Slack: none, a minute, five minutes)."""
    redeliver: bool = True
    """Whether an envelope without acknowledgement goes to another socket."""
    ack_seconds: float = 3.0

    def __post_init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._turn = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        """Cancel what is in the background, and close the connections."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
        for socket in list(self.sockets):
            await socket.ws.close()
        if self._session:
            await self._session.close()

    async def command(self, payload: dict[str, Any]) -> Ack:
        """Deliver a slash command."""
        return await self._deliver("command", payload, urlencode(payload))

    async def interactive(self, payload: dict[str, Any]) -> Ack:
        """Deliver a click or a submission, unless the manifest has no interactivity."""
        if not self.slack.interactive:
            return Ack(0, "", 0.0, "interactivity_is_off")
        return await self._deliver("interactive", payload, urlencode({"payload": json.dumps(payload)}))

    async def event(self, event: dict[str, Any]) -> Ack:
        """Deliver an event that the app subscribed to; over HTTP it is retried up to three times."""
        if not self.slack.subscribes_to(event):
            return Ack(0, "", 0.0, "not_subscribed")
        payload = self.event_payload(event)
        acked = await self._deliver("event", payload, json.dumps(payload))
        for attempt, delay in enumerate(self.retry_delays, start=1):
            if self.url is None or acked.ok or acked.final:
                break
            await asyncio.sleep(delay)
            again = {"x-slack-retry-num": str(attempt), "x-slack-retry-reason": acked.why or "http_error"}
            acked = await self._http(json.dumps(payload), "application/json", again)
        return acked

    def send_events(self) -> None:
        """Deliver, in the background, the events that the app's own calls caused."""
        while self.slack.events:
            task = asyncio.create_task(self.event(self.slack.events.pop(0)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Wait until every event in the background was delivered or given up."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def event_payload(self, event: dict[str, Any]) -> dict[str, Any]:
        """The payload of an event."""
        enterprise, whole = self.slack.enterprise or None, self.slack.organisation
        team = None if whole else self.slack.team
        installed = {"enterprise_id": enterprise, "team_id": team, "user_id": self.slack.bot_user_id}
        return {
            "token": "unused",
            "team_id": self.slack.team,
            **({"enterprise_id": enterprise} if enterprise else {}),
            "api_app_id": self.slack.app_id,
            "type": "event_callback",
            "event_id": f"Ev{secrets.token_hex(5).upper()}",
            "event_time": int(self.slack.clock()),
            "event": {"event_ts": self.slack.world.ts(), **event},
            "authorizations": [{**installed, "is_bot": True, "is_enterprise_install": whole}],
            "is_ext_shared_channel": False,
        }

    async def verifies_url(self) -> bool:
        """Whether the app answers the challenge that verifies a request URL."""
        challenge = secrets.token_hex(16)
        body = json.dumps({"token": "unused", "challenge": challenge, "type": "url_verification"})
        acked = await self._http(body, "application/json", {})
        return acked.ok and acked.body in ({"challenge": challenge}, challenge)

    async def _deliver(self, kind: str, payload: dict[str, Any], encoded: str) -> Ack:
        if self.url is None:
            return await self._envelope(kind, payload)
        content_type = "application/json" if kind == "event" else "application/x-www-form-urlencoded"
        return await self._http(encoded, content_type, {})

    # HTTP

    async def _http(self, body: str, content_type: str, more: dict[str, str]) -> Ack:
        return await self.raw(body.encode(), {**self.signed(body), "content-type": content_type, **more})

    def signed(self, body: str, secret: str | None = None, at: float | None = None) -> dict[str, str]:
        """The headers that sign a body; another secret makes a forgery, another time a replay."""
        timestamp = str(int(self.slack.clock() if at is None else at))
        verifier = SignatureVerifier(secret or self.slack.signing_secret)
        signature = verifier.generate_signature(timestamp=timestamp, body=body)
        return {"x-slack-request-timestamp": timestamp, "x-slack-signature": str(signature)}

    async def raw(self, body: bytes, headers: dict[str, str]) -> Ack:
        """Send any bytes with any headers to the request URL."""
        if self._session is None:
            # No limit: Slack does not wait for one answer before it sends the next request.
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        loop = asyncio.get_running_loop()
        started, patience = loop.time(), aiohttp.ClientTimeout(total=self.ack_seconds)
        call = self._session.post(str(self.url), data=body, headers=headers, timeout=patience, allow_redirects=False)
        try:
            async with call as answer:
                text, final = await answer.text(), answer.headers.get("x-slack-no-retry") == "1"
                return Ack(answer.status, _parsed(text), loop.time() - started, "", final)
        except TimeoutError:
            return Ack(0, "", loop.time() - started, "http_timeout")
        except (aiohttp.ClientError, OSError):
            return Ack(0, "", loop.time() - started, "connection_failed")

    # Socket Mode

    async def connected(self, sockets: int, patience: float) -> None:
        """Wait for the app's sockets."""
        await self.slack.world.until(lambda: len(self.sockets) >= sockets or None, f"{sockets} sockets", patience)

    @contextlib.contextmanager
    def connection(self, ws: web.WebSocketResponse) -> Any:
        """Deliver to this socket, too, while it is open."""
        socket = Socket(ws, asyncio.get_running_loop().create_future())
        self.sockets.append(socket)
        try:
            yield socket
        finally:
            self.sockets.remove(socket)
            socket.lost.set_result(None)

    async def _envelope(self, kind: str, payload: dict[str, Any]) -> Ack:
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
                    return Ack(200, answered.result().get("payload") or "", loop.time() - started)
            return Ack(0, "", loop.time() - started, "timeout")
        finally:
            del self._waiting[id_]

    async def _send(self, envelope: dict[str, Any], answered: asyncio.Future[dict[str, Any]]) -> None:
        """Send it to the next socket, and wait for an answer, the end of the socket, or the timeout."""
        try:
            await self.connected(1, self.ack_seconds)
        except TimeoutError:
            return
        self._turn += 1
        socket = self.sockets[self._turn % len(self.sockets)]
        with contextlib.suppress(ConnectionError):
            await socket.ws.send_json(envelope)
            either: set[asyncio.Future[Any]] = {answered, socket.lost}
            await asyncio.wait(either, timeout=self.ack_seconds, return_when=asyncio.FIRST_COMPLETED)

    def acked(self, answer: dict[str, Any]) -> None:
        """Receive an acknowledgement; the first one of an envelope counts."""
        future = self._waiting.get(str(answer.get("envelope_id")))
        if future and not future.done():
            future.set_result(answer)

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Ask the app to reconnect, as Slack does at times; any reason but ``warning`` closes the sockets.

        After ``link_disabled`` there are no new sockets.
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
