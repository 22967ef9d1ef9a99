"""Who needs a shared native entitlement, so that the last to leave closes it; it never decides what stood before.

A hold is `held`, or `closing` while the last one's revoke is on its way. Nobody joins while one is closing.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from bot.store.store import Claimed, Guard, Op, Store, Superseded, away

HELD, CLOSING = "held", "closing"


class Holds:
    """The holds of one workspace."""

    def __init__(self, store: Store) -> None:
        """Register the script; nothing is sent."""
        self._store = store
        text = files("bot.store").joinpath("lua", "leave.lua").read_text(encoding="utf-8")
        self._leave = store.redis.register_script(text)

    async def others(self, native: str, order: str) -> dict[str, str]:
        """The other orders that hold it: `held` or `closing` by order id."""
        holders = await self._store.holders(native)
        return {other: state for other, state in holders.items() if other != order}

    def join_alone(self, native: str, order: str) -> tuple[Guard, Op]:
        """Join in the commit, if nobody else is there."""
        return Guard("ALONE", self._key(native), order), self._join(native, order)

    def join_with(self, native: str, other: str, order: str) -> tuple[Guard, Op]:
        """Join in the commit, if ``other`` is still there and not leaving."""
        return Guard("HELD", self._key(native), other), self._join(native, order)

    async def leave(self, native: str, order: str, claimed: Claimed) -> bool:
        """True when this order is the last and is to close it: it stays, as closing, until `gone` is committed.

        Raises `Superseded` when the claim is no longer ours.
        """
        keys = [self._key(native), self._store.keys.record(claimed.id)]
        answer = await away(self._leave(keys=keys, args=[order, claimed.fence]))
        if answer == b"LOST":
            raise Superseded(claimed.id)
        return bool(answer == b"LAST")

    def gone(self, natives: Sequence[str], order: str) -> tuple[Op, ...]:
        """Leave in the commit that records the end."""
        return tuple(Op("HDEL", self._key(native), (order,)) for native in natives)

    def _join(self, native: str, order: str) -> Op:
        return Op("HSET", self._key(native), (order, HELD))

    def _key(self, native: str) -> str:
        return self._store.keys.holds(native)
