"""The provider ``postgresql`` on a real server, as a bot that is no superuser."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import ValidationError

from providers.systems.base import Presence, Principal, Prior, Refused
from providers.systems.conformance.bench import granted, shut
from providers.systems.conformance.closing import ClosingConformance
from providers.systems.conformance.connecting import ConnectingConformance
from providers.systems.conformance.extending import ExtendingConformance
from providers.systems.conformance.failing import FailingStepConformance
from providers.systems.conformance.failover import FailoverConformance
from providers.systems.conformance.rights import RightsConformance
from providers.systems.conformance.server import ServerConformance
from providers.systems.conformance.suite import (
    OwnConformance,
    RevealingConformance,
    SharedConformance,
)
from providers.systems.postgresql.params import PostgresConfig, PostgresParams
from providers.systems.postgresql.provider import PostgreSQL
from providers.systems.postgresql.session import GRANTOR_SCOPED
from tests.providers.postgres_bench import (
    BOT,
    PASSWORD,
    PostgresBench,
    SharedPostgresBench,
    furnish,
    let_bot_grant,
    owner_of,
    run,
    version,
)
from tests.servers import PostgresServer, postgres_server


@pytest.fixture
def server(postgres: PostgresServer) -> PostgresServer:
    return postgres


@pytest.fixture(scope="session")
def another_postgres() -> Iterator[PostgresServer]:
    """One that has nothing of the first."""
    with postgres_server() as server:
        furnish(server)
        yield server


class TestOwnLogin(
    OwnConformance,
    RightsConformance,
    FailingStepConformance,
    FailoverConformance,
    RevealingConformance,
    ClosingConformance,
    ConnectingConformance,
    ExtendingConformance,
    ServerConformance,
):
    """A temporary login."""

    @pytest.fixture
    def bench(self, server: PostgresServer, another_postgres: PostgresServer) -> PostgresBench:
        """On this worker's server."""
        return PostgresBench(server, another_postgres)


class TestExistingLogin(SharedConformance, ConnectingConformance, ExtendingConformance, ServerConformance):
    """Membership of a login that stood before."""

    @pytest.fixture
    def bench(self, server: PostgresServer) -> SharedPostgresBench:
        """With a person of the test's own."""
        return SharedPostgresBench(server)


@pytest.fixture
def bench(server: PostgresServer) -> PostgresBench:
    return PostgresBench(server)


@pytest.fixture
async def system(bench: PostgresBench) -> AsyncIterator[PostgreSQL]:
    system = PostgreSQL(PostgresConfig.model_validate(bench.config()))
    yield system
    await system.close()


async def test_what_was_made_is_handed_over_and_kept(bench: PostgresBench, system: PostgreSQL) -> None:
    order = await bench.order(system, {"member_of": ["app_writers", "app_readers"]})
    prior = await system.inspect(order)
    receipt = await system.grant(order, prior)
    table, schema = f"t_{secrets.token_hex(4)}", "public"
    async with bench.as_user(order, await system.reveal(order, receipt)) as user:
        await user.execute(f"CREATE TABLE {schema}.{table} (n int); INSERT INTO {table} VALUES (7)".encode())
        await user.execute(f"GRANT SELECT ON {table} TO app_readers".encode())
        outcome = await system.revoke(order, prior, receipt)
    assert outcome.presence is Presence.ABSENT
    assert outcome.kept == "1 objects in app belong to jit_leftovers now"
    assert owner_of(bench.running, table) == "jit_leftovers"
    assert run(bench.running, f"SELECT n FROM {table}", dbname="app") == [(7,)]


async def test_a_function_gains_no_rights_by_being_handed_over(bench: PostgresBench, system: PostgreSQL) -> None:
    order = await bench.order(system, {"member_of": ["app_writers"]})
    prior = await system.inspect(order)
    receipt = await system.grant(order, prior)
    name = f"f_{secrets.token_hex(4)}"
    async with bench.as_user(order, await system.reveal(order, receipt)) as user:
        body = "SELECT pg_has_role(current_user, 'pg_signal_backend', 'MEMBER')"
        await user.execute(
            f"CREATE FUNCTION {name}() RETURNS bool LANGUAGE sql SECURITY DEFINER AS $${body}$$".encode()
        )
    # The login is closed at once; what it takes to finish is said.
    with pytest.raises(Refused, match='GRANT CREATE ON SCHEMA "public" TO "jit_leftovers"'):
        await system.revoke(order, prior, receipt)
    assert await system.verify(order, receipt) is not Presence.PRESENT
    run(bench.running, "GRANT CREATE ON SCHEMA public TO jit_leftovers", dbname="app")
    await shut(bench, system, order, prior, receipt)
    assert run(bench.running, f"SELECT {name}()", dbname="app") == [(False,)]


async def test_left_overs_never_go_to_a_role_with_rights(bench: PostgresBench) -> None:
    config = {**bench.config(), "objects_to": BOT}
    with pytest.raises(Refused, match="too strong"):
        await PostgreSQL(PostgresConfig.model_validate(config)).check()


@pytest.mark.parametrize("role", ["app_deployers", "through_deployers", "postgres"])
async def test_a_role_that_could_undo_its_end_is_refused(bench: PostgresBench, system: PostgreSQL, role: str) -> None:
    order = await bench.order(system, {"member_of": ["app_readers", role]})
    for attempt in (lambda: system.inspect(order), lambda: system.grant(order, Prior(present=False))):
        with pytest.raises(Refused, match="never granted"):
            await attempt()
    assert await system.verify(order, None) is Presence.ABSENT


async def test_a_role_that_is_not_there_is_named(bench: PostgresBench, system: PostgreSQL) -> None:
    order = await bench.order(system, {"member_of": ["app_readers", "no_such_role"]})
    with pytest.raises(Refused, match="no_such_role"):
        await system.grant(order, await system.inspect(order))
    assert await system.verify(order, None) is Presence.ABSENT


@pytest.mark.parametrize(
    "params",
    [
        {"member_of": []},
        {"member_of": ["pg_execute_server_program"]},
        {"member_of": ["pg_signal_backend"]},
        {"member_of": ["jit_j_7k3q_0"]},
        {"member_of": ["a", "a"]},
        {"member_of": ["x" * 64]},
        {"member_of": ["a\x00b"]},
        {"member_of": ["a"], "login": "theirs"},
        {"member_of": ["a"], "superuser": True},
    ],
)
def test_params_that_make_no_sense_are_refused(params: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PostgresParams.model_validate(params)


async def test_a_role_that_the_bot_may_not_grant_is_told_with_the_cure(
    bench: PostgresBench, system: PostgreSQL
) -> None:
    run(bench.running, "CREATE ROLE beyond_the_bot")
    order = await bench.order(system, {"member_of": ["beyond_the_bot"]})
    if version(bench.running) < GRANTOR_SCOPED:
        # There, CREATEROLE grants every role that is not a superuser.
        assert not (await system.inspect(order)).present
        return
    with pytest.raises(Refused, match='GRANT "beyond_the_bot" TO "jit_bot" WITH ADMIN TRUE'):
        await system.inspect(order)


async def test_a_name_is_never_read_as_sql(bench: PostgresBench, system: PostgreSQL) -> None:
    evil = 'x"; ALTER ROLE jit_bot SUPERUSER; --'
    run(bench.running, 'CREATE ROLE "x""; ALTER ROLE jit_bot SUPERUSER; --"')
    let_bot_grant(bench.running, evil)
    order = await bench.order(system, {"member_of": [evil]})
    prior = await system.inspect(order)
    receipt = await system.grant(order, prior)
    assert await system.verify(order, receipt) is Presence.PRESENT
    await shut(bench, system, order, prior, receipt)
    assert "WARNING" not in (await system.check()).detail


async def test_a_login_becomes_invalid_by_itself(bench: PostgresBench, system: PostgreSQL) -> None:
    order = (await bench.order(system)).model_copy(update={"not_after": 1_000_000_000.5})
    receipt = await system.grant(order, await system.inspect(order))
    secret = await system.reveal(order, receipt)
    assert not await bench.usable(order, secret)
    assert run(bench.running, _until(order.subject.native)) == [(1_000_000_301,)]
    await system.revoke(order, Prior(present=False), receipt)


async def test_a_password_is_never_sent_to_the_server(bench: PostgresBench, system: PostgreSQL) -> None:
    run(bench.running, f"ALTER ROLE {BOT} SET log_statement = 'all'")
    order = await bench.order(system)
    receipt = await system.grant(order, await system.inspect(order))
    secret = await system.reveal(order, receipt)
    run(bench.running, f"ALTER ROLE {BOT} RESET log_statement")
    log = (bench.running.directory / "server.log").read_text()
    assert f'ALTER ROLE "{secret.username}" PASSWORD' in log
    assert secret.password.get_secret_value() not in log
    await system.revoke(order, Prior(present=False), receipt)


async def test_a_grant_that_the_server_comes_to_late_is_stopped_there(
    bench: PostgresBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With a fence of no length every grant is late, whichever message it is that was held.
    monkeypatch.setattr("providers.systems.postgresql.connection.FENCE_TIMEOUTS", -1)
    late = PostgreSQL(PostgresConfig.model_validate(bench.config()))
    order = await bench.order(late)
    assert await granted(late, order, Prior(present=False)) is None
    assert await late.verify(order, None) is Presence.ABSENT


async def test_a_superuser_is_more_than_it_needs(bench: PostgresBench) -> None:
    health = await PostgreSQL(PostgresConfig.model_validate({"dsn": bench.running.dsn})).check()
    assert "WARNING: a superuser" in health.detail


async def test_a_bot_without_its_rights_is_told_what_to_grant(bench: PostgresBench) -> None:
    run(bench.running, "CREATE ROLE weak_bot LOGIN PASSWORD 'weak'")
    dsn = f"postgresql://weak_bot:weak@127.0.0.1:{bench.running.port}/postgres"
    with pytest.raises(Refused) as told:
        await PostgreSQL(PostgresConfig.model_validate({"dsn": dsn})).check()
    assert 'ALTER ROLE "weak_bot" CREATEROLE' in str(told.value)
    assert 'GRANT pg_signal_backend TO "weak_bot"' in str(told.value)


@pytest.mark.parametrize("dsn", ["hunter2", "host=x pasword=hunter2", "postgresql://u:hunter2@[h/x"])
async def test_a_wrong_dsn_is_told_without_its_password(dsn: str) -> None:
    with pytest.raises(Refused) as told:
        await PostgreSQL(PostgresConfig.model_validate({"dsn": dsn})).check()
    assert "hunter2" not in str(told.value)
    assert told.value.__cause__ is None


async def test_over_a_unix_socket(bench: PostgresBench) -> None:
    dsn = f"host={bench.running.directory} port={bench.running.port} user=postgres dbname=app"
    system = PostgreSQL(PostgresConfig.model_validate({"dsn": dsn, "address": "db.example.com:5433"}))
    order = await bench.order(system)
    prior = await system.inspect(order)
    receipt = await system.grant(order, prior)
    secret = await system.reveal(order, receipt)
    assert secret.how == f"psql 'host=db.example.com port=5433 dbname=app user={secret.username}'"
    assert system.connect(order, receipt) == secret.how
    await shut(bench, system, order, prior, receipt)


async def test_who_is_found_how(server: PostgresServer) -> None:
    run(server, "CREATE ROLE kim LOGIN", 'CREATE ROLE "kim@example.com" LOGIN', "CREATE ROLE kim_group")
    params = {"member_of": ["app_readers"], "login": "existing"}

    async def found(email: str, **config: object) -> str:
        dsn = f"postgresql://{BOT}:{PASSWORD}@127.0.0.1:{server.port}/postgres"
        system = PostgreSQL(PostgresConfig.model_validate({"dsn": dsn, **config}))
        principal = Principal(key=email.casefold(), email=email)
        return (await system.resolve(principal, params, "J-7K3Q.0")).native

    by_local = {"login_from": "email-local-part", "email_domain": "example.com"}
    assert await found("Kim@example.com", **by_local) == "kim"
    assert await found("kim@example.com", login_from="email") == "kim@example.com"
    assert await found("kim@other.com", logins={"Kim@other.com": "kim"}) == "kim"
    for email, config in (
        ("kim@evil.com", by_local),
        ("kim@example.com", {}),
        ("nobody@example.com", by_local),
        ("postgres@example.com", by_local),
        (f"{BOT}@example.com", by_local),
        ("kim_group@example.com", by_local),
    ):
        with pytest.raises(Refused):
            await found(email, **config)


def test_a_config_that_could_find_two_people_is_refused() -> None:
    with pytest.raises(ValidationError, match="more than once"):
        PostgresConfig.model_validate({"dsn": "x", "logins": {"a@x.com": "a", "A@x.com": "b"}})
    with pytest.raises(ValidationError, match="email_domain"):
        PostgresConfig.model_validate({"dsn": "x", "login_from": "email-local-part"})


def _until(name: str) -> str:
    return f"SELECT extract(epoch FROM rolvaliduntil)::int FROM pg_roles WHERE rolname = '{name}'"
