"""The proposals to reset somebody's second factors: one a person, with a MAC, and gone within an hour.

Write access to Redis can take one away, and make none. An older one that is put back within its hour is of no use once
it was carried out: it names the factors that the person had then (see bot/access/factor_reset.py).
"""

from __future__ import annotations

from bot.core.factor_resets import PROPOSED_FOR, ResetProposal
from bot.store.encoding import away, text
from bot.store.sealed_json import SealedJson
from bot.store.store import Store

_SEAL = "factor_reset"


class FactorResets:
    """Those of one workspace. All verbs raise `StoreAway`."""

    def __init__(self, store: Store) -> None:
        """Nothing is sent."""
        self._store, self._redis, self._keys = store, store.redis, store.keys
        self._sealed = SealedJson(_SEAL, store.workspace, store.ring, store.forged_values)

    async def of(self, identity: str) -> ResetProposal | None:
        """The proposal that waits; None where there is none, its time is up, or it was not written by us."""
        key = self._keys.factor_reset(identity)
        value = text(await away(self._redis.get(key)))
        found, now = self._sealed.open(key, value, ResetProposal), await self._store.now()
        if found and found.identity == identity and found.at <= now < found.at + PROPOSED_FOR:
            return found
        if value:
            await self.drop(identity)  # else it would be in the way of another one
        return None

    async def propose(self, proposal: ResetProposal, *, instead: bool) -> bool:
        """It waits for another operator; False where another proposal came first. ``instead``: of one that is there."""
        key = self._keys.factor_reset(proposal.identity)
        value = self._sealed.seal(key, proposal)
        return bool(await away(self._redis.set(key, value, ex=PROPOSED_FOR, nx=not instead)))

    async def drop(self, identity: str) -> None:
        """It was carried out, or is none."""
        await away(self._redis.delete(self._keys.factor_reset(identity)))
