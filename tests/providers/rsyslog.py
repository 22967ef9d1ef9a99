"""A real rsyslogd over TLS, on its own directory and port; it writes each message to a file before it reads on."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests import servers
from tests.store.redis.test_tls import Authority

Driver = Literal["ossl", "gtls"]
Clients = Literal["anybody", "known", "named"]
_MODULES = {"ossl": "rsyslog-openssl", "gtls": "rsyslog-gnutls"}


@dataclass
class Rsyslog:
    """``driver``: OpenSSL says that it is done when it closes, GnuTLS does not. ``clients``: whom it lets in.

    ``known``: who has a certificate of the authority; ``named``: of those, nobody who is here.
    """

    directory: Path
    authority: Authority
    driver: Driver = "ossl"
    clients: Clients = "anybody"
    port: int = field(default_factory=servers.free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What it has, a message a line."""
        return self.directory / "received.log"

    def start(self) -> None:
        """Start it, or start it again, and wait until it listens."""
        binary = servers.need("rsyslogd", "apt-get install rsyslog rsyslog-openssl rsyslog-gnutls")
        if not list(Path("/usr/lib").glob(f"*/rsyslog/lmnsd_{self.driver}.so")):
            servers.lacking(f"rsyslog's {self.driver}", f"apt-get install {_MODULES[self.driver]}")
        conf = self.directory / "rsyslog.conf"
        conf.write_text(self._conf())
        words = [binary, "-n", "-f", str(conf), "-i", str(self.directory / "pid")]
        self.process = servers.start(words, self.directory / "server.log")
        servers.until(self._listens, "rsyslogd to listen")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it; what it has is in the file."""
        if self.process is not None:
            servers.end(self.process, how)
            self.process = None

    def messages(self) -> list[str]:
        """What it wrote."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def texts(self) -> list[str]:
        """The records in it: what stands behind the structured data."""
        return [message.partition('"] ')[2] for message in self.messages()]

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError((self.directory / "server.log").read_text())
        return False

    def _conf(self) -> str:
        certificate, key = self.authority.signed("rsyslog", "127.0.0.1")
        mode = {"anybody": "anon", "known": "x509/certvalid", "named": "x509/name"}[self.clients]
        peers = ' PermittedPeer=["somebody.else.example.com"]' if self.clients == "named" else ""
        return f"""
            global(workDirectory="{self.directory}" maxMessageSize="64k" defaultNetstreamDriver="{self.driver}"
                   defaultNetstreamDriverCAFile="{self.authority.certificate}"
                   defaultNetstreamDriverCertFile="{certificate}" defaultNetstreamDriverKeyFile="{key}")
            main_queue(queue.type="Direct")
            module(load="imtcp" StreamDriver.Name="{self.driver}" StreamDriver.Mode="1" StreamDriver.AuthMode="{mode}"
                   {peers})
            template(name="raw" type="string" string="%rawmsg%\\n")
            input(type="imtcp" address="127.0.0.1" port="{self.port}")
            action(type="omfile" file="{self.log}" template="raw")
        """


@contextlib.contextmanager
def rsyslog(directory: Path, driver: Driver = "ossl", clients: Clients = "anybody") -> Iterator[Rsyslog]:
    """One that runs."""
    directory.mkdir(exist_ok=True)
    server = Rsyslog(directory, Authority(directory), driver, clients)
    server.start()
    try:
        yield server
    finally:
        server.stop(signal.SIGKILL)
