"""A replay says of each past request what another policy would have made of it, by the decisions that were given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from bot.access import submit
from bot.access.submit import RequestForm
from bot.audit.archive.archive import Archive
from bot.core.audit_chain import AuditEntry, Signer
from bot.core.verdict import Actor, Members
from bot.policy.conditions import Circumstances
from bot.policy.loader import can_extend, consequence
from bot.reports.replay import Fate, Replay, Replayed, replay
from tests.audit.stories import keep
from tests.house import POLICY, catalog, person
from tests.reports.insights.stories import DAY, NOON, Story, W

GROUPS: Mapping[str, Sequence[str]] = {"dba": ("dan@example.com", "Eve@example.com")}
SPAN = (NOON - DAY, NOON + 30 * DAY)
READ = "sensitivity: low\n        max: 8h\n        may_ask: [everyone]"
TWO = POLICY.replace(READ, f"{READ}\n        approval: {{steps: [{{any_of: [dba]}}, {{any_of: [security]}}]}}", 1)
RULE = POLICY + "\nrules: [{when: {sensitivity: low, at_most: 1h}, then: approve, budget: 2/day}]\n"


class Played:
    """A story in an archive, replayed."""

    def __init__(self, archive: Archive, signer: Signer) -> None:
        self.archive, self.signer, self.story = archive, signer, Story()

    def all(self, policy: str, groups: Mapping[str, Sequence[str]] = GROUPS, *also: AuditEntry) -> Replay:
        keep(self.archive, self.signer, W, [*self.story.entries(), *also])
        return replay(self.archive, W, catalog(policy), SPAN, groups, consequence, can_extend)

    def one(self, policy: str, groups: Mapping[str, Sequence[str]] = GROUPS) -> Replayed:
        [found] = self.all(policy, groups).requests
        return found


@pytest.fixture
def played(archive: Archive, signer: Signer) -> Played:
    return Played(archive, signer)


def test_by_the_same_policy_it_goes_as_it_went(played: Played) -> None:
    played.story.approved("mia", "dan", NOON)
    played.story.denied("mia", "eve", NOON + DAY)
    played.story.lapse(played.story.ask("mia", "vault", NOON + 2 * DAY), NOON + 2 * DAY + 3600)
    played.story.cancel(played.story.ask("mia", "vault", NOON + 3 * DAY), NOON + 3 * DAY + 60)
    found = played.all(POLICY).requests
    assert [each.fate for each in found] == [Fate.APPROVED, Fate.DENIED, Fate.WAITS, Fate.CANCELLED]
    assert [each.fate for each in found] == [each.past.fate for each in found]
    assert [each.longer for each in found] == [0.0, 0.0, None, None]
    assert all(each.same for each in found)


def test_another_step_waits_for_its_people_as_long_as_they_took_elsewhere(played: Played) -> None:
    played.story.approved("mia", "dan", NOON, wait=300)
    for n, wait in enumerate((600, 900, 5000)):
        played.story.approved("eve", "sam", NOON + (n + 1) * DAY, wait=wait)
    found = played.all(TWO).requests[0]
    assert (found.fate, found.outcome.missing) == (Fate.WAITS, ((("security",), 1),))
    assert (found.longer, found.estimated, found.same) == (600.0, True, False)


def test_of_a_group_that_never_decided_nothing_is_estimated(played: Played) -> None:
    played.story.approved("mia", "dan", NOON)
    found = played.one(TWO)
    assert (found.fate, found.longer, found.estimated, found.same) == (Fate.WAITS, None, False, False)


def test_a_rule_approves_at_once_as_often_as_its_budget_says_within_any_24_hours(played: Played) -> None:
    for hour in (0, 1, 2, 24.5):
        played.story.approved("mia", "dan", NOON + hour * 3600)
    played.story.approved("kim", "dan", NOON + 3 * 3600)
    found = played.all(RULE).requests
    fates = {(each.past.first.requester.name, each.past.first.at - NOON): (each.fate, each.longer) for each in found}
    assert fates == {
        ("Mia", 0.0): (Fate.BY_RULE, -300.0),
        ("Mia", 3600.0): (Fate.BY_RULE, -300.0),
        ("Mia", 7200.0): (Fate.APPROVED, 0.0),
        ("Kim", 10800.0): (Fate.BY_RULE, -300.0),
        ("Mia", 88200.0): (Fate.BY_RULE, -300.0),
    }


def test_whoever_may_not_request_any_more_is_refused_and_a_role_that_is_gone_is_too(played: Played) -> None:
    played.story.approved("mia", "dan", NOON)
    found = played.one(POLICY.replace("may_ask: [everyone]", "may_ask: [security]", 1))
    assert (found.fate, found.same) == (Fate.REFUSED, False)
    renamed = POLICY.replace("read-only", "reader")
    again = replay(played.archive, W, catalog(renamed), SPAN, GROUPS, consequence, can_extend).requests
    assert [each.fate for each in again] == [Fate.REFUSED]


@pytest.mark.parametrize("yes", [True, False])
def test_a_decision_counts_only_where_it_is_theirs_to_make(played: Played, yes: bool) -> None:
    (played.story.approved if yes else played.story.denied)("mia", "dan", NOON)
    found = played.one(POLICY.replace("approvers: [dba]", "approvers: [security]", 1))
    assert (found.fate, found.outcome.missing) == (Fate.WAITS, ((("security",), 1),))


def test_where_fewer_approvals_are_needed_it_is_decided_sooner(played: Played) -> None:
    id_ = played.story.ask("mia", "vault", NOON)
    played.story.answer(id_, "dan", NOON + 100, last=False)
    played.story.answer(id_, "sam", NOON + 700)
    before = played.one(TWO)
    assert (before.fate, before.longer) == (Fate.APPROVED, 0.0)
    found = replay(played.archive, W, catalog(), SPAN, GROUPS, consequence, can_extend).requests[0]
    assert (found.fate, found.took, found.longer) == (Fate.APPROVED, 100.0, -600.0)


def test_what_depends_on_a_user_group_that_is_not_given_is_not_guessed(played: Played) -> None:
    played.story.approved("mia", "dan", NOON)
    assert played.one(POLICY, {}).fate is Fate.UNKNOWN


def test_what_another_version_wrote_is_counted_and_hides_no_other(played: Played) -> None:
    played.story.approved("mia", "dan", NOON)
    odd = AuditEntry(3, NOON + DAY, "J-9999", 1, "submitted", '{"kind": "submitted", "odd": true}')
    found = played.all(POLICY, GROUPS, odd)
    assert (found.unreadable, [each.fate for each in found.requests]) == (1, [Fate.APPROVED])


def approved_with(played: Played, policy: str, what: str, by: Sequence[str], **given: str) -> None:
    """Mia asked for it by this policy with these inputs, and they approved."""
    then = catalog(policy)
    actor = Actor(
        person=person(W, "mia"),
        roster={"dba": Members(identities=frozenset({"dan@example.com", "eve@example.com"}))},
        looked_up_now=True,
    )
    form = RequestForm(what=what, duration=1800, reason="INC-1 is on fire", inputs=given)
    whole = submit.completed(submit.check_allowed(then, actor, form, NOON), NOON)
    event = submit.first_event(whole, Circumstances(now=NOON, begins=NOON), {}, consequence, can_extend)
    played.story.told.append((NOON, event.id, event))
    for n, name in enumerate(by, start=1):
        played.story.answer(event.id, name, NOON + 60 * n, last=n == len(by))


def asking(room: str) -> str:
    """The policy whose shared role asks which door."""
    asks = f"grants: {{door: {{ask: room}}, shared: true}}\n        asks: {{room: {{{room}}}}}"
    return POLICY.replace("grants: {door: hall, shared: true}", asks)


HALLS = "choice: [hall, attic]"


@pytest.mark.parametrize(
    ("what", "by"),
    [("vault/shared", ["dan"]), ("both", ["dan", "eve"]), ("vault/read-only + vault/shared", ["dan", "eve"])],
)
def test_what_was_given_for_an_input_is_given_again(played: Played, what: str, by: Sequence[str]) -> None:
    approved_with(played, asking(HALLS), what, by, room="attic")
    found = played.one(asking(HALLS))
    assert (found.past.fate, found.fate, found.same) == (Fate.APPROVED, Fate.APPROVED, True)


@pytest.mark.parametrize(
    ("new", "fate"),
    [
        (asking("choice: [hall, yard]"), Fate.REFUSED),
        (asking("pattern: '[a-z]+', example: hall"), Fate.APPROVED),
        (POLICY, Fate.APPROVED),
        (asking(HALLS).replace("room", "floor"), Fate.REFUSED),
        (asking(f"{HALLS}, default: hall").replace("room", "floor"), Fate.APPROVED),
    ],
    ids=["no choice any more", "fits the pattern", "not asked for any more", "never given", "has a default"],
)
def test_what_was_given_is_judged_by_what_the_new_policy_asks_for(played: Played, new: str, fate: Fate) -> None:
    approved_with(played, asking(HALLS), "vault/shared", ["dan"], room="attic")
    assert played.one(new).fate is fate
