"""Access tokens: how long one is kept, when another is asked for, what a refusal means, and what an assertion is."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from providers.directories.base import NoAnswer, Refused
from providers.directories.http import HttpOptions
from providers.directories.oauth import EARLY, JwtKey, OAuthReader
from tests.providers.entra import CLIENT, GROUP, SECRET, TENANT, EntraServer
from tests.providers.oauth import key, pem, read


@pytest.fixture
async def server() -> AsyncIterator[EntraServer]:
    server = EntraServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def reader(server: EntraServer) -> AsyncIterator[OAuthReader]:
    def form() -> dict[str, str]:
        scope = f"{server.url}/.default"
        secret = {"client_id": CLIENT, "client_secret": SECRET}
        return {"grant_type": "client_credentials", "scope": scope, **secret}

    def hint(error: str, answer: Mapping[str, Any]) -> str:
        return f"see {error} and {answer.get('error_codes')}"

    reader = OAuthReader(HttpOptions(timeout=1), f"{server.url}/{TENANT}/oauth2/v2.0/token", form, hint)
    yield reader
    await reader.close()


async def ask(reader: OAuthReader, server: EntraServer) -> int:
    page = await reader.get(f"{server.url}/v1.0/groups/{GROUP}", [("$select", "id")])
    return page.status


async def test_one_token_is_kept_and_is_in_no_log(
    reader: OAuthReader, server: EntraServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert [await ask(reader, server) for _ in range(3)] == [200, 200, 200]
    [token] = server.tokens
    assert await reader.token() == token
    assert all(secret not in f"{caplog.text}{reader!r}" for secret in (token, SECRET))


async def test_many_who_ask_at_once_ask_for_one_token(reader: OAuthReader, server: EntraServer) -> None:
    assert await asyncio.gather(*(ask(reader, server) for _ in range(5))) == [200] * 5
    assert len(server.forms) == 1


async def test_a_token_is_used_until_shortly_before_it_expires(reader: OAuthReader, server: EntraServer) -> None:
    server.lifetime = int(EARLY)
    assert [await ask(reader, server) for _ in range(2)] == [200, 200]
    assert len(server.tokens) == 2
    server.lifetime = int(EARLY) + 3600
    assert [await ask(reader, server) for _ in range(2)] == [200, 200]
    assert len(server.tokens) == 3


async def test_a_token_that_is_not_taken_is_replaced_once(reader: OAuthReader, server: EntraServer) -> None:
    await ask(reader, server)
    server.tokens.clear()
    assert await ask(reader, server) == 200
    assert len(server.forms) == 2
    server.answer = web.Response(status=401)
    server.calls.clear()
    assert await ask(reader, server) == 401
    assert len(server.calls) == 3, "the call, a token, the call"


async def test_a_closed_reader_has_forgotten_its_token(reader: OAuthReader, server: EntraServer) -> None:
    await ask(reader, server)
    await reader.close()
    await ask(reader, server)
    assert len(server.forms) == 2


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_an_error_of_oauth_is_a_definite_no_with_what_to_do(
    reader: OAuthReader, server: EntraServer, status: int
) -> None:
    said = {"error": "invalid_client", "error_description": f"the secret {SECRET}", "error_codes": [7]}
    server.token_answer = web.json_response(said, status=status)
    with pytest.raises(Refused, match=r"no access token \(invalid_client\): see invalid_client and \[7\]") as error:
        await ask(reader, server)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, '{"error": "invalid_client"}'),
        (429, '{"error": "invalid_client"}'),
        (404, '{"error": "invalid_client"}'),
        (400, "<html>a proxy</html>"),
        (400, '{"error": "temporarily_unavailable"}'),
        (400, '{"error": "Look: <b>this</b>"}'),
        (400, '{"error": {"message": "invalid_client"}}'),
        (400, "[]"),
        (302, ""),
    ],
)
async def test_another_refusal_is_no_answer(reader: OAuthReader, server: EntraServer, status: int, body: str) -> None:
    headers = {"Retry-After": "33", "Location": f"{server.url}/elsewhere"}
    server.token_answer = web.Response(status=status, text=body, headers=headers)
    with pytest.raises(NoAnswer, match=str(status)) as error:
        await ask(reader, server)
    assert error.value.after == 33
    assert len(server.calls) == 1, "the form is not sent on"


@pytest.mark.parametrize(
    "changed",
    [
        {"access_token": ""},
        {"access_token": None},
        {"access_token": "two\r\nlines"},
        {"access_token": "x" * 16_385},
        {"token_type": "mac"},
        {"token_type": None},
        {"expires_in": 0},
        {"expires_in": True},
        {"expires_in": "soon"},
        {"expires_in": None},
    ],
)
async def test_what_is_no_token_is_not_taken_for_one(
    reader: OAuthReader, server: EntraServer, changed: dict[str, Any]
) -> None:
    server.token_answer = web.json_response({"access_token": "x", "token_type": "Bearer", "expires_in": 9, **changed})
    with pytest.raises(NoAnswer, match="something else than an access token"):
        await ask(reader, server)


def test_an_assertion_counts_for_some_minutes_from_now_on() -> None:
    began = time.time()
    header, claims = read(JwtKey(pem(key()), "RS256", {"kid": "1"}).assertion({"iss": "me"}), key().public_key())
    assert header == {"alg": "RS256", "typ": "JWT", "kid": "1"}
    assert set(claims) == {"iss", "iat", "exp"}
    assert claims["iat"] <= began < claims["exp"] <= claims["iat"] + 600


def test_a_key_is_an_rsa_key_of_a_length_that_holds_and_shows_nothing() -> None:
    curve = ec.generate_private_key(ec.SECP256R1())
    shape = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    locked = key().private_bytes(*shape, serialization.BestAvailableEncryption(b"hunter2")).decode()
    plain = curve.private_bytes(*shape, serialization.NoEncryption()).decode()
    for bad, said in ((locked, "without a passphrase"), ("hunter2", "no private key"), (plain, "no RSA key")):
        with pytest.raises(ValueError, match=said) as error:
            JwtKey(bad, "RS256", {})
        assert "hunter2" not in str(error.value)
    with pytest.raises(ValueError, match="at least 2,048 bits"):
        JwtKey(pem(key(1024)), "RS256", {})
    assert "PRIVATE" not in repr(JwtKey(pem(key()), "RS256", {}))
