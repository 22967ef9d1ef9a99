"""Limits, cooldowns and conflicts, as people meet them: what is full, why, and what to do next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.playground import LocalSlack
from tests.access.limited import policy
from tests.journeys.conftest import CHANNEL, Town, running, settings_for
from tests.servers import RedisServer
from tests.worker.test_races_and_kills import met

POLICY = policy(role="{live: 1, cooldown: 1h}", conflicts="[[vault/read-only, billing]]")
LINE = "request debug 30m -- INC-1 the vault is stuck"


@pytest.fixture(params=["http", "socket"])
async def limited(
    request: pytest.FixtureRequest, slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> AsyncIterator[Town]:
    """A workspace with limits, over HTTP and over Socket Mode."""
    slack.add_channel("C0BILL001", "billing", list(slack.world.people))
    async with running(settings_for(slack, redis, request.param, tmp_path, POLICY)) as app:
        if request.param == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if request.param == "socket" else asyncio.sleep(0))
        yield Town(slack, app)


async def counted(town: Town) -> None:
    """Wait until the worker has counted."""
    catalog, read = town.app.context.catalog(), town.app.store.usage.read

    async def known() -> bool:
        return all(
            each.usage is not None for each in (await read(catalog.counted_scopes, catalog.policy_hash)).values()
        )

    await met(known)


async def test_what_is_full_says_when_there_is_room_and_whose_it_is_to_nobody(limited: Town) -> None:
    await counted(limited)
    card, other = await limited.asked("mia"), await limited.asked("kim")
    await limited.dan.click(card, "approve")
    await limited.card(limited.id_of(card), "active until")

    refused = await limited.sam.command("/jit", LINE, CHANNEL)
    assert "`vault/read-only` is full: one request for it has access, the maximum. The next one ends at" in refused.text
    assert "Mia" not in refused.text
    assert limited.id_of(card) not in refused.text
    await limited.sam.command("/jit", "explain debug", CHANNEL)
    explained = limited.sam.ephemerals[-1].said()
    assert "Limits of `vault/read-only`: 1 at a time, not again within 1 h after a denial." in explained
    assert "Nobody may hold both `vault/read-only` and `billing`." in explained
    assert "`vault/read-only` is full" in explained

    await limited.sam.command("/jit", "request debug 30m", CHANNEL)
    form = await limited.sam.sees_view("ask", lambda view: "`vault/read-only` is full" in view.said())
    reply = await limited.sam.submit(form, {"reason": "INC-2 the vault is stuck"})
    assert reply.errors == {}
    await limited.sam.sees_view("note", lambda view: "`vault/read-only` is full" in view.said())

    await limited.dan.click(other, "approve")
    told = await limited.dan.sees_ephemeral(lambda m: "is full" in m.text)
    assert "approve it then" in told.text
    await limited.card(limited.id_of(other), "waiting for approval")

    ended = await limited.mia.command("/jit", f"done {limited.id_of(card)}", CHANNEL)
    assert ended.status == 200
    await limited.card(limited.id_of(card), ":lock: ended")
    await limited.dan.click(other, "approve")
    await limited.card(limited.id_of(other), "active until")


async def test_after_a_denial_and_for_the_other_side_of_a_conflict_the_answer_says_why(limited: Town) -> None:
    await counted(limited)
    card = await limited.asked("mia")
    billing = "request billing/approve 30m -- the books of November"
    refused = await limited.mia.command("/jit", billing, CHANNEL)
    id_ = limited.id_of(card)
    assert f"Nobody may hold both `billing` and `vault/read-only`, and your request {id_} is for" in refused.text

    await limited.dan.click(card, "deny")
    form = await limited.dan.sees_view("deny")
    await limited.dan.submit(form, {"reason": "use the replica"})
    await limited.card(id_, "denied")
    again = await limited.mia.command("/jit", LINE, CHANNEL)
    assert (
        "Your last request for `vault/read-only` was denied less than 1 h ago. You can request it again at"
        in again.text
    )
    assert "You requested" in (await limited.mia.command("/jit", billing, CHANNEL)).text
