"""Audits reads of the audit log: who read, what they asked for, how much they were shown.

A read in Slack is audited before anything is shown. A terminal may have the archive and no Redis: its reads are kept in
the archive, and the sealer audits them in its next turn. Until then somebody who can write to the archive can remove
them, as they can read the archive without this product.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, ValidationError

from bot.audit.archive.archive import Archive
from bot.audit.archive.tables import READS
from bot.core.frozen import Frozen
from bot.store.store import Store

KIND = "read"
WINDOW = 60
"""Seconds in which the same, read again, is one event."""
_KEPT_FOR = 3_600
"""Seconds in which one that was carried over, and could not be forgotten here, is not carried over again."""
_MOST = 200
_LONGEST = 4_000
_TERMINAL = "cli:"

Short = Annotated[str, Field(max_length=300)]


class Read(Frozen):
    """One read. ``by`` a Slack user id or ``cli:<user>@<host>``; ``read``: search, held, export, evidence and more.

    ``asked``: the question, word for word. ``about``: the request or the role that it asks about. ``at`` in Unix
    seconds. ``rows``: how many were shown, None where that is not known yet; ``first``, ``last``: the numbers between
    which they lie, 0 for none.
    """

    at: float
    by: Short
    read: Short
    asked: Mapping[Short, Short] = Field(default_factory=dict, max_length=20)
    about: Short = ""
    rows: int | None = None
    first: int = 0
    last: int = 0

    @property
    def question(self) -> str:
        """What is the same when it is asked again."""
        return f"{KIND} {self.by} {self.read} {sorted(self.asked.items())}"

    def event_json(self) -> str:
        """The JSON of its audit event."""
        return self.model_dump_json(exclude_defaults=True)


async def record(store: Store, read: Read) -> None:
    """Record it in the audit log. Raises `StoreAway`: what cannot be recorded is not to be shown."""
    await store.audit_event(KIND, read.event_json(), window=WINDOW, once=read.question)


def queue(archive: Archive, workspace: str, read: Read) -> None:
    """Queue it in the archive until it is in the audit log. Raises `NoArchive`, also where nothing may be written."""
    with archive.begun() as db:
        db.execute(READS.insert(), [{"workspace": workspace, "event": read.event_json()}])


async def record_queued(store: Store, archive: Archive) -> int:
    """Record what was queued in the archive. How many. Raises `StoreAway`, `NoArchive`."""
    kept = await asyncio.to_thread(_kept, archive, store.workspace)
    for text in kept.values():
        read = _believed(text)
        once = f"kept {read.question} {int(read.at) // WINDOW}"
        await store.audit_event(KIND, read.event_json(), window=_KEPT_FOR, once=once)
    if kept:
        await asyncio.to_thread(_forget, archive, list(kept))
    return len(kept)


def _believed(text: str) -> Read:
    """Whoever writes to the archive may have put it there: it is a read at a terminal, or nobody knows whose."""
    try:
        read = Read.model_validate_json(text[:_LONGEST])
    except ValidationError:
        return Read(at=0, by=f"{_TERMINAL}?", read="unreadable")
    return read if read.by.startswith(_TERMINAL) else read.model_copy(update={"by": f"{_TERMINAL}?"})


def _kept(archive: Archive, workspace: str) -> dict[int, str]:
    query = READS.select().where(READS.c.workspace == workspace).order_by(READS.c.n).limit(_MOST)
    with archive.begun() as db:
        return {int(row.n): str(row.event) for row in db.execute(query)}


def _forget(archive: Archive, numbers: list[int]) -> None:
    with archive.begun() as db:
        db.execute(READS.delete().where(READS.c.n.in_(numbers)))
