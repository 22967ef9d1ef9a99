"""A person's own requests: list them, show the password, cancel or end one, remind the approvers."""

from __future__ import annotations

import logging

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_sdk.web.async_client import AsyncWebClient

from bot.access import own_request, read, revoke
from bot.access.delegate import own_delegations
from bot.access.remind import remind as send_reminder
from bot.core.errors import JitError
from bot.core.factor_errors import ProofRequired
from bot.core.request import Request
from handlers import in_place, lockdown, show
from handlers.context import Door
from handlers.error_messages import sentence
from handlers.slack import modal_stack, payloads
from handlers.slack.api import AWAY, error_name
from handlers.slack.payloads import Payload
from handlers.views import action_ids, decided, delegation, modals, proof, secrets
from handlers.views.request_list import listing
from handlers.views.text import clock, safe, title
from providers.systems.base import Secret

log = logging.getLogger(__name__)

_WAITING = modals.note("Your access", "Creating a new password. This takes a moment.")
_AFTER_THE_ANSWER = 1.0
"""Seconds that a password waits for the form with the code to become the view in which it is shown."""


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the buttons of grants and of the requester's DMs."""

    @app.action(action_ids.CANCEL)
    async def cancelling(ack: AsyncAck, body: Payload, client: AsyncWebClient, respond: AsyncRespond) -> None:
        actor = await door.who(body)
        after = await own_request.cancel(door.context, actor, payloads.pressed(body))
        await in_place.pressed(door, actor, body, client, respond, _cancelled(after))
        await ack()

    @app.action(action_ids.RELEASE)
    async def releasing(ack: AsyncAck, body: Payload, client: AsyncWebClient, respond: AsyncRespond) -> None:
        actor = await door.who(body)
        after = await own_request.release(door.context, actor, payloads.pressed(body))
        await in_place.pressed(door, actor, body, client, respond, _released(after))
        await ack()

    @app.action(action_ids.REVOKE)
    async def revoking(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        request = await revoke.revocable(door.context, await door.who(body), payloads.pressed(body))
        await client.views_open(trigger_id=payloads.trigger(body), view=modals.revoke(request))
        await ack()

    @app.view(action_ids.REVOKE_VIEW)
    async def revoked(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor = await door.who(body)
        after = await revoke.revoke(door.context, actor, payloads.about(body), payloads.reason(body))
        await in_place.submitted(ack, door, actor, body, client, "Ended early", decided.of_end(after))

    @app.action(action_ids.REVEAL)
    async def revealing(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor, (id_, n) = await door.who(body), payloads.id_and_number(payloads.pressed(body))
        if not n and (several := await read.secrets_to_choose(door.context, actor, id_)):
            await modal_stack.show(client, body, secrets.choose(*several))
            await ack()
            return
        view = await modal_stack.show(client, body, _WAITING)
        try:
            await own_request.reveal(door.context, actor, id_, view, n - 1 if n else None)
        except ProofRequired as error:
            request = (await own_request.revealable(door.context, actor, id_)).request
            await client.views_update(view_id=view, view=proof.reveal(request, error.factors, n))
        except JitError as error:
            await client.views_update(view_id=view, view=modals.note("Your access", sentence(error)))
        await ack()

    @app.view(action_ids.REVEAL_CODE_VIEW)
    async def revealing_with_code(ack: AsyncAck, body: Payload) -> None:
        actor, (id_, n) = await door.who(body), payloads.id_and_number(payloads.about(body))
        view, leg, code = payloads.view_id(body), n - 1 if n else None, payloads.code(body)
        # The answer to Slack fills the same view: were the password in it before, it would be written over.
        await own_request.reveal(door.context, actor, id_, view, leg, code, wait=_AFTER_THE_ANSWER)
        await ack(response_action="update", view=_WAITING)


async def listed(door: Door, payload: Payload) -> str:
    """``/jit list``."""
    actor = await door.who(payload)
    own, requested_for_others = await read.open_as_party(door.context, actor)
    others = await read.overseen(door.context, actor)
    asked = await read.recent(door.context, actor, await door.context.store.now() - read.WEEK)
    open_ = {request.id for request in own}
    found = listing(own, others, [r for r in asked if r.is_over and r.id not in open_], requested_for_others)
    stand_ins = delegation.listed(await own_delegations(door.context, actor))
    return "\n\n".join(part for part in (await lockdown.banner(door), found, stand_ins) if part)


async def release(door: Door, payload: Payload, rest: str) -> str:
    """``/jit release [ID]``."""
    request = await own_request.release(door.context, await door.who(payload), payloads.which(rest))
    return await show.with_card(door, request, _released(request))


async def cancel(door: Door, payload: Payload, rest: str) -> str:
    """``/jit cancel [ID]``."""
    request = await own_request.cancel(door.context, await door.who(payload), payloads.which(rest))
    return await show.with_card(door, request, _cancelled(request))


def _released(request: Request) -> str:
    return f"Thank you. You ended {request.id}, {title(request)}; the worker is revoking the access."


def _cancelled(request: Request) -> str:
    return f"You cancelled {request.id}."


async def remind(door: Door, payload: Payload, rest: str) -> str:
    """``/jit remind [ID]``."""
    request = await send_reminder(door.context, await door.who(payload), payloads.which(rest))
    text = f"You reminded the approvers of {request.id}. If nobody answers by {clock(request.decide_by)}, it expires."
    return await show.with_card(door, request, text)


async def deliver(client: AsyncWebClient, request: Request, view: str, shown: Secret | str) -> None:
    """Show the secret, or why there is none, in the modal that waits for it; a closed modal needs nothing."""
    if isinstance(shown, str):
        filled = modals.note("Your access", f"The password could not be created: {safe(shown)}. Please press again.")
    else:
        filled = secrets.secret(request, shown)
    try:
        await client.views_update(view_id=view, view=filled)
    except AWAY as error:
        log.warning("%s: the modal could not be filled in: %s", request.id, error_name(error))
