"""What a process of every role runs: the policy's adoption, the health page, the clock, the watch over its store."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial

from bot import http_server, tasks
from bot.background import Done, Loop
from bot.core.errors import StoreAway
from bot.metrics import harmless
from bot.process.listening import ops_place, serving
from bot.process.parts import Parts
from bot.process.running import START_WITHIN, start
from bot.store.indexes.backlog import Lookout
from bot.worker.tamper_alarms import TamperAlarms
from handlers.slack.directory import REFRESH

_ADOPT_AGAIN = 1.0


async def adopt_policy(parts: Parts, stack: contextlib.AsyncExitStack) -> None:
    """Have the workspace decide by our policy. Revoking needs no policy, and waits for none."""

    async def adopt() -> None:
        await parts.store.policy.adopt(parts.catalog.policy_hash)
        raise Done

    loop = Loop("adopting the policy, which all new access waits for,", adopt, _ADOPT_AGAIN, level=logging.ERROR)
    adopting = start(stack, parts.wakeups.wake, {"adopting the policy": loop.run})
    await asyncio.wait(adopting.values(), timeout=START_WITHIN)


async def serve_health(parts: Parts, stack: contextlib.AsyncExitStack) -> None:
    """Serve health and metrics. Early up and late down, so that whoever asks is answered all the while."""
    if not parts.settings.ops_port:
        return
    lookout = Lookout(parts.store, parts.announcer.outbox)
    parts.metrics.watch(lookout, lambda: {name: found.channel for name, found in parts.catalog.systems.items()})
    stack.push_async_callback(parts.metrics.close)

    async def readiness() -> str | None:
        """None when ready, else why not."""
        try:
            await parts.store.due_set.read(1)
        except StoreAway as error:
            return f"the store is away: {error}"
        return None if parts.ready.is_set() else "starting, or stopping"

    async def detail() -> dict[str, str]:
        """What a person has to look at in the policy, though the process goes on."""
        said = parts.policy_trouble or await _another_policy(parts)
        return {"policy": said} if said else {}

    server = http_server.serve(
        http_server.ops(readiness, parts.metrics.page, detail),
        parts.settings.ops_host,
        parts.settings.ops_port,
        told=harmless(partial(parts.metrics.dropped, "ops")),
    )
    started = await serving(ops_place(parts.settings), server, parts.settings, parts.client.session)
    parts.ops_port = started.port
    stack.push_async_callback(started.stop)


async def _another_policy(parts: Parts) -> str:
    """That the workspace decides by another policy than the one that is held here; '' where it does not."""
    held, own = await parts.store.policy.current(), parts.catalog.policy_hash
    if held in {"", own}:
        return ""
    return f"the workspace decides by policy {held}; this process has {own}, and decides nothing until it reads that"


async def keep_time(parts: Parts, stack: contextlib.AsyncExitStack) -> None:
    """Know the user groups and the store's time, and keep both up to date."""
    with contextlib.suppress(TimeoutError):
        await tasks.within(parts.people.refresh(), START_WITHIN)
    parts.scheduler.add_job(parts.people.refresh, "interval", seconds=REFRESH, id="user groups")
    parts.scheduler.start()
    stack.callback(parts.scheduler.shutdown, wait=False)
    await parts.time.refresh()
    start(
        stack,
        parts.wakeups.wake,
        {
            "time": parts.time.run,
            "lost writes": parts.lost_writes.run,
            "tamper alarms": TamperAlarms(parts.store).run,
        },
    )
