"""Directories for what the tests start and write: in memory where there is room, so that a slow disk decides no test.

A server that syncs each write stands still while a busy disk does, for seconds: then a sentinel takes it for dead, and
the bot says so, as it should.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_MEMORY = Path("/dev/shm")  # where Linux has its file system in memory
_ROOM = 2 << 30
"""Bytes that must be free."""


def _root() -> Path:
    if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK):
        found = os.statvfs(_MEMORY)
        if found.f_bavail * found.f_frsize >= _ROOM and not found.f_flag & os.ST_NOEXEC:
            return _MEMORY
    return Path("/tmp")  # the path of a temporary directory may be too long for a socket


ROOT = _root()


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """A new one with a short path, since a socket's has at most 107 bytes; it is removed at the end."""
    path = Path(tempfile.mkdtemp(prefix="jit-", dir=ROOT))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
