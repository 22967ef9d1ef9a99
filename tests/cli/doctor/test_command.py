"""`jit doctor` as it is typed: its exit codes, its lines, its table and its JSON."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from bot.cli.doctor import examine as surgery
from bot.cli.doctor.checks import Check, CheckResult, CheckVerdict
from bot.playground import SCOPES, LocalSlack
from bot.settings import SettingsMistakes
from bot.store.store import Store
from tests.cli.doctor.examining import ROOT, Env, has_no_secret, look, made_in


async def test_where_all_is_well_each_thing_is_said_and_nothing_is_wrong(env: Env, slack: LocalSlack) -> None:
    found = await look(env)
    assert {finding.verdict for finding in found.all} == {CheckVerdict.GOOD}, found.all
    assert {finding.check for finding in found.all} == {
        *("settings", "policy", "token", "connection", "scopes", "channel C0AUDIT01", "channel C0VAULT01"),
        *(
            "user group dba",
            "people",
            "steps",
            "forms",
            "store",
            "clock",
            "memory",
            "keys",
            "records",
            "ports",
            "system vault",
        ),
    }
    assert found.one("token").found == f"the bot jit of Local ({slack.team})"
    assert found.one("channel C0VAULT01").found == "#vault, for Vault"
    assert found.one("user group dba").found.startswith("@dba, 2 people")
    assert found.one("people").found.startswith("3 found")
    assert found.one("keys").found == "2 in the ring: k2 signs, k1 still verifies"
    assert "a sandbox, no system" in found.one("system vault").found
    assert "noeviction" in found.one("store").found


async def test_it_posts_nothing_and_changes_nothing(env: Env, slack: LocalSlack, store: Store, tmp_path: Path) -> None:
    before = await store.redis.dbsize()
    await look(env)
    asked = {call.method for call in slack.calls}
    assert asked == {
        *("auth.test", "apps.connections.open", "bots.info", "conversations.info", "usergroups.list"),
        *("users.lookupByEmail", "users.info", "blocks.validate"),
    }
    assert await store.redis.dbsize() == before
    assert made_in(tmp_path) == {"jit.yaml"}


def run(env: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    base = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    words = (sys.executable, "-m", "bot", "doctor", *words)
    return subprocess.run(words, env={**base, **env}, cwd=ROOT, capture_output=True, text=True, check=False)


async def told(env: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process, while the local Slack goes on in this one."""
    return await asyncio.to_thread(run, env, *words)


async def test_the_command_ends_with_0_when_all_is_well_and_prints_a_line_each(env: Env) -> None:
    done = await told(env)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "good: settings: each that is needed is set, and can be read"
    assert lines[-1] == "Nothing is wrong, 18 good."
    assert "\x1b" not in done.stdout
    has_no_secret(done.stdout, env)


async def test_it_ends_with_1_when_something_is_wrong_and_says_what_to_do(env: Env, slack: LocalSlack) -> None:
    slack.world.channels["C0VAULT01"].archived = True
    slack.scopes = [*SCOPES, "channels:history"]
    done = await told(env)
    assert done.returncode == 1
    assert "wrong: channel C0VAULT01: #vault, for Vault: it is archived -> restore it, or name another" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 wrong, 1 to note, 16 good."


async def test_machines_get_json(env: Env, slack: LocalSlack) -> None:
    slack.world.channels["C0VAULT01"].archived = True
    done = await told(env, "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["well"], document["starts"], done.stderr) == (1, False, True, "")
    [bad] = [finding for finding in document["findings"] if finding["verdict"] == "wrong"]
    assert bad.keys() == {"check", "verdict", "found", "fix", "stops_run"}
    assert bad["check"] == "channel C0VAULT01"
    has_no_secret(done.stdout, env)


async def test_it_runs_with_nothing_set_up_at_all(tmp_path: Path) -> None:
    done = await told({"HOME": str(tmp_path)})
    assert done.returncode == 1
    assert "jit init" in done.stdout
    assert "wrong: settings: SLACK_BOT_TOKEN is missing -> copy the Bot User OAuth Token (xoxb-…)" in done.stdout
    assert "wrong: settings: REDIS_URL is missing -> set it to your Redis, or set JIT_STORE=embedded" in done.stdout
    assert done.stdout.rstrip().endswith("`jit run` does not start like this.")
    assert "Traceback" not in done.stderr


async def test_it_ends_with_2_when_it_cannot_look(
    env: Env, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (await told(env, "--nope")).returncode == 2
    from click.testing import CliRunner

    from bot.cli.main import main

    async def breaks(*, as_json: bool, role: str) -> int:
        raise OSError(env["SLACK_BOT_TOKEN"])

    monkeypatch.setattr(surgery, "examine", breaks)
    done = await asyncio.to_thread(CliRunner().invoke, main, ["doctor"])
    assert done.exit_code == 2
    assert "The doctor broke (OSError)" in done.output
    has_no_secret(done.output, env)


async def test_a_terminal_sees_progress_and_a_table(env: Env, slack: LocalSlack) -> None:
    slack.world.channels["C0VAULT01"].archived = True
    slack.scopes = [*SCOPES, "channels:history"]
    code, shown = await asyncio.to_thread(on_a_terminal, env)
    assert code == 1
    assert "of 13 looked at; waiting for" in shown
    for mark in ("✓", "!", "✗", "→ restore it, or name another"):
        assert mark in shown
    assert shown.rstrip().endswith("1 wrong, 1 to note, 16 good.")
    has_no_secret(shown, env)


def on_a_terminal(env: Mapping[str, str]) -> tuple[int, str]:
    """The command's exit code, and all that a terminal showed."""
    ours, theirs = pty.openpty()
    base = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "200"}
    words = [sys.executable, "-m", "bot", "doctor"]
    with subprocess.Popen(words, env={**base, **env}, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b"".join(iter(lambda: _read(ours), b""))
        os.close(ours)
        return process.wait(), shown.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # the other end is closed
        return b""


def test_an_environment_of_which_nothing_can_be_used_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> None:
        raise SettingsMistakes(["nothing that an environment names"])

    monkeypatch.setattr("bot.settings.load", refuses)
    with pytest.raises(surgery.CannotExamine):
        asyncio.run(surgery.findings({}))


def test_progress_is_one_line_and_gone_in_the_end() -> None:
    drawn: list[str] = []

    async def nothing() -> list[CheckResult]:
        return []

    progress = surgery.Progress(drawn.append)
    checks = [Check(name, nothing) for name in ("one", "two")]
    progress.begin(checks)
    for check in checks:
        progress.done(check)
    assert drawn[0].endswith("0 of 2 looked at; waiting for one, two")
    assert drawn[1].endswith("1 of 2 looked at; waiting for two")
    assert drawn[-1] == "", "which the terminal draws as a line that is gone"
