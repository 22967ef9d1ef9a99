"""Somebody accepts a request after its start has passed: all of it is judged at that moment, and runs from then on.

A request cannot be made for a start that is past; here it is, in place of the wait until a start has passed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from bot.access import consent, submit
from bot.access.rule_lookups import RuleLookups
from bot.core.errors import Late, NotAllowed, Overtaken
from bot.core.limit_errors import OverLimit
from bot.core.request import Request, State
from bot.core.verdict import Code
from bot.policy.catalog import Catalog
from bot.store.store import Store
from tests.access.limited import policy
from tests.access.test_rule_outcomes import by_rules
from tests.house import House, person

OTHERS = "may_ask: [everyone]\n        may_ask_for: [platform]\n"
PASSED = 120.0
"""Seconds since the start; less than its grace, 15 min."""


@dataclass
class Freeze:
    """A freeze that is on within these times, Unix seconds."""

    since: float = 0.0
    until: float = 0.0

    async def is_on(self, _: Catalog, names: Sequence[str], at: float) -> Mapping[str, bool | None]:
        """Whether it is on then."""
        return dict.fromkeys(names, self.since <= at < self.until)


@pytest.fixture(autouse=True)
def any_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start may be past when it is requested."""
    monkeypatch.setattr(submit, "check_start", lambda *_: None)


async def house_of(store: Store, *rules: str, role: str = "", freeze: Freeze | None = None) -> House:
    """An open house where Pat may request each role for others."""
    text = policy(role=role).replace("may_ask: [everyone]\n", OTHERS)
    text += "rules:\n" + "".join(f"  - {rule}\n" for rule in rules) if rules else ""
    lookups = RuleLookups(frozen=(freeze or Freeze()).is_on)
    house = House(store, by_rules(text), lookups=lookups)
    house.systems = {"vault": house.sandbox, "billing": house.sandbox}
    house.__post_init__()
    return await house.open()


async def filed(house: House, passed: float = PASSED) -> Request:
    """Pat requested it for Mia, and its start has passed since."""
    whom, start = person(house.store.workspace, "mia"), int(await house.store.now() - passed)
    draft = await house.ask("pat", "vault/read-only", requested_for=whom, starts_at=start)
    assert (draft.state, draft.starts_at) == (State.DRAFT, start)
    return draft


async def accept(house: House, draft: Request) -> Request:
    """Mia accepts it."""
    return await consent.accept(house.context, house.actor("mia"), draft.id)


FROZEN = "{when: {frozen: [release]}, then: {deny: The release runs.}}"
APPROVE = "{when: {sensitivity: low, at_most: 1h}, then: approve, budget: 3/day}"


async def test_a_freeze_counts_that_is_on_now_and_none_that_was_on_at_the_start(store: Store) -> None:
    freeze = Freeze()
    house = await house_of(store, FROZEN, freeze=freeze)
    draft, now = await filed(house), await house.store.now()
    freeze.since, freeze.until = now - 60, now + 3600
    with pytest.raises(NotAllowed) as refused:
        await accept(house, draft)
    assert [reason.code for reason in refused.value.verdict.reasons] == [Code.DENIED_BY_RULE]
    assert (await house.now(draft.id)).state is State.DRAFT
    freeze.since, freeze.until = now - 3600, now - 60
    assert (await accept(house, draft)).state is State.PENDING


async def test_the_hours_of_a_rule_are_those_of_the_consent(store: Store) -> None:
    now = datetime.fromtimestamp(await store.now(), UTC)
    since, until = (f"{at:%H:%M}" for at in (now, now + timedelta(hours=2)))
    hours = f'{{when: {{hours: {{from: "{since}", to: "{until}", timezone: UTC}}}}, then: {{deny: Not now}}}}'
    house = await house_of(store, hours)
    draft = await filed(house)  # two minutes ago it was not denied
    with pytest.raises(NotAllowed) as refused:
        await accept(house, draft)
    assert [reason.code for reason in refused.value.verdict.reasons] == [Code.DENIED_BY_RULE]


async def test_a_limit_that_was_reached_since_the_start_refuses_it(store: Store) -> None:
    house = await house_of(store, role="{live: 1}")
    await house.counter.run_once()
    draft = await filed(house)
    other = await house.approve("dan", (await house.ask("kim")).id)
    assert other.state is State.GRANTING
    with pytest.raises(OverLimit):
        await accept(house, draft)


async def test_approvers_have_until_the_end_of_the_grace_and_access_runs_from_the_approval(store: Store) -> None:
    house = await house_of(store)
    draft = await filed(house)
    request = await accept(house, draft)
    assert (request.state, request.decide_by) == (State.PENDING, draft.starts_at + 900)
    assert request.consented_at < request.remind_at < request.decide_by
    approved = await house.approve("dan", request.id)
    assert approved.state is State.GRANTING, "there is no start to wait for"
    await runs_as_long_as_asked(house, approved)


async def test_a_rule_that_approves_has_it_granted_at_once_and_run_from_then(store: Store) -> None:
    house = await house_of(store, APPROVE)
    request = await accept(house, await filed(house))
    assert request.rule
    assert request.state is State.GRANTING
    assert request.approved_at == request.consented_at
    await runs_as_long_as_asked(house, request)


async def runs_as_long_as_asked(house: House, approved: Request) -> None:
    """Neither the time since the start is added, nor is it taken away."""
    assert approved.begun_at > approved.starts_at + PASSED - 1
    assert approved.not_after == approved.begun_at + approved.grant_budget + approved.duration
    await house.work()
    active = await house.now(approved.id)
    assert active.state is State.ACTIVE
    assert active.duration == 1800
    assert active.ends_at == active.granted_at + 1800
    assert active.granted_at >= approved.begun_at


async def test_after_the_grace_nobody_accepts_it(store: Store) -> None:
    house = await house_of(store)
    draft = await filed(house, passed=901)
    with pytest.raises(Late):
        await accept(house, draft)
    await house.until(draft.id, State.EXPIRED)
    with pytest.raises(Overtaken):
        await accept(house, draft)
