"""What a choice means before it is requested: what it grants, who approves and until when; pure, no verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.access.terms import RoleTerms, Terms
from bot.core import durations, ssh_keys
from bot.core.proof import ProofUse
from bot.policy.catalog import EVERYONE, Choice, Step
from handlers.views import rule_lines
from handlers.views.text import code, fitting, length, risk, safe

GroupNames = Mapping[str, str]
"""Each group as people read it: a mention, or its name."""
MOST = 8
"""Choices that are explained in one answer."""
_NAMED = 60
_OPENS = 2_000
"""Characters of what the roles allow: a paragraph has room for the approvers, too."""


def opens(terms: Terms) -> str:
    """One line a role: how risky it is, and what it allows; short enough for all of them."""
    most = _OPENS // max(1, len(terms.roles))
    return "\n".join(_opens(role, terms.choice, most) for role in terms.roles)


def _opens(role: RoleTerms, choice: Choice, most: int) -> str:
    """The title is left out where it is the heading already."""
    title = "" if role.title == choice.title else f"{fitting(role.title, min(120, most // 2))} · "
    level = risk(role.sensitivity)
    return f"{level} · {title}{fitting(role.consequence, max(40, most - len(level) - len(title)))}"


def decides(terms: Terms, names: GroupNames) -> str:
    """Who has to approve: every step of it, and in which order."""
    if not terms.ordered:
        return ", and ".join(_step(step, names) for step in terms.steps)
    if len(terms.roles) == 1:
        return _in_order(terms.roles[0], names)
    return "; ".join(f"*{safe(role.title, 80)}*: {_in_order(role, names)}" for role in terms.roles)


def _in_order(role: RoleTerms, names: GroupNames) -> str:
    steps = [_step(step, names) for step in role.steps]
    return f"first {', then '.join(steps)}" if role.ordered and len(steps) > 1 else ", and ".join(steps)


def all_explained(found: Sequence[Terms], names: GroupNames, more_of: Mapping[str, Sequence[str]] = {}) -> str:
    """Each of them; of very many the first few, and the names of the others. ``more_of``: more lines, by choice."""
    shown = [explained(each, names, more_of.get(each.choice.name, ())) for each in found[:MOST]]
    more = found[MOST:]
    if more:
        names_ = ", ".join(code(each.choice.name, 90) for each in more[:_NAMED])
        unnamed = f" and {len(more) - _NAMED} others" if len(more) > _NAMED else ""
        shown.append(f"… and {len(more)} more; `/jit explain NAME` explains one: {names_}{unnamed}")
    return "\n\n".join(shown)


def explained(terms: Terms, names: GroupNames, more: Sequence[str] = ()) -> str:
    """All of it, for a person who has not requested it yet."""
    choice, time_limit = terms.choice, length(terms.decide_within)
    lines = [
        f"*{safe(choice.title, 80)}* ({code(choice.name, 90)})",
        f"Grants:\n{opens(terms)}",
        f"Who may request it: {requesters(terms)}",
        *_for_others(terms),
        f"Who approves: {decides(terms, names)}. If nobody answers within {time_limit}, the request expires.",
        f"How long: {how_long(choice)}.",
        *asked_for(choice),
        *more,
    ]
    lines += conditions(terms)
    if terms.may_request:
        lines.append(f"To request it: `{example(choice)}`")
    else:
        lines.append("You may not request this yourself.")
    return "\n".join(lines)


def conditions(terms: Terms) -> list[str]:
    """What rules make of it for the reader, what has to be proved, and whether a reason is required."""
    rules = rule_lines.lines(terms.rules) if terms.may_request else []
    reason = f"Reason: required. {expected(terms.choice)}".strip()
    return [*rules, *proved(terms), *([reason] if terms.choice.reason.required else [])]


def proved(terms: Terms) -> list[str]:
    """What needs a code that proves who somebody is; rules say it of themselves."""
    request, approve = (use in terms.proofs for use in (ProofUse.REQUEST, ProofUse.APPROVE))
    if request:
        also = "; approvers do too" if approve else ""
        who = "You prove that it is you" if terms.may_request else "Whoever requests it proves who they are"
        return [f"{who}, with a code{also}."]
    return ["Approvers prove that it is them, with a code, when they approve it."] if approve else []


def in_an_emergency(names: Sequence[str], *, proved: bool = False) -> list[str]:
    """What the reader may take by break-glass, if anything. ``proved``: whether that needs a code."""
    if not names:
        return []
    said = " or ".join(code(f"/jit break-glass {name}", 110) for name in names)
    typed = " but with a code that proves it is you" if proved else ""
    return [
        f"In an emergency, you can take it at once, without approval{typed}: {said}. An owner reviews it afterwards."
    ]


def how_long(choice: Choice) -> str:
    """The durations that it comes in."""
    if choice.durations:
        return ", ".join(length(seconds) for seconds in choice.durations)
    return f"at most {length(choice.cap)}"


def expected(choice: Choice) -> str:
    """What a reason has to look like; empty where anything will do."""
    return f"Expected: {safe(choice.reason.expected, 240)}." if choice.reason.expected else ""


def asked_for(choice: Choice) -> list[str]:
    """Each input that the requester gives, and what will do; how a line gives it."""
    return [
        f"{safe(shape.titled(name), 60)} (`{safe(name, 40)}=…`): {fitting(shape.expected, 400)}"
        + (f"; {safe(shape.default, 200)} if you give none" if shape.default else "")
        for name, shape in choice.inputs.items()
    ]


def example(choice: Choice) -> str:
    """The line that requests it."""
    seconds = choice.durations[0] if choice.durations else min(choice.cap, 1800)
    reason = f" -- {safe(choice.reason.example, 80) or 'why'}" if choice.reason.required else ""
    given = "".join(f" {name}={_typed(shape.samples[0])}" for name, shape in choice.inputs.items() if not shape.default)
    return f"/jit request {safe(choice.name, 90)}{given} {durations.short(seconds)}{reason}"


def _typed(value: str) -> str:
    """A value as a line gives it; of a key only how it begins."""
    if value == ssh_keys.EXAMPLE:
        return "ssh-ed25519 AAAA…"
    return f'"{safe(value, 75)}"' if " " in value else safe(value, 75)


def requesters(terms: Terms) -> str:
    """Who may request it. A choice of several roles is for those who may ask for each of them."""
    return ", and ".join(dict.fromkeys(_any_of(role) for role in terms.roles))


def _for_others(terms: Terms) -> list[str]:
    """Who may request it for others; nothing where nobody may."""
    if not all(role.for_others_groups for role in terms.roles):
        return []
    each = (" or ".join(f"{code(group, 40)}" for group in role.for_others_groups) for role in terms.roles)
    return [f"Who may request it for others: {', and '.join(dict.fromkeys(each))}; that person has to accept it."]


def _any_of(role: RoleTerms) -> str:
    if EVERYONE in role.requester_groups:
        return "everyone"
    return " or ".join(code(group, 40) for group in role.requester_groups)


def _step(step: Step, names: GroupNames) -> str:
    said = [f"{'one' if step.count == 1 else step.count} of {_named(step.any_of, names)}"]
    said += ["its owners"] if step.owner else []
    if step.skip_if_requester_in:
        skips = " or ".join(code(group, 40) for group in step.skip_if_requester_in)
        said.append(f"not needed if you are in {skips}")
    if step.escalate:
        said.append(f"after {length(step.escalate.after)} also {_named(step.escalate.to, names)}")
    return said[0] if len(said) == 1 else f"{said[0]} ({', '.join(said[1:])})"


def _named(groups: Sequence[str], names: GroupNames) -> str:
    return " or ".join(names.get(group, code(group, 40)) for group in groups)
