"""Second-factor codes in forms: what a form asks for, and what is shown where a submission did not prove anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from slack_bolt.async_app import AsyncAck
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from bot.access import proof, usage
from bot.access.proof import ProofPreview
from bot.core.factor_errors import NotProved
from bot.core.proof import ProofUse
from bot.core.request import Request
from bot.core.verdict import Actor
from handlers.context import Door
from handlers.error_messages import sentence
from handlers.slack import shown_form
from handlers.slack.payloads import Payload
from handlers.views import action_ids
from handlers.views import proof as views
from handlers.views.text import field_error


async def asked(door: Door, actor: Actor, request: Request, use: ProofUse) -> Sequence[Block]:
    """The field for a code in a form about this request, or what stands in its place."""
    catalog = door.context.catalog()
    return views.asked(await proof.preview(door.context, catalog, actor, usage.refs_of(request), use))


async def refused(
    ack: AsyncAck, body: Payload, error: NotProved, redrawn: Callable[[Sequence[Block], str], Awaitable[View]]
) -> None:
    """Under the field for the code; where the form has none, it is drawn again, with the field and a note."""
    said = sentence(error)
    if shown_form.has_code_field(body):
        await ack(response_action="errors", errors={action_ids.CODE: field_error(said)})
    else:
        confirm = views.asked(ProofPreview.of_refusal(error))
        await ack(response_action="update", view=await redrawn(confirm, views.NOT_YET))
