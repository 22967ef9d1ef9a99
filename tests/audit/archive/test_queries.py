"""An event is found by who, what, which kind and when, sealed or not yet; and it is told who held what at a moment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.audit.archive.archive import Archive
from bot.audit.archive.timeline import EventQuery, Timeline, UnknownNumber
from bot.core.audit_chain import PURPOSE, AuditEntry, Signer
from bot.core.events import ClosedManually, Event, GrantAttempted, GrantRefused, GrantUncertain
from bot.store.keyring import KeyRing
from tests.archives import KINDS, empty
from tests.audit.stories import HOUR, entries, keep, life, note

W = "T000001"
DAY = 86_400.0
START = 1_773_000_000.0
"""2026-03-08, in seconds."""


def told() -> list[AuditEntry]:
    """Three requests on three days, a refusal, and an alarm."""
    found = [
        *entries(life("J-2222", "mia", at=START), "J-2222", 1),
        *entries(life("J-3333", "mia", "hall", at=START + DAY), "J-3333", 7),
        *entries(life("J-4444", "eve", at=START + 2 * DAY), "J-4444", 13),
    ]
    refused = '{"by": "UEVE", "verb": "ask", "about": "safe/admin", "why": "no"}'
    tried = note(21, START + 2.7 * DAY, event='{"by": "UKIM", "verb": "review", "about": "J-3333"}')
    alarm = note(20, START + 2.6 * DAY, "alarm", '{"alarm":"x"}')
    return [*found, note(19, START + 2.5 * DAY, event=refused), alarm, tried]


@pytest.fixture(scope="module", params=KINDS)
def where(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of an archive that these tests only read."""
    return empty(request, tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module", params=[21, 0, 10], ids=["archive", "window", "both"])
def trail(request: pytest.FixtureRequest, where: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Timeline]:
    """The same events: sealed, not sealed yet, or some of each in the middle of a request."""
    workspace = f"T{request.param:06d}"
    opened = Archive.open(where, tmp_path_factory.mktemp("home"), create=True)
    keep(opened, Signer(KeyRing.generate().subkeys(PURPOSE)), workspace, told()[: request.param], most=4)
    yield Timeline(workspace, opened, told()[request.param :])
    opened.close()


def found(trail: Timeline, **wanted: object) -> list[int]:
    return [entry.seq for entry in trail.search(EventQuery(**wanted)).entries]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({"person": "mia@example.com"}, (*range(1, 13), 21)),
        ({"person": "Mia@Example.com"}, (*range(1, 13), 21)),
        ({"person": "UMIA"}, (*range(1, 13), 21)),
        ({"person": "UEVE"}, range(13, 20)),
        ({"person": "nobody@example.com"}, ()),
        ({"system": "hall"}, (*range(7, 13), 21)),
        ({"system": "safe"}, (19,)),
        ({"role": "vault/read-only"}, (*range(1, 7), *range(13, 19))),
        ({"kind": "granted"}, (4, 10, 16)),
        ({"kind": "alarm"}, (20,)),
        ({"kind": "granted", "person": "UDAN"}, ()),
        ({"request": "J-3333"}, (*range(7, 13), 21)),
        ({"request": "J-3333", "kind": "refused"}, (21,)),
        ({"request": "J-3333", "person": "UMIA", "until": START + DAY + 61}, (7, 8)),
        ({"request": "J-9999"}, ()),
        ({"kind": "approved", "person": "dan@example.com"}, (2, 8, 14)),
        ({"kind": "granted", "person": "mia@example.com", "system": "hall"}, (10,)),
        ({"since": START + DAY, "until": START + 2 * DAY}, range(7, 13)),
        ({"since": START + DAY, "person": "UMIA"}, (*range(7, 13), 21)),
        ({"until": START + 60}, (1,)),
        ({}, range(1, 22)),
    ],
)
def test_events_are_found_newest_first(trail: Timeline, wanted: dict[str, object], numbers: tuple[int, ...]) -> None:
    assert found(trail, **wanted) == sorted(numbers, reverse=True)


@pytest.mark.parametrize("wanted", [{}, {"person": "UMIA"}, {"person": "mia@example.com", "system": "vault"}])
def test_pages_follow_each_other_without_a_gap(trail: Timeline, wanted: dict[str, object]) -> None:
    whole, paged, before = found(trail, **wanted), [], None
    while True:
        page = trail.search(EventQuery(**wanted, most=3, before=before))  # type: ignore[arg-type]
        paged += [entry.seq for entry in page.entries]
        if page.more is None:
            break
        before = page.more
    assert paged == whole


def test_a_page_that_begins_nowhere_is_refused(trail: Timeline) -> None:
    with pytest.raises(UnknownNumber, match="no event 999"):
        trail.search(EventQuery(before=999))


def held(trail: Timeline, at: float, **wanted: object) -> list[str]:
    return [f"{h.identity} {h.system}" for h in trail.holders(at, EventQuery(**wanted))]  # type: ignore[arg-type]


def test_who_held_what_at_a_moment(trail: Timeline) -> None:
    assert held(trail, START) == []
    assert held(trail, START + 60.5) == []
    assert held(trail, START + 62) == ["mia@example.com vault"]
    assert held(trail, START + 62 + HOUR) == ["mia@example.com vault"], "it is closed only when it was read back"
    assert held(trail, START + 63 + HOUR) == []
    assert held(trail, START + DAY + 100) == ["mia@example.com hall"]
    assert held(trail, START + DAY + 100, person="mia@example.com", system="hall") == ["mia@example.com hall"]
    assert held(trail, START + DAY + 100, role="hall/read-only") == ["mia@example.com hall"]
    assert held(trail, START + DAY + 100, person="eve@example.com") == []
    assert held(trail, START + DAY + 100, system="vault") == []


def test_what_was_tried_and_not_yet_proved_is_told_apart(trail: Timeline) -> None:
    [holding] = trail.holders(START + 61.5, EventQuery())
    assert holding.opened_at is not None
    assert holding.tried_at <= START + 61.5 < holding.opened_at


def story(*more: Event) -> Timeline:
    events: list[Event] = [*life("J-2222", "mia", at=START)[:3], *more]
    return Timeline(W, None, list(entries(events, "J-2222", 1)))


def test_a_definite_no_ends_what_may_have_stood() -> None:
    trail = story(GrantRefused(at=START + 65, leg=0, error="no such role"))
    [holding] = trail.holders(START + 62, EventQuery())
    assert (holding.opened_at, holding.closed_at, holding.how) == (None, START + 65, "refused")
    assert trail.holders(START + 66, EventQuery()) == []


def test_a_doubt_stands_until_somebody_closes_it() -> None:
    trail = story(GrantUncertain(at=START + 700, error="no answer"))
    assert [h.closed_at for h in trail.holders(START + 99_999, EventQuery())] == [None]
    trail = story(
        GrantUncertain(at=START + 700, error="no answer"), ClosedManually(at=START + 800, by="cli:pat", reason="gone")
    )
    assert [h.how for h in trail.holders(START + 750, EventQuery())] == ["closed_manually"]


def test_an_id_that_was_drawn_again_is_another_request(archive: Archive, signer: Signer) -> None:
    first = list(entries(life("J-2222", "mia", at=START), "J-2222", 1))
    second = list(entries(life("J-2222", "eve", "hall", at=START + DAY), "J-2222", 7))
    keep(archive, signer, W, first)
    keep(archive, signer, W, second[:3])
    trail = Timeline(W, archive, second[3:])
    assert found(trail, person="UMIA") == [6, 5, 4, 3, 2, 1]
    assert found(trail, system="hall") == [12, 11, 10, 9, 8, 7]
    assert held(trail, START + 100) == ["mia@example.com vault"]
    assert held(trail, START + DAY + 100) == ["eve@example.com hall"]


def test_an_event_that_does_not_fit_its_request_is_kept_and_moves_nothing(archive: Archive, signer: Signer) -> None:
    events = life("J-2222", "mia", at=START)
    odd = GrantAttempted(at=START + 5, leg=7, subject={}, target="x", prior={}, in_flight_until=START + 9)
    whole = list(entries(events, "J-2222", 1))
    misfit = next(entries([odd], "J-2222", 2))._replace(version=2)
    later = [entry._replace(seq=entry.seq + 1) for entry in whole[1:]]
    keep(archive, signer, W, [whole[0], misfit, *later])
    trail = Timeline(W, archive)
    assert found(trail, person="UMIA") == [7, 6, 5, 4, 3, 2, 1]
    assert held(trail, START + 100) == ["mia@example.com vault"]
