"""The conversation of asking the record: an auditor's question, and its pages, in a modal that nobody else sees.

The modal opens at once and is filled when the answer is there: the archive may take longer than Slack waits.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from pydantic import ValidationError
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.errors import JitError, NotFound
from bot.record import handing, looking
from bot.record.exporting import Format
from bot.record.looking import CannotLook, Question
from bot.wishes import Actor
from handlers import payloads, questions, screens
from handlers.calls import NotNow, SaidNo, Unanswered, answered, said
from handlers.door import Door
from handlers.payloads import Payload
from handlers.replies import sentence
from handlers.views import actions, modals, record
from handlers.views.words import safe

log = logging.getLogger(__name__)

_FORMS: Mapping[str, Format] = {"jsonl": "jsonl", "csv": "csv", "ocsf": "ocsf"}


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the pages being turned; the command comes through commands.py."""

    @app.action(actions.OLDER)
    async def older(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        asked, begins = _question(payloads.about(body)), payloads.pressed(body)
        if not (begins.isascii() and begins.isdigit() and len(begins) < 13):
            raise NotFound("that")
        await _turned(door, body, client, asked.older(int(begins)))
        await ack()

    @app.action(actions.NEWER)
    async def newer(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        await _turned(door, body, client, _question(payloads.about(body)).newer())
        await ack()


async def command(door: Door, payload: Payload, rest: str, client: AsyncWebClient) -> str | None:
    """``/jit audit …``: what is said at once, or None where the answer comes in a modal."""
    first, more = payloads.id_and_rest(rest)
    match first.lower():
        case "export":
            return await _export(door, payload, more)
        case "evidence":
            id_ = await handing.pack(door.desk, await door.who(payload), more[:20])
            return f"The evidence of {id_} is on its way to your direct messages: a signed pack, and a page."
        case "search":
            rest = more
    await ask(door, payload, rest, client)
    return None


async def _export(door: Door, payload: Payload, rest: str) -> str:
    """``/jit audit export WHEN [csv|jsonl|ocsf]``."""
    words = rest.split()
    form = next((word for word in words if word.lower() in _FORMS), "jsonl")
    when = " ".join(word for word in words if word is not form)
    await handing.export(door.desk, await door.who(payload), when, _FORMS[form.lower()])
    return f"The export of `{safe(when, 60)}` is on its way to your direct messages, once it is made."


async def ask(door: Door, payload: Payload, rest: str, client: AsyncWebClient) -> None:
    """``/jit audit [@person] [system | system/role] [J-7K3Q] [kind] [when]``: the modal is open, and will be filled."""
    actor = await door.who(payload)
    await looking.require(door.desk, actor, rest[:100])
    asked = questions.question(rest, door.desk.catalog(), await door.desk.store.now())
    view = await screens.show(client, payload, record.waiting(asked))
    door.aside.start(_filled(door, actor, asked, view, client), f"audit {actor.person.id}")


async def _turned(door: Door, payload: Payload, client: AsyncWebClient, asked: Question) -> None:
    """The page that is asked for, in place of the one that is shown."""
    actor, view = await door.who(payload), payloads.view_id(payload)
    await looking.require(door.desk, actor, asked.about)
    door.aside.start(_filled(door, actor, asked, view, client), f"audit {actor.person.id}")


async def _filled(door: Door, actor: Actor, asked: Question, view: str, client: AsyncWebClient) -> None:
    """The answer into the modal; one that was closed meanwhile is left alone."""
    try:
        shown: View = record.page(await door.looking.page(actor, asked))
    except CannotLook as error:
        shown = modals.note(record.HEADING, record.doubt(str(error)))
    except JitError as error:
        shown = modals.note(record.HEADING, sentence(error))
    try:
        await answered(client.views_update(view_id=view, view=shown))
    except (NotNow, SaidNo, Unanswered) as error:
        log.info("a page of the record is not shown to %s: %s", actor.person.id, said(error))


def _question(metadata: str) -> Question:
    """What the modal answers. Raises `NotFound`."""
    try:
        return Question.model_validate_json(metadata)
    except ValidationError:
        raise NotFound("that") from None
