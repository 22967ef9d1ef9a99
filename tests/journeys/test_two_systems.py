"""Several roles in one request, over a real PostgreSQL and a real Redis: both or neither, whatever fails on the way."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis as redis_client
import redis.asyncio as aioredis

from bot.playground import LocalSlack, Message
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Mode, Town, running, settings_for
from tests.providers.postgres_bench import furnish, run
from tests.providers.redis_bench import BOT, RedisBench
from tests.servers import PostgresServer, RedisServer, postgres_server, redis_server

OTHER = "C0CACHE01"
SYSTEMS = """
  db:
    title: Orders database
    provider: postgresql
    config: {dsn: "file:@DSN@"}
    channel: C0VAULT01
    approvers: [dba]
    roles:
      read-only: {grants: {member_of: [app_readers]}, sensitivity: low, max: 8h, may_ask: [everyone]}
  cache:
    title: Cache
    provider: redis
    config: {url: "file:@URL@", id: the-cache}
    channel: C0CACHE01
    approvers: [security]
    roles:
      reader: {grants: {keys: ["app:*"], commands: [+@read]}, sensitivity: low, max: 1h, may_ask: [everyone]}
templates:
  incident: {title: Incident, roles: [db/read-only, cache/reader], durations: [30m]}
"""
LINE = "request db/read-only + cache/reader 30m -- INC-1 the orders are stuck"


@dataclass(frozen=True)
class Targets:
    """The two systems, and who gets in."""

    postgres: PostgresServer
    cache: RedisBench

    async def db_accepts(self, user: str, password: str) -> bool:
        """Whether the database lets somebody in."""
        dsn = f"postgresql://{user}@127.0.0.1:{self.postgres.port}/postgres"
        try:
            async with await psycopg.AsyncConnection.connect(dsn, password=password, connect_timeout=30):
                return True
        except psycopg.OperationalError as error:
            assert "authentication failed" in str(error)  # noqa: PT017  # any other error is the test's own
            return False

    async def cache_accepts(self, user: str, password: str) -> bool:
        """Whether the cache lets somebody read."""
        port = self.cache.running.port
        async with aioredis.Redis(host="127.0.0.1", port=port, username=user, password=password) as client:
            try:
                return bool(await client.get("app:1") == b"one")
            except redis_client.AuthenticationError:
                return False

    def left(self) -> list[str]:
        """The accounts of ours on both."""
        roles = [name for (name,) in run(self.postgres, r"SELECT rolname FROM pg_roles WHERE rolname LIKE 'jit\_j%'")]
        return roles + [user for user in self.cache.admin("ACL", "USERS") if "jit-j-" in str(user)]


@pytest.fixture(scope="module")
def targets() -> Iterator[Targets]:
    """Both, with the bot's own users."""
    with postgres_server() as postgres, redis_server() as cache:
        furnish(postgres)
        yield Targets(postgres, RedisBench(cache))


@pytest.fixture(params=["http", "socket"])
async def town(
    request: pytest.FixtureRequest, slack: LocalSlack, redis: RedisServer, targets: Targets, tmp_path: Path
) -> AsyncIterator[Town]:
    """The bot, with both as its systems, each with a channel of its own."""
    mode: Mode = request.param
    slack.add_channel(OTHER, "cache", list(slack.world.people))
    (tmp_path / "dsn").write_text(targets.postgres.dsn)
    (tmp_path / "url").write_text(str(targets.cache.config()["url"]))
    systems = SYSTEMS.replace("@DSN@", str(tmp_path / "dsn")).replace("@URL@", str(tmp_path / "url"))
    policy = POLICY.replace("templates:\n", systems, 1)
    async with running(settings_for(slack, redis, mode, tmp_path, policy)) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        yield Town(slack, app)


async def other_card(town: Town, id_: str, said: str = "") -> Message:
    """The card in the second system's channel, once it says so."""
    return await town.slack.sees(OTHER, lambda m: id_ in m.said() and bool(m.blocks) and said in m.said())


async def approved(town: Town) -> tuple[str, Message, Message]:
    """Mia asks for both in one line; Dan approves on one card, and Sam on the other."""
    card = await town.asked(line=LINE)
    id_ = town.id_of(card)
    other = await other_card(town, id_)
    assert (await town.dan.click(card, "approve")).status == 200
    await other_card(town, id_, "*Orders database: read-only* (<#C0VAULT01>): approved")
    assert (await town.sam.click(other, "approve")).status == 200
    return id_, card, other


async def shown(town: Town, value: str) -> tuple[str, str]:
    """The user and the password of one role, chosen in the modal."""
    view = await town.mia.sees_view("secrets")
    assert (await town.mia.click(view, "reveal", value=value)).status == 200
    secret = await town.mia.sees_view("note", lambda v: "Password" in v.said())
    user, password = re.findall(r"```(.*?)```", secret.said(), re.DOTALL)[:2]
    town.mia.close_view(secret)
    return user, password


async def test_each_channel_decides_its_part_and_both_open_and_close_together(town: Town, targets: Targets) -> None:
    card = await town.asked(line=LINE)
    id_, other = town.id_of(card), await other_card(town, town.id_of(card))
    assert "*Orders database: read-only + Cache: reader* · 30 min" in card.said()
    assert "*Your part*: needs 1 approval from <!subteam^S0DBA0001>" in card.said()
    assert "*Cache: reader* (<#C0CACHE01>): needs 1 approval from `security`" in card.said()
    assert "*Your part*: needs 1 approval from <@USAM> or <@UKIM>" in other.said()
    assert set(other.buttons()) == set(card.buttons()) == {"approve", "deny", "approve_less", "question"}

    assert (await town.dan.click(other, "approve")).status == 200
    await other_card(town, id_, "*Orders database: read-only* (<#C0VAULT01>): approved")
    await town.card(id_, "*Your part*: approved")
    await town.eve.click(card, "approve")
    await town.eve.sees_ephemeral(lambda m: "already approved" in m.said())
    assert targets.left() == []

    assert (await town.sam.click(other, "approve")).status == 200
    letter = await town.mia.sees_dm(lambda m: id_ in m.said() and "You have access until" in m.said())
    for there in (await town.card(id_, "active until"), await other_card(town, id_, "active until")):
        assert set(there.buttons()) == {"revoke"}

    await town.mia.click(letter, "reveal")
    of_db, of_cache = await shown(town, f"{id_} 1"), await shown(town, f"{id_} 2")
    assert await targets.db_accepts(*of_db), "showing the second password left the first one as it was"
    assert await targets.cache_accepts(*of_cache)

    await town.mia.click(letter, "release")
    for there in (await town.card(id_, ":lock: ended"), await other_card(town, id_, ":lock: ended")):
        assert there.buttons() == {}
    assert not await targets.db_accepts(*of_db)
    assert not await targets.cache_accepts(*of_cache)
    assert targets.left() == []
    assert [m.text.partition(".")[0] for m in town.slack.messages(OTHER, other.ts)] == [], (
        "the thread is with the first"
    )


@pytest.mark.parametrize("refusing", ["Orders database: read-only", "Cache: reader"])
async def test_one_that_is_refused_leaves_nothing_on_the_other(town: Town, targets: Targets, refusing: str) -> None:
    first = refusing.startswith("Orders")
    if first:
        run(targets.postgres, "ALTER ROLE app_readers RENAME TO away")
    else:
        targets.cache.admin("ACL", "SETUSER", BOT, "-acl|setuser")
    try:
        id_, *_ = await approved(town)
        ended = ":warning: could not be granted" if first else ":lock: ended"
        there, other = await town.card(id_, ended), await other_card(town, id_, ended)
    finally:
        give_back(targets)
        if first:
            run(targets.postgres, "ALTER ROLE away RENAME TO app_readers")
    for card in (there, other):
        assert f"*{refusing}* refused" in card.said()
        assert ("*Cache: reader* not granted" if first else "*Orders database: read-only* removed") in card.said()
    assert targets.left() == []
    told = await town.mia.sees_dm(lambda m: id_ in m.said() and "could not be granted" in m.said())
    assert f"The reason: {refusing}: " in told.said()


def give_back(targets: Targets) -> None:
    """Let the bot do on the cache what it needs."""
    targets.cache.admin("ACL", "SETUSER", BOT, "+acl|setuser", "+acl|deluser")


async def test_one_that_cannot_be_revoked_is_alarmed_in_its_channel_and_keeps_no_other_open(
    town: Town, targets: Targets
) -> None:
    id_, *_ = await approved(town)
    letter = await town.mia.sees_dm(lambda m: id_ in m.said() and "You have access until" in m.said())
    targets.cache.admin("ACL", "SETUSER", BOT, "-acl|setuser", "-acl|deluser")
    try:
        await town.mia.click(letter, "release")
        card = await other_card(town, id_, "*Orders database: read-only* removed")
        assert "*Cache: reader* being revoked" in card.said()
        await town.slack.sees(OTHER, lambda m: id_ in m.said() and "Access not revoked yet" in m.said())
    finally:
        give_back(targets)
    await other_card(town, id_, ":lock: ended")
    await town.card(id_, ":lock: ended")
    assert targets.left() == []
    assert not any("Access not revoked yet" in m.said() for m in town.slack.messages(CHANNEL))
