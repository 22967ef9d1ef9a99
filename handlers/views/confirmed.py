"""With what a person confirmed that it is them, in a few words; pure."""

from __future__ import annotations

from collections.abc import Mapping

from bot.core.proof import Proof
from handlers.views.text import code

_FACTORS: Mapping[str, str] = {"totp": "an authenticator app", "recovery": "a recovery code"}


def by(proof: Proof | None) -> str:
    """``confirmed with an authenticator app``; empty where the policy asked for no proof."""
    return f"confirmed with {factor(proof.factor)}" if proof else ""


def after(proof: Proof | None) -> str:
    """The same, behind what they did: ``, confirmed with an authenticator app``."""
    return f", {by(proof)}" if proof else ""


def factor(kind: str) -> str:
    """A factor by its kind."""
    return _FACTORS.get(kind) or f"a code of {code(kind, 40)}"
