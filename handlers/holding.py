"""The conversation of holding a grant: see it, see its secret, give it back, take it away."""

from __future__ import annotations

import logging

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot import reminding
from bot.core.errors import JitError
from bot.core.model import Request
from handlers import home, payloads, screens, stopping
from handlers.calls import AWAY, said
from handlers.door import Door
from handlers.payloads import Payload
from handlers.replies import sentence
from handlers.views import actions, modals
from handlers.views.listing import listing
from handlers.views.words import clock, safe
from providers.systems.base import Secret

log = logging.getLogger(__name__)


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the buttons of grants and of the asker's DMs."""

    @app.action(actions.CANCEL)
    async def cancelling(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor = await door.who(body)
        await door.desk.cancel(actor, payloads.pressed(body))
        await home.again(door, actor, body, client)
        await ack()

    @app.action(actions.RELEASE)
    async def releasing(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor = await door.who(body)
        await door.desk.release(actor, payloads.pressed(body))
        await home.again(door, actor, body, client)
        await ack()

    @app.action(actions.REVOKE)
    async def revoking(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        request = await door.desk.revocable(await door.who(body), payloads.pressed(body))
        await client.views_open(trigger_id=body["trigger_id"], view=modals.revoke(request))
        await ack()

    @app.view(actions.REVOKE_VIEW)
    async def revoked(ack: AsyncAck, body: Payload) -> None:
        await door.desk.revoke(await door.who(body), payloads.about(body), payloads.reason(body))
        await ack()

    @app.action(actions.REVEAL)
    async def revealing(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor = await door.who(body)
        waiting = modals.note("Your access", "A new password is being made. This takes a moment.")
        view = await screens.show(client, body, waiting)
        try:
            await door.desk.reveal(actor, payloads.pressed(body), view)
        except JitError as error:
            await client.views_update(view_id=view, view=modals.note("Your access", sentence(error)))
        await ack()


async def listed(door: Door, payload: Payload) -> str:
    """``/jit list``."""
    actor = await door.who(payload)
    found = listing(await door.desk.mine(actor), await door.desk.answerable(actor))
    return "\n\n".join(part for part in (await stopping.banner(door), found) if part)


async def release(door: Door, payload: Payload, rest: str) -> str:
    """``/jit release [ID]``."""
    request = await door.desk.release(await door.who(payload), rest or None)
    return f"Thank you. {request.id} is being closed."


async def cancel(door: Door, payload: Payload, rest: str) -> str:
    """``/jit cancel [ID]``."""
    request = await door.desk.cancel(await door.who(payload), rest or None)
    return f"{request.id} is taken back."


async def remind(door: Door, payload: Payload, rest: str) -> str:
    """``/jit remind [ID]``."""
    request = await reminding.remind(door.desk, await door.who(payload), rest or None)
    return f"Those who can decide about {request.id} are told again. It lapses {clock(request.decide_by)}."


async def deliver(client: AsyncWebClient, request: Request, view: str, shown: Secret | str) -> None:
    """Show the secret, or why there is none, in the modal that waits for it; a closed modal needs nothing."""
    if isinstance(shown, str):
        filled = modals.note("Your access", f"It could not be made: {safe(shown)}. Please press again.")
    else:
        filled = modals.secret(request, shown)
    try:
        await client.views_update(view_id=view, view=filled)
    except AWAY as error:
        log.warning("%s: the modal could not be filled in: %s", request.id, said(error))
