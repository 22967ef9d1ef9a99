"""What the archive knows of break-glass: who used it when, and which access still waits for its review."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from bot.audit.archive import projection
from bot.audit.archive.archive import Archive
from bot.audit.archive.index import lives_of
from bot.audit.archive.tables import ENTRY, EVENTS, MENTIONS, WORDS
from bot.core.audit_chain import AuditEntry

USES: Final = ("break_glass_used", "switched_to_break_glass")
"""The kinds of events by which access is taken without approval."""


def uses(archive: Archive, workspace: str, since: float, until: float) -> list[AuditEntry]:
    """The uses in [``since``, ``until``), in the order of their numbers."""
    words = [projection.word("kind", kind) for kind in USES]
    numbers = sa.select(WORDS.c.n).where(WORDS.c.workspace == workspace, WORDS.c.word.in_(words))
    found = sa.select(MENTIONS.c.seq).where(MENTIONS.c.word.in_(numbers), MENTIONS.c.at >= since, MENTIONS.c.at < until)
    query = sa.select(*ENTRY).where(EVENTS.c.workspace == workspace, EVENTS.c.seq.in_(found)).order_by(EVENTS.c.seq)
    with archive.begun() as db:
        return [AuditEntry._make(row) for row in db.execute(query)]


def unreviewed(archive: Archive, workspace: str, until: float = float(2**53)) -> list[str]:
    """The requests whose break-glass access waits for its review, whether it is open or has ended."""
    ids = list(dict.fromkeys(entry.id for entry in uses(archive, workspace, 0.0, until)))
    with archive.begun() as db:
        lives = lives_of(db, workspace, ids)
    return [id_ for id_, life in lives.items() if life.request.lacks_review]
