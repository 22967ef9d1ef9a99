"""`/jit mfa`: a person sees their second factors, and sets one up with the code that an operator issued.

Codes, keys and recovery codes are in modals alone: Slack keeps commands and messages, so no code is read in a command.
"""

from __future__ import annotations

from pydantic import SecretStr
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.access import enrolment
from handlers.context import Door
from handlers.slack import modal_stack, payloads
from handlers.slack.payloads import NoTrigger, Payload
from handlers.views import action_ids
from handlers.views import mfa as views
from handlers.views.message import SlackMessage


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the modals; the command comes through commands.py."""

    @app.view(action_ids.MFA_VIEW)
    async def begun(ack: AsyncAck, body: Payload) -> None:
        code = SecretStr(payloads.field(body, action_ids.ENROLMENT_CODE))
        found = await enrolment.begin(door.context, await door.who(body), code)
        await ack(response_action="update", view=views.key(found))

    @app.view(action_ids.MFA_KEY_VIEW)
    async def confirmed(ack: AsyncAck, body: Payload) -> None:
        code = SecretStr(payloads.field(body, action_ids.FIRST_CODE))
        found = await enrolment.confirm(door.context, await door.who(body), payloads.about(body), code)
        if found.recovery:
            await ack(response_action="update", view=views.done(found))
        else:
            # On top: beneath it, the answer to the first press shows the recovery codes, which nothing shows again.
            await ack(response_action="push", view=views.done_before(found))


async def command(door: Door, payload: Payload, rest: str, client: AsyncWebClient) -> SlackMessage | None:
    """``/jit mfa``: opens the modal, or gives a button that does where a message was written. No code is read here."""
    actor, typed = await door.who(payload), bool(rest.strip())
    own = await enrolment.own_factors(door.context, actor)
    try:
        await modal_stack.show(client, payload, views.own(own, typed=typed))
    except NoTrigger:
        return views.to_open(typed=typed)
    return None
