"""What matters rings, what does not stays quiet: the pushes of each life of a request, counted in the local Slack.

A plain request rings its requester at most three times (granted, warning, ended or expired) and an approver once.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

import bot.access.form_fields
from bot.app import App
from bot.core import deadlines
from bot.core.request import State
from bot.playground import LocalSlack, Message
from handlers.views.message import LOCK_SCREEN
from tests.handlers.views.test_message import whole
from tests.house import POLICY
from tests.journeys.conftest import CHANNEL, Mode, Town, running, settings_for
from tests.journeys.rings import Rings
from tests.servers import RedisServer

NOBODY: list[str] = []
ASKED = ["Mia requests"]
GRANTED, WARNED = "You have access until", r"\(J-\w+\) ends <!date"
ENDED = r"Access expired"


class Noisy(Town):
    """A town whose doors fail where a test says so, and whose rings are counted."""

    doors: Path

    @property
    def rings(self) -> Rings:
        return Rings(self.slack)

    def fails(self, verb: str, does: str) -> None:
        """From now on, the system answers so."""
        (self.doors / "faults.json").write_text(json.dumps([{"verb": verb, "does": does}]))

    async def is_in(self, id_: str, state: State) -> None:
        """The request gets there, and all is told."""
        async with asyncio.timeout(40):
            while (await self.app.context.find_by_id(id_)).request.state is not state:  # noqa: ASYNC110  # a task of the app's
                await asyncio.sleep(0.02)
        await self.settled()

    async def settled(self) -> None:
        """All is told."""
        async with asyncio.timeout(30):
            while await self.app.announcer.outbox.waiting():  # noqa: ASYNC110  # a task of the app's
                await asyncio.sleep(0.02)

    async def open(self, duration: str = "30m") -> tuple[str, Message]:
        """Mia has access, and knows it; the request's id and its card."""
        card = await self.asked(line=f"request vault/read-only {duration} -- to look at the vault")
        id_ = self.id_of(card)
        await self.dan.click(card, "approve")
        active = await self.card(id_, "active until")
        await self.settled()
        return id_, active


async def approved_and_expired(town: Noisy) -> None:
    id_, _ = await town.open("8s")
    await town.is_in(id_, State.ENDED)


async def denied(town: Noisy) -> None:
    card = await town.asked()
    await town.dan.click(card, "deny")
    await town.dan.submit(await town.dan.sees_view("deny"), {"reason": "not during the freeze"})
    await town.is_in(town.id_of(card), State.DENIED)


async def cancelled(town: Noisy) -> None:
    card = await town.asked()
    await town.mia.command("/jit", "cancel", CHANNEL)
    await town.is_in(town.id_of(card), State.CANCELLED)


async def failed_to_grant(town: Noisy) -> None:
    town.fails("grant", "refuse")
    card = await town.asked()
    await town.dan.click(card, "approve")
    await town.is_in(town.id_of(card), State.FAILED)


async def extended(town: Noisy) -> None:
    id_, _ = await town.open("9s")
    await town.mia.command("/jit", "extend 6s -- not done yet", CHANNEL)
    card = await town.card(id_, "to extend until")
    await town.settled()
    await town.dan.click(card, "extend_approve")
    await town.card(id_, "Extended; Dan approved")
    await town.is_in(id_, State.ENDED)


async def not_extended_by_an_approver(town: Noisy) -> None:
    id_, _ = await town.open()
    await town.mia.command("/jit", "extend 1h -- not done yet", CHANNEL)
    await town.dan.click(await town.card(id_, "to extend until"), "extend_deny")
    await town.dan.submit(await town.dan.sees_view("extend_deny"), {"reason": "not tonight"})
    await town.card(id_, "denied the extension")
    await town.settled()


async def not_extended_by_the_system(town: Noisy) -> None:
    id_, _ = await town.open()
    town.fails("extend", "refuse")
    await town.mia.command("/jit", "extend 1h -- not done yet", CHANNEL)
    await town.dan.click(await town.card(id_, "to extend until"), "extend_approve")
    await town.card(id_, "Not extended")
    await town.settled()


async def not_extended_by_anybody(town: Noisy) -> None:
    id_, _ = await town.open("8s")
    await town.mia.command("/jit", "extend 1h -- not done yet", CHANNEL)
    await town.is_in(id_, State.ENDED)


async def ended_early_by_an_approver(town: Noisy) -> None:
    id_, card = await town.open()
    await town.dan.click(card, "revoke")
    await town.dan.submit(await town.dan.sees_view("revoke"), {"reason": "too risky now"})
    await town.is_in(id_, State.ENDED)


async def released_by_the_holder(town: Noisy) -> None:
    id_, _ = await town.open()
    await town.mia.command("/jit", "release", CHANNEL)
    await town.is_in(id_, State.ENDED)


async def scheduled(town: Noisy) -> None:
    await town.mia.command("/jit", "request vault/read-only 8s", CHANNEL)
    form = await town.mia.sees_view("ask")
    starts = int((await town.app.store.now()) + 5)
    assert (await town.mia.submit(form, {"reason": "the nightly run", "start": starts})).errors == {}
    card = await town.slack.sees(CHANNEL, lambda m: "If approved: access for" in m.said())
    id_ = town.id_of(card)
    await town.dan.click(card, "approve")
    await town.is_in(id_, State.ENDED)


async def expired_undecided(town: Noisy) -> None:
    card = await town.asked()
    await town.is_in(town.id_of(card), State.EXPIRED)


async def revoked_by_lockdown(town: Noisy) -> None:
    id_, _ = await town.open()
    await town.pat.command("/jit", "lockdown INC-9 a key leaked", CHANNEL)
    await town.pat.submit(await town.pat.sees_view("lockdown"), {})
    await town.is_in(id_, State.ENDED)


async def closing_stuck(town: Noisy) -> None:
    id_, card = await town.open()
    town.fails("revoke", "unsure")
    await town.dan.click(card, "revoke")
    await town.dan.submit(await town.dan.sees_view("revoke"), {"reason": "too risky now"})
    await town.slack.sees(CHANNEL, lambda m: "Access not revoked yet" in m.said())
    await town.is_in(id_, State.REVOKING)


EARLY = r"<@UDAN> ended it early: too risky now"
Life = Callable[[Noisy], Awaitable[None]]
LIVES: dict[Life, tuple[list[str], list[str]]] = {
    approved_and_expired: ([GRANTED, WARNED, ENDED], ASKED),
    denied: (["Dan denied: not during the freeze"], ASKED),
    cancelled: (NOBODY, ASKED),
    failed_to_grant: (["could not be granted. No access was given"], ASKED),
    extended: ([GRANTED, "is extended until .* Dan approved", WARNED, ENDED], [*ASKED, "Mia asks to extend .* until"]),
    not_extended_by_an_approver: ([GRANTED, "is not extended.*Dan denied"], [*ASKED, "Mia asks to extend .* until"]),
    not_extended_by_the_system: ([GRANTED, "is not extended"], [*ASKED, "Mia asks to extend .* until"]),
    not_extended_by_anybody: (
        [GRANTED, WARNED, f"{ENDED}. Nobody answered the extension"],
        [*ASKED, "Mia asks to extend .* until"],
    ),
    ended_early_by_an_approver: ([GRANTED, EARLY], ASKED),
    released_by_the_holder: ([GRANTED], ASKED),
    scheduled: (["Dan approved .* Access starts", GRANTED, WARNED, ENDED], ASKED),
    expired_undecided: (["Nobody answered in time"], [*ASKED, "Reminder: .* needs"]),
    revoked_by_lockdown: ([GRANTED, "ended it early: lockdown by Pat: INC-9"], ASKED),
    closing_stuck: ([GRANTED, EARLY], ASKED),
}
"""How each life goes → what rings its requester, and what an approver, in order: the text of each on a lock screen."""
_SHORT_PENDING = {expired_undecided}


@pytest.fixture(params=["http", "socket"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return request.param  # type: ignore[no-any-return]  # one of the two


@pytest.fixture
def life(request: pytest.FixtureRequest) -> Life:
    return request.param  # type: ignore[no-any-return]  # one of LIVES


@pytest.fixture
async def town(
    life: Life, mode: Mode, slack: LocalSlack, redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Noisy]:
    """A workspace where ends are seconds away, and are warned of."""
    monkeypatch.setattr(deadlines, "_SHORTEST_WARNING", 1)
    monkeypatch.setattr(bot.access.form_fields, "SOONEST", 1)
    slack.limits.on = False
    doors = tmp_path / "doors"
    doors.mkdir()
    pending = "\n  pending: 6s" if life in _SHORT_PENDING else ""
    policy = POLICY.replace("break_glass: off}", f"break_glass: off}}\n  warn: 5s{pending}", 1)
    policy = policy.replace("provider: sandbox", f"provider: sandbox\n    config: {{path: {doors}}}", 1)
    async with running(settings_for(slack, redis, mode, tmp_path, policy)) as app:
        if mode == "http":
            slack.deliver_to(f"http://127.0.0.1:{app.port}/slack/events")
        await (slack.connected() if mode == "socket" else asyncio.sleep(0))
        yield made(slack, app, doors)


def made(slack: LocalSlack, app: App, doors: Path) -> Noisy:
    town = Noisy(slack, app)
    town.doors = doors
    return town


@pytest.mark.parametrize("life", LIVES, indirect=True, ids=lambda life: life.__name__)
async def test_each_life_of_a_request_rings_whom_it_concerns_and_no_more(town: Noisy, life: Life) -> None:
    await life(town)
    (town.doors / "faults.json").unlink(missing_ok=True)
    for who, expected in zip(("mia", "dan"), LIVES[life], strict=True):
        rang = town.rings.of(who)
        assert len(rang) == len(expected), rang
        for text, said in zip(rang, expected, strict=True):
            assert re.search(said, text), text
            assert len(text) <= LOCK_SCREEN
            assert whole(text), text


def test_the_budget_of_a_plain_request_is_three_pushes_and_one() -> None:
    """Beyond it is what an extension, a start that is still to come, or a reminder is for, and no more than that."""
    for life, (requester, approver) in LIVES.items():
        assert len(requester) <= 3 + (life in {extended, scheduled}), life
        asked_again = "extended" in life.__name__ or life is expired_undecided
        assert len(approver) == 1 + asked_again, life
