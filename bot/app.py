"""The composition root: what a process of each role needs, in order; it builds them, and takes them down in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Final

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot import descriptors
from bot.core.errors import StoreAway
from bot.policy import loader
from bot.process import common, web, worker
from bot.process.parts import PartBroken, Parts, ProcessRole
from bot.process.policy_reload import watch_policy
from bot.settings import Settings
from bot.startup import CannotStart, identity_of, require_fit, require_teams, ring_of, store_url
from bot.store.keys import Keys
from bot.store.known_home import KnownHome
from bot.store.redis import embedded, requirements
from bot.store.redis.client import Link

log = logging.getLogger(__name__)

Need = Callable[[Parts, contextlib.AsyncExitStack], Awaitable[None]]

# First up is last down: the health page answers until the end, and Slack is answered only by a process that is whole.
_COMMON: Final[Sequence[Need]] = (common.adopt_policy, common.serve_health, common.keep_time)
NEEDS: Final[Mapping[ProcessRole, Sequence[Need]]] = {
    "web": (*_COMMON, web.answer_slack, watch_policy),
    "worker": (*_COMMON, worker.work, watch_policy),
    "all": (*_COMMON, worker.work, web.answer_slack, watch_policy),
}


class App(Parts):
    """One process of the product, in one of its roles."""

    async def run(self) -> None:
        """Run until `stopping` is set; then finish what is in hand. Raises `CannotStart`, `PartBroken`."""
        log.info("the store is %s", await self.store.recognise())
        async with contextlib.AsyncExitStack() as stack:
            for need in NEEDS[self.role]:
                await need(self, stack)
            self.ready.set()
            log.info("ready: %s of %s, policy %s", self.role, self.identity.home, self.catalog.policy_hash)
            await self.stopping.wait()
            self.ready.clear()
            log.info("stopping: finishing what is in hand")
        if self.broken:
            raise PartBroken(self.broken)


@contextlib.asynccontextmanager
async def opened(settings: Settings, role: ProcessRole) -> AsyncIterator[App]:
    """An app that is built and not yet running. Raises `CannotStart`, `PolicyMistakes`, `BadKeys`."""
    policy = loader.read(settings.policy)
    ring = ring_of(settings)
    async with contextlib.AsyncExitStack() as stack:
        link = Link(store_url(settings, stack))
        stack.push_async_callback(link.aclose)
        token = settings.slack_bot_token.get_secret_value() if settings.slack_bot_token else ""
        known = KnownHome(link, token)
        require_fit(await requirements.findings(link.commands(known.key), link.address.kind))
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)))
        client = AsyncWebClient(
            token=token or None,
            base_url=settings.slack_api_url,
            session=session,
            retry_handlers=[],
        )
        identity = await identity_of(client, known, ring, settings.home)
        require_teams(policy.catalog, identity)
        # In a cluster the workspace's records may be another server's than what a token's workspace is kept by.
        redis = link.commands(Keys(identity.home).due)
        if redis is not link.commands(known.key):
            require_fit(await requirements.findings(redis, link.address.kind))
        yield App(settings, role, policy.catalog, link, client, identity, ring, os.environ, policy_text=policy.text)


async def serve(settings: Settings, role: ProcessRole, started: Callable[[App], Awaitable[None]] | None = None) -> None:
    """Run one process until SIGTERM or SIGINT; SIGHUP has it read the policy file again."""
    stopping, rereading, loop = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stopping.set)
    if not sys.stderr.isatty():  # there it says that the terminal is gone, and ends the process as ever
        loop.add_signal_handler(signal.SIGHUP, rereading.set)
    descriptors.raise_limit()
    async with opened(settings, role) as app:
        app.stopping, app.rereading = stopping, rereading
        if started:
            await started(app)
        await app.run()


def explained(error: BaseException) -> str | None:
    """The sentence for an error that keeps the process from starting; None for one that nobody expected."""
    if isinstance(error, StoreAway):
        return f"the store (REDIS_URL) does not answer: {error}"
    if isinstance(error, CannotStart | PartBroken | ValueError | embedded.CannotEmbed):
        return str(error) or type(error).__name__
    return None
