"""Someone asks, someone decides, a door opens and closes, and those concerned are told."""

from __future__ import annotations

from bot.playground import Message
from tests.journeys.conftest import Town


def says(text: str) -> object:
    """A message that says so."""
    return lambda message: text in message.said()


async def test_asked_in_one_line_approved_opened_given_back(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    assert "Mia requests Debug the vault for 30 min: INC-1 the vault is stuck" in card.text
    assert "<!subteam^S0DBA0001>" in card.said()
    assert town.mia.dms == [], "what somebody did themself rings nobody"

    assert (await town.dan.click(card, "approve")).status == 200
    active = await town.card(id_, "active until")
    assert set(active.buttons()) == {"revoke"}
    decided = await town.mia.sees_dm(lambda m: "You have access until" in m.said())
    assert f"<https://local.slack.com/archives/C0VAULT01/p{card.ts.replace('.', '')}|Open the card>" in decided.said()

    assert (await town.mia.click(decided, "reveal")).status == 200
    secret = await town.mia.sees_view("note", lambda v: "Password" in v.said())
    assert "jit-" in secret.said()

    assert (await town.mia.click(decided, "release")).status == 200
    closed = await town.card(id_, ":lock: ended")
    assert closed.buttons() == {}
    await town.mia.sees_dm(lambda m: "has ended" in m.said() and "You ended it early" in m.said())
    await town.slack.sees("C0VAULT01", lambda m: "verified in the system" in m.text, thread=card.ts)
    thread = [m.text for m in town.slack.messages("C0VAULT01", card.ts)]
    assert [" ".join(line.split()[:2]) for line in thread] == [
        "Dan approved",
        "Access granted.",
        "Mia ended",
        "Access removed,",
    ]
    posted: list[Message] = town.mia.dms
    assert len(posted) == 1
