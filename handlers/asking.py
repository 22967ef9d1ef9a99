"""The conversation of asking: a line that says it all, or a modal that is filled in with what is known already."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.catalog import Choice
from bot.core.errors import BadDuration, BadReason, BadStart, JitError, LockedDown, NotUnderstood, UnknownChoice
from bot.core.model import Request, State
from bot.submitting import Submitting
from bot.wishes import Actor, Ask
from handlers import payloads, reading, screens
from handlers.calls import NotNow, SaidNo, Unanswered, answered, said
from handlers.door import Door
from handlers.payloads import Payload, Wish
from handlers.replies import sentence
from handlers.views import actions, modals
from handlers.views.words import by_rule, clock, length, title, when

log = logging.getLogger(__name__)

_PATIENCE = 0.5
"""Seconds that Slack may take to tell where a message stands: the modal has to be open within three."""

_FIELDS: Mapping[type[JitError], str] = {
    BadReason: actions.REASON,
    BadDuration: actions.DURATION,
    BadStart: actions.START,
}


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the modal, and to each way to it; the command comes through commands.py."""

    @app.action(actions.CHOICE)
    async def choosing(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor, wish = await door.who(body), payloads.chosen(body)
        choice = Submitting(door.desk).choose(actor, wish.what)
        await screens.change(client, body, await _filled(door, Submitting(door.desk).offers(actor), choice, wish))
        await ack()

    @app.options(actions.CHOICE)
    async def searching(ack: AsyncAck, body: Payload) -> None:
        offers = Submitting(door.desk).offers(await door.who(body))
        groups = modals.suggested(offers, payloads.searched(body))
        await (ack(option_groups=groups) if groups else ack(options=[]))

    @app.view(actions.ASK_VIEW)
    async def submitted(ack: AsyncAck, body: Payload) -> None:
        wish, actor = payloads.chosen(body), await door.who(body)
        try:
            await Submitting(door.desk).submit(actor, _ask(wish, payloads.view_id(body)))
        except LockedDown:
            raise
        except JitError as error:
            await ack(response_action="errors", errors={_field(body, error): sentence(error)[:150]})
        else:
            await (ack(response_action="clear") if payloads.stacked(body) else ack())

    @app.action(actions.REQUEST)
    async def wishing(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        await _open(door, client, body, await door.who(body), Wish())
        await ack()

    @app.action(actions.TEMPLATE)
    async def picking(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor, what = await door.who(body), payloads.pressed(body)
        await _open(door, client, body, actor, Wish(what=Submitting(door.desk).choose(actor, what).name))
        await ack()

    @app.action(actions.AGAIN)
    async def asking_again(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor = await door.who(body)
        before = (await door.desk.find(actor, payloads.pressed(body))).request
        what = Submitting(door.desk).choose(actor, before.what).name
        await _open(door, client, body, actor, Wish(what=what, duration=before.asked, reason=before.reason))
        await ack()

    @app.global_shortcut(actions.GLOBAL_SHORTCUT)
    async def anywhere(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        await _open(door, client, body, await door.who(body), Wish())
        await ack()

    @app.message_shortcut(actions.MESSAGE_SHORTCUT)
    async def here(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor = await door.who(body)
        await _open(door, client, body, actor, Wish(reason=await _link(client, *payloads.message(body))))
        await ack()


async def request(door: Door, payload: Payload, rest: str, client: AsyncWebClient) -> str | None:
    """``/jit request …``: the answer's text, or None when a modal was opened instead."""
    actor = await door.who(payload)
    try:
        wish = payloads.wish(rest)
    except BadDuration:
        wish = Wish(what=rest.split(maxsplit=1)[0])
        await _open(door, client, payload, actor, wish)
        return None
    if wish.start:
        wish = wish.model_copy(update={"starts_at": await Submitting(door.desk).start_of(actor, wish.start)})
    if not wish.what or not _complete(Submitting(door.desk).choose(actor, wish.what), wish):
        await _open(door, client, payload, actor, wish)
        return None
    try:
        made = await Submitting(door.desk).submit(actor, _ask(wish, payloads.trigger(payload)))
    except NotUnderstood as error:
        if isinstance(error, UnknownChoice | BadStart):
            raise
        await _open(door, client, payload, actor, wish)
        return None
    return _asked(made)


def _complete(choice: Choice, wish: Wish) -> bool:
    """Whether nothing has to be guessed."""
    known = wish.duration is not None or len(choice.durations) == 1
    return known and (bool(wish.reason) or not choice.reason.required)


async def _open(door: Door, client: AsyncWebClient, payload: Payload, actor: Actor, wish: Wish) -> None:
    """Open the form, filled in with what is known."""
    offers = Submitting(door.desk).offers(actor)
    if not offers:
        raise UnknownChoice(wish.what or "anything")
    await door.desk.store.lockdowns.require(())
    chosen = next((choice for choice in offers if choice.name == wish.what), None)
    await screens.show(client, payload, await _filled(door, offers, chosen, wish))


async def _filled(door: Door, offers: Sequence[Choice], choice: Choice | None, wish: Wish) -> View:
    if choice is None:
        return modals.ask(offers, reason=wish.reason)
    found, names = await reading.of_choice(door, choice)
    lapses = await door.desk.store.now() + found.within
    return modals.ask(offers, modals.Chosen(found, names, lapses), wish.duration, wish.reason, wish.starts_at)


async def _link(client: AsyncWebClient, channel: str, ts: str) -> str:
    """Where a message stands; empty when Slack does not tell, and then the person says why in words."""
    try:
        call = answered(client.chat_getPermalink(channel=channel, message_ts=ts))
        return str((await asyncio.wait_for(call, _PATIENCE))["permalink"])
    except (NotNow, SaidNo, Unanswered, TimeoutError) as error:
        log.info("the link to a message was not told: %s", said(error))
        return ""


def _ask(wish: Wish, token: str) -> Ask:
    return Ask(what=wish.what, duration=wish.duration, reason=wish.reason, token=token, starts_at=wish.starts_at)


def _asked(made: Request) -> str:
    until = clock(made.decide_by)
    if made.rule:
        opened = f"It is opened {when(made.starts_at)}." if made.state is State.SCHEDULED else "It is being opened."
        asked = f"Asked for *{title(made)}* for {length(made.duration)}: {made.id}."
        return f"{asked} Approved by {by_rule(made.rule)}. {opened}"
    starts = f" It is opened {when(made.starts_at)}, once it is approved." if made.starts_at else ""
    asked = f"Asked for *{title(made)}* for {length(made.duration)}: {made.id}."
    return f"{asked}{starts} It lapses {until} if nobody decides."


def _field(body: Payload, error: JitError) -> str:
    """The input that an error belongs to."""
    blocks = [str(block["block_id"]) for block in body["view"]["blocks"]]
    wanted = _FIELDS.get(type(error), actions.CHOICE)
    return next((block for block in blocks if block.startswith(wanted)), actions.CHOICE)
