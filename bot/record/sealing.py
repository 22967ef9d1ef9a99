"""Carries audit events from Redis to the archive, under signed heads, and only then lets the window forget them.

One process of a workspace does it at a time. Dying at any line repeats harmlessly: the archive takes each number
once, and what is trimmed is what the archive says that it has. It decides nothing about requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.core.errors import StoreAway
from bot.keyring import KeyRing
from bot.record import reads
from bot.record.archive import Archive, NoArchive, Taken
from bot.record.seals import MOST, PURPOSE, Entry, Head, Seal, Signer
from bot.store.audit import KEPT, Mark, Reading, Window
from bot.store.store import Store

log = logging.getLogger(__name__)

PACE = 1.0
"""Seconds between two looks."""
_LEASE = 15.0
_ROUND = 20
"""Seals in one look, before the stop and the lease are thought of again."""
_PATIENCE = 30.0
"""The longest pause, in seconds, while the archive does not answer."""
_FULL = 0.8
"""The share of Redis' memory at which an alarm is given: a full Redis takes no requests and no revokes."""

_OUT_OF_MEMORY = "OutOfMemoryError"
_LEAST = 100
"""Sealed events that stay in a Redis that is full."""


class Unsealable(Exception):
    """Nothing can be sealed without forking the chain; the sentence says what a person must do."""


def signer(ring: KeyRing) -> Signer:
    """The signer of a key ring: made from it, so that every worker has the same and Redis has none."""
    return Signer(ring.subkeys(PURPOSE))


@dataclass
class Sealer:
    """The running part. ``policy`` tells the generation that is decided by; ``text`` its full text, if it is at hand.

    ``archive`` opens it, which may have to be tried again. ``kept``: see `Window.trim`.
    """

    store: Store
    archive: Callable[[], Archive]
    home: Path
    policy: Callable[[], str] = lambda: ""
    text: Callable[[str], str | None] = lambda _: None
    pace: float = PACE
    kept: int = KEPT
    _opened: Archive | None = field(default=None, init=False)
    _holder: str = field(default_factory=lambda: secrets.token_hex(8), init=False)
    _complaint: str = field(default="", init=False)
    _policies: set[str] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        """Build what it works with; nothing is sent or opened before the first look."""
        self.window = Window(self.store)
        self.workspace = self.store.workspace
        self.signer = signer(self.store.ring)

    async def run(self, stop: asyncio.Event) -> None:
        """Look every second until told to stop; what keeps it from sealing is said once, and tried again."""
        pause = self.pace
        try:
            while not stop.is_set():
                pause = self.pace if await self._looked() else min(pause * 2, _PATIENCE)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)
            await self._looked()
        finally:
            await self.close()

    async def close(self) -> None:
        """Give up the lease and the archive."""
        with contextlib.suppress(StoreAway):
            await self.window.elected(self._holder, 0)
        if self._opened:
            await asyncio.to_thread(self._opened.close)
            self._opened = None

    async def once(self) -> int:
        """One look: seal and archive all that is there, as the elected one. How many events.

        Raises `StoreAway`, `NoArchive`, `Unsealable`.
        """
        if not await self.window.elected(self._holder, _LEASE):
            return 0
        await self._memory()
        archive = await self._archive()
        last = await self._begun(archive)
        await self._keep_policy(archive)
        await reads.carry(self.store, archive)
        carried = 0
        for _ in range(_ROUND):
            seal = await self._next(archive, last)
            if seal is None:
                break
            carried += seal.last - seal.first + 1
            last = seal
            if not await self.window.elected(self._holder, _LEASE):
                break
        if last:
            await self.window.trim(last.last, self.kept)
        return carried

    async def adopt(self, why: str, by: str) -> None:
        """Go on with this archive though it is not the one, or not as far, as before: recorded, and never silent."""
        archive = await self._archive()
        last = await asyncio.to_thread(archive.last, self.workspace)
        said = {"by": by, "why": why, "archive": archive.id, "from": str(last.head) if last else ""}
        said["was"] = ", ".join(str(witness) for witness in await self._witnesses())
        await self.store.note("archive_adopted", json.dumps(said))
        head = last.head if last else Head(0, "0" * 64)
        await self.window.mark(Mark(archive.id, head))
        write_head(self.home, self.workspace, head)

    # one look

    async def _looked(self) -> bool:
        try:
            await self.once()
        except StoreAway as error:
            await self._relieve(str(error))
            return self._complain(f"audit events wait: the store is away: {error}")
        except (NoArchive, Unsealable) as error:
            with contextlib.suppress(StoreAway):
                await self.window.alarm("archive", str(error))
            return self._complain(f"audit events wait in Redis: {error}")
        except Taken:
            return self._complain("another process seals at the same moment; looking again")
        self._complaint = ""
        return True

    async def _relieve(self, said: str) -> None:
        """A Redis that is full takes no lease and no mark: what is sealed leaves it first, which needs neither."""
        if _OUT_OF_MEMORY not in said:
            return
        with contextlib.suppress(StoreAway, NoArchive):
            archive = await self._archive()
            last = await asyncio.to_thread(archive.last, self.workspace)
            await self.window.trim(last.last if last else 0, min(self.kept, _LEAST))

    def _complain(self, said: str) -> bool:
        if said != self._complaint:
            log.error(said)
        self._complaint = said
        return False

    async def _archive(self) -> Archive:
        if self._opened is None:
            self._opened = await asyncio.to_thread(self.archive)
        return self._opened

    async def _begun(self, archive: Archive) -> Seal | None:
        """The last seal, when it is where every witness says that the chain stands. Raises `Unsealable`."""
        last = await asyncio.to_thread(archive.last, self.workspace)
        mark = await self.window.marked()
        if mark and mark.archive != archive.id:
            raise Unsealable(
                f"this is another archive than the one that holds the events up to {mark.head.last}: give every worker "
                "the same JIT_ARCHIVE_URL, or, when that archive is gone for good, run `jit audit adopt`"
            )
        for head in await self._witnesses():
            await self._agrees(archive, last, head)
        return last

    async def _witnesses(self) -> list[Head]:
        mark = await self.window.marked()
        kept = read_head(self.home, self.workspace)
        return [head for head in (mark.head if mark else None, kept) if head and head.last]

    async def _agrees(self, archive: Archive, last: Seal | None, head: Head) -> None:
        if last and head == last.head:
            return
        found = await asyncio.to_thread(archive.seal_ending, self.workspace, head.last)
        if found is None or found.head != head:
            raise Unsealable(
                f"the archive does not have the head {head}, which was sealed before: restore its newest copy, or, "
                "when it is gone for good, run `jit audit adopt`; `jit audit verify` says what differs"
            )

    async def _next(self, archive: Archive, last: Seal | None) -> Seal | None:
        """The next seal, made and kept; None when nothing waits."""
        after = last.last if last else 0
        reading = await self.window.read(after, MOST)
        if last and await self._went_back(archive, last, reading):
            reading = await self.window.read(after, MOST)
        if reading.foreign:
            await self.window.remove(reading.foreign)
            await self._told("audit_foreign", f"entries that the bot did not write were removed: {reading.foreign[:5]}")
        seal, entries = self._range(last, after, reading)
        if seal is None:
            return None
        await asyncio.to_thread(archive.append, seal, entries)
        write_head(self.home, self.workspace, seal.head)
        await self.window.mark(Mark(archive.id, seal.head))
        if seal.lost:
            await self._told(
                "audit_lost", f"the events {seal.first} to {seal.last} were taken out before they were sealed"
            )
        return seal

    def _range(self, last: Seal | None, after: int, reading: Reading) -> tuple[Seal | None, list[Entry]]:
        """A seal over the numbers that follow: of events without a gap, or of a gap; None when there is neither."""
        entries: list[Entry] = []
        for number, entry in enumerate(reading.entries, start=after + 1):
            if entry.seq != number:
                break
            entries.append(entry)
        if entries:
            return self.signer.seal(self.workspace, last, entries, reading.now), entries
        end = reading.entries[0].seq - 1 if reading.entries else reading.seq
        if end <= after:
            return None, []
        return self.signer.loss(self.workspace, last, after + 1, end, reading.now), []

    async def _went_back(self, archive: Archive, last: Seal, reading: Reading) -> bool:
        """Whether the store is not the one that was sealed: then that is recorded, and no number is used twice."""
        forked = reading.anchor is not None and reading.anchor.digest() != last.digest(last.last)
        if reading.seq >= last.last and (last.lost or not forked):
            return False
        stale = await self._stale(archive, last)
        loss: Mapping[str, Any] = {
            "by": "worker",
            "sealed": str(last.head),
            "found": reading.seq,
            "again": len(stale),
            "why": "the store came back from before its last seal; what was written after that and not sealed is lost",
        }
        if await self.window.resume(last.last, loss, stale):
            await self._told("audit_loss", f"the store came back at {reading.seq}, and {last.last} was sealed already")
        return True

    async def _stale(self, archive: Archive, last: Seal) -> list[int]:
        """The numbers under which the store holds other events than were sealed."""
        found = await self.window.until(last.last)
        first = found[0].seq if found else last.last + 1

        def digests() -> dict[int, bytes]:
            return {entry.seq: entry.digest() for entry in archive.entries(self.workspace, first, last.last)}

        sealed = await asyncio.to_thread(digests)
        return [entry.seq for entry in found if sealed.get(entry.seq) != entry.digest()]

    async def _keep_policy(self, archive: Archive) -> None:
        generation = self.policy()
        if generation in self._policies or (text := self.text(generation)) is None:
            return
        now = await self.store.now()
        await asyncio.to_thread(archive.keep_policy, self.workspace, generation, text, now)
        self._policies.add(generation)

    async def _memory(self) -> None:
        used, limit = await self.window.memory()
        if limit and used >= limit * _FULL:
            said = (
                f"Redis has used over {_FULL:.0%} of its maxmemory: when it is full nothing can be asked for or closed"
            )
            await self._told("memory", said)

    async def _told(self, kind: str, said: str) -> None:
        if await self.window.alarm(kind, said):
            log.critical("%s: %s", kind, said)


def write_head(home: Path, workspace: str, head: Head) -> None:
    """Keep the last head outside Redis and the archive. Raises `NoArchive` where JIT_HOME cannot be written."""
    path = _head_file(home, workspace)
    draft = path.with_suffix(f".{secrets.token_hex(4)}")
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(f"{head}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise NoArchive(f"JIT_HOME: {path} cannot be written: {error.strerror}") from error


def read_head(home: Path, workspace: str) -> Head | None:
    """The last head that was kept here; None where there is none. Raises `Unsealable` for one that is not readable."""
    path = _head_file(home, workspace)
    try:
        return Head.parse(path.read_text(encoding="ascii", errors="replace"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Unsealable(f"{path} holds no head ({error}): look who wrote there, then remove it") from error


def _head_file(home: Path, workspace: str) -> Path:
    return home / f"audit-head-{workspace}"
