"""What must never be shown, and texts without it; it knows secrets by their value, or by what secrets look like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from providers.secret_refs import is_reference, resolve

_SHORTEST_SECRET = 6
"""Characters; a shorter one would strike out half of the words that are no secret."""
_SHORTEST_KEY = 16
_LOOKS_SECRET = (
    ("xox", re.compile(r"\bxox(?:[a-z]|e\.xox[a-z])-[\w-]+"), "…"),
    ("xapp-", re.compile(r"\bxapp-[\w-]+"), "…"),
    ("://", re.compile(r"\b([a-z][a-z0-9+.-]{0,20}://)[^\s/@:]*:[^\s/]*@", re.IGNORECASE), r"\1…@"),
    ("=", re.compile(r"(password|passwd|pwd|secret|token)=[^\s&'\"]+", re.IGNORECASE), r"\1=…"),
)
"""What must be in a text for a look to be worth while, what looks like a secret, and what stands there instead."""


class Secrets:
    """What must never be shown, and a sentence without it."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        """Those that are known at first."""
        self._known: tuple[str, ...] = ()
        self.add(known)

    def __repr__(self) -> str:
        """Only how many."""
        return f"Secrets({len(self._known)})"

    def add(self, secrets: Iterable[str]) -> None:
        """More of them; of a list its items too, and of an address its password."""
        parts = {part for secret in secrets for part in _parts(secret)}
        known = {*self._known, *(part for part in parts if len(part) >= _SHORTEST_SECRET)}
        # The longest first, so that none leaves a piece of another behind.
        self._known = tuple(sorted(known, key=len, reverse=True))

    def strike(self, text: str) -> str:
        """The text without them, and without what looks like a token or a login."""
        text = self._without(text)
        for sign, looks, instead in _LOOKS_SECRET:
            if sign in text:
                text = looks.sub(instead, text)
        return text

    def hide(self, sentence: str) -> str:
        """The sentence without them, and without signs that a terminal would obey."""
        sentence = self._without(sentence)
        return "".join(sign if sign.isprintable() else "\ufffd" for sign in sentence.replace("\n", "; "))

    def _without(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, "…")
        return text


def referred(config: Mapping[str, Any], env: Mapping[str, str]) -> Iterator[str]:
    """What the references of a config lead to, at any depth. Raises `Misconfigured`."""
    return _referred(config, resolve(config, env))


def _referred(config: Any, resolved: Any) -> Iterator[str]:
    if is_reference(config):
        yield str(resolved)
    elif isinstance(config, Mapping):
        for key, value in config.items():
            yield from _referred(value, resolved[key])
    elif isinstance(config, list | tuple):
        for value, inner in zip(config, resolved, strict=True):
            yield from _referred(value, inner)


def _parts(secret: str) -> set[str]:
    """It, its items, a key without its id, and the password within it, as it is written and as it is meant."""
    items = re.split(r"[\s,]+", secret)
    keys = [key for _, named, key in (item.partition(":") for item in items) if named and len(key) >= _SHORTEST_KEY]
    login, at, _ = secret.partition("://")[2].rpartition("@")
    password = login.partition(":")[2] if at else ""
    return {secret.strip(), *items, *(key for key in keys if not key.startswith("//")), password, unquote(password)}
