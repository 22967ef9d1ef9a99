"""The contract between the worker and a directory, which says who is in a group; it knows nothing of Slack or Redis.

A directory is one class per vendor or protocol. The worker asks it each minute; what it answers is kept for a while,
with its age. Nobody is ever in a group for want of an answer: an empty group is an answer of its own. How to write
one, and the tests that it must pass: `providers.directories.conformance`.

Errors: `Refused` is a definite no (there is no such group, the token is wrong), `NoAnswer` everything else that time
cures. Anything else from a directory counts as `NoAnswer`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol, runtime_checkable

from pydantic import Field

from providers import base
from providers.base import Frozen, Health, ProviderError, Refused

__all__ = [
    "Directory",
    "DirectoryCapabilities",
    "DirectoryPerson",
    "Frozen",
    "GroupAnswer",
    "Health",
    "NoAnswer",
    "PeopleDirectory",
    "PeopleOptions",
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


AttributeName = Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z][A-Za-z0-9_.:;-]*$")]
LONGEST_VALUE = 256


class PeopleOptions(Frozen):
    """What is read of somebody, besides whether their account is active."""

    attributes: tuple[AttributeName, ...] = Field(default=(), max_length=10)
    """Names of attributes of accounts. One with several values, or with none, or a long one, is left out."""


class DirectoryPerson(Frozen):
    """A person as a directory knows them.

    ``id``: the vendor's own, which stays when the address changes; ``email``: in small letters; ``active``: whether the
    account may be used, a lock after wrong passwords aside, since anybody can bring that about; ``attributes``: those
    that the config names.
    """

    id: str = Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")
    email: str = Field(min_length=3, max_length=255)
    active: bool
    attributes: Mapping[AttributeName, Annotated[str, Field(min_length=1, max_length=LONGEST_VALUE)]] = {}


class DirectoryCapabilities(Frozen):
    """What a directory is, told beforehand."""

    shifts: bool
    """Whether people come and go by the clock, as on call: then to be out of a group is no loss of a right."""
    group: str
    """In words, what the name of a group is there."""
    people: bool = False
    """Whether it knows accounts of people: then it is a `PeopleDirectory`."""


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


@runtime_checkable
class PeopleDirectory(Directory, Protocol):
    """A directory that knows accounts of people besides groups. Its `Config` is a `PeopleOptions`."""

    async def person(self, email: str, now: float) -> DirectoryPerson | None:
        """Who has this address; None: certainly nobody. Raises as `members` does, `Refused` for two of one address."""
