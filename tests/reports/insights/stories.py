"""Requests that are asked for and answered, told as audit entries; as short as a rule needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.core.audit_chain import AuditEntry
from bot.core.events import Approved, Cancelled, Denied, Endorsed, Event, RequestExpired
from bot.core.request import ID_ALPHABET, Review, Verb
from bot.policy.insight_thresholds import Rules
from bot.reports.insights.cases import Insight, feed
from bot.reports.insights.rules import RULES
from tests.audit.stories import HOUR, submitted
from tests.house import person

W = "T000001"
DAY = 86_400.0
NOON = 1_773_057_600.0
"""2026-03-09, a Monday, 12:00 UTC."""


@dataclass
class Story:
    """Tells one request after the other, with ids and in the order of time."""

    told: list[tuple[float, str, Event]] = field(default_factory=list)
    asked: int = 0

    def ask(self, who: str, system: str, at: float, tz: str = "UTC") -> str:
        """Somebody asks for a system's read-only role, or for that of several (``vault + hall``). Its id."""
        self.asked += 1
        id_ = named(self.asked)
        requester = person(W, who).model_copy(update={"tz": tz})
        self._add(id_, submitted(id_, requester, at, *system.split(" + ")))
        return id_

    def answer(self, id_: str, by: str, at: float, *, yes: bool = True, last: bool = True) -> str:
        """Somebody answers it."""
        verb = Verb.APPROVE if yes else Verb.DENY
        review = Review(verb=verb, by=person(W, by), at=at, duration=HOUR if yes else 0)
        event: Event = Denied(at=at, by=review.by.id, review=review)
        if yes and last:
            event = Approved(at=at, by=review.by.id, review=review, duration=HOUR)
        elif yes:
            event = Endorsed(at=at, by=review.by.id, review=review)
        self._add(id_, event)
        return id_

    def lapse(self, id_: str, at: float) -> None:
        """Nobody answers it."""
        self._add(id_, RequestExpired(at=at))

    def cancel(self, id_: str, at: float) -> None:
        """It is taken back."""
        self._add(id_, Cancelled(at=at, by="UMIA"))

    def approved(self, who: str, by: str, at: float, wait: float = 300, system: str = "vault") -> str:
        """Asked for, and approved so much later."""
        return self.answer(self.ask(who, system, at), by, at + wait)

    def denied(self, who: str, by: str, at: float, wait: float = 300, system: str = "vault") -> str:
        """Asked for, and denied so much later."""
        return self.answer(self.ask(who, system, at), by, at + wait, yes=False)

    def _add(self, id_: str, event: Event) -> None:
        self.told.append((event.at, id_, event))

    def entries(self, without: Sequence[str] = ()) -> list[AuditEntry]:
        """As the record has them, all but some requests; a number stays with its event."""
        versions: dict[str, int] = {}
        found = []
        for seq, (at, id_, event) in enumerate(sorted(self.told, key=lambda each: each[0]), start=1):
            versions[id_] = versions.get(id_, 0) + 1
            found.append(AuditEntry(seq, at, id_, versions[id_], event.kind, event.model_dump_json()))
        return [entry for entry in found if entry.id not in without]

    def found(self, rule: str, until: float, without: Sequence[str] = (), limits: Rules | None = None) -> list[Insight]:
        """What one rule finds in it."""
        limits = limits or Rules()
        of = limits.of(rule)
        [made] = [each for each in RULES if each.name == rule]
        counting = made(of, until - of.within)  # type: ignore[attr-defined]  # every rule has one
        feed(self.entries(without), [counting])
        return list(counting.found("30 d"))


def named(n: int) -> str:
    """A request's id."""
    letters = ""
    for _ in range(4):
        n, rest = divmod(n, len(ID_ALPHABET))
        letters += ID_ALPHABET[rest]
    return f"J-{letters}"
