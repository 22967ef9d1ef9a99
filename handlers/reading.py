"""The conversation of reading: one request, who holds what, what a choice means; what one may not read is not there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from bot import books
from bot.books import Terms
from bot.core.catalog import Choice
from bot.core.model import Request
from bot.wishes import Actor
from handlers.door import Door
from handlers.payloads import Payload
from handlers.views import listing, showing, terms
from handlers.views.card import Message, Needed
from handlers.views.showing import Reader
from handlers.views.words import safe

log = logging.getLogger(__name__)

_PATIENCE = 0.5
"""Seconds that Slack may take to tell who somebody is, before their group's name has to do."""


async def show(door: Door, payload: Payload, rest: str) -> Message:
    """``/jit show [ID]``."""
    actor = await door.who(payload)
    request = await books.one(door.desk, actor, rest.split(maxsplit=1)[0] if rest else None)
    reader = Reader(
        asked=books.is_mine(actor, request),
        acts=books.may_answer(door.desk, actor, request) or books.may_end(door.desk, actor, request),
        secret=books.has_secret(request),
    )
    return showing.shown(request, await _needed(door, actor, request), reader, door.announcer.site)


async def who(door: Door, payload: Payload, rest: str) -> str:
    """``/jit who SYSTEM``."""
    actor, system = await door.who(payload), _word(rest)
    held = await books.holders(door.desk, actor, system)
    everything = books.audits(door.desk, actor)
    return listing.holders(system, door.desk.catalog().systems[system].title, held, everything=everything)


async def explain(door: Door, payload: Payload, rest: str) -> str:
    """``/jit explain WHAT``."""
    found = books.explain(door.desk, await door.who(payload), _word(rest))
    names = await mentions(door, (group for each in found for step in each.steps for group in step.any_of))
    return terms.all_explained(found, names)


async def of_choice(door: Door, choice: Choice) -> tuple[Terms, terms.Names]:
    """The terms of what is about to be asked for, and how its groups are written."""
    found = books.terms(door.desk.catalog(), choice)
    return found, await mentions(door, (group for step in found.steps for group in step.any_of))


async def mentions(door: Door, groups: Iterable[str]) -> dict[str, str]:
    """Each group as Slack mentions it, or by its name when Slack does not tell in time."""
    wanted = list(dict.fromkeys(groups))
    told = await asyncio.gather(*(_mention(door, group) for group in wanted))
    return {group: mention or f"`{safe(group, 40)}`" for group, mention in zip(wanted, told, strict=True)}


async def _mention(door: Door, group: str) -> str:
    try:
        return await asyncio.wait_for(door.people.mention([group]), _PATIENCE)
    except TimeoutError:
        log.warning("Slack does not tell in time who %s is", group)
        return ""


async def _needed(door: Door, actor: Actor, request: Request) -> Needed:
    steps = books.still_open(door.desk, actor, request)
    names = await mentions(door, (group for step in steps for group in step.any_of))
    return Needed(", ".join(names.values()), sum(step.missing for step in steps))


def _word(rest: str) -> str:
    """The name that was typed."""
    return rest.split(maxsplit=1)[0].lower()[:90]
