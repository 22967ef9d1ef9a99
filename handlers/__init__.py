"""Everything that Slack sends: payloads become commands, and errors become sentences; it decides nothing."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_sdk.web.async_client import AsyncWebClient

from bot.access.usage import REFUSALS
from bot.core.errors import Crowded, LockedDown, StoreAway
from handlers import (
    account_events,
    ask,
    audit,
    break_glass,
    commands,
    consent,
    extend,
    home,
    lockdown,
    messages,
    mfa,
    own_request,
    reports,
    request,
    review,
    revoke,
)
from handlers.context import TURNED_AWAY, Door
from handlers.error_messages import sentence
from handlers.notify.poster import METADATA
from handlers.slack import modal_stack, payloads, shown_form
from handlers.slack.payloads import Payload
from handlers.views import modals
from handlers.views.text import field_error

_NOTES = (LockedDown, *REFUSALS)


def register(app: AsyncApp, door: Door) -> None:
    """Listen to everything that this product understands."""
    for conversation in (
        commands,
        messages,
        request,
        review,
        break_glass,
        ask,
        consent,
        own_request,
        extend,
        revoke,
        lockdown,
        mfa,
        home,
        reports,
        account_events,
        audit,
    ):
        conversation.register(app, door)

    @app.event("message_metadata_posted")
    async def seen(event: Payload, ack: AsyncAck) -> None:
        notice = payloads.notice(event, METADATA, door.bot)
        if notice:
            await door.announcer.seen(notice.request, notice.audience, notice.channel, notice.ts)
        await ack()

    @app.error
    async def worded(error: Exception, body: Payload, respond: AsyncRespond, client: AsyncWebClient) -> BoltResponse:
        """The single place where an error becomes an answer."""
        text = sentence(error)
        kind = body.get("type")
        if isinstance(error, TURNED_AWAY) and kind != "event_callback":
            with contextlib.suppress(StoreAway):
                await door.context.audit_refused_account(payloads.sender(body), payloads.tried(body), error)
        if "command" in body:
            return _json({"response_type": "ephemeral", "text": text})
        if kind == "view_submission" and isinstance(error, _NOTES):  # more than a field has room for
            heading = "Locked down" if isinstance(error, LockedDown) else "Not possible now"
            return _json({"response_action": "update", "view": modals.note(heading, text).to_dict()})
        if kind == "view_submission":
            return _json({"response_action": "errors", "errors": {shown_form.first_input(body): field_error(text)}})
        if kind == "block_suggestion":  # a list of options has no room for a sentence
            return _json({"options": []})
        if body.get("response_url"):
            await respond(text=text, response_type="ephemeral", replace_original=False)
        elif body.get("trigger_id"):
            await modal_stack.say(client, body, text)
        # An event that could not be noted is to be delivered again.
        unheard = kind == "event_callback" and isinstance(error, StoreAway | Crowded)
        return BoltResponse(status=503 if unheard else 200, body="")


def _json(answer: dict[str, Any]) -> BoltResponse:
    return BoltResponse(status=200, body=json.dumps(answer), headers={"content-type": "application/json"})
