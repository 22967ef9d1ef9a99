"""The buttons of a request, each of which carries its id only; who may press one is judged when it is pressed."""

from __future__ import annotations

from slack_sdk.models.blocks import ButtonElement, ConfirmObject

from bot.core.given_inputs import spelled
from bot.core.request import Request
from handlers.views import action_ids, extension
from handlers.views.text import fitting, length, plain, safe, sensitivity

Row = list[ButtonElement]
"""Buttons side by side. A phone breaks a row that is too wide, so no row has a second long text."""
_LABEL = 75


def button(
    text: str, action: str, value: str, label: str, *, style: str | None = None, confirm: ConfirmObject | None = None
) -> ButtonElement:
    """A button; the ``label`` is what a screen reader says, and names what it is about."""
    return ButtonElement(
        text=text,
        action_id=action,
        value=value,
        style=style,
        confirm=confirm,
        accessibility_label=plain(label, _LABEL),
    )


def decide(request: Request) -> list[Row]:
    """What approvers may do with a request: to decide it, side by side, and beneath that all else.

    *Approve* carries which reason is shown beside it: one of an older drawing approves no other reason.
    """
    shown = request.reason_changes
    return [
        [
            _of(request, "Approve", action_ids.APPROVE, n=shown, style="primary", confirm=_confirm(request)),
            _of(request, "Deny…", action_ids.DENY, style="danger"),
        ],
        [
            _of(request, "Approve for less…", action_ids.APPROVE_LESS),
            _of(request, "Ask…", action_ids.QUESTION, says="Ask the requester about"),
        ],
    ]


def decide_extension(request: Request) -> Row:
    """What approvers may do with its extension; nothing where none is undecided."""
    if request.extension is None or not request.awaits_extension:
        return []
    n = request.extension.n
    return [
        _of(request, "Extend", action_ids.EXTEND_APPROVE, n=n, confirm=_confirm(request)),
        _of(request, "Don't extend…", action_ids.EXTEND_DENY, n=n),
    ]


def end_now(request: Request) -> ButtonElement:
    """For approvers and operators."""
    return _of(request, "End now…", action_ids.REVOKE, style="danger")


def review(request: Request) -> Row:
    """For the owners of a break-glass access, while its review is outstanding."""
    says = "Review the break-glass access"
    return [_of(request, "Review…", action_ids.BREAK_GLASS_REVIEW, style="primary", says=says)] * request.lacks_review


def break_glass_row(request: Request) -> Row:
    """What owners may do with a break-glass access, side by side."""
    return [*review(request), *([end_now(request)] if request.break_glass and request.is_live else [])]


def break_glass(request: Request) -> Row:
    """For the requester, who could take the access at once when they requested it."""
    return [_of(request, "Break glass…", action_ids.BREAK_GLASS, style="danger")] if request.may_break_glass else []


def answer(request: Request, n: int) -> ButtonElement:
    """For the requester, who was asked question ``n``."""
    return _of(request, "Answer…", action_ids.ANSWER, n=n, style="primary", says="Answer the question about")


def answers(request: Request) -> Row:
    """For the requester: the way to the first question that waits for an answer, if one does."""
    waiting = [question.n for question in request.questions if not question.answered]
    return [answer(request, waiting[0])] if waiting else []


def consent(request: Request) -> Row:
    """For the person whom somebody else requests it for."""
    return [
        _of(request, "Accept", action_ids.ACCEPT, style="primary"),
        _of(request, "Decline…", action_ids.DECLINE, style="danger"),
    ]


def cancel(request: Request) -> ButtonElement:
    """For the requester, and for who requested it for them, while nothing is open."""
    return _of(request, "Cancel request", action_ids.CANCEL)


def release(request: Request, style: str | None = None) -> ButtonElement:
    """For the requester, and for who requested it for them: it is needed no longer."""
    return _of(request, "End access", action_ids.RELEASE, style=style)


def extend(request: Request) -> list[ButtonElement]:
    """For the requester, where a later end is possible."""
    return [_of(request, "Extend…", action_ids.EXTEND)] if extension.possible(request) else []


def reveal(request: Request, *, secret: bool) -> list[ButtonElement]:
    """For the requester, where there is a password."""
    return [_of(request, "Show password", action_ids.REVEAL)] if secret else []


def _of(
    request: Request,
    text: str,
    action: str,
    *,
    n: int = 0,
    style: str | None = None,
    confirm: ConfirmObject | None = None,
    says: str = "",
) -> ButtonElement:
    """One about a request, and where it has a number about that part of it; ``says``: in place of its text."""
    value = f"{request.id} {n}" if n else request.id
    about = f"{says or text.rstrip('…')} {request.id}, {plain(request.title, 30)}, {plain(_person(request), 20)}"
    return button(text, action, value, about, style=style, confirm=confirm)


def _person(request: Request) -> str:
    return request.requester.name or request.requester.email


def _confirm(request: Request) -> ConfirmObject | None:
    """Approving is one tap, except where the access is critical."""
    if sensitivity(request) != "critical":
        return None
    given = f" ({fitting(said, 80)})" if (said := spelled(request)) else ""
    asked = f"{safe(_person(request), 60)} gets {safe(request.title, 60)}{given}"
    return ConfirmObject(
        title="This is critical", text=f"{asked} for {length(request.duration)}.", confirm="Approve", deny="Cancel"
    )
