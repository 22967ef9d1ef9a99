"""The doctor looks at what each choice of an input would grant on the live server, and says which could not be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bot.cli.doctor.checks import CheckVerdict
from tests.cli.doctor.examining import Env, look, policy
from tests.house import POLICY
from tests.servers import PostgresServer, postgres_server

SYSTEM = """
  db:
    title: Orders
    provider: postgresql
    config: {dsn: "env:ORDERS_DSN"}
    channel: C0VAULT01
    approvers: [dba]
    roles:
      reader:
        grants: {member_of: [{ask: group}], database: {ask: database}}
        asks: {group: {choice: [order_readers, nobodys]}, database: {choice: [postgres, template1]}}
        max: 1h
        may_ask: [everyone]
      other:
        grants: {member_of: [order_readers], database: {ask: database}}
        asks: {database: {pattern: "[a-z]+", example: nowhere}}
        max: 1h
        may_ask: [everyone]
      many:
        grants: {member_of: [{ask: group}]}
        asks: {group: {choice: [order_readers, a, b, c, d, e, f, g, h, i, j, k]}}
        max: 1h
        may_ask: [everyone]
templates:"""


@pytest.fixture(scope="module")
def orders() -> Iterator[PostgresServer]:
    """A server with one role to grant."""
    with postgres_server() as server:
        with psycopg.connect(server.dsn, autocommit=True) as admin:
            admin.execute("CREATE ROLE order_readers NOLOGIN")
        yield server


async def test_each_choice_is_looked_at_and_named_where_it_could_not_be_granted(
    env: Env, tmp_path: Path, orders: PostgresServer
) -> None:
    text = policy(tmp_path, POLICY.replace("\ntemplates:", SYSTEM))
    found = await look(env, ORDERS_DSN=orders.dsn, JIT_POLICY=text)
    named = [finding.check for finding in found.of("system db, role reader") if finding.verdict is CheckVerdict.WRONG]
    assert named == ["system db, role reader, with group=nobodys, database=postgres"]
    assert "could not be granted" in found.said("system db, role reader, with group=nobodys")


async def test_an_example_that_is_not_there_is_no_fault(env: Env, tmp_path: Path, orders: PostgresServer) -> None:
    text = policy(tmp_path, POLICY.replace("\ntemplates:", SYSTEM))
    found = await look(env, ORDERS_DSN=orders.dsn, JIT_POLICY=text)
    assert not any(check.startswith("system db, role other") for check in found.wrong())
    [other] = found.of("system db, role other")
    assert "this example could not be granted: there is no database nowhere" in other.found
    last = found.of("system db, role many")[-1]
    assert "of 12 choices, only the first 10 were looked at" in f"{last.found} {last.fix}"
