"""People at the local Slack, seeded: they ask, decide, extend and end as they may, and click what they may not.

What they may do is noted in the book; what they may not do is clicked and never noted.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from bot.playground import BadAnswer, Human, Message, NotThere, Reply, SlackRefusal, View
from bot.playground.block_tree import Json
from tests.chaos.adversary.book import Book, Entry
from tests.chaos.adversary.site import APPROVERS, CHANNEL, OPERATORS, SECURITY, STAFF, Site

T = TypeVar("T")
_ID = re.compile(r"J-[2-9A-HJ-NP-Z]{4,8}")
_CANCELLED = re.compile(r"taken back|cancelled|canceled", re.IGNORECASE)
_LOOK = 0.1
_BEFORE_AGAIN = 1.0
_REFUSED_WITHIN = 1.0
_PATIENCE = 6.0
_OVER = 25.0
"""Seconds after which whatever was asked for is over."""
_AT_ONCE = 14
_MISSED = (NotThere, BadAnswer, SlackRefusal, TimeoutError)


@dataclass
class People:
    """Everybody. ``until`` is when they stop beginning anything new, by the steady clock."""

    site: Site
    book: Book
    dice: Random
    until: float
    done: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    """What was answered to those who asked and got no id."""
    passwords: list[tuple[str, str, str]] = field(default_factory=list)
    """Each that was shown: the request, to whom, and what it is."""

    def __post_init__(self) -> None:
        """Nobody has asked yet."""
        self._numbers = itertools.count()
        self._kept: list[Message] = []

    async def live(self) -> None:
        """So many stories at a time, one after another, until it is time to stop."""
        await asyncio.gather(
            self._trespass(), self._look_around(), *(self._one_after_another() for _ in range(_AT_ONCE))
        )

    async def _one_after_another(self) -> None:
        await asyncio.sleep(self.dice.uniform(0.0, 2.0))
        while time.monotonic() < self.until:
            stories = [
                self._plain,
                self._critical,
                self._denied,
                self._cancelled,
                self._undecided,
                self._ruled,
                self._both,
            ]
            story = self.dice.choices(stories, [6, 3, 3, 1, 1, 3, 3])[0]
            self.done[f"story: {story.__name__.strip('_')}"] += 1
            with contextlib.suppress(*_MISSED):
                await story()
            await asyncio.sleep(self.dice.uniform(0.1, 0.6))

    # the stories

    async def _plain(self) -> None:
        what = self.dice.choice(["vault/read-only", "cache/reader", "db/reader", "vault/shared"])
        async with self._asked(self._newcomer(), what, self.dice.randint(5, 9)) as (entry, card):
            if entry and card and await self._approve(entry, card, self.dice.choice(APPROVERS)):
                await self._hold(entry)

    async def _both(self) -> None:
        who = self._newcomer()
        async with self._asked(who, "both", self.dice.choice([6, 8])) as (entry, card):
            first, second = self.dice.sample(APPROVERS, 2)  # each role needs one of its own
            if not (entry and card and await self._approve(entry, card, first)):
                return
            await self._approve(entry, card, second)
        async with self._asked(who, "vault/shared", self.dice.randint(5, 9)) as (more, card):
            if more and card:
                await self._approve(more, card, self.dice.choice(APPROVERS))

    async def _critical(self) -> None:
        async with self._asked(self._newcomer(), "vault/admin", self.dice.randint(5, 9)) as (entry, card):
            if not (entry and card):
                return
            order = [self.dice.choice(APPROVERS), self.dice.choice(SECURITY)]
            self.dice.shuffle(order)
            await self._approve(entry, card, order[0])
            await asyncio.sleep(self.dice.uniform(0.2, 1.5))
            if self.dice.random() < 0.7:
                await self._approve(entry, card, order[1])
                await self._hold(entry)

    async def _denied(self) -> None:
        async with self._asked(self._newcomer(), "vault/read-only", self.dice.randint(5, 9)) as (entry, card):
            if not (entry and card):
                return
            denier, other = self.dice.sample(APPROVERS, 2)
            if await self._in_a_modal(self._human(denier), card, "deny", entry.id):
                self.book.closed(entry.id, f"denied by {denier}")
            await asyncio.sleep(self.dice.uniform(0.5, 3.0))
            if entry.closed_at:
                # The card is still open before somebody who has not seen the denial.
                await self._press(other, card, "approve", entry.id)
                await self._press(entry.requester, card, "reveal", entry.id)

    async def _cancelled(self) -> None:
        async with self._asked(self._newcomer(), "vault/read-only", 6) as (entry, card):
            if not (entry and card):
                return
            reply = await self._type(entry.requester, f"cancel {entry.id}")
            if reply.status == 200 and _CANCELLED.search(reply.text):
                self.book.closed(entry.id, "cancelled")
                await asyncio.sleep(self.dice.uniform(0.2, 2.0))
                await self._press(self.dice.choice(APPROVERS), card, "approve", entry.id)

    async def _undecided(self) -> None:
        what = self.dice.choice(["vault/read-only", "vault/admin", "vault/shared"])
        async with self._asked(self._newcomer(), what, 6) as (entry, card):
            if entry and card:
                await self._press(entry.requester, card, "approve", entry.id)
                await self._press(self._newcomer(), card, "approve", entry.id)

    async def _ruled(self) -> None:
        async with self._asked(self.dice.choice(STAFF), "vault/lamp", self.dice.randint(5, 9), waits=False):
            pass

    async def _hold(self, entry: Entry) -> None:
        """What a holder does, once the access is there; a third of them lets the time pass."""
        requester = self._human(entry.requester)
        letter = await self._find(lambda: _with_button(requester.dms, entry.id, "release"))
        if letter is None:
            return
        self._kept.append(letter)
        if self.dice.random() < 0.5 and "reveal" in letter.buttons():
            await self._reveal(entry, letter)
        choice = self.dice.random()
        if choice < 0.25:
            await asyncio.sleep(self.dice.uniform(0.2, 2.0))
            if await self._accepted(entry.requester, letter, "release", entry.id):
                self.book.closed(entry.id, "given back")
        elif choice < 0.4:
            card = await self._find(lambda: _with_button(self.site.slack.messages(CHANNEL), entry.id, "revoke"))
            approver = self.dice.choice(APPROVERS)
            if card and await self._in_a_modal(self._human(approver), card, "revoke", entry.id):
                self.book.closed(entry.id, f"taken away by {approver}")
        elif choice < 0.65:
            await self._extend(entry)

    async def _extend(self, entry: Entry) -> None:
        more = self.dice.randint(5, 8)
        if (await self._type(entry.requester, f"extend {entry.id} {more}s -- not done yet")).status != 200:
            return
        card = await self._find(lambda: _with_button(self.site.slack.messages(CHANNEL), entry.id, "extend_approve"))
        if card and not entry.closed_at:
            await self._press(entry.requester, card, "extend_approve", entry.id)
            # A later end counts from the end that is known when it is asked for.
            entry.extended += more
            await self._press(self.dice.choice(APPROVERS), card, "extend_approve", entry.id)

    async def _reveal(self, entry: Entry, letter: Message) -> None:
        requester = self._human(entry.requester)
        await self._press(entry.requester, letter, "reveal", entry.id)
        view = await self._find(lambda: requester.view if requester.view and "```" in requester.view.said() else None)
        if view is not None:
            self.done["passwords shown"] += 1
            found = re.findall(r"```(.*?)```", view.said(), re.DOTALL)
            self.passwords += [(entry.id, entry.requester, word.strip()) for word in found[1:2]]
        for open_ in self.site.slack.world.stack(requester.id):
            requester.close_view(open_)

    # those who may not

    async def _trespass(self) -> None:
        """Clicks that must come to nothing: strangers, requesters, old cards, and buttons that carry another's id."""
        while time.monotonic() < self.until:
            await asyncio.sleep(self.dice.uniform(0.3, 1.2))
            ids = list(self.book.entries)
            if not ids:
                continue
            id_, who = self.dice.choice(ids), self._newcomer()
            entry = self.book.entries[id_]
            cards = [m for m in self.site.slack.messages(CHANNEL) if m.buttons()] or self._kept
            if not cards:
                continue
            card = self.dice.choice([*cards, *self._kept])
            action = self.dice.choice(["approve", "reveal", "release", "extend_approve", "revoke", "cancel", "deny"])
            self.done["clicks of those who may not"] += 1
            with contextlib.suppress(*_MISSED):
                if action in {"approve", "extend_approve"} and self.dice.random() < 0.5:
                    await self._press(entry.requester, card, action, id_)
                elif self._over(entry) and self.dice.random() < 0.5:
                    await self._press(entry.requester, card, "reveal", id_)
                elif self._over(entry):
                    # Where it was not decided yet, this is a decision like any other.
                    await self._approve(entry, card, self.dice.choice(APPROVERS))
                else:
                    await self._press(who, card, action, id_)

    @staticmethod
    def _over(entry: Entry) -> bool:
        return bool(entry.closed_at) or time.time() - entry.asked_at > _OVER

    async def _look_around(self) -> None:
        """Whoever reads makes the bot read what was tampered with; and now and then everything is locked down."""
        lines = ["list", "who vault", "audit", "insights", "digest", "", "show {}", "audit {}"]
        while time.monotonic() < self.until:
            await asyncio.sleep(self.dice.uniform(0.8, 2.5))
            who = self.dice.choice([*APPROVERS, *SECURITY, *OPERATORS])
            ids = list(self.book.entries) or ["J-ZZZZ"]
            with contextlib.suppress(*_MISSED):
                if self.dice.random() < 0.3:
                    await self._human(who).opens_home()
                elif self.dice.random() < 0.1:
                    await self._lock_down()
                elif self.dice.random() < 0.25:
                    await self._lift()
                else:
                    await self._type(who, self.dice.choice(lines).format(self.dice.choice(ids)))

    async def _lock_down(self) -> None:
        """One operator locks everything down, and a little later two lift it."""
        first = self._human(OPERATORS[0])
        await first.command("/jit", "lockdown INC-9 for a moment", CHANNEL)
        view = await self._find(lambda: _view(first, "lockdown"))
        if view is None or not _done(await first.submit(view, {})):
            return
        self.done["lockdowns"] += 1
        self.book.locked.append((time.time() + 1.0, 0.0))
        await asyncio.sleep(self.dice.uniform(1.0, 3.0))
        await self._lift()

    async def _lift(self) -> None:
        """Whatever stands, of theirs or since the bot is in doubt; from the first word on it may be lifted."""
        if self.book.locked and not self.book.locked[-1][1]:
            self.book.locked[-1] = (self.book.locked[-1][0], time.time())
        for name in OPERATORS:
            await self._human(name).command("/jit", "lockdown lift", CHANNEL)

    # the means

    def _newcomer(self) -> str:
        name = f"p{next(self._numbers)}"
        self.site.somebody(name)
        return name

    def _human(self, name: str) -> Human:
        return self.site.slack.person(f"U{name.upper()}")

    @contextlib.asynccontextmanager
    async def _asked(
        self, who: str, what: str, seconds: int, *, waits: bool = True
    ) -> AsyncIterator[tuple[Entry | None, Message | None]]:
        """The request, and its card once it stands in the channel with buttons."""
        # Until the answer is here, and for good where it names none: a rule may open it before that.
        self.book.unknown[what] += 1
        reply = await self._type(who, f"request {what} {seconds}s -- INC-1 the thing is stuck")
        found = _ID.search(reply.text) if reply.status == 200 else None
        if found is None:
            self.answers[f"{reply.status} {_ID.sub('J-…', reply.text)[:90]}"] += 1
            await asyncio.sleep(_BEFORE_AGAIN)
            yield None, None
            return
        entry = self.book.asked(found[0], who, what, seconds)
        self.book.unknown[what] -= 1
        self.done["asked"] += 1
        messages = self.site.slack.messages
        card = await self._find(lambda: _with_button(messages(CHANNEL), entry.id, "approve")) if waits else None
        if card:
            self._kept.append(card)
        yield entry, card

    async def _approve(self, entry: Entry, card: Message, who: str) -> bool:
        self.book.approving(entry.id, who)
        return (await self._press(who, card, "approve", entry.id)).status == 200

    async def _type(self, who: str, line: str) -> Reply:
        self.book.clicks += 1
        return await self._human(who).command("/jit", line, CHANNEL)

    async def _press(self, who: str, message: Message, action: str, id_: str) -> Reply:
        """Press a button, or deliver what such a button would: a client may be made to send anything."""
        self.book.clicks += 1
        human = self._human(who)
        element: Json = {"type": "button", "action_id": action, "block_id": "b", "value": id_}
        acked = await self.site.slack.delivery.interactive(human.click_payload(message, element))
        return Reply(acked.status, str(acked.body or ""), acked.seconds, body=acked.body)

    async def _accepted(self, who: str, message: Message, action: str, id_: str) -> bool:
        """Whether a press was taken: a refusal is told to the person alone, and soon."""
        human = self._human(who)
        told = len(_answers(human))
        if (await self._press(who, message, action, id_)).status != 200:
            return False
        until = time.monotonic() + _REFUSED_WITHIN
        while time.monotonic() < until:
            if len(_answers(human)) > told:
                return False
            await asyncio.sleep(_LOOK)
        return True

    async def _in_a_modal(self, human: Human, card: Message, action: str, id_: str) -> bool:
        """Press, and give the reason that is asked for; whether it was accepted."""
        await self._press(human.id[1:].lower(), card, action, id_)
        view = await self._find(lambda: _view(human, action, id_))
        return view is not None and _done(await human.submit(view, {"reason": "not now, thank you"}))

    async def _find(self, look: Callable[[], T | None]) -> T | None:
        """Wait for it for a while; None where the bot, or an intruder, keeps it from coming."""
        until = time.monotonic() + _PATIENCE
        while (found := look()) is None and time.monotonic() < until:  # noqa: ASYNC110  # processes change it
            await asyncio.sleep(_LOOK)
        return found


def _with_button(messages: list[Message], id_: str, action: str) -> Message | None:
    for message in reversed(messages):
        button = message.buttons().get(action)
        if button and button.get("value") == id_:
            return message
    return None


def _answers(human: Human) -> list[Message]:
    """What only this person sees, but for what follows a request by itself."""
    return [message for message in human.ephemerals if "reached now" not in message.said()]


def _view(human: Human, callback: str, about: str = "") -> View | None:
    """What the person looks at, if it is that modal and of that request."""
    if human.view is None or human.view.body.get("callback_id") != callback:
        return None
    return human.view if about in human.view.body.get("private_metadata", "") else None


def _done(reply: Reply) -> bool:
    """A modal that closes, or shows what was done, was accepted; errors at an input are a no, and so is a lockdown."""
    return reply.status == 200 and not reply.errors and "Locked down" not in str(reply.body)
