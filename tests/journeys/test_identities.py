"""Whoever has an address that only looks like an approver's is nobody, and is told what to do."""

from __future__ import annotations

import pytest

from bot.core.request import State
from tests.core.test_identity import ALIKE
from tests.journeys.conftest import CHANNEL, Town
from tests.journeys.test_everyday import types


@pytest.mark.parametrize("how", ["long s", "fullwidth", "Cyrillic a"])
async def test_who_looks_like_an_approver_neither_decides_nor_takes_away(town: Town, how: str) -> None:
    town.slack.add_person("USPOOF", "Sam", ALIKE[how])
    town.slack.world.channels[CHANNEL].members.add("USPOOF")
    card = await town.asked("eve", "request vault/admin 30m -- INC-1 the safe")
    id_ = town.id_of(card)
    await town.dan.click(card, "approve")
    card = await town.card(id_, "Dan")
    await town.spoof.click(card, "approve")
    assert "change it to an ASCII address" in town.spoof.ephemerals[-1].said()
    assert "change it to an ASCII address" in await types(town.spoof, "list")
    assert (await town.app.context.get(id_)).request.state is State.PENDING
    assert "Who is" in await types(town.pat, f"revoke {ALIKE[how]} now")
    await town.sam.click(card, "approve")
    await town.card(id_, "active until")


async def test_the_card_mentions_nobody_whose_address_slack_takes_for_an_approvers(town: Town) -> None:
    town.slack.world.people["USAM"].email = "\u017fam@example.com"  # which Slack finds by sam@example.com
    card = await town.asked("eve", "request vault/admin 30m -- INC-1 the safe")
    assert "<@USAM>" not in card.said()
    assert "sam@example.com" in card.said()
