"""Approvers are reached as each role says, once, and an hour of it makes no more noise than it has to."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.access import revoke
from bot.playground import Human, LocalSlack, Message
from handlers.notify.approvers import MOST
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Mode, Town, running, settings_for
from tests.servers import RedisServer

MENTION = re.compile(r"<(@[UW]\w+|!subteam\^\w+|!here|!channel|!everyone)")
ON_CALL = "on_call: oncall\n    approvers: [dba]"


def rules(
    notify: str, on_call: bool = True, extra: str = "oncall: {people: [eve@example.com, mia@example.com]}"
) -> str:
    """The policy with a role's ``notify``, and Eve and Mia on call."""
    text = (
        POLICY.replace("        sensitivity: low", f"        notify: {notify}\n        sensitivity: low")
        if notify
        else POLICY
    )
    text = text.replace("groups:\n", f"groups:\n  {extra}\n")
    return text.replace("approvers: [dba]", ON_CALL, 1) if on_call else text


@pytest.fixture(params=["http", "socket"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return request.param  # type: ignore[no-any-return]  # one of the two


class Reached:
    """A town of which the pings are counted."""

    def __init__(self, town: Town) -> None:
        self.town, self.slack = town, town.slack

    async def settled(self) -> None:
        """All is told."""
        async with asyncio.timeout(30):
            while await self.town.app.announcer.outbox.waiting():  # noqa: ASYNC110  # a task of the app's
                await asyncio.sleep(0.02)

    def posted(self) -> Counter[str]:
        """How many messages were posted where; threads apart. What was edited notifies nobody."""
        sent = [call.args for call in self.slack.calls if call.method == "chat.postMessage"]
        return Counter(f"{args['channel']}{' thread' if args.get('thread_ts') else ''}" for args in sent)

    def mentions(self) -> Counter[str]:
        """Who was mentioned in what was posted in a channel: each is a ping, as a message of one's own is."""
        sent = [call.args for call in self.slack.calls if call.method == "chat.postMessage"]
        seen = [args for args in sent if args["channel"].startswith("C")]
        # The text and the blocks say the same to different readers, and ping once.
        return Counter(who for args in seen for who in set(MENTION.findall(f"{args['text']} {args.get('blocks')}")))

    def dm(self, who: str) -> str:
        return self.slack.world.dm(f"U{who.upper()}").id

    def dms(self, who: str) -> list[Message]:
        human: Human = getattr(self.town, who)
        return human.dms


@asynccontextmanager
async def reached(slack: LocalSlack, redis: RedisServer, home: Path, policy: str, mode: Mode) -> AsyncIterator[Reached]:
    async with running(settings_for(slack, redis, mode, home, policy)) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if mode == "socket" else asyncio.sleep(0))
        yield Reached(Town(slack, app))


async def an_hour(reached: Reached) -> Message:
    """Asked for, approved, open, over."""
    town = reached.town
    card = await town.asked(line="request vault/read-only 5s -- to look at the vault")
    await reached.settled()
    await town.dan.click(card, "approve")
    await town.card(town.id_of(card), ":lock: ended", patience=15)
    await reached.settled()
    return card


async def test_a_plain_hour_pings_the_group_once_and_who_is_on_call_once(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode
) -> None:
    async with reached(slack, redis, tmp_path, rules(""), mode) as town:
        await an_hour(town)
        requester, eve = town.dm("mia"), town.dm("eve")
        assert town.posted() == {CHANNEL: 1, f"{CHANNEL} thread": 4, requester: 2, eve: 1}
        assert town.mentions() == {"!subteam^S0DBA0001": 1}, "on the card, and never again"


@pytest.mark.parametrize(
    ("notify", "mentioned", "dms"),
    [
        ("{mention: group, dm: none}", {"!subteam^S0DBA0001": 1}, {}),
        ("{mention: none, dm: none}", {}, {}),
        ("{mention: none}", {}, {"eve": 1}),
        ("{mention: on-call, dm: none}", {"@UEVE": 1, "@UMIA": 1}, {}),
        ("{mention: none, dm: all}", {}, {"dan": 1, "eve": 1}),
    ],
)
async def test_who_is_reached_is_what_the_role_says(
    slack: LocalSlack,
    redis: RedisServer,
    tmp_path: Path,
    mode: Mode,
    notify: str,
    mentioned: dict[str, int],
    dms: dict[str, int],
) -> None:
    """Mia, who is on call and asks, gets no message to decide; nor do a guest and somebody deactivated of the group."""
    async with reached(slack, redis, tmp_path, rules(notify), mode) as town:
        card = await town.town.asked(line="request vault/read-only 30m -- to look at the vault")
        await town.settled()
        posted = town.posted()
        assert posted.pop(CHANNEL) == 1
        assert posted == {town.dm(who): count for who, count in dms.items()}
        assert town.mentions() == mentioned
        assert "Needs 1 approval" in card.said()
        if "!subteam^S0DBA0001" not in mentioned:
            assert "`dba` by" in card.said()


async def test_an_approvers_message_and_home_tab_have_the_reason_and_the_time_that_an_answer_changed(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode
) -> None:
    async with reached(slack, redis, tmp_path, rules("{mention: none, dm: all}"), mode) as town:
        mia, dan, eve = town.town.mia, town.town.dan, town.town.eve
        card = await town.town.asked(line="request vault/read-only 1h -- look at it")
        letter = await eve.sees_dm(lambda m: "for 1 h" in m.said() and "look at it" in m.said())
        await eve.opens_home()
        home = await eve.sees_home(lambda v: "look at it" in v.said())
        await dan.click(card, "question")
        await dan.submit(await dan.sees_view("question"), {"reason": "Which table?"})
        asked = await mia.sees_dm(lambda m: "answer" in m.buttons())
        await mia.click(asked, "answer")
        form = await mia.sees_view("answer")
        assert (await mia.submit(form, {"new_reason": "orders are missing", "duration": "1800"})).errors == {}
        edited = await eve.sees_dm(lambda m: "for 30 min" in m.said() and "orders are missing" in m.said())
        assert edited.ts == letter.ts, "it rings nobody once more"
        await eve.click(home, "approve")
        note = await eve.sees_view("note", lambda v: "so nothing was approved" in v.said())
        eve.close_view(note)
        now = await eve.sees_home(lambda v: "orders are missing" in v.said() and "for 30 min" in v.said())
        await eve.click(now, "approve")
        await town.town.card(town.town.id_of(card), "active until")


async def test_an_approvers_message_leads_to_the_card_and_is_edited_when_it_is_decided(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, mode: Mode
) -> None:
    async with reached(slack, redis, tmp_path, rules("{mention: none, dm: all}"), mode) as town:
        card = await town.town.asked(line="request vault/read-only 30m -- look <!here> & see")
        for who in (town.town.dan, town.town.eve):
            letter = await who.sees_dm(lambda m: "You can approve or deny it" in m.said())
            assert "*Mia* (mia@example.com) requests *Vault: read-only* for 30 min" in letter.said()
            assert "look &lt;!here&gt; &amp; see" in letter.said()
            assert (
                f"<https://local.slack.com/archives/{CHANNEL}/p{card.ts.replace('.', '')}|Open the card>"
                in letter.said()
            )
        await town.town.dan.click(card, "approve")
        await town.town.eve.sees_dm(lambda m: "No answer is needed any more: it was approved by Dan." in m.said())
        await town.town.card(town.town.id_of(card), "active until")
        await town.settled()
        assert [len(town.dms(who)) for who in ("dan", "eve")] == [1, 1]
        edits = [c for c in slack.calls if c.method == "chat.update" and c.args["channel"] == town.dm("eve")]
        last = ["No answer is needed any more" in str(c.args) for c in edits]
        # A card that Slack puts off has what still waits written anew.
        assert last.count(True) == 1, "and never again, whatever becomes of the request"
        assert last[-1]


@pytest.mark.parametrize(
    ("line", "said"),
    [("cancel", "it was cancelled"), ("deny", "it was denied by Dan"), ("void", "it was cancelled by the policy")],
)
async def test_however_it_is_decided_the_message_says_so(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path, line: str, said: str
) -> None:
    async with reached(slack, redis, tmp_path, rules("{mention: none, dm: all}"), "http") as town:
        card = await town.town.asked(line="request vault/read-only 30m -- to look at the vault")
        await town.town.eve.sees_dm(lambda m: "You can approve or deny it" in m.said())
        id_ = town.town.id_of(card)
        if line == "cancel":
            await town.town.mia.command("/jit", f"cancel {id_}", CHANNEL)
        elif line == "deny":
            await town.town.dan.click(card, "deny")
            await town.town.dan.submit(await town.town.dan.sees_view("deny"), {"reason": "not now"})
        else:
            await revoke.offboard(town.town.app.context, id_, "who asked has left")
        await town.town.eve.sees_dm(lambda m: said in m.said())
        await town.settled()
        assert len(town.dms("eve")) == 1


async def test_what_is_decided_before_it_was_told_is_not_told(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> None:
    async with reached(slack, redis, tmp_path, rules("{mention: none, dm: all}"), "http") as town:
        slack.faults.add("conversations.open", "error_500", None)
        card = await town.town.asked(line="request vault/read-only 30m -- to look at the vault")
        await town.town.mia.command("/jit", f"cancel {town.town.id_of(card)}", CHANNEL)
        await town.town.card(town.town.id_of(card), "cancelled")
        slack.faults.clear()
        await town.settled()
        assert town.dms("dan") == town.dms("eve") == []


async def test_of_very_many_the_first_are_told_and_the_card_says_so(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> None:
    crowd = [f"UD{n:02}" for n in range(MOST + 5)]
    for user in crowd:
        slack.add_person(user, user.title(), f"{user.lower()}@example.com")
    slack.add_usergroup("S0DBA0001", "dba", ["UMIA", "UDAN", *crowd])
    async with reached(slack, redis, tmp_path, rules("{mention: none, dm: all}"), "http") as town:
        slack.limits.on = False
        card = await town.town.asked(line="request vault/read-only 30m -- to look at the vault")
        await town.settled()
        told = [user for user in (*crowd, "UDAN") if slack.messages(slack.world.dm(user).id)]
        assert len(told) == MOST
        assert f"{MOST} of {MOST + 7} approvers got a direct message." in card.said()


async def test_that_nobody_on_call_can_decide_is_said_on_the_card(
    slack: LocalSlack, redis: RedisServer, tmp_path: Path
) -> None:
    slack.add_usergroup("S0CALL001", "oncall", ["UKIM"])
    policy = rules("", extra="oncall: {slack_usergroup: S0CALL001}")
    async with reached(slack, redis, tmp_path, policy, "http") as town:
        card = await town.town.asked(line="request vault/read-only 30m -- to look at the vault")
        await town.settled()
        assert "Nobody on call may approve it." in card.said()
        assert town.dms("kim") == []


async def test_a_reminder_keeps_to_the_same(slack: LocalSlack, redis: RedisServer, tmp_path: Path) -> None:
    async with reached(slack, redis, tmp_path, rules("{mention: none, dm: all}"), "http") as town:
        card = await town.town.asked(line="request vault/read-only 30m -- to look at the vault")
        await town.town.mia.command("/jit", "remind", CHANNEL)
        await slack.sees(CHANNEL, lambda m: " needs 1 approval from `dba`" in m.text, thread=card.ts)
        await town.settled()
        assert town.mentions() == {}
        assert [len(town.dms(who)) for who in ("dan", "eve")] == [1, 1]
