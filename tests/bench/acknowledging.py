"""`/jit request` line → committed and acknowledged, over HTTP, beside a Bolt app that does nothing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
from slack_sdk.signature import SignatureVerifier

from bot.playground import LocalSlack
from bot.store.keyring import KeyRing
from tests.bench.starting import JIT, ready
from tests.house import POLICY
from tests.servers import RedisServer, free_port

_AT_ONCE = 16
_RATE = 500
_SECRET = "s" * 32
_NOOP = """
import asyncio, sys
from slack_bolt.async_app import AsyncApp
from slack_bolt.adapter.asgi.async_handler import AsyncSlackRequestHandler
from slack_bolt.authorization import AuthorizeResult
import uvicorn

async def authorize():
    return AuthorizeResult(enterprise_id=None, team_id="T0LOCAL01", bot_token="xoxb-1")

app = AsyncApp(signing_secret=sys.argv[2], authorize=authorize, process_before_response=True)

@app.command("/jit")
async def nothing(ack):
    await ack(text="ok", response_type="ephemeral")

uvicorn.run(AsyncSlackRequestHandler(app, path="/slack/events"), port=int(sys.argv[1]), log_level="error")
"""


async def measure(redis: RedisServer, home: Path, requests: int) -> list[tuple[str, str, str]]:
    """The rows of the table."""
    async with LocalSlack() as slack:
        slack.signing_secret, slack.limits.on = _SECRET, False
        total = requests * 3
        for n in range(total):
            slack.add_person(f"U{n:06d}", f"Person {n}", f"p{n}@example.com")
        slack.add_usergroup("S0DBA0001", "dba", ["UDAN"])
        slack.add_channel("C0VAULT01", "vault")
        slack.add_channel("C0AUDIT01", "audit")
        bare_port, port, ops = free_port(), free_port(), free_port()
        noop = subprocess.Popen(  # noqa: ASYNC220  # before anything is measured
            [sys.executable, "-c", _NOOP, str(bare_port), _SECRET]
        )
        env = environment(slack, redis, home, port, ops)
        web = subprocess.Popen(  # noqa: ASYNC220
            [str(JIT), "run", "--role", "web"], env=env, stderr=subprocess.DEVNULL
        )
        try:
            await ready(f"http://127.0.0.1:{ops}/readyz")
            return await _compare(bare_port, port, requests)
        finally:
            for process in (noop, web):
                process.terminate()
                process.wait()


async def _compare(bare_port: int, port: int, requests: int) -> list[tuple[str, str, str]]:
    bare, ours = _url(bare_port), _url(port)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        seconds = max(1, requests // _RATE)
        bare_rate = await _flood(session, bare, range(requests), _LINE)
        # Who they are is looked up once a minute; this is not what is measured.
        await _flood(session, ours, range(requests), "list")
        our_rate = await _flood(session, ours, range(requests), _LINE)
        await _flood(session, ours, range(requests, requests + seconds * _RATE), "list")
        steady = await _steady(session, ours, range(requests, requests + seconds * _RATE))
    p50, p99 = (sorted(steady)[len(steady) * p // 100] * 1000 for p in (50, 99))
    return [
        ("/jit request acknowledged, a second", f"{our_rate:,.0f}", ""),
        ("beside it, a Bolt app that does nothing", f"{bare_rate:,.0f}", ""),
        ("ratio", f"{our_rate / bare_rate:.2f}", "0.4"),
        (f"at {_RATE} a second, p50 / p99", f"{p50:.1f} / {p99:.1f} ms", "p99 under 100 ms"),
    ]


async def _flood(session: aiohttp.ClientSession, url: str, people: range, text: str) -> float:
    """As many a second as it takes, so many at a time."""
    todo = iter(people)

    async def one() -> None:
        for n in todo:
            await _send(session, url, n, text)

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(_AT_ONCE)))
    return len(people) / (time.perf_counter() - started)


_LINE = "request debug 30m -- INC-1 the vault is stuck"


async def _steady(session: aiohttp.ClientSession, url: str, people: range) -> list[float]:
    """One every so often, whether the one before was answered or not."""
    started = time.perf_counter()

    async def one(k: int, n: int) -> float:
        await asyncio.sleep(max(0.0, started + k / _RATE - time.perf_counter()))
        return await _send(session, url, n, _LINE)

    return await asyncio.gather(*(one(k, n) for k, n in enumerate(people)))


async def _send(session: aiohttp.ClientSession, url: str, n: int, text: str) -> float:
    body = urlencode(
        {
            "team_id": "T0LOCAL01",
            "channel_id": "C0VAULT01",
            "user_id": f"U{n:06d}",
            "command": "/jit",
            "text": text,
            "trigger_id": f"{n}.{time.monotonic_ns()}",
            "response_url": "http://127.0.0.1/",
        }
    )
    at = str(int(time.time()))
    signature = SignatureVerifier(_SECRET).generate_signature(timestamp=at, body=body)
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": at,
        "x-slack-signature": str(signature),
    }
    started = time.perf_counter()
    async with session.post(url, data=body, headers=headers) as answer:
        said = await answer.text()
        taken = time.perf_counter() - started
    if answer.status != 200 or (text == _LINE and "You requested" not in said and "ok" not in said):
        raise RuntimeError(f"{answer.status}: {said[:200]}")
    return taken


def environment(
    slack: LocalSlack, redis: RedisServer, home: Path, port: int, ops: int, text: str = POLICY
) -> dict[str, str]:
    """What the bot's processes are told."""
    policy = home / "jit.yaml"
    policy.write_text(text)
    return {
        **os.environ,
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "SLACK_API_URL": slack.api_url,
        "REDIS_URL": redis.socket_url,
        "JIT_KEYS": KeyRing.generate().spelled(),
        "JIT_POLICY": str(policy),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "JIT_OPS_PORT": str(ops),
    }


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}/slack/events"
