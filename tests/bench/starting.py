"""Cold start to ready, and what `jit --help` costs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from bot.playground import LocalSlack
from tests.house import POLICY
from tests.servers import free_port

JIT = Path(sys.executable).parent / "jit"
_RUNS = 5


async def measure() -> list[tuple[str, str, str]]:
    """The rows of the table."""
    helping = sorted(_help() for _ in range(_RUNS))[_RUNS // 2]
    bare = sorted(_bare() for _ in range(_RUNS))[_RUNS // 2]
    starting = sorted([await _start() for _ in range(3)])[1]
    return [
        ("cold start to ready, embedded store", f"{starting:.2f} s", "2 s"),
        ("jit --help", f"{helping:.2f} s", "0.5 s"),
        ("beside it, a bare Python", f"{bare:.2f} s", ""),
    ]


def _help() -> float:
    return _timed([str(JIT), "--help"])


def _bare() -> float:
    return _timed([sys.executable, "-c", "pass"])


def _timed(words: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    return time.perf_counter() - started


async def _start() -> float:
    with tempfile.TemporaryDirectory() as home:
        policy = Path(home) / "jit.yaml"
        policy.write_text(POLICY)
        async with LocalSlack() as slack:
            ops = free_port()
            env = {
                **os.environ,
                "SLACK_BOT_TOKEN": slack.bot_token,
                "SLACK_SIGNING_SECRET": slack.signing_secret,
                "SLACK_API_URL": slack.api_url,
                "JIT_STORE": "embedded",
                "JIT_HOME": home,
                "JIT_POLICY": str(policy),
                "HOST": "127.0.0.1",
                "PORT": str(free_port()),
                "JIT_OPS_PORT": str(ops),
            }
            started = time.perf_counter()
            process = await asyncio.create_subprocess_exec(str(JIT), "run", env=env, stderr=subprocess.DEVNULL)
            await ready(f"http://127.0.0.1:{ops}/readyz")
            taken = time.perf_counter() - started
            process.terminate()
            await process.wait()
            return taken


async def ready(url: str) -> None:
    """Wait until a process says that it is."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(30):
        while True:
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.01)
