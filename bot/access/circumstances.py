"""Gathers what the rules of the policy are judged on: calendars at the start of access, tickets, counts. No verdicts.

Only what some rule names is asked for. What does not answer in time is unknown, and no rule approves on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from bot import tasks
from bot.access.context import AccessContext
from bot.access.role_usage import RoleUsage
from bot.core.request import Person
from bot.core.rule_effects import CheckedTicket
from bot.core.usage import is_of
from bot.policy import conditions
from bot.policy.catalog import Catalog
from bot.policy.conditions import Circumstances, Wanted

PATIENCE: Final = 1.0
"""Seconds for all tickets of a request together: Slack waits three for the answer to a command."""
_MOST_TICKETS = 5
"""Tickets of one request that are asked for; of more, the rest is unknown."""


async def check_tickets(context: AccessContext, catalog: Catalog, wanted: Wanted) -> tuple[CheckedTicket, ...]:
    """What the ticket systems say of the tickets that rules look for in a request; those that answer within a second.

    Called before anything is read for the commit, so that nobody waits for it.
    """
    asked = list(tickets_named(catalog, wanted))[:_MOST_TICKETS]
    if not asked:
        return ()
    answers = await asyncio.gather(*(_exists(context, check, ticket) for check, ticket in asked))
    return tuple(
        CheckedTicket(check=check, ticket=ticket, exists=exists)
        for (check, ticket), exists in zip(asked, answers, strict=True)
        if exists is not None
    )


async def _exists(context: AccessContext, check: str, ticket: str) -> bool | None:
    """What one ticket system says; all are asked at once, and none is waited for longer than the others."""
    try:
        return await tasks.within(context.rule_lookups.ticket_exists(check, ticket), PATIENCE)
    except TimeoutError:
        return None


async def gather(
    context: AccessContext,
    catalog: Catalog,
    requester: Person,
    use: RoleUsage,
    now: float,
    begins: float,
    tickets: Iterable[CheckedTicket] = (),
    but: str = "",
) -> Circumstances:
    """What rules are judged on at ``now``, for access that would start at ``begins``.

    ``use``: what was counted for the roles; whoever relies on it guards it. ``but``: the request that counts already.
    """
    names = catalog.calendar_names
    found = Circumstances(
        now=now,
        begins=begins,
        frozen=await context.rule_lookups.frozen(catalog, names, begins) if names else {},
        tickets={(each.check, each.ticket): each.exists for each in tickets},
    )
    return with_counts(found, use, requester, but)


def with_counts(facts: Circumstances, use: RoleUsage, requester: Person, but: str = "") -> Circumstances:
    """The same with what was counted for the roles of ``use``; ``but``: the request that counts already."""
    counted = {f"{ref.system}/{ref.role}": use.counted.get(f"{ref.system}/{ref.role}") for ref in use.refs}
    usage = {name: each.usage.without(but) for name, each in counted.items() if each and each.usage}
    denials = {
        name: tuple(denial.at for denial in each.denials if is_of(denial, requester)) for name, each in usage.items()
    }
    live = {name: len(each.live()) for name, each in usage.items()}
    return facts.model_copy(update={"denials": denials, "live": live})


def tickets_named(catalog: Catalog, wanted: Wanted) -> Iterable[tuple[str, str]]:
    """The tickets that rules look for in a request, each with the name of its ticket system."""
    found = (
        (shape.ticket.check, conditions.ticket(catalog, shape.ticket, wanted, ref))
        for rule in catalog.rules
        for shape in (rule.when, rule.unless)
        if shape.ticket is not None
        for ref in wanted.roles
    )
    return dict.fromkeys((check, ticket) for check, ticket in found if ticket)
