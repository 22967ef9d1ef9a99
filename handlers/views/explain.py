"""What `/jit explain` says of one role or template, for the person who typed it; pure, no verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bot.access.decision_times import DecisionTimes
from bot.access.terms import Terms
from bot.policy.catalog import Choice
from handlers.views import reach, role_terms
from handlers.views.message import SlackMessage, section
from handlers.views.reach import StepReach
from handlers.views.role_terms import GroupNames
from handlers.views.text import code, length, safe

_PARAGRAPH = 2_900
"""Characters, of the 3,000 that a section holds."""


def explained(
    terms: Terms,
    names: GroupNames,
    people: Sequence[StepReach],
    lately: DecisionTimes | None,
    now: float,
    limits: Sequence[str] = (),
    at_once: Sequence[str] = (),
) -> SlackMessage:
    """All of it. ``people``: the approvers of each step; empty where Slack does not tell who they are.

    ``at_once``: what it says of break-glass.
    """
    choice = terms.choice
    heading = f"*{safe(choice.title, 80)}* ({code(choice.name, 90)})"
    may = "You may request it." if terms.may_request else "You may not request this yourself."
    order = ", in any order" if len(terms.steps) > 1 and not terms.ordered else ""
    decides = f"{role_terms.decides(terms, names)}{order}"
    lines = [
        f"{heading}\n{may}",
        *f"Grants:\n{role_terms.opens(terms)}".split("\n"),
        f"Who may request it: {role_terms.requesters(terms)}",
        f"Who approves: {decides}. If nobody answers within {length(terms.decide_within)}, the request expires.",
        *(reach.explained(people, names, now) or ["• Slack does not say who they are right now."]),
        took(lately),
        f"How long: {_how_long(choice)}.",
        *role_terms.asked_for(choice),
        *limits,
        *role_terms.conditions(terms),
    ]
    if terms.may_request:
        lines.append(f"To request it: `{role_terms.example(choice)}`")
    lines += at_once
    text = f"{heading}: {may} Who approves: {decides}."
    return SlackMessage(text, [section(paragraph).to_dict() for paragraph in _paragraphs(lines)])


def took(lately: DecisionTimes | None) -> str:
    """How long the last requests took."""
    if lately is None:
        return "How long approvers took lately is not known right now."
    if not lately.requests:
        return "Nobody has requested this lately, so how long approvers take is not known."
    last = "The last request for this" if lately.requests == 1 else f"The last {lately.requests} requests for this"
    if not lately.decided:
        return f"{last} expired: nobody decided in time."
    median = f"{length(60 * max(1, math.ceil(lately.median / 60)))}{' (median)' if len(lately.decided) > 1 else ''}"
    verb = "was" if lately.requests == 1 else "were"
    if not lately.expired:
        return f"{last} {verb} decided within {median}."
    return f"{last}: {len(lately.decided)} decided within {median}, {lately.expired} expired undecided."


def _how_long(choice: Choice) -> str:
    """The durations, and the maximum with extensions."""
    said = role_terms.how_long(choice)
    return (
        f"{said}; with extensions {length(choice.cap)} at most"
        if 0 < max(choice.durations, default=0) < choice.cap
        else said
    )


def _paragraphs(lines: Sequence[str]) -> list[str]:
    """The lines, as many in a section as it holds."""
    found = [lines[0]]
    for line in lines[1:]:
        if len(found[-1]) + 1 + len(line) > _PARAGRAPH:
            found.append(line)
        else:
            found[-1] = f"{found[-1]}\n{line}"
    return found
