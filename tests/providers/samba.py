"""A real domain controller of Active Directory: Samba, on a directory of its own, at LDAP's own ports on loopback.

Its ports are fixed, so there is one at a time on a machine; it has to be root's.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import scratch, servers
from tests.providers.slapd import ldif
from tests.store.redis.test_tls import Authority

BASE = "DC=example,DC=com"
BOT, PASSWORD = "jit@example.com", "Pa55-of-the-bot"
_PORTS = (389, 636)
_HOW = "apt-get install samba samba-ad-provision samba-dsdb-modules samba-vfs-modules python3-samba"
_PATIENCE = 200.0
_FILL = """
import sys
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB
lp = LoadParm()
lp.load(sys.argv[1])
db = SamDB(lp=lp, session_info=system_session(lp))
db.transaction_start()
db.add_ldif(sys.stdin.read())
db.transaction_commit()
"""

Attributes = Mapping[str, str | Sequence[str]]


def name(of: str) -> str:
    """The distinguished name of an account or a group."""
    return f"CN={of},CN=Users,{BASE}"


def account(of: str, **more: str) -> tuple[str, Attributes]:
    """An account that may sign in without a password, if anybody could."""
    about = {"objectClass": "user", "sAMAccountName": of, "mail": f"{of}@example.com", "userAccountControl": "544"}
    return name(of), {**about, **more}


def group(of: str, *members: str) -> tuple[str, Attributes]:
    """A group with members by their distinguished names."""
    about: dict[str, str | Sequence[str]] = {"objectClass": "group", "sAMAccountName": of}
    return name(of), {**about, "member": members} if members else about


@dataclass(frozen=True)
class DomainController:
    """One that runs."""

    authority: Authority

    def config(self, **more: Any) -> dict[str, Any]:
        """A config of ours for it; the account is a plain user."""
        about = {"url": "ldaps://127.0.0.1", "ca": self.authority.certificate, "base_dn": BASE}
        return {**about, "bind_dn": BOT, "bind_password": PASSWORD, **more}


@contextlib.contextmanager
def domain_controller(*entries: tuple[str, Attributes]) -> Iterator[DomainController]:
    """One of its own, with these entries besides its own."""
    binary, tool = servers.need("samba", _HOW), servers.need("samba-tool", _HOW)
    if not Path("/usr/share/samba/setup").is_dir():
        servers.lacking("what provisions a domain", _HOW)
    if os.geteuid() != 0:
        servers.lacking("a domain controller", "run the tests as root")
    with _alone(), scratch.directory() as directory:
        authority = Authority(directory)
        conf = _provisioned(tool, directory, authority)
        jit = account("jit", userAccountControl="512")
        password = base64.b64encode(PASSWORD.encode("utf-16-le")).decode()
        text = "\n".join(ldif([jit])).rstrip() + f"\nclearTextPassword:: {password}\n\n" + "\n".join(ldif(entries))
        _run("/usr/bin/python3", "-I", "-c", _FILL, str(conf), given=text)
        words = [binary, "-s", str(conf), "--foreground", "--no-process-group", "-M", "single"]
        process = servers.start(words, directory / "server.log")
        try:
            servers.until(lambda: _listens(process, directory / "server.log"), "Samba to listen")
            yield DomainController(authority)
        finally:
            servers.end(process)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    with (scratch.ROOT / "jit-domain-controller.lock").open("w") as lock:
        servers.until(lambda: _locked(lock.fileno()), "another domain controller to end", _PATIENCE)
        if any(_is_taken(port) for port in _PORTS):
            servers.lacking("a free port 389 or 636", "end the server that listens there")
        yield


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_taken(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False


def _provisioned(tool: str, directory: Path, authority: Authority) -> Path:
    target = directory / "dc"
    target.mkdir()
    options = ["--server-role=dc", "--dns-backend=NONE", "--realm=EXAMPLE.COM", "--domain=EXAMPLE"]
    options += ["--adminpass=Adm1n-of-the-tests", f"--targetdir={target}", "--host-name=dc1", "--host-ip=127.0.0.1"]
    options += ["--option=interfaces = lo", "--option=bind interfaces only = yes"]
    _run(tool, "domain", "provision", *options)
    certificate, key = authority.signed("dc1", "127.0.0.1")
    Path(key).chmod(0o600)  # It takes no other.
    own = {
        "server services": "ldap",
        "log file": f"{directory}/samba.log",
        "tls certfile": certificate,
        "tls keyfile": key,
        "tls cafile": authority.certificate,
    }
    conf = target / "etc" / "smb.conf"
    written = conf.read_text().partition("[homes]")[0].splitlines()
    kept = [line for line in written if line.partition("=")[0].strip() not in own]
    conf.write_text("\n".join([*kept, *(f"\t{key} = {value}" for key, value in own.items())]) + "\n")
    return conf


def _run(*words: str, given: str = "") -> None:
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(words, input=given.encode(), capture_output=True, check=False, env=env, timeout=_PATIENCE)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()[-3_000:]


def _listens(process: subprocess.Popen[bytes], log: Path) -> bool:
    if process.poll() is not None:
        raise RuntimeError(log.read_text())
    return all(_is_taken(port) for port in _PORTS)
