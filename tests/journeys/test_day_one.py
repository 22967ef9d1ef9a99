"""Five minutes to a real workspace, word for word: the guide's own lines in a shell, against the local Slack.

Only what a person would paste is put in: the two tokens. The environment says where Slack is, and takes no port, and
pip links what it would download.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import sysconfig
import tomllib
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from bot.playground import LocalSlack
from bot.store.redis import embedded
from tests import scratch
from tests.journeys.conftest import people
from tests.servers import lacking

ROOT = Path(__file__).parents[2]
GUIDE = files("bot").joinpath("guides", "workspace.md").read_text(encoding="utf-8")
CHANNEL, AUDIT = "C0SANDBOX", "C0AUDIT01"


def blocks() -> list[list[str]]:
    """The lines of each block of the guide that is for a shell."""
    found = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    return [[line.strip() for line in block.splitlines() if line.strip()] for block in found]


@pytest.fixture
def home() -> Iterator[Path]:
    """Somebody's home, with `jit` on the path; short, since the store's socket is in it."""
    try:
        embedded.binary()
    except embedded.CannotEmbed as error:
        lacking("a store to embed", str(error))
    with scratch.directory() as made:
        python = made / "bin" / "python3"
        python.parent.mkdir()
        python.write_text(PYTHON.format(python=sys.executable, root=ROOT, pip=__name__), encoding="utf-8")
        python.chmod(0o755)
        clone = made / "clone"
        clone.mkdir()
        for name in (".ci", "README.md", "bot", "handlers", "providers", "pyproject.toml"):
            (clone / name).symlink_to(ROOT / name)
        yield made


PYTHON = """#!/bin/sh
if [ "$1 $2" = "-m pip" ]; then PYTHONPATH={root} exec {python} -m {pip} "$@"; fi
exec {python} "$@"
"""
"""Python, whose pip takes what it would download from where the tests have it."""


def install(words: list[str]) -> None:
    """What `python3 -m pip --python .venv install …` does to a clone."""
    options = argparse.ArgumentParser()
    options.add_argument("--python", type=Path, required=True)
    options.add_argument("command", choices=["install"])
    options.add_argument("-q", action="store_true")
    options.add_argument("-c", type=Path, required=True)
    options.add_argument("what", choices=[".[embedded]"])
    given = options.parse_args(words[2:])
    assert given.c.is_file(), given.c
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "embedded" in project["optional-dependencies"]
    [site] = given.python.glob("lib/python*/site-packages")
    (site / "clone.pth").write_text(f"{Path.cwd()}\n{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    module, _, name = project["scripts"]["jit"].partition(":")
    jit = given.python / "bin" / "jit"
    python = (given.python / "bin" / "python").absolute()
    jit.write_text(f"#!{python}\nimport sys\nfrom {module} import {name}\nsys.exit({name}())\n", encoding="utf-8")
    jit.chmod(0o755)


@pytest.fixture
async def slack(workspace: str) -> AsyncIterator[LocalSlack]:
    """The workspace of the policy that `jit init` writes; no app is in any channel yet."""
    async with LocalSlack(team=workspace) as slack:
        people(slack)
        everyone = list(slack.world.people)
        slack.add_channel(CHANNEL, "sandbox", everyone, bot_inside=False)
        slack.add_channel(AUDIT, "audit", everyone, bot_inside=False)
        yield slack


async def shell(lines: list[str], slack: LocalSlack, home: Path) -> Process:
    """The lines in a shell that stops at the first that fails, with the tokens pasted in."""
    script = "\n".join(lines).replace("xoxb-…", slack.bot_token).replace("xapp-…", slack.app_token)
    env = {"HOME": str(home), "PATH": f"{home / 'bin'}:/usr/bin:/bin"}
    env |= {"SLACK_API_URL": slack.api_url, "JIT_OPS_PORT": "0"}
    words = ("bash", "-e", "-c", script)
    return await asyncio.create_subprocess_exec(
        *words, cwd=home / "clone", env=env, stdout=PIPE, stderr=PIPE, start_new_session=True
    )


async def done(lines: list[str], slack: LocalSlack, home: Path) -> tuple[int, str]:
    """How it ended, and what it said."""
    process = await shell(lines, slack, home)
    out, errors = await process.communicate()
    return process.returncode or 0, out.decode() + errors.decode()


@contextlib.asynccontextmanager
async def going_on(lines: list[str], slack: LocalSlack, home: Path) -> AsyncIterator[None]:
    """What goes on until it is told to end, as by Ctrl-C."""
    process = await shell(lines, slack, home)
    reading = asyncio.create_task(process.communicate())
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGINT)
        await reading
    log = [json.loads(line) for line in reading.result()[1].decode().splitlines()]
    assert "stopping: finishing what is in hand" in [line["message"] for line in log]
    # Not a word that needs no act: what the first start creates is there before anything looks for it.
    assert [line for line in log if line["level"] != "INFO"] == []


async def test_the_five_minutes_from_a_fresh_clone_to_the_first_approved_request(slack: LocalSlack, home: Path) -> None:
    making, (init, tokens, doctor, run), other = blocks()
    activate = making[1]

    assert await done(making, slack, home) == (0, "")
    slack.install(json.loads((home / "clone" / "manifest.json").read_text(encoding="utf-8")))

    # Who forgot to invite the bot is told so, and the shell stops there.
    code, said = await done([activate, init, tokens, doctor, run], slack, home)
    assert code == 1
    assert said.count("the bot is not in it -> write /invite @jit there") == 2
    assert "2 wrong" in said
    assert "does not start" not in said

    for channel in (CHANNEL, AUDIT):
        slack.world.channels[channel].bot_inside = True
    async with going_on([activate, tokens, doctor, run], slack, home):
        await slack.connected(patience=30)
        [line] = re.findall(r"`/jit (request debug [^`]+)`", GUIDE)
        reply = await slack.person("UMIA").command("/jit", line, CHANNEL)
        assert "You requested" in reply.text
        card = await slack.sees(CHANNEL, lambda message: "approve" in message.buttons(), patience=20)
        assert "read only" in card.said()
        await slack.person("UPAT").click(card, "approve")
        await slack.person("UMIA").sees_dm(lambda message: "You have access until" in message.said(), patience=20)

        # Another terminal sees the same store and the same sandbox, so nothing is an orphan.
        code, said = await done(other, slack, home)
        assert code == 0, said
        assert re.search(r"J-\w+ +active +mia@example.com", said)
        assert "sandbox: 1 grants, 1 of them ours" in said
        assert [message.text for message in slack.messages(AUDIT) if "our records" in message.said()] == []
        # Its own posts were seen by the subscription that the manifest asked for, and the doctor agrees with all of it.
        code, said = await done([activate, tokens, "jit doctor --json"], slack, home)
        assert (code, json.loads(said)["well"]) == (0, True)


def test_each_command_of_the_guide_exists() -> None:
    from bot.cli.main import main

    lines = [*re.findall(r"`(jit [^`]+)`", GUIDE), *(line for block in blocks() for line in block)]
    named = {word for line in lines for word in re.findall(r"^jit (\w+)", line)}
    assert named == {"manifest", "init", "doctor", "run", "requests", "reconcile"}
    assert named <= set(main.commands)


if __name__ == "__main__":
    install(sys.argv[1:])
