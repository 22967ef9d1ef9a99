"""A sealer that is killed again and again, wherever it is, leaves a whole chain with every event in it, once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bot.audit.archive.archive import Archive
from bot.audit.sealer import Sealer
from bot.audit.verify import verify
from bot.core.audit_chain import PURPOSE, Signer
from bot.store.audit_stream import AuditStream
from bot.store.store import Store
from tests.audit.stories import notes
from tests.servers import RedisServer

_KILLS = 4
_ROOT = Path(__file__).parents[2]


async def test_a_sealer_that_is_killed_anywhere_repeats_harmlessly(
    store: Store, redis: RedisServer, tmp_path: Path
) -> None:
    words = [redis.socket_url, store.workspace, str(tmp_path), store.ring.spelled()]
    window, written = AuditStream(store), 0
    for _ in range(_KILLS):
        mark = await window.checkpoint()
        sealed = mark.head.last if mark else 0
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.audit.process", *words, cwd=_ROOT)
        async with asyncio.timeout(60):
            # Killed while there is something to seal: events come all the while.
            while not (mark := await window.checkpoint()) or mark.head.last < sealed + 30:
                await notes(store, 5)
                written += 5
        process.kill()
        await process.wait()
    await store.redis.delete(store.keys.sealer)
    last = Sealer(store, lambda: Archive.open("", tmp_path, create=True), tmp_path, kept=10)
    while await last.once():
        pass
    await last.close()
    archive = Archive.open("", tmp_path)
    assert [entry.seq for entry in archive.entries(store.workspace)] == list(range(1, written + 1))
    report = verify(archive.sealed(store.workspace), (), Signer(store.ring.subkeys(PURPOSE)).trusted)
    assert (report.flaw, report.lost, report.events) == (None, [], written)
    assert await store.redis.xlen(store.keys.audit) == 10
    archive.close()
