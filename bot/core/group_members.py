"""Who is in the approvers' groups, and since when each was seen there; it knows no directory and no clock."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from bot.core.frozen import Frozen

BEFORE = 0.0
"""In place of a time: a member since before the first look."""


class GroupMembers(Frozen):
    """Since when each is known to be in which group, by account or address, Unix seconds of the store's clock.

    Whoever leaves a group is forgotten, and is new when they come back. ``revision`` counts the changes.
    """

    revision: int = 0
    groups: Mapping[str, Mapping[str, float]] = {}

    def of(self, group: str) -> Mapping[str, float]:
        """Since when each of a group's people is in it; empty for a group that was never seen."""
        return self.groups.get(group, {})


@dataclass(frozen=True)
class MembershipChanges:
    """What a look at the groups changed. ``members``: all groups after it; ``first``: those seen for the first time."""

    members: Mapping[str, Mapping[str, float]]
    first: tuple[str, ...] = ()
    joined: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        """Whether there is any change."""
        return bool(self.first or self.joined or self.left)


def compare_members(
    before: GroupMembers, seen: Mapping[str, AbstractSet[str]], now: float, first_since: float
) -> MembershipChanges:
    """Compare the stored groups with those that were ``seen`` now; groups that were not seen stay unchanged.

    ``first_since``: since when the people of a group that is seen for the first time count as members.
    """
    groups = {name: dict(people) for name, people in before.groups.items()}
    first: list[str] = []
    joined: dict[str, tuple[str, ...]] = {}
    left: dict[str, tuple[str, ...]] = {}
    for name, people in seen.items():
        known = before.groups.get(name)
        if known is None:
            first.append(name)
            groups[name] = dict.fromkeys(sorted(people), first_since)
            continue
        new, gone = sorted(people - known.keys()), sorted(known.keys() - people)
        groups[name] = {who: known.get(who, now) for who in sorted(people)}
        joined |= {name: tuple(new)} if new else {}
        left |= {name: tuple(gone)} if gone else {}
    return MembershipChanges(groups, tuple(first), joined, left)
