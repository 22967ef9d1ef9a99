"""What an operator sees of who is bound to what, and how they say whose an address is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from click.testing import Result

from bot.core.bound_person import DirectoryBinding
from bot.core.errors import IdentityTaken
from bot.core.identity_errors import IdentityChanged
from bot.store.factors import RESET
from bot.store.indexes.identity_bindings import Bindings
from bot.store.quarantine import Client
from bot.store.store import Store
from tests.cli.test_exit_codes import RING, Desk, desk
from tests.factors import enrolled
from tests.servers import RedisServer

__all__ = ["desk"]

MIA, EVE = "mia@example.com", "eve@example.com"
WHY = ("--reason", "I called them")


@pytest.fixture
async def store(redis: RedisServer, workspace: str) -> AsyncIterator[Store]:
    """The store of the bot whose environment the desk has."""
    client = Client.from_url(redis.socket_url)
    yield Store(client, workspace, RING)
    await client.aclose()


async def people(desk: Desk, *words: str) -> Result:
    """``jit people …``, away from the loop of the test: a command has one of its own."""
    return await asyncio.to_thread(desk.type, "people", *words)


async def told(store: Store, kind: str) -> list[dict[str, Any]]:
    found: Any = await store.redis.xrange(store.keys.audit)
    return [json.loads(entry[b"event"]) for _, entry in found if entry[b"kind"].decode() == kind]


async def test_the_list_shows_who_is_bound_page_by_page(desk: Desk, store: Store) -> None:
    assert "Nobody is bound." in (await people(desk, "list")).stdout
    bindings = Bindings(store)
    for n in range(3):
        await bindings.admit(f"p{n}@example.com", f"U{n}")
    await bindings.bind_directory("p1@example.com", "ad", "guid-1")
    await bindings.bind_directory("q@example.com", "ad", "guid-1")
    first = await people(desk, "list", "--limit", "2")
    assert [line.split()[0] for line in first.stdout.splitlines()[:2]] == ["p0@example.com", "p1@example.com"]
    assert "ad=guid-1" in first.stdout
    assert "jit people list --after p1@example.com" in first.stdout
    rest = await people(desk, "list", "--after", "P1@example.com", "--json")
    found = [json.loads(line) for line in rest.stdout.splitlines()]
    assert [(each["email"], each["account"], each["refused"]) for each in found] == [
        ("p2@example.com", "U2", False),
        ("q@example.com", "", True),
    ]
    assert found[1]["directories"]["ad"]["refused"] == "guid-1"
    assert rest.stderr == ""


async def test_a_list_that_lost_its_index_says_so(desk: Desk, store: Store) -> None:
    await Bindings(store).admit(MIA, "UMIA")
    await store.redis.delete(store.keys.bound_people)
    for words in (("list",), ("list", "--json")):
        shown = await people(desk, *words)
        assert (shown.exit_code, shown.stdout) == (0, "")
        assert "1 bound addresses are not in it" in shown.stderr
    assert "the Slack account UMIA since" in (await people(desk, "show", MIA)).stdout


async def test_an_operator_says_who_has_an_address_that_a_directory_gave_away(desk: Desk, store: Store) -> None:
    bindings = Bindings(store)
    await bindings.admit(EVE, "UEVE")
    await bindings.bind_directory(EVE, "ad", "guid-1")
    await bindings.bind_directory(EVE, "ad", "guid-2")
    shown = await people(desk, "show", " Eve@example.com ")
    assert shown.exit_code == 0
    assert "the id guid-1, refused since the directory said guid-2" in shown.stdout
    assert f"jit people bind {EVE} --directory ad --id ID" in shown.stdout
    assert json.loads((await people(desk, "show", EVE, "--json")).stdout)["refused"] is True

    bound = await people(desk, "bind", "Eve@example.com", "--directory", "ad", "--id", "guid-2", *WHY)
    assert bound.exit_code == 0, bound.output
    assert await bindings.bind_directory(EVE, "ad", "guid-2") is DirectoryBinding.BOUND
    await bindings.admit(EVE, "UEVE")
    [event] = await told(store, "person_bound")
    assert event["by"].startswith("cli:")
    assert f"{EVE} was bound to the id guid-2 of the directory ad in place of guid-1 by cli:" in event["said"]
    assert "I called them" in event["said"]
    again = await people(desk, "bind", EVE, "--directory", "ad", "--id", "guid-2", *WHY)
    assert (again.exit_code, "has this id in ad already" in again.stderr) == (1, True)


async def test_nobody_comes_into_the_open_requests_of_another(desk: Desk, store: Store) -> None:
    """Mia has some: no other account, and no other person of a directory, is bound to her address before they end."""
    bindings = Bindings(store)
    refused = await people(desk, "bind", MIA, "--account", "UEVE", *WHY)
    assert (refused.exit_code, "end it first" in refused.stderr) == (1, True)
    await bindings.bind_directory(MIA, "ad", "guid-1")
    await bindings.bind_directory(MIA, "ad", "guid-2")
    refused = await people(desk, "bind", MIA, "--directory", "ad", "--id", "guid-2", *WHY)
    assert (refused.exit_code, desk.open in refused.stderr) == (1, True)
    with pytest.raises(IdentityChanged):
        await bindings.admit(MIA, "UMIA")
    same = await people(desk, "bind", MIA, "--directory", "ad", "--id", "guid-1", *WHY)
    assert same.exit_code == 0, same.output
    await bindings.admit(MIA, "UMIA")


async def test_nobody_comes_into_an_address_to_which_somebody_else_still_has_a_second_factor(
    desk: Desk, store: Store
) -> None:
    bindings = Bindings(store)
    await bindings.admit(EVE, "UEVE")
    await bindings.bind_directory(EVE, "ad", "guid-1")
    await bindings.bind_directory(EVE, "ad", "guid-2")
    await enrolled(store, EVE)
    other = (EVE, "--directory", "ad", "--id", "guid-2", *WHY)
    refused = await people(desk, "bind", *other)
    assert (refused.exit_code, f"jit people reset-factors {EVE}" in refused.stderr) == (1, True), refused.output
    same = await people(desk, "bind", EVE, "--directory", "ad", "--id", "guid-1", *WHY)
    assert same.exit_code == 0, "the factors are their own"
    await bindings.bind_directory(EVE, "ad", "guid-2")
    known = await store.factors.read(EVE)
    assert await store.factors.write(known, known.record.without_factors(), RESET, {})
    assert (await people(desk, "bind", *other)).exit_code == 0


async def test_a_free_address_is_bound_to_the_account_that_is_named(desk: Desk, store: Store) -> None:
    assert (await people(desk, "bind", EVE, "--account", "UEVE", *WHY)).exit_code == 0
    with pytest.raises(IdentityTaken):
        await Bindings(store).admit(EVE, "UEVIL")
    await Bindings(store).admit(EVE, "UEVE")
    taken = await people(desk, "bind", EVE, "--account", "UEVIL", *WHY)
    assert (taken.exit_code, f"jit people unbind {EVE}" in taken.stderr) == (1, True)
    assert len(await told(store, "person_bound")) == 1


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (2, (EVE, *WHY), "Give either"),
        (2, (EVE, "--account", "UEVE", "--directory", "ad", "--id", "1", *WHY), "Give either"),
        (2, (EVE, "--directory", "ad", *WHY), "Give either"),
        (2, (EVE, "--account", "UEVE"), "--reason"),
        (1, (EVE, "--account", "UEVE", "--reason", " . "), "Please give a reason"),
        (1, ("\u0435ve@example.com", "--account", "UEVE", *WHY), "is not an ASCII letter"),
        (1, (EVE, "--account", "<@UEVE>", *WHY), "no id of a Slack account"),
        (1, (EVE, "--directory", "ad", "--id", "1", *WHY), "the policy has no directory 'ad'"),
    ],
)
async def test_what_it_does_not_bind(desk: Desk, store: Store, code: int, words: tuple[str, ...], said: str) -> None:
    done = await people(desk, "bind", *words)
    assert (done.exit_code, said in done.stderr) == (code, True), done.output
    assert not (await Bindings(store).person(EVE)).user
    assert await told(store, "person_bound") == []


async def test_a_stable_id_of_another_address_moves_when_an_operator_says_so(desk: Desk, store: Store) -> None:
    bindings = Bindings(store)
    await bindings.admit(EVE, "UEVE")
    await bindings.bind_directory("joe@example.com", "ad", "guid-1")
    assert await bindings.bind_directory(EVE, "ad", "guid-1") is DirectoryBinding.OTHER_ADDRESS
    done = await people(desk, "bind", EVE, "--directory", "ad", "--id", "guid-1", *WHY)
    assert "joe@example.com had this id before" in done.stdout
    assert await bindings.bind_directory(EVE, "ad", "guid-1") is DirectoryBinding.BOUND
    assert await bindings.bind_directory("joe@example.com", "ad", "guid-1") is DirectoryBinding.OTHER_ADDRESS
