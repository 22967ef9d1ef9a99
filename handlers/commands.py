"""`/jit`: the first word chooses the conversation; a word that is none gets the nearest, never a guess."""

from __future__ import annotations

import difflib
from importlib.resources import files

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from handlers import asking, holding, payloads
from handlers.door import Door
from handlers.payloads import Payload
from handlers.views.words import safe

COMMANDS = ("request", "list", "release", "revoke", "cancel", "help")


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the one command."""

    @app.command("/jit")
    async def jit(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        text = await _answer(door, body, client)
        if text is None:
            await ack()
        else:
            await ack(text=text, response_type="ephemeral")


async def _answer(door: Door, body: Payload, client: AsyncWebClient) -> str | None:
    line = payloads.line(body.get("text"))
    match line.verb:
        case "request":
            return await asking.request(door, body, line.rest, client)
        case "list":
            return await holding.listed(door, body)
        case "release":
            return await holding.release(door, body, line.rest)
        case "revoke":
            return await holding.revoke(door, body, line.rest)
        case "cancel":
            return await holding.cancel(door, body, line.rest)
        case "help" | "":
            return helped()
        case word:
            return _nearest(word)


def helped() -> str:
    """What there is to type."""
    return files("bot").joinpath("guides", "help.md").read_text(encoding="utf-8").strip()


def _nearest(word: str) -> str:
    near = difflib.get_close_matches(word, COMMANDS, n=1)
    hint = f"Did you mean `/jit {near[0]}`?" if near else f"There are {', '.join(f'`{c}`' for c in COMMANDS)}."
    return f"There is no command `{safe(word, 40)}`. {hint}"
