"""How the record of somebody's factors moves on: each change is the next revision, and failures lock for longer."""

from __future__ import annotations

import pytest

from bot.core.factors import (
    FREE_TRIES,
    LONGEST_LOCK,
    MOST_FACTORS,
    MOST_OFFER_TRIES,
    RESET_STEP,
    TRUSTED_AFTER,
    EnrolmentOffer,
    FactorRecord,
)

NOW = 1_800_000_000.0


def enrolled() -> FactorRecord:
    return FactorRecord().with_factor("f1", "totp", "k1:secret", NOW, confirmed=True)


def test_a_new_factor_proves_once_it_is_confirmed_and_is_trusted_a_day_later() -> None:
    record = FactorRecord().with_factor("f1", "totp", "k1:secret", NOW)
    assert record.usable == ()
    confirmed = record.with_confirmed("f1", "7", NOW + 60)
    [factor] = confirmed.usable
    assert (factor.spent, factor.trusted_from, factor.enrolled_at) == ("7", NOW + 60 + TRUSTED_AFTER, NOW)
    assert (record.revision, confirmed.revision) == (1, 2)


def test_a_factor_that_was_never_confirmed_gives_way_to_the_next_and_one_that_was_stays() -> None:
    record = enrolled().with_factor("f2", "totp", "", NOW).with_factor("f3", "totp", "", NOW)
    assert [each.id for each in record.factors] == ["f1", "f3"]
    recovery = record.with_factor("r1", "recovery", "", NOW, confirmed=True, alone=True)
    recovery = recovery.with_factor("r2", "recovery", "", NOW, confirmed=True, alone=True)
    assert [each.id for each in recovery.factors] == ["f1", "f3", "r2"]


def test_nobody_has_two_factors_of_one_id_or_very_many() -> None:
    record = FactorRecord()
    for n in range(MOST_FACTORS):
        record = record.with_factor(f"f{n}", "totp", "", NOW, confirmed=True)
    with pytest.raises(ValueError, match="too many"):
        record.with_factor("more", "totp", "", NOW)
    with pytest.raises(ValueError, match="one of this id"):
        enrolled().with_factor("f1", "recovery", "", NOW)


def test_a_lock_begins_with_the_third_failure_and_doubles_up_to_an_hour() -> None:
    record, seconds = enrolled(), list[float]()
    for _ in range(12):
        record = record.with_failure(NOW)
        seconds.append(max(record.locked_until - NOW, 0))
    assert seconds == [0, 0, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]
    assert record.with_failure(NOW + 9).locked_until == NOW + 9 + LONGEST_LOCK
    long = record.model_copy(update={"failures": 10**9})
    assert long.with_failure(NOW).locked_until == NOW + LONGEST_LOCK


def test_a_proof_spends_the_code_and_ends_the_row_of_failures() -> None:
    record = enrolled().with_failure(NOW).with_failure(NOW).with_proof("f1", "9", NOW + 5)
    assert (record.failures, record.locked_until, record.proved_at, record.proved_with) == (0, 0, NOW + 5, "totp")
    assert record.factor("f1").spent == "9"
    assert record.tries_left == FREE_TRIES + 1


def test_a_reset_leaves_nothing_but_the_number() -> None:
    offer = EnrolmentOffer(mac="k1:x", by="pat", until=NOW)
    record = enrolled().with_offer(offer).with_proof("f1", "9", NOW).with_failure(NOW)
    assert record.without_factors() == FactorRecord(revision=record.revision + RESET_STEP)
    assert enrolled().without_factor("f1") == FactorRecord(revision=2)


def test_an_enrolment_code_is_void_after_five_wrong_tries() -> None:
    record = FactorRecord().with_offer(EnrolmentOffer(mac="k1:x", by="pat", until=NOW))
    for _ in range(MOST_OFFER_TRIES - 1):
        record = record.with_offer_tried()
        assert record.offer
    assert record.with_offer_tried().offer is None
    assert FactorRecord().with_offer_tried() == FactorRecord()


def test_only_what_enrols_offers_or_resets_changes_what_the_register_follows() -> None:
    record = enrolled()
    offered = record.with_offer(EnrolmentOffer(mac="k1:x", by="pat", until=NOW))
    same = (record.with_failure(NOW), record.with_proof("f1", "9", NOW), record.with_secrets({"f1": "k2:other"}))
    assert {each.enrolment for each in same} == {record.enrolment}
    others = (offered, offered.with_offer_tried(), offered.without_offer().without_factors(), FactorRecord())
    assert record.enrolment not in {each.enrolment for each in others}


def test_what_is_secret_is_not_shown() -> None:
    record = FactorRecord().with_factor("f1", "totp", "k1:secret", NOW).with_proof("f1", "spent-step", NOW)
    shown = repr(record.with_offer(EnrolmentOffer(mac="k1:mac-of-it", by="pat", until=NOW)))
    assert not any(word in shown for word in ("k1:secret", "spent-step", "mac-of-it"))
