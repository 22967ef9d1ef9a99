"""Global and message shortcuts reach the app as Slack sends them; one that does not exist cannot be used."""

from __future__ import annotations

import pytest
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import LocalSlack, NotThere
from tests.playground.conftest import CHANNEL, Json, modal
from tests.playground.test_manifests import manifest

pytestmark = pytest.mark.usefixtures("town")


@pytest.fixture
def heard(bolt: AsyncApp) -> list[Json]:
    """What the app hears; it opens a modal each time, as apps do."""
    heard: list[Json] = []

    async def hear(ack: AsyncAck, body: Json, client: AsyncWebClient) -> None:
        heard.append(body)
        await client.views_open(trigger_id=body["trigger_id"], view=modal())
        await ack()

    bolt.global_shortcut("anywhere")(hear)
    bolt.message_shortcut("here")(hear)
    return heard


async def test_a_global_shortcut_has_no_message_and_opens_a_modal(live: LocalSlack, heard: list[Json]) -> None:
    mia = live.person("UMIA")
    assert (await mia.shortcut("anywhere")).status == 200
    (used,) = heard
    assert (used["type"], used["callback_id"], used["user"]["id"]) == ("shortcut", "anywhere", "UMIA")
    assert used.keys().isdisjoint({"message", "channel", "response_url"})
    await mia.sees_view("ask")


async def test_a_message_shortcut_contains_the_message(live: LocalSlack, heard: list[Json]) -> None:
    mia = live.person("UMIA")
    first = await mia.says("the disk is full", CHANNEL)
    reply = await live.person("UDAN").says("have a look", CHANNEL, thread=first.ts)
    assert (await mia.shortcut("here", reply)).status == 200
    (used,) = heard
    assert (used["type"], used["channel"]["id"], used["message_ts"]) == ("message_action", CHANNEL, reply.ts)
    assert (used["message"]["text"], used["message"]["user"]) == ("have a look", "UDAN")
    assert used["message"]["thread_ts"] == first.ts
    assert used["response_url"].startswith(live.base)
    await mia.sees_view("ask")


async def test_a_message_shortcut_needs_a_message_that_the_person_sees(
    live: LocalSlack, bolt: AsyncApp, heard: list[Json]
) -> None:
    message = await live.person("UMIA").says("hello", CHANNEL)
    with pytest.raises(NotThere, match="UZOE is not in"):
        await live.person("UZOE").shortcut("here", message)
    await bolt.client.chat_postEphemeral(channel=CHANNEL, user="UMIA", text="only you")
    with pytest.raises(NotThere, match="has no shortcuts"):
        await live.person("UMIA").shortcut("here", live.person("UMIA").ephemerals[-1])
    assert heard == []


async def test_an_app_has_the_shortcuts_of_its_manifest(live: LocalSlack, heard: list[Json]) -> None:
    said, mia = manifest(), live.person("UMIA")
    kept = {"name": "Ask", "type": "global", "callback_id": "anywhere", "description": "Ask the town"}
    said["features"]["shortcuts"] = [kept]
    url = live.delivery.url
    live.install(said)
    live.deliver_to(url)
    assert (await mia.shortcut("anywhere")).status == 200
    with pytest.raises(NotThere, match="no shortcut here"):
        await mia.shortcut("here", await mia.says("hello", CHANNEL))
    assert [used["callback_id"] for used in heard] == ["anywhere"]
