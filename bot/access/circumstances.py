"""Gathers what the rules of the policy are judged on: calendars at the start of access, tickets, usage. No verdicts.

Only what a rule names is looked up. What does not answer in time is unknown, and no rule approves on it.
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
from bot.policy.conditions import Circumstances, RequestedAccess

TIME_LIMIT: Final = 1.0
"""Seconds for all tickets of a request together: Slack waits 3 s for the answer to a command."""
_MOST_TICKETS = 5
"""Tickets of one request that are looked up; any others are unknown."""


async def check_tickets(
    context: AccessContext, catalog: Catalog, requested: RequestedAccess
) -> tuple[CheckedTicket, ...]:
    """Whether the tickets exist that rules look for in a request; without those whose system does not answer in time.

    Called before anything is read for the commit, so that the reads are still fresh at the commit.
    """
    asked = list(tickets_named(catalog, requested))[:_MOST_TICKETS]
    if not asked:
        return ()
    answers = await asyncio.gather(*(_exists(context, check, ticket) for check, ticket in asked))
    return tuple(
        CheckedTicket(check=check, ticket=ticket, exists=exists)
        for (check, ticket), exists in zip(asked, answers, strict=True)
        if exists is not None
    )


async def _exists(context: AccessContext, check: str, ticket: str) -> bool | None:
    """Whether a ticket exists; None if its system does not answer within the time limit."""
    try:
        return await tasks.within(context.rule_lookups.ticket_exists(check, ticket), TIME_LIMIT)
    except TimeoutError:
        return None


async def gather_circumstances(
    context: AccessContext,
    catalog: Catalog,
    requester: Person,
    role_usage: RoleUsage,
    now: float,
    begins: float,
    tickets: Iterable[CheckedTicket] = (),
    exclude: str = "",
) -> Circumstances:
    """What rules are judged on at ``now``, for access that would start at ``begins``.

    ``role_usage``: of the roles requested; the caller guards it. ``exclude``: the id of the request if it is counted
    already.
    """
    names = catalog.calendar_names
    found = Circumstances(
        now=now,
        begins=begins,
        frozen=await context.rule_lookups.frozen(catalog, names, begins) if names else {},
        tickets={(each.check, each.ticket): each.exists for each in tickets},
    )
    return with_usage_counts(found, role_usage, requester, exclude)


def with_usage_counts(
    circumstances: Circumstances, role_usage: RoleUsage, requester: Person, exclude: str = ""
) -> Circumstances:
    """The same with the denials and live counts of ``role_usage``, without the request ``exclude``."""
    counted = {
        f"{ref.system}/{ref.role}": role_usage.by_scope.get(f"{ref.system}/{ref.role}") for ref in role_usage.refs
    }
    usage = {name: each.usage.without(exclude) for name, each in counted.items() if each and each.usage}
    denials = {
        name: tuple(denial.at for denial in each.denials if is_of(denial, requester)) for name, each in usage.items()
    }
    live = {name: len(each.live()) for name, each in usage.items()}
    return circumstances.model_copy(update={"denials": denials, "live": live})


def tickets_named(catalog: Catalog, requested: RequestedAccess) -> Iterable[tuple[str, str]]:
    """The tickets that rules look for in a request, each with the name of its ticket system."""
    found = (
        (shape.ticket.check, conditions.ticket(catalog, shape.ticket, requested, ref))
        for rule in catalog.rules
        for shape in (rule.when, rule.unless)
        if shape.ticket is not None
        for ref in requested.roles
    )
    return dict.fromkeys((check, ticket) for check, ticket in found if ticket)
