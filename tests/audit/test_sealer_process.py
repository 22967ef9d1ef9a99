"""The worker of a whole process seals and archives what happens, with the policy that it happened under."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from bot.audit.archive.archive import Archive
from bot.audit.sealer import signer
from bot.audit.verify import verify
from bot.playground import LocalSlack
from bot.policy.loader import full_text
from tests.audit.stories import notes
from tests.house import POLICY
from tests.journeys.conftest import people, running, settings_for
from tests.servers import RedisServer


async def test_a_worker_archives_events_and_the_policys_text(
    redis: RedisServer, workspace: str, tmp_path: Path
) -> None:
    async with LocalSlack(team=workspace) as slack:
        people(slack)
        settings = settings_for(slack, redis, "http", tmp_path)
        async with running(settings, "worker") as app:
            await notes(app.store, 5)
            async with asyncio.timeout(60):
                while not await app.store.redis.exists(app.store.keys.sealed):  # noqa: ASYNC110  # another part sets it
                    await asyncio.sleep(0.02)
            await notes(app.store, 2)
            generation, trusted = app.catalog.policy_hash, signer(app.ring).trusted
    archive = Archive.open("", tmp_path)
    kept = list(archive.entries(workspace))
    assert [entry.seq for entry in kept] == list(range(1, len(kept) + 1))
    assert [entry.kind for entry in kept].count("refused") == 7, "the last ones at its stop"
    report = verify(archive.sealed(workspace), (), trusted)
    assert (report.flaw, report.trusted) == (None, True)
    assert json.loads(archive.policy(workspace, generation) or "") == {str(tmp_path / "jit.yaml"): POLICY}
    archive.close()


def test_a_policy_file_that_says_something_else_by_now_is_not_archived_as_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "jit.yaml"
    file.write_text(POLICY)
    assert full_text(file, "0123456789abcdef") is None
    file.write_text("version: [")
    assert full_text(file, "0123456789abcdef") is None
