"""The modal that ends all access of a person or of a system, and what came of it; pure."""

from __future__ import annotations

from collections.abc import Sequence

from slack_sdk.models.views import View

from bot.access.revoke import BulkRevocation
from bot.core.request import Request
from handlers.views import action_ids, form_fields, modals, status
from handlers.views.lockdown import MOST_SHOWN
from handlers.views.text import title, who


def revoke_all(whose: str, target: str, requests: Sequence[Request], reason: str) -> View:
    """All access that would end, to confirm. ``target``: what the submission brings back."""
    lines = [
        f"• {request.id} · {who(request.requester)} · {title(request)} · {status.label(request)}"
        for request in requests[:MOST_SHOWN]
    ]
    if len(requests) > MOST_SHOWN:
        lines.append(f"… and {len(requests) - MOST_SHOWN} more")
    return View(
        type="modal",
        callback_id=action_ids.REVOKE_ALL_VIEW,
        private_metadata=target,
        title="End all access",
        submit=f"End all {len(requests)}",
        close="Cancel",
        blocks=[
            modals.text(f"{whose}: *{len(requests)}* requests that you can end."),
            modals.text("\n".join(lines)),
            form_fields.reason("Reason (the holders will see this)", reason),
        ],
    )


def taken(done: BulkRevocation, *, operator: bool) -> str:
    """How many ended; requests that the person may not know of are not counted."""
    count = len(done.revoked)
    said = [f"You ended {count} {'request' if count == 1 else 'requests'}. The worker is revoking the access."]
    if done.already_ended:
        said.append(
            f"{done.already_ended} had already ended or {'is' if done.already_ended == 1 else 'are'} not yours to end."
        )
    if done.not_tried:
        said.append(f"*{done.not_tried} are still open*: time ran out. Type the command again.")
    return " ".join([*said, *([] if operator else [NOT_YOURS])])


NOT_YOURS = "If there is more, an operator can end it."
