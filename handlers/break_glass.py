"""Break-glass: access at once, by a line or on a request that waits; and its review by an owner, judged again."""

from __future__ import annotations

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.access import break_glass as verbs
from bot.access import break_glass_review
from bot.access.break_glass_review import ReviewOutcome
from bot.access.submit import RequestForm
from handlers import in_place, request
from handlers.context import Door
from handlers.slack import modal_stack, payloads
from handlers.slack.payloads import Payload
from handlers.views import action_ids
from handlers.views import break_glass as views
from handlers.views import request_line as line_views
from handlers.views.message import SlackMessage


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the buttons, and to the modals that they open; the command comes through commands.py."""

    @app.action(action_ids.BREAK_GLASS)
    async def using(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        waits, longest = await verbs.usable(door.context, await door.who(body), payloads.pressed(body))
        await modal_stack.show(client, body, views.use(waits, longest))
        await ack()

    @app.view(action_ids.BREAK_GLASS_VIEW)
    async def used(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor, duration = await door.who(body), payloads.chosen(body).duration
        after = await verbs.switch(door.context, actor, payloads.about(body), payloads.reason(body), duration)
        said = views.answer(after).blocks[0]["text"]["text"]
        await in_place.submitted(ack, door, actor, body, client, "Break-glass", said)

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


async def use(door: Door, payload: Payload, rest: str) -> SlackMessage | str:
    """``/jit break-glass WHAT [30m] -- REASON``: what the person reads."""
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
    return views.answer(await verbs.use(door.context, actor, form))
