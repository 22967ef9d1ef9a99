"""Who could approve, and who of them can be reached now, in words; pure. What is not known is said to be unknown.

It decides nothing: whoever is away or has notifications off may approve all the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slack_sdk.models.blocks import MarkdownTextObject, SectionBlock

from bot.core.request import Request
from handlers.views.message import SlackMessage
from handlers.views.text import OPEN_CARD, linked_as, safe, title, until

GroupNames = Mapping[str, str]
"""Each group as people read it: a mention, or its name."""
_NAMED, _FEWEST_NAMED = 12, 4
"""People who are named, of all steps, and of each step at least."""


@dataclass(frozen=True)
class SlackPresence:
    """What Slack says of one person now; None for what it does not say.

    ``muted_until``: Unix seconds until which notifications are off; 0 where they are on, infinity without an end.
    """

    active: bool | None = None
    muted_until: float | None = None

    @property
    def reachable(self) -> bool | None:
        """Whether they are active, and notifications are not known to be off; None where that is not known."""
        return False if self.muted_until else self.active


@dataclass(frozen=True)
class Candidate:
    """A person who could approve. ``name`` is empty where Slack did not tell who it is."""

    id: str
    name: str = ""
    presence: SlackPresence = SlackPresence()


@dataclass(frozen=True)
class StepReach:
    """The people of an approval step: ``count`` of them have to approve. ``more``: how many were not looked up."""

    groups: tuple[str, ...]
    count: int
    people: tuple[Candidate, ...]
    more: int = 0

    @property
    def reachable(self) -> int:
        """How many can surely be reached."""
        return sum(person.presence.reachable is True for person in self.people)

    @property
    def unknown(self) -> int:
        """Of how many Slack does not say it."""
        return sum(person.presence.reachable is None for person in self.people)

    @property
    def nobody(self) -> bool:
        """Whether nobody can be reached, as far as is known; False where nothing is known."""
        return not self.reachable and self.unknown < len(self.people)


def counted(step: StepReach, of: str = "") -> str:
    """``1 of 2 approvers can be reached now``. ``of``: whose approvers they are."""
    looked_up = len(step.people)
    if not looked_up:
        return f"nobody{of} is known to be an active approver now"
    if step.unknown == looked_up:
        everybody = looked_up + step.more
        return f"Slack does not say who of the {everybody} {_noun(everybody)}{of} can be reached now"
    doubts = [f"{step.unknown} unknown"] if step.unknown else []
    doubts += [f"{step.more} not looked up"] if step.more else []
    more = f" ({', '.join(doubts)})" if doubts else ""
    return f"{step.reachable} of {looked_up} {_noun(looked_up)}{of} can be reached now{more}"


def by_name(step: StepReach, now: float, most: int = _NAMED) -> str:
    """The people by name, those who can be reached first; of very many the first few."""
    ranks = {True: 0, None: 1, False: 2}
    people = sorted(step.people, key=lambda person: (ranks[person.presence.reachable], person.name.casefold()))
    names = [f"{_name(person)}{_state(person.presence, now)}" for person in people[:most]]
    left = len(people) - len(names) + step.more
    return f"{', '.join(names)}{f' and {left} more' if left else ''}"


def explained(steps: Sequence[StepReach], names: GroupNames, now: float) -> list[str]:
    """A line for each step: who can be reached now, and everybody by name."""
    lines, most = [], max(_FEWEST_NAMED, _NAMED // max(1, len(steps)))
    for step in steps:
        of = _of(step, steps, names)
        people = by_name(step, now, most)
        lines.append(f"• {_capital(counted(step, of))}{f': {people}' if people else ''}")
    if any(person.presence == SlackPresence(person.presence.active) for step in steps for person in step.people):
        lines.append("Slack does not say whether everybody's notifications are on.")
    return lines


def reachable_approvers(
    request: Request, steps: Sequence[StepReach], names: GroupNames, helps: Sequence[str], link: str
) -> str:
    """To the requester, once the request is recorded. ``helps``: what else can be done where nobody can be reached."""
    said = "; ".join(counted(step, _of(step, steps, names)) for step in steps)
    parts = [f"{_capital(said)}." if said else "", linked_as(link, OPEN_CARD) if link else ""]
    line = " ".join(part for part in parts if part)
    if not any(step.nobody for step in steps):
        return line
    remind = f"`/jit remind {request.id}` reminds the approvers"
    return f"{line}\nWhat you can do: {'; '.join([*helps, remind])}."


def helps(channels: Sequence[str], on_call: Sequence[str], operators: Sequence[str]) -> list[str]:
    """What can be done where no approver can be reached. The groups are as `names` has them."""
    said = [f"ask in {' or '.join(f'<#{channel}>' for channel in channels)}"] if channels else []
    said += [f"call whoever is on call ({' or '.join(on_call)})"] if on_call else []
    return said + ([f"ask an operator who else can approve ({' or '.join(operators)})"] if operators else [])


def message(request: Request, text: str) -> SlackMessage:
    """What was told, as a message that says of which request."""
    text = f"*{title(request)}* ({request.id}): {text}"
    block = SectionBlock(text=MarkdownTextObject(text=text[:3000], verbatim=True))
    return SlackMessage(text, [block.to_dict()])


def _groups(any_of: Sequence[str], names: GroupNames) -> str:
    """The groups of a step."""
    return " or ".join(names.get(group, safe(group, 40)) for group in any_of)


def _of(step: StepReach, steps: Sequence[StepReach], names: GroupNames) -> str:
    """Whose approvers, where there are several steps."""
    return "" if len(steps) == 1 else f" of {_groups(step.groups, names)}"


def _noun(count: int) -> str:
    return "approver" if count == 1 else "approvers"


def _name(person: Candidate) -> str:
    return safe(person.name, 60) if person.name else f"<@{person.id}>"


def _state(presence: SlackPresence, now: float) -> str:
    if presence.muted_until:
        end = (
            ""
            if math.isinf(presence.muted_until)
            else f" until {until(presence.muted_until, presence.muted_until - now)}"
        )
        return f" (do not disturb{end})"
    return {True: "", False: " (away)", None: " (unknown)"}[presence.active]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
