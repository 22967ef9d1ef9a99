"""A value of one Redis key as JSON with a MAC over the workspace and the key; it has no number and is not compared.

An older one with a valid MAC that is put back is believed: only for what ends by itself, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError

from bot.core.frozen import Frozen
from bot.store.forged_values import ForgedValues
from bot.store.keyring import KeyRing

M = TypeVar("M", bound=Frozen)


@dataclass(frozen=True)
class SealedJson:
    """The values of one purpose in one workspace."""

    purpose: str
    workspace: str
    ring: KeyRing
    forged_values: ForgedValues

    def seal(self, key: str, value: Frozen) -> str:
        """As it is stored under this key, and under no other."""
        body = value.model_dump_json()
        return f"{body}|{self.ring.mac(self.purpose, self._bound(key, body))}"

    def open(self, key: str, value: str, shape: type[M]) -> M | None:
        """What was stored; None where there is nothing, or nothing of ours, which raises an alarm."""
        body, _, tag = value.rpartition("|")
        if not body or not self.ring.verify(self.purpose, self._bound(key, body), tag):
            if value:
                self.forged_values.wrong_mac(key, tag)
            return None
        try:
            return shape.model_validate_json(body)
        except ValidationError:  # another version of this product wrote it
            return None

    def _bound(self, key: str, body: str) -> bytes:
        return f"{self.workspace}\0{key}\0{body}".encode()
