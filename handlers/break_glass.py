"""Break-glass: access at once, by a line or on a request that waits; and its review by an owner, judged again."""

from __future__ import annotations

from collections.abc import Sequence

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from bot.access import break_glass as verbs
from bot.access import break_glass_review
from bot.access.break_glass_review import ReviewOutcome
from bot.access.submit import RequestForm
from bot.core.factor_errors import NotProved, ProofRequired
from bot.core.proof import ProofUse
from bot.core.request import Request
from handlers import in_place, request, second_factor
from handlers.context import Door
from handlers.slack import modal_stack, payloads
from handlers.slack.payloads import Payload
from handlers.views import action_ids, proof
from handlers.views import break_glass as views
from handlers.views import request_line as line_views
from handlers.views.message import SlackMessage


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the buttons, and to the modals that they open; the command comes through commands.py."""

    @app.action(action_ids.BREAK_GLASS)
    async def using(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor = await door.who(body)
        waits, longest = await verbs.switchable(door.context, actor, payloads.pressed(body))
        confirm = await second_factor.asked(door, actor, waits, ProofUse.BREAK_GLASS)
        await modal_stack.show(client, body, views.use(waits, longest, confirm=confirm))
        await ack()

    @app.view(action_ids.BREAK_GLASS_VIEW)
    async def used(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor, form, id_ = await door.who(body), payloads.chosen(body), payloads.about(body)

        async def redrawn(confirm: Sequence[Block], note: str) -> View:
            waits, longest = await verbs.switchable(door.context, actor, id_)
            return views.use(waits, longest, form.duration, form.reason, note, confirm)

        try:
            after = await verbs.switch(door.context, actor, id_, form.reason, form.duration, form.code)
        except NotProved as error:
            await second_factor.refused(ack, body, error, redrawn)
        else:
            await in_place.submitted(ack, door, actor, body, client, "Break-glass", _said(after))

    @app.view(action_ids.BREAK_GLASS_NEW_VIEW)
    async def used_by_form(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor, more = await door.who(body), {"what": payloads.about(body), "token": payloads.view_id(body)}
        form = payloads.chosen(body).model_copy(update=more)

        async def redrawn(confirm: Sequence[Block], note: str) -> View:
            return views.use_new(*await verbs.usable_new(door.context, actor, form), form, note, confirm)

        try:
            after = await verbs.use(door.context, actor, form)
        except NotProved as error:
            await second_factor.refused(ack, body, error, redrawn)
        else:
            await in_place.submitted(ack, door, actor, body, client, "Break-glass", _said(after))

    @app.action(action_ids.BREAK_GLASS_REVIEW)
    async def reviewing(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        taken = await break_glass_review.reviewable(door.context, await door.who(body), payloads.pressed(body))
        await modal_stack.show(client, body, views.review(taken))
        await ack()

    @app.view(action_ids.BREAK_GLASS_REVIEW_VIEW)
    async def reviewed(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor = await door.who(body)
        outcome = ReviewOutcome(
            justified=payloads.field(body, action_ids.OUTCOME) == views.JUSTIFIED,
            reason=payloads.reason(body),
            follow_up=payloads.field(body, action_ids.FOLLOW_UP),
        )
        after = await break_glass_review.review(door.context, actor, payloads.about(body), outcome)
        await in_place.submitted(ack, door, actor, body, client, "Reviewed", views.came_of(after))


def _said(after: Request) -> str:
    said: str = views.answer(after).blocks[0]["text"]["text"]
    return said


async def use(door: Door, payload: Payload, rest: str, client: AsyncWebClient) -> SlackMessage | str | None:
    """``/jit break-glass WHAT [30m] -- REASON``: what the person reads; None where a form asks for a code instead."""
    actor = await door.who(payload)
    line = await request.understood(door, actor, rest)
    if line.person and line.person != actor.person.id:
        return line_views.not_for_others(line.person, "", command="break-glass")
    offers = verbs.offers(door.context, actor)
    meant = [choice.name for choice in offers if choice.name in line.names] or list(line.names)
    if len(meant) != 1 or line.unknown or line.problems or line.starts_at:
        return views.unclear(line, offers)
    form = RequestForm(
        what=meant[0],
        duration=line.duration,
        reason=line.reason,
        inputs=dict(line.inputs),
        token=payloads.token(payload),
    )
    try:
        return views.answer(await verbs.use(door.context, actor, form))
    except ProofRequired as error:
        confirm = [proof.field(error.factors)]
        found = await verbs.usable_new(door.context, actor, form)
        await modal_stack.show(client, payload, views.use_new(*found, form, proof.NOT_IN_A_COMMAND, confirm))
        return None
