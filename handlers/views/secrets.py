"""The modals with a password: of which role, and the password itself; pure, and a message never has one."""

from __future__ import annotations

from collections.abc import Sequence

from slack_sdk.models.blocks import Block, MarkdownTextObject, SectionBlock
from slack_sdk.models.views import View

from bot.core.request import Leg, Request
from handlers.views import action_ids, modals
from handlers.views.buttons import button
from handlers.views.text import safe, title
from providers.systems.base import Secret


def choose(request: Request, legs: Sequence[Leg]) -> View:
    """Of which role: each has a password of its own, and showing one leaves the others as they are."""
    said = "Each role has a password of its own. Showing one creates a new one, and only its old one stops working."
    blocks: list[Block] = [modals.text(f"*{title(request)}* ({request.id})\n{said}")]
    for leg in legs:
        label = f"Show password {request.id}, {leg.role.title}"
        show = button("Show password", action_ids.REVEAL, f"{request.id} {leg.n + 1}", label)
        words = MarkdownTextObject(text=safe(leg.role.title, 120), verbatim=True)
        blocks.append(SectionBlock(block_id=f"secret:{leg.n}", text=words, accessory=show))
    return View(type="modal", callback_id=action_ids.SECRETS_VIEW, title="Your access", close="Close", blocks=[*blocks])


def secret(request: Request, shown: Secret) -> View:
    """The secret, to the one person it belongs to; Slack keeps no copy of a modal in any channel."""
    password = shown.password.get_secret_value().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    lines = [
        f"*{_of(request)}* ({request.id})",
        f"User\n```{safe(shown.username, 200)}```",
        f"Password\n```{password}```",
    ]
    if shown.how:
        lines.append(f"Connect\n```{safe(shown.how, 1000)}```")
    lines.append("Showing it again creates a new password. This one then stops working.")
    return View(
        type="modal",
        callback_id=action_ids.NOTE_VIEW,
        title="Your access",
        close="Close",
        blocks=[modals.text(each) for each in lines],
    )


def _of(request: Request) -> str:
    """What the secret is for: of several roles, the one that was asked for."""
    n = request.reveal.leg if request.reveal else None
    several = len(request.legs) > 1 and n is not None and n < len(request.legs)
    return safe(request.legs[n].role.title, 120) if several and n is not None else title(request)
