"""Kills a whole corridor at every line of the write path, then lets a worker run again and looks what stands.

A program of its own, since it forks: `python -m tests.chaos.killing REDIS_SOCKET_URL DIRECTORY`. It prints one JSON
object: how many lines there were, how many cases did not come to theirs, and each in which something was left.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from redis.asyncio import Redis

import bot.access.context
import bot.access.own_request
import bot.access.review
import bot.access.submit
import bot.store.commit_encoding
import bot.store.shared_entitlements
import bot.store.store
import bot.worker.active
import bot.worker.claim
import bot.worker.grant
import bot.worker.provider_gateway
import bot.worker.record_checks
import bot.worker.revoke
import bot.worker.worker
import providers.systems.sandbox.provider
from bot.access import own_request
from bot.core.errors import JitError
from bot.core.events import EVENT
from bot.core.lifecycle import OPEN, fold
from bot.core.request import State
from bot.store.keyring import KeyRing
from bot.store.store import Store
from providers.systems.base import ExistingAccess, System
from providers.systems.sandbox import Sandbox, SandboxConfig
from tests.house import POLICY, House, catalog

WATCHED = frozenset(
    str(module.__file__)
    for module in (
        bot.access.context,
        bot.access.submit,
        bot.access.review,
        bot.access.own_request,
        bot.worker.active,
        bot.worker.worker,
        bot.worker.claim,
        bot.worker.provider_gateway,
        bot.worker.grant,
        bot.worker.record_checks,
        bot.worker.revoke,
        bot.store.shared_entitlements,
        bot.store.store,
        providers.systems.sandbox.provider,
    )
)
RING = KeyRing({"k1": bytes(32)})
WHAT = ("vault/read-only", "both", "vault/read-only + orders/read-only")
"""One role with an account of its own, two roles of which one is shared, and two roles on two systems."""
ORDERS = """
  orders:
    title: Orders
    provider: sandbox
    channel: C0ORDERS1
    approvers: [dba]
    roles:
      read-only: {grants: {door: orders}, max: 8h, may_ask: [everyone]}
templates:
"""
POLICY_OF_TWO = POLICY.replace("templates:\n", ORDERS, 1)


class Countdown:
    """Counts the lines of the watched modules, and kills the process at one of them."""

    def __init__(self, at: int | None) -> None:
        self.left, self.count = at, 0

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in WATCHED:
            return None
        if event == "line":
            self.count += 1
            if self.count == self.left:
                os.kill(os.getpid(), signal.SIGKILL)
        return self.trace


def house(url: str, workspace: str, directory: Path) -> tuple[House, Redis]:
    """A house whose doors outlive the process."""
    client = Redis.from_url(url)
    systems: dict[str, System] = {
        name: Sandbox(SandboxConfig(path=str(directory / f"{workspace}-{name}"), settles_within=0.05))
        for name in ("vault", "orders")
    }
    store, policy = Store(client, workspace, RING), catalog(POLICY_OF_TWO)
    return House(store, policy=policy, systems=systems, lease=0.2, margin=0.2), client


async def standing(place: House) -> list[ExistingAccess]:
    """What is open, on both systems."""
    return [found for system in place.systems.values() for found in await system.list_access()]


async def corridor(url: str, workspace: str, directory: Path, what: str, at: int | None) -> int:
    """Ask, approve, open, give back, close; the lines that it took."""
    place, client = house(url, workspace, directory)
    await place.open()
    countdown = Countdown(at)
    sys.settrace(countdown.trace)
    request = await place.ask(what=what)
    await place.approved(request.id)
    await place.work()
    await own_request.release(place.context, place.actor("mia"), request.id)
    await place.work()
    sys.settrace(None)
    await client.aclose()
    return countdown.count


async def recovered(url: str, workspace: str, directory: Path) -> str:
    """Let a worker run again, and end what a person would end; what is wrong then, or nothing."""
    place, client = house(url, workspace, directory)
    try:
        found: Any = await client.keys(f"jit:{{{workspace}}}:request:*")
        ids = [key.decode().rsplit(":", 1)[1] for key in found]
        legs = [leg for loaded in await place.store.load_many(ids) for leg in loaded.request.legs]
        held = {native for leg in legs for native in leg.entitlements}
        for found_open in await standing(place):
            own = (found_open.order or "").partition(".")[0]
            if own not in ids and found_open.entitlement not in held:
                return f"{found_open} stands without a record"
        for id_ in ids:
            await _end(place, id_)
        left = await standing(place)
        return f"still open: {left}" if left else await _books(place, ids)
    except (TimeoutError, AssertionError, JitError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        await client.aclose()


async def _end(place: House, id_: str) -> None:
    settled = {State.PENDING, State.ACTIVE} | (set(State) - OPEN)
    request = await place.until(id_, *settled)
    if request.state is State.PENDING:
        await own_request.cancel(place.context, place.actor("mia"), id_)
    elif request.state is State.ACTIVE:
        await own_request.release(place.context, place.actor("mia"), id_)
    await place.until(id_, *(set(State) - OPEN))


async def _books(place: House, ids: list[str]) -> str:
    """The audit has no gap, and rebuilds every request."""
    entries: Any = await place.store.redis.xrange(place.store.keys.audit)
    numbers = [int(number.split(b"-")[0]) for number, _ in entries]
    if numbers != list(range(1, len(numbers) + 1)):
        return f"audit numbers: {numbers}"
    for id_ in ids:
        mine = [entry for _, entry in entries if entry[b"id"] == id_.encode() and entry[b"version"] != b"0"]
        if fold(EVENT.validate_json(entry[b"event"]) for entry in mine) != await place.now(id_):
            return f"the audit does not rebuild {id_}"
    if holds := await place.store.redis.keys(f"jit:{{{place.store.workspace}}}:shared:*"):
        return f"holds left: {holds}"
    return ""


def survived(url: str, workspace: str, directory: Path, what: str, at: int) -> int | None:
    """Run the corridor in a process that dies at a line; if it did not, the lines that it took."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(theirs, str(asyncio.run(corridor(url, workspace, directory, what, at))).encode())
        os._exit(0)
    os.close(theirs)
    _, status = os.waitpid(child, 0)
    with os.fdopen(ours) as told:
        lines = told.read()
    return None if os.WIFSIGNALED(status) else int(lines)


async def _recover_all(url: str, directory: Path, cases: list[str]) -> dict[str, str]:
    gate = asyncio.Semaphore(16)

    async def one(workspace: str) -> tuple[str, str]:
        async with gate:
            return workspace, await recovered(url, workspace, directory)

    return {workspace: wrong for workspace, wrong in await asyncio.gather(*map(one, cases)) if wrong}


def main() -> None:
    """Enumerate, kill, recover, report."""
    url, directory = sys.argv[1], Path(sys.argv[2])
    step = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    cases, lines = list[str](), 0
    alive, beyond = list[str](), list[str]()
    for kind, what in enumerate(WHAT):
        total = asyncio.run(corridor(url, f"TCOUNT{kind}", directory, what, None))
        lines += total
        for at in range(1, total + 1, step):
            workspace = f"TK{kind}L{at}"
            cases.append(workspace)
            took = survived(url, workspace, directory, what, at)
            if took is not None:
                # On a busy machine the first was longer, by a retry or a renewal: not every other comes to that line.
                (beyond if took < at else alive).append(workspace)
    wrong = asyncio.run(_recover_all(url, directory, cases))
    counts = {"lines": lines, "cases": len(cases), "survived": len(alive), "beyond": len(beyond)}
    print(json.dumps({**counts, "wrong": wrong}))


if __name__ == "__main__":
    main()
