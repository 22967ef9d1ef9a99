"""Reads the usage of roles from the store for a verdict on limits and conflicts (role_usage.py), and guards it.

The guards go into the commit that the verdict allows, with the writes that count the request: of two concurrent
commits one fails its guard and is judged again. Where the usage is unknown, new requests are refused, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bot.access.role_usage import REFUSALS, RoleUsage, scopes
from bot.core import lifecycle
from bot.core.errors import JitError
from bot.core.events import Approved, Denied, Event
from bot.core.request import Person, Request
from bot.core.usage import PastDenial, Usage, usage_entry
from bot.policy import limits
from bot.policy.catalog import Catalog, RoleRef
from bot.policy.counted import approvals_kept, denials_kept
from bot.store.indexes.usage import StoredUsage
from bot.store.store import Store
from bot.store.types import CommitGuard, ExtraWrite

__all__ = ["REFUSALS", "RoleUsage"]
"""Re-exported for the callers of this module."""


@dataclass(frozen=True)
class GuardedRoleUsage(RoleUsage):
    """The usage of roles as read from the store, with the guards and writes for the commit.

    Where the policy has no limits and conflicts it is empty: there are no guards and no writes.
    """

    store: Store

    @property
    def guards(self) -> tuple[CommitGuard, ...]:
        """They fail the commit if any usage that was read has changed since."""
        return tuple(self.store.usage.guard(each) for each in self.by_scope.values())

    def count_request(self, request: Request) -> tuple[ExtraWrite, ...]:
        """The writes that count the request, as it is after the commit, for its roles and systems; none for a draft."""
        if request.is_draft:
            return ()
        return tuple(
            self._count_write(each, request)
            for each in self.own
            if request.approved_at or (each.usage is not None and self._can_conflict(each.scope))
        )

    def _count_write(self, each: StoredUsage, request: Request) -> ExtraWrite:
        if each.usage is None:  # only rules read it: a worker that is counting it starts over
            return self.store.usage.mark_unknown(each.scope, request.id)
        usage = each.usage.with_entry(usage_entry(request, each.scope))
        return self._usage_write(each, usage, request.approved_at or request.created_at)

    def count_denial(self, request: Request, now: float) -> tuple[tuple[CommitGuard, ...], tuple[ExtraWrite, ...]]:
        """The guards and writes that count a denial; a worker counts an unknown usage from the audit log."""
        kept = [each for each in self.own if denials_kept(self.catalog, each.scope)]
        # An unknown usage needs no guard: it stays unknown, and a worker that is counting it starts over.
        guards = tuple(self.store.usage.guard(each) for each in kept if each.usage is not None)
        return guards, tuple(self._denial_write(each, request, now) for each in kept)

    def _denial_write(self, each: StoredUsage, request: Request, now: float) -> ExtraWrite:
        if each.usage is None:
            return self.store.usage.mark_unknown(each.scope, request.id)
        who = request.requester
        denial = PastDenial(id=request.id, by=who.id, identity=who.identity, at=now)
        usage = each.usage.without(request.id)
        return self._usage_write(each, usage.model_copy(update={"denials": (*usage.denials, denial)}), now)

    def committed(self, extra_writes: Iterable[ExtraWrite]) -> None:
        """Called after the commit of these writes: from now on this process trusts no older ledger."""
        keys = {extra_write.key for extra_write in extra_writes}
        for each in self.by_scope.values():
            if each.usage is not None and self.store.keys.usage(each.scope) in keys:
                self.store.usage.committed(each)

    def _usage_write(self, each: StoredUsage, usage: Usage, now: float) -> ExtraWrite:
        kept = limits.pruned(
            usage, now, approvals_kept(self.catalog, each.scope), denials_kept(self.catalog, each.scope)
        )
        return self.store.usage.usage_write(each, kept, self.catalog.policy_hash, now)

    def _can_conflict(self, scope: str) -> bool:
        return any(scope in pair for pair in self.catalog.conflicts)


@dataclass(frozen=True)
class UsageChange:
    """The guards and writes that a decision adds to its commit."""

    role_usage: GuardedRoleUsage
    guards: tuple[CommitGuard, ...] = ()
    extra_writes: tuple[ExtraWrite, ...] = ()


async def change_of_decision(store: Store, catalog: Catalog, request: Request, event: Event) -> UsageChange:
    """Check whether the request may be approved now; returns what an approval or a denial adds to the commit.

    A denial is never refused. Raises `NotCounted`, `Conflicting`, `OverLimit`.
    """
    if not isinstance(event, Approved | Denied) or not catalog.counted_scopes:
        return UsageChange(GuardedRoleUsage(catalog, (), {}, store))
    role_usage = await of_request(store, catalog, request)
    if isinstance(event, Denied):
        return UsageChange(role_usage, *role_usage.count_denial(request, event.at))
    role_usage.check_approval(request, event.at)
    return UsageChange(role_usage, role_usage.guards, role_usage.count_request(lifecycle.advance(request, event)))


async def read(store: Store, catalog: Catalog, refs: Iterable[RoleRef]) -> GuardedRoleUsage:
    """The usage of these roles now; where the policy limits none of them, nothing is read."""
    roles = tuple(refs)
    names = scopes(catalog, roles)
    return GuardedRoleUsage(catalog, roles, await store.usage.read(names, catalog.policy_hash) if names else {}, store)


async def of_request(store: Store, catalog: Catalog, request: Request) -> GuardedRoleUsage:
    """The usage of the roles of a request."""
    return await read(store, catalog, refs_of(request))


def refs_of(request: Request) -> tuple[RoleRef, ...]:
    """The roles of a request."""
    return tuple(RoleRef(system=leg.role.system, role=leg.role.role) for leg in request.legs)


async def refusal(
    store: Store, catalog: Catalog, person: Person, refs: Iterable[RoleRef], *, for_other: bool = False
) -> JitError | None:
    """Why this person may not request these roles now, by their usage: the check that `submit` makes.

    ``for_other``: why somebody else may not request them for this person.
    """
    if not catalog.counted_scopes:
        return None
    role_usage = await read(store, catalog, refs)
    try:
        role_usage.check(person, await store.now(), for_other=for_other)
    except REFUSALS as error:
        return error
    return None
