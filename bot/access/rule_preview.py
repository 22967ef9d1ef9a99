"""What the rules of the policy would make of a choice that somebody reads about, before they request it."""

from __future__ import annotations

from collections.abc import Iterable

from bot.access import circumstances, usage
from bot.access.context import AccessContext
from bot.core.verdict import Actor
from bot.policy import rules
from bot.policy.catalog import Catalog, Choice
from bot.policy.conditions import Circumstances, Wanted
from bot.policy.rules import Finding


async def facts_of(
    context: AccessContext, catalog: Catalog, actor: Actor, choices: Iterable[Choice], now: float
) -> Circumstances:
    """What rules are judged on for these choices, from ``now``; no ticket is asked for."""
    use = await usage.read(context.store, catalog, (ref for choice in choices for ref in choice.roles))
    return await circumstances.gather(context, catalog, actor.person, use, now, now)


def preview(catalog: Catalog, actor: Actor, choice: Choice, facts: Circumstances) -> tuple[Finding, ...]:
    """Each rule that speaks of the choice, as if it were requested for a short time and nothing were used up yet."""
    wanted = Wanted(requester=actor.person, what=choice.name, roles=choice.roles, duration=0)
    found = rules.judge(
        catalog, actor.roster, wanted, facts, {rule.key: 0 for rule in catalog.rules}, why=True
    ).findings
    return tuple(each for each in found if each.speaks_of_it)
