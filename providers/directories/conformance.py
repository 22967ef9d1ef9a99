# ruff: noqa: S101 -- a suite asserts
"""The tests that every directory passes before its own; it knows no protocol.

Writing a directory
-------------------
1. One file, one class with the verbs of `base.Directory`; announce it as `registry` says.
2. A `DirectoryBench` for a real server (or the most faithful one there is): how to reach it, how to put people into a
   group and take them out, how to stop it and start it again.
3. A test class of `DirectoryConformance`; for a directory of people, a `PeopleBench` and `PeopleConformance`. It needs
   pytest-asyncio. For readable failures, call
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

from providers.directories.base import (
    Directory,
    DirectoryPerson,
    GroupAnswer,
    NoAnswer,
    PeopleDirectory,
    ProviderError,
    Refused,
)


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


class PeopleBench(DirectoryBench):
    """What the suite must know of a directory of people besides."""

    attribute: str
    """The name of an attribute that accounts have."""
    namesakes: bool = True
    """Whether two accounts may have one address there."""

    @abc.abstractmethod
    async def hire(self, address: str, value: str) -> None:
        """Have one more account with this address, which may be used, and this as its attribute."""

    @abc.abstractmethod
    async def disable(self, address: str) -> None:
        """Have the account of this address be one that may not be used any more."""

    @abc.abstractmethod
    async def delete(self, address: str) -> None:
        """Have no account of this address any more."""

    def people(self, *attributes: str) -> PeopleDirectory:
        """A directory that reads these attributes."""
        config = {**self.config(), "attributes": list(attributes)}
        built = self.directory(self.directory.Config.model_validate(config))
        assert isinstance(built, PeopleDirectory)
        return built


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
        people = bench.directory.capabilities().people
        assert (people, people) == (isinstance(bench.build(), PeopleDirectory), isinstance(bench, PeopleBench))

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


async def _person(directory: PeopleDirectory, address: str) -> DirectoryPerson | None:
    return await directory.person(address, time.time())


class PeopleConformance(DirectoryConformance):
    """What holds for each directory of people besides. The class that inherits gives a fixture ``bench``."""

    @pytest_asyncio.fixture
    async def people(self, bench: PeopleBench) -> AsyncIterator[PeopleDirectory]:
        """The directory under test; it reads one attribute."""
        directory = bench.people(bench.attribute)
        yield directory
        await directory.close()

    async def test_a_person_has_one_id_and_the_attributes_that_the_config_names(
        self, bench: PeopleBench, people: PeopleDirectory
    ) -> None:
        await bench.hire("Mia@Example.com", "mia-7")
        await bench.hire("dan@example.com", "dan-8")
        found, other = await _person(people, "mia@example.com"), await _person(people, "dan@example.com")
        assert found
        assert other
        assert found.id
        assert found.id != other.id
        assert (found.email, found.active) == ("mia@example.com", True), "in small letters"
        assert (found.attributes, other.attributes) == ({bench.attribute: "mia-7"}, {bench.attribute: "dan-8"})
        another = bench.people()
        assert await _person(another, "mia@example.com") == found.model_copy(update={"attributes": {}})
        await another.close()

    async def test_nobody_has_an_address_that_no_account_has(self, bench: PeopleBench, people: PeopleDirectory) -> None:
        await bench.hire("mia@example.com", "mia")
        for address in ("ia@example.com", "miaa@example.com", "*@example.com", "o'mia)(=\\*@example.com"):
            assert await _person(people, address) is None, address

    async def test_a_disabled_account_is_known_as_the_same_and_not_active(
        self, bench: PeopleBench, people: PeopleDirectory
    ) -> None:
        await bench.hire("dan@example.com", "dan")
        await bench.hire("mia@example.com", "mia")
        before = await _person(people, "mia@example.com")
        await bench.disable("mia@example.com")
        after = await _person(people, "mia@example.com")
        assert before
        assert after
        assert (after.id, before.active, after.active) == (before.id, True, False)
        others = await _person(people, "dan@example.com")
        assert others
        assert others.active

    async def test_a_deleted_account_is_nobody(self, bench: PeopleBench, people: PeopleDirectory) -> None:
        await bench.hire("dan@example.com", "dan")
        await bench.hire("mia@example.com", "mia")
        assert await _person(people, "mia@example.com")
        await bench.delete("mia@example.com")
        assert await _person(people, "mia@example.com") is None
        assert await _person(people, "dan@example.com")

    async def test_of_two_accounts_with_one_address_none_is_guessed(
        self, bench: PeopleBench, people: PeopleDirectory
    ) -> None:
        await bench.hire("mia@example.com", "mia")
        if bench.namesakes:
            await bench.hire("mia@example.com", "other")
            with pytest.raises(Refused):
                await _person(people, "mia@example.com")

    async def test_a_directory_that_is_away_or_talks_nonsense_has_not_lost_anybody(
        self, bench: PeopleBench, people: PeopleDirectory
    ) -> None:
        await bench.hire("mia@example.com", "mia")
        assert await _person(people, "mia@example.com")
        await bench.stop()
        for address in ("mia@example.com", "nobody@example.com"):
            began = time.monotonic()
            with pytest.raises(ProviderError) as said:
                await _person(people, address)
            assert time.monotonic() - began < people.settles_within
            self._hidden(bench, people, str(said.value))
        await bench.start()
        assert await _person(people, "mia@example.com")
        await bench.garble()
        for address in ("mia@example.com", "nobody@example.com"):
            with pytest.raises(NoAnswer) as said:
                await _person(people, address)
            self._hidden(bench, people, str(said.value))
