"""Reconciles systems with our records: when, by which worker, and what is reported; the comparison is in drift.py.

At the start and every ten minutes each system is compared once, by whichever worker comes first. Orphaned access
(ours by its name or mark, and without a record) is recorded before it is revoked, and drift is reported once until it
changes. Only our records show whose access it is, so a system belongs to one workspace and one store: two bots over
one system would revoke each other's access as orphaned.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from bot.background import Loop, paused
from bot.core.errors import StoreAway
from bot.policy.catalog import Catalog
from bot.store.indexes.drift import DriftEvent, DriftIndex
from bot.store.store import Store
from bot.worker.drift import Drift, DriftKind, DriftReport, DriftScan, ScanInterrupted
from bot.worker.provider_gateway import ProviderGateway

log = logging.getLogger(__name__)

INTERVAL = 600
"""Seconds between two comparisons of a system."""
_EXTRA_SPACING = 3.0
"""Seconds between two comparisons outside the interval."""
_SHOWN = 5
_REVOKING = "closing"
"""The state under which an orphan is recorded before it is revoked: a process that finds it gone later knows why."""
_NOT_POSTED = frozenset({DriftKind.UNSEEN})
"""Not posted in Slack: a system that does not answer is in the log, the metrics and the messages of its requests."""


class ReconciledElsewhere(ScanInterrupted):
    """Another process is comparing this system now."""


class ReconcileStopped(ScanInterrupted):
    """The process is to stop; no further step is begun."""


@dataclass
class Reconciler:
    """The reconciling loop. ``by``: who compares, for the audit log.

    ``margin``: seconds added to `settles_within`, after which a provider promises that a call has taken effect.
    ``interval``: seconds between two comparisons of a system. ``pause`` waits until calls in flight have taken effect.
    """

    store: Store
    gateways: Mapping[str, ProviderGateway]
    catalog: Callable[[], Catalog]
    by: str = "worker"
    margin: float = 1.0
    interval: int = INTERVAL
    spare: float = 30.0
    """Seconds of the lease beyond what the next step may take."""
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    _holder: str = field(default_factory=lambda: secrets.token_hex(8), init=False)
    _next_extra_at: float = field(default=-1e9, init=False)
    _at_once: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Nothing is sent."""
        self.drift_index = DriftIndex(self.store)
        self._ticked = asyncio.Event()

    # when

    async def run(self, stop: asyncio.Event) -> None:
        """Compare every system at once, then at each tick, until ``stop`` is set."""
        self.pause = partial(_pause_or_stop, stop)
        self._at_once = True
        await Loop("reconciling", self._run_once, self.interval, wait=self._next_tick).run(stop)

    async def _run_once(self) -> None:
        # Cleared first: after a tick that comes while systems are compared, they are compared again.
        self._ticked.clear()
        at_once, self._at_once = self._at_once, False
        await self.reconcile_all(at_start=at_once)

    async def _next_tick(self, _: float) -> None:
        await self._ticked.wait()

    async def tick(self) -> None:
        """Have the systems compared again."""
        self._ticked.set()

    async def run_now(self) -> None:
        """Compare now, without waiting for the interval: there may be orphaned access.

        Compares once more when the calls that are in flight now have taken effect.
        """
        settle_seconds = (
            max((gateway.system.settles_within for gateway in self.gateways.values()), default=0.0) + self.margin
        )
        self._schedule_extra(0.0)
        self._schedule_extra(settle_seconds + 1.0)

    def _schedule_extra(self, seconds: float) -> None:
        """Schedule a comparison; those scheduled for the same moment are coalesced."""
        now = time.monotonic()
        if self._next_extra_at < now + seconds:  # else a later comparison is scheduled already
            self._next_extra_at = max(now + seconds, self._next_extra_at + _EXTRA_SPACING)
            asyncio.get_running_loop().call_later(self._next_extra_at - now, self._compare_all)

    def _compare_all(self) -> None:
        self._at_once = True
        self._ticked.set()

    async def reconcile_all(self, *, at_start: bool = False) -> None:
        """Compare each system whose interval this worker claims; a failure does not stop the others."""
        for name in list(self.gateways):  # a policy that is loaded meanwhile may add some
            try:
                if at_start or await self._claims_interval(name):
                    await self.reconcile(name)
            except ReconcileStopped:
                return
            except ReconciledElsewhere:
                log.info("%s is being reconciled by another process", name)
            except StoreAway as error:
                log.warning("the store is away, %s cannot be reconciled: %s", name, error)
            except Exception:
                log.exception("%s could not be reconciled; it is tried again", name)

    async def _claims_interval(self, name: str) -> bool:
        """Whether this worker is the first to claim the comparison of this interval."""
        number = int(await self.store.now() // self.interval)
        return await self.drift_index.interval_claim(name, number, self._holder, 2 * self.interval).elected()

    # what

    async def reconcile(self, name: str) -> DriftReport:
        """Compare one system with our records, revoke orphans, report new drift.

        Raises `ReconciledElsewhere`, `ReconcileStopped`, `StoreAway`.
        """
        # The lease before the scan, and again before each step: two workers never revoke in one system at a time.
        renew_lease = partial(self._renew_lease, name)
        await renew_lease(0.0)
        try:
            reported = await self.drift_index.reported(name)
            scan = self._scan(name, reported, renew_lease)
            scan.before_revoking = partial(self._record_orphans, name, reported)
            report = await scan.scan()
            await self._report(report, reported)
            return report
        finally:
            await self.drift_index.system_lease(name, self._holder).resign()

    async def dry_run(self, name: str) -> DriftReport:
        """The drift that `reconcile` would find; nothing is revoked, recorded or reported."""
        return await self._scan(name, await self.drift_index.reported(name), _no_lease).scan()

    def _scan(
        self, name: str, reported: Mapping[str, str], renew_lease: Callable[[float], Awaitable[None]]
    ) -> DriftScan:
        gateway = self.gateways[name]
        return DriftScan(
            name,
            gateway,
            self.drift_index,
            self._shares(name),
            gateway.system.settles_within + self.margin,
            self.pause,
            renew_lease,
            reported_unmanaged=frozenset(what for what, how in reported.items() if how == DriftKind.UNMANAGED),
        )

    def _shares(self, name: str) -> bool:
        """Whether a role of the system gives entitlements to accounts that are not ours."""
        system = self.catalog().systems.get(name)
        roles = system.roles.values() if system else ()
        capable = self.gateways[name].system.capabilities
        return any(not capable(params).own_principal for role in roles for params in role.samples)

    async def _renew_lease(self, name: str, seconds: float) -> None:
        """Renew the lease for so many seconds and the call that follows. Raises `ReconciledElsewhere`."""
        gateway = self.gateways[name]
        step = seconds + gateway.system.settles_within + gateway.timeout_margin + self.spare
        if not await self.drift_index.system_lease(name, self._holder).elected(step):
            raise ReconciledElsewhere(name)

    # reporting

    async def _record_orphans(self, name: str, reported: Mapping[str, str], orphans: Sequence[Drift]) -> None:
        """Record orphans before they are revoked: a crash leaves no revocation without its event."""
        new = [self._event(name, each) for each in orphans if each.what not in reported]
        await self.drift_index.report(name, new, {**reported, **{each.what: _REVOKING for each in orphans}})

    async def _report(self, report: DriftReport, reported: Mapping[str, str]) -> None:
        """Report only new drift; what could not be read counts as unchanged."""
        findings = [*report.findings, *_interrupted(report, reported)]
        now = {each.what: each.kind.value for each in findings if each.kind is not DriftKind.CLOSED}
        new = [each for each in findings if reported.get(each.what) != each.kind]
        if not report.complete:
            now = {**{what: how for what, how in reported.items() if how != _REVOKING}, **now}
        if not (now or reported or new):
            return
        for each in new:
            log.log(logging.ERROR if each.wrong else logging.WARNING, "%s: %s", report.system, each.sentence)
        loud = any(each.kind not in _NOT_POSTED for each in new)
        await self.drift_index.report(
            report.system,
            [self._event(report.system, each) for each in new],
            now,
            summary=self._summary(report, new) if new else None,
            row=f"system:{report.system}|found:#" if loud else "",
        )

    def _event(self, name: str, each: Drift) -> DriftEvent:
        fields = {"found": each.kind.value, "system": name, "what": each.what, "said": each.sentence, "by": self.by}
        in_thread = each.request and each.kind in {DriftKind.GONE, DriftKind.FOREIGN}
        return DriftEvent(each.request, fields, f"{each.request}|thread:#" if in_thread else "")

    def _summary(self, report: DriftReport, new: Sequence[Drift]) -> Mapping[str, object]:
        rank = list(DriftKind)
        loudest = sorted((each for each in new if each.kind not in _NOT_POSTED), key=lambda each: rank.index(each.kind))
        return {
            "system": report.system,
            "by": self.by,
            "stands": report.total,
            "ours": report.ours,
            "mass": report.mass,
            "found": dict(Counter(each.kind.value for each in new)),
            "said": [each.sentence for each in loudest[:_SHOWN]],
        }


def _interrupted(report: DriftReport, reported: Mapping[str, str]) -> list[Drift]:
    """Orphans that a process was about to revoke when it died, and that are gone."""
    if not report.complete:
        return []
    seen = {each.what for each in report.findings}
    revoked_meanwhile = [what for what, how in reported.items() if how == _REVOKING and what not in seen]
    sentence = "was in {system} without a request; a process that ended meanwhile was revoking it, and it is gone"
    return [
        Drift(DriftKind.CLOSED, what, f"{what} " + sentence.format(system=report.system)) for what in revoked_meanwhile
    ]


async def _no_lease(_: float) -> None:
    """A dry run takes no lease."""


async def _pause_or_stop(stop: asyncio.Event, seconds: float) -> None:
    """Wait for so many seconds. Raises `ReconcileStopped`."""
    if await paused(stop, seconds):
        raise ReconcileStopped
