"""What a worker process adds: it grants and revokes, posts, reconciles, seals and ships. It needs no signing secret."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import UTC, datetime
from functools import partial

from bot import tasks
from bot.access import scheduled_start
from bot.access.audit_files import AuditFiles
from bot.audit.archive.archive import Archive, NoArchive
from bot.audit.sealer import Sealer
from bot.audit.shipping.shipper import Shipping
from bot.audit.trail import Trail
from bot.background import Run, restarted
from bot.core.events import Event
from bot.core.request import Request
from bot.metrics import harmless
from bot.process.directories import WorkerDirectories
from bot.process.parts import Parts
from bot.process.running import START_WITHIN, start
from bot.process.systems import Systems, prepare_sinks, sinks
from bot.reports.digest import chart
from bot.reports.digest.schedule import EVERY, Digesting, DigestReader
from bot.reports.insights.scan import Watching
from bot.store.types import CommitGuard
from bot.worker.delegation_ends import DelegationEnds
from bot.worker.directory_people import PeopleRefresh, Subjects
from bot.worker.directory_refresh import DirectoryRefresh
from bot.worker.fresh_groups import FreshGroupReader
from bot.worker.key_rotation import KeyRotation
from bot.worker.lockdown_enforcer import LockdownEnforcer
from bot.worker.lockdown_high_water import LockdownHighWater
from bot.worker.members_watch import MembersWatch
from bot.worker.offboarding import Offboarding
from bot.worker.reconcile import INTERVAL, Reconciler
from bot.worker.recovery import Recovery
from bot.worker.usage_counter import UsageCounter
from bot.worker.worker import Worker
from handlers import own_request
from handlers.notify.digest import DigestDeliveries
from handlers.notify.files import FileDeliveries
from handlers.slack.account_checks import AccountChecks
from providers.systems.base import Secret

log = logging.getLogger(__name__)


async def work(parts: Parts, stack: contextlib.AsyncExitStack) -> None:
    """Build a worker's parts, each from those before it, and start them together."""
    systems = Systems(parts)
    stack.push_async_callback(systems.close)
    start(stack, parts.wakeups.wake, {"wakeups": parts.wakeups.listen})
    recovery = Recovery(parts.store, Trail(parts.store, parts.archive))
    counter = UsageCounter(parts.store, parts.policy, recovery)
    worker = Worker(
        parts.store,
        systems.begin(),
        partial(_deliver, parts),
        partial(_judge, parts),
        parts.wakeups.waiter(),
        recovery=recovery,
        counter=counter,
    )
    parts.gateways = worker.gateways
    reconciler = Reconciler(parts.store, parts.gateways, parts.policy)
    sealer, opened = _sealer(parts)
    # What a record that was rolled back does not say may be open in a system, and unsealed in the window.
    recovery.on_unknown_access, recovery.seal = reconciler.run_now, sealer.run_now
    shipping = Shipping(parts.store, parts.archive, sinks(parts, parts.catalog))
    directories = WorkerDirectories(parts)
    stack.push_async_callback(directories.close)
    parts.directories = refresh = DirectoryRefresh(
        parts.store, parts.policy, directories.begin(), harmless(parts.metrics.not_read)
    )
    parts.metrics.serve(parts.gateways)
    parts.metrics.read(refresh.ages)
    parts.metrics.ship(shipping.lag)
    parts.prepares += [partial(systems.prepare, worker.gateways), partial(prepare_sinks, parts, shipping)]
    parts.prepares.append(partial(directories.prepare, refresh))
    # Before all that reads the archive: only the sealer creates it, and a first start has none. It ends last, too.
    start(stack, parts.wakeups.wake, {"sealer": partial(restarted, "sealer", sealer.run)})
    await _archive_exists(parts, opened)
    _schedule_digest(parts)
    parts.scheduler.add_job(reconciler.tick, "interval", seconds=INTERVAL, id="reconcile")
    # Before the worker starts, so that it grants nothing over a lockdown that the store was made to forget.
    lockdowns = start(stack, parts.wakeups.wake, {"lockdown mark": LockdownHighWater(parts.store, parts.archive).run})
    await asyncio.wait(lockdowns.values(), timeout=START_WITHIN)
    parts.directory_people = people = PeopleRefresh(refresh, Subjects(parts.store, parts.people.roster).of)
    watch = MembersWatch(parts.context, parts.people.roster, parts.archive)
    beside: dict[str, Run] = {
        "approvers' groups": watch.run,
        "delegations": DelegationEnds(parts.context, parts.people.accounts).run,
        "announcer": parts.announcer.run,
        "home tabs": parts.home_tabs.run,
        "shipping": shipping.run,
        "reconciler": reconciler.run,
        "recovery": recovery.run,
        "usage counts": counter.run,
        "lockdowns": LockdownEnforcer(parts.context, parts.wakeups.waiter()).run,
        "key rotation": KeyRotation(parts.store).run,
        "offboarding": Offboarding(parts.context, parts.people.accounts, parts.people.groups).run,
        "account checks": AccountChecks(parts.people).run,
        "directories": refresh.run,
        "people in directories": people.run,
        "groups for a click": FreshGroupReader(refresh, parts.wakeups.waiter()).run,
        "insights": Watching(parts.context, parts.people.roster, parts.archive).run,
    }
    # Whatever breaks beside the worker is begun again: access is revoked on time all the while. A worker that breaks
    # takes the process down, since its host starts a whole one.
    runs = {name: partial(restarted, name, run) for name, run in beside.items()}
    started = start(stack, parts.wakeups.wake, {"worker": worker.run, **runs})
    started["worker"].add_done_callback(parts.broke)
    with contextlib.suppress(TimeoutError):
        await tasks.within(watch.seen.wait(), START_WITHIN)


def _sealer(parts: Parts) -> tuple[Sealer, asyncio.Event]:
    """The sealer, and an event that is set once it has opened the archive."""
    opened, loop = asyncio.Event(), asyncio.get_running_loop()

    def made() -> Archive:
        archive = parts.made_archive()
        loop.call_soon_threadsafe(opened.set)
        return archive

    sealer = Sealer(parts.store, made, parts.settings.home, lambda: parts.catalog.policy_hash, parts.text_of)
    return sealer, opened


async def _archive_exists(parts: Parts, opened: asyncio.Event) -> None:
    """Wait until there is an archive. What needs it says so itself where that takes longer than a start may."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START_WITHIN):
            try:
                archive = await asyncio.to_thread(parts.archive)
            except NoArchive:
                await opened.wait()
            else:
                archive.close()


def _schedule_digest(parts: Parts) -> None:
    """Have the digest sent at its time; the first look is at once, for a time that was missed."""
    home, url, announcer = parts.settings.home, parts.archive_url, parts.announcer
    facts = DigestReader(parts.store.workspace, home, url)
    draw = partial(chart.drawn, home=home)
    announcer.router.digest_deliveries = DigestDeliveries(facts, draw, announcer.channels, announcer.poster)
    files = AuditFiles(parts.store.workspace, home, url, parts.ring)
    announcer.router.file_deliveries = FileDeliveries(
        parts.store, parts.policy, parts.people, files, announcer.channels, announcer.poster
    )
    parts.digesting = Digesting(parts.store, facts, parts.policy, chart.available)
    if parts.catalog.workspace.digest and not chart.available():
        log.warning("the digest goes out without its picture: %s", chart.EXTRA)
    first = datetime.now(UTC)
    parts.scheduler.add_job(parts.digesting.tick, "interval", seconds=EVERY, id="digest", next_run_time=first)


async def _judge(parts: Parts, request: Request, now: float) -> tuple[Event, tuple[CommitGuard, ...]] | None:
    return await scheduled_start.start_event(parts.context, await parts.people.roster(), request, now)


async def _deliver(parts: Parts, request: Request, view: str, shown: Secret | str) -> None:
    await own_request.deliver(parts.client, request, view, shown)
