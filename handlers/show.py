"""`/jit show` and `who`; what a person may not read does not exist for them."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable

from slack_sdk.models.views import View

from bot import tasks
from bot.access import break_glass_review, read, submit, terms, usage
from bot.access.review import awaiting_decision
from bot.access.terms import Terms
from bot.access.track_record import track_record
from bot.core.request import Request
from bot.core.verdict import Actor
from bot.policy import authorization, conflicts, counted
from bot.policy.catalog import Choice
from handlers.context import Door
from handlers.error_messages import sentence
from handlers.notify.poster import Waits
from handlers.slack import payloads
from handlers.slack.payloads import Payload
from handlers.views import action_ids, limits, request_list, role_terms
from handlers.views import request as showing
from handlers.views.ladder import ladder
from handlers.views.message import Needed, SlackMessage, given, section
from handlers.views.request import Reader
from handlers.views.text import OPEN_CARD, code, linked_as

log = logging.getLogger(__name__)

_PATIENCE = 0.5
"""Seconds that Slack may take to tell who somebody is, before their group's name has to do."""


async def show(door: Door, payload: Payload, rest: str) -> SlackMessage:
    """``/jit show [ID]``."""
    return await _shown(door, await door.who(payload), payloads.which(rest))


async def modal(door: Door, actor: Actor, id_: str, came: str = "") -> View:
    """The same in a modal, for whoever pressed a button; ``came``: what came of that. Raises `NotFound`."""
    shown = await _shown(door, actor, id_)
    return View(
        type="modal",
        callback_id=action_ids.REQUEST_VIEW,
        private_metadata=id_,
        title="Request",
        close="Close",
        blocks=[*([section(came).to_dict()] if came else []), *shown.blocks],
    )


async def _shown(door: Door, actor: Actor, id_: str | None) -> SlackMessage:
    request = await read.find(door.context, actor, id_)
    reader = Reader(
        asked=read.is_mine(actor, request),
        requested_by=authorization.is_requested_by(request, actor.person),
        acts=(
            await read.may_review(door.context, actor, request)
            or read.may_end(door.context, actor, request)
            or await break_glass_review.may_review(door.context, actor, request)
        ),
        secret=read.has_secret(request),
    )
    earlier = await track_record(door.context.store, request) if reader.acts else None
    return showing.shown(request, await needed(door, actor, request), reader, door.announcer.site, earlier)


async def who(door: Door, payload: Payload, rest: str) -> str:
    """``/jit who SYSTEM``."""
    actor, system = await door.who(payload), word(rest)
    held = await read.holders(door.context, actor, system)
    everything = read.may_audit(door.context, actor)
    return request_list.holders(system, door.context.catalog().systems[system].title, held, everything=everything)


async def limits_of(door: Door, actor: Actor, choice: Choice) -> list[str]:
    """What limits a choice, and why this person could not request it now for that."""
    context, catalog = door.context, door.context.catalog()
    scopes = counted.names_of(choice.roles)
    found = [(name, shape) for name in scopes if (shape := counted.limits_of(catalog, name))]
    offered = {each.name for each in await submit.offers(context, actor)} if catalog.conflicts else set[str]()
    offered |= {name.partition("/")[0] for name in offered}
    # A role that this person may not request is not named.
    others = [pair for pair in conflicts.opposite(catalog.conflicts, scopes) if pair[1] in offered]
    full = await usage.refusal(context.store, catalog, actor.person, choice.roles)
    return [*limits.terms(found, others), *([sentence(full)] if full else [])]


async def of_choice(door: Door, choice: Choice) -> tuple[Terms, role_terms.GroupNames]:
    """The terms of what is about to be asked for, and how its groups are written."""
    found = terms.terms(door.context.catalog(), choice)
    return found, await mentions(door, found.groups)


async def mentions(door: Door, groups: Iterable[str]) -> dict[str, str]:
    """Each group as Slack mentions it, or by its name when Slack does not tell in time."""
    wanted = list(dict.fromkeys(groups))
    told = await asyncio.gather(*(_mention(door, group) for group in wanted))
    return {group: mention or code(group, 40) for group, mention in zip(wanted, told, strict=True)}


async def _mention(door: Door, group: str) -> str:
    try:
        return await tasks.within(door.people.mention([group]), _PATIENCE)
    except TimeoutError:
        log.warning("Slack does not tell in time who %s is", group)
        return ""


async def needed(door: Door, actor: Actor, request: Request) -> Needed:
    """The approvals that are missing, as this person's door knows the groups."""
    progress = await read.approval_progress(door.context, actor, request)
    names = await mentions(door, (group for step in progress.now for group in step.any_of))
    missing: Counter[str] = Counter()
    for step in progress.now:
        missing[" or ".join(names[group] for group in step.any_of)] += step.missing
    later = sum(step.missing for step in progress.open if step.waits)
    steps = ladder(awaiting_decision(request) or request, progress, [leg.role.name for leg in request.legs])
    return Needed(tuple(missing.items()), given={} if steps else given(progress), later=later, ladder=steps)


async def with_card(door: Door, request: Request, text: str) -> str:
    """The text with the way to the card of the request that it speaks of, where there is one."""
    try:
        link = await door.announcer.router.links.of(request)
    except Waits:  # it is not posted yet
        return text
    return f"{text} {linked_as(link, OPEN_CARD)}" if link else text


def word(rest: str) -> str:
    """The name that was typed."""
    return rest.split(maxsplit=1)[0].lower()[:90]
