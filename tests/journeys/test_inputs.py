"""A role that asks for inputs: in the form, on the line, to the approver, and in the system; nothing typed is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.core import ssh_keys
from bot.core.given_inputs import spelled
from bot.playground import LocalSlack
from providers.systems.sandbox import Sandbox, SandboxConfig
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Mode, Town, running, settings_for
from tests.journeys.test_lines import filled, form
from tests.servers import RedisServer

ROOM = """grants: {door: {ask: room}, shared: true}
        asks: {room: {title: Which room, choice: [hall, attic]}}"""
TICKET = """grants: {door: {ask: door}}
        asks: {door: {pattern: "[a-z]+--?[0-9]+", example: gate-7}}"""
KEY = """
      preset:
        grants: {door: {ask: room}, shared: true}
        asks: {room: {title: Which room, choice: [hall, attic], default: attic}}
        max: 8h
        may_ask: [everyone]
      keyed:
        grants: {door: {ask: public_key}, shared: true}
        asks: {public_key: {ssh_public_key: true}}
        max: 8h
        may_ask: [everyone]
      read-only:"""
ASKING = (
    POLICY.replace("grants: {door: hall, shared: true}", ROOM)
    .replace("grants: {door: safe}", TICKET)
    .replace("\n      read-only:", KEY, 1)
    .replace("roles: [vault/read-only, vault/shared]", "roles: [vault/shared, vault/read-only]")
)


@pytest.fixture(params=["http", "socket"])
async def town(
    request: pytest.FixtureRequest, slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> AsyncIterator[Town]:
    """The bot, with roles that ask."""
    mode: Mode = request.param
    policy = ASKING.replace("provider: sandbox", f'provider: sandbox\n    config: {{path: "{tmp_path / "doors"}"}}')
    async with running(settings_for(slack, redis, mode, tmp_path, policy)) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        yield Town(slack, app)


async def test_roles_that_cannot_be_combined_are_not_offered_and_a_line_is_kept(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> None:
    other = ROOM.replace("[hall, attic]", "[vault, cellar]").replace("shared: true", "secret: true")
    policy = ASKING.replace("grants: {door: vault, secret: true}", other).replace(
        "roles: [vault/shared, vault/read-only]", "roles: [vault/shared]"
    )
    async with running(settings_for(slack, redis, "http", tmp_path, policy)) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        town = Town(slack, app)
        view = await form(town, "request vault/shared + vault/read-only room=attic 30m -- INC-1 why")
        said = "These roles cannot be one request: both ask for `room`, with other values. Request them one after the"
        assert said in view.said()
        assert filled(view) | {"choice": "vault/shared", "reason": "INC-1 why", "duration": "1800"} == filled(view)
        another = next(b for b in view.body["blocks"] if b["block_id"].startswith("add_role"))
        groups = another["element"]["option_groups"]
        offered = {option["value"] for group in groups for option in group["options"]}
        assert "vault/keyed" in offered
        assert "vault/read-only" not in offered


def blocks(view: object, name: str) -> str:
    """The id of an input's block."""
    body = view.body  # type: ignore[attr-defined]  # a view of the playground
    return next(str(b["block_id"]) for b in body["blocks"] if str(b["block_id"]).startswith(f"input:{name}:"))


@pytest.mark.parametrize(
    "line",
    [
        "request vault/shared room=attic 30m -- INC-1 why",
        "request 30m room=Attic, vault/shared -- INC-1 why",
        "room=“attic” vault/shared 30m because INC-1 why",
        "vault shared 30m ROOM=attic -- INC-1 why",
    ],
)
async def test_a_line_gives_an_input_and_what_was_chosen_is_granted(town: Town, tmp_path: Path, line: str) -> None:
    reply = await town.mia.command("/jit", line, CHANNEL)
    assert "You requested Vault: shared (room=attic) for 30 min" in reply.text
    id_ = reply.text.split("(J-")[1][:4]
    card = await town.card(f"J-{id_}")
    assert "*Which room*: attic" in card.said()
    await town.dan.click(card, "approve")
    await town.mia.sees_dm(lambda m: "You have access until" in m.said() and "room=attic" in m.said())
    sandbox = Sandbox(SandboxConfig(path=str(tmp_path / "doors")))
    assert sandbox.is_open("attic", "mia@example.com")
    assert not sandbox.is_open("hall", "mia@example.com")


@pytest.mark.parametrize(
    ("line", "said", "known"),
    [
        ("vault/shared 30m -- INC-1", "", {"choice": "vault/shared", "input": None, "reason": "INC-1"}),
        (
            "vault/shared room=cellar 30m -- INC-1",
            'Which room has no choice "cellar". Choose hall or attic.',
            {"choice": "vault/shared", "input": None, "duration": "1800", "reason": "INC-1"},
        ),
        (
            "vault/shared rom=hall 30m -- INC-1",
            'I don\'t understand "rom=hall". Write `room=…`, each once.',
            {"choice": "vault/shared", "input": None, "reason": "INC-1"},
        ),
        (
            "vault/shared room=hall room=attic 30m -- INC-1",
            'I don\'t understand "room=attic".',
            {"choice": "vault/shared", "input": "hall", "reason": "INC-1"},
        ),
        (
            "vault/shared room=hall room=attic 30m INC-1 why",
            'I don\'t understand "room=attic".',
            {"choice": "vault/shared", "input": "hall"},
        ),
        (
            "vault/read-only room=hall 30m -- INC-1",
            "`vault/read-only` does not ask for `room`.",
            {"choice": "vault/read-only", "reason": "INC-1", "duration": "1800"},
        ),
        (
            "vault/shared 30m room=hall—INC-1 why",
            'Which room has no choice "hall—INC-1". Choose hall or attic.',
            {"choice": "vault/shared", "input": None, "reason": "why", "duration": "1800"},
        ),
        ("room=hall 30m -- INC-1", "", {"choice": None, "input": "hall", "reason": "INC-1"}),
        ("vault room=attic 30m -- INC-1", "Which one do you need?", {"choice": None, "input": "attic"}),
    ],
)
async def test_what_is_missing_or_will_not_do_is_asked_back_and_the_rest_is_kept(
    town: Town, line: str, said: str, known: dict[str, str | None]
) -> None:
    view = await form(town, f"request {line}")
    assert said in view.said()
    assert filled(view) | known == filled(view)


async def test_a_dash_within_a_value_belongs_to_it_and_is_confirmed_where_it_may_begin_the_reason(town: Town) -> None:
    reply = await town.dan.command("/jit", "request vault/admin 30m door=gate--7 -- INC-1 why", CHANNEL)
    assert "(door=gate--7) for 30 min" in reply.text
    card = await town.slack.sees(CHANNEL, lambda m: "*Door*: gate--7" in m.said())
    assert "INC-1 why" in card.said()
    assert "7 -- INC-1" not in card.said()
    view = await form(town, "request vault/admin 30m door=gate--8 INC-2", "dan")
    assert "Please check that this is what you meant." in view.said()
    assert filled(view) | {"input": "gate--8", "reason": "INC-2"} == filled(view)


async def test_a_default_does_not_win_over_a_value_that_was_typed_in_the_reason(town: Town) -> None:
    view = await form(town, "request vault/preset 30m -- INC-1 broken room=hall")
    assert "Please check that this is what you meant." in view.said()
    known = {"choice": "vault/preset", "duration": "1800", "reason": "INC-1 broken room=hall"}
    assert filled(view) | known == filled(view)
    reply = await town.dan.command("/jit", "request vault/read-only 30m -- INC-1 broken room=hall", CHANNEL)
    assert "You requested" in reply.text


async def test_the_form_asks_once_it_is_chosen_and_an_error_is_at_its_field(town: Town) -> None:
    view = await form(town, "request", "dan")
    assert "room" not in str(view.body)
    await town.dan.choose(view, "choice", "vault/admin")
    view = await town.dan.sees_view("ask", lambda v: "input:door" in str(v.body))
    assert "opens the sandbox door &lt;door&gt;" in view.said()
    door, duration = blocks(view, "door"), "duration:vault/admin"
    reply = await town.dan.submit(view, {door: "gate 7; x", duration: "1800", "reason": "INC-1 why"})
    assert reply.errors == {door: 'Door "gate 7; x" does not have the required form. Expected: like gate-7.'}
    reply = await town.dan.submit(view, {door: "gate-7", duration: "1800", "reason": "INC-1 why"})
    assert not reply.errors
    card = await town.slack.sees(CHANNEL, lambda m: "*Door*: gate-7" in m.said())
    assert "Opens the sandbox door gate-7" in card.said()


async def test_what_was_typed_before_anything_was_chosen_is_still_there_after_it(town: Town) -> None:
    view = await form(town, "request room=attic 30m -- INC-1")
    await town.mia.choose(view, "choice", "both")
    view = await town.mia.sees_view("ask", lambda v: "duration:both" in str(v.body))
    assert filled(view)["input"] == "attic"
    reply = await town.mia.submit(view)
    assert not reply.errors
    card = await town.slack.sees(CHANNEL, lambda m: "*Which room*: attic" in m.said())
    assert "opens the sandbox door attic" in card.said()


async def test_a_key_is_given_in_one_line_and_shown_by_its_fingerprint(town: Town) -> None:
    line = f"request vault/keyed public_key={ssh_keys.EXAMPLE} 30m -- INC-1 why"
    reply = await town.mia.command("/jit", line, CHANNEL)
    assert "(public_key=ssh-ed25519 SHA256:" in reply.text
    card = await town.slack.sees(CHANNEL, lambda m: "*Public key*" in m.said())
    assert ssh_keys.fingerprint(ssh_keys.EXAMPLE) in card.said()


async def test_a_private_key_is_refused_at_its_field(town: Town) -> None:
    view = await form(town, "request vault/keyed 30m -- INC-1")
    key = blocks(view, "public_key")
    reply = await town.mia.submit(view, {key: "-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaC1rZXk"})
    assert reply.errors[key].startswith("Public key cannot be used: this is a private key: keep it secret")
    assert "b3Blbn" not in str(reply.errors)


async def test_a_message_gives_an_input_too_and_opens_the_form_where_it_is_missing(town: Town) -> None:
    assert (await town.mia.writes_to_app("I need vault/shared for 30m, room=attic, because INC-1 why")).ok
    await town.mia.sees_ephemeral(lambda m: "You requested *Vault: shared (room=attic)* for 30 min" in m.said())
    assert (await town.sam.writes_to_app("vault/shared 30m room=cellar because INC-1 why")).ok
    needs = await town.sam.sees_ephemeral(lambda m: "This needs a form" in m.said())
    await town.sam.click(needs, "open_form")
    view = await town.sam.sees_view("ask", lambda v: 'Which room has no choice "cellar".' in v.said())
    assert filled(view)["reason"] == "INC-1 why"


async def test_requesting_again_fills_in_what_was_given(town: Town) -> None:
    await town.asked(line="request vault/shared room=attic 30m -- INC-1 why")
    await town.mia.opens_home()
    home = await town.mia.sees_home(lambda v: "room=attic" in v.said())
    await town.mia.click(home, "again")
    view = await town.mia.sees_view("ask")
    assert (filled(view)["choice"], filled(view)["input"]) == ("vault/shared", "attic")


async def test_lists_explain_and_the_audit_log_say_it(town: Town) -> None:
    card = await town.asked(line="request vault/shared room=attic 30m -- INC-1 why")
    id_ = town.id_of(card)
    mine = await town.mia.command("/jit", "list", CHANNEL)
    assert "Vault: shared (room=attic) for 30 min" in mine.text
    await town.mia.command("/jit", "explain vault/shared", CHANNEL)
    explained = town.mia.ephemerals[-1].said()
    assert "Which room (`room=…`): hall or attic" in explained
    assert "`/jit request vault/shared room=hall 30m -- why`" in explained
    shown = await town.mia.command("/jit", f"show {id_}", CHANNEL)
    assert "*Which room*: attic" in str(shown.body)
    found = await town.app.store.load(id_)
    assert found
    assert spelled(found.request) == "room=attic"
