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

from bot.access.read import Overview
from bot.core.lockdown import Lock
from bot.core.request import Request
from bot.policy.catalog import Choice
from handlers.views import action_ids, for_others, status
from handlers.views.buttons import button
from handlers.views.card import consequence
from handlers.views.delegation import listed
from handlers.views.extension import extension_status
from handlers.views.lockdown import banner
from handlers.views.message import Needed
from handlers.views.request import decide_blocks, own_buttons
from handlers.views.role_terms import how_long
from handlers.views.text import (
    OPEN_CARD,
    by_whom,
    fitting,
    lasts,
    length,
    linked_as,
    message_link,
    risk,
    safe,
    sensitivity,
    tappable,
    title,
    when,
)

Drawn = Block | dict[str, Any]

_MOST_OPEN = 8
_MOST_WAITING = 10
_MOST_ASKED = 10
_LAST = 3
_TEMPLATES = 5


def overview(mine: Overview) -> View:
    """The modal of bare `/jit`."""
    return View(
        type="modal",
        callback_id=action_ids.OVERVIEW_VIEW,
        title="Your access",
        close="Close",
        blocks=[
            *_stopped(mine.locks),
            *_stand_ins(mine),
            *_open(mine.open, mine.secrets),
            *_requested_for_others(mine.requested_for_others),
            *_asked("Recent requests", mine.recent[:_LAST]),
            *_ways(mine.offers),
        ],
    )


def home(mine: Overview, site: str = "", said: str = "") -> View:
    """The Home tab. ``site``: the workspace's own address; ``said``: what came of what was pressed here just now."""
    return View(
        type="home",
        callback_id=action_ids.HOME_VIEW,
        blocks=[
            *([_section(said)] if said else []),
            *_stopped(mine.locks),
            *_stand_ins(mine),
            *_waiting(mine, site),
            *_open(mine.open, mine.secrets),
            *_requested_for_others(mine.requested_for_others),
            *_ways(mine.offers),
            *_asked("Your requests this week", mine.recent[:_MOST_ASKED]),
        ],
    )


def refused(text: str) -> View:
    """A Home tab for somebody for whom there is nothing here; the sentence says why."""
    return View(type="home", callback_id=action_ids.HOME_VIEW, blocks=[_section(text)])


def _stopped(locks: Sequence[Lock]) -> list[Drawn]:
    """Lockdowns, before anything else."""
    return [_section(banner(locks))] if locks else []


def _stand_ins(mine: Overview) -> list[Drawn]:
    """Who stands in for this person, and for whom they stand in."""
    said = listed(mine.delegations)
    return [_note(said)] if said else []


def _waiting(mine: Overview, site: str) -> list[Drawn]:
    """What waits for this person to approve or deny."""
    blocks: list[Drawn] = [HeaderBlock(text="Waiting for you")]
    for request in mine.waiting[:_MOST_WAITING]:
        card = mine.cards.get(request.id)
        link = message_link(site, card.channel, card.ts) if card else ""
        blocks += [_section(_summary(request, site, link)), *decide_blocks(request)]
    return [*blocks, *_rest(len(mine.waiting), _MOST_WAITING, "Nothing is waiting for you.")]


def _summary(request: Request, site: str, link: str) -> str:
    """What somebody requests: access, or an extension of it; how risky that is, and where its card is."""
    levels = f"{risk(sensitivity(request))}{f' · {linked_as(link, OPEN_CARD)}' if link else ''}"
    person = tappable(request.requester, site)
    if request.extension and request.is_active:
        has = f"{person} has *{title(request)}* ({request.id})"
        return f"{has}\n{levels}\n{extension_status(request, Needed())}"
    asks = f"{person} requests *{title(request)}* for {length(request.duration)} ({request.id})"
    reason = fitting(request.reason, 500)
    lines = (
        asks,
        by_whom(request),
        levels,
        f"> {reason}" if reason else "",
        consequence(request, 1_200),
        f"_{status.label(request)}_",
    )
    return "\n".join(line for line in lines if line)


def _open(requests: Sequence[Request], secrets: frozenset[str]) -> list[Block]:
    """This person's active access and open requests."""
    blocks: list[Block] = [HeaderBlock(text="Your access")]
    for request in requests[:_MOST_OPEN]:
        said = f"*{title(request)}* for {lasts(request)} ({request.id})\n{status.label(request)}"
        blocks.append(_section("\n".join(line for line in (said, by_whom(request)) if line)))
        buttons = own_buttons(request, secret=request.id in secrets)
        if buttons:
            blocks.append(ActionsBlock(block_id=f"mine:{request.id}", elements=list(buttons)))
    return [*blocks, *_rest(len(requests), _MOST_OPEN, "You have no active access and no open requests.")]


def _requested_for_others(requests: Sequence[Request]) -> list[Block]:
    """What this person requested for others; nothing where that is nothing."""
    blocks: list[Block] = [HeaderBlock(text="Requested for others")] if requests else []
    for request in requests[:_MOST_OPEN]:
        blocks.append(_section(for_others.summary(request)))
        if offered := for_others.requested_by_buttons(request):
            blocks.append(ActionsBlock(block_id=f"filed:{request.id}", elements=list(offered)))
    return [*blocks, *(_rest(len(requests), _MOST_OPEN, "") if requests else [])]


def _asked(heading: str, requests: Iterable[Request]) -> list[Block]:
    """What this person requested before, to request it again."""
    blocks: list[Block] = [HeaderBlock(text=heading)]
    for request in requests:
        said = f"*{title(request)}* for {length(request.asked)}, {when(request.created_at)} · {status.label(request)}"
        reason = safe(request.reason, 150)
        again = button("Request again", action_ids.AGAIN, request.id, f"Request again: {request.title}, {request.id}")
        blocks.append(_section(f"{said}\n> {reason}" if reason else said, f"asked:{request.id}", again))
    if len(blocks) == 1:
        blocks.append(_note("No requests yet."))
    return blocks


def _ways(offers: Sequence[Choice]) -> list[Block]:
    """The ways to request access: the templates first, and the form for all the rest."""
    blocks: list[Block] = [HeaderBlock(text="Request access")]
    if not offers:
        return [*blocks, _note("There is nothing here that you may request.")]
    templates = [choice for choice in offers if "/" not in choice.name]
    for choice in templates[:_TEMPLATES]:
        ask = button("Request…", action_ids.TEMPLATE, choice.name, f"Request {choice.title}")
        names = ", ".join(safe(shape.titled(name), 60) for name, shape in choice.inputs.items())
        said = f"*{safe(choice.title, 80)}* · {how_long(choice)}{f' · asks for {names}' if names else ''}"
        blocks.append(_section(said, f"template:{choice.name}", ask))
    if len(templates) > _TEMPLATES:
        blocks.append(_note(f"… and {len(templates) - _TEMPLATES} more templates in the form:"))
    form = button("Request access…", action_ids.REQUEST, "any", "Open the request form", style="primary")
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
