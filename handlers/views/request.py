"""One request, shown to one person who may read it: the card, with the buttons that are theirs; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slack_sdk.models.blocks import ActionsBlock, ButtonElement, MarkdownTextObject, SectionBlock

from bot.access.track_record import TrackRecord
from bot.core.request import Request
from handlers.views import connect, status
from handlers.views.card import DECIDE, card
from handlers.views.for_others import requested_by_buttons
from handlers.views.message import Needed, SlackMessage


@dataclass(frozen=True)
class Reader:
    """What the person before whom it is shown may do with it at this moment; each press is judged again."""

    asked: bool = False
    requested_by: bool = False
    """Whether they requested it for somebody else."""
    acts: bool = False
    """Whether the approvers' buttons are for them."""
    secret: bool = False
    """Whether there is a password to be shown."""


def shown(
    request: Request, needed: Needed, reader: Reader, site: str = "", earlier: TrackRecord | None = None
) -> SlackMessage:
    """The request as it is now."""
    message = card(request, needed, site, earlier)
    buttons = own_buttons(request, secret=reader.secret) if reader.asked else []
    buttons += requested_by_buttons(request) if reader.requested_by else []
    own = [_section(words).to_dict() for words in connect.ways(request, secret=reader.secret) if reader.asked]
    own += [ActionsBlock(block_id="mine", elements=list(buttons)).to_dict()] if buttons else []
    blocks = [block for block in message.blocks if not _decides(block) or _acts(reader)]
    return SlackMessage(message.text, [*blocks[:-1], *own, *blocks[-1:]])


def decide_blocks(request: Request) -> list[dict[str, Any]]:
    """The approvers' buttons, as the card has them, for a view that shows several requests."""
    drawn = card(request, Needed()).blocks
    return [{**block, "block_id": f"{block['block_id']}:{request.id}"} for block in drawn if _decides(block)]


def _decides(block: Mapping[str, Any]) -> bool:
    return str(block.get("block_id", "")).startswith(DECIDE)


def own_buttons(request: Request, *, secret: bool) -> list[ButtonElement]:
    """What the requester may do."""
    return list(status.of(request).own_buttons(request, secret))


def _section(words: str) -> SectionBlock:
    return SectionBlock(text=MarkdownTextObject(text=words, verbatim=True))


def _acts(reader: Reader) -> bool:
    return reader.acts and not (reader.asked or reader.requested_by)
