"""What can happen to the extension of a request; as all events, in the past tense (see events.py)."""

from __future__ import annotations

from typing import Literal

from bot.core.frozen import ProviderData
from bot.core.happening import Happening
from bot.core.request import Extension, Review


class ExtensionRequested(Happening):
    """The requester wants a later end."""

    kind: Literal["extension_requested"] = "extension_requested"
    extension: Extension


class ExtensionEndorsed(Happening):
    """One answer more to the extension, and more are needed. ``opened``: see `Endorsed`."""

    kind: Literal["extension_endorsed"] = "extension_endorsed"
    review: Review
    opened: tuple[str, ...] = ()


class ExtensionApproved(Happening):
    """The last answer to the extension that was needed. ``until`` is the least of those counted."""

    kind: Literal["extension_approved"] = "extension_approved"
    review: Review
    until: float


class ExtensionDenied(Happening):
    """One entitled person said no to the extension; the end stays as it was."""

    kind: Literal["extension_denied"] = "extension_denied"
    review: Review


class ExtensionRetried(Happening):
    """A system did not confirm the new end; another try follows."""

    kind: Literal["extension_retried"] = "extension_retried"
    error: str
    retry_at: float


class ExtensionFailed(Happening):
    """A system refused the new end, or cannot have one; the end stays as it was."""

    kind: Literal["extension_failed"] = "extension_failed"
    error: str


class Extended(Happening):
    """The systems know the new end, and from here on it holds."""

    kind: Literal["extended"] = "extended"
    receipts: tuple[ProviderData, ...]
    """Of each leg, as the systems know it now."""
