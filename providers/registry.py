"""Finds providers of one kind by entry point, ours and a stranger's by the same door, and builds them from a config.

It holds no secret longer than that, and connects to nothing.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from pydantic import ValidationError

from providers.base import Json
from providers.secret_refs import Misconfigured, resolve

T = TypeVar("T")


class UnknownProvider(Misconfigured, LookupError):
    """No package that is installed has a provider of this name."""


@dataclass(frozen=True)
class Installed(Generic[T]):
    """One kind of provider. ``group``: its entry points; ``noun`` and ``shape``: what people and code call it.

    ``members``: what a class of it must have. ``extras``: which of our own need an extra, and the module that tells
    whether it is installed.
    """

    group: str
    noun: str
    shape: str
    members: Sequence[str]
    extras: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> tuple[str, ...]:
        """Every one that is installed, sorted."""
        return tuple(sorted({entry.name for entry in self._entries()}))

    def find(self, name: str) -> type[T]:
        """The class called ``name``. Raises `UnknownProvider`, or `Misconfigured` for two or an unusable one.

        A class is there without its extra, so that a process that never connects can show what it would do.
        """
        entry = self._entry(name)
        try:
            found = entry.load()
        except (ImportError, AttributeError) as error:
            raise Misconfigured(f"{self.noun} {name!r} ({entry.value}) cannot be imported: {error}") from error
        if lacks := [member for member in self.members if not hasattr(found, member)]:
            said = f"{self.noun} {name!r} ({entry.value}) is no {self.shape}: it lacks {', '.join(lacks)}"
            raise Misconfigured(said)
        return cast("type[T]", found)

    def build(self, name: str, config: Mapping[str, Json], env: Mapping[str, str]) -> T:
        """One of that name, its references resolved and its config checked. Nothing is connected yet."""
        cls: Any = self.find(name)
        self.require(name)
        try:
            checked = cls.Config.model_validate(resolve(config, env))
        except ValidationError as error:
            # Neither the text nor the cause may show a value: it may be a secret.
            raise Misconfigured(f"the config of {self.noun} {name!r} is wrong: {_said(error)}") from None
        return cast("T", cls(checked))

    def require(self, name: str) -> None:
        """Raises `Misconfigured` where what it needs beside us is not installed."""
        module = self.extras.get(name)
        if module is not None and importlib.util.find_spec(module) is None:
            raise Misconfigured(f"{self.noun} {name!r} needs more: pip install 'jit-access[{name}]'")

    def _entries(self) -> importlib.metadata.EntryPoints:
        return importlib.metadata.entry_points(group=self.group)

    def _entry(self, name: str) -> importlib.metadata.EntryPoint:
        # An editable install can be listed twice, once a path entry; only two different classes are a dispute.
        found = {entry.value: entry for entry in self._entries() if entry.name == name}
        if len(found) > 1:
            claims = " and ".join(f"{entry.value} of {_package(entry)}" for entry in found.values())
            raise Misconfigured(f"two packages claim the {self.noun} name {name!r}: {claims}; uninstall one of them")
        if not found:
            names = self.names()
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names) or 'none'}"
            raise UnknownProvider(f"no {self.noun} is called {name!r}: {hint}")
        return next(iter(found.values()))


def _package(entry: importlib.metadata.EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "an unknown package"


def _said(error: ValidationError) -> str:
    """Where and what, from pydantic's own words; an input is never part of them."""
    mistakes = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'config'}: {each['msg']}" for each in mistakes)
