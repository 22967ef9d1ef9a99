"""The whole bot as processes over a real Redis, the local Slack and doors in a directory; and what is done to them.

It notes when its processes were down, since access that should have ended then may end as soon as they are back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import psycopg
from redis import Redis

from bot.playground import LocalSlack
from bot.store.keyring import KeyRing
from providers.systems.sandbox import Sandbox, SandboxConfig
from tests.bench.starting import ready
from tests.chaos.adversary.policy import POLICY
from tests.chaos.adversary.redis import BOT, RIGHTS
from tests.chaos.adversary.worker import PACE
from tests.chaos.weather import LEASE, SETTLES
from tests.providers.postgres_bench import BOT as DB_BOT
from tests.providers.postgres_bench import PASSWORD as DB_PASSWORD
from tests.servers import PostgresServer, free_port, program, redis_binary, start_redis

TEAM = "T0HOST1LE"
CHANNEL, AUDIT, TRAP = "C0VAULT01", "C0AUDIT01", "C0TRAP001"
"""The trap is a channel in which the bot has nothing to say."""
WORKERS = 2
APPROVERS, SECURITY, OPERATORS = ("dan", "eve"), ("sam", "kim"), ("pat", "ron")
STAFF = tuple(f"s{n}" for n in range(4))
"""Who has a rule that approves for them."""
RULE_BUDGET = 2
_LOGIN = re.compile(r"jit_j_([2-9a-hj-np-z]{4,8})_([0-9]{1,2})")
_ORDER = re.compile(r"jit-(j-[2-9a-hj-np-z]{4,8})-([0-9]{1,2})")


@dataclass
class Site:
    """Processes, their directory, and when they could do nothing."""

    slack: LocalSlack
    directory: Path
    dice: Random
    pace: int
    """Seconds between two comparisons of a system with the record."""
    postgres: PostgresServer
    """One of the doors; furnished, and the same for all episodes."""
    done: Counter[str] = field(default_factory=Counter)
    down: list[tuple[float, float]] = field(default_factory=list)
    """From when to when some process was killed or starting."""
    ring: KeyRing = field(default_factory=KeyRing.generate)

    def __post_init__(self) -> None:
        """Set the scene; nothing runs before `start`."""
        self.redis_directory, self.doors = self.directory / "redis", self.directory / "doors"
        self.shipped = self.directory / "shipped.jsonl"
        self.target_directory, self.target = self.directory / "target", self.directory / "target-url"
        self.target_directory.mkdir()
        self.dsn = self.directory / "dsn"
        self.dsn.write_text(f"postgresql://{DB_BOT}:{DB_PASSWORD}@127.0.0.1:{self.postgres.port}/postgres")
        self.redis_directory.mkdir()
        self.doors.mkdir()
        words = {
            "SHIPPED": self.shipped,
            "TARGET": self.target,
            "DSN": self.dsn,
            "DOORS": self.doors,
            "SETTLES": SETTLES,
            "BUDGET": RULE_BUDGET,
        }
        policy = POLICY.replace("@STAFF@", ", ".join(f"{name}@example.com" for name in STAFF))
        for name, value in words.items():
            policy = policy.replace(f"@{name}@", str(value))
        (self.directory / "jit.yaml").write_text(policy)
        self.sandbox = Sandbox(SandboxConfig(path=str(self.doors)))
        self.redis_port, self.port, self.ops, self.target_port = (free_port() for _ in range(4))
        self.slack.limits.on = False
        self.slack.add_channel(CHANNEL, "vault")
        self.slack.add_channel(AUDIT, "audit")
        self.slack.add_channel(TRAP, "trap")
        for name in (*APPROVERS, *SECURITY, *OPERATORS, *STAFF):
            self.somebody(name)
        self.slack.add_usergroup("S0DBA0001", "dba", [f"U{name.upper()}" for name in APPROVERS])

    @property
    def url(self) -> str:
        """Where Redis is."""
        return f"unix://{self.redis_directory}/s.sock?db=0"

    def somebody(self, name: str) -> None:
        """One more person, in every channel."""
        self.slack.add_person(f"U{name.upper()}", name.title(), f"{name}@example.com")
        for channel in (CHANNEL, AUDIT, TRAP):
            self.slack.world.channels[channel].members.add(f"U{name.upper()}")

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, directory: Path, dice: Random, pace: int, postgres: PostgresServer) -> AsyncIterator[Site]:
        """All of it, and none of it at the end."""
        async with LocalSlack(team=TEAM) as slack:
            site = cls(slack, directory, dice, pace, postgres)
            try:
                await site.start()
                yield site
            finally:
                site.end()

    async def start(self) -> None:
        """Redis, then who answers and who works; returns when all are ready."""
        self._redis: subprocess.Popen[bytes] | None = None
        self._target: subprocess.Popen[bytes] | None = None
        self._web: subprocess.Popen[bytes] | None = None
        self._workers: list[tuple[subprocess.Popen[bytes], int]] = []
        self._start_redis()
        self._start_target()
        self._admin = psycopg.connect(self.postgres.dsn, autocommit=True)
        self._no_logins()
        self._web = self._program("bot", "run", "--role", "web", log="web.log", ops=self.ops)
        self._workers = [self._worker() for _ in range(WORKERS)]
        await self._all_ready()
        self.slack.deliver_to(f"http://127.0.0.1:{self.port}/slack/events")

    def _start_redis(self) -> None:
        self._redis = start_redis(redis_binary(), self.redis_directory, self.redis_port, "--appendfsync", "no")

    def _start_target(self) -> None:
        """A second Redis, which is one of the doors; its bot has the documented rights and no more."""
        self._target = start_redis(redis_binary(), self.target_directory, self.target_port, "--appendonly", "no")
        self.cache: Any = Redis(unix_socket_path=str(self.target_directory / "s.sock"), decode_responses=True)
        password = secrets.token_hex(12)
        self.cache.execute_command("ACL", "SETUSER", BOT, "reset", "on", f">{password}", *RIGHTS)  # type: ignore[no-untyped-call]  # redis-py
        self.target.write_text(f"redis://{BOT}:{password}@127.0.0.1:{self.target_port}/0")

    def open_doors(self) -> set[tuple[str, str, str]]:
        """Which doors are open now, for whom, and by whose order; asked of the doors themselves."""
        found = {(door, account, entry.made_by) for door, account, entry in self.sandbox.doors.all()}
        for user in self.cache.acl_users():
            if order := _ORDER.fullmatch(str(user)):
                found.add(("cache", str(user), f"{order[1].upper()}.{order[2]}"))
        for (role,) in self._admin.execute("SELECT rolname FROM pg_roles WHERE rolcanlogin").fetchall():
            if order := _LOGIN.fullmatch(str(role)):
                found.add(("db", str(role), f"J-{order[1].upper()}.{order[2]}"))
        return found

    def _no_logins(self) -> None:
        """An administrator takes away what an earlier episode left."""
        for (role,) in self._admin.execute("SELECT rolname FROM pg_roles").fetchall():
            if _LOGIN.fullmatch(str(role)):
                self._admin.execute(f"DROP OWNED BY {role}".encode())
                self._admin.execute(f"DROP ROLE {role}".encode())

    def _worker(self) -> tuple[subprocess.Popen[bytes], int]:
        ops = free_port()
        return self._program("tests.chaos.adversary.worker", log="workers.log", ops=ops), ops

    def _program(self, *words: str, log: str, ops: int) -> subprocess.Popen[bytes]:
        ours = ("SLACK_", "JIT_", "REDIS_")
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
            "SLACK_BOT_TOKEN": self.slack.bot_token,
            "SLACK_SIGNING_SECRET": self.slack.signing_secret,
            "SLACK_API_URL": self.slack.api_url,
            "REDIS_URL": self.url,
            "JIT_KEYS": self.ring.spelled(),
            "JIT_POLICY": str(self.directory / "jit.yaml"),
            "JIT_HOME": str(self.directory / "home"),
            "JIT_OPS_PORT": str(ops),
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            PACE: str(self.pace),
        }
        (self.directory / "home").mkdir(exist_ok=True)
        return program(*words, log=self.directory / log, **environment)

    async def _all_ready(self) -> None:
        """A port that was free may be somebody else's by now: then others are taken."""
        for again in (True, True, False):
            try:
                for ops in (self.ops, *(ops for _, ops in self._workers)):
                    await ready(f"http://127.0.0.1:{ops}/readyz")
            except TimeoutError:
                if again:
                    self._start_again()
                    continue
                said = "\n".join([*self.tail("web.log"), *self.tail("workers.log")])
                raise RuntimeError(f"the bot did not start:\n{said}") from None
            return

    def _start_again(self) -> None:
        for process in (self._web, *(process for process, _ in self._workers)):
            if process:
                process.kill()
                process.wait()
        self.port, self.ops = free_port(), free_port()
        self._web = self._program("bot", "run", "--role", "web", log="web.log", ops=self.ops)
        self._workers = [self._worker() for _ in range(WORKERS)]

    # what is done to the processes

    async def hurt(self, until: float) -> None:
        """Kill something now and then, so that no process' memory is all that keeps access from staying open."""
        while time.monotonic() < until:
            await asyncio.sleep(self.dice.uniform(3.0, 6.0))
            match self.dice.choices(["worker", "workers", "web", "redis"], [4, 2, 2, 1])[0]:
                case "worker":
                    await self._kill_workers(1)
                case "workers":
                    await self._kill_workers(WORKERS)
                case "web":
                    await self._kill_web()
                case _:
                    self._kill_redis()

    async def _kill_workers(self, count: int) -> None:
        began = time.time()
        for _ in range(count):
            process, _ops = self._workers.pop(0)
            process.kill()
            process.wait()
            self._workers.append(self._worker())
        self.done["workers killed"] += count
        # A store that an intruder has broken may keep a process from being ready: that is no excuse for longer.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(12):
                for _, ops in self._workers[-count:]:
                    await ready(f"http://127.0.0.1:{ops}/readyz")
        self.down.append((began, time.time() + LEASE + 1))

    async def _kill_web(self) -> None:
        assert self._web
        self._web.kill()
        self._web.wait()
        self._web = self._program("bot", "run", "--role", "web", log="web.log", ops=self.ops)
        self.done["web killed"] += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(12):
                await ready(f"http://127.0.0.1:{self.ops}/readyz")

    def _kill_redis(self) -> None:
        assert self._redis
        began = time.time()
        self._redis.kill()
        self._redis.wait()
        self._start_redis()
        self.done["Redis killed"] += 1
        self.down.append((began, time.time() + LEASE + 1))

    async def tend(self) -> None:
        """Start again what ended by itself, as a host does."""
        while True:
            await asyncio.sleep(0.2)
            for n, (process, _) in enumerate(self._workers):
                if process.poll() is not None:
                    self._workers[n] = self._worker()
                    self.done["workers that broke"] += 1
                    # Not counted as down: who can break a worker by writing to Redis could keep access open so.
            if self._web and self._web.poll() is not None:
                self._web = self._program("bot", "run", "--role", "web", log="web.log", ops=self.ops)
                self.done["web that broke"] += 1

    def excused(self, since: float, now: float) -> float:
        """Seconds between two moments in which some process was down."""
        spans = sorted((max(a, since), min(b, now)) for a, b in self.down if b > since and a < now)
        total, reached = 0.0, since
        for a, b in spans:
            total += max(0.0, b - max(a, reached))
            reached = max(reached, b)
        return total

    def stacks(self) -> None:
        """Have the workers write down where they are."""
        for process, _ in self._workers:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGUSR2)

    def tail(self, name: str, lines: int = 30) -> list[str]:
        """The last lines of a log that say more than that all is well."""
        path = self.directory / name
        if not path.exists():
            return []
        found = path.read_text(errors="replace").splitlines()
        return [_short(line) for line in found if '"INFO"' not in line and " INFO " not in line][-lines:]

    def end(self) -> None:
        """Let go of everything."""
        self._admin.close()
        started = [process for process, _ in self._workers]
        for process in (*started, *(p for p in (self._web, self._redis, self._target) if p)):
            process.kill()
            process.wait()


def _short(line: str) -> str:
    with contextlib.suppress(ValueError, AttributeError):
        said = json.loads(line)
        return " ".join(str(said.get(name, "")) for name in ("at", "time", "level", "message", "msg", "error"))[:300]
    return line[:300]
