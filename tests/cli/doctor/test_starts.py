"""Whatever `jit run` refuses, the doctor names, and what it says keeps `jit run` from starting does."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot import app
from bot.playground import LocalSlack
from bot.process.parts import ProcessRole
from bot.settings import load
from bot.store.redis import embedded
from tests.cli.doctor.examining import REDIS_SYSTEM, Env, look, policy
from tests.house import POLICY
from tests.journeys.conftest import running
from tests.servers import free_port, lacking, redis_server

ALONE: dict[str, str | None] = {"REDIS_URL": None, "JIT_KEYS": None, "JIT_STORE": "embedded"}
HTTP: dict[str, str | None] = {"SLACK_APP_TOKEN": None, "SLACK_SIGNING_SECRET": "0123456789abcdef"}
SINK = "  sinks: {siem: {kind: webhook, config: {url: 'https://siem.example.com/', secret: 'env:JIT_NONE'}}}\n  mfa:"


@dataclass
class Scene:
    """What a fault is made in: the files, Slack, and what has to be taken down in the end."""

    home: Path
    slack: LocalSlack
    stack: contextlib.ExitStack

    def policy(self, old: str, new: str) -> dict[str, str | None]:
        return {"JIT_POLICY": policy(self.home, POLICY.replace(old, new))}

    def folder(self, *names: str, mode: int = 0o700) -> Path:
        path = self.home.joinpath(*names)
        path.mkdir(parents=True)
        path.chmod(mode)
        return path

    def file(self, *names: str, text: str = "", mode: int = 0o600) -> Path:
        path = self.home.joinpath(*names)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def listening(self) -> int:
        taken = self.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        return int(taken.getsockname()[1])

    def redis(self, *options: str) -> dict[str, str | None]:
        return {"REDIS_URL": self.stack.enter_context(redis_server(*options)).socket_url}


@dataclass(frozen=True)
class Fault:
    """Something that can be wrong. ``named``: in what the bot says, and in what the doctor says; '' where it starts."""

    changes: Callable[[Scene], dict[str, str | None]]
    named: str = ""
    role: ProcessRole = "all"
    repairs: str = field(default="", kw_only=True)
    """What the doctor says is wrong although the bot starts."""


def env(**changes: str | None) -> Callable[[Scene], dict[str, str | None]]:
    return lambda _: changes


def slack(change: Callable[[LocalSlack], object]) -> Callable[[Scene], dict[str, str | None]]:
    def changed(scene: Scene) -> dict[str, str | None]:
        change(scene.slack)
        return {}

    return changed


FAULTS = {
    "nothing": Fault(env()),
    "nothing, of a web process": Fault(env(), role="web"),
    "nothing, of a worker": Fault(env(SLACK_APP_TOKEN=None), role="worker"),
    # settings
    "no bot token": Fault(env(SLACK_BOT_TOKEN=None), "SLACK_BOT_TOKEN is missing"),
    "no way to be called": Fault(env(SLACK_APP_TOKEN=None), "SLACK_APP_TOKEN (Socket Mode) is missing"),
    "two ways to be called": Fault(env(SLACK_SIGNING_SECRET="0" * 32), "are both set"),
    "a user's token": Fault(env(SLACK_BOT_TOKEN="xoxp-1"), "SLACK_BOT_TOKEN is a user token"),
    "the tokens exchanged": Fault(env(SLACK_APP_TOKEN="xoxb-1"), "SLACK_APP_TOKEN is a bot token"),
    "no store": Fault(env(REDIS_URL=None), "REDIS_URL is missing"),
    "two stores": Fault(env(JIT_STORE="embedded"), "REDIS_URL and JIT_STORE are both set"),
    "no keys": Fault(env(JIT_KEYS=None), "JIT_KEYS is missing"),
    "keys that are none": Fault(env(JIT_KEYS="k1:short"), "key 1 is not of the form"),
    "an embedded store for a worker": Fault(env(**ALONE), "JIT_STORE=embedded is for one process", role="worker"),
    "a setting that is misspelt": Fault(env(JIT_REPLICS="1"), "did you mean JIT_REPLICAS?"),
    "a port that is none": Fault(env(PORT="http"), "PORT is wrong"),
    "a secret's file that is gone": Fault(env(JIT_KEYS=None, JIT_KEYS_FILE="/none"), "JIT_KEYS_FILE: /none cannot be"),
    "a token in the clear": Fault(env(SLACK_API_URL="http://slack.example.com/api/"), "in the clear"),
    # the policy
    "no policy": Fault(env(JIT_POLICY="/none.yaml"), "/none.yaml"),
    "a mistake in the policy": Fault(lambda s: s.policy("approvers: [dba]", "approvers: [dab]"), "no group `dab`"),
    "a user group of another team": Fault(
        lambda s: s.policy("S0DBA0001}", "S0DBA0001, slack_team: T0OTHER99}"), "T0OTHER99 is another team"
    ),
    # the store and its keys
    "a Redis that does not answer": Fault(
        lambda _: {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}, "does not answer"
    ),
    "a Redis that evicts": Fault(lambda s: s.redis("--maxmemory-policy", "allkeys-lru"), "noeviction"),
    "a Redis that is a replica": Fault(lambda s: s.redis("--replicaof", "127.0.0.1 1"), "replica of 127.0.0.1:1"),
    "a Redis that keeps no log": Fault(lambda s: s.redis("--appendonly", "no"), repairs="append-only file is off"),
    "a home that is a file": Fault(lambda s: {**ALONE, "JIT_HOME": str(s.file("home"))}, "JIT_HOME"),
    "a home below a file": Fault(lambda s: {**ALONE, "JIT_HOME": str(s.file("f") / "home")}, "JIT_HOME"),
    "a store that others may enter": Fault(
        lambda s: {**ALONE, "JIT_HOME": str(s.folder("home", "store", mode=0o755).parent)},
        "is not a folder that only you can enter",
    ),
    "keys that others may read": Fault(
        lambda s: {**ALONE, "JIT_HOME": str(s.file("home", "keys", mode=0o644).parent)}, "chmod 600"
    ),
    "keys that are damaged": Fault(
        lambda s: {**ALONE, "JIT_HOME": str(s.file("home", "keys", text="k1").parent)}, "key 1 is not of the form"
    ),
    # Slack
    "a token that Slack refuses": Fault(
        slack(lambda s: s.faults.add("auth.test", "refuse", None, code="invalid_auth")), "invalid_auth"
    ),
    "a Slack that is none": Fault(
        slack(lambda s: s.faults.add("auth.test", "refuse", None, code="unknown_method")), "auth.test"
    ),
    "a Slack that cannot be reached": Fault(
        lambda _: {"SLACK_API_URL": f"http://127.0.0.1:{free_port()}/api/"}, "SLACK_API_URL"
    ),
    "a scope that is missing": Fault(
        slack(lambda s: setattr(s, "scopes", [scope for scope in s.scopes if scope != "usergroups:read"])),
        repairs="not granted: usergroups:read",
    ),
    "a channel without the bot": Fault(
        slack(lambda s: setattr(s.world.channels["C0VAULT01"], "bot_inside", False)), repairs="the bot is not in it"
    ),
    # systems and sinks, which only a worker has the secrets of
    "a system's secret": Fault(lambda s: s.policy("\ntemplates:", REDIS_SYSTEM), "CACHE_URL", role="worker"),
    "a system's secret, of a web process": Fault(lambda s: s.policy("\ntemplates:", REDIS_SYSTEM), role="web"),
    "a system that refuses": Fault(
        lambda s: s.policy(
            "provider: sandbox", "provider: sandbox\n    config: {faults: [{verb: check, does: refuse}]}"
        ),
        repairs="sandbox refuses",
    ),
    "a sink's secret": Fault(lambda s: s.policy("  mfa:", SINK), "JIT_NONE"),
    "a sink's secret, of a web process": Fault(lambda s: s.policy("  mfa:", SINK), role="web"),
    # ports
    "a port of health that is taken": Fault(lambda s: {"JIT_OPS_PORT": str(s.listening())}, "JIT_OPS_PORT: port"),
    "a port for Slack that is taken": Fault(
        lambda s: {**HTTP, "HOST": "127.0.0.1", "PORT": str(s.listening())}, "PORT: port"
    ),
    "a port for Slack that is taken, over Socket Mode": Fault(
        lambda s: {"HOST": "127.0.0.1", "PORT": str(s.listening())}
    ),
    "an address of another machine": Fault(env(JIT_OPS_HOST="192.0.2.1"), "JIT_OPS_HOST: 192.0.2.1 is no address of"),
}
"""The documentation's network, 192.0.2.0/24, is no machine's."""


@pytest.fixture
def scene(slack: LocalSlack, tmp_path: Path) -> Iterator[Scene]:
    with contextlib.ExitStack() as stack:
        yield Scene(tmp_path, slack, stack)


async def refusal(changed: Env, role: ProcessRole) -> str:
    """What `jit run` says in place of starting; '' where it starts."""
    try:
        async with running(load(changed, role), role):
            return ""
    except Exception as error:
        sentence = app.explained(error)
        if sentence is None:
            raise
        return sentence


@pytest.mark.parametrize("name", FAULTS)
async def test_what_keeps_the_bot_from_starting_is_what_the_doctor_says_keeps_it(
    env: Env, scene: Scene, name: str
) -> None:
    fault = FAULTS[name]
    changes = fault.changes(scene)
    if changes.get("JIT_STORE") and fault.role == "all":
        try:
            embedded.binary()
        except embedded.CannotEmbed as error:
            lacking("a store to embed", str(error))
    changed = {key: value for key, value in {**env, **changes}.items() if value is not None}
    found = await look(changed, fault.role)
    told = "\n".join(f"{f.found}: {f.fix}" for f in found.all if f.stops_run)
    said = await refusal(changed, fault.role)
    assert bool(told) == bool(said), (told, said)
    assert fault.named in told
    assert fault.named in said
    if fault.named:
        assert all(f.fix for f in found.all if f.stops_run), "each says what to do"
    if fault.repairs:
        assert fault.repairs in "\n".join(f.found for f in found.all if f.check in found.wrong())


async def test_a_bot_that_runs_here_is_named_by_the_doctor_and_by_a_second_run(env: Env) -> None:
    async with running(load(env)):
        port = env["JIT_OPS_PORT"]
        assert (await look(env)).one("ports").found == f"a bot runs here: it answers on 127.0.0.1:{port}"
        said = await refusal(env, "all")
    assert said.startswith(f"JIT_OPS_PORT: port {port} of 127.0.0.1 is in use by a bot that runs here; stop that one")


async def test_a_token_that_slack_refuses_stops_no_bot_that_knows_whose_it_was(env: Env, slack: LocalSlack) -> None:
    async with running(load(env)):
        pass
    slack.faults.add("auth.test", "refuse", None, code="invalid_auth")
    found = await look(env)
    assert "invalid_auth" in found.said("token")
    assert [f for f in found.all if f.stops_run] == []
    assert await refusal(env, "worker") == ""
