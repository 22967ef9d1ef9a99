"""Refusals by limits and by separation of duties, as types with facts; it words nothing for people.

::

    JitError (errors.py)
    ├── OverLimit       as many as its limit allows have it, or were approved lately; or a cooldown after a denial
    ├── Conflicting     the same person holds, or has requested, what nobody may hold together with it
    └── NotCounted      who has it could not be counted, so nothing new is allowed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.errors import JitError

if TYPE_CHECKING:
    from bot.core.request import Person
    from bot.core.usage import Conflict, LimitHit


class OverLimit(JitError):
    """No room for one more request. ``own``: whether the reader requests it, for themself or for ``requested_for``."""

    def __init__(self, hit: LimitHit, *, own: bool = True, requested_for: Person | None = None) -> None:
        """Keep which limit it is."""
        super().__init__(f"{hit.kind} of {hit.scope}")
        self.hit, self.own, self.requested_for = hit, own, requested_for


class Conflicting(JitError):
    """Nobody holds both sides of this conflict. ``own`` and ``requested_for`` as in `OverLimit`."""

    def __init__(self, conflict: Conflict, *, own: bool = True, requested_for: Person | None = None) -> None:
        """Keep which conflict it is."""
        super().__init__(f"{conflict.mine} and {conflict.other} {conflict.request}".strip())
        self.conflict, self.own, self.requested_for = conflict, own, requested_for


class NotCounted(JitError):
    """The count of these roles or systems is missing or not trusted; a worker counts again."""

    def __init__(self, scopes: tuple[str, ...]) -> None:
        """Keep what could not be counted."""
        super().__init__(", ".join(scopes))
        self.scopes = scopes
