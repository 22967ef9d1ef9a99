"""Whoever has an address that only looks like an approver's is nobody, and is told what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.access import read
from bot.core.request import State
from bot.playground import LocalSlack
from bot.store.indexes.identity_bindings import Bindings
from handlers.slack.account_checks import AccountChecks
from tests.core.test_identity import ALIKE
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Town, running, settings_for
from tests.journeys.test_everyday import types
from tests.servers import RedisServer


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
    assert (await town.app.context.find_by_id(id_)).request.state is State.PENDING
    assert "Who is" in await types(town.pat, f"revoke {ALIKE[how]} now")
    await town.sam.click(card, "approve")
    await town.card(id_, "active until")


async def test_the_card_mentions_nobody_whose_address_slack_takes_for_an_approvers(town: Town) -> None:
    town.slack.world.people["USAM"].email = "\u017fam@example.com"  # which Slack finds by sam@example.com
    card = await town.asked("eve", "request vault/admin 30m -- INC-1 the safe")
    assert "<@USAM>" not in card.said()
    assert "sam@example.com" in card.said()


ONE = """
groups:
  dba: {slack_usergroup: S0DBA0001}
  security: {people: [dan@example.com]}
"""
TWO_STEPS = "approval: {steps: [{any_of: [dba]}, {any_of: [security]}]}"


async def test_who_is_in_one_group_by_account_and_in_another_by_address_is_one_person(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> None:
    """Dan alone cannot fill both places; a process that starts anew knows it from the bindings."""
    slack.world.usergroups["S0DBA0001"].users[:] = ["UDAN"]
    policy = re.sub(r"\ngroups:\n(  .*\n)+", ONE + "  platform: {people: [pat@example.com]}\n", POLICY, count=1)
    policy = policy.replace("approval:\n          steps: [{any_of: [dba]}, {any_of: [security]}]", TWO_STEPS)
    policy = policy.replace("may_ask: [dba]", "may_ask: [everyone]")
    settings = settings_for(slack, redis, "http", tmp_path, policy)
    async with running(settings) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await slack.person("UDAN").command("/jit", "list", CHANNEL)
    async with running(settings) as app:
        slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        reply = await slack.person("UMIA").command("/jit", "request vault/admin 30m -- INC-1 why", CHANNEL)
        assert "not enough other active people could approve vault/admin" in reply.text.replace("`", "")
        assert await read.all_open(app.context) == []


async def test_another_address_of_an_account_is_told_to_its_owner_and_in_the_audit_channel(town: Town) -> None:
    await types(town.mia, "list")
    town.slack.world.people["UMIA"].email = "mia.new@example.com"
    town.app.people.forget("UMIA")  # what a bot believes for a minute
    assert "Nothing is open" in await types(town.mia, "list")
    said = "has the e-mail address `mia.new@example.com` now; it had `mia@example.com` before"
    await town.mia.sees_dm(lambda m: said in m.said())
    told = await town.slack.sees("C0AUDIT01", lambda m: "the Slack account UMIA has the e-mail address" in m.text)
    assert "mia.new@example.com now; it had mia@example.com before" in told.text
    assert len(town.mia.dms) == 1


async def test_whose_address_a_directory_gave_to_another_person_gets_and_decides_nothing_new(town: Town) -> None:
    """What is open already ends as it would have."""
    town.slack.world.usergroups["S0DBA0001"].users.append("USAM")
    await town.app.people.refresh()
    open_ = town.id_of(await town.asked("dan", "request vault/shared 30m -- the hall"))
    await town.sam.click(await town.card(open_), "approve")
    await town.card(open_, "active until")
    waits = await town.asked("mia")
    bindings = Bindings(town.app.store)
    for address in ("mia@example.com", "dan@example.com"):
        await bindings.bind_directory(address, "ad", f"old-{address}")
        await bindings.bind_directory(address, "ad", f"new-{address}")
    for user in ("UMIA", "UDAN"):
        town.app.people.forget(user)  # what a bot believes for a minute
    said = "The directory `ad` says that your e-mail address belongs to another person than before"
    assert said in await types(town.mia, "request debug 30m -- INC-2 again")
    await town.dan.click(waits, "approve")
    assert said in town.dan.ephemerals[-1].said()
    await town.sam.click(waits, "approve")
    assert "no longer in a group that may request" in town.sam.ephemerals[-1].said()
    assert (await town.app.context.find_by_id(town.id_of(waits))).request.state is State.PENDING
    assert (await town.app.context.find_by_id(open_)).request.state is State.ACTIVE
    told = await town.slack.sees("C0AUDIT01", lambda m: "The directory ad knows mia@example.com by" in m.text)
    assert "Nothing new is accepted from it." in told.said()

    facts = {"by": "cli:pat@here", "identity": "mia@example.com", "said": "mia@example.com is still Mia's"}
    assert await bindings.accept_directory("mia@example.com", "ad", "old-mia@example.com", facts) == ""
    await town.mia.sees_dm(lambda m: "mia@example.com is still Mia's" in m.said())
    await town.sam.click(waits, "approve")
    await town.card(town.id_of(waits), "active until")


async def test_slack_knowing_an_address_is_not_enough_once_a_directory_gave_it_to_another_person(town: Town) -> None:
    """Sam is an approver by address: the look at the accounts of approvers does not make him count again."""
    for id_ in ("guid-1", "guid-2"):
        await Bindings(town.app.store).bind_directory("sam@example.com", "ad", id_)
    await town.app.people.changes.gone("kim@example.com", await town.app.store.now(), "nobody")
    checks = AccountChecks(town.app.people)
    looked = {await checks.look() for _ in range(12)}
    assert looked >= {"sam@example.com", "kim@example.com"}
    gone = (await town.app.people.changes.read()).gone
    assert [who for who in gone if "@" in who] == ["sam@example.com"]
