"""Who is in a group of LDAP approves, and no longer once they are out of it, disabled, or of no known group."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.app import App
from bot.playground import LocalSlack, Message
from tests import scratch
from tests.house import POLICY
from tests.journeys.conftest import Town, running, settings_for
from tests.providers.slapd import BASE, BOT, PASSWORD, Slapd, dn, group, group_dn, person
from tests.servers import RedisServer
from tests.store.redis.test_tls import Authority

PEOPLE = (person("sam"), person("kim"))
BOTH = (group("dba", group_dn("senior"), dn("kim")), group("senior", dn("sam")))


@pytest.fixture
def slapd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slapd]:
    monkeypatch.setenv("A_PASSWORD_OF_LDAP", PASSWORD)
    with scratch.directory() as directory:
        server = Slapd(directory, Authority(directory))
        server.load(*PEOPLE, *BOTH)
        yield server
        server.stop()


def policy(slapd: Slapd) -> str:
    """Whoever is in the group of LDAP approves."""
    directory = f"""\
directories:
  ad:
    kind: ldap
    config:
      url: ldaps://127.0.0.1:{slapd.tls}
      ca: {slapd.authority.certificate}
      bind_dn: {BOT}
      bind_password: env:A_PASSWORD_OF_LDAP
      base_dn: {BASE}
groups:
  ldap-dba: {{directory: ad, group: "{group_dn("dba")}"}}
"""
    return POLICY.replace("groups:\n", directory, 1).replace("approvers: [dba]", "approvers: [ldap-dba]", 1)


async def looked(app: App) -> None:
    """As a minute later."""
    async with asyncio.timeout(20):
        while not await app.directories.leader.elected():  # noqa: ASYNC110  # another task's work
            await asyncio.sleep(0.02)
    await app.directories.read_all(app.catalog)
    await app.directory_people.run_once()


async def approvers(town: Town, card: Message) -> list[str]:
    """Whose approvals the record has."""
    found = await town.app.store.load(town.id_of(card))
    assert found
    return [review.by.name.split()[0] for review in found.request.reviews]


async def test_a_group_of_ldap_approves_as_it_is_then(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, slapd: Slapd
) -> None:
    async with running(settings_for(slack, redis, "socket", tmp_path, policy(slapd))) as app:
        await slack.connected()
        await looked(app)
        town = Town(slack, app)
        card = await town.asked(line="request vault/read-only 30m -- to look at the vault")
        # Disabled, renamed or not to be told: each is a no.
        slapd.load(person("sam", pwdAccountLockedTime="000001010000Z"), PEOPLE[1], *BOTH)
        await looked(app)
        await town.sam.click(card, "approve")
        await town.sam.sees_ephemeral(lambda m: "Your account in the directory ad is disabled" in m.text)
        slapd.load(*PEOPLE, group("new", dn("kim")))
        await looked(app)
        await town.kim.click(card, "approve")
        await town.kim.sees_ephemeral(lambda m: "the members of `ldap-dba` cannot be checked" in m.text)
        assert not await approvers(town, card)
        slapd.load(*PEOPLE, *BOTH)
        await looked(app)
        await town.sam.click(card, "approve")
        assert await approvers(town, card) == ["Sam"]
