"""Each answer of Slack's Web API is one of four: done, not now, no, or nobody knows; whatever stands in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from handlers.slack.api import NotNow, SlackRefused, Unanswered, answered, code, error_name

Answering = Callable[[web.Response], Awaitable[AsyncWebClient]]
HTML = "<html>Something is wrong</html>"


@pytest.fixture
async def answering() -> AsyncIterator[Answering]:
    """A client of a server that always gives the same answer."""
    runners: list[web.AppRunner] = []
    async with aiohttp.ClientSession() as session:

        async def start(answer: web.Response) -> AsyncWebClient:
            async def always(_: web.Request) -> web.Response:
                return answer

            app = web.Application()
            app.router.add_route("*", "/api/{method}", always)
            runners.append(web.AppRunner(app))
            await runners[-1].setup()
            await web.TCPSite(runners[-1], "127.0.0.1", 0).start()
            base = f"http://127.0.0.1:{runners[-1].addresses[0][1]}/api/"
            return AsyncWebClient("xoxb-1", base_url=base, session=session, retry_handlers=[])

        yield start
        for runner in runners:
            await runner.cleanup()


async def test_an_answer_is_handed_on(answering: Answering) -> None:
    client = await answering(web.json_response({"ok": True, "ts": "1.2"}))
    assert (await answered(client.chat_postMessage(channel="C1", text="x")))["ts"] == "1.2"


@pytest.mark.parametrize(
    ("status", "body", "headers", "after"),
    [
        (429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "7"}, 7),
        (429, {"ok": False, "error": "ratelimited"}, {}, 1),
        (429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "0"}, 1),
        (429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "soon"}, 1),
        (429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "9" * 40}, 86_400),
        (429, HTML, {"Retry-After": "3"}, 3),
        (200, {"ok": False, "error": "rate_limited"}, {}, 1),
        (200, {"ok": False, "error": "token_revoked"}, {}, 30),
        (200, {"ok": False, "error": "missing_scope"}, {}, 30),
    ],
)
async def test_not_now(answering: Answering, status: int, body: object, headers: dict[str, str], after: float) -> None:
    client = await answering(_response(status, body, headers))
    with pytest.raises(NotNow) as raised:
        await answered(client.chat_postMessage(channel="C1", text="x"))
    assert raised.value.after == after


@pytest.mark.parametrize("word", ["channel_not_found", "is_archived", "not_in_channel", "msg_too_long"])
async def test_a_definite_no(answering: Answering, word: str) -> None:
    client = await answering(web.json_response({"ok": False, "error": word}))
    with pytest.raises(SlackRefused, match=word):
        await answered(client.chat_postMessage(channel="C1", text="x"))


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, "Internal Server Error", "text/plain"),
        (503, HTML, "text/html"),
        (502, "", "text/html"),
        (200, HTML, "text/html"),
        (200, "fine, I guess", "text/plain"),
        (200, "{", "application/json"),
        (200, "[]", "application/json"),
        (200, '{"ok": false}', "application/json"),
        (200, '{"ok": false, "error": "internal_error"}', "application/json"),
        (500, '{"ok": false, "error": "channel_not_found"}', "application/json"),
    ],
)
async def test_nobody_knows(answering: Answering, status: int, body: str, kind: str) -> None:
    client = await answering(web.Response(status=status, text=body, content_type=kind))
    with pytest.raises(Unanswered):
        await answered(client.chat_postMessage(channel="C1", text="x"))


async def test_nobody_knows_when_nobody_is_there() -> None:
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient("xoxb-1", base_url="http://127.0.0.1:9/api/", session=session, retry_handlers=[])
        with pytest.raises(Unanswered) as raised:
            await answered(client.chat_postMessage(channel="C1", text="x"))
    cause = raised.value.__cause__
    assert isinstance(cause, Exception)
    assert (code(cause), error_name(cause)) == ("", "ClientConnectorError")


def _response(status: int, body: object, headers: dict[str, str]) -> web.Response:
    if isinstance(body, str):
        return web.Response(status=status, text=body, content_type="text/html", headers=headers)
    return web.json_response(body, status=status, headers=headers)
