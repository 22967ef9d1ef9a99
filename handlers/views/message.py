"""What is posted, as its blocks and its plain text, and the parts that most messages are made of; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    MarkdownTextObject,
    SectionBlock,
)

from bot.policy.approval_progress import ApprovalProgress
from handlers.views.text import code

LOCK_SCREEN = 150
"""Characters of a message's ``text`` that a phone shows before it is unlocked."""
_LONGEST = 3_000
"""Characters of a section; see Slack's reference of blocks."""
_PIECE = re.compile(r"<[^<>]*>|&(?:amp|lt|gt);|:[a-z0-9_+-]+:|.")
"""What is not to be cut in two: a mention, a link or a date; an escaped sign; an emoji; any other character."""
_ISOLATE, _END_ISOLATE = "\u2068", "\u2069"


@dataclass(frozen=True)
class SlackMessage:
    """What is posted: blocks, and the sentence that a lock screen shows; what does not fit there is in the blocks."""

    text: str
    blocks: list[dict[str, Any]]

    def __post_init__(self) -> None:
        """A text that is too long for a lock screen is shortened, and a message that is nothing else is a block too."""
        if not self.blocks and len(self.text) <= LOCK_SCREEN:
            return
        object.__setattr__(self, "blocks", self.blocks or [section(self.text).to_dict()])
        object.__setattr__(self, "text", lock_screen(self.text))


@dataclass(frozen=True)
class EscalatedStep:
    """A step that escalated and is still open: how many it needs, its own groups by name, who else may approve now."""

    missing: int
    own: str
    to: str


@dataclass(frozen=True)
class Needed:
    """The approvals that can be given now, a step each: who may give them, as mentions, and how many."""

    steps: tuple[tuple[str, int], ...] = ()
    note: str = ""
    """What else there is to say of how the approvers were notified."""
    given: Mapping[str, str] = field(default_factory=dict)
    """For which step each approval counts, by the approver's account; empty where there is only one step."""
    others: Mapping[int, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    """On one of several cards: what the roles of the others still need, by leg. ``steps`` is then this card's part."""
    later: int = 0
    """How many approvals are needed after those: of steps that are not open yet."""
    ladder: tuple[str, ...] = ()
    """Every step of a role and what it has, a line for each role that has more than one; see `ladder.py`."""
    escalated: Mapping[tuple[str, int], EscalatedStep] = field(default_factory=dict)
    """The steps that escalated, by role and place."""

    @property
    def missing(self) -> int:
        """Approvals, those of later steps included."""
        return sum(count for _, count in self.steps) + self.later

    def __str__(self) -> str:
        """``1 approval from @dba``; ``2 approvals: one from @dba, one from @Sam or @Kim``; ``…, then 1 more``."""
        return f"{approvals(self.steps)}{f', then {self.later} more' if self.later else ''}"


def approvals(steps: Sequence[tuple[str, int]]) -> str:
    """How many approvals, and from whom."""
    missing = sum(count for _, count in steps)
    counted = "1 approval" if missing == 1 else f"{missing} approvals"
    if len(steps) == 1:
        return f"{counted} from {steps[0][0] or 'nobody who is here'}"
    each = [f"{'one' if count == 1 else count} from {who or 'nobody who is here'}" for who, count in steps]
    return f"{counted}: {', '.join(each)}" if each else counted


def lock_screen(text: str, most: int = LOCK_SCREEN) -> str:
    """The beginning of a text in one line: whole words, no mark-up cut in two, and without signs for bold or code."""
    line = " ".join(re.sub(r"[*`]", "", text).split())
    if len(line) <= most:
        return line
    kept: list[str] = []
    for piece in _PIECE.findall(line):
        # Two more: for the "…", and for the end of writing from right to left.
        if len("".join(kept)) + len(piece) > most - 2:
            break
        kept.append(piece)
    while kept[-1] != " " and len("".join(kept)) > most // 2 and not kept[-1].startswith("<"):
        kept.pop()
    text = "".join(kept).rstrip()
    return text + _END_ISOLATE * (text.count(_ISOLATE) - text.count(_END_ISOLATE)) + "…"


def given(progress: ApprovalProgress) -> dict[str, str]:
    """For which step each approval counts, by account; the groups are named, not mentioned: they need do nothing."""
    if len({*(groups for _, groups in progress.given), *(step.any_of for step in progress.open)}) < 2:
        return {}
    found: dict[str, dict[str, None]] = {}
    for user, groups in progress.given:
        found.setdefault(user, {})[" or ".join(code(group, 40) for group in groups)] = None
    return {user: " and ".join(steps) for user, steps in found.items()}


def section(text: str) -> SectionBlock:
    """A paragraph; the end of one that is too long says that there is more."""
    whole = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return SectionBlock(text=MarkdownTextObject(text=whole, verbatim=True))


def paragraphs(text: str, offered: Sequence[ButtonElement] = (), more: Sequence[str] = ()) -> SlackMessage:
    """The text, which a lock screen shows, then what is only read in Slack, then the buttons."""
    blocks: list[Block] = [
        SectionBlock(text=MarkdownTextObject(text=words[:3000], verbatim=True)) for words in (text, *more)
    ]
    if offered:
        blocks.append(ActionsBlock(block_id="mine", elements=list(offered)))
    return SlackMessage(text, [block.to_dict() for block in blocks])


def context(text: str) -> ContextBlock:
    return ContextBlock(elements=[MarkdownTextObject(text=text, verbatim=True)])


def warning(text: str) -> SlackMessage:
    """A sentence that cannot be overlooked."""
    return SlackMessage(text, [section(f":rotating_light: *{text}*").to_dict()])
