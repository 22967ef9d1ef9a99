"""`/jit`: the first word chooses the conversation; without one the line is a request, or gets the nearest command."""

from __future__ import annotations

import difflib

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from handlers import (
    audit,
    break_glass,
    delegate,
    explain,
    extend,
    help_text,
    home,
    lockdown,
    mfa,
    own_request,
    reports,
    request,
    show,
    terminals,
)
from handlers.context import Door
from handlers.reports import digest
from handlers.revoke import revoke
from handlers.slack import payloads
from handlers.slack.payloads import CommandLine, Payload
from handlers.slack.verbs import ALIASES, COMMANDS, POLITE
from handlers.views.message import SlackMessage
from handlers.views.text import code

ON_THE_CARD = (
    "Requests are approved and denied on their card: press its button in the channel, or open the app's Home tab, "
    "which shows what waits for you."
)


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the one command."""

    @app.command("/jit")
    async def jit(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        said = await answer(door, body, client)
        if said is None:
            await ack()
        elif isinstance(said, str):
            await ack(text=said, response_type="ephemeral")
        else:
            await ack(text=said.text, blocks=said.blocks, response_type="ephemeral")


async def answer(door: Door, body: Payload, client: AsyncWebClient) -> str | SlackMessage | None:
    """What the person reads; None where a modal was opened instead."""
    line = spoken(payloads.line(body.get("text")))
    match line.verb:
        case "request":
            return await request.request(door, body, line.rest, client)
        case "break-glass":
            return await break_glass.use(door, body, line.rest, client)
        case "list":
            return await own_request.listed(door, body)
        case "show":
            return await show.show(door, body, line.rest)
        case "who" if line.rest:
            return await show.who(door, body, line.rest)
        case "explain" if line.rest:
            return await explain.explain(door, body, line.rest)
        case "release" | "done":
            return await own_request.release(door, body, line.rest)
        case "extend":
            return await extend.extend(door, body, line.rest, client)
        case "remind":
            return await own_request.remind(door, body, line.rest)
        case "revoke":
            return await revoke(door, body, line.rest, client)
        case "lockdown":
            return await lockdown.lockdown(door, body, line.rest, client)
        case "terminal" if line.rest:
            return await terminals.command(door, body, line.rest)
        case "delegate":
            return await delegate.command(door, body, line.rest)
        case "mfa":
            return await mfa.command(door, body, line.rest, client)
        case "audit":
            return await audit.command(door, body, line.rest, client)
        case "digest":
            return await digest(door, body, line.rest)
        case "insights":
            await reports.insights(door, body, client)
            return None
        case "cancel":
            return await own_request.cancel(door, body, line.rest)
        case "who" | "explain" | "terminal":
            return await help_text.about(door, body, line.verb)
        case "approve" | "deny":
            return ON_THE_CARD
        case "help" if line.rest in COMMANDS:
            return await help_text.about(door, body, line.rest)
        case "help" if line.rest and _like(line.rest, 0.6):
            return nearest(line.rest)
        case "help":
            return help_text.everything()
        case "":
            await home.look(door, body, client)
            return None
        case word:
            said = await request.without_verb(door, body, line.whole, client, mistyped=bool(_like(word, 0.8)))
            return nearest(word, line.rest) if said == "" else said


def spoken(line: CommandLine) -> CommandLine:
    """The line with its command's own name: what stands politely before it is left out, and aliases are known."""
    while line.verb.strip("/,!.") in POLITE and line.rest:
        line = payloads.split(line.rest)
    word = line.verb.strip("\"'`,:;.!") or line.verb
    return line.model_copy(update={"verb": word if word in COMMANDS else ALIASES.get(word, line.verb)})


def nearest(word: str, rest: str = "") -> str:
    """There is no such command, and which line may have been meant."""
    near = _like(word, 0.6)
    meant = code(f"/jit {near[0]} {rest[:200]}".strip(), 240) if near else ""
    hint = f"Did you mean {meant}?" if near else f"There are {', '.join(f'`{c}`' for c in COMMANDS)}."
    return f"There is no command {code(word, 40)}. {hint}"


def _like(word: str, cutoff: float) -> list[str]:
    return difflib.get_close_matches(word.lower(), COMMANDS, n=1, cutoff=cutoff)
