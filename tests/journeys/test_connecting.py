"""How to connect: told to who asked once it is open, in their letter and in what they look up, and to nobody else."""

from __future__ import annotations

import json
import re

from bot.playground import LocalSlack
from tests.journeys.conftest import CHANNEL, Town
from tests.journeys.test_everyday import types


async def test_once_it_is_open_the_asker_reads_how_to_connect_and_nobody_else_does(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    way = f"```knock at vault as jit-{id_.lower()}-0```"
    assert way not in await types(town.mia, f"show {id_}")
    await town.dan.click(card, "approve")
    letter = await town.mia.sees_dm(lambda m: "You have access until" in m.said())
    assert f"Connect:\n{way}" in letter.said()
    assert "*Show password* creates a new password that only you see" in letter.said()
    assert "knock" not in letter.text, "a lock screen shows no more than it has to"
    assert way in await types(town.mia, f"show {id_}")
    assert way not in await types(town.dan, f"show {id_}")
    await town.card(id_, "active until")
    await town.mia.click(letter, "release")
    await town.mia.sees_dm(lambda m: "You ended it early" in m.said() and "Connect" not in m.said())
    assert way not in "".join(message.said() for message in town.slack.messages(CHANNEL))


async def test_access_without_a_password_of_its_own_promises_none(town: Town) -> None:
    card = await town.asked(line="request vault/shared 30m -- to look at the hall")
    await town.dan.click(card, "approve")
    letter = await town.mia.sees_dm(lambda m: "You have access until" in m.said())
    assert "```knock at hall as mia@example.com```" in letter.said()
    assert "password" not in letter.said()


async def test_of_several_roles_each_has_its_way(town: Town) -> None:
    card = await town.asked(line="request both 30m -- INC-1 the vault is stuck")
    await town.dan.click(card, "approve")
    await town.eve.click(card, "approve")
    letter = await town.mia.sees_dm(lambda m: "You have access until" in m.said())
    for title, door in (("Vault: read-only", "vault"), ("Vault: shared", "hall")):
        assert re.search(rf"\*{title}\*\n```knock at {door} as [^`]+```", letter.said())


async def test_the_password_is_in_no_message_and_no_record(town: Town) -> None:
    card = await town.asked()
    await town.dan.click(card, "approve")
    letter = await town.mia.sees_dm(lambda m: "You have access until" in m.said())
    await town.mia.click(letter, "reveal")
    modal = await town.mia.sees_view("note", lambda v: "Password" in v.said())
    password = re.findall(r"Password\n```(.+?)```", modal.said())[0]
    assert "knock at vault as" in modal.said()
    assert password not in _posted(town.slack)
    assert password not in (await town.app.context.find_by_id(town.id_of(card))).request.model_dump_json()


def _posted(slack: LocalSlack) -> str:
    return "".join(json.dumps(call.args, default=str) for call in slack.calls if call.method.startswith("chat."))
