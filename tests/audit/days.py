"""A busy day in Berlin, told as audit entries: one of each thing that a digest tells, and its neighbours' edges."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from bot import policy_file
from bot.core import moments
from bot.core.events import (
    Approved,
    ApprovedByRule,
    Attempted,
    Cancelled,
    ClosedByHand,
    Denied,
    Event,
    Expired,
    Granted,
    Lapsed,
    Retried,
    Revoked,
    Submitted,
    Withdrawn,
)
from bot.core.model import ByRule, Ending, Person, Review, RoleSnapshot, Verb
from bot.digest import facts as digest
from bot.digest.facts import Digest
from bot.keyring import KeyRing
from bot.record.archive import Archive
from bot.record.seals import PURPOSE, Entry, Signer
from tests.audit.stories import keep, submitted
from tests.house import POLICY, person

DAY, TZ = date(2026, 11, 24), "Europe/Berlin"
SINCE, UNTIL = moments.span(DAY, TZ)
HOUR = 3_600
W = "T000001"
NEW = POLICY.replace("people: [pat@example.com]", "people: [pat@example.com, eve@example.com]").replace(
    "may_ask: [dba]", "may_ask: [platform]"
)
WAS, NOW = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"
Told = tuple[str, Event]


def at(hour: float) -> float:
    """A time of the day, in hours from its midnight."""
    return SINCE + hour * HOUR


def role(system: str, name: str = "read-only", sensitivity: str = "low", cap: int = 48) -> RoleSnapshot:
    """A role of a system."""
    return RoleSnapshot(
        system=system,
        role=name,
        title=f"{system}: {name}",
        channel="C0VAULT01",
        provider="sandbox",
        params={"door": system},
        sensitivity=sensitivity,
        cap=cap * HOUR,
        consequence="opens a door",
        digest="d1",
    )


def asked(id_: str, who: str, hour: float, *roles: RoleSnapshot, duration: int = HOUR) -> Submitted:
    """Somebody asks."""
    asker = person(W, who)
    told = submitted(id_, asker, at(hour), roles[0].system)
    return told.model_copy(update={"roles": roles, "duration": duration, "title": f"The {roles[0].system}"})


def by_rule(id_: str, who: str, hour: float) -> ApprovedByRule:
    """Somebody asks, and a rule approves it."""
    first = asked(id_, who, hour, role("vault"))
    facts = {name: getattr(first, name) for name in Submitted.model_fields if name not in {"kind", "by"}}
    return ApprovedByRule(rule=ByRule(n=1, key="k", sensitivity="low", at_most=HOUR, used=1, budget=3), **facts)


def opened(
    id_: str, who: str, hour: float, *roles: RoleSnapshot, duration: int = HOUR, took: float = 60
) -> Iterator[Event]:
    """Asked for, approved after ``took`` seconds, and opened a second later."""
    yield asked(id_, who, hour, *roles, duration=duration)
    then = at(hour) + took
    yield Approved(at=then, by="UDAN", review=review("dan", then, duration), duration=duration)
    for n in range(len(roles)):
        prior = {"present": False, "facts": {}}
        yield Attempted(at=then + 1, leg=n, subject={}, target="x", prior=prior, in_flight_until=then + 9)
        yield Granted(at=then + 1, leg=n, receipt={"ours": True})


def closed(when: float, legs: int = 1) -> Iterator[Event]:
    """Read back as closed."""
    for n in range(legs):
        yield Revoked(at=when, leg=n, outcome={"presence": "absent"})


def review(who: str, when: float, duration: int = 0, reason: str = "") -> Review:
    """An answer."""
    verb = Verb.DENY if reason else Verb.APPROVE
    return Review(verb=verb, by=somebody(who), at=when, duration=duration, reason=reason)


def somebody(who: str) -> Person:
    """A person of the workspace."""
    return person(W, who)


def lives() -> dict[str, list[Event]]:
    """The requests by id."""
    vault, critical, high = role("vault"), role("prod-db", "admin", "critical"), role("cloud", "ops", "high")
    yesterday = list(opened("J-2222", "mia", -2, vault, duration=4 * HOUR))
    late_end, stuck_end = at(9.5) + 61 + HOUR, at(14) + 61 + HOUR
    void = Cancelled(at=at(12.5), by="policy", reason="its role was changed in the policy")
    return {
        "J-2222": [*yesterday, Expired(at=at(2) + 61), *closed(at(2) + 62)],
        "J-3333": [*opened("J-3333", "mia", 9, vault), Expired(at=at(10) + 61), *closed(at(10) + 62)],
        "J-4444": [
            asked("J-4444", "eve", 9, critical),
            Denied(at=at(11), by="USAM", review=review("sam", at(11), reason="not now")),
        ],
        "J-5555": [asked("J-5555", "eve", 9.2, vault), Lapsed(at=at(13.2))],
        "J-6666": [asked("J-6666", "mia", 9.3, vault), Cancelled(at=at(9.4), by="UMIA")],
        "J-7777": [
            *opened("J-7777", "mia", 9.5, high),
            Expired(at=late_end),
            Retried(at=late_end + 30, leg=0, error="it does not answer", retry_at=late_end + 600),
            *closed(late_end + 600),
        ],
        "J-8888": [
            *opened("J-8888", "kim", 14, critical, took=120),
            Expired(at=stuck_end + 60),
            Retried(at=stuck_end + 90, leg=0, error="it <!channel> hangs", retry_at=UNTIL + 600),
            *closed(UNTIL + 601),
        ],
        "J-9999": [
            *opened("J-9999", "mia", 15, high),
            Withdrawn(at=at(15.5), by="UDAN", ending=Ending.REVOKED, reason="enough"),
            ClosedByHand(at=at(16), by="cli:pat@host", reason="removed by hand <https://evil.example|safe>"),
        ],
        "J-AAAA": [
            *opened("J-AAAA", "eve", 20, vault, high, duration=8 * HOUR, took=30),
            Expired(at=at(28) + 31),
            *closed(at(28) + 32, legs=2),
        ],
        "J-BBBB": [asked("J-BBBB", "mia", 12, vault), void],
        "J-CCCC": [asked("J-CCCC", "mia", 24, vault), Cancelled(at=at(24.1), by="UMIA")],
        "J-DDDD": [asked("J-DDDD", "mia", -0.0001, vault), Cancelled(at=SINCE - 0.1, by="UMIA")],
    }


def notes() -> list[tuple[float, str, dict[str, Any]]]:
    """What changed no request."""
    refused = {"by": "UMIA", "verb": "ask", "about": "prod-db/admin", "why": "may_not_ask"}
    return [
        (at(8), "refused", refused),
        (at(8.1), "refused", refused),
        (at(8.2), "refused", {"by": "UEVE", "verb": "revoke", "about": "J-3333", "why": "may_not_revoke"}),
        (at(10), "found", {"found": "orphan", "system": "vault", "what": "jit-1", "said": "…", "by": "worker"}),
        (at(10), "found", {"found": "foreign", "system": "vault", "what": "x", "said": "…", "by": "worker"}),
        (at(10), "reconciled", {"system": "vault"}),
        (at(12.4), "policy", {"was": WAS, "now": NOW}),
        (at(17), "alarm", {"alarm": "memory", "said": "…"}),
        (at(18), "lockdown", {"by": "UPAT", "why": "a drill"}),
        (at(19), "read", {"by": "UADA", "read": "digest"}),
    ]


def entries(told: Iterable[tuple[str, list[Event]]], noted: Iterable[tuple[float, str, dict[str, Any]]]) -> list[Entry]:
    """All of it under gap-free numbers, in the order of time."""
    drafts = [
        Entry(0, round(event.at, 6), id_, n + 1, event.kind, event.model_dump_json())
        for id_, events in told
        for n, event in enumerate(events)
    ]
    drafts += [Entry(0, round(when, 6), "", 0, kind, json.dumps(facts)) for when, kind, facts in noted]
    drafts.sort(key=lambda entry: entry.at)
    return [entry._replace(seq=n) for n, entry in enumerate(drafts, start=1)]


def busy() -> list[Entry]:
    """The day, the evening before, and the morning after."""
    return entries(lives().items(), notes())


def quiet() -> list[Entry]:
    """A day on which nothing happened but that somebody held something over it."""
    held = list(opened("J-2222", "mia", -2, role("vault"), duration=40 * HOUR))
    return entries([("J-2222", held)], [(UNTIL + 9 * HOUR, "digest", {"by": "clock"})])


SIGNER = Signer(KeyRing({"k1": b"1" * 32}).subkeys(PURPOSE))


def kept(archive: Archive, told: Sequence[Entry]) -> Archive:
    """An archive with that, and with both policies."""
    keep(archive, SIGNER, W, told)
    for n, (generation, text) in enumerate(((WAS, POLICY), (NOW, NEW))):
        archive.keep_policy(W, generation, json.dumps({"jit.yaml": text}), 1.0 + n)
    return archive


def made(archive: Archive, day: date = DAY, now: float = UNTIL + 86_400) -> Digest:
    """The digest of a day."""
    return digest.make(archive, W, day, TZ, now, policy_file.of_text)


@functools.cache
def digest_of(name: str) -> Digest:
    """The digest of the ``busy`` day, or of the ``quiet`` one."""
    with tempfile.TemporaryDirectory() as home:
        archive = Archive.open("", Path(home), create=True)
        try:
            return made(kept(archive, {"busy": busy, "quiet": quiet}[name]()))
        finally:
            archive.close()


def golden(name: str) -> Digest:
    """The same under a head of its own: what an event hashes to changes with each field that a version adds to it."""
    head = f"1-{'0' * 64}"
    return replace(digest_of(name), head=head, verify=f"jit audit verify --head {head}")
