"""The directory `ldap` by the shared suite, over a real OpenLDAP: under TLS from the start, and by StartTLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import pytest

from providers.directories.conformance import PeopleBench, PeopleConformance
from providers.directories.ldap.provider import Ldap
from tests import scratch
from tests.providers.ldap_server import LdapServer
from tests.providers.slapd import PASSWORD, Slapd, dn, group, group_dn, person
from tests.store.redis.test_tls import Authority


class SlapdBench(PeopleBench):
    directory = Ldap
    group, malformed, hidden = group_dn("dba"), "the dbas", (PASSWORD,)
    many = 1_100
    kind, by = "groupOfNames", "member"
    attribute = "employeeNumber"

    def __init__(self, slapd: Slapd) -> None:
        self.slapd, self.nonsense = slapd, LdapServer()
        self.staff: dict[str, str] = {}
        self.hired: list[dict[str, str]] = []

    def config(self) -> Mapping[str, Any]:
        return self.slapd.config(timeout=2)

    def load(self) -> None:
        people = (person(name, mail=mail) for name, mail in self.staff.items())
        hired = (person(f"h{n}", **each) for n, each in enumerate(self.hired))
        self.slapd.load(*people, *hired, group("dba", *map(dn, self.staff), kind=self.kind, by=self.by))

    async def put(self, addresses: Iterable[str]) -> None:
        self.staff = {f"p{n}": address for n, address in enumerate(addresses)}
        self.load()

    async def nameless(self) -> None:
        self.staff["gone"] = ""
        self.load()

    async def hire(self, address: str, value: str) -> None:
        # The server's own id of an entry, which is to stay when all of them are loaded anew.
        id_ = f"{len(self.hired):08x}-0000-4000-8000-000000000000"
        self.hired.append({"mail": address, "employeeNumber": value, "entryUUID": id_})
        self.load()

    async def disable(self, address: str) -> None:
        for each in self.hired:
            if each["mail"] == address:
                each["pwdAccountLockedTime"] = "000001010000Z"
        self.load()

    async def delete(self, address: str) -> None:
        self.hired = [each for each in self.hired if each["mail"] != address]
        self.load()

    async def remove(self) -> str:
        self.slapd.load(group("another"))
        return self.group

    async def stop(self) -> None:
        self.slapd.stop()

    async def start(self) -> None:
        self.slapd.start()

    async def garble(self) -> None:
        self.slapd.stop()
        self.nonsense.garbles = b"HTTP/1.1 400 Bad Request\r\n\r\n"
        self.nonsense.port = self.slapd.tls
        self.nonsense.under_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.nonsense.under_tls.load_cert_chain(*self.slapd.authority.signed("nonsense", "127.0.0.1"))
        await self.nonsense.start()


class StartTlsBench(SlapdBench):
    kind, by = "groupOfUniqueNames", "uniqueMember"

    def config(self) -> Mapping[str, Any]:
        return self.slapd.config(timeout=2, url=f"ldap://127.0.0.1:{self.slapd.plain}", start_tls=True)

    async def garble(self) -> None:
        self.slapd.stop()
        self.nonsense.garbles, self.nonsense.port = b"HTTP/1.1 400 Bad Request\r\n\r\n", self.slapd.plain
        await self.nonsense.start()


class _OverSlapd(PeopleConformance):
    bench_class: type[SlapdBench]

    @pytest.fixture
    async def bench(self) -> AsyncIterator[SlapdBench]:
        with scratch.directory() as directory:
            bench = self.bench_class(Slapd(directory, Authority(directory)))
            yield bench
            await bench.nonsense.stop()
            bench.slapd.stop()


class TestOverLdaps(_OverSlapd):
    bench_class = SlapdBench


class TestOverStartTls(_OverSlapd):
    bench_class = StartTlsBench
