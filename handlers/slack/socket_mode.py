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

from bot import tasks

_PING = 5.0
"""Seconds between two looks at whether the connection lives, and between two tries to have one."""
_TICKET = re.compile(r"(wss?://[^\s?'\"]*)\?[^\s'\"]*")


@contextlib.asynccontextmanager
async def connected(app: AsyncApp, token: str, client: AsyncWebClient, stopping: asyncio.Event) -> AsyncIterator[None]:
    """Connect, however long Slack is away, unless the process is told to stop meanwhile."""
    handler = AsyncSocketModeHandler(app, token, web_client=client, logger=_logger(), ping_interval=_PING)
    closing = asyncio.Event()
    connecting = asyncio.create_task(handler.connect_async(), name="connecting")  # type: ignore[no-untyped-call]  # Bolt leaves it untyped
    told = asyncio.create_task(stopping.wait(), name="stop")
    asking = asyncio.create_task(_ask_for_new_addresses(handler, closing), name="new addresses")
    try:
        await asyncio.wait({connecting, told}, return_when=asyncio.FIRST_COMPLETED)
        yield
    finally:
        closing.set()
        await tasks.end({connecting, told, asking})
        # The SDK ends what it has begun and waits for it with no limit of its own.
        ending = asyncio.create_task(handler.close_async(), name="closing the socket")  # type: ignore[no-untyped-call]
        await asyncio.wait({ending}, timeout=tasks.PATIENCE)
        await tasks.end({ending})


async def _ask_for_new_addresses(handler: AsyncSocketModeHandler, closing: asyncio.Event) -> None:
    """An address serves once: the SDK, left alone, tries one that was refused for ever."""
    while not closing.is_set():
        with contextlib.suppress(TimeoutError):
            await tasks.within(closing.wait(), _PING / 2)
        if not closing.is_set() and not await handler.client.is_connected():
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
