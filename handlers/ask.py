"""An approver asks the requester before deciding, and the requester answers; every press is judged again."""

from __future__ import annotations

from collections.abc import Mapping

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.access import answer
from bot.access import ask as verbs
from bot.core.errors import BadDuration, BadReason, JitError
from bot.core.question_errors import ReasonFixed
from handlers import home, in_place
from handlers.context import Door
from handlers.error_messages import sentence
from handlers.slack import modal_stack, payloads, reason_fields
from handlers.slack.payloads import Payload
from handlers.views import action_ids, decided, modals
from handlers.views.text import field_error

_FIELDS: Mapping[type[JitError], str] = {
    BadReason: action_ids.NEW_REASON,
    ReasonFixed: action_ids.NEW_REASON,
    BadDuration: action_ids.DURATION,
}
"""The field of an answer that an error belongs to; any other is at the answer itself."""


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the button on the card and the one in the requester's message, and to their modals."""

    @app.action(action_ids.QUESTION)
    async def asking(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        request = await verbs.askable(door.context, await door.who(body), payloads.pressed(body))
        await modal_stack.show(client, body, modals.question(request, payloads.page(body)))
        await ack()

    @app.view(action_ids.QUESTION_VIEW)
    async def asked(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor, (id_, channel, start) = await door.who(body), payloads.id_and_page(body)
        after = await verbs.ask(door.context, actor, id_, payloads.reason(body))
        came = decided.of_question(after)
        await in_place.submitted(ack, door, actor, body, client, "Asked", came, channel or after.channel, start)

    @app.action(action_ids.ANSWER)
    async def answering(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor, (id_, n) = await door.who(body), payloads.id_and_number(payloads.pressed(body))
        found = await answer.answerable(door.context, actor, id_, n)
        rule = found.choice.reason if found.choice else None
        await modal_stack.show(client, body, modals.answer(found.request, found.question, rule))
        await ack()

    @app.view(action_ids.ANSWER_VIEW)
    async def answered(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor, (id_, n) = await door.who(body), payloads.id_and_number(payloads.about(body))
        try:
            await answer.answer(door.context, actor, id_, n, reason_fields.answer(body))
        except JitError as error:
            field = _FIELDS.get(type(error), action_ids.REASON)
            await ack(response_action="errors", errors={field: field_error(sentence(error))})
            return
        await home.beneath(door, actor, body, client)
        # What came of it is the message that they answered: it shows the answer now.
        await ack()
