"""What is read out of the audit log says who requested it for whom, and that they accepted."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from bot.audit import text
from bot.audit.archive import projection
from bot.audit.archive.archive import Archive
from bot.audit.export import ocsf
from bot.audit.export.evidence import pack, verify
from bot.audit.export.evidence_page import page
from bot.cli import requests
from bot.core.audit_chain import AuditEntry, Signer
from bot.core.events import Cancelled, Consented, Drafted, Event, RequestExpired, Submitted
from bot.core.lifecycle import begin, fold
from bot.core.request import ByRule, DraftWait, State
from bot.policy.loader import can_extend, consequence
from bot.reports.digest import text as digest_text
from bot.reports.insights.cases import DecisionCase, InsightRule, RequestCase, feed
from bot.reports.replay import Fate, replay
from bot.store.audit_stream import AuditStream
from bot.store.indexes.recent_decisions import Acknowledged, RecentDecisions
from bot.store.store import Store
from bot.store.types import Change, CommitOutcome
from bot.worker.lost_writes import LostWrites
from tests.audit.stories import entries, keep, life
from tests.house import POLICY, catalog, person
from tests.reports.digest.days import W, at, kept, made
from tests.reports.insights.stories import NOON

RULE = ByRule(n=1, key="k", sensitivity="low", at_most=3600, used=1, budget=3)


def drafted(first: Event, wait: float = 1800) -> Drafted:
    """What Kim requests for the one who would have requested it."""
    assert isinstance(first, Submitted)
    facts = {
        name: getattr(first, name) for name in Submitted.model_fields if name not in {"kind", "by", "requested_by"}
    }
    kim = person(W, "kim")
    return Drafted(by=kim.id, requested_by=kim, waits_for=DraftWait.CONSENT, waits_until=first.at + wait, **facts)


def for_mia(id_: str = "J-2222", began: float = 1e9, rule: ByRule | None = None) -> list[Event]:
    """The life of a request that Kim made for Mia, who accepted after 40 s."""
    first, *rest = life(id_, "mia", at=began, workspace=W)
    accepted = Consented(at=began + 40, by="UMIA", decide_by=began + 3640, rule=rule)
    return [drafted(first), accepted, *(rest[1:] if rule else rest)]


def test_a_list_of_events_and_of_requests_says_it() -> None:
    first = for_mia()[0]
    assert isinstance(first, Drafted)
    request, entry = begin(first), next(entries([first], "J-2222", 1))
    assert "mia@example.com (requested by kim@example.com) vault/read-only" in text.row(entry, request)
    assert requests.row(request).endswith("requested by kim@example.com")
    assert "draft " in requests.row(request)
    assert requests.entry(request)["requested_by"] == "kim@example.com"
    assert requests.details(request)["requested_by"]["id"] == "UKIM"
    assert requests.details(request)["waits_for"] == "consent"
    said = ocsf.ocsf(entry, request, W)
    assert said["message"] == "drafted J-2222: mia@example.com (requested by kim@example.com), vault/read-only"
    assert said["activity_name"] == "Create"


def test_evidence_is_the_replay_and_its_page_says_it(archive: Archive, signer: Signer) -> None:
    keep(archive, signer, W, list(entries(for_mia(), "J-2222", 1)))
    packed = pack(archive, W, "J-2222", signer, 2e9)
    assert verify(packed, trusted=[signer.public]).flaw is None
    shown = page(packed)
    assert "<td>Asked by</td><td>Kim kim@example.com (UKIM)</td>" in shown
    assert "<td>Asked for</td><td>Mia mia@example.com (UMIA), accepted 2001-09-09T01:47:20" in shown


def test_both_are_found_and_only_the_person_held_it() -> None:
    told = None
    for entry in entries(for_mia(), "J-2222", 1):
        told = projection.project(entry, told.life if told else None)
        assert {"person:UMIA", "person:UKIM"} <= told.words
    assert told is not None
    assert told.life is not None
    assert [(held.user, held.identity) for held in told.life.holdings] == [("UMIA", "mia@example.com")]
    assert told.life.request == fold(for_mia())


def test_the_digest_says_it_and_counts_it_once(archive: Archive) -> None:
    declined: list[Event] = [drafted(life("J-4444", "mia", at=at(11), workspace=W)[0])]
    declined.append(Cancelled(at=at(11) + 60, by="UMIA", reason="no"))
    events = [
        *entries(for_mia(began=at(10)), "J-2222", 1),
        *entries(declined, "J-4444", 20),
        *entries(for_mia("J-3333", at(23.5), RULE)[:4], "J-3333", 30),
    ]
    found = made(kept(archive, events))
    figures = {figure.name: figure.count for figure in found.figures}
    assert (figures["asked"], figures["by rule"], figures["approved"]) == (3, 1, 1)
    assert [(grant.id, grant.who) for grant in found.live] == [
        ("J-3333", "mia@example.com (requested by kim@example.com)")
    ]
    assert "mia@example.com (requested by kim@example.com)" in digest_text.text(found)
    assert found.slowest
    assert found.slowest.seconds == 20.0, "from when she accepted"
    assert found.waiting == ()


class _Seen(InsightRule):  # type: ignore[type-arg]  # it has no limits
    """Notes all cases."""

    name = "seen"

    def __init__(self) -> None:
        self.since = 0.0
        self.requests: list[RequestCase] = []
        self.decisions: list[DecisionCase] = []
        self.ended: list[RequestCase] = []

    def asked(self, ask: RequestCase) -> None:
        self.requests.append(ask)

    def answered(self, answer: DecisionCase) -> None:
        self.decisions.append(answer)

    def over(self, ask: RequestCase) -> None:
        self.ended.append(ask)


def _seen(*lives: Sequence[Event]) -> _Seen:
    rule, told = _Seen(), list[AuditEntry]()
    for n, events in enumerate(lives):
        told += entries(events, f"J-222{n + 2}", 10 * n + 1)
    feed(sorted(told, key=lambda entry: entry.at), [rule])
    return rule


def test_an_insight_counts_it_for_the_person_from_when_they_accepted() -> None:
    found = _seen(for_mia())
    assert [(ask.who, ask.at) for ask in found.requests] == [("mia@example.com", 1e9 + 40)]
    assert [(answer.by, answer.wait) for answer in found.decisions] == [("dan@example.com", 20.0)]
    by_rule = _seen(for_mia(rule=RULE))
    assert len(by_rule.requests) == 1
    assert by_rule.decisions == []


def test_what_was_never_accepted_is_no_case() -> None:
    first = for_mia()[0]
    found = _seen([first, Cancelled(at=1e9 + 5, by="UMIA", reason="no")], [first, RequestExpired(at=1e9 + 1800)])
    assert (found.requests, found.decisions, found.ended) == ([], [], [])


def test_a_replay_knows_when_it_was_accepted_and_judges_who_may_request_it_for_others(
    archive: Archive, signer: Signer
) -> None:
    never = [for_mia("J-3333", NOON + 60)[0], RequestExpired(at=NOON + 9999)]
    told = [*entries(for_mia(began=NOON)[:3], "J-2222", 1), *entries(never, "J-3333", 10)]
    keep(archive, signer, W, sorted(told, key=lambda entry: entry.seq))
    found = replay(
        archive, W, catalog(POLICY), (NOON - 60, NOON + 99_999), {"dba": ("dan@example.com",)}, consequence, can_extend
    )
    accepted, waited = found.requests
    assert (accepted.past.fate, accepted.past.asked_at, accepted.past.took) == (Fate.APPROVED, NOON + 40, 20.0)
    assert waited.past.fate is Fate.CONSENT
    # By this policy nobody requests it for somebody else.
    assert {accepted.fate, waited.fate} == {Fate.REFUSED}
    assert found.unreadable == 0


async def test_a_lost_draft_and_a_lost_acceptance_are_reported_with_who_made_them(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered, before = Acknowledged(), None
    for event in for_mia()[:2]:
        after = begin(event) if isinstance(event, Drafted) else fold(for_mia()[:2])
        remembered.heard(CommitOutcome(Change(before, after, event), "OK", 1e9, 0.1))
        before = after
    assert after.state is State.PENDING
    servers = iter(["this one", "a replica that had nothing of it"])

    async def server(_: RecentDecisions) -> str:
        return next(servers)

    monkeypatch.setattr(RecentDecisions, "server", server)
    watcher = LostWrites(store, remembered)
    assert list(await watcher.search()) == []
    assert len(await watcher.search()) == 2
    [alarm] = [entry for entry in await AuditStream(store).tail(0, 10) if entry.kind == "alarm"]
    first, second = json.loads(alarm.event)["said"]
    assert first.endswith("kim@example.com requested vault/read-only for somebody else")
    assert second.endswith("mia@example.com accepted vault/read-only")
