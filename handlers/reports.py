"""`/jit insights`, `/jit digest`, and the buttons of a digest; each press is judged again."""

from __future__ import annotations

import logging
from functools import partial

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.verdict import Actor
from bot.policy import authorization
from bot.reports.digest import chart as digest_picture
from bot.reports.digest import schedule as digesting
from bot.reports.digest.text import title_of
from bot.reports.insights import scan
from bot.reports.insights.scan import Scan
from handlers import audit, show
from handlers.context import Door
from handlers.home import NOT_SHOWN
from handlers.slack import modal_stack, payloads, table_messages
from handlers.slack.api import error_name
from handlers.slack.payloads import Payload
from handlers.views import action_ids
from handlers.views import insights as views
from handlers.views.message import SlackMessage

log = logging.getLogger(__name__)

_LINE = 200
"""Characters of a search that a button carries."""


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the button of a finding; the command comes through commands.py."""

    @app.action(action_ids.SNOOZE)
    async def snoozing(ack: AsyncAck, body: Payload, client: AsyncWebClient, respond: AsyncRespond) -> None:
        actor, key = await door.who(body), payloads.pressed(body)
        look = await scan.snooze(door.context, actor, key)
        if not payloads.within(body):  # beneath a digest, which stays as it is
            await respond(text=views.snoozed(look, key), response_type="ephemeral", replace_original=False)
            await ack()
            return
        try:
            await modal_stack.change(client, body, _view(door, actor, look))
        except NOT_SHOWN as error:  # it is recorded by now, and the next look shows it
            log.warning("what %s snoozed in is not shown again: %s", actor.person.id, error_name(error))
        await ack()

    @app.action(action_ids.INSIGHTS_TABLE)
    async def as_table(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor = await door.who(body)
        look = await scan.see(door.context, actor)
        door.background.start(_sent(door, actor, look, body, client), f"insights table {actor.person.id}")
        await ack()

    @app.action(action_ids.SHOW_REQUEST)
    async def showing(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        await modal_stack.show(client, body, await show.modal(door, await door.who(body), payloads.pressed(body)))
        await ack()

    @app.action(action_ids.SHOW_EVENTS)
    async def searching(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        await audit.ask(door, body, payloads.pressed(body)[:_LINE], client)
        await ack()

    @app.action(action_ids.SHOW_FINDINGS)
    async def finding(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        await insights(door, body, client)
        await ack()


async def insights(door: Door, payload: Payload, client: AsyncWebClient) -> None:
    """``/jit insights``."""
    actor = await door.who(payload)
    await modal_stack.show(client, payload, _view(door, actor, await scan.see(door.context, actor)))


async def _sent(door: Door, actor: Actor, look: Scan, body: Payload, client: AsyncWebClient) -> None:
    """The findings as a table in a direct message; the modal says what came of it."""
    outcome = await table_messages.send(client, actor.person.id, partial(_message, look), views.SENT)
    try:
        await modal_stack.change(client, body, _view(door, actor, look, outcome))
    except NOT_SHOWN as error:
        log.info("the modal of %s does not say that the table was sent: %s", actor.person.id, error_name(error))


def _message(look: Scan, as_table: bool) -> SlackMessage:  # as `send` asks for it
    return views.message(look, as_table=as_table)


def _view(door: Door, actor: Actor, look: Scan, outcome: str = "") -> View:
    """Operators may see every request, so they are pointed to `/jit show`; auditors to the audit log."""
    shows = authorization.may_lock_down(door.context.catalog(), actor.roster, actor.person).allowed
    return views.modal(look, shows=shows, said=outcome)


async def digest(door: Door, payload: Payload, rest: str) -> str:
    """``/jit digest [DAY | last week | last month]``."""
    span = await digesting.ask(door.context, await door.who(payload), rest[:40], draws=digest_picture.available())
    title = title_of(span)
    return f"The {title[:1].lower()}{title[1:]} will arrive in your direct messages."
