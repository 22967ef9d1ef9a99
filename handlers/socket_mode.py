"""Slack's Socket Mode, connected for as long as the process runs; what arrives is Bolt's to handle."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

_PING = 5.0
"""Seconds between two looks at whether the connection lives, and between two tries to have one."""
_TICKET = re.compile(r"(wss?://[^\s?'\"]*)\?[^\s'\"]*")


@contextlib.asynccontextmanager
async def connected(app: AsyncApp, token: str, client: AsyncWebClient, stopping: asyncio.Event) -> AsyncIterator[None]:
    """Connect, however long Slack is away, unless the process is told to stop meanwhile."""
    handler = AsyncSocketModeHandler(app, token, web_client=client, logger=_logger(), ping_interval=_PING)
    tasks = [
        asyncio.create_task(handler.connect_async()),  # type: ignore[no-untyped-call]  # Bolt leaves it untyped
        asyncio.create_task(stopping.wait()),
        asyncio.create_task(_ask_for_new_addresses(handler)),
    ]
    try:
        await asyncio.wait(tasks[:2], return_when=asyncio.FIRST_COMPLETED)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await handler.close_async()  # type: ignore[no-untyped-call]


async def _ask_for_new_addresses(handler: AsyncSocketModeHandler) -> None:
    """An address serves once: the SDK, left alone, tries one that was refused for ever."""
    while True:
        await asyncio.sleep(_PING / 2)
        if not await handler.client.is_connected():
            handler.client.wss_uri = None


def _logger() -> logging.Logger:
    """The SDK's complaints in a line each, without the address, which admits whoever has it.

    Never at DEBUG, where it tells whole payloads: what people typed stays out of the log.
    """
    logger = logging.getLogger(__name__)
    logger.setLevel(max(logging.INFO, logging.getLogger(__package__).getEffectiveLevel()))
    if _short not in logger.filters:
        logger.addFilter(_short)
    return logger


def _short(record: logging.LogRecord) -> bool:
    record.msg, record.args = _TICKET.sub(r"\1?…", record.getMessage()), None
    record.exc_info = record.exc_text = None
    return True
