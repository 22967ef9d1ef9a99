"""Refusals of people whose address is another person's by now, as types with facts; it words nothing for people.

::

    JitError (errors.py)
    └── IdentityTaken (errors.py)
        └── IdentityChanged     a directory says that the address is another person's than before
"""

from __future__ import annotations

from bot.core.errors import IdentityTaken


class IdentityChanged(IdentityTaken):
    """A directory gave the address of this account to another stable id; an operator has to say who it is."""

    def __init__(self, user: str, directory: str) -> None:
        """Keep the account, and which directory it is."""
        super().__init__(user)
        self.directory = directory
