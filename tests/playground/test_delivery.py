"""Deliveries to the app are signed, acknowledged and retried as Slack does it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import LocalSlack
from tests.playground.conftest import CHANNEL, Json, client_of, over_a_socket, over_http, refused, served

EVENT = {"type": "user_change", "user": {"id": "UMIA"}}


class Ear:
    """A request URL that keeps what it is sent and answers as it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], str]] = []
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}
        self.challenged = True

    async def hear(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.heard.append(({name.lower(): value for name, value in request.headers.items()}, body))
        if self.challenged and "challenge" in body:
            return web.json_response({"challenge": json.loads(body)["challenge"]})
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200, headers=self.headers)


@pytest.fixture
async def ear(live: LocalSlack) -> AsyncIterator[Ear]:
    ear = Ear()
    async with served(ear.hear) as url:
        live.deliver_to(url)
        live.delivery.retry_delays = (0.0, 0.0, 0.0)
        yield ear


# over HTTP


async def test_commands_and_clicks_are_forms_and_events_are_json(live: LocalSlack, ear: Ear) -> None:
    mia = live.person("UMIA")
    await mia.command("/jit", "a & b", CHANNEL)
    await live.delivery.interactive({"type": "block_actions"})
    await live.delivery.event(EVENT)
    (command, said), (click, payload), (event, told) = ear.heard
    assert command["content-type"] == click["content-type"] == "application/x-www-form-urlencoded"
    assert event["content-type"] == "application/json"
    assert parse_qs(said)["text"] == ["a & b"]
    assert json.loads(parse_qs(payload)["payload"][0]) == {"type": "block_actions"}
    envelope = json.loads(told)
    assert (envelope["type"], envelope["team_id"]) == ("event_callback", live.team)
    assert EVENT.items() <= envelope["event"].items()


async def test_bolt_accepts_only_signed_requests(live: LocalSlack, bolt: AsyncApp) -> None:
    heard: list[Json] = []

    @bolt.command("/jit")
    async def jit(ack: AsyncAck, body: Json) -> None:
        heard.append(body)
        await ack()

    body = "command=%2Fjit&text=x&user_id=UMIA&team_id=T0LOCAL01&channel_id=C0TOWN001"
    form, now = {"content-type": "application/x-www-form-urlencoded"}, live.clock()
    async with over_http(live, bolt):
        for headers, status in (
            (live.delivery.signed(body), 200),
            (live.delivery.signed(body, secret="guessed"), 401),
            (live.delivery.signed(body, at=now - 301), 401),
            (live.delivery.signed(f"{body}&more=1"), 401),
            ({}, 401),
        ):
            assert (await live.delivery.raw(body.encode(), {**form, **headers})).status == status
    assert len(heard) == 1


async def test_an_event_is_retried_up_to_three_times(live: LocalSlack, ear: Ear) -> None:
    ear.statuses = [500, 404, 302, 500]
    assert (await live.delivery.event(EVENT)).status == 500
    retries = [(h.get("x-slack-retry-num"), h.get("x-slack-retry-reason")) for h, _ in ear.heard]
    assert retries == [(None, None), ("1", "http_error"), ("2", "http_error"), ("3", "http_error")]
    assert len({json.loads(body)["event_id"] for _, body in ear.heard}) == 1


async def test_an_event_is_retried_until_it_is_acknowledged(live: LocalSlack, ear: Ear) -> None:
    ear.statuses = [500, 200]
    assert (await live.delivery.event(EVENT)).status == 200
    assert len(ear.heard) == 2


async def test_an_app_can_refuse_retries(live: LocalSlack, ear: Ear) -> None:
    ear.statuses, ear.headers = [500], {"x-slack-no-retry": "1"}
    await live.delivery.event(EVENT)
    assert len(ear.heard) == 1


async def test_commands_and_clicks_are_delivered_once(live: LocalSlack, ear: Ear) -> None:
    ear.statuses = [500, 500]
    assert (await live.person("UMIA").command("/jit", channel=CHANNEL)).status == 500
    assert (await live.delivery.interactive({})).status == 500
    assert len(ear.heard) == 2


async def test_an_answer_after_the_timeout_does_not_count(live: LocalSlack) -> None:
    live.delivery.ack_seconds, live.delivery.retry_delays = 0.1, (0.0,)
    heard, release = [], asyncio.Event()

    async def sleepy(request: web.Request) -> web.Response:
        heard.append(request.headers.get("x-slack-retry-reason"))
        await release.wait()
        return web.Response()

    async with served(sleepy) as url:
        live.deliver_to(url)
        assert (await live.person("UMIA").command("/jit", channel=CHANNEL)).status == 0
        assert (await live.delivery.event(EVENT)).status == 0
        release.set()
    assert heard == [None, None, "http_timeout"]
    gone = await live.delivery.event(EVENT)
    assert (gone.status, gone.why) == (0, "connection_failed")


async def test_a_request_url_is_verified_by_a_challenge(live: LocalSlack, bolt: AsyncApp, ear: Ear) -> None:
    assert await live.delivery.verifies_url()
    ear.challenged = False
    assert not await live.delivery.verifies_url()
    async with over_http(live, bolt):
        assert await live.delivery.verifies_url()


async def posts(client: AsyncWebClient, **more: Any) -> str:
    posted = await client.chat_postMessage(channel=CHANNEL, text="card", **more)
    return str(posted["ts"])


@pytest.mark.parametrize(("switch", "scoped", "told"), [(True, True, 1), (False, True, 0), (True, False, 0)])
async def test_a_post_with_metadata_is_an_event_for_an_app_with_the_scope(
    live: LocalSlack, session: aiohttp.ClientSession, ear: Ear, switch: bool, scoped: bool, told: int
) -> None:
    live.metadata_events = switch
    live.scopes = ["chat:write", *(["metadata.message:read"] if scoped else [])]
    client = client_of(live, session)
    metadata = {"event_type": "jit_card", "event_payload": {"id": "J-1"}}
    await posts(client)
    ts = await posts(client, metadata=metadata)
    await live.settled()
    events = [json.loads(body)["event"] for _, body in ear.heard]
    assert len(events) == told
    for event in events:
        assert (event["type"], event["message_ts"]) == ("message_metadata_posted", ts)
        assert (event["channel_id"], event["metadata"]) == (CHANNEL, metadata)


async def test_a_post_whose_answer_was_lost_is_an_event_too(
    live: LocalSlack, session: aiohttp.ClientSession, ear: Ear
) -> None:
    live.faults.add("chat.postMessage", "drop_after")
    with contextlib.suppress(aiohttp.ClientError):
        await posts(client_of(live, session), metadata={"event_type": "jit_card", "event_payload": {}})
    await live.settled()
    assert "message_metadata_posted" in ear.heard[0][1]


# over Socket Mode


@contextlib.asynccontextmanager
async def plugged(live: LocalSlack, session: aiohttp.ClientSession) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A socket with nobody behind it, past its hello."""
    opened = await client_of(live, session).apps_connections_open(app_token=live.app_token)
    async with session.ws_connect(opened["url"]) as socket:
        hello = await socket.receive_json(timeout=30)
        assert hello["type"] == "hello"
        await live.connected(hello["num_connections"])
        yield socket


def clicked(live: LocalSlack) -> asyncio.Task[Any]:
    return asyncio.create_task(live.delivery.interactive({"type": "block_actions", "n": 1}))


async def test_an_envelope_is_acknowledged_with_an_answer(live: LocalSlack, session: aiohttp.ClientSession) -> None:
    async with plugged(live, session) as socket:
        command = asyncio.create_task(live.person("UMIA").command("/jit", "x", CHANNEL))
        envelope = await socket.receive_json(timeout=30)
        assert (envelope["type"], envelope["accepts_response_payload"]) == ("slash_commands", True)
        assert envelope["payload"]["text"] == "x"
        await socket.send_json({"envelope_id": envelope["envelope_id"], "payload": {"text": "hello"}})
        assert (await command).text == "hello"
        event = asyncio.create_task(live.delivery.event(EVENT))
        told = await socket.receive_json(timeout=30)
        assert (told["type"], told["accepts_response_payload"]) == ("events_api", False)
        await socket.send_json({"envelope_id": told["envelope_id"]})
        assert (await event).ok


async def test_an_unacknowledged_envelope_is_retried_on_another_socket(
    live: LocalSlack, session: aiohttp.ClientSession
) -> None:
    live.delivery.ack_seconds = 1.0
    async with plugged(live, session) as one, plugged(live, session) as two:
        click = clicked(live)
        reads = [asyncio.create_task(socket.receive_json(timeout=30)) for socket in (one, two)]
        first, second = await asyncio.gather(*reads)
        assert first["envelope_id"] == second["envelope_id"]
        assert {first["retry_attempt"], second["retry_attempt"]} == {0, 1}
        await one.send_json({"envelope_id": first["envelope_id"]})
        assert (await click).ok


async def test_the_envelope_of_a_lost_socket_is_retried_at_once(
    live: LocalSlack, session: aiohttp.ClientSession
) -> None:
    async with plugged(live, session) as one, plugged(live, session) as two:
        reads = [asyncio.create_task(socket.receive_json(timeout=30)) for socket in (one, two)]
        sockets = dict(zip(reads, ((one, two), (two, one)), strict=True))
        click = clicked(live)
        done, waiting = await asyncio.wait(sockets, return_when=asyncio.FIRST_COMPLETED)
        lost, other = sockets[done.pop()]
        await lost.close()
        envelope = await waiting.pop()
        assert envelope["retry_attempt"] == 1
        await other.send_json({"envelope_id": envelope["envelope_id"]})
        acked = await click
        assert acked.ok
        assert acked.seconds < live.delivery.ack_seconds


async def test_retries_end(live: LocalSlack, session: aiohttp.ClientSession) -> None:
    live.delivery.ack_seconds = 0.05
    async with plugged(live, session) as socket:
        acked = await live.delivery.interactive({"type": "block_actions"})
        assert (acked.status, acked.why) == (0, "timeout")
        attempts = [(await socket.receive_json(timeout=30))["retry_attempt"] for _ in range(3)]
        assert attempts == [0, 1, 2]


async def test_without_a_socket_nothing_is_delivered_and_nothing_breaks(live: LocalSlack) -> None:
    live.delivery.ack_seconds = 0.02
    assert (await live.person("UMIA").command("/jit", channel=CHANNEL)).status == 0
    assert (await live.delivery.event(EVENT)).status == 0


async def test_ten_sockets_are_allowed_and_a_ticket_works_once(
    live: LocalSlack, session: aiohttp.ClientSession
) -> None:
    client = client_of(live, session)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(10):
            await stack.enter_async_context(plugged(live, session))
        url = (await client.apps_connections_open(app_token=live.app_token))["url"]
        async with session.ws_connect(url) as eleventh:
            assert (await eleventh.receive_json(timeout=30))["reason"] == "too_many_websockets"
        assert len(live.delivery.sockets) == 10
        for wrong in (url, f"{url}x"):
            with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                await session.ws_connect(wrong)


async def test_a_warning_leaves_the_socket_open_and_a_refresh_closes_it(
    live: LocalSlack, session: aiohttp.ClientSession
) -> None:
    async with plugged(live, session) as socket:
        await live.delivery.disconnect("warning")
        assert (await socket.receive_json(timeout=30))["reason"] == "warning"
        click = clicked(live)
        await socket.send_json({"envelope_id": (await socket.receive_json(timeout=30))["envelope_id"]})
        assert (await click).ok
        closing = asyncio.create_task(live.delivery.disconnect("refresh_requested"))
        assert (await socket.receive_json(timeout=30))["reason"] == "refresh_requested"
        assert (await socket.receive(timeout=30)).type is aiohttp.WSMsgType.CLOSE
        await closing


async def test_when_socket_mode_is_off_no_socket_opens(live: LocalSlack, session: aiohttp.ClientSession) -> None:
    client = client_of(live, session)
    unused = (await client.apps_connections_open(app_token=live.app_token))["url"]
    await live.delivery.disconnect("link_disabled")
    call = client.apps_connections_open(app_token=live.app_token)
    assert (await refused(call))["error"] == "forbidden_team"
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        await session.ws_connect(unused)


async def test_bolt_reconnects_after_a_refresh(live: LocalSlack, bolt: AsyncApp) -> None:
    @bolt.command("/jit")
    async def jit(ack: AsyncAck) -> None:
        await ack("here")

    async with over_a_socket(live, bolt):
        first = live.delivery.sockets[0]
        await live.delivery.disconnect("refresh_requested")
        await live.world.until(
            lambda: (live.delivery.sockets and first not in live.delivery.sockets) or None, "a new socket", 10
        )
        assert (await live.person("UMIA").command("/jit", channel=CHANNEL)).text == "here"


async def test_two_bolts_share_the_load(live: LocalSlack, bolt: AsyncApp, session: aiohttp.ClientSession) -> None:
    heard: list[str] = []
    other = AsyncApp(client=client_of(live, session), signing_secret=live.signing_secret, process_before_response=True)

    @bolt.command("/jit")
    async def one(ack: AsyncAck) -> None:
        heard.append("one")
        await ack()

    @other.command("/jit")
    async def two(ack: AsyncAck) -> None:
        heard.append("two")
        await ack()

    async with over_a_socket(live, bolt), over_a_socket(live, other):
        for _ in range(4):
            assert (await live.person("UMIA").command("/jit", channel=CHANNEL)).status == 200
    assert sorted(heard) == ["one", "one", "two", "two"]
