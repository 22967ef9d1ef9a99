"""The link to a message, as a reason that is filled in; a modal that waits for it is opened in time without."""

from __future__ import annotations

import logging

from slack_sdk.web.async_client import AsyncWebClient

from bot import tasks
from handlers.slack.api import NotNow, SlackRefused, Unanswered, answered, error_name

log = logging.getLogger(__name__)

_PATIENCE = 0.5
"""Seconds for Slack to return a message's link: the modal has to be open within three."""


async def message_link(client: AsyncWebClient, channel: str, ts: str) -> str:
    """The link to a message; empty when Slack does not return it, and then the person types a reason."""
    try:
        call = answered(client.chat_getPermalink(channel=channel, message_ts=ts))
        return str((await tasks.within(call, _PATIENCE))["permalink"])
    except (NotNow, SlackRefused, Unanswered, TimeoutError) as error:
        log.info("Slack gave no link to a message: %s", error_name(error))
        return ""
