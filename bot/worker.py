"""Claims what is due and has its next step made; it judges nobody and posts nothing.

Each step is recorded before it is made, so that a kill at any line leaves a due time and enough knowledge to
undo.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot import logs
from bot.attending import Attending, Deliver
from bot.core import deadlines
from bot.core.errors import JitError, Late, StoreAway
from bot.core.events import Event, Expired, Revoked
from bot.core.model import ExtensionState, Request, State
from bot.core.steps import IllegalEvent
from bot.granting import Granting, out_of_budget
from bot.held import Held, Unsettled
from bot.posts import PATIENCE, Busy, Post
from bot.revoking import NEVER_ATTEMPTED, Revoking
from bot.store.changes import Claimed, Guard, Superseded
from bot.store.holds import Holds
from bot.store.store import Store, new_fence
from providers.systems.base import System

log = logging.getLogger(__name__)

_BATCH = 64
_MOST_IN_HAND = 256
"""Requests that one worker claims at a time: the rest is another's, or waits in the order of its deadlines."""
_BUSY = 1.0
_FULL = 0.01
_ASK_AGAIN = 1.0
_AGAIN = 0.5
"""Seconds between two tries to give back a claim to a store that is away."""

Judge = Callable[[Request, float], Awaitable[tuple[Event, Guard] | None]]
"""What becomes of a request whose start has come at this time; None while that cannot be told."""
Wait = Callable[[float], Awaitable[None]]
"""Returns after so many seconds, or sooner when something may be due."""


@dataclass
class Worker:
    """One worker; any number of them run over one store.

    ``lease``: seconds for which a claim is ours at first; it is prolonged to cover a provider's call. ``margin``:
    seconds added to the time after which a provider says that a call has surely landed. ``patience``: seconds beyond
    its promise after which a provider's call is given up.
    """

    store: Store
    systems: Mapping[str, System]
    deliver: Deliver
    judge: Judge
    wait: Wait
    jitter: Callable[[], float] = random.random
    lease: float = 30.0
    margin: float = 1.0
    patience: float = PATIENCE

    def __post_init__(self) -> None:
        """Give each system its slots."""
        holds = Holds(self.store)
        self.granting, self.revoking = Granting(holds, self.margin), Revoking(holds)
        self.posts = {name: Post(system, self.patience, name) for name, system in self.systems.items()}
        self.attending = Attending(self.posts, self.deliver)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; then finish the calls that are under way, and give back the rest at once."""
        try:
            while not stop.is_set():
                await self.wait(await self._round(stop))
        finally:
            self._stopping = True
            if self._tasks:
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _round(self, stop: asyncio.Event) -> float:
        """Claim what is due and start on it. Answers how many seconds nothing will be due."""
        try:
            due = await self.store.due(_BATCH)
            room = _MOST_IN_HAND - len(self._tasks)
            if due.ids and room > 0 and not stop.is_set():
                for claimed in await self._claim(due.ids[:room]):
                    self._start(self.handle(claimed), claimed.id)
        except StoreAway as error:
            log.warning("the store is away, nothing can be claimed: %s", error)
            return 0.5
        if room <= 0:
            return _FULL
        return 1.0 if due.next_at is None else min(1.0, max(0.0, due.next_at - due.now))

    async def _claim(self, ids: Sequence[str]) -> list[Claimed]:
        fence = new_fence()
        try:
            return await self.store.claim(ids, self.lease, fence)
        except StoreAway:
            # What it took before its answer was lost would be nobody's until the lease is over.
            for id_ in ids:
                self._start(self._give_back(Claimed(id_, fence, None, 0.0), None), id_)
            raise

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        with logs.about(request=name):
            task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def handle(self, claimed: Claimed) -> None:
        """Make the one step that is due and commit it."""
        if claimed.request is None:
            await self._alarm(claimed.id)
            return
        held = Held(self.store, claimed, claimed.request, self.lease, self.jitter)
        try:
            await self._step(held)
        except (Superseded, IllegalEvent):
            await self._give_back(claimed, None)
        except Unsettled as error:
            await self._give_back(claimed, error.not_before)
        except StoreAway as error:
            log.warning("%s: the store went away, it is given back once it answers: %s", claimed.id, error)
            await self._give_back(claimed, None)
        except Late:
            await self._give_back(claimed, None)
        except Busy:
            await self._give_back(claimed, held.now + _BUSY + self.jitter())
        except JitError as error:
            log.warning("%s: not done: %s %s", claimed.id, type(error).__name__, error)
            await self._give_back(claimed, held.now + _ASK_AGAIN)

    async def _step(self, held: Held) -> None:
        request = held.request
        event = deadlines.woken(request, held.now)
        if isinstance(event, Expired):
            # Closed under the same claim: given back, it would wait behind everything else whose time is up.
            await held.commit(event, lease_until=held.now + self.lease)
            await self._revoke_due(held)
            return
        if event:
            await held.commit(event)
            return
        match request.state:
            case State.SCHEDULED:
                await self._begin(held)
            case State.GRANTING:
                await self._grant_due(held)
            case State.REVOKING:
                await self._revoke_due(held)
            case State.ACTIVE if request.reveal:
                async with self._kept(held):
                    await self.attending.reveal(held)
            case State.ACTIVE if request.extension and request.extension.state is ExtensionState.PROLONGING:
                async with self._kept(held):
                    await self.attending.prolong(held, request.extension)
            case _:
                await self._give_back(held.claimed, None)

    # the step that is due

    async def _begin(self, held: Held) -> None:
        """Its start has come: whether it may be opened is judged again."""
        judged = await self.judge(held.request, held.now)
        if judged is None:
            raise Unsettled(held.now + _ASK_AGAIN)
        event, guard = judged
        await held.commit(event, guards=(guard,))

    async def _grant_due(self, held: Held) -> None:
        request, now = held.request, held.now
        if now >= deadlines.budget_ends(request):
            await held.commit(out_of_budget(request, now))
            return
        leg = deadlines.next_leg(request, now)
        if leg is None:
            raise Unsettled(deadlines.due(request) or now)
        post = self.posts.get(leg.role.system)
        if post is None:
            await held.commit(held.again(leg, f"no provider serves {leg.role.system} here"))
            return
        async with post.granting(), self._kept(held):
            await self.granting.grant(held, leg, post)

    async def _revoke_due(self, held: Held) -> None:
        leg = deadlines.next_leg(held.request, held.now)
        if leg is None:
            raise Unsettled(deadlines.due(held.request) or held.now)
        if leg.subject is None:
            await held.commit(Revoked(at=held.now, leg=leg.n, outcome=NEVER_ATTEMPTED.model_dump()))
            return
        post = self.posts.get(leg.role.system)
        if post is None:
            await held.commit(held.again(leg, f"no provider serves {leg.role.system} here"))
            return
        async with post.revoking(), self._kept(held):
            await self.revoking.revoke(held, leg, post)

    @contextlib.asynccontextmanager
    async def _kept(self, held: Held) -> AsyncIterator[None]:
        """The claim stays ours for as long as a provider takes; one that was lost on the way to its slot is left."""
        if self._stopping or not held.fresh:
            raise Unsettled(held.now)
        done = asyncio.Event()
        keeping = asyncio.create_task(self._keep(held, done), name=f"keeping {held.claimed.id}")
        try:
            yield
        finally:
            # Told, not cancelled: the client of the store may take a cancellation for an answer that did not come.
            done.set()
            await keeping

    async def _keep(self, held: Held, done: asyncio.Event) -> None:
        with contextlib.suppress(Superseded):  # another has it: whatever is committed here is refused
            while not await _within(self.lease / 3, done):
                try:
                    await held.keep()
                except StoreAway as error:
                    log.warning("%s: its lease could not be prolonged: %s", held.claimed.id, error)

    # claims

    async def _give_back(self, claimed: Claimed, not_before: float | None) -> None:
        """Have it due again; while the store is away, for as long as the claim may stand."""
        until = time.monotonic() + self.lease
        while True:
            try:
                await self.store.free(claimed, not_before)
            except StoreAway as error:
                if self._stopping or time.monotonic() > until:
                    log.warning("%s: could not be given back, its lease will lapse: %s", claimed.id, error)
                    return
            else:
                return
            await asyncio.sleep(_AGAIN * (0.5 + self.jitter()))

    async def _alarm(self, id_: str) -> None:
        """A due request without a record that is ours: kept in the due set, loud, and nothing is done with it."""
        log.error("%s is due, but its record is missing or was not written by us; nothing is done with it", id_)
        try:
            await self.store.alarm("tampered", id_)
        except StoreAway as error:
            log.warning("the alarm for %s could not be recorded: %s", id_, error)


async def _within(seconds: float, done: asyncio.Event) -> bool:
    """Whether it is done before so many seconds have passed."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(done.wait(), seconds)
    return done.is_set()
