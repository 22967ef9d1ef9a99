"""The conversation of deciding: approve, approve for less, deny; every press is judged anew by the desk."""

from __future__ import annotations

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.model import Verb
from bot.wishes import Answer
from handlers import home, payloads, screens
from handlers.door import Door
from handlers.payloads import Payload
from handlers.views import actions, modals


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the card's buttons, and to the modals that two of them open."""

    @app.action(actions.APPROVE)
    async def approve(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor = await door.who(body)
        await door.desk.review(actor, payloads.pressed(body), Answer(verb=Verb.APPROVE))
        await home.again(door, actor, body, client)
        await ack()

    @app.action(actions.APPROVE_LESS)
    async def approve_less(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        request = await door.desk.reviewable(await door.who(body), payloads.pressed(body))
        await screens.show(client, body, modals.approve_less(request, payloads.page(body)))
        await ack()

    @app.action(actions.DENY)
    async def deny(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        request = await door.desk.reviewable(await door.who(body), payloads.pressed(body))
        await screens.show(client, body, modals.deny(request, payloads.page(body)))
        await ack()

    @app.view(actions.APPROVE_LESS_VIEW)
    async def approved_less(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        await _answered(body, Answer(verb=Verb.APPROVE, duration=payloads.seconds(body)), client)
        await ack()

    @app.view(actions.DENY_VIEW)
    async def denied(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        await _answered(body, Answer(verb=Verb.DENY, reason=payloads.reason(body)), client)
        await ack()

    @app.action(actions.WAITING)
    async def waiting(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        theirs = await home.waiting(door, await door.who(body), payloads.pressed(body))
        await screens.show(client, body, theirs)
        await ack()

    @app.action(actions.WAITING_BEFORE)
    @app.action(actions.WAITING_AFTER)
    async def turn(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        channel, start = payloads.id_and_number(payloads.pressed(body))
        await screens.change(client, body, await home.waiting(door, await door.who(body), channel, start))
        await ack()

    async def _answered(body: Payload, answer: Answer, client: AsyncWebClient) -> None:
        actor = await door.who(body)
        id_, start = payloads.id_and_number(payloads.about(body))
        request = await door.desk.review(actor, id_, answer)
        await home.beneath(door, actor, body, client, request.channel, start)
