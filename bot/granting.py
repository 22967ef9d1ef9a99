"""Opens one leg of an approved request: look, record, act, record; it opens nothing that could not be undone.

In the record before the provider is called: what stood there before, seen once, and until when the call may land.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.core.errors import JitError
from bot.core.events import Attempted, Doubted, Event, Granted, Refused, Retried
from bot.core.model import Leg, LegState, Request
from bot.held import WAIT_FOR_OTHERS, Held, Unsettled, principal, said
from bot.posts import Post
from bot.store.changes import Guard, NotSafe, Op, Superseded
from bot.store.holds import CLOSING, Holds
from providers.systems.base import Connecting, Order, Prior, ProviderError, Receipt, System
from providers.systems.base import Refused as ProviderRefused

log = logging.getLogger(__name__)

_LONGEST_WAY = 500
"""Characters of a way to connect."""


class Unowned(ProviderError):
    """Somebody holds it in the books of whom there is no record: what stands there cannot be told from ours."""


@dataclass(frozen=True)
class Plan:
    """What is to be opened, and what the record of the attempt adds to the commit."""

    order: Order
    prior: Prior
    guards: tuple[Guard, ...] = ()
    ops: tuple[Op, ...] = ()


@dataclass(frozen=True)
class Granting:
    """The way of one leg from approved to open. ``margin``: see `Worker`."""

    holds: Holds
    margin: float

    async def grant(self, held: Held, leg: Leg, post: Post) -> None:
        """Make the one attempt that is due. Raises `Unsettled`, `Superseded`."""
        if wait := post.circuit.holds_back():
            await held.commit(_held_back(held, leg, wait))
            return
        try:
            plan = await self._plan(held, leg, post)
        except ProviderRefused as error:
            await held.commit(Refused(at=held.now, leg=leg.n, error=said(error)))
            return
        except (JitError, Superseded, Unsettled):
            raise
        except Exception as error:  # noqa: BLE001  # whatever else escapes a provider is an unknown outcome
            await held.commit(held.again(leg, said(error)))
            return
        lands_by = held.now + post.system.settles_within + self.margin
        try:
            await self._record(held, leg, post, plan, lands_by)
        except NotSafe as error:
            await held.commit(held.again(leg, str(error)))
            return
        if not held.fresh or held.now + post.system.settles_within > lands_by:
            raise Unsettled(lands_by)  # sent now, it could land later than the record says
        await held.commit(await self._call(held, leg, post, plan))

    async def _record(self, held: Held, leg: Leg, post: Post, plan: Plan, lands_by: float) -> None:
        attempted = Attempted(
            at=held.now,
            leg=leg.n,
            subject=plan.order.subject.model_dump(),
            target=plan.order.target,
            prior=plan.prior.model_dump(),
            holds=tuple(post.system.entitlements(plan.order)),
            in_flight_until=lands_by,
        )
        await held.commit(attempted, lease_until=lands_by + held.lease, guards=plan.guards, ops=plan.ops)

    async def _call(self, held: Held, leg: Leg, post: Post, plan: Plan) -> Event:
        try:
            receipt = await post.call(post.system.grant(plan.order, plan.prior))
        except ProviderRefused as error:
            return Refused(at=held.now, leg=leg.n, error=said(error))
        except Exception as error:  # noqa: BLE001  # whatever else escapes a provider is an unknown outcome
            return held.again(leg, said(error))
        way = way_in(post.system, plan.order, receipt)
        return Granted(at=held.now, leg=leg.n, receipt=receipt.model_dump(), connect=way)

    async def _plan(self, held: Held, leg: Leg, post: Post) -> Plan:
        """The order, and what stood before it: seen once, or learnt from whoever shares the entitlement."""
        if leg.prior is not None:
            return Plan(held.order(leg), Prior.model_validate(leg.prior))
        order = await self._first_order(held.request, leg, post)
        natives = post.system.entitlements(order)
        # Read before the look: access of ours that is closed meanwhile must not pass for standing access.
        left = {native: await self.holds.left(native) for native in natives}
        inspected = await post.call(post.system.inspect(order))
        if not natives:
            return Plan(order, inspected)
        facts, guards, ops = dict(inspected.facts), list[Guard](), list[Op]()
        for native in natives:
            others = await self.holds.others(native, order.id)
            if CLOSING in others.values():
                raise Unsettled(held.now + WAIT_FOR_OTHERS)
            if others:
                facts[native] = await self._stood_before(native, other := min(others))
                more, op = self.holds.join_with(native, other, order.id)
            else:
                more, op = self.holds.join_alone(native, order.id, left[native])
            guards += more
            ops.append(op)
        present = all(bool(facts.get(native)) for native in natives)
        return Plan(order, Prior(present=present, facts=facts), tuple(guards), tuple(ops))

    async def _stood_before(self, native: str, other: str) -> bool:
        """What stood before the other order, from its sealed record: never from the hold, which has no seal."""
        holder = await self.holds.holder(native, other)
        if holder is None or holder.prior is None:
            raise Unowned(
                f"{other} holds the same access in the books, and there is no record of ours for it: "
                "look at what stands in the system, and close what is left of it by hand"
            )
        return bool(holder.prior["facts"].get(native))

    async def _first_order(self, request: Request, leg: Leg, post: Post) -> Order:
        who, id_ = principal(request), request.order_id(leg.n)
        target = await post.identity()
        subject = await post.call(post.system.resolve(who, leg.role.params, id_), proves=False)
        return Order(
            id=id_,
            principal=who,
            subject=subject,
            params=leg.role.params,
            not_after=request.not_after,
            target=target,
        )


def _held_back(held: Held, leg: Leg, wait: float) -> Retried:
    """Not tried, since the system answers nobody: no failure of this request's. They do not all come back at once."""
    at = held.now + wait + held.jitter()
    clock = f"{datetime.fromtimestamp(at, UTC):%H:%M:%S} UTC"
    why = f"{leg.role.system} does not answer; tried again at {clock}"
    return Retried(at=held.now, leg=leg.n, error=why, retry_at=at, failed=False)


def way_in(system: System, order: Order, receipt: Receipt) -> str:
    """How the asker gets in; a provider that cannot say it has opened the access all the same.

    One that says too much says nothing: a command that was cut off is another command.
    """
    if not isinstance(system, Connecting):
        return ""
    try:
        told = system.connect(order, receipt)
    except Exception as error:  # noqa: BLE001  # only words are lost
        log.warning("%s: its provider cannot tell how to connect: %s", order.id, said(error))
        return ""
    return told if len(told) <= _LONGEST_WAY and told.isprintable() else ""


def out_of_budget(request: Request, now: float) -> Event:
    """It took too long to open: what may stand is closed."""
    late = "it could not be opened within the time that opening may take"
    tried = [leg for leg in request.legs if leg.attempts]
    if tried or any(leg.state is LegState.ACTIVE for leg in request.legs):
        return Doubted(at=now, error=late)
    return Refused(at=now, leg=0, error=late)
