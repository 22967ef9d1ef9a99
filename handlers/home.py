"""Bare `/jit` and the Home tab: what concerns one person, as it is recorded."""

from __future__ import annotations

import logging

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from bot.access import read
from bot.core.errors import JitError
from bot.core.verdict import Actor
from handlers import show
from handlers.context import Door
from handlers.error_messages import sentence
from handlers.slack import modal_stack, payloads
from handlers.slack.api import NotNow, SlackRefused, Unanswered, error_name
from handlers.slack.payloads import Payload
from handlers.views import action_ids, home, summary_card

log = logging.getLogger(__name__)

NOT_SHOWN = (NotNow, SlackRefused, Unanswered, TimeoutError)
"""What keeps a view from being shown, though nothing else is wrong."""


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the Home tab being looked at; its buttons belong to the other conversations."""

    @app.event("app_home_opened")
    async def opened(ack: AsyncAck, body: Payload) -> None:
        user = payloads.opened_home(body)
        try:
            if user:
                seen = await door.home_tabs.index.hash_of(user)
                await door.home_tabs.publish(user, await _home(door, user), seen)
        except NOT_SHOWN as error:
            log.warning("the Home tab of %s is not shown: %s", user, error_name(error))
        await ack()


async def look(door: Door, payload: Payload, client: AsyncWebClient) -> None:
    """Bare ``/jit``."""
    mine = await read.overview(door.context, await door.who(payload))
    await modal_stack.show(client, payload, home.overview(mine))


async def again(door: Door, actor: Actor, payload: Payload, client: AsyncWebClient, came: str = "") -> None:
    """Show again what was pressed in, where it is the overview or the Home tab; ``came``: what came of the press.

    What was pressed is recorded by now: a view that cannot be shown is no reason to say that it did not work.
    """
    place = payloads.callback(payload)
    if place not in {action_ids.OVERVIEW_VIEW, action_ids.HOME_VIEW, action_ids.WAITING_VIEW, action_ids.REQUEST_VIEW}:
        return
    try:
        if place == action_ids.REQUEST_VIEW:
            await modal_stack.change(client, payload, await show.modal(door, actor, payloads.about(payload), came))
            return
        if place == action_ids.WAITING_VIEW:
            channel, start = payloads.id_and_number(payloads.about(payload))
            await modal_stack.change(client, payload, await waiting(door, actor, channel, start, came))
            return
        seen = await door.home_tabs.index.hash_of(actor.person.id)
        mine = await read.overview(door.context, actor)
        if place == action_ids.OVERVIEW_VIEW:
            await modal_stack.change(client, payload, home.overview(mine))
        else:
            await door.home_tabs.publish(actor.person.id, home.home(mine, door.home_tabs.site, came), seen)
    except (JitError, *NOT_SHOWN) as error:
        log.warning("what %s pressed in is not updated: %s", actor.person.id, error_name(error))


async def beneath(
    door: Door,
    actor: Actor,
    payload: Payload,
    client: AsyncWebClient,
    channel: str = "",
    start: int = 0,
    came: str = "",
) -> None:
    """Show again what a form was opened from: the list of requests waiting in ``channel``, or else the overview."""
    if not payloads.stacked(payload):
        return
    try:
        view = await (waiting(door, actor, channel, start, came) if channel else _overview(door, actor))
        await modal_stack.change_beneath(client, payload, view)
    except (JitError, *NOT_SHOWN) as error:
        log.warning("what %s came from is not updated: %s", actor.person.id, error_name(error))


async def waiting(door: Door, actor: Actor, channel: str, start: int = 0, came: str = "") -> View:
    """Those that wait in a channel without a card of their own, as far as this person decides about them: a page."""
    theirs = {request.id: request for request in await read.waiting(door.context, actor)}
    held = await door.announcer.router.summary_cards.queue.deferred(channel)
    return summary_card.waiting(channel, [theirs[id_] for id_ in held if id_ in theirs], start, came)


async def _overview(door: Door, actor: Actor) -> View:
    return home.overview(await read.overview(door.context, actor))


async def _home(door: Door, user: str) -> View:
    """The Home tab, or why there is none for this person."""
    try:
        actor = await door.people.actor(user)
        await door.home_tabs.index.looked(user, actor.person.identity)
        return home.home(await read.overview(door.context, actor), door.home_tabs.site)
    except JitError as error:
        return home.refused(sentence(error))
