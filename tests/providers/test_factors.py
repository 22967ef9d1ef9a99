"""Every factor by the shared suite; then what the standards say of each."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
import time
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from providers.factors import recovery, registry, totp
from providers.factors.base import CodeFactor, FactorEnrolment
from providers.factors.conformance import NOW, FactorBench, FactorConformance
from providers.factors.recovery import RecoveryCodes
from providers.factors.totp import Totp
from providers.registry import UnknownProvider
from providers.secret_refs import Misconfigured

SEED = base64.b32encode(b"12345678901234567890").decode()
"""The seed of RFC 6238's test vectors, appendix B."""


def code_at(seed: str, at: float) -> str:
    """What an app shows, by hand from RFC 4226 and RFC 6238."""
    digest = hmac.digest(base64.b32decode(seed), struct.pack(">Q", int(at // 30)), hashlib.sha1)
    start = digest[19] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


class TotpBench(FactorBench):
    factor = Totp

    def code(self, enrolment: FactorEnrolment, nth: int) -> str:
        return code_at(enrolment.secret.get_secret_value(), self.time_of(nth))


class RecoveryBench(FactorBench):
    factor = RecoveryCodes

    def code(self, enrolment: FactorEnrolment, nth: int) -> str:
        return enrolment.lines[nth].text.get_secret_value()


class TestTotp(FactorConformance):
    @pytest.fixture
    def bench(self) -> FactorBench:
        return TotpBench()


class TestRecoveryCodes(FactorConformance):
    @pytest.fixture
    def bench(self) -> FactorBench:
        return RecoveryBench()


# the registry


def test_ours_come_by_the_same_door_as_a_strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    info = tmp_path / "acme-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[jit.factors]\napp = acme_app:App\nhalf = acme_app:Half\n")
    (tmp_path / "acme_app.py").write_text(
        "from providers.factors.totp import Totp as App\nclass Half:\n    Config = None\n    def enrol(self): ...\n"
    )
    assert registry.names() == ("app", "half", "recovery", "totp")
    assert registry.find("app") is registry.find("totp") is Totp
    assert isinstance(registry.build("recovery", {}, {}), RecoveryCodes)
    with pytest.raises(Misconfigured, match=r"factor 'half' .*is no CodeFactor: it lacks .*prove"):
        registry.find("half")
    with pytest.raises(UnknownProvider, match="no factor is called 'totpp': did you mean 'totp'"):
        registry.find("totpp")
    with pytest.raises(Misconfigured, match="the config of factor 'totp' is wrong: digits"):
        registry.build("totp", {"digits": 8}, {})


def test_each_of_ours_is_whole() -> None:
    ours: list[CodeFactor] = [TotpBench().build(), RecoveryBench().build()]
    assert all(isinstance(each, CodeFactor) for each in ours)


# TOTP


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ],
)
def test_the_vectors_of_rfc_6238_prove_and_name_their_time_step(at: int, code: str) -> None:
    assert TotpBench().build().prove(SEED, "", code, at) == str(at // 30)


@pytest.mark.parametrize("off", range(-4, 5))
def test_a_clock_that_is_one_step_off_proves_and_one_that_is_further_off_does_not(off: int) -> None:
    proved = TotpBench().build().prove(SEED, "", code_at(SEED, NOW + 30 * off), NOW)
    assert proved == (str(int(NOW // 30) + off) if abs(off) <= 1 else None)


def test_after_a_code_of_the_next_step_those_before_it_are_spent_too() -> None:
    factor = TotpBench().build()
    spent = factor.prove(SEED, "", code_at(SEED, NOW + 30), NOW)
    assert spent is not None
    assert not any(factor.prove(SEED, spent, code_at(SEED, NOW + off), NOW) for off in (-30, 0, 30))
    assert factor.prove(SEED, spent, code_at(SEED, NOW + 60), NOW + 60)


def test_two_steps_with_one_code_are_spent_together() -> None:
    factor, step = TotpBench().build(), 910_737
    code, at = code_at(SEED, 30 * step), 30.0 * step
    assert code == code_at(SEED, 30 * (step + 1))
    spent = factor.prove(SEED, "", code, at)
    assert spent == str(step + 1)
    assert factor.prove(SEED, spent, code, at) is None


@pytest.mark.parametrize(("module", "secret"), [(totp, SEED), (recovery, "")])
def test_every_candidate_is_compared_whichever_fits(
    module: object, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench: FactorBench = TotpBench() if secret else RecoveryBench()
    enrolment = bench.build().enrol("mia@example.com", "JIT Access")
    kept, compared = secret or enrolment.secret.get_secret_value(), list[bool]()

    def compare(one: bytes | str, other: bytes | str) -> bool:
        compared.append(one == other)
        return compared[-1]

    monkeypatch.setattr(f"{module.__name__}.hmac.compare_digest", compare)  # type: ignore[attr-defined]
    texts = [line.text.get_secret_value() for line in enrolment.lines] if not secret else []
    codes = texts or [code_at(SEED, NOW + off) for off in (-30, 0, 30)]
    for code in (*codes, "000000" if secret else "22222-22222"):
        compared.clear()
        bench.build().prove(kept, "", code, NOW)
        assert len(compared) == (3 if secret else 10)


@pytest.mark.parametrize("account", ["mia@example.com", "a:b & c=d?#/%é@example.com"])
def test_the_address_is_what_apps_read(account: str) -> None:
    enrolment = TotpBench().build().enrol(account, "JIT: Access & more")
    key, address = (line.text.get_secret_value() for line in enrolment.lines)
    assert re.fullmatch(r"([A-Z2-7]{4} ){7}[A-Z2-7]{4}", key)
    seed = key.replace(" ", "")
    assert enrolment.secret.get_secret_value() == seed
    parts = urlsplit(address)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("otpauth", "totp", "")
    issuer, _, who = unquote(parts.path.removeprefix("/")).partition(":")
    assert (issuer, who) == ("JIT  Access & more", account.replace(":", " "))
    assert "+" not in address, "apps show it as a plus"
    figures = {"secret": [seed], "issuer": [issuer], "algorithm": ["SHA1"], "digits": ["6"], "period": ["30"]}
    assert parse_qs(parts.query, strict_parsing=True) == figures


# recovery codes


def test_ten_codes_prove_once_each_in_any_order_and_none_is_kept() -> None:
    factor = RecoveryBench().build()
    enrolment = factor.enrol("mia@example.com", "JIT Access")
    codes = [line.text.get_secret_value() for line in enrolment.lines]
    kept, spent = enrolment.secret.get_secret_value(), ""
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"[2-9A-HJ-NP-Z]{5}-[2-9A-HJ-NP-Z]{5}", code) for code in codes)
    assert not any(code in kept or code.replace("-", "") in kept for code in codes)
    for code in reversed(codes):
        proved = factor.prove(kept, spent, code, NOW)
        assert proved is not None
        spent = proved
    assert spent == "0,1,2,3,4,5,6,7,8,9"
    assert not any(factor.prove(kept, spent, code, NOW) for code in codes)


def test_a_letter_that_only_becomes_one_of_ours_is_none() -> None:
    factor, code, enrolment = RecoveryBench().build(), "", None
    while enrolment is None or "S" not in code:
        enrolment = factor.enrol("mia@example.com", "JIT Access")
        code = enrolment.lines[0].text.get_secret_value()
    kept = enrolment.secret.get_secret_value()
    assert factor.prove(kept, "", code.replace("S", "s"), NOW)
    assert factor.prove(kept, "", code.replace("S", "ſ"), NOW) is None


@pytest.mark.parametrize("bench", [TotpBench(), RecoveryBench()], ids=["totp", "recovery"])
def test_a_proof_costs_less_than_a_thousandth_of_a_second_or_so(bench: FactorBench) -> None:
    """It is judged in the event loop, within a click."""
    factor = bench.build()
    enrolment = factor.enrol("mia@example.com", "JIT Access")
    kept, code = enrolment.secret.get_secret_value(), bench.code(enrolment, 0)
    began = time.process_time()
    for _ in range(100):
        assert factor.prove(kept, "", code, NOW)
    assert (time.process_time() - began) / 100 < 0.005
