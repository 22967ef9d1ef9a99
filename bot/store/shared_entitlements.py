"""Who needs a shared native entitlement, so that the last to leave closes it; it never decides what stood before.

A hold is `held`, or `closing` while the last one's revoke is on its way. Nobody joins while one is closing. A hold
bears no seal: who holds it is believed to do so when their sealed record says so too.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Sequence

from bot.core.errors import Tampered
from bot.core.request import ID_ALPHABET, Leg, Request
from bot.core.transitions import LEG_MAY_HAVE_ACCESS
from bot.store.encoding import away, script, text
from bot.store.quarantine import quarantine_wrong_types
from bot.store.store import Store
from bot.store.types import ClaimedRequest, CommitGuard, ExtraWrite, Superseded

HELD, CLOSING = "held", "closing"
_ORDER = re.compile(rf"J-[{ID_ALPHABET}]{{4,8}}\.[0-9]{{1,2}}")
_REMEMBERED = 3_600
"""Seconds for which it is known who left last: longer than any inspection takes."""


IsRolledBack = Callable[[Request], Awaitable[bool]]


async def _never_rolled_back(_: Request) -> bool:
    return False


class HolderUnknown(Exception):
    """Somebody holds it, or may, whose record was not looked at yet."""


class SharedEntitlements:
    """Which orders need which native entitlement, in one workspace."""

    def __init__(self, store: Store, is_rolled_back: IsRolledBack | None = None) -> None:
        """Register the script; nothing is sent. ``is_rolled_back``: whether the audit log knows a newer record."""
        self._store, self.is_rolled_back = store, is_rolled_back or _never_rolled_back
        self._leave = script(store.redis, "leave")

    async def others(self, native: str, order: str) -> dict[str, str]:
        """The other orders that hold it: `held` or `closing` by order id. What is no order's name is nobody's hold."""
        key = self._store.keys.shared(native)
        await quarantine_wrong_types(self._store.redis, {key: "hash"})
        found = await away(self._store.redis.hgetall(key))
        holders = {text(other): text(state) for other, state in found.items()}
        return {other: state for other, state in holders.items() if other != order and _ORDER.fullmatch(other)}

    async def holder(self, native: str, order: str) -> Leg | None:
        """The leg that holds it by its own sealed record; None when no record of ours says so, or only an old one."""
        id_, _, n = order.partition(".")
        try:
            found = await self._store.load(id_)
        except Tampered:
            return None
        if found and (found.rolled_back or await self.is_rolled_back(found.request)):
            return None
        legs = found.request.legs if found else ()
        return legs[int(n)] if int(n) < len(legs) and native in legs[int(n)].entitlements else None

    async def restore_entries(self, native: str, order: str, requester: str, ids: Collection[str]) -> list[str]:
        """Restore the index entries of other orders that share it by their records, among these requests. Those orders.

        Without them, what they were granted would pass for access from before the request. Raises `HolderUnknown`
        where a record is missing or rolled back: it may share it. ``requester``: their identity, whose records are
        compared with the audit log, too.
        """
        loaded, found = await self._store.load_ours(sorted(ids)), list[str]()
        doubtful = len(loaded) < len(ids) or any(each.rolled_back for each in loaded)
        for each in loaded:
            holding = [
                leg for leg in each.request.legs if native in leg.entitlements and leg.state in LEG_MAY_HAVE_ACCESS
            ]
            found += [each.request.order_id(leg.n) for leg in holding]
            if not holding and each.request.requester.identity == requester:
                doubtful = doubtful or await self.is_rolled_back(each.request)
        found = [other for other in found if other != order]
        for other in found:
            await away(self._store.redis.hsetnx(self._key(native), other, HELD))
        if doubtful and not found:
            raise HolderUnknown(native)
        return found

    async def last_to_leave(self, native: str) -> str:
        """The order that closed it last."""
        return text(await away(self._store.redis.get(self._left(native))))

    def join_alone(self, native: str, order: str, left: str) -> tuple[tuple[CommitGuard, ...], ExtraWrite]:
        """Join in the commit, if nobody else is there, and nobody was since ``left`` was the last to leave."""
        guards = (CommitGuard("ALONE", self._key(native), order), CommitGuard("EQUALS", self._left(native), left))
        return guards, self._join(native, order)

    def join_with(self, native: str, other: str, order: str) -> tuple[tuple[CommitGuard, ...], ExtraWrite]:
        """Join in the commit, if ``other`` is still there and not leaving."""
        return (CommitGuard("HELD", self._key(native), other),), self._join(native, order)

    async def leave(
        self, native: str, order: str, claimed: ClaimedRequest, known: Collection[str], *, stay: bool
    ) -> bool:
        """True when this order is the last and has to close it: it stays, as closing, until its `leaving_writes`.

        ``known`` are the others whose records say that they hold it. With ``stay``, this order still counts as a
        holder where there are others. Raises `Superseded` when the claim is no longer ours, `HolderUnknown`.
        """
        keys = [self._key(native), self._store.keys.record(claimed.id)]
        answer = await away(self._leave(keys=keys, args=[order, claimed.fence, "1" if stay else "", *known]))
        if answer == b"LOST":
            raise Superseded(claimed.id)
        if answer == b"LOOK":
            raise HolderUnknown(native)
        return bool(answer == b"LAST")

    async def drop(self, native: str, order: str) -> None:
        """Take away the hold of an order whose record does not say that it has one: it could never leave."""
        await away(self._store.redis.hdel(self._key(native), order))

    def leaving_writes(self, natives: Sequence[str], order: str) -> tuple[ExtraWrite, ...]:
        """Leave in the commit that records the end."""
        return tuple(extra_write for native in natives for extra_write in self._leaving_writes(native, order))

    def _leaving_writes(self, native: str, order: str) -> tuple[ExtraWrite, ...]:
        remembered = (order, "EX", str(_REMEMBERED))
        return ExtraWrite("HDEL", self._key(native), (order,)), ExtraWrite("SET", self._left(native), remembered)

    def _join(self, native: str, order: str) -> ExtraWrite:
        return ExtraWrite("HSET", self._key(native), (order, HELD))

    def _key(self, native: str) -> str:
        return self._store.keys.shared(native)

    def _left(self, native: str) -> str:
        return self._store.keys.left(native)
