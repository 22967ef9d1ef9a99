"""`/jit help`: what there is to type, with examples from this workspace's policy."""

from __future__ import annotations

import re
from importlib.resources import files

from bot.access import read, submit
from bot.core.verdict import Actor
from handlers.context import Door
from handlers.slack.payloads import Payload
from handlers.views import role_terms
from handlers.views.text import safe

NOBODY_S = "J-7K3Q"
"""The id in an example for somebody who has no request."""


def everything() -> str:
    """What there is to type."""
    return _guide("help").strip()


async def about(door: Door, payload: Payload, command: str) -> str:
    """``/jit help COMMAND``."""
    actor = await door.who(payload)
    return f"*/jit {command}*\n{section(command)}\nFor example: {await _example(door, actor, command)}"


def section(command: str) -> str:
    """What the guide says of a command."""
    found = re.search(rf"^## {re.escape(command)}\n(.*?)(?=^## |\Z)", _guide("commands"), re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError(f"guides/commands.md has no section {command}")
    return found[1].strip()


async def _example(door: Door, actor: Actor, command: str) -> str:
    """A line that would work here, as far as there is one."""
    match command:
        case "request":
            return await _of_choice(door, actor)
        case "explain":
            offers = await submit.offers(door.context, actor)
            return f"`/jit explain {safe(offers[0].name, 90)}`" if offers else _NOTHING
        case "who":
            seen = await read.systems(door.context, actor)
            return f"`/jit who {safe(seen[0], 40)}`" if seen else _NOTHING
        case "revoke":
            theirs = await read.overseen(door.context, actor)
            return f"`/jit revoke {theirs[0].id if theirs else NOBODY_S} no longer needed`"
        case "lockdown":
            return "`/jit lockdown a key leaked`, or `/jit lockdown lift`"
        case "terminal":
            return "`/jit terminal 7K3Q-9WXZ`"
        case "delegate":
            return "`/jit delegate @kim until monday`"
        case "mfa":
            return "`/jit mfa`"
        case "extend":
            own = await read.own_open(door.context, actor)
            return f"`/jit extend {own[0].id if own else NOBODY_S} 30m -- not done yet`"
        case "list":
            return "`/jit list`"
        case "help":
            return "`/jit help request`"
        case "insights":
            return "`/jit insights`"
        case "audit":
            return "`/jit audit yesterday`"
        case "digest":
            return "`/jit digest yesterday`"
        case _:
            own = await read.own_open(door.context, actor)
            return f"`/jit {command} {own[0].id if own else NOBODY_S}`"


_NOTHING = "there is nothing here that you may request."


async def _of_choice(door: Door, actor: Actor) -> str:
    """The first thing that the person may request, in one line."""
    offers = await submit.offers(door.context, actor)
    if not offers:
        return _NOTHING
    expected = role_terms.expected(offers[0])
    return f"`{role_terms.example(offers[0])}`{f' ({expected})' if expected else ''}"


def _guide(name: str) -> str:
    return files("bot").joinpath("guides", f"{name}.md").read_text(encoding="utf-8")
