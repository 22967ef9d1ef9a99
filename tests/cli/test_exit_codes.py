"""The exit codes of the table are those that each command ends with, and the help and the guide have them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from redis.asyncio import Redis

from bot.access import own_request
from bot.audit.archive.archive import Archive
from bot.cli import exit_codes
from bot.cli.exit_codes import TABLE
from bot.cli.main import main
from bot.core.audit_chain import PURPOSE, Signer
from bot.store.keyring import KeyRing
from bot.store.keys import home as home_key
from bot.store.redis import embedded
from bot.store.store import Store
from providers.systems.sandbox import Sandbox, SandboxConfig, SandboxFault
from tests.audit.stories import entries, keep, life
from tests.house import POLICY, House, catalog
from tests.servers import RedisServer

RING = KeyRing({"k1": b"1" * 32})
GOOD, WRONG, CANNOT = 0, 1, 2
TESTS = """
policy: jit.yaml
groups: {dba: [dan@example.com]}
cases: [{as: mia@example.com, what: debug, expect: asks}]
"""


@dataclass
class Desk:
    """A terminal beside a store with one open and one stuck request, and an archive."""

    env: dict[str, str]
    folder: Path
    open: str
    stuck: str

    def type(self, *words: str, **env: str) -> Result:
        names = {"open": self.open, "stuck": self.stuck, "folder": str(self.folder)}
        blank = {name: None for name in os.environ if name.startswith(("JIT_", "SLACK_", "REDIS_", "PORT"))}
        given = {**blank, **self.env, **env}
        return CliRunner().invoke(main, [word.format(**names) for word in words], env=given)


@pytest.fixture
async def desk(redis: RedisServer, workspace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    text = POLICY.replace("provider: sandbox", f"provider: sandbox\n    config: {{path: '{tmp_path / 'doors'}'}}")
    (tmp_path / "jit.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "bad.yaml").write_text("version: 2\n", encoding="utf-8")
    (tmp_path / "good.test.yaml").write_text(TESTS, encoding="utf-8")
    (tmp_path / "wrong.test.yaml").write_text(TESTS.replace("asks", "refused"), encoding="utf-8")
    archive = Archive.open("", tmp_path / "home", create=True)
    told = [*entries(life("J-2222", "mia", at=1_773_000_000.0), "J-2222", 1)]
    keep(archive, Signer(RING.subkeys(PURPOSE)), workspace, told, most=5)
    archive.close()
    client = Redis.from_url(redis.socket_url)
    await client.set(home_key("xoxb-1"), json.dumps({"home": workspace}))
    fault = SandboxFault(verb="revoke", does="unsure")
    broken = Sandbox(SandboxConfig(path=str(tmp_path / "doors"), faults=(fault,), settles_within=0.05))
    store = Store(client, workspace, RING)
    house = await House(store, policy=catalog(text), systems={"vault": broken}).open()
    stuck = await house.granted(what="vault/shared")
    granted = await house.granted()
    await own_request.release(house.context, house.actor("mia"), stuck.id)
    while (await house.now(stuck.id)).legs[0].tries < 1:
        await house.work()
    await client.aclose()
    env = {
        "SLACK_BOT_TOKEN": "xoxb-1",
        "REDIS_URL": redis.socket_url,
        "JIT_KEYS": RING.spelled(),
        "JIT_HOME": str(tmp_path / "home"),
        "HOME": str(tmp_path),
    }
    return Desk(env, tmp_path, granted.id, stuck.id)


AWAY = {"REDIS_URL": "redis://127.0.0.1:1/0"}
NO_ARCHIVE = {"JIT_HOME": "/none"}
Case = tuple[int, tuple[str, ...], dict[str, str]]
CASES: list[Case] = [
    (GOOD, ("manifest",), {}),
    (CANNOT, ("manifest", "--url", "http://here"), {}),
    (GOOD, ("completion", "zsh"), {}),
    (CANNOT, ("completion", "tcsh"), {}),
    (GOOD, ("init", "{folder}/new.yaml"), {}),
    (WRONG, ("init", "{folder}/jit.yaml"), {}),
    (CANNOT, ("init", "/none/jit.yaml"), {}),
    (GOOD, ("keys",), {}),
    (GOOD, ("policy", "check"), {}),
    (WRONG, ("policy", "check", "{folder}/bad.yaml"), {}),
    (CANNOT, ("policy", "check", "/none.yaml"), {}),
    (GOOD, ("policy", "line", "--", "debug", "1h", "INC-42"), {}),
    (WRONG, ("policy", "line", "--", "debug", "tonight"), {}),
    (CANNOT, ("policy", "line", "--file", "{folder}/bad.yaml", "--", "debug"), {}),
    (GOOD, ("policy", "test", "{folder}/good.test.yaml"), {}),
    (WRONG, ("policy", "test", "{folder}/wrong.test.yaml"), {}),
    (CANNOT, ("policy", "test", "{folder}/good.test.yaml", "--policy", "{folder}/bad.yaml"), {}),
    (GOOD, ("policy", "explain", "debug", "--as", "mia@example.com"), {}),
    (CANNOT, ("policy", "explain", "debug", "--as", "mia@example.com", "--file", "{folder}/bad.yaml"), {}),
    (GOOD, ("policy", "schema"), {}),
    (GOOD, ("policy", "diff", "jit.yaml", "{folder}/jit.yaml"), {}),
    (CANNOT, ("policy", "diff", "jit.yaml", "{folder}/bad.yaml"), {}),
    (GOOD, ("policy", "replay", "jit.yaml", "--last", "366d"), {}),
    (CANNOT, ("policy", "replay", "jit.yaml"), NO_ARCHIVE),
    (GOOD, ("delegations", "list"), {}),
    (CANNOT, ("delegations", "list"), AWAY),
    (WRONG, ("delegations", "end", "D-222222"), {}),
    (CANNOT, ("delegations", "end", "D-222222"), AWAY),
    (GOOD, ("requests", "list"), {}),
    (CANNOT, ("requests", "list"), AWAY),
    (WRONG, ("requests", "stuck"), {}),
    (CANNOT, ("requests", "stuck"), {"JIT_KEYS": ""}),
    (GOOD, ("requests", "show", "{open}"), {}),
    (WRONG, ("requests", "show", "J-ZZZZ"), {}),
    (CANNOT, ("requests", "show", "{open}"), AWAY),
    (GOOD, ("requests", "revoke", "{open}", "--reason", "INC-5 leaked"), {}),
    (WRONG, ("requests", "revoke", "{stuck}", "--reason", "INC-5 leaked"), {}),
    (CANNOT, ("requests", "revoke", "{open}", "--reason", "INC-5 leaked"), {"JIT_POLICY": "/none.yaml"}),
    (GOOD, ("requests", "close", "{stuck}", "--reason", "the server was taken down"), {}),
    (WRONG, ("requests", "close", "{stuck}", "--reason", "the server was taken down"), {}),
    (CANNOT, ("requests", "close", "{stuck}", "--reason", "the server was taken down"), AWAY),
    (GOOD, ("people", "list"), {}),
    (CANNOT, ("people", "list"), AWAY),
    (WRONG, ("people", "show", "nobody@example.com"), {}),
    (CANNOT, ("people", "show", "nobody@example.com"), AWAY),
    (GOOD, ("people", "bind", "new@example.com", "--account", "UNEW", "--reason", "asked them"), {}),
    (WRONG, ("people", "bind", "new@example.com", "--account", "new", "--reason", "asked them"), {}),
    (CANNOT, ("people", "bind", "new@example.com", "--account", "UNEW", "--reason", "asked them"), AWAY),
    (WRONG, ("people", "unbind", "nobody@example.com", "--reason", "asked them"), {}),
    (CANNOT, ("people", "unbind", "nobody@example.com", "--reason", "asked them"), AWAY),
    (CANNOT, ("people", "bind-cli"), AWAY),
    (GOOD, ("people", "unbind-cli"), {}),
    (CANNOT, ("people", "unbind-cli"), AWAY),
    (WRONG, ("people", "enrol-code", "nobody@example.com", "--reason", "asked them"), {}),
    (CANNOT, ("people", "enrol-code", "nobody@example.com", "--reason", "asked them"), AWAY),
    (WRONG, ("people", "reset-factors", "nobody@example.com", "--reason", "asked them"), {}),
    (CANNOT, ("people", "reset-factors", "nobody@example.com", "--reason", "asked them"), AWAY),
    (GOOD, ("offboarding",), {}),
    (CANNOT, ("offboarding",), AWAY),
    (GOOD, ("lockdown",), {}),
    (WRONG, ("lockdown", "lift"), {}),
    (CANNOT, ("lockdown",), AWAY),
    (GOOD, ("reconcile", "--dry-run"), {}),
    (CANNOT, ("reconcile", "nope"), {}),
    (GOOD, ("sinks",), {}),
    (WRONG, ("sinks", "--resume", "nope"), {}),
    (CANNOT, ("sinks",), NO_ARCHIVE),
    (GOOD, ("audit", "verify"), {}),
    (CANNOT, ("audit", "verify"), NO_ARCHIVE),
    (GOOD, ("audit", "search", "--person", "nobody@example.com"), {}),
    (CANNOT, ("audit", "search", "--kind", "nope"), {}),
    (GOOD, ("audit", "export"), {}),
    (CANNOT, ("audit", "export"), NO_ARCHIVE),
    (GOOD, ("audit", "evidence", "J-2222"), {}),
    (CANNOT, ("audit", "evidence", "J-9999"), {}),
    (GOOD, ("audit", "reindex"), {}),
    (CANNOT, ("audit", "reindex"), NO_ARCHIVE),
    (GOOD, ("audit", "adopt", "--reason", "the disk is gone"), {}),
    (CANNOT, ("audit", "adopt", "--reason", "the disk is gone"), AWAY),
    (GOOD, ("digest", "--date", "2026-03-08"), {}),
    (CANNOT, ("digest", "--date", "2026-03-08", "--timezone", "Mars/Olympus"), {}),
    (GOOD, ("insights",), {}),
    (CANNOT, ("insights", "--since", "ever"), {}),
]
ELSEWHERE = {
    ("demo", GOOD): "tests/journeys/test_demo.py",
    ("demo", WRONG): "tests/cli/test_exit_codes.py",
    ("run", GOOD): "tests/journeys/test_day_one.py",
    ("run", WRONG): "tests/cli/test_main.py",
    ("doctor", GOOD): "tests/cli/doctor/test_command.py",
    ("doctor", WRONG): "tests/cli/doctor/test_command.py",
    ("doctor", CANNOT): "tests/cli/doctor/test_command.py",
    ("requests stuck", GOOD): "tests/journeys/test_operators.py",
    ("people show", GOOD): "tests/cli/test_people.py",
    ("people unbind", GOOD): "tests/journeys/test_unbinding.py",
    ("people bind-cli", GOOD): "tests/journeys/test_terminals.py",
    ("people bind-cli", WRONG): "tests/journeys/test_terminals.py",
    ("people unbind-cli", WRONG): "tests/journeys/test_terminals.py",
    ("people enrol-code", GOOD): "tests/journeys/test_mfa.py",
    ("people reset-factors", GOOD): "tests/journeys/test_mfa.py",
    ("delegations end", GOOD): "tests/journeys/test_delegation.py",
    ("reconcile", WRONG): "tests/journeys/test_reconciling.py",
    ("audit verify", WRONG): "tests/cli/test_audit.py",
}
"""Where else a code is tested: what takes a whole bot, a person in Slack, or a stage of its own."""


def command_of(words: tuple[str, ...]) -> str:
    return " ".join(words[:2]) if " ".join(words[:2]) in TABLE else words[0]


async def test_each_command_ends_with_the_codes_of_the_table(desk: Desk) -> None:
    # One store for all of them: what only looks comes before what changes something.
    for code, words, env in sorted(CASES, key=lambda case: "--reason" in case[1]):
        # Away from the loop of the test: a command has one of its own.
        done = await asyncio.to_thread(desk.type, *words, **env)
        assert done.exit_code == code, (words, env, done.output, done.exception)
        assert not isinstance(done.exception, Exception), (words, done.exception)


def test_a_demo_of_which_a_step_fails_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> None:
        raise embedded.CannotEmbed("there is no server here")

    monkeypatch.setattr(embedded, "start", refuses)
    done = CliRunner().invoke(main, ["demo", "--fast"])
    assert (done.exit_code, "there is no server here" in done.output) == (WRONG, True)


def test_each_command_has_a_row_and_each_code_of_it_is_tested() -> None:
    assert {words for words, _ in exit_codes.commands(main)} == set(TABLE)
    tested = {(command_of(words), code) for code, words, _ in CASES} | set(ELSEWHERE)
    assert tested == {(words, code) for words, codes in TABLE.items() for code, said in enumerate(codes) if said}


def leaves() -> Iterator[tuple[str, click.Command]]:
    return exit_codes.commands(main)


@pytest.mark.parametrize("words", [words for words, _ in leaves()])
def test_a_wrong_option_is_2_and_the_help_ends_with_the_codes(words: str) -> None:
    assert CliRunner().invoke(main, [*words.split(), "--nope"]).exit_code == CANNOT
    said = " ".join(CliRunner().invoke(main, [*words.split(), "--help"], terminal_width=100).output.split())
    assert f"Exit codes: 0 {TABLE[words].good}" in said


LISTS = [
    "people list",
    "people show",
    "requests list",
    "delegations list",
    "requests stuck",
    "offboarding",
    "lockdown",
    "reconcile",
    "sinks",
    "audit search",
    "insights",
]


@pytest.mark.parametrize(
    "words",
    [*LISTS, "policy check", "policy test", "policy explain", "policy diff", "policy replay", "doctor", "digest"],
)
def test_each_list_has_json(words: str) -> None:
    command = dict(leaves())[words]
    assert "--json" in [option for parameter in command.params for option in parameter.opts]
