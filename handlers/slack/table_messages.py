"""Sends somebody a message with a table, or without one where Slack refuses tables; it judges nobody."""

from __future__ import annotations

import logging
from collections.abc import Callable

from slack_sdk.web.async_client import AsyncWebClient

from handlers.slack.api import NotNow, SlackRefused, Unanswered, answered, error_name
from handlers.views.message import SlackMessage
from handlers.views.tables import REFUSED

log = logging.getLogger(__name__)

REFUSAL = "Slack did not take the message. Please try again in a minute."
UNKNOWN = "Slack did not answer. Look into your direct messages before you press again."


async def send(client: AsyncWebClient, user: str, draw: Callable[[bool], SlackMessage], done: str) -> str:
    """Send it, and answer what the person reads: ``done``, or what went wrong. ``draw``: with a table, or as lines."""
    try:
        try:
            await _post(client, user, draw(True))  # the one thing that it is asked
        except SlackRefused as error:
            if error.code not in REFUSED:
                raise
            log.info("Slack refuses a table (%s), so lines are sent", error.code)
            await _post(client, user, draw(False))
    except (NotNow, SlackRefused) as error:
        log.warning("a table is not sent to %s: %s", user, error_name(error))
        return REFUSAL
    except Unanswered as error:
        log.warning("a table may be sent to %s or not: %s", user, error_name(error))
        return UNKNOWN
    return done


async def _post(client: AsyncWebClient, user: str, message: SlackMessage) -> None:
    call = client.chat_postMessage(
        channel=user, text=message.text, blocks=message.blocks, unfurl_links=False, unfurl_media=False
    )
    await answered(call)
