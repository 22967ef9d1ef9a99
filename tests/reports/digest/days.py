"""A busy day in Berlin, told as audit entries: one of each thing that a digest tells, and its neighbours' edges."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from bot.audit.archive.archive import Archive
from bot.core import start_times
from bot.core.audit_chain import PURPOSE, AuditEntry, Signer
from bot.core.events import (
    AccessExpired,
    Approved,
    ApprovedByRule,
    Cancelled,
    ClosedManually,
    Denied,
    EndedEarly,
    Event,
    GrantAttempted,
    Granted,
    RequestExpired,
    Retried,
    Revoked,
    Submitted,
)
from bot.core.request import ByRule, Ending, Person, Review, Verb
from bot.core.role_snapshot import RoleSnapshot
from bot.policy import loader
from bot.reports.digest import editions
from bot.reports.digest import facts as digest
from bot.reports.digest.editions import Edition, Span
from bot.reports.digest.facts import Digest
from bot.store.keyring import KeyRing
from tests.audit.stories import keep, submitted
from tests.house import POLICY, person

DAY, TZ = date(2026, 11, 24), "Europe/Berlin"
SINCE, UNTIL = start_times.span(DAY, TZ)
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
    requester = person(W, who)
    told = submitted(id_, requester, at(hour), roles[0].system)
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
        yield GrantAttempted(at=then + 1, leg=n, subject={}, target="x", prior=prior, in_flight_until=then + 9)
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
        "J-2222": [*yesterday, AccessExpired(at=at(2) + 61), *closed(at(2) + 62)],
        "J-3333": [*opened("J-3333", "mia", 9, vault), AccessExpired(at=at(10) + 61), *closed(at(10) + 62)],
        "J-4444": [
            asked("J-4444", "eve", 9, critical),
            Denied(at=at(11), by="USAM", review=review("sam", at(11), reason="not now")),
        ],
        "J-5555": [asked("J-5555", "eve", 9.2, vault), RequestExpired(at=at(13.2))],
        "J-6666": [asked("J-6666", "mia", 9.3, vault), Cancelled(at=at(9.4), by="UMIA")],
        "J-7777": [
            *opened("J-7777", "mia", 9.5, high),
            AccessExpired(at=late_end),
            Retried(at=late_end + 30, leg=0, error="it does not answer", retry_at=late_end + 600),
            *closed(late_end + 600),
        ],
        "J-8888": [
            *opened("J-8888", "kim", 14, critical, took=120),
            AccessExpired(at=stuck_end + 60),
            Retried(at=stuck_end + 90, leg=0, error="it <!channel> hangs", retry_at=UNTIL + 600),
            *closed(UNTIL + 601),
        ],
        "J-9999": [
            *opened("J-9999", "mia", 15, high),
            EndedEarly(at=at(15.5), by="UDAN", ending=Ending.REVOKED, reason="enough"),
            ClosedManually(at=at(16), by="cli:pat@host", reason="removed by hand <https://evil.example|safe>"),
        ],
        "J-AAAA": [
            *opened("J-AAAA", "eve", 20, vault, high, duration=8 * HOUR, took=30),
            AccessExpired(at=at(28) + 31),
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


def entries(
    told: Iterable[tuple[str, list[Event]]], noted: Iterable[tuple[float, str, dict[str, Any]]]
) -> list[AuditEntry]:
    """All of it under gap-free numbers, in the order of time."""
    drafts = [
        AuditEntry(0, round(event.at, 6), id_, n + 1, event.kind, event.model_dump_json())
        for id_, events in told
        for n, event in enumerate(events)
    ]
    drafts += [AuditEntry(0, round(when, 6), "", 0, kind, json.dumps(facts)) for when, kind, facts in noted]
    drafts.sort(key=lambda entry: entry.at)
    return [entry._replace(seq=n) for n, entry in enumerate(drafts, start=1)]


def busy() -> list[AuditEntry]:
    """The day, the evening before, and the morning after."""
    return entries(lives().items(), notes())


def quiet() -> list[AuditEntry]:
    """A day on which nothing happened but that somebody held something over it."""
    held = list(opened("J-2222", "mia", -2, role("vault"), duration=40 * HOUR))
    return entries([("J-2222", held)], [(UNTIL + 9 * HOUR, "digest", {"by": "clock"})])


def delegations() -> list[AuditEntry]:
    """A day with stand-ins: one runs on from the day before and approves, one begins and ends, one is replaced."""
    dan, eve, sam, kim, pat = (somebody(name) for name in ("dan", "eve", "sam", "kim", "pat"))
    since_yesterday, of_today = _delegation("D-2222", dan, eve, -5, 40), _delegation("D-3333", sam, kim, 8, 18)
    first, second = _delegation("D-4444", kim, sam, 9, 30), _delegation("D-5555", kim, pat, 11, 30)
    decided = review("eve", at(10) + 60, HOUR).model_copy(update={"stands_in_for": dan, "delegation": "D-2222"})
    life = list(opened("J-2222", "mia", 10, role("vault")))
    life[1] = Approved(at=decided.at, by="UEVE", review=decided, duration=HOUR)
    noted = [
        (at(-5), "delegated", {"by": "UDAN", **since_yesterday}),
        (at(8), "delegated", {"by": "USAM", **of_today}),
        (at(9), "delegated", {"by": "UKIM", **first}),
        (at(11), "delegation_ended", {"by": "UKIM", **first, "why": "replaced"}),
        (at(11), "delegated", {"by": "UKIM", **second}),
        (at(18), "delegation_ended", {"by": "clock", **of_today, "why": "expired"}),
        (UNTIL + HOUR, "digest", {"by": "clock"}),
    ]
    return entries([("J-2222", [*life, *ended(at(11) + 61)])], noted)


def _delegation(id_: str, whose: Person, stand_in: Person, since: float, until: float) -> dict[str, Any]:
    return {
        "delegation": id_,
        "person": whose.id,
        "name": whose.name,
        "stand_in": stand_in.id,
        "stand_in_name": stand_in.name,
        "at": at(since),
        "until": at(until),
    }


def busy_weeks() -> list[AuditEntry]:
    """A week with twelve hasty approvals and a denial, and a quieter one before it."""
    vault, shared = role("vault"), role("vault", "shared")
    told: list[tuple[str, list[Event]]] = []
    for n in range(12):
        id_, hour = f"J-2{'ABCDEFGHJKMN'[n]}22", n * 6 - 24.0
        life = list(opened(id_, "mia" if n % 2 else "eve", hour, vault, duration=HOUR, took=3))
        told.append((id_, [*life, *ended(at(hour) + 4 + HOUR)]))
    told.append(("J-3333", [asked("J-3333", "kim", 7 - 7 * 24, shared)]))
    told.append(("J-4444", [by_rule("J-4444", "dan", 3)]))
    return entries(told, [(at(-30 * 24), "alarm", {}), (at(200), "digest", {})])


def ended(when: float) -> list[Event]:
    """Its time is up, and it is revoked a second later."""
    return [AccessExpired(at=when), *closed(when + 1)]


SIGNER = Signer(KeyRing({"k1": b"1" * 32}).subkeys(PURPOSE))


def kept(archive: Archive, told: Sequence[AuditEntry]) -> Archive:
    """An archive with that, and with both policies."""
    keep(archive, SIGNER, W, told)
    for n, (generation, text) in enumerate(((WAS, POLICY), (NOW, NEW))):
        archive.keep_policy(W, generation, json.dumps({"jit.yaml": text}), 1.0 + n)
    return archive


def made(archive: Archive, day: date = DAY, now: float = UNTIL + 86_400) -> Digest:
    """The digest of a day."""
    return digest.make(archive, W, editions.day(day), TZ, now, loader.of_text)


WEEK = Span(Edition.WEEKLY, DAY + timedelta(days=3))


def kept_weeks(archive: Archive) -> Archive:
    """An archive with these weeks, and the policy of all the time."""
    keep(archive, SIGNER, W, busy_weeks())
    archive.keep_policy(W, WAS, json.dumps({"jit.yaml": POLICY}), 1.0)
    return archive


def made_of(archive: Archive, span: Span) -> Digest:
    """The digest of these weeks, some days later."""
    return digest.make(archive, W, span, TZ, at(200), loader.of_text)


@functools.cache
def weekly_of() -> Digest:
    """The weekly edition, under a made-up checkpoint."""
    with tempfile.TemporaryDirectory() as home:
        archive = Archive.open("", Path(home), create=True)
        try:
            found = made_of(kept_weeks(archive), WEEK)
        finally:
            archive.close()
    head = f"1-{'0' * 64}"
    return replace(found, head=head, verify=f"jit audit verify --head {head}")


@functools.cache
def digest_of(name: str, now: float = UNTIL + 86_400) -> Digest:
    """The digest of the ``busy`` day, the ``quiet`` one or that of ``delegations``, a day later or at another time."""
    with tempfile.TemporaryDirectory() as home:
        archive = Archive.open("", Path(home), create=True)
        try:
            return made(kept(archive, {"busy": busy, "quiet": quiet, "delegations": delegations}[name]()), now=now)
        finally:
            archive.close()


SOON = UNTIL + 300
"""When what was open at midnight still is, and a request of the new day waits for approval."""


def golden(name: str) -> Digest:
    """The digest right after its day, under a made-up checkpoint: the real one changes with each field of an event."""
    head = f"1-{'0' * 64}"
    return replace(digest_of(name, SOON), head=head, verify=f"jit audit verify --head {head}")
