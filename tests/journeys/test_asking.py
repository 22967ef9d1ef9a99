"""An approver asks, the requester answers, and everybody who decides reads both where the request is."""

from __future__ import annotations

from bot.playground import Message, View
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
    assert (await town.app.context.find_by_id(town.id_of(card))).request.questions[0].answer == ""


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
    assert len((await town.app.context.find_by_id(town.id_of(card))).request.questions) == 1


BETTER = "INC-2 the disk of orders is full"


async def answering(town: Town, letter: Message) -> View:
    """Mia opens the form of her answer."""
    await town.mia.click(letter, "answer")
    return await town.mia.sees_view("answer")


async def test_with_the_answer_comes_a_better_reason_and_a_shorter_time(town: Town) -> None:
    card = await town.asked(line="request debug 1h -- INC-1 the vault is stuck")
    id_ = town.id_of(card)
    form = await answering(town, await question(town, card))
    assert "INC-1 the vault is stuck" in form.said()
    offered = next(block for block in form.body["blocks"] if block.get("block_id") == "duration")["element"]
    assert [option["value"] for option in offered["options"]] == ["900", "1800", "3600"], "nothing longer"
    assert offered["initial_option"]["value"] == "3600"
    assert (await town.mia.submit(form, {"new_reason": BETTER, "duration": "1800"})).errors == {}
    shown = await town.card(id_, f"> {BETTER}\n_changed after a question_")
    assert "*Debug the vault* · 30 min" in shown.said()
    assert "Mia changed the reason and the time from 1 h to 30 min" in shown.said()
    changed = f'the reason from "INC-1 the vault is stuck" to "{BETTER}" and the time from 1 h to 30 min'
    told = await town.slack.sees(CHANNEL, lambda m: "with a change" in m.said(), thread=card.ts)
    assert f"Mia answers <@UDAN> with a change of the request: {changed}" in told.said()
    await town.mia.sees_dm(lambda m: f"You changed {changed}" in m.said())
    await town.mia.command("/jit", f"show {id_}", CHANNEL)
    assert BETTER in town.mia.ephemerals[-1].said()

    await town.dan.click(card, "approve")
    await town.dan.sees_ephemeral(lambda m: f"Mia changed the reason of {id_}, so nothing was approved." in m.text)
    request = (await town.app.context.find_by_id(id_)).request
    assert request.awaits_decision
    await town.dan.click(shown, "approve")
    await town.card(id_, "active until")
    opened = (await town.app.context.find_by_id(id_)).request
    assert (opened.duration, opened.reason) == (1800, BETTER)


async def test_an_approval_for_less_is_for_the_reason_that_its_form_shows(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    form = await answering(town, await question(town, card))
    await town.eve.click(card, "approve_less")
    less = await town.eve.sees_view("approve_less", lambda v: "INC-1 the vault is stuck" in v.said())
    assert (await town.mia.submit(form, {"new_reason": BETTER})).errors == {}
    await town.card(id_, BETTER)
    refused = await town.eve.submit(less, {"duration": "900"})
    assert f"Mia changed the reason of {id_}" in refused.errors["duration"]
    town.eve.close_view(less)
    await town.eve.click(card, "approve_less")
    again = await town.eve.sees_view("approve_less", lambda v: BETTER in v.said())
    assert (await town.eve.submit(again, {"duration": "900"})).errors == {}
    await town.card(id_, "active until")


async def test_what_is_wrong_with_an_answer_is_said_at_its_field(town: Town) -> None:
    card = await town.asked()
    form = await answering(town, await question(town, card))
    assert (await town.mia.submit(form, {})).errors == {"reason": "Please type the answer."}
    wrong = await town.mia.submit(form, {"reason": "orders", "new_reason": "the disk is full"})
    assert list(wrong.errors) == ["new_reason"]
    assert "INC-42" in wrong.errors["new_reason"]
    assert (await town.mia.submit(form, {"new_reason": BETTER})).errors == {}
    shown = await town.card(town.id_of(card), "_changed after a question_")
    assert "Mia answered: orders" in shown.said()


async def test_a_reason_that_somebody_has_approved_has_no_field_and_no_late_change(town: Town) -> None:
    card = await town.asked("eve", "request vault/admin 1h -- INC-1 the vault is stuck")
    id_ = town.id_of(card)
    for n, who in enumerate((town.sam, town.kim), 1):
        await who.click(card, "question")
        await who.submit(await who.sees_view("question"), {"reason": f"Which table, number {n}?"})
    first, second = [
        await town.eve.sees_dm(lambda m, n=n: f"number {n}" in m.said() and "answer" in m.buttons())  # type: ignore[misc]  # a loop's own
        for n in (1, 2)
    ]
    await town.eve.click(first, "answer")
    early = await town.eve.sees_view("answer", lambda v: "number 1" in v.said())
    await town.dan.click(card, "approve")
    await town.card(id_, "approved (1 h)")
    late = await town.eve.submit(early, {"new_reason": BETTER})
    assert late.errors["new_reason"] == f"Dan approved {id_} for this reason, so it stays. You can still answer."
    town.eve.close_view(early)
    await town.eve.click(second, "answer")
    form = await town.eve.sees_view("answer", lambda v: "number 2" in v.said())
    assert "The reason stays: an approver has already approved it." in form.said()
    assert "new_reason" not in {block.get("block_id") for block in form.body["blocks"]}
    assert (await town.eve.submit(form, {"duration": "900"})).errors == {}
    await town.card(id_, "Eve changed the time from 1 h to 15 min")


async def test_an_answer_with_changes_that_is_delivered_twice_changes_once(town: Town) -> None:
    card = await town.asked(line="request debug 1h -- INC-1 the vault is stuck")
    form = await answering(town, await question(town, card))
    town.mia.fill(form, {"new_reason": BETTER, "duration": "900"})
    payload = town.mia.submission(form)
    for _ in range(2):
        assert (await town.mia.deliver_submission(form, payload)).errors == {}
    request = (await town.app.context.find_by_id(town.id_of(card))).request
    assert (request.version, request.reason_changes, request.duration) == (3, 1, 900)


async def test_a_field_that_was_left_as_it_was_takes_no_change_back(town: Town) -> None:
    card = await town.asked(line="request debug 1h -- INC-1 the vault is stuck")
    id_, letter = town.id_of(card), await question(town, card)
    other = await question(town, card, "Until when?")
    untouched = await answering(town, letter)
    town.mia.fill(untouched, {"reason": "orders"})
    payload = town.mia.submission(untouched)
    await town.mia.click(other, "answer")
    form = await town.mia.sees_view("answer", lambda v: "Until when?" in v.said())
    assert (await town.mia.submit(form, {"new_reason": BETTER, "duration": "900"})).errors == {}
    assert (await town.mia.deliver_submission(untouched, payload)).errors == {}
    request = (await town.app.context.find_by_id(id_)).request
    assert (request.reason, request.duration, request.questions[0].answer) == (BETTER, 900, "orders")
