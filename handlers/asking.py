"""The conversation of asking: a line that says it all, or a modal that is filled in with what the line said."""

from __future__ import annotations

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.catalog import Choice
from bot.core.errors import BadDuration, BadReason, JitError, NotUnderstood, UnknownChoice
from bot.core.model import Request
from bot.desk import Actor, Ask
from handlers import payloads
from handlers.door import Door
from handlers.payloads import Payload, Wish
from handlers.replies import sentence
from handlers.views import actions, modals
from handlers.views.words import clock, length, title


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the modal; the command comes through commands.py."""

    @app.action(actions.CHOICE)
    async def choosing(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor, wish = await door.who(body), payloads.chosen(body)
        view = modals.ask(door.desk.offers(actor), door.desk.choose(actor, wish.what), None, wish.reason)
        await client.views_update(view_id=payloads.view_id(body), hash=body["view"].get("hash"), view=view)
        await ack()

    @app.view(actions.ASK_VIEW)
    async def submitted(ack: AsyncAck, body: Payload) -> None:
        wish, actor = payloads.chosen(body), await door.who(body)
        try:
            await door.desk.submit(actor, _ask(wish, payloads.root_view(body)))
        except JitError as error:
            await ack(response_action="errors", errors={_field(body, error): sentence(error)[:150]})
        else:
            await ack()


async def request(door: Door, payload: Payload, rest: str, client: AsyncWebClient) -> str | None:
    """``/jit request …``: the answer's text, or None when a modal was opened instead."""
    actor, trigger = await door.who(payload), str(payload["trigger_id"])
    try:
        wish = payloads.wish(rest)
    except BadDuration:
        wish = Wish(what=rest.split(maxsplit=1)[0])
        await _open(door, client, trigger, actor, wish)
        return None
    if not wish.what:
        await _open(door, client, trigger, actor, wish)
        return None
    choice = door.desk.choose(actor, wish.what)
    if not _complete(choice, wish):
        await _open(door, client, trigger, actor, wish)
        return None
    try:
        made = await door.desk.submit(actor, _ask(wish, trigger))
    except NotUnderstood as error:
        if isinstance(error, UnknownChoice):
            raise
        await _open(door, client, trigger, actor, wish)
        return None
    return _asked(made)


def _complete(choice: Choice, wish: Wish) -> bool:
    """Whether nothing has to be guessed."""
    known = wish.duration is not None or len(choice.durations) == 1
    return known and (bool(wish.reason) or not choice.reason.required)


async def _open(door: Door, client: AsyncWebClient, trigger: str, actor: Actor, wish: Wish) -> None:
    offers = door.desk.offers(actor)
    chosen = next((choice for choice in offers if choice.name == wish.what), None)
    if not offers:
        raise UnknownChoice(wish.what or "anything")
    await client.views_open(trigger_id=trigger, view=modals.ask(offers, chosen, wish.duration, wish.reason))


def _ask(wish: Wish, token: str) -> Ask:
    return Ask(what=wish.what, duration=wish.duration, reason=wish.reason, token=token)


def _asked(made: Request) -> str:
    until = clock(made.decide_by)
    return f"Asked for *{title(made)}* for {length(made.duration)}: {made.id}. It lapses {until} if nobody decides."


def _field(body: Payload, error: JitError) -> str:
    """The input that an error belongs to."""
    blocks = [str(block["block_id"]) for block in body["view"]["blocks"]]
    wanted = {BadReason: actions.REASON, BadDuration: actions.DURATION}.get(type(error), actions.CHOICE)
    return next((block for block in blocks if block.startswith(wanted)), actions.CHOICE)
