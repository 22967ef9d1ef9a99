"""What people type and press every day: reading, helping, asking again, from a thread, and out of very much."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.playground import Human, LocalSlack, Message, View
from handlers.slack.verbs import COMMANDS
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Mode, Town, running, settings_for
from tests.servers import RedisServer


async def types(human: Human, line: str) -> str:
    """Type a line; what the person reads."""
    reply = await human.command("/jit", line, CHANNEL)
    assert reply.status == 200
    return human.ephemerals[-1].said() if reply.body else ""


async def opened(town: Town, who: str = "mia", line: str = "request debug 30m -- INC-1 the vault is stuck") -> str:
    """Something that is open; its id."""
    card = await town.asked(who, line)
    await town.dan.click(card, "approve")
    await town.card(town.id_of(card), "active until")
    return town.id_of(card)


# show


async def test_show_has_the_card_with_the_buttons_that_are_mine(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    assert "Debug the vault" in await types(town.mia, f"show {id_.lower()}")
    assert set(town.mia.ephemerals[-1].buttons()) == {"cancel"}
    assert "Needs 1 approval from <!subteam^S0DBA0001>" in await types(town.mia, "show")
    assert "waiting for approval" in await types(town.dan, f"show {id_[2:]}")
    assert {"approve", "approve_less", "deny", "question"} == set(town.dan.ephemerals[-1].buttons())
    assert "waiting for approval" in await types(town.pat, f"show {id_}")
    assert town.pat.ephemerals[-1].buttons() == {}


async def test_the_buttons_of_what_is_shown_work(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    await types(town.dan, f"show {id_}")
    await town.dan.click(town.dan.ephemerals[-1], "approve")
    await town.card(id_, "active until")
    await types(town.mia, "show")
    assert set(town.mia.ephemerals[-1].buttons()) == {"reveal", "extend", "release"}
    await types(town.pat, f"show {id_}")
    assert set(town.pat.ephemerals[-1].buttons()) == {"revoke"}
    await town.mia.click(town.mia.ephemerals[-1], "release")
    await town.card(id_, ":lock: ended")


@pytest.mark.parametrize("line", ["show {}", "release {}", "done {}", "cancel {}", "revoke {} I want to"])
async def test_what_one_may_not_read_is_told_as_what_does_not_exist(town: Town, line: str) -> None:
    id_ = await opened(town)
    hidden, nothing = await types(town.kim, line.format(id_)), await types(town.kim, line.format("J-ZZZZ"))
    assert hidden.replace(id_, "") == nothing.replace("J-ZZZZ", "")
    assert f"There is no request `{id_}` that you can see" in hidden


# who


async def test_who_tells_each_person_what_they_may_read(town: Town) -> None:
    id_ = await opened(town)
    for reader in (town.mia, town.dan, town.pat):
        said = await types(reader, "who vault")
        assert "*Vault* (`vault`)" in said
        assert f"{id_} · *Mia* (mia@example.com) · read-only · active until" in said
    hers = await types(town.kim, "who VAULT")
    assert id_ not in hers
    assert "Nobody has access there now, as far as you can see." in hers


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("who valt", "There is no system `valt` that you can see. Did you mean `vault`?"),
        ("who nowhere", "There is no system `nowhere` that you can see. `/jit help who` has an example."),
        ("who", "For example: `/jit who vault`"),
    ],
)
async def test_a_system_that_is_not_there(town: Town, line: str, sentence: str) -> None:
    assert sentence in await types(town.mia, line)


# the way to the card


async def test_an_answer_leads_to_the_card_of_the_request_that_it_speaks_of(town: Town) -> None:
    def link(card: Message) -> str:
        return f" <https://local.slack.com/archives/{CHANNEL}/p{card.ts.replace('.', '')}|Open the card>"

    card = await town.asked()
    assert link(card) in await types(town.mia, "request debug 30m -- INC-2 the same once more")
    assert link(card) in await types(town.mia, "remind")
    assert link(card) in await types(town.mia, "cancel")
    for end in (("mia", "done {}"), ("dan", "revoke {} not needed any more")):
        id_ = await opened(town)
        card = await town.card(id_)
        assert link(card) in await types(town.mia, f"extend {id_} 30m -- INC-1 it takes longer")
        assert link(card) in await types(getattr(town, end[0]), end[1].format(id_))
        await town.card(id_, ":lock: ended")
    nobody = await types(town.kim, f"show {id_}")
    assert "There is no request" in nobody
    assert "Open the card" not in nobody


@pytest.mark.parametrize("line", ["`x` y", "show `J-1`", "request `debug` 30m", "who `vault`x", "audit `x` y"])
async def test_a_backtick_that_is_typed_ends_no_code(town: Town, line: str) -> None:
    said = await types(town.pat, line)
    assert said.count("`") % 2 == 0
    assert not re.search(r"``", said)


# explain


async def test_explain_says_what_opens_who_asks_who_decides_and_how_long(town: Town) -> None:
    said = await types(town.mia, "explain debug")
    assert "*Debug the vault* (`debug`)" in said
    assert ":large_green_circle: *Low risk* · Vault: read-only · " in said
    assert "Who may request it: everyone" in said
    assert "Who approves: one of <!subteam^S0DBA0001>. If nobody answers within 4 h, the request expires." in said
    assert "You may request it." in said
    assert "How long: 30 min, 1 h, 4 h; with extensions 8 h at most." in said
    assert "Nobody has requested this lately" in said
    assert "Expected: Incident or ticket, like INC-42." in said
    assert "`/jit request debug 30m -- INC-42`" in said
    both = await types(town.mia, "explain vault/read-only + vault/shared")
    assert "(`vault/read-only + vault/shared`)" in both
    assert "Who approves: 2 of <!subteam^S0DBA0001>" in both
    assert "There is no template or role" in await types(town.mia, "explain vault/read-only + vault/admin")
    critical = await types(town.dan, "explain vault/admin")
    assert "Who may request it: `dba`" in critical
    assert "Who approves: one of <!subteam^S0DBA0001>, and one of <@USAM> or <@UKIM>, in any order." in critical
    assert "How long: at most 1 h." in critical


async def test_explain_tells_only_of_what_one_may_ask_for_or_answers_for(town: Town) -> None:
    hidden, nothing = await types(town.mia, "explain vault/admin"), await types(town.mia, "explain vault/nosuch")
    assert "There is no template or role `vault/admin` that you may request" in hidden
    assert hidden.count("vault/admin") == 1
    assert "admin" not in nothing
    decides = await types(town.kim, "explain vault/admin")
    assert "You may not request this yourself." in decides
    assert "Did you mean `debug`" in await types(town.mia, "explain debgu")
    assert "For example: `/jit explain debug`" in await types(town.mia, "explain")
    whole = await types(town.mia, "explain vault")
    assert "`vault/read-only`" in whole
    assert "`vault/shared`" in whole
    assert "admin" not in whole


# done


async def test_done_is_release(town: Town) -> None:
    id_ = await opened(town)
    said = await types(town.mia, "done")
    assert f"Thank you. You ended {id_}, Debug the vault; the worker is revoking the access." in said
    await town.card(id_, ":lock: ended")
    assert "None of your requests fits this right now" in await types(town.mia, "done")


async def test_the_id_is_asked_for_only_where_several_fit(town: Town) -> None:
    await town.asked()
    await town.asked(line="request vault/shared 30m -- to look")
    said = await types(town.mia, "show")
    assert said.startswith("Which one? Add its id to the command:")
    assert said.count("J-") == 2


# remind


async def test_the_asker_reminds_once_in_ten_minutes_and_those_who_decide_are_mentioned(town: Town) -> None:
    card = await town.asked()
    id_ = town.id_of(card)
    assert f"You reminded the approvers of {id_}." in await types(town.mia, "remind")
    line = await town.slack.sees(CHANNEL, lambda m: "Reminder: Mia's request" in m.text, thread=card.ts)
    assert line.to is None
    assert "The approvers were reminded within the last 10 min." in await types(town.mia, f"remind {id_}")
    assert len([m for m in town.slack.messages(CHANNEL, card.ts) if "Reminder: " in m.text]) == 1


@pytest.mark.parametrize(
    ("who", "sentence"),
    [("dan", "only the requester can do this"), ("kim", "There is no request")],
)
async def test_nobody_else_reminds(town: Town, who: str, sentence: str) -> None:
    id_ = town.id_of(await town.asked())
    assert sentence in await types(getattr(town, who), f"remind {id_}")


async def test_what_is_decided_is_not_reminded_of(town: Town) -> None:
    id_ = await opened(town)
    assert "is already approved" in await types(town.mia, f"remind {id_}")
    assert "None of your requests fits this right now" in await types(town.mia, "remind")


# help


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("reles", "did you mean `/jit release`?"),
        ("shwo J-7K3Q", "did you mean `/jit show J-7K3Q`?"),
        ("help reqest", "did you mean `/jit request`?"),
        ("help request", "`/jit request debug 30m -- INC-42` (Expected: Incident or ticket, like INC-42.)"),
        ("help who", "`/jit who vault`"),
        ("help explain", "`/jit explain debug`"),
        ("help done", "`/jit done J-7K3Q`"),
    ],
)
async def test_a_typo_gets_the_nearest_and_help_an_example_of_this_workspace(
    town: Town, line: str, sentence: str
) -> None:
    assert sentence.casefold() in (await types(town.mia, line)).casefold()


async def test_every_command_is_helped_with(town: Town) -> None:
    id_ = town.id_of(await town.asked())
    for command in COMMANDS:
        assert f"*/jit {command}*" in await types(town.mia, f"help {command}")
    assert f"`/jit cancel {id_}`" in await types(town.mia, "help cancel")
    assert f"`/jit revoke {id_} no longer needed`" in await types(town.dan, "help revoke")
    assert "Guests cannot" in await types(town.guest, "help request")


# bare /jit


async def test_bare_jit_shows_mine_and_gives_it_back(town: Town) -> None:
    id_ = await opened(town)
    await town.mia.command("/jit", "", CHANNEL)
    view = await town.mia.sees_view("overview")
    assert f"*Debug the vault* for 30 min ({id_})" in view.said()
    await town.mia.click(view, "release")
    await town.mia.sees_view("overview", lambda v: "active until" not in v.said())
    await town.card(id_, ":lock: ended")


async def test_bare_jit_takes_back_and_shows_the_password(town: Town) -> None:
    id_ = await opened(town)
    waits = town.id_of(await town.asked(line="request vault/shared 30m -- to look"))
    await town.mia.command("/jit", "", CHANNEL)
    view = await town.mia.sees_view("overview")
    await town.mia.click(view, "cancel", value=waits)
    await town.card(waits, "cancelled")
    view = await town.mia.sees_view("overview", lambda v: f"({waits})" not in v.said())
    await town.mia.click(view, "reveal", value=id_)
    await town.mia.sees_view("note", lambda v: "Password" in v.said())


async def test_again_fills_the_form_with_the_same_choice_duration_and_reason(town: Town) -> None:
    before = town.id_of(await town.asked(line="request debug 1h -- INC-9 the disk"))
    await types(town.mia, "cancel")
    await town.card(before, "cancelled")
    await town.mia.command("/jit", "", CHANNEL)
    view = await town.mia.sees_view("overview")
    assert "You have no active access and no open requests." in view.said()
    await town.mia.click(view, "again", value=before)
    form = await town.mia.sees_view("ask")
    assert form.previous == view.id
    assert (await town.mia.submit(form)).errors == {}
    await town.mia.sees_view("note", lambda v: "You requested *Debug the vault* for 1 h" in v.said())
    card = await town.slack.sees(CHANNEL, lambda m: "INC-9 the disk" in m.said() and before not in m.said())
    assert "for 1 h" in card.text


async def test_only_the_last_three_and_what_is_still_offered(town: Town) -> None:
    ids = []
    for n, what in enumerate(("debug 30m", "vault/shared 30m", "debug 1h", "both 30m")):
        ids.append(town.id_of(await town.asked(line=f"request {what} -- INC-{n} why")))
        await types(town.mia, "cancel")
    await town.mia.command("/jit", "", CHANNEL)
    view = await town.mia.sees_view("overview")
    again = [e["value"] for block in view.body["blocks"] if (e := block.get("accessory")) and e["action_id"] == "again"]
    assert again == ids[:0:-1]


async def test_a_template_is_one_press_away_and_so_is_the_form(town: Town) -> None:
    await town.mia.command("/jit", "", CHANNEL)
    view = await town.mia.sees_view("overview")
    await town.mia.click(view, "template", value="debug")
    form = await town.mia.sees_view("ask")
    assert "Approved by: one of <!subteam^S0DBA0001>" in form.said()
    await town.mia.close_view(form)
    await town.mia.click(view, "request")
    empty = await town.mia.sees_view("ask")
    await town.mia.choose(empty, "choice", "debug")
    assert (await town.mia.submit(empty, {"reason": "INC-3 from the form"})).errors == {}
    await town.slack.sees(CHANNEL, lambda m: "INC-3 from the form" in m.said())
    # One overview may lead to several requests: what names a submission is its own view.
    await town.mia.command("/jit", "", CHANNEL)
    view = await town.mia.sees_view("overview")
    await town.mia.click(view, "request")
    second = await town.mia.sees_view("ask")
    await town.mia.choose(second, "choice", "vault/shared")
    assert (await town.mia.submit(second, {"reason": "another one"})).errors == {}
    await town.slack.sees(CHANNEL, lambda m: "another one" in m.said())


async def test_a_stale_press_in_a_modal_is_answered_in_a_modal(town: Town) -> None:
    await town.asked()
    await town.mia.command("/jit", "", CHANNEL)
    view = await town.mia.sees_view("overview")
    await types(town.mia, "cancel")
    await town.mia.click(view, "cancel")
    note = await town.mia.sees_view("note", lambda v: "was cancelled by" in v.said())
    assert note.previous == view.id


# shortcuts


async def test_a_shortcut_opens_the_form_anywhere(town: Town) -> None:
    await town.mia.shortcut("request_access")
    form = await town.mia.sees_view("ask")
    await town.mia.choose(form, "choice", "debug")
    assert (await town.mia.submit(form, {"reason": "INC-4 by shortcut"})).errors == {}
    await town.slack.sees(CHANNEL, lambda m: "INC-4 by shortcut" in m.said())


async def test_a_message_in_a_thread_becomes_the_reason(town: Town) -> None:
    first = await town.mia.says("the disk is full", "C0GENERAL")
    message = await town.mia.says("INC-5 please have a look", "C0GENERAL", thread=first.ts)
    await town.mia.shortcut("request_access_here", message)
    form = await town.mia.sees_view("ask")
    await town.mia.choose(form, "choice", "vault/shared")
    assert (await town.mia.submit(form)).errors == {}
    link = f"https://local.slack.com/archives/C0GENERAL/p{message.ts.replace('.', '')}"
    card = await town.slack.sees(CHANNEL, lambda m: "archives" in m.said())
    assert f"> <{link}>" in card.said(), "it can be followed"
    assert f"> <{link}>" in await types(town.mia, "show")


@pytest.mark.parametrize("how", ["refuse", "error_500", "hang"])
async def test_a_message_that_slack_tells_no_link_of_leaves_the_reason_to_the_person(town: Town, how: Any) -> None:
    message = await town.mia.says("INC-5", "C0GENERAL")
    town.slack.faults.add("chat.getPermalink", how, code="channel_not_found")
    await town.mia.shortcut("request_access_here", message)
    form = await town.mia.sees_view("ask")
    assert "reason" not in form.buttons()


@pytest.mark.parametrize("who", ["guest", "ext"])
async def test_a_shortcut_is_refused_in_words_too(town: Town, who: str) -> None:
    human = getattr(town, who)
    await human.shortcut("request_access")
    await human.sees_view("note", lambda v: "cannot request" in v.said())
    message = await human.says("let me in", CHANNEL)
    await human.shortcut("request_access_here", message)
    await human.sees_ephemeral(lambda m: "cannot request" in m.text)


# the form


async def test_the_form_shows_who_decides_and_until_when_before_it_is_sent(town: Town) -> None:
    await town.dan.command("/jit", "request vault/admin", CHANNEL)
    form = await town.dan.sees_view("ask")
    said = form.said()
    assert "Approved by: one of <!subteam^S0DBA0001>, and one of <@USAM> or <@UKIM>. " in said
    assert "If nobody answers within 4 h (by <!date^" in said
    assert ":red_circle: *Critical risk* · opens the sandbox door safe" in said


async def test_the_form_says_what_a_reason_looks_like_and_why_one_does_not_do(town: Town) -> None:
    await town.mia.command("/jit", "request debug 1h -- no ticket", CHANNEL)
    form = await town.mia.sees_view("ask")
    hint = next(block["hint"]["text"] for block in form.body["blocks"] if block["block_id"] == "reason")
    assert hint == "Expected: Incident or ticket, like INC-42"
    reply = await town.mia.submit(form)
    assert "does not have the required form" in reply.errors["reason"]
    assert (await town.mia.submit(form, {"reason": "INC-6 now"})).errors == {}
    await town.slack.sees(CHANNEL, lambda m: "INC-6 now" in m.said() and "for 1 h" in m.said())


@pytest.mark.parametrize(
    ("line", "said", "most"),
    [("request debug 9h -- INC-1 x", "9 h is too long: the maximum is 4 h", 14_400),
     ("request vault/admin 2h -- why", "2 h is too long: the maximum is 1 h", 3600)],
)  # fmt: skip
async def test_what_is_too_long_is_said_and_no_longer_one_is_offered(
    town: Town, line: str, said: str, most: int
) -> None:
    await town.eve.command("/jit", line, CHANNEL)
    form = await town.eve.sees_view("ask")
    assert said in form.said()
    select = form.buttons()["duration"]
    assert max(int(option["value"]) for option in select["options"]) == most
    assert "initial_option" not in select


async def test_a_choice_that_another_has_overtaken_changes_nothing(town: Town) -> None:
    await town.mia.command("/jit", "request", CHANNEL)
    form = await town.mia.sees_view("ask")
    town.mia.fill(form, {"choice": "debug"})
    late = town.mia.click_payload(form, form.buttons()["choice"])
    await town.mia.choose(form, "choice", "vault/shared")
    assert (await town.slack.delivery.interactive(late)).status == 200
    form = await town.mia.sees_view("ask")
    assert "duration:vault/shared" in {block["block_id"] for block in form.body["blocks"]}


async def test_a_hidden_choice_is_in_no_payload(town: Town) -> None:
    for line in ("", "request", "request debug", "list", "help request", "explain debug", "who vault"):
        await town.mia.command("/jit", line, CHANNEL)
    await town.mia.opens_home()
    await town.mia.sees_home()
    assert "vault/admin" not in repr(town.slack.payloads)
    await town.dan.command("/jit", "request", CHANNEL)
    assert "vault/admin" in repr(town.slack.payloads)


async def test_an_error_stands_at_the_field_that_it_is_about(town: Town) -> None:
    await town.asked()
    await town.mia.command("/jit", "request debug", CHANNEL)
    form = await town.mia.sees_view("ask")
    reply = await town.mia.submit(form, {"reason": "INC-1 once more"})
    assert set(reply.errors) == {"choice"}
    assert "You have already requested this" in reply.errors["choice"]


# out of very much


def big_policy(roles: int) -> str:
    """The house's policy with a system of so many roles."""
    lines = [f"      r{n:03d}: {{grants: {{door: d{n}}}, max: 8h, may_ask: [everyone]}}" for n in range(roles)]
    library = "  library:\n    title: Library\n    provider: sandbox\n    channel: C0VAULT01\n    approvers: [dba]\n"
    return POLICY.replace("templates:\n", library + "    roles:\n" + "\n".join(lines) + "\ntemplates:\n")


@pytest.fixture(params=["http", "socket"])
async def big_town(
    request: pytest.FixtureRequest, slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> AsyncIterator[Town]:
    """A workspace in which there are more roles than a select can hold."""
    mode: Mode = request.param
    async with running(settings_for(slack, redis, mode, tmp_path, big_policy(300))) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        else:
            await slack.connected()
        yield Town(slack, app)


def names(options: list[dict[str, Any]]) -> list[str]:
    return [option["value"] for option in options]


async def test_over_a_hundred_choices_are_searched_in(big_town: Town) -> None:
    mia = big_town.mia
    await mia.command("/jit", "request", CHANNEL)
    form: View = await mia.sees_view("ask")
    assert form.buttons()["choice"]["type"] == "external_select"
    assert len(await mia.searches(form, "choice", "")) == 100
    found = names(await mia.searches(form, "choice", "LIBRARY 25"))
    assert found == [f"library/r{n:03d}" for n in (25, 125, 225, *range(250, 260))]
    assert await mia.searches(form, "choice", "safe") == []
    assert names(await mia.searches(form, "choice", "debug")) == ["debug"]
    assert names(await mia.searches(form, "choice", "r250")) == ["library/r250"]
    await mia.choose(form, "choice", "library/r250")
    form = await mia.sees_view("ask", lambda v: "Approved by" in v.said())
    assert (await mia.submit(form, {"reason": "to read"})).errors == {}
    await big_town.slack.sees(CHANNEL, lambda m: "Library: r250" in m.said())


async def test_a_search_finds_nothing_that_is_hidden_and_nothing_for_a_guest(big_town: Town) -> None:
    await big_town.dan.command("/jit", "request", CHANNEL)
    theirs = await big_town.dan.sees_view("ask")
    assert names(await big_town.dan.searches(theirs, "choice", "admin")) == ["vault/admin"]
    await big_town.mia.command("/jit", "request", CHANNEL)
    hers = await big_town.mia.sees_view("ask")
    assert await big_town.mia.searches(hers, "choice", "admin") == []
    big_town.slack.world.people["UMIA"].kind = "deactivated"
    big_town.app.people.forget("UMIA")
    assert await big_town.mia.searches(hers, "choice", "debug") == []
