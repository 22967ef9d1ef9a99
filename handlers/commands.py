"""`/jit`: the first word chooses the conversation; a word that is none gets the nearest, never a guess."""

from __future__ import annotations

import difflib

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from handlers import (
    asking,
    auditing,
    extending,
    helping,
    holding,
    home,
    insights,
    payloads,
    reading,
    searching,
    stopping,
)
from handlers.door import Door
from handlers.payloads import Payload
from handlers.views.card import Message
from handlers.views.words import safe

COMMANDS = (
    "request",
    "list",
    "show",
    "who",
    "explain",
    "release",
    "done",
    "extend",
    "remind",
    "revoke",
    "lockdown",
    "cancel",
    "digest",
    "audit",
    "insights",
    "help",
)


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the one command."""

    @app.command("/jit")
    async def jit(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        answer = await _answer(door, body, client)
        if answer is None:
            await ack()
        elif isinstance(answer, str):
            await ack(text=answer, response_type="ephemeral")
        else:
            await ack(text=answer.text, blocks=answer.blocks, response_type="ephemeral")


async def _answer(door: Door, body: Payload, client: AsyncWebClient) -> str | Message | None:
    """What the person reads; None where a modal was opened instead."""
    line = payloads.line(body.get("text"))
    match line.verb:
        case "request":
            return await asking.request(door, body, line.rest, client)
        case "list":
            return await holding.listed(door, body)
        case "show":
            return await reading.show(door, body, line.rest)
        case "who" if line.rest:
            return await reading.who(door, body, line.rest)
        case "explain" if line.rest:
            return await reading.explain(door, body, line.rest)
        case "release" | "done":
            return await holding.release(door, body, line.rest)
        case "extend":
            return await extending.extend(door, body, line.rest, client)
        case "remind":
            return await holding.remind(door, body, line.rest)
        case "revoke":
            return await stopping.revoke(door, body, line.rest, client)
        case "lockdown":
            return await stopping.lockdown(door, body, line.rest, client)
        case "audit":
            return await searching.command(door, body, line.rest, client)
        case "digest":
            return await auditing.digest(door, body, line.rest)
        case "insights":
            await insights.insights(door, body, client)
            return None
        case "cancel":
            return await holding.cancel(door, body, line.rest)
        case "who" | "explain":
            return await helping.about(door, body, line.verb)
        case "help" if line.rest in COMMANDS:
            return await helping.about(door, body, line.rest)
        case "help" if line.rest:
            return nearest(line.rest)
        case "help":
            return helping.everything()
        case "":
            await home.look(door, body, client)
            return None
        case word:
            return nearest(word)


def nearest(word: str) -> str:
    """There is no such command, and which may have been meant."""
    near = difflib.get_close_matches(word.lower(), COMMANDS, n=1)
    hint = f"Did you mean `/jit {near[0]}`?" if near else f"There are {', '.join(f'`{c}`' for c in COMMANDS)}."
    return f"There is no command `{safe(word, 40)}`. {hint}"
