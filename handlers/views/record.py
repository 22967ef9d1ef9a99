"""Pages of the record, for an auditor: what was asked, what fits, what is not sealed yet, and what was not looked at.

Pure. The modal carries its question, so that a page can be turned; whether it may be is judged when that is pressed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from slack_sdk.models.blocks import ActionsBlock, Block, ButtonElement, ContextBlock, MarkdownTextObject
from slack_sdk.models.views import View

from bot.core.model import Request
from bot.record import folding
from bot.record.folding import Holding
from bot.record.looking import Question, Shown
from bot.record.seals import Entry
from handlers.views import actions, modals
from handlers.views.words import safe, when

HEADING = "The record"
_ACCOUNT = re.compile(r"^[UW][A-Z0-9]{1,30}$")
_BLOCK = 2_900
_LATEST = 10_413_792_000.0
_WHY = ("why", "said", "reason", "read", "what", "found", "alarm", "error")
"""What tells most about an event that has it, the first there is."""


def waiting(question: Question) -> View:
    """Before the answer is there."""
    return modals.note(HEADING, f"{_asked(question)}\n:hourglass_flowing_sand: Looking…")


def doubt(why: str) -> str:
    """Why there is no answer."""
    return f":warning: {safe(why, 600)}"


def page(shown: Shown) -> View:
    """The answer."""
    question = shown.question
    lines = [_event(entry, request, shown.sealed) for entry, request in shown.entries]
    lines += [_holding(holding, question.at or 0.0) for holding in shown.holdings]
    blocks: list[Block] = [_small(_asked(question))]
    blocks += [modals.text(some) for some in _joined(lines)] if lines else [modals.text("Nothing fits.")]
    blocks += _turns(shown)
    blocks += [modals.text(doubt(why)) for why in shown.doubts]
    blocks.append(_small(_told(shown)))
    return View(
        type="modal",
        callback_id=actions.RECORD_VIEW,
        private_metadata=question.model_dump_json(exclude_defaults=True),
        title=HEADING,
        close="Close",
        blocks=blocks,
    )


def _asked(question: Question) -> str:
    """The question in words."""
    if question.at is not None:
        said = [f"Who held what at {_time(question.at, '{date_short} {time_secs}')}"]
    elif question.since is not None or question.until is not None:
        ends = [_moment("from", question.since), _moment("to", question.until)]
        said = [f"Events {' '.join(end for end in ends if end)} (`{safe(question.when, 60)}`)"]
    else:
        said = ["Events, the latest first"]
    said += [f"person {_by(question.person)}"] if question.person else []
    names = ("system", "role", "request", "kind")
    said += [f"{name} `{safe(value, 90)}`" for name in names if (value := getattr(question, name))]
    return " · ".join(said)


def _moment(word: str, at: float | None) -> str:
    return "" if at is None else f"{word} {_time(at, '{date_short} {time}')}"


def _event(entry: Entry, request: Request | None, sealed: int) -> str:
    """One line; what is not sealed yet can still be changed by whoever holds Redis, so it says so."""
    words = [f"*{entry.seq:,}* {_time(entry.at, '{date_short} {time_secs}')} *{safe(entry.kind, 40)}*"]
    by = folding.by(entry)
    words += [f"by {_by(by)}"] if by else []
    if request:
        words.append(f"{request.id} {safe(request.asker.email, 80)} {safe(request.what, 90)}")
    elif about := folding.about(entry):
        words.append(f"`{safe(about, 90)}`")
    facts = folding.facts(entry)
    why = next((str(facts[name]) for name in _WHY if isinstance(facts.get(name), str) and facts[name]), "")
    words += [safe(why, 120)] if why else []
    words += ["_not sealed yet_"] if entry.seq > sealed else []
    return " · ".join(words)


def _time(at: float, form: str) -> str:
    """A moment; one that no calendar has, which only an intruder writes, as its number."""
    return when(at, form) if 0 <= at < _LATEST else f"`{at:.6g}`"


def _holding(holding: Holding, at: float) -> str:
    sure = holding.opened_at is not None and holding.opened_at <= at
    since = _time(holding.opened_at if sure and holding.opened_at else holding.tried_at, "{date_short} {time_secs}")
    until = f" to {_time(holding.closed_at, '{date_short} {time_secs}')}" if holding.closed_at else ", still open"
    held = f"{'held' if sure else 'may have held'} `{safe(holding.system, 40)}/{safe(holding.role, 40)}`"
    return f"*{safe(holding.identity, 80)}* {held} · {since}{until} · {safe(holding.id, 12)}"


def _by(who: str) -> str:
    """An account as Slack shows it; anything else word for word."""
    return f"<@{who}>" if _ACCOUNT.match(who) else f"`{safe(who, 90)}`"


def _turns(shown: Shown) -> list[Block]:
    buttons = []
    if shown.question.pages:
        buttons.append(
            ButtonElement(action_id=actions.NEWER, text=_turn(shown, "Newer", "Before these"), value="newer")
        )
    if shown.more is not None:
        older = _turn(shown, "Older", "After these")
        buttons.append(ButtonElement(action_id=actions.OLDER, text=older, value=str(shown.more)))
    return [ActionsBlock(elements=buttons)] if buttons else []


def _turn(shown: Shown, of_events: str, of_roles: str) -> str:
    return of_events if shown.question.at is None else of_roles


def _told(shown: Shown) -> str:
    """How much of it this is, how far it is sealed, and that it is recorded who looks."""
    if shown.question.at is not None:
        first = (shown.question.pages[-1] if shown.question.pages else 0) + 1
        some = f"{first:,} to {first + len(shown.holdings) - 1:,} of " if shown.holdings else ""
        said = [f"Roles {some}{shown.held:,} that were held then, or may have been."]
    else:
        numbers = shown.read
        said = [f"Events {numbers['first']:,} to {numbers['last']:,}, those that fit."] if shown.entries else []
    said.append(f"Sealed up to {shown.sealed:,}." if shown.sealed else "Nothing is sealed yet.")
    if shown.tail:
        after = "1 event after it is" if shown.tail == 1 else f"{shown.tail:,} events after it are"
        said.append(f"{after} not sealed yet, and looked at too.")
    return " ".join([*said, "That you look at this is on the record."])


def _joined(lines: Iterable[str]) -> Iterable[str]:
    """As many lines together as a block holds."""
    block = ""
    for line in lines:
        bullet = f"• {line[: _BLOCK - 2]}"
        if block and len(block) + len(bullet) + 1 > _BLOCK:
            yield block
            block = ""
        block += f"\n{bullet}" if block else bullet
    yield block


def _small(words: str) -> ContextBlock:
    return ContextBlock(elements=[MarkdownTextObject(text=words[:2_000], verbatim=True)])
