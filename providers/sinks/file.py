"""A file of lines, one a record, on the disk before it counts; never read by others, and never shortened by us.

It is made with mode 0600, and rotated by us (size, period) or by `logrotate`: a file that was moved away is made
anew before the next batch. One host writes it; with workers on several hosts, each has a part.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar, TypeVar

from pydantic import AfterValidator, Field

from providers.base import Frozen, Health
from providers.sinks.base import NotDelivered, Record, SinkCapabilities

T = TypeVar("T")
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_PATIENCE = 30.0


def _absolute(path: Path) -> Path:
    if not path.is_absolute() or path.name in {"", "..", "."}:
        raise ValueError("write the whole path of a file: /var/log/jit/audit.jsonl")
    return path


class FileConfig(Frozen):
    """Where the file is, and when it is rotated; 0 for never."""

    path: Annotated[Path, AfterValidator(_absolute)]
    rotate_bytes: int = Field(default=100_000_000, ge=0)
    rotate_seconds: int = Field(default=86_400, ge=0)
    """Periods are counted from 1970: 86400 is each day at midnight UTC."""
    keep: int | None = Field(default=None, ge=1, le=100_000)
    """How many rotated files stay; the oldest go. All of them when not given."""


class FileSink:
    """One file."""

    Config: ClassVar[type[Frozen]] = FileConfig

    def __init__(self, config: FileConfig, clock: Callable[[], float] = time.time) -> None:
        """``clock``: Unix seconds."""
        self._config, self._clock = config, clock
        self._fd: int | None = None
        self._thread = ThreadPoolExecutor(1, "file sink")

    def __repr__(self) -> str:
        """Where it is."""
        return f"File({self._config.path})"

    @property
    def settles_within(self) -> float:
        """A disk that takes longer is told as one that does not answer; what was begun ends before what follows."""
        return _PATIENCE

    @classmethod
    def capabilities(cls) -> SinkCapabilities:
        """A write and an fsync a batch."""
        return SinkCapabilities(most=500, answer="the lines are on this machine's disk (fsync)")

    async def send(self, batch: Sequence[Record]) -> None:
        """Append the lines, and have them on the disk. Raises `NotDelivered`."""
        if batch:
            lines = "".join(f"{record.text}\n" for record in batch).encode()
            await self._worded(lambda: self._append(lines, batch[0].number))

    async def check(self) -> Health:
        """Whether the file can be written; nothing is made. Raises `NotDelivered`."""
        return await self._worded(self._look)

    async def close(self) -> None:
        """Close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._shut)
        self._thread.shutdown(wait=False)

    async def _worded(self, deed: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, deed)
        except OSError as error:
            said = "it is a link, which is not followed" if error.errno == errno.ELOOP else error.strerror
            raise NotDelivered(f"{self._config.path} cannot be written: {said}") from None

    # in the thread

    def _append(self, lines: bytes, first: int) -> None:
        self._turn(first)
        fd = self._opened()
        before = os.fstat(fd).st_size
        try:
            left = memoryview(lines)
            while left:
                left = left[os.write(fd, left) :]
            os.fsync(fd)
        except OSError:
            # A part of a batch is no part of the record: it is written again, as a whole.
            with contextlib.suppress(OSError):
                os.ftruncate(fd, before)
            self._shut()
            raise

    def _opened(self) -> int:
        """The file as it stands at its path now."""
        if self._fd is not None and not self._moved(self._fd):
            return self._fd
        self._shut()
        path = self._config.path
        fd = os.open(path, _FLAGS, 0o600)
        try:
            _own(fd)
            _end_line(fd)
            _sync_folder(path)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        return fd

    def _moved(self, fd: int) -> bool:
        try:
            there = self._config.path.lstat()
        except FileNotFoundError:
            return True
        ours = os.fstat(fd)
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)

    def _turn(self, first: int) -> None:
        """Put the file aside when it is full or of an earlier period; named by when, and by the number that follows."""
        path, config = self._config.path, self._config
        try:
            now, there = self._clock(), path.lstat()
        except FileNotFoundError:
            return
        full = config.rotate_bytes and there.st_size >= config.rotate_bytes
        period = config.rotate_seconds
        over = period and int(there.st_mtime // period) < int(now // period)
        if there.st_size == 0 or not (full or over):
            return
        self._opened()  # so that it is ours alone, and ends with a whole line
        at = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        aside = path.with_name(f"{path.name}.{at}-{first}")
        path.rename(aside)
        self._shut()
        _sync_folder(path)
        for old in self._aside()[: -config.keep] if config.keep else ():
            old.unlink(missing_ok=True)

    def _aside(self) -> list[Path]:
        """The rotated files, the oldest first: their names begin with when."""
        ours = re.compile(re.escape(self._config.path.name) + r"\.\d{8}T\d{6}Z-\d+")
        return sorted(path for path in self._config.path.parent.iterdir() if ours.fullmatch(path.name))

    def _look(self) -> Health:
        path = self._config.path
        probe = path if path.exists() else path.parent
        if not os.access(probe, os.W_OK):
            raise OSError(errno.EACCES, "this user may not" if probe.exists() else "its folder is not there")
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            return Health(target=str(path), detail="others on this machine can read it: chmod 600")
        return Health(target=str(path), detail=f"{path.stat().st_size:,} bytes" if path.exists() else "not made yet")

    def _shut(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)


def _own(fd: int) -> None:
    """Nobody else writes it meanwhile."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise OSError(errno.EINVAL, "it is no file")
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError(errno.EAGAIN, "another process writes it just now") from None


def _end_line(fd: int) -> None:
    """A line that a crash cut short is ended, so that none is glued to it; its record comes again, whole."""
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        os.write(fd, b"\n")


def _sync_folder(path: Path) -> None:
    """A name is on the disk when its folder is."""
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
