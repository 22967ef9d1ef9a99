"""The outcomes of a requester's earlier requests for the same roles and values, shown to approvers; it changes nothing.

A leg is one role of a request.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot import tasks
from bot.core.request import Request, State
from bot.store.indexes import request_history
from bot.store.store import Store

DAYS = 30
_DAY = 86_400
_MOST = 20
"""Requests that are read; if there are more, there is no track record."""
TIME_LIMIT = 1.0


@dataclass(frozen=True)
class TrackRecord:
    """How many earlier requests of the last ``days`` days were for all these roles, and their outcomes.

    Those that nobody could decide are left out: the ones that wait, and the ones that their requester cancelled.
    """

    days: int
    requests: int
    approved: int
    denied: int


async def track_record(store: Store, request: Request) -> TrackRecord | None:
    """The track record; None where there are no such requests, or where not all of them could be read in time."""
    days = min(DAYS, store.retention // _DAY)
    if days < 1 or not request.awaits_decision:
        return None
    since = request.created_at - days * _DAY
    try:
        found = await tasks.within(request_history.before(store, request, since, _MOST), TIME_LIMIT)
    except TimeoutError:
        return None
    roles = _roles(request)
    same = [each for each in found or () if roles <= _roles(each) and _was_decided(each)]
    if not same:
        return None
    approved = sum(each.approved_at > 0 for each in same)
    return TrackRecord(days, len(same), approved, sum(each.state is State.DENIED for each in same))


def _was_decided(request: Request) -> bool:
    """Whether approvers could decide it: that nobody did in time is an outcome, too."""
    if request.break_glass:
        return False
    return request.approved_at > 0 or request.state in {State.DENIED, State.EXPIRED}


def _roles(request: Request) -> set[tuple[object, ...]]:
    """Each role with its inputs: another database is other access, another SSH key is not."""
    return {
        (leg.role.name, *((each.name, each.value) for each in leg.role.inputs if each.kind != "ssh_public_key"))
        for leg in request.legs
    }
