"""A local Slack with a few people in it, a real client for it, and small real Bolt apps behind it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import LocalSlack

CHANNEL = "C0TOWN001"
Json = dict[str, Any]


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def client_of(slack: LocalSlack, session: aiohttp.ClientSession, token: str | None = None) -> AsyncWebClient:
    """A client that retries nothing by itself."""
    return AsyncWebClient(
        token=slack.bot_token if token is None else token, base_url=slack.api_url, session=session, retry_handlers=[]
    )


def people(slack: LocalSlack) -> None:
    """Mia and Dan are inside the channel, Zoe is not."""
    for name in ("Mia", "Dan", "Zoe"):
        slack.add_person(f"U{name.upper()}", name, f"{name.lower()}@example.com")
    slack.add_channel(CHANNEL, "town", ["UMIA", "UDAN"])


async def refused(call: Any) -> Json:
    """The whole answer of a call that must be refused."""
    with pytest.raises(SlackApiError) as caught:
        await call
    answer: Json = caught.value.response.data
    return answer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def slack(clock: Clock) -> AsyncIterator[LocalSlack]:
    """Its clock stands still, its limits are off: the tests of those turn them on."""
    async with LocalSlack(clock=clock) as slack:
        slack.limits.on = False
        people(slack)
        yield slack


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def client(slack: LocalSlack, session: aiohttp.ClientSession) -> AsyncWebClient:
    return client_of(slack, session)


@contextlib.asynccontextmanager
async def served(handler: Any) -> AsyncIterator[str]:
    """The URL at which a handler serves."""
    app = web.Application()
    app.router.add_post("/slack/events", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def over_http(slack: LocalSlack, bolt: AsyncApp) -> AsyncIterator[None]:
    """A Bolt app behind a request URL."""

    async def handle(request: web.Request) -> web.Response:
        return await to_aiohttp_response(await bolt.async_dispatch(await to_bolt_request(request)))

    async with served(handle) as url:
        slack.deliver_to(url)
        yield


@contextlib.asynccontextmanager
async def over_a_socket(slack: LocalSlack, bolt: AsyncApp) -> AsyncIterator[AsyncSocketModeHandler]:
    """A Bolt app at a socket."""
    before = len(slack.delivery.sockets)
    handler = AsyncSocketModeHandler(bolt, slack.app_token, web_client=bolt.client)
    await handler.connect_async()  # type: ignore[no-untyped-call]  # Bolt leaves it untyped
    try:
        await slack.connected(before + 1)
        yield handler
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]  # Bolt leaves it untyped


@pytest.fixture
async def live() -> AsyncIterator[LocalSlack]:
    """One whose clock runs, since Bolt refuses what is signed in another time."""
    async with LocalSlack() as slack:
        slack.delivery.ack_seconds = 30.0  # a busy machine is no failure
        people(slack)
        yield slack


@pytest.fixture
async def bolt(live: LocalSlack, session: aiohttp.ClientSession) -> AsyncApp:
    """An app that a test gives its listeners."""
    return AsyncApp(client=client_of(live, session), signing_secret=live.signing_secret, process_before_response=True)


@pytest.fixture(params=["http", "socket"])
async def town(request: pytest.FixtureRequest, live: LocalSlack, bolt: AsyncApp) -> AsyncIterator[LocalSlack]:
    """The local Slack with the Bolt app at its end, both ways."""
    way = over_http(live, bolt) if request.param == "http" else over_a_socket(live, bolt)
    async with way:
        yield live


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def section(text: str = "hello", **more: Any) -> Json:
    return {"type": "section", "text": mrkdwn(text), **more}


def button(**more: Any) -> Json:
    return {"type": "button", "text": plain("Go"), "action_id": "go", **more}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "block_id": "acts", "elements": list(elements)}


def option(value: str = "v", text: str = "V", **more: Any) -> Json:
    return {"text": plain(text), "value": value, **more}


def select(*options: Json, **more: Any) -> Json:
    return {"type": "static_select", "action_id": "pick", "options": list(options), **more}


def asks(element: Json, block_id: str = "asked", **more: Any) -> Json:
    return {"type": "input", "block_id": block_id, "label": plain("What"), "element": element, **more}


def typed(**more: Any) -> Json:
    return {"type": "plain_text_input", "action_id": "words", **more}


def modal(*blocks: Json, **more: Any) -> Json:
    body = {"type": "modal", "callback_id": "ask", "title": plain("Ask"), "submit": plain("Send")}
    return {**body, "blocks": list(blocks), **more}
