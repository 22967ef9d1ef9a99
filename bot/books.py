"""What a person may see: requests, who holds what, what can be asked for and how it is decided; it changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from bot import policy_file
from bot.core import policy, rules
from bot.core.catalog import Catalog, Choice, Role, Rule, Step
from bot.core.errors import Ambiguous, NotFound, UnknownChoice, UnknownSystem
from bot.core.lockdown import Lock
from bot.core.mistakes import like
from bot.core.model import Frozen, Request, State
from bot.core.policy import OpenStep
from bot.desk import Desk
from bot.extending import as_asked, undecided_end
from bot.record import reads
from bot.record.reads import Read
from bot.store import history
from bot.submitting import Submitting
from bot.wishes import Actor
from providers.systems import registry

WEEK = 7 * 86_400
HELD = frozenset({State.GRANTING, State.ACTIVE, State.REVOKING})
"""The states in which access stands, or may."""
_MOST_ASKED = 20


class RoleTerms(Frozen):
    """What a role opens and for whom. ``cap`` in seconds."""

    name: str
    title: str
    consequence: str
    sensitivity: str
    cap: int
    may_ask: tuple[str, ...]
    steps: tuple[Step, ...]


class Terms(Frozen):
    """What a choice means before it is asked for. ``within`` in seconds: how long there is to decide.

    ``may_ask``: whether this very person may ask for it; ``at_once``: the rules by which they need ask nobody.
    """

    choice: Choice
    roles: tuple[RoleTerms, ...]
    within: int
    may_ask: bool
    at_once: tuple[Rule, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of all its roles, each once: one answer counts for every role."""
        return tuple(dict.fromkeys(step for role in self.roles for step in role.steps))


@dataclass(frozen=True)
class Mine:
    """What concerns a person at this moment; each is the latest first."""

    open: tuple[Request, ...]
    waiting: tuple[Request, ...]
    """Requests of others that this person's answer would count for."""
    asked: tuple[Request, ...]
    """What they asked for within a week, open or over."""
    offers: tuple[Choice, ...]
    secrets: frozenset[str] = frozenset()
    """The ids of those open that have a password to show."""
    locks: tuple[Lock, ...] = ()
    """The lockdowns that stand."""


async def mine(desk: Desk, actor: Actor) -> Mine:
    """What concerns this person. Raises `Tampered`."""
    since = await desk.store.now() - WEEK
    own = await desk.mine(actor)
    return Mine(
        open=tuple(own),
        waiting=tuple(await waiting(desk, actor)),
        asked=tuple(await history.asked(desk.store, actor.person.id, since, _MOST_ASKED)),
        offers=tuple(Submitting(desk).offers(actor)),
        secrets=frozenset(request.id for request in own if has_secret(request)),
        locks=(await desk.store.lockdowns.read()).locks,
    )


async def one(desk: Desk, actor: Actor, id_: str | None) -> Request:
    """A request that this person may read; without an id, the one that they have open.

    What an auditor reads of others is recorded. Raises `NotFound` for the others too, `Ambiguous`.
    """
    if id_:
        return await _found(desk, actor, id_)
    found = await desk.mine(actor)
    if len(found) != 1:
        raise Ambiguous(tuple(request.id for request in found))
    return found[0]


async def _found(desk: Desk, actor: Actor, id_: str) -> Request:
    try:
        return (await desk.find(actor, id_)).request
    except NotFound:
        if not audits(desk, actor):
            raise
    request = (await desk.get(id_)).request
    now = await desk.store.now()
    await reads.note(desk.store, Read(at=now, by=actor.person.id, read="show", about=request.id, rows=1))
    return request


def audits(desk: Desk, actor: Actor) -> bool:
    """Whether this person may read what everybody asked for."""
    return policy.may_audit(desk.catalog(), actor.roster, actor.person).allowed


async def waiting(desk: Desk, actor: Actor) -> list[Request]:
    """The requests of others that this person's answer would count for."""
    return [request for request in await desk.answerable(actor) if may_answer(desk, actor, request)]


def may_answer(desk: Desk, actor: Actor, request: Request) -> bool:
    """Whether a press of Approve would count now, for it or for its later end; it is judged again when pressed."""
    undecided = as_asked(request) if undecided_end(request) else request
    if undecided is request and request.state is not State.PENDING:
        return False
    answered = any(policy.same(review.by, actor.person) for review in undecided.reviews)
    return not answered and policy.may_review(desk.catalog(), actor.roster, undecided, actor.person).allowed


def may_end(desk: Desk, actor: Actor, request: Request) -> bool:
    """Whether this person could take it away now."""
    verdict = policy.may_revoke(desk.catalog(), actor.roster, request, actor.person)
    return request.state in {State.SCHEDULED, State.GRANTING, State.ACTIVE} and verdict.allowed


def is_mine(actor: Actor, request: Request) -> bool:
    """Whether this person asked for it."""
    return policy.may_give_back(request, actor.person).allowed


def has_secret(request: Request) -> bool:
    """Whether there is something to show once it is open; of a provider that is not installed any more, nothing is."""
    try:
        return any(policy_file.capabilities(leg.role.provider, leg.role.params).issues_secret for leg in request.legs)
    except registry.Misconfigured:
        return False


def still_open(desk: Desk, actor: Actor, request: Request) -> tuple[OpenStep, ...]:
    """The steps that wait for an answer, to it or to its later end."""
    if undecided_end(request):
        request = as_asked(request)
    elif request.state is not State.PENDING:
        return ()
    return policy.tally(desk.catalog(), actor.roster, request).open


def systems(desk: Desk, actor: Actor) -> list[str]:
    """The systems that this person may ask for or answers for, in the order of the policy."""
    asked = {ref.system for choice in Submitting(desk).offers(actor) for ref in choice.roles}
    seen = asked | set(policy.systems_of(desk.catalog(), actor.roster, actor.person))
    return [name for name in desk.catalog().systems if name in seen]


async def holders(desk: Desk, actor: Actor, system: str) -> list[Request]:
    """Who holds what on a system now, as far as this person may read it. Raises `UnknownSystem`."""
    all_of_it = audits(desk, actor)
    seen = list(desk.catalog().systems) if all_of_it else systems(desk, actor)
    if system not in seen:
        raise UnknownSystem(system, tuple(like(system, seen)))
    if all_of_it:
        requests = [loaded.request for loaded in await desk.store.open_on([system])]
        now, asked = await desk.store.now(), {"system": system}
        await reads.note(desk.store, Read(at=now, by=actor.person.id, read="who", asked=asked, rows=len(requests)))
    else:
        requests = [*await desk.mine(actor), *await desk.answerable(actor)]
    return [
        request
        for request in requests
        if request.state in HELD and any(leg.role.system == system for leg in request.legs)
    ]


def explain(desk: Desk, actor: Actor, what: str) -> list[Terms]:
    """The terms of a template, of a role, or of each role of a system. Raises `UnknownChoice` for what is hidden."""
    catalog = desk.catalog()
    offered = {choice.name for choice in Submitting(desk).offers(actor)}
    seen = {
        choice.name: choice
        for choice in catalog.choices()
        if choice.name in offered
        or all(policy.answers_for(catalog, actor.roster, actor.person, ref) for ref in choice.roles)
    }
    found = [seen[what]] if what in seen else [c for name, c in seen.items() if name.startswith(f"{what}/")]
    if not found:
        raise UnknownChoice(what, tuple(like(what, [*seen, *systems(desk, actor)])))
    return [
        terms(
            catalog,
            choice,
            may_ask=choice.name in offered,
            at_once=tuple(rules.applying(catalog, actor.roster, actor.person, choice.name, choice.roles)),
        )
        for choice in found
    ]


def terms(catalog: Catalog, choice: Choice, *, may_ask: bool = True, at_once: tuple[Rule, ...] = ()) -> Terms:
    """What a choice means, whoever asks."""
    roles = [(f"{ref.system}/{ref.role}", catalog.role(ref.system, ref.role)) for ref in choice.roles]
    return Terms(
        choice=choice,
        roles=tuple(_role(catalog, name, role) for name, role in roles if role),
        within=catalog.workspace.pending,
        may_ask=may_ask,
        at_once=at_once,
    )


def _role(catalog: Catalog, name: str, role: Role) -> RoleTerms:
    system, _, short = name.partition("/")
    owner = catalog.systems[system]
    return RoleTerms(
        name=name,
        title=f"{owner.title}: {role.title or short}",
        consequence=policy_file.consequence(owner.provider, role.grants),
        sensitivity=role.sensitivity,
        cap=role.max,
        may_ask=role.may_ask,
        steps=role.steps,
    )
