"""Drift of one system: its access, compared with our records; it touches nothing that is not provably ours.

Orphaned access, whose name or mark in the system is an order of ours without a record, is revoked. Access that is
gone, or that somebody else created or changed, is only reported: a person decides. Unmanaged access is left alone. A
record whose MAC is wrong counts as no record.

A leg is one role of a request; its order, the id `J-xxxx.n` under which providers know it; an entitlement, what the
system gives (its native name is the system's own); a receipt, what the provider returned.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from bot.core.errors import JitError
from bot.core.request import ID_ALPHABET, ExtensionState, Leg, LegState, Request
from bot.core.transitions import LEG_MAY_HAVE_ACCESS
from bot.store.indexes.drift import DriftIndex
from bot.worker.claim import error_text, order
from bot.worker.provider_gateway import ProviderGateway
from providers.systems.base import Closing, ExistingAccess, Presence, ProviderError, Receipt, Refused

log = logging.getLogger(__name__)

T = TypeVar("T")
MANY = 5
"""Orphans; more of them, if they are more than half of the system's access, are a sign of lost records."""
_ORDER = re.compile(rf"(J-[{ID_ALPHABET}]{{4,8}})\.([0-9]{{1,2}})")


class DriftKind(StrEnum):
    """A kind of drift."""

    CLOSED = "closed"
    """Orphaned access, revoked."""
    ORPHAN = "orphan"
    """Orphaned access that is still there."""
    GONE = "gone"
    """Active by our records, and not in the system."""
    FOREIGN = "foreign"
    """It has an order's name, and somebody else created or changed it."""
    UNMANAGED = "unmanaged"
    """Unmanaged: an account that is not ours has the entitlement without a request, and may have had it before."""
    UNSEEN = "unseen"
    """Unknown: the system, or a part of it, could not be read."""


@dataclass(frozen=True)
class Drift:
    """One case of drift. ``what`` names it within its system; ``request``: the one it belongs to by our records."""

    kind: DriftKind
    what: str
    sentence: str
    request: str = ""

    @property
    def wrong(self) -> bool:
        """Whether somebody has to know; unmanaged access is only worth knowing."""
        return self.kind is not DriftKind.UNMANAGED


@dataclass(frozen=True)
class DriftReport:
    """The drift of a system. ``total``: how many grants it has; ``ours``: how many are ours, by name or mark."""

    system: str
    total: int = 0
    ours: int = 0
    findings: tuple[Drift, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything could be read."""
        return all(finding.kind is not DriftKind.UNSEEN for finding in self.findings)

    @property
    def mass(self) -> bool:
        """Whether there are so many orphans that our records are in doubt."""
        orphans = sum(finding.kind in {DriftKind.CLOSED, DriftKind.ORPHAN} for finding in self.findings)
        return orphans > MANY and orphans * 2 > self.total


class ScanInterrupted(Exception):
    """The scan stops here; the next scan finds the rest."""


@dataclass
class DriftScan:
    """A scan of the system ``name``. ``shares``: whether a role of it gives entitlements to accounts that are not ours.

    ``settle_seconds``: after so many, each call in flight now has taken effect. ``pause`` waits, ``renew_lease``
    renews the lease on the system for the next step; both may raise `ScanInterrupted`. ``before_revoking`` is called
    with the orphans; without it none is revoked. ``reported_unmanaged``: unmanaged access that was reported before, by
    `Drift.what`; no second read has to confirm it.
    """

    name: str
    gateway: ProviderGateway
    drift_index: DriftIndex
    shares: bool
    settle_seconds: float
    pause: Callable[[float], Awaitable[None]]
    renew_lease: Callable[[float], Awaitable[None]]
    before_revoking: Callable[[Sequence[Drift]], Awaitable[None]] | None = None
    reported_unmanaged: frozenset[str] = frozenset()
    _target: str = field(default="", init=False)
    _findings: list[Drift] = field(default_factory=list, init=False)

    async def scan(self) -> DriftReport:
        """Scan, revoke orphans, and return all drift. Raises `StoreAway`, `ScanInterrupted`."""
        existing: Sequence[ExistingAccess] = ()
        try:
            self._target = await self.gateway.identity()
            existing = await self._call(self.gateway.system.list_access)
            orphans, unmanaged, existing = await self._orphans_and_unmanaged(existing)
            if orphans:
                await self._revoke_orphans(orphans)
            self._findings += [_unmanaged_drift(each) for each in unmanaged]
            await self._verify_active()
        except (JitError, ScanInterrupted):
            raise
        except Exception as error:  # any provider error: the system could not be read
            if not isinstance(error, ProviderError):
                log.exception("%s could not be read", self.name)
            self._findings.append(Drift(DriftKind.UNSEEN, "", f"{self.name} could not be read: {error_text(error)}"))
        ours = sum(each.order is not None for each in existing)
        return DriftReport(self.name, len(existing), ours, tuple(self._findings))

    async def _call(self, verb: Callable[..., Awaitable[T]], *about: object) -> T:
        """Call the provider, in a slot that grants cannot use up."""
        async with self.gateway.revoking():
            return await self.gateway.call(verb(*about))

    # access without a record

    async def _orphans_and_unmanaged(
        self, existing: Sequence[ExistingAccess]
    ) -> tuple[list[ExistingAccess], list[ExistingAccess], Sequence[ExistingAccess]]:
        """Orphans; unmanaged access; and all access in the system, as of the last read.

        The system is read first and the records after it: access is recorded before it is granted. Access that is
        being revoked, or takes effect, during the first read is ruled out by a second one.
        """
        orphans, unmanaged = await self._without_record(existing)
        if not orphans and self.reported_unmanaged.issuperset(_unmanaged_drift(each).what for each in unmanaged):
            return orphans, unmanaged, existing
        await self.renew_lease(self.settle_seconds)
        await self.pause(self.settle_seconds)
        existing = await self._call(self.gateway.system.list_access)
        orphans_now, unmanaged_now = await self._without_record(existing)
        return _in_both_reads(orphans, orphans_now), _in_both_reads(unmanaged, unmanaged_now), existing

    async def _without_record(
        self, existing: Sequence[ExistingAccess]
    ) -> tuple[list[ExistingAccess], list[ExistingAccess]]:
        """Orphans, and unmanaged access, by our records."""
        orphans = [each for each in existing if each.order is not None and not await self._is_recorded(each)]
        if not self.shares:
            return orphans, []
        recorded = {
            key
            for request in await self.drift_index.open_on(self.name)
            for leg in request.legs
            for key in leg.entitlements
        }
        return orphans, [each for each in existing if each.order is None and each.entitlement not in recorded]

    async def _is_recorded(self, access: ExistingAccess) -> bool:
        """Whether a record accounts for it, whatever name the policy has for the system."""
        leg = await self._leg_of(access)
        return leg is not None and leg.state in LEG_MAY_HAVE_ACCESS and leg.target in {"", self._target}

    async def _leg_of(self, each: ExistingAccess) -> Leg | None:
        """The leg that the access was granted for, by its order id; None without a record."""
        found = _ORDER.fullmatch(each.order or "")
        request = await self.drift_index.record(found[1]) if found else None
        n = int(found[2]) if found else 0
        return request.legs[n] if request and n < len(request.legs) else None

    async def _revoke_orphans(self, orphans: Sequence[ExistingAccess]) -> None:
        found = [(each, await self._orphan_drift(each)) for each in orphans]
        if self.before_revoking is None or not isinstance(self.gateway.system, Closing):
            self._findings += [finding for _, finding in found]
            return
        await self.before_revoking([finding for _, finding in found])
        for each, finding in found:
            await self.renew_lease(0.0)
            # Read again: a request may have been recorded since the scan, and its access is not orphaned.
            if not await self._is_recorded(each):
                self._findings.append(await self._revoke_orphan(each, finding, self.gateway.system))

    async def _orphan_drift(self, each: ExistingAccess) -> Drift:
        leg = await self._leg_of(each)
        why = f"{each.native} is in {self.name}, and "
        if leg is None:
            why += "no request of ours has it"
        else:
            why += (
                f"{each.order} is for another system" if leg.state in LEG_MAY_HAVE_ACCESS else f"{each.order} is over"
            )
        if not isinstance(self.gateway.system, Closing):
            why += "; its provider cannot revoke what has no record: revoke it yourself"
        return Drift(DriftKind.ORPHAN, f"{each.order} {each.native}", why)

    async def _revoke_orphan(self, each: ExistingAccess, finding: Drift, system: Closing) -> Drift:
        what, why = finding.what, finding.sentence
        try:
            outcome = await self._call(system.close_orphan, each)
        except Exception as error:  # noqa: BLE001  # any provider error: the access may still exist
            return Drift(
                DriftKind.ORPHAN, what, f"{why}; it could not be revoked, and is tried again: {error_text(error)}"
            )
        if outcome.presence is not Presence.ABSENT:
            why_left = outcome.kept or "somebody else changed it"
            return Drift(DriftKind.FOREIGN, what, f"{why}; it is not provably ours and was left alone: {why_left}")
        ended = f", {outcome.killed} sessions were ended" if outcome.killed else ""
        remains = "".join(f"; {more}" for more in (outcome.remains, outcome.kept, outcome.detail) if more)
        return Drift(DriftKind.CLOSED, what, f"{why}; it was revoked{ended}{remains}")

    # access that is active by our records

    async def _verify_active(self) -> None:
        """Verify that access that is active by our records is in the system as it was granted."""
        for request in await self.drift_index.open_on(self.name):
            for leg in request.legs:
                if leg.role.system == self.name and _verifiable(request, leg):
                    await self.renew_lease(0.0)
                    if finding := await self._drift_of_active(request, leg):
                        self._findings.append(finding)

    async def _drift_of_active(self, request: Request, leg: Leg) -> Drift | None:
        """The drift of access that is active by our records; None if it is in the system as it was granted."""
        id_, receipt = request.order_id(leg.n), Receipt.model_validate(leg.receipt)
        try:
            presence = await self._call(self.gateway.system.verify, order(request, leg), receipt)
        except Refused as error:
            return Drift(
                DriftKind.UNSEEN, id_, f"{id_} could not be read in {self.name}: {error_text(error)}", request.id
            )
        now = await self.drift_index.record(request.id)
        if presence is Presence.PRESENT or now is None or now.version != request.version:
            return None  # as it should be, or the request has just changed
        what = f"{id_} is active by our records, and {receipt.native}"
        if presence is Presence.ABSENT:
            return Drift(DriftKind.GONE, id_, f"{what} is gone from {self.name}; nothing is granted again", request.id)
        changed = f"{what} in {self.name} was changed by somebody else; it is revoked on time, but check it now"
        return Drift(DriftKind.FOREIGN, id_, changed, request.id)


def _verifiable(request: Request, leg: Leg) -> bool:
    """Whether the system must have the leg's access as granted: it is active, granted by us, and not being extended."""
    extending = request.extension is not None and request.extension.state is ExtensionState.EXTENDING
    ours = leg.receipt is not None and bool(leg.receipt.get("ours", True))
    return leg.state is LegState.ACTIVE and ours and not extending


def _in_both_reads(first: Sequence[ExistingAccess], second: Sequence[ExistingAccess]) -> list[ExistingAccess]:
    """The access that both reads found, as of the second."""
    seen = {_name(each) for each in first}
    return [each for each in second if _name(each) in seen]


def _name(each: ExistingAccess) -> tuple[str, str]:
    """An account of ours is the same one whatever entitlements it has by now."""
    return each.native, each.order or each.entitlement


def _unmanaged_drift(each: ExistingAccess) -> Drift:
    why = "no request accounts for it; it may be older than the bot: left alone"
    return Drift(
        DriftKind.UNMANAGED, f"{each.native} {each.entitlement}", f"{each.native} has {each.entitlement}, and {why}"
    )
