"""A later end: wished for in a line or a form, decided on the card, and told to those concerned."""

from __future__ import annotations

from bot.playground import Message
from tests.journeys.conftest import CHANNEL, Town


async def opened(town: Town) -> tuple[str, Message]:
    """Mia has the vault open."""
    card = await town.asked()
    await town.dan.click(card, "approve")
    return town.id_of(card), await town.card(town.id_of(card), "open until")


async def test_wished_for_in_a_line_and_approved_on_the_card(town: Town) -> None:
    id_, _ = await opened(town)
    reply = await town.mia.command("/jit", "extend 1h -- INC-1 still burns", CHANNEL)
    assert f"Asked for {id_} until" in reply.text
    card = await town.card(id_, "A later end")
    assert "<!subteam^S0DBA0001>" in card.said()
    assert "INC-1 still burns" in card.said()
    await town.mia.sees_dm(lambda m: "closes by itself" in m.said() and "A later end" in m.said())

    refused = await town.mia.click(card, "extend_approve")
    assert refused.status == 200
    await town.mia.sees_told(lambda m: "nobody decides about their own request" in m.said())
    await town.dan.click(card, "extend_approve")
    await town.card(id_, "Its end was moved; Dan approved")
    await town.slack.sees(CHANNEL, lambda m: "It has a later end now" in m.text, thread=card.ts)
    await town.eve.click(card, "extend_approve")
    await town.eve.sees_told(lambda m: "cannot be done any more" in m.said())
    await town.mia.sees_dm(lambda m: "Its end was moved; Dan approved" in m.said())
    assert len(town.mia.dms) == 3


async def test_wished_for_in_a_form_and_denied_with_a_reason(town: Town) -> None:
    id_, _ = await opened(town)
    await town.mia.command("/jit", f"extend {id_.lower()}", CHANNEL)
    form = await town.mia.sees_view("extend", lambda v: "How much longer?" in v.said())
    assert id_ in form.said()
    sent = await town.mia.submit(form, {"duration": "3600", "reason": "INC-1 still burns"})
    assert sent.errors == {}
    card = await town.card(id_, "A later end")
    await town.dan.click(card, "extend_deny")
    why = await town.dan.sees_view("extend_deny")
    await town.dan.submit(why, {"reason": "not tonight"})
    await town.card(id_, "said no to a later end: not tonight")
    again = await town.mia.sees_dm(lambda m: "said no to a later end: not tonight" in m.said())
    assert "extend" in again.buttons()
    assert "release" in again.buttons()


async def test_beyond_the_cap_there_is_none(town: Town) -> None:
    await opened(town)
    reply = await town.mia.command("/jit", "extend 8h -- INC-1 still burns", CHANNEL)
    assert "its role allows" in reply.text
    assert "/jit extend" in (await town.mia.command("/jit", "extnd", CHANNEL)).text
