"""The window of recent audit events in Redis: read in the order of their numbers, trimmed behind the last seal only.

It seals nothing. Only the archive says what is sealed; without the archive, nothing is trimmed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bot.core.audit_chain import AuditEntry, Head
from bot.core.errors import StoreAway
from bot.store.encoding import away, script, seconds, text
from bot.store.store import Store

KEPT = 10_000
"""Sealed events that stay here, a busy day's: undelivered notifications are rendered from them."""
_PAGE = 2_000
_HOUR = 3_600
_LONGEST = 200
_JUMP = 1_000_000
"""The largest gap between two numbers of ours (see event.lua): an entry beyond it is foreign."""
_MOST = 2**53
"""The largest whole number of Lua."""


@dataclass(frozen=True)
class Reading:
    """A snapshot of the window. ``seq``: the last number that was given out; ``now``: Redis' time.

    ``anchor``: the last sealed event, if it is still there and ours. ``foreign``: digests of entries without our MAC,
    by their number; ``odd``: ids that are no number of ours.
    """

    seq: int
    now: float
    anchor: AuditEntry | None
    entries: Sequence[AuditEntry]
    foreign: Mapping[int, bytes] = field(default_factory=dict)
    odd: tuple[str, ...] = ()


class Written(NamedTuple):
    """An entry of the stream, by its id there. ``ours``: its MAC is ours, and so is its number.

    ``due``: when its request is to be worked on next, or ''.
    """

    id: str
    entry: AuditEntry
    due: str
    ours: bool


@dataclass(frozen=True)
class ArchiveHead:
    """Which archive the events went to last, and its head: a checkpoint outside the archive."""

    archive: str
    head: Head


class AuditStream:
    """The audit stream of one workspace."""

    def __init__(self, store: Store) -> None:
        """Register the script; nothing is sent before the first call."""
        self.store, self.keys, self.redis = store, store.keys, store.redis
        self._resume = script(store.redis, "resume")

    async def read(self, after: int, most: int) -> Reading:
        """Up to ``most`` entries after a number, in one snapshot with the counter. Raises `StoreAway`."""
        async with self.redis.pipeline(transaction=True) as pipe:
            pipe.time()
            pipe.get(self.keys.seq)
            pipe.xrange(self.keys.audit, f"{after}-0", f"{after}-0")
            pipe.xrange(self.keys.audit, f"({after}-0", "+", count=most)
            time, seq, anchor, rows = await away(pipe.execute())
        numbered, far = _following(rows, after if anchor else None)
        ours, top = self.store.authorship.ours, _number(numbered[-1][0]) if numbered else after
        return Reading(
            seq=_given(seq, top),
            now=seconds(time),
            anchor=_entry(*anchor[0]) if anchor and ours(anchor[0][1]) else None,
            entries=[_entry(id_, fields) for id_, fields in numbered if ours(fields)],
            foreign={_entry(id_, fields).seq: _digest(fields) for id_, fields in numbered if not ours(fields)},
            odd=tuple(text(id_) for id_ in far),
        )

    async def written(self, after: str, most: int) -> tuple[int, list[Written]]:
        """The last number that was given out, and up to ``most`` entries after one, each with whose it is."""
        async with self.redis.pipeline(transaction=True) as pipe:
            pipe.get(self.keys.seq)
            pipe.xrange(self.keys.audit, f"({after}", "+", count=most)
            seq, rows = await away(pipe.execute())
        ours = self.store.authorship.ours
        found = [
            Written(text(id_), _entry(id_, fields), text(fields.get(b"due")), _ours(id_) and ours(fields))
            for id_, fields in rows
        ]
        known = [written.entry.seq for written in found if written.ours]
        return _given(seq, known[-1] if known else _number(after.encode())), found

    async def tail(self, after: int, most: int) -> list[AuditEntry]:
        """Our entries after a number, which are not sealed yet where that is the last sealed one; ``most`` or so."""
        found: list[AuditEntry] = []
        while len(found) < most:
            reading = await self.read(after, min(_PAGE, most))
            found += reading.entries
            seen = [entry.seq for entry in reading.entries] + list(reading.foreign)
            if not seen:
                break
            after = max(seen)
        return found

    async def until(self, last: int) -> list[AuditEntry]:
        """Every entry of ours up to a number that is still here."""
        found: list[AuditEntry] = []
        start = "-"
        while True:
            rows: Any = await away(self.redis.xrange(self.keys.audit, start, f"{last}-0", count=_PAGE))
            ours = self.store.authorship.ours
            found += [_entry(id_, fields) for id_, fields in rows if _ours(id_) and ours(fields)]
            if len(rows) < _PAGE:
                return found
            start = f"({text(rows[-1][0])}"

    async def remove(self, ids: Sequence[str]) -> None:
        """Remove foreign entries."""
        await away(self.redis.xdel(self.keys.audit, *ids))

    async def resume(self, sealed: int, loss: Mapping[str, Any], stale: Sequence[int]) -> bool:
        """Record that the store came back from before its last seal, once, and go on behind it.

        ``stale``: numbers whose entries here differ from what was sealed under them; they are written again under
        new numbers. False when it is recorded already.
        """
        arguments = self.store.event_args("loss", json.dumps(loss), await self.store.now())
        answer = await away(self._resume(keys=self.store.event_keys, args=[sealed, *arguments, *stale]))
        return text(answer[0]) == "RESUMED"

    async def trim(self, sealed: int, kept: int = KEPT) -> None:
        """Trim what is more than ``kept`` events behind the last seal; ``sealed`` must come from the archive."""
        if sealed > kept:
            await away(self.redis.xtrim(self.keys.audit, minid=f"{sealed - kept + 1}-0", approximate=False))

    async def write_checkpoint(self, mark: ArchiveHead) -> None:
        """Keep the checkpoint."""
        value = f"{mark.archive} {mark.head}"
        await away(self.redis.set(self.keys.sealed, f"{value} {self.store.authorship.sign('sealed', value)}"))

    async def checkpoint(self) -> ArchiveHead | None:
        """The checkpoint; None before the first seal, or where its MAC is not ours."""
        value, _, tag = text(await away(self.redis.get(self.keys.sealed))).rpartition(" ")
        if not self.store.authorship.signed(tag, "sealed", value):
            return None
        archive, _, head = value.partition(" ")
        with contextlib.suppress(ValueError):
            return ArchiveHead(archive, Head.parse(head))
        return None

    async def memory(self) -> tuple[int, int]:
        """Bytes used, and ``maxmemory`` (0: none, or not told to us)."""
        info: Mapping[str, Any] = {}
        with contextlib.suppress(StoreAway):  # INFO may be refused, and requirements.py says so
            info = await away(self.redis.info("memory"))
        return int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))

    async def alarm(self, kind: str, sentence: str, once: str | None = None) -> bool:
        """An alarm about the audit log itself, audited and posted once an hour; False for a repeat.

        ``once``: what makes two of a kind the same, where that is not the text.
        """
        event, same = json.dumps({"alarm": kind, "said": sentence}), sentence if once is None else once
        return await self.store.audit_event(
            "alarm", event, window=_HOUR, once=f"alarm {kind} {same}", row="record|record:#"
        )


def _ours(id_: bytes) -> bool:
    return id_.endswith(b"-0")


def _following(rows: Sequence[tuple[bytes, Any]], before: int | None) -> tuple[list[Any], list[bytes]]:
    """The rows under numbers that follow on one another, and the ids of the others. ``before``: what they follow on."""
    numbered, far = [], []
    for row in rows:
        number = _number(row[0])
        if _ours(row[0]) and number < _MOST // 2 and (before is None or number - before <= _JUMP):
            before = number
            numbered.append(row)
        else:
            far.append(row[0])
    return numbered, far


def _number(id_: bytes) -> int:
    return int(id_.split(b"-")[0])


def _given(seq: bytes | str | None, top: int) -> int:
    """The last number that was given out; a counter far beyond the newest event is foreign, and ignored."""
    number = _whole(seq)
    return number if number - top <= _JUMP else top


def _digest(fields: Mapping[bytes, bytes]) -> bytes:
    """SHA-256 over an entry as it was found, foreign or not."""
    words = [word for pair in sorted(fields.items()) for word in pair]
    return hashlib.sha256(b"".join(len(word).to_bytes(8) + word for word in words)).digest()


def _whole(value: bytes | str | None) -> int:
    with contextlib.suppress(ValueError):
        return min(max(int(text(value)), 0), _MOST)
    return 0


def _entry(id_: bytes, fields: Mapping[bytes, bytes]) -> AuditEntry:
    """An entry as it was found; nothing that a forger could write raises here."""
    seq = int(id_.split(b"-")[0])
    # PostgreSQL keeps no NUL in a text, and none of our scripts writes one.
    words = {name: text(fields.get(name)).replace("\0", "\ufffd") for name in (b"id", b"version", b"kind", b"event")}
    # The name of a request and of a kind are short; an index takes no long ones.
    name, kind = words[b"id"][:_LONGEST], words[b"kind"][:_LONGEST]
    return AuditEntry(seq, _at(fields, words[b"event"]), name, _whole(words[b"version"]), kind, words[b"event"])


def _at(fields: Mapping[bytes, bytes], event: str) -> float:
    """When it happened: the script's own time, or the event's; 0 for neither."""
    for at in _times(fields, event):
        if math.isfinite(at):
            return round(at, 6)
    return 0.0


def _times(fields: Mapping[bytes, bytes], event: str) -> Iterator[float]:
    if b"at" in fields:
        with contextlib.suppress(ValueError):
            yield float(text(fields[b"at"]))
    with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
        yield float(json.loads(event)["at"])
