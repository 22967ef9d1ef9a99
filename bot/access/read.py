"""What a person may see: requests, who has which access, what can be requested and who approves; it changes nothing.

A leg is one role of a request; a template, several roles under one name; a choice, a template or role that can be
requested; a card, a request's message in its system's channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.access import rule_preview
from bot.access.context import AccessContext
from bot.access.delegate import OwnDelegations, own_delegations
from bot.access.review import awaiting_decision
from bot.access.revoke import REVOCABLE
from bot.access.submit import offers
from bot.access.terms import Terms, terms
from bot.audit import read_log
from bot.audit.read_log import Read
from bot.core.errors import Ambiguous, NotFound, UnknownChoice, UnknownSystem
from bot.core.lockdown import Lock
from bot.core.notifications import cards
from bot.core.request import Leg, Person, Request, State
from bot.core.verdict import Actor, Roster
from bot.policy import authorization, loader
from bot.policy.approval_progress import ApprovalProgress
from bot.policy.catalog import Catalog, Choice, RoleRef, cannot_combine
from bot.policy.problems import like
from bot.store.indexes import request_history
from bot.store.outbox import Outbox, PostedMessage
from providers.systems import registry

WEEK = 7 * 86_400
MAY_HAVE_ACCESS = frozenset({State.GRANTING, State.ACTIVE, State.REVOKING})
"""The states in which access exists, or may."""
_MAX_RECENT = 20
_MAX_LINKED = 10


@dataclass(frozen=True)
class Overview:
    """The requests that concern a person now, the latest first, and ``offers``, the choices that they may request."""

    open: tuple[Request, ...]
    waiting: tuple[Request, ...]
    """Requests of others for which this person's approval would count."""
    recent: tuple[Request, ...]
    """Their own requests of the last week, open or over."""
    offers: tuple[Choice, ...]
    secrets: frozenset[str] = frozenset()
    """The ids of those in ``open`` that have a password to show."""
    locks: tuple[Lock, ...] = ()
    """The lockdowns of the workspace."""
    delegations: OwnDelegations = field(default_factory=OwnDelegations)
    requested_for_others: tuple[Request, ...] = ()
    """The open requests that they made for others."""
    cards: Mapping[str, PostedMessage] = field(default_factory=dict)
    """Where the cards of those in ``waiting`` are, by request; of very many, only of the first."""


# lists


async def overview(context: AccessContext, actor: Actor) -> Overview:
    """What concerns this person now. Raises `Tampered`."""
    (own, requested_for_others), others = await open_as_party(context, actor), await waiting(context, actor)
    return Overview(
        open=tuple(own),
        requested_for_others=tuple(requested_for_others),
        waiting=tuple(others),
        recent=tuple(await recent(context, actor, await context.store.now() - WEEK)),
        offers=tuple(await offers(context, actor)),
        secrets=frozenset(request.id for request in own if has_secret(request)),
        locks=(await context.store.lockdowns.read()).locks,
        delegations=await own_delegations(context, actor),
        cards=await _cards(context, actor, others[:_MAX_LINKED]),
    )


async def _cards(context: AccessContext, actor: Actor, requests: Sequence[Request]) -> dict[str, PostedMessage]:
    outbox, catalog = Outbox(context.store), context.catalog()
    posts = await asyncio.gather(*(outbox.posts(request.id) for request in requests))
    audiences = [card_for(catalog, actor.roster, request, actor.person) for request in requests]
    found = {request.id: posts_of.get(card) for request, posts_of, card in zip(requests, posts, audiences, strict=True)}
    return {id_: card for id_, card in found.items() if card and card.ts}


def card_for(catalog: Catalog, roster: Roster, request: Request, person: Person) -> str:
    """The audience of the card with this person's part, the first that is theirs; else the request's first card."""
    roles = [RoleRef(system=leg.role.system, role=leg.role.role) for leg in request.legs]
    theirs = [authorization.may_know_role(catalog, roster, person, ref) for ref in roles]
    places = dict(zip(request.channels, cards(request), strict=True))
    return places[request.legs[theirs.index(True)].role.channel if True in theirs else request.channel]


async def own_open(context: AccessContext, actor: Actor) -> list[Request]:
    """The person's own open requests, the latest first."""
    return (await open_as_party(context, actor))[0]


async def open_as_party(context: AccessContext, actor: Actor) -> tuple[list[Request], list[Request]]:
    """The person's own open requests, and those that they made for others, the latest first."""
    open_, me = [found.request for found in await context.store.open_of(actor.person.id)], actor.person.id
    return [request for request in open_ if request.requester.id == me], [
        request for request in open_ if request.requested_by and request.requested_by.id == me
    ]


async def recent(context: AccessContext, actor: Actor, since: float) -> list[Request]:
    """The person's own requests since a moment (Unix seconds), open or over, the latest first."""
    return await request_history.recent(context.store, actor.person.id, since, _MAX_RECENT)


async def overseen(context: AccessContext, actor: Actor) -> list[Request]:
    """The open requests of others that this person may read: as an approver, an owner, or an operator."""
    catalog, me = context.catalog(), actor.person
    mine = authorization.may_have_requests_of(catalog, actor.roster, me)
    found = [loaded.request for loaded in await context.store.open_on(mine)]
    others = [request for request in found if all(party.id != me.id for party in request.parties)]
    return [request for request in others if authorization.may_read(catalog, actor.roster, request, me).allowed]


async def waiting(context: AccessContext, actor: Actor) -> list[Request]:
    """The requests of others for which this person's approval would count."""
    found, now = await overseen(context, actor), await context.store.now()
    return [request for request in found if _may_review(context, actor, request, now)]


async def all_open(context: AccessContext) -> list[Request]:
    """Every open request, for an operator at the terminal; records that fail their integrity check are left out."""
    return [loaded.request for loaded in await context.store.open_at_all()]


async def holders(context: AccessContext, actor: Actor, system: str) -> list[Request]:
    """Who has which access on a system now, as far as this person may read it. Raises `UnknownSystem`."""
    all_of_it = may_audit(context, actor)
    seen = list(context.catalog().systems) if all_of_it else await systems(context, actor)
    if system not in seen:
        raise UnknownSystem(system, tuple(like(system, seen)))
    if all_of_it:
        requests = [loaded.request for loaded in await context.store.open_on([system])]
        now, asked = await context.store.now(), {"system": system}
        # Audited before it is shown: nobody reads the requests of others without an audit event.
        await read_log.record(
            context.store, Read(at=now, by=actor.person.id, read="who", asked=asked, rows=len(requests))
        )
    else:
        requests = [*await own_open(context, actor), *await overseen(context, actor)]
    return [
        request
        for request in requests
        if request.state in MAY_HAVE_ACCESS and any(leg.role.system == system for leg in request.legs)
    ]


# one request


async def find(context: AccessContext, actor: Actor, id_: str | None) -> Request:
    """A request that this person may read; without an id, their only open one, of that role or system if one is named.

    An auditor's reading of others' requests is audited. Raises `NotFound`, also for what they may not read, and
    `Ambiguous`.
    """
    if id_ and not context.catalog().vocabulary.named(id_):
        return await _found(context, actor, id_)
    found = [request for request in await own_open(context, actor) if not id_ or context.is_for(request, id_)]
    if len(found) != 1:
        raise Ambiguous(tuple(request.id for request in found))
    return found[0]


async def _found(context: AccessContext, actor: Actor, id_: str) -> Request:
    try:
        return (await context.find_readable(actor, id_)).request
    except NotFound:
        if not may_audit(context, actor):
            raise
    request = (await context.find_untampered(id_)).request
    now = await context.store.now()
    await read_log.record(context.store, Read(at=now, by=actor.person.id, read="show", about=request.id, rows=1))
    return request


def may_audit(context: AccessContext, actor: Actor) -> bool:
    """Whether this person may read everybody's requests."""
    return authorization.may_audit(context.catalog(), actor.roster, actor.person).allowed


async def may_review(context: AccessContext, actor: Actor, request: Request) -> bool:
    """Whether this person's approval of it, or of its extension, would count now; checked again when it is given."""
    return _may_review(context, actor, request, await context.store.now())


def _may_review(context: AccessContext, actor: Actor, request: Request, now: float) -> bool:
    open_ = awaiting_decision(request)
    if open_ is None or any(authorization.same_person(review.by, actor.person) for review in open_.reviews):
        return False
    return authorization.may_review(context.catalog(), actor.roster, open_, actor.person, now).allowed


def may_end(context: AccessContext, actor: Actor, request: Request) -> bool:
    """Whether this person could end it now; checked again when they do."""
    verdict = authorization.may_revoke(context.catalog(), actor.roster, request, actor.person)
    return request.state in REVOCABLE and verdict.allowed


def is_mine(actor: Actor, request: Request) -> bool:
    """Whether this person requested it."""
    return authorization.is_requester(request, actor.person).allowed


def has_secret(request: Request) -> bool:
    """Whether it has a secret to show while it is active."""
    return bool(secret_legs(request))


def secret_legs(request: Request) -> tuple[Leg, ...]:
    """The legs that have a secret to show; with an uninstalled provider one has none."""
    return tuple(leg for leg in request.legs if _issues_secret(leg))


async def secrets_to_choose(context: AccessContext, actor: Actor, id_: str) -> tuple[Request, tuple[Leg, ...]] | None:
    """The requester's own active request and its legs with a secret, where it has several; None otherwise."""
    try:
        request = (await context.find_readable(actor, id_)).request
    except NotFound:
        return None
    legs = secret_legs(request) if is_mine(actor, request) and request.is_active else ()
    return (request, legs) if len(legs) > 1 else None


def _issues_secret(leg: Leg) -> bool:
    try:
        return loader.capabilities(leg.role.provider, leg.role.params).issues_secret
    except registry.Misconfigured:
        return False


async def approval_progress(context: AccessContext, actor: Actor, request: Request) -> ApprovalProgress:
    """How far its approvals are, or those of its extension; empty where nothing is to be decided."""
    open_ = awaiting_decision(request)
    if open_ is None:
        return ApprovalProgress()
    return authorization.approval_progress(context.catalog(), actor.roster, open_, await context.store.now())


# what can be requested


async def systems(context: AccessContext, actor: Actor) -> list[str]:
    """The systems that this person may request or oversees, in the order of the policy."""
    offered = {ref.system for choice in await offers(context, actor) for ref in choice.roles}
    visible = offered | set(authorization.systems_of(context.catalog(), actor.roster, actor.person))
    return [name for name in context.catalog().systems if name in visible]


async def explain(context: AccessContext, actor: Actor, what: str) -> list[Terms]:
    """The terms of a template, a role, several roles in one request, or each role of a system.

    Raises `CannotCombine`, and `UnknownChoice`, also for a choice that this person may not see.
    """
    catalog, now = context.catalog(), await context.store.now()
    offered = {choice.name for choice in await offers(context, actor)}
    visible = {
        choice.name: choice
        for choice in catalog.choices()
        if choice.name in offered
        or all(authorization.may_know_role(catalog, actor.roster, actor.person, ref) for ref in choice.roles)
    }
    parts = catalog.parts(what) if "+" in what else []
    if parts and all(part.name in visible for part in parts):
        if error := cannot_combine(parts):
            raise error
        found = [choice for choice in (catalog.find(what),) if choice]
    else:
        found = (
            [visible[what]]
            if what in visible
            else [choice for name, choice in visible.items() if name.startswith(f"{what}/")]
        )
    if not found:
        raise UnknownChoice(what, tuple(like(what, [*visible, *await systems(context, actor)])))
    circumstances = await rule_preview.circumstances_of(context, catalog, actor, found, now)
    return [
        terms(
            catalog,
            choice,
            may_request=authorization.may_request(catalog, actor.roster, actor.person, choice, now).allowed,
            found=rule_preview.preview(catalog, actor, choice, circumstances),
        )
        for choice in found
    ]
