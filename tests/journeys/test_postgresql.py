"""The main job over a real PostgreSQL: a login that is refused, accepted and refused again, by time and by hand."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from bot.playground import LocalSlack, Message
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Mode, Town, running, settings_for
from tests.servers import PostgresServer, RedisServer, postgres_server

SYSTEM = """
  db:
    title: Orders database
    provider: postgresql
    config: {dsn: "file:@DSN@"}
    channel: C0VAULT01
    approvers: [dba]
    roles:
      read-only:
        grants: {member_of: [pg_read_all_data]}
        max: 1h
        may_ask: [everyone]
      reader:
        grants: {member_of: [{ask: group}], database: {ask: database}}
        asks:
          group: {choice: [order_readers, audit_readers]}
          database: {pattern: "[a-z_]{1,20}", example: postgres, default: postgres}
        max: 1h
        may_ask: [everyone]
templates:
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server with a table to read."""
    with postgres_server() as server:
        with psycopg.connect(server.dsn, autocommit=True) as admin:
            admin.execute("CREATE TABLE orders AS SELECT 42 AS number")
            admin.execute("CREATE ROLE order_readers NOLOGIN")
            admin.execute("CREATE ROLE audit_readers NOLOGIN")
            admin.execute("GRANT SELECT ON orders TO order_readers")
            admin.execute("CREATE DATABASE audit")
        yield server


@pytest.fixture(params=["http", "socket"])
async def town(
    request: pytest.FixtureRequest, slack: LocalSlack, redis: RedisServer, postgres: PostgresServer, tmp_path: Path
) -> AsyncIterator[Town]:
    """The bot, with the database as one of its systems."""
    mode: Mode = request.param
    (tmp_path / "dsn").write_text(postgres.dsn)
    policy = POLICY.replace("templates:\n", SYSTEM.replace("@DSN@", str(tmp_path / "dsn")), 1)
    async with running(settings_for(slack, redis, mode, tmp_path, policy)) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        yield Town(slack, app)


async def connects(postgres: PostgresServer, user: str, password: str) -> str:
    """``accepted``, or what the server says."""
    dsn = f"postgresql://{user}@127.0.0.1:{postgres.port}/postgres"
    try:
        async with await psycopg.AsyncConnection.connect(dsn, password=password, connect_timeout=30) as connection:
            row = await (await connection.execute("SELECT number FROM orders")).fetchone()
            return "accepted" if row == (42,) else f"read {row}"
    except psycopg.OperationalError as error:
        return "refused" if "authentication failed" in str(error) else str(error)


async def opened(town: Town, postgres: PostgresServer, duration: str) -> tuple[Message, str, str, str]:
    """Ask, be approved, see the password: the card, the id, the login."""
    card = await town.asked(line=f"request db/read-only {duration} -- to count the orders")
    id_ = town.id_of(card)
    assert await connects(postgres, f"jit_{id_.lower().replace('-', '_')}_0", "guess") == "refused"
    await town.dan.click(card, "approve")
    decided = await town.mia.sees_dm(lambda m: id_ in m.said() and "You have access until" in m.said())
    await town.mia.click(decided, "reveal")
    view = await town.mia.sees_view("note", lambda v: "Password" in v.said())
    user, password = re.findall(r"```(.*?)```", view.said(), re.DOTALL)[:2]
    town.mia.close_view(view)
    return decided, id_, user, password


async def test_refused_accepted_and_by_time_refused(town: Town, postgres: PostgresServer) -> None:
    _, id_, user, password = await opened(town, postgres, "5s")
    assert await connects(postgres, user, password) == "accepted"
    await town.card(id_, ":lock: ended", patience=30)
    assert await connects(postgres, user, password) == "refused"
    await town.mia.sees_dm(lambda m: id_ in m.said() and "Access expired" in m.said())


async def test_given_back_early_is_refused_and_the_live_session_is_cut(town: Town, postgres: PostgresServer) -> None:
    decided, id_, user, password = await opened(town, postgres, "30m")
    dsn = f"postgresql://{user}@127.0.0.1:{postgres.port}/postgres"
    session = await psycopg.AsyncConnection.connect(dsn, password=password)
    assert await connects(postgres, user, password) == "accepted"
    await town.mia.click(decided, "release")
    await town.card(id_, ":lock: ended", patience=30)
    assert await connects(postgres, user, password) == "refused"
    with pytest.raises(psycopg.OperationalError):
        await session.execute("SELECT 1")
    await session.close()
    closed = await town.slack.sees(CHANNEL, lambda m: id_ in m.said() and "session" in m.said())
    assert "1 live session ended" in closed.said()


async def reads_as_one_of(town: Town, postgres: PostgresServer, group: str) -> str:
    """What a login gets to read whose role was asked for as ``group``, in another database than the dsn's."""
    card = await town.asked(line=f"request db/reader group={group} database=audit 30m -- to read them")
    id_ = town.id_of(card)
    await town.dan.click(card, "approve")
    decided = await town.mia.sees_dm(lambda m: id_ in m.said() and "You have access" in m.said())
    assert "dbname=audit" in decided.said()
    await town.mia.click(decided, "reveal")
    view = await town.mia.sees_view("note", lambda v: "Password" in v.said())
    user, password = re.findall(r"```(.*?)```", view.said(), re.DOTALL)[:2]
    try:
        return await connects(postgres, user, password)
    except psycopg.errors.InsufficientPrivilege as error:
        return str(error)


async def test_what_was_chosen_is_granted(town: Town, postgres: PostgresServer) -> None:
    assert await reads_as_one_of(town, postgres, "order_readers") == "accepted"


async def test_what_was_not_chosen_is_not_granted(town: Town, postgres: PostgresServer) -> None:
    assert await reads_as_one_of(town, postgres, "audit_readers") == "permission denied for table orders"


async def test_a_database_that_is_not_there_is_told_and_nothing_is_granted(
    town: Town, postgres: PostgresServer
) -> None:
    card = await town.asked(line="request db/reader group=order_readers database=nowhere 30m -- to read it")
    id_ = town.id_of(card)
    await town.dan.click(card, "approve")
    failed = await town.mia.sees_dm(lambda m: id_ in m.said() and "could not be granted" in m.said())
    assert "there is no database nowhere on this server" in failed.said()
    with psycopg.connect(postgres.dsn) as admin:
        left = admin.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE %s", [f"jit_{id_[2:].lower()}%"])
        assert left.fetchall() == []


async def test_the_password_is_in_no_message_and_not_in_redis(
    town: Town, postgres: PostgresServer, redis: RedisServer
) -> None:
    _, _, _, password = await opened(town, postgres, "30m")
    # A restart of the server writes all it has into its files; here its append-only files are read as they are.
    files = [file.read_bytes() for file in (redis.directory).rglob("*") if file.is_file()]
    await asyncio.sleep(0)
    assert files
    assert not any(password.encode() in content for content in files)
    posted = str([(m.text, m.blocks) for m in town.slack.world.messages])
    assert password not in posted
