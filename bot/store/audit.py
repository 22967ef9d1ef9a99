"""The window of audit events in Redis: read in the order of their numbers, and trimmed behind the last seal only.

It seals nothing itself. The archive says what is sealed; without it nothing leaves the window.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.core.errors import StoreAway
from bot.record.seals import Entry, Head
from bot.store.store import Store
from bot.store.wire import away, script, seconds, text

KEPT = 10_000
"""Sealed events that stay readable here, a busy day's: notices that Slack did not take yet are worded from them."""
_PAGE = 2_000
_HOUR = 3_600
_LONGEST = 200
_MOST = 2**53
"""The largest whole number of Lua."""


@dataclass(frozen=True)
class Reading:
    """What was there at one moment. ``seq``: the last number that was given out; ``now`` by Redis' clock.

    ``anchor``: the entry numbered as the last sealed event, if it is still there; ``foreign``: entries that none of
    our scripts wrote, by their stream ids.
    """

    seq: int
    now: float
    anchor: Entry | None
    entries: Sequence[Entry]
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mark:
    """Which archive the events went to last, and its head: a second witness, beside the archive itself."""

    archive: str
    head: Head


class Window:
    """The audit stream of one workspace, and the lease of the one who seals it."""

    def __init__(self, store: Store) -> None:
        """Register the script; nothing is sent before the first call."""
        self.store, self.keys, self.redis = store, store.keys, store.redis
        self._resume = script(store.redis, "resume")

    async def elected(self, holder: str, lease: float) -> bool:
        """Whether this process is the one that seals, for ``lease`` seconds from now; 0 gives it up."""
        return await self.store.lease(self.keys.sealer, holder, lease)

    async def read(self, after: int, most: int) -> Reading:
        """Up to ``most`` entries after a number, in one moment with the counter. Raises `StoreAway`."""
        async with self.redis.pipeline(transaction=True) as pipe:
            pipe.time()
            pipe.get(self.keys.seq)
            pipe.xrange(self.keys.audit, f"{after}-0", f"{after}-0")
            pipe.xrange(self.keys.audit, f"({after}-0", "+", count=most)
            time, seq, anchor, rows = await away(pipe.execute())
        return Reading(
            seq=_whole(seq),
            now=seconds(time),
            anchor=_entry(*anchor[0]) if anchor else None,
            entries=[_entry(id_, fields) for id_, fields in rows if _ours(id_)],
            foreign=tuple(text(id_) for id_, _ in rows if not _ours(id_)),
        )

    async def tail(self, after: int, most: int) -> list[Entry]:
        """The entries after a number, which are not sealed yet where that is the last sealed one; ``most`` or so."""
        found: list[Entry] = []
        while len(found) < most:
            reading = await self.read(after, min(_PAGE, most))
            found += reading.entries
            if not reading.entries:
                break
            after = reading.entries[-1].seq
        return found

    async def until(self, last: int) -> list[Entry]:
        """Every entry up to a number that is still here."""
        found: list[Entry] = []
        start = "-"
        while True:
            rows: Any = await away(self.redis.xrange(self.keys.audit, start, f"{last}-0", count=_PAGE))
            found += [_entry(id_, fields) for id_, fields in rows if _ours(id_)]
            if len(rows) < _PAGE:
                return found
            start = f"({text(rows[-1][0])}"

    async def remove(self, ids: Sequence[str]) -> None:
        """Take out entries that none of our scripts wrote."""
        await away(self.redis.xdel(self.keys.audit, *ids))

    async def resume(self, sealed: int, loss: Mapping[str, Any], stale: Sequence[int]) -> bool:
        """Record that the store came back from before its last seal, once, and go on behind it.

        ``stale``: numbers whose entries here differ from what was sealed under them; they are written again under
        new numbers. False when it is recorded already.
        """
        words: list[str | int] = [sealed, self.store.whence.on(json.dumps(loss)), *stale]
        answer = await away(self._resume(keys=[self.keys.audit, self.keys.seq], args=words))
        return text(answer[0]) == "RESUMED"

    async def trim(self, sealed: int, kept: int = KEPT) -> None:
        """Forget what lies ``kept`` events and more behind the last seal; ``sealed`` is the archive's own word."""
        if sealed > kept:
            await away(self.redis.xtrim(self.keys.audit, minid=f"{sealed - kept + 1}-0", approximate=False))

    async def mark(self, mark: Mark) -> None:
        """Note where the events are."""
        await away(self.redis.set(self.keys.sealed, f"{mark.archive} {mark.head}"))

    async def marked(self) -> Mark | None:
        """Where the events were last; None before the first seal, or where it cannot be read."""
        archive, _, head = text(await away(self.redis.get(self.keys.sealed))).partition(" ")
        with contextlib.suppress(ValueError):
            return Mark(archive, Head.parse(head))
        return None

    async def memory(self) -> tuple[int, int]:
        """Bytes used, and ``maxmemory`` (0: none, or not told to us)."""
        info: Mapping[str, Any] = {}
        with contextlib.suppress(StoreAway):  # INFO may be refused, and fitness.py says so
            info = await away(self.redis.info("memory"))
        return int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))

    async def alarm(self, kind: str, said: str) -> bool:
        """An alarm of the record itself, audited once an hour and told in the audit channel; False when it is known."""
        event = json.dumps({"alarm": kind, "said": said})
        return await self.store.note("alarm", event, window=_HOUR, once=f"alarm {kind} {said}", row="record|record:#")


def _ours(id_: bytes) -> bool:
    return id_.endswith(b"-0")


def _whole(value: bytes | str | None) -> int:
    with contextlib.suppress(ValueError):
        return min(max(int(text(value)), 0), _MOST)
    return 0


def _entry(id_: bytes, fields: Mapping[bytes, bytes]) -> Entry:
    """An entry as it was written; what an intruder wrote is taken as it is, and breaks nothing."""
    seq = int(id_.split(b"-")[0])
    # PostgreSQL keeps no NUL in a text, and none of our scripts writes one.
    words = {name: text(fields.get(name)).replace("\0", "\ufffd") for name in (b"id", b"version", b"kind", b"event")}
    # The name of a request and of a kind are short; an index takes no long ones.
    name, kind = words[b"id"][:_LONGEST], words[b"kind"][:_LONGEST]
    return Entry(seq, _at(fields, words[b"event"]), name, _whole(words[b"version"]), kind, words[b"event"])


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
