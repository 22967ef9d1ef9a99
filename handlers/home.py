"""The conversation of looking at what is one's own: bare `/jit`, and the Home tab; both show what is recorded."""

from __future__ import annotations

import logging

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from bot import books
from bot.core.errors import JitError
from bot.wishes import Actor
from handlers import payloads, screens
from handlers.calls import NotNow, SaidNo, Unanswered, said
from handlers.door import Door
from handlers.payloads import Payload
from handlers.replies import sentence
from handlers.views import actions, crowd, overview

log = logging.getLogger(__name__)

NOT_SHOWN = (NotNow, SaidNo, Unanswered, TimeoutError)
"""What keeps a view from being shown, though nothing else is wrong."""


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the Home tab being looked at; its buttons belong to the other conversations."""

    @app.event("app_home_opened")
    async def opened(ack: AsyncAck, body: Payload) -> None:
        user = payloads.opened_home(body)
        try:
            if user:
                seen = await door.homes.kept.hash_of(user)
                await door.homes.publish(user, await _home(door, user), seen)
        except NOT_SHOWN as error:
            log.warning("the Home tab of %s is not shown: %s", user, said(error))
        await ack()


async def look(door: Door, payload: Payload, client: AsyncWebClient) -> None:
    """Bare ``/jit``."""
    mine = await books.mine(door.desk, await door.who(payload))
    await screens.show(client, payload, overview.overview(mine))


async def again(door: Door, actor: Actor, payload: Payload, client: AsyncWebClient) -> None:
    """Show anew what was pressed in, where it is the overview or the Home tab.

    What was pressed is recorded by now: a view that cannot be shown is no reason to say that it did not work.
    """
    place = payloads.callback(payload)
    if place not in {actions.OVERVIEW_VIEW, actions.HOME_VIEW, actions.WAITING_VIEW}:
        return
    try:
        if place == actions.WAITING_VIEW:
            channel, start = payloads.id_and_number(payloads.about(payload))
            await screens.change(client, payload, await waiting(door, actor, channel, start))
            return
        seen = await door.homes.kept.hash_of(actor.person.id)
        mine = await books.mine(door.desk, actor)
        if place == actions.OVERVIEW_VIEW:
            await screens.change(client, payload, overview.overview(mine))
        else:
            await door.homes.publish(actor.person.id, overview.home(mine), seen)
    except (JitError, *NOT_SHOWN) as error:
        log.warning("what %s pressed in is not shown anew: %s", actor.person.id, said(error))


async def beneath(
    door: Door, actor: Actor, payload: Payload, client: AsyncWebClient, channel: str = "", start: int = 0
) -> None:
    """Show anew what a form was opened from: the list of those who wait in ``channel``, or else the overview."""
    if not payloads.stacked(payload):
        return
    try:
        view = await (waiting(door, actor, channel, start) if channel else _overview(door, actor))
        await screens.change_beneath(client, payload, view)
    except (JitError, *NOT_SHOWN) as error:
        log.warning("what %s came from is not shown anew: %s", actor.person.id, said(error))


async def waiting(door: Door, actor: Actor, channel: str, start: int = 0) -> View:
    """Those that wait in a channel without a card of their own, as far as this person decides about them: a page."""
    theirs = {request.id: request for request in await books.waiting(door.desk, actor)}
    held = await door.announcer.telling.crowding.crowds.held(channel)
    return crowd.waiting(channel, [theirs[id_] for id_ in held if id_ in theirs], start)


async def _overview(door: Door, actor: Actor) -> View:
    return overview.overview(await books.mine(door.desk, actor))


async def _home(door: Door, user: str) -> View:
    """The Home tab, or why there is none for this person."""
    try:
        actor = await door.people.actor(user, None)
        await door.homes.kept.looked(user, actor.person.identity)
        return overview.home(await books.mine(door.desk, actor))
    except JitError as error:
        return overview.refused(sentence(error))
