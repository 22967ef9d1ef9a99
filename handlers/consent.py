"""Accepting or declining what somebody else requested for one; every press is judged again."""

from __future__ import annotations

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_sdk.web.async_client import AsyncWebClient

from bot.access import consent
from bot.core.factor_errors import ProofRequired
from handlers import in_place
from handlers.context import Door
from handlers.slack import modal_stack, payloads
from handlers.slack.payloads import Payload
from handlers.views import action_ids, for_others, modals, proof


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the buttons of the direct message, the lists and the Home tab, and to the form of one."""

    @app.action(action_ids.ACCEPT)
    async def accepting(ack: AsyncAck, body: Payload, client: AsyncWebClient, respond: AsyncRespond) -> None:
        actor = await door.who(body)
        request = await consent.consentable(door.context, actor, payloads.pressed(body))
        try:
            after = await consent.accept(door.context, actor, request.id)
        except ProofRequired as error:
            await modal_stack.show(client, body, proof.accept(request, error.factors))
        else:
            await in_place.pressed(door, actor, body, client, respond, for_others.accepted(after))
        await ack()

    @app.view(action_ids.ACCEPT_CODE_VIEW)
    async def accepted_with_code(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor = await door.who(body)
        after = await consent.accept(door.context, actor, payloads.about(body), payloads.code(body))
        await in_place.submitted(ack, door, actor, body, client, "Accepted", for_others.accepted(after))

    @app.action(action_ids.DECLINE)
    async def declining(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        request = await consent.consentable(door.context, await door.who(body), payloads.pressed(body))
        await modal_stack.show(client, body, modals.decline(request))
        await ack()

    @app.view(action_ids.DECLINE_VIEW)
    async def declined(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor = await door.who(body)
        after = await consent.decline(door.context, actor, payloads.about(body), payloads.reason(body))
        await in_place.submitted(ack, door, actor, body, client, "Declined", for_others.declined(after))
