"""Whether a record may be acted on, and what is done with one that may not: rolled back, missing, or not approved.

Access is granted only by a record that the audit log confirms, and revoked by any record of ours (one with our MAC).
Without a `Recovery` only the newest versions that this process has seen, its high-water marks, show that a record is
stale.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from bot.audit.trail import TrailUnknown
from bot.core.errors import StoreAway
from bot.core.request import Request
from bot.policy.catalog import Catalog
from bot.store.store import Store
from bot.store.types import ClaimedRequest, Superseded
from bot.worker import approval_check
from bot.worker.approval_check import ApprovalInvalid
from bot.worker.claim import Claim, TryLater
from bot.worker.recovery import Recovery, StaleRecord, end_event
from bot.worker.standing_access import StandingAccess
from bot.worker.usage_counter import UsageCounter, UsageUnknown

log = logging.getLogger(__name__)

_RETRY_STEP = 1.0


@dataclass(frozen=True)
class RecordChecks:
    """The checks of one worker."""

    store: Store
    recovery: Recovery | None
    counter: UsageCounter | None = None
    standing_access: StandingAccess | None = None

    async def end_if_exceeding(self, claim: Claim) -> bool:
        """End an approved request that exceeds a limit or conflicts, by the audit log. Whether it was ended.

        Only before its first attempt: from then on it may have access. Raises `TryLater`.
        """
        request = claim.request
        if self.counter is None or any(leg.attempts for leg in request.legs):
            return False
        try:
            why = await self._exceeded(self.counter, request)
        except (TrailUnknown, UsageUnknown) as error:
            log.warning("%s: not granted yet, since limits cannot be counted: %s", request.id, error)
            raise TryLater(claim.now + _RETRY_STEP) from error
        event = end_event(request, claim.now, why) if why else None
        if event is None:
            return False
        log.error("%s: not granted: %s", request.id, why)
        await claim.commit(event)
        return True

    async def _exceeded(self, counter: UsageCounter, request: Request) -> str:
        """Which limit or conflict forbids it, and what to do; empty where none does."""
        if why := await counter.why_exceeded(request):
            return f"{why}; please request again later"
        if why := await self._conflicting(counter.policy(), request):
            return f"{why}; have that access removed in its system, then request again"
        return ""

    async def _conflicting(self, catalog: Catalog, request: Request) -> str:
        """Why the requester's access without a request forbids this one; empty where nothing is known to."""
        if self.standing_access is None or not catalog.conflicts:
            return ""
        found = await self.standing_access.conflict(catalog, request)
        if found is None:
            return ""
        return f"the requester has {found.other} without a request, which conflicts with {found.mine}"

    async def check(self, claim: Claim) -> None:
        """Check a record before a grant. Raises `StaleRecord`, `ApprovalInvalid`, `TryLater`."""
        if self.recovery is None:
            return
        try:
            await self.recovery.check(claim.request)
            await approval_check.check(self.recovery.trail, claim.request)
        except TrailUnknown as error:
            approval_check.give_up(claim.request, claim.now)
            log.warning("%s: not granted yet, since its record cannot be checked: %s", claim.claimed.id, error)
            raise TryLater(claim.now + _RETRY_STEP) from error
        except StaleRecord:
            # A commit since the claim makes the record newer, not stale: its lineage (hash of its events) differs.
            loaded = await self.store.load(claim.request.id)
            if loaded and loaded.request.lineage != claim.request.lineage:
                raise Superseded(claim.request.id) from None
            raise

    async def is_stale(self, request: Request) -> bool:
        """Whether the audit log shows that a record was rolled back; where it cannot, the record is trusted."""
        if self.recovery is None:
            return False
        try:
            await self.recovery.check(request)
        except StaleRecord:
            return True
        except TrailUnknown:
            return False
        return False

    async def is_archived(self, request: Request, within: float) -> bool:
        """Whether the archive (the audit log outside Redis) has a record's events, or has them within so many seconds.

        Raises `TryLater` where it does not answer.
        """
        try:
            return self.recovery is None or await self.recovery.is_archived(request, within)
        except TrailUnknown as error:
            log.warning("%s: not granted yet, since the archive does not answer: %s", request.id, error)
            raise TryLater(await self.store.now() + _RETRY_STEP) from error

    async def open_on(self, system: str) -> set[str]:
        """The requests that may have access on a system, by the index and by the audit log."""
        found = {loaded.request.id for loaded in await self.store.open_on([system])}
        return found | (set(self.recovery.trail.open) if self.recovery else set())

    async def replace_missing(self, claimed: ClaimedRequest) -> None:
        """Restore a due request without a record of ours from its events, or keep it due and raise an alarm."""
        try:
            if await self._restored(claimed.id):
                return
            await self._alarm(claimed.id)
            if self.recovery:
                await self.recovery.revoke_unusable(claimed.id, claimed.now)
        except (StoreAway, Superseded) as error:
            log.warning("%s: its record could not be restored yet: %s", claimed.id, error)

    async def end_stale(self, claim: Claim) -> bool:
        """Restore a record that was rolled back from its events, or end what it names. Whether it was restored."""
        await self.store.alarm_rolled_back(claim.request.id)
        if await self._restored(claim.request.id, claim.request):
            return True
        if event := end_event(claim.request, claim.now):
            # The claim is kept: the revoke that is now due is made under it.
            await claim.commit(event, lease_until=claim.now + claim.lease)
            if self.recovery and self.recovery.on_unknown_access:
                # A grant that the record does not show may be in flight: reconcile.
                await self.recovery.on_unknown_access()
        return False

    async def end_unapproved(self, claim: Claim, why: ApprovalInvalid) -> None:
        """End a request whose approval is invalid by the audit log, or that could not be checked against it."""
        log.error("%s: not granted: %s", claim.request.id, why.reason)
        if why.alarm:
            await self.store.alarm(why.alarm, claim.request.id)
        if event := end_event(claim.request, claim.now, why.reason):
            await claim.commit(event)
            if self.recovery and self.recovery.on_unknown_access:
                # Access that the record does not show may be open: reconcile.
                await self.recovery.on_unknown_access()

    async def _restored(self, id_: str, untrusted: Request | None = None) -> bool:
        replayed = await self.recovery.replayed(id_, untrusted) if self.recovery else None
        return replayed is not None and self.recovery is not None and await self.recovery.restore(replayed, untrusted)

    async def _alarm(self, id_: str) -> None:
        log.error("%s is due, but its record is missing or was not written by us; nothing is done with it", id_)
        try:
            await self.store.alarm("tampered", id_)
        except StoreAway as error:
            log.warning("the alarm for %s could not be recorded: %s", id_, error)
