"""An approver asks, the requester answers, and everybody who decides reads both where the request is."""

from __future__ import annotations

from bot.playground import Message
from tests.journeys.conftest import CHANNEL, Town


def thread(town: Town, card: Message) -> list[str]:
    return [message.text for message in town.slack.messages(CHANNEL, card.ts)]


async def question(town: Town, card: Message, text: str = "Which table?") -> Message:
    """Dan asks; Mia's message about it."""
    assert (await town.dan.click(card, "question")).status == 200
    form = await town.dan.sees_view("question")
    assert (await town.dan.submit(form, {"reason": text})).errors == {}
    return await town.mia.sees_dm(lambda m: text[:4] in m.said() and "answer" in m.buttons())


async def test_a_question_reaches_the_requester_and_its_answer_the_card(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    letter = await question(town, card)
    assert "Dan asks about your request *Debug the vault*" in letter.said()
    assert letter.text == "Dan asks: Which table?"
    assert f"/archives/{CHANNEL}/p{card.ts.replace('.', '')}|Open the card>" in letter.said()
    told = await town.dan.sees_view("note")
    assert f"Mia gets your question about *Debug the vault* ({id_}) as a direct message." in told.said()
    await town.card(id_, "Mia has not answered yet")
    await town.mia.command("/jit", f"show {id_}", CHANNEL)
    assert set(town.mia.ephemerals[-1].buttons()) == {"answer", "cancel"}

    await town.mia.click(letter, "answer")
    form = await town.mia.sees_view("answer", lambda v: "Dan asks: Which table?" in v.said())
    assert (await town.mia.submit(form, {"reason": "only orders"})).errors == {}
    shown = await town.card(id_, "Mia answered: only orders")
    assert "Dan asked: Which table?" in shown.said()
    await town.slack.sees(CHANNEL, lambda m: "only orders" in m.text, thread=card.ts)
    edited = await town.mia.sees_dm(lambda m: "You answered Dan: only orders" in m.said())
    assert edited.ts == letter.ts, "an answer rings nobody who gave it"
    assert edited.buttons() == {}
    lines = thread(town, card)
    assert sum("<@UMIA>" in line for line in lines) == 1
    assert [line for line in lines if "<@UDAN>" in line] == ["Mia answers <@UDAN>: only orders"]

    await town.dan.click(shown, "approve")
    await town.card(id_, "active until")


async def test_each_direct_message_about_a_request_leads_to_its_card(town: Town) -> None:
    card = await town.asked()
    link = f"/archives/{CHANNEL}/p{card.ts.replace('.', '')}|Open the card>"
    await town.dan.click(card, "approve")
    await town.mia.sees_dm(lambda m: "You have access until" in m.said() and link in m.said())


async def test_what_is_asked_is_only_text(town: Town) -> None:
    card = await town.asked()
    letter = await question(town, card, "Now? <!channel> *now* & `here`")
    assert "<!channel>" not in letter.said()
    shown = await town.card(town.id_of(card), "asked: Now?")
    assert "<!channel>" not in shown.said()
    assert not any("<!channel>" in line for line in thread(town, card))


async def test_a_question_is_asked_from_the_home_tab_too(town: Town) -> None:
    id_ = town.id_of(await town.asked())
    await town.dan.opens_home()
    await town.dan.click(await town.dan.sees_home(), "question", value=id_)
    await town.dan.submit(await town.dan.sees_view("question"), {"reason": "Which table?"})
    await town.mia.sees_dm(lambda m: "Which table?" in m.said())


async def test_who_may_not_decide_may_not_ask_and_nobody_answers_for_another(town: Town) -> None:
    card = await town.asked()
    letter = await question(town, card)
    await town.mia.click(card, "question")
    await town.mia.sees_ephemeral(lambda m: "You can't approve your own request." in m.text)
    await town.kim.click(card, "question")
    await town.kim.sees_ephemeral(lambda m: "Only `dba` can approve this." in m.text)
    payload = town.mia.click_payload(letter, letter.buttons()["answer"])
    forged = {**payload, "user": {**payload["user"], "id": "UEVE"}}
    await town.slack.delivery.interactive(forged)
    assert (await town.app.context.get(town.id_of(card))).request.questions[0].answer == ""


async def test_a_press_that_comes_after_the_decision_is_told_so(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    letter = await question(town, card)
    await town.mia.click(letter, "answer")
    form = await town.mia.sees_view("answer")
    await town.eve.click(card, "approve")
    await town.card(id_, "active until")
    answer = await town.mia.submit(form, {"reason": "only orders"})
    assert "is already approved (by Eve)" in answer.errors["reason"]
    edited = await town.mia.sees_dm(lambda m: "No answer is needed any more" in m.said())
    assert edited.ts == letter.ts
    assert edited.buttons() == {}


async def test_a_submission_that_is_delivered_twice_asks_once(town: Town) -> None:
    card = await town.asked()
    await town.dan.click(card, "question")
    form = await town.dan.sees_view("question")
    town.dan.fill(form, {"reason": "Which table?"})
    payload = town.dan.submission(form)
    await town.dan.deliver_submission(form, payload)
    await town.dan.deliver_submission(form, payload)
    await town.mia.sees_dm(lambda m: "Which table?" in m.said())
    assert len((await town.app.context.get(town.id_of(card))).request.questions) == 1
