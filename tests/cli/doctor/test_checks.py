"""How the doctor looks: all at once, none keeping another from being looked at, and no secret shown."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from bot.cli.doctor import systems as doctor_systems
from bot.cli.doctor.checks import Check, CheckResult, CheckVerdict, Once, gathered, good
from bot.cli.doctor.slack import SlackUnavailable
from bot.playground import LocalSlack
from bot.redaction import Secrets
from tests.cli.doctor.examining import REDIS_SYSTEM, Env, Found, has_no_secret, look, policy
from tests.house import POLICY
from tests.servers import RedisServer, free_port


async def test_a_setting_that_is_wrong_is_said_and_the_rest_is_used(env: Env, tmp_path: Path) -> None:
    found = await look(env, SLACK_APP_TOKEN="xoxb-mistaken", SLACK_SIGNING_SECERT="x", PORT="no", JIT_KEYS="k1:short")
    told = found.said("settings")
    for name in ("SLACK_APP_TOKEN", "SLACK_SIGNING_SECERT", "PORT", "JIT_KEYS: key 1"):
        assert name in told
    assert found.one("token").verdict is found.one("store").verdict is CheckVerdict.GOOD
    assert found.wrong() == {"settings"}
    assert "there is no JIT_KEYS" in found.said("keys", CheckVerdict.UNCHECKED)


async def test_a_token_goes_nowhere_when_it_is_unclear_where_slack_is(env: Env, slack: LocalSlack) -> None:
    found = await look(env, SLACK_API_URL="http://slack.example.com/api/")
    assert "in the clear" in found.said("settings")
    assert found.one("token").verdict is CheckVerdict.UNCHECKED
    assert slack.calls == []


async def test_every_mistake_of_the_policy_is_said_and_the_store_is_still_looked_at(env: Env, tmp_path: Path) -> None:
    text = POLICY.replace("max: 8h", "max: 8 hours").replace("approvers: [dba]", "approvers: [dbs]")
    found = await look(env, JIT_POLICY=policy(tmp_path, text))
    assert len(found.of("policy")) >= 3
    assert "jit.yaml:" in found.said("policy")
    for name in ("channels", "user groups", "people", "steps", "forms"):
        assert "the policy cannot be read" in found.said(name, CheckVerdict.UNCHECKED)
    assert found.one("token").verdict is found.one("store").verdict is CheckVerdict.GOOD


async def test_a_policy_that_is_not_there_says_how_to_begin(env: Env, tmp_path: Path) -> None:
    assert "jit init" in (await look(env, JIT_POLICY=str(tmp_path / "none.yaml"))).said("policy")


async def test_each_system_is_looked_at_and_one_that_fails_hides_none(
    env: Env, redis: RedisServer, tmp_path: Path
) -> None:
    text = policy(tmp_path, POLICY.replace("\ntemplates:", REDIS_SYSTEM))
    found = await look(env, JIT_POLICY=text)
    assert "CACHE_URL is not set" in found.said("system cache")
    assert found.one("system vault").verdict is CheckVerdict.GOOD
    dark = f"redis://:swordfish@127.0.0.1:{free_port()}/0"
    found = await look(env, JIT_POLICY=text, CACHE_URL=dark)
    assert "does not answer" in found.said("system cache")
    assert "swordfish" not in repr(found.all)
    found = await look(env, JIT_POLICY=text, CACHE_URL=redis.url)
    assert re.search(r"answers: (Redis|Valkey) \d", found.one("system cache").found)
    assert found.wrong() == set()


async def test_a_system_that_refuses_is_wrong(env: Env, tmp_path: Path) -> None:
    faults = "provider: sandbox\n    config: {faults: [{verb: check, does: refuse}]}"
    found = await look(env, JIT_POLICY=policy(tmp_path, POLICY.replace("provider: sandbox", faults)))
    assert "refuses" in found.said("system vault")
    assert found.wrong() == {"system vault"}


async def test_a_system_that_does_not_answer_is_not_waited_for(
    env: Env, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_systems, "PATIENCE", 0.2)
    slow = "provider: sandbox\n    config: {faults: [{verb: check, does: slow, seconds: 3600}]}"
    found = await look(env, JIT_POLICY=policy(tmp_path, POLICY.replace("provider: sandbox", slow)))
    assert found.said("system vault").startswith("no answer within 0.2 s")
    assert found.wrong() == {"system vault"}


async def test_checks_run_at_the_same_time() -> None:
    one, other = asyncio.Event(), asyncio.Event()

    def meets(ours: asyncio.Event, theirs: asyncio.Event) -> Check:
        async def look() -> list[CheckResult]:
            ours.set()
            await theirs.wait()
            return [good("meets", "the other was there")]

        return Check("meets", look)

    found = await gathered([meets(one, other), meets(other, one)], Secrets())
    assert [finding.verdict for finding in found] == [CheckVerdict.GOOD, CheckVerdict.GOOD]


async def test_a_check_that_breaks_or_hangs_keeps_no_other_from_running() -> None:
    async def breaks() -> list[CheckResult]:
        raise KeyError("xoxb-a-secret")

    async def hangs() -> list[CheckResult]:
        await asyncio.Event().wait()
        return []

    async def works() -> list[CheckResult]:
        return [good("works", "fine")]

    over: list[str] = []
    checks = [Check("breaks", breaks), Check("hangs", hangs, 0.05), Check("works", works)]
    found = Found(await gathered(checks, Secrets(), lambda check: over.append(check.name)))
    assert [f.check for f in found.all] == ["breaks", "hangs", "works"]
    assert "the check itself broke (KeyError)" in found.said("breaks")
    assert "xoxb" not in repr(found.all)
    assert "no answer within 0.05 s" in found.said("hangs")
    assert sorted(over) == ["breaks", "hangs", "works"]


async def test_an_answer_that_several_need_is_asked_for_once_and_outlives_who_is_tired_of_it() -> None:
    asked, answer = 0, asyncio.Event()

    async def ask() -> int:
        nonlocal asked
        asked += 1
        await answer.wait()
        return 7

    once = Once(ask)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(once(), 0.01)
    waiting = [asyncio.create_task(once()) for _ in range(3)]
    answer.set()
    assert await asyncio.gather(*waiting) == [7, 7, 7]
    assert asked == 1


async def test_a_refusal_reaches_each_who_waits() -> None:
    async def ask() -> int:
        raise SlackUnavailable("invalid_auth")

    once = Once(ask)
    for _ in range(2):
        with pytest.raises(SlackUnavailable):
            await once()


def test_secrets_are_struck_out_whole_in_part_and_as_they_are_meant() -> None:
    secrets = Secrets(["redis://bot:p%40ssword@host:1/0", "k1:AAAABBBB\nk2:CCCCDDDD", "abc"])
    said = "p@ssword p%40ssword k2:CCCCDDDD abc\x1b[31m\nredis://bot:p%40ssword@host:1/0"
    assert secrets.hide(said) == "… … … abc\ufffd[31m; …"
    assert "ssword" not in repr(secrets)


async def test_what_a_check_finds_is_shown_without_secrets() -> None:
    async def leaks() -> list[CheckResult]:
        return [CheckResult("leaks", CheckVerdict.WRONG, "cannot log in with swordfish", "change swordfish")]

    [found] = await gathered([Check("leaks", leaks)], Secrets(["redis://:swordfish@host/0"]))
    assert (found.found, found.fix) == ("cannot log in with …", "change …")


async def test_what_the_settings_say_is_shown_without_secrets(env: Env, tmp_path: Path) -> None:
    named = tmp_path / env["SLACK_BOT_TOKEN"]
    found = await look(env, JIT_POLICY=str(named))
    assert "…: it cannot be read" in found.said("policy").replace(":1:1", "")
    has_no_secret(repr(found.all), env)
