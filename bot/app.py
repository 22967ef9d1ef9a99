"""The composition root: builds every part from the settings, runs them, and takes them down in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, cast

import aiohttp
from redis.asyncio import Redis
from slack_bolt.adapter.asgi.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

import handlers
from bot import decisions, logs, policy_file, web
from bot.clock import Hints, StoreTime, anew, ticks
from bot.core.catalog import Catalog
from bot.core.errors import StoreAway
from bot.core.events import Event
from bot.core.model import Request
from bot.desk import Desk
from bot.digest import picture as digest_picture
from bot.digest.telling import EVERY, Digesting, Facts
from bot.enforcing import Enforcing
from bot.forgotten import Forgotten
from bot.hiding import referred
from bot.insights.watching import Watching
from bot.keyring import KeyRing
from bot.leavers import Leavers
from bot.metrics import Metrics, harmless
from bot.posts import Post
from bot.reconciling import INTERVAL, Reconciler
from bot.record.archive import Archive
from bot.record.handing import Files
from bot.record.looking import Looking
from bot.record.sealing import Sealer
from bot.record.shipping import Shipping, Sinks, built
from bot.settings import Settings
from bot.starting import CannotStart, Identity, identity_of, require_fit, ring_of, store_url
from bot.store import embedded, fitness
from bot.store.acknowledged import Acknowledged
from bot.store.backlog import Lookout
from bot.store.changes import Guard
from bot.store.connecting import Link
from bot.store.keys import Keys
from bot.store.keys import home as home_key
from bot.store.store import Store
from bot.store.whence import Whence
from bot.worker import Worker
from handlers import holding, socket_mode
from handlers.announcer import Announcer
from handlers.calls import Heard
from handlers.digests import Digests
from handlers.door import Door
from handlers.handouts import Handouts
from handlers.homes import Homes
from handlers.people import REFRESH, People
from handlers.receiving import Receiving
from providers.systems import registry
from providers.systems.base import ProviderError, Secret, System

log = logging.getLogger(__name__)

Role = Literal["all", "web", "worker"]
_PATIENCE = 2.0
_SLACK_PATIENCE = 3.0
"""Seconds that a start waits for Slack: what is due is closed without it."""
_GRACE = 25.0
"""Seconds that what is in hand may take at the end, under the 30 that most hosts give."""


class Broken(Exception):
    """A part that ended by an error, which the log has; its host is to start a whole process."""

    def __init__(self, part: str) -> None:
        """Name the part."""
        super().__init__(f"the {part} broke; the log above says how")


@dataclass
class App:
    """One process of the product, in one of its roles."""

    settings: Settings
    role: Role
    catalog: Catalog
    redis: Redis
    blocking: Redis
    client: AsyncWebClient
    identity: Identity
    ring: KeyRing
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    ops_port: int = 0

    def __post_init__(self) -> None:
        """Build the parts that every role has."""
        retention, replicas = self.catalog.workspace.retention, self.settings.replicas
        self.metrics = Metrics(logs.dropped)
        acknowledged = Acknowledged()
        watch = harmless(decisions.tell, self.metrics.committed, acknowledged.heard)
        whence = Whence(f"{self.role}@{socket.gethostname()}", lambda: self.catalog.generation)
        self.store = Store(self.redis, self.identity.home, self.ring, retention, replicas, watch, whence)
        self.client.retry_handlers.append(self._heard())
        self.forgotten = Forgotten(self.store, acknowledged)
        self.desk = Desk(self.store, self._catalog, policy_file.consequence, policy_file.prolongs)
        self.people = People(self.client, self.store, self.identity.home, self._catalog)
        self.hints = Hints(self.blocking, self.store.keys.wake)
        self.homes = Homes(self.desk, self.people, self.client)
        self.announcer = Announcer(
            self.store,
            self.people,
            self.client,
            self._catalog,
            policy_file.capabilities,
            self.hints.waiter(),
            self.hints.hint,
            self.homes,
            site=self.identity.site,
        )
        self.systems: dict[str, System] = {}
        self.posts: Mapping[str, Post] = {}
        self._broken = ""

    def _catalog(self) -> Catalog:
        return self.catalog

    @property
    def _archive_url(self) -> str:
        return self.settings.archive_url.get_secret_value() if self.settings.archive_url else ""

    async def run(self) -> None:
        """Run until `stopping` is set; then finish what is in hand."""
        log.info("the store is %s", await self.store.recognise())
        await self.store.adopt(self.catalog.generation)
        async with contextlib.AsyncExitStack() as stack:
            # First up and last down, so that who asks for its health is answered all the while.
            await self._ops(stack)
            await self._tick(stack)
            if self.role != "web":
                await self._work(stack)
            if self.role != "worker":
                await self._answer(stack)
            self.ready.set()
            log.info("ready: %s of %s, policy %s", self.role, self.identity.home, self.catalog.generation)
            await self.stopping.wait()
            self.ready.clear()
            log.info("stopping: finishing what is in hand")
        if self._broken:
            raise Broken(self._broken)

    # the parts, each taken down in the reverse order

    async def _tick(self, stack: contextlib.AsyncExitStack) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.people.refresh(), _PATIENCE)
        scheduler = self._scheduler = ticks()
        scheduler.add_job(self.people.refresh, "interval", seconds=REFRESH, id="user groups")
        scheduler.start()
        stack.callback(scheduler.shutdown, wait=False)
        self.time = StoreTime(self.store.now, partial(anew, scheduler))
        await self.time.refresh()
        stop = asyncio.Event()
        keeping = asyncio.create_task(self.time.keep(stop), name="time")
        looking = asyncio.create_task(self.forgotten.run(stop), name="forgotten")
        stack.push_async_callback(_finish, {keeping, looking}, stop, self.hints.hint)

    async def _work(self, stack: contextlib.AsyncExitStack) -> None:
        self._connect(stack)
        listening = asyncio.create_task(self.hints.listen(), name="hints")
        stack.push_async_callback(_cancel, listening)
        worker = Worker(self.store, self.systems, self._deliver, self._judge, self.hints.waiter())
        self.posts = worker.posts
        self.metrics.serve(self.posts)
        reconciler = Reconciler(self.store, self.posts, self._catalog)
        self._scheduler.add_job(reconciler.tick, "interval", seconds=INTERVAL, id="reconcile")
        url = self._archive_url
        archive = partial(Archive.open, url, self.settings.home, create=True)
        await self._digest(url)
        enforcing = Enforcing(self.desk, self.hints.waiter(), partial(Archive.open, url, self.settings.home))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(enforcing.remember(), _PATIENCE)
        text = partial(policy_file.full_text, self.settings.policy)
        sealer = Sealer(self.store, archive, self.settings.home, lambda: self.catalog.generation, text)
        # It makes no archive: two that make one at the same moment are in each other's way.
        shipping = Shipping(self.store, partial(Archive.open, url, self.settings.home), self._sinks())
        self.metrics.ship(shipping.lag)
        stop, tasks = asyncio.Event(), set()
        for name, run in (
            ("worker", worker.run),
            ("announcer", self.announcer.run),
            ("homes", self.homes.run),
            ("sealer", sealer.run),
            ("shipping", shipping.run),
            ("reconciler", reconciler.run),
            ("lockdowns", enforcing.run),
            ("leavers", Leavers(self.desk, self.people.accounts, self.people.groups).run),
            ("insights", Watching(self.desk, self.people.roster, partial(Archive.open, url, self.settings.home)).run),
        ):
            task = asyncio.create_task(run(stop), name=name)
            task.add_done_callback(self._ended)
            tasks.add(task)
        stack.push_async_callback(_finish, tasks, stop, self.hints.hint)

    async def _digest(self, url: str) -> None:
        """Have the digest told at its time; the first look is at once, for a time that was missed."""
        facts, home = Facts(self.store.workspace, self.settings.home, url), self.settings.home
        draw = partial(digest_picture.drawn, home=home)
        self.announcer.telling.digests = Digests(facts, draw, self.announcer.rooms, self.announcer.poster)
        files = Files(self.store.workspace, home, url, self.ring)
        self.announcer.telling.handouts = Handouts(
            self.store, self._catalog, self.people, files, self.announcer.rooms, self.announcer.poster
        )
        self.digesting = Digesting(self.store, facts, self._catalog, digest_picture.available)
        if self.catalog.workspace.digest and not digest_picture.available():
            log.warning("the digest goes out without its picture: %s", digest_picture.EXTRA)
        first = datetime.now(UTC)
        self._scheduler.add_job(self.digesting.tick, "interval", seconds=EVERY, id="digest", next_run_time=first)

    def _connect(self, stack: contextlib.AsyncExitStack) -> None:
        """Build every system's provider; all that is wrong is said at once."""
        wrong = []
        for name, system in self.catalog.systems.items():
            try:
                logs.hide(referred(system.config, os.environ))
                self.systems[name] = registry.build(system.provider, system.config, os.environ)
            except ProviderError as error:
                wrong.append(f"system {name}: {error}")
            else:
                stack.push_async_callback(self.systems[name].close)
        if wrong:
            raise CannotStart("\n".join(wrong))

    def _sinks(self) -> Sinks:
        shapes = self.catalog.workspace.sinks
        try:
            sinks = built(shapes, os.environ)
        except ProviderError as error:
            raise CannotStart(str(error)) from error
        for shape in shapes.values():
            logs.hide(referred(shape.config, os.environ))
        return sinks

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A part that ends by an error takes the process down: its host starts a whole one."""
        if not task.cancelled() and (error := task.exception()):
            log.critical("%s broke: %s", task.get_name(), error, exc_info=error)
            self._broken = task.get_name()
            self.stopping.set()

    async def _judge(self, request: Request, now: float) -> tuple[Event, Guard] | None:
        return await self.desk.begin(await self.people.roster(), request, now)

    async def _deliver(self, request: Request, view: str, shown: Secret | str) -> None:
        await holding.deliver(self.client, request, view, shown)

    async def _answer(self, stack: contextlib.AsyncExitStack) -> None:
        self.looking = Looking(self.desk, partial(Archive.open, self._archive_url, self.settings.home))
        stack.callback(self.looking.close)
        ours = Door(self.desk, self.people, self.announcer, self.homes, self.identity.bot, self.looking)
        stack.push_async_callback(ours.aside.close)
        bolt = self._bolt(ours)
        if self.settings.slack_app_token:
            token = self.settings.slack_app_token.get_secret_value()
            await stack.enter_async_context(socket_mode.connected(bolt, token, self.client, self.stopping))
            return
        secret = self.settings.slack_signing_secret
        if secret is None:
            raise CannotStart("SLACK_SIGNING_SECRET or SLACK_APP_TOKEN is needed to answer Slack")
        door = cast("web.Asgi", AsyncSlackRequestHandler(bolt, path=web.PATH))
        asgi = web.guard(door, secret.get_secret_value(), now=self.time.now)
        server = await _listening("PORT", web.serve(asgi, self.settings.host, self.settings.port))
        self.port = server.port
        stack.push_async_callback(server.stop)

    def _bolt(self, door: Door) -> AsyncApp:
        secret = self.settings.slack_signing_secret
        app = Receiving(
            harmless(self.metrics.acknowledged),
            # Without a token of its own: each call gets the one of `authorize`.
            client=AsyncWebClient(
                base_url=self.client.base_url, session=self.client.session, retry_handlers=[self._heard()]
            ),
            signing_secret=secret.get_secret_value() if secret else None,
            authorize=_authorized(self.identity, self.client.token),
            process_before_response=True,
            # The guard in front has verified the signature; Socket Mode's connection proves itself.
            request_verification_enabled=False,
            ssl_check_enabled=False,
            ignoring_self_events_enabled=False,
        )
        handlers.register(app, door)
        return app

    def _heard(self) -> Heard:
        return Heard(harmless(self.metrics.asked_slack))

    async def _ops(self, stack: contextlib.AsyncExitStack) -> None:
        if not self.settings.ops_port:
            return
        lookout = Lookout(self.store, self.announcer.outbox)
        self.metrics.watch(lookout, lambda: {name: found.channel for name, found in self.catalog.systems.items()})
        stack.push_async_callback(self.metrics.close)

        async def readiness() -> str | None:
            """None when ready, else why not."""
            try:
                await self.store.due(1)
            except StoreAway as error:
                return f"the store is away: {error}"
            return None if self.ready.is_set() else "starting, or stopping"

        serving = web.serve(web.ops(readiness, self.metrics.page), self.settings.ops_host, self.settings.ops_port)
        server = await _listening("JIT_OPS_PORT", serving)
        self.ops_port = server.port
        stack.push_async_callback(server.stop)


@contextlib.asynccontextmanager
async def opened(settings: Settings, role: Role) -> AsyncIterator[App]:
    """An app that is built and not yet running. Raises `CannotStart`, `PolicyMistakes`, `BadKeys`."""
    catalog = policy_file.load(settings.policy)
    ring = ring_of(settings)
    async with contextlib.AsyncExitStack() as stack:
        link = Link(store_url(settings, stack))
        stack.push_async_callback(link.aclose)
        token = settings.slack_bot_token.get_secret_value() if settings.slack_bot_token else ""
        known = link.commands(home_key(token))
        require_fit(await fitness.findings(known, link.address.kind))
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)))
        client = AsyncWebClient(
            token=token or None,
            base_url=settings.slack_api_url,
            session=session,
            retry_handlers=[],
        )
        identity = await identity_of(client, known)
        due = Keys(identity.home).due
        redis, blocking = link.commands(due), link.blocking(due)
        if redis is not known:
            require_fit(await fitness.findings(redis, link.address.kind))
        yield App(settings, role, catalog, redis, blocking, client, identity, ring)


def _authorized(identity: Identity, token: str | None) -> Callable[[], Awaitable[AuthorizeResult]]:
    """The one workspace that this process serves; who a payload is from is judged by `People`."""

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=None,
            team_id=identity.team,
            bot_id=identity.bot,
            bot_user_id=identity.bot_user,
            bot_token=token,
        )

    return authorize


async def _listening(setting: str, serving: Awaitable[web.Serving]) -> web.Serving:
    try:
        return await serving
    except OSError as error:
        raise CannotStart(f"{setting}: nothing can listen there: {error.strerror or error}") from error


async def _finish(tasks: set[asyncio.Task[None]], stop: asyncio.Event, hint: Callable[[], None]) -> None:
    """Tell the parts to stop, all at once, and wait for what they have in hand."""
    stop.set()
    hint()
    _, unfinished = await asyncio.wait(tasks, timeout=_GRACE)
    for task in unfinished:
        await _cancel(task)


async def _cancel(task: asyncio.Task[Any]) -> None:
    """End a task; told again until it has heard, since a client in the middle of a call may miss it once."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.5)


async def serve(settings: Settings, role: Role, started: Callable[[App], Awaitable[None]] | None = None) -> None:
    """Run one process until SIGTERM or SIGINT."""
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stopping.set)
    async with opened(settings, role) as app:
        app.stopping = stopping
        if started:
            await started(app)
        await app.run()


def explained(error: BaseException) -> str | None:
    """The sentence for an error that keeps the process from starting; None for one that nobody expected."""
    if isinstance(error, StoreAway):
        return f"the store (REDIS_URL) does not answer: {error}"
    if isinstance(error, CannotStart | Broken | ValueError | embedded.CannotEmbed):
        return str(error) or type(error).__name__
    return None
