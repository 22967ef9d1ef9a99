"""The conversation of a later end: the asker wishes for it, those who decide answer; every press is judged anew."""

from __future__ import annotations

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.model import Request, Verb
from bot.extending import Extending
from bot.wishes import Answer
from handlers import home, payloads, screens
from handlers.door import Door
from handlers.payloads import Payload
from handlers.views import actions, later
from handlers.views.words import clock


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the buttons, and to the modals that they open."""

    @app.action(actions.EXTEND)
    async def wishing(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        request = await Extending(door.desk).extensible(await door.who(body), payloads.pressed(body))
        await screens.show(client, body, later.extend(request))
        await ack()

    @app.view(actions.EXTEND_VIEW)
    async def wished(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor, more = await door.who(body), payloads.seconds(body) or 0
        await Extending(door.desk).ask(actor, payloads.about(body), more, payloads.reason(body))
        await home.beneath(door, actor, body, client)
        await ack()

    @app.action(actions.EXTEND_APPROVE)
    async def approve(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor, (id_, n) = await door.who(body), payloads.id_and_number(payloads.pressed(body))
        await Extending(door.desk).review(actor, id_, n, Answer(verb=Verb.APPROVE))
        await home.again(door, actor, body, client)
        await ack()

    @app.action(actions.EXTEND_DENY)
    async def deny(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        id_, n = payloads.id_and_number(payloads.pressed(body))
        request = await Extending(door.desk).reviewable(await door.who(body), id_, n)
        await screens.show(client, body, later.deny(request, n))
        await ack()

    @app.view(actions.EXTEND_DENY_VIEW)
    async def denied(ack: AsyncAck, body: Payload) -> None:
        id_, n = payloads.id_and_number(payloads.about(body))
        answer = Answer(verb=Verb.DENY, reason=payloads.reason(body))
        await Extending(door.desk).review(await door.who(body), id_, n, answer)
        await ack()


async def extend(door: Door, payload: Payload, rest: str, client: AsyncWebClient) -> str | None:
    """``/jit extend [ID] [30m] [-- REASON]``: the answer's text, or None when a modal was opened instead."""
    wish, actor, extending = payloads.extension(rest), await door.who(payload), Extending(door.desk)
    if wish.duration is None or not wish.reason:
        request = await extending.extensible(actor, wish.what or None)
        view = later.extend(request, wish.duration, wish.reason)
        await screens.show(client, payload, view)
        return None
    return _asked(await extending.ask(actor, wish.what or None, wish.duration, wish.reason))


def _asked(request: Request) -> str:
    until = clock(request.extension.until if request.extension else request.ends_at)
    return f"Asked for {request.id} until {until}. If nobody decides, it closes {clock(request.ends_at)}, as planned."
