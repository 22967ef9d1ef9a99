"""The form that asks for a second-factor code after one press, and the field for it in other forms; pure."""

from __future__ import annotations

from slack_sdk.models.blocks import Block, InputBlock, PlainTextInputElement
from slack_sdk.models.views import View

from bot.access.proof import LONGEST_CODE, ProofPreview
from bot.core.request import Request
from handlers.views import action_ids, confirmed, factor_errors, modals
from handlers.views.factor_errors import kinds
from handlers.views.text import clock, fitting, length

NOT_YET = "This needs a second factor, so nothing was recorded yet."
"""Above a form that is drawn again, since it had no field for a code."""
NOT_IN_A_COMMAND = (
    "This needs a second factor. Type the code here: codes are not typed into commands, since Slack keeps those."
)
"""Above a form that a complete line opened."""


def asked(preview: ProofPreview | None) -> list[Block]:
    """In a form: the field for a code, or in its place why none is needed, or none would count."""
    if preview is None:
        return []
    if preview.refusal:
        said = factor_errors.WORDS[type(preview.refusal)](preview.refusal)
        return [modals.text(f":closed_lock_with_key: This needs a second factor. {said}")]
    if preview.fresh:
        ago = length(max(60, round((preview.now - preview.fresh.at) / 60) * 60))
        factor = confirmed.factor(preview.fresh.factor)
        said = f"You confirmed {ago} ago, with {factor}, that it is you: no code is needed."
        return [modals.text(f":closed_lock_with_key: {said}")]
    return [field(preview.factors)]


def field(factors: tuple[str, ...]) -> InputBlock:
    """Where a code is typed; never filled in. ``factors``: the kinds of which one is asked for."""
    element = PlainTextInputElement(action_id=action_ids.CODE, max_length=LONGEST_CODE)
    label, hint = "Second-factor code", f"To confirm that it is you: type {kinds(factors)}."
    return InputBlock(block_id=action_ids.CODE, label=label, hint=hint, element=element)


def approve(request: Request, factors: tuple[str, ...], page: str = "") -> View:
    """Approve a request. ``page``: where in which list of waiting requests it was pressed."""
    carried = modals.carried(request, page, reason=request.reason_changes)
    return _form(request, action_ids.APPROVE_CODE_VIEW, carried, "Approve", factors)


def approve_extension(request: Request, factors: tuple[str, ...]) -> View:
    """Approve an extension: until when, and why."""
    extension = request.extension
    if extension is None:
        raise ValueError(f"{request.id} has no extension")
    said = f"Until {clock(extension.until)}, in place of {clock(request.ends_at)}: {fitting(extension.reason, 500)}"
    carried = f"{request.id} {extension.n}"
    return _form(request, action_ids.EXTEND_APPROVE_CODE_VIEW, carried, "Extend", factors, modals.text(said))


def accept(request: Request, factors: tuple[str, ...]) -> View:
    """Accept what somebody else requested for this person."""
    return _form(request, action_ids.ACCEPT_CODE_VIEW, request.id, "Accept", factors)


def reveal(request: Request, factors: tuple[str, ...], n: int = 0) -> View:
    """Have the password shown. ``n``: of which role, as the button counts them; 0 for the first that has one."""
    said = modals.text("A new password is created, and the one that was shown before stops working.")
    return _form(request, action_ids.REVEAL_CODE_VIEW, f"{request.id} {n}", "Show password", factors, said)


def _form(request: Request, callback: str, carried: str, submit: str, factors: tuple[str, ...], *more: Block) -> View:
    return View(
        type="modal",
        callback_id=callback,
        private_metadata=carried,
        title="Confirm that it is you",
        submit=submit,
        close="Cancel",
        blocks=[modals.about(request), *more, field(factors)],
    )
