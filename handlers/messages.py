"""`@jit request …` in a channel or thread, and a direct message to the bot: the same commands, answered to that person.

A message carries no trigger, so where a command opens a form the answer has a button that does.
"""

from __future__ import annotations

import contextlib
import logging
import secrets

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.errors import Crowded, JitError, StoreAway
from handlers import commands
from handlers.context import TURNED_AWAY, Door
from handlers.error_messages import sentence
from handlers.slack import payloads, typed_messages
from handlers.slack.api import NotNow, SlackRefused, Unanswered, answered, error_name
from handlers.slack.payloads import NoTrigger, Payload
from handlers.slack.typed_messages import TypedMessage
from handlers.views import action_ids
from handlers.views.message import SlackMessage
from handlers.views.request_line import HELLO, open_form

log = logging.getLogger(__name__)

_HANDLING = 30.0
"""Seconds after which a process that handles a message, and has not answered, is taken for dead."""
_REDELIVERED = 900.0
"""Seconds for which Slack may deliver a message again: it does so for some six minutes."""


def register(app: AsyncApp, door: Door) -> None:
    """Listen to mentions, to direct messages, and to the button that opens a form for them."""

    @app.event("app_mention")
    async def mentioned(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        await _read(door, typed_messages.mention(body), client)
        await ack()

    @app.event("message")
    async def written(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        await _read(door, typed_messages.direct_message(body), client)
        await ack()

    @app.action(action_ids.OPEN_FORM)
    async def opening(ack: AsyncAck, body: Payload, respond: AsyncRespond, client: AsyncWebClient) -> None:
        answer = await commands.answer(door, {**body, "text": payloads.pressed(body)}, client)
        if answer is not None:
            message = SlackMessage(answer, []) if isinstance(answer, str) else answer
            await respond(
                text=message.text, blocks=message.blocks or None, response_type="ephemeral", replace_original=False
            )
        await ack()


async def _read(door: Door, message: TypedMessage | None, client: AsyncWebClient) -> None:
    """Do what a message says, and answer; nothing for one that no person wrote, or that is delivered again.

    Raises `StoreAway` and `Crowded`: then nothing was done, and Slack delivers the message again.
    """
    if message is None:
        return
    delivery, key = secrets.token_hex(8), door.context.store.keys.answered(f"{message.channel}:{message.ts}")
    if not await door.context.store.lease(key, delivery, _HANDLING):
        return
    try:
        answer = await _answer(door, message, client)
    except (StoreAway, Crowded):
        with contextlib.suppress(StoreAway):
            await door.context.store.lease(key, delivery, 0)
        raise
    await _post(client, message, answer)
    with contextlib.suppress(StoreAway):
        await door.context.store.lease(key, delivery, _REDELIVERED)


async def _post(client: AsyncWebClient, message: TypedMessage, answer: SlackMessage) -> None:
    try:
        await answered(
            client.chat_postEphemeral(
                channel=message.channel,
                user=message.user,
                thread_ts=message.thread or None,
                text=answer.text,
                blocks=answer.blocks or None,
            )
        )
    except (NotNow, SlackRefused, Unanswered) as error:
        log.warning("the answer to a message of %s could not be posted: %s", message.user, error_name(error))


async def _answer(door: Door, message: TypedMessage, client: AsyncWebClient) -> SlackMessage:
    """What the person reads. Raises `StoreAway` and `Crowded`: then Slack delivers the message again."""
    if not message.text:
        return SlackMessage(HELLO, [])
    try:
        answer = await commands.answer(door, message.payload, client)
    except NoTrigger:
        return open_form(message.text)
    except (StoreAway, Crowded):
        raise
    except JitError as error:
        if isinstance(error, TURNED_AWAY):
            with contextlib.suppress(StoreAway):
                await door.context.audit_refused_account(message.user, payloads.tried(message.payload), error)
        return SlackMessage(sentence(error), [])
    return answer if isinstance(answer, SlackMessage) else SlackMessage(answer or "", [])
