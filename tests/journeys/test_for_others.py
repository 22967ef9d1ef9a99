"""A request for somebody else: the person accepts it with one press, and only then do approvers see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.core.request import State
from bot.playground import LocalSlack, Message, View
from tests.journeys.conftest import CHANNEL, Town, running, settings_for
from tests.journeys.rings import Rings
from tests.journeys.test_lines import form
from tests.policy.test_on_behalf import FOR_OTHERS
from tests.servers import RedisServer

LINE = "request debug 30m for <@UMIA|mia> -- INC-1 the vault is stuck"


@pytest.fixture(params=["http", "socket"])
async def town(
    request: pytest.FixtureRequest, slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> AsyncIterator[Town]:
    """A workspace where Pat may request for others, over HTTP and over Socket Mode."""
    async with running(settings_for(slack, redis, request.param, tmp_path, FOR_OTHERS)) as app:
        if request.param == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if request.param == "socket" else asyncio.sleep(0))
        yield Town(slack, app)


async def drafted(town: Town, line: str = LINE) -> tuple[str, Message]:
    """Pat requests it for Mia; its id, and the message that she gets."""
    reply = await town.pat.command("/jit", line, CHANNEL)
    assert "You requested" in reply.text, reply.text
    id_ = f"J-{reply.text.split(' (J-')[1][:4]}"
    return id_, await town.mia.sees_dm(lambda m: id_ in m.said() and "accept" in m.buttons())


async def request_of(town: Town, id_: str) -> Any:
    """The record."""
    return (await town.app.context.find_by_id(id_)).request


async def test_from_the_line_to_access_and_its_end(town: Town) -> None:
    reply = await town.pat.command("/jit", LINE, CHANNEL)
    assert "for Mia, for 30 min" in reply.text
    assert "Mia has to accept it by" in reply.text
    id_ = f"J-{reply.text.split(' (J-')[1][:4]}"
    dm = await town.mia.sees_dm(lambda m: id_ in m.said())
    for words in ("*Pat* (pat@example.com) requests *Debug the vault* for you, for 30 min", "INC-1 the vault is stuck"):
        assert words in dm.said()
    assert set(dm.buttons()) == {"accept", "decline"}
    assert town.slack.messages(CHANNEL) == [], "approvers see nothing of a draft"
    assert "waiting for Mia to accept" in (await town.mia.command("/jit", "list", CHANNEL)).text
    filed = (await town.pat.command("/jit", "list", CHANNEL)).text
    assert "*Requested for others*" in filed
    assert id_ in filed
    assert id_ not in (await town.dan.command("/jit", "list", CHANNEL)).text
    assert "There is no request" in (await town.dan.command("/jit", f"show {id_}", CHANNEL)).text

    await town.mia.click(dm, "accept")
    await town.mia.sees_ephemeral(lambda m: f"You accepted *Debug the vault* ({id_}). It now waits" in m.text)
    card = await town.card(id_, "waiting for approval")
    assert "*Pat* (pat@example.com) requested it for Mia; Mia accepted" in card.said()
    await town.pat.sees_dm(lambda m: id_ in m.said() and "Mia accepted; waiting for approval" in m.said())
    await town.mia.sees_dm(lambda m: id_ in m.said() and "you accepted it" in m.said() and not m.buttons())

    for who in ("mia", "pat"):
        await getattr(town, who).click(card, "approve")
        await getattr(town, who).sees_ephemeral(lambda m: "You can't approve your own request" in m.text)
    await town.dan.click(card, "approve")
    await town.card(id_, "active until")
    await town.mia.sees_dm(lambda m: id_ in m.said() and "You have access until" in m.said())
    outcome = await town.pat.sees_dm(lambda m: id_ in m.said() and "Mia has access until" in m.said())
    await town.pat.click(outcome, "release")
    ended = await town.card(id_, ":lock: ended")
    assert "Ended early by <@UPAT>" in ended.said()
    await town.mia.sees_dm(lambda m: id_ in m.said() and "<@UPAT> ended it early" in m.said())


async def _settled(town: Town) -> None:
    """All is told."""
    async with asyncio.timeout(30):
        while await town.app.announcer.outbox.waiting():  # noqa: ASYNC110  # a task of the app's
            await asyncio.sleep(0.02)


async def test_it_rings_each_of_them_for_what_they_have_to_know_and_no_more(town: Town) -> None:
    id_, dm = await drafted(town)
    await town.mia.click(dm, "accept")
    card = await town.card(id_, "waiting for approval")
    await _settled(town)  # else an approval that comes first is all that Pat is told of
    await town.dan.click(card, "approve")
    await town.card(id_, "active until")
    await _settled(town)
    await town.mia.command("/jit", f"release {id_}", CHANNEL)
    await town.card(id_, ":lock: ended")
    await _settled(town)
    rings = Rings(town.slack)
    asked, granted = rings.of("mia")
    assert "Pat requests Debug the vault for you for 30 min. Accept or decline by" in asked
    assert "You have access until" in granted
    accepted, outcome = rings.of("pat")
    assert "Mia accepted; waiting for approval" in accepted
    assert "Mia has access until" in outcome
    assert len(rings.of("dan")) == 1, "the card"


async def test_a_draft_that_was_declined_rings_no_approver(town: Town) -> None:
    _, dm = await drafted(town)
    await town.mia.click(dm, "decline")
    await town.mia.submit(await town.mia.sees_view("decline"), {"reason": "not mine"})
    await town.pat.sees_dm(lambda m: "Mia declined: not mine" in m.said())
    await _settled(town)
    rings = Rings(town.slack)
    assert (len(rings.of("mia")), len(rings.of("pat")), rings.of("dan"), rings.of("eve")) == (1, 1, [], [])


async def test_declining_asks_for_a_reason_that_who_requested_it_reads(town: Town) -> None:
    id_, dm = await drafted(town)
    await town.mia.click(dm, "decline")
    view = await town.mia.sees_view("decline")
    assert "Please give a reason" in (await town.mia.submit(view, {"reason": "..."})).errors["reason"]
    await town.mia.submit(view, {"reason": "I am on holiday"})
    assert "Pat reads your reason" in (await town.mia.sees_view("note")).said()
    await town.pat.sees_dm(lambda m: id_ in m.said() and "Mia declined: I am on holiday" in m.said())
    await town.mia.sees_dm(lambda m: id_ in m.said() and "you declined it" in m.said() and not m.buttons())
    assert town.slack.messages(CHANNEL) == []
    assert (await request_of(town, id_)).state is State.CANCELLED


async def test_a_second_press_and_somebody_elses_press_get_a_sentence(town: Town) -> None:
    id_, dm = await drafted(town)
    kept = Message(dm.channel, dm.ts, dm.text, list(dm.blocks))
    for who, sentence in (("dan", "There is no request"), ("pat", "only the requester can do this")):
        await _presses(town, who, kept)
        await getattr(town, who).sees_ephemeral(lambda m, sentence=sentence: sentence in m.text)
    assert (await request_of(town, id_)).state is State.DRAFT
    await asyncio.gather(town.mia.click(kept, "accept"), town.mia.click(kept, "accept"))
    await town.mia.sees_ephemeral(lambda m: "You accepted" in m.text)
    await town.mia.sees_ephemeral(lambda m: "is still waiting for approval, so this cannot be done" in m.text)
    assert (await request_of(town, id_)).version == 2


async def _presses(town: Town, who: str, message: Message) -> None:
    """Somebody sends what a press of another's button would send."""
    human = getattr(town, who)
    payload = human.click_payload(message, message.buttons()["accept"])
    payload["container"]["channel_id"] = payload["channel"]["id"] = CHANNEL
    await town.slack.delivery.interactive(payload)


async def test_who_requested_it_cancels_it_before_and_after(town: Town) -> None:
    id_, dm = await drafted(town)
    assert "You cancelled" in (await town.pat.command("/jit", f"cancel {id_}", CHANNEL)).text
    await town.mia.sees_dm(lambda m: id_ in m.said() and "<@UPAT> cancelled it" in m.said() and not m.buttons())
    other, dm = await drafted(town)
    await town.mia.click(dm, "accept")
    filed = await town.pat.sees_dm(lambda m: other in m.said() and "cancel" in m.buttons())
    await town.pat.click(filed, "cancel")
    await town.mia.sees_dm(lambda m: other in m.said() and "<@UPAT> cancelled it" in m.said())
    card = await town.card(other, "cancelled")
    await town.slack.sees(CHANNEL, lambda m: "Pat cancelled the request" in m.text, thread=card.ts)


async def test_the_home_tab_of_both_shows_it(town: Town) -> None:
    id_, _ = await drafted(town)
    await town.mia.opens_home()
    home = town.mia.home
    assert home is not None
    assert f"({id_})" in home.said()
    assert "accept" in home.buttons()
    await town.pat.opens_home()
    assert town.pat.home is not None
    assert "Requested for others" in town.pat.home.said()
    await town.mia.click(home, "accept")
    await town.card(id_, "waiting for approval")
    async with asyncio.timeout(30):  # it is updated by itself
        while "waiting for approval" not in town.pat.home.said():  # noqa: ASYNC110  # a task of the app's
            await asyncio.sleep(0.02)


# the line and the form


@pytest.mark.parametrize(
    "line",
    [
        "request debug 30m for mia@example.com -- INC-1 stuck",
        "request debug for <mailto:Mia@Example.com|Mia@Example.com> 30m -- INC-1 stuck",
        "<@UMIA|mia> debug 30m -- INC-1 stuck",
        "for <@UMIA|mia> debug 30m because INC-1 stuck",
    ],
)
async def test_the_person_is_named_by_mention_or_by_address(town: Town, line: str) -> None:
    id_, _ = await drafted(town, line)
    request = await request_of(town, id_)
    assert (request.requester.id, request.requested_by.id, request.reason) == ("UMIA", "UPAT", "INC-1 stuck")


async def test_for_me_is_oneself(town: Town) -> None:
    for line in ("request debug 30m for me -- INC-1 stuck", "request vault/shared 30m for <@UPAT> -- INC-1 stuck"):
        reply = await town.pat.command("/jit", line, CHANNEL)
        assert "If nobody answers by" in reply.text


@pytest.mark.parametrize("name", ["mia", "@mia"])
async def test_a_bare_name_is_asked_back_with_the_people_picker(town: Town, name: str) -> None:
    view = await form(town, f"request debug 30m for {name} -- INC-1 stuck", "pat")
    assert f'I don\'t know whose account "{name}" is: pick the person below' in view.said()
    await town.pat.submit(view, {"for": "UMIA"})
    await town.mia.sees_dm(lambda m: "accept" in m.buttons())


@pytest.mark.parametrize(
    ("whom", "sentence"),
    [
        ("<@UGUEST>", "That account is a guest"),
        ("<@UEXT>", "no member of this workspace"),
        ("<@UGONE>", "is deactivated"),
        ("<@U0NOBODY>", "no member of this workspace"),
        ("nobody@example.com", "Who is `nobody@example.com`?"),
        ("gus@example.com", "That account is a guest"),
    ],
)
async def test_who_can_have_no_access_is_refused_with_a_sentence(town: Town, whom: str, sentence: str) -> None:
    reply = await town.pat.command("/jit", f"request debug 30m for {whom} -- INC-1 stuck", CHANNEL)
    assert sentence in reply.text


async def test_the_app_itself_gets_no_access(town: Town) -> None:
    line = f"request debug 30m for <@{town.slack.bot_user_id}> -- INC-1 stuck"
    assert "is an app" in (await town.pat.command("/jit", line, CHANNEL)).text


@pytest.mark.parametrize(
    ("who", "line", "sentence"),
    [
        ("dan", LINE, "You can only request access for yourself. Ask <@UMIA> to type"),
        ("kim", LINE, "you are in none of the groups that may request `vault/read-only` for others"),
        ("pat", "request vault/admin 30m for <@UMIA> -- INC-1", "that person is in none of the groups"),
    ],
)
async def test_who_may_not_is_told_so(town: Town, who: str, line: str, sentence: str) -> None:
    reply = await getattr(town, who).command("/jit", line, CHANNEL)
    assert sentence in reply.text


async def test_the_form_has_a_field_for_it_where_some_role_allows_it(town: Town) -> None:
    await town.mia.command("/jit", "request", CHANNEL)
    assert "for" not in _blocks(await town.mia.sees_view("ask"))
    await town.kim.command("/jit", "request", CHANNEL)
    view = await town.kim.sees_view("ask")
    assert "for" in _blocks(view)
    assert "vault/admin" in str(view.body), "what one may request for others only is offered, too"
    town.kim.fill(view, {"for": "UDAN"})
    await town.kim.choose(view, "choice", "vault/admin")
    chosen = await town.kim.sees_view("ask", lambda v: "safe" in v.said())
    await town.kim.submit(chosen, {"duration": "1800", "reason": "INC-1 stuck"})
    assert "Dan has to accept it" in (await town.kim.sees_view("note")).said()
    await town.dan.sees_dm(lambda m: "accept" in m.buttons())


async def test_the_form_says_at_the_field_who_can_have_no_access(town: Town) -> None:
    view = await form(town, "request debug 30m for mia -- INC-1 stuck", "pat")
    reply = await town.pat.submit(view, {"for": "UGUEST"})
    assert "That account is a guest" in reply.errors["for"]
    assert "accept" not in str(town.slack.messages(CHANNEL))


async def test_a_line_that_opens_the_form_keeps_the_person(town: Town) -> None:
    view = await form(town, "request vault 1h for <@UMIA> -- INC-1 stuck", "pat")
    await town.pat.choose(view, "choice", "vault/shared")
    chosen = await town.pat.sees_view("ask", lambda v: "hall" in v.said())
    await town.pat.submit(chosen, {})
    await town.mia.sees_dm(lambda m: "accept" in m.buttons() and "Vault: shared" in m.said())


def _blocks(view: View) -> set[str]:
    return {block["block_id"].partition(":")[0] for block in view.body["blocks"] if "block_id" in block}


async def test_rows_that_somebody_put_into_the_outbox_show_a_draft_to_nobody(town: Town) -> None:
    id_, _ = await drafted(town)
    store, seen = town.app.store, len(town.slack.world.messages)
    rows = [f"{id_}|{audience}" for audience in ("card", "decided", "granted", "ended", "filed_outcome", "approvers")]
    await store.redis.hset(store.keys.rows, mapping=dict.fromkeys(rows, "0"))
    await store.redis.zadd(store.keys.outbox, dict.fromkeys(rows, 0))
    async with asyncio.timeout(30):
        while any([await store.redis.zscore(store.keys.outbox, row) is not None for row in rows]):  # noqa: ASYNC110  # no event tells it
            await asyncio.sleep(0.01)
    assert town.slack.messages(CHANNEL) == []
    assert [message for message in town.slack.world.messages[seen:] if id_ in message.said()] == []


# time, and what changes meanwhile


async def test_it_expires_where_the_person_does_not_answer(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> None:
    text = FOR_OTHERS.replace("  mfa:", "  consent: 5s\n  mfa:", 1)
    async with running(settings_for(slack, redis, "socket", tmp_path, text)) as app:
        await slack.connected()
        town = Town(slack, app)
        id_, _ = await drafted(town)
        await town.pat.sees_dm(lambda m: id_ in m.said() and "Mia did not accept it by" in m.said())
        await town.mia.sees_dm(lambda m: id_ in m.said() and "so it expired" in m.said() and not m.buttons())
        assert (await request_of(town, id_)).state is State.EXPIRED
        assert slack.messages(CHANNEL) == []


async def test_a_draft_survives_a_restart(slack: LocalSlack, redis: RedisServer, tmp_path: Path) -> None:
    settings = settings_for(slack, redis, "socket", tmp_path, FOR_OTHERS)
    async with running(settings) as app:
        await slack.connected()
        id_, dm = await drafted(Town(slack, app))
    async with running(settings) as app:
        await slack.connected()
        town = Town(slack, app)
        await town.mia.click(dm, "accept")
        card = await town.card(id_, "waiting for approval")
        await town.dan.click(card, "approve")
        await town.card(id_, "active until")


async def test_who_lost_the_right_meanwhile_has_it_cancelled_with_a_sentence(town: Town) -> None:
    id_, dm = await drafted(town)
    await town.slack.deactivate("UPAT")
    await town.mia.click(dm, "accept")
    await town.mia.sees_ephemeral(lambda m: "was cancelled by the policy (who requested it for somebody else" in m.text)
    await town.mia.sees_dm(lambda m: id_ in m.said() and "may no longer do so" in m.said() and not m.buttons())
    assert (await request_of(town, id_)).state is State.CANCELLED
    assert town.slack.messages(CHANNEL) == []
