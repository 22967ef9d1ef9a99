# ruff: noqa: S101 -- a suite asserts
"""The tests that every directory passes before its own; it knows no protocol.

Writing a directory
-------------------
1. One file, one class with the verbs of `base.Directory`; announce it as `registry` says.
2. A `DirectoryBench` for a real server (or the most faithful one there is): how to reach it, how to put people into a
   group and take them out, how to stop it and start it again.
3. A test class of `DirectoryConformance`. It needs pytest-asyncio. For readable failures, call
   ``pytest.register_assert_rewrite("providers.directories.conformance")`` before the import.

What is most often got wrong, and is tested here: a directory that is away, or has no such group, seems to have a group
with nobody in it; part of an answer passes for all of it; a secret shows in an error.
"""

from __future__ import annotations

import abc
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from providers.directories.base import Directory, GroupAnswer, NoAnswer, ProviderError, Refused


class DirectoryBench(abc.ABC):
    """What the suite must know that a directory does not say."""

    directory: ClassVar[type[Directory]]
    group: str
    """The name of a group that is there."""
    malformed: str
    """The name of a group that cannot be one."""
    hidden: Sequence[str] = ()
    """The secrets in `config`, which must show nowhere."""
    many: int = 250
    """More people than one page of an answer has."""

    @abc.abstractmethod
    def config(self) -> Mapping[str, Any]:
        """A config with short timeouts."""

    @abc.abstractmethod
    async def put(self, addresses: Iterable[str]) -> None:
        """Have these people, and nobody else, in the group now."""

    @abc.abstractmethod
    async def nameless(self) -> None:
        """Have somebody in the group of whom no address is known, besides those who are."""

    @abc.abstractmethod
    async def remove(self) -> str:
        """Have no such group any more; its name, or '' where a group without anybody is no other thing."""

    @abc.abstractmethod
    async def stop(self) -> None:
        """Take the directory down; what it has it keeps."""

    @abc.abstractmethod
    async def start(self) -> None:
        """Have it up again, at the same place."""

    @abc.abstractmethod
    async def garble(self) -> None:
        """Have it answer nonsense."""

    def build(self) -> Directory:
        """A directory as another process would have it."""
        return self.directory(self.directory.Config.model_validate(self.config()))


class DirectoryConformance:
    """What holds for each directory. The class that inherits gives a fixture ``bench``."""

    pytestmark = pytest.mark.asyncio

    @pytest_asyncio.fixture
    async def directory(self, bench: DirectoryBench) -> AsyncIterator[Directory]:
        """The directory under test."""
        directory = bench.build()
        yield directory
        await directory.close()

    async def test_says_what_it_is_without_a_connection(self, bench: DirectoryBench) -> None:
        assert bench.directory.capabilities().group
        assert bench.build().settles_within > 0
        assert not bench.directory.group_flaw(bench.group)
        assert bench.directory.group_flaw(bench.malformed)

    async def test_check_finds_the_directory(self, bench: DirectoryBench, directory: Directory) -> None:
        await bench.put(["mia@example.com"])
        assert (await directory.check()).target

    async def test_people_come_and_go(self, bench: DirectoryBench, directory: Directory) -> None:
        await bench.put(["Mia@Example.com", "dan@example.com"])
        told = await directory.members(bench.group, time.time())
        assert told == GroupAnswer(frozenset({"mia@example.com", "dan@example.com"}), told.age), "in small letters"
        assert told.age >= 0
        await bench.put(["dan@example.com"])
        assert (await directory.members(bench.group, time.time())).people == {"dan@example.com"}

    async def test_a_group_without_anybody_is_an_answer(self, bench: DirectoryBench, directory: Directory) -> None:
        await bench.put([])
        told = await directory.members(bench.group, time.time())
        assert (told.people, told.whole) == (frozenset(), True)

    async def test_more_people_than_a_page_are_all_told(self, bench: DirectoryBench, directory: Directory) -> None:
        people = {f"person{n}@example.com" for n in range(bench.many)}
        await bench.put(sorted(people))
        told = await directory.members(bench.group, time.time())
        assert told == GroupAnswer(frozenset(people), told.age)

    async def test_somebody_without_an_address_makes_it_not_whole(
        self, bench: DirectoryBench, directory: Directory
    ) -> None:
        await bench.put(["dan@example.com"])
        await bench.nameless()
        assert not (await directory.members(bench.group, time.time())).whole

    async def test_a_group_that_is_gone_is_not_an_empty_one(self, bench: DirectoryBench, directory: Directory) -> None:
        await bench.put(["dan@example.com"])
        await directory.members(bench.group, time.time())
        if gone := await bench.remove():
            for each in (directory, bench.build()):
                with pytest.raises(Refused):
                    await each.members(gone, time.time())
                await each.close()

    async def test_one_that_is_away_is_not_an_empty_one(self, bench: DirectoryBench, directory: Directory) -> None:
        await bench.put(["dan@example.com"])
        await bench.stop()
        began = time.monotonic()
        with pytest.raises(ProviderError) as said:
            await directory.members(bench.group, time.time())
        assert time.monotonic() - began < directory.settles_within
        self._hidden(bench, directory, str(said.value))
        with pytest.raises(ProviderError) as said:
            await directory.check()
        self._hidden(bench, directory, str(said.value))
        await bench.start()
        assert (await directory.members(bench.group, time.time())).people == {"dan@example.com"}

    async def test_nonsense_is_not_an_answer(self, bench: DirectoryBench, directory: Directory) -> None:
        await bench.put(["dan@example.com"])
        await directory.members(bench.group, time.time())
        await bench.garble()
        with pytest.raises(NoAnswer) as said:
            await directory.members(bench.group, time.time())
        self._hidden(bench, directory, str(said.value))

    def _hidden(self, bench: DirectoryBench, directory: Directory, said: str) -> None:
        for secret in bench.hidden:
            assert secret not in said
            assert secret not in repr(directory)
