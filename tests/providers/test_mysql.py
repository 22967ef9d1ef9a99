"""The provider ``mysql`` on a real MariaDB, as a bot that is no administrator."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pymysql
import pytest
from pydantic import ValidationError

from providers.systems.base import Order, Presence, Principal, Prior, Receipt, Refused, Secret, Unsure
from providers.systems.conformance.bench import granted, seen, shut
from providers.systems.conformance.closing import ClosingConformance
from providers.systems.conformance.connecting import ConnectingConformance
from providers.systems.conformance.extending import ExtendingConformance
from providers.systems.conformance.failing import FailingStepConformance
from providers.systems.conformance.failover import FailoverConformance
from providers.systems.conformance.hostile import HostileConformance
from providers.systems.conformance.rights import RightsConformance
from providers.systems.conformance.server import ServerConformance
from providers.systems.conformance.suite import OwnConformance, RevealingConformance, SharedConformance
from providers.systems.mysql.params import MysqlConfig, MysqlParams
from providers.systems.mysql.provider import MySQL
from providers.systems.mysql.statements import identifier, on_database, password_hash
from tests.providers.mariadb import BOT, PASSWORD, MariaDbServer, does, mariadb_server
from tests.providers.mysql_bench import ME, MysqlBench, SharedMysqlBench, config, furnish, let_bot_grant
from tests.store.redis.test_tls import Authority


@pytest.fixture(scope="session")
def another_mariadb() -> Iterator[MariaDbServer]:
    """One that has nothing of the first."""
    with mariadb_server() as server:
        furnish(server)
        yield server


class TestOwnAccount(
    OwnConformance,
    HostileConformance,
    RightsConformance,
    FailingStepConformance,
    FailoverConformance,
    RevealingConformance,
    ClosingConformance,
    ConnectingConformance,
    ExtendingConformance,
    ServerConformance,
):
    """A temporary account."""

    @pytest.fixture
    def bench(self, mariadb: MariaDbServer, another_mariadb: MariaDbServer) -> MysqlBench:
        """On this worker's server."""
        return MysqlBench(mariadb, another_mariadb)


class TestExistingAccount(
    SharedConformance, HostileConformance, ConnectingConformance, ExtendingConformance, ServerConformance
):
    """A role of an account that stood before."""

    @pytest.fixture
    def bench(self, mariadb: MariaDbServer) -> SharedMysqlBench:
        """With a person of the test's own."""
        return SharedMysqlBench(mariadb)


@pytest.fixture
def bench(mariadb: MariaDbServer) -> MysqlBench:
    return MysqlBench(mariadb)


@pytest.fixture
def system(bench: MysqlBench) -> MySQL:
    return bench.build()


def built(server: MariaDbServer, **more: Any) -> MySQL:
    """The bot with another config."""
    return MySQL(MysqlConfig.model_validate(config(server.port, **more)))


async def opened(bench: MysqlBench, system: MySQL, params: Mapping[str, Any]) -> tuple[Order, Prior, Receipt, Secret]:
    """Granted, with a password."""
    order = await bench.order(system, params)
    prior = await system.inspect(order)
    receipt = await system.grant(order, prior)
    return order, prior, receipt, await system.reveal(order, receipt)


# what is granted


async def test_privileges_are_granted_on_the_one_database_whose_name_has_a_wildcard(
    bench: MysqlBench, system: MySQL
) -> None:
    params = {"database": "app_x", "privileges": ["SELECT"]}
    order, prior, receipt, secret = await opened(bench, system, params)
    user = await bench.as_user(order, secret)
    assert does(user, "SELECT word FROM app_x.data") == [("one",)]
    for statement in ("SELECT word FROM appyx.data", "SELECT word FROM app.data", "DELETE FROM app_x.data"):
        with pytest.raises(pymysql.OperationalError, match="denied"):
            does(user, statement)
    assert await system.verify(order, receipt) is Presence.PRESENT
    await shut(bench, system, order, prior, receipt)
    user.close()


async def test_a_privilege_that_the_bot_may_not_grant_is_told_with_the_cure(bench: MysqlBench, system: MySQL) -> None:
    order = await bench.order(system, {"database": "app_x", "privileges": ["SELECT", "DELETE"]})
    with pytest.raises(Refused, match="the bot may not grant this") as told:
        await system.inspect(order)
    cure = str(told.value).partition(": ")[2]
    assert cure == f"GRANT SELECT, DELETE ON `app\\_x`.* TO {ME} WITH GRANT OPTION"
    bench.running.run(cure)
    receipt = await system.grant(order, await system.inspect(order))
    await shut(bench, system, order, Prior(present=False), receipt)
    bench.running.run(f"REVOKE DELETE ON `app\\_x`.* FROM {ME}")


async def test_several_roles_are_granted_and_the_first_is_active(bench: MysqlBench, system: MySQL) -> None:
    order, prior, receipt, secret = await opened(bench, system, {"member_of": ["app_readers", "app_writers"]})
    user = await bench.as_user(order, secret)
    assert does(user, "SELECT CURRENT_ROLE()") == [("app_readers",)]
    does(user, "SET ROLE app_writers", "INSERT INTO app.log VALUES ('several')")
    await shut(bench, system, order, prior, receipt)
    user.close()


async def test_a_temporary_account_has_so_many_sessions_and_no_more(mariadb: MariaDbServer) -> None:
    bench, system = MysqlBench(mariadb), built(mariadb, most_sessions=2)
    order, prior, receipt, secret = await opened(bench, system, bench.params)
    users = [await bench.as_user(order, secret) for _ in range(2)]
    with pytest.raises(pymysql.OperationalError, match="max_user_connections"):
        await bench.as_user(order, secret)
    assert (await system.revoke(order, prior, receipt)).killed == 2
    for user in users:
        user.close()


@pytest.mark.parametrize(
    "name",
    ["x`; DROP USER jit_bot; --x", "a'b\"c", "back\\slash\\'; --", "größe ключ 漢字", "n" * 128, "100%", "a@b", "{x}"],
)
async def test_a_roles_name_is_never_read_as_sql(bench: MysqlBench, system: MySQL, name: str) -> None:
    bench.running.run(f"CREATE ROLE {identifier(name)}", f"GRANT SELECT ON app.* TO {identifier(name)}")
    let_bot_grant(bench.running, name)
    try:
        order, prior, receipt, secret = await opened(bench, system, {"member_of": [name]})
        assert await bench.usable(order, secret)
        assert await system.verify(order, receipt) is Presence.PRESENT
        await system.examine({"member_of": [name]})
        await shut(bench, system, order, prior, receipt)
    finally:
        bench.running.run(f"DROP ROLE {identifier(name)}")


@pytest.mark.parametrize(
    "name", ["x`; DROP USER jit_bot; --", "a'b\"c", "größe", "n" * 64, "100%", "_%_", "a.b", "{x}"]
)
async def test_a_databases_name_is_never_read_as_sql(bench: MysqlBench, system: MySQL, name: str) -> None:
    pattern = on_database(name)
    bench.running.run(
        f"CREATE DATABASE {identifier(name)}",
        f"CREATE TABLE {identifier(name)}.t AS SELECT 1 AS n",
        f"GRANT SELECT ON {pattern} TO {ME} WITH GRANT OPTION",
    )
    try:
        order, prior, receipt, secret = await opened(bench, system, {"database": name, "privileges": ["SELECT"]})
        user = await bench.as_user(order, secret)
        assert does(user, f"SELECT n FROM {identifier(name)}.t") == [(1,)]
        user.close()
        assert await system.verify(order, receipt) is Presence.PRESENT
        await shut(bench, system, order, prior, receipt)
    finally:
        bench.running.run(f"DROP DATABASE {identifier(name)}", f"REVOKE SELECT, GRANT OPTION ON {pattern} FROM {ME}")


# what is refused


STRONG = {
    "everything": "GRANT SELECT ON *.* TO {}",
    "a right over the server": "GRANT RELOAD ON *.* TO {}",
    "the accounts": "GRANT SELECT ON mysql.* TO {}",
    "the accounts by a pattern": "GRANT SELECT ON `my%`.* TO {}",
    "the server's own by its escaped name": "GRANT SELECT ON `performance\\_schema`.* TO {}",
    "a table of the accounts": "GRANT SELECT ON mysql.global_priv TO {}",
    "passing on": "GRANT SELECT ON app.* TO {} WITH GRANT OPTION",
    "passing a table on": "GRANT SELECT ON app.data TO {} WITH GRANT OPTION",
    "another role to pass on": "GRANT app_readers TO {} WITH ADMIN OPTION",
}


@pytest.mark.parametrize("strong", STRONG.values(), ids=STRONG)
@pytest.mark.parametrize("nested", [False, True])
async def test_a_role_by_which_one_could_undo_ones_end_is_refused(
    bench: MysqlBench, system: MySQL, strong: str, nested: bool
) -> None:
    run = bench.running.run
    run("CREATE ROLE strong", "CREATE ROLE outer_role", strong.format("strong"), "GRANT strong TO outer_role")
    name = "outer_role" if nested else "strong"
    let_bot_grant(bench.running, name)
    try:
        order = await bench.order(system, {"member_of": ["app_readers", name]})
        for attempt in (lambda: system.inspect(order), lambda: system.grant(order, Prior(present=False))):
            with pytest.raises(Refused, match=r"never granted.*strong \("):
                await attempt()
        assert await system.verify(order, None) is Presence.ABSENT
    finally:
        run("DROP ROLE outer_role", "DROP ROLE strong")


async def test_what_is_not_there_is_named(bench: MysqlBench, system: MySQL) -> None:
    for params, told in (
        ({"member_of": ["app_readers", "no_such_role"]}, "there is no role no_such_role"),
        ({"member_of": ["root"]}, "there is no role root"),
        ({"member_of": ["app_readers"], "database": "nowhere"}, "there is no database nowhere"),
    ):
        with pytest.raises(Refused, match=told):
            await system.inspect(await bench.order(system, params))


async def test_a_role_that_the_bot_may_not_grant_is_told_with_the_cure(bench: MysqlBench, system: MySQL) -> None:
    bench.running.run("CREATE ROLE beyond_the_bot")
    try:
        with pytest.raises(Refused, match=f"GRANT `beyond_the_bot` TO {ME} WITH ADMIN OPTION"):
            await system.inspect(await bench.order(system, {"member_of": ["beyond_the_bot"]}))
    finally:
        bench.running.run("DROP ROLE beyond_the_bot")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"member_of": []},
        {"member_of": ["jit_j_7k3q_0"]},
        {"member_of": ["a", "a"]},
        {"member_of": ["x" * 129]},
        {"member_of": ["a\x00b"]},
        {"member_of": ["a "]},
        {"member_of": ["PUBLIC"]},
        {"member_of": ["none"]},
        {"member_of": ["a"], "login": "theirs"},
        {"member_of": ["a"], "super": True},
        {"privileges": ["SELECT"]},
        {"privileges": ["SELECT"], "database": "mysql"},
        {"privileges": ["SELECT"], "database": "MySQL"},
        {"privileges": ["SELECT"], "database": "a/b"},
        {"privileges": ["SELECT", "SELECT"], "database": "app"},
        {"privileges": ["GRANT OPTION"], "database": "app"},
        {"privileges": ["ALL"], "database": "app"},
        {"privileges": ["SELECT ON *.* TO x; --"], "database": "app"},
        {"privileges": ["SELECT"], "database": "app", "login": "existing"},
    ],
)
def test_params_that_make_no_sense_are_refused(params: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MysqlParams.model_validate(params)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"url": "hunter2"}, "write mysql://"),
        ({"url": "mysql://jit_bot@127.0.0.1"}, "write mysql://"),
        ({"url": "mysql://u:hunter2@[h/x"}, "write mysql://"),
        ({"url": "mysql://u:hunter2@127.0.0.1:99999"}, "write mysql://"),
        ({"url": "mysql://u:hunter2@127.0.0.1/app"}, "write mysql://"),
        ({"url": "mysql://u:hunter2@127.0.0.1/?local_infile=1"}, "write mysql://"),
        ({"url": "mysql://u:hunter2@db.example.com"}, "on this machine"),
        ({"logins": {"a@x.com": "a", "A@x.com": "b"}}, "more than once"),
        ({"logins": {"ä@x.com": "a"}}, "not ASCII"),
        ({"login_from": "email-local-part"}, "email_domain"),
        ({"host": "10.%' OR 'x"}, "host"),
    ],
)
def test_a_config_that_makes_no_sense_is_told_without_its_password(more: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told) as error:
        MysqlConfig.model_validate(config(3306, **more))
    assert "hunter2" not in str(error.value)


def test_what_it_allows_is_said_beforehand() -> None:
    reads = {"database": "app", "privileges": ["SELECT"]}
    assert MySQL.consequence(reads) == "opens a MariaDB account for the database app: SELECT, read only"
    assert not MySQL.capabilities(reads).can_write
    assert MySQL.capabilities({**reads, "privileges": ["SELECT", "INSERT"]}).can_write
    role = {"member_of": ["app_readers"], "login": "existing"}
    assert MySQL.consequence(role) == (
        "adds to one's own MariaDB account: the role app_readers, can write; may leave objects in the name of a role"
    )
    assert not MySQL.capabilities(role).native_expiry


# passwords and lateness


async def test_a_password_is_never_sent_to_the_server(bench: MysqlBench, system: MySQL) -> None:
    log = bench.running.directory / "general.log"
    bench.running.run(f"SET GLOBAL general_log_file = '{log}'", "SET GLOBAL general_log = ON")
    order, prior, receipt, secret = await opened(bench, system, bench.params)
    bench.running.run("SET GLOBAL general_log = OFF")
    said = log.read_text(errors="replace")
    password = secret.password.get_secret_value()
    assert password_hash(password) in said
    assert password not in said
    assert PASSWORD not in said
    await shut(bench, system, order, prior, receipt)


async def test_a_grant_that_the_server_comes_to_late_is_stopped_there(
    bench: MysqlBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With a fence of no length every grant is late, whichever message it is that was held.
    monkeypatch.setattr("providers.systems.mysql.connection.FENCE_TIMEOUTS", -1)
    late = bench.build()
    order = await bench.order(late)
    assert await granted(late, order, Prior(present=False)) is None
    assert await late.verify(order, None) is Presence.ABSENT


async def test_a_grant_of_which_a_part_is_refused_leaves_nothing(bench: MysqlBench, system: MySQL) -> None:
    order = await bench.order(system)
    prior = await system.inspect(order)
    bench.running.run(f"REVOKE UPDATE ON mysql.* FROM {ME}")
    try:
        with pytest.raises(Refused, match="may not do this"):
            await system.grant(order, prior)
    finally:
        bench.running.run(f"GRANT UPDATE ON mysql.* TO {ME}")
    assert await system.verify(order, None) is Presence.ABSENT
    assert await seen(system, order) == []


# who is found


async def test_who_is_found_how(mariadb: MariaDbServer) -> None:
    accounts = ("kim@'%'", "`kim@example.com`@'%'", "locked@'%'", "elsewhere@'10.1.1.1'", "strong@'%'")
    mariadb.run(*(f"CREATE USER {account}" for account in accounts))
    mariadb.run("ALTER USER locked@'%' ACCOUNT LOCK", "GRANT CREATE USER ON *.* TO strong@'%'")
    params = {"member_of": ["app_readers"], "login": "existing"}

    async def found(email: str, **more: object) -> str:
        principal = Principal(key=email.casefold(), email=email)
        return (await built(mariadb, **more).resolve(principal, params, "J-7K3Q.0")).native

    by_local = {"login_from": "email-local-part", "email_domain": "example.com"}
    assert await found("Kim@example.com", **by_local) == "kim"
    assert await found("kim@example.com", login_from="email") == "kim@example.com"
    assert await found("kim@other.com", logins={"Kim@other.com": "kim"}) == "kim"
    assert await found("elsewhere@example.com", **by_local, host="10.1.1.1") == "elsewhere"
    for email, more in (
        ("kim@evil.com", by_local),
        ("kim@example.com", {}),
        *((f"{name}@example.com", by_local) for name in ("nobody", "root", BOT, "app_readers", "locked", "elsewhere")),
        ("strong@example.com", by_local),
    ):
        with pytest.raises(Refused):
            await found(email, **more)
    mariadb.run(*(f"DROP USER {account}" for account in accounts))


# how it is reached


async def test_over_a_unix_socket(bench: MysqlBench) -> None:
    url = f"mysql://{BOT}:correct-h%C3%B6rse@localhost/?socket={bench.running.socket}"
    system = built(bench.running, url=url, tls=True, address="db.example.com:3307")
    order, prior, receipt, secret = await opened(bench, system, {**bench.params, "database": "app"})
    assert secret.how == (
        f"mariadb --host=db.example.com --port=3307 --user={secret.username} --password --database=app"
    )
    assert system.connect(order, receipt) == secret.how
    await shut(bench, system, order, prior, receipt)


async def test_under_tls_only_a_server_is_spoken_to_that_the_ca_vouches_for(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(_made(tmp_path / "stranger"))
    certificate, key = authority.signed("mariadb", "127.0.0.1")
    with mariadb_server() as server:
        furnish(server)
        with pytest.raises(Unsure, match="doesn't support"):
            await built(server, tls=True, ca=authority.certificate).check()
        server.stop()
        server.start(*_certified(server, certificate, key))
        bench, system = MysqlBench(server), built(server, tls=True, ca=authority.certificate)
        order, prior, receipt, _ = await opened(bench, system, bench.params)
        await shut(bench, system, order, prior, receipt)
        for ca in (stranger.certificate, None):
            with pytest.raises(Unsure, match=r"(?i)certificate"):
                await built(server, tls=True, ca=ca).check()
        with pytest.raises(Unsure, match="cannot connect"):
            await built(server, tls=True, ca=str(tmp_path / "none.pem")).check()


def _certified(server: MariaDbServer, certificate: str, key: str) -> list[str]:
    """Where the server's user can read it."""
    options = []
    for option, path in (("cert", certificate), ("key", key)):
        there = server.directory / Path(path).name
        shutil.copy(path, there)
        there.chmod(0o644)
        options.append(f"--ssl-{option}={there}")
    return options


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


async def test_a_wrong_password_is_told_without_it(mariadb: MariaDbServer) -> None:
    system = built(mariadb, url=f"mysql://{BOT}:hunter2@127.0.0.1:{mariadb.port}")
    with pytest.raises(Unsure, match="Access denied") as told:
        await system.check()
    assert "hunter2" not in str(told.value)


async def test_a_session_that_is_another_ones_is_that_of_a_proxy(mariadb: MariaDbServer) -> None:
    async with behind(mariadb, lambda greeting: _with_thread(greeting, 77)) as port:
        with pytest.raises(Refused, match="a proxy is in front of the server"):
            await built(mariadb, url=f"mysql://{BOT}:correct-h%C3%B6rse@127.0.0.1:{port}").check()


async def test_mysql_is_refused(mariadb: MariaDbServer) -> None:
    """By how it greets, before it is told anything; MySQL's own begins so."""
    called = b"8.0.36-0ubuntu0.22.04.1"

    def greeting(said: bytes) -> bytes:
        end = said.index(b"\0", 5)
        body = said[4:5] + called + said[end:]
        return len(body).to_bytes(3, "little") + said[3:4] + body

    async with behind(mariadb, greeting) as port:
        system = built(mariadb, url=f"mysql://{BOT}:correct-h%C3%B6rse@127.0.0.1:{port}")
        with pytest.raises(Refused, match=r"calls itself 8\.0\.36.*only MariaDB"):
            await system.check()


async def test_a_server_that_asks_for_the_password_itself_is_not_told(mariadb: MariaDbServer) -> None:
    """Without TLS: one that only pretends to be a MariaDB could ask for it."""
    heard: list[bytes] = []
    done = asyncio.Event()

    async def pretends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, away = await asyncio.open_connection("127.0.0.1", mariadb.port)
        writer.write(await there.read(4096))
        away.close()
        heard.append(await reader.read(4096))
        switch = b"\xfemysql_clear_password\0"
        writer.write(len(switch).to_bytes(3, "little") + b"\x02" + switch)
        with contextlib.suppress(OSError):
            heard.append(await reader.read(4096))
        writer.close()
        done.set()

    async with await asyncio.start_server(pretends, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(Unsure, match="asks for the password itself"):
            await built(mariadb, url=f"mysql://{BOT}:correct-h%C3%B6rse@127.0.0.1:{port}").check()
        await done.wait()
    assert b"jit_bot" in heard[0]
    assert PASSWORD.encode() not in b"".join(heard)


def _with_thread(greeting: bytes, thread: int) -> bytes:
    at = greeting.index(b"\0", 5) + 1
    return greeting[:at] + thread.to_bytes(4, "little") + greeting[at + 4 :]


@contextlib.asynccontextmanager
async def behind(server: MariaDbServer, change: Callable[[bytes], bytes]) -> AsyncIterator[int]:
    """A wire to the server on which its greeting is changed."""
    tasks: set[asyncio.Task[None]] = set()

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, away = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(change(await there.read(4096)))
        for source, sink in ((reader, away), (there, writer)):
            tasks.add(asyncio.create_task(_pumped(source, sink)))

    async with await asyncio.start_server(joined, "127.0.0.1", 0) as listener:
        yield listener.sockets[0].getsockname()[1]
        await asyncio.gather(*tasks)


async def _pumped(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while said := await source.read(65536):
            sink.write(said)
    sink.close()
