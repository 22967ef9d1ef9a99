"""What stands out is read out of the archive; where the record or the policies do not reach back, nothing is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.audit.archive.archive import Archive
from bot.core.audit_chain import Signer
from bot.policy.catalog import Catalog
from bot.policy.loader import of_text
from bot.reports.insights import findings as insights
from bot.reports.insights.cases import InsightSeverity
from tests.audit.stories import keep, note
from tests.house import POLICY, catalog
from tests.reports.insights.stories import DAY, NOON, Story, W

UNTIL = NOON + 20 * DAY
QUIET = "  insights: {inactive: off}\n  audit_channel"


def policy(*changes: tuple[str, str]) -> tuple[Catalog, str]:
    """The policy of the tests with changes, and its text as the archive keeps it."""
    text = POLICY
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return catalog(text), json.dumps({"jit.yaml": text})


@pytest.fixture
def record(url: str, tmp_path: Path) -> Iterator[Archive]:
    """An empty archive, of each kind."""
    opened = Archive.open(url, tmp_path, create=True)
    yield opened
    opened.close()


def keys(record: Archive, known: Catalog, until: float = UNTIL, **more: object) -> list[str]:
    return [each.key for each in insights.look(record, W, known, until, of_text, **more)]  # type: ignore[arg-type]


def test_all_rules_are_counted_in_one_look_the_most_severe_first(record: Archive, signer: Signer) -> None:
    story = Story()
    for n in range(12):
        story.approved("mia", "dan", NOON + n * DAY, wait=4)
    keep(record, signer, W, story.entries(), most=7)
    found = insights.look(record, W, policy()[0], UNTIL, of_text)
    assert [each.key for each in found] == [
        "rubber-stamp dan@example.com",
        "asked-again mia@example.com vault/read-only",
    ]
    assert [each.severity for each in found] == [InsightSeverity.HIGH, InsightSeverity.LOW]
    assert found[0].count == 12
    assert found[1].count == 6  # those of a fortnight
    assert insights.look(record, W, policy()[0], UNTIL, of_text) == found


def test_a_rule_that_is_off_finds_nothing_and_thresholds_are_the_policy_s(record: Archive, signer: Signer) -> None:
    story = Story()
    for n in range(12):
        story.approved("mia", "dan", NOON + n * DAY, wait=4)
    keep(record, signer, W, story.entries())
    for written, expected in {
        "{rubber-stamp: off}": ["asked-again mia@example.com vault/read-only"],
        "{rubber-stamp: {times: 13}, asked-again: {times: 7}}": [],
        "{rubber-stamp: off, asked-again: {times: 12, within: 30d}}": ["asked-again mia@example.com vault/read-only"],
        "off": [],
    }.items():
        known, _ = policy(("  audit_channel", f"  insights: {written}\n  audit_channel"))
        assert keys(record, known) == expected


def test_a_look_can_be_kept_short(record: Archive, signer: Signer) -> None:
    story = Story()
    for n in range(12):
        story.approved("mia", "dan", NOON + n * DAY, wait=4)
    keep(record, signer, W, story.entries())
    assert keys(record, policy()[0], longest=5 * 86_400) == []
    assert keys(record, policy()[0], longest=365 * 86_400) == keys(record, policy()[0])


# who is not in the record

ADMINS = ("  dba: {slack", "  ops: {people: [mia@example.com, Una@example.com]}\n  dba: {slack")
MAY = ("may_ask: [dba]", "may_ask: [dba, ops]")
LATER = NOON + 100 * DAY


def told(record: Archive, signer: Signer, seen: float = LATER - 10 * DAY, begun: float = NOON) -> None:
    """Mia asked lately, and something happened long before."""
    story = Story()
    story.ask("mia", "vault", seen)
    first = note(1, begun, "alarm", '{"alarm": "x"}')
    keep(record, signer, W, [first, *(entry._replace(seq=entry.seq + 1) for entry in story.entries())])


def test_who_may_ask_and_is_not_in_the_record_is_found(record: Archive, signer: Signer) -> None:
    known, text = policy(ADMINS, MAY)
    told(record, signer)
    record.keep_policy(W, known.policy_hash, text, NOON)
    [found] = insights.look(record, W, known, LATER, of_text)
    assert found.key == "inactive ops"
    assert found.people == ("una@example.com",)
    assert found.sentence == "1 of 2 people of the group ops were not in the audit log for 90 d: una@example.com."


def test_with_a_trace_of_them_in_the_record_there_is_no_finding(record: Archive, signer: Signer) -> None:
    known, text = policy(ADMINS, MAY)
    record.keep_policy(W, known.policy_hash, text, NOON)
    story = Story()
    story.ask("mia", "vault", NOON + 1)
    story.answer(story.ask("mia", "vault", LATER - 89 * DAY), "una", LATER - 89 * DAY + 5)
    keep(record, signer, W, story.entries())
    assert keys(record, known, LATER) == []
    assert keys(record, known, LATER + 2 * DAY) == ["inactive ops"]  # both of them, by then


@pytest.mark.parametrize("why", ["no policy", "no record", "new in the group", "new in the role", "unreadable", "off"])
def test_where_it_cannot_be_told_nothing_is_said(record: Archive, signer: Signer, why: str) -> None:
    known, text = policy(ADMINS, MAY)
    if why == "off":
        known, text = policy(ADMINS, MAY, ("  audit_channel", QUIET))
    told(record, signer, begun=LATER - 20 * DAY if why == "no record" else NOON)
    at = LATER - 50 * DAY if why == "no policy" else NOON
    record.keep_policy(W, known.policy_hash, text, at)
    if why == "new in the group":
        before = policy((ADMINS[0], ADMINS[1].replace(", Una@example.com", "")), MAY)
        record.keep_policy(W, before[0].policy_hash, before[1], LATER - 60 * DAY)
    elif why == "new in the role":
        before = policy(ADMINS)
        record.keep_policy(W, before[0].policy_hash, before[1], LATER - 60 * DAY)
    elif why == "unreadable":
        record.keep_policy(W, "f" * 16, "{}", LATER - 60 * DAY)
    assert keys(record, known, LATER) == []


def test_a_user_group_s_people_are_judged_by_how_long_they_were_seen_in_it(record: Archive, signer: Signer) -> None:
    known, text = policy()
    told(record, signer)
    record.keep_policy(W, known.policy_hash, text, NOON)
    since = {"UMIA": NOON, "UOLD": LATER - 91 * DAY, "UNEW": LATER - 89 * DAY}
    [found] = insights.look(record, W, known, LATER, of_text, {"dba": since})
    assert found.key == "inactive dba"
    assert found.people == ("UOLD",)
    assert "1 of 2 people" in found.sentence
    assert keys(record, known, LATER) == []  # nobody tells who is in it
    other, _ = policy(("S0DBA0001", "S0OTHER01"))
    assert keys(record, other, LATER, members={"dba": since}) == []  # it was another group all the while


# what is new, what is snoozed, by the record alone


def test_a_day_s_new_findings_are_in_the_record(record: Archive, signer: Signer) -> None:
    story = Story()
    for n in range(12):
        story.approved("mia", "dan", NOON + n * DAY, wait=4)
    keep(record, signer, W, story.entries())
    found = [insights.brief(each) for each in insights.look(record, W, policy()[0], UNTIL, of_text)]
    more = [
        found[1].__class__(**{**insights.document(found[1]), "key": f"asked-again {n}", "count": n}) for n in range(7)
    ]
    seq = len(story.entries())
    notes = [
        note(seq + n, UNTIL + n, "insight", json.dumps({"by": "worker", "finding": insights.document(each)}))
        for n, each in enumerate([*found, *more], start=1)
    ]
    snoozed = {"by": "UADA", "key": "asked-again 6", "until": UNTIL + 30 * DAY, "finding": "x"}
    strange = [note(seq + 11, UNTIL + 11, "insight", "{}"), note(seq + 12, UNTIL + 12, "snoozed", "[]")]
    keep(record, signer, W, [*notes, note(seq + 10, UNTIL + 10, "snoozed", json.dumps(snoozed)), *strange])

    told_of = insights.new_findings(record, W, UNTIL, UNTIL + DAY)
    assert [each.key for each in told_of] == [
        "rubber-stamp dan@example.com",
        "asked-again mia@example.com vault/read-only",
        "asked-again 5",
        "asked-again 4",
        "asked-again 3",
    ]
    assert told_of[0] == found[0]
    assert insights.new_findings(record, W, UNTIL + DAY, UNTIL + 2 * DAY) == ()
    by = insights.snoozes(record, W, UNTIL + DAY)
    assert by["asked-again 6"].by == "UADA"
    assert insights.snoozes(record, W, UNTIL + 31 * DAY) == {}
