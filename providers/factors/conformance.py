# ruff: noqa: S101 -- a suite asserts
"""The tests that every factor passes before its own; it knows no algorithm.

Writing a factor
----------------
1. One file, one class with the verbs of `base.CodeFactor`; announce it as `registry` says.
2. A `FactorBench`: what a person types who has what enrolment showed them.
3. A test class of `FactorConformance`. For readable failures, call
   ``pytest.register_assert_rewrite("providers.factors.conformance")`` before the import.

What is most often got wrong, and is tested here: a code proves twice; another person's code proves; what somebody
types makes it raise; a secret shows in an error or a ``repr``.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from providers.factors.base import CodeFactor, FactorEnrolment, Refused

NOW = 1_800_000_000.0
_ODD = ("", " ", "0", "-", "\0", "\ud800", "é", "🔑", "1e5", "+12345", "-12345", "0" * 100_000)
_OTHER_DIGITS = ("١٢٣٤٥٦", "１２３４５６", "²²²²²²")


class FactorBench(abc.ABC):
    """What the suite must know that a factor does not say."""

    factor: ClassVar[type[CodeFactor]]

    @abc.abstractmethod
    def code(self, enrolment: FactorEnrolment, nth: int) -> str:
        """What the person types the nth time, from 0; at `time_of` that."""

    def time_of(self, nth: int) -> float:
        """When they type it, Unix seconds."""
        return NOW + 60 * nth

    def config(self) -> Mapping[str, Any]:
        """A config."""
        return {}

    def build(self) -> CodeFactor:
        """A factor as another process would have it."""
        return self.factor(self.factor.Config.model_validate(self.config()))


class FactorConformance:
    """What holds for each factor. The class that inherits gives a fixture ``bench``."""

    @pytest.fixture
    def enrolment(self, bench: FactorBench) -> FactorEnrolment:
        """Somebody's factor."""
        return bench.build().enrol("mia@example.com", "JIT Access")

    def _prove(self, bench: FactorBench, enrolment: FactorEnrolment, spent: str, code: str, nth: int) -> str | None:
        """By a process that knows no more than what was kept."""
        return bench.build().prove(enrolment.secret.get_secret_value(), spent, code, bench.time_of(nth))

    def test_says_what_it_is(self, bench: FactorBench, enrolment: FactorEnrolment) -> None:
        said = bench.factor.capabilities()
        assert said.label
        assert said.code
        assert len(bench.code(enrolment, 0)) <= said.longest

    def test_each_enrolment_is_another_one_and_shows_itself_nowhere(
        self, bench: FactorBench, enrolment: FactorEnrolment
    ) -> None:
        other = bench.build().enrol("mia@example.com", "JIT Access")
        assert enrolment.secret != other.secret
        assert enrolment.lines
        hidden = (enrolment.secret, *(line.text for line in enrolment.lines))
        for shown in (repr(enrolment), str(enrolment), enrolment.model_dump_json()):
            assert not any(secret.get_secret_value() in shown for secret in hidden)

    def test_a_code_proves_once_and_never_again(self, bench: FactorBench, enrolment: FactorEnrolment) -> None:
        spent, used = "", list[str]()
        for nth in range(3):
            code = bench.code(enrolment, nth)
            proved = self._prove(bench, enrolment, spent, code, nth)
            assert proved is not None
            assert proved != spent
            used.append(code)
            for later in range(5):
                assert not any(self._prove(bench, enrolment, proved, each, later) for each in used)
            spent = proved

    def test_it_says_how_many_codes_are_left(self, bench: FactorBench, enrolment: FactorEnrolment) -> None:
        secret = enrolment.secret.get_secret_value()
        proved = self._prove(bench, enrolment, "", bench.code(enrolment, 0), 0)
        assert proved is not None
        before, after = bench.build().left(secret, ""), bench.build().left(secret, proved)
        assert (before is None and after is None) or (before is not None and after == before - 1)
        if before is not None:
            with pytest.raises(Refused):
                bench.build().left("nonsense", "")

    def test_a_code_as_people_type_it(self, bench: FactorBench, enrolment: FactorEnrolment) -> None:
        code = bench.code(enrolment, 0)
        half = len(code) // 2
        for typed in (f" {code} ", code.lower(), f"{code[:half]} {code[half:]}"):
            assert self._prove(bench, enrolment, "", typed, 0) is not None, typed

    @pytest.mark.parametrize("typed", [*_ODD, *_OTHER_DIGITS])
    def test_what_is_no_code_proves_nothing_and_breaks_nothing(
        self, bench: FactorBench, enrolment: FactorEnrolment, typed: str
    ) -> None:
        assert self._prove(bench, enrolment, "", typed, 0) is None

    def test_a_code_with_more_around_it_is_another_one(self, bench: FactorBench, enrolment: FactorEnrolment) -> None:
        code = bench.code(enrolment, 0)
        around = (f"{code}0", f"0{code}", f"{code}A", code + code, f"{code}\0", code[:-1], code + " " * 1_000)
        for typed in around:
            assert self._prove(bench, enrolment, "", typed, 0) is None, typed

    def test_nobody_proves_by_another_persons_code(self, bench: FactorBench, enrolment: FactorEnrolment) -> None:
        others = [bench.build().enrol("dan@example.com", "JIT Access") for _ in range(3)]
        codes = [bench.code(other, 0) for other in others]
        assert not all(self._prove(bench, enrolment, "", code, 0) for code in codes)
        assert all(self._prove(bench, other, "", code, 0) for other, code in zip(others, codes, strict=True))

    @pytest.mark.parametrize("kept", ["", "nonsense", "0" * 5_000, "\0", "é"])
    def test_what_was_kept_and_cannot_be_read_proves_nothing_and_is_not_shown(
        self, bench: FactorBench, enrolment: FactorEnrolment, kept: str
    ) -> None:
        code = bench.code(enrolment, 0)
        with pytest.raises(Refused) as said:
            bench.build().prove(kept, "", code, NOW)
        assert code not in str(said.value)
        if kept:
            assert kept not in str(said.value)
            with pytest.raises(Refused) as said:
                bench.build().prove(enrolment.secret.get_secret_value(), kept, code, NOW)
            assert enrolment.secret.get_secret_value() not in str(said.value)
