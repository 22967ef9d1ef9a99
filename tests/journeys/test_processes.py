"""The processes as an operator runs them: `python -m bot run` over a Redis, told to stop, killed, cut off."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import aiohttp
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from bot import descriptors
from bot.app import opened
from bot.playground import LocalSlack, Message
from bot.process.parts import PartBroken
from bot.store.keyring import KeyRing
from bot.store.keys import Keys
from bot.worker.worker import Worker
from providers.systems.sandbox import Sandbox, SandboxConfig
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, settings_for
from tests.servers import (
    RedisServer,
    _die_with_parent,
    free_port,
    lacking,
    program,
    redis_binary,
    redis_server,
    start_redis,
)

Role = Literal["all", "web", "worker"]
AWAY = "Storage isn't responding."


@dataclass
class Bot:
    """One process; what it says is kept, and looked through for secrets when it is over."""

    role: Role
    process: asyncio.subprocess.Process
    output: Path
    port: int
    ops: int
    started: float = field(default_factory=time.monotonic)

    @property
    def said(self) -> str:
        """Its output so far."""
        return self.output.read_text(encoding="utf-8")

    async def stopped(self, how: signal.Signals = signal.SIGTERM, patience: float = 30.0) -> int:
        """Tell it to stop, and wait; the exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(how)
        return await asyncio.wait_for(self.process.wait(), patience)

    async def asked(self, path: str) -> tuple[int, str]:
        """What it answers on its own port; 0 when nobody is there."""
        async with aiohttp.ClientSession() as session:
            try:
                async with session.get(f"http://127.0.0.1:{self.ops}{path}") as answer:
                    return answer.status, await answer.text()
            except (aiohttp.ClientError, OSError):
                return 0, ""

    async def is_ready(self) -> bool:
        """Whether it says so; an error if it ended instead."""
        if self.process.returncode is not None:
            raise AssertionError(f"{self.role} ended with {self.process.returncode}: {self.said}")
        return (await self.asked("/readyz"))[0] == 200


@dataclass
class Site:
    """A machine of an operator's: the environment of the bot, its policy, its doors, its store, and Slack."""

    home: Path
    redis: RedisServer
    slack: LocalSlack
    secrets: list[str] = field(default_factory=list)
    bots: list[Bot] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    files: int = 0
    """How many files a process may have open at most; 0: as many as the tests."""

    def __post_init__(self) -> None:
        """Write the policy; the doors outlive each process."""
        self.doors = self.home / "doors"
        self.doors.mkdir()
        self.keys = KeyRing.generate().spelled()
        self.policy = POLICY.replace("provider: sandbox", f"provider: sandbox\n    config: {self._config()}", 1)
        (self.home / "jit.yaml").write_text(self.policy)
        slack = self.slack
        self.secrets += [slack.bot_token, slack.app_token, slack.signing_secret, self.keys, self.keys.split(":")[1]]

    def _config(self) -> str:
        return json.dumps({"path": str(self.doors), "settles_within": 1.0})

    def env(self, role: Role, **changes: str | None) -> dict[str, str]:
        """What a unit file would have; a change to None leaves a variable out."""
        env: dict[str, str | None] = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "SLACK_BOT_TOKEN": self.slack.bot_token,
            "SLACK_SIGNING_SECRET": None if role == "worker" else self.slack.signing_secret,
            "SLACK_API_URL": self.slack.api_url,
            "REDIS_URL": self.redis.url,
            "JIT_KEYS": self.keys,
            "HOST": "127.0.0.1",
            "PORT": str(free_port()),
            "JIT_OPS_PORT": str(free_port()),
            "JIT_LOG_LEVEL": "DEBUG",
        }
        return {name: value for name, value in {**env, **changes}.items() if value is not None}

    async def start(self, role: Role, **changes: str | None) -> Bot:
        """Start a process, and do not wait for it."""
        most = self.files
        limited = ("sh", "-c", f'ulimit -Sn {most}; ulimit -Hn {most}; exec "$@"', "sh") if most else ()
        env, output = self.env(role, **changes), self.home / f"output-{next(self.numbers)}"
        with output.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *(*limited, sys.executable, "-m", "bot", "run", "--role", role),
                env=env,
                cwd=self.home,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # calls one C function
            )
        bot = Bot(role, process, output, int(env["PORT"]), int(env["JIT_OPS_PORT"]))
        self.bots.append(bot)
        return bot

    async def run(self, role: Role, **changes: str | None) -> Bot:
        """Start a process and wait until it is ready."""
        bot = await self.start(role, **changes)
        await until(bot.is_ready, f"{role} to be ready", 60)
        if role != "worker" and "SLACK_APP_TOKEN" not in changes:
            self.slack.deliver_to(f"http://127.0.0.1:{bot.port}/slack/events")
        return bot

    async def asked(self, line: str = "request debug 30m -- INC-1 the vault is stuck") -> Message:
        """Mia asks; the card."""
        reply = await self.slack.person("UMIA").command("/jit", line, CHANNEL)
        assert "You requested" in reply.text, reply.text
        return await self.card(reply.text.split(" (")[1][:6], "waiting for approval")

    async def card(self, id_: str, said: str, patience: float = 30.0) -> Message:
        """The card of a request, once it says so."""
        return await self.slack.sees(CHANNEL, lambda m: id_ in m.said() and said in m.said(), patience=patience)

    async def opened(self, line: str = "request debug 30m -- INC-1 the vault is stuck") -> tuple[str, Message]:
        """Mia asks, Dan approves, it is open: the id, and the card."""
        card = await self.asked(line)
        assert (await self.slack.person("UDAN").click(card, "approve")).status == 200
        return id_of(card), await self.card(id_of(card), "active until")

    async def standing(self) -> list[str]:
        """The requests behind the doors that are open."""
        sandbox = Sandbox(SandboxConfig(path=str(self.doors)))
        return [str(list_access.order).partition(".")[0] for list_access in await sandbox.list_access()]

    @contextlib.asynccontextmanager
    async def store(self) -> AsyncIterator[tuple[Redis, Keys]]:
        """The store, as an operator could look into it."""
        client = Redis.from_url(self.redis.socket_url)
        try:
            yield client, Keys(self.slack.team)
        finally:
            await client.aclose()

    async def told(self) -> None:
        """Wait until there is nothing left to tell."""
        async with self.store() as (redis, keys):

            async def nothing() -> bool:
                return bool(await redis.zcard(keys.outbox) == 0)

            await until(nothing, "an empty outbox")

    async def end(self) -> None:
        """Let no process outlive its test."""
        for bot in self.bots:
            if bot.process.returncode is None:
                bot.process.kill()
                await bot.process.wait()


def id_of(card: Message) -> str:
    """The request that a card shows."""
    return str(next(iter(card.buttons().values()))["value"])


async def until(condition: Callable[[], Any], what: str, patience: float = 30.0) -> Any:
    """Wait for a condition outside of this process."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):
            while True:
                if found := await condition():
                    return found
                await asyncio.sleep(0.03)
    raise AssertionError(f"waited {patience} s for {what}")


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis that a test may kill."""
    with redis_server() as server:
        yield server


@pytest.fixture
async def site(slack: LocalSlack, own_redis: RedisServer, tmp_path: Path) -> AsyncIterator[Site]:
    """A machine; at the end, none of what its processes said may have a secret in it."""
    slack.limits.on = False
    site = Site(tmp_path, own_redis, slack)
    try:
        yield site
    finally:
        await site.end()
    for bot in site.bots:
        assert [secret for secret in site.secrets if secret in bot.said] == [], bot.role
        assert not re.search(r"xox[bp]-\w", bot.said), bot.role
        assert "ticket=" not in bot.said


async def test_web_and_worker_apart_open_and_close_and_end_when_they_are_told(site: Site) -> None:
    web, worker = await asyncio.gather(site.run("web"), site.run("worker"))
    id_, _ = await site.opened()
    assert await site.standing() == [id_]
    decided = await site.slack.person("UMIA").sees_dm(lambda m: "You have access until" in m.said())
    await site.slack.person("UMIA").click(decided, "reveal")
    view = await site.slack.person("UMIA").sees_view("note", lambda v: "Password" in v.said())
    site.secrets += re.findall(r"```(.*?)```", view.said(), re.DOTALL)[1:2]
    assert len(site.secrets[-1]) > 12
    await site.slack.person("UMIA").click(decided, "release")
    await site.card(id_, ":lock: ended")
    assert await site.standing() == []

    for bot in (web, worker):
        assert (await bot.asked("/healthz"))[0] == 200
        assert json.loads((await bot.asked("/readyz"))[1]) == {"ready": True}
        status, numbers = await bot.asked("/metrics")
        assert status == 200
        assert re.search(r"^jit_oldest_overdue_seconds 0\.\d+$", numbers, re.MULTILINE)
        assert re.search(r"^jit_outbox_rows \d+\.0$", numbers, re.MULTILINE)
    site.slack.delivery.url = f"http://127.0.0.1:{worker.port}/slack/events"
    assert (await site.slack.delivery.raw(b"{}", {})).status == 0, "the worker answers nobody"

    began = time.monotonic()
    assert [*await asyncio.gather(web.stopped(), worker.stopped())] == [0, 0]
    assert time.monotonic() - began < 20, "what a grace of 25 s cut off was not finished"
    async with site.store() as (redis, keys):
        assert await redis.exists(keys.poster) == 0
        assert len(await redis.client_list()) == 1
    assert [bot.said.count("Traceback") for bot in (web, worker)] == [0, 0]


async def test_what_a_killed_worker_had_in_hand_another_goes_on_with(site: Site) -> None:
    (site.doors / "faults.json").write_text(json.dumps([{"verb": "grant", "does": "crash after", "times": 1}]))
    _, first = await asyncio.gather(site.run("web"), site.run("worker"))
    card = await site.asked()
    id_ = id_of(card)
    await site.slack.person("UDAN").click(card, "approve")
    assert await asyncio.wait_for(first.process.wait(), 30) == -signal.SIGKILL
    assert await site.standing() == [id_], "it was killed between the effect and the answer"
    await site.run("worker")
    async with site.store() as (redis, keys):
        # The lease of the one that was killed is over, as it is after half a minute.
        await redis.zadd(keys.due, {id_: 0.0}, xx=True)
    await site.card(id_, "active until")
    assert (await site.slack.person("UMIA").command("/jit", "release", CHANNEL)).text.startswith("Thank you")
    await site.card(id_, ":lock: ended")
    assert await site.standing() == []


async def test_what_is_in_hand_when_it_is_told_to_stop_is_finished_and_recorded(site: Site) -> None:
    (site.doors / "faults.json").write_text(json.dumps([{"verb": "grant", "does": "slow", "seconds": 0.8, "times": 1}]))
    _, first = await asyncio.gather(site.run("web"), site.run("worker"))
    card = await site.asked()
    async with site.store() as (redis, keys):
        # Nothing is opened before the archive is there to be asked.
        await until(lambda: redis.exists(keys.sealed), "the first seal")
    await site.slack.person("UDAN").click(card, "approve")
    async with site.store() as (redis, keys):

        async def attempted() -> bool:
            entries: Any = await redis.xrange(keys.audit)
            return any(entry[b"kind"] == b"grant_attempted" for _, entry in entries)

        await until(attempted, "the attempt")
    assert await first.stopped() == 0
    assert await site.standing() == [id_of(card)]
    await site.run("worker")
    # It was recorded: nobody has to wait until a lease of half a minute is over.
    await site.card(id_of(card), "active until")


@pytest.mark.parametrize(
    ("role", "slack_is"), [("worker", "refusing"), ("worker", "silent"), ("all", "refusing"), ("all", "silent")]
)
async def test_a_start_while_slack_is_away_still_closes_what_is_due_and_still_stops(
    site: Site, role: Role, slack_is: str
) -> None:
    before = await site.run("all")
    _, _ = await site.opened("request vault/read-only 5s -- to look at it")
    assert await before.stopped() == 0
    assert len(await site.standing()) == 1
    socket_mode = {"SLACK_SIGNING_SECRET": None, "SLACK_APP_TOKEN": site.slack.app_token} if role == "all" else {}
    if slack_is == "silent":
        site.slack.faults.add("*", "hang", None)
        after = await site.start(role, **socket_mode)
    else:
        away = f"http://127.0.0.1:{free_port()}/api/"
        after = await site.start(role, SLACK_API_URL=away, **socket_mode)

    async def closed() -> bool:
        return await site.standing() == []

    await until(closed, f"the door to be closed: {after.said}", 30)
    began = time.monotonic()
    site.slack.faults.clear()
    assert await after.stopped() == 0, after.said
    assert time.monotonic() - began < 20, "what a grace of 25 s cut off was not finished"


async def test_socket_mode_is_connected_in_the_end_when_an_address_that_slack_gave_does_not_serve(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    admits, tickets = site.slack.admits, list[str]()

    def admits_at_the_second_try(ticket: str) -> bool:
        tickets.append(ticket)
        return admits(ticket) and len(tickets) > 1

    monkeypatch.setattr(site.slack, "admits", admits_at_the_second_try)
    bot = await site.run("web", SLACK_SIGNING_SECRET=None, SLACK_APP_TOKEN=site.slack.app_token)
    assert "You requested" in (await site.slack.person("UMIA").command("/jit", "request debug 30m -- INC-1 x")).text
    assert len(set(tickets)) == 2
    assert [ticket for ticket in tickets if ticket in bot.said] == []
    assert await bot.stopped() == 0
    assert "Traceback" not in bot.said


async def test_a_store_that_was_killed_is_told_of_at_once_and_all_goes_on_when_it_is_back(site: Site) -> None:
    bot = await site.run("all")
    card = await site.asked()
    mia, dan = site.slack.person("UMIA"), site.slack.person("UDAN")
    open_id, _ = await site.opened("request vault/shared 6s -- to look at the hall")

    site.redis.process.kill()
    site.redis.process.wait()
    for line in ("request vault/read-only 1h -- INC-2 again", "list", "release"):
        reply = await mia.command("/jit", line, CHANNEL)
        assert AWAY in reply.text
        assert reply.seconds < 3
    assert (await dan.click(card, "approve")).seconds < 3
    await dan.sees_ephemeral(lambda m: AWAY in m.text)
    status, why = await bot.asked("/readyz")
    assert (status, "the store is away" in why) == (503, True)
    assert (await bot.asked("/healthz"))[0] == 200

    again = start_redis(redis_binary(), site.redis.directory, site.redis.port)
    try:
        await until(bot.is_ready, "it to be ready again")
        await site.card(open_id, ":lock: ended", patience=15)
        assert (await dan.click(card, "approve")).status == 200
        await site.card(id_of(card), "active until")
        assert await bot.stopped() == 0
    finally:
        again.kill()
        again.wait()


async def test_a_store_that_hangs_is_told_of_within_what_slack_waits(site: Site) -> None:
    bot = await site.run("all")
    card = await site.asked()
    await site.told()
    mia, dan = site.slack.person("UMIA"), site.slack.person("UDAN")
    site.redis.process.send_signal(signal.SIGSTOP)
    try:
        replies = await asyncio.gather(
            mia.command("/jit", "list", CHANNEL), mia.command("/jit", "request debug 1h -- INC-3 x", CHANNEL)
        )
        assert [(reply.status, AWAY in reply.text) for reply in replies] == [(200, True), (200, True)]
        assert max(reply.seconds for reply in replies) < 3
        assert (await dan.click(card, "approve")).status == 200
    finally:
        site.redis.process.send_signal(signal.SIGCONT)
    await until(bot.is_ready, "it to be ready again")
    now = await site.slack.sees(CHANNEL, lambda m: id_of(card) in m.said())
    if "approve" in now.buttons():
        await dan.click(now, "approve")
    await site.card(id_of(card), "active until")


# what keeps a process from starting

UNSET = dict.fromkeys(("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_API_URL", "REDIS_URL", "JIT_KEYS"))
BROKEN_POLICY = "version: 1\nworkspace: {audit_chanel: C0AUDIT01}\n"
SECRETIVE = 'provider: sandbox\n    config: {id: "env:VAULT_SECRET", path: "file:/nowhere/at all"}'


@pytest.mark.parametrize(
    ("role", "changes", "lines"),
    [
        ("all", UNSET, ["SLACK_BOT_TOKEN is missing", "SLACK_SIGNING_SECRET (HTTP) or", "REDIS_URL is missing"]),
        (
            "web",
            {"SLACK_BOT_TOKEN": "xoxp-4711", "JIT_KEYS": "k1:4711"},
            ["BOT_TOKEN is a user token", "JIT_KEYS"],
        ),
        ("worker", {"REDIS_URL": None, "JIT_STORE": "embedded"}, ["JIT_STORE=embedded is for one process"]),
        ("all", {"REDIS_URL": "redis://:secret4711@127.0.0.1:@FREE@/0"}, ["the store (REDIS_URL) does not answer"]),
        ("all", {"SLACK_API_URL": "http://127.0.0.1:@FREE@/api/"}, ["Slack cannot be reached", "see SLACK_API_URL"]),
        ("web", {"SLACK_BOT_TOKEN": "xoxb-4711"}, ["SLACK_BOT_TOKEN: Slack does not accept it (invalid_auth)"]),
        ("web", {"PORT": "@TAKEN@"}, ["PORT: port @TAKEN@ of 127.0.0.1 is in use"]),
        ("worker", {"JIT_OPS_PORT": "@TAKEN@"}, ["JIT_OPS_PORT: port @TAKEN@ of 127.0.0.1 is in use"]),
        ("all", {"REDIS_URL": None, "JIT_KEYS": None, "JIT_STORE": "embedded", "JIT_HOME": "jit.yaml"}, ["JIT_HOME"]),
        ("all", {"JIT_POLICY": "nowhere.yaml"}, ["nowhere.yaml"]),
        ("web", {"JIT_POLICY": "broken.yaml"}, ["broken.yaml:2", "audit_channel"]),
        ("worker", {"JIT_POLICY": "secretive.yaml"}, ["system vault: id: the environment variable VAULT_SECRET is"]),
    ],
)
async def test_what_is_wrong_is_said_in_a_line_each_and_it_does_not_start(
    site: Site, role: Role, changes: dict[str, str | None], lines: list[str]
) -> None:
    (site.home / "broken.yaml").write_text(BROKEN_POLICY)
    (site.home / "secretive.yaml").write_text(POLICY.replace("provider: sandbox", SECRETIVE, 1))
    # A value that is no secret of ours is one of somebody's all the same.
    site.secrets += ["4711"]
    ports = {"@FREE@": str(free_port()), "@TAKEN@": str(site.redis.port)}
    for placeholder, port in ports.items():
        changes = {name: value and value.replace(placeholder, port) for name, value in changes.items()}
    bot = await site.start(role, **{"JIT_LOG_LEVEL": "INFO", **changes})
    assert await asyncio.wait_for(bot.process.wait(), 30) == 1, bot.said
    for line in lines:
        assert line.replace("@TAKEN@", ports["@TAKEN@"]) in bot.said
    assert "Traceback" not in bot.said
    complaint = _complaint(bot.said)
    assert 1 <= len(complaint) <= max(5, len(lines)), complaint


def _complaint(said: str) -> list[str]:
    """What a process says on its way out: in its log, or plainly where its settings do not even tell the log's form."""
    if "Error: " in said:
        return said[said.index("Error: ") :].splitlines()
    told = [json.loads(line) for line in said.splitlines()]
    return [line for one in told if one["level"] == "CRITICAL" for line in one["message"].splitlines()]


async def test_web_starts_without_the_secrets_of_the_systems(site: Site) -> None:
    (site.home / "secretive.yaml").write_text(POLICY.replace("provider: sandbox", SECRETIVE, 1))
    bot = await site.run("web", JIT_POLICY="secretive.yaml")
    assert "You requested" in (await site.slack.person("UMIA").command("/jit", "request debug 30m -- INC-1 x")).text
    assert await bot.stopped() == 0


async def test_a_part_that_breaks_is_begun_again_and_ends_no_process(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begun = itertools.count()

    async def breaks(_: float) -> None:
        if next(begun) < 2:
            raise ZeroDivisionError
        app.stopping.set()

    settings = settings_for(slack, redis, "http", tmp_path)
    async with opened(settings.model_copy(update={"slack_app_token": SecretStr("")}), "worker") as app:
        app.announcer.wait = breaks
        await asyncio.wait_for(app.run(), 30)
    assert caplog.text.count("announcer broke, and is begun again") == 2


async def test_a_process_whose_worker_breaks_ends_with_an_error(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Worker, "run", breaks)
    settings = settings_for(slack, redis, "http", tmp_path)
    async with opened(settings.model_copy(update={"slack_app_token": SecretStr("")}), "worker") as app:
        with pytest.raises(PartBroken, match="the worker broke"):
            await asyncio.wait_for(app.run(), 8)


async def test_five_thousand_silent_and_slow_connections_keep_no_access_open_and_nobody_unheard(site: Site) -> None:
    if descriptors.raise_limit() < 7000:
        lacking("a limit of 7,000 open files", "ulimit -Hn 7000, or LimitNOFILE")
    # As most machines have it, and no more to be had: half of it is the front door's.
    site.files = 1024
    bot = await site.run("all", JIT_LOG_LEVEL="INFO")
    mia, lines, log = site.slack.person("UMIA"), bot.said.count("\n"), site.home / "crowd"
    crowd = program("tests.journeys.crowd", str(bot.port), "5000", str(bot.ops), "500", log=log)
    try:
        await until(lambda: _holds(log.read_text().count("have come") == 2), "a crowd", 60)
        id_, _ = await site.opened("request debug 10s -- INC-1 the vault is stuck")
        end = time.monotonic() + 10
        while await site.standing() == [id_] and time.monotonic() < end + 20:
            told = (await mia.command("/jit", "list", CHANNEL)).text
            assert id_ in told or await site.standing() == []
            assert (await bot.asked("/readyz"))[0] == 200
        assert await site.standing() == []
        _, numbers = await bot.asked("/metrics")
        assert {"slack", "ops"} == set(re.findall(r'jit_connections_dropped_total{port="(\w+)"', numbers))
        held = re.search(r"^process_open_fds (\d+)", numbers, re.MULTILINE)
        assert held
        assert int(held[1]) < 1024 - descriptors.RESERVED / 2
        assert await bot.stopped() == 0
    finally:
        crowd.kill()
        crowd.wait()
    said = bot.said.splitlines()[lines:]
    assert len(said) < 60, "\n".join(said[:100])
    assert "Traceback" not in bot.said


async def _holds(found: bool) -> bool:
    return found
