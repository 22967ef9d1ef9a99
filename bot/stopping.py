"""The stop button: take away all of somebody's or of a system's access, or lock down all that is new; it opens nothing.

A lockdown holds from the moment at which it is written (see bot/store/lockdowns.py); what is live is ended by the
workers (bot/enforcing.py). Whoever declares one stands in the record, and two operators lift it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bot.core import policy
from bot.core.catalog import Catalog
from bot.core.errors import (
    CouldNotCheck,
    LockedDown,
    NotAllowed,
    NotFound,
    NotLockedDown,
    Overtaken,
    StoreAway,
    Tampered,
    UnknownSystem,
)
from bot.core.events import Withdrawn
from bot.core.lockdown import NEEDED, VOTE_FOR, Lock, Operator, Standing, Vote
from bot.core.mistakes import like
from bot.core.model import Ending, Frozen, Request, State
from bot.core.policy import Members, Roster
from bot.desk import Desk
from bot.store.lockdowns import DECLARED, LIFTED, VOTED
from bot.wishes import Actor, bounded

LIVE = frozenset({State.GRANTING, State.ACTIVE})
"""What a lockdown ends. What is being closed goes on; what is not open yet waits for the lift, or lapses."""
_TAKEN = LIVE | {State.SCHEDULED}
_AT_ONCE = 16
_WITHIN = 2.0
"""Seconds for which access is taken away before the person is answered; the rest is for the next press."""
_WHY = "why it is stopped"


class Target(Frozen):
    """Whose access, or of which system; one of the three is said. ``email`` as it was typed."""

    user: str = ""
    email: str = ""
    system: str = ""

    def fits(self, request: Request) -> bool:
        """Whether the request is among what is meant: by account or bound address, never by a name."""
        if self.system:
            return any(leg.role.system == self.system for leg in request.legs)
        if self.user:
            return request.asker.id == self.user
        return bool(self.email) and request.asker.identity == self.email.casefold()


@dataclass(frozen=True)
class Taken:
    """What became of taking all of it away. ``over``: closed meanwhile; ``left``: for the next press."""

    taken: tuple[Request, ...]
    over: int
    left: int


@dataclass(frozen=True)
class Lift:
    """What an operator's word for lifting came to. ``lock``: with the words that count now."""

    lock: Lock
    lifted: bool
    repeated: bool
    """Whether this very operator had said so before."""


@dataclass(frozen=True)
class Stopping:
    """The verbs of stopping, over the desk."""

    desk: Desk

    # all of somebody's, all of a system's

    async def takeable(self, actor: Actor, target: Target) -> list[Request]:
        """What of it this person could take away now, each judged alone. Raises `UnknownSystem`, `CouldNotCheck`."""
        catalog, roster = self.desk.catalog(), actor.roster
        systems = policy.systems_of(catalog, roster, actor.person)
        dark = [name for name, members in roster.items() if not members.known]
        if target.system and target.system not in systems:
            if dark:
                raise CouldNotCheck(f"who is in {', '.join(dark)}")
            raise UnknownSystem(target.system, tuple(like(target.system, systems)))
        open_ = [loaded.request for loaded in await self.desk.store.open_on(systems)]
        found = [
            request
            for request in open_
            if request.state in _TAKEN
            and target.fits(request)
            and policy.may_revoke(catalog, roster, request, actor.person).allowed
        ]
        if dark and not found:
            raise CouldNotCheck(f"who is in {', '.join(dark)}")
        return found

    async def take_all(self, actor: Actor, target: Target, reason: str) -> Taken:
        """Take all of that away; each is judged again. Raises what `takeable` does, and `BadReason`."""
        reason = bounded(reason, 1, "why it is taken away")
        found, taken = await self.takeable(actor, target), list[Request]()
        begun, done = asyncio.get_running_loop().time(), 0
        while done < len(found) and asyncio.get_running_loop().time() - begun < _WITHIN:
            some = found[done : done + _AT_ONCE]
            done += len(some)
            answers = await asyncio.gather(*(self._take(actor, request, reason) for request in some))
            taken += [request for request in answers if request]
        return Taken(tuple(taken), over=done - len(taken), left=len(found) - done)

    async def _take(self, actor: Actor, request: Request, reason: str) -> Request | None:
        try:
            return await self.desk.revoke(actor, request.id, reason)
        except (NotAllowed, NotFound, Overtaken, Tampered):
            return None

    async def take_at_terminal(self, by: str, id_: str, reason: str) -> Request:
        """Take one away for an operator at the terminal; ``by`` is ``cli:<user>@<host>``.

        Raises `NotFound`, `Overtaken`, `Tampered`, `BadReason`.
        """
        reason = bounded(reason, 3, "why it is taken away")
        while True:
            loaded = await self.desk.get(id_)
            if loaded.request.state not in _TAKEN:
                raise Overtaken(loaded.request)
            event = Withdrawn(at=loaded.now, by=by, ending=Ending.REVOKED, reason=reason)
            if after := await self.desk.step(None, loaded.request, event):
                return after

    # lockdown

    async def standing(self) -> Standing:
        """All the lockdowns that stand."""
        return await self.desk.store.lockdowns.read()

    async def may_lock(self, actor: Actor) -> None:
        """Raises `NotAllowed`, audited, unless this person is an operator."""
        verdict = policy.may_stop(self.desk.catalog(), actor.roster, actor.person)
        if not verdict.allowed:
            error = NotAllowed(verdict)
            await self.desk.refused("lockdown", actor, "lockdown", error)
            raise error

    async def lock(self, actor: Actor, system: str, reason: str) -> Lock:
        """Lock a system down, or everything (``system`` is empty).

        Raises `NotAllowed`, `UnknownSystem`, `BadReason`.
        """
        await self.may_lock(actor)
        return await self.lock_as(_operator(actor), system, reason)

    async def lock_as(self, operator: Operator, system: str, reason: str) -> Lock:
        """The same for who is known to be an operator, as whoever has the store and its keys is."""
        reason, known = bounded(reason, 3, _WHY), self.desk.catalog().systems
        if system and system not in known:
            raise UnknownSystem(system, tuple(like(system, list(known))))
        for _ in range(_AT_ONCE):
            before = await self.standing()
            lock = Lock(system=system, operator=operator, reason=reason, at=await self.desk.store.now())
            if await self._write(before, before.locked(lock), DECLARED, lock, operator):
                return lock
        raise StoreAway("which lockdowns stand changes faster than it can be written")

    async def lift(self, actor: Actor, system: str) -> Lift:
        """Say that it be lifted: the second operator's word lifts it.

        Raises `NotAllowed`, `NotLockedDown`, and `LockedDown` where this process cannot read what stands.
        """
        await self.may_lock(actor)
        return await self.lift_as(_operator(actor), actor.roster, system)

    async def lift_as(self, operator: Operator, roster: Roster, system: str) -> Lift:
        """The same for who is known to be an operator; ``roster``: by which the first one's word is judged again."""
        for _ in range(_AT_ONCE):
            before, now = await self.standing(), await self.desk.store.now()
            lock = before.of(system)
            if lock and not self.desk.store.lockdowns.readable:
                raise LockedDown(lock)
            if lock is None:
                raise NotLockedDown(system, tuple(each.system for each in before.locks))
            votes = tuple(vote for vote in lock.votes if self._counts(vote, roster, now))
            repeated = any(vote.operator.counts_as == operator.counts_as for vote in votes)
            if repeated:
                return Lift(lock.model_copy(update={"votes": votes}), lifted=False, repeated=True)
            after = lock.model_copy(update={"votes": (*votes, Vote(operator=operator, at=now))})
            lifted = len(after.votes) >= NEEDED
            standing = before.lifted(system) if lifted else before.voted(lock, after.votes)
            if await self._write(before, standing, LIFTED if lifted else VOTED, after, operator):
                return Lift(after, lifted=lifted, repeated=False)
        raise StoreAway("which lockdowns stand changes faster than it can be written")

    def _counts(self, vote: Vote, roster: Roster, now: float) -> bool:
        """Whether an earlier word still counts: not too old, and nobody's who surely is no operator any more."""
        if not vote.at <= now < vote.at + VOTE_FOR:
            return False
        person = vote.operator.person
        verdict = policy.may_stop(self.desk.catalog(), roster, person) if person else policy.Verdict()
        return verdict.allowed or verdict.unknown

    async def _write(self, before: Standing, after: Standing, kind: str, lock: Lock, operator: Operator) -> bool:
        systems = self.desk.catalog().systems
        told = [owner.channel for name, owner in systems.items() if lock.system in {"", name}]
        facts = {
            "by": operator.by,
            "what": kind,
            "name": operator.name,
            "system": lock.system,
            "reason": lock.reason,
            "votes": [vote.operator.name for vote in lock.votes],
        }
        return await self.desk.store.lockdowns.write(before, after, kind, facts, told)


def at_terminal(by: str) -> Operator:
    """Whoever has the store and its keys; ``by`` is ``cli:<user>@<host>``."""
    return Operator(by=by, name=by)


def known_without_slack(catalog: Catalog) -> dict[str, Members]:
    """The groups as a terminal knows them: lists of addresses; of user groups nothing is known."""
    return {
        name: Members(known=False)
        if group.slack_usergroup
        else Members(identities=frozenset(address.casefold() for address in group.people))
        for name, group in catalog.groups.items()
    }


def _operator(actor: Actor) -> Operator:
    person = actor.person
    return Operator(by=person.id, name=person.name or person.email, person=person)
