"""Since when people are known to be in the approvers' groups, as one process has read it lately.

What it says is about the past, so that a copy of a few seconds takes nobody in who is new: whoever it does not name
counts as new.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from bot.core.group_members import GroupMembers
from bot.store.store import Store

_FRESH = 60.0
"""Seconds for which what was read is used."""
AGAIN = 1.0
"""The same where a group is not in it: a worker may be looking at it for the first time."""


@dataclass
class KnownMembers:
    """The copy of one process. ``again``: as `AGAIN`."""

    store: Store
    again: float = AGAIN
    _read_at: float = field(default=float("-inf"), init=False)

    async def known(self, groups: Iterable[str]) -> GroupMembers:
        """Since when who is in these groups. Raises `StoreAway`."""
        members = self.store.members
        whole = all(group in members.known.groups for group in groups)
        if time.monotonic() - self._read_at >= (_FRESH if whole else self.again):
            await members.read()
            self._read_at = time.monotonic()
        return members.known
