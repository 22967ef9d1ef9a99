"""What a choice means before it is asked for: what it opens, who decides and until when; pure words, no verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.books import RoleTerms, Terms
from bot.core import durations
from bot.core.catalog import EVERYONE, Choice, Rule, Step
from handlers.views.words import length, safe

Names = Mapping[str, str]
"""Each group as people read it: a mention, or its name."""
_MOST = 8


def opens(terms: Terms) -> str:
    """One line a role: how sensitive it is, and what it allows."""
    return "\n".join(
        f"*{safe(role.sensitivity, 20)}* · {safe(role.title, 120)} · {safe(role.consequence, 200)}"
        for role in terms.roles
    )


def decides(terms: Terms, names: Names) -> str:
    """Who has to say yes: every step of it."""
    return ", and ".join(_step(step, names) for step in terms.steps)


def all_explained(found: Sequence[Terms], names: Names) -> str:
    """Each of them; of very many the first few."""
    shown = [explained(each, names) for each in found[:_MOST]]
    more = found[_MOST:]
    if more:
        shown.append(f"… and {len(more)} more: {', '.join(f'`{safe(each.choice.name, 90)}`' for each in more[:20])}")
    return "\n\n".join(shown)


def explained(terms: Terms, names: Names) -> str:
    """All of it, for who asks before they ask."""
    choice = terms.choice
    lines = [
        f"*{safe(choice.title, 80)}* (`{safe(choice.name, 90)}`)",
        f"Opens:\n{opens(terms)}",
        f"Who may ask: {_askers(terms)}",
        f"Who decides: {decides(terms, names)}. If nobody does within {length(terms.within)}, it lapses.",
        f"How long: {how_long(choice)}.",
    ]
    if terms.may_ask:
        lines += [_at_once(rule) for rule in terms.at_once]
    if choice.reason.required:
        lines.append(f"Reason: needed. {expected(choice)}".strip())
    if terms.may_ask:
        lines.append(f"Ask for it: `{example(choice)}`")
    else:
        lines.append("You cannot ask for this yourself.")
    return "\n".join(lines)


def _at_once(rule: Rule) -> str:
    """What the reader need ask nobody for."""
    budget = "once" if rule.budget == 1 else f"{rule.budget} times"
    return f"At once, for you: up to {length(rule.at_most)} is approved by rule {rule.n}, {budget} in 24 hours."


def how_long(choice: Choice) -> str:
    """The durations that it comes in."""
    if choice.durations:
        return ", ".join(length(seconds) for seconds in choice.durations)
    return f"at most {length(choice.cap)}"


def expected(choice: Choice) -> str:
    """What a reason has to look like; empty where anything will do."""
    rule = choice.reason
    if rule.hint:
        return f"Expected: {safe(rule.hint, 140)}."
    return f"It has to fit `{safe(rule.pattern, 200)}`." if rule.pattern else ""


def example(choice: Choice) -> str:
    """The line that asks for it."""
    seconds = choice.durations[0] if choice.durations else min(choice.cap, 1800)
    reason = " -- why" if choice.reason.required else ""
    return f"/jit request {safe(choice.name, 90)} {durations.short(seconds)}{reason}"


def _askers(terms: Terms) -> str:
    """A choice of several roles is for those who may ask for each of them."""
    return ", and ".join(dict.fromkeys(_any_of(role) for role in terms.roles))


def _any_of(role: RoleTerms) -> str:
    if EVERYONE in role.may_ask:
        return "everyone"
    return " or ".join(f"`{safe(group, 40)}`" for group in role.may_ask)


def _step(step: Step, names: Names) -> str:
    groups = " or ".join(names.get(group, f"`{safe(group, 40)}`") for group in step.any_of)
    return f"{'one' if step.count == 1 else step.count} of {groups}"
