"""A sealed value that one process reads and writes at the same time is never taken for one that was put back."""

from __future__ import annotations

import asyncio

from bot.core.group_members import GroupMembers
from bot.store.store import Store
from bot.store.workspace_values import GROUP_MEMBERS


async def test_a_read_that_a_write_overtakes_doubts_nothing(store: Store) -> None:
    members, done = store.members, asyncio.Event()
    doubts: list[str] = []

    async def look() -> None:
        while not done.is_set():
            await members.read()
            doubts.append(members.doubted)

    readers = [asyncio.create_task(look()) for _ in range(20)]
    for _ in range(50):
        before, _ = await members.read()
        after = GroupMembers(revision=members.next_revision, groups=before.groups)
        await members.write(after, GROUP_MEMBERS, {"by": "worker"}, id_=GROUP_MEMBERS)
    done.set()
    await asyncio.gather(*readers)
    assert set(doubts) == {""}
    assert (await members.read())[0].revision == 50
