"""The count that a verdict on limits, cooldowns and separation of duties relies on (role_usage.py): read, and guarded.

The guards go into the commit that it allows, with the writes that count it: of two that come at once, one
fails its guard and is judged again. What could not be counted refuses what is new, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bot.access.role_usage import REFUSALS, RoleUsage, scopes
from bot.core import lifecycle
from bot.core.errors import JitError
from bot.core.events import Approved, Denied, Event
from bot.core.request import Person, Request
from bot.core.usage import PastDenial, Usage, use_of
from bot.policy import limits
from bot.policy.catalog import Catalog, RoleRef
from bot.policy.counted import approvals_kept, denials_kept
from bot.store.indexes.usage import StoredUsage
from bot.store.store import Store
from bot.store.types import Guard, Op

__all__ = ["REFUSALS", "RoleUsage"]
"""What is imported above and asked for here too."""


@dataclass(frozen=True)
class GuardedRoleUsage(RoleUsage):
    """The same as the store has it, with the guards of a verdict and the writes that count it.

    Without limits and conflicts it is empty, and neither guards nor writes anything.
    """

    store: Store

    @property
    def guards(self) -> tuple[Guard, ...]:
        """Hold while everything that was read is as it was."""
        return tuple(self.store.usage.guard(each) for each in self.counted.values())

    def entering(self, request: Request) -> tuple[Op, ...]:
        """Count the request, as it is after the commit, with its roles and systems; a draft has no place yet."""
        if request.is_draft:
            return ()
        return tuple(
            self._entered(each, request)
            for each in self.own
            if request.approved_at or (each.usage is not None and self._is_side(each.scope))
        )

    def _entered(self, each: StoredUsage, request: Request) -> Op:
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

    def _with_denial(self, each: StoredUsage, request: Request, now: float) -> Op:
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

    def _after(self, each: StoredUsage, usage: Usage, now: float) -> Op:
        kept = limits.pruned(
            usage, now, approvals_kept(self.catalog, each.scope), denials_kept(self.catalog, each.scope)
        )
        return self.store.usage.after(each, kept, self.catalog.generation, now)

    def _is_side(self, scope: str) -> bool:
        return any(scope in pair for pair in self.catalog.conflicts)


@dataclass(frozen=True)
class UsageChange:
    """What a decision adds to its commit."""

    use: GuardedRoleUsage
    guards: tuple[Guard, ...] = ()
    ops: tuple[Op, ...] = ()


async def of_decision(store: Store, catalog: Catalog, request: Request, event: Event) -> UsageChange:
    """Whether the request may be approved now, and what an approval or a denial adds to the commit.

    A denial is never refused. Raises `NotCounted`, `Conflicting`, `OverLimit`.
    """
    if not isinstance(event, Approved | Denied) or not catalog.counted:
        return UsageChange(GuardedRoleUsage(catalog, (), {}, store))
    use = await of_request(store, catalog, request)
    if isinstance(event, Denied):
        return UsageChange(use, *use.denied(request, event.at))
    use.check_approval(request, event.at)
    return UsageChange(use, use.guards, use.entering(lifecycle.advance(request, event)))


async def read(store: Store, catalog: Catalog, refs: Iterable[RoleRef]) -> GuardedRoleUsage:
    """What is counted for these roles now; where the policy limits none of them, nothing is sent."""
    roles = tuple(refs)
    names = scopes(catalog, roles)
    return GuardedRoleUsage(catalog, roles, await store.usage.read(names, catalog.generation) if names else {}, store)


async def of_request(store: Store, catalog: Catalog, request: Request) -> GuardedRoleUsage:
    """The same for the roles of a request."""
    return await read(store, catalog, refs_of(request))


def refs_of(request: Request) -> tuple[RoleRef, ...]:
    """The roles of a request."""
    return tuple(RoleRef(system=leg.role.system, role=leg.role.role) for leg in request.legs)


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
