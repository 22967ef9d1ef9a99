"""A proof of presence (second factor), as events and reviews name it: which factor, and when; values only."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pydantic import SecretStr

from bot.core.frozen import Frozen

NO_CODE: Final = SecretStr("")
"""Where no code was typed."""


class Proof(Frozen):
    """What a person proved with, and when, in Unix seconds of the store's clock.

    ``factor``: the kind, such as ``totp``. ``at`` is earlier than the event where a proof given before still counts.
    """

    factor: str
    at: float


class ProofUse(StrEnum):
    """What a proof is asked for."""

    REQUEST = "request"
    """To request access, to accept it, to ask for an extension, or to be shown its secret."""
    APPROVE = "approve"
    """To approve a request, or its extension."""
    BREAK_GLASS = "break_glass"
    """To take access by break-glass."""
