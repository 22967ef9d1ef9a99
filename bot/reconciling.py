"""When systems are compared with the books, by whom, and what is told of it; what is done is in comparing.py.

At the start and every ten minutes each system is compared once, whoever of the replicas comes first. What is found is
written before an orphan is closed, and told once until it changes.

Since only the books tell whose orders are whose, a system belongs to the bot of one workspace and one store: two bots
over one system would take each other's access for orphans.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from bot.comparing import Comparing, Finding, Interrupted, Kind, Look
from bot.core.catalog import Catalog
from bot.core.errors import StoreAway
from bot.posts import Post
from bot.store.found import Found, Note
from bot.store.store import Store

log = logging.getLogger(__name__)

INTERVAL = 600
"""Seconds between two looks at a system."""
_SPARE = 30.0
"""Seconds of the lease beyond what the next step may take."""
_SHOWN = 5
_CLOSING = "closing"
"""How an orphan is told that is about to be closed: who finds it gone later knows why."""
_QUIET = frozenset({Kind.UNSEEN})
"""What is not told in Slack: a system that does not answer is in the log, the metrics and on the cards that wait."""


class Overtaken(Interrupted):
    """Another process compares this system just now."""


class Stopping(Interrupted):
    """The process is to stop, and nothing more is begun."""


@dataclass
class Reconciler:
    """The running part. ``by``: who looks, for the audit trail. ``margin``: see `Worker`. ``interval``: of a turn.

    ``pause`` lets the time pass in which what is in flight lands.
    """

    store: Store
    posts: Mapping[str, Post]
    catalog: Callable[[], Catalog]
    by: str = "worker"
    margin: float = 1.0
    interval: int = INTERVAL
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    _holder: str = field(default_factory=lambda: secrets.token_hex(8), init=False)

    def __post_init__(self) -> None:
        """Open the books; nothing is sent."""
        self.found = Found(self.store)
        self._ticked = asyncio.Event()

    # when

    async def run(self, stop: asyncio.Event) -> None:
        """Compare every system at once, then at each tick, until told to stop."""
        self.pause = partial(_unless, stop)
        await self.every(at_start=True)
        while not stop.is_set():
            await _either(stop, self._ticked)
            self._ticked.clear()
            if not stop.is_set():
                await self.every()

    async def tick(self) -> None:
        """It is time to look again."""
        self._ticked.set()

    async def every(self, *, at_start: bool = False) -> None:
        """Compare each system whose turn is ours; one that goes wrong keeps no other from being looked at."""
        for name in self.posts:
            try:
                if at_start or await self._our_turn(name):
                    await self.reconcile(name)
            except Stopping:
                return
            except Overtaken:
                log.info("%s is compared with the books by another process", name)
            except StoreAway as error:
                log.warning("the store is away, %s cannot be compared with the books: %s", name, error)
            except Exception:
                log.exception("%s could not be compared with the books; it is tried again", name)

    async def _our_turn(self, name: str) -> bool:
        number = int(await self.store.now() // self.interval)
        return await self.found.turn(name, number, self._holder, 2 * self.interval)

    # what

    async def reconcile(self, name: str) -> Look:
        """Compare one system with the books, close what is orphaned, tell what is new.

        Raises `Overtaken`, `Stopping`, `StoreAway`.
        """
        keep = partial(self._keep, name)
        await keep(0.0)
        try:
            told = await self.found.told(name)
            comparing = self._comparing(name, told, keep)
            comparing.begin = partial(self._begin, name, told)
            look = await comparing.look()
            await self._tell(look, told)
            return look
        finally:
            with contextlib.suppress(StoreAway):
                await self.found.mine(name, self._holder, 0)

    async def dry_run(self, name: str) -> Look:
        """What `reconcile` would find; nothing is closed, written or told."""
        return await self._comparing(name, await self.found.told(name), _free).look()

    def _comparing(self, name: str, told: Mapping[str, str], keep: Callable[[float], Awaitable[None]]) -> Comparing:
        post = self.posts[name]
        return Comparing(
            name,
            post,
            self.found,
            self._shares(name),
            post.system.settles_within + self.margin,
            self.pause,
            keep,
            known=frozenset(what for what, how in told.items() if how == Kind.BESIDE),
        )

    def _shares(self, name: str) -> bool:
        system = self.catalog().systems.get(name)
        roles = system.roles.values() if system else ()
        capable = self.posts[name].system.capabilities
        return any(not capable(role.grants).own_principal for role in roles)

    async def _keep(self, name: str, seconds: float) -> None:
        """The system stays ours for so many seconds and the call after them. Raises `Overtaken`."""
        post = self.posts[name]
        step = seconds + post.system.settles_within + post.patience + _SPARE
        if not await self.found.mine(name, self._holder, step):
            raise Overtaken(name)

    # telling

    async def _begin(self, name: str, told: Mapping[str, str], orphans: Sequence[Finding]) -> None:
        """Orphans are about to be closed: in the audit trail first, whatever becomes of us then."""
        new = [self._note(name, each) for each in orphans if each.what not in told]
        await self.found.tell(name, new, {**told, **{each.what: _CLOSING for each in orphans}})

    async def _tell(self, look: Look, told: Mapping[str, str]) -> None:
        """Only what was not told so before; what could not be seen is as it was when it was."""
        findings = [*look.findings, *_interrupted(look, told)]
        now = {each.what: each.kind.value for each in findings if each.kind is not Kind.CLOSED}
        new = [each for each in findings if told.get(each.what) != each.kind]
        if not look.whole:
            now = {**{what: how for what, how in told.items() if how != _CLOSING}, **now}
        if not (now or told or new):
            return
        for each in new:
            log.log(logging.ERROR if each.wrong else logging.WARNING, "%s: %s", look.system, each.said)
        loud = any(each.kind not in _QUIET for each in new)
        await self.found.tell(
            look.system,
            [self._note(look.system, each) for each in new],
            now,
            summary=self._summary(look, new) if new else None,
            row=f"system:{look.system}|found:#" if loud else "",
        )

    def _note(self, name: str, each: Finding) -> Note:
        facts = {"found": each.kind.value, "system": name, "what": each.what, "said": each.said, "by": self.by}
        in_thread = each.request and each.kind in {Kind.GONE, Kind.FOREIGN}
        return Note(each.request, facts, f"{each.request}|thread:#" if in_thread else "")

    def _summary(self, look: Look, new: Sequence[Finding]) -> Mapping[str, object]:
        rank = list(Kind)
        loudest = sorted((each for each in new if each.kind not in _QUIET), key=lambda each: rank.index(each.kind))
        return {
            "system": look.system,
            "by": self.by,
            "stands": look.stands,
            "ours": look.ours,
            "mass": look.mass,
            "found": dict(Counter(each.kind.value for each in new)),
            "said": [each.said for each in loudest[:_SHOWN]],
        }


def _interrupted(look: Look, told: Mapping[str, str]) -> list[Finding]:
    """What was about to be closed by a process that did not live to tell, and stands no more."""
    if not look.whole:
        return []
    seen = {each.what for each in look.findings}
    gone = [what for what, how in told.items() if how == _CLOSING and what not in seen]
    said = "stood in {system} with no request; it was being closed by a process that ended over it, and is gone"
    return [Finding(Kind.CLOSED, what, f"{what} " + said.format(system=look.system)) for what in gone]


async def _free(_: float) -> None:
    """Who only looks keeps nobody else from it."""


async def _unless(stop: asyncio.Event, seconds: float) -> None:
    """Let the time pass. Raises `Stopping`."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    if stop.is_set():
        raise Stopping


async def _either(*events: asyncio.Event) -> None:
    waiting = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
