"""What is wrong with a policy file, each thing with its place and how to fix it; it judges nothing."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from bot.policy.yaml_source import Path, SourcePlace

MOST_MISTAKES = 200
"""How many are told; who has more will not read them all."""


@dataclass(frozen=True, order=True)
class Mistake:
    """One thing to fix: where, what, and a hint."""

    mark: SourcePlace
    path: str
    sentence: str
    hint: str = ""

    def __str__(self) -> str:
        """As a compiler says it."""
        where = f"{self.mark.file}:{self.mark.line}:{self.mark.column}"
        about = f"{self.path}: " if self.path else ""
        said = f"{where}: {about}{self.sentence}{f'; {self.hint}' if self.hint else ''}"
        return "".join(sign if sign.isprintable() else "\ufffd" for sign in said)


class PolicyMistakes(ValueError):
    """Every mistake of a policy file, in order of place; of very many the first `MOST_MISTAKES`."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        """Keep them sorted."""
        found = sorted(set(mistakes))
        self.mistakes = tuple(found[:MOST_MISTAKES])
        more = [f"… and {len(found) - MOST_MISTAKES} more"] if len(found) > MOST_MISTAKES else []
        super().__init__("\n".join([*map(str, self.mistakes), *more]))


class ConfigFacts(Protocol):
    """What a ``config`` is checked against; flaws are (path below, sentence)."""

    def config_flaws(self, config: Mapping[str, Any]) -> Sequence[tuple[Path, str]]:
        """What is wrong with it."""


class ProviderFacts(ConfigFacts, Protocol):
    """What the file is checked against for one provider."""

    def params_flaws(self, grants: Mapping[str, Any]) -> Sequence[tuple[Path, str]]:
        """What is wrong with a role's ``grants``."""

    def reveals(self, grants: Mapping[str, Any]) -> str:
        """What secrets of the system itself a role with these ``grants`` can read, which have no flaws."""


class DirectoryFacts(ConfigFacts, Protocol):
    """What the file is checked against for one directory."""

    @property
    def shifts(self) -> bool:
        """Whether its people come and go by the clock, as on call."""

    def group_flaw(self, group: str) -> str:
        """What is wrong with the name of a group there; '' for nothing."""


FindProvider = Callable[[str], ProviderFacts | None]


@dataclass(frozen=True)
class Sinks:
    """Which sinks are installed, and what is known of each; None for one that cannot be used."""

    names: Sequence[str] = ()
    find: Callable[[str], ConfigFacts | None] = lambda _: None


@dataclass(frozen=True)
class InstalledDirectories:
    """Which directories are installed, and what is known of each; None for one that cannot be used."""

    names: Sequence[str] = ()
    find: Callable[[str], DirectoryFacts | None] = lambda _: None


@dataclass(frozen=True)
class InstalledFactors:
    """Which kinds of factors are installed."""

    names: Sequence[str] = ()


@dataclass(frozen=True)
class InstalledKinds:
    """What is installed beside the providers of systems."""

    sinks: Sinks = field(default_factory=Sinks)
    directories: InstalledDirectories = field(default_factory=InstalledDirectories)
    factors: InstalledFactors = field(default_factory=InstalledFactors)


def dotted(path: Path) -> str:
    """A path as it is written in a sentence."""
    return ".".join(str(part) for part in path)[:200]


def like(name: str, names: Sequence[str]) -> list[str]:
    """The names most like a word."""
    return difflib.get_close_matches(name[:80], names, n=3, cutoff=0.6)


def did_you_mean(names: Sequence[str]) -> str:
    """A hint, or nothing where no name is near."""
    return f"did you mean {' or '.join(f'`{name}`' for name in names[:2])}?" if names else ""
