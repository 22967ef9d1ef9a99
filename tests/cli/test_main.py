"""What an operator types: help without a setup, mistakes with a place, files that are never overwritten."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import free_port

JIT = [sys.executable, "-m", "bot"]


def jit(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command in an empty environment but for what is given."""
    root = str(Path(__file__).parents[2])
    base = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), "PYTHONPATH": root}
    return subprocess.run([*JIT, *words], cwd=cwd, env=base | env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("words", "said"), [(["--help"], "Just-in-time access"), (["--version"], "0.1.0")])
def test_help_and_version_answer_with_nothing_set_up(words: list[str], said: str, tmp_path: Path) -> None:
    done = jit(*words, cwd=tmp_path)
    assert done.returncode == 0
    assert said in done.stdout


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    heavy = ("redis", "slack_bolt", "pydantic", "aiohttp")
    code = f"import bot.cli.main, sys; print([m for m in {heavy} if m in sys.modules])"
    root = str(Path(__file__).parents[2])
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=tmp_path, env={"PYTHONPATH": root}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_init_writes_a_file_that_passes_the_check_and_leaves_one_alone(tmp_path: Path) -> None:
    assert jit("init", cwd=tmp_path).returncode == 0
    checked = jit("policy", "check", cwd=tmp_path)
    assert checked.returncode == 0
    assert "is good" in checked.stdout
    (tmp_path / "jit.yaml").write_text("mine")
    again = jit("init", cwd=tmp_path)
    assert again.returncode != 0
    assert "left as it is" in again.stderr
    assert (tmp_path / "jit.yaml").read_text() == "mine"


def test_a_bad_file_fails_with_every_mistake_and_its_place(tmp_path: Path) -> None:
    jit("init", cwd=tmp_path)
    file = tmp_path / "jit.yaml"
    text = file.read_text()
    file.write_text(
        text.replace("approvers: [platform]", "approvers: [platfrom]").replace("max: 8h", "max: 8 hours", 1)
    )
    done = jit("policy", "check", "jit.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "jit.yaml:" in done.stderr
    assert "8 hours" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_without_settings_names_each_and_what_to_do(tmp_path: Path) -> None:
    done = jit("run", cwd=tmp_path)
    assert done.returncode != 0
    for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "REDIS_URL"):
        assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_keys_prints_a_ring_that_can_be_read(tmp_path: Path) -> None:
    from bot.store.keyring import KeyRing

    done = jit("keys", "--id", "k2", cwd=tmp_path)
    assert done.returncode == 0
    ring = KeyRing.parse(done.stdout)
    assert ring.verify("x", b"y", ring.mac("x", b"y"))


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_what_keeps_the_bot_from_starting_is_said_in_the_form_of_its_log(form: str, tmp_path: Path) -> None:
    jit("init", cwd=tmp_path)
    key = jit("keys", cwd=tmp_path).stdout.strip()
    tokens = {"SLACK_BOT_TOKEN": "xoxb-1-secret", "SLACK_SIGNING_SECRET": "s" * 32}
    store = {"REDIS_URL": f"redis://:hunter22@127.0.0.1:{free_port()}/0", "JIT_KEYS": key}
    done = jit("run", cwd=tmp_path, JIT_LOG=form, **tokens, **store)
    assert done.returncode == 1
    assert "the store (REDIS_URL) does not answer" in done.stderr
    assert not re.search("hunter22|xoxb-|Traceback", done.stderr)
    lines = done.stderr.splitlines()
    if form == "json":
        assert [json.loads(line)["level"] for line in lines] == ["CRITICAL"]
    else:
        assert lines[-1].startswith("Error: ")


def test_the_policy_that_is_checked_is_the_one_of_the_bot_where_none_is_named(tmp_path: Path) -> None:
    jit("init", "other.yaml", cwd=tmp_path)
    done = jit("policy", "check", cwd=tmp_path)
    assert (done.returncode, "set JIT_POLICY, or write one with `jit init`" in done.stderr) == (2, True)
    done = jit("policy", "check", cwd=tmp_path, JIT_POLICY="~/other.yaml")
    assert (done.returncode, "other.yaml is good" in done.stdout) == (0, True)


def test_machines_get_the_mistakes_of_a_policy_as_json(tmp_path: Path) -> None:
    jit("init", cwd=tmp_path)
    file = tmp_path / "jit.yaml"
    file.write_text(file.read_text().replace("max: 8h", "max: 8 hours", 1))
    done = jit("policy", "check", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert (done.returncode, found["good"]) == (1, False)
    assert [mistake["path"] for mistake in found["mistakes"]] == ["systems.sandbox.roles.read-only.max"]
    assert found["mistakes"][0]["line"] > 1


def test_the_version_is_one_line(tmp_path: Path) -> None:
    assert jit("--version", cwd=tmp_path).stdout == "jit 0.1.0\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script_that_completes_commands(shell: str, tmp_path: Path) -> None:
    done = jit("completion", shell, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "_JIT_COMPLETE" in done.stdout
    asked = {
        "_JIT_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": "jit requests st",
        "COMP_CWORD": "2" if shell != "fish" else "st",
    }
    code = "from bot.cli.main import main; main(prog_name='jit')"
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2]), **asked}
    found = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert "stuck" in found.stdout, found.stderr
