"""Checks limits, cooldowns and separation of duties (conflicts) by the usage of roles; it reads nothing.

usage.py reads the usage from the store, with guards and writes; policy tests and replays bring their own.
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
"""The refusals by usage."""


@dataclass(frozen=True)
class RoleUsage:
    """The usage of the roles ``refs`` of one request, of their systems, and of what conflicts with them.

    ``by_scope``: by role (``system/role``) or system. Without limits and conflicts it is empty, and refuses nothing.
    """

    catalog: Catalog
    refs: tuple[RoleRef, ...]
    by_scope: Mapping[str, StoredUsage]

    @property
    def own(self) -> tuple[StoredUsage, ...]:
        """The usage of the roles themselves, and of their systems."""
        return tuple(self.by_scope[name] for name in _own(self.catalog, self.refs))

    def check(self, person: Person, now: float, *, for_other: bool = False) -> None:
        """Check that this person may request the roles; ``for_other``: that somebody else may for them.

        Raises `NotCounted`, `Conflicting`, `OverLimit`.
        """
        reader = person if for_other else None
        self.require_counted()
        for each in self.own:
            limit = limits_of(self.catalog, each.scope)
            if limit and each.usage and (hit := limits.in_cooldown(limit, each.scope, each.usage, person, now)):
                raise OverLimit(hit, requested_for=reader)
        self._check(person, now, self.conflict(person, lambda _: True), "", own=True, requested_for=reader)

    def check_break_glass(self, person: Person, exclude: str = "") -> None:
        """Check that this person may take the roles by break-glass: conflicts forbid it, limits do not.

        ``exclude``: their pending request whose access they take. Raises `NotCounted`, `Conflicting`.
        """
        sides = dict.fromkeys(other for _, other in conflicts.opposite(self.catalog.conflicts, names_of(self.refs)))
        if unknown := tuple(side for side in sides if self.by_scope[side].usage is None):
            raise NotCounted(unknown)
        if conflict := self.conflict(person, lambda entry: entry.id != exclude and bool(entry.approved_at)):
            raise Conflicting(conflict)

    def check_approval(self, request: Request, now: float) -> None:
        """Check that the request may be approved; of two that conflict, the first approval wins.

        Raises `NotCounted`, `Conflicting`, `OverLimit`.
        """
        conflict = self.conflict(request.requester, lambda entry: entry.id != request.id and bool(entry.approved_at))
        self._check(request.requester, now, conflict, request.id, own=False)

    def _check(
        self,
        person: Person,
        now: float,
        conflict: Conflict | None,
        exclude: str,
        *,
        own: bool,
        requested_for: Person | None = None,
    ) -> None:
        self.require_counted()
        if conflict:
            raise Conflicting(conflict, own=own, requested_for=requested_for)
        for each in self.own:
            if (found := limits_of(self.catalog, each.scope)) and each.usage:
                hit = limits.reached(found, each.scope, each.usage.without(exclude), person, now)
                if hit and hit.kind == "live" and not hit.personal:
                    hit = hit.model_copy(update={"until": each.next_end})
                if hit:
                    raise OverLimit(hit, own=own, requested_for=requested_for)

    def why_exceeded(self, request: Request, *, windows: bool = False) -> str:
        """Why an approved request may not be granted after all; empty if it may. Raises `NotCounted`.

        Conflicts and limits of live access are checked again. ``windows``: so are the limits per day and week.
        """
        self.require_counted()
        if conflict := self.conflict(
            request.requester, lambda entry: entry.id != request.id and entry.outranks(request)
        ):
            has = f"has {conflict.other} by {conflict.request}" if conflict.request else f"would have {conflict.other}"
            return f"the requester {has}, which conflicts with {conflict.mine}"
        if request.break_glass:
            return ""  # it counts toward the limits, and they do not apply to it
        for each in self.own:
            found = limits_of(self.catalog, each.scope)
            if found and each.usage and (hit := limits.exceeded(found, each.scope, each.usage, request, windows)):
                return f"{hit.scope} has reached its limit: {limits.hit_text(hit)}"
        return ""

    def require_counted(self) -> None:
        """Raises `NotCounted` if the usage of a limited role or system is unknown."""
        limited = ((name, each) for name, each in self.by_scope.items() if name in self.catalog.limited)
        if unknown := tuple(name for name, each in limited if each.usage is None):
            raise NotCounted(unknown)

    def conflict(self, person: Person, counts: Callable[[UsageEntry], bool]) -> Conflict | None:
        """What this person has, or has requested, that conflicts with these roles; ``counts`` picks the entries."""
        requested = names_of(self.refs)
        if inside := conflicts.within(self.catalog.conflicts, requested):
            return inside
        for mine, other in conflicts.opposite(self.catalog.conflicts, requested):
            usage = self.by_scope[other].usage or Usage()
            for entry in usage.of(person):
                if entry.live and counts(entry):
                    return Conflict(mine=mine, other=other, request=entry.id)
        return None


def scopes(catalog: Catalog, refs: Iterable[RoleRef]) -> tuple[str, ...]:
    """The roles and systems whose usage the checks of these roles need; none where the policy limits nothing."""
    roles = tuple(refs)
    if not catalog.counted_scopes:
        return ()
    other = (other for _, other in conflicts.opposite(catalog.conflicts, names_of(roles)))
    return tuple(dict.fromkeys((*_own(catalog, roles), *other)))


def _own(catalog: Catalog, refs: Iterable[RoleRef]) -> tuple[str, ...]:
    return tuple(name for name in names_of(refs) if name in catalog.counted_scopes)
