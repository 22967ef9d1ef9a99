"""A second factor from the request to the password, over HTTP and over Socket Mode: at each step a code, once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bot.core.request import Request, State
from bot.playground import Human, LocalSlack, Message, Reply, View
from tests.access.test_break_glass import WITH
from tests.factors import App, enrolled
from tests.journeys.conftest import CHANNEL, running, settings_for
from tests.journeys.test_form_and_reload import Reloaded
from tests.journeys.test_lines import filled
from tests.servers import RedisServer

OFF = "mfa: {request: off, break_glass: off}"
REQUIRED = "mfa: {request: required, approve: required, break_glass: required}"
POLICY = WITH.replace(OFF, REQUIRED)
LINE = "request debug 30m -- INC-1 the vault is stuck"
assert POLICY != WITH


@dataclass
class Proving(Reloaded):
    """The bot, where every door asks for a second factor; whoever is in it has an authenticator app."""

    apps: dict[str, App] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)

    async def code(self, name: str) -> str:
        """The next code of this person's app that was not used yet: at most one time step ahead of its clock."""
        step = self.steps.get(name, -2) + 1
        assert step <= 1, "an app shows no fourth code within one time step"
        self.steps[name] = step
        return (await self.apps[name].code(step)).get_secret_value()

    async def wrong(self, name: str) -> str:
        """A code that proves nothing."""
        return self.apps[name].wrong(await self.app.store.now()).get_secret_value()

    async def failures(self, name: str) -> int:
        """Wrong codes in a row."""
        return (await self.app.store.factors.read(self.apps[name].identity)).record.failures

    async def form(self, line: str = LINE) -> View:
        """The form that a line opens for Mia."""
        reply = await self.mia.command("/jit", line, CHANNEL)
        assert (reply.status, reply.text) == (200, "")
        return await self.mia.sees_view("ask", lambda v: "code" in filled(v))

    async def requested(self, line: str = LINE) -> Message:
        """Mia requests it with a code; its card."""
        view = await self.form(line)
        reply = await self.mia.submit(view, {"code": await self.code("mia")})
        assert not reply.errors
        return await self.card((await self.only()).id)

    async def only(self) -> Request:
        """The one request that there is."""
        [found] = await self.app.store.open_at_all()
        return found.request

    async def approved(self, card: Message, who: str = "dan") -> Reply:
        """Somebody approves it with a code."""
        human = getattr(self, who)
        await human.click(card, "approve")
        view = await human.sees_view("approve_code")
        reply: Reply = await human.submit(view, {"code": await self.code(who)})
        return reply


async def enrol(town: Proving, *names: str) -> None:
    for name in names:
        town.apps[name] = await enrolled(town.app.store, f"{name}@example.com")


@pytest.fixture(params=["http", "socket"])
async def town(
    request: pytest.FixtureRequest, slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> AsyncIterator[Proving]:
    """The bot with the policy that requires a second factor for everything."""
    settings = settings_for(slack, redis, request.param, tmp_path, POLICY)
    async with running(settings) as app:
        if request.param == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if request.param == "socket" else asyncio.sleep(0))
        town = Proving(slack, app)
        town.file = settings.policy
        await enrol(town, "mia", "dan", "eve")
        yield town


async def test_a_request_its_approval_and_its_password_each_take_a_code(town: Proving) -> None:
    view = await town.form()
    assert "codes are not typed into commands" in view.said()
    assert filled(view) == {
        "choice": "debug",
        "duration": "1800",
        "reason": "INC-1 the vault is stuck",
        "start": None,
        "code": None,
    } | {name: None for name in filled(view) if name == "add_role"}
    assert await town.app.store.open_at_all() == []
    reply = await town.mia.submit(view, {"code": await town.code("mia")})
    assert not reply.errors
    id_ = (await town.only()).id
    card = await town.card(id_)
    assert not (await town.approved(card)).errors
    await town.card(id_, "active until")
    granted = await town.mia.sees_dm(lambda m: "reveal" in m.buttons())
    await town.mia.click(granted, "reveal")
    view = await town.mia.sees_view("reveal_code")
    assert "Password" not in view.said()
    await town.mia.submit(view, {"code": await town.code("mia")})
    await town.mia.sees_view("note", lambda v: "Password" in v.said())


async def test_three_wrong_codes_in_a_row_lock_and_the_audit_channel_is_told(town: Proving) -> None:
    view = await town.form()
    replies = [await town.mia.submit(view, {"code": await town.wrong("mia")}) for _ in range(3)]
    assert [set(reply.errors) for reply in replies] == [{"code"}] * 3
    assert "2 more tries" in replies[0].errors["code"].lower()
    assert "1 more try" in replies[1].errors["code"].lower()
    assert "Too many wrong codes" in replies[2].errors["code"]
    locked = await town.mia.submit(view, {"code": await town.code("mia")})
    assert "Too many wrong codes" in locked.errors["code"], "no code is read while it is locked, not a right one"
    await town.slack.sees("C0AUDIT01", lambda m: "3 wrong second-factor codes" in m.said())
    await town.mia.sees_dm(lambda m: "3 wrong second-factor codes" in m.said())
    assert await town.app.store.open_at_all() == []
    await town.mia.command("/jit", "request vault/shared", CHANNEL)
    locked_form = await town.mia.sees_view("ask", lambda v: "vault/shared" in str(v.body))
    assert "You can try again at" in locked_form.said()
    assert "code" not in filled(locked_form)


async def test_the_same_code_in_two_forms_serves_one_of_them(town: Proving) -> None:
    first = await town.form()
    second = await town.form("request vault/shared 30m -- INC-2 why")
    code = await town.code("mia")
    assert not (await town.mia.submit(first, {"code": code})).errors
    refused = await town.mia.submit(second, {"code": code})
    assert "already used" in refused.errors["code"]
    assert len(await town.app.store.open_at_all()) == 1


async def test_the_same_submission_delivered_twice_makes_one_request_and_no_wrong_code(town: Proving) -> None:
    view = await town.form()
    town.mia.fill(view, {"code": await town.code("mia")})
    payload = town.mia.submission(view)
    first = await town.mia.deliver_submission(view, payload)
    again = await town.mia.deliver_submission(view, payload)
    assert (first.errors, again.errors) == ({}, {})
    assert len(await town.app.store.open_at_all()) == 1
    assert await town.failures("mia") == 0


async def test_an_approvers_code_serves_for_one_request(town: Proving) -> None:
    card = await town.requested()
    view = await town.form("request vault/shared 30m -- INC-2 why")
    assert not (await town.mia.submit(view, {"code": await town.code("mia")})).errors
    other = await town.slack.sees(CHANNEL, lambda m: "Vault: shared" in m.said() and "approve" in m.buttons())
    await town.dan.click(card, "approve")
    first = await town.dan.sees_view("approve_code")
    await town.dan.click(other, "approve")
    second = await town.dan.sees_view("approve_code", lambda v: v.id != first.id)
    code = await town.code("dan")
    assert not (await town.dan.submit(first, {"code": code})).errors
    refused = await town.dan.submit(second, {"code": code})
    assert "already used" in refused.errors["code"]
    waits = await town.app.context.find_by_id(town.id_of(other))
    assert (waits.request.state, waits.request.reviews) == (State.PENDING, ())


async def test_a_form_that_is_open_while_a_code_becomes_required_is_drawn_again_with_a_field_for_it(
    town: Proving,
) -> None:
    await town.reload((REQUIRED, OFF))
    await town.mia.command("/jit", "request debug", CHANNEL)
    view = await town.mia.sees_view("ask", lambda v: "duration:debug" in str(v.body))
    assert "code" not in filled(view)
    await town.reload((OFF, REQUIRED))
    reply = await town.mia.submit(view, {"duration": "3600", "reason": "INC-7 kept"})
    assert not reply.errors
    assert await town.app.store.open_at_all() == []
    view = await town.mia.sees_view("ask", lambda v: "code" in filled(v))
    assert "This needs a second factor, so nothing was recorded yet." in view.said()
    assert {"choice": "debug", "duration": "3600", "reason": "INC-7 kept", "code": None}.items() <= filled(view).items()
    assert not (await town.mia.submit(view, {"code": await town.code("mia")})).errors
    assert (await town.only()).reason == "INC-7 kept"


async def open_less(town: Proving) -> tuple[Human, View]:
    await town.dan.click(await town.asked(line="request debug 4h -- INC-1 why"), "approve_less")
    return town.dan, await town.dan.sees_view("approve_less")


async def open_extension(town: Proving) -> tuple[Human, View]:
    card = await town.asked()
    await town.dan.click(card, "approve")
    await town.card(town.id_of(card), "active until")
    await town.mia.command("/jit", "extend", CHANNEL)
    return town.mia, await town.mia.sees_view("extend")


async def open_break_glass(town: Proving) -> tuple[Human, View]:
    await town.asked()
    await town.mia.opens_home()
    await town.mia.click(await town.mia.sees_home(lambda v: "break_glass" in v.buttons()), "break_glass")
    return town.mia, await town.mia.sees_view("break_glass")


@pytest.mark.parametrize(
    ("opening", "typed"),
    [
        (open_less, {"duration": "3600"}),
        (open_extension, {"duration": "3600", "reason": "it takes longer"}),
        (open_break_glass, {"duration": "900", "reason": "the vault is on fire"}),
    ],
)
async def test_other_forms_that_are_open_meanwhile_are_drawn_again_too_and_keep_what_was_typed(
    town: Proving, opening: Callable[[Proving], Awaitable[tuple[Human, View]]], typed: dict[str, str]
) -> None:
    await town.reload((REQUIRED, OFF))
    human, view = await opening(town)
    assert "code" not in filled(view)
    await town.reload((OFF, REQUIRED))
    before = await town.only()
    assert not (await human.submit(view, typed)).errors
    assert (await town.only()) == before
    again = await human.sees_view(str(view.body["callback_id"]), lambda v: "code" in filled(v))
    assert "This needs a second factor, so nothing was recorded yet." in again.said()
    assert filled(again) == {**typed, "code": None}
    code = await town.code(human.id.removeprefix("U").lower())
    assert not (await human.submit(again, {"code": code})).errors
    assert (await town.only()) != before


async def test_codes_are_judged_by_the_clock_of_redis(town: Proving, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + 600)
    view = await town.form()
    code = town.apps["mia"].shown(right() + 600)
    assert "code" in (await town.mia.submit(view, {"code": code})).errors, "a code of the host's clock"
    assert not (await town.mia.submit(view, {"code": await town.code("mia")})).errors


async def stored(redis: RedisServer) -> str:
    """All that Redis has, as text."""
    async with Redis.from_url(redis.socket_url) as client:
        found: list[object] = []
        async for key in client.scan_iter():
            match await client.type(key):
                case b"string":
                    found.append(await client.get(key))
                case b"hash":
                    found.append(await client.hgetall(key))
                case b"stream":
                    found.append(await client.xrange(key))
                case b"zset":
                    found.append(await client.zrange(key, 0, -1))
                case b"set":
                    found.append(await client.smembers(key))
                case b"list":
                    found.append(await client.lrange(key, 0, -1))
        return str(found)


async def test_no_code_is_in_a_form_a_log_or_the_store(
    town: Proving, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    view, wrong = await town.form(), await town.wrong("mia")
    await town.mia.submit(view, {"code": wrong})
    right = await town.code("mia")
    await town.mia.choose(view, "choice", "vault/shared")
    drawn = await town.mia.sees_view("ask", lambda v: "duration:vault/shared" in str(v.body))
    assert filled(drawn)["code"] is None
    reply = await town.mia.submit(drawn, {"duration": "1800", "reason": "INC-1 why", "code": right})
    assert not reply.errors
    kept = [
        path.read_text(encoding="utf-8", errors="replace") for path in town.file.parent.rglob("*") if path.is_file()
    ]
    shown = [str(each) for each in town.slack.payloads]
    said = "\n".join([caplog.text, await stored(redis), *kept, *shown])
    assert "factor_failed" in said
    for code in (wrong, right):
        assert not re.search(rf"(?<![\w.]){code}(?!\w)", said)


async def test_an_extension_takes_a_code_in_its_form_whatever_opens_it(town: Proving) -> None:
    card = await town.requested()
    id_ = town.id_of(card)
    await town.approved(card)
    await town.card(id_, "active until")
    reply = await town.mia.command("/jit", f"extend {id_} 30m -- the fix takes longer", CHANNEL)
    assert reply.text == ""
    view = await town.mia.sees_view("extend")
    assert "codes are not typed into commands" in view.said()
    assert filled(view) == {"duration": "1800", "reason": "the fix takes longer", "code": None}
    refused = await town.mia.submit(view, {"code": await town.wrong("mia")})
    assert "code" in refused.errors
    assert not (await town.mia.submit(view, {"code": await town.code("mia")})).errors
    card = await town.card(id_, "asks to extend until")
    await town.dan.click(card, "extend_approve")
    view = await town.dan.sees_view("extend_approve_code")
    assert not (await town.dan.submit(view, {"code": await town.code("dan")})).errors
    await town.card(id_, "Extended")


async def test_approving_for_less_takes_a_code_and_keeps_what_was_chosen_where_it_is_drawn_again(town: Proving) -> None:
    card = await town.requested("request debug 4h -- INC-1 why")
    await town.dan.click(card, "approve_less")
    view = await town.dan.sees_view("approve_less", lambda v: "code" in filled(v))
    assert "code" in (await town.dan.submit(view, {"duration": "1800", "code": await town.wrong("dan")})).errors
    assert not (await town.dan.submit(view, {"duration": "1800", "code": await town.code("dan")})).errors
    approved = (await town.app.context.find_by_id(town.id_of(card))).request
    assert [(review.duration, bool(review.proof)) for review in approved.reviews] == [(1800, True)]


async def test_break_glass_takes_a_code_in_a_form_that_has_what_the_line_said(town: Proving) -> None:
    reply = await town.mia.command("/jit", "break-glass vault/read-only 10m -- the vault is on fire", CHANNEL)
    assert reply.text == ""
    view = await town.mia.sees_view("break_glass_new")
    assert "vault/read-only" in view.said()
    assert filled(view) == {"duration": "600", "reason": "the vault is on fire", "code": None}
    assert await town.app.store.open_at_all() == []
    assert "code" in (await town.mia.submit(view, {"code": await town.wrong("mia")})).errors
    assert not (await town.mia.submit(view, {"code": await town.code("mia")})).errors
    taken = await town.only()
    assert taken.break_glass is not None
    assert (taken.duration, taken.proof is not None) == (600, True)


async def test_break_glass_on_a_request_that_waits_takes_a_code(town: Proving) -> None:
    id_ = town.id_of(await town.requested())
    await town.mia.opens_home()
    waiting = await town.mia.sees_home(lambda v: "break_glass" in v.buttons())
    await town.mia.click(waiting, "break_glass", value=id_)
    view = await town.mia.sees_view("break_glass", lambda v: "code" in filled(v))
    assert "code" in (await town.mia.submit(view, {"code": await town.wrong("mia")})).errors
    assert not (await town.mia.submit(view, {"code": await town.code("mia")})).errors
    assert (await town.app.context.find_by_id(id_)).request.break_glass is not None


async def test_whoever_has_no_factor_reads_how_to_get_one_in_the_form_and_beneath_a_line(town: Proving) -> None:
    reply = await town.kim.command("/jit", LINE, CHANNEL)
    assert "`/jit mfa`" in reply.text
    await town.kim.command("/jit", "request debug", CHANNEL)
    view = await town.kim.sees_view("ask")
    assert "/jit mfa" in view.said()
    assert "code" not in filled(view)
    await town.kim.submit(view, {"duration": "1800", "reason": "INC-1 why"})
    again = await town.kim.sees_view("ask", lambda v: "nothing was recorded yet" in v.said())
    assert "INC-1 why" in str(again.body)
    assert await town.app.store.open_at_all() == []
