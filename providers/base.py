"""What every kind of provider shares: values that refuse unknown keys, how a no and a not-known are said, health.

It knows no vendor, and nothing of Slack, Redis or requests.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

Json = Any
"""A value that JSON can carry; providers put only names and flags into it, never a secret."""


class Frozen(BaseModel):
    """An immutable value that refuses unknown keys; what is wrong with it is told without the value."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ProviderError(Exception):
    """Whatever a provider says instead of doing; its text is shown to people, so it never carries a secret."""


class Refused(ProviderError):
    """A definite no: nothing was changed, and trying the same again will not help."""


class Unsure(ProviderError):
    """An unknown outcome: the effect may stand, may land later, or may never have been."""


class Health(Frozen):
    """The answer of `check`: ``target`` identifies the very system, whatever address it is reached by."""

    target: str
    detail: str = ""
    """One line for the doctor: version, the bot's rights."""
