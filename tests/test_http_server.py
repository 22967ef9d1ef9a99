"""HTTP in front of Bolt, over real sockets: only what Slack signed just now gets in, and nothing of the rest stays."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from slack_bolt.adapter.asgi.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

from bot import http_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
COMMAND = {
    "command": "/jit",
    "text": "hello",
    "team_id": "T1",
    "user_id": "U1",
    "channel_id": "C1",
    "trigger_id": "1.2",
}
FORM = "application/x-www-form-urlencoded"
MARK = "hunter2"
"""Stands in bodies; no log may repeat it."""


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Door:
    """A guarded Bolt app that is being served, and what reached it."""

    port: int
    reached: list[dict[str, Any]] = field(default_factory=list)


def signed(body: bytes, at: float | None = None, secret: str = SECRET) -> dict[str, str]:
    """The headers by which Slack proves a body."""
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}


def request(body: bytes, headers: dict[str, str], line: str = f"POST {http_server.PATH}") -> bytes:
    """A request on the wire; a header that is set to nothing is left out."""
    whole = {"Host": "jit", "Content-Type": FORM, "Content-Length": str(len(body))} | headers
    head = "".join(f"{name}: {value}\r\n" for name, value in whole.items() if value)
    return f"{line} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


async def answer(reader: asyncio.StreamReader) -> Answer:
    """Read one answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(int(first.split()[1]), headers, body)


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that is closed at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(30):
            yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def send(port: int, raw: bytes) -> Answer:
    """Send, and read the answer."""
    async with connected(port) as (reader, writer):
        writer.write(raw)
        await writer.drain()
        return await answer(reader)


@contextlib.asynccontextmanager
async def served(app: http_server.Asgi, host: str = "127.0.0.1") -> AsyncIterator[http_server.Serving]:
    """An app on a free port."""
    serving = await http_server.serve(app, host, 0)
    try:
        yield serving
    finally:
        await serving.stop()


def bolt(reached: list[dict[str, Any]]) -> http_server.Asgi:
    """A real Bolt app as ours is wired; what gets to it is kept."""

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id="T1", bot_token="xoxb-1", bot_id="B1", bot_user_id="UBOT")

    app = AsyncApp(
        client=AsyncWebClient(base_url="http://127.0.0.1:1/api/"),
        signing_secret=SECRET,
        authorize=authorize,
        process_before_response=True,
        request_verification_enabled=False,
        ssl_check_enabled=False,
    )

    @app.middleware
    async def keep(body: dict[str, Any], next: Callable[[], Awaitable[None]]) -> None:  # noqa: A002  # Bolt's name
        reached.append(body)
        await next()

    @app.command("/jit")
    async def jit(ack: Callable[[str], Awaitable[None]], body: dict[str, Any]) -> None:
        await ack(f"heard {body['text']}")

    @app.action("approve")
    async def approve(ack: Callable[[], Awaitable[None]]) -> None:
        await ack()

    return cast("http_server.Asgi", AsyncSlackRequestHandler(app, path=http_server.PATH))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[Door]:
    """One server for all, since uvicorn takes its time to end."""
    reached: list[dict[str, Any]] = []
    async with served(http_server.guard(bolt(reached), SECRET)) as serving:
        yield Door(serving.port, reached)


@pytest.fixture
def door(house: Door) -> Door:
    house.reached.clear()
    return house


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Any:
    """Whatever a test does, no log of any level repeats a body, a secret or a trace."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "asyncio")
    yield
    for record in caplog.get_records("call"):
        assert MARK not in record.getMessage()
        assert SECRET not in record.getMessage()
        assert record.exc_info is None


BODY = urlencode(COMMAND | {"token": MARK}).encode()


# What gets in.


async def test_a_signed_command_reaches_bolt_and_is_answered(door: Door) -> None:
    said = await send(door.port, request(BODY, signed(BODY)))
    assert (said.status, said.body) == (200, b"heard hello")
    assert len(door.reached) == 1


async def test_a_signed_click_reaches_bolt(door: Door) -> None:
    click = {"type": "block_actions", "team": {"id": "T1"}, "user": {"id": "U1"}, "trigger_id": "1.2"}
    click["actions"] = cast("Any", [{"type": "button", "action_id": "approve", "block_id": "b", "value": "J-7K3Q"}])
    body = urlencode({"payload": json.dumps(click)}).encode()
    assert (await send(door.port, request(body, signed(body)))).status == 200
    assert door.reached[0]["actions"][0]["value"] == "J-7K3Q"


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8"])
async def test_slacks_test_of_the_address_is_answered(door: Door, kind: str) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "c-123", "token": MARK}).encode()
    said = await send(door.port, request(body, signed(body) | {"Content-Type": kind}))
    assert said.status == 200
    assert b"c-123" in said.body


async def test_an_empty_text_and_signs_of_all_languages_get_in(door: Door) -> None:
    body = urlencode(COMMAND | {"text": "", "user_name": "Žofie 🙂"}).encode()
    assert (await send(door.port, request(body, signed(body)))).body == b"heard "


async def test_a_body_of_the_greatest_size_gets_in_whole(door: Door) -> None:
    rest = http_server.LIMIT - len(BODY) - len("&more=")
    body = BODY + b"&more=" + b"a" * rest
    assert (await send(door.port, request(body, signed(body)))).status == 200


async def test_a_body_in_chunks_gets_in(door: Door) -> None:
    headers = signed(BODY) | {"Content-Length": "", "Transfer-Encoding": "chunked"}
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:10], BODY[10:])) + b"0\r\n\r\n"
    assert (await send(door.port, request(b"", headers) + chunks)).body == b"heard hello"


async def test_a_connection_serves_many(door: Door) -> None:
    async with connected(door.port) as (reader, writer):
        for _ in range(3):
            writer.write(request(BODY, signed(BODY)))
            assert (await answer(reader)).status == 200


# What does not.

STAMP, SIGNATURE = "X-Slack-Request-Timestamp", "X-Slack-Signature"
GOOD = "v0=" + "0" * 64


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {STAMP: "now"},
        {STAMP: "1e9"},
        {STAMP: "-5"},
        {STAMP: "1" * 400},
        {STAMP: "²³"},
        {STAMP: "12 34"},
        {STAMP: "9" * 12},
        {SIGNATURE: GOOD},
        {SIGNATURE: "v0=é"},
        {SIGNATURE: "v0=" + "é" * 64},
        {SIGNATURE: "v0="},
        {SIGNATURE: "0" * 64},
        {SIGNATURE: "v1=" + "0" * 64},
        {SIGNATURE: "v0=" + "0" * 63},
        {SIGNATURE: "v0=" + "0" * 65},
        {SIGNATURE: "x" * 8000},
    ],
    ids=str,
)
async def test_a_header_that_proves_nothing_ends_there(door: Door, headers: dict[str, str]) -> None:
    proof = signed(BODY) | headers if headers else {}
    said = await send(door.port, request(BODY, proof))
    assert said.status == 401
    assert door.reached == []


@pytest.mark.parametrize("missing", [STAMP, SIGNATURE])
async def test_a_half_proof_is_none(door: Door, missing: str) -> None:
    assert (await send(door.port, request(BODY, signed(BODY) | {missing: ""}))).status == 401
    assert door.reached == []


async def test_a_proof_of_another_body_secret_or_moment_is_none(door: Door) -> None:
    later = signed(BODY) | {STAMP: str(int(time.time()) + 1)}
    for proof in (signed(BODY + b"&x=1"), signed(BODY, secret="other"), later, signed(b"")):
        assert (await send(door.port, request(BODY, proof))).status == 401
    assert door.reached == []


async def test_an_unsigned_body_that_is_no_text_is_refused_like_any(door: Door) -> None:
    proof = signed(BODY)
    assert (await send(door.port, request(b"\xff\xfe" + MARK.encode(), proof))).status == 401
    assert door.reached == []


@pytest.mark.parametrize("secret", ["", "  "])
async def test_an_empty_secret_guards_nothing_and_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="anybody could sign"):
        http_server.guard(bolt([]), secret)


async def test_an_unsigned_check_of_tls_is_refused(door: Door) -> None:
    assert (await send(door.port, request(b"ssl_check=1&token=x", {}))).status == 401
    assert door.reached == []


@pytest.mark.parametrize(
    ("age", "status"), [(0, 200), (299, 200), (300, 200), (301, 401), (86_400, 401), (-299, 200), (-301, 401)]
)
async def test_a_proof_holds_for_five_minutes(age: int, status: int) -> None:
    now, reached = 1_790_000_000.0, list[dict[str, Any]]()
    async with served(http_server.guard(bolt(reached), SECRET, now=lambda: now)) as serving:
        said = await send(serving.port, request(BODY, signed(BODY, at=now - age)))
    assert said.status == status
    assert bool(reached) == (status == 200)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("POST /", 404),
        ("GET /", 404),
        ("POST /slack/events/", 404),
        ("POST /slack/Events", 404),
        ("POST //slack/events", 404),
        ("GET /slack/install", 404),
        ("GET /metrics", 404),
        ("GET /slack/events", 405),
        ("PUT /slack/events", 405),
        ("DELETE /slack/events", 405),
    ],
)
async def test_there_is_one_address_and_one_method(door: Door, line: str, status: int) -> None:
    assert (await send(door.port, request(BODY, signed(BODY), line))).status == status
    assert door.reached == []


async def test_a_web_socket_is_not_opened(door: Door) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    upgrade["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    assert (await send(door.port, request(b"", upgrade, f"GET {http_server.PATH}"))).status == 405


@pytest.mark.parametrize("length", [str(http_server.LIMIT + 1), "999999999999", "9" * 19])
async def test_too_large_a_body_is_refused_before_it_is_sent(door: Door, length: str) -> None:
    said = await send(door.port, request(b"", signed(b"") | {"Content-Length": length}))
    assert said.status == 413
    assert door.reached == []


@pytest.mark.parametrize("length", ["-1", "1e3", "9" * 400])
async def test_a_length_that_is_none_is_refused(door: Door, length: str) -> None:
    assert 400 <= (await send(door.port, request(b"", signed(b"") | {"Content-Length": length}))).status < 500


async def test_too_large_a_body_in_chunks_is_refused_when_it_is_too_much(door: Door) -> None:
    headers = signed(BODY) | {"Content-Length": "", "Transfer-Encoding": "chunked"}
    async with connected(door.port) as (reader, writer):
        writer.write(request(b"", headers) + b"%x\r\n" % (http_server.LIMIT + 1) + b"a" * (http_server.LIMIT + 1))
        said = await answer(reader)
    assert said.status == 413
    assert door.reached == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FORM),
        (b"", "application/json"),
        (b"just words", FORM),
        (b"a=1&b", FORM),
        (b"&".join(b"a%d=1" % n for n in range(101)), FORM),
        (b"payload=", FORM),
        (b"payload=%7B", FORM),
        (b"payload=%5B1%5D", FORM),
        (b"payload=null", FORM),
        (b"payload=%7B%7D&payload=1", FORM),
        (b"a=\xff", FORM),
        (b"{=", FORM),
        (b'{"a": ', "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json; charset=utf-8"),
        (b"\xff\xfe", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"a": ' + b"1" * 5000 + b"}", "application/json"),
        (b'{"a":' * 100_000, ""),
        (b"PK\x03\x04" + MARK.encode(), "multipart/form-data; boundary=x"),
    ],
    ids=lambda value: str(value[:24]),
)
async def test_what_cannot_be_read_never_reaches_bolt(door: Door, body: bytes, kind: str) -> None:
    said = await send(door.port, request(body, signed(body) | {"Content-Type": kind}))
    assert (said.status, said.body) == (400, b"Malformed.")
    assert door.reached == []


async def test_a_body_that_does_not_come_is_not_waited_for(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "_PATIENCE", 0.1)
    said = await send(door.port, request(b"", signed(BODY) | {"Content-Length": "100"}) + BODY[:10])
    assert said.status == 408
    assert door.reached == []


async def test_who_leaves_in_the_middle_leaves_nothing(door: Door) -> None:
    async with connected(door.port) as (_, writer):
        writer.write(request(b"", signed(BODY) | {"Content-Length": str(len(BODY))}) + BODY[:-1])
        await writer.drain()
    assert (await send(door.port, request(BODY, signed(BODY)))).status == 200
    assert len(door.reached) == 1


async def test_what_follows_a_refused_request_is_not_taken_for_another(door: Door) -> None:
    second = request(BODY, signed(BODY))
    async with connected(door.port) as (reader, writer):
        writer.write(request(b"", {"Content-Length": "100000"}) + second)
        said = await reader.read()
    assert said.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in said
    assert door.reached == []


async def test_a_refusal_is_short_plain_and_tells_nothing(door: Door) -> None:
    said = await send(door.port, request(BODY, {}))
    assert said.headers["content-type"].startswith("text/plain")
    assert len(said.body) < 60
    assert "server" not in said.headers
    assert "date" not in said.headers


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"x-slack-request-timestamp", b"x-slack-signature", b"content-length", b"content-type"]),
            st.one_of(st.binary(max_size=80), st.sampled_from([b"1790000000", GOOD.encode(), b"application/json"])),
        ),
        max_size=8,
    ),
    st.lists(st.binary(max_size=60), max_size=3),
)
async def test_nothing_unsigned_gets_in_or_breaks_the_guard(
    headers: list[tuple[bytes, bytes]], parts: list[bytes]
) -> None:
    sent: list[Any] = []
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def beyond(scope: http_server.Scope, receive: http_server.Receive, send: http_server.Send) -> None:
        raise AssertionError("it got in")

    async def receive() -> Any:
        return messages.pop(0)

    async def keep(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "path": http_server.PATH, "method": "POST", "headers": headers}
    await http_server.guard(beyond, SECRET, now=lambda: 1_790_000_000.0)(scope, receive, keep)
    assert sent[0]["status"] in {401, 413}


# Health and metrics.


async def _ready() -> str | None:
    return None


async def _away() -> str | None:
    return "the store is away"


async def _broken() -> str | None:
    raise RuntimeError(f"redis://:{MARK}@h")


async def _hanging() -> str | None:
    await asyncio.Event().wait()
    return None


async def _numbers() -> tuple[str, bytes]:
    return "text/plain; version=1.0.0", b"jit_rows 7.0\n"


async def ask(port: int, path: str) -> Answer:
    return await send(port, request(b"", {"Content-Length": ""}, f"GET {path}"))


@pytest.mark.parametrize(
    ("ready", "status", "why"),
    [
        (_ready, 200, None),
        (_away, 503, "the store is away"),
        (_broken, 503, "the check itself failed: RuntimeError"),
        (_hanging, 503, "the check itself failed: TimeoutError"),
    ],
)
async def test_ready_or_why_not(
    monkeypatch: pytest.MonkeyPatch, ready: Callable[[], Awaitable[str | None]], status: int, why: str | None
) -> None:
    monkeypatch.setattr(http_server, "_PATIENCE", 0.1)
    async with served(http_server.ops(ready, _numbers)) as serving:
        said = await ask(serving.port, "/readyz")
        assert said.status == status
        assert json.loads(said.body) == {"ready": why is None} | ({"why": why} if why else {})
        alive = await ask(serving.port, "/healthz")
        assert (alive.status, json.loads(alive.body)) == (200, {"alive": True})
        told = await ask(serving.port, "/metrics")
        assert told.status == 200
        assert told.body == b"jit_rows 7.0\n"


async def test_what_a_person_has_to_look_at_is_said_of_a_process_that_is_ready_and_cannot_make_it_unready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_server, "_PATIENCE", 0.1)

    async def detail() -> dict[str, str]:
        return {"policy": "the file cannot be used"}

    async def breaks() -> dict[str, str]:
        raise ZeroDivisionError

    async with served(http_server.ops(_ready, _numbers, detail)) as serving:
        said = await ask(serving.port, "/readyz")
        assert (said.status, json.loads(said.body)) == (200, {"ready": True, "policy": "the file cannot be used"})
    async with served(http_server.ops(_ready, _numbers, breaks)) as serving:
        said = await ask(serving.port, "/readyz")
        assert (said.status, json.loads(said.body)) == (200, {"ready": True})
    async with served(http_server.ops(_away, _numbers, detail)) as serving:
        said = await ask(serving.port, "/readyz")
        assert (said.status, json.loads(said.body)) == (503, {"ready": False, "why": "the store is away"})


async def test_health_is_all_there_is_on_its_port() -> None:
    async with served(http_server.ops(_ready, _numbers)) as serving:
        assert (await ask(serving.port, http_server.PATH)).status == 404


# The server.


async def test_a_port_that_is_taken_is_an_error() -> None:
    async with served(http_server.ops(_ready, _numbers)) as serving:
        with pytest.raises(OSError, match="in use"):
            await http_server.serve(http_server.ops(_ready, _numbers), "127.0.0.1", serving.port)


async def test_a_stopped_server_gives_its_port_back_though_a_connection_idles() -> None:
    serving = await http_server.serve(http_server.ops(_ready, _numbers), "127.0.0.1", 0)
    async with connected(serving.port) as (reader, writer):
        writer.write(request(b"", {"Content-Length": ""}, "GET /healthz"))
        await answer(reader)
        await serving.stop()
        assert await reader.read() == b""
    with socket.create_server(("127.0.0.1", serving.port)):
        pass


async def test_what_is_in_hand_is_finished_before_the_end() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def ready() -> str | None:
        begun.set()
        await may_end.wait()
        return None

    serving = await http_server.serve(http_server.ops(ready, _numbers), "127.0.0.1", 0)
    asking = asyncio.create_task(ask(serving.port, "/readyz"))
    await begun.wait()
    stopping = asyncio.create_task(serving.stop())
    may_end.set()
    assert (await asking).status == 200
    await stopping


async def test_the_signals_of_the_process_are_left_alone() -> None:
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    async with served(http_server.ops(_ready, _numbers)):
        assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before


async def test_a_head_without_end_is_cut_off(door: Door) -> None:
    said = await send(door.port, b"POST /slack/events HTTP/1.1\r\nX-Long: " + b"a" * 70_000)
    assert said.status == 400


async def test_ipv6_is_served_too() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    serving = await http_server.serve(http_server.ops(_ready, _numbers), "::1", 0)
    try:
        reader, writer = await asyncio.open_connection("::1", serving.port)
        writer.write(request(b"", {"Content-Length": ""}, "GET /healthz"))
        assert (await answer(reader)).status == 200
        writer.close()
        await writer.wait_closed()
    finally:
        await serving.stop()
