"""Uploads in Slack's three steps: request an address, send the bytes, complete; each refuses what Slack refuses."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground import LocalSlack
from bot.playground.server import UPLOAD
from tests.playground.conftest import CHANNEL

PNG = b"\x89PNG not really"


@pytest.fixture
def client(slack: LocalSlack) -> AsyncWebClient:
    """The SDK's own client."""
    slack.limits.on = False
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])


async def begun(client: AsyncWebClient, **more: Any) -> tuple[str, str]:
    answer = await client.files_getUploadURLExternal(**{"filename": "a.png", "length": len(PNG), **more})
    return str(answer["file_id"]), str(answer["upload_url"])


async def sent(url: str, content: bytes = PNG) -> int:
    async with aiohttp.ClientSession() as session, session.post(url, data=content) as answer:
        return answer.status


async def refused(call: Any) -> str:
    with pytest.raises(SlackApiError) as error:
        await call
    return str(error.value.response["error"])


async def test_an_image_is_shown_in_a_thread_with_its_alt_text(slack: LocalSlack, client: AsyncWebClient) -> None:
    parent = await client.chat_postMessage(channel=CHANNEL, text="the day")
    file, url = await begun(client, alt_txt="9 asked, 6 opened")
    assert await sent(url) == 200
    assert slack.messages(CHANNEL, parent["ts"]) == []
    await client.files_completeUploadExternal(
        files=[{"id": file, "title": "The day"}], channel_id=CHANNEL, thread_ts=parent["ts"]
    )
    [message] = slack.messages(CHANNEL, parent["ts"])
    assert message.files == (file,)
    shown = slack.world.files[file]
    assert (shown.content, shown.alt, shown.title) == (PNG, "9 asked, 6 opened", "The day")


async def test_the_same_upload_is_not_found_a_second_time(slack: LocalSlack, client: AsyncWebClient) -> None:
    file, url = await begun(client)
    await sent(url)
    await client.files_completeUploadExternal(files=[{"id": file}], channel_id=CHANNEL)
    again = client.files_completeUploadExternal(files=[{"id": file}], channel_id=CHANNEL)
    assert await refused(again) == "file_not_found"
    assert len(slack.messages(CHANNEL)) == 1


async def test_without_a_channel_nobody_sees_it(slack: LocalSlack, client: AsyncWebClient) -> None:
    file, url = await begun(client)
    await sent(url)
    await client.files_completeUploadExternal(files=[{"id": file}])
    assert slack.world.messages == []


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"length": 0}, "missing_argument"),
        ({"length": "many"}, "invalid_arguments"),
        ({"length": 2_000_000_000}, "file_upload_size_restricted"),
        ({"filename": ""}, "invalid_arguments"),
        ({"alt_txt": "x" * 1001}, "alt_txt_too_large"),
    ],
)
async def test_an_impossible_upload_is_refused(client: AsyncWebClient, more: dict[str, Any], code: str) -> None:
    assert await refused(begun(client, **more)) == code


async def test_a_wrong_length_and_a_wrong_address_are_refused(client: AsyncWebClient) -> None:
    _, url = await begun(client)
    assert await sent(url, PNG[1:]) == 400
    assert await sent(f"{url}x") == 400


async def test_an_upload_without_bytes_or_without_a_request_is_not_found(client: AsyncWebClient) -> None:
    file, _ = await begun(client)
    for id_ in (file, "F404"):
        assert await refused(client.files_completeUploadExternal(files=[{"id": id_}])) == "file_not_found"


@pytest.mark.parametrize(("channel", "code"), [("C0404", "channel_not_found"), ("C0OUTSIDE", "not_in_channel")])
async def test_a_file_is_not_shown_where_the_app_is_no_member(
    slack: LocalSlack, client: AsyncWebClient, channel: str, code: str
) -> None:
    slack.add_channel("C0OUTSIDE", "outside", bot_inside=False)
    file, url = await begun(client)
    await sent(url)
    assert await refused(client.files_completeUploadExternal(files=[{"id": file}], channel_id=channel)) == code


@pytest.mark.parametrize("files", [[], ["F1"], [{}], [{"title": "x"}]])
async def test_malformed_files_are_refused(client: AsyncWebClient, files: list[Any]) -> None:
    assert await refused(client.api_call("files.completeUploadExternal", json={"files": files})) == "invalid_arguments"


async def test_sending_the_bytes_can_fail_too(slack: LocalSlack, client: AsyncWebClient) -> None:
    file, url = await begun(client)
    slack.faults.add(UPLOAD, "error_500")
    slack.faults.add(UPLOAD, "drop_after")
    assert await sent(url) == 500
    assert slack.world.files[file].content is None
    with pytest.raises(aiohttp.ClientError):
        await sent(url)
    assert slack.world.files[file].content == PNG


async def test_a_message_shows_an_image_only_of_a_file_that_is_shared(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    file, url = await begun(client)
    await sent(url)
    image = {"type": "image", "alt_text": "a chart", "slack_file": {"id": file}}
    assert await refused(client.chat_postMessage(channel=CHANNEL, text="the day", blocks=[image])) == "invalid_blocks"
    await client.files_completeUploadExternal(files=[{"id": file, "title": "The day"}], channel_id=CHANNEL)
    posted = await client.chat_postMessage(channel=CHANNEL, text="the day", blocks=[image])
    image["slack_file"] = {"id": "F0NOWHERE"}
    update = client.chat_update(channel=CHANNEL, ts=posted["ts"], text="the day", blocks=[image])
    assert await refused(update) == "invalid_blocks"
