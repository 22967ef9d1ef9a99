"""Who cancelled or declined a request, and why, in words; pure."""

from __future__ import annotations

from bot.core.request import Request
from handlers.views.text import name, safe, user


def is_declined(request: Request) -> bool:
    """Whether the person declined what somebody else requested for them."""
    return request.unseen and request.closed_by == request.requester.id


def is_by_policy(request: Request) -> bool:
    return request.closed_by == "policy"


def details(request: Request) -> list[str]:
    if is_by_policy(request):
        return [f"Cancelled by the policy: {safe(request.closed_reason)}. Please request again."]
    if is_declined(request):
        return [f"{name(request.requester)} declined: {safe(request.closed_reason, 500)}".removesuffix(": ")]
    return [f"Cancelled by {user(request.closed_by)}. {safe(request.closed_reason)}".strip()]


def clause(request: Request) -> str:
    if is_by_policy(request):
        return f"was cancelled by the policy ({safe(request.closed_reason, 200)})"
    if is_declined(request):
        return f"was declined by {user(request.closed_by)}"
    return f"was cancelled by {user(request.closed_by)}"


def decision(request: Request) -> str:
    if is_by_policy(request):
        return f"The policy cancelled it: {safe(request.closed_reason)}. Please request again."
    if request.closed_by != request.requester.id:
        why = f": {safe(request.closed_reason, 500)}" if request.closed_reason else ""
        return f"{user(request.closed_by)} cancelled it{why}."
    return "You declined it." if request.unseen else "You cancelled it."


def label(request: Request) -> str:
    if is_by_policy(request):
        return "cancelled by the policy"
    return f"declined by {name(request.requester)}" if is_declined(request) else "cancelled"
