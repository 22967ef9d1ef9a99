"""The stop button: all of somebody's, all of a system's, and everything, over HTTP and over Socket Mode."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.core.request import State
from bot.playground import Human, LocalSlack
from bot.settings import Settings
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Mode, Town, at_terminal, running, settings_for
from tests.servers import RedisServer

AUDIT, SHED_CHANNEL = "C0AUDIT01", "C0SHED001"
SHED = (
    POLICY[POLICY.index("  vault:\n") : POLICY.index("templates:")]
    .replace("  vault:", "  shed:")
    .replace("title: Vault", "title: Shed")
    .replace(CHANNEL, SHED_CHANNEL)
    .replace("approvers: [dba]", "approvers: [security]")
    .replace("{any_of: [dba]}, ", "")
)
RULES = POLICY.replace("people: [pat@example.com]", "people: [pat@example.com, kim@example.com]").replace(
    "templates:", f"{SHED}templates:"
)


def id_in(said: str) -> str:
    """The request that an answer tells of."""
    [id_] = set(re.findall(r"J-\w{4}", said))
    return str(id_)


class Stopping(Town):
    """A workspace with two operators, Pat and Kim, and two systems; ``settings`` are the bot's."""

    settings: Settings

    async def types(self, human: Human, line: str) -> str:
        """What the person reads; empty where a modal is opened."""
        reply = await human.command("/jit", line, CHANNEL)
        assert reply.status == 200
        return human.ephemerals[-1].said() if reply.body else ""

    async def open(self, who: str, what: str = "vault/shared") -> str:
        """Something that is open; its id."""
        system = what.partition("/")[0]
        human: Human = getattr(self, who)
        id_ = id_in(await self.types(human, f"request {what} 30m -- INC-1 the thing is stuck"))
        channel, reviewer = (CHANNEL, self.dan) if system == "vault" else (SHED_CHANNEL, self.sam)
        card = await self.slack.sees(channel, lambda m: id_ in m.said() and "approve" in m.buttons())
        await reviewer.click(card, "approve")
        await self.slack.sees(channel, lambda m: id_ in m.said() and "active until" in m.said())
        return id_

    async def state(self, id_: str) -> State:
        return (await self.app.context.find_by_id(id_)).request.state

    async def until(self, id_: str, state: State) -> None:
        async with asyncio.timeout(30):
            while await self.state(id_) is not state:  # noqa: ASYNC110  # the worker is a task of the app's
                await asyncio.sleep(0.02)

    async def locks_down(self, human: Human, line: str, **more: str) -> str:
        """Through the modal; what it says in the end."""
        assert await self.types(human, f"lockdown {line}") == ""
        view = await human.sees_view("lockdown")
        assert (await human.submit(view, more)).errors == {}
        assert human.view
        return human.view.said()

    async def jit(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type it where the bot's environment is."""
        return await at_terminal(self.settings, *words)


@pytest.fixture(params=["http", "socket"])
async def town(
    request: pytest.FixtureRequest, slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> AsyncIterator[Stopping]:
    """The bot in it, over HTTP and over Socket Mode."""
    mode: Mode = request.param
    slack.add_channel(SHED_CHANNEL, "shed", list(slack.world.people))
    settings = settings_for(slack, redis, mode, tmp_path, RULES)
    async with running(settings) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if mode == "socket" else asyncio.sleep(0))
        town = Stopping(slack, app)
        town.settings = settings
        yield town


AT_A_TERMINAL = pytest.mark.parametrize("town", ["http"], indirect=True)
"""A terminal has neither of the two ways to Slack, and takes a second for each command."""


# lockdown


async def test_everything_is_locked_down_and_two_operators_lift_it(town: Stopping) -> None:
    live, beside = await town.open("mia"), await town.open("eve", "shed/shared")
    waits = await town.asked("eve")
    said = await town.locks_down(town.pat, "INC-9 a <!channel> key leaked")
    assert "Pat locked down everything <!date^" in said
    assert "INC-9 a &lt;!channel&gt; key leaked" in said
    for channel in (AUDIT, CHANNEL, SHED_CHANNEL):
        told = await town.slack.sees(channel, lambda m: "Pat locked down everything" in m.text)
        assert told.thread is None
    for id_ in (live, beside):
        await town.until(id_, State.ENDED)
    card = await town.card(live, ":lock: ended")
    assert "Ended early by the system: lockdown by Pat: INC-9" in card.said()

    stopped = "Pat locked down everything"
    assert stopped in await town.types(town.sam, "request vault/shared 30m -- INC-2 please")
    await town.dan.click(waits, "approve")
    assert stopped in town.dan.ephemerals[-1].said()
    assert await town.state(town.id_of(waits)) is State.PENDING
    for reader in (town.mia, town.dan):
        assert stopped in await town.types(reader, "list")
        await reader.opens_home()
        assert stopped in (await reader.sees_home()).said()
    await town.types(town.mia, "")
    assert stopped in (await town.mia.sees_view("overview")).said()

    assert "1 of 2 operators voted to lift the lockdown" in await town.types(town.pat, "lockdown lift")
    await town.slack.sees(AUDIT, lambda m: "Pat voted to lift the lockdown of everything (1 of 2)" in m.text)
    assert "You have already voted" in await town.types(town.pat, "lockdown lift")
    assert stopped in await town.types(town.sam, "request vault/shared 30m -- INC-2 please")
    assert "lifted the lockdown" in await town.types(town.kim, "lockdown lift")
    await town.slack.sees(SHED_CHANNEL, lambda m: "Pat and Kim lifted the lockdown" in m.text)
    await town.dan.click(waits, "approve")
    await town.card(town.id_of(waits), "active until")
    assert "locked down" not in await town.types(town.mia, "list")


async def test_one_system_is_locked_down_and_the_other_goes_on(town: Stopping) -> None:
    live, beside = await town.open("mia"), await town.open("mia", "shed/shared")
    assert "Kim locked down `vault`" in await town.locks_down(town.kim, "VAULT INC-9 a key leaked")
    await town.slack.sees(CHANNEL, lambda m: "Kim locked down `vault`" in m.said())
    await town.until(live, State.ENDED)
    assert await town.state(beside) is State.ACTIVE
    assert not [m for m in town.slack.messages(SHED_CHANNEL) if "locked down" in m.said()]
    assert "locked down `vault`" in await town.types(town.sam, "request vault/shared 30m -- INC-2 please")
    await town.open("eve", "shed/shared")
    assert "There is no lockdown of everything, only of `vault`" in await town.types(town.pat, "lockdown lift")


async def test_a_form_says_in_full_why_it_is_not_taken(town: Stopping) -> None:
    await town.types(town.mia, "request")
    view = await town.mia.sees_view("ask")
    await town.mia.choose(view, "choice", "debug")
    view = await town.mia.sees_view("ask", lambda v: "reason" in str(v.body))
    await town.locks_down(town.pat, "vault INC-9 a key leaked, and it is looked for everywhere: please be patient")
    await town.mia.submit(view, {"reason": "INC-2 please"})
    note = await town.mia.sees_view("note")
    assert "Pat locked down `vault` <!date^" in note.said()
    assert "please be patient. No access can be requested or granted there until 2 operators lift it." in note.said()
    await town.locks_down(town.pat, "INC-9 everything now")
    assert "Pat locked down everything" in await town.types(town.eve, "request")


async def test_a_word_that_is_no_system_is_seen_before_it_stops_everything(town: Stopping) -> None:
    assert await town.types(town.pat, "lockdown valt a key leaked") == ""
    view = await town.pat.sees_view("lockdown")
    assert "Everything" in str(view.body["blocks"])
    await town.pat.submit(view, {"scope": "vault", "reason": "a key leaked"})
    assert town.pat.view
    assert "Pat locked down `vault`" in town.pat.view.said()


@pytest.mark.parametrize("who", ["mia", "dan", "sam"])
async def test_only_operators_stop_and_lift(town: Stopping, who: str) -> None:
    human: Human = getattr(town, who)
    refused = "only an operator of this workspace (`platform`) can do this"
    assert refused in await town.types(human, "lockdown because I can")
    assert human.view is None
    await town.locks_down(town.pat, "INC-9 a key leaked")
    assert refused in await town.types(human, "lockdown lift")


@AT_A_TERMINAL
async def test_a_terminal_stops_everything_and_while_it_is_nobodys_lifts_nothing(town: Stopping) -> None:
    live = await town.open("mia")
    assert (await town.jit("lockdown")).stdout == "Nothing is locked down.\n"
    assert "--reason" in (await town.jit("lockdown", "vault")).stderr
    assert "There is no system valt" in (await town.jit("lockdown", "valt", "--reason", "INC-9 leaked")).stderr
    done = await town.jit("lockdown", "--reason", "INC-9 leaked")
    assert "locked down everything" in done.stdout, done.stderr
    assert "<!date" not in done.stdout
    await town.until(live, State.ENDED)
    await town.slack.sees(CHANNEL, lambda m: m.text.startswith("cli:") and "locked down everything" in m.text)
    assert "does not count as an operator" in (await town.jit("lockdown", "lift")).stderr
    assert "1 of 2" in await town.types(town.pat, "lockdown lift")
    assert "does not count as an operator" in (await town.jit("lockdown", "lift")).stderr
    assert "locked down everything" in (await town.jit("lockdown")).stdout
    assert "lifted the lockdown" in await town.types(town.kim, "lockdown lift")


# all of it


async def test_all_of_somebodys_access_is_taken_away_after_it_was_shown(town: Stopping) -> None:
    ids = [await town.open("mia"), await town.open("mia", "vault/read-only"), await town.open("mia", "shed/shared")]
    other = await town.open("eve")
    assert await town.types(town.pat, "revoke <@UMIA|mia> left the company") == ""
    view = await town.pat.sees_view("revoke_all")
    assert all(id_ in view.said() for id_ in ids)
    assert other not in view.said()
    await town.pat.submit(view)
    assert town.pat.view
    assert "You ended 3 requests." in town.pat.view.said()
    for id_ in ids:
        await town.until(id_, State.ENDED)
    assert "Ended early by <@UPAT>: left the company" in (await town.card(ids[0], ":lock: ended")).said()
    assert await town.state(other) is State.ACTIVE
    assert "You can end nothing there" in await town.types(town.pat, "revoke mia@example.com again")


async def test_each_is_judged_by_itself_and_what_is_not_ones_own_to_take_is_left_and_not_counted(
    town: Stopping,
) -> None:
    mine, hidden = await town.open("mia"), await town.open("mia", "shed/shared")
    said = await town.types(town.dan, "revoke MIA@example.com INC-3 not needed")
    assert said == "You ended 1 request. The worker is revoking the access. If there is more, an operator can end it."
    assert (await town.types(town.dan, "revoke <@USAM|sam> nothing there")).endswith("an operator can end it.")
    await town.until(mine, State.ENDED)
    assert await town.state(hidden) is State.ACTIVE


async def test_all_of_a_systems_access_is_taken_away(town: Stopping) -> None:
    ids, other = [await town.open("mia"), await town.open("eve")], await town.open("mia", "shed/shared")
    assert await town.types(town.dan, "revoke vault INC-4 maintenance") == ""
    view = await town.dan.sees_view("revoke_all")
    assert other not in view.said()
    errors = (await town.dan.submit(view, {"reason": "."})).errors
    assert "Please give a reason" in errors["reason"]
    await town.dan.submit(view, {"reason": "INC-4 maintenance"})
    for id_ in ids:
        await town.until(id_, State.ENDED)
    assert await town.state(other) is State.ACTIVE


@pytest.mark.parametrize(
    ("who", "line", "sentence"),
    [
        ("pat", "revoke @mia now", "Pick the person from Slack's @ list"),
        ("pat", "revoke <@UMIA|mia> .", "You can end nothing there"),
        ("mia", "revoke vault now", "There is no system `vault` that you can see"),
        ("mia", "revoke <@UEVE|eve> now", "You can end nothing there: <@UEVE>. If there is more"),
        ("pat", "revoke", "Please give a reason"),
    ],
)
async def test_what_cannot_be_taken_away_is_said(town: Stopping, who: str, line: str, sentence: str) -> None:
    assert sentence in await town.types(getattr(town, who), line)


async def test_what_slack_escaped_is_read_as_it_was_typed(town: Stopping) -> None:
    line = "request debug 30m -- INC-1 a &lt;b&gt; <https://wiki.example/x?a=1&amp;copy=2> <#C0GENERAL|general>"
    id_ = id_in(await town.types(town.mia, line))
    reason = (await town.app.context.find_by_id(id_)).request.reason
    assert reason == "INC-1 a <b> https://wiki.example/x?a=1&copy=2 #general"


@AT_A_TERMINAL
async def test_at_a_terminal_one_is_taken_away_and_the_audit_channel_is_told(town: Stopping) -> None:
    id_ = await town.open("mia")
    assert "Missing option '--reason'" in (await town.jit("requests", "revoke", id_)).stderr
    assert "Please give a reason" in (await town.jit("requests", "revoke", id_, "--reason", ".")).stderr
    done = await town.jit("requests", "revoke", id_.lower(), "--reason", "INC-5 <!channel> leaked")
    assert f"{id_} was ended by cli:" in done.stdout, done.stderr
    await town.until(id_, State.ENDED)
    told = await town.slack.sees(AUDIT, lambda m: id_ in m.text)
    assert f"At a terminal: {id_}, Mia, Vault: shared. cli:" in told.text
    assert "INC-5 &lt;!channel&gt; leaked" in told.text
    assert "so this cannot be done any more" in (await town.jit("requests", "revoke", id_, "--reason", "again")).stderr
    trail: Any = await town.app.store.redis.xrange(town.app.store.keys.audit)
    [event] = [entry[b"event"] for _, entry in trail if entry[b"kind"] == b"ended_early"]
    assert b'"by":"cli:' in event
