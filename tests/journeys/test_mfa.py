"""Somebody sets up a second factor: an operator at a terminal, a form in Slack, and whoever would like to be them."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bot import local_account
from bot.access import enrolment
from bot.playground import Human, LocalSlack, View
from bot.playground.human import Reply
from bot.settings import Settings
from bot.store.indexes.terminal_bindings import Binding, Terminals, terminal_of
from tests.factors import App
from tests.house import POLICY, person
from tests.journeys.conftest import Mode, Town, at_terminal, running, settings_for
from tests.journeys.test_everyday import types
from tests.journeys.test_terminals import HERE, THERE, as_root, certain
from tests.servers import RedisServer

AUDIT = "C0AUDIT01"
WHY = "called from her desk phone"


class Enrolment(Town):
    """The workspace, whose bot's settings are ``settings``."""

    settings: Settings

    async def jit(self, *words: str, **env: str) -> str:
        """What the terminal shows."""
        done = await at_terminal(self.settings, *words, **env)
        return done.stdout + done.stderr

    async def code(self, of: str = "mia") -> str:
        """A code of an operator's."""
        human: Human = getattr(self, of)
        await types(human, "list")  # who was never here is bound to no address
        return await enrolment.offer(self.app.context, "cli:pat@host", f"{of}@example.com", WHY)

    async def bound(self, human: Human, name: str, env: Mapping[str, str]) -> None:
        """This account of the machine counts as that operator."""
        terminal, until = terminal_of(local_account.account(env)), await self.app.store.now() + 3600
        who = person(self.app.store.workspace, name)
        await types(human, "list")
        await Terminals(self.app.store).bind(Binding(terminal=terminal, person=who, until=until))

    async def form(self, human: Human, line: str = "mfa") -> View:
        assert await types(human, line) == ""
        return await human.sees_view("mfa")

    async def begun(self, human: Human, code: str) -> tuple[View, str]:
        """The modal with the key, and the key."""
        form = await self.form(human)
        reply = await human.submit(form, {"enrolment_code": code})
        assert reply.errors == {}, reply.errors
        view = await human.sees_view("mfa_key")
        return view, key_in(view)

    async def first(self, key: str) -> str:
        """What an app with this key shows."""
        return (await App(self.app.store, "", key.replace(" ", "")).code()).get_secret_value()

    async def enrolled(self, human: Human, of: str) -> list[str]:
        """Set up; the recovery codes."""
        view, key = await self.begun(human, await self.code(of))
        await human.submit(view, {"first_code": await self.first(key)})
        return recovery_codes(await human.sees_view("mfa_done"))

    async def factors(self, of: str = "mia") -> list[str]:
        """The kinds that count."""
        known = await self.app.store.factors.read(f"{of}@example.com")
        return sorted(factor.kind for factor in known.record.usable)


def said(view: View) -> str:
    """All that a modal shows."""
    return json.dumps(view.body, ensure_ascii=False)


def key_in(view: View) -> str:
    found = re.search(r"((?:[A-Z2-7]{4} ){7}[A-Z2-7]{4})", said(view))
    assert found
    return found[1]


def recovery_codes(view: View) -> list[str]:
    return re.findall(r"\b[2-9A-HJ-NP-Z]{5}-[2-9A-HJ-NP-Z]{5}\b", said(view).replace("\\n", " "))


def error_of(reply: Reply) -> str:
    """What stands beneath the field."""
    [error] = reply.errors.values()
    return error


@pytest.fixture(params=["http", "socket"])
async def town(
    request: pytest.FixtureRequest, slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> AsyncIterator[Enrolment]:
    """The bot in it, over HTTP and over Socket Mode."""
    mode: Mode = request.param
    two = POLICY.replace("[pat@example.com]", "[pat@example.com, kim@example.com]")
    settings = settings_for(slack, redis, mode, tmp_path, two)
    async with running(settings) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if mode == "socket" else asyncio.sleep(0))
        town = Enrolment(slack, app)
        town.settings = settings
        yield town


HTTP = pytest.mark.parametrize("town", ["http"], indirect=True)


async def test_a_person_sets_up_an_app_with_an_operators_code(
    town: Enrolment, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    code = await town.code()
    told = await town.mia.sees_dm(lambda m: "issued a code" in m.said())
    assert "`/jit mfa`" in told.said()
    await town.slack.sees(AUDIT, lambda m: "mia@example.com can set up a second factor" in m.said() and WHY in m.said())
    form = await town.form(town.mia)
    assert "You have no second factor yet" in said(form)
    assert "An operator's code waits for you until" in said(form)
    view, key = await town.begun(town.mia, code.lower())
    assert "otpauth://totp/JIT%20Access:mia@example.com?secret=" in said(view)
    assert view.body["private_metadata"].startswith("F-")
    first = await town.first(key)
    await town.mia.submit(view, {"first_code": first})
    recovery = recovery_codes(await town.mia.sees_view("mfa_done"))
    assert len(set(recovery)) == 10
    assert await town.factors() == ["recovery", "totp"]
    await town.mia.sees_dm(lambda m: "An authenticator app was set up as your second factor" in m.said())
    await town.slack.sees(AUDIT, lambda m: "Mia (mia@example.com) set up an authenticator app" in m.said())
    shown = said(await town.form(town.mia))
    assert "Authenticator app, since" in shown
    assert "Recovery codes: 10 left" in shown
    assert "; for critical roles from" in shown
    # No secret is anywhere but in the modals of the one person.
    hidden = [code, key, key.replace(" ", ""), first, *recovery, code.replace("-", "")]
    everything = caplog.text + json.dumps([m.said() for m in town.slack.world.messages], ensure_ascii=False)
    audit: Any = await town.app.store.redis.xrange(town.app.store.keys.audit)
    everything += str(audit)
    assert [secret for secret in hidden if secret in everything] == []


@HTTP
async def test_a_code_in_a_command_or_a_message_is_not_read_and_the_form_says_why(town: Enrolment) -> None:
    code = await town.code()
    for line in (f"mfa {code}", f"2fa {code}", "totp 123456"):
        form = await town.form(town.mia, line)
        assert "Slack keeps those" in said(form)
        assert code not in said(form)
    assert "/jit mfa" in await types(town.mia, "help mfa")
    await town.mia.writes_to_app(f"mfa {code}")
    answer = await town.mia.sees_ephemeral(lambda m: "Slack keeps those" in m.said())
    assert code not in json.dumps(answer.blocks)
    await town.mia.click(answer, "open_form")
    await town.mia.sees_view("mfa")
    assert await town.factors() == []


@HTTP
async def test_another_persons_code_a_wrong_one_and_one_that_was_used(town: Enrolment) -> None:
    code = await town.code("mia")
    form = await town.form(town.dan)
    assert "No operator's code waits for you" in error_of(await town.dan.submit(form, {"enrolment_code": code}))
    form = await town.form(town.mia)
    for left in ("4 more tries", "3 more tries", "2 more tries", "1 more try"):
        reply = await town.mia.submit(form, {"enrolment_code": "AAAA-BBBB-CCCC"})
        assert left in error_of(reply)
    assert "fifth wrong code" in error_of(await town.mia.submit(form, {"enrolment_code": "AAAA-BBBB-CCCC"}))
    assert "No operator's code waits" in error_of(await town.mia.submit(form, {"enrolment_code": code}))
    await town.mia.sees_dm(lambda m: "Five wrong codes were typed as you" in m.said())
    await town.enrolled(town.mia, "mia")
    form = await town.form(town.mia)
    assert "No operator's code waits" in error_of(await town.mia.submit(form, {"enrolment_code": code}))


async def test_whoever_presses_confirm_twice_still_reads_their_recovery_codes(town: Enrolment) -> None:
    view, key = await town.begun(town.mia, await town.code())
    town.mia.fill(view, {"first_code": await town.first(key)})
    payload = town.mia.submission(view)
    replies = await asyncio.gather(*(town.mia.deliver_submission(view, payload) for _ in range(2)))
    assert [reply.errors for reply in replies] == [{}, {}]
    top = await town.mia.sees_view("mfa_done", lambda v: "set up already" in said(v))
    beneath = town.slack.world.stack("UMIA")[-2]
    assert top is not beneath
    assert len(recovery_codes(beneath)) == 10
    assert (await town.app.store.factors.read("mia@example.com")).record.failures == 0


@HTTP
async def test_two_devices_and_a_form_that_was_closed(town: Enrolment) -> None:
    code = await town.code()
    first, key = await town.begun(town.mia, code)
    second, other = await town.begun(town.mia, code)
    assert key != other
    reply = await town.mia.submit(first, {"first_code": await town.first(key)})
    assert "begun again elsewhere" in error_of(reply)
    wrong = await town.mia.submit(second, {"first_code": "000000"})
    assert "2 more tries" in error_of(wrong)
    await town.mia.submit(second, {"first_code": await town.first(other)})
    await town.mia.sees_view("mfa_done")
    assert await town.factors() == ["recovery", "totp"]


@HTTP
async def test_a_terminal_prints_a_code_once_and_for_somebody_whom_the_bot_knows(town: Enrolment) -> None:
    await types(town.mia, "list")
    printed = await town.jit("people", "enrol-code", "Mia@example.com", "--reason", WHY)
    code = re.match(r"\w{4}-\w{4}-\w{4}\n", printed)
    assert code, printed
    assert "lasts 24 hours" in printed
    assert "Not in Slack" in printed
    await town.begun(town.mia, code[0].strip())
    refused = await town.jit("people", "enrol-code", "nobody@example.com", "--reason", WHY)
    assert "No account is bound to nobody@example.com" in refused


@HTTP
@as_root
@certain
async def test_two_operators_reset_what_was_lost_or_put_back(town: Enrolment) -> None:
    await town.bound(town.pat, "pat", HERE)
    await town.bound(town.kim, "kim", THERE)
    key = town.app.store.keys.factors("mia@example.com")
    await town.code()
    before: Any = await town.app.store.redis.get(key)
    await town.enrolled(town.mia, "mia")
    await town.app.store.redis.set(key, before)
    assert await types(town.mia, "mfa") == ""
    doubted = await town.mia.sees_view("note")
    assert "failed its integrity check" in said(doubted)
    line = ("people", "reset-factors", "mia@example.com", "--reason", WHY)
    assert "another operator types" in await town.jit(*line, **HERE)
    await town.slack.sees(AUDIT, lambda m: "proposed to reset the second factors of mia@example.com" in m.said())
    assert "already proposed" in await town.jit(*line, **HERE)
    assert "You can't reset your own" in await town.jit(
        "people", "reset-factors", "kim@example.com", "--reason", WHY, **THERE
    )
    assert "All second factors of mia@example.com are gone" in await town.jit(*line, **THERE)
    await town.mia.sees_dm(lambda m: "reset your second factors" in m.said())
    await town.slack.sees(AUDIT, lambda m: "reset the second factors of mia@example.com" in m.said())
    await town.enrolled(town.mia, "mia")
    assert await town.factors() == ["recovery", "totp"]
