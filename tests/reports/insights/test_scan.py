"""A worker looks, what is new is on the record once, and who may snooze it is judged at the click."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.audit.archive.archive import Archive
from bot.core.audit_chain import Signer
from bot.core.errors import NotAllowed
from bot.core.verdict import Members, Roster
from bot.reports.insights import findings as insights
from bot.reports.insights import scan
from bot.reports.insights.cases import Insight
from bot.reports.insights.findings import SNOOZE
from bot.reports.insights.scan import Watching
from bot.store.indexes.insights import KNOWN, Insights
from bot.store.store import Store
from tests.audit.stories import keep
from tests.house import POLICY, House, catalog
from tests.reports.insights.stories import Story

AUDITED = POLICY.replace("  operators:", "  auditors: [audit]\n  operators:").replace(
    "groups:\n", "groups:\n  audit: {people: [ada@example.com]}\n"
)
KEY = "asked-again mia@example.com vault/read-only"


class AccessContext:
    """A house with an archive, and the part that watches."""

    def __init__(self, house: House, home: Path) -> None:
        self.house, self.home, self.roster = house, home, dict(house.actor("ada").roster)
        self.watching = Watching(house.context, self._groups, partial(Archive.open, "", home), interval=0.05)
        self.index = Insights(house.store)

    async def _groups(self) -> Roster:
        return self.roster

    async def happened(self, times: int = 5) -> None:
        """Mia was given the vault so often lately."""
        story, now = Story(), await self.house.store.now()
        for n in range(times):
            story.approved("mia", "dan", now - (times - n) * 3600)
        opened = Archive.open("", self.home, create=True)
        keep(opened, Signer(self.house.store.ring.subkeys("audit")), self.house.store.workspace, story.entries())
        opened.close()

    async def noted(self, kind: str) -> list[dict[str, Any]]:
        """The audit events of a kind, as the window has them."""
        rows: Any = await self.house.store.redis.xrange(self.house.store.keys.audit)
        return [json.loads(fields[b"event"]) for _, fields in rows if fields[b"kind"] == kind.encode()]


@pytest.fixture
async def desk(store: Store, tmp_path: Path) -> AccessContext:
    return AccessContext(await House(store, policy=catalog(AUDITED)).open(), tmp_path)


async def test_what_is_new_is_put_on_the_record_once(desk: AccessContext) -> None:
    await desk.happened()
    for _ in range(3):
        look = await desk.watching.scan()
        assert [seen.finding.key for seen in look.seen] == [KEY]
    [told] = await desk.noted("insight")
    assert told["finding"]["key"] == KEY
    assert len(told["finding"]["requests"]) == 5


async def test_a_finding_is_known_as_long_as_it_is_seen_and_new_again_a_month_after(desk: AccessContext) -> None:
    await desk.happened()
    await desk.watching.scan()
    key = desk.house.store.keys.seen(f"insight {KEY}")
    await desk.house.store.redis.expire(key, 50)
    await desk.watching.scan()
    assert await desk.house.store.redis.ttl(key) > KNOWN - 60
    await desk.house.store.redis.delete(key)  # as it lapses
    await desk.watching.scan()
    assert len(await desk.noted("insight")) == 2


async def test_since_when_it_is_seen_stays(desk: AccessContext) -> None:
    await desk.happened()
    first = await desk.watching.scan()
    again = await desk.watching.scan()
    assert again.at > first.at
    assert again.seen[0].first == first.seen[0].first == first.at


async def test_auditors_and_operators_see_and_snooze_and_nobody_else(desk: AccessContext) -> None:
    await desk.happened()
    await desk.watching.scan()
    for name in ("ada", "pat"):
        assert [seen.finding.key for seen in (await scan.see(desk.house.context, desk.house.actor(name))).seen] == [KEY]
    for name in ("mia", "dan"):
        with pytest.raises(NotAllowed):
            await scan.see(desk.house.context, desk.house.actor(name))
        with pytest.raises(NotAllowed):
            await scan.snooze(desk.house.context, desk.house.actor(name), KEY)
    assert await desk.noted("snoozed") == []
    assert {each["by"] for each in await desk.noted("refused")} == {"UMIA", "UDAN"}
    assert {(each["by"], each["read"]) for each in await desk.noted("read")} == {
        ("UADA", "insights"),
        ("UPAT", "insights"),
    }


async def test_what_is_snoozed_is_on_the_record_with_who_and_until_when(desk: AccessContext) -> None:
    await desk.happened()
    await desk.watching.scan()
    ada = desk.house.actor("ada")
    now = await desk.house.store.now()
    for _ in range(2):  # pressed twice is once
        [seen] = (await scan.snooze(desk.house.context, ada, KEY)).seen
        assert now + SNOOZE - 60 < seen.snoozed < now + SNOOZE + 60
    [told] = await desk.noted("snoozed")
    assert told["by"] == "UADA"
    assert told["key"] == KEY
    assert now + SNOOZE - 60 < told["until"] < now + SNOOZE + 60


async def test_nobody_snoozes_what_is_about_themself(desk: AccessContext) -> None:
    operators = POLICY.replace("[pat@example.com]", "[pat@example.com, Mia@example.com]")
    desk.house.policy = catalog(operators)
    await desk.happened()
    await desk.watching.scan()
    mia = desk.house.actor("mia").model_copy(
        update={"roster": {"platform": Members(identities=frozenset({"mia@example.com", "pat@example.com"}))}}
    )
    assert (await scan.see(desk.house.context, mia)).seen
    with pytest.raises(NotAllowed, match="about_themself"):
        await scan.snooze(desk.house.context, mia, KEY)
    assert [each["by"] for each in await desk.noted("refused")] == ["UMIA"]
    assert (await scan.snooze(desk.house.context, desk.house.actor("pat"), KEY)).seen[0].snoozed


async def test_a_finding_that_is_gone_is_not_snoozed(desk: AccessContext) -> None:
    await scan.snooze(desk.house.context, desk.house.actor("ada"), "asked-again somebody else")
    assert await desk.noted("snoozed") == []
    assert await desk.index.snoozed(["asked-again somebody else"]) == {}


async def test_what_is_snoozed_before_it_is_told_is_not_told_until_it_wakes(desk: AccessContext) -> None:
    await desk.happened()
    await desk.watching.scan()
    await scan.snooze(desk.house.context, desk.house.actor("ada"), KEY)
    await desk.house.store.redis.delete(desk.house.store.keys.seen(f"insight {KEY}"))
    look = await desk.watching.scan()
    assert len(look.seen) == 1
    assert len(await desk.noted("insight")) == 1
    await desk.house.store.redis.delete(desk.house.store.keys.seen(f"snoozed {KEY}"))  # as it lapses
    await desk.watching.scan()
    assert len(await desk.noted("insight")) == 2


async def test_of_several_workers_one_looks_at_a_time_and_one_without_an_archive_goes_on(desk: AccessContext) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(desk.watching.run(stop))
    await desk.happened()
    async with asyncio.timeout(30):
        while not (await scan.see(desk.house.context, desk.house.actor("ada"))).seen:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    stop.set()
    await running
    await desk.house.store.redis.delete(desk.house.store.keys.insights_turn)
    assert [await desk.index.turn(60) for _ in range(3)] == [True, False, False]


async def test_what_somebody_else_wrote_there_is_no_look(desk: AccessContext) -> None:
    await desk.index.save('{"at": 1, "seen": "all"}')
    assert (await scan.see(desk.house.context, desk.house.actor("ada"))).at == 0


async def test_members_are_seen_without_a_break_or_begin_anew(desk: AccessContext) -> None:
    both, one = frozenset({"UDAN", "UEVE"}), frozenset({"UDAN"})
    assert await desk.index.members({"dba": both}, 1000.0) == {"dba": {}}
    assert await desk.index.members({"dba": both}, 2000.0) == {"dba": {"UDAN": 1000.0, "UEVE": 1000.0}}
    assert await desk.index.members({}, 3000.0) == {}  # nobody told who is in it
    assert await desk.index.members({"dba": one}, 4000.0) == {"dba": {"UDAN": 1000.0}}
    assert await desk.index.members({"dba": both}, 5000.0) == {"dba": {"UDAN": 1000.0}}
    assert await desk.index.members({"dba": both}, 6000.0) == {"dba": {"UDAN": 1000.0, "UEVE": 5000.0}}


async def test_a_group_that_slack_does_not_tell_is_not_counted(desk: AccessContext) -> None:
    await desk.happened()
    await desk.watching.scan()
    assert await desk.house.store.redis.hlen(desk.house.store.keys.insights_members) == 2
    desk.roster["dba"] = Members(known=False)
    await desk.watching.scan()
    assert await desk.house.store.redis.hlen(desk.house.store.keys.insights_members) == 2


async def test_what_is_kept_is_bounded_and_lapses(desk: AccessContext, monkeypatch: pytest.MonkeyPatch) -> None:
    many: Callable[..., list[Insight]] = insights.look
    await desk.happened(60)

    def look(*args: Any, **more: Any) -> list[Insight]:
        [found] = many(*args, **more)[:1]
        return [found.__class__(**{**insights.document(found), "key": f"k{n}"}) for n in range(insights.MOST)]

    monkeypatch.setattr(insights, "look", look)
    await desk.watching.scan()
    store = desk.house.store
    assert await store.redis.strlen(store.keys.insights) < 200_000
    for key in (store.keys.insights, store.keys.insights_members, store.keys.seen("insight k1")):
        assert await store.redis.ttl(key) > 0


async def test_a_look_that_breaks_is_tried_again_soon(desk: AccessContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> list[Insight]:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(insights, "look", broken)
    desk.watching.interval = 3600.0
    await desk.happened()
    await desk.watching.loop.once()
    assert 0 < await desk.house.store.redis.ttl(desk.house.store.keys.insights_turn) <= 300
