"""Another server answers as the store: each decision that was acknowledged here and is not there is told, no other."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.access import answer, ask, own_request
from bot.access.answer import AnswerForm
from bot.core.errors import StoreAway
from bot.core.request import Request, State
from bot.store.indexes.recent_decisions import Acknowledged
from bot.store.keyring import KeyRing
from bot.store.keys import Keys
from bot.store.redis.client import Link
from bot.store.store import Store
from bot.worker.lost_writes import LostWrites
from tests.house import House
from tests.servers import RedisServer, redis_binary, redis_server, start_redis

HOME = "TFORGOT"


@dataclass
class Memory:
    """A house over a server whose data the test puts back, and what this process remembers of it."""

    server: RedisServer
    house: House
    forgotten: LostWrites
    copies: Path
    running: list[Any] = field(default_factory=list)

    def copy(self) -> None:
        """From here on nothing will be remembered."""
        shutil.copytree(self.server.directory / "appendonlydir", self.copies / "copy")

    def comes_back(self, *, with_what_it_had: bool = False) -> None:
        """The server dies, and another process answers: on the copy, or on all that was written."""
        process = self.running[-1] if self.running else self.server.process
        process.kill()
        process.wait()
        if not with_what_it_had:
            shutil.rmtree(self.server.directory / "appendonlydir")
            shutil.copytree(self.copies / "copy", self.server.directory / "appendonlydir")
        self.running.append(start_redis(redis_binary(), self.server.directory, self.server.port))

    async def told(self) -> list[dict[str, Any]]:
        """The alarms in the audit trail, each of which has its message."""
        keys, redis = self.house.store.keys, self.house.store.redis
        trail: Any = await redis.xrange(keys.audit)
        rows: Any = await redis.hkeys(keys.rows)
        alarms = [json.loads(e[b"event"]) for _, e in trail if e[b"kind"] == b"alarm"]
        assert len(alarms) == sum(row.startswith(b"forgotten|forgotten:") for row in rows)
        return alarms

    async def withdrawn(self, request: Request) -> Request:
        return await own_request.release(self.house.context, self.house.actor("mia"), request.id)


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[Memory]:
    with redis_server() as server:
        link, acknowledged = Link(server.socket_url), Acknowledged()
        store = Store(link.commands(Keys(HOME).due), HOME, KeyRing({"k1": bytes(32)}), watch=acknowledged.heard)
        memory = Memory(server, await House(store).open(), LostWrites(store, acknowledged), tmp_path)
        await memory.forgotten.search()
        yield memory
        await link.aclose()
        for process in memory.running:
            process.kill()
            process.wait()


async def test_each_decision_that_is_not_there_any_more_is_told_with_who_made_it(memory: Memory) -> None:
    house = memory.house
    kept, open_ = await house.ask("kim"), await house.granted()
    memory.copy()
    asked = await house.ask("eve", "vault/shared")
    await house.approve("dan", asked.id)
    await own_request.cancel(house.context, house.actor("kim"), kept.id)
    await memory.withdrawn(open_)
    await house.work()
    memory.comes_back()

    lost = await memory.forgotten.search()
    assert [(d.request, d.kind, d.by) for d in lost] == [
        (asked.id, "submitted", "UEVE"),
        (asked.id, "approved", "UDAN"),
        (kept.id, "cancelled", "UKIM"),
        (open_.id, "ended_early", "UMIA"),
    ]
    [alarm] = await memory.told()
    assert (alarm["alarm"], alarm["count"]) == ("forgotten", 4)
    assert [line.partition(" · ")[0] for line in alarm["said"]] == [asked.id, asked.id, kept.id, open_.id]
    assert alarm["said"][1].endswith("dan@example.com approved vault/shared")
    assert await memory.forgotten.search() == ()
    assert len(await memory.told()) == 1


async def test_a_question_and_an_answer_that_are_not_there_any_more_are_told(memory: Memory) -> None:
    house = memory.house
    request = await house.ask()
    memory.copy()
    await ask.ask(house.context, house.actor("dan"), request.id, "Which table?")
    await answer.answer(house.context, house.actor("mia"), request.id, 1, AnswerForm(text="orders"))
    memory.comes_back()
    await memory.forgotten.search()
    [alarm] = await memory.told()
    assert [line.partition(" · ")[2].partition(" · ")[2] for line in alarm["said"]] == [
        "dan@example.com asked the requester of vault/read-only a question",
        "mia@example.com answered a question about vault/read-only",
    ]


async def test_a_server_that_is_only_started_again_has_forgotten_nothing(memory: Memory) -> None:
    request = await memory.house.granted()
    await memory.withdrawn(request)
    memory.comes_back(with_what_it_had=True)
    assert await memory.forgotten.search() == []
    assert await memory.told() == []


async def test_another_decision_in_the_place_of_one_that_was_forgotten_does_not_hide_it(memory: Memory) -> None:
    house = memory.house
    request = await house.ask()
    memory.copy()
    await house.approve("dan", request.id)
    memory.comes_back()
    cancelled = await own_request.cancel(house.context, house.actor("mia"), request.id)
    assert cancelled.state is State.CANCELLED
    assert [(d.kind, d.by) for d in await memory.forgotten.search()] == [("approved", "UDAN")]


async def test_a_store_that_is_empty_has_forgotten_all_of_it(memory: Memory) -> None:
    memory.copy()
    await memory.house.ask()
    await memory.house.ask("kim")
    memory.comes_back()
    await memory.house.open()
    await memory.house.ask("dan")
    assert [d.by for d in await memory.forgotten.search()] == ["UMIA", "UKIM"]


async def test_what_was_archived_and_trimmed_is_not_lost(memory: Memory) -> None:
    request = await memory.house.ask()
    await memory.house.approve("dan", request.id)
    keys, redis = memory.house.store.keys, memory.house.store.redis
    last: Any = await redis.get(keys.seq)
    await memory.house.ask("kim")
    await redis.xtrim(keys.audit, minid=f"{int(last) + 1}-0", approximate=False)
    memory.comes_back(with_what_it_had=True)
    assert await memory.forgotten.search() == []


async def test_while_the_store_is_away_nothing_is_forgotten_and_later_it_is_looked_at(memory: Memory) -> None:
    memory.copy()
    await memory.house.ask()
    memory.server.process.kill()
    memory.server.process.wait()
    with pytest.raises(StoreAway):
        await memory.forgotten.search()
    memory.comes_back()
    assert [d.by for d in await memory.forgotten.search()] == ["UMIA"]


async def test_only_what_is_lately_decided_by_somebody_is_remembered(memory: Memory) -> None:
    await memory.house.granted()
    remembered = memory.forgotten.acknowledged
    assert [d.kind for d in remembered.latest()] == ["submitted", "approved"]
    remembered.kept = 0.0
    assert remembered.latest() == []
