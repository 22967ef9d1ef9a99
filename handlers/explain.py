"""`/jit explain`: what a role or template means before it is requested; what a person may not see does not exist."""

from __future__ import annotations

import asyncio

from bot.access import break_glass, read
from bot.core.proof import ProofUse
from handlers import reach, show
from handlers.context import Door
from handlers.slack.payloads import Payload
from handlers.views import explain as views
from handlers.views import role_terms
from handlers.views.message import SlackMessage


async def explain(door: Door, payload: Payload, rest: str) -> SlackMessage | str:
    """``/jit explain WHAT``; of several things, the terms alone."""
    what = rest.lower()[:200] if "+" in rest else show.word(rest)
    actor = await door.who(payload)
    found = await read.explain(door.context, actor, what)
    names = show.mentions(door, (group for each in found for group in each.groups))
    more = {each.choice.name: await show.limits_of(door, actor, each.choice) for each in found[: role_terms.MOST]}
    offered = {choice.name for choice in break_glass.offers(door.context, actor)}
    glass = [each for each in found if each.choice.name in offered]
    proved = any(ProofUse.BREAK_GLASS in each.proofs for each in glass)
    at_once = role_terms.in_an_emergency([each.choice.name for each in glass], proved=proved)
    if len(found) > 1:
        return "\n".join([role_terms.all_explained(found, await names, more), *at_once])
    terms = found[0]
    requester = actor.person if terms.may_request else None
    known, people, lately = await asyncio.gather(
        names, reach.of_steps(door, terms.steps, requester), door.decision_history.of(role.name for role in terms.roles)
    )
    limits, now = more[terms.choice.name], await door.context.store.now()
    return views.explained(terms, known, people, lately, now, limits, at_once)
