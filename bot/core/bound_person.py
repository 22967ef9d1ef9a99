"""Whose an e-mail address is: a Slack account, and in each directory a stable id, bound at first sight; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from bot.core.frozen import Frozen

_DIRECTORY_ID = re.compile(r"[!-~]{1,255}")
_ACCOUNT = re.compile(r"[UW][A-Z0-9]{1,30}")


class BoundDirectory(Frozen):
    """Who an address is in one directory. ``id``: the stable id at first sight; '' where there was none to bind.

    ``refused``: another id that the directory gave since, or one that another address has: until an operator binds one
    of them, nobody is known by the address. ``since``: when it was bound, or refused, Unix seconds.
    """

    id: str = ""
    refused: str = ""
    since: float


class BoundPerson(Frozen):
    """All that is bound to an address. ``revision`` counts the changes; ``user`` is '' for an address without account.

    ``since``: when the account was bound, Unix seconds.
    """

    revision: int = 0
    identity: str
    user: str = ""
    since: float = 0.0
    directories: Mapping[str, BoundDirectory] = {}

    @property
    def refusing(self) -> str:
        """A directory in which the address is another person's by now; '' for none."""
        return next((name for name, each in sorted(self.directories.items()) if each.refused), "")

    def with_account(self, user: str, now: float) -> BoundPerson:
        """The next revision, with this account."""
        return self.model_copy(update={"revision": self.revision + 1, "user": user, "since": now})

    def with_directory(self, name: str, bound: BoundDirectory) -> BoundPerson:
        """The next revision, with this in a directory."""
        return self.model_copy(update={"revision": self.revision + 1, "directories": {**self.directories, name: bound}})


class DirectoryBinding(StrEnum):
    """What came of looking an address up in a directory."""

    BOUND = "bound"
    """The id is the one that is bound to the address, perhaps as of now."""
    OTHER_ID = "other_id"
    """Another id is bound to the address: it may have been given to another person."""
    OTHER_ADDRESS = "other_address"
    """The id is bound to another address, which is another person's."""


def is_directory_id(id_: str) -> bool:
    """Whether it can be a stable id: 1 to 255 printable ASCII characters without a space."""
    return _DIRECTORY_ID.fullmatch(id_) is not None


def is_account(user: str) -> bool:
    """Whether it can be the id of a Slack account."""
    return _ACCOUNT.fullmatch(user) is not None
