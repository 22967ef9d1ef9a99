"""What the rules of the policy would do to a request for a choice, shown before anybody requests it."""

from __future__ import annotations

from collections.abc import Iterable

from bot.access import usage
from bot.access.circumstances import gather_circumstances
from bot.access.context import AccessContext
from bot.core.verdict import Actor
from bot.policy import rules
from bot.policy.catalog import Catalog, Choice
from bot.policy.conditions import Circumstances, RequestedAccess
from bot.policy.rules import Finding


async def circumstances_of(
    context: AccessContext, catalog: Catalog, actor: Actor, choices: Iterable[Choice], now: float
) -> Circumstances:
    """The circumstances for the rules on these choices, from ``now``; no ticket is looked up."""
    role_usage = await usage.read(context.store, catalog, (ref for choice in choices for ref in choice.roles))
    return await gather_circumstances(context, catalog, actor.person, role_usage, now, now)


def preview(catalog: Catalog, actor: Actor, choice: Choice, circumstances: Circumstances) -> tuple[Finding, ...]:
    """The rules that concern the choice, as if it were requested for a short time and no budget were used."""
    requested = RequestedAccess(requester=actor.person, what=choice.name, roles=choice.roles, duration=0)
    found = rules.judge(
        catalog, actor.roster, requested, circumstances, {rule.key: 0 for rule in catalog.rules}, why=True
    ).findings
    return tuple(each for each in found if each.concerns_choice)
