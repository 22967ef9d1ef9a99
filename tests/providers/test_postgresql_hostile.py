"""The holder is the adversary: whatever they do with a login, on each version, it ends and nobody can act by it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from providers.systems.base import Order, Outcome, Presence, Prior, ProviderError, Receipt
from providers.systems.postgresql.params import PostgresConfig
from providers.systems.postgresql.provider import PostgreSQL
from tests.providers import postgres_abilities as abilities
from tests.providers.postgres_abilities import Ability, Holder
from tests.providers.postgres_bench import SAM, PostgresBench, SharedPostgresBench, run
from tests.servers import PostgresServer

GRANTS = {"member_of": ["app_readers", "app_writers"]}
_PATIENCE = 20.0


@dataclass
class Access:
    """An access that is open, its holder, and the provider that has to close it."""

    system: PostgreSQL
    order: Order
    prior: Prior
    receipt: Receipt
    holder: Holder

    async def revoked(self) -> Outcome:
        """Revoke as the worker does, again and again."""
        ends = time.monotonic() + _PATIENCE
        while True:
            try:
                return await self.system.revoke(self.order, self.prior, self.receipt)
            except ProviderError as error:
                if time.monotonic() > ends:
                    raise AssertionError(f"not closed after {_PATIENCE} s: {error}") from error
                await asyncio.sleep(0)

    async def nobody_acts(self) -> None:
        """Past the provider: no session is left, none comes in, nobody can become it, nothing waits to be committed."""
        server, login = self.holder.server, self.holder.login
        await self.holder.rests()
        for session in self.holder.open:
            assert not await self.holder.reads(session)
        assert not await self.holder.can_enter()
        names = f"('{login}', '{self.holder.helper}')"
        own = self.order.subject.own
        if own:
            assert run(server, f"SELECT count(*) FROM pg_roles WHERE rolname = '{login}'") == [(0,)]
            query = "SELECT count(*) FROM pg_stat_activity a WHERE usesysid IS NOT NULL AND NOT EXISTS"
            assert run(server, f"{query} (SELECT FROM pg_roles r WHERE r.oid = a.usesysid)") == [(0,)]
        else:
            held = "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member"
            gone = "m.roleid IN ('app_readers'::regrole, 'app_writers'::regrole)"
            assert run(server, f"{held} WHERE {gone} AND r.rolname IN {names}") == [(0,)]
        assert run(server, f"SELECT gid FROM pg_prepared_xacts WHERE owner = '{login}'") == []


async def opened(bench: PostgresBench, login: str) -> Access:
    # Enough for a machine that is busy; what is tested is that it ends, not that a connection is quick.
    system = PostgreSQL(PostgresConfig.model_validate({**bench.config(), "timeout": 1.0}))
    order = await bench.order(system, {**GRANTS, "login": login})
    prior = await system.inspect(order)
    receipt = await system.grant(order, prior)
    password = SAM
    if login == "own":
        password = (await system.reveal(order, receipt)).password.get_secret_value()
    return Access(system, order, prior, receipt, Holder(bench.running, order.subject.native, password))


@pytest.fixture(params=["own", "existing"])
async def access(request: pytest.FixtureRequest, postgres: PostgresServer) -> AsyncIterator[Access]:
    """An order's own login, or a person's that stood before."""
    bench = PostgresBench(postgres) if request.param == "own" else SharedPostgresBench(postgres)
    found = await opened(bench, request.param)
    yield found
    await found.holder.leave()


@pytest.fixture
async def own(postgres: PostgresServer) -> AsyncIterator[Access]:
    """An order's own login."""
    found = await opened(PostgresBench(postgres), "own")
    yield found
    await found.holder.leave()


@pytest.mark.parametrize("ability", abilities.FOR_ALL, ids=lambda ability: ability.__name__)
async def test_whatever_the_holder_does_access_ends(access: Access, ability: Ability) -> None:
    await ability(access.holder)
    assert (await access.revoked()).presence is Presence.ABSENT
    await access.nobody_acts()


@pytest.mark.parametrize("ability", abilities.FOR_OWN, ids=lambda ability: ability.__name__)
async def test_whatever_is_left_at_a_temporary_login_it_goes(own: Access, ability: Ability) -> None:
    await ability(own.holder)
    assert (await own.revoked()).presence is Presence.ABSENT
    await own.nobody_acts()
