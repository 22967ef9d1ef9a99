"""Whoever may not is told so in a sentence, whatever they press, and nothing comes of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.access import read
from bot.core.request import State
from bot.playground import Human, Message
from bot.worker.recovery import Recovery
from tests.journeys.conftest import CHANNEL, Town


async def state(town: Town, id_: str) -> State:
    """Where a request stands."""
    return (await town.app.context.find_by_id(id_)).request.state


@pytest.mark.parametrize(
    ("who", "sentence"),
    [
        ("mia", "You can't approve your own request"),
        ("kim", "Only `dba` can approve this"),
        ("guest", "Guests cannot"),
        ("gone", "deactivated"),
        ("ext", "another organisation"),
    ],
)
@pytest.mark.parametrize("button", ["approve", "approve_less", "deny"])
async def test_a_click_that_does_not_count_is_refused_with_a_sentence(
    town: Town, who: str, sentence: str, button: str
) -> None:
    card = await town.asked()
    human = getattr(town, who)
    assert (await human.click(card, button)).status == 200
    await human.sees_ephemeral(lambda m: sentence in m.text)
    assert human.view is None
    assert await state(town, town.id_of(card)) is State.PENDING


@pytest.mark.parametrize("who", ["guest", "gone", "ext"])
@pytest.mark.parametrize("line", ["request debug 30m -- INC-1 x", "request", "list", "release"])
async def test_those_who_are_no_members_cannot_ask_or_look(town: Town, who: str, line: str) -> None:
    reply = await getattr(town, who).command("/jit", line, CHANNEL)
    assert "cannot request" in reply.text
    assert town.slack.messages(CHANNEL) == []


async def test_the_second_click_and_the_stale_card_get_an_answer(town: Town) -> None:
    card = await town.asked()
    before = Message(card.channel, card.ts, card.text, list(card.blocks))
    first, second = await asyncio.gather(town.dan.click(before, "approve"), town.eve.click(before, "approve"))
    assert (first.status, second.status) == (200, 200)
    await town.card(town.id_of(before), "active until")
    told = [message.text for message in (*town.dan.ephemerals, *town.eve.ephemerals)]
    assert sum("is already approved" in text for text in told) == 1
    assert sum("You approved" in text for text in told) == len(told) - 1
    await town.dan.click(before, "deny")
    await town.dan.sees_ephemeral(lambda m: "so this cannot be done any more" in m.text)


async def test_deny_asks_for_a_reason_and_shows_it(town: Town) -> None:
    card = await town.asked()
    await town.dan.click(card, "deny")
    view = await town.dan.sees_view("deny")
    reply = await town.dan.submit(view, {"reason": "..."})
    assert "Please give a reason" in reply.errors["reason"]
    await town.dan.submit(view, {"reason": "not during the freeze"})
    denied = await town.slack.sees(CHANNEL, lambda m: "not during the freeze" in m.said() and m.thread is None)
    assert denied.buttons() == {}
    await town.mia.sees_dm(lambda m: "Dan denied: not during the freeze" in m.said())


async def test_approve_for_less_grants_less(town: Town) -> None:
    card = await town.asked()
    await town.dan.click(card, "approve_less")
    view = await town.dan.sees_view("approve_less")
    await town.dan.submit(view, {"duration": "900"})
    active = await town.card(town.id_of(card), "active until")
    assert "(15 min of 30 min)" in active.said()
    request = (await town.app.context.find_by_id(town.id_of(card))).request
    assert request.ends_at == pytest.approx(request.granted_at + 900)


async def test_what_people_type_stays_text(town: Town) -> None:
    evil = "INC-1 <!channel> <@UDAN> <https://evil.example|safe> \u202egnp.exe *bold* & <script>"
    reply = await town.mia.command("/jit", f"request debug 30m -- {evil}", CHANNEL)
    assert "You requested" in reply.text
    card = await town.slack.sees(CHANNEL, lambda m: "INC-1" in m.said())
    assert "<!channel>" not in card.said()
    assert "<@UDAN>" not in card.said()
    assert "<https:" not in card.said().replace("<https://local.slack.com/team/UMIA|Mia>", "")
    assert "\u202e" not in card.said()
    assert "&lt;!channel&gt;" in card.said()


async def test_ten_thousand_characters_are_refused_and_nothing_is_lost(town: Town) -> None:
    await town.mia.command("/jit", f"request debug 30m -- INC-1 {'x' * 10_000}", CHANNEL)
    view = await town.mia.sees_view("ask")
    reply = await town.mia.submit(view, {})
    assert reply.errors == {}
    card = await town.slack.sees(CHANNEL, lambda m: "INC-1" in m.said())
    assert len(card.said()) < 3000


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("request debgu", "Did you mean `debug`?"),
        ("request nothing-like-it", "There is no template or role"),
        ("request vault/admin 30m -- because", "you are in none of the groups that may request"),
        ("reqest debug", "Did you mean `/jit request debug`?"),
        ("xyzzy", "There is no command `xyzzy`"),
        ("release", "None of your requests fits this"),
        ("release J-ZZZZ", "There is no request `J-ZZZZ` that you can see"),
        ("release <!channel>", "There is no request `&lt;!channel&gt;`"),
        ("revoke", "Please give a reason"),
        ("cancel", "None of your requests fits this"),
        ("list", "Nothing is open"),
        ("help", "Request access"),
    ],
)
async def test_every_line_gets_a_helpful_answer(town: Town, line: str, sentence: str) -> None:
    reply = await town.mia.command("/jit", line, CHANNEL)
    assert reply.status == 200
    assert sentence in reply.text


async def test_a_line_that_says_too_little_opens_the_form_filled_in(town: Town) -> None:
    await town.mia.command("/jit", "request debug", CHANNEL)
    view = await town.mia.sees_view("ask")
    assert "Debug the vault" in view.said()
    reply = await town.mia.submit(view, {"reason": "no ticket"})
    assert "does not have the required form" in reply.errors["reason"]
    assert "Incident or ticket" in reply.errors["reason"]
    assert (await town.mia.submit(view, {"reason": "INC-7 disk"})).errors == {}
    await town.slack.sees(CHANNEL, lambda m: "INC-7 disk" in m.said() and "30 min" in m.said())


async def test_the_empty_form_offers_what_this_person_may_ask_and_follows_the_choice(town: Town) -> None:
    await town.mia.command("/jit", "request", CHANNEL)
    view = await town.mia.sees_view("ask")
    offered: list[Any] = [o["value"] for g in view.body["blocks"][0]["element"]["option_groups"] for o in g["options"]]
    assert offered == ["debug", "both", "vault/read-only", "vault/shared"]
    await town.mia.choose(view, "choice", "vault/read-only")
    await town.mia.submit(view, {"duration": "900", "reason": "to look around"})
    await town.slack.sees(CHANNEL, lambda m: "Vault: read-only" in m.said() and "15 min" in m.said())


async def test_an_envelope_delivered_twice_asks_once(town: Town) -> None:
    payload = town.mia.command_payload("/jit", "request debug 30m -- INC-1 twice", CHANNEL)
    await town.mia.deliver_command(payload)
    await town.mia.deliver_command(payload)
    await town.slack.sees(CHANNEL, lambda m: "INC-1 twice" in m.said())
    assert len(await read.own_open(town.app.context, await town.app.people.actor("UMIA"))) == 1


async def test_a_submission_delivered_twice_asks_once(town: Town) -> None:
    await town.mia.command("/jit", "request debug", CHANNEL)
    view = await town.mia.sees_view("ask")
    await town.mia.submit(view, {"reason": "INC-8 twice"})
    await town.mia.deliver_submission(view, town.mia.submission(view))
    assert len(await read.own_open(town.app.context, await town.app.people.actor("UMIA"))) == 1


async def test_revoke_by_an_approver_with_a_reason_and_not_by_others(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    await town.dan.click(card, "approve")
    active = await town.card(id_, "active until")
    assert "There is no request" in (await town.kim.command("/jit", f"revoke {id_} I want to", CHANNEL)).text
    await town.kim.click(active, "revoke")
    await town.kim.sees_ephemeral(lambda m: "There is no request" in m.text)
    assert (
        "the worker is revoking the access"
        in (await town.eve.command("/jit", f"revoke {id_.lower()} too risky now", CHANNEL)).text
    )
    await town.card(id_, ":lock: ended")
    await town.mia.sees_dm(lambda m: "ended it early: too risky now" in m.said())


async def test_cancel_takes_back_what_is_not_decided(town: Town) -> None:
    card = await town.asked()
    await town.mia.command("/jit", "", CHANNEL)
    await town.mia.click(await town.mia.sees_view("overview"), "cancel", value=town.id_of(card))
    gone = await town.card(town.id_of(card), "cancelled")
    assert gone.buttons() == {}


async def test_the_list_shows_mine_and_what_waits_for_me(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    mine = (await town.mia.command("/jit", "list", CHANNEL)).text
    assert "*Yours*" in mine
    assert id_ in mine
    theirs = (await town.dan.command("/jit", "list", CHANNEL)).text
    assert "*On your systems*" in theirs
    assert id_ in theirs
    assert id_ not in (await town.kim.command("/jit", "list", CHANNEL)).text


LINES = ("show {}", "cancel {}", "release {}", "extend {} 10m -- still on fire", "revoke {} -- enough", "audit {}")


@pytest.fixture
def nothing_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that was tampered with stays as it is, for as long as the archive does not answer."""

    async def look(_: Recovery) -> int:
        return 0

    monkeypatch.setattr(Recovery, "compare", look)


@pytest.mark.usefixtures("nothing_is_restored")
@pytest.mark.parametrize("state_", [State.PENDING, State.ACTIVE])
async def test_a_record_that_was_tampered_with_is_told_like_one_that_is_not_there_and_the_operators_learn_of_it(
    town: Town, state_: State
) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    if state_ is State.ACTIVE:
        await town.dan.click(card, "approve")
        card = await town.card(id_, "active until")
        letter = await town.mia.sees_dm(lambda m: "You have access until" in m.said())
    store, nobody = town.app.store, "J-ZZZZ"
    body = await store.redis.hget(store.keys.record(id_), "body")
    assert isinstance(body, bytes)
    await store.redis.hset(store.keys.record(id_), "body", body[:-9] + b"!" + body[-8:])

    for human in (town.mia, town.dan, town.sam, town.pat):
        for line in LINES:
            told = [(await human.command("/jit", line.format(each), CHANNEL)).text for each in (id_, nobody)]
            assert told[0].replace(id_, nobody) == told[1], (human, line)
        pressed = [card]
        if state_ is State.ACTIVE and human is town.mia:
            pressed.append(letter)
        for seen in pressed:
            for action, button in seen.buttons().items():
                told = [await shown_for(town, human, seen, {**button, "value": each}) for each in (id_, nobody)]
                assert told[0].replace(id_, nobody) == told[1], (human, action)
                assert told[1], action
    await town.slack.sees(
        "C0AUDIT01", lambda m: f"The record of {id_} is missing or failed its integrity check" in m.text
    )


async def shown_for(town: Town, human: Human, seen: Message, button: dict[str, Any]) -> str:
    """What somebody is shown when they press it."""
    told, view = len(human.ephemerals), human.view
    await town.slack.delivery.interactive(human.click_payload(seen, button))
    said = [message.said() for message in human.ephemerals[told:]]
    if human.view and human.view is not view:
        said.append(human.view.said())
    return "\n".join(said)
