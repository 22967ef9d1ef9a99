"""Receivers of the record over HTTP that refuse what the real ones refuse; each keeps what it took, as it came."""

from __future__ import annotations

import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from standardwebhooks import Webhook, WebhookVerificationError

LARGEST = 30_000
"""Bytes that a record may have here."""
CommitOutcome = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Receiver:
    """One receiver on a port of its own. ``texts``: the records that it took; ``script``: answers that come first."""

    tls: ssl.SSLContext | None = None
    texts: list[str] = field(default_factory=list)
    script: list[web.Response] = field(default_factory=list)
    requests: int = 0
    port: int = 0
    denies: bool = False
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen, at the same port as before."""
        app = web.Application(client_max_size=50_000_000)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.tls, reuse_address=True)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Be gone."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        if self.script:
            return self.script.pop(0)
        return await self.take(request, await request.read())

    async def take(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """What the real one does."""
        raise NotImplementedError


@dataclass
class WebhookReceiver(Receiver):
    """Verifies by the reference implementation of Standard Webhooks; takes each ``webhook-id`` once."""

    secret: str = ""
    path: str = "/hooks/jit"
    ids: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)

    async def take(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if request.path != self.path:
            return web.Response(status=404)
        if request.method != "POST":
            return web.Response(status=401 if self.denies else 405)
        if self.denies or request.content_type != "application/json":
            return web.Response(status=400)
        if len(body) > LARGEST:
            return web.Response(status=413)
        try:
            message = Webhook(self.secret).verify(body, dict(request.headers))
        except WebhookVerificationError:
            return web.Response(status=400)
        if set(message) != {"type", "timestamp", "data"}:
            return web.Response(status=400)
        if (id_ := request.headers["webhook-id"]) not in self.ids:
            self.ids.append(id_)
            self.types.append(message["type"])
            self.texts.append(body.decode().partition('"data":')[2].removesuffix("}"))
        return web.Response(status=204)


@dataclass
class Collector(Receiver):
    """Reads requests by OpenTelemetry's own schema, in which an unknown field is a mistake."""

    token: str = ""
    records: list[Any] = field(default_factory=list)

    async def take(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if self.denies or request.headers.get("X-Token") != self.token:
            return web.json_response({"code": 16, "message": "no"}, status=401)
        if (request.method, request.path) != ("POST", "/v1/logs"):
            return web.Response(status=404)
        if request.content_type != "application/json":
            return web.Response(status=415)
        try:
            read = json_format.Parse(body, ExportLogsServiceRequest())
        except json_format.ParseError as error:
            return web.json_response({"code": 3, "message": str(error)}, status=400)
        found = [log for one in read.resource_logs for scope in one.scope_logs for log in scope.log_records]
        good = [log for log in found if len(log.body.string_value) <= LARGEST]
        self.records += good
        self.texts += [log.body.string_value for log in good]
        if len(good) < len(found):
            said = {"rejectedLogRecords": str(len(found) - len(good)), "errorMessage": "too large"}
            return web.json_response({"partialSuccess": said})
        return web.json_response({})


@dataclass
class Hec(Receiver):
    """Splunk's HTTP Event Collector, by its documented answers. ``acks``: the token has acknowledgement switched on."""

    token: str = ""
    acks: bool = False
    slow: int = 1
    """How often it says of a batch that it is not indexed yet."""
    indices: tuple[str, ...] = ("audit",)
    events: list[dict[str, Any]] = field(default_factory=list)
    _waiting: dict[int, list[Any]] = field(default_factory=dict)
    _next: int = 0

    async def take(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if request.headers.get("Authorization", "").split(" ")[0] != "Splunk":
            return _splunk(401, 2, "Token is required")
        if self.denies or request.headers["Authorization"] != f"Splunk {self.token}":
            return _splunk(403, 4, "Invalid token")
        channel = request.headers.get("X-Splunk-Request-Channel", "")
        if self.acks and not channel:
            return _splunk(400, 10, "Data channel is missing")
        if request.path == "/services/collector/ack":
            return self._ack(json.loads(body)["acks"]) if self.acks else _splunk(400, 14, "ACK is disabled")
        if (request.method, request.path) != ("POST", "/services/collector/event"):
            return web.json_response(
                {"text": "The requested URL was not found on this server.", "code": 404}, status=404
            )
        return self._events(body.decode())

    def _events(self, body: str) -> web.Response:
        if not body.strip():
            return _splunk(400, 5, "No data")
        found: list[tuple[dict[str, Any], str]] = []
        decoder, at = json.JSONDecoder(), 0
        while at < len(body):
            try:
                event, end = decoder.raw_decode(body, at)
            except ValueError:
                return _splunk(400, 6, "Invalid data format", **{"invalid-event-number": len(found)})
            if "event" not in event:
                return _splunk(400, 12, "Event field is required", **{"invalid-event-number": len(found)})
            if not event["event"]:
                return _splunk(400, 13, "Event field cannot be blank", **{"invalid-event-number": len(found)})
            if any(not isinstance(value, str) for value in event.get("fields", {}).values()):
                return _splunk(400, 15, "Error in handling indexed fields")
            if end - at > LARGEST:
                return web.Response(status=413)
            if event.get("index", self.indices[0]) not in self.indices:
                return _splunk(400, 7, "Incorrect index", **{"invalid-event-number": len(found)})
            text = body[at:end].partition('"event":')[2].removesuffix("}")
            found.append((event, text))
            at = end
        if self.acks:
            self._next += 1
            self._waiting[self._next] = [self.slow, found]
            return _splunk(200, 0, "Success", ackId=self._next)
        self._index(found)
        return _splunk(200, 0, "Success")

    def _ack(self, ids: list[int]) -> web.Response:
        answers = {}
        for id_ in ids:
            waiting = self._waiting.get(id_)
            if waiting and waiting[0] > 0:
                waiting[0] -= 1
            elif waiting:
                self._index(waiting[1])
                del self._waiting[id_]
                answers[str(id_)] = True
                continue
            answers[str(id_)] = False
        return web.json_response({"acks": answers})

    def _index(self, found: list[tuple[dict[str, Any], str]]) -> None:
        self.events += [event for event, _ in found]
        self.texts += [text for _, text in found]


def _splunk(status: int, code: int, text: str, **more: Any) -> web.Response:
    return web.json_response({"text": text, "code": code, **more}, status=status)
