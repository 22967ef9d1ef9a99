"""What one look at those who may have left has to go on, and what it found; it asks nobody and takes nothing away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from bot.core.model import Request
from bot.store.sightings import Held, Sighting

_SHOWN = 20


@dataclass(frozen=True)
class Loss:
    """What somebody loses, and why; ``by_groups``: for their groups, not for their account."""

    request: Request
    why: str
    by_groups: bool = False


@dataclass
class Look:
    """What one look has to go on, and what it found.

    ``seen`` by user or request id; ``confirmed``: who left, as a person says; ``hinted``: who may have; ``known``:
    what is held back by now; ``present``: who of those that are named here has something to lose; ``users``: what
    those who are looked at could lose; ``without``: of whom that was not so.
    """

    now: float
    seen: dict[str, Sighting]
    confirmed: AbstractSet[str]
    hinted: AbstractSet[str]
    known: Sequence[Held]
    present: set[str] = field(default_factory=set)
    users: dict[str, list[Request]] = field(default_factory=dict)
    without: set[str] = field(default_factory=set)
    losses: list[Loss] = field(default_factory=list)
    mass: bool = False
    mass_by_groups: bool = False

    def sight(self, what: str, user: str, by: str = "") -> None:
        """Seen again, or for the first time; by another policy it is the first time."""
        known = self.seen.get(what)
        if known is None or known.by != by or known.user != user:
            self.seen[what] = Sighting(user=user, first=self.now, last=self.now, by=by)
        else:
            self.seen[what] = known.model_copy(update={"last": self.now})

    def holds_back(self, loss: Loss) -> bool:
        """Whether so many would lose something as this one that a person has to confirm it, and none has."""
        return (self.mass_by_groups if loss.by_groups else self.mass) and loss.request.asker.id not in self.confirmed


def held(loss: Loss) -> Held:
    asker = loss.request.asker
    return Held(request=loss.request.id, user=asker.id, who=asker.email, what=loss.request.what, why=loss.why)


def people(holds: Iterable[Held]) -> int:
    return len({each.user for each in holds})


def facts(holds: Sequence[Held], of: int) -> dict[str, object]:
    """The alarm as it is audited and told: who would lose what, by request."""
    return {
        "alarm": "leavers",
        "by": "worker",
        "people": people(holds),
        "of": of,
        "said": [f"{each.request} · {each.who} · {each.what}: {each.why}" for each in holds[:_SHOWN]],
        "more": max(0, len(holds) - _SHOWN),
        "holds": {each.request: each.user for each in holds},
    }
