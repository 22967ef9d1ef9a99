"""How somebody gets in is told by each of our providers, to be copied as it is, and with no secret in it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import pytest

from providers.systems.base import Connecting, Order, Principal, Receipt, Subject
from providers.systems.mysql.params import MysqlConfig
from providers.systems.mysql.provider import MySQL
from providers.systems.postgresql.params import PostgresConfig
from providers.systems.postgresql.provider import PostgreSQL
from providers.systems.redis_acl import RedisAcl, RedisConfig
from providers.systems.sandbox import Sandbox, SandboxConfig

PASSWORD = "hunter2-of-the-bot"
RECEIPT = Receipt(native="a", facts={"valid_until": 1})


def order(account: str, params: Mapping[str, Any]) -> Order:
    return Order(
        id="J-7K3Q.0",
        principal=Principal(key="mia@example.com", email="mia@example.com"),
        subject=Subject(native=account, own=True),
        params=params,
        not_after=1_800_000_000,
        target="t",
    )


def postgres(dsn: str, **more: Any) -> PostgreSQL:
    return PostgreSQL(PostgresConfig.model_validate({"dsn": dsn, **more}))


def mysql(url: str, **more: Any) -> MySQL:
    return MySQL(MysqlConfig.model_validate({"url": url, **more}))


def redis(url: str, **more: Any) -> RedisAcl:
    return RedisAcl(RedisConfig.model_validate({"url": url, **more}))


@pytest.mark.parametrize(
    ("system", "account", "said"),
    [
        (
            postgres(f"postgresql://jit_bot:{PASSWORD}@db.example.com:5433/app?sslmode=require"),
            "jit_j_7k3q_0",
            ["psql", "host=db.example.com port=5433 dbname=app user=jit_j_7k3q_0 sslmode=require"],
        ),
        (
            postgres(f"host=10.0.0.7 user=jit_bot password={PASSWORD} dbname='an app'", address="db.example.com:6432"),
            "o'neil $(id)",
            ["psql", r"host=db.example.com port=6432 dbname='an app' user='o\'neil $(id)'"],
        ),
        (
            mysql(f"mysql://jit_bot:{PASSWORD}@db.example.com:3307"),
            "jit_j_7k3q_0",
            shlex.split("mariadb --host=db.example.com --port=3307 --user=jit_j_7k3q_0 --password"),
        ),
        (
            mysql(f"mysql://jit_bot:{PASSWORD}@10.0.0.7", address="db.example.com"),
            "o'neil $(id)",
            ["mariadb", "--host=db.example.com", "--port=3306", "--user=o'neil $(id)", "--password"],
        ),
        (
            redis(f"rediss://jit:{PASSWORD}@cache.example.com:6380/0"),
            "jit-j-7k3q-0",
            shlex.split("redis-cli -h cache.example.com -p 6380 --tls --user jit-j-7k3q-0 --askpass"),
        ),
        (
            redis(f"unix://jit:{PASSWORD}@/run/a server/s.sock"),
            "jit-j-7k3q-0",
            ["redis-cli", "-s", "/run/a server/s.sock", "--user", "jit-j-7k3q-0", "--askpass"],
        ),
        (Sandbox(SandboxConfig()), "jit-j-7k3q-0", ["knock", "at", "vault", "as", "jit-j-7k3q-0"]),
    ],
    ids=["postgresql", "postgresql, odd names", "mysql", "mysql, odd names", "redis", "redis, unix socket", "sandbox"],
)
def test_it_can_be_copied_as_it_is_and_bears_no_secret(system: Connecting, account: str, said: list[str]) -> None:
    door, member = {"door": "vault", "secret": True}, {"member_of": ["app_readers"]}
    told = system.connect(order(account, member if isinstance(system, PostgreSQL | MySQL) else door), RECEIPT)
    assert shlex.split(told) == said
    assert PASSWORD not in told
    assert len(told) < 500
    assert told.isprintable()


def test_an_existing_account_turns_its_role_on_in_the_database_that_was_chosen() -> None:
    system = mysql(f"mysql://jit_bot:{PASSWORD}@db.example.com")
    params = {"member_of": ["app`s $(id)"], "database": "an app", "login": "existing"}
    theirs = order("sam", params).model_copy(update={"subject": Subject(native="sam", own=False)})
    said = shlex.split(system.connect(theirs, RECEIPT))
    assert said[3:] == ["--user=sam", "--password", "--init-command=SET ROLE `app``s $(id)`", "--database=an app"]
