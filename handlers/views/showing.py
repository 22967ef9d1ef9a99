"""One request, shown to one person who may read it: the card, with the buttons that are theirs; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slack_sdk.models.blocks import ActionsBlock, ButtonElement, MarkdownTextObject, SectionBlock

from bot.core.model import Request, State
from handlers.views import actions, connecting, later
from handlers.views.card import Message, Needed, card

DECIDE = "decide"
"""The block of a card that has the buttons of those who decide."""


@dataclass(frozen=True)
class Reader:
    """What the person before whom it is shown may do with it at this moment; each press is judged again."""

    asked: bool = False
    acts: bool = False
    """Whether the buttons of those who decide are for them."""
    secret: bool = False
    """Whether there is a password to be shown."""


def shown(request: Request, needed: Needed, reader: Reader, site: str = "") -> Message:
    """The request as it stands now."""
    message = card(request, needed, site)
    buttons = own_buttons(request, secret=reader.secret) if reader.asked else []
    own = [_section(words).to_dict() for words in connecting.ways(request, secret=reader.secret) if reader.asked]
    own += [ActionsBlock(block_id="mine", elements=list(buttons)).to_dict()] if buttons else []
    blocks = [block for block in message.blocks if block.get("block_id") != DECIDE or _acts(reader)]
    return Message(message.text, [*blocks[:-1], *own, *blocks[-1:]])


def decide_block(request: Request) -> list[dict[str, Any]]:
    """The buttons of those who decide, as its card has them, for a view that shows several."""
    drawn = card(request, Needed("", 0)).blocks
    return [{**block, "block_id": f"{DECIDE}:{request.id}"} for block in drawn if block.get("block_id") == DECIDE]


def own_buttons(request: Request, *, secret: bool) -> list[ButtonElement]:
    """What who asked may do."""
    match request.state:
        case State.PENDING | State.SCHEDULED:
            return [_button("Take it back", actions.CANCEL, request)]
        case State.ACTIVE:
            show = [_button("Show the password", actions.REVEAL, request)] if secret else []
            extend = [_button("Extend…", actions.EXTEND, request)] if later.possible(request) else []
            return [*show, *extend, _button("I'm done", actions.RELEASE, request)]
        case State.GRANTING:
            return [_button("I'm done", actions.RELEASE, request)]
        case _:
            return []


def _section(words: str) -> SectionBlock:
    return SectionBlock(text=MarkdownTextObject(text=words, verbatim=True))


def _acts(reader: Reader) -> bool:
    return reader.acts and not reader.asked


def _button(text: str, action: str, request: Request) -> ButtonElement:
    extra: dict[str, Any] = {"style": "primary"} if action == actions.RELEASE else {}
    return ButtonElement(text=text, action_id=action, value=request.id, **extra)
