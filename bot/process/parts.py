"""The parts that a process of every role has, built and not running; nothing is sent when they are built."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from slack_sdk.web.async_client import AsyncWebClient

from bot import decision_log, logs
from bot.access.audit_query import AuditSearch
from bot.access.context import AccessContext
from bot.access.rule_lookups import RuleLookups
from bot.audit.archive.archive import Archive
from bot.metrics import Metrics, harmless
from bot.policy import loader
from bot.policy.catalog import Catalog
from bot.reports.digest.schedule import Digesting
from bot.settings import Settings
from bot.startup import CannotStart, Identity
from bot.store.indexes.recent_decisions import Acknowledged
from bot.store.keyring import KeyRing
from bot.store.keys import Keys
from bot.store.provenance import Provenance
from bot.store.redis.client import Link
from bot.store.store import Store
from bot.store.wakeups import Wakeups
from bot.worker.clock import StoreClock, new_scheduler, tick_now
from bot.worker.directory_people import PeopleRefresh
from bot.worker.directory_refresh import DirectoryRefresh
from bot.worker.lost_writes import LostWrites
from bot.worker.provider_gateway import ProviderGateway
from handlers.notify.announcer import Announcer
from handlers.notify.home_tabs import HomeTabs
from handlers.slack.api import CallObserver
from handlers.slack.directory import People
from providers.factors import registry as factors
from providers.factors.base import CodeFactor
from providers.secret_refs import Misconfigured

log = logging.getLogger(__name__)


ProcessRole = Literal["all", "web", "worker"]


class PartBroken(Exception):
    """A part that ended by an error, which the log has; its host is to start a whole process."""

    def __init__(self, part: str) -> None:
        """Name the part."""
        super().__init__(f"the {part} broke; the log above says how")


@dataclass(frozen=True)
class PreparedPolicy:
    """What a part made ready for another policy. ``commit`` puts it to use and cannot fail; ``discard`` drops it."""

    commit: Callable[[], None]
    discard: Callable[[], Awaitable[None]]


Prepare = Callable[[Catalog], PreparedPolicy]
"""Makes a part ready for another policy. Raises `CannotStart`, and then has changed nothing."""


@dataclass
class Parts:
    """One process, in one of its roles. ``environment``: what the references of the policy are read from."""

    settings: Settings
    role: ProcessRole
    catalog: Catalog
    link: Link
    client: AsyncWebClient
    identity: Identity
    ring: KeyRing
    environment: Mapping[str, str]
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    rereading: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to have the policy file read again at once."""
    policy_text: str = ""
    """What the files of ``catalog`` say, as they were read."""
    policy_trouble: str = ""
    """Why the policy file as it is now cannot be used; '' where it is the one in force."""
    prepares: list[Prepare] = field(default_factory=list)
    """The parts that another policy changes more of than what they ask `policy` for."""
    broken: str = ""
    """The part that ended by an error, if one did."""
    port: int = 0
    ops_port: int = 0
    gateways: Mapping[str, ProviderGateway] = field(default_factory=dict)
    """The systems, in a worker."""
    digesting: Digesting = field(init=False)
    """In a worker."""
    directories: DirectoryRefresh = field(init=False)
    """In a worker."""
    directory_people: PeopleRefresh = field(init=False)
    """In a worker."""
    audit_search: AuditSearch = field(init=False)
    """In a process that answers Slack."""
    ticket_exists: Callable[[str, str], Awaitable[bool | None]] | None = None
    """The same: whether a ticket system of the policy has a ticket."""

    def __post_init__(self) -> None:
        """Build them, each from those before it."""
        self.metrics = Metrics(logs.dropped)
        self.store, acknowledged = self._store()
        self.lost_writes = LostWrites(self.store, acknowledged)
        self.wakeups = Wakeups(self.link.blocking(self.store.keys.due), self.store.keys.wake)
        self.scheduler = new_scheduler()
        self.time = StoreClock(self.store.now, partial(tick_now, self.scheduler))
        lookups = RuleLookups(self._frozen, self._ticket_exists)
        self.context = AccessContext(
            self.store, self.policy, loader.consequence, loader.can_extend, lookups, _factors()
        )
        self.client.retry_handlers.append(self.slack_metrics())
        self.people = People(self.client, self.store, self.identity.home, self.policy)
        self.home_tabs = HomeTabs(self.context, self.people, self.client, site=self.identity.site)
        self.announcer = Announcer(
            self.store,
            self.people,
            self.client,
            self.policy,
            loader.capabilities,
            self.wakeups.waiter(),
            self.wakeups.wake,
            self.home_tabs,
            site=self.identity.site,
        )

    def _store(self) -> tuple[Store, Acknowledged]:
        acknowledged = Acknowledged()
        return Store(
            self.link.commands(Keys(self.identity.home).due),
            self.identity.home,
            self.ring,
            self.catalog.workspace.retention,
            self.settings.replicas,
            harmless(decision_log.write, self.metrics.committed, acknowledged.heard),
            Provenance(f"{self.role}@{socket.gethostname()}", lambda: self.catalog.policy_hash),
        ), acknowledged

    async def _frozen(self, catalog: Catalog, names: Sequence[str], at: float) -> Mapping[str, bool | None]:
        found = await self.people.directories.snapshots.read((), names)
        return {name: found.frozen(catalog, name, at) for name in names}

    async def _ticket_exists(self, check: str, ticket: str) -> bool | None:
        return await self.ticket_exists(check, ticket) if self.ticket_exists else None

    def broke(self, task: asyncio.Task[None]) -> None:
        """Stop the process, if the task ended by an error."""
        if not task.cancelled() and (error := task.exception()):
            log.critical("%s broke: %s", task.get_name(), error, exc_info=error)
            self.broken = task.get_name()
            self.stopping.set()

    def policy(self) -> Catalog:
        """The policy that is in force in this process."""
        return self.catalog

    def slack_metrics(self) -> CallObserver:
        """Counts the calls of a Slack client."""
        return CallObserver(harmless(self.metrics.asked_slack))

    @property
    def archive_url(self) -> str:
        """Where the archive is; '' for the file in JIT_HOME."""
        return self.settings.archive_url.get_secret_value() if self.settings.archive_url else ""

    def archive(self) -> Archive:
        """Open the archive, which a worker's sealer makes. Raises `NoArchive`."""
        return Archive.open(self.archive_url, self.settings.home)

    def made_archive(self) -> Archive:
        """Open the archive, and make it where there is none; only one part does, or two would collide."""
        return Archive.open(self.archive_url, self.settings.home, create=True)

    def text_of(self, generation: str) -> str | None:
        """The full text of the policy in force, or of another one, if the file still has it."""
        if self.policy_text and generation == self.catalog.policy_hash:
            return self.policy_text
        return loader.full_text(self.settings.policy, generation)


def _factors() -> Mapping[str, CodeFactor]:
    """The factors that are installed. Raises `CannotStart`."""
    try:
        return factors.build_all()
    except Misconfigured as error:
        raise CannotStart(str(error)) from None
