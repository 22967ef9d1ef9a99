"""What rules make of a request is refused, required, shortened and recorded; and judged again at a start and later."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.access import extend, review, scheduled_start, submit
from bot.access import read as read_access
from bot.access.circumstances import TIME_LIMIT
from bot.access.review import ReviewDecision
from bot.access.rule_lookups import RuleLookups
from bot.core.errors import CannotExtend, NotAllowed, PolicyMoved
from bot.core.events import EVENT, Cancelled, Event, Started
from bot.core.lifecycle import fold
from bot.core.request import Request, State, Verb
from bot.core.verdict import Code, Members
from bot.policy import authorization
from bot.policy.catalog import Catalog, catalog_of
from bot.policy.schema import PolicyShape
from bot.policy.yaml_source import Source, read
from bot.store.store import Store
from tests.access.limited import live
from tests.house import POLICY, House, catalog

NO = ReviewDecision(verb=Verb.DENY, reason="not tonight")
WITH_CALL = POLICY.replace(
    "approvers: [dba]\n    roles:", "approvers: [dba]\n    on_call: on-call\n    roles:", 1
).replace("  security: {", "  on-call: {people: [mia@example.com]}\n  security: {", 1)
TICKETS = 'tickets: {jira: {url: "https://jira.example.com/{ticket}", secret: "env:JIRA"}}\n'
FREEZE = "{when: {frozen: [release]}, then: {deny: The release runs.}}"
MORE = "{when: {frozen: [release]}, then: {require: {steps: [{any_of: [security]}]}}}"
SHORT = "{when: {what: [vault]}, unless: {on_call: true}, then: {shorten: 10m}}"
APPROVE = "{when: {sensitivity: low, at_most: 1h%s}, then: approve, budget: 3/day}"
TICKET = 'ticket: {check: jira, pattern: "[A-Z]+-[0-9]+"}'


@dataclass
class World:
    """What calendars and ticket systems say; ``asked``: which tickets were asked for."""

    frozen: bool | None = False
    tickets: dict[str, bool | None] = field(default_factory=dict)
    slow: bool = False
    asked: list[str] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)

    async def is_frozen(self, _: Catalog, names: Sequence[str], at: float) -> Mapping[str, bool | None]:
        self.moments.append(at)
        return dict.fromkeys(names, self.frozen)

    async def exists(self, _: str, ticket: str) -> bool | None:
        self.asked.append(ticket)
        if self.slow:
            await asyncio.sleep(60)
        return self.tickets.get(ticket)


async def ruled(store: Store, world: World, *rules: str) -> House:
    """An open house with these rules; mia is on call."""
    text = WITH_CALL + TICKETS + "rules:\n" + "".join(f"  - {rule}\n" for rule in rules)
    lookups = RuleLookups(frozen=world.is_frozen, ticket_exists=world.exists)
    return await House(store, by_rules(text), lookups=lookups).open()


def by_rules(text: str) -> Catalog:
    """The policy of a text; which calendars there are is not checked here."""
    return catalog_of(PolicyShape.model_validate(read(Source("jit.yaml", text)).data))


async def counted(house: House) -> House:
    """With the ledgers of its roles."""
    await house.counter.run_once()
    return house


async def refusals(house: House) -> list[dict[str, Any]]:
    found: Any = await house.store.redis.xrange(house.store.keys.audit)
    return [json.loads(entry[b"event"]) for _, entry in found if entry[b"kind"] == b"refused"]


# deny


async def test_a_denial_by_a_rule_is_refused_with_its_sentence_and_audited(store: Store) -> None:
    house = await ruled(store, World(frozen=True), FREEZE)
    with pytest.raises(NotAllowed) as refused:
        await house.ask("mia")
    [reason] = refused.value.verdict.reasons
    assert (reason.code, reason.about) == (Code.DENIED_BY_RULE, ("1", "The release runs."))
    [audited] = await refusals(house)
    assert (audited["by"], audited["verb"], audited["about"]) == ("UMIA", "submit", "vault/read-only")
    assert audited["why"] == "denied_by_rule 1: The release runs."
    assert await store.open_at_all() == []
    assert (await store.counters("UMIA")).submits == 0


async def test_a_calendar_that_is_not_known_denies_until_it_is(store: Store) -> None:
    world = World(frozen=None)
    house = await ruled(store, world, FREEZE)
    with pytest.raises(NotAllowed) as refused:
        await house.ask("mia")
    assert [reason.code for reason in refused.value.verdict.reasons] == [Code.RULE_UNSURE]
    world.frozen = False
    assert (await house.ask("mia")).state is State.PENDING


async def test_a_freeze_is_looked_up_for_the_start_of_access(store: Store) -> None:
    world = World()
    house = await ruled(store, world, FREEZE)
    starts_at = await store.now() + 7200
    await house.ask("mia", starts_at=starts_at)
    assert set(world.moments) == {starts_at}


# require


async def test_a_required_step_is_in_the_record_and_filled_by_its_own_people(store: Store) -> None:
    house = await ruled(store, World(frozen=True), APPROVE % "", MORE)
    request = await house.ask("mia")
    assert request.state is State.PENDING, "no rule approves what needs more people"
    [step] = request.required_steps
    assert (step.any_of, step.count, step.rule, step.because) == (("security",), 1, 2, "one of security")
    assert (await house.approve("dan", request.id)).state is State.PENDING
    assert (await house.approve("sam", request.id)).state is State.GRANTING


async def test_what_is_required_stays_required_once_the_rule_no_longer_holds(store: Store) -> None:
    world = World(frozen=True)
    house = await ruled(store, world, MORE)
    request = await house.ask("mia")
    world.frozen = False
    house.policy = by_rules(WITH_CALL)
    await house.open()
    assert (await house.approve("dan", request.id)).state is State.PENDING
    assert (await house.approve("kim", request.id)).state is State.GRANTING


async def test_a_group_that_only_a_rule_names_reads_what_waits_for_it_and_nothing_else(store: Store) -> None:
    world = World(frozen=True)
    house = await ruled(store, world, MORE.replace("[security]", "[on-call]"))
    request = await house.ask("sam")
    world.frozen = False
    await house.ask("kim")
    on_call = house.actor("mia")
    assert authorization.systems_of(house.policy, on_call.roster, on_call.person) == ()
    assert [each.id for each in await read_access.waiting(house.context, on_call)] == [request.id]
    assert [each.id for each in await read_access.overseen(house.context, on_call)] == [request.id]
    assert "on-call" in authorization.deciding(house.policy), "Slack is asked about its people"


async def test_what_nobody_could_approve_is_refused(store: Store) -> None:
    alone = MORE.replace("[security]", "[on-call]")
    house = await ruled(store, World(frozen=True), alone)
    with pytest.raises(NotAllowed) as refused:
        await house.ask("mia")
    [reason] = refused.value.verdict.reasons
    assert (reason.code, reason.about) == (Code.NOBODY_TO_APPROVE, ("vault/read-only",))
    assert (await house.ask("sam")).state is State.PENDING


# shorten, approve


async def test_what_is_shortened_says_by_what_and_what_was_requested(store: Store) -> None:
    house = await ruled(store, World(), SHORT)
    request = await house.ask("sam", duration=1800)
    assert (request.asked, request.duration) == (1800, 600)
    assert request.shortened is not None
    assert (request.shortened.rule, request.shortened.asked) == (1, 1800)
    assert (await house.approve("dan", request.id)).duration == 600
    entries: Any = await store.redis.xrange(store.keys.audit)
    [entry] = [entry for _, entry in entries if entry[b"kind"] == b"submitted"]
    assert fold([EVENT.validate_json(entry[b"event"])]).asked == 1800
    assert (await house.ask("mia", duration=1800)).shortened is None, "who is on call has it as long"


async def test_whoever_is_on_call_is_approved_at_once(store: Store) -> None:
    house = await ruled(store, World(), APPROVE % ", on_call: true")
    request = await house.ask("mia")
    assert request.rule is not None
    assert (request.state, request.rule.also) == (State.GRANTING, ("requester on call",))
    assert (await house.ask("sam")).state is State.PENDING


# tickets


@pytest.mark.parametrize(("exists", "state"), [(True, State.GRANTING), (False, State.PENDING), (None, State.PENDING)])
async def test_a_rule_approves_for_a_ticket_that_surely_exists(store: Store, exists: bool | None, state: State) -> None:
    world = World(tickets={"INC-1": exists})
    house = await ruled(store, world, APPROVE % f", {TICKET}")
    request = await house.ask("mia")
    assert request.state is state
    assert [(each.check, each.ticket, each.exists) for each in request.tickets] == (
        [] if exists is None else [("jira", "INC-1", exists)]
    )
    assert world.asked == ["INC-1"]


async def test_a_slow_ticket_system_keeps_nobody_waiting(store: Store) -> None:
    house = await ruled(store, World(slow=True), APPROVE % f", {TICKET}")
    began = time.monotonic()
    assert (await house.ask("mia")).state is State.PENDING
    assert time.monotonic() - began < 4 * TIME_LIMIT


async def test_no_ticket_is_asked_for_where_none_is_named_or_no_rule_asks(store: Store) -> None:
    world = World()
    house = await ruled(store, world, APPROVE % f", {TICKET}")
    assert (await house.ask("mia", reason="it is on fire")).state is State.PENDING
    other = await ruled(store, world, SHORT)
    await other.ask("sam")
    assert world.asked == []


# counted


async def test_a_persons_denials_of_the_role_are_counted(store: Store) -> None:
    twice = "{when: {denied_lately: {count: 2, within: 1d}}, then: {deny: You were denied twice today.}}"
    house = await counted(await ruled(store, World(), twice))
    for _ in range(2):
        request = await house.ask("mia")
        await review.review(house.context, house.actor("dan"), request.id, NO)
    with pytest.raises(NotAllowed) as refused:
        await house.ask("mia")
    assert [reason.code for reason in refused.value.verdict.reasons] == [Code.DENIED_BY_RULE]
    assert (await house.ask("sam")).state is State.PENDING, "denials are a person's own"
    assert (await house.ask("mia", "vault/shared")).state is State.PENDING, "and of the role"


async def test_of_many_at_once_a_rule_approves_as_many_as_are_to_be_live(store: Store) -> None:
    few = "{when: {sensitivity: low, at_most: 1h}, unless: {live: 2}, then: approve, budget: 3/day}"
    house = await counted(await ruled(store, World(), few))
    made = await asyncio.gather(*(house.ask(f"p{n}") for n in range(6)))
    assert sorted(request.state for request in made) == [State.GRANTING] * 2 + [State.PENDING] * 4


@pytest.mark.parametrize("how", ["deleted", "forged"])
async def test_a_count_that_is_gone_or_forged_loosens_nothing(store: Store, how: str) -> None:
    few = "{when: {sensitivity: low, at_most: 1h}, unless: {live: 1}, then: approve, budget: 3/day}"
    twice = "{when: {denied_lately: {within: 1d}}, then: {deny: You were denied today.}}"
    house = await counted(await ruled(store, World(), few))
    assert (await house.ask("mia")).rule
    key = store.keys.usage("vault/read-only")
    await (store.redis.delete(key) if how == "deleted" else store.redis.append(key, "x"))
    waiting = await house.ask("sam")
    assert waiting.state is State.PENDING
    assert (await house.approve("dan", waiting.id)).state is State.GRANTING, "people decide meanwhile"
    marked: Any = await store.redis.get(key)
    assert marked.decode() == f"? {waiting.id}", "a worker that is counting begins again"
    await counted(house)
    assert (await live(store, house.policy, "vault/read-only")) == 2
    assert (await house.ask("kim")).state is State.PENDING
    strict = await ruled(store, World(), twice)
    await (store.redis.delete(key) if how == "deleted" else store.redis.append(key, "x"))
    with pytest.raises(NotAllowed) as refused:
        await strict.ask("eve")
    assert [reason.code for reason in refused.value.verdict.reasons] == [Code.RULE_UNSURE]


async def test_an_older_count_that_no_process_remembers_is_believed_until_it_is_counted_again(store: Store) -> None:
    few = "{when: {sensitivity: low, at_most: 1h}, unless: {live: 1}, then: approve, budget: 3/day}"
    house = await counted(await ruled(store, World(), few))
    key = store.keys.usage("vault/read-only")
    old: Any = await store.redis.get(key)
    assert (await house.ask("mia")).rule
    await store.redis.set(key, old)
    assert (await house.ask("sam")).state is State.PENDING, "this process remembers"
    await store.redis.set(key, old)
    other = House(Store(store.redis, store.workspace, store.ring), house.policy)
    assert (await other.ask("eve")).rule, "a limit that the security guide admits"
    await store.redis.set(key, old)
    await counted(other)
    assert (await other.ask("kim")).state is State.PENDING


# a later start


async def scheduled(house: House, name: str = "mia", *by: str) -> Request:
    request = await house.ask(name, starts_at=await house.store.now() + 3600)
    for who in by:
        request = await house.approve(who, request.id)
    assert request.state is State.SCHEDULED
    return request


async def begun(house: House, request: Request, **groups: Members) -> Event | None:
    roster = {**house.actor("mia").roster, **{name.replace("_", "-"): members for name, members in groups.items()}}
    found = await scheduled_start.start_event(house.context, roster, request, await house.store.now())
    return found[0] if found else None


async def test_a_start_is_cancelled_by_a_rule_that_denies_it_then_and_waits_while_that_is_unknown(
    store: Store,
) -> None:
    world = World()
    house = await ruled(store, world, FREEZE)
    request = await scheduled(house, "mia", "dan")
    world.frozen = None
    assert await begun(house, request) is None
    world.frozen = True
    event = await begun(house, request)
    assert isinstance(event, Cancelled)
    assert event.reason == "rule 1 denies it now: The release runs."
    world.frozen = False
    assert isinstance(await begun(house, request), Started)


async def test_a_start_needs_the_approvals_that_a_rule_requires_then(store: Store) -> None:
    world = World()
    house = await ruled(store, world, MORE)
    request = await scheduled(house, "mia", "dan")
    world.frozen = None
    assert await begun(house, request) is None
    world.frozen = True
    event = await begun(house, request)
    assert isinstance(event, Cancelled)
    assert "rule 1 requires more approvals now: one of security" in event.reason
    world.frozen = False
    assert isinstance(await begun(house, request), Started)


async def test_two_rules_that_require_the_same_people_at_the_start_need_two_of_them(store: Store) -> None:
    world = World()
    always = "{when: {what: [vault]}, then: {require: {steps: [{any_of: [security]}]}}}"
    house = await ruled(store, world, always, MORE)
    request = await scheduled(house, "mia", "dan", "sam")
    assert isinstance(await begun(house, request), Started)
    world.frozen = True
    event = await begun(house, request)
    assert isinstance(event, Cancelled)
    assert "requires more approvals now: one of security" in event.reason


async def test_a_start_whose_record_has_the_required_approvals_begins(store: Store) -> None:
    world = World(frozen=True)
    house = await ruled(store, world, MORE)
    request = await scheduled(house, "mia", "dan", "sam")
    for frozen in (True, None, False):
        world.frozen = frozen
        assert isinstance(await begun(house, request), Started)


async def test_what_a_rule_approved_for_later_is_judged_by_its_conditions_then(store: Store) -> None:
    world = World()
    house = await ruled(store, world, APPROVE % ", on_call: true", MORE)
    request = await scheduled(house)
    assert isinstance(await begun(house, request), Started)
    assert await begun(house, request, on_call=Members(known=False)) is None
    gone = await begun(house, request, on_call=Members())
    assert isinstance(gone, Cancelled)
    assert "the rule that approved it no longer applies" in gone.reason
    world.frozen = True
    more = await begun(house, request)
    assert isinstance(more, Cancelled)
    assert "rule 2 requires more approvals now" in more.reason


async def test_a_ticket_counts_at_a_start_as_it_was_told_at_the_request(store: Store) -> None:
    world = World(tickets={"INC-1": True})
    house = await ruled(store, world, APPROVE % f", {TICKET}")
    request = await scheduled(house)
    world.tickets["INC-1"] = False
    assert isinstance(await begun(house, request), Started)
    assert world.asked == ["INC-1"]


async def test_a_request_that_has_its_place_does_not_count_against_itself(store: Store) -> None:
    one = "{when: {sensitivity: low, at_most: 1h}, unless: {live: 1}, then: approve, budget: 3/day}"
    house = await counted(await ruled(store, World(), one))
    request = await scheduled(house)
    assert isinstance(await begun(house, request), Started)


# an extension


async def extended(house: House, request: Request, more: int = 1800) -> Request:
    return await extend.extend(house.context, house.actor("mia"), request.id, more, "INC-1 still burns")


async def test_an_extension_is_denied_by_a_rule_at_the_end_that_it_extends(store: Store) -> None:
    world = World()
    house = await ruled(store, world, FREEZE)
    request = await house.granted()
    world.frozen, world.moments = True, []
    with pytest.raises(NotAllowed):
        await extended(house, request)
    assert set(world.moments) == {request.ends_at}
    assert (await refusals(house))[-1]["verb"] == "extend"
    assert (await house.now(request.id)).extension is None


async def test_an_extension_needs_what_a_rule_requires(store: Store) -> None:
    world = World()
    house = await ruled(store, world, MORE)
    request = await house.granted()
    world.frozen = True
    asked = await extended(house, request)
    assert asked.extension is not None
    assert [step.rule for step in asked.extension.required_steps] == [1]
    yes = ReviewDecision(verb=Verb.APPROVE)
    once = await review.review(house.context, house.actor("dan"), request.id, yes, extension=1)
    assert once.awaits_extension
    twice = await review.review(house.context, house.actor("sam"), request.id, yes, extension=1)
    assert not twice.awaits_extension


async def test_all_of_the_access_is_no_longer_than_a_rule_allows(store: Store) -> None:
    house = await ruled(store, World(), "{when: {what: [vault]}, then: {shorten: 40m}}")
    request = await house.granted()
    with pytest.raises(CannotExtend) as refused:
        await extended(house, request, 1200)
    assert (refused.value.why, refused.value.latest) == ("rule", request.granted_at + 2400)
    assert (await extended(house, request, 540)).extension


# the commit


async def test_a_policy_that_moved_since_the_verdict_records_nothing(store: Store) -> None:
    house = await ruled(store, World(), SHORT)
    submission = await submit.prepare(
        house.context, house.actor("sam"), submit.RequestForm(what="vault/read-only", reason="INC-1")
    )
    await store.policy.adopt("another")
    with pytest.raises(PolicyMoved):
        await submit.record(house.context, submission)
    assert await store.open_at_all() == []


def test_the_house_of_these_tests_is_a_policy() -> None:
    assert catalog(WITH_CALL + TICKETS).tickets.keys() == {"jira"}
