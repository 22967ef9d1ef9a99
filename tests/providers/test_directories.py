"""Every directory by the shared suite: servers of the vendors' forms, and calendars at an address and in a file."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
from aiohttp import web

from providers.directories import registry
from providers.directories.conformance import DirectoryBench, DirectoryConformance, PeopleBench, PeopleConformance
from providers.directories.entra import Entra
from providers.directories.google import GoogleWorkspace
from providers.directories.ical.provider import ICal
from providers.directories.okta import Okta
from providers.directories.pagerduty import PagerDuty
from providers.directories.scim import Scim
from tests.providers import entra, google, oauth, okta, scim
from tests.providers.calendars import CalendarServer, calendar, shift
from tests.providers.okta import OktaServer
from tests.providers.pagerduty import TOKEN, PagerDutyServer
from tests.providers.scim import FaultyScim, RealScim, email, user

Bench = TypeVar("Bench", bound="ServerBench")


class Server(Protocol):
    """What the servers of the tests have in common."""

    answer: web.Response | None

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class ServerBench(DirectoryBench):
    server: Server

    async def stop(self) -> None:
        await self.server.stop()

    async def start(self) -> None:
        await self.server.start()

    async def garble(self) -> None:
        self.server.answer = web.Response(text="<html>a proxy</html>")


@asynccontextmanager
async def served(bench: Bench) -> AsyncIterator[Bench]:
    await bench.server.start()
    yield bench
    await bench.server.stop()


class PagerDutyBench(ServerBench):
    server: PagerDutyServer
    directory = PagerDuty
    group, malformed, hidden = "PSCHED1", "the dbas", (TOKEN,)

    def __init__(self) -> None:
        self.server = PagerDutyServer()

    def config(self) -> Mapping[str, Any]:
        return {"token": TOKEN, "url": self.server.url, "timeout": 2}

    async def put(self, addresses: Iterable[str]) -> None:
        self.server.oncalls = []
        self.server.on_call(addresses)

    async def nameless(self) -> None:
        self.server.on_call(["gone@example.com"])
        self.server.oncalls[-1]["user"] = {"id": "PGONE", "type": "user_reference", "deleted_at": "2026-01-01"}

    async def remove(self) -> str:
        self.server.schedules.clear()
        self.server.oncalls = []
        return self.group


class TestPagerDuty(DirectoryConformance):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[PagerDutyBench]:
        async with served(PagerDutyBench()) as bench:
            yield bench


class EntraBench(ServerBench, PeopleBench):
    server: entra.EntraServer
    attribute = "employeeId"
    directory = Entra
    group, malformed, hidden = entra.GROUP, "the dbas", (entra.SECRET,)
    many = 1_100

    def __init__(self) -> None:
        self.server = entra.EntraServer()

    def config(self) -> Mapping[str, Any]:
        place = {"url": self.server.url, "login_url": self.server.url, "timeout": 2}
        return {"tenant": entra.TENANT, "client_id": entra.CLIENT, "client_secret": entra.SECRET, **place}

    async def put(self, addresses: Iterable[str]) -> None:
        self.server.put(addresses)

    async def nameless(self) -> None:
        self.server.members[entra.GROUP].append(self.server.user(None))

    async def remove(self) -> str:
        self.server.groups.clear()
        return self.group

    async def hire(self, address: str, value: str) -> None:
        self.server.others.append(self.server.user(address, employeeId=value))

    async def disable(self, address: str) -> None:
        for each in self.server.others:
            each["accountEnabled"] = each["accountEnabled"] and each["mail"] != address

    async def delete(self, address: str) -> None:
        self.server.others = [each for each in self.server.others if each["mail"] != address]


class TestEntra(PeopleConformance):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[EntraBench]:
        async with served(EntraBench()) as bench:
            yield bench


class GoogleBench(ServerBench, PeopleBench):
    server: google.GoogleServer
    attribute, namesakes = "customSchemas.Accounts.database", False
    directory = GoogleWorkspace
    group, malformed = google.GROUP, "the dbas"
    many = 450

    def __init__(self) -> None:
        self.server = google.GoogleServer()
        self.hidden = (oauth.pem(oauth.key()), google.KEY_ID)

    def config(self) -> Mapping[str, Any]:
        place = {"url": self.server.url, "token_url": f"{self.server.url}/token", "timeout": 2}
        return {"key": google.key_file(), "subject": google.ADMIN, **place}

    async def put(self, addresses: Iterable[str]) -> None:
        self.server.put(addresses)

    async def nameless(self) -> None:
        self.server.members[google.GROUP_ID].append(self.server.user(None))

    async def remove(self) -> str:
        self.server.ids.clear()
        return self.group

    async def hire(self, address: str, value: str) -> None:
        self.server.hire(address, customSchemas={"Accounts": {"database": value, "other": "x"}})

    async def disable(self, address: str) -> None:
        for each in self.server.accounts:
            each["suspended"] = each["suspended"] or each["primaryEmail"] == address

    async def delete(self, address: str) -> None:
        self.server.accounts = [each for each in self.server.accounts if each["primaryEmail"] != address]


class TestGoogleWorkspace(PeopleConformance):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[GoogleBench]:
        async with served(GoogleBench()) as bench:
            yield bench


class OktaBench(ServerBench, PeopleBench):
    server: OktaServer
    attribute = "employeeNumber"
    directory = Okta
    malformed, hidden = " dba", (okta.TOKEN,)

    def __init__(self, group: str) -> None:
        self.server, self.group = OktaServer(), group

    def config(self) -> Mapping[str, Any]:
        return {"token": okta.TOKEN, "url": self.server.url, "timeout": 2}

    async def put(self, addresses: Iterable[str]) -> None:
        self.server.groups[okta.GROUP].users = []
        self.server.put(addresses)

    async def nameless(self) -> None:
        self.server.put(["gone@example.com"])
        del self.server.groups[okta.GROUP].users[-1]["profile"]["email"]

    async def remove(self) -> str:
        del self.server.groups[okta.GROUP]
        return self.group

    async def hire(self, address: str, value: str) -> None:
        self.server.hire(address, employeeNumber=value)

    async def disable(self, address: str) -> None:
        for each in self.server.others:
            if each["profile"]["email"] == address:
                each["status"] = "DEPROVISIONED"

    async def delete(self, address: str) -> None:
        self.server.others = [each for each in self.server.others if each["profile"]["email"] != address]


class TestOkta(PeopleConformance):
    @pytest.fixture(params=[okta.GROUP, "dba"], ids=["by id", "by name"])
    async def bench(self, request: pytest.FixtureRequest) -> AsyncIterator[OktaBench]:
        async with served(OktaBench(request.param)) as bench:
            yield bench


class ScimBench(PeopleBench):
    """A group with all of its people in another group inside it."""

    attribute = f"{scim.ENTERPRISE}:employeeNumber"

    directory = Scim
    group, malformed, hidden = "dba", "id:../dba", (scim.TOKEN,)

    def __init__(self, server: RealScim) -> None:
        self.server, self.users, self.proxy = server, list[dict[str, Any]](), FaultyScim()
        self.hired: list[tuple[str, str]] = []

    def config(self) -> Mapping[str, Any]:
        return {"token": scim.TOKEN, "url": self.server.url, "timeout": 2}

    async def put(self, addresses: Iterable[str]) -> None:
        self.users = [user(address, email(address)) for address in addresses]
        self.write()

    async def nameless(self) -> None:
        self.users.append(user("gone"))
        self.write()

    def write(self) -> None:
        self.server.empty()
        inner = self.server.group("inner", self.server.create_users(self.users))
        self.server.group(self.group, groups=[inner])

    async def remove(self) -> str:
        self.server.empty()
        return self.group

    async def hire(self, address: str, value: str) -> None:
        if not self.hired:
            self.server.empty()
        shape = user(f"u{len(self.hired)}", email(address), enterprise={"employeeNumber": value})
        self.hired.append((self.server.create("Users", shape), address))

    async def disable(self, address: str) -> None:
        for id_, _ in self._of(address):
            self.server.patch(f"Users/{id_}", {"op": "replace", "path": "active", "value": False})

    async def delete(self, address: str) -> None:
        for id_, _ in self._of(address):
            self.server.call("DELETE", f"Users/{id_}")

    def _of(self, address: str) -> list[tuple[str, str]]:
        return [each for each in self.hired if each[1] == address]

    async def stop(self) -> None:
        self.server.end()

    async def start(self) -> None:
        self.server.start()
        hired, self.hired = self.hired, []
        for _, address in hired:
            await self.hire(address, "x")
        if not hired:
            self.write()

    async def garble(self) -> None:
        self.server.end()
        self.proxy.port, self.proxy.answer = self.server.port, web.Response(text="<html>a proxy</html>")
        await self.proxy.start()


class TestScim(PeopleConformance):
    @pytest.fixture
    async def bench(self, real_scim: RealScim) -> AsyncIterator[ScimBench]:
        bench = ScimBench(real_scim)
        yield bench
        await bench.proxy.stop()


class CalendarBench(DirectoryBench):
    directory = ICal
    group, malformed = "", "two, of them"
    content: bytes = b""

    def _events(self, people: Iterable[str]) -> bytes:
        now, listed = time.time(), [*people]
        return calendar([shift(now - 3600, now + 3600, listed)] if listed else [])

    async def put(self, addresses: Iterable[str]) -> None:
        self.content = self._events(addresses)
        await self.write(self.content)

    async def nameless(self) -> None:
        now = time.time()
        self.content = self.content.replace(
            b"END:VCALENDAR", shift(now - 60, now + 60, [], uid="other").encode() + b"\r\nEND:VCALENDAR"
        )
        await self.write(self.content)

    async def garble(self) -> None:
        await self.write(b"<html>sign in</html>")

    async def write(self, content: bytes) -> None:
        raise NotImplementedError


class AddressBench(CalendarBench):
    hidden = (CalendarServer.PATH.split("/")[1],)

    def __init__(self, server: CalendarServer) -> None:
        self.server = server

    def config(self) -> Mapping[str, Any]:
        return {"url": self.server.url, "timeout": 2}

    async def write(self, content: bytes) -> None:
        self.server.content = content

    async def remove(self) -> str:
        return ""

    async def stop(self) -> None:
        await self.server.stop()

    async def start(self) -> None:
        await self.server.start()


class TestCalendarAtAnAddress(DirectoryConformance):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[AddressBench]:
        server = CalendarServer()
        await server.start()
        yield AddressBench(server)
        await server.stop()


class FileBench(CalendarBench):
    def __init__(self, path: Path) -> None:
        self.path = path

    def config(self) -> Mapping[str, Any]:
        return {"file": str(self.path)}

    async def write(self, content: bytes) -> None:
        self.path.write_bytes(content)

    async def remove(self) -> str:
        return ""

    async def stop(self) -> None:
        self.path.rename(self.path.with_suffix(".away"))

    async def start(self) -> None:
        self.path.with_suffix(".away").rename(self.path)


class TestCalendarInAFile(DirectoryConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> FileBench:
        return FileBench(tmp_path / "oncall.ics")


def test_each_is_found_by_its_name() -> None:
    found = {name: registry.find(name) for name in ("pagerduty", "ical", "okta", "scim", "entra", "google")}
    assert [*found.values()] == [PagerDuty, ICal, Okta, Scim, Entra, GoogleWorkspace]
