"""The base of the values of the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

ProviderData = Mapping[str, Any]
"""A provider's own data (prior state, receipt, outcome), opaque here."""


class Frozen(BaseModel):
    """An immutable value that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")
