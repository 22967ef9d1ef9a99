"""A ticket exists when its system answers 200, does not when it answers 404; whatever else happens tells nothing."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from providers import ticket_system
from providers.ticket_system import TicketSystem
from tests.providers.ticket_server import SECRET, Tickets
from tests.store.redis.test_tls import Authority


@pytest.fixture
async def tickets() -> AsyncIterator[Tickets]:
    server = Tickets()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def asked(tickets: Tickets) -> AsyncIterator[TicketSystem]:
    system = TicketSystem(f"http://127.0.0.1:{tickets.port}/rest/{{ticket}}", SecretStr(SECRET))
    yield system
    await system.close()


async def test_200_is_a_ticket_and_404_is_none(tickets: Tickets, asked: TicketSystem) -> None:
    assert await asked.exists("INC-42") is True
    assert await asked.exists("INC-43") is False
    assert tickets.paths == ["/rest/INC-42", "/rest/INC-43"]


@pytest.mark.parametrize("ticket", ["INC/../43 ü", "%2e%2e"])
async def test_a_ticket_is_one_part_of_the_path_whatever_is_in_it(
    tickets: Tickets, asked: TicketSystem, ticket: str
) -> None:
    assert await asked.exists(ticket) is True
    [path] = tickets.paths
    assert path.count("/") == 2
    assert ".." not in path.replace("%2F..%2F", "")


@pytest.mark.parametrize("ticket", ["", ".", "..", "..."])
async def test_what_would_be_another_place_is_not_asked_for(tickets: Tickets, asked: TicketSystem, ticket: str) -> None:
    assert await asked.exists(ticket) is None
    assert tickets.paths == []


@pytest.mark.parametrize(
    "how", ["slow", "redirect", "headers", "drops", "500", "503", "204", "401", "403", "410", "429"]
)
async def test_every_other_answer_tells_nothing(tickets: Tickets, asked: TicketSystem, how: str) -> None:
    tickets.misbehaves = how
    began = time.monotonic()
    assert await asked.exists("INC-42") is None
    assert time.monotonic() - began < 5 * ticket_system.TIMEOUT, "busy machines included"
    assert set(tickets.paths) == {"/rest/INC-42"}, "no redirect is followed"


async def test_a_body_without_end_is_not_read(tickets: Tickets, asked: TicketSystem) -> None:
    tickets.misbehaves = "huge"
    assert await asked.exists("INC-42") is True


async def test_a_system_that_is_gone_tells_nothing(tickets: Tickets, asked: TicketSystem) -> None:
    await tickets.stop()
    assert await asked.exists("INC-42") is None


async def test_what_is_signed_with_another_secret_is_refused_and_tells_nothing(tickets: Tickets) -> None:
    other = TicketSystem(f"http://127.0.0.1:{tickets.port}/rest/{{ticket}}", SecretStr(SECRET[::-1]))
    assert await other.exists("INC-42") is None
    await other.close()


async def test_a_certificate_is_checked(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.signed("tickets", "127.0.0.1"))
    server = Tickets(tls=context)
    await server.start()
    url = f"https://127.0.0.1:{server.port}/rest/{{ticket}}"
    trusting = ssl.create_default_context(cafile=authority.certificate)
    for trusted, found in ((None, None), (trusting, True)):
        one = TicketSystem(url, SecretStr(SECRET), trusted=trusted)
        assert await one.exists("INC-42") is found
        await one.close()
    plain = TicketSystem(f"http://127.0.0.1:{server.port}/rest/{{ticket}}", SecretStr(SECRET))
    assert await plain.exists("INC-42") is None, "TLS there, none here"
    await plain.close()
    await server.stop()


async def test_a_name_that_leads_to_a_link_local_address_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(*_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    one = TicketSystem("https://tickets.example.com/{ticket}", SecretStr(SECRET))
    assert await one.exists("INC-42") is None
    await one.close()


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("http://tickets.example.com/{ticket}", SECRET),
        ("https://169.254.169.254/{ticket}", SECRET),
        ("https://tickets.example.com/", SECRET),
        ("https://tickets.example.com/{ticket}", "short"),
    ],
)
def test_what_cannot_be_asked_safely_is_refused(url: str, secret: str) -> None:
    with pytest.raises(ValueError, match=r"https|link-local|ticket|characters"):
        TicketSystem(url, SecretStr(secret))


def test_its_secret_is_not_shown() -> None:
    assert repr(TicketSystem("https://tickets.example.com/{ticket}", SecretStr(SECRET))) == (
        "TicketSystem(tickets.example.com)"
    )
