"""A pattern that the policy accepts is quick on any reason, and the usual ones are accepted."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.policy.regex_cost import CostlyPattern, check

USUAL = [
    r"[A-Z]+-\d+",
    r"(?i)^(inc|chg|jira)-\d{1,8}\b",
    r"^[A-Z]{2,10}-\d{1,6}(: .*)?$",
    r"https?://\S+/\d+",
    r"\d{4}-\d\d-\d\d",
    r"(?:INC|CHG)\d{7}",
    r"#\d+",
    r"\[[^\]]+\] .+",
    r"(?:ab)*",
    r"[]a]+[^]]",
    r"\(\)\{\}",
    r"a{b}{",
    r"",
]


@pytest.mark.parametrize("pattern", USUAL)
def test_a_usual_pattern_is_accepted(pattern: str) -> None:
    check(pattern)


COSTLY = {
    r"(a+)+": "repetition of a repetition",
    r"((a+))+": "repetition of a repetition",
    r"(?:a+b?)*$": "repetition of a repetition",
    r"(a|a)*": "repetition of a repetition",
    r"((a|a))*": "repetition of a repetition",
    r"(a?){50}": "repetition of a repetition",
    r"(.*a){11}": "repetition of a repetition",
    r"(.*a){9}": "too many",
    r".*.*.*x": "too many",
    r"\d+\d+\d+\d+x": "too many",
    "a?" * 40 + "a" * 40: "too many",
    "(?:a|a)" * 28: "too many",
    r"[a(]*[b)]*[c]*x": "too many",
    r"(?:.*.*.*){}x": "too many",
    r"(?:.*.*.*){,1}x": "too many",
    r"(a+)\1": "back-references",
    r"(?P<x>a+)(?P=x)": r"only \(\?",
    r"(?=a+)b": r"only \(\?",
    r"(?#x)a": r"only \(\?",
    r"(?x)a #": r"only \(\?",
    r"\N{DIGIT ONE}": "no back-references",
    "a" * 201: "at most 200",
    r"[a": "no regular expression",
    r"*": "no regular expression",
    r"a{2,1}": "no regular expression",
    "[[a]": "no regular expression",
    "a{99999999999999999999}": "no regular expression",
}


@pytest.mark.parametrize("pattern", COSTLY)
def test_what_may_take_for_ever_is_refused(pattern: str) -> None:
    with pytest.raises(CostlyPattern, match=COSTLY[pattern]):
        check(pattern)


REDOS = [
    r"^(a+)+$",
    r"^(a|aa)+$",
    r"(a|a?)+$",
    r"^([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}$",
    r"^(\w+\s?)*$",
    r"(.*,){11}P",
    r"(x+x+)+y",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(?:.*=.*)*;",
    r".*.*=.*",
    r"\s+$",
    r"a*a*b",
    r"\d+\d+x",
    r"(?i)[a-zſ]*[a-zſ]*!",
    r"\S*\S*!",
    r"(?:a?){10}a{10}",
    r"(a{1,10}){1,4}b",
    r"a{0,500}a{0,500}b",
]
"""Patterns of the kinds that are known to burn: exponential, polynomial, and of a tail that does not fit."""


@pytest.mark.parametrize("pattern", REDOS)
def test_a_pattern_of_a_kind_that_is_known_to_burn_is_refused_or_quick(pattern: str) -> None:
    try:
        check(pattern)
    except CostlyPattern:
        return
    for text in ("a" * 500, "ſ" * 500, "1" * 500, "ab" * 250, " " * 499 + "x", "a" * 499 + "!"):
        started = time.process_time()
        re.search(pattern, text)
        assert time.process_time() - started < 4


PARTS = [
    "a",
    "b",
    ".",
    "[ab]",
    "[^b]",
    "\\w",
    "(",
    "(?:",
    ")",
    "|",
    "*",
    "+",
    "?",
    "{2}",
    "{0,3}",
    "{2,}",
    "*?",
    "++",
    "$",
    "[",
]


@given(st.lists(st.sampled_from(PARTS), max_size=24).map("".join))
@settings(max_examples=400)
def test_what_is_accepted_is_quick_on_the_worst_of_reasons(pattern: str) -> None:
    try:
        check(pattern)
    except CostlyPattern:
        return
    for text in ("a" * 500, "ab" * 250, "a" * 499 + "\n"):
        started = time.process_time()
        re.search(pattern + "(?:!)", text)
        assert time.process_time() - started < 4


@given(st.text(max_size=60))
def test_any_text_is_accepted_or_refused(pattern: str) -> None:
    try:
        check(pattern)
    except CostlyPattern:
        return
    re.compile(pattern)
