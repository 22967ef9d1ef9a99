"""What somebody else puts in the way of an end on a MariaDB, and what is left at one: it comes, and that is named."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pymysql
import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from bot.cli.doctor import systems as doctor_systems
from bot.cli.doctor.checks import gathered
from bot.redaction import Secrets
from providers.systems.base import Order, Outcome, Presence, Prior, Receipt, Refused, Secret, Subject, Unsure
from providers.systems.conformance.bench import seen
from providers.systems.mysql.params import MysqlConfig
from providers.systems.mysql.provider import MySQL
from tests.house import POLICY, catalog
from tests.providers.mariadb import BOT, MINE, PASSWORD, MariaDbServer, does, entered, mariadb_server, reads
from tests.providers.mysql_bench import ME, MysqlBench, SharedMysqlBench, config, furnish

READS, WRITES = {"member_of": ["app_readers"]}, {"member_of": ["app_writers"]}


@dataclass
class Access:
    """One that is open, with a session that stays."""

    bench: MysqlBench
    system: MySQL
    order: Order
    prior: Prior
    receipt: Receipt
    secret: Secret | None
    session: Connection[Cursor]

    @property
    def login(self) -> str:
        return self.order.subject.native

    def run(self, *statements: str) -> list[Any]:
        """As an administrator."""
        return self.bench.running.run(*statements)

    async def revoked(self) -> Outcome:
        return await self.system.revoke(self.order, self.prior, self.receipt)

    async def refused(self) -> str:
        """What a revoke says that cannot be done yet."""
        with pytest.raises((Refused, Unsure)) as told:
            await self.revoked()
        return str(told.value)

    async def over(self) -> Outcome:
        """It is revoked, and nobody can act."""
        outcome = await self.revoked()
        assert outcome.presence is Presence.ABSENT
        await self.nobody_acts()
        assert await self.system.verify(self.order, self.receipt) is Presence.ABSENT
        return outcome

    async def nobody_acts(self) -> None:
        assert not await reads(self.session)
        assert not await self.bench.usable(self.order, self.secret)


async def opened(bench: MysqlBench, params: Mapping[str, Any], **more: Any) -> Access:
    # Enough for a machine that is busy; what is tested is that it ends, not that a connection is quick.
    system = MySQL(MysqlConfig.model_validate({**bench.config(), "timeout": 5.0, **more}))
    order = await bench.order(system, params)
    prior = await system.inspect(order)
    receipt = await system.grant(order, prior)
    secret = await system.reveal(order, receipt) if order.subject.own else None
    session = await bench.as_user(order, secret)
    with contextlib.suppress(pymysql.Error):
        does(session, f"SET ROLE {params['member_of'][0]}")
    assert await reads(session)
    return Access(bench, system, order, prior, receipt, secret, session)


@pytest.fixture
async def own(mariadb: MariaDbServer) -> AsyncIterator[Access]:
    """An order's own account."""
    found = await opened(MysqlBench(mariadb), READS)
    yield found
    closed(found.session)


@pytest.fixture
async def writer(mariadb: MariaDbServer) -> AsyncIterator[Access]:
    """One that may make things."""
    found = await opened(MysqlBench(mariadb), WRITES)
    yield found
    closed(found.session)


@pytest.fixture
async def existing(mariadb: MariaDbServer) -> AsyncIterator[Access]:
    """A person's own account."""
    found = await opened(SharedMysqlBench(mariadb), {**WRITES, "login": "existing"})
    yield found
    closed(found.session)


@pytest.fixture(params=["own", "existing"])
async def maker(request: pytest.FixtureRequest, mariadb: MariaDbServer) -> AsyncIterator[Access]:
    """Either."""
    bench = MysqlBench(mariadb) if request.param == "own" else SharedMysqlBench(mariadb)
    found = await opened(bench, {**WRITES, "login": request.param})
    yield found
    closed(found.session)


def closed(session: Connection[Cursor]) -> None:
    if session.open:
        session.close()


# what another hand did to the account


async def test_an_account_that_another_hand_dropped_has_its_sessions_ended(own: Access) -> None:
    own.run(f"DROP USER {own.login}@'%'")
    assert await reads(own.session), "a session outlives its account"
    assert (await own.over()).killed == 1


async def test_an_account_that_was_made_anew_under_our_name_is_left_alone(own: Access) -> None:
    own.run(f"DROP USER {own.login}@'%'", f"CREATE USER {own.login}@'%' IDENTIFIED BY 'theirs'")
    outcome = await own.revoked()
    assert outcome.presence is Presence.FOREIGN
    assert f"DROP USER `{own.login}`@`%`" in outcome.kept
    assert await own.bench.stands(own.order)
    own.run(f"DROP USER {own.login}@'%'")
    await own.over()


async def test_an_account_whose_mark_was_taken_away_is_nobodys_until_a_person_decides(own: Access) -> None:
    own.run(f"ALTER USER {own.login}@'%' WITH MAX_QUERIES_PER_HOUR 0")
    assert await own.system.verify(own.order, own.receipt) is Presence.FOREIGN
    outcome = await own.revoked()
    assert outcome.presence is Presence.FOREIGN
    own.run(f"DROP USER {own.login}@'%'")
    await own.over()


async def test_an_account_of_our_name_from_elsewhere_is_told(own: Access) -> None:
    own.run(f"CREATE USER {own.login}@'10.1.1.1' IDENTIFIED BY 'theirs'")
    assert await own.system.verify(own.order, own.receipt) is Presence.FOREIGN
    outcome = await own.revoked()
    assert outcome.presence is Presence.FOREIGN
    assert f"DROP USER `{own.login}`@`10.1.1.1`" in outcome.kept
    await own.nobody_acts()
    own.run(f"DROP USER {own.login}@'10.1.1.1'")
    await own.over()


async def test_an_account_that_was_renamed_is_found_by_its_mark(own: Access) -> None:
    own.run(f"RENAME USER {own.login}@'%' TO {own.login}_on@'%'")
    assert await own.system.verify(own.order, own.receipt) is Presence.FOREIGN
    assert f"DROP USER `{own.login}_on`@`%`" in await own.refused()
    assert not await reads(own.session), "who was in under the old name is out"
    assert [each.native for each in await own.system.list_access()].count(f"{own.login}_on") == 1
    own.run(f"DROP USER {own.login}_on@'%'")
    await own.over()


async def test_an_account_that_was_locked_is_not_opened_again_by_a_retry(own: Access) -> None:
    own.run(f"ALTER USER {own.login}@'%' ACCOUNT LOCK")
    with pytest.raises(Refused, match="was closed already"):
        await own.system.grant(own.order, own.prior)
    await own.over()


async def test_an_existing_account_that_was_dropped_has_its_sessions_ended(existing: Access) -> None:
    existing.run(f"DROP USER {existing.login}@'%'")
    assert (await existing.revoked()).presence is Presence.ABSENT
    await existing.nobody_acts()


async def test_of_those_who_may_act_as_a_holder_only_sessions_that_could_be_mapped_are_ended(maker: Access) -> None:
    mapped, plain = (f"{kind}_{secrets.token_hex(4)}" for kind in ("mapped", "plain"))
    maker.run("INSTALL SONAME 'auth_pam_v1'")
    try:
        maker.run(
            f"CREATE USER {mapped}@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('{MINE}') OR pam",
            f"CREATE USER {plain}@'%' IDENTIFIED BY '{MINE}'",
        )
        does(maker.session, *(f"GRANT PROXY ON {maker.login}@'%' TO {name}@'%'" for name in (mapped, plain)))
        sessions = {name: entered(maker.bench.running, name, MINE) for name in (mapped, plain)}
        assert (await maker.revoked()).presence is Presence.ABSENT
        with pytest.raises(pymysql.OperationalError):
            does(sessions[mapped], "SELECT 1")
        assert does(sessions[plain], "SELECT 1")
        for session in sessions.values():
            closed(session)
    finally:
        maker.run(f"DROP USER IF EXISTS {mapped}@'%', {plain}@'%'", "UNINSTALL SONAME 'auth_pam_v1'")


async def test_a_role_that_another_hand_took_back_keeps_nobody_in(existing: Access) -> None:
    existing.run(f"REVOKE app_writers FROM {existing.login}@'%'")
    assert await reads(existing.session), "a session keeps the role that it has turned on"
    assert (await existing.over()).killed == 1


async def test_an_existing_account_that_others_may_act_as_is_given_nothing(mariadb: MariaDbServer) -> None:
    bench = SharedMysqlBench(mariadb)
    mariadb.run(f"CREATE USER {bench.person}_too@'%'", f"GRANT PROXY ON {bench.person}@'%' TO {bench.person}_too@'%'")
    system = bench.build()
    order = await bench.order(system)
    with pytest.raises(Refused, match=f"REVOKE PROXY ON `{bench.person}`@`%` FROM {bench.person}_too@%"):
        await system.inspect(order)
    with pytest.raises(Refused, match="REVOKE PROXY"):
        await system.grant(order, Prior(present=False))
    mariadb.run(f"DROP USER {bench.person}_too@'%'")


async def test_a_role_that_was_dropped_meanwhile_keeps_nobody_in(mariadb: MariaDbServer) -> None:
    mariadb.run("CREATE ROLE passing", "GRANT SELECT ON app.* TO passing", f"GRANT passing TO {ME} WITH ADMIN OPTION")
    access = await opened(MysqlBench(mariadb), {"member_of": ["passing"]})
    mariadb.run("DROP ROLE passing")
    await access.over()
    closed(access.session)


# rights that the bot lost while access was open


@pytest.mark.parametrize("right", ["CREATE USER", "PROCESS", "CONNECTION ADMIN"])
async def test_a_right_that_the_bot_lost_is_named_and_the_end_comes_when_it_is_back(own: Access, right: str) -> None:
    own.run(f"REVOKE {right} ON *.* FROM {ME}")
    try:
        said = await own.refused()
    finally:
        own.run(f"GRANT {right} ON *.* TO {ME}")
    assert f"GRANT {right} ON *.* TO {ME}" in said
    if right != "CONNECTION ADMIN":
        assert not await reads(own.session)
    await own.over()


async def test_without_the_right_to_read_the_accounts_nothing_is_called_closed(own: Access) -> None:
    own.run(f"REVOKE SELECT ON mysql.* FROM {ME}")
    try:
        for attempt in (own.revoked, lambda: own.system.verify(own.order, own.receipt), own.system.list_access):
            with pytest.raises(Refused, match="denied"):
                await attempt()
    finally:
        own.run(f"GRANT SELECT ON mysql.* TO {ME}")
    await own.over()


async def test_an_account_that_cannot_be_dropped_is_shut_all_the_same(
    own: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("providers.systems.mysql.statements.drop", lambda who: "SIGNAL SQLSTATE '45000'")
        assert f"{own.login} is shut, but it is not dropped" in await own.refused()
    await own.nobody_acts()
    with pytest.raises(pymysql.OperationalError, match="locked"):
        await own.bench.as_user(own.order, own.secret)
    assert await own.system.verify(own.order, own.receipt) is Presence.FOREIGN
    await own.over()


async def test_a_role_that_the_bot_may_not_take_back_any_more_is_told_with_the_cure(existing: Access) -> None:
    existing.run(f"REVOKE ADMIN OPTION FOR app_writers FROM {ME}")
    try:
        said = await existing.refused()
    finally:
        existing.run(f"GRANT app_writers TO {ME} WITH ADMIN OPTION")
    assert f"GRANT `app_writers` TO {ME} WITH ADMIN OPTION" in said
    assert (await existing.revoked()).presence is Presence.ABSENT


# the server


async def test_who_locks_the_whole_server_keeps_nobody_in_and_the_end_comes_when_it_is_over(own: Access) -> None:
    with own.bench.running.admin() as admin, admin.cursor() as cursor:
        cursor.execute("FLUSH TABLES WITH READ LOCK")
        system = MySQL(MysqlConfig.model_validate({**own.bench.config(), "timeout": 0.6}))
        with pytest.raises(Unsure, match="locked by somebody else"):
            await system.revoke(own.order, own.prior, own.receipt)
        assert not await reads(own.session)
        cursor.execute("UNLOCK TABLES")
    await own.over()


async def test_a_server_that_takes_no_changes_says_so(own: Access) -> None:
    own.run("SET GLOBAL read_only = ON")
    try:
        for attempt in (own.system.check, lambda: own.system.inspect(own.order)):
            with pytest.raises(Refused, match="read-only"):
                await attempt()
        assert "primary" in await own.refused()
        assert not await reads(own.session)
    finally:
        own.run("SET GLOBAL read_only = OFF")
    await own.over()


async def test_after_a_crash_of_the_server_access_is_closed_on_it() -> None:
    with mariadb_server() as server:
        furnish(server)
        access = await opened(MysqlBench(server), READS)
        server.stop()
        assert "cannot connect" in await access.refused()
        server.start()
        assert await access.bench.usable(access.order, access.secret), "an account outlives a crash"
        await access.over()
        closed(access.session)


async def test_another_server_of_the_same_id_is_not_taken_for_the_one_that_granted(mariadb: MariaDbServer) -> None:
    access = await opened(MysqlBench(mariadb), READS, id="orders")
    with mariadb_server() as replica:
        furnish(replica)
        away = MySQL(MysqlConfig.model_validate(config(replica.port, id="orders")))
        assert (await away.check()).target == access.order.target == "orders"
        for attempt in (
            lambda: away.revoke(access.order, access.prior, access.receipt),
            lambda: away.revoke(access.order, access.prior, None),
            lambda: away.verify(access.order, access.receipt),
        ):
            with pytest.raises(Refused, match=r"another server .* than the one that granted"):
                await attempt()
    assert await reads(access.session)
    await access.over()
    closed(access.session)


async def test_that_sessions_on_replicas_are_not_ended_is_told() -> None:
    with mariadb_server("--log-bin", "--server-id=1") as primary, mariadb_server("--server-id=2") as replica:
        primary.run("CREATE USER repl@'%' IDENTIFIED BY 'r'", "GRANT REPLICATION SLAVE ON *.* TO repl@'%'")
        where = f"MASTER_HOST = '127.0.0.1', MASTER_PORT = {primary.port}, MASTER_USER = 'repl', MASTER_PASSWORD = 'r'"
        replica.run(f"CHANGE MASTER TO {where}, MASTER_USE_GTID = slave_pos", "START SLAVE")
        furnish(primary)
        there = f"SELECT COUNT(*) FROM mysql.global_priv WHERE User = '{BOT}'"
        await holds(lambda: replica.run(there)[0][0] == 1)
        access = await opened(MysqlBench(primary), READS)
        await holds(lambda: replica.run(there.replace(BOT, access.login))[0][0] == 1)
        assert access.secret
        session = entered(replica, access.login, access.secret.password.get_secret_value())
        outcome = await access.over()
        await holds(lambda: replica.run(there.replace(BOT, access.login))[0][0] == 0)
        assert await reads(session), "a session outlives its account, and the bot is not on the replica"
        assert outcome.remains == "sessions on replicas (1), where the bot ends none"
        assert "accounts go on to replicas (1)" in (await access.system.check()).detail
        closed(access.session)
        closed(session)


async def test_a_verb_that_is_cancelled_lets_go_of_its_connection(own: Access) -> None:
    def waits() -> bool:
        found = own.run("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for backup%'")
        return bool(found[0][0])

    with own.bench.running.admin() as admin:
        does(admin, "FLUSH TABLES WITH READ LOCK")
        slow = MySQL(MysqlConfig.model_validate({**own.bench.config(), "timeout": 60.0}))
        task = asyncio.create_task(slow.reveal(own.order, own.receipt))
        await holds(waits)
        threads = {each for each in threading.enumerate() if each.name.startswith("mysql")}
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await holds(lambda: not any(each.is_alive() for each in threads))
        assert threads
        does(admin, "UNLOCK TABLES")
    await own.over()


@pytest.mark.parametrize(
    ("more", "told"),
    [({"version": "11.4"}, r"MariaDB 10\.11, and the config says 11\.4: only 10\.11 is tested")],
)
async def test_a_server_that_was_not_tested_is_refused(mariadb: MariaDbServer, more: Any, told: str) -> None:
    system = MySQL(MysqlConfig.model_validate(config(mariadb.port, **more)))
    order = await MysqlBench(mariadb).order(MysqlBench(mariadb).build())
    for attempt in (system.check, lambda: system.inspect(order), lambda: system.grant(order, Prior(present=False))):
        with pytest.raises(Refused, match=told):
            await attempt()
    assert (await system.revoke(order, None, None)).presence is Presence.ABSENT, "an end is tried on any"


async def test_a_server_that_takes_no_hashes_is_refused_and_what_was_granted_before_ends(own: Access) -> None:
    own.run("INSTALL SONAME 'simple_password_check'")
    try:
        other = own.order.model_copy(
            update={"id": "J-22222222.0", "subject": Subject(native="jit_j_22222222_0", own=True)}
        )
        for attempt in (own.system.check, lambda: own.system.grant(other, Prior(present=False))):
            with pytest.raises(Refused, match="SET GLOBAL strict_password_validation = OFF"):
                await attempt()
        await own.over()
        own.run("SET GLOBAL strict_password_validation = OFF")
        await own.system.check()
    finally:
        own.run("SET GLOBAL strict_password_validation = ON", "UNINSTALL SONAME 'simple_password_check'")


async def test_the_clock_of_the_bots_own_machine_decides_nothing(
    mariadb: MariaDbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = time.time
    for off in (-7200, 7200):
        monkeypatch.setattr(time, "time", lambda off=off: right() + off)
        access = await opened(MysqlBench(mariadb), READS)
        assert await access.system.verify(access.order, access.receipt) is Presence.PRESENT
        await access.over()
        closed(access.session)


async def test_an_anonymous_account_is_refused_with_what_drops_it(mariadb: MariaDbServer) -> None:
    mariadb.run("CREATE USER ''@'localhost'")
    try:
        with pytest.raises(Refused, match="DROP USER ``@`localhost`"):
            await MysqlBench(mariadb).build().check()
    finally:
        mariadb.run("DROP USER ''@'localhost'")


async def test_more_than_it_needs_and_what_it_cannot_see_is_told(mariadb: MariaDbServer) -> None:
    mariadb.run("CREATE USER almighty@'%' IDENTIFIED BY 'x'", "GRANT ALL ON *.* TO almighty@'%' WITH GRANT OPTION")
    url = f"mysql://almighty:x@127.0.0.1:{mariadb.port}"
    assert "WARNING: SUPER" in (await MySQL(MysqlConfig.model_validate(config(mariadb.port, url=url))).check()).detail
    mariadb.run("DROP USER almighty@'%'")
    assert "WARNING" not in (await MysqlBench(mariadb).build().check()).detail
    with blind(mariadb):
        detail = (await MysqlBench(mariadb).build().check()).detail
        assert f"views and triggers are not compared at the end: GRANT SHOW VIEW, TRIGGER ON *.* TO {ME}" in detail


@contextlib.contextmanager
def blind(server: MariaDbServer) -> Iterator[None]:
    """The bot cannot see others' views and triggers."""
    server.run(f"REVOKE SHOW VIEW, TRIGGER ON *.* FROM {ME}")
    try:
        yield
    finally:
        server.run(f"GRANT SHOW VIEW, TRIGGER ON *.* TO {ME}")


# what is left behind


@pytest.mark.parametrize(
    ("kind", "made"),
    {
        "view": "CREATE DEFINER = CURRENT_ROLE VIEW app.{} AS SELECT * FROM app.data",
        "procedure": "CREATE DEFINER = CURRENT_ROLE PROCEDURE app.{}() SELECT word FROM app.data",
        "function": "CREATE DEFINER = CURRENT_ROLE FUNCTION app.{}() RETURNS INT RETURN 1",
        "trigger": "CREATE DEFINER = CURRENT_ROLE TRIGGER app.{} BEFORE INSERT ON app.log FOR EACH ROW SET @x = 1",
    }.items(),
)
async def test_what_was_made_in_a_roles_name_is_named_at_the_end(maker: Access, kind: str, made: str) -> None:
    access = maker
    name = f"left_{secrets.token_hex(4)}"
    does(access.session, "SET timestamp = 1000000000", made.format(name))  # as if it had been there for years
    outcome = await access.revoked()
    access.run(f"DROP {kind} app.{name}")
    assert outcome.presence is Presence.ABSENT
    assert outcome.remains == f"made or changed as app_writers meanwhile: {kind} app.{name}"


async def test_what_stood_before_is_told_only_if_it_was_changed(mariadb: MariaDbServer) -> None:
    same, changed, event = (f"before_{secrets.token_hex(4)}" for _ in range(3))
    mariadb.run(
        *(f"CREATE DEFINER = app_writers PROCEDURE app.{name}() SELECT word FROM app.data" for name in (same, changed)),
        f"CREATE DEFINER = app_writers EVENT app.{event} ON SCHEDULE EVERY 1 HOUR DO DO 1",
    )
    access = await opened(MysqlBench(mariadb), WRITES)
    does(access.session, f"CREATE OR REPLACE DEFINER = CURRENT_ROLE PROCEDURE app.{changed}() SELECT 1")
    outcome = await access.over()
    assert outcome.remains == f"made or changed as app_writers meanwhile: procedure app.{changed}"
    mariadb.run(*(f"DROP PROCEDURE app.{name}" for name in (same, changed)), f"DROP EVENT app.{event}")
    closed(access.session)


async def test_a_view_that_stood_before_is_compared_where_the_bot_may_read_it_and_told_where_not(
    mariadb: MariaDbServer,
) -> None:
    makes = {"member_of": ["hidden_makers"]}
    make = "CREATE OR REPLACE DEFINER = {} VIEW hidden.v AS SELECT {} AS n"
    mariadb.run(
        "CREATE DATABASE hidden",
        "CREATE ROLE hidden_makers",
        "GRANT SELECT, CREATE VIEW, DROP ON hidden.* TO hidden_makers",
        "GRANT SELECT ON app.* TO hidden_makers",
        f"GRANT hidden_makers TO {ME} WITH ADMIN OPTION",
        make.format("hidden_makers", 1),
    )
    told = {
        "hidden": "view hidden.v of a granted role, whose text the bot may not read to see if it was changed",
        "as it was": "",
        "changed": "made or changed as hidden_makers meanwhile: view hidden.v",
    }
    for how, remains in told.items():
        access = await opened(MysqlBench(mariadb), makes)
        if how == "changed":
            does(access.session, make.format("CURRENT_ROLE", 2))
        assert (await access.over()).remains == remains
        closed(access.session)
        mariadb.run(f"GRANT SELECT ON hidden.v TO {ME}")
    mariadb.run("DROP DATABASE hidden", "DROP ROLE hidden_makers", f"REVOKE SELECT ON hidden.v FROM {ME}")


async def test_what_cannot_be_seen_is_told(mariadb: MariaDbServer) -> None:
    with blind(mariadb):
        access = await opened(MysqlBench(mariadb), WRITES)
        assert "views and triggers made as app_writers, which could not be compared" in (await access.over()).remains
        closed(access.session)
    access = await opened(MysqlBench(mariadb), READS)
    assert (await access.over()).remains == "", "who may make nothing leaves nothing"
    closed(access.session)


async def test_an_event_in_a_roles_name_goes_on_so_that_it_is_not_over_before_somebody_drops_it(
    maker: Access,
) -> None:
    access = maker
    name = f"e_{secrets.token_hex(4)}"
    body = f"INSERT INTO app.log VALUES ('{name}')"
    does(access.session, f"CREATE DEFINER = CURRENT_ROLE EVENT app.{name} ON SCHEDULE EVERY 1 SECOND DO {body}")
    said = await access.refused()
    assert f"DROP EVENT `app`.`{name}`" in said
    assert not await reads(access.session)
    access.run(f"DELETE FROM app.log WHERE word = '{name}'")
    count = f"SELECT COUNT(*) FROM app.log WHERE word = '{name}'"
    await holds(lambda: access.run(count)[0][0] > 0)  # it acts indeed
    access.run(f"DROP EVENT app.{name}")
    assert (await access.revoked()).presence is Presence.ABSENT


async def test_where_a_role_has_too_much_to_compare_its_events_are_compared_all_the_same(
    mariadb: MariaDbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, event = f"before_{secrets.token_hex(4)}", f"e_{secrets.token_hex(4)}"
    mariadb.run(f"CREATE DEFINER = app_writers PROCEDURE app.{before}() SELECT 1")
    monkeypatch.setattr("providers.systems.mysql.made._MOST", 0)
    access = await opened(MysqlBench(mariadb), WRITES)
    does(access.session, f"CREATE DEFINER = CURRENT_ROLE EVENT app.{event} ON SCHEDULE EVERY 1 HOUR DO DO 1")
    said = await access.refused()
    assert f"DROP EVENT `app`.`{event}`" in said
    assert f"made as app_writers, before or meanwhile: event app.{event}, procedure app.{before}" in said
    mariadb.run(f"DROP EVENT app.{event}", f"DROP PROCEDURE app.{before}")
    await access.over()
    closed(access.session)


async def test_what_has_the_account_itself_as_its_definer_is_told_and_fails_without_it(writer: Access) -> None:
    name = f"own_{secrets.token_hex(4)}"
    does(writer.session, f"CREATE VIEW app.{name} AS SELECT * FROM app.data")
    assert f"view app.{name} of {writer.login}@%, which fail without it" in (await writer.over()).kept
    with pytest.raises(pymysql.OperationalError, match="does not exist"):
        writer.run(f"SELECT * FROM app.{name}")
    writer.run(f"DROP VIEW app.{name}")


async def test_a_transaction_that_was_prepared_is_named_and_ends_with_a_persons_statement(
    maker: Access,
) -> None:
    access = maker
    gtrid = f"it''s {access.login}"
    does(access.session, f"XA START '{gtrid}', 'b', 7", "INSERT INTO app.log VALUES ('prepared')",
         f"XA END '{gtrid}', 'b', 7", f"XA PREPARE '{gtrid}', 'b', 7")  # fmt: skip
    said = await access.refused()
    assert not await reads(access.session)
    words = said.partition("commit them: ")[2]
    assert words.startswith("XA ROLLBACK ")
    access.run(words)
    assert (await access.revoked()).presence is Presence.ABSENT


async def test_a_transaction_that_was_prepared_before_is_no_matter_of_this_access(mariadb: MariaDbServer) -> None:
    gtrid = secrets.token_hex(4)
    with mariadb.admin() as admin:
        does(admin, f"XA START '{gtrid}'", "INSERT INTO app.log VALUES ('x')", f"XA END '{gtrid}'",
             f"XA PREPARE '{gtrid}'")  # fmt: skip
        access = await opened(MysqlBench(mariadb), READS)
        await access.over()
        does(admin, f"XA ROLLBACK '{gtrid}'")
    closed(access.session)


async def holds(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # another process makes it true
            await asyncio.sleep(0.05)


# what is seen


async def test_a_role_of_the_policy_is_looked_at_on_the_live_server(mariadb: MariaDbServer) -> None:
    system = MysqlBench(mariadb).build()
    assert await system.examine(READS) == []
    assert await system.examine(WRITES) == [
        "members of app_writers can leave objects behind in app that run in its name"
    ]
    with blind(mariadb):
        assert "views and triggers are not compared" in " ".join(await system.examine(WRITES))


DATABASE = """
  db:
    title: Orders
    provider: mysql
    config: {url: "env:URL", tls: off}
    channel: C0VAULT01
    approvers: [dba]
    roles:
      writer: {grants: {member_of: [app_writers]}, max: 1h, may_ask: [everyone]}
      nobody: {grants: {member_of: [no_such_role]}, max: 1h, may_ask: [everyone]}
templates:
"""


async def test_the_doctor_says_what_each_role_would_grant_on_the_live_server(mariadb: MariaDbServer) -> None:
    policy = catalog(POLICY.replace("templates:\n", DATABASE.lstrip("\n"), 1))
    url = f"mysql://{BOT}:correct-h%C3%B6rse@127.0.0.1:{mariadb.port}"
    found = await gathered(doctor_systems.checks(policy, {"URL": url}, known := Secrets()), known)
    said = {finding.check: finding.found for finding in found}
    assert "can leave objects behind in app that run in its name" in said["system db, role writer"]
    assert "there is no role no_such_role" in said["system db, role nobody"]
    assert "correct-h" not in repr(found)
    assert PASSWORD not in repr(found)


async def test_who_has_a_role_that_is_watched_is_listed_and_the_bot_is_not(mariadb: MariaDbServer) -> None:
    bench = SharedMysqlBench(mariadb)
    system = bench.build()
    order = await bench.order(system)
    await bench.stand(order)
    [told] = await seen(system, order)
    assert told.entitlement == f"{order.target}/app_readers/{bench.person}"
    assert BOT not in {each.native for each in await system.list_access()}
