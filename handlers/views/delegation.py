"""Who stands in for whom, as people read it: the answer to the command, the notification to both, the lists; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.access.delegate import OwnDelegations
from bot.core.delegation import Delegation, same_person
from bot.core.request import Person
from handlers.views.message import SlackMessage
from handlers.views.text import code, name, safe, when

EXAMPLES = "`/jit delegate @kim until monday`, `/jit delegate @kim for 3 days` or `… until 2026-12-24 18:00`"
NOBODY = f"Nobody stands in for you, and you stand in for nobody. To name somebody: {EXAMPLES}."
NONE = "Nobody stands in for you, so there is nothing to end."
CANNOT = "That account can't stand in: guests, apps and deactivated accounts approve nothing. Name a full member."


def named(delegation: Delegation, groups: Sequence[str]) -> str:
    """To the approver who named a stand-in."""
    who, where = name(delegation.stand_in), " and ".join(code(group, 40) for group in groups)
    return (
        f"{who} stands in for you in {where} until {when(delegation.until)}. You can still approve; the two of "
        f"you count once. {who} gets a message. To end it: `/jit delegate off`."
    )


def ended(delegation: Delegation) -> str:
    """To the approver who ended it."""
    return f"{name(delegation.stand_in)} no longer stands in for you, and gets a message."


def not_understood(typed: str) -> str:
    """A line that says no time, or none that is to come."""
    return f'I don\'t understand until when: "{safe(typed, 60)}". Try {EXAMPLES}.'


def listed(own: OwnDelegations) -> str:
    """The delegations that concern a person, a line each; empty where there are none."""
    return "\n".join(_line(delegation, own.person) for delegation in own.each if own.person)


def _line(delegation: Delegation, reader: Person) -> str:
    until = when(delegation.until)
    if same_person(delegation.person, reader):
        return f":busts_in_silhouette: {name(delegation.stand_in)} stands in for you until {until}."
    return f":busts_in_silhouette: You stand in for {name(delegation.person)} until {until}."


def notified(fields: Mapping[str, Any], user: str) -> SlackMessage:
    """To one of the two: that it began, or ended."""
    approver, other = safe(str(fields.get("name")), 80), safe(str(fields.get("stand_in_name")), 80)
    mine, until = user == fields.get("person"), when(_seconds(fields.get("until")))
    if "why" not in fields:
        if mine:
            return SlackMessage(f"{other} stands in for you until {until}. If that is wrong: `/jit delegate off`.", [])
        return SlackMessage(
            f"You stand in for {approver} until {until}: you can approve and deny what waits for {approver}'s groups, "
            f"and count as {approver} there. You can't approve {approver}'s own requests, nor {approver} yours.",
            [],
        )
    over = f"{other} no longer stands in for you" if mine else f"You no longer stand in for {approver}"
    return SlackMessage(f"{over}{_why(fields)}.", [])


def _why(fields: Mapping[str, Any]) -> str:
    by = str(fields.get("by"))
    match fields.get("why"):
        case "expired":
            return ": the time is up"
        case "deactivated":
            return ": one of the two accounts is deactivated"
        case "replaced":
            return ": somebody else does now"
        case _:
            return f": {safe(by, 80)} ended it" if by.startswith("cli:") else ""


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
