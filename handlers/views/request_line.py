"""What the request form says of a typed line that it was filled in from; pure."""

from __future__ import annotations

from collections.abc import Sequence

from slack_sdk.models.blocks import ActionsBlock, Block, ButtonElement, MarkdownTextObject, SectionBlock

from bot.access.parsed_line import Problem, RequestLine
from bot.core.request import Request, State
from bot.policy.catalog import Choice
from handlers.views import action_ids, buttons, for_others
from handlers.views.message import SlackMessage
from handlers.views.text import by_rule, clock, code, length, safe, title, when

_PROBLEMS = {
    Problem.ENDS: "The duration and the end that you typed do not match: choose how long.",
    Problem.UNSURE: "Please check that this is what you meant.",
}
HELLO = "I can request access for you: write it like `debug-prod 30m because INC-42`, or write `list` or `help`."
_MOST = 8
_LONGEST = 1900
"""Characters that a button carries."""


def note(line: RequestLine, candidates: Sequence[Choice], nearest: Sequence[str]) -> str:
    """What was not understood, and what is left to fill in; empty where nothing has to be said."""
    said = []
    if line.unknown:
        words = " and ".join(f'"{safe(each, 80)}"' for each in line.unknown)
        said.append(f"I don't understand {words}.{_near(line, nearest)}{_inputs(line, candidates)} {_left(line)}")
    if len(candidates) > 1:
        names = ", ".join(code(choice.name, 90) for choice in candidates[:_MOST])
        more = f", and {len(candidates) - _MOST} more" if len(candidates) > _MOST else ""
        said.append(f"Which one do you need? You may request {names}{more}; the lowest risk is first.")
    said += [_PROBLEMS[problem] for problem in line.problems if not (line.unknown and problem is Problem.UNSURE)]
    return " ".join(said)


def _left(line: RequestLine) -> str:
    """What the form asks for, where the line did not say it."""
    asked = {
        "choose what you need": len(line.names) != 1,
        "choose how long": line.duration is None,
        "give a reason": not line.reason,
    }
    left = [words for words, missing in asked.items() if missing]
    if not left:
        return "Please check the rest."
    return f"Please {', '.join(left[:-1])}{' and ' if len(left) > 1 else ''}{left[-1]}."


def not_for_others(person: str, typed: str, command: str = "request") -> str:
    """Who may request for whom."""
    again = code(f"/jit {command} {typed}", 213) if typed else f"`/jit {command}`"
    whom = safe(person, 80) if "@" in person else f"<@{safe(person, 30)}>"
    return f"You can only request access for yourself. Ask {whom} to type {again}."


def pick_person(typed: str) -> str:
    """A name says nobody for sure."""
    return f'I don\'t know whose account "{safe(typed, 60)}" is: pick the person below, under "For".'


def requested(made: Request) -> str:
    """What was requested, and what comes next."""
    if made.requested_by:
        return for_others.requested(made)
    until, shortened = clock(made.decide_by), _shortened(made)
    if made.rule:
        starts = "Granting access." if made.is_live else f"Access starts {when(made.starts_at)}."
        asked = f"You requested *{title(made)}* for {length(made.duration)} ({made.id})."
        return f"{asked}{shortened} Approved by {by_rule(made.rule)}. {starts}"
    starts = f" Access starts {when(made.starts_at)}, once approved." if made.starts_at else ""
    asked = f"You requested *{title(made)}* for {length(made.duration)} ({made.id})."
    return f"{asked}{shortened}{starts} If nobody answers by {until}, it expires."


def _shortened(made: Request) -> str:
    """That it is for less time than was asked for, and why."""
    short = made.shortened
    return f" Rule {short.rule} of the policy shortened it from {length(short.asked)}." if short else ""


def next_steps(made: Request) -> list[ButtonElement]:
    """What the requester can do about it now."""
    if made.state not in {State.DRAFT, State.PENDING, State.SCHEDULED}:
        return []
    return [buttons.cancel(made), *buttons.break_glass(made)]


def answer(made: Request) -> SlackMessage:
    """The answer to a line that made a request."""
    said, steps = requested(made), next_steps(made)
    blocks: list[Block] = [SectionBlock(text=MarkdownTextObject(text=said, verbatim=True))]
    blocks += [ActionsBlock(elements=[*steps])] if steps else []
    return SlackMessage(said, [block.to_dict() for block in blocks])


def open_form(typed: str) -> SlackMessage:
    """A button that opens the form of a line that came as a message, filled in."""
    if len(typed) > _LONGEST:
        return SlackMessage(f"This is too long: the maximum is {_LONGEST} characters. Shorten the reason.", [])
    said = "This needs a form. Press the button to open it; what you wrote is filled in."
    button = ButtonElement(
        text="Open the form",
        action_id=action_ids.OPEN_FORM,
        value=typed or " ",
        style="primary",
        accessibility_label="Open the form to request access",
    )
    blocks = [SectionBlock(text=MarkdownTextObject(text=said, verbatim=True)), ActionsBlock(elements=[button])]
    return SlackMessage(said, [block.to_dict() for block in blocks])


def _inputs(line: RequestLine, candidates: Sequence[Choice]) -> str:
    """How an input is written, where something is written as one that is none."""
    names = candidates[0].inputs if len(candidates) == 1 else {}
    if not names or not any("=" in each for each in line.unknown):
        return ""
    return f" Write {' and '.join(f'`{safe(name, 40)}=…`' for name in names)}, each once."


def _near(line: RequestLine, nearest: Sequence[str]) -> str:
    if line.names or not nearest:
        return ""
    return f" Did you mean {' or '.join(code(name, 90) for name in nearest[:2])}?"
