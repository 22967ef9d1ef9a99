"""What is sealed under the number of an entry that the bot did not write: an event that says so, with its digest."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace

from bot.core.audit_chain import MOST, AuditEntry
from bot.store.audit_stream import Reading

SET_ASIDE = "set_aside"
"""The kind of that event."""


def without_foreign(reading: Reading, told: Collection[int]) -> Reading:
    """The same, with an event that says so in place of each foreign entry, and of each that was told before."""
    found: list[AuditEntry] = []
    seen: set[AuditEntry] = set()
    for entry in reading.entries:
        same = entry._replace(seq=0)
        again = entry.seq in told or same in seen
        seen.add(same)
        found.append(_aside(entry.seq, reading.now, entry.digest(), "told before") if again else entry)
    found += [_aside(seq, reading.now, digest, "not ours") for seq, digest in reading.foreign.items()]
    found.sort(key=lambda entry: entry.seq)
    return replace(reading, entries=found[:MOST])


def _aside(number: int, at: float, digest: bytes, why: str) -> AuditEntry:
    """What is sealed in place of an entry; the digest tells later whether some text is the one that stood there."""
    said = {"by": "worker", "number": number, "why": why, "sha256": digest.hex()}
    return AuditEntry(number, round(at, 6), "", 0, SET_ASIDE, json.dumps(said, separators=(",", ":")))
