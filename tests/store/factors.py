"""Somebody with an authenticator app, and somebody who can write to Redis but has no key."""

from __future__ import annotations

import json
from typing import Any

from pydantic import SecretStr

from bot.core.factors import FactorRecord
from bot.store.factors import ENROLLED, FAILED, RESET, KnownFactors
from bot.store.keyring import KeyRing
from bot.store.store import Store
from providers.factors.totp import Totp, TotpConfig

MIA, DAN = "mia@example.com", "dan@example.com"
SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def another_process(store: Store, ring: KeyRing | None = None) -> Store:
    """One that has seen nothing yet."""
    return Store(store.redis, store.workspace, ring or store.ring)


async def enrolled(store: Store, identity: str = MIA, factor_id: str = "f1") -> FactorRecord:
    """Someone with one factor that is confirmed."""
    known = await store.factors.read(identity)
    secret = store.factors.encrypt(identity, factor_id, SecretStr(SEED))
    after = known.record.with_factor(factor_id, "totp", secret, known.now, confirmed=True)
    assert await store.factors.write(known, after, ENROLLED, {"by": identity})
    return after


async def reset(store: Store, identity: str = MIA) -> None:
    """Two operators agreed."""
    known = await store.factors.read(identity)
    assert await store.factors.write(known, known.record.without_factors(), RESET, {"by": "pat"})


async def failed(store: Store, identity: str = MIA) -> KnownFactors:
    """A wrong code, which is counted however many come at once."""
    while True:
        known = await store.factors.read(identity)
        if await store.factors.write(known, known.record.with_failure(known.now), FAILED, {"by": identity}):
            return known


def proved(store: Store, known: KnownFactors, code: str) -> FactorRecord | None:
    """The record after a code, as a verb judges it."""
    [factor] = known.record.usable
    secret = store.factors.decrypt(known.identity, factor).get_secret_value()
    spent = Totp(TotpConfig()).prove(secret, factor.spent, code, known.now)
    return None if spent is None else known.record.with_proof(factor.id, spent, known.now)


async def kept(store: Store) -> dict[str, bytes]:
    """What is in Redis of anybody's factors."""
    pattern = f"jit:{{{store.workspace}}}:factor*"
    found: Any = await store.redis.keys(pattern)
    values: Any = [await store.redis.get(key) for key in found]
    return {key.decode(): value for key, value in zip(found, values, strict=True)}


async def put(store: Store, values: dict[str, bytes]) -> None:
    """Have exactly this there."""
    for key in await kept(store):
        await store.redis.delete(key)
    for key, value in values.items():
        await store.redis.set(key, value)


async def alarms(store: Store) -> list[str]:
    """What was raised about factors."""
    rows: Any = await store.redis.xrange(store.keys.audit)
    events = [json.loads(fields[b"event"]) for _, fields in rows if fields[b"kind"] == b"alarm"]
    return [event["said"] for event in events if event["alarm"] == "factors"]
