"""A form that is open while the policy changes: it is drawn again as the role asks now, and nothing is requested."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.playground import LocalSlack, View
from tests.journeys.conftest import CHANNEL, Town, running, settings_for
from tests.journeys.test_inputs import ASKING, ROOM, blocks
from tests.journeys.test_lines import filled, form
from tests.journeys.test_processes import until
from tests.journeys.test_reload import generation
from tests.servers import RedisServer

CHANGED = "The policy changed while this form was open, so nothing was requested."


class Reloaded(Town):
    """The bot, and the file of its policy."""

    file: Path

    async def reload(self, *changes: tuple[str, str]) -> None:
        """Have other texts in the policy, and in force."""
        text = self.file.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        self.file.write_text(text, encoding="utf-8")
        wanted = generation(self.file)
        assert wanted
        self.app.rereading.set()

        async def loaded() -> bool:
            return self.app.catalog.policy_hash == wanted

        await until(loaded, "the policy to be in force")

    async def nothing_requested(self) -> None:
        """Nobody has an open request."""
        assert await self.app.store.open_at_all() == []


@pytest.fixture
async def town(slack: LocalSlack, redis: RedisServer, tmp_path: Path) -> AsyncIterator[Reloaded]:
    settings = settings_for(slack, redis, "http", tmp_path, ASKING)
    async with running(settings) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        town = Reloaded(slack, app)
        town.file = settings.policy
        yield town


async def opened(town: Town, line: str) -> View:
    """The form that a line without a duration opens."""
    return await form(town, f"request {line} -- INC-1 why")


@pytest.mark.parametrize("default", ["", ", default: attic"])
async def test_an_input_that_was_added_is_asked_for_in_the_form_and_all_else_is_kept(
    town: Reloaded, default: str
) -> None:
    view = await opened(town, "vault/read-only")
    asks = ROOM.replace("shared: true", "secret: true").replace("attic]", f"attic]{default}")
    await town.reload(("grants: {door: vault, secret: true}", asks))
    reply = await town.mia.submit(view, {"duration:vault/read-only": "3600", "reason": "INC-2 other"})
    assert not reply.errors
    await town.nothing_requested()
    view = await town.mia.sees_view("ask", lambda v: "input:room" in str(v.body))
    assert f"{CHANGED} It now asks for Which room. Please check and request again." in view.said()
    assert view.said().index(CHANGED) < view.said().index("What do you need?")
    known = {"choice": "vault/read-only", "duration": "3600", "reason": "INC-2 other"}
    assert filled(view) | known == filled(view)
    reply = await town.mia.submit(view, {blocks(view, "room"): "hall"})
    assert not reply.errors
    card = await town.slack.sees(CHANNEL, lambda m: "*Which room*: hall" in m.said())
    assert "INC-2 other" in card.said()


async def test_an_input_that_was_removed_leaves_the_form(town: Reloaded) -> None:
    view = await opened(town, "vault/shared room=attic")
    await town.reload((ROOM, "grants: {door: hall, shared: true}"))
    reply = await town.mia.submit(view, {"duration:vault/shared": "1800"})
    assert not reply.errors
    await town.nothing_requested()
    view = await town.mia.sees_view("ask", lambda v: CHANGED in v.said())
    assert "It no longer asks for `room`." in view.said()
    assert "input:room" not in str(view.body)
    assert not (await town.mia.submit(view)).errors
    await town.slack.sees(CHANNEL, lambda m: "Vault: shared" in m.said())


async def test_a_value_that_cannot_be_chosen_any_more_is_asked_for_again(town: Reloaded) -> None:
    view = await opened(town, "vault/shared room=attic")
    await town.reload(("choice: [hall, attic]}", "choice: [hall, x]}"))
    before = blocks(view, "room")
    await town.mia.submit(view, {"duration:vault/shared": "1800"})
    await town.nothing_requested()
    again = await town.mia.sees_view("ask", lambda v: CHANGED in v.said())
    assert "Which room takes other values now." in again.said()
    assert filled(again)["input"] is None
    assert blocks(again, "room") != before, "Slack keeps what was selected in a block of the same id"
    assert not (await town.mia.submit(again, {blocks(again, "room"): "x"})).errors
    await town.slack.sees(CHANNEL, lambda m: "*Which room*: x" in m.said())


async def test_a_text_that_does_not_fit_the_pattern_of_today_is_an_error_at_its_field(town: Reloaded) -> None:
    view = await form(town, "request vault/admin door=gate-7 -- INC-1 why", "dan")
    await town.reload(('pattern: "[a-z]+--?[0-9]+", example: gate-7', 'pattern: "[a-z]+", example: gate'))
    reply = await town.dan.submit(view, {"duration:vault/admin": "1800"})
    said = 'Door "gate-7" does not have the required form. Expected: like gate.'
    assert reply.errors == {blocks(view, "door"): said}
    await town.nothing_requested()


async def test_a_value_that_is_still_taken_is_requested_though_others_went(town: Reloaded) -> None:
    view = await opened(town, "vault/shared room=attic")
    await town.reload(("choice: [hall, attic]}", "choice: [x, attic]}"))
    assert not (await town.mia.submit(view, {"duration:vault/shared": "1800"})).errors
    await town.slack.sees(CHANNEL, lambda m: "*Which room*: attic" in m.said())


async def test_a_role_that_is_gone_is_said_at_what_was_chosen_and_the_form_is_kept(town: Reloaded) -> None:
    view = await opened(town, "vault/shared room=attic")
    await town.reload(("\n      shared:", "\n      common:"), ("vault/shared", "vault/common"))
    reply = await town.mia.submit(view, {"duration:vault/shared": "1800"})
    said = "There is no template or role vault/shared that you may request."
    assert reply.errors["choice"].startswith(said)
    await town.nothing_requested()


async def test_a_role_that_one_may_no_longer_request_is_not_shown_with_its_new_inputs(town: Reloaded) -> None:
    view = await opened(town, "vault/read-only")
    room = ROOM.replace("shared: true", "secret: true")
    asks = f"{room}\n        max: 8h\n        may_ask: [dba]\n        sensitivity: low"
    text = "grants: {door: vault, secret: true}\n        sensitivity: low\n        max: 8h\n        may_ask: [everyone]"
    await town.reload((text, asks))
    reply = await town.mia.submit(view, {"duration:vault/read-only": "1800"})
    assert "choice" in reply.errors
    await town.nothing_requested()
