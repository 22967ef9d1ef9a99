"""The kinds of Redis key that the bot has, read out of `Keys` itself: a new one is attacked without being listed.

It classifies the keys that are there and makes up keys that are not; it changes nothing.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random

from bot.store import keys as module
from bot.store.keys import Keys

_NUMBER = 424_242
_ARGUMENT = "ZARGZ"
_DIGEST = re.compile(r"[0-9a-f]{16,64}")
_ID = re.compile(r"J-[2-9A-HJ-NP-Z]{4,8}")


@dataclass(frozen=True)
class Kind:
    """One way in which `Keys` makes a key. ``arguments``: the names of what it is made from."""

    name: str
    pattern: re.Pattern[str]
    make: Callable[..., str]
    arguments: tuple[str, ...] = ()

    @property
    def rank(self) -> tuple[int, int]:
        """The most particular pattern comes first."""
        return len(self.arguments), -len(self.pattern.pattern)


class Kinds:
    """All of them, for one workspace."""

    def __init__(self, workspace: str) -> None:
        """Ask `Keys` for each."""
        keys = Keys(workspace)
        found = [_fixed(name, value) for name, value in vars(keys).items() if not name.startswith("_")]
        found += [_made(name, method) for name, method in inspect.getmembers(keys, inspect.ismethod) if name[0] != "_"]
        # What the module makes beside the class belongs to a process, and is in the same Redis.
        found += [
            _made(name, function)
            for name, function in inspect.getmembers(module, inspect.isfunction)
            if name[0] != "_" and function.__module__ == module.__name__
        ]
        self.all = sorted(found, key=lambda kind: kind.rank)
        self.named = {kind.name: kind for kind in self.all}

    def of(self, key: str) -> str:
        """The name of a key's kind; empty for none of ours."""
        return next((kind.name for kind in self.all if kind.pattern.fullmatch(key)), "")


@dataclass
class Known:
    """What a key can be about just now: who and what there is."""

    ids: list[str]
    people: list[str]
    systems: list[str]
    channels: list[str]
    rules: list[str]

    def key(self, kind: Kind, dice: Random) -> str:
        """A key of that kind that the bot could have."""
        return kind.make(*(self._value(name, dice) for name in kind.arguments))

    def _value(self, name: str, dice: Random) -> str | int:
        match name:
            case "turn":
                return dice.randint(1, 10**6)
            case "request":
                return dice.choice(self.ids or ["J-ZZZZ"])
            case "person" | "user":
                return dice.choice(self.people)
            case "system":
                return dice.choice(self.systems)
            case "channel":
                return dice.choice(self.channels)
            case "rule":
                return dice.choice(self.rules)
            case "email" | "identity":
                return f"{dice.choice(self.people)[1:].lower()}@example.com"
            case "day":
                return f"2026-11-{dice.randint(10, 29)}"
            case "native":
                return f"sandbox/hall/{dice.choice(self.people)[1:].lower()}@example.com"
            case _:
                return f"{name}-{dice.randint(1, 99)}"


def ids_in(*texts: str | bytes) -> frozenset[str]:
    """The requests that a text names."""
    return frozenset(id_ for text in texts for id_ in _ID.findall(_text(text)))


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")


def _fixed(name: str, key: str) -> Kind:
    return Kind(name, re.compile(re.escape(key)), lambda: key)


def _made(name: str, make: Callable[..., str]) -> Kind:
    parameters = inspect.signature(make).parameters
    numbers = [p.name for p in parameters.values() if p.annotation in {"int", int}]
    sample = make(*(_NUMBER if p in numbers else _ARGUMENT for p in parameters))
    return Kind(name, re.compile(_pattern(sample, parameters)), make, tuple(parameters))


def _pattern(sample: str, parameters: Iterable[str]) -> str:
    """The sample with a hole where each argument, or its digest, stands."""
    digest = hashlib.sha256(_ARGUMENT.encode()).hexdigest()
    said = re.escape(_DIGEST.sub("ZHASHZ", sample.replace(digest[:32], "ZHASHZ")))
    said = said.replace("ZHASHZ", "[0-9a-f]{16,64}").replace(str(_NUMBER), "[0-9]+")
    return said.replace(_ARGUMENT, "[^:]+")
