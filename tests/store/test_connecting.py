"""By its URL the bot finds a server, the master of the sentinels, the node of its slot; and finds them again."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis.asyncio import Redis
from redis.crc import key_slot

from bot.app import CannotStart, opened
from bot.clock import Hints
from bot.core.errors import StoreAway
from bot.core.model import Request, State
from bot.keyring import KeyRing
from bot.settings import load
from bot.store.fitness import Level, findings
from bot.store.keys import Keys
from bot.store.wire import away
from providers.systems.sandbox import SandboxConfig
from tests.house import POLICY, House
from tests.servers import (
    RedisServer,
    Sentinel,
    free_port,
    lacking,
    need,
    redis_cluster,
    redis_server,
    replica_of,
    sentinels,
    start_redis,
)
from tests.store.process import Counted, linked, started

KEY = Keys("T000001").due


@pytest.fixture
def doors() -> Counted:
    """The real system."""
    return Counted(SandboxConfig())


@pytest.fixture
def master() -> Iterator[RedisServer]:
    """A server of its own."""
    with redis_server() as server:
        yield server


async def reached(url: str) -> float:
    """Redis' time, if the URL leads to it. Raises `StoreAway`."""
    async with linked(url) as link:
        return (await away(link.commands(KEY).time()))[0]


async def again(house: House) -> Request:
    """Ask until the store is back."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(StoreAway):
                return await house.ask("eve")
            await asyncio.sleep(0.05)


class Heard(Hints):
    """Counts what it hears."""

    count = 0

    def hint(self) -> None:
        self.count += 1
        super().hint()

    async def more(self, than: int) -> None:
        """Wait until it has heard more."""
        wait = self.waiter()
        async with asyncio.timeout(20):
            while self.count <= than:
                await wait(1.0)


# sentinels


def by(found: list[Sentinel], *more: int) -> str:
    """The URL of a service named jit."""
    hosts = ",".join(f"127.0.0.1:{port}" for port in (*more, *(sentinel.port for sentinel in found)))
    return f"redis+sentinel://{hosts}/jit/0"


async def test_when_the_master_dies_the_process_goes_on_with_the_one_that_the_sentinels_agree_on(
    master: RedisServer, doors: Counted
) -> None:
    with (
        replica_of(master) as one,
        replica_of(master) as other,
        sentinels("jit", master, one, other, count=3) as watching,
    ):
        async with started(by(watching), doors) as house, linked(by(watching)) as link:
            hints = Heard(link.blocking(KEY), house.store.keys.wake)
            listening = asyncio.create_task(hints.listen())
            await hints.more(than=0)
            before = await house.granted()
            master.process.kill()
            with pytest.raises(StoreAway):
                await house.ask("kim")
            request = await again(house)
            assert [found.request.id for found in await house.store.open_of("UEVE")] == [request.id]
            assert await house.store.open_of("UKIM") == []
            heard = hints.count
            await house.approve("dan", request.id)
            await hints.more(than=heard)  # it listens to the new master: to this commit, or it has just begun
            listening.cancel()
            await house.until(request.id, State.ACTIVE)
            await house.desk.release(house.actor("mia"), before.id)
            await house.until(before.id, State.ENDED)
            assert doors.grants == 2
            assert [standing.order for standing in await doors.standing()] == [f"{request.id}.0"]


async def test_a_sentinel_that_is_gone_and_one_that_hangs_keep_nobody_from_the_others(master: RedisServer) -> None:
    with sentinels("jit", master, count=1) as watching, socket.create_server(("127.0.0.1", 0)) as mute:
        async with linked(by(watching, free_port(), mute.getsockname()[1])) as link:
            client = link.commands(KEY)
            assert len(await asyncio.gather(*(client.ping() for _ in range(64)))) == 64


async def test_where_no_sentinel_knows_a_master_the_store_is_away(master: RedisServer) -> None:
    with sentinels("other", master, count=1) as watching:
        with pytest.raises(StoreAway, match="no sentinel answers and knows a master named jit that is up"):
            await reached(by(watching))
    with pytest.raises(StoreAway, match="no sentinel answers"):
        await reached(by(watching))


# one server


async def test_a_name_that_comes_to_mean_another_server_is_followed_when_the_old_one_takes_no_more_writes(
    master: RedisServer,
) -> None:
    async with linked(master.url) as link, Redis.from_url(master.url) as old:
        client = link.commands(KEY)
        await client.set("a", "1")
        with replica_of(master) as heir:
            async with Redis.from_url(heir.url) as new:
                await old.config_set("port", free_port())
                await new.replicaof("NO", "ONE")
                await new.config_set("port", master.port)
                await old.replicaof("127.0.0.1", master.port)
                await client.set("a", "2")
                assert await new.get("a") == b"2"


async def test_a_server_that_became_a_replica_is_told_as_such_and_is_written_to_when_it_leads_again(
    master: RedisServer,
) -> None:
    async with linked(master.url) as link, Redis.from_url(master.url) as admin:
        client = link.commands(KEY)
        await client.set("a", "1")
        await admin.replicaof("127.0.0.1", 1)
        with pytest.raises(StoreAway, match="it is a replica"):
            await away(client.set("a", "2"))
        await admin.replicaof("NO", "ONE")
        await client.set("a", "3")
        assert await client.get("a") == b"3"


async def test_a_server_that_is_away_is_told_as_such_and_found_again(master: RedisServer, doors: Counted) -> None:
    async with started(master.url, doors) as house:
        master.process.kill()
        master.process.wait()
        with pytest.raises(StoreAway):
            await house.ask()
        process = start_redis(need("redis-server", "apt-get install redis-server"), master.directory, master.port)
        try:
            assert await house.store.open_of("UMIA") == []
            assert (await house.granted()).state is State.ACTIVE
        finally:
            process.kill()
            process.wait()


async def test_a_socket_will_do(redis: RedisServer, doors: Counted) -> None:
    async with started(redis.socket_url, doors, workspace="TUNIX") as house:
        assert (await house.granted()).state is State.ACTIVE


# TLS


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
    binary = need("redis-server", "apt-get install redis-server")
    words = [binary, "--port", "0", "--tls-port", "0"]
    # It refuses the option, or goes on to refuse the file that is not there.
    said = subprocess.run([*words, "--aclfile", "/nowhere"], capture_output=True, check=False, timeout=20).stdout
    if b"tls-port" in said:
        lacking("redis-server with TLS", "build it with BUILD_TLS=yes")
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


# a cluster


@pytest.fixture
def nodes() -> Iterator[list[RedisServer]]:
    """Two nodes, each with half of the slots."""
    with redis_cluster(2) as cluster:
        yield cluster


def workspaces() -> tuple[str, str]:
    """One whose slot is in the first half, and one whose slot is in the second."""
    names = [f"T{n}" for n in range(100)]
    first = next(name for name in names if key_slot(Keys(name).due.encode()) < 8192)
    second = next(name for name in names if key_slot(Keys(name).due.encode()) >= 8192)
    return first, second


async def test_in_a_cluster_each_workspace_is_on_the_node_of_its_slot(nodes: list[RedisServer], doors: Counted) -> None:
    url = f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{nodes[0].port}"
    for node, workspace in zip(nodes, workspaces(), strict=True):
        async with started(url, doors, workspace=workspace) as house, Redis.from_url(node.url) as there:
            request = await house.granted()
            assert request.state is State.ACTIVE
            assert await there.exists(house.store.keys.record(request.id))
    assert doors.grants == 2


async def test_hints_are_heard_in_a_cluster(nodes: list[RedisServer], doors: Counted) -> None:
    url = f"redis+cluster://127.0.0.1:{nodes[0].port}"
    _, workspace = workspaces()
    async with started(url, doors, workspace=workspace) as house, linked(url) as link:
        pubsub = link.blocking(house.store.keys.due).pubsub()
        await pubsub.subscribe(house.store.keys.wake)
        assert (await pubsub.get_message(timeout=10))["type"] == "subscribe"
        request = await house.ask()
        assert (await pubsub.get_message(timeout=10))["data"] == request.id.encode()
        await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py


async def test_where_no_node_of_a_cluster_answers_the_store_is_away() -> None:
    with pytest.raises(StoreAway, match="no node of the cluster answers and knows who serves slot"):
        await reached(f"redis+cluster://127.0.0.1:{free_port()}")


async def test_a_slot_that_moves_to_another_node_is_followed(nodes: list[RedisServer]) -> None:
    workspace, _ = workspaces()
    key = Keys(workspace).due
    async with (
        linked(f"redis+cluster://127.0.0.1:{nodes[0].port}") as link,
        Redis.from_url(nodes[0].url) as old,
        Redis.from_url(nodes[1].url) as new,
    ):
        client = link.commands(key)
        assert await client.get(key) is None
        heir = await new.execute_command("CLUSTER MYID")  # type: ignore[no-untyped-call]  # redis-py
        for node in (new, old):
            await node.execute_command("CLUSTER SETSLOT", key_slot(key.encode()), "NODE", heir)  # type: ignore[no-untyped-call]  # redis-py
        await client.set(key, "1")
        assert await new.get(key) == b"1"


# is it fit?


@pytest.mark.parametrize(
    ("options", "level", "said"),
    [
        (("--maxmemory-policy", "allkeys-lru"), Level.UNFIT, "maxmemory-policy is allkeys-lru"),
        (("--maxmemory-policy", "volatile-ttl"), Level.UNFIT, "maxmemory-policy is volatile-ttl"),
        (("--appendonly", "no"), Level.WARNING, "the append-only file is off"),
    ],
)
async def test_what_is_wrong_with_a_redis_is_found_with_how_to_mend_it(
    options: tuple[str, ...], level: Level, said: str
) -> None:
    with redis_server(*options) as server:
        async with Redis.from_url(server.url) as client:
            wrong = [finding for finding in await findings(client) if finding.level is not Level.FINE]
    assert [finding.level for finding in wrong] == [level]
    assert wrong[0].said.startswith(said)
    assert wrong[0].mend


async def test_a_node_of_a_cluster_that_is_taken_for_a_server_of_its_own_is_suspect(nodes: list[RedisServer]) -> None:
    async with Redis.from_url(nodes[0].url) as client:
        [suspect] = [finding for finding in await findings(client) if finding.level is not Level.FINE]
        assert suspect.said.startswith("it is a node of a cluster")
        assert {finding.level for finding in await findings(client, "cluster")} == {Level.FINE}


async def test_of_a_redis_that_is_as_it_should_be_nothing_is_to_mend(master: RedisServer) -> None:
    with replica_of(master):
        async with Redis.from_url(master.url) as client:
            found = await findings(client)
    assert {(finding.level, finding.mend) for finding in found} == {(Level.FINE, "")}
    assert "1 replicas follow" in [finding.said for finding in found]


async def test_a_replica_is_unfit_and_a_redis_that_tells_nothing_is_suspect(master: RedisServer) -> None:
    with replica_of(master) as replica:
        async with Redis.from_url(replica.url) as client:
            unfit = [finding for finding in await findings(client) if finding.level is Level.UNFIT]
    assert f"a replica of 127.0.0.1:{master.port}" in unfit[0].said
    async with Redis.from_url(master.url) as admin:
        await admin.acl_setuser("bot", enabled=True, nopass=True, commands=["+ping"])
    async with Redis.from_url(f"redis://bot:x@127.0.0.1:{master.port}") as client:
        [suspect] = await findings(client)
    assert (suspect.level, "+info" in suspect.mend) == (Level.WARNING, True)


@pytest.mark.parametrize("wrong", ["policy", "role"])
async def test_the_bot_does_not_start_over_a_redis_that_would_lose_records(wrong: str, tmp_path: Path) -> None:
    (tmp_path / "jit.yaml").write_text(POLICY)
    options = ("--maxmemory-policy", "allkeys-lfu") if wrong == "policy" else ("--replicaof", "127.0.0.1", "1")
    with redis_server(*options) as server:
        env = {"SLACK_BOT_TOKEN": "xoxb-1", "REDIS_URL": server.url, "JIT_KEYS": KeyRing.generate().spelled()}
        settings = load({**env, "JIT_POLICY": str(tmp_path / "jit.yaml")}, "worker")
        with pytest.raises(CannotStart, match=r"REDIS_URL: (maxmemory-policy is allkeys-lfu|it is a replica).*; set "):
            async with opened(settings, "worker"):
                pass
