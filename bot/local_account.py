"""Which account of this machine types at the terminal, as the kernel says; names in the environment are not believed.

For anybody but root it is the process' own uid. For root it is who logged in (``/proc/self/loginuid``, which is set
once at a login and survives sudo and su), else ``SUDO_UID``: root could write both, as it could become any account of
this machine. Whoever holds `JIT_KEYS` and the store could write to it without this command; it keeps honest people
apart, and the record true.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_UNSET = 2**32 - 1
"""A login uid that was never set."""
_FIRST = ["0", "0", str(2**32 - 1)]
"""The uid map of the namespace in which each uid is its own."""


@dataclass(frozen=True)
class Evidence:
    """What the kernel says. ``login`` is None where nobody logged in; ``sudo`` is an environment variable."""

    uid: int
    login: int | None = None
    sudo: str = ""
    own_namespace: bool = False
    """Whether uids are mapped, so that whoever types chose theirs."""


@dataclass(frozen=True)
class OsAccount:
    """One account of one machine. ``doubt``: why it is not certain that this is who types; empty when it is."""

    uid: int
    name: str
    host: str
    machine: str
    doubt: str = ""

    @property
    def by(self) -> str:
        """``cli:<user>@<host>``, as the record has it."""
        return f"cli:{self.name}@{self.host}"


def account(env: Mapping[str, str]) -> OsAccount:
    """Who types here."""
    uid, doubt = whose(_evidence(env))
    return OsAccount(uid, _name(uid), socket.gethostname(), _machine(), doubt)


def whose(evidence: Evidence) -> tuple[int, str]:
    """The account's uid, and why that is not certain."""
    if evidence.own_namespace:
        return evidence.uid, "this runs in a user namespace, where whoever types chooses the account"
    if evidence.uid:
        other = evidence.login not in {None, 0, evidence.uid}
        doubt = f"uid {evidence.login} logged in, and this runs as uid {evidence.uid}" if other else ""
        return evidence.uid, doubt
    if evidence.login:
        return evidence.login, ""
    if evidence.sudo.isascii() and evidence.sudo.isdigit() and 0 < int(evidence.sudo) < _UNSET:
        return int(evidence.sudo), ""
    return 0, "this is root, who could be anybody: log in with an account of your own, and use sudo"


def _evidence(env: Mapping[str, str]) -> Evidence:
    mapped = _read("/proc/self/uid_map").split()
    login = _read("/proc/self/loginuid").strip()
    known = int(login) if login.isdigit() and int(login) != _UNSET else None
    return Evidence(os.getuid(), known, env.get("SUDO_UID", ""), own_namespace=bool(mapped) and mapped != _FIRST)


def _name(uid: int) -> str:
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid{uid}"
    # It stands in a record, and in a line at a terminal.
    return name if name.isascii() and name.isprintable() and " " not in name else f"uid{uid}"


def _machine() -> str:
    """Tells two machines of one name apart, as far as they can be."""
    told = _read("/etc/machine-id").strip()
    return hashlib.sha256(told.encode()).hexdigest()[:16] if told else ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
