"""A policy that is loaded while the bot runs, as an operator sees it: real processes, SIGHUP, a file that changes."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.core.errors import StoreAway
from bot.playground import LocalSlack
from bot.policy import loader
from bot.policy.problems import PolicyMistakes
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, running, settings_for
from tests.journeys.test_processes import Bot, Site, id_of, own_redis, site, until
from tests.servers import RedisServer

__all__ = ["own_redis", "site"]

AUDIT = "C0AUDIT01"
NOW = "the policy is {} now"


def write(site: Site, change: Callable[[str], str], name: str = "jit.yaml") -> str:
    """Replace the policy in one step, as a careful deploy does; its generation, where it has no mistake."""
    text, file = change(site.policy), site.home / name
    draft = Path(f"{file}.new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(file)
    return generation(file)


def generation(file: Path) -> str:
    try:
        return loader.load(file).policy_hash
    except PolicyMistakes:
        return ""


async def has_loaded(bot: Bot, generation: str) -> None:
    async def loaded() -> bool:
        return NOW.format(generation) in bot.said

    await until(loaded, f"{bot.role} to load {generation}")


async def is_told(bot: Bot, said: str) -> None:
    """Wait until ``/readyz`` says it of a process that is ready all the same; '' for nothing."""

    async def tells() -> bool:
        status, text = await bot.asked("/readyz")
        found = json.loads(text or "{}")
        return status == 200 and (said in found.get("policy", "") if said else found == {"ready": True})

    await until(tells, f"/readyz to say {said!r}")


def to_security(text: str) -> str:
    return text.replace("approvers: [dba]", "approvers: [security]", 1)


def broken(text: str) -> str:
    return text.replace("approvers: [dba]", "aprovers: [dba]", 1)


async def audit(site: Site, said: str) -> int:
    """How many messages in the audit channel say it, once there is one and nothing is left to tell."""
    await site.slack.sees(AUDIT, lambda m: said in m.said(), patience=30)
    await site.told()
    return sum(said in message.said() for message in site.slack.messages(AUDIT))


async def test_sighup_has_a_policy_in_force_at_once_and_a_pending_request_is_decided_by_it(site: Site) -> None:
    bot = await site.run("all")
    card = await site.asked()
    new = write(site, to_security)
    bot.process.send_signal(signal.SIGHUP)
    await has_loaded(bot, new)
    dan, sam = site.slack.person("UDAN"), site.slack.person("USAM")
    await dan.click(card, "approve")
    await dan.sees_ephemeral(lambda m: "Only `security` can approve this." in m.said())
    await sam.click(card, "approve")
    await site.card(id_of(card), "active until")
    assert await audit(site, "sam@example.com: approve `vault/read-only`") == 1
    assert await bot.stopped() == 0


async def test_processes_apart_load_a_file_that_changes_with_its_new_system_and_go_on(site: Site) -> None:
    web, worker = await asyncio.gather(site.run("web"), site.run("worker"))
    card = await site.asked()
    system = cellar(site)[site.policy.index("systems:") :]
    new = write(site, lambda text: text.replace("systems:\n", system, 1))
    await asyncio.gather(has_loaded(web, new), has_loaded(worker, new))
    await site.slack.person("UDAN").click(card, "approve")
    await site.card(id_of(card), "active until")
    reply = await site.slack.person("UMIA").command("/jit", "request cellar/enter 30m -- INC-2 wine", CHANNEL)
    second = await site.card(reply.text.split(" (")[1][:6], "waiting for approval")
    await site.slack.person("USAM").click(second, "approve")
    await site.card(id_of(second), "active until")
    assert sorted(await site.standing()) == sorted([id_of(card), id_of(second)])
    assert await audit(site, "loaded a new policy") == 1


def cellar(site: Site) -> str:
    """A system of its own, with everything that a policy has beside its systems."""
    text, config = site.policy, json.dumps({"path": str(site.home / "doors"), "id": "cellar"})
    return f"""{text[: text.index("systems:")]}systems:
  cellar:
    title: Cellar
    provider: sandbox
    config: {config}
    channel: {CHANNEL}
    approvers: [security]
    roles: {{enter: {{grants: {{door: cellar}}, max: 1h, may_ask: [everyone]}}}}
"""


@pytest.mark.parametrize("how", ["removed", "another config"])
async def test_access_that_is_open_is_revoked_though_its_system_was_removed_or_changed(site: Site, how: str) -> None:
    bot = await site.run("all")
    id_, _ = await site.opened()
    assert await site.standing() == [id_]
    other = site.policy.replace('"settles_within": 1.0', '"settles_within": 1.5', 1)
    new = write(site, lambda _: cellar(site) if how == "removed" else other)
    bot.process.send_signal(signal.SIGHUP)
    await has_loaded(bot, new)
    await site.slack.person("UMIA").command("/jit", f"done {id_}", CHANNEL)
    await site.card(id_, ":lock: ended")
    assert await site.standing() == []


async def test_a_file_with_mistakes_keeps_the_policy_and_is_told_everywhere_once_until_it_is_good(site: Site) -> None:
    web, worker = await asyncio.gather(site.run("web"), site.run("worker"))
    old = generation(site.home / "jit.yaml")
    write(site, broken)
    for bot in (web, worker):
        await is_told(bot, f"the policy file cannot be used, so policy {old} stays in force: ")
        await is_told(bot, "jit.yaml:")
    assert await audit(site, "The policy file cannot be used") == 1
    [message] = [m for m in site.slack.messages(AUDIT) if "cannot be used" in m.said()]
    assert re.search(r"jit\.yaml:\d+:5: systems\.vault\.aprovers: there is no key `aprovers` here", message.said())
    await site.opened()
    new = write(site, to_security)
    for bot in (web, worker):
        await has_loaded(bot, new)
        await is_told(bot, "")
        assert bot.said.count("cannot be used") == 1
    assert await audit(site, "The policy file can be used again.") == 1


async def test_a_policy_with_a_system_that_cannot_be_served_is_refused_as_a_whole(site: Site) -> None:
    bot = await site.run("all")
    secretive = 'provider: sandbox\n    config: {id: "env:VAULT_SECRET"}'
    write(site, lambda text: re.sub(r"provider: sandbox\n.*", secretive, to_security(text), count=1))
    bot.process.send_signal(signal.SIGHUP)
    await is_told(bot, "system vault: id: the environment variable VAULT_SECRET is")
    await site.opened()  # Dan, of whom the policy on disk knows nothing, approves it
    assert await audit(site, "VAULT_SECRET") == 1


async def test_a_file_that_is_written_slowly_is_loaded_once_and_whole(site: Site) -> None:
    bot = await site.run("worker")
    text, file = to_security(site.policy), site.home / "jit.yaml"
    pieces = [text[start : start + 300] for start in range(0, len(text), 300)]
    with file.open("w", encoding="utf-8") as output:
        for piece in pieces:
            output.write(piece)
            output.flush()
            await asyncio.sleep(0.4)  # what a slow deploy does
    await has_loaded(bot, generation(file))
    await is_told(bot, "")
    assert bot.said.count("the policy is ") == 1
    assert "cannot be used" not in bot.said


async def test_a_replica_with_another_file_decides_nothing_new_until_it_has_the_same(site: Site) -> None:
    (site.home / "other.yaml").write_text(site.policy, encoding="utf-8")
    worker, web = await site.run("worker"), await site.run("web", JIT_POLICY="other.yaml")
    card = await site.asked()
    new = write(site, to_security)
    await has_loaded(worker, new)
    await is_told(web, f"the workspace decides by policy {new}; this process has ")
    sam = site.slack.person("USAM")
    reply = await site.slack.person("UMIA").command("/jit", "request both 30m -- why not", CHANNEL)
    assert "The policy has just changed. Nothing was recorded" in reply.text
    assert write(site, to_security, "other.yaml") == new
    await has_loaded(web, new)
    await is_told(web, "")
    await sam.click(card, "approve")
    await site.card(id_of(card), "active until")


async def test_a_folder_is_watched_too_and_a_file_that_is_only_touched_changes_nothing(site: Site) -> None:
    folder = site.home / "policy"
    folder.mkdir()
    (folder / "a.yaml").write_text(site.policy[: site.policy.index("templates:")], encoding="utf-8")
    bot = await site.run("worker", JIT_POLICY="policy")
    (folder / "a.yaml").touch()
    bot.process.send_signal(signal.SIGHUP)
    (folder / "b.yaml").write_text(site.policy[site.policy.index("templates:") :], encoding="utf-8")
    await has_loaded(bot, generation(folder))
    assert bot.said.count("the policy is ") == 1


async def test_a_policy_that_only_the_store_took_over_is_put_back_with_the_file(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(slack, redis, "socket", tmp_path)
    async with running(settings) as app:
        own, adopt = app.catalog.policy_hash, app.store.policy.adopt

        async def answer_is_lost(generation: str) -> None:
            await adopt(generation)
            if generation != own:
                raise StoreAway("the answer was lost")

        async def decides_by(generation: str) -> None:
            async def decides() -> bool:
                return await app.store.policy.current() == generation

            await until(decides, f"the workspace to decide by {generation}")

        monkeypatch.setattr(app.store.policy, "adopt", answer_is_lost)
        settings.policy.write_text(to_security(POLICY), encoding="utf-8")
        app.rereading.set()
        await decides_by(generation(settings.policy))
        assert app.catalog.policy_hash == own
        settings.policy.write_text(POLICY, encoding="utf-8")
        app.rereading.set()
        await decides_by(own)


async def test_while_the_store_is_away_the_policy_stays_and_is_loaded_once_it_is_back(site: Site) -> None:
    bot = await site.run("all")
    site.redis.process.send_signal(signal.SIGSTOP)
    try:
        new = write(site, to_security)
        bot.process.send_signal(signal.SIGHUP)
        await until(lambda: _holds("loading the policy file failed" in bot.said), "it to say that it cannot load it")
        assert NOW.format(new) not in bot.said
    finally:
        site.redis.process.send_signal(signal.SIGCONT)
    await has_loaded(bot, new)
    card = await site.asked()
    await site.slack.person("USAM").click(card, "approve")
    await site.card(id_of(card), "active until")


async def _holds(condition: bool) -> bool:
    return condition
