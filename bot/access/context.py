"""The context of every verb (what a person can do): the store, the current policy, and the steps that verbs share.

A verb finds a request, checks permission, advances the lifecycle and commits, in that order; each verb has a file of
its own beside this one. None of them calls a provider or posts: the worker and the announcer act on the record.

A leg is one role of a request; a template, several roles under one name; a roster, the members of groups as known now.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.access.rule_lookups import NO_LOOKUPS, RuleLookups
from bot.core import lifecycle
from bot.core.errors import (
    Ambiguous,
    CouldNotCheck,
    DelegationsChanged,
    JitError,
    NotAllowed,
    NotFound,
    PolicyMoved,
    Tampered,
)
from bot.core.events import Event
from bot.core.ids import is_id, spelled
from bot.core.request import Request, State
from bot.core.verdict import Actor, Verdict
from bot.policy import authorization, stand_ins
from bot.policy.catalog import Catalog
from bot.store.store import Store
from bot.store.types import Change, CommitGuard, ExtraWrite, GuardFailed, Loaded, Superseded
from providers.factors.base import CodeFactor

_REFUSALS_WINDOW = 60
"""Seconds within which the same refusal is audited once."""

Consequence = Callable[[str, Mapping[str, Any]], str]
"""What a role allows, in a few words, from its provider's name and its params."""
CanExtend = Callable[[str, Mapping[str, Any]], bool]
"""Whether access by such a role can be extended."""


@dataclass(frozen=True)
class AccessContext:
    """The parts that the verbs share.

    ``catalog``, the policy, is called again for each decision: the policy file may be reloaded at any time.
    """

    store: Store
    catalog: Callable[[], Catalog]
    consequence: Consequence
    can_extend: CanExtend
    rule_lookups: RuleLookups = NO_LOOKUPS
    factors: Mapping[str, CodeFactor] = field(default_factory=dict)
    """The installed factors, by kind."""

    # find

    async def find_by_id(self, id_: str) -> Loaded:
        """A request by its id, for any caller. Raises `NotFound`, `Tampered`."""
        request_id = spelled(id_)
        try:
            loaded = await self.store.load(request_id)
        except Tampered:
            await self.store.alarm("tampered", request_id)
            raise
        if loaded is None:
            raise NotFound(id_)
        return loaded

    async def find_untampered(self, id_: str) -> Loaded:
        """A request by an id from a command or a button in Slack. Raises `NotFound`, also for a tampered record."""
        try:
            return await self.find_by_id(id_)
        except Tampered:
            # Any other error would show strangers which ids exist; `find_by_id` has alarmed the operators.
            raise NotFound(id_) from None

    async def find_readable(self, actor: Actor, id_: str) -> Loaded:
        """A request that this person may read. Raises `NotFound`, also for one that they may not read."""
        loaded = await self.find_untampered(id_)
        if not authorization.may_read(self.catalog(), actor.roster, loaded.request, actor.person).allowed:
            raise NotFound(id_)
        return loaded

    async def find_by_typed(
        self, actor: Actor, typed: str | None, states: tuple[State, ...], *, for_others: bool = False
    ) -> Loaded:
        """The request that was typed: by its id, or the person's only one in these states that fits what was typed.

        A role, a template or a system fits, and so does nothing at all. ``for_others``: also what they requested for
        others. Raises `NotFound`, `Ambiguous`.
        """
        if typed and (is_id(typed) or not self.catalog().vocabulary.named(typed)):
            return await self.find_readable(actor, typed)
        own = [
            loaded
            for loaded in await self.store.open_of(actor.person.id)
            if loaded.request.state in states and (for_others or loaded.request.requester.id == actor.person.id)
        ]
        matching = [loaded for loaded in own if not typed or self.is_for(loaded.request, typed)]
        if len(matching) != 1:
            raise Ambiguous(tuple(loaded.request.id for loaded in matching))
        return matching[0]

    def is_for(self, request: Request, typed: str) -> bool:
        """Whether the request is for what was typed: a template, a role, or a system of one of its roles."""
        names = self.catalog().vocabulary.named(typed)
        return request.what in names or any(f"{leg.role.system}/{leg.role.role}" in names for leg in request.legs)

    # judge

    async def require_allowed(self, verb: str, actor: Actor, about: str, verdict: Verdict) -> None:
        """Raises `NotAllowed`, audited, unless the verdict allows it. ``about``: a request's id, or what else it is."""
        if verdict.allowed:
            return
        error = NotAllowed(verdict)
        await self.audit_refusal(verb, actor, about, error)
        raise error

    def require_fresh_lookup(self, actor: Actor, request: Request) -> None:
        """Raises `CouldNotCheck` for a critical role, unless accounts and groups were looked up just now."""
        if not actor.looked_up_now and authorization.is_critical(self.catalog(), request):
            raise CouldNotCheck("who can decide")

    # commit

    async def commit(
        self,
        catalog: Catalog | None,
        request: Request,
        event: Event,
        *,
        deadline: float | None = None,
        guards: tuple[CommitGuard, ...] = (),
        delegations: tuple[CommitGuard, ...] = (),
        extra_writes: tuple[ExtraWrite, ...] = (),
    ) -> Request | None:
        """Advance the lifecycle by the event and commit; None when the record changed or a guard failed: judge again.

        ``catalog``: the policy that the verdict relied on; None for an event that needs no guard on it, such as an end.
        ``delegations``: guards on the delegations that the verdict relied on. Raises `PolicyMoved` where the workspace
        has a newer policy, `DelegationsChanged` where it has other delegations, and `Late` after the ``deadline``.
        """
        after = lifecycle.advance(request, event)
        # The commit always compares the record's version; the guard adds that the policy is still that of the verdict.
        same_policy = (self.store.policy.is_current(catalog.policy_hash),) if catalog else ()
        relied_on = (*same_policy, *delegations, *guards)
        try:
            await self.store.commit(
                Change(request, after, event, deadline=deadline, guards=relied_on, extra_writes=extra_writes)
            )
        except Superseded:
            return None
        except GuardFailed as error:
            if error.guard in guards:
                return None
            raise (PolicyMoved if error.guard in same_policy else DelegationsChanged) from error
        return after

    def delegation_guards(self, catalog: Catalog, actor: Actor, now: float) -> tuple[CommitGuard, ...]:
        """Guards on the delegations that count in this person's groups; none where the policy allows no delegation.

        Raises `DelegationsChanged` where they changed since the groups were read.
        """
        delegations = self.store.delegations
        if not stand_ins.entitling(catalog):
            return ()
        if not stand_ins.judged_by(actor.roster, delegations.known, now):
            raise DelegationsChanged
        return delegations.guards()

    # audit refusals

    async def audit_refusal(self, verb: str, actor: Actor, about: str, error: JitError) -> None:
        """Audit a refusal; the same one within a minute is audited once."""
        fields = {"by": actor.person.id, "verb": verb, "about": about[:100], "why": str(error)[:200]}
        once = f"refused {verb} {actor.person.id} {about} {error}"
        await self.store.audit_event("refused", json.dumps(fields), window=_REFUSALS_WINDOW, once=once)

    async def audit_refused_account(self, user: str, verb: str, error: JitError) -> None:
        """Audit the refusal of an account that is no member or over a limit, so that there is no `Actor` to name."""
        why = f"{type(error).__name__}: {error}"[:200]
        fields = {"by": user[:40], "verb": verb[:40], "about": "", "why": why}
        once = f"turned away {user} {verb} {why}"
        await self.store.audit_event("refused", json.dumps(fields), window=_REFUSALS_WINDOW, once=once)
