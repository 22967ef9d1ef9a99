"""Every directory by the shared suite: servers of the vendors' forms, and calendars at an address and in a file."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from providers.directories import registry
from providers.directories.conformance import DirectoryBench, DirectoryConformance
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


class PagerDutyBench(DirectoryBench):
    directory = PagerDuty
    group, malformed, hidden = "PSCHED1", "the dbas", (TOKEN,)

    def __init__(self, server: PagerDutyServer) -> None:
        self.server = server

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

    async def stop(self) -> None:
        await self.server.stop()

    async def start(self) -> None:
        await self.server.start()

    async def garble(self) -> None:
        self.server.answer = web.Response(text="<html>a proxy</html>")


class TestPagerDuty(DirectoryConformance):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[PagerDutyBench]:
        server = PagerDutyServer()
        await server.start()
        yield PagerDutyBench(server)
        await server.stop()


class EntraBench(DirectoryBench):
    directory = Entra
    group, malformed, hidden = entra.GROUP, "the dbas", (entra.SECRET,)
    many = 1_100

    def __init__(self, server: entra.EntraServer) -> None:
        self.server = server

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

    async def stop(self) -> None:
        await self.server.stop()

    async def start(self) -> None:
        await self.server.start()

    async def garble(self) -> None:
        self.server.answer = web.Response(text="<html>a proxy</html>")


class TestEntra(DirectoryConformance):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[EntraBench]:
        server = entra.EntraServer()
        await server.start()
        yield EntraBench(server)
        await server.stop()


class GoogleBench(DirectoryBench):
    directory = GoogleWorkspace
    group, malformed = google.GROUP, "the dbas"
    many = 450

    def __init__(self, server: google.GoogleServer) -> None:
        self.server = server
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

    async def stop(self) -> None:
        await self.server.stop()

    async def start(self) -> None:
        await self.server.start()

    async def garble(self) -> None:
        self.server.answer = web.Response(text="<html>a proxy</html>")


class TestGoogleWorkspace(DirectoryConformance):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[GoogleBench]:
        server = google.GoogleServer()
        await server.start()
        yield GoogleBench(server)
        await server.stop()


class OktaBench(DirectoryBench):
    directory = Okta
    malformed, hidden = " dba", (okta.TOKEN,)

    def __init__(self, server: OktaServer, group: str) -> None:
        self.server, self.group = server, group

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

    async def stop(self) -> None:
        await self.server.stop()

    async def start(self) -> None:
        await self.server.start()

    async def garble(self) -> None:
        self.server.answer = web.Response(text="<html>a proxy</html>")


class TestOkta(DirectoryConformance):
    @pytest.fixture(params=[okta.GROUP, "dba"], ids=["by id", "by name"])
    async def bench(self, request: pytest.FixtureRequest) -> AsyncIterator[OktaBench]:
        server = OktaServer()
        await server.start()
        yield OktaBench(server, request.param)
        await server.stop()


class ScimBench(DirectoryBench):
    """A group with all of its people in another group inside it."""

    directory = Scim
    group, malformed, hidden = "dba", "id:../dba", (scim.TOKEN,)

    def __init__(self, server: RealScim) -> None:
        self.server, self.users, self.proxy = server, list[dict[str, Any]](), FaultyScim()

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

    async def stop(self) -> None:
        self.server.end()

    async def start(self) -> None:
        self.server.start()
        self.write()

    async def garble(self) -> None:
        self.server.end()
        self.proxy.port, self.proxy.answer = self.server.port, web.Response(text="<html>a proxy</html>")
        await self.proxy.start()


class TestScim(DirectoryConformance):
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
