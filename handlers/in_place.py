"""Shows whoever pressed what came of it, where they pressed; the press is recorded by then, and stays so."""

from __future__ import annotations

import logging

from slack_bolt.async_app import AsyncAck, AsyncRespond
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.verdict import Actor
from handlers import home
from handlers.context import Door
from handlers.slack import modal_stack, payloads
from handlers.slack.api import AWAY, error_name
from handlers.slack.payloads import Payload
from handlers.views import action_ids, modals

log = logging.getLogger(__name__)


async def pressed(
    door: Door, actor: Actor, body: Payload, client: AsyncWebClient, respond: AsyncRespond, text: str
) -> None:
    """After a button: at the top of the view that it is in, or below the card, in a message only for them."""
    if payloads.callback(body) == action_ids.NOTE_VIEW:
        await modal_stack.change(client, body, modals.note("JIT Access", text))
    elif payloads.within(body):
        await home.again(door, actor, body, client, text)
    elif body.get("response_url"):
        # Not before the answer to Slack, which has three seconds.
        door.background.start(_respond(respond, text), f"what came of the press of {actor.person.id}")


async def submitted(
    ack: AsyncAck,
    door: Door,
    actor: Actor,
    body: Payload,
    client: AsyncWebClient,
    heading: str,
    text: str,
    channel: str = "",
    start: int = 0,
) -> None:
    """After a form: in its place, or at the top of the list that it was opened from."""
    if payloads.stacked(body):
        await home.beneath(door, actor, body, client, channel, start, text)
        await ack()
    else:
        await ack(response_action="update", view=modals.note(heading, text))


async def _respond(respond: AsyncRespond, text: str) -> None:
    try:
        await respond(text=text, response_type="ephemeral", replace_original=False)
    except AWAY as error:
        log.info("what came of a press was not shown: %s", error_name(error))
