"""The words by which people name what a policy offers: names, titles, and a system with a role, in either order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.policy.catalog import Catalog, System

Phrase = tuple[str, ...]
TOGETHER = " + "
"""Between the roles of one request, in its name: ``prod-db/read-only + vault/ops``."""
MOST_TOGETHER = 4
LONGEST_TOGETHER = 150
"""Characters of such a name: what an option of a form can carry."""
_ARTICLES = frozenset({"access", "my", "on", "the", "to"})
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Vocabulary:
    """``choices``: a phrase → the names of what it may mean; ``systems`` and ``roles``: the same of a part of a name.

    ``longest``: the words of the longest phrase.
    """

    choices: Mapping[Phrase, tuple[str, ...]]
    systems: Mapping[Phrase, tuple[str, ...]]
    roles: Mapping[Phrase, tuple[str, ...]]
    longest: int
    inputs: frozenset[str] = frozenset()
    """The names of the inputs that its roles ask for."""
    asks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The same of each choice that asks for any, by its name."""

    def asked_for(self, name: str) -> frozenset[str]:
        """The inputs of a choice, also of several roles in one request."""
        return frozenset[str]().union(*(self.asks.get(each, frozenset()) for each in name.split(TOGETHER)))

    def named(self, text: str) -> frozenset[str]:
        """All that a text may name, as a whole or by a part of it: ``the vault``, ``my access to prod-db``."""
        words = phrase(text)
        while words and words[0] in _ARTICLES and not self._all(words):
            words = words[1:]
        return self._all(words)

    def _all(self, words: Phrase) -> frozenset[str]:
        parts = (self.choices, self.systems, self.roles)
        return frozenset(name for known in parts for name in known.get(words, ()))


def together(names: Iterable[str]) -> str | None:
    """The name of several roles in one request, each once, in their order; None for too many."""
    each = list(dict.fromkeys(names))
    name = TOGETHER.join(each)
    return name if len(each) <= MOST_TOGETHER and len(name) <= LONGEST_TOGETHER else None


def phrase(text: str) -> Phrase:
    """``Prod DB: read-only`` → ``prod db read only``: no case, no punctuation."""
    return tuple(_WORD.findall(text.casefold()))


def vocabulary(catalog: Catalog) -> Vocabulary:
    """All phrases of a policy; one that means several things has them all, in the order of the policy."""
    choices: dict[Phrase, dict[str, None]] = {}
    for name, template in catalog.templates.items():
        _note(choices, (phrase(name), phrase(template.title)), name)
    systems: dict[Phrase, dict[str, None]] = {}
    roles: dict[Phrase, dict[str, None]] = {}
    for name, system in catalog.systems.items():
        for role in system.roles:
            _note(choices, _of_role(name, system, role), f"{name}/{role}")
            _note(systems, (phrase(name), phrase(system.title)), f"{name}/{role}")
            _note(roles, (phrase(role), phrase(system.roles[role].title or role)), f"{name}/{role}")
    longest = max((len(words) for words in (*choices, *systems, *roles)), default=0)
    asks = {
        f"{name}/{role}": frozenset(rights.asks)
        for name, system in catalog.systems.items()
        for role, rights in system.roles.items()
        if rights.asks
    }
    inputs = frozenset[str]().union(*asks.values())
    asks |= {name: frozenset(template.inputs) for name, template in catalog.templates.items() if template.inputs}
    return Vocabulary(_frozen(choices), _frozen(systems), _frozen(roles), longest, inputs, asks)


def _of_role(name: str, system: System, role: str) -> Iterator[Phrase]:
    """The system and the role in either order, each by its name or its title."""
    wheres = {phrase(name), phrase(system.title)}
    whats = {phrase(role), phrase(system.roles[role].title or role)}
    for what in whats:
        for where in wheres:
            yield where + what
            yield what + where


def _note(found: dict[Phrase, dict[str, None]], phrases: Iterable[Phrase], name: str) -> None:
    for words in phrases:
        if words:
            found.setdefault(words, {})[name] = None


def _frozen(found: Mapping[Phrase, Mapping[str, None]]) -> dict[Phrase, tuple[str, ...]]:
    return {words: tuple(names) for words, names in found.items()}
