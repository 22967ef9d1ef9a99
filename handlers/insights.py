"""The conversation about what stands out in the record: see it, snooze what is known; who may is judged each time."""

from __future__ import annotations

import logging

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from bot.core import policy
from bot.insights import watching
from bot.insights.watching import Look
from bot.wishes import Actor
from handlers import payloads, screens
from handlers.calls import said
from handlers.door import Door
from handlers.home import NOT_SHOWN
from handlers.payloads import Payload
from handlers.views import actions
from handlers.views import insights as views

log = logging.getLogger(__name__)


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the button of a finding; the command comes through commands.py."""

    @app.action(actions.SNOOZE)
    async def snoozing(ack: AsyncAck, body: Payload, client: AsyncWebClient, respond: AsyncRespond) -> None:
        actor, key = await door.who(body), payloads.pressed(body)
        look = await watching.snooze(door.desk, actor, key)
        if not payloads.within(body):  # beneath a digest, which stays as it is
            await respond(text=views.snoozed(look, key), response_type="ephemeral", replace_original=False)
            await ack()
            return
        try:
            await screens.change(client, body, _view(door, actor, look))
        except NOT_SHOWN as error:  # it is recorded by now, and the next look shows it
            log.warning("what %s snoozed in is not shown anew: %s", actor.person.id, said(error))
        await ack()


async def insights(door: Door, payload: Payload, client: AsyncWebClient) -> None:
    """``/jit insights``."""
    actor = await door.who(payload)
    await screens.show(client, payload, _view(door, actor, await watching.see(door.desk, actor)))


def _view(door: Door, actor: Actor, look: Look) -> View:
    """An operator answers for every request, so `/jit show` is for them; an auditor's way is the record."""
    shows = policy.may_stop(door.desk.catalog(), actor.roster, actor.person).allowed
    return views.modal(look, shows=shows)
