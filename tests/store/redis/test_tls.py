"""Under TLS the bot speaks to a server that its CA vouches for, by the name that it was called by, and to no other."""

from __future__ import annotations

import datetime as dt
import ipaddress
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bot.core.errors import StoreAway
from bot.core.request import State
from providers.systems.sandbox import SandboxConfig
from tests.process import Counted, reached, started
from tests.servers import (
    free_port,
    lacking,
    redis_binary,
    redis_server,
    sentinels,
)


@pytest.fixture
def doors() -> Counted:
    """The real system."""
    return Counted(SandboxConfig())


class Authority:
    """A CA of the test, and what it has signed, as files."""

    def __init__(self, directory: Path) -> None:
        self.directory, self._key = directory, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA of a test")])
        own = self._builder(self.name, self._key).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        self.certificate = self._written("ca.pem", own.sign(self._key, hashes.SHA256()))

    def signed(self, name: str, address: str) -> tuple[str, str]:
        """A certificate for an IP address, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        certificate = self._builder(subject, key).add_extension(names, False).sign(self._key, hashes.SHA256())
        path = self.directory / f"{name}.key"
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path.write_bytes(key.private_bytes(*form))
        return self._written(f"{name}.pem", certificate), str(path)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder(self.name, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(hours=1))
        ours = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ours)
        if subject == self.name:
            return builder.add_extension(ours, False)
        return builder.add_extension(identifier, False)

    def _written(self, name: str, certificate: x509.Certificate) -> str:
        path = self.directory / name
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return str(path)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A CA; skips where Redis was built without TLS."""
    words = [redis_binary(), "--port", "0", "--tls-port", str(free_port())]
    # It does not know the option, or how to speak TLS, or refuses to do so without a certificate.
    ended = subprocess.run(words, capture_output=True, check=False, timeout=60)
    said = ended.stdout + ended.stderr
    if b"tls-port" in said or b"Failed finding TLS support" in said:
        lacking("a Redis with TLS", "apt-get install redis-server")
    return Authority(tmp_path)


def under_tls(authority: Authority, port: int, address: str = "127.0.0.1", clients: str = "no") -> tuple[str, ...]:
    """What makes a server speak TLS on a port."""
    certificate, key = authority.signed("server", address)
    words = {"tls-port": port, "tls-cert-file": certificate, "tls-key-file": key, "tls-auth-clients": clients}
    words["tls-ca-cert-file"] = authority.certificate
    return tuple(word for name, value in words.items() for word in (f"--{name}", str(value)))


async def test_a_server_whose_certificate_our_ca_signed_is_spoken_to(authority: Authority, doors: Counted) -> None:
    port = free_port()
    with redis_server(*under_tls(authority, port)):
        url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={authority.certificate}"
        async with started(url, doors) as house:
            assert (await house.granted()).state is State.ACTIVE


async def test_a_server_whose_certificate_nobody_vouches_for_is_told_nothing(authority: Authority) -> None:
    port, said = free_port(), r"its certificate is not trusted \(.*\): name its CA's file"
    with redis_server(*under_tls(authority, port)), pytest.raises(StoreAway, match=said):
        await reached(f"rediss://127.0.0.1:{port}/0")


async def test_a_certificate_for_another_name_will_not_do(authority: Authority) -> None:
    port, said = free_port(), "its certificate is not trusted"
    with redis_server(*under_tls(authority, port, "127.0.0.9")), pytest.raises(StoreAway, match=said):
        await reached(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={authority.certificate}")


async def test_a_server_that_wants_a_certificate_of_ours_gets_it(authority: Authority) -> None:
    port = free_port()
    with redis_server(*under_tls(authority, port, clients="yes")):
        url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={authority.certificate}"
        certificate, key = authority.signed("bot", "127.0.0.1")
        assert await reached(f"{url}&ssl_certfile={certificate}&ssl_keyfile={key}")
        with pytest.raises(StoreAway):
            await reached(url)


async def test_sentinels_and_their_master_are_spoken_to_under_tls(authority: Authority) -> None:
    port, watch = free_port(), free_port()
    words = under_tls(authority, port)
    options = [f"{name.removeprefix('--')} {value}" for name, value in zip(words[::2], words[1::2], strict=True)]
    lines = [*options[1:], f"tls-port {watch}", "tls-replication yes"]
    with redis_server(*words) as server, sentinels("jit", replace(server, port=port), count=1, lines=lines):
        assert await reached(f"rediss+sentinel://127.0.0.1:{watch}/jit?ssl_ca_certs={authority.certificate}")
