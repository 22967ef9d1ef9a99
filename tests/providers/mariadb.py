"""A real MariaDB on its own directory, port and socket; gone with the process that started it."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from tests import scratch, servers

BOT, PASSWORD, SAM = "jit_bot", "correct-hörse", "sams-own"
MINE = "mine-alone"
_HOW = "apt-get install mariadb-server"
_SMALL = ("--innodb-log-file-size=8M", "--innodb-buffer-pool-size=16M", "--aria-pagecache-buffer-size=8M")
_OPTIONS = (
    *_SMALL, "--bind-address=127.0.0.1", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0",
    "--max-connections=40", "--skip-name-resolve", "--event-scheduler=ON", "--innodb-fast-shutdown=2",
)  # fmt: skip


@dataclass
class MariaDbServer:
    """One that runs. Over its socket root needs no password."""

    directory: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=servers.free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> str:
        return str(self.directory / "s.sock")

    @property
    def log(self) -> str:
        return (self.directory / "server.log").read_text(errors="replace")

    def start(self, *options: str) -> None:
        """Start it, or start it again, and wait until it answers."""
        binary = servers.need("mariadbd", _HOW)
        words = [binary, "--no-defaults", f"--datadir={self.directory}/data", f"--port={self.port}"]
        words += [f"--socket={self.socket}", f"--pid-file={self.directory}/pid", *_OPTIONS, *self.options, *options]
        self.process = servers.start(words, self.directory / "server.log", user=_user())
        servers.until(self._answers, "MariaDB to answer")

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            servers.end(self.process, how)
            self.process = None

    def admin(self) -> Connection[Cursor]:
        """As root."""
        return Connection(unix_socket=self.socket, user="root", autocommit=True, charset="utf8mb4", read_timeout=60)

    def run(self, *statements: str) -> list[Any]:
        """As root, each statement by itself; the rows of the last."""
        with self.admin() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(self.log[-3_000:])
        # The driver leaves the socket of an attempt that failed open.
        if not Path(self.socket).exists():
            return False
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 10):
            self.admin().close()
            return True
        return False


@contextlib.contextmanager
def mariadb_server(*options: str) -> Iterator[MariaDbServer]:
    """One of its own; where the tests are root, it runs as another user, as it should."""
    servers.need("mariadbd", _HOW)
    with scratch.directory() as directory:
        shutil.copytree(_installed(), directory / "data")
        if user := _user():
            for path in (directory, *directory.rglob("*")):
                shutil.chown(path, user)
        server = MariaDbServer(directory, options)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@functools.cache
def _installed() -> Path:
    """The files of a server that has nothing yet; made once a process, and copied for each server."""
    install = servers.need("mariadb-install-db", _HOW)
    keep = contextlib.ExitStack()
    atexit.register(keep.close)
    directory = keep.enter_context(scratch.directory())
    if user := _user():
        shutil.chown(directory, user)
    words = [install, "--no-defaults", f"--datadir={directory}/data", "--auth-root-authentication-method=normal"]
    words += ["--skip-test-db", "--skip-name-resolve", *([f"--user={user}"] if user else []), *_SMALL]
    done = subprocess.run(words, capture_output=True, check=False, cwd=directory)
    # It can fail and say it did not.
    made = (directory / "data" / "mysql" / "global_priv.frm").exists()
    assert (done.returncode, made) == (0, True), (done.stdout + done.stderr).decode()[-3_000:]
    return directory / "data"


def _user() -> str | None:
    return "mysql" if os.geteuid() == 0 else None


def entered(server: MariaDbServer, user: str, password: str | bytes) -> Connection[Cursor]:
    """Somebody's session that stays."""
    return Connection(
        host="127.0.0.1", port=server.port, user=user, password=password, autocommit=True, read_timeout=60,
        ssl_disabled=True,
    )  # fmt: skip


def does(user: Connection[Cursor], *statements: str) -> list[Any]:
    """In a session, each by itself; the rows of the last."""
    with user.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall())


async def reads(user: Connection[Cursor]) -> bool:
    """Whether a session shows the application's data."""
    return await asyncio.to_thread(_reads, user)


def _reads(user: Connection[Cursor]) -> bool:
    try:
        return does(user, "SELECT word FROM app.data") == [("one",)]
    except pymysql.Error:
        return False
