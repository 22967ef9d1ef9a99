"""Limits, cooldowns and separation of duties: what a request would use, judged on what was counted, and guarded.

The verdict's guards go into the commit that it allows, with the writes that count it: of two that come at once, one
fails its guard and is judged again. What could not be counted refuses what is new, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bot.core import lifecycle
from bot.core.errors import JitError
from bot.core.events import Approved, Denied, Event
from bot.core.limit_errors import Conflicting, NotCounted, OverLimit
from bot.core.request import Person, Request
from bot.core.usage import Conflict, PastDenial, Usage, UsageEntry, use_of
from bot.policy import conflicts, limits
from bot.policy.catalog import Catalog, RoleRef
from bot.policy.counted import approvals_kept, denials_kept, limits_of, names_of
from bot.store.indexes.usage import CountedUsage
from bot.store.store import Store
from bot.store.types import Guard, Op

REFUSALS = (OverLimit, Conflicting, NotCounted)
"""The refusals by what was counted."""


@dataclass(frozen=True)
class RoleUse:
    """What was counted for the roles ``refs`` of one request: their own use, and that of what conflicts with them.

    Without limits and conflicts it is empty, and neither guards nor writes anything.
    """

    store: Store
    catalog: Catalog
    refs: tuple[RoleRef, ...]
    counted: Mapping[str, CountedUsage]

    @property
    def own(self) -> tuple[CountedUsage, ...]:
        """Of the roles themselves, and of their systems."""
        return tuple(self.counted[name] for name in _own(self.catalog, self.refs))

    @property
    def guards(self) -> tuple[Guard, ...]:
        """Hold while everything that was read is as it was."""
        return tuple(self.store.usage.guard(each) for each in self.counted.values())

    # judge

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

    # write

    def entering(self, request: Request) -> tuple[Op, ...]:
        """Count the request, as it is after the commit, with its roles and systems; a draft has no place yet."""
        if request.is_draft:
            return ()
        return tuple(
            self._entered(each, request)
            for each in self.own
            if request.approved_at or (each.usage is not None and self._is_side(each.scope))
        )

    def _entered(self, each: CountedUsage, request: Request) -> Op:
        if each.usage is None:  # only rules ask for it: a worker that is counting it begins again
            return self.store.usage.unknown(each.scope, request.id)
        usage = each.usage.having(use_of(request, each.scope))
        return self._after(each, usage, request.approved_at or request.created_at)

    def denied(self, request: Request, now: float) -> tuple[tuple[Guard, ...], tuple[Op, ...]]:
        """Note a denial where it is kept; an unknown count is counted again from the audit log."""
        kept = [each for each in self.own if denials_kept(self.catalog, each.scope)]
        # An unknown count needs no guard: it stays unknown, and a worker that is counting it begins again.
        guards = tuple(self.store.usage.guard(each) for each in kept if each.usage is not None)
        return guards, tuple(self._with_denial(each, request, now) for each in kept)

    def _with_denial(self, each: CountedUsage, request: Request, now: float) -> Op:
        if each.usage is None:
            return self.store.usage.unknown(each.scope, request.id)
        who = request.requester
        denial = PastDenial(id=request.id, by=who.id, identity=who.identity, at=now)
        usage = each.usage.without(request.id)
        return self._after(each, usage.model_copy(update={"denials": (*usage.denials, denial)}), now)

    def written(self, ops: Iterable[Op]) -> None:
        """The commit with these writes succeeded: older ledgers are not trusted from here on."""
        keys = {op.key for op in ops}
        for each in self.counted.values():
            if each.usage is not None and self.store.keys.usage(each.scope) in keys:
                self.store.usage.written(each)

    def _after(self, each: CountedUsage, usage: Usage, now: float) -> Op:
        kept = limits.pruned(
            usage, now, approvals_kept(self.catalog, each.scope), denials_kept(self.catalog, each.scope)
        )
        return self.store.usage.after(each, kept, self.catalog.generation, now)

    def _is_side(self, scope: str) -> bool:
        return any(scope in pair for pair in self.catalog.conflicts)


@dataclass(frozen=True)
class Counting:
    """What a decision adds to its commit."""

    use: RoleUse
    guards: tuple[Guard, ...] = ()
    ops: tuple[Op, ...] = ()


async def of_decision(store: Store, catalog: Catalog, request: Request, event: Event) -> Counting:
    """Whether the request may be approved now, and what an approval or a denial adds to the commit.

    A denial is never refused. Raises `NotCounted`, `Conflicting`, `OverLimit`.
    """
    if not isinstance(event, Approved | Denied) or not catalog.counted:
        return Counting(RoleUse(store, catalog, (), {}))
    use = await of_request(store, catalog, request)
    if isinstance(event, Denied):
        return Counting(use, *use.denied(request, event.at))
    use.check_approval(request, event.at)
    return Counting(use, use.guards, use.entering(lifecycle.advance(request, event)))


async def read(store: Store, catalog: Catalog, refs: Iterable[RoleRef]) -> RoleUse:
    """What is counted for these roles now; where the policy limits none of them, nothing is sent."""
    roles = tuple(refs)
    if not catalog.counted:
        return RoleUse(store, catalog, roles, {})
    other = (other for _, other in conflicts.opposite(catalog.conflicts, names_of(roles)))
    return RoleUse(store, catalog, roles, await store.usage.read((*_own(catalog, roles), *other), catalog.generation))


async def of_request(store: Store, catalog: Catalog, request: Request) -> RoleUse:
    """The same for the roles of a request."""
    return await read(store, catalog, refs_of(request))


def refs_of(request: Request) -> tuple[RoleRef, ...]:
    """The roles of a request."""
    return tuple(RoleRef(system=leg.role.system, role=leg.role.role) for leg in request.legs)


def _own(catalog: Catalog, refs: Iterable[RoleRef]) -> tuple[str, ...]:
    return tuple(name for name in names_of(refs) if name in catalog.counted)


async def refusal(
    store: Store, catalog: Catalog, person: Person, refs: Iterable[RoleRef], *, filed: bool = False
) -> JitError | None:
    """Why this person could not request these roles now, by what was counted: the check that `submit` makes.

    ``filed``: why somebody else could not request them for this person.
    """
    if not catalog.counted:
        return None
    use = await read(store, catalog, refs)
    try:
        use.check(person, await store.now(), filed=filed)
    except REFUSALS as error:
        return error
    return None
