"""PagerDuty: which ids count, which levels, and what each answer of its API means."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from providers.directories import registry
from providers.directories.base import NoAnswer, Refused
from providers.directories.pagerduty import PagerDuty, PagerDutyConfig
from providers.secret_refs import Misconfigured
from tests.providers.pagerduty import TOKEN, PagerDutyServer


@pytest.fixture
async def server() -> AsyncIterator[PagerDutyServer]:
    server = PagerDutyServer()
    await server.start()
    yield server
    await server.stop()


def account(server: PagerDutyServer, **more: Any) -> PagerDuty:
    return PagerDuty(PagerDutyConfig.model_validate({"token": TOKEN, "url": server.url, "timeout": 1, **more}))


async def people(directory: PagerDuty, group: str, *, check: bool = False) -> set[str]:
    try:
        if check:
            await directory.check()
        told = await directory.members(group, time.time())
        assert told.whole
        return set(told.people)
    finally:
        await directory.close()


async def test_of_an_escalation_policy_the_first_level_counts_or_as_many_as_are_configured(
    server: PagerDutyServer,
) -> None:
    server.on_call(["mia@example.com"])
    server.on_call(["dan@example.com"], level=2)
    server.on_call(["kim@example.com"], level=3, schedule=None)
    assert await people(account(server), "PPOLICY1") == {"mia@example.com"}
    assert await people(account(server, levels=2), "PPOLICY1") == {"mia@example.com", "dan@example.com"}


async def test_of_a_schedule_everybody_counts_at_whatever_level_it_is_used(server: PagerDutyServer) -> None:
    server.on_call(["mia@example.com"], level=3)
    server.on_call(["mia@example.com"])
    server.on_call(["dan@example.com"], schedule="POTHER1")
    assert await people(account(server), "PSCHED1") == {"mia@example.com"}


async def test_what_an_id_is_of_is_asked_once_and_again_when_nobody_is_on_call(server: PagerDutyServer) -> None:
    directory = account(server)
    server.on_call(["mia@example.com"])
    for _ in range(2):
        await directory.members("PPOLICY1", 0.0)
    assert sum(call.startswith("/escalation_policies/") for call in server.calls) == 1
    server.oncalls = []
    assert not (await directory.members("PPOLICY1", 0.0)).people
    assert sum(call.startswith("/escalation_policies/") for call in server.calls) == 2
    await directory.close()


async def test_an_id_that_is_of_nothing_is_refused_by_its_name(server: PagerDutyServer) -> None:
    with pytest.raises(Refused, match="no schedule and no escalation policy PNOTHING1"):
        await people(account(server), "PNOTHING1")


async def test_a_wrong_token_is_a_definite_no_that_does_not_show_it(server: PagerDutyServer) -> None:
    with pytest.raises(Refused, match="401 Unauthorized: see the token") as said:
        await people(account(server, token="another-token"), "PSCHED1")
    assert "another-token" not in f"{said.value}{said.value.__cause__}"
    with pytest.raises(Refused, match="401"):
        await people(account(server, token="another-token"), "PSCHED1", check=True)


async def test_a_limit_says_when_to_ask_again(server: PagerDutyServer) -> None:
    server.answer = web.Response(status=429, headers={"Retry-After": "33"})
    with pytest.raises(NoAnswer) as said:
        await people(account(server), "PSCHED1")
    assert said.value.after == 33


@pytest.mark.parametrize("status", [500, 502, 503, 400, 301])
async def test_every_other_answer_is_no_answer(server: PagerDutyServer, status: int) -> None:
    directory = account(server)
    server.on_call(["mia@example.com"])
    await directory.members("PSCHED1", 0.0)
    server.answer = web.Response(status=status, headers={"Location": "http://127.0.0.1:1/"} if status == 301 else {})
    with pytest.raises(NoAnswer, match=str(status)):
        await people(directory, "PSCHED1")


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{}",
        '{"oncalls": {}, "more": false}',
        '{"oncalls": []}',
        '{"oncalls": [], "more": true}',
        '{"oncalls": [1], "more": false}',
        '{"oncalls": [{"schedule": {"id": "POTHER1"}, "escalation_level": 1, "user": {"email": "eve@x.io"}}], "more": false}',  # noqa: E501
        "[" * 100_000,
    ],
)
async def test_json_that_is_none_of_the_api_is_no_answer(server: PagerDutyServer, body: str) -> None:
    directory = account(server)
    server.on_call(["mia@example.com"])
    await directory.members("PSCHED1", 0.0)
    server.answer = web.json_response(text=body)
    with pytest.raises(NoAnswer, match="something else than PagerDuty's API"):
        await people(directory, "PSCHED1")


async def test_a_server_that_hangs_is_given_up(server: PagerDutyServer) -> None:
    server.hangs = True
    began = asyncio.get_running_loop().time()
    with pytest.raises(NoAnswer, match="did not answer in time"):
        await people(account(server, timeout=0.2), "PSCHED1")
    assert asyncio.get_running_loop().time() - began < 2


async def test_an_answer_that_is_too_long_or_packed_is_not_read(server: PagerDutyServer) -> None:
    server.answer = web.Response(body=b"x" * 5_000_001)
    with pytest.raises(NoAnswer, match="longer than 5 MB"):
        await people(account(server, timeout=5), "PSCHED1")
    server.answer = web.Response(body=b"x", headers={"Content-Encoding": "gzip"})
    with pytest.raises(NoAnswer, match="compressed"):
        await people(account(server), "PSCHED1")


async def test_more_people_than_five_pages_are_not_everybody(server: PagerDutyServer) -> None:
    server.on_call([f"person{n}@example.com" for n in range(501)])
    directory = account(server, timeout=5)
    assert not (await directory.members("PSCHED1", 0.0)).whole
    await directory.close()


def test_a_config_takes_a_token_by_reference_and_no_plain_address() -> None:
    with pytest.raises(ValidationError, match="https://"):
        PagerDutyConfig.model_validate({"token": TOKEN, "url": "http://api.pagerduty.com"})
    with pytest.raises(Misconfigured, match="PAGERDUTY_TOKEN is not set"):
        registry.build("pagerduty", {"token": "env:PAGERDUTY_TOKEN"}, {})
    built = registry.build("pagerduty", {"token": "env:PAGERDUTY_TOKEN"}, {"PAGERDUTY_TOKEN": TOKEN})
    assert TOKEN not in repr(built)
