"""A real slapd, OpenLDAP's server, on its own directory and ports, over LDAPS, StartTLS and in plain."""

from __future__ import annotations

import base64
import contextlib
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import servers
from tests.store.redis.test_tls import Authority

BASE = "dc=example,dc=com"
BOT = f"cn=jit,{BASE}"
PASSWORD = "the-password-of-the-bot"
_SCHEMA = Path("/etc/ldap/schema")
_MODULES = Path("/usr/lib/ldap")
_SCHEMAS = ("core", "cosine", "inetorgperson", "nis", "dyngroup")

Attributes = Mapping[str, str | Sequence[str]]


def person(name: str, **more: str | Sequence[str]) -> tuple[str, Attributes]:
    """An account, ``name@example.com`` unless it is said otherwise."""
    about = {"objectClass": "inetOrgPerson", "cn": name, "sn": name, "uid": name, "mail": f"{name}@example.com"}
    return dn(name), {key: value for key, value in {**about, **more}.items() if value}


def account(name: str, **more: str | Sequence[str]) -> tuple[str, Attributes]:
    """An account in Active Directory's schema: 512 is one as any other."""
    classes = ("user", "extensibleObject")
    return person(name, **{"objectClass": classes, "userAccountControl": "512", **more})


def dn(name: str) -> str:
    """Of an account."""
    return f"uid={name},ou=people,{BASE}"


def group(name: str, *members: str, kind: str = "groupOfNames", by: str = "member") -> tuple[str, Attributes]:
    """A group with members by their names; without any it has the empty one, as its schema wants one."""
    more: dict[str, str | Sequence[str]] = {"groupType": "-2147483646"} if kind == "group" else {}
    more |= {"gidNumber": "1000"} if kind == "posixGroup" else {}
    if members or kind in {"groupOfNames", "groupOfUniqueNames"}:
        more[by] = members or ("",)
    return group_dn(name), {"objectClass": kind, "cn": name, **more}


def group_dn(name: str) -> str:
    """Of a group."""
    return f"cn={name},ou=groups,{BASE}"


@dataclass
class Slapd:
    """``lines``: more of its configuration, for its one database; ``rules``: who may read what."""

    directory: Path
    authority: Authority
    lines: Sequence[str] = ()
    rules: Sequence[str] = (
        f'access to dn.subtree="ou=hidden,{BASE}" by * none',
        f'access to dn.exact="{group_dn("shy")}" attrs=member by * none',
        f'access to * by dn.exact="{BOT}" read by * none',
    )
    plain: int = field(default_factory=servers.free_port)
    tls: int = field(default_factory=servers.free_port)
    process: subprocess.Popen[bytes] | None = None

    def config(self, **more: Any) -> dict[str, Any]:
        """A config of ours for it."""
        about = {"url": f"ldaps://127.0.0.1:{self.tls}", "ca": self.authority.certificate, "base_dn": BASE}
        return {**about, "bind_dn": BOT, "bind_password": PASSWORD, **more}

    def load(self, *entries: tuple[str, Attributes]) -> None:
        """Have these entries and no others."""
        self.stop()
        conf, data = self._conf(), self.directory / "data"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        tree: list[tuple[str, Attributes]] = [
            (BASE, {"objectClass": ["dcObject", "organization"], "o": "example", "dc": "example"}),
            (
                BOT,
                {"objectClass": ["applicationProcess", "simpleSecurityObject"], "cn": "jit", "userPassword": PASSWORD},
            ),
            *(
                (f"ou={name},{BASE}", {"objectClass": "organizationalUnit", "ou": name})
                for name in ("people", "groups")
            ),
            (f"ou=hidden,{BASE}", {"objectClass": "organizationalUnit", "ou": "hidden"}),
        ]
        lines = self.directory / "entries.ldif"
        lines.write_text("\n".join(ldif([*tree, *entries])), encoding="ascii")
        words = [servers.need("slapadd", "apt-get install slapd"), "-q", "-s", "-f", str(conf), "-l", str(lines)]
        said = subprocess.run(words, capture_output=True, check=False)
        assert said.returncode == 0, said.stderr.decode()
        self.start()

    def start(self) -> None:
        """Start it, or start it again, and wait until it listens."""
        binary = servers.need("slapd", "apt-get install slapd")
        urls = f"ldap://127.0.0.1:{self.plain} ldaps://127.0.0.1:{self.tls}"
        words = [binary, "-f", str(self._conf()), "-h", urls, "-d", "0"]
        self.process = servers.start(words, self.directory / "server.log")
        servers.until(self._listens, "slapd to listen")

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it; what it has it keeps."""
        if self.process is not None:
            servers.end(self.process, how)
            self.process = None

    def _listens(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError((self.directory / "server.log").read_text())
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.tls), 1):
            return True
        return False

    def _conf(self) -> Path:
        certificate, key = self.authority.signed("slapd", "127.0.0.1")
        conf = self.directory / "slapd.conf"
        lines = [
            *(f"include {_SCHEMA}/{name}.schema" for name in _SCHEMAS),
            f"include {self._microsofts()}",
            # Of 389 Directory Server.
            "attributetype ( 2.16.840.1.113730.3.1.610 NAME 'nsAccountLock' SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )",
            f"modulepath {_MODULES}",
            "moduleload back_mdb",
            "moduleload ppolicy",
            f"TLSCACertificateFile {self.authority.certificate}",
            f"TLSCertificateFile {certificate}",
            f"TLSCertificateKeyFile {key}",
            f"pidfile {self.directory}/pid",
            "database mdb",
            f'suffix "{BASE}"',
            f"directory {self.directory}/data",
            "maxsize 1073741824",
            "dbnosync",
            "index objectClass,uid,primaryGroupID eq",
            "overlay ppolicy",
            *self.lines,
            "access to attrs=userPassword by anonymous auth by * none",
            *self.rules,
        ]
        conf.write_text("\n".join(lines) + "\n")
        return conf

    def _microsofts(self) -> Path:
        """OpenLDAP's copy of Active Directory's schema, in which the primary group could not be searched for."""
        schema, named = self.directory / "msuser.schema", "NAME 'primaryGroupID'"
        text = (_SCHEMA / "msuser.schema").read_text()
        schema.write_text(text.replace(named, f"{named} EQUALITY integerMatch"))
        return schema


def ldif(entries: Iterable[tuple[str, Attributes]]) -> Iterator[str]:
    """Entries as lines of LDIF."""
    for name, attributes in entries:
        yield f"dn:: {_encoded(name)}"
        for key, values in attributes.items():
            for value in [values] if isinstance(values, str) else values:
                yield f"{key}:: {_encoded(value)}" if value else f"{key}:"
        yield ""


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
