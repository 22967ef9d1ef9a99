"""Every door of the bot, by its registered listeners: those that give access ask for a second factor; the others say
why they need not. A new listener belongs into one of the tables, or this fails.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from slack_bolt.async_app import AsyncApp

import handlers
from bot.core.request import Request, State
from bot.playground import LocalSlack, View
from handlers.context import Door
from handlers.slack.verbs import COMMANDS
from handlers.views import action_ids
from tests.journeys.conftest import CHANNEL, running, settings_for
from tests.journeys.conftest import slack as slack  # noqa: PLC0414  # a fixture
from tests.journeys.test_processes import until
from tests.journeys.test_second_factor import LINE, POLICY, Proving, enrol
from tests.servers import RedisServer

F = TypeVar("F", bound=Callable[..., Any])
GLASS_LINE = "break-glass vault/read-only 10m -- the vault is on fire"


@dataclass
class Listeners:
    """It stands in for the app while handlers register: what they listen to, as ``view:ask``."""

    doors: set[str] = field(default_factory=set)

    def __getattr__(self, kind: str) -> Callable[[str], Callable[[F], F]]:
        if kind.startswith("_"):
            raise AttributeError(kind)

        def listen(name: str) -> Callable[[F], F]:
            self.doors.add(f"{kind.removeprefix('global_').removeprefix('message_')}:{name}")
            return lambda function: function

        return listen

    def error(self, function: F) -> F:
        """It answers, and does nothing."""
        return function


def doors() -> set[str]:
    """All of them; the one slash command by its first words, and by none."""
    listeners = Listeners()
    handlers.register(cast("AsyncApp", listeners), cast("Door", None))
    assert "command:/jit" in listeners.doors
    commands = {f"command:{word}" for word in (*COMMANDS, "")}
    return (listeners.doors - {"command:/jit"}) | commands


# doors that only open a form, whose submission asks

OPENS = {
    "action:request": "view:ask",
    "action:template": "view:ask",
    "action:again": "view:ask",
    "action:choice": "view:ask",
    "action:add_role": "view:ask",
    "shortcut:request_access": "view:ask",
    "shortcut:request_access_here": "view:ask",
    "action:approve_less": "view:approve_less",
    "action:extend": "view:extend",
    "action:break_glass": "view:break_glass",
}

_READS = "It reads what the person may read anyway, and gives access to no system."
_ENDS = "It takes access away, or a request back: nobody should need a code to stop something."
_NO = "A denial gives nothing: nobody should need a code to refuse something."
_FORM_OF = "It opens a form of something that gives no access."
_LISTS = "It lists names that the person may read anyway."
_SLACK = "Slack tells the bot of something; no person does anything by it."
_TALK = "It says something of a request, and decides nothing; a change only makes it shorter, or its reason better."
_ENROLS = "It sets up a second factor, which takes the code that an operator issued outside Slack; it opens nothing."
EXEMPT = {
    "command:mfa": _ENROLS,
    "view:mfa": _ENROLS,
    "view:mfa_key": _ENROLS,
    "command:list": _READS,
    "command:show": _READS,
    "command:who": _READS,
    "command:explain": _READS,
    "command:digest": _READS,
    "command:audit": _READS,
    "command:insights": _READS,
    "command:help": _READS,
    "command:": "It opens the overview; a line that names something is a request, see `command:request`.",
    "command:release": _ENDS,
    "command:done": _ENDS,
    "command:cancel": _ENDS,
    "command:revoke": _ENDS,
    "command:remind": "It reminds the approvers, who prove themselves when they approve.",
    "command:lockdown": "A lockdown takes access away; lifting one gives nobody any: each request is proved after it.",
    "command:terminal": "Whoever runs that terminal has the bot's keys already; the line only names them.",
    "command:delegate": "The policy has to entitle the stand-in, who proves themself when they approve.",
    "action:waiting": _READS,
    "action:waiting_before": _READS,
    "action:waiting_after": _READS,
    "action:deny": _FORM_OF,
    "view:deny": _NO,
    "action:extend_deny": _FORM_OF,
    "view:extend_deny": _NO,
    "action:decline": _FORM_OF,
    "view:decline": _NO,
    "action:question": _FORM_OF,
    "view:question": _TALK,
    "action:answer": _FORM_OF,
    "view:answer": _TALK,
    "action:cancel": _ENDS,
    "action:release": _ENDS,
    "action:revoke": _FORM_OF,
    "view:revoke": _ENDS,
    "view:revoke_all": _ENDS,
    "view:lockdown": _ENDS,
    "action:break_glass_review": _FORM_OF,
    "view:break_glass_review": "It judges access that was taken; it gives and prolongs none.",
    "action:snooze": "It hides a finding of the report from who reads it.",
    "action:show_request": _READS,
    "action:show_events": _READS,
    "action:show_findings": _READS,
    "action:insights_table": _READS,
    "action:audit_older": _READS,
    "action:audit_newer": _READS,
    "action:audit_table": _READS,
    "options:choice": _LISTS,
    "options:add_role": _LISTS,
    "event:app_home_opened": _READS,
    "event:user_change": _SLACK,
    "event:subteam_members_changed": _SLACK,
    "event:subteam_updated": _SLACK,
    "event:message_metadata_posted": _SLACK,
}


# doors that give access


@dataclass(frozen=True)
class Case:
    """``press``: drives the door without a code; who did, and the form that they see. ``given``: what it gives."""

    press: Callable[[Proving], Awaitable[tuple[str, View]]]
    given: Callable[[Proving], Awaitable[bool]]


async def requests(town: Proving) -> list[Request]:
    return [found.request for found in await town.app.store.open_at_all()]


async def requested(town: Proving) -> bool:
    return bool(await requests(town))


async def taken(town: Proving) -> bool:
    return any(request.break_glass for request in await requests(town))


async def approved(town: Proving) -> bool:
    return any(request.reviews for request in await requests(town))


async def extension_requested(town: Proving) -> bool:
    return any(request.extension for request in await requests(town))


async def extension_approved(town: Proving) -> bool:
    return any(request.extension and request.extension.reviews for request in await requests(town))


async def accepted(town: Proving) -> bool:
    return any(request.state is State.PENDING for request in await requests(town))


async def shown(town: Proving) -> bool:
    return any("Password" in view.said() for view in town.slack.world.views.values())


def line(text: str, callback: str) -> Callable[[Proving], Awaitable[tuple[str, View]]]:
    """Mia types it after ``/jit``."""

    async def press(town: Proving) -> tuple[str, View]:
        reply = await town.mia.command("/jit", text, CHANNEL)
        assert reply.text == ""
        return "mia", await town.mia.sees_view(callback)

    return press


async def by_mention(town: Proving) -> tuple[str, View]:
    assert (await town.mia.mentions_app(LINE, CHANNEL)).ok
    return await _by_button(town)


async def by_direct_message(town: Proving) -> tuple[str, View]:
    assert (await town.mia.writes_to_app(LINE)).ok
    return await _by_button(town)


async def _by_button(town: Proving) -> tuple[str, View]:
    answer = await town.mia.sees_ephemeral(lambda m: "open_form" in m.buttons())
    assert not await requested(town)
    await town.mia.click(answer, "open_form")
    return "mia", await town.mia.sees_view("ask")


async def with_the_form(town: Proving) -> tuple[str, View]:
    await town.mia.command("/jit", "request debug", CHANNEL)
    view = await town.mia.sees_view("ask")
    town.mia.fill(view, {"duration": "1800", "reason": "INC-1 why"})
    return "mia", view


def approving(action: str, callback: str) -> Callable[[Proving], Awaitable[tuple[str, View]]]:
    """Dan presses it on the card of Mia's request."""

    async def press(town: Proving) -> tuple[str, View]:
        await town.dan.click(await town.requested(), action)
        return "dan", await town.dan.sees_view(callback)

    return press


async def granted(town: Proving) -> str:
    """Mia has access; the request's id."""
    card = await town.requested()
    assert not (await town.approved(card)).errors
    await town.card(town.id_of(card), "active until")
    return town.id_of(card)


async def extending(town: Proving) -> tuple[str, View]:
    await town.mia.command("/jit", f"show {await granted(town)}", CHANNEL)
    await town.mia.click(await town.mia.sees_ephemeral(lambda m: "extend" in m.buttons()), "extend")
    view = await town.mia.sees_view("extend")
    town.mia.fill(view, {"reason": "it takes longer"})
    return "mia", view


async def extending_by_line(town: Proving) -> tuple[str, View]:
    id_ = await granted(town)
    assert (await town.mia.command("/jit", f"extend {id_} 30m -- it takes longer", CHANNEL)).text == ""
    return "mia", await town.mia.sees_view("extend")


async def approving_an_extension(town: Proving) -> tuple[str, View]:
    _, view = await extending(town)
    assert not (await town.mia.submit(view, {"code": await town.code("mia")})).errors
    [request] = await requests(town)
    await town.dan.click(await town.card(request.id, "asks to extend"), "extend_approve")
    return "dan", await town.dan.sees_view("extend_approve_code")


async def revealing(town: Proving) -> tuple[str, View]:
    await granted(town)
    await town.mia.click(await town.mia.sees_dm(lambda m: "reveal" in m.buttons()), "reveal")
    return "mia", await town.mia.sees_view("reveal_code")


async def breaking_the_glass_of_a_request(town: Proving) -> tuple[str, View]:
    await town.requested()
    await town.mia.opens_home()
    home = await town.mia.sees_home(lambda v: "break_glass" in v.buttons())
    await town.mia.click(home, "break_glass")
    return "mia", await town.mia.sees_view("break_glass")


async def accepting(town: Proving) -> tuple[str, View]:
    await town.pat.command("/jit", "request debug 30m for <@UMIA|mia> -- INC-1 why", CHANNEL)
    view = await town.pat.sees_view("ask")
    assert not (await town.pat.submit(view, {"code": await town.code("pat")})).errors
    dm = await town.mia.sees_dm(lambda m: "accept" in m.buttons())
    await town.mia.click(dm, "accept")
    return "mia", await town.mia.sees_view("accept_code")


PROVED = {
    "command:request": Case(line(LINE, "ask"), requested),
    "command:extend": Case(extending_by_line, extension_requested),
    "command:break-glass": Case(line(GLASS_LINE, "break_glass_new"), taken),
    "event:app_mention": Case(by_mention, requested),
    "event:message": Case(by_direct_message, requested),
    "action:open_form": Case(by_direct_message, requested),
    "view:ask": Case(with_the_form, requested),
    "action:approve": Case(approving("approve", "approve_code"), approved),
    "view:approve_code": Case(approving("approve", "approve_code"), approved),
    "view:approve_less": Case(approving("approve_less", "approve_less"), approved),
    "view:extend": Case(extending, extension_requested),
    "action:extend_approve": Case(approving_an_extension, extension_approved),
    "view:extend_approve_code": Case(approving_an_extension, extension_approved),
    "action:accept": Case(accepting, accepted),
    "view:accept_code": Case(accepting, accepted),
    "action:reveal": Case(revealing, shown),
    "view:reveal_code": Case(revealing, shown),
    "view:break_glass": Case(breaking_the_glass_of_a_request, taken),
    "view:break_glass_new": Case(line(GLASS_LINE, "break_glass_new"), taken),
}


# the tables


def test_every_door_is_in_one_table_and_no_table_names_one_that_there_is_not() -> None:
    tables = (PROVED, OPENS, EXEMPT)
    named = [door for table in tables for door in table]
    assert doors() - set(named) == set(), "say whether it gives access: it needs a proof, or a reason why not"
    assert set(named) - doors() == set()
    assert len(named) == len(set(named))


def test_a_door_that_only_opens_a_form_opens_one_that_asks() -> None:
    assert set(OPENS.values()) <= set(PROVED)


def test_the_reading_of_the_listeners_sees_a_new_one() -> None:
    listeners = Listeners()
    listeners.view("new")(print)
    listeners.global_shortcut("there")(print)
    assert listeners.doors == {"view:new", "shortcut:there"}


# the doors, driven


@pytest.fixture
async def town(slack: LocalSlack, redis: RedisServer, tmp_path: Path) -> AsyncIterator[Proving]:
    """A workspace where everything takes a code, and Pat may request for others."""
    text = POLICY.replace("may_ask: [everyone]", "may_ask: [everyone]\n        may_ask_for: [platform]")
    async with running(settings_for(slack, redis, "http", tmp_path, text)) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        town = Proving(slack, app)
        await enrol(town, "mia", "dan", "pat")
        yield town


async def submit(town: Proving, name: str, view: View, code: str | None) -> Any:
    """Submit the form as a client would that fills in, or leaves out, whatever it likes."""
    human = getattr(town, name)
    payload = copy.deepcopy(human.submission(view))
    payload["view"]["state"]["values"].pop(action_ids.CODE, None)
    if code is not None:
        state = {action_ids.CODE: {"type": "plain_text_input", "value": code}}
        payload["view"]["state"]["values"][action_ids.CODE] = state
    return await human.deliver_submission(view, payload)


@pytest.mark.parametrize("door", PROVED)
async def test_a_door_gives_nothing_without_a_code_and_what_was_asked_for_with_one(town: Proving, door: str) -> None:
    case = PROVED[door]
    name, view = await case.press(town)
    assert not await case.given(town)
    assert action_ids.CODE in str(view.body)
    wrong = await town.wrong(name)
    for code in (None, "", wrong, "\0" * 5000):
        reply = await submit(town, name, view, code)
        assert set(reply.errors) == {action_ids.CODE}, code
        assert not await case.given(town)
    reply = await submit(town, name, view, await town.code(name))
    assert not reply.errors

    async def given() -> bool:
        return await case.given(town)

    await until(given, f"what {door} gives")
