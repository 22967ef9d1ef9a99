"""The request form submitted → committed and acknowledged, with a code of an authenticator app and without one."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

import aiohttp
from redis.asyncio import Redis
from slack_sdk.signature import SignatureVerifier

from bot.playground import LocalSlack
from bot.store.keyring import KeyRing
from bot.store.store import Store
from tests.bench.acknowledging import environment
from tests.bench.printing import Row
from tests.bench.starting import JIT, ready
from tests.factors import App, enrolled
from tests.house import POLICY
from tests.servers import RedisServer, free_port

_TEAM, _SECRET = "T0LOCAL01", "s" * 32
_ROLE = "        grants: {door: hall, shared: true}\n"
PROVED = POLICY.replace(_ROLE, f"{_ROLE}        mfa: {{request: required}}\n")
"""The policy in which one of two roles asks for a code."""


async def measure(redis: RedisServer, home: Path, people: int) -> list[Row]:
    """The rows of the table: so many people submit one form each way."""
    async with LocalSlack(team=_TEAM) as slack:
        slack.signing_secret, slack.limits.on = _SECRET, False
        for n in range(people):
            slack.add_person(f"U{n:06d}", f"Person {n}", f"p{n}@example.com")
        slack.add_usergroup("S0DBA0001", "dba", ["UDAN"])
        slack.add_channel("C0VAULT01", "vault")
        slack.add_channel("C0AUDIT01", "audit")
        port, ops = free_port(), free_port()
        env = environment(slack, redis, home, port, ops, PROVED)
        apps = await _enrolled(redis, env["JIT_KEYS"], people)
        web = subprocess.Popen(  # noqa: ASYNC220  # before anything is measured
            [str(JIT), "run", "--role", "web"], env=env, stderr=subprocess.DEVNULL
        )
        try:
            await ready(f"http://127.0.0.1:{ops}/readyz")
            return await _compare(f"http://127.0.0.1:{port}/slack/events", apps)
        finally:
            web.terminate()
            web.wait()


async def _enrolled(redis: RedisServer, keys: str, people: int) -> list[App]:
    """An authenticator app for each of them, enrolled as the bot would."""
    async with Redis.from_url(redis.socket_url) as client:
        store = Store(client, _TEAM, KeyRing.parse(keys))
        return [await enrolled(store, f"p{n}@example.com") for n in range(people)]


async def _compare(url: str, apps: Sequence[App]) -> list[Row]:
    """One after the other, with and without in turns, so that a busy moment of the machine is in both."""
    plain, proved = list[float](), list[float]()
    async with aiohttp.ClientSession() as session:
        for n, app in enumerate(apps):
            # Who they are is looked up once a minute; this is not what is measured.
            await _submit(session, url, n, "nothing", "")
            each = [(plain, "vault/read-only", ""), (proved, "vault/shared", app.shown(time.time()))]
            # Each kind is as often the second request of a person, which is judged beside the first.
            for taken, what, code in each if n % 2 else reversed(each):
                taken.append(await _submit(session, url, n, what, code))
    without, with_code = (f"{1e3 * median(each):.1f}" for each in (plain, proved))
    return [
        ("a request form acknowledged, without a code / with one", f"{without} / {with_code} ms", ""),
        ("ratio of the two", f"{median(proved) / median(plain):.2f}", "at most 1.3"),
    ]


async def _submit(session: aiohttp.ClientSession, url: str, n: int, what: str, code: str) -> float:
    blocks = {"choice": _option(what), f"duration:{what}": _option("1800"), "reason": {"value": "INC-1 it is stuck"}}
    blocks |= {"code": {"value": code}} if code else {}
    view = {
        "id": f"V{n}{what}",
        "type": "modal",
        "callback_id": "ask",
        "private_metadata": "",
        "blocks": [{"type": "input", "block_id": block} for block in blocks],
        "state": {"values": {block: {"x": value} for block, value in blocks.items()}},
    }
    said = {"type": "view_submission", "team": {"id": _TEAM}, "user": {"id": f"U{n:06d}"}, "trigger_id": "1.1"}
    body = urlencode({"payload": json.dumps({**said, "view": view})})
    at = str(int(time.time()))
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": at,
        "x-slack-signature": str(SignatureVerifier(_SECRET).generate_signature(timestamp=at, body=body)),
    }
    started = time.perf_counter()
    async with session.post(url, data=body, headers=headers) as answer:
        answered = await answer.text()
        taken = time.perf_counter() - started
    if answer.status != 200 or ("You requested" in answered) != (what != "nothing"):
        raise RuntimeError(f"{answer.status}: {answered[:200]}")
    return taken


def _option(value: str) -> dict[str, dict[str, str]]:
    return {"selected_option": {"value": value}}
