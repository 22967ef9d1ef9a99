r"""Whoever's words they are, a terminal is told no more than signs to show: what it would obey is spelled out."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import terminal
from bot.access import submit
from bot.access.submit import RequestForm
from bot.core.request import Person
from bot.core.verdict import Actor
from bot.store.keyring import KeyRing
from bot.store.keys import home
from bot.store.store import Store
from tests.house import POLICY, House
from tests.servers import RedisServer

ROOT = Path(__file__).parents[1]
EVIL = "a\x1b]0;owned\x07\x1b[2J\x9b31m\x08\x7f\u202e\u2066\r\nJ-7K3Q  active\u2028z\U000e0041\t"
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\U000e0041]")


def heard(*lines: str) -> str:
    """What is printed."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        terminal.say(*lines)
    return out.getvalue()


def test_what_a_terminal_would_obey_is_spelled_out_and_makes_no_line_of_its_own() -> None:
    assert heard(EVIL, "next") == (
        r"a\x1b]0;owned\x07\x1b[2J\x9b31m\x08\x7f\u202e\u2066\r\nJ-7K3Q  active\u2028z\U000e0041\t" + "\nnext\n"
    )
    assert heard("Žofie 👨\u200d👩 می\u200cخواهم 日本") == "Žofie 👨\u200d👩 می\u200cخواهم 日本\n"


@given(st.text(alphabet=st.characters()))
def test_no_text_reaches_a_terminal_that_it_would_obey(said: str) -> None:
    assert not OBEYED.search(heard(said))
    assert heard(said).count("\n") == 1
    spelled = terminal.spelled(json.dumps({"said": [said]}, indent=2, ensure_ascii=False))
    assert not OBEYED.search(spelled)
    assert json.loads(spelled) == {"said": [said]}
    assert not OBEYED.search(terminal.Failed(said).format_message())


def test_a_trace_that_quotes_somebody_is_spelled_out_too(tmp_path: Path) -> None:
    code = f"from bot import terminal; terminal.guard(); raise ValueError({EVIL!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ValueError" in done.stderr
    assert not OBEYED.search(done.stderr)


def test_a_file_is_as_it_is_in_a_pipe_and_spelled_out_at_a_terminal() -> None:
    code = f"from bot import terminal; terminal.pipe().write({EVIL!r} + chr(10)); terminal.bytes_out({EVIL!r}.encode())"
    piped = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert piped.stdout.decode() == f"{EVIL}\n{EVIL}"
    assert not OBEYED.search(at_a_terminal(sys.executable, "-c", code).replace("\r\n", "\n"))


def at_a_terminal(*words: str) -> str:
    """What a terminal is sent."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(words, stdout=theirs, stderr=theirs, stdin=theirs, cwd=ROOT)
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(ours, 65536):
            said += part
    os.close(ours)
    assert process.wait() == 0, said
    return said.decode()


@pytest.fixture
async def operator(redis: RedisServer, store: Store, tmp_path: Path) -> tuple[House, dict[str, str]]:
    """A house in whose store is what a hostile Slack, provider or writer could have left, and an operator's shell."""
    ring = KeyRing.generate()
    house = await House(Store(store.redis, store.workspace, ring)).open()
    token = f"xoxb-{store.workspace}"
    await store.redis.set(home(token), json.dumps({"home": store.workspace}))
    (tmp_path / "jit.yaml").write_text(POLICY)
    env = {"SLACK_BOT_TOKEN": token, "REDIS_URL": redis.socket_url, "JIT_KEYS": ring.spelled(), "PYTHONPATH": str(ROOT)}
    return house, {**env, "PATH": os.environ["PATH"], "HOME": str(tmp_path), "JIT_POLICY": str(tmp_path / "jit.yaml")}


def typed(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """What an operator sees."""
    words = (sys.executable, "-m", "bot", *words)
    return subprocess.run(words, env=env, capture_output=True, text=True, check=False)


@pytest.mark.timeout(400)
async def test_no_command_lets_the_record_speak_to_the_terminal(operator: tuple[House, dict[str, str]]) -> None:
    house, env = operator
    person = Person(workspace=house.store.workspace, id="UMIA", identity=EVIL, email=EVIL, name=EVIL)
    actor = Actor(person=person, roster=house.actor("mia").roster)
    request = await submit.submit(house.context, actor, RequestForm(what="vault/shared", reason="INC-1", duration=1800))
    for words in (
        ("requests", "list"),
        ("requests", "stuck"),
        ("requests", "show", request.id),
        ("requests", "show", EVIL[1:9]),
        ("requests", "revoke", request.id, "--reason", EVIL),
        ("people", "unbind", EVIL[1:9], "--reason", "I asked"),
        ("lockdown", EVIL[1:9], "--reason", "a leak"),
        ("offboarding",),
        ("reconcile", "--system", EVIL[1:9]),
        ("audit", "search", "--person", EVIL[1:9]),
        ("policy", "check", EVIL[1:9]),
        ("sinks",),
        ("digest", "--day", EVIL[1:9]),
        ("insights", "--since", EVIL[1:9]),
    ):
        done = typed(env, *words)
        said = done.stdout + done.stderr
        assert said or words[1:] == ("stuck",), words
        assert not OBEYED.search(said), (words, said)
        assert "Traceback" not in said, (words, said)
        if words[1:] == ("list",):
            assert len(said.splitlines()) == 1
        if words[1:2] == ("show",) and done.returncode == 0:
            assert json.loads(done.stdout)["requester"]["email"] == EVIL


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_work_is_said_on_a_terminal_while_it_lasts_and_is_gone_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    with terminal.working("reading the archive"):
        assert screen.getvalue() == "\r\x1b[Kreading the archive …"
    assert screen.getvalue().endswith("\r\x1b[K")


def test_work_is_a_line_elsewhere_once_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", log := io.StringIO())
    with terminal.working("reading the archive"):
        pass
    assert log.getvalue() == ""
    monkeypatch.setattr(terminal, "_LONG", 0.0)
    said = threading.Event()

    def line(what: str) -> None:
        log.write(f"{what}\n")
        said.set()

    monkeypatch.setattr(terminal, "_line", line)
    with terminal.working("reading the archive"):
        assert said.wait(30)
    assert log.getvalue() == "reading the archive\n"
