"""A wish becomes a request: what may be asked for, for how long, from when, how often; who need not be asked.

It approves nothing but what a rule of the policy does, and records that in the same step as the wish.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.core import lifecycle, moments, policy, rules
from bot.core.catalog import Catalog, Choice
from bot.core.errors import AlreadyAsked, BadStart, LimitReached, NotAllowed, PolicyMoved, UnknownChoice
from bot.core.events import ApprovedByRule, Submitted
from bot.core.model import Request, RoleSnapshot, State
from bot.desk import Consequence, Desk, Prolongs
from bot.store.changes import Change, Counters, GuardFailed, Superseded
from bot.store.spelling import SUBMIT_WINDOW
from bot.wishes import Actor, Ask, check_duration, check_reason, check_start, new_id

_ID_TRIES = 50
First = Submitted | ApprovedByRule


@dataclass(frozen=True)
class Submitting:
    """The verbs of asking, over the desk."""

    desk: Desk

    async def submit(self, actor: Actor, ask: Ask) -> Request:
        """Record a new request. Raises what errors.py has under NotUnderstood, NotAllowed and LimitReached."""
        catalog = self.desk.catalog()
        try:
            choice = self.choose(actor, ask.what)
            duration = check_duration(choice, ask.duration)
            reason = check_reason(choice, ask.reason)
            check_start(ask.starts_at, await self.desk.store.now() if ask.starts_at else 0.0)
        except NotAllowed as error:
            await self.desk.refused("submit", actor, ask.what, error)
            raise
        for _ in range(_ID_TRIES):
            counters = await self.desk.store.counters(actor.person.id, [rule.key for rule in catalog.rules])
            await self._within_limits(catalog, counters, choice)
            wish = Ask(what=choice.name, duration=duration, reason=reason, starts_at=ask.starts_at)
            event = self._asked(catalog, actor, choice, wish, counters)
            request = lifecycle.begin(event)
            guards, ops = self.desk.store.submission(request, ask.token, counters.revision)
            same = self.desk.store.same_policy(catalog.generation)
            change = Change(None, request, event, guards=(same, *guards), ops=ops)
            try:
                await self.desk.store.commit(change)
            except Superseded:
                continue  # the id is taken: draw another
            except GuardFailed as error:
                if error.guard == same:
                    raise PolicyMoved from error
                if known := ask.token and await self.desk.store.asked_by(ask.token):
                    return (await self.desk.get(known)).request
                continue  # the person asked for something else meanwhile: judge again
            return request
        raise PolicyMoved

    async def start_of(self, actor: Actor, text: str) -> float:
        """When somebody wants to start, by their own clock: Unix seconds. Raises `BadStart`."""
        try:
            return moments.parse(text, actor.person.tz, await self.desk.store.now())
        except moments.NotAMoment as error:
            raise BadStart(0, text=text) from error

    def choose(self, actor: Actor, what: str) -> Choice:
        """The choice of that name. Raises `UnknownChoice` or `NotAllowed`."""
        catalog = self.desk.catalog()
        choice = catalog.find(what)
        if choice is None:
            offered = {c.name for c in self.offers(actor)}
            raise UnknownChoice(what, tuple(n for n in catalog.nearest(what) if n in offered))
        verdict = policy.may_request(catalog, actor.roster, actor.person, choice)
        if not verdict.allowed:
            raise NotAllowed(verdict)
        return choice

    def offers(self, actor: Actor) -> list[Choice]:
        """What this person may ask for: the same check as `submit` makes."""
        catalog = self.desk.catalog()
        return [
            choice
            for choice in catalog.choices()
            if policy.may_request(catalog, actor.roster, actor.person, choice).allowed
        ]

    def _asked(self, catalog: Catalog, actor: Actor, choice: Choice, wish: Ask, counters: Counters) -> First:
        duration = wish.duration or 0
        wanted = rules.Wanted(asker=actor.person, what=choice.name, roles=choice.roles, duration=duration)
        ruling = rules.judge(catalog, actor.roster, wanted, counters.ruled)
        submitted = self._submitted(catalog, actor, choice, wish, counters.now)
        if ruling.by is None:
            return submitted
        facts = {name: getattr(submitted, name) for name in Submitted.model_fields if name not in {"kind", "by"}}
        return ApprovedByRule(rule=ruling.by, **facts)

    def _submitted(self, catalog: Catalog, actor: Actor, choice: Choice, wish: Ask, now: float) -> Submitted:
        whole = catalog.workspace
        decide_by = wish.starts_at + whole.start_grace if wish.starts_at else now + whole.pending
        remind_at = now + (whole.remind or (decide_by - now) / 2)
        return Submitted(
            at=now,
            by=actor.person.id,
            id=new_id(),
            asker=actor.person,
            what=choice.name,
            title=choice.title,
            reason=wish.reason,
            duration=wish.duration or 0,
            roles=tuple(
                snapshot(catalog, ref.system, ref.role, self.desk.consequence, self.desk.prolongs)
                for ref in choice.roles
            ),
            generation=catalog.generation,
            grant_budget=whole.grant_budget,
            decide_by=decide_by,
            remind_at=remind_at if remind_at < decide_by else 0.0,
            starts_at=wish.starts_at,
            start_grace=whole.start_grace if wish.starts_at else 0,
            warn_before=whole.warn,
        )

    async def _within_limits(self, catalog: Catalog, counters: Counters, choice: Choice) -> None:
        limits = catalog.workspace.limits
        waiting = {State.PENDING, State.SCHEDULED, State.GRANTING}
        for found in await self.desk.store.load_many(counters.open_ids):
            if found.request.what == choice.name and found.request.state in waiting:
                raise AlreadyAsked(found.request)
        if len(counters.open_ids) >= limits.open:
            raise LimitReached("open", limits.open)
        if counters.submits >= limits.submits:
            raise LimitReached("submits", limits.submits, SUBMIT_WINDOW)


def snapshot(catalog: Catalog, system: str, name: str, consequence: Consequence, prolongs: Prolongs) -> RoleSnapshot:
    """A role as it is asked for today. ``consequence``, ``prolongs``: see `Desk`."""
    owner, role = catalog.systems[system], catalog.systems[system].roles[name]
    return RoleSnapshot(
        system=system,
        role=name,
        title=f"{owner.title}: {role.title or name}",
        channel=owner.channel,
        provider=owner.provider,
        params=role.grants,
        sensitivity=role.sensitivity,
        cap=role.max,
        consequence=consequence(owner.provider, role.grants),
        prolongs=prolongs(owner.provider, role.grants),
        digest=role.digest,
    )
