"""Who is gone from a directory loses what they have: by two looks, never by silence, and not by a mass change."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from bot.core.request import Request, State
from bot.store.indexes.directory_snapshots import DirectorySnapshots, InactivePeople, InactivePerson
from bot.store.indexes.offboarding import Sightings
from bot.store.store import Store
from tests.house import House
from tests.worker.test_directory_people import policy
from tests.worker.test_offboarding import Directory, Town

BY_THE_DIRECTORY = "their account in the directory okta was disabled"


class Site(Town):
    """A town with a directory, whose list the test writes as the worker does."""

    async def told(
        self, who: Iterable[str], first: float = 60, last: float = 0, *, gone: bool = False, sample: int = 0
    ) -> None:
        """These are inactive, as of so many seconds ago."""
        now = await self.house.store.now()
        person = InactivePerson(gone=gone, since=now - first, at=now - last)
        people = {f"{name}@example.com": person for name in who}
        source = self.house.policy.directories["okta"].fingerprint
        await DirectorySnapshots(self.house.store).write(
            InactivePeople(name="okta", source=source, at=now, people=people, sample=sample or len(people))
        )

    async def bound(self, *names: str) -> None:
        for name in names:
            assert await self.house.store.identities.bind(f"{name}@example.com", f"U{name.upper()}")


@pytest.fixture
async def site(store: Store) -> Site:
    house = await House(store, policy()).open()
    site = Site(house, Directory(), await store.now())
    await site.bound("mia", "kim")
    return site


async def test_who_was_found_disabled_twice_loses_what_is_open_and_what_was_requested(site: Site) -> None:
    open_, pending = await site.house.granted(), await site.house.ask("mia", "vault/shared")
    other = await site.house.granted("kim")
    await site.told(["mia"], first=30)
    await site.looks(0, 20)
    assert await site.state(open_) is State.ACTIVE, "one look, or two too soon"
    await site.told(["mia"])
    await site.looks(20)
    assert (await site.state(open_), await site.state(pending)) == (State.REVOKING, State.CANCELLED)
    await site.house.work()
    ended = await site.house.now(open_.id)
    assert ended.closed_reason == BY_THE_DIRECTORY
    assert await site.state(other) is State.ACTIVE


async def test_who_is_not_there_any_more_loses_it_in_those_words(site: Site) -> None:
    request = await site.house.granted()
    await site.told(["mia"], gone=True)
    await site.looks(0)
    assert (await site.house.now(request.id)).closed_reason == "their account in the directory okta is there no more"


async def test_a_look_of_long_ago_takes_nothing_away(site: Site) -> None:
    request = await site.house.granted()
    await site.told(["mia"], first=3_600, last=301)
    await site.looks(0, 20)
    assert await site.state(request) is State.ACTIVE


async def test_a_list_of_another_directory_takes_nothing_away(site: Site) -> None:
    request = await site.house.granted()
    await site.told(["mia"])
    site.house.policy = policy("https://other.okta.com")
    await site.looks(0, 20)
    assert await site.state(request) is State.ACTIVE


async def test_an_address_that_is_nobodys_here_takes_nothing_away(site: Site) -> None:
    request = await site.house.granted()
    await site.told(["stranger"])
    await site.looks(0)
    assert await site.state(request) is State.ACTIVE


async def crowd(site: Site, people: int) -> tuple[list[str], list[Request]]:
    requests = await site.crowd(people)
    names = [f"p{n:03}" for n in range(people)]
    await site.bound(*names)
    return names, requests


async def test_a_mass_change_takes_nothing_away_until_a_person_confirms_it(site: Site) -> None:
    names, requests = await crowd(site, 8)
    await site.told(names[:6], sample=8)
    await site.looks(0, 20)
    assert await site.cancelled(requests) == 0
    alarms = await site.alarms()
    assert [alarm["people"] for alarm in alarms] == [6]
    assert BY_THE_DIRECTORY in alarms[0]["said"][0]
    # An hour later it is a mass change still, though nobody is found so lately.
    await site.told(names[:6], first=3_600, sample=0)
    await site.looks(20)
    assert await site.cancelled(requests) == 0
    await Sightings(site.house.store).confirm([f"U{name.upper()}" for name in names[:6]], "cli:pat@host")
    await site.looks(20)
    assert await site.cancelled(requests) == 6


async def test_many_of_far_more_who_were_read_since_are_no_mass_change(site: Site) -> None:
    names, requests = await crowd(site, 8)
    await site.told(names[:6], sample=100)
    await site.looks(0)
    assert await site.cancelled(requests) == 6


async def test_those_who_had_nothing_to_lose_count_to_a_mass_change_too(site: Site) -> None:
    names, requests = await crowd(site, 2)
    await site.told([*names[:1], *(f"other{n}" for n in range(5))], sample=10)
    await site.looks(0)
    assert await site.cancelled(requests) == 0


async def test_who_is_back_before_anybody_confirmed_is_held_back_no_more(site: Site) -> None:
    names, requests = await crowd(site, 8)
    await site.told(names[:6], sample=8)
    await site.looks(0)
    assert await Sightings(site.house.store).held()
    await site.told([])
    await site.looks(20)
    assert not await Sightings(site.house.store).held()
    assert await site.cancelled(requests) == 0
