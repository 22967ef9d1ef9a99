"""One look at one system: what stands there against the books; it touches nothing that is not proved ours.

What an order of ours has in the system, and no record accounts for, is closed: nobody else ever would. What the books
have open and the system has not, and what another hand made or changed, is only found: a person decides. What stood
before us is left alone. A record whose seal is not ours is no record: the worker can close nothing by it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from bot.core.errors import JitError
from bot.core.model import ID_ALPHABET, ExtensionState, Leg, LegState, Request
from bot.core.steps import MAY_STAND
from bot.held import order, said
from bot.posts import Post
from bot.store.found import Found
from providers.systems.base import Closing, Presence, ProviderError, Receipt, Refused, Standing

log = logging.getLogger(__name__)

T = TypeVar("T")
MANY = 5
"""Orphans; more of them, which are more than half of what stands, are a sign of lost books."""
_ORDER = re.compile(rf"(J-[{ID_ALPHABET}]{{4,8}})\.([0-9]{{1,2}})")


class Kind(StrEnum):
    """What is the matter with an access."""

    CLOSED = "closed"
    """It stood, and no request accounts for it; it is closed."""
    ORPHAN = "orphan"
    """It stands, no request accounts for it, and it is not closed."""
    GONE = "gone"
    """A request has it open, and it does not stand any more."""
    FOREIGN = "foreign"
    """It has an order's name, and was made or changed by another hand."""
    BESIDE = "beside"
    """An account that stood before has it, and no request accounts for it: it may have stood before, too."""
    UNSEEN = "unseen"
    """It could not be looked at."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found. ``what`` names it within its system; ``request``: whose it is by the books."""

    kind: Kind
    what: str
    said: str
    request: str = ""

    @property
    def wrong(self) -> bool:
        """Whether somebody has to know; access that may have stood before is only worth knowing."""
        return self.kind is not Kind.BESIDE


@dataclass(frozen=True)
class Look:
    """What one look at a system found. ``stands``: how much stands there; ``ours``: of it, by name or mark."""

    system: str
    stands: int = 0
    ours: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether all could be looked at."""
        return all(finding.kind is not Kind.UNSEEN for finding in self.findings)

    @property
    def mass(self) -> bool:
        """Whether so much is orphaned that the books are to be doubted."""
        orphans = sum(finding.kind in {Kind.CLOSED, Kind.ORPHAN} for finding in self.findings)
        return orphans > MANY and orphans * 2 > self.stands


class Interrupted(Exception):
    """The look is not gone on with; what is missing is found by the next one."""


@dataclass
class Comparing:
    """A look at the system ``name``. ``shares``: whether a role of it gives anything to accounts that stood before.

    ``landed``: seconds after which whatever was in flight has landed. ``pause`` lets time pass, ``keep`` holds on to
    the system for the next step; both may raise `Interrupted`. ``begin`` is told of orphans before they are closed;
    without it none is. ``known``: the findings of ``kind beside`` that need no second look, by `Finding.what`.
    """

    name: str
    post: Post
    found: Found
    shares: bool
    landed: float
    pause: Callable[[float], Awaitable[None]]
    keep: Callable[[float], Awaitable[None]]
    begin: Callable[[Sequence[Finding]], Awaitable[None]] | None = None
    known: frozenset[str] = frozenset()
    _target: str = field(default="", init=False)
    _findings: list[Finding] = field(default_factory=list, init=False)

    async def look(self) -> Look:
        """Look, close what is orphaned, and answer all that was found. Raises `StoreAway`, `Interrupted`."""
        standing: Sequence[Standing] = ()
        try:
            self._target = await self.post.identity()
            standing = await self._asked(self.post.system.standing)
            orphans, beside, standing = await self._unaccounted(standing)
            if orphans:
                await self._close(orphans)
            self._findings += [_beside(each) for each in beside]
            await self._open()
        except (JitError, Interrupted):
            raise
        except Exception as error:  # whatever escapes a provider: it could not be looked at
            if not isinstance(error, ProviderError):
                log.exception("%s could not be looked at", self.name)
            self._findings.append(Finding(Kind.UNSEEN, "", f"{self.name} could not be looked at: {said(error)}"))
        ours = sum(each.order is not None for each in standing)
        return Look(self.name, len(standing), ours, tuple(self._findings))

    async def _asked(self, verb: Callable[..., Awaitable[T]], *about: object) -> T:
        async with self.post.revoking():
            return await self.post.call(verb(*about))

    # what no record accounts for

    async def _unaccounted(
        self, standing: Sequence[Standing]
    ) -> tuple[list[Standing], list[Standing], Sequence[Standing]]:
        """Of orders' own; of accounts that stood before; and all that stands, as of the last look.

        What stands is read first and the books after it: what is just being opened is in the books before it stands.
        What is just being closed, or lands just now, is told apart by a second look.
        """
        orphans, beside = await self._against_books(standing)
        if not orphans and self.known.issuperset(_beside(each).what for each in beside):
            return orphans, beside, standing
        await self.keep(self.landed)
        await self.pause(self.landed)
        standing = await self._asked(self.post.system.standing)
        orphans_now, beside_now = await self._against_books(standing)
        return _both(orphans, orphans_now), _both(beside, beside_now), standing

    async def _against_books(self, standing: Sequence[Standing]) -> tuple[list[Standing], list[Standing]]:
        orphans = [each for each in standing if each.order is not None and not await self._in_books(each)]
        if not self.shares:
            return orphans, []
        held = {key for request in await self.found.open_on(self.name) for leg in request.legs for key in leg.holds}
        return orphans, [each for each in standing if each.order is None and each.entitlement not in held]

    async def _in_books(self, each: Standing) -> bool:
        """Whether a record of ours says that it may stand here, under whichever name the policy has for the system."""
        leg = await self._leg(each)
        return leg is not None and leg.state in MAY_STAND and leg.target in {"", self._target}

    async def _leg(self, each: Standing) -> Leg | None:
        found = _ORDER.fullmatch(each.order or "")
        request = await self.found.record(found[1]) if found else None
        n = int(found[2]) if found else 0
        return request.legs[n] if request and n < len(request.legs) else None

    async def _close(self, orphans: Sequence[Standing]) -> None:
        found = [(each, await self._orphan(each)) for each in orphans]
        if self.begin is None or not isinstance(self.post.system, Closing):
            self._findings += [finding for _, finding in found]
            return
        await self.begin([finding for _, finding in found])
        for each, finding in found:
            await self.keep(0.0)
            if not await self._in_books(each):
                self._findings.append(await self._closed(each, finding, self.post.system))

    async def _orphan(self, each: Standing) -> Finding:
        leg = await self._leg(each)
        why = f"{each.native} stands in {self.name}, and "
        if leg is None:
            why += "no request of ours has it"
        else:
            why += f"{each.order} is for another system" if leg.state in MAY_STAND else f"{each.order} is over"
        if not isinstance(self.post.system, Closing):
            why += "; its provider cannot close what has no record: close it by hand"
        return Finding(Kind.ORPHAN, f"{each.order} {each.native}", why)

    async def _closed(self, each: Standing, finding: Finding, system: Closing) -> Finding:
        what, why = finding.what, finding.said
        try:
            outcome = await self._asked(system.close_orphan, each)
        except Exception as error:  # noqa: BLE001  # whatever escapes a provider: it may be open still
            return Finding(Kind.ORPHAN, what, f"{why}; it could not be closed, and is tried again: {said(error)}")
        if outcome.presence is not Presence.ABSENT:
            left = outcome.kept or "it was changed by another hand"
            return Finding(Kind.FOREIGN, what, f"{why}; it is not provably ours and was left alone: {left}")
        ended = f", {outcome.killed} sessions were ended" if outcome.killed else ""
        remains = "".join(f"; {more}" for more in (outcome.remains, outcome.kept) if more)
        return Finding(Kind.CLOSED, what, f"{why}; it is closed{ended}{remains}")

    # what the books have open

    async def _open(self) -> None:
        """Whether what is open by the books stands as it was opened."""
        for request in await self.found.open_on(self.name):
            for leg in request.legs:
                if leg.role.system == self.name and _settled(request, leg):
                    await self.keep(0.0)
                    if finding := await self._verified(request, leg):
                        self._findings.append(finding)

    async def _verified(self, request: Request, leg: Leg) -> Finding | None:
        id_, receipt = request.order_id(leg.n), Receipt.model_validate(leg.receipt)
        try:
            presence = await self._asked(self.post.system.verify, order(request, leg), receipt)
        except Refused as error:
            return Finding(Kind.UNSEEN, id_, f"{id_} could not be looked at in {self.name}: {said(error)}", request.id)
        now = await self.found.record(request.id)
        if presence is Presence.PRESENT or now is None or now.version != request.version:
            return None  # as it should be, or somebody is at it just now
        what = f"{id_} is open by the books, and {receipt.native}"
        if presence is Presence.ABSENT:
            return Finding(Kind.GONE, id_, f"{what} is gone from {self.name}; nothing is opened again", request.id)
        changed = f"{what} in {self.name} was changed by another hand; it is closed on time, look at it now"
        return Finding(Kind.FOREIGN, id_, changed, request.id)


def _settled(request: Request, leg: Leg) -> bool:
    """Whether it is simply open: nobody opens or closes it now, and its end is not being changed."""
    prolonging = request.extension is not None and request.extension.state is ExtensionState.PROLONGING
    ours = leg.receipt is not None and bool(leg.receipt.get("ours", True))
    return leg.state is LegState.ACTIVE and ours and not prolonging


def _both(first: Sequence[Standing], second: Sequence[Standing]) -> list[Standing]:
    """What was there both times, as it is now."""
    seen = {_name(each) for each in first}
    return [each for each in second if _name(each) in seen]


def _name(each: Standing) -> tuple[str, str]:
    """An own account is the same one whatever it may do by now."""
    return each.native, each.order or each.entitlement


def _beside(each: Standing) -> Finding:
    told = f"{each.native} has {each.entitlement}, and no request tells of it; it may have stood before: left alone"
    return Finding(Kind.BESIDE, f"{each.native} {each.entitlement}", told)
