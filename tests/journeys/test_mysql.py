"""The main job over a real MariaDB: an account that is refused, accepted and refused again, by time and by hand."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pymysql
import pytest

from bot.playground import LocalSlack, Message
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Mode, Town, running, settings_for
from tests.providers.mariadb import BOT, MariaDbServer, does, entered, mariadb_server
from tests.providers.mysql_bench import ME, furnish
from tests.servers import RedisServer

SYSTEM = """
  db:
    title: Orders database
    provider: mysql
    config: {url: "file:@URL@", tls: off}
    channel: C0VAULT01
    approvers: [dba]
    roles:
      read-only:
        grants: {member_of: [app_readers], database: app}
        max: 1h
        may_ask: [everyone]
      reader:
        grants: {privileges: [SELECT], database: {ask: database}}
        asks: {database: {choice: [app_x, audit]}}
        max: 1h
        may_ask: [everyone]
templates:
"""


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDbServer]:
    """A server with tables to read."""
    with mariadb_server() as server:
        furnish(server)
        server.run("CREATE DATABASE audit", "CREATE TABLE audit.data AS SELECT 'two' AS word")
        server.run(f"GRANT SELECT ON audit.* TO {ME} WITH GRANT OPTION")
        yield server


@pytest.fixture(params=["http", "socket"])
async def town(
    request: pytest.FixtureRequest, slack: LocalSlack, redis: RedisServer, mariadb: MariaDbServer, tmp_path: Path
) -> AsyncIterator[Town]:
    """The bot, with the database as one of its systems."""
    mode: Mode = request.param
    (tmp_path / "url").write_text(f"mysql://{BOT}:correct-h%C3%B6rse@127.0.0.1:{mariadb.port}")
    policy = POLICY.replace("templates:\n", SYSTEM.replace("@URL@", str(tmp_path / "url")), 1)
    async with running(settings_for(slack, redis, mode, tmp_path, policy)) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        yield Town(slack, app)


async def connects(mariadb: MariaDbServer, user: str, password: str, database: str = "app") -> str:
    """What is read, or what the server says."""

    def work() -> str:
        try:
            session = entered(mariadb, user, password)
        except pymysql.OperationalError as error:
            return "refused" if error.args[0] in {1045, 4151} else str(error)
        try:
            return str(does(session, f"SELECT word FROM {database}.data")[0][0])
        except pymysql.OperationalError as error:
            return "denied" if error.args[0] in {1044, 1142} else str(error)
        finally:
            session.close()

    return await asyncio.to_thread(work)


async def opened(town: Town, line: str) -> tuple[Message, str, str, str]:
    """Ask, be approved, see the password: the message, the id, the account, the password."""
    card = await town.asked(line=line)
    id_ = town.id_of(card)
    await town.dan.click(card, "approve")
    decided = await town.mia.sees_dm(lambda m: id_ in m.said() and "You have access until" in m.said())
    await town.mia.click(decided, "reveal")
    view = await town.mia.sees_view("note", lambda v: "Password" in v.said())
    user, password = re.findall(r"```(.*?)```", view.said(), re.DOTALL)[:2]
    town.mia.close_view(view)
    return decided, id_, user, password


async def test_refused_accepted_and_by_time_refused(town: Town, mariadb: MariaDbServer) -> None:
    decided, id_, user, password = await opened(town, "request db/read-only 5s -- to count the orders")
    assert user == f"jit_{id_.lower().replace('-', '_')}_0"
    assert f"--user={user} --password --database=app" in decided.said()
    assert await connects(mariadb, user, "guess") == "refused"
    assert await connects(mariadb, user, password) == "one"
    await town.card(id_, ":lock: ended", patience=30)
    assert await connects(mariadb, user, password) == "refused"
    await town.mia.sees_dm(lambda m: id_ in m.said() and "Access expired" in m.said())


async def test_ended_early_it_is_refused_and_the_live_session_is_ended(town: Town, mariadb: MariaDbServer) -> None:
    decided, id_, user, password = await opened(town, "request db/read-only 30m -- to count the orders")
    session = await asyncio.to_thread(entered, mariadb, user, password)
    assert does(session, "SELECT word FROM app.data") == [("one",)]
    await town.mia.click(decided, "release")
    await town.card(id_, ":lock: ended", patience=30)
    assert await connects(mariadb, user, password) == "refused"
    with pytest.raises(pymysql.OperationalError):
        await asyncio.to_thread(does, session, "SELECT 1")
    closed = await town.slack.sees(CHANNEL, lambda m: id_ in m.said() and "session" in m.said())
    assert "1 live session ended" in closed.said()
    assert mariadb.run(f"SELECT User FROM mysql.global_priv WHERE User = '{user}'") == []


async def test_the_database_that_was_chosen_is_the_one_that_can_be_read(town: Town, mariadb: MariaDbServer) -> None:
    _, _, user, password = await opened(town, "request db/reader database=audit 30m -- to read them")
    assert await connects(mariadb, user, password, "audit") == "two"
    assert await connects(mariadb, user, password, "app_x") == "denied"


async def test_the_password_is_in_no_message_and_not_in_redis(
    town: Town, mariadb: MariaDbServer, redis: RedisServer
) -> None:
    _, _, _, password = await opened(town, "request db/read-only 30m -- to count the orders")
    # A restart of the server writes all it has into its files; here its append-only files are read as they are.
    files = [file.read_bytes() for file in redis.directory.rglob("*") if file.is_file()]
    assert files
    assert not any(password.encode() in content for content in files)
    assert password not in str([(m.text, m.blocks) for m in town.slack.world.messages])
