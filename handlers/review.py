"""Reviewing requests: approve, approve for less, deny; every press is judged again."""

from __future__ import annotations

from collections.abc import Sequence

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from bot.access import review
from bot.access.review import ReviewDecision
from bot.core.factor_errors import NotProved, ProofRequired
from bot.core.proof import ProofUse
from bot.core.request import Request, Verb
from bot.core.verdict import Actor
from handlers import home, in_place, second_factor, show
from handlers.context import Door
from handlers.slack import modal_stack, payloads, reason_fields
from handlers.slack.payloads import Payload
from handlers.views import action_ids, decided, modals, proof


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the card's buttons, and to the modals that two of them open."""
    _register_lists(app, door)

    @app.action(action_ids.APPROVE)
    async def approve(ack: AsyncAck, body: Payload, client: AsyncWebClient, respond: AsyncRespond) -> None:
        actor, (id_, shown) = await door.who(body), payloads.id_and_number(payloads.pressed(body))
        request = await review.reviewable(door.context, actor, id_)
        actor, decision = (
            await door.look_up_now(actor, request),
            ReviewDecision(verb=Verb.APPROVE, reason_changes=shown),
        )
        try:
            after = await review.review(door.context, actor, id_, decision)
        except ProofRequired as error:
            # What is approved is what this form shows, and no longer what the card showed.
            await modal_stack.show(client, body, proof.approve(request, error.factors, payloads.page(body)))
        else:
            await in_place.pressed(door, actor, body, client, respond, await _came_of(actor, after))
        await ack()

    @app.action(action_ids.APPROVE_LESS)
    async def approve_less(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor = await door.who(body)
        request = await review.reviewable(door.context, actor, payloads.pressed(body))
        confirm = await second_factor.asked(door, actor, request, ProofUse.APPROVE)
        await modal_stack.show(client, body, modals.approve_less(request, payloads.page(body), confirm))
        await ack()

    @app.action(action_ids.DENY)
    async def deny(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        request = await review.reviewable(door.context, await door.who(body), payloads.pressed(body))
        await modal_stack.show(client, body, modals.deny(request, payloads.page(body)))
        await ack()

    @app.view(action_ids.APPROVE_LESS_VIEW)
    async def approved_less(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        form, shown = payloads.chosen(body), reason_fields.shown(body)
        decision = ReviewDecision(verb=Verb.APPROVE, duration=form.duration, reason_changes=shown, code=form.code)

        async def redrawn(confirm: Sequence[Block], note: str) -> View:
            # What is approved is what this form shows, which may be another reason than the one before.
            id_, channel, start = payloads.id_and_page(body)
            request, page = await review.reviewable(door.context, await door.who(body), id_), f"{channel} {start}"
            return modals.approve_less(request, page if channel else "", confirm, form.duration, note)

        try:
            await _answered(ack, body, decision, client)
        except NotProved as error:
            await second_factor.refused(ack, body, error, redrawn)

    @app.view(action_ids.APPROVE_CODE_VIEW)
    async def approved_with_code(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        shown, code = reason_fields.shown(body), payloads.code(body)
        await _answered(ack, body, ReviewDecision(verb=Verb.APPROVE, reason_changes=shown, code=code), client)

    @app.view(action_ids.DENY_VIEW)
    async def denied(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        await _answered(ack, body, ReviewDecision(verb=Verb.DENY, reason=payloads.reason(body)), client)

    async def _answered(ack: AsyncAck, body: Payload, decision: ReviewDecision, client: AsyncWebClient) -> None:
        actor = await door.who(body)
        id_, channel, start = payloads.id_and_page(body)
        if decision.verb is Verb.APPROVE:
            actor = await door.look_up_now(actor, await review.reviewable(door.context, actor, id_))
        after = await review.review(door.context, actor, id_, decision)
        heading, came = "Denied" if decision.verb is Verb.DENY else "Approved", await _came_of(actor, after)
        await in_place.submitted(ack, door, actor, body, client, heading, came, channel or after.channel, start)

    async def _came_of(actor: Actor, after: Request) -> str:
        return decided.of_request(after, actor.person.id, await show.needed(door, actor, after))


def _register_lists(app: AsyncApp, door: Door) -> None:
    @app.action(action_ids.WAITING)
    async def waiting(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        theirs = await home.waiting(door, await door.who(body), payloads.pressed(body))
        await modal_stack.show(client, body, theirs)
        await ack()

    @app.action(action_ids.WAITING_BEFORE)
    @app.action(action_ids.WAITING_AFTER)
    async def turn(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        channel, start = payloads.id_and_number(payloads.pressed(body))
        await modal_stack.change(client, body, await home.waiting(door, await door.who(body), channel, start))
        await ack()
