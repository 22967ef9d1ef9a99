"""The contract between the worker and a directory, which says who is in a group; it knows nothing of Slack or Redis.

A directory is one class per vendor or protocol. The worker asks it each minute; what it answers is kept for a while,
with its age. Nobody is ever in a group for want of an answer: an empty group is an answer of its own. How to write
one, and the tests that it must pass: `providers.directories.conformance`.

Errors: `Refused` is a definite no (there is no such group, the token is wrong), `NoAnswer` everything else that time
cures. Anything else from a directory counts as `NoAnswer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from providers import base
from providers.base import Frozen, Health, ProviderError, Refused

__all__ = [
    "Directory",
    "DirectoryCapabilities",
    "Frozen",
    "GroupAnswer",
    "Health",
    "NoAnswer",
    "ProviderError",
    "Refused",
]


class NoAnswer(base.Unsure):
    """Who is in the group is not known. ``after``: not to be asked again before so many seconds, as it says itself."""

    def __init__(self, said: str, after: float = 0.0) -> None:
        """The text is shown to people."""
        super().__init__(said)
        self.after = after


@dataclass(frozen=True)
class GroupAnswer:
    """Who is in a group, by e-mail address in small letters. ``age``: seconds since the directory knew it so.

    ``whole``: whether that is everybody. Somebody without an address, or more people than are told, make it not whole.
    """

    people: frozenset[str]
    age: float = 0.0
    whole: bool = True


class DirectoryCapabilities(Frozen):
    """What a directory is, told beforehand."""

    shifts: bool
    """Whether people come and go by the clock, as on call: then to be out of a group is no loss of a right."""
    group: str
    """In words, what the name of a group is there."""


@runtime_checkable
class Directory(Protocol):
    """What the worker needs of a directory. Implementations open nothing before the first verb."""

    Config: ClassVar[type[Frozen]]
    """How to reach it; secret fields are `SecretStr`, resolved from references before it is built."""

    def __init__(self, config: Any) -> None:
        """Take a valid `Config`. Raises nothing that a connection could tell."""

    @property
    def settles_within(self) -> float:
        """Seconds after which a look-up has surely ended, by its own timeouts."""

    @classmethod
    def capabilities(cls) -> DirectoryCapabilities:
        """What this directory is. Asked of the class."""

    @classmethod
    def group_flaw(cls, group: str) -> str:
        """What is wrong with the name of a group, in a sentence; '' for one that may exist. Asked of the class."""

    async def members(self, group: str, now: float) -> GroupAnswer:
        """Who is in the group at a time, Unix seconds, which is the present. Raises `Refused`, `NoAnswer`."""

    async def check(self) -> Health:
        """Whether it would answer, without the name of a group. Raises as `members` does."""

    async def close(self) -> None:
        """Let go of connections. Called once, at the end."""
