"""A later end for access that is open: asked for by its holder, decided by those who decide about it; it opens nothing.

Until the systems know the new end, access closes at the one that it has, whatever is asked or approved.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.core import deadlines, durations, policy
from bot.core.catalog import Catalog
from bot.core.errors import AlreadyAnswered, BadDuration, CannotExtend, CouldNotCheck, Overtaken
from bot.core.events import Event, ExtensionApproved, ExtensionAsked, ExtensionDenied, ExtensionEndorsed
from bot.core.model import Extension, ExtensionState, Request, Review, State, Verb
from bot.desk import Desk
from bot.store.changes import Loaded
from bot.wishes import Actor, Answer, bounded


@dataclass(frozen=True)
class Extending:
    """The verbs of an extension, over the desk."""

    desk: Desk

    async def ask(self, actor: Actor, id_: str | None, more: int, reason: str) -> Request:
        """Ask for ``more`` seconds beyond the present end.

        Raises what `extensible` does, and `BadDuration`, `BadReason`, `PolicyMoved`, `Late`.
        """
        reason = bounded(reason, 3, "why it is still needed")
        while True:
            loaded = await self._extensible(actor, id_)
            request, now = loaded.request, loaded.now
            until, latest = request.ends_at + more, deadlines.last_end(request)
            if more < durations.SHORTEST:
                raise BadDuration(durations.short(max(more, 0)), (), 0)
            if until > latest:
                raise CannotExtend(request, "cap", latest)
            n = request.extension.n + 1 if request.extension else 1
            event = ExtensionAsked(
                at=now, by=actor.person.id, extension=Extension(n=n, until=until, reason=reason, at=now)
            )
            if after := await self.desk.step(self.desk.catalog(), request, event, deadline=request.ends_at):
                return after

    async def extensible(self, actor: Actor, id_: str | None) -> Request:
        """The request, if this person could ask for a later end now: the same check as `ask` makes.

        Raises `NotFound`, `Ambiguous`, `NotAllowed`, `Overtaken`, `CannotExtend`.
        """
        return (await self._extensible(actor, id_)).request

    async def _extensible(self, actor: Actor, id_: str | None) -> Loaded:
        loaded = await self.desk.which(actor, id_, (State.ACTIVE,))
        request, catalog = loaded.request, self.desk.catalog()
        await self.desk.check("extend", actor, request, policy.may_give_back(request, actor.person))
        if request.state is not State.ACTIVE:
            raise Overtaken(request)
        await self.desk.check("extend", actor, request, policy.may_be_given(catalog, actor.roster, request))
        if why := _hindrance(catalog, request):
            raise CannotExtend(request, why, deadlines.last_end(request))
        return loaded

    async def review(self, actor: Actor, id_: str, n: int, answer: Answer) -> Request:
        """Count one answer to the extension number ``n``.

        Raises what `reviewable` does, and `BadReason`, `CannotExtend`, `CouldNotCheck`, `PolicyMoved`, `Late`.
        """
        while True:
            loaded = await self._reviewable(actor, id_, n)
            catalog, request = self.desk.catalog(), loaded.request
            if answer.verb is Verb.APPROVE:
                given = policy.may_be_given(catalog, actor.roster, request)
                await self.desk.check("review", actor, request, given)
                if not policy.unchanged(catalog, request):
                    raise CannotExtend(request, "changed")
            event = self._judge(catalog, actor, loaded, answer)
            if after := await self.desk.step(catalog, request, event, deadline=request.ends_at):
                return after

    async def reviewable(self, actor: Actor, id_: str, n: int) -> Request:
        """The request, if this person could answer its extension ``n`` now: the same check as `review` makes.

        Raises `NotFound`, `Overtaken`, `AlreadyAnswered`, `NotAllowed`.
        """
        return (await self._reviewable(actor, id_, n)).request

    async def _reviewable(self, actor: Actor, id_: str, n: int) -> Loaded:
        loaded = await self.desk.get(id_)
        request, extension = loaded.request, loaded.request.extension
        # A button of an extension that is decided must not answer the next one.
        undecided = extension is not None and extension.state is ExtensionState.PENDING and extension.n == n
        if request.state is not State.ACTIVE or extension is None or not undecided:
            raise Overtaken(request)
        if any(policy.same(review.by, actor.person) for review in extension.reviews):
            raise AlreadyAnswered(request)
        verdict = policy.may_review(self.desk.catalog(), actor.roster, as_asked(request), actor.person)
        await self.desk.check("review", actor, request, verdict)
        return loaded

    def _judge(self, catalog: Catalog, actor: Actor, loaded: Loaded, answer: Answer) -> Event:
        who, now, asked = actor.person, loaded.now, as_asked(loaded.request)
        if answer.verb is Verb.DENY:
            reason = bounded(answer.reason, 1, "why not")
            review = Review(verb=Verb.DENY, by=who, at=now, duration=0, reason=reason)
            return ExtensionDenied(at=now, by=who.id, review=review)
        review = Review(verb=Verb.APPROVE, by=who, at=now, duration=asked.duration)
        tally = policy.tally(catalog, actor.roster, asked, also=review)
        if not tally.complete:
            if dark := policy.in_doubt(actor.roster, asked, tally):
                raise CouldNotCheck(f"who is in {', '.join(dark)}")
            return ExtensionEndorsed(at=now, by=who.id, review=review)
        until = loaded.request.extension.until if loaded.request.extension else 0.0
        return ExtensionApproved(at=now, by=who.id, review=review, until=until)


def as_asked(request: Request) -> Request:
    """The request as those who decide about its extension see it: with the answers to that, and to nothing else."""
    return request.model_copy(update={"reviews": request.extension.reviews if request.extension else ()})


def undecided_end(request: Request) -> bool:
    """Whether a later end waits for a decision."""
    extension = request.extension
    return request.state is State.ACTIVE and extension is not None and extension.state is ExtensionState.PENDING


def _hindrance(catalog: Catalog, request: Request) -> str:
    """Why there can be no later end, in a word of `CannotExtend`; empty when there can be."""
    if not all(leg.role.prolongs for leg in request.legs):
        return "systems"
    if request.extension and request.extension.undone:
        return "asked"
    if not policy.unchanged(catalog, request):
        return "changed"
    if deadlines.last_end(request) < request.ends_at + durations.SHORTEST:
        return "cap"
    return ""
