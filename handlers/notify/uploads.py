"""Uploads a picture or a text to Slack, in its three steps; only the last one shows it, once for each file.

An upload that nobody sees may be made again. After an unknown outcome of the last step the same file is completed
again: Slack does that once.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.store.outbox import Outbox, Row
from handlers.notify.channels import Undeliverable
from handlers.notify.poster import Deferred
from handlers.slack.api import NotNow, SlackRefused, Unanswered, answered, error_name

log = logging.getLogger(__name__)

T = TypeVar("T")
_SCOPE = "missing_scope"
_GONE = "file_not_found"


@dataclass(frozen=True)
class UploadedFile:
    """A file to share. ``alt``: what a picture shows, for screen readers; ``comment``: the text above it."""

    content: bytes
    name: str
    title: str
    alt: str = ""
    comment: str = ""


@dataclass
class Uploads:
    """``unknown_for``: seconds after an unknown outcome before it is tried again.

    `share` raises `Undeliverable`, `NotNow`, `Unanswered`, `Deferred`, and the outbox's `OnItsWay`.
    """

    outbox: Outbox
    client: AsyncWebClient
    unknown_for: float

    async def share(self, row: Row, shown: UploadedFile, channel: str, thread: str = "") -> None:
        """Show it in a channel, or beneath a message there, once."""
        known = await self.outbox.upload(row)
        file = known or await self._upload(row, shown)
        await self.outbox.posting(row, self.unknown_for)
        call = self.client.files_completeUploadExternal(
            files=[{"id": file, "title": shown.title}],
            channel_id=channel,
            thread_ts=thread or None,
            initial_comment=shown.comment or None,
        )
        try:
            await _allowed(answered(call))
        except NotNow as error:
            await self.outbox.unknown(row, error.after)
            raise
        except SlackRefused as error:
            if not (known and error.code == _GONE):
                await self.outbox.not_posted(row)
                raise Undeliverable(f"Slack refuses the file: {error.code}") from error
            log.info("%s: Slack no longer knows the upload: it was posted by the last try", row.name)
        except Unanswered as error:
            log.warning("%s: no answer from Slack, the file may be shown or not: %s", row.name, error)
            await self.outbox.unknown(row, self.unknown_for)
            raise Deferred from error
        await self.outbox.posted(row, channel, file)

    async def _upload(self, row: Row, shown: UploadedFile) -> str:
        """The file's id, once Slack has all of its bytes."""
        call = self.client.files_getUploadURLExternal(
            filename=shown.name, length=len(shown.content), alt_txt=shown.alt or None
        )
        try:
            answer = await _allowed(answered(call))
        except SlackRefused as error:
            raise Undeliverable(f"Slack refuses the file: {error.code}") from error
        await self._send(str(answer["upload_url"]), shown.content)
        await self.outbox.uploaded(row, str(answer["file_id"]))
        return str(answer["file_id"])

    async def _send(self, url: str, content: bytes) -> None:
        """The address is a secret of its own, so no token goes there, and no log has it."""
        session = self.client.session
        if session is None:
            raise Undeliverable("there is no session to upload with")
        try:
            headers = {"Content-Type": "application/octet-stream"}
            async with session.post(url, data=content, headers=headers) as response:
                status = response.status
        except (aiohttp.ClientError, OSError) as error:
            raise Unanswered(f"the upload: {type(error).__name__}") from error
        if status == 429 or status >= 500:
            raise Unanswered(f"the upload: HTTP {status}")
        if status >= 400:
            raise Undeliverable(f"Slack refuses the file's bytes: HTTP {status}")


async def _allowed(call: Awaitable[T]) -> T:
    """Without the scope there is no file, and nothing waits for one: the scope is optional."""
    try:
        return await call
    except NotNow as error:
        if isinstance(error.__cause__, Exception) and error_name(error.__cause__) == _SCOPE:
            raise Undeliverable(
                "a file needs the scope files:write: `jit manifest`, then install the app again"
            ) from error
        raise
