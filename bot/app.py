"""The composition root: builds every part from the settings, runs them, and takes them down in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import aiohttp
from prometheus_client import CollectorRegistry, Gauge
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from slack_bolt.adapter.asgi.async_handler import AsyncSlackRequestHandler
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

import handlers
from bot import policy_file, web
from bot.clock import Hints, ticks
from bot.core.catalog import Catalog
from bot.core.errors import StoreAway
from bot.core.model import Request
from bot.desk import Desk
from bot.keyring import KeyRing
from bot.settings import Settings
from bot.store import embedded
from bot.store.keys import home as home_key
from bot.store.outbox import Outbox
from bot.store.store import Store, away
from bot.worker import Worker
from handlers import holding
from handlers.announcer import Announcer
from handlers.door import Door
from handlers.people import REFRESH, People
from providers.systems import registry
from providers.systems.base import ProviderError, Secret, System

log = logging.getLogger(__name__)

Role = Literal["all", "web", "worker"]
_GRACE = 25.0
"""Seconds that what is in hand may take at the end, under the 30 that most hosts give."""


class CannotStart(Exception):
    """What keeps the process from starting; the sentence says how to mend it."""


@dataclass(frozen=True)
class Identity:
    """Who we are in Slack. ``home`` is the team id, or the enterprise id of an organisation-wide install."""

    home: str
    team: str
    bot: str
    bot_user: str


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
        self.store = Store(self.redis, self.identity.home, self.ring, self.catalog.workspace.retention)
        self.desk = Desk(self.store, self._catalog, policy_file.consequence)
        self.people = People(self.client, self.store, self.identity.home, self._catalog)
        self.hints = Hints(self.blocking, self.store.keys.wake)
        self.announcer = Announcer(
            self.store, self.people, self.client, self._catalog, policy_file.capabilities, self.hints.waiter()
        )
        self.systems: dict[str, System] = {}

    def _catalog(self) -> Catalog:
        return self.catalog

    async def run(self) -> None:
        """Run until `stopping` is set; then finish what is in hand."""
        await self.store.adopt(self.catalog.generation)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self.ready.clear)
            await self._tick(stack)
            if self.role != "web":
                await self._work(stack)
            if self.role != "worker":
                await self._answer(stack)
            await self._ops(stack)
            self.ready.set()
            log.info("ready: %s of %s, policy %s", self.role, self.identity.home, self.catalog.generation)
            await self.stopping.wait()
            log.info("stopping: finishing what is in hand")

    # the parts, each taken down in the reverse order

    async def _tick(self, stack: contextlib.AsyncExitStack) -> None:
        await self.people.refresh()
        scheduler = ticks()
        scheduler.add_job(self.people.refresh, "interval", seconds=REFRESH, id="user groups")
        scheduler.start()
        stack.callback(scheduler.shutdown, wait=False)

    async def _work(self, stack: contextlib.AsyncExitStack) -> None:
        for name, system in self.catalog.systems.items():
            self.systems[name] = registry.build(system.provider, system.config, os.environ)
            stack.push_async_callback(self.systems[name].close)
        listening = asyncio.create_task(self.hints.listen(), name="hints")
        stack.push_async_callback(_cancel, listening)
        worker = Worker(self.store, self.systems, self._deliver, self.hints.waiter())
        for name, run in (("worker", worker.run), ("announcer", self.announcer.run)):
            stop = asyncio.Event()
            task = asyncio.create_task(run(stop), name=name)
            task.add_done_callback(self._ended)
            stack.push_async_callback(_finish, task, stop, self.hints.hint)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A part that ends by an error takes the process down: its host starts a whole one."""
        if not task.cancelled() and (error := task.exception()):
            log.critical("%s broke: %s", task.get_name(), error, exc_info=error)
            self.stopping.set()

    async def _deliver(self, request: Request, view: str, shown: Secret | str) -> None:
        await holding.deliver(self.client, request, view, shown)

    async def _answer(self, stack: contextlib.AsyncExitStack) -> None:
        bolt = self._bolt()
        if self.settings.slack_app_token:
            token = self.settings.slack_app_token.get_secret_value()
            socket = AsyncSocketModeHandler(bolt, token, web_client=self.client)
            await socket.connect_async()  # type: ignore[no-untyped-call]  # Bolt leaves it untyped
            stack.push_async_callback(socket.close_async)
            return
        secret = self.settings.slack_signing_secret
        if secret is None:
            raise CannotStart("SLACK_SIGNING_SECRET or SLACK_APP_TOKEN is needed to answer Slack")
        asgi = web.guard(cast("web.Asgi", AsyncSlackRequestHandler(bolt, path=web.PATH)), secret.get_secret_value())
        server = await web.serve(asgi, self.settings.host, self.settings.port)
        self.port = server.port
        stack.push_async_callback(server.stop)

    def _bolt(self) -> AsyncApp:
        secret = self.settings.slack_signing_secret
        app = AsyncApp(
            # Without a token of its own: each call gets the one of `authorize`.
            client=AsyncWebClient(base_url=self.client.base_url, session=self.client.session, retry_handlers=[]),
            signing_secret=secret.get_secret_value() if secret else None,
            authorize=_authorized(self.identity, self.client.token),
            process_before_response=True,
            # The guard in front has verified the signature; Socket Mode's connection proves itself.
            request_verification_enabled=False,
            ssl_check_enabled=False,
            ignoring_self_events_enabled=False,
        )
        handlers.register(app, Door(self.desk, self.people, self.announcer, self.identity.bot))
        return app

    async def _ops(self, stack: contextlib.AsyncExitStack) -> None:
        if not self.settings.ops_port:
            return
        numbers = CollectorRegistry()
        overdue = Gauge("jit_oldest_overdue_seconds", "How long the oldest due request has been due", registry=numbers)
        rows = Gauge("jit_outbox_rows", "Notices that wait to be given", registry=numbers)

        async def readiness() -> str | None:
            """None when ready, else why not."""
            try:
                due = await self.store.due(1)
                first: Any = await away(self.redis.zrange(self.store.keys.due, 0, 0, withscores=True))
                rows.set(await Outbox(self.store).waiting())
            except StoreAway as error:
                return f"the store is away: {error}"
            overdue.set(max(0.0, due.now - first[0][1]) if first else 0.0)
            return None if self.ready.is_set() else "starting, or stopping"

        server = await web.serve(web.ops(readiness, numbers), self.settings.ops_host, self.settings.ops_port)
        self.ops_port = server.port
        stack.push_async_callback(server.stop)


@contextlib.asynccontextmanager
async def opened(settings: Settings, role: Role) -> AsyncIterator[App]:
    """An app that is built and not yet running. Raises `CannotStart`, `PolicyMistakes`, `BadKeys`."""
    catalog = policy_file.load(settings.policy)
    ring = _ring(settings)
    async with contextlib.AsyncExitStack() as stack:
        redis, blocking = _clients(_store_url(settings, stack))
        stack.push_async_callback(redis.aclose)
        stack.push_async_callback(blocking.aclose)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)))
        client = AsyncWebClient(
            token=settings.slack_bot_token.get_secret_value() if settings.slack_bot_token else None,
            base_url=settings.slack_api_url,
            session=session,
            retry_handlers=[],
        )
        identity = await _identity(client, redis)
        yield App(settings, role, catalog, redis, blocking, client, identity, ring)


def _store_url(settings: Settings, stack: contextlib.ExitStack | contextlib.AsyncExitStack) -> str:
    if settings.redis_url:
        return settings.redis_url.get_secret_value()
    started = embedded.start(settings.home)
    stack.callback(started.stop)
    log.info("the embedded store is %s in %s", started.how, settings.home)
    return started.url


def _clients(url: str) -> tuple[Redis, Redis]:
    """One client for commands, retried once (each script may be sent twice), and one that may block for ever."""
    retry = Retry(NoBackoff(), 1)
    # A burst waits for a connection; it is not told that the store is away.
    pool = BlockingConnectionPool.from_url(
        url, max_connections=64, timeout=5, socket_timeout=5, socket_connect_timeout=3, retry=retry
    )
    commands = Redis.from_pool(pool)
    blocking = Redis.from_url(url, socket_timeout=None, socket_connect_timeout=3, retry=Retry(NoBackoff(), 0))
    return commands, blocking


def _ring(settings: Settings) -> KeyRing:
    if settings.keys:
        return KeyRing.parse(settings.keys.get_secret_value())
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return KeyRing.load_or_create(settings.home / "keys")


async def _identity(client: AsyncWebClient, redis: Redis) -> Identity:
    """Who Slack says we are; while Slack is away, who it said we were, so that access is closed on time."""
    key = home_key(client.token or "")
    try:
        said = await client.auth_test()
    except (SlackApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
        why = str(error.response.get("error")) if isinstance(error, SlackApiError) else type(error).__name__
        known = await away(redis.get(key))
        if known is None:
            raise CannotStart(f"Slack does not accept SLACK_BOT_TOKEN, or cannot be reached: {why}") from error
        log.error("Slack cannot be asked who we are (%s); going on as the workspace it said last", why)  # noqa: TRY400
        return Identity(**json.loads(known))
    whole = bool(said.get("is_enterprise_install"))
    identity = Identity(
        home=str(said["enterprise_id"] if whole else said["team_id"]),
        team=str(said["team_id"]),
        bot=str(said["bot_id"]),
        bot_user=str(said["user_id"]),
    )
    await away(redis.set(key, json.dumps(identity.__dict__)))
    return identity


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


async def _finish(task: asyncio.Task[None], stop: asyncio.Event, hint: Callable[[], None]) -> None:
    """Tell a part to stop, and wait for what it has in hand."""
    stop.set()
    hint()
    done, _ = await asyncio.wait({task}, timeout=_GRACE)
    if not done:
        await _cancel(task)


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def serve(settings: Settings, role: Role, started: Callable[[App], Awaitable[None]] | None = None) -> None:
    """Run one process until SIGTERM or SIGINT."""
    async with opened(settings, role) as app:
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, app.stopping.set)
        if started:
            await started(app)
        await app.run()


def explained(error: BaseException) -> str | None:
    """The sentence for an error that keeps the process from starting; None for one that nobody expected."""
    if isinstance(error, CannotStart | ProviderError | StoreAway | ValueError | embedded.CannotEmbed):
        return str(error) or type(error).__name__
    return None
