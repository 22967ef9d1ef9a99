"""Five minutes to a real workspace, word for word: the guide's own lines in a shell, against the local Slack.

Only what a person would paste is put in: the two tokens. The environment says where Slack is, and takes no port.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from bot.playground import LocalSlack
from bot.store import embedded
from tests.journeys.conftest import people
from tests.servers import lacking

ROOT = Path(__file__).parents[2]
GUIDE = files("bot").joinpath("guides", "workspace.md").read_text(encoding="utf-8")
CHANNEL = "C0SANDBOX"


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
    with tempfile.TemporaryDirectory(prefix="jit-", dir="/tmp") as made:
        jit = Path(made) / "bin" / "jit"
        jit.parent.mkdir()
        jit.write_text(f'#!/bin/sh\nexec {sys.executable} -m bot "$@"\n', encoding="utf-8")
        jit.chmod(0o755)
        yield Path(made)


@pytest.fixture
async def slack(workspace: str) -> AsyncIterator[LocalSlack]:
    """The workspace of the policy that `jit init` writes; no app is in any channel yet."""
    async with LocalSlack(team=workspace) as slack:
        people(slack)
        everyone = list(slack.world.people)
        slack.add_channel(CHANNEL, "sandbox", everyone, bot_inside=False)
        slack.add_channel("C0AUDIT01", "audit", everyone, bot_inside=False)
        yield slack


async def shell(lines: list[str], slack: LocalSlack, home: Path) -> Process:
    """The lines in a shell that stops at the first that fails, with the tokens pasted in."""
    script = "\n".join(lines).replace("xoxb-…", slack.bot_token).replace("xapp-…", slack.app_token)
    env = {"HOME": str(home), "PATH": f"{home / 'bin'}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    env |= {"SLACK_API_URL": slack.api_url, "JIT_OPS_PORT": "0"}
    words = ("bash", "-e", "-c", script)
    return await asyncio.create_subprocess_exec(
        *words, cwd=home, env=env, stdout=PIPE, stderr=PIPE, start_new_session=True
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
    assert "stopping: finishing what is in hand" in reading.result()[1].decode()


async def test_the_five_minutes(slack: LocalSlack, home: Path) -> None:
    making, (init, tokens, doctor, run) = blocks()

    assert (await done(making, slack, home))[0] == 0
    slack.install(json.loads((home / "manifest.json").read_text(encoding="utf-8")))

    # Who forgot to invite the bot is told so, and the shell stops there.
    code, said = await done([init, tokens, doctor, run], slack, home)
    assert code == 1
    assert said.count("the bot is not in it -> write /invite @jit there") == 2
    assert "2 wrong" in said

    for channel in (CHANNEL, "C0AUDIT01"):
        slack.world.channels[channel].bot_inside = True
    async with going_on([tokens, doctor, run], slack, home):
        await slack.connected(patience=30)
        reply = await slack.person("UMIA").command("/jit", "request debug 30m -- INC-42 to try it", CHANNEL)
        assert "Asked for" in reply.text
        card = await slack.sees(CHANNEL, lambda message: "approve" in message.buttons(), patience=20)
        await slack.person("UPAT").click(card, "approve")
        await slack.person("UMIA").sees_dm(lambda message: "is open until" in message.said(), patience=20)
        # Its own posts were seen by the subscription that the manifest asked for, and the doctor agrees with all of it.
        code, said = await done([tokens, "jit doctor --json"], slack, home)
        assert (code, json.loads(said)["well"]) == (0, True)


def test_each_command_of_the_guide_exists() -> None:
    from bot.cli import main

    lines = [*re.findall(r"`(jit [^`]+)`", GUIDE), *(line for block in blocks() for line in block)]
    named = {word for line in lines for word in re.findall(r"^jit (\w+)", line)}
    assert named == {"manifest", "init", "doctor", "run"}
    assert named <= set(main.commands)
