"""From the local Slack to the app: signed HTTP, or a Socket Mode envelope, acknowledged within three seconds."""

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

ACK_SECONDS = 3.0
_TYPES = {"command": "slash_commands", "interactive": "interactive", "event": "events_api"}


@dataclass(frozen=True)
class Acked:
    """The app's answer: the HTTP status (0: none came), and the body as JSON or text."""

    status: int
    body: Any
    seconds: float


@dataclass
class Delivery:
    """Delivers over HTTP where there is a request URL, else to one of the sockets."""

    slack: LocalSlack
    url: str | None = None
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    retry_delays: tuple[float, ...] = (0.05, 0.2, 0.5)
    """Seconds before an event is delivered again (Slack: at once, a minute, five minutes)."""
    redeliver: bool = True
    """Whether an envelope that is not acknowledged goes to another socket."""

    def __post_init__(self) -> None:
        """Nothing waits for an acknowledgement."""
        self._session: aiohttp.ClientSession | None = None
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._turn = 0

    async def close(self) -> None:
        """Let go of the connections."""
        for socket in list(self.sockets):
            await socket.close()
        if self._session:
            await self._session.close()

    async def command(self, payload: dict[str, Any]) -> Acked:
        """A slash command."""
        return await self._deliver("command", payload, urlencode(payload))

    async def interactive(self, payload: dict[str, Any]) -> Acked:
        """A click or a submission."""
        return await self._deliver("interactive", payload, urlencode({"payload": json.dumps(payload)}))

    async def event(self, event: dict[str, Any]) -> Acked:
        """An event; delivered again, up to three times, while it is not acknowledged."""
        payload = {
            "token": "unused",
            "team_id": self.slack.team,
            "api_app_id": self.slack.app_id,
            "type": "event_callback",
            "event_id": f"Ev{secrets.token_hex(5).upper()}",
            "event_time": int(self.slack.clock()),
            "event": event,
        }
        acked = await self._deliver("event", payload, json.dumps(payload))
        for attempt, delay in enumerate(self.retry_delays, start=1):
            if self.url is None or 200 <= acked.status < 300:
                break
            await asyncio.sleep(delay)
            again = {"x-slack-retry-num": str(attempt), "x-slack-retry-reason": "http_error"}
            acked = await self._http(json.dumps(payload), "application/json", again)
        return acked

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
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ACK_SECONDS))
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with self._session.post(str(self.url), data=body, headers=headers) as answer:
                text = await answer.text()
                return Acked(answer.status, _parsed(text), loop.time() - started)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return Acked(0, "", loop.time() - started)

    # Socket Mode

    async def _envelope(self, kind: str, payload: dict[str, Any]) -> Acked:
        envelope = {
            "envelope_id": secrets.token_hex(16),
            "type": _TYPES[kind],
            "accepts_response_payload": kind != "event",
            "payload": payload,
        }
        loop = asyncio.get_running_loop()
        started = loop.time()
        for attempt in range(3):
            if attempt and not self.redeliver:
                break
            answer = await self._send({**envelope, "retry_attempt": attempt})
            if answer is not None:
                return Acked(200, answer.get("payload") or "", loop.time() - started)
        return Acked(0, "", loop.time() - started)

    async def _send(self, envelope: dict[str, Any]) -> dict[str, Any] | None:
        await self.slack.connected()
        self._turn += 1
        socket = self.sockets[self._turn % len(self.sockets)]
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[envelope["envelope_id"]] = future
        with contextlib.suppress(TimeoutError, ConnectionError):
            await socket.send_json(envelope)
            answer: dict[str, Any] = await asyncio.wait_for(future, ACK_SECONDS)
            return answer
        return None

    def acked(self, answer: dict[str, Any]) -> None:
        """The app acknowledges an envelope."""
        future = self._waiting.pop(str(answer.get("envelope_id")), None)
        if future and not future.done():
            future.set_result(answer)

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Ask the app to connect anew, as Slack does now and then, and close."""
        for socket in list(self.sockets):
            await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {}})
            await socket.close()


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
