"""Seals audit events: moves them from Redis to the archive under signed checkpoints, and only then trims the window.

One process of a workspace is elected to do it. A crash at any line is harmless: the archive takes each number once,
and only what the archive has is trimmed. It decides nothing about requests.
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

from bot import tasks
from bot.audit import read_log
from bot.audit.archive.archive import Archive, NoArchive, NumbersTaken
from bot.audit.set_aside import SET_ASIDE, without_foreign
from bot.background import Loop
from bot.core.audit_chain import MOST, PURPOSE, AuditEntry, Head, Seal, Signer
from bot.core.errors import StoreAway
from bot.store.audit_stream import KEPT, ArchiveHead, AuditStream, Reading
from bot.store.keyring import KeyRing
from bot.store.leader import Leader
from bot.store.store import Store

log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between two turns."""
_LEAST_PAUSE = 0.1
_LEASE = 15.0
_ROUND = 20
"""Seals in one turn, before the stop event and the lease are checked again."""
_PATIENCE = 30.0
"""The longest pause, in seconds, while the archive does not answer."""
_FULL = 0.8
"""The share of Redis' memory at which an alarm is raised: a full Redis accepts neither requests nor revokes."""

_SHOWN = 5
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
    """The sealer of one process. ``policy``: the generation in force; ``text``: the full text of one, where known.

    ``archive`` opens the archive, and may fail for a while. ``kept``: see `AuditStream.trim`.
    """

    store: Store
    archive: Callable[[], Archive]
    home: Path
    policy: Callable[[], str] = lambda: ""
    text: Callable[[str], str | None] = lambda _: None
    interval: float = INTERVAL
    kept: int = KEPT
    _opened: Archive | None = field(default=None, init=False)
    _policies: set[str] = field(default_factory=set, init=False)
    _hurried: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        """Build what it works with; nothing is sent or opened before the first look."""
        self.stream = AuditStream(self.store)
        self.leader = Leader(self.store, self.store.keys.sealer, _LEASE)
        self.loop = Loop(
            "sealing the audit events",
            self._run_once,
            self.interval,
            expected=(StoreAway, NoArchive, Unsealable, NumbersTaken),
            longest=_PATIENCE,
            level=logging.ERROR,
            wait=self._wait,
        )
        self.workspace = self.store.workspace
        self.signer = signer(self.store.ring)

    async def run(self, stop: asyncio.Event) -> None:
        """Seal every second until the stop event, and once more after it: the last decisions are sealed, too."""
        try:
            await self.loop.run(stop)
            await self.loop.once()
        finally:
            await self.close()

    def run_now(self) -> None:
        """Have the next turn soon: somebody waits for an event to be in the archive."""
        self._hurried.set()

    async def _wait(self, seconds: float) -> None:
        if self.loop.complaint:  # backoff: an archive that does not answer is not hurried
            await asyncio.sleep(seconds)
            return
        await asyncio.sleep(min(seconds, _LEAST_PAUSE))
        with contextlib.suppress(TimeoutError):
            await tasks.within(self._hurried.wait(), seconds - _LEAST_PAUSE)
        self._hurried.clear()

    async def close(self) -> None:
        """Give up the lease and the archive."""
        await self.leader.resign()
        if self._opened:
            await asyncio.to_thread(self._opened.close)
            self._opened = None

    async def once(self) -> int:
        """Seal and archive all that is there, where elected. How many events.

        Raises `StoreAway`, `NoArchive`, `Unsealable`.
        """
        if not await self.leader.elected():
            return 0
        await self._memory()
        archive = await self._archive()
        last = await self._begun(archive)
        await self._keep_policy(archive)
        await read_log.record_queued(self.store, archive)
        carried = 0
        for _ in range(_ROUND):
            seal = await self._next(archive, last)
            if seal is None:
                break
            carried += seal.last - seal.first + 1
            last = seal
            if not await self.leader.elected():
                break
        if last:
            await self.stream.trim(last.last, self.kept)
        return carried

    async def disagreement(self) -> str:
        """Why this archive could not be sealed into, which `adopt` overrules; '' where it can. Raises `NoArchive`."""
        try:
            await self._begun(await self._archive())
        except Unsealable as error:
            return str(error)
        return ""

    async def adopt(self, why: str, by: str) -> None:
        """Continue with an archive that is another one, or behind the checkpoint: audited, never silent."""
        archive = await self._archive()
        last = await asyncio.to_thread(archive.last, self.workspace)
        said = {"by": by, "why": why, "archive": archive.id, "from": str(last.head) if last else ""}
        said["was"] = ", ".join(str(witness) for witness in await self._witnesses())
        await self.store.audit_event("archive_adopted", json.dumps(said))
        head = last.head if last else Head(0, "0" * 64)
        await self.stream.write_checkpoint(ArchiveHead(archive.id, head))
        write_head(self.home, self.workspace, head)

    # one turn

    async def _run_once(self) -> None:
        try:
            await self.once()
        except StoreAway as error:
            await self._relieve(str(error))
            raise
        except (NoArchive, Unsealable) as error:
            with contextlib.suppress(StoreAway):
                await self.stream.alarm("archive", str(error))
            raise

    async def _relieve(self, said: str) -> None:
        """A full Redis takes neither lease nor checkpoint, so sealed events are trimmed first, which needs neither."""
        if _OUT_OF_MEMORY not in said:
            return
        with contextlib.suppress(StoreAway, NoArchive):
            archive = await self._archive()
            last = await asyncio.to_thread(archive.last, self.workspace)
            await self.stream.trim(last.last if last else 0, min(self.kept, _LEAST))

    async def _archive(self) -> Archive:
        if self._opened is None:
            self._opened = await asyncio.to_thread(self.archive)
        return self._opened

    async def _begun(self, archive: Archive) -> Seal | None:
        """The last seal, where the archive has every checkpoint that is known. Raises `Unsealable`."""
        last = await asyncio.to_thread(archive.last, self.workspace)
        mark = await self.stream.checkpoint()
        if mark and mark.archive != archive.id:
            raise Unsealable(
                f"this is another archive than the one that holds the events up to {mark.head.last}: give every worker "
                "the same JIT_ARCHIVE_URL, or, when that archive is gone for good, run `jit audit adopt`"
            )
        for head in await self._witnesses():
            await self._agrees(archive, last, head)
        return last

    async def _witnesses(self) -> list[Head]:
        mark = await self.stream.checkpoint()
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
        """Make and keep the next seal; None where there is nothing to seal."""
        after = last.last if last else 0
        reading = await self.stream.read(after, MOST)
        if last and await self._went_back(archive, last, reading):
            reading = await self.stream.read(after, MOST)
        if reading.odd:
            await self.stream.remove(reading.odd)
            await self._told("audit_foreign", "entries under numbers that the bot does not give out were removed")
        already_sealed = await asyncio.to_thread(archive.already_sealed, self.workspace, reading.entries)
        reading = without_foreign(reading, already_sealed)
        seal, entries = self._range(last, after, reading)
        if seal is None:
            return None
        # The archive first: a crash after it only moves the checkpoints later. The other way round, a checkpoint
        # would name a seal that does not exist, and every later turn would refuse to go on.
        await asyncio.to_thread(archive.append, seal, entries)
        write_head(self.home, self.workspace, seal.head)
        await self.stream.write_checkpoint(ArchiveHead(archive.id, seal.head))
        if aside := [entry.seq for entry in entries if entry.kind == SET_ASIDE]:
            await self.stream.remove([f"{seq}-0" for seq in aside])
            shown = ", ".join(map(str, aside[:_SHOWN]))
            more = f" and {len(aside) - _SHOWN} more" if len(aside) > _SHOWN else ""
            said = f"audit events that the bot did not write, or not now, were set aside: {shown}{more}. "
            await self._told("audit_set_aside", f"{said}Somebody has write access to Redis: look who.", once="")
        if seal.lost:
            await self._told(
                "audit_lost", f"the events {seal.first} to {seal.last} were taken out before they were sealed"
            )
        return seal

    def _range(self, last: Seal | None, after: int, reading: Reading) -> tuple[Seal | None, list[AuditEntry]]:
        """A seal over the numbers that follow: of events without a gap, or of a gap; None when there is neither."""
        entries: list[AuditEntry] = []
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
        """Whether the store is behind the last seal: the loss is recorded, and no number is used twice."""
        forked = reading.anchor is not None and reading.anchor.digest() != last.digest(last.last)
        if reading.seq >= last.last and (last.lost or not forked):
            return False
        if forked and reading.seq >= last.last and await self._aside(archive, last.last):
            await self.stream.remove([f"{last.last}-0"])
            return False
        stale = await self._stale(archive, last)
        loss: Mapping[str, Any] = {
            "by": "worker",
            "sealed": str(last.head),
            "found": reading.seq,
            "again": len(stale),
            "why": "the store came back from before its last seal; what was written after that and not sealed is lost",
        }
        if await self.stream.resume(last.last, loss, stale):
            await self._told("audit_loss", f"the store came back at {reading.seq}, and {last.last} was sealed already")
        return True

    async def _aside(self, archive: Archive, number: int) -> bool:
        """Whether the entry of a number was sealed as set aside, and is still to be removed."""
        found = await asyncio.to_thread(lambda: list(archive.entries(self.workspace, number, number)))
        return any(entry.kind == SET_ASIDE for entry in found)

    async def _stale(self, archive: Archive, last: Seal) -> list[int]:
        """The numbers whose events in the store differ from what was sealed."""
        found = await self.stream.until(last.last)
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
        used, limit = await self.stream.memory()
        if limit and used >= limit * _FULL:
            said = (
                f"Redis has used over {_FULL:.0%} of its maxmemory: when it is full nothing can be asked for or closed"
            )
            await self._told("memory", said)

    async def _told(self, kind: str, said: str, once: str | None = None) -> None:
        if await self.stream.alarm(kind, said, once):
            log.critical("%s: %s", kind, said)


def write_head(home: Path, workspace: str, head: Head) -> None:
    """Keep the checkpoint outside Redis and the archive, too. Raises `NoArchive` where JIT_HOME cannot be written."""
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
    """The checkpoint in JIT_HOME; None where there is none. Raises `Unsealable` where it cannot be read."""
    path = _head_file(home, workspace)
    try:
        return Head.parse(path.read_text(encoding="ascii", errors="replace"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Unsealable(f"{path} holds no head ({error}): look who wrote there, then remove it") from error


def _head_file(home: Path, workspace: str) -> Path:
    return home / f"audit-head-{workspace}"
