"""`/jit audit`: an auditor's query and its pages, in a modal that nobody else sees.

The modal opens at once and is filled when the answer is there: the archive may take longer than Slack waits.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial

from pydantic import ValidationError
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from bot.access import audit_files, audit_query
from bot.access.audit_query import AuditPage, CannotSearch, SearchFilters
from bot.audit.export.export import Format
from bot.core.errors import JitError, NotFound
from bot.core.verdict import Actor
from handlers import audit_query as questions
from handlers.context import Door
from handlers.error_messages import sentence
from handlers.slack import modal_stack, payloads, table_messages
from handlers.slack.api import NotNow, SlackRefused, Unanswered, answered, error_name
from handlers.slack.payloads import Payload
from handlers.views import action_ids, audit, modals
from handlers.views.message import SlackMessage
from handlers.views.text import code

log = logging.getLogger(__name__)

_FORMS: Mapping[str, Format] = {"jsonl": "jsonl", "csv": "csv", "ocsf": "ocsf"}


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the buttons of a page; the command comes through commands.py."""

    @app.action(action_ids.OLDER)
    async def older(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        asked, begins = _question(payloads.about(body)), payloads.pressed(body)
        if not (begins.isascii() and begins.isdigit() and len(begins) < 13):
            raise NotFound("that")
        await _turned(door, body, client, asked.older(int(begins)))
        await ack()

    @app.action(action_ids.NEWER)
    async def newer(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        await _turned(door, body, client, _question(payloads.about(body)).newer())
        await ack()

    @app.action(action_ids.AUDIT_TABLE)
    async def as_table(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        asked, actor, view = _question(payloads.about(body)), await door.who(body), payloads.view_id(body)
        await audit_query.require_auditor(door.context, actor, asked.about)
        door.background.start(_sent(door, actor, asked, view, client), f"audit table {actor.person.id}")
        await ack()


async def command(door: Door, payload: Payload, rest: str, client: AsyncWebClient) -> str | None:
    """``/jit audit …``: what is said at once, or None where the answer comes in a modal."""
    first, more = payloads.id_and_rest(rest)
    match first.lower():
        case "export":
            return await _export(door, payload, more)
        case "evidence":
            id_ = await audit_files.send_evidence_pack(door.context, await door.who(payload), more[:20])
            return f"The evidence of {id_} will arrive in your direct messages: a signed pack, and a page."
        case "search":
            rest = more
    await ask(door, payload, rest, client)
    return None


async def _export(door: Door, payload: Payload, rest: str) -> str:
    """``/jit audit export WHEN [csv|jsonl|ocsf]``."""
    words = rest.split()
    form = next((word for word in words if word.lower() in _FORMS), "jsonl")
    when = " ".join(word for word in words if word is not form)
    await audit_files.send_export(door.context, await door.who(payload), when, _FORMS[form.lower()])
    return f"The export of {code(when, 60)} will arrive in your direct messages."


async def ask(door: Door, payload: Payload, rest: str, client: AsyncWebClient) -> None:
    """``/jit audit [@person] [system | system/role] [J-7K3Q] [kind] [when]``: the modal is open, and will be filled."""
    actor = await door.who(payload)
    await audit_query.require_auditor(door.context, actor, rest[:100])
    asked = questions.question(rest, door.context.catalog(), await door.context.store.now())
    view = await modal_stack.show(client, payload, audit.waiting(asked))
    door.background.start(_filled(door, actor, asked, view, client), f"audit {actor.person.id}")


async def _turned(door: Door, payload: Payload, client: AsyncWebClient, asked: SearchFilters) -> None:
    """Another page in place of the one that is shown."""
    actor, view = await door.who(payload), payloads.view_id(payload)
    await audit_query.require_auditor(door.context, actor, asked.about)
    door.background.start(_filled(door, actor, asked, view, client), f"audit {actor.person.id}")


async def _sent(door: Door, actor: Actor, asked: SearchFilters, view: str, client: AsyncWebClient) -> None:
    """The page as a table in a direct message; the modal says what came of it."""
    try:
        page = await door.audit_search.page(actor, asked)
        draw = partial(_message, page)
        shown: View = audit.page(page, await table_messages.send(client, actor.person.id, draw, audit.SENT))
    except CannotSearch as error:
        shown = modals.note(audit.HEADING, audit.doubt(str(error)))
    except JitError as error:
        shown = modals.note(audit.HEADING, sentence(error))
    await _update(client, view, shown, actor)


def _message(page: AuditPage, as_table: bool) -> SlackMessage:  # as `send` asks for it
    return audit.message(page, as_table=as_table)


async def _filled(door: Door, actor: Actor, asked: SearchFilters, view: str, client: AsyncWebClient) -> None:
    """The answer into the modal, unless it was closed meanwhile."""
    try:
        shown: View = audit.page(await door.audit_search.page(actor, asked))
    except CannotSearch as error:
        shown = modals.note(audit.HEADING, audit.doubt(str(error)))
    except JitError as error:
        shown = modals.note(audit.HEADING, sentence(error))
    await _update(client, view, shown, actor)


async def _update(client: AsyncWebClient, view: str, shown: View, actor: Actor) -> None:
    try:
        await answered(client.views_update(view_id=view, view=shown))
    except (NotNow, SlackRefused, Unanswered) as error:
        log.info("a page of the audit log is not shown to %s: %s", actor.person.id, error_name(error))


def _question(metadata: str) -> SearchFilters:
    """The query of the modal. Raises `NotFound`."""
    try:
        return SearchFilters.model_validate_json(metadata)
    except ValidationError:
        raise NotFound("that") from None
