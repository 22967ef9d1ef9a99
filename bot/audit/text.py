"""What `jit audit` says, as lines of text; it looks nothing up, and claims no more than was looked at."""

from __future__ import annotations

from collections.abc import Iterator

from bot.audit.archive import projection
from bot.audit.archive.projection import Holding
from bot.audit.verify import Report
from bot.core import human_times
from bot.core.audit_chain import AuditEntry
from bot.core.given_inputs import spelled
from bot.core.request import Request


def report(found: Report, known: int) -> Iterator[str]:
    """What verifying found; ``known``: how many heads were given."""
    if found.flaw:
        yield f"NOT WHOLE: {found.flaw}"
        return
    numbers = f"events {found.first} to {found.last}" if found.last else "no events"
    yield f"whole: {numbers}, {found.events:,} of them, are what was sealed; none was changed, removed, added or"
    yield f"reordered since. The last head is {found.head}."
    for first, last in found.lost:
        yield f"recorded as lost before they were sealed: {first} to {last}"
    if known:
        yield f"{found.heads} heads that are known from elsewhere are in the chain."
    if not found.trusted:
        yield "Who signed is not shown: no JIT_KEYS are here, and no head from a digest was given (--head)."
    yield "Not shown by this: that what was written was true, and what came after the last seal."


def row(entry: AuditEntry, request: Request | None) -> str:
    """One event of a list. ``request``: what it belongs to."""
    by = f" (requested by {request.requested_by.email})" if request and request.requested_by else ""
    about = (
        f"{request.requester.email}{by} {request.what} {spelled(request)}".rstrip()
        if request
        else projection.about(entry)
    )
    at, by, proof = human_times.spelled(entry.at), projection.by(entry), projection.proof(entry)
    about += f" (confirmed with {proof.factor} {human_times.spelled(proof.at)})" if proof else ""
    return f"{entry.seq:>9}  {at}  {entry.kind:<16} {by:<12} {entry.id:<8} {about}"


def holding(found: Holding, at: float) -> str:
    """One role that someone held at a moment, or may have held."""
    sure = found.opened_at is not None and found.opened_at <= at
    since = human_times.spelled(found.opened_at if sure and found.opened_at else found.tried_at)
    until = human_times.spelled(found.closed_at) if found.closed_at else "still open"
    who = f"{found.identity} {'held' if sure else 'may have held'} {found.system}/{found.role}"
    return f"{who}, {since} to {until} ({found.id})"
