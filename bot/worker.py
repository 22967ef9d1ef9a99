"""Claims what is due and has its next step made; it judges nobody and posts nothing.

Each step is recorded before it is made, so that a kill at any line leaves a due time and enough knowledge to
undo.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from bot.core import lifecycle
from bot.core.errors import JitError, StoreAway
from bot.core.events import Revealed, Revoked
from bot.core.lifecycle import IllegalEvent
from bot.core.model import Request, State
from bot.granting import Granting, out_of_budget
from bot.held import Held, Unsettled, said
from bot.posts import PATIENCE, Post
from bot.revoking import NEVER_ATTEMPTED, Revoking
from bot.store.changes import Claimed, Superseded
from bot.store.holds import Holds
from bot.store.store import Store
from providers.systems.base import Receipt, Revealing, Secret, System

log = logging.getLogger(__name__)

_BATCH = 64
_REVEAL_AGE = 60.0

Deliver = Callable[[Request, str, Secret | str], Awaitable[None]]
"""Shows a secret, or the sentence why there is none, in the modal that is open before the asker."""
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
    wait: Wait
    jitter: Callable[[], float] = random.random
    lease: float = 30.0
    margin: float = 1.0
    patience: float = PATIENCE

    def __post_init__(self) -> None:
        """Give each system its slots."""
        holds = Holds(self.store)
        self.granting, self.revoking = Granting(holds, self.margin), Revoking(holds)
        self.posts = {name: Post(system, self.patience) for name, system in self.systems.items()}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; then finish what is in hand."""
        try:
            while not stop.is_set():
                await self.wait(await self._round(stop))
        finally:
            if self._tasks:
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _round(self, stop: asyncio.Event) -> float:
        """Claim what is due and start on it. Answers how many seconds nothing will be due."""
        try:
            due = await self.store.due(_BATCH)
            if due.ids and not stop.is_set():
                for claimed in await self.store.claim(due.ids, self.lease):
                    self._start(claimed)
        except StoreAway as error:
            log.warning("the store is away, nothing can be claimed: %s", error)
            return 0.5
        return 1.0 if due.next_at is None else min(1.0, max(0.0, due.next_at - due.now))

    def _start(self, claimed: Claimed) -> None:
        task = asyncio.create_task(self.handle(claimed), name=claimed.id)
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
            log.warning("%s: the store went away, its lease will lapse: %s", claimed.id, error)
        except JitError as error:
            log.warning("%s: not done: %s %s", claimed.id, type(error).__name__, error)

    async def _step(self, held: Held) -> None:
        request = held.request
        if event := lifecycle.woken(request, held.now):
            await held.commit(event)
            return
        match request.state:
            case State.GRANTING:
                await self._grant_due(held)
            case State.REVOKING:
                await self._revoke_due(held)
            case State.ACTIVE if request.reveal:
                await self._reveal(held)
            case _:
                await self._give_back(held.claimed, None)

    # the step that is due

    async def _grant_due(self, held: Held) -> None:
        request, now = held.request, held.now
        if now >= lifecycle.budget_ends(request):
            await held.commit(out_of_budget(request, now))
            return
        leg = lifecycle.next_leg(request, now)
        if leg is None:
            raise Unsettled(lifecycle.due(request) or now)
        post = self.posts.get(leg.role.system)
        if post is None:
            await held.commit(held.again(leg, f"no provider serves {leg.role.system} here"))
            return
        async with post.granting(), self._kept(held):
            await self.granting.grant(held, leg, post)

    async def _revoke_due(self, held: Held) -> None:
        leg = lifecycle.next_leg(held.request, held.now)
        if leg is None:
            raise Unsettled(lifecycle.due(held.request) or held.now)
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
        if not held.fresh:
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

    # revealing

    async def _reveal(self, held: Held) -> None:
        request = held.request
        wish = request.reveal
        if wish is None:
            return
        if held.now - wish.at > _REVEAL_AGE:
            await held.commit(Revealed(at=held.now, error="nobody was there to make it in time"))
            return
        shown, error = await self._secret(held)
        await self.deliver(request, wish.view, shown)
        await held.commit(Revealed(at=held.now, error=error))

    async def _secret(self, held: Held) -> tuple[Secret | str, str]:
        for leg in held.request.legs:
            post = self.posts.get(leg.role.system)
            if post is None or not isinstance(post.system, Revealing) or leg.receipt is None:
                continue
            try:
                receipt = Receipt.model_validate(leg.receipt)
                return await post.call(post.system.reveal(held.order(leg), receipt)), ""
            except Exception as error:  # noqa: BLE001  # no secret was handed over; the asker is told to press again
                return said(error), said(error)
        nothing = "there is no secret to show for this access"
        return nothing, nothing

    # claims

    async def _give_back(self, claimed: Claimed, not_before: float | None) -> None:
        try:
            await self.store.free(claimed, not_before)
        except StoreAway as error:
            log.warning("%s: could not be given back, its lease will lapse: %s", claimed.id, error)

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
