"""The log of a process: its form, what each line is about, what no line shows, and that nobody waits for its reader."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot import logs
from bot.redaction import Secrets
from tests.servers import until

ROOT = str(Path(__file__).parents[1])


@dataclass
class Reader:
    """Whoever reads stderr, once they do: a real pipe."""

    into: int
    out: int
    _read: list[bytes] = field(default_factory=list)

    def read(self) -> None:
        """All that is there just now."""
        while select.select([self.out], [], [], 0)[0] and (part := os.read(self.out, 65_536)):
            self._read.append(part)

    @property
    def text(self) -> str:
        self.read()
        return b"".join(self._read).decode()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


Begun = Callable[..., tuple[logging.Logger, Reader, logs.Log]]


@pytest.fixture
def begun() -> Iterator[Begun]:
    """A logger that goes nowhere but to a reader."""
    made: list[tuple[logs.Log, Reader]] = []
    logger = logging.getLogger("bot.tested")

    def begin(form: logs.Form = "json", secrets: tuple[str, ...] = (), **more: Any) -> Any:
        out, into = os.pipe()
        reader = Reader(into, out)
        log = logs.Log(form, Secrets(secrets), into, **more)
        logger.addHandler(log)
        made.append((log, reader))
        return logger, reader, log

    level, logger.propagate = logger.level, False
    logger.setLevel(logging.DEBUG)
    yield begin
    logger.setLevel(level)
    logger.propagate = True
    for log, reader in made:
        logger.removeHandler(log)
        reader.read()
        log.close()
        os.close(reader.into)
        os.close(reader.out)


def test_a_line_is_one_object_with_what_it_is_about(begun: Begun) -> None:
    logger, reader, log = begun()
    with logs.about(request="J-7K3Q", person="UDAN", system=""), logs.about(verb="approve"):
        logger.info("it is %s", "so\nand so", extra=logs.facts(version=3, leg=0, error=None, why=""))
    logger.info("it is over")
    log.close()
    first, second = reader.lines
    time = first.pop("time")
    assert time.endswith("Z")
    assert len(time) == len("2026-11-25T23:31:56.222Z")
    assert first == {
        "level": "INFO",
        "logger": "bot.tested",
        "message": "it is so\nand so",
        "request": "J-7K3Q",
        "person": "UDAN",
        "verb": "approve",
        "version": 3,
        "leg": 0,
    }
    assert set(second) == {"time", "level", "logger", "message"}


async def test_a_task_tells_what_it_was_begun_about(begun: Begun) -> None:
    logger, reader, log = begun()

    async def work() -> None:
        await asyncio.sleep(0)
        logger.info("done")

    with logs.about(request="J-7K3Q"):
        task = asyncio.create_task(work())
    with logs.about(request="J-2345"):
        await task
    log.close()
    assert [line["request"] for line in reader.lines] == ["J-7K3Q"]


def test_an_exception_is_one_field_of_its_line(begun: Begun) -> None:
    logger, reader, log = begun(secrets=("hunter2hunter2",))
    try:
        int("hunter2hunter2")
    except ValueError:
        logger.exception("it broke")
    log.close()
    [line] = reader.lines
    assert line["message"] == "it broke"
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: invalid literal for int() with base 10: '…'")
    assert "\n" in line["exception"]
    assert "hunter" not in reader.text


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("xoxb-1-2-abc and xapp-1-A-b and xoxe.xoxp-1-b", "… and … and …"),
        ("postgresql://jit:p@ss@db/x and redis://:hunter@h:1/0", "postgresql://…@db/x and redis://…@h:1/0"),
        ("host=db user=jit password=abc dbname=x", "host=db user=jit password=… dbname=x"),
        ("?sentinel_password=abc&x=1", "?sentinel_password=…&x=1"),
        ("QUJDREVGR0hJSktMTU5PUA== of k1:QUJDREVGR0hJSktMTU5PUA==", "… of …"),
        ("the password is s3cr3t w0rd, s3cr3t%20w0rd", "the password is …, …"),
        ("mia@example.com asks", "…@… asks"),
        ("by cli:root@box.example.com", "by cli:root@box.example.com"),
        ("redis://host:1/0 and mailto: nobody, 1@2", "redis://host:1/0 and mailto: nobody, 1@2"),
    ],
)
def test_what_looks_like_a_secret_or_is_known_for_one_is_struck_out(begun: Begun, said: str, shown: str) -> None:
    secrets = ("k1:QUJDREVGR0hJSktMTU5PUA==", "redis://:s3cr3t%20w0rd@host/0")
    logger, reader, log = begun(secrets=secrets)
    logger.info("%s", said, extra=logs.facts(error=said))
    log.close()
    [line] = reader.lines
    assert (line["message"], line["error"]) == (shown, shown)


def test_a_secret_is_not_shown_by_half_where_a_long_line_is_cut(begun: Begun) -> None:
    logger, reader, log = begun(secrets=("hunter2hunter2",))
    logger.info("%s", "x" * 1_993 + "hunter2hunter2" + "y" * 90_000)
    log.close()
    assert "hunter" not in reader.text
    assert len(reader.text) < 2_200


def test_what_somebody_chose_moves_nothing_on_a_terminal(begun: Begun) -> None:
    logger, reader, log = begun("pretty")
    with logs.about(request="J-7K3Q"):
        logger.info("\x1f\x1b[2J\nERROR all is lost", extra=logs.facts(who="a\x9b1m\u2028b"))
    log.close()
    [line] = reader.text.splitlines()
    assert r" \x1b[2J\nERROR all is lost" in line
    assert r"who=a\x9b1m\u2028b" in line
    assert "request=J-7K3Q" in line
    assert "INFO" in line


def fill(logger: logging.Logger, reader: Reader) -> int:
    """Log until the pipe takes no more; how many lines it took, or has begun to take."""
    for n in range(10_000):
        logger.info("line %d %s", n, "x" * 1_000)
        if not select.select([], [reader.into], [], 0)[1]:
            return n + 1
    raise AssertionError("a pipe without an end")


def test_whoever_logs_does_not_wait_for_whoever_reads(begun: Begun) -> None:
    logger, reader, log = begun(most=5)
    took = fill(logger, reader)
    for n in range(20):
        logger.info("more %d", n)
    assert log.dropped in {15, 16}  # half of a line may wait, too
    while len(reader.lines) < took:
        logger.debug("is there room?")
    logger.info("later")
    said = [line["message"] for line in reader.lines]
    assert [one for one in said if one.startswith("line ")] == [f"line {n} {'x' * 1_000}" for n in range(took)]
    assert [one for one in said if one.startswith("more ")] == [f"more {n}" for n in range(20 - log.dropped)]
    [told] = [n for n, one in enumerate(said) if one == f"{log.dropped} lines were dropped: nobody read the log"]
    assert said[told - 1].startswith("more ")
    assert said[-1] == "later"


def test_the_end_does_not_wait_for_whoever_reads(begun: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_GRACE", 0.05)
    logger, reader, log = begun()
    fill(logger, reader)
    logger.info("unread")
    log.close()
    assert "unread" not in reader.text


def test_at_the_end_what_waits_is_written_while_somebody_reads(begun: Begun) -> None:
    logger, reader, log = begun()
    fill(logger, reader)
    logger.info("the last words")
    with ThreadPoolExecutor() as pool:
        closing = pool.submit(log.close)
        until(lambda: "the last words" in reader.text, "the last words")
        closing.result(10)


def test_a_reader_that_is_gone_is_no_error(begun: Begun, capsys: pytest.CaptureFixture[str]) -> None:
    logger, reader, _ = begun()
    os.dup2(os.open(os.devnull, os.O_RDONLY), reader.out)
    logger.info("to nobody")
    assert capsys.readouterr().err == ""


SAID = """
import logging, sys
from bot import logs
log = logs.begin(None, sys.argv[1], ["hunter2hunter2"])
for name in ("bot.x", "handlers.x", "providers.x", "slack_bolt", "aiohttp.access", "apscheduler.scheduler", "uvicorn"):
    for level in ("DEBUG", "INFO", "WARNING", "ERROR"):
        logging.getLogger(name).log(getattr(logging, level), "said")
logs.hide(["swordfish"])
logging.getLogger("bot.x").error("hunter2hunter2 swordfish")
log.close()
"""


def process(level: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", SAID, level]
    return subprocess.Popen(words, stderr=stderr, env={"PYTHONPATH": ROOT, "PATH": os.environ["PATH"]})


@pytest.mark.parametrize(
    ("level", "ours", "theirs"),
    [
        ("DEBUG", ["DEBUG", "INFO", "WARNING", "ERROR"], ["WARNING", "ERROR"]),
        ("INFO", ["INFO", "WARNING", "ERROR"], ["WARNING", "ERROR"]),
        ("ERROR", ["ERROR"], ["ERROR"]),
    ],
)
def test_libraries_are_heard_from_warning_on_and_our_rooms_at_the_level_that_is_asked_for(
    level: str, ours: list[str], theirs: list[str]
) -> None:
    _, said = process(level).communicate(timeout=30)
    lines = [json.loads(line) for line in said.splitlines()]
    assert lines.pop()["message"] == "… …"
    told: dict[str, list[str]] = {}
    for line in lines:
        told.setdefault(line["logger"], []).append(line["level"])
    expected = dict.fromkeys(("bot.x", "handlers.x", "providers.x"), ours)
    others = ("slack_bolt", "aiohttp.access", "apscheduler.scheduler", "uvicorn")
    assert told == expected | dict.fromkeys(others, theirs)


def test_on_a_terminal_it_is_pretty() -> None:
    here, there = pty.openpty()
    running = process("ERROR", there)
    os.close(there)
    said = b""
    with os.fdopen(here, "rb", buffering=0) as terminal:
        try:
            while part := terminal.read(1024):
                said += part
        except OSError:  # how Linux says that nobody writes any more
            pass
    assert running.wait(30) == 0
    assert b"ERROR    bot.x                said" in said
    assert b"{" not in said


UNREAD = """
import logging
from bot import logs
log = logs.begin("json", "INFO")
for n in range(2000):
    logging.getLogger("bot.x").info("line " + "x" * 100)
print("done", flush=True)
log.close()
"""


def test_a_process_whose_log_nobody_reads_goes_on_and_ends() -> None:
    words = [sys.executable, "-c", UNREAD]
    env = {"PYTHONPATH": ROOT, "PATH": os.environ["PATH"]}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as running:
        assert running.stdout
        assert running.stdout.readline() == b"done\n"
        assert running.wait(30) == 0
        assert running.stderr
        assert len(running.stderr.read()) < 2000 * 100
