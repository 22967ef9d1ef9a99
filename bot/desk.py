"""The verbs: whatever a person wants of a request goes through here; it judges, advances, commits, in that order.

It calls no provider and posts nothing: the record it leaves is what the worker and the announcer act on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.core import durations, lifecycle, policy, rules
from bot.core.catalog import Catalog
from bot.core.errors import (
    AlreadyAnswered,
    Ambiguous,
    BadDuration,
    CouldNotCheck,
    JitError,
    NotAllowed,
    NotFound,
    Overtaken,
    PolicyMoved,
    RoleChanged,
    Tampered,
)
from bot.core.events import (
    Approved,
    Cancelled,
    ClosedByHand,
    Denied,
    Endorsed,
    Event,
    RevealAsked,
    Started,
    Withdrawn,
)
from bot.core.model import (
    Ending,
    Person,
    Request,
    Reveal,
    Review,
    State,
    Verb,
)
from bot.store.changes import Change, Guard, GuardFailed, Loaded, Op, Superseded
from bot.store.holds import Holds
from bot.store.store import Store
from bot.wishes import Actor, Answer, bounded, spelled

_REFUSALS_WINDOW = 60

Consequence = Callable[[str, Mapping[str, Any]], str]
Prolongs = Callable[[str, Mapping[str, Any]], bool]


@dataclass
class Desk:
    """The one place where a person's wish becomes a record.

    ``catalog`` is asked anew for each decision, since the policy file may be read again. ``consequence`` tells
    what a provider's role allows, in a few words, from the provider's name and the role's params; ``prolongs``
    whether it can have a later end.
    """

    store: Store
    catalog: Callable[[], Catalog]
    consequence: Consequence
    prolongs: Prolongs

    async def review(self, actor: Actor, id_: str, answer: Answer) -> Request:
        """Count one answer. Raises what `reviewable` does, and `Late`, `RoleChanged`, `PolicyMoved`."""
        while True:
            loaded = await self._reviewable(actor, id_)
            catalog, request = self.catalog(), loaded.request
            if answer.verb is Verb.APPROVE:
                await self.check("review", actor, request, policy.may_be_given(catalog, actor.roster, request))
            event = self._judge(catalog, actor, loaded, answer)
            after = await self.step(catalog, request, event, deadline=request.decide_by)
            if after is None:
                continue
            if isinstance(event, Cancelled):
                raise RoleChanged(after)
            return after

    async def reviewable(self, actor: Actor, id_: str) -> Request:
        """The request, if this person could answer it now: the same check as `review` makes.

        Raises `NotFound`, `Overtaken`, `AlreadyAnswered`, `NotAllowed`.
        """
        return (await self._reviewable(actor, id_)).request

    async def _reviewable(self, actor: Actor, id_: str) -> Loaded:
        loaded = await self.get(id_)
        request = loaded.request
        if request.state is not State.PENDING:
            raise Overtaken(request)
        if any(policy.same(review.by, actor.person) for review in request.reviews):
            raise AlreadyAnswered(request)
        await self.check(
            "review", actor, request, policy.may_review(self.catalog(), actor.roster, request, actor.person)
        )
        return loaded

    async def cancel(self, actor: Actor, id_: str | None) -> Request:
        """Take back what is not decided."""
        return await self._own("cancel", actor, id_, (State.PENDING, State.SCHEDULED), self._cancelled)

    async def release(self, actor: Actor, id_: str | None) -> Request:
        """Give back what is open, or being opened, before its end."""
        states = (State.ACTIVE, State.GRANTING)
        return await self._own("release", actor, id_, states, lambda a, now: _withdrawn(a, now, Ending.RELEASED, ""))

    async def revoke(self, actor: Actor, id_: str, reason: str) -> Request:
        """Take away what is open, or being opened. The reason is required and told."""
        reason = bounded(reason, 1, "why it is taken away")
        while True:
            loaded = await self._revocable(actor, id_)
            event = _withdrawn(actor, loaded.now, Ending.REVOKED, reason)
            # Taking away is judged by this replica's policy even when the workspace has moved on: it only closes.
            if after := await self.step(None, loaded.request, event):
                return after

    async def revocable(self, actor: Actor, id_: str) -> Request:
        """The request, if this person could take it away now. Raises `NotFound`, `NotAllowed`, `Overtaken`."""
        return (await self._revocable(actor, id_)).request

    async def _revocable(self, actor: Actor, id_: str) -> Loaded:
        loaded = await self.find(actor, id_)
        request = loaded.request
        await self.check(
            "revoke", actor, request, policy.may_revoke(self.catalog(), actor.roster, request, actor.person)
        )
        if request.state not in {State.ACTIVE, State.GRANTING, State.SCHEDULED}:
            raise Overtaken(request)
        return loaded

    async def begin(self, roster: policy.Roster, request: Request, now: float) -> tuple[Event, Guard] | None:
        """What becomes of an approved request whose start has come: judged again by today's policy and groups.

        None while a directory does not tell. The guard holds while the workspace decides by the same policy.
        """
        catalog = self.catalog()
        given = policy.may_be_given(catalog, roster, request)
        stands = _approval_stands(catalog, roster, request)
        event: Event
        if not policy.unchanged(catalog, request):
            event = _void(now, "its role was changed in the policy")
        elif given.unknown or stands is None:
            return None
        elif not given.allowed:
            event = _void(now, "who asked may not ask for it any more")
        elif not stands:
            event = _void(
                now,
                "the rule that approved it does not hold any more"
                if request.rule
                else "its approval does not count any more",
            )
        else:
            event = Started(at=now)
        return event, self.store.same_policy(catalog.generation)

    async def left(self, id_: str, reason: str, catalog: Catalog | None = None) -> Request | None:
        """Take away what rested on an account or a group that is surely gone; None where it is over, or closing.

        ``catalog``: the policy that it was judged by, if it was. Raises `NotFound`, `Tampered`, `PolicyMoved`.
        """
        while True:
            loaded = await self.get(id_)
            match loaded.request.state:
                case State.PENDING | State.SCHEDULED:
                    event: Event = _void(loaded.now, reason)
                case State.GRANTING | State.ACTIVE:
                    event = Withdrawn(at=loaded.now, by="policy", ending=Ending.REVOKED, reason=reason)
                case _:
                    return None
            if after := await self.step(catalog, loaded.request, event):
                return after

    async def close_by_hand(self, by: str, id_: str, reason: str) -> Request:
        """Take a request that cannot be closed out of the books; only an operator at the terminal may.

        ``by`` is ``cli:<user>@<host>``: whoever can reach the store and its keys. Nothing is read back.
        """
        reason = bounded(reason, 3, "what was done to make sure that it is closed")
        while True:
            loaded = await self.get(id_)
            request = loaded.request
            if request.state is not State.REVOKING:
                raise Overtaken(request)
            event = ClosedByHand(at=loaded.now, by=by, reason=reason)
            holds = Holds(self.store)
            ops = [op for leg in request.legs for op in holds.gone(leg.holds, request.order_id(leg.n))]
            if after := await self.step(None, request, event, ops=tuple(ops)):
                return after

    async def everything(self) -> list[Request]:
        """Every open request, for an operator at the terminal; what bears no seal of ours is left out."""
        return [loaded.request for loaded in await self.store.open_at_all()]

    async def reveal(self, actor: Actor, id_: str, view: str) -> Request:
        """Have a new secret made and shown in the modal ``view`` that is open before the asker."""

        def asked(a: Actor, now: float) -> Event:
            return RevealAsked(at=now, by=a.person.id, reveal=Reveal(view=view, at=now))

        return await self._own("reveal", actor, id_, (State.ACTIVE,), asked)

    async def get(self, id_: str) -> Loaded:
        """A request by its id, whoever asks. Raises `NotFound`, `Tampered`."""
        known = spelled(id_)
        try:
            found = await self.store.load(known)
        except Tampered:
            await self.store.alarm("tampered", known)
            raise
        if found is None:
            raise NotFound(id_)
        return found

    async def find(self, actor: Actor, id_: str) -> Loaded:
        """A request that this person may read. Raises `NotFound` for the others too."""
        found = await self.get(id_)
        if not policy.may_read(self.catalog(), actor.roster, found.request, actor.person).allowed:
            raise NotFound(id_)
        return found

    async def mine(self, actor: Actor) -> list[Request]:
        """The person's own open requests, the latest first."""
        return [found.request for found in await self.store.open_of(actor.person.id)]

    async def answerable(self, actor: Actor) -> list[Request]:
        """The open requests of others that this person answers for, and so may read."""
        catalog, me = self.catalog(), actor.person
        systems = policy.systems_of(catalog, actor.roster, me)
        found = [loaded.request for loaded in await self.store.open_on(systems)]
        others = [request for request in found if request.asker.id != me.id]
        return [request for request in others if policy.may_read(catalog, actor.roster, request, me).allowed]

    # one step of the write path

    async def step(
        self,
        catalog: Catalog | None,
        request: Request,
        event: Event,
        *,
        deadline: float | None = None,
        ops: tuple[Op, ...] = (),
    ) -> Request | None:
        """Advance and commit; None when the record moved on meanwhile and is to be judged again."""
        after = lifecycle.advance(request, event)
        guards = (self.store.same_policy(catalog.generation),) if catalog else ()
        try:
            await self.store.commit(Change(request, after, event, deadline=deadline, guards=guards, ops=ops))
        except Superseded:
            return None
        except GuardFailed as error:
            raise PolicyMoved from error
        return after

    async def _own(
        self,
        verb: str,
        actor: Actor,
        id_: str | None,
        states: tuple[State, ...],
        event: Callable[[Actor, float], Event],
    ) -> Request:
        """Do to the asker's own request what only the asker may do; the id may be left out when one fits."""
        while True:
            loaded = await self.which(actor, id_, states)
            request = loaded.request
            await self.check(verb, actor, request, policy.may_give_back(request, actor.person))
            if request.state not in states:
                raise Overtaken(request)
            if after := await self.step(None, request, event(actor, loaded.now)):
                return after

    async def which(self, actor: Actor, id_: str | None, states: tuple[State, ...]) -> Loaded:
        """The request of that id, or the person's only one in these states. Raises `NotFound`, `Ambiguous`."""
        if id_:
            return await self.find(actor, id_)
        fits = [found for found in await self.store.open_of(actor.person.id) if found.request.state in states]
        if len(fits) != 1:
            raise Ambiguous(tuple(found.request.id for found in fits))
        return fits[0]

    def _judge(self, catalog: Catalog, actor: Actor, loaded: Loaded, answer: Answer) -> Event:
        request, now, who = loaded.request, loaded.now, actor.person
        if not policy.unchanged(catalog, request):
            return _void(now, "its role was changed in the policy")
        if answer.verb is Verb.DENY:
            reason = bounded(answer.reason, 1, "why not")
            return Denied(at=now, by=who.id, review=_review(who, now, answer, 0, reason))
        duration = request.duration if answer.duration is None else answer.duration
        if not durations.SHORTEST <= duration <= request.duration:
            raise BadDuration(durations.short(duration), (), request.duration)
        review = _review(who, now, answer, duration, "")
        tally = policy.tally(catalog, actor.roster, request, also=review)
        if not tally.complete:
            if dark := policy.in_doubt(actor.roster, request, tally):
                # Recorded now, it could be the last answer that anybody may give, and still not be enough.
                raise CouldNotCheck(f"who is in {', '.join(dark)}")
            return Endorsed(at=now, by=who.id, review=review)
        least = min(counted.duration for counted in tally.counted)
        return Approved(at=now, by=who.id, review=review, duration=least)

    async def check(self, verb: str, actor: Actor, request: Request, verdict: policy.Verdict) -> None:
        """Raises `NotAllowed`, audited, unless the verdict is a yes."""
        if verdict.allowed:
            return
        error = NotAllowed(verdict)
        await self.refused(verb, actor, request.id, error)
        raise error

    async def refused(self, verb: str, actor: Actor, about: str, error: JitError) -> None:
        """A refusal is audited too; the same one pressed again within a minute is one."""
        said = {"by": actor.person.id, "verb": verb, "about": about[:100], "why": str(error)[:200]}
        once = f"refused {verb} {actor.person.id} {about} {error}"
        await self.store.note("refused", json.dumps(said), window=_REFUSALS_WINDOW, once=once)

    async def turned_away(self, user: str, verb: str, error: JitError) -> None:
        """The same of somebody who is nobody here, or comes too often: there is no person or no verdict to name."""
        why = f"{type(error).__name__}: {error}"[:200]
        said = {"by": user[:40], "verb": verb[:40], "about": "", "why": why}
        once = f"turned away {user} {verb} {why}"
        await self.store.note("refused", json.dumps(said), window=_REFUSALS_WINDOW, once=once)

    @staticmethod
    def _cancelled(actor: Actor, now: float) -> Event:
        return Cancelled(at=now, by=actor.person.id)


def _approval_stands(catalog: Catalog, roster: policy.Roster, request: Request) -> bool | None:
    """Whether what approved it, people or a rule, still would; None while a directory does not tell."""
    if request.rule:
        return rules.still(catalog, roster, request)
    tally = policy.tally(catalog, roster, request)
    return None if policy.in_doubt(roster, request, tally) else tally.complete


def _void(now: float, reason: str) -> Cancelled:
    return Cancelled(at=now, by="policy", reason=reason)


def _review(who: Person, now: float, answer: Answer, duration: int, reason: str) -> Review:
    return Review(verb=answer.verb, by=who, at=now, duration=duration, reason=reason)


def _withdrawn(actor: Actor, now: float, ending: Ending, reason: str) -> Withdrawn:
    kind: Any = ending
    return Withdrawn(at=now, by=actor.person.id, ending=kind, reason=reason)
