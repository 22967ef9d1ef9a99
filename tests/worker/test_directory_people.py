"""The worker looks people up in directories: in turn, bounded, and what a directory does not say changes nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.core.identity import identity_of
from bot.core.identity_errors import IdentityChanged
from bot.core.verdict import Members, Roster
from bot.policy.catalog import Catalog
from bot.store.indexes.directory_people import DirectoryPeople, PersonSnapshot
from bot.store.indexes.directory_snapshots import DirectorySnapshots, InactivePeople, Snapshots
from bot.store.indexes.identity_bindings import Bindings
from bot.store.store import Store
from bot.worker.directory_people import MOST_READ, PeopleRefresh, Subjects
from bot.worker.directory_refresh import DirectoryRefresh, Sources
from providers.directories.okta import Okta, OktaConfig
from tests.house import POLICY, House, catalog
from tests.providers.okta import TOKEN, OktaServer

MIA, DAN = "mia@example.com", "dan@example.com"


def policy(url: str = "https://example.okta.com") -> Catalog:
    config = f"{{token: 'env:OKTA_TOKEN', url: '{url}', attributes: [employeeNumber]}}"
    section = f"directories:\n  okta: {{kind: okta, config: {config}}}\ngroups:\n"
    return catalog(POLICY.replace("groups:\n", section, 1))


@dataclass
class Desk:
    """The loop over a server of Okta's form."""

    store: Store
    server: OktaServer
    policy: Catalog = field(default_factory=policy)
    subjects: set[str] = field(default_factory=lambda: {MIA, DAN})
    failures: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.directory = Okta(OktaConfig.model_validate(self._config()))
        self.loop = self.another()

    def _config(self) -> dict[str, Any]:
        return {"token": TOKEN, "url": self.server.url, "timeout": 1, "attributes": ["employeeNumber"]}

    def another(self) -> PeopleRefresh:
        sources = Sources({"okta": self.directory})
        refresh = DirectoryRefresh(self.store, lambda: self.policy, sources, lambda *what: self.failures.append(what))
        return PeopleRefresh(refresh, self.whom)

    async def whom(self, _: Catalog) -> Collection[str]:
        return self.subjects

    async def leads(self) -> None:
        refresh = self.loop.refresh
        await self.store.policy.adopt(self.policy.policy_hash)
        await refresh.loop.once()
        assert refresh.leads(self.policy)

    async def looked(self) -> InactivePeople:
        """A round; who is inactive then."""
        await self.loop.run_once()
        return (await self.there()).people["okta"]

    async def there(self) -> Snapshots:
        return await DirectorySnapshots(self.store).inactive(self.policy)

    async def known(self, who: str) -> PersonSnapshot | None:
        source = self.policy.directories["okta"].fingerprint
        return (await DirectoryPeople(self.store).read("okta", source, [who])).get(who)

    def asked(self) -> int:
        return sum("/users?search" in call for call in self.server.calls)


@pytest.fixture
async def desk(store: Store) -> AsyncIterator[Desk]:
    server = OktaServer()
    await server.start()
    desk = Desk(store, server)
    server.hire(MIA, employeeNumber="7")
    server.hire(DAN)
    await desk.leads()
    yield desk
    await desk.directory.close()
    await server.stop()


async def test_who_is_active_is_known_by_their_id_and_nobody_is_inactive(desk: Desk) -> None:
    assert (await desk.looked()).people == {}
    mia = await desk.known(MIA)
    assert mia
    assert (mia.id, mia.active, mia.attributes) == (desk.server.others[0]["id"], True, {"employeeNumber": "7"})
    assert not desk.failures


async def test_an_address_that_was_given_to_another_person_is_refused_and_takes_nothing_away(desk: Desk) -> None:
    bindings, first = Bindings(desk.store), desk.server.others[0]["id"]
    await bindings.admit(MIA, "UMIA")
    await desk.looked()
    assert (await bindings.person(MIA)).directories["okta"].id == first
    desk.server.others[0]["id"] = first[:-1] + ("2" if first[-1] != "2" else "3")
    for _ in range(2):
        assert (await desk.looked()).people == {}
    with pytest.raises(IdentityChanged):
        await bindings.admit(MIA, "UMIA")
    events: Any = await desk.store.redis.xrange(desk.store.keys.audit)
    assert sum(fields[b"kind"] == b"alarm" for _, fields in events) == 1
    await bindings.admit(DAN, "UDAN")


async def test_somebody_disabled_is_not_bound_and_who_has_the_address_then_is(desk: Desk) -> None:
    """Who never was active there is nobody to be taken for."""
    desk.server.others[0]["status"] = "DEPROVISIONED"
    await desk.looked()
    assert (await Bindings(desk.store).person(MIA)).directories == {}


async def test_somebody_disabled_is_inactive_since_the_first_look_and_back_once_enabled(desk: Desk) -> None:
    desk.server.others[0]["status"] = "SUSPENDED"
    first = (await desk.looked()).people
    assert set(first) == {MIA}
    assert first[MIA].since == first[MIA].at
    again = (await desk.looked()).people[MIA]
    assert (again.since, again.gone) == (first[MIA].since, False)
    assert again.at > again.since
    assert (await desk.there()).inactive(desk.policy) == {MIA: "okta"}
    desk.server.others[0]["status"] = "ACTIVE"
    assert (await desk.looked()).people == {}


async def test_somebody_who_was_known_and_is_not_there_any_more_is_gone_and_a_stranger_is_not(desk: Desk) -> None:
    desk.subjects.add("stranger@example.com")
    assert (await desk.looked()).people == {}
    del desk.server.others[0]
    people = (await desk.looked()).people
    assert {who: person.gone for who, person in people.items()} == {MIA: True}


async def test_silence_changes_nobody(desk: Desk) -> None:
    desk.server.others[0]["status"] = "DEPROVISIONED"
    before = (await desk.looked()).people
    await desk.server.stop()
    listed = await desk.looked()
    assert listed.people == before
    assert "it cannot be reached" in listed.problem
    assert desk.failures == [("directory", "okta")]
    await desk.server.start()
    assert (await desk.looked()).problem == ""


async def test_somebody_inactive_stays_so_though_nobody_asks_about_them_any_more(desk: Desk) -> None:
    desk.server.others[0]["status"] = "SUSPENDED"
    await desk.looked()
    desk.subjects = {DAN}
    assert set((await desk.looked()).people) == {MIA}
    desk.server.others[0]["status"] = "ACTIVE"
    assert (await desk.looked()).people == {}


async def test_a_round_is_bounded_and_each_has_their_turn_but_suspects_first(desk: Desk) -> None:
    desk.server.others[0]["status"] = "SUSPENDED"
    await desk.looked()
    desk.subjects |= {f"p{n:02}@example.com" for n in range(MOST_READ)}
    for _ in range(2):
        desk.server.calls.clear()
        people = (await desk.looked()).people
        assert desk.asked() <= 2 * MOST_READ, "two searches each"
        assert people[MIA].at > people[MIA].since
    assert all([await desk.known(who) for who in desk.subjects])


async def test_one_of_whom_nothing_can_be_told_keeps_no_other_from_their_turn(desk: Desk) -> None:
    for n in range(4):
        for _ in range(2):
            desk.server.hire(f"a{n}@example.com")
    desk.subjects |= {f"a{n}@example.com" for n in range(4)}
    first = await desk.looked()
    assert "more than one account has this address" in first.problem
    second = await desk.looked()
    assert second.people == {}
    assert await desk.known(MIA)
    assert await desk.known(DAN)


async def test_a_process_that_does_not_lead_reads_and_writes_nothing(desk: Desk) -> None:
    await desk.looked()
    kept = await desk.store.redis.get(desk.store.keys.inactive("okta"))
    desk.server.others[0]["status"] = "SUSPENDED"
    desk.server.calls.clear()
    other = desk.another()
    assert await other.run_once() is not None
    assert not desk.server.calls
    await desk.loop.refresh.leader.resign()
    assert await desk.loop.run_once() is not None
    assert await desk.store.redis.get(desk.store.keys.inactive("okta")) == kept


async def test_a_process_that_stops_leading_in_a_round_writes_nothing(desk: Desk) -> None:
    await desk.looked()
    desk.server.others[0]["status"] = "SUSPENDED"
    desk.server.delay = 0.2
    desk.server.called.clear()
    looking = asyncio.create_task(desk.loop.run_once())
    await desk.server.called.wait()
    await desk.loop.refresh.leader.resign()
    await looking
    assert (await desk.there()).people["okta"].people == {}
    known = await desk.known(MIA)
    assert known
    assert known.active


async def test_another_directory_of_that_name_has_not_lost_anybody(desk: Desk) -> None:
    await desk.looked()
    desk.policy = policy("https://other.okta.com")
    await desk.leads()
    desk.server.others.clear()
    assert (await desk.looked()).people == {}, "nobody was ever known there"


async def forge(store: Store, key: str, old: bytes, new: bytes) -> None:
    value = await store.redis.get(key)
    assert isinstance(value, bytes)
    assert old in value
    await store.redis.set(key, value.replace(old, new))


async def test_only_our_own_lists_count(desk: Desk) -> None:
    desk.server.others[0]["status"] = "SUSPENDED"
    await desk.looked()
    key = desk.store.keys.inactive("okta")
    await forge(desk.store, key, b"mia@", b"dan@")
    assert (await desk.there()).inactive(desk.policy) == {}
    person = desk.store.keys.directory_person("okta", MIA)
    await forge(desk.store, person, b'"id":"00u', b'"id":"00x')
    assert await desk.known(MIA) is None


async def test_it_is_about_approvers_people_with_access_and_who_clicked(desk: Desk) -> None:
    house = await House(desk.store, desk.policy).open()
    await house.ask("kim")
    await DirectoryPeople(desk.store).want("eve@example.com")

    async def roster() -> Roster:
        dba = Members(users=frozenset({"UDAN", "UNKNOWN"}), accounts={"UDAN": DAN})
        return {"dba": dba, "security": Members(identities=frozenset({"sam@example.com"}))}

    subjects = Subjects(desk.store, roster)
    everybody = await subjects.of(desk.policy)
    assert everybody == {identity_of(f"{who}@example.com") for who in ("kim", "dan", "sam", "eve")}
    assert "eve@example.com" not in await subjects.of(desk.policy), "once"
    await desk.store.redis.sadd(desk.store.keys.people_wanted, "no address", "ſam@example.com")
    assert "kim@example.com" in await subjects.of(desk.policy)
