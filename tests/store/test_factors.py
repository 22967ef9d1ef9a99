"""Factors as they lie in Redis: whoever writes there proves nothing, and brings back nothing."""

from __future__ import annotations

from pydantic import SecretStr

from bot.core.factors import FactorRecord
from bot.store.factors import ENROLLED, RESET
from bot.store.store import Store

MIA = "mia@example.com"


async def enrolled(store: Store, identity: str = MIA) -> FactorRecord:
    """Someone with one factor that is confirmed."""
    known = await store.factors.read(identity)
    secret = store.factors.encrypt(identity, "f1", SecretStr("the seed"))
    after = known.record.with_factor("f1", "totp", secret, known.now, confirmed=True)
    assert await store.factors.write(known, after, ENROLLED, {"by": identity})
    return after


async def test_what_was_written_is_read_again_and_only_a_reset_takes_it_away(store: Store) -> None:
    after = await enrolled(store)
    known = await store.factors.read(MIA)
    assert (known.record, known.doubt) == (after, "")
    assert store.factors.decrypt(MIA, known.record.factor("f1")).get_secret_value() == "the seed"
    assert await store.factors.write(known, known.record.without_factors(), RESET, {"by": "pat"})
    known = await store.factors.read(MIA)
    assert (known.record.factors, known.record.revision, known.doubt) == ((), 2, "")


async def test_an_enrolment_code_serves_once(store: Store) -> None:
    code = await store.factors.offer_enrolment(MIA, "pat")
    assert not await store.factors.take_enrolment(MIA, "wrong", MIA)
    assert await store.factors.take_enrolment(MIA, code.lower(), MIA)
    assert not await store.factors.take_enrolment(MIA, code, MIA)
