"""What each event of an extension makes of its request; until `Extended`, access ends as planned."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.deadlines import last_end, warning_at
from bot.core.events import (
    Event,
    Extended,
    ExtensionApproved,
    ExtensionDenied,
    ExtensionEndorsed,
    ExtensionFailed,
    ExtensionRequested,
    ExtensionRetried,
)
from bot.core.frozen import ProviderData
from bot.core.illegal_event import IllegalEvent
from bot.core.request import Extension, ExtensionState, Request

_ANSWERS = (ExtensionEndorsed, ExtensionApproved, ExtensionDenied)


def extend(request: Request, event: Event) -> Request:
    """Apply an extension event; until `Extended`, access still ends at the current end."""
    if isinstance(event, ExtensionRequested):
        if request.extension and request.extension.undone:
            raise IllegalEvent(f"{request.id}: another extension is not finished")
        if not request.ends_at < event.extension.until <= last_end(request):
            raise IllegalEvent(f"{request.id}: an extension never shortens, and never goes past the cap")
        return request.model_copy(update={"extension": event.extension})
    wanted = ExtensionState.PENDING if isinstance(event, _ANSWERS) else ExtensionState.EXTENDING
    extension = request.extension
    if extension is None or extension.state is not wanted:
        raise IllegalEvent(f"{request.id} has no extension that is {wanted}")
    match event:
        case ExtensionEndorsed(review=review):
            return _extension(request, extension, reviews=(*extension.reviews, review))
        case ExtensionApproved(review=review, until=until):
            if not request.ends_at < until <= extension.until:
                raise IllegalEvent(f"{request.id}: an extension never shortens, and is never longer than was asked")
            said = {"reviews": (*extension.reviews, review), "until": until, "retry_at": event.at}
            return _extension(request, extension, state=ExtensionState.EXTENDING, **said)
        case ExtensionDenied(review=review):
            reviews = (*extension.reviews, review)
            return _extension(request, extension, state=ExtensionState.DENIED, reviews=reviews)
        case ExtensionRetried(error=error, retry_at=retry_at):
            return _extension(request, extension, tries=extension.tries + 1, error=error, retry_at=retry_at)
        case ExtensionFailed(error=error):
            return _extension(request, extension, state=ExtensionState.FAILED, error=error)
        case Extended(receipts=receipts):
            return _extended(request, extension, receipts, event.at)
        case _:
            raise IllegalEvent(f"{request.id}: {event.kind} says nothing of an extension")


def _extended(request: Request, extension: Extension, receipts: Sequence[ProviderData], at: float) -> Request:
    if len(receipts) != len(request.legs):
        raise IllegalEvent(f"{request.id}: every leg has a receipt of its new end, or none has")
    request = _extension(request, extension, state=ExtensionState.DONE, error="")
    legs = zip(request.legs, receipts, strict=True)
    return request.model_copy(
        update={
            "legs": tuple(leg.model_copy(update={"receipt": receipt}) for leg, receipt in legs),
            "ends_at": extension.until,
            "not_after": max(request.not_after, extension.until),
            "warn_at": warning_at(request, extension.until, at),
            "extended": request.extended + 1,
        }
    )


def _extension(request: Request, extension: Extension, **changes: object) -> Request:
    return request.model_copy(update={"extension": extension.model_copy(update=changes)})
