"""What concerns one person, as a modal (bare `/jit`) and as their Home tab; pure, and each press is judged again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    HeaderBlock,
    MarkdownTextObject,
    SectionBlock,
)
from slack_sdk.models.views import View

from bot.books import Mine
from bot.core.catalog import Choice
from bot.core.lockdown import Lock
from bot.core.model import Request, State
from handlers.views import actions
from handlers.views.card import later_end
from handlers.views.showing import decide_block, own_buttons
from handlers.views.stopping import banner
from handlers.views.terms import how_long
from handlers.views.words import length, safe, standing, title, when, who

Drawn = Block | dict[str, Any]

_MOST_OPEN = 8
_MOST_WAITING = 10
_MOST_ASKED = 10
_LAST = 3
_TEMPLATES = 5


def overview(mine: Mine) -> View:
    """The modal of bare `/jit`."""
    return View(
        type="modal",
        callback_id=actions.OVERVIEW_VIEW,
        title="Your access",
        close="Close",
        blocks=[
            *_stopped(mine.locks),
            *_open(mine.open, mine.secrets),
            *_asked("Asked for last", mine.asked[:_LAST]),
            *_ways(mine.offers),
        ],
    )


def home(mine: Mine) -> View:
    """The Home tab."""
    return View(
        type="home",
        callback_id=actions.HOME_VIEW,
        blocks=[
            *_stopped(mine.locks),
            *_waiting(mine.waiting),
            *_open(mine.open, mine.secrets),
            *_ways(mine.offers),
            *_asked("Your last week", mine.asked[:_MOST_ASKED]),
        ],
    )


def refused(text: str) -> View:
    """A Home tab for somebody for whom there is nothing here; the sentence says why."""
    return View(type="home", callback_id=actions.HOME_VIEW, blocks=[_section(text)])


def _stopped(locks: Sequence[Lock]) -> list[Drawn]:
    """That nothing new is opened, before anything else."""
    return [_section(banner(locks))] if locks else []


def _waiting(requests: Sequence[Request]) -> list[Drawn]:
    """What waits for this person's answer."""
    blocks: list[Drawn] = [HeaderBlock(text="Waiting for you")]
    for request in requests[:_MOST_WAITING]:
        blocks += [_section(_wish(request)), *decide_block(request)]
    return [*blocks, *_rest(len(requests), _MOST_WAITING, "Nothing waits for you.")]


def _wish(request: Request) -> str:
    """What somebody wants: access, or a later end of it."""
    if request.extension and request.state is State.ACTIVE:
        return f"{who(request.asker)} has *{title(request)}* ({request.id})\n{later_end(request.extension, 'You')}"
    asks = f"{who(request.asker)} asks for *{title(request)}* for {length(request.duration)} ({request.id})"
    reason = safe(request.reason, 300)
    return "\n".join(line for line in (asks, f"> {reason}" if reason else "", f"_{standing(request)}_") if line)


def _open(requests: Sequence[Request], secrets: frozenset[str]) -> list[Block]:
    """What this person has open or has asked for."""
    blocks: list[Block] = [HeaderBlock(text="What you have")]
    for request in requests[:_MOST_OPEN]:
        blocks.append(
            _section(f"*{title(request)}* for {length(request.duration)} ({request.id})\n{standing(request)}")
        )
        buttons = own_buttons(request, secret=request.id in secrets)
        if buttons:
            blocks.append(ActionsBlock(block_id=f"mine:{request.id}", elements=list(buttons)))
    return [*blocks, *_rest(len(requests), _MOST_OPEN, "Nothing is open.")]


def _asked(heading: str, requests: Iterable[Request]) -> list[Block]:
    """What this person asked for before, to be asked for again."""
    blocks: list[Block] = [HeaderBlock(text=heading)]
    for request in requests:
        said = f"*{title(request)}* for {length(request.asked)}, {when(request.created_at)} · {standing(request)}"
        reason = safe(request.reason, 150)
        again = _button("Again", actions.AGAIN, request.id)
        blocks.append(_section(f"{said}\n> {reason}" if reason else said, f"asked:{request.id}", again))
    if len(blocks) == 1:
        blocks.append(_note("Nothing yet."))
    return blocks


def _ways(offers: Sequence[Choice]) -> list[Block]:
    """The ways to ask: the templates first, and the form for all the rest."""
    blocks: list[Block] = [HeaderBlock(text="Ask for access")]
    if not offers:
        return [*blocks, _note("There is nothing here that you may ask for.")]
    for choice in [choice for choice in offers if "/" not in choice.name][:_TEMPLATES]:
        ask = _button("Ask…", actions.TEMPLATE, choice.name)
        blocks.append(_section(f"*{safe(choice.title, 80)}* · {how_long(choice)}", f"template:{choice.name}", ask))
    form = _button("Request access…", actions.REQUEST, "any", style="primary")
    return [*blocks, ActionsBlock(block_id="ways", elements=[form])]


def _rest(there: int, most: int, none: str) -> list[Block]:
    if not there:
        return [_note(none)]
    return [_note(f"… and {there - most} more: `/jit list`")] if there > most else []


def _section(text: str, block_id: str | None = None, button: ButtonElement | None = None) -> SectionBlock:
    words = MarkdownTextObject(text=text[:3000], verbatim=True)
    return SectionBlock(text=words, block_id=block_id, accessory=button)


def _note(text: str) -> ContextBlock:
    return ContextBlock(elements=[MarkdownTextObject(text=text, verbatim=True)])


def _button(text: str, action: str, value: str, *, style: str | None = None) -> ButtonElement:
    return ButtonElement(text=text, action_id=action, value=value, style=style)
