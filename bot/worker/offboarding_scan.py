"""The state of one offboarding poll: what was known before it, and what it found; it does no I/O.

A sighting is a poll's finding that an account, or a right to request, is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from bot.core.request import Request
from bot.store.indexes.offboarding import HeldAccess, Sighting

_SHOWN = 20


@dataclass(frozen=True)
class Loss:
    """A request to revoke or cancel, and why.

    ``by_groups``: for the requester's groups, not for their account; ``directory``: for their account there.
    """

    request: Request
    why: str
    by_groups: bool = False
    directory: str = ""


@dataclass
class OffboardingScan:
    """What one poll starts from, and what it found.

    ``seen``: sightings, by user or request id; ``confirmed``: users whom a person confirmed as gone; ``hinted``: users
    who may have left; ``held_back``: what already waits for a confirmation. ``exposed``: the users named in these or
    polled who have live or pending access; ``not_exposed``: selected users who turned out to have none;
    ``requests_of``: the requests of each polled user. ``losses``: what the poll found to revoke. ``mass``, by accounts,
    ``mass_by_groups`` and ``mass_directories``, in which: whether so many are gone that a person has to confirm it.
    """

    now: float
    seen: dict[str, Sighting]
    confirmed: AbstractSet[str]
    hinted: AbstractSet[str]
    held_back: Sequence[HeldAccess]
    exposed: set[str] = field(default_factory=set)
    requests_of: dict[str, list[Request]] = field(default_factory=dict)
    not_exposed: set[str] = field(default_factory=set)
    losses: list[Loss] = field(default_factory=list)
    mass: bool = False
    mass_by_groups: bool = False
    mass_directories: set[str] = field(default_factory=set)

    def add_sighting(self, what: str, user: str, by: str = "") -> None:
        """Add a sighting, the first or a later one. ``by``: the policy hash; a sighting by another one is a first."""
        earlier = self.seen.get(what)
        if earlier is None or earlier.by != by or earlier.user != user:
            self.seen[what] = Sighting(user=user, first=self.now, last=self.now, by=by)
        else:
            self.seen[what] = earlier.model_copy(update={"last": self.now})

    def awaits_confirmation(self, loss: Loss) -> bool:
        """Whether this loss is part of a mass change that a person has to confirm, and has not."""
        mass = self.mass_by_groups if loss.by_groups else self.mass
        if loss.directory:
            mass = loss.directory in self.mass_directories
        return mass and loss.request.requester.id not in self.confirmed

    @property
    def any_mass(self) -> bool:
        """Whether anything is held back."""
        return self.mass or self.mass_by_groups or bool(self.mass_directories)


def held_access(loss: Loss) -> HeldAccess:
    requester = loss.request.requester
    return HeldAccess(
        request=loss.request.id, user=requester.id, who=requester.email, what=loss.request.what, why=loss.why
    )


def count_people(held: Iterable[HeldAccess]) -> int:
    """How many people would lose access."""
    return len({each.user for each in held})


def alarm_details(held: Sequence[HeldAccess], total: int) -> dict[str, object]:
    """The alarm as it is audited and posted: who would lose what, by request."""
    return {
        "alarm": "offboarding",
        "by": "worker",
        "people": count_people(held),
        "of": total,
        "said": [f"{each.request} · {each.who} · {each.what}: {each.why}" for each in held[:_SHOWN]],
        "more": max(0, len(held) - _SHOWN),
        "holds": {each.request: each.user for each in held},
    }
