"""HTTP in front of Bolt: what is not from Slack, too large, too old or not readable ends here, and leaves no trace.

Health and metrics are another server on another port. Nothing here logs a body.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import re
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import uvicorn

from bot import http_connections, tasks
from bot.http_connections import Bounds, Connection, Connections

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

PATH = "/slack/events"
ALIVE = {"alive": True}
"""What /healthz answers."""
LIMIT = 512 * 1024
"""Bytes of a body: a view has at most 250 kB, and is encoded in a form."""
WINDOW = 300
"""Seconds by which a signature's time may differ from ours (Slack, "Verifying requests from Slack")."""
_PATIENCE = 10.0
OPS_PLACES = 128
"""Connections of the ops port, which are of the descriptors that no front door takes."""
_SIGNATURE = re.compile(r"^v0=[0-9a-f]{64}$")
_TIMESTAMP = re.compile(r"^[0-9]{1,12}$")
_LENGTH = _TIMESTAMP
CLOSE = (b"connection", b"close")


class Rejected(Exception):
    """A request that is none: the status and a few words."""

    def __init__(self, status: int, words: str) -> None:
        """Keep both."""
        super().__init__(words)
        self.status, self.words = status, words


class _Gone(Exception):
    """The client went away; nobody waits for an answer."""


def guard(app: Asgi, signing_secret: str, *, now: Callable[[], float] = time.time) -> Asgi:
    """``app`` behind the checks. ``now`` in Unix seconds."""
    if not signing_secret.strip():
        raise ValueError("the signing secret is empty: anybody could sign with it")
    key = signing_secret.encode()

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            body = await _admitted(scope, receive, key, now())
            if connection := http_connections.of(scope):
                connection.authenticated()
        except Rejected as error:
            # Nobody reads what may still come of its body, least of all as another request.
            await _answer(send, error.status, "text/plain; charset=utf-8", error.words.encode(), [CLOSE])
            return
        except _Gone:
            return
        await app(scope, _replay(body, receive), send)

    return guarded


async def _admitted(scope: Scope, receive: Receive, key: bytes, now: float) -> bytes:
    """The body of a request that is surely Slack's and readable."""
    if scope["path"] != PATH:
        raise Rejected(404, "There is nothing here.")
    if scope["method"] != "POST":
        raise Rejected(405, "POST only.")
    headers = _headers(scope)
    stamp, signature = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
    if not _TIMESTAMP.match(stamp) or abs(now - int(stamp)) > WINDOW:
        raise Rejected(401, "No usable timestamp: none, too old, or too new.")
    if not _SIGNATURE.match(signature):
        raise Rejected(401, "No usable signature.")
    length = headers.get("content-length", "0")
    if not _LENGTH.match(length) or int(length) > LIMIT:
        raise Rejected(413, "Too large.")
    try:
        body = await tasks.within(_body(receive, http_connections.of(scope)), _PATIENCE)
    except TimeoutError:
        raise Rejected(408, "Too slow.") from None
    # Over the bytes as they came: the SDK's verifier decodes them first, and breaks on what is not UTF-8.
    if not hmac.compare_digest(_proof(key, stamp, body), signature):
        raise Rejected(401, "The signature does not fit.")
    if not _readable(body, headers.get("content-type", "")):
        raise Rejected(400, "Malformed.")
    return body


def _proof(key: bytes, stamp: str, body: bytes) -> str:
    """What Slack signs with (Slack, "Verifying requests from Slack")."""
    return "v0=" + hmac.digest(key, b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hex()


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def _body(receive: Receive, connection: Connection | None) -> bytes:
    body = bytearray()
    while True:
        if connection:
            connection.waits(len(body))
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        body += message.get("body", b"")
        if len(body) > LIMIT:
            raise Rejected(413, "Too large.")
        if not message.get("more_body"):
            return bytes(body)


def _readable(body: bytes, content_type: str) -> bool:
    """A JSON object, or a form whose ``payload``, if it has one, is a JSON object; told apart as Bolt does it."""
    try:
        text = body.decode()
        if content_type.partition(";")[0] == "application/json" or text.startswith("{"):
            return isinstance(json.loads(text), dict)
        form = dict(parse_qsl(text, keep_blank_values=True, strict_parsing=True, max_num_fields=100))
        return bool(form) and ("payload" not in form or isinstance(json.loads(form["payload"]), dict))
    except (ValueError, RecursionError):
        return False


def _replay(body: bytes, receive: Receive) -> Receive:
    """A receive that gives the body that was read already."""
    given = False

    async def again() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _answer(
    send: Send, status: int, content_type: str, body: bytes, more: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _no_detail() -> Mapping[str, str]:
    return {}


def ops(
    ready: Callable[[], Awaitable[str | None]],
    numbers: Callable[[], Awaitable[tuple[str, bytes]]],
    detail: Callable[[], Awaitable[Mapping[str, str]]] = _no_detail,
) -> Asgi:
    """``/healthz``, ``/readyz``, ``/metrics``. ``ready`` answers None, or why not; ``numbers`` a type and a text.

    ``detail``: what ``/readyz`` says besides, of a process that is ready and needs a person all the same.
    """

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        match scope["path"]:
            case "/healthz":
                await _json(send, 200, ALIVE)
            case "/readyz":
                why = await _why_not(ready)
                more = {} if why else await _said(detail)  # a store that hangs is waited for once
                await _json(send, 503 if why else 200, {"ready": not why, **({"why": why} if why else {}), **more})
            case "/metrics":
                await _answer(send, 200, *await numbers())
            case _:
                await _json(send, 404, {"error": "there are /healthz, /readyz and /metrics"})

    return app


async def _why_not(ready: Callable[[], Awaitable[str | None]]) -> str | None:
    """A check that breaks or hangs is a check that failed; an error's text may hold an address, so its kind will do."""
    try:
        return await tasks.within(ready(), _PATIENCE)
    except Exception as error:  # noqa: BLE001  # whatever it is, the answer is no
        return f"the check itself failed: {type(error).__name__}"


async def _said(detail: Callable[[], Awaitable[Mapping[str, str]]]) -> Mapping[str, str]:
    """Nothing where it cannot be told: it decides nothing."""
    with contextlib.suppress(Exception):
        return await tasks.within(detail(), _PATIENCE)
    return {}


async def _json(send: Send, status: int, answer: Mapping[str, object]) -> None:
    await _answer(send, status, "application/json", json.dumps(answer).encode())


@dataclass
class Serving:
    """A server that answers on ``port``."""

    port: int
    connections: Connections
    _server: uvicorn.Server
    _task: asyncio.Task[None]

    async def stop(self) -> None:
        """Take no more, finish what is in hand, end; nobody who proves nothing is waited for."""
        await self.connections.close()
        self._server.should_exit = True
        await self._task


class _Server(uvicorn.Server):
    """Without signal handlers of its own: the process has one place for those."""

    def capture_signals(self) -> Any:
        return contextlib.nullcontext()


def _listening(host: str, port: int) -> socket.socket:
    """A socket that says it is TCP: asyncio sends small answers at once (TCP_NODELAY) only where it says so."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(512)
    except OSError:
        listening.close()
        raise
    return listening


async def serve(
    app: Asgi, host: str, port: int, bounds: Bounds | None = None, told: Callable[[str], None] = lambda _: None
) -> Serving:
    """Listen within the running loop; port 0 takes a free one. Raises `OSError` when the port is taken.

    ``told`` hears why a connection was dropped, one of `dropped_connections.REASONS`.
    """
    listening = _listening(host, port)
    config = uvicorn.Config(
        _bounded(app),
        http="h11",
        ws="none",
        access_log=False,
        log_config=None,
        log_level="error",  # who sends what is no request gets no line in the log for it
        server_header=False,
        date_header=False,
        lifespan="off",
        timeout_graceful_shutdown=10,
        timeout_keep_alive=http_connections.KEPT,
        h11_max_incomplete_event_size=32 * 1024,
    )
    config.load()
    server = _Server(config)
    protocol: Callable[..., asyncio.Protocol] = config.http_protocol_class

    def reading(connection: Connection) -> asyncio.Protocol:
        state = http_connections.handed(connection, {})
        return protocol(config=config, server_state=server.server_state, app_state=state)

    connections = Connections(listening, bounds or Bounds(OPS_PLACES), reading, told)
    # Without sockets of its own: those that its loop accepts have no bound, and each that fails has a trace in the log.
    task = asyncio.create_task(server.serve(sockets=[]), name=f"http {port}")
    while not server.started:
        if task.done():
            await task
            raise OSError(f"nothing listens on {host}:{port}")
        await asyncio.sleep(0.005)
    connections.open()
    return Serving(int(listening.getsockname()[1]), connections, server, task)


def _bounded(app: Asgi) -> Asgi:
    """The app, whose connections know what it does with them."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        connection = http_connections.of(scope)
        if connection is None:
            await app(scope, receive, send)
            return
        connection.begins()
        try:
            await app(scope, receive, send)
        finally:
            connection.answered()

    return served
