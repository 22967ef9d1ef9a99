"""Refusals about an approver's question and its answer, as types with facts; it words nothing for people.

::

    JitError (errors.py)
    ├── NoSuchQuestion      the request has no such question without an answer
    ├── ReasonChanged       an approval for another reason than the request has by now
    └── ReasonFixed         a reason that cannot be changed any more, or not to that
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.errors import JitError

if TYPE_CHECKING:
    from bot.core.request import Request


class NoSuchQuestion(JitError):
    """No approver asked this, or it has its answer already."""

    def __init__(self, request: Request) -> None:
        """Keep the request as it is now."""
        super().__init__(request.id)
        self.request = request


class ReasonChanged(JitError):
    """The approver read another reason than ``request`` has now; nothing was recorded."""

    def __init__(self, request: Request) -> None:
        """Keep the request as it is now."""
        super().__init__(request.id)
        self.request = request


class ReasonFixed(JitError):
    """The reason stays. ``why``: ``approved``, ``ticket`` (rules were judged on the one in it), or ``policy``.

    The last: what was requested is in the policy no more, so that nobody knows what a reason for it has to look like.
    """

    def __init__(self, request: Request, why: str) -> None:
        """Keep the request as it is now, and why."""
        super().__init__(f"{request.id}: {why}")
        self.request, self.why = request, why
