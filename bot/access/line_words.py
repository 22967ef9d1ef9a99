"""The words with a fixed meaning in a request's line; names of roles and systems are in the policy's vocabulary."""

from __future__ import annotations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


FILLERS = _set(
    "a access an another as by can could for get give have hello hey hi i i'd i'm in it jit like longer me more my "
    "need of on please pls request requesting role some system thanks the to us want we with would"
)
LINKS = frozenset({"access", "as", "at", "for", "in", "of", "on", "role", "system", "the", "to"})
"""Words that may come between a role and its system."""
MOST_LINKS = 4
TIME_WORDS = _set(
    "after afternoon at before during evening from hour hours midnight minute minutes morning next now starting "
    "today tomorrow tonight until till weekend monday tuesday wednesday thursday friday saturday sunday"
)
"""A reason without a dash does not begin with one of these: it would be a time that was not understood."""
REASON_FILLERS = _set("a an another by in it more my of on the to we with")
"""Fillers that become part of the reason when they stand right before it."""
JOINS = frozenset({"+", "&", ",", "and"})
"""Words between two roles that are requested together."""
