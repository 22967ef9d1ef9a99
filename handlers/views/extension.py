"""An extension: its modals and what became of it; pure, and nothing is offered beyond the cap."""

from __future__ import annotations

from collections.abc import Sequence

from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from bot.core import durations
from bot.core.deadlines import last_end
from bot.core.errors import CannotExtend
from bot.core.request import Extension, ExtensionState, Request
from handlers.views import action_ids, form_fields, modals
from handlers.views.message import Needed
from handlers.views.parts import others
from handlers.views.text import clock, name, reviewer, safe

_LABEL = "Reason (approvers will see this)"


def possible(request: Request) -> bool:
    """Whether an extension can be requested now; it is judged again when the button is pressed."""
    undone = request.extension is not None and request.extension.undone
    can_extend = all(leg.role.can_extend for leg in request.legs)
    return request.is_active and not undone and can_extend and last_end(request) > request.ends_at


def extension_status(request: Request, needed: Needed, *, own: bool = False) -> str:
    """What became of the last extension; empty without one. ``own``: for the requester."""
    extension = request.extension
    if extension is None:
        return ""
    match extension.state:
        case ExtensionState.PENDING:
            asks = "You asked" if own else f"{name(request.requester)} asks"
            reason = safe(extension.reason, 300)
            first = f":arrow_right_hook: {asks} to extend until {clock(extension.until)}: {reason}"
            return f"{first}\n{undecided(request, needed)}"
        case ExtensionState.EXTENDING:
            trouble = f" {safe(extension.error, 200)}" if extension.error else ""
            return f"{_approvers(extension)} approved the extension until {clock(extension.until)}. Extending.{trouble}"
        case ExtensionState.DENIED:
            denial = extension.reviews[-1]
            return f"{reviewer(denial)} denied the extension: {safe(denial.reason, 300)}"
        case ExtensionState.FAILED:
            return f"Not extended: {safe(extension.error, 200)}."
        case ExtensionState.DONE:
            return f"Extended; {_approvers(extension)} approved."


def undecided(request: Request, needed: Needed) -> str:
    """Whose approval an extension needs, and what happens without it."""
    needs = f"Needs {needed}. " if needed.missing else ""
    planned = f"{needs}If nobody answers, access ends at {clock(request.ends_at)} as planned."
    return "\n".join([planned, *others(request, needed)])


def _approvers(extension: Extension) -> str:
    return " and ".join(reviewer(review) for review in extension.reviews)


def extend(
    request: Request, more: int | None = None, reason: str = "", note: str = "", confirm: Sequence[Block] = ()
) -> View:
    """How much longer, with a reason. ``note``: what of a typed line was not understood, or why it is asked again.

    ``confirm``: the field for a second-factor code.
    """
    left = int(last_end(request) - request.ends_at)
    fitting = [seconds for seconds in modals.PRESETS if seconds <= left] or [max(left, durations.SHORTEST)]
    wanted = sorted({*fitting, *([more] if more and more <= left else [])})
    initial = more if more in wanted else wanted[0]
    ends = f"Access ends at {clock(request.ends_at)}, unless the extension is approved before."
    return View(
        type="modal",
        callback_id=action_ids.EXTEND_VIEW,
        private_metadata=request.id,
        title="Extend access",
        submit="Request",
        close="Cancel",
        blocks=[
            *modals.noted(note),
            modals.about(request),
            modals.text(ends),
            form_fields.duration(wanted, initial, label="How much longer?"),
            form_fields.reason(_LABEL, reason),
            *confirm,
        ],
    )


def deny(request: Request, n: int) -> View:
    """Deny the extension, with a reason."""
    return View(
        type="modal",
        callback_id=action_ids.EXTEND_DENY_VIEW,
        private_metadata=f"{request.id} {n}",
        title="Don't extend",
        submit="Don't extend",
        close="Cancel",
        blocks=[
            modals.about(request),
            form_fields.reason("Reason (the requester will see this)"),
        ],
    )


def cannot_extend(error: CannotExtend) -> str:
    """Why it cannot be extended now."""
    ends = f"{error.request.id} ends at {clock(error.request.ends_at)}"
    return {
        "cap": f"{ends}, and its role allows {clock(error.latest)} at the latest. Request again after it has ended.",
        "rule": f"{ends}, and a rule allows {clock(error.latest)} at the latest. Request again after it has ended.",
        "asked": f"An extension is already waiting for approval. Until then, {ends}.",
        "systems": f"This system does not support extensions: {ends}. Request again with `/jit request`.",
        "changed": f"The policy changed its role, so it cannot be extended: {ends}. Request again after that.",
    }[error.why]
