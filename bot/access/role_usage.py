"""What a request would use, judged on what was counted: limits, cooldowns and separation of duties. It reads nothing.

What the store counted, with its guards and writes, is usage.py; what a policy test or a replay assumes is judged here,
too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bot.core.limit_errors import Conflicting, NotCounted, OverLimit
from bot.core.request import Person, Request
from bot.core.usage import Conflict, Usage, UsageEntry
from bot.policy import conflicts, limits
from bot.policy.catalog import Catalog, RoleRef
from bot.policy.counted import limits_of, names_of
from bot.store.indexes.usage import StoredUsage

REFUSALS = (OverLimit, Conflicting, NotCounted)
"""The refusals by what was counted."""


@dataclass(frozen=True)
class RoleUsage:
    """What was counted for the roles ``refs`` of one request: their own use, and that of what conflicts with them.

    Without limits and conflicts it is empty, and refuses nothing.
    """

    catalog: Catalog
    refs: tuple[RoleRef, ...]
    counted: Mapping[str, StoredUsage]

    @property
    def own(self) -> tuple[StoredUsage, ...]:
        """Of the roles themselves, and of their systems."""
        return tuple(self.counted[name] for name in _own(self.catalog, self.refs))

    def check(self, person: Person, now: float, *, filed: bool = False) -> None:
        """Whether this person may request one more; ``filed``: or somebody else for them.

        Raises `NotCounted`, `Conflicting`, `OverLimit`.
        """
        reader = person if filed else None
        self.require_counted()
        for each in self.own:
            limit = limits_of(self.catalog, each.scope)
            if limit and each.usage and (hit := limits.in_cooldown(limit, each.scope, each.usage, person, now)):
                raise OverLimit(hit, filed_for=reader)
        self._check(person, now, self.conflict(person, lambda _: True), "", own=True, filed_for=reader)

    def check_break_glass(self, person: Person, but: str = "") -> None:
        """Whether this person may take them at once: conflicts stop it, limits do not.

        ``but``: their own pending request for them, which is taken. Raises `NotCounted`, `Conflicting`.
        """
        sides = dict.fromkeys(other for _, other in conflicts.opposite(self.catalog.conflicts, names_of(self.refs)))
        if unknown := tuple(side for side in sides if self.counted[side].usage is None):
            raise NotCounted(unknown)
        if conflict := self.conflict(person, lambda use: use.id != but and bool(use.approved_at)):
            raise Conflicting(conflict)

    def check_approval(self, request: Request, now: float) -> None:
        """Whether the request may be approved; of two that conflict, the first approval wins.

        Raises `NotCounted`, `Conflicting`, `OverLimit`.
        """
        conflict = self.conflict(request.requester, lambda use: use.id != request.id and bool(use.approved_at))
        self._check(request.requester, now, conflict, request.id, own=False)

    def _check(
        self,
        person: Person,
        now: float,
        conflict: Conflict | None,
        but: str,
        *,
        own: bool,
        filed_for: Person | None = None,
    ) -> None:
        self.require_counted()
        if conflict:
            raise Conflicting(conflict, own=own, filed_for=filed_for)
        for each in self.own:
            if (found := limits_of(self.catalog, each.scope)) and each.usage:
                hit = limits.reached(found, each.scope, each.usage.without(but), person, now)
                if hit and hit.kind == "live" and not hit.personal:
                    hit = hit.model_copy(update={"until": each.next_end})
                if hit:
                    raise OverLimit(hit, own=own, filed_for=filed_for)

    def exceeds(self, request: Request, *, windows: bool = False) -> str:
        """Why an approved request may not begin after all; empty where it may. Raises `NotCounted`.

        Its approval counted it: conflicts, and what is live, are judged again. ``windows``: so is what was approved
        before it in a day and a week.
        """
        self.require_counted()
        if conflict := self.conflict(request.requester, lambda use: use.id != request.id and use.outranks(request)):
            held = f"has {conflict.other} by {conflict.request}" if conflict.request else f"would have {conflict.other}"
            return f"the requester {held}, which conflicts with {conflict.mine}"
        if request.break_glass:
            return ""  # it counts, and limits do not stop it
        for each in self.own:
            found = limits_of(self.catalog, each.scope)
            if found and each.usage and (hit := limits.exceeded(found, each.scope, each.usage, request, windows)):
                return f"{hit.scope} has reached its limit: {limits.said(hit)}"
        return ""

    def require_counted(self) -> None:
        """Raises `NotCounted` where something is unknown."""
        limited = ((name, each) for name, each in self.counted.items() if name in self.catalog.limited)
        if unknown := tuple(name for name, each in limited if each.usage is None):
            raise NotCounted(unknown)

    def conflict(self, person: Person, counts: Callable[[UsageEntry], bool]) -> Conflict | None:
        """What this person holds, or has requested, that nobody may hold together with these roles."""
        held = names_of(self.refs)
        if inside := conflicts.within(self.catalog.conflicts, held):
            return inside
        for mine, other in conflicts.opposite(self.catalog.conflicts, held):
            usage = self.counted[other].usage or Usage()
            for use in usage.of(person):
                if use.live and counts(use):
                    return Conflict(mine=mine, other=other, request=use.id)
        return None


def scopes(catalog: Catalog, refs: Iterable[RoleRef]) -> tuple[str, ...]:
    """The roles and systems whose use a request for these roles is judged on; none where the policy limits nothing."""
    roles = tuple(refs)
    if not catalog.counted:
        return ()
    other = (other for _, other in conflicts.opposite(catalog.conflicts, names_of(roles)))
    return tuple(dict.fromkeys((*_own(catalog, roles), *other)))


def _own(catalog: Catalog, refs: Iterable[RoleRef]) -> tuple[str, ...]:
    return tuple(name for name in names_of(refs) if name in catalog.counted)
