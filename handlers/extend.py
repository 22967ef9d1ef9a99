"""Extending access: the holder requests it, approvers answer; every press is judged again."""

from __future__ import annotations

from collections.abc import Sequence

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from bot.access import extend as verbs
from bot.access import review
from bot.access.request_line import parse_line
from bot.access.review import ReviewDecision
from bot.core.factor_errors import NotProved, ProofRequired
from bot.core.proof import ProofUse
from bot.core.request import Request, Verb
from bot.core.time_phrases import Clock
from bot.core.verdict import Actor
from handlers import home, in_place, second_factor, show
from handlers.context import Door
from handlers.slack import modal_stack, payloads
from handlers.slack.payloads import Payload
from handlers.views import action_ids, decided, extension, proof
from handlers.views.text import clock, safe


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the buttons, and to the modals that they open."""

    @app.action(action_ids.EXTEND)
    async def extending(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor = await door.who(body)
        request = await verbs.extensible(door.context, actor, payloads.pressed(body))
        confirm = await second_factor.asked(door, actor, request, ProofUse.REQUEST)
        await modal_stack.show(client, body, extension.extend(request, confirm=confirm))
        await ack()

    @app.view(action_ids.EXTEND_VIEW)
    async def extension_requested(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor, form, id_ = await door.who(body), payloads.chosen(body), payloads.about(body)

        async def redrawn(confirm: Sequence[Block], note: str) -> View:
            request = await verbs.extensible(door.context, actor, id_)
            return extension.extend(request, form.duration, form.reason, note, confirm)

        try:
            await verbs.extend(door.context, actor, id_, form.duration or 0, form.reason, form.code)
        except NotProved as error:
            await second_factor.refused(ack, body, error, redrawn)
        else:
            await home.beneath(door, actor, body, client)
            await ack()

    @app.action(action_ids.EXTEND_APPROVE)
    async def approve(ack: AsyncAck, body: Payload, client: AsyncWebClient, respond: AsyncRespond) -> None:
        actor, (id_, n) = await door.who(body), payloads.id_and_number(payloads.pressed(body))
        request = await review.reviewable(door.context, actor, id_, extension=n)
        actor = await door.look_up_now(actor, request)
        try:
            after = await review.review(door.context, actor, id_, ReviewDecision(verb=Verb.APPROVE), extension=n)
        except ProofRequired as error:
            await modal_stack.show(client, body, proof.approve_extension(request, error.factors))
        else:
            await in_place.pressed(door, actor, body, client, respond, await _came_of(actor, after))
        await ack()

    @app.view(action_ids.EXTEND_APPROVE_CODE_VIEW)
    async def approved_with_code(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor, (id_, n) = await door.who(body), payloads.id_and_number(payloads.about(body))
        actor = await door.look_up_now(actor, await review.reviewable(door.context, actor, id_, extension=n))
        decision = ReviewDecision(verb=Verb.APPROVE, code=payloads.code(body))
        after = await review.review(door.context, actor, id_, decision, extension=n)
        await in_place.submitted(ack, door, actor, body, client, "Approved", await _came_of(actor, after))

    @app.action(action_ids.EXTEND_DENY)
    async def deny(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        id_, n = payloads.id_and_number(payloads.pressed(body))
        request = await review.reviewable(door.context, await door.who(body), id_, extension=n)
        await modal_stack.show(client, body, extension.deny(request, n))
        await ack()

    @app.view(action_ids.EXTEND_DENY_VIEW)
    async def denied(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor, (id_, n) = await door.who(body), payloads.id_and_number(payloads.about(body))
        decision = ReviewDecision(verb=Verb.DENY, reason=payloads.reason(body))
        after = await review.review(door.context, actor, id_, decision, extension=n)
        await in_place.submitted(ack, door, actor, body, client, "Not extended", await _came_of(actor, after))

    async def _came_of(actor: Actor, after: Request) -> str:
        return decided.of_extension(after, actor.person.id, await show.needed(door, actor, after))


async def extend(door: Door, payload: Payload, rest: str, client: AsyncWebClient) -> str | None:
    """``/jit extend [ID] [30m] [-- REASON]``: the answer's text, or None when a modal was opened instead."""
    actor, (id_, text) = await door.who(payload), payloads.id_and_line(rest)
    vocabulary = None if id_ else door.context.catalog().vocabulary
    named = parse_line(text, vocabulary, Clock(actor.person.tz, 0), optional=True)
    request = await verbs.extensible(door.context, actor, id_ or named.typed or None)
    # An end ("until 18:00") is the first one after the end that is known.
    line = parse_line(text, vocabulary, Clock(actor.person.tz, request.ends_at), optional=True)
    if line.duration is None or not line.reason or line.unknown or line.problems:
        unknown = " and ".join(f'"{safe(each, 80)}"' for each in line.unknown)
        note = f"I don't understand {unknown}. Everything else is filled in." if unknown else ""
        confirm = await second_factor.asked(door, actor, request, ProofUse.REQUEST)
        await modal_stack.show(client, payload, extension.extend(request, line.duration, line.reason, note, confirm))
        return None
    try:
        after = await verbs.extend(door.context, actor, request.id, line.duration, line.reason)
    except ProofRequired as error:
        filled = (line.duration, line.reason, proof.NOT_IN_A_COMMAND, [proof.field(error.factors)])
        await modal_stack.show(client, payload, extension.extend(request, *filled))
        return None
    return await show.with_card(door, after, _asked(after))


def _asked(request: Request) -> str:
    until = clock(request.extension.until if request.extension else request.ends_at)
    otherwise = f"If nobody answers, access ends at {clock(request.ends_at)} as planned."
    return f"You asked to extend {request.id} until {until}. {otherwise}"
