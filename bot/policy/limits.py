"""How much of a role or a system there is: at a time, in a day, in a week, for all and for each person; cooldowns.

It judges what was counted; who counts is bot/store/indexes/usage.py. What could not be counted is the caller's to
refuse.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from bot.core import durations
from bot.core.request import Person, Request
from bot.core.usage import DAY, WEEK, LimitHit, Usage, is_of

LONGEST_COOLDOWN = 30 * 86_400


def _seconds(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError("write it like 30m, 1h30m or 2d")
    return durations.parse(value)


def _cooldown(value: int) -> int:
    if value > LONGEST_COOLDOWN:
        raise ValueError("a cooldown is at most 30d: who may never have it again is in no group that may ask")
    return value


_WRITTEN = WithJsonSchema({"type": "string", "pattern": durations.PATTERN, "examples": ["30m", "1h", "1d"]})
Live = Annotated[int, Field(ge=1, le=500)]
Approvals = Annotated[int, Field(ge=1, le=1000)]
Cooldown = Annotated[int, BeforeValidator(_seconds), AfterValidator(_cooldown), _WRITTEN]


class _Counts(BaseModel):
    """How many requests, at a time and within a time."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )

    live: Live | None = None
    """Approved requests at a time: scheduled, being granted, active, or being revoked."""
    per_day: Approvals | None = None
    """Approved requests within any 24 hours."""
    per_week: Approvals | None = None
    """Approved requests within any 7 days."""

    @model_validator(mode="after")
    def _ordered(self) -> _Counts:
        if self.per_day and self.per_week and self.per_week < self.per_day:
            raise ValueError("`per_week` is less than `per_day`, which then never counts: raise it, or leave one out")
        return self

    @property
    def window(self) -> int:
        """Seconds over which approvals have to be known."""
        return WEEK if self.per_week else DAY if self.per_day else 0


class PersonLimitsShape(_Counts):
    """How much each person gets."""

    @model_validator(mode="after")
    def _some(self) -> PersonLimitsShape:
        if not self.model_fields_set:
            raise ValueError("it limits nothing: give `live`, `per_day` or `per_week`, or leave it out")
        return self


class UsageLimitsShape(_Counts):
    """How much there is of a role, or of all roles of a system together; a request counts once."""

    per_person: PersonLimitsShape | None = None
    """The same for each person."""
    cooldown: Cooldown | None = None
    """How long after a denial that person cannot request it again."""

    @model_validator(mode="after")
    def _some(self) -> UsageLimitsShape:
        if not self.model_fields_set:
            raise ValueError("it limits nothing: give `live`, `per_day`, `per_week`, `per_person` or `cooldown`")
        for name in ("live", "per_day", "per_week"):
            each, whole = getattr(self.per_person, name, None), getattr(self, name)
            if each and whole and each > whole:
                raise ValueError(f"`per_person` allows more than `{name}` allows everybody together: lower it")
        return self

    @property
    def kept(self) -> int:
        """Seconds over which approvals have to be known."""
        return max(self.window, self.per_person.window if self.per_person else 0)


def in_cooldown(limits: UsageLimitsShape, scope: str, usage: Usage, person: Person, now: float) -> LimitHit | None:
    """The cooldown after this person's last denial, while it lasts."""
    cooldown = limits.cooldown or 0
    until = max((denial.at + cooldown for denial in usage.denials if is_of(denial, person)), default=0.0)
    if until <= now:
        return None
    return LimitHit(scope=scope, kind="cooldown", limit=cooldown, until=until, personal=True)


def reached(limits: UsageLimitsShape, scope: str, usage: Usage, person: Person, now: float) -> LimitHit | None:
    """The limit that leaves no room for one more request of this person; the one that lasts longest first.

    ``usage``: without the request itself, where it counts already.
    """
    own = Usage(uses=usage.of(person))
    hits = [*_hits(limits.per_person, scope, own, now, personal=True)] if limits.per_person else []
    hits += _hits(limits, scope, usage, now, personal=False)
    return max(hits, key=lambda hit: hit.until, default=None)


def exceeded(limits: UsageLimitsShape, scope: str, usage: Usage, request: Request, windows: bool) -> LimitHit | None:
    """The limit that an approved request exceeds, by the others that have their place before it.

    ``windows``: whether what was approved before it in a day and a week counts too, or only what is live.
    """
    others = usage.without(request.id).uses
    live = tuple(use for use in others if use.live and use.outranks(request))
    mine = request.approved_at, request.id
    past = tuple(use for use in others if use.approved_at and (use.approved_at, use.id) < mine)
    for each, personal in ((limits.per_person, True), (limits, False)):
        if each is None:
            continue
        held, before = (Usage(uses=found).of(request.requester) if personal else found for found in (live, past))
        if each.live and len(held) >= each.live:
            return LimitHit(scope=scope, kind="live", limit=each.live, personal=personal)
        for kind, limit, window in _windows(each) if windows else ():
            if limit and sum(use.approved_at > request.approved_at - window for use in before) >= limit:
                return LimitHit(scope=scope, kind=kind, limit=limit, personal=personal)
    return None


def hit_text(hit: LimitHit) -> str:
    """The limit in a few words."""
    whom = "for each person" if hit.personal else "for everybody"
    within = {"per_day": " approved within 24 hours", "per_week": " approved within 7 days"}.get(hit.kind, " at a time")
    return f"{hit.limit} {whom}{within}"


Kind = Literal["per_week", "per_day"]


def _windows(limits: _Counts) -> tuple[tuple[Kind, int | None, int], ...]:
    return ("per_week", limits.per_week, WEEK), ("per_day", limits.per_day, DAY)


def _hits(limits: _Counts, scope: str, usage: Usage, now: float, *, personal: bool) -> Iterable[LimitHit]:
    for kind, limit, window in _windows(limits):
        times = sorted(use.approved_at for use in usage.approved_within(window, now))
        if limit and len(times) >= limit:
            yield LimitHit(scope=scope, kind=kind, limit=limit, until=times[-limit] + window, personal=personal)
    if limits.live and len(usage.live()) >= limits.live:
        yield LimitHit(scope=scope, kind="live", limit=limits.live, personal=personal)


def pruned(usage: Usage, now: float, approvals: int, denials: int) -> Usage:
    """Without what counts no more. Both in seconds: for how long approvals, and denials, are kept."""
    return Usage(
        uses=tuple(use for use in usage.uses if use.live or use.approved_at > now - approvals),
        denials=tuple(denial for denial in usage.denials if denial.at > now - denials),
    )


def in_words(limits: UsageLimitsShape) -> str:
    """All of them in one line."""
    found = _in_words(limits, "") + (_in_words(limits.per_person, " for each person") if limits.per_person else [])
    if limits.cooldown:
        found.append(f"not again within {durations.words(limits.cooldown)} after a denial")
    return ", ".join(found)


def _in_words(limits: _Counts, whom: str) -> list[str]:
    counts = ((limits.live, "at a time"), (limits.per_day, "in 24 hours"), (limits.per_week, "in 7 days"))
    return [f"{count} {when}{whom}" for count, when in counts if count]
