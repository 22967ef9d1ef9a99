"""A digest tells each thing of its day once, out of the archive alone, and what it cannot tell it says."""

from __future__ import annotations

import json
import shlex
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.audit.archive.archive import Archive
from bot.audit.archive.timeline import EventQuery, Timeline
from bot.core import start_times
from bot.core.audit_chain import AuditEntry
from bot.core.events import Event
from bot.policy.catalog import Catalog
from bot.reports.digest import editions
from bot.reports.digest import facts as digest
from bot.reports.digest import text as digest_words
from bot.reports.digest.editions import Edition
from bot.reports.digest.facts import MOST
from bot.reports.digest.needs import NeedKind, needs
from tests.audit.stories import keep, note
from tests.cli.test_main import jit
from tests.house import POLICY
from tests.reports.digest import days
from tests.reports.digest.days import DAY, HOUR, SINCE, TZ, UNTIL, W, at, digest_of, kept, made

GOLDEN = Path(__file__).parent / "golden"
FIGURES = {
    "asked": 9,
    "by rule": 0,
    "break-glass": 0,
    "switched": 0,
    "approved": 5,
    "denied": 1,
    "request_expired": 1,
    "cancelled": 2,
    "opened": 6,
    "not opened": 0,
    "closed": 3,
    "live": 3,
    "late": 1,
    "stuck": 1,
    "unverified": 1,
    "reviewed": 0,
    "refused": 3,
    "found": 2,
    "alarms": 1,
    "policy changes": 1,
    "wrong codes": 0,
}


@pytest.fixture
def full(url: str, tmp_path: Path) -> Archive:
    """The busy day, in an archive of each kind."""
    return kept(Archive.open(url, tmp_path, create=True), days.busy())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A machine that has the archive of the busy day, and nothing else."""
    path = tmp_path / "home"
    kept(Archive.open("", path, create=True), days.busy()).close()
    return path


def test_every_figure_counts_what_happened_that_day_and_nothing_of_its_neighbours(full: Archive) -> None:
    found = made(full)
    assert {figure.name: figure.count for figure in found.figures} == FIGURES
    full.close()


@pytest.mark.parametrize(
    "figure", [figure for figure in digest_of("busy").figures if figure.count], ids=lambda f: f.name
)
def test_the_command_beside_a_figure_finds_as_many(figure: digest.Figure, home: Path, tmp_path: Path) -> None:
    _, *words = shlex.split(figure.look)
    found = jit(*words, "--json", "--limit", "1000", cwd=tmp_path, JIT_HOME=str(home))
    assert found.returncode == 0, found.stderr
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    if figure.name == "refused":
        lines = [line for line in lines if not line["version"]]
    if figure.name in {"late", "stuck"}:  # which of those that are shown they are, the digest says itself
        named = {trouble.id for trouble in digest_of("busy").trouble if trouble.kind == figure.name}
        lines = [line for line in lines if line["id"] in named]
    assert len(lines) == figure.count


def test_who_held_what_is_as_the_index_has_it(full: Archive) -> None:
    found = made(full)
    held = Timeline(W, full).holders(UNTIL, EventQuery())
    assert {(grant.id, role) for grant in found.live for role in grant.roles} == {
        (holding.id, f"{holding.system}/{holding.role}") for holding in held
    }
    full.close()


def test_decisions_are_timed_from_the_asking() -> None:
    found = digest_of("busy")
    assert found.median == 60
    assert found.slowest is not None
    assert (found.slowest.id, found.slowest.seconds, found.slowest.by) == ("J-4444", 2 * HOUR, "sam@example.com")


def test_what_is_not_right_stands_with_how_long_it_is_not() -> None:
    trouble = {each.id: each for each in digest_of("busy").trouble}
    assert {id_: each.kind for id_, each in trouble.items()} == {
        "J-8888": "stuck",
        "J-9999": "unverified",
        "J-7777": "late",
    }
    assert trouble["J-7777"].seconds == 600
    assert trouble["J-8888"].seconds == pytest.approx(UNTIL - (at(14) + 120 + 1 + HOUR))
    assert "it does not answer" in trouble["J-7777"].said
    assert "cli:pat@host" in trouble["J-9999"].said
    assert [each.id for each in digest_of("busy").trouble] == ["J-8888", "J-9999", "J-7777"]


def test_the_longest_and_the_most_sensitive_come_first() -> None:
    found = digest_of("busy")
    assert [grant.id for grant in found.longest] == ["J-AAAA", "J-7777", "J-3333"]
    assert [(grant.id, grant.sensitivity) for grant in found.sensitive] == [
        ("J-8888", "critical"),
        ("J-7777", "high"),
        ("J-9999", "high"),
        ("J-AAAA", "high"),
    ]


def test_who_gained_and_who_lost_is_read_out_of_the_archived_policies() -> None:
    found = digest_of("busy")
    assert [(right.who, right.verb, right.role) for right in found.gained] == [
        ("eve@example.com", "operate", "workspace"),
        ("eve@example.com", "request", "vault/admin"),
        ("pat@example.com", "request", "vault/admin"),
    ]
    assert [right.who for right in found.lost_rights] == ["the user group S0DBA0001"]
    assert found.taken == ("J-BBBB of mia@example.com: its role was changed in the policy",)


def test_a_policy_that_cannot_be_read_is_named_and_not_compared(full: Archive) -> None:
    def none(_: str) -> Catalog | None:
        return None

    found = digest.make(full, W, editions.day(DAY), TZ, UNTIL + 86_400, none)
    assert (found.gained, found.lost_rights, found.unknown_policies) == ((), (), (days.WAS, days.NOW))
    full.close()


def test_refusals_are_told_by_person_findings_by_kind_and_what_nobody_foresaw_too() -> None:
    found = digest_of("busy")
    assert [(line.said, line.count) for line in found.refused] == [
        ("mia@example.com: ask prod-db/admin", 2),
        ("eve@example.com: revoke J-3333", 1),
    ]
    assert {line.said for line in found.found} == {"orphan", "foreign"}
    assert [(line.said, line.count) for line in found.others] == [("lockdown", 1)]


def test_the_systems_and_the_trend_are_the_days_own() -> None:
    found = digest_of("busy")
    assert [(bar.system, bar.asked, bar.opened, bar.closed) for bar in found.systems] == [
        ("vault", 5, 2, 2),
        ("cloud", 3, 3, 1),
        ("prod-db", 2, 1, 0),
    ]
    assert len(found.trend) == 30
    assert [(dot.day, dot.asked, dot.opened) for dot in found.trend[-2:]] == [
        ("2026-11-23", 2, 1),
        ("2026-11-24", 9, 6),
    ]


def test_it_names_the_range_of_its_events_and_the_head_that_stands_for_them(full: Archive) -> None:
    found = made(full)
    numbers = [entry.seq for entry in days.busy() if SINCE <= entry.at < UNTIL]
    assert (found.first, found.last, found.events) == (numbers[0], numbers[-1], len(numbers))
    last = full.last(W)
    assert last is not None
    assert found.head == str(last.head)
    assert found.verify == f"jit audit verify --head {last.head}"
    assert (found.whole, found.lost, found.unread) == (True, (), 0)
    full.close()


def test_the_head_is_one_that_verify_takes(home: Path, tmp_path: Path) -> None:
    archive = Archive.open("", home)
    _, *words = shlex.split(made(archive).verify)
    archive.close()
    done = jit(*words, cwd=tmp_path, JIT_HOME=str(home))
    assert (done.returncode, "heads that are known from elsewhere" in done.stdout) == (0, True)


# what cannot be told


def test_a_day_after_which_nothing_is_sealed_is_not_whole(archive: Archive) -> None:
    keep(archive, days.SIGNER, W, [entry for entry in days.busy() if entry.at < UNTIL])
    found = made(archive)
    assert not found.whole
    assert "INCOMPLETE" in digest_words.text(found)


def test_a_day_that_is_not_over_is_told_as_far_as_it_is(full: Archive) -> None:
    found = made(full, now=at(10))
    assert not found.whole
    assert (found.count("asked"), found.count("stuck"), found.count("live")) == (5, 0, 2)
    full.close()


def test_numbers_that_were_lost_are_named(archive: Archive) -> None:
    told = days.busy()
    first, rest = told[:20], [entry._replace(seq=entry.seq + 5) for entry in told[20:]]
    [*_, last] = keep(archive, days.SIGNER, W, first)
    archive.append(days.SIGNER.loss(W, last, 21, 25, last.at), [])
    keep(archive, days.SIGNER, W, rest)
    found = made(archive)
    assert found.lost == ((21, 25),)
    assert "the events 21 to 25 were lost before they were sealed" in digest_words.text(found)


def test_an_event_that_another_version_wrote_is_counted_as_unread_and_breaks_nothing(archive: Archive) -> None:
    strange = AuditEntry(0, at(9.1), "J-3333", 2, "approved", '{"kind":"approved","at":"soon"}')
    told = sorted([*days.busy(), strange], key=lambda entry: entry.at)
    keep(archive, days.SIGNER, W, [entry._replace(seq=n) for n, entry in enumerate(told, start=1)])
    found = made(archive)
    assert (found.unread, found.count("asked")) == (1, 9)
    assert "1 event could not be read by this version" in digest_words.text(found)


def test_wrong_second_factor_codes_are_counted(archive: Archive) -> None:
    wrong = [note(n, at(9 + n), "factor_failed", f'{{"by":"UMIA","failures":{n}}}') for n in (1, 2)]
    keep(archive, days.SIGNER, W, [*wrong, note(3, at(13), "factor_locked", '{"by":"UMIA"}'), note(4, UNTIL + HOUR)])
    found = made(archive)
    assert found.count("wrong codes") == 3
    assert "3 wrong second-factor codes" in digest_words.text(found)


def test_what_an_intruder_wrote_breaks_nothing(archive: Archive) -> None:
    evil = [note(n, at(9), kind, event) for n, (kind, event) in enumerate([
        ("refused", "[" * 5000), ("found", "[]"), ("policy", '{"was":{"a":1},"now":null}'), ("x" * 300, "null"),
    ], start=1)]  # fmt: skip
    keep(archive, days.SIGNER, W, [*evil, note(5, UNTIL + HOUR)])
    found = made(archive)
    assert (found.count("refused"), found.count("found"), found.count("policy changes")) == (1, 1, 1)
    assert digest_words.text(found)


def test_lists_are_bounded_and_the_count_is_whole(archive: Archive) -> None:
    lives = {
        f"J-{letter}{other}22": list(
            days.opened(f"J-{letter}{other}22", "mia", 9, days.role("vault", sensitivity="high"), duration=20 * HOUR)
        )
        for letter in "ABCDE"
        for other in "ABCDE"
    }
    kept(archive, days.entries(lives.items(), [(UNTIL + HOUR, "digest", {})]))
    found = made(archive)
    assert (found.count("live"), len(found.live), len(found.sensitive)) == (25, MOST, MOST)


def test_of_very_many_open_requests_the_oldest_are_looked_at(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "_LOOKED_AT", 2)
    lives = {id_: list(days.opened(id_, "mia", hour, days.role("vault"), duration=40 * HOUR))
             for id_, hour in (("J-2222", -3), ("J-3333", -2), ("J-4444", -1))}  # fmt: skip
    kept(archive, days.entries(lives.items(), [(UNTIL + HOUR, "digest", {})]))
    found = made(archive)
    assert (found.count("live"), found.beyond, {grant.id for grant in found.live}) == (3, 1, {"J-2222", "J-3333"})
    assert "1 more open request not checked" in digest_words.text(found)


# days


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (DAY, 24)])
def test_a_day_on_which_the_clocks_change_is_told_whole_and_once(day: date, hours: int, archive: Archive) -> None:
    since, until = start_times.span(day, TZ)
    assert until - since == hours * HOUR
    told = [note(n + 1, since + n * 1_800 + 1) for n in range(-2, 2 * hours + 2)]
    told = [entry._replace(seq=n) for n, entry in enumerate(told, start=1)]
    keep(archive, days.SIGNER, W, told)
    counts = [made(archive, day + timedelta(days=n), until + 2 * 86_400).count("refused") for n in (-1, 0, 1)]
    assert counts == [2, 2 * hours, 2]


def test_the_edges_of_a_day_belong_to_one_day_each(archive: Archive) -> None:
    keep(
        archive, days.SIGNER, W, [note(1, SINCE - 0.000001), note(2, SINCE), note(3, UNTIL - 0.000001), note(4, UNTIL)]
    )
    assert [made(archive, DAY + timedelta(days=n), UNTIL + 2 * 86_400).events for n in (-1, 0, 1)] == [1, 2, 1]


# words


def test_a_quiet_day_is_short_and_says_what_is_open() -> None:
    said = digest_words.text(digest_of("quiet"))
    assert said.startswith("Digest for Tuesday 24 November 2026: Quiet: no requests, 1 grant still open\n")
    assert "1 grant open at midnight, the first to end on top:" in said
    assert len(said.splitlines()) == 9
    assert "Checkpoint " in said.splitlines()[-1]


def test_what_was_solved_since_midnight_needs_nobody() -> None:
    soon, later = (needs(digest_of("busy", now)) for now in (days.SOON, UNTIL + 86_400))
    assert [(need.kind, need.id) for need in soon if need not in later] == [
        (NeedKind.STUCK, "J-8888"),
        (NeedKind.WAITING, "J-CCCC"),
    ]
    assert {need.kind for need in later} == {NeedKind.UNVERIFIED, NeedKind.DRIFT, NeedKind.ALARM}


def test_a_request_that_has_expired_waits_for_nobody(full: Archive) -> None:
    assert [each.id for each in made(full, now=at(9.25)).waiting] == ["J-4444", "J-5555"]
    assert made(full, now=at(13.3)).waiting == ()
    full.close()


def test_a_grant_that_its_system_did_not_confirm_is_counted_and_marked(archive: Archive) -> None:
    *before, granted = days.opened("J-2222", "mia", 22, days.role("vault"), duration=8 * HOUR)
    told = [("J-2222", [*before]), ("J-3333", list(days.opened("J-3333", "eve", 22, days.role("vault"))))]
    kept(archive, days.entries(told, [(UNTIL + HOUR, "digest", {})]))
    found = made(archive, now=UNTIL + 60)
    assert granted.kind == "granted"
    assert digest_words.open_at_end(found) == "2 grants open at midnight (1 unconfirmed)"
    assert {grant.id: grant.unconfirmed for grant in found.live} == {"J-2222": True, "J-3333": False}


def test_the_four_numbers_are_held_against_the_week_before(full: Archive) -> None:
    assert [(number.name, number.count) for number in made(full).numbers] == [
        ("requested", 9), ("granted", 6), ("denied", 1), ("revoked", 3),
    ]  # fmt: skip
    assert {number.usual for number in made(full).numbers} == {None}, "the archive begins on the evening before"
    full.close()


def test_a_day_is_held_against_a_day_of_the_week_before_it(archive: Archive) -> None:
    told: list[tuple[str, list[Event]]] = [
        (f"J-222{n}", [days.asked(f"J-222{n}", "mia", 9 - 24 * n, days.role("vault"))]) for n in (2, 3, 4, 9)
    ]
    kept(archive, days.entries(told, [(UNTIL + HOUR, "digest", {})]))
    [requested, *_] = made(archive).numbers
    assert requested.count == 0
    assert requested.usual == pytest.approx(3 / 7)
    assert digest_words.usual(requested, Edition.DAILY) == "0.4 a day in the week before"


@pytest.mark.parametrize("name", ["busy", "quiet", "delegations"])
def test_the_text_is_as_its_golden_file_has_it(name: str) -> None:
    assert digest_words.text(days.golden(name)) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_what_a_rule_approved_is_a_figure_of_its_own_and_nobodys_decision(tmp_path: Path) -> None:
    first = days.by_rule("J-2222", "dan", 9)
    found = made(kept(Archive.open("", tmp_path, create=True), days.entries([("J-2222", [first])], [])))
    assert {name: found.count(name) for name in ("asked", "by rule", "approved")} == {
        "asked": 0,
        "by rule": 1,
        "approved": 0,
    }
    assert [(bar.system, bar.asked) for bar in found.picture.systems] == [("vault", 1)]
    assert found.picture.trend[-1].asked == 1
    assert found.median is None


def test_the_json_has_every_figure_with_its_command() -> None:
    said = json.loads(digest_words.as_json(digest_of("busy")))
    assert (said["version"], said["day"], said["timezone"]) == (1, "2026-11-24", TZ)
    assert {figure["name"]: figure["count"] for figure in said["figures"]} == FIGURES
    assert all(figure["look"].startswith("jit audit search ") for figure in said["figures"])


def test_the_same_archive_gives_the_same_digest(full: Archive) -> None:
    first, again = made(full), made(full)
    assert first == again
    full.close()


def test_the_terminal_obeys_nothing_that_was_typed() -> None:
    assert digest_words.plain("a\x1b[2Jb\n") == "a\ufffd[2Jb\ufffd"


# the command


def run(home: Path, cwd: Path, *words: str) -> tuple[int, str, str]:
    done = jit("digest", "--date", "2026-11-24", *words, cwd=cwd, JIT_HOME=str(home))
    return done.returncode, done.stdout, done.stderr


def test_the_command_needs_the_archive_alone_and_takes_its_zone_from_the_archived_policy(
    tmp_path: Path, home: Path
) -> None:
    archive = Archive.open("", home)
    newest = POLICY.replace("workspace:\n", 'workspace:\n  digest: {at: "09:00", timezone: Europe/Berlin}\n')
    archive.keep_policy(W, "cccccccccccccccc", json.dumps({"jit.yaml": newest}), 3.0)
    archive.close()
    code, said, _ = run(home, tmp_path)
    assert code == 0
    assert said == digest_words.text(digest_of("busy"))


def test_a_zone_that_is_said_goes_before_and_one_that_is_none_is_told(tmp_path: Path, home: Path) -> None:
    assert '"2026-11-24 Asia/Tokyo"' in run(home, tmp_path, "--timezone", "Asia/Tokyo")[1]
    code, _, error = run(home, tmp_path, "--timezone", "Mars/Olympus")
    assert (code, "there is no time zone 'Mars/Olympus'" in error) == (2, True)


def test_a_day_that_is_none_is_told_with_some_that_are(tmp_path: Path, home: Path) -> None:
    done = jit("digest", "--date", "someday", cwd=tmp_path, JIT_HOME=str(home))
    assert (done.returncode, "is no time" in done.stderr) == (2, True)


def test_the_command_writes_a_file_of_its_owners_alone_and_overwrites_none(tmp_path: Path, home: Path) -> None:
    out = tmp_path / "digest.json"
    zone = ("--timezone", TZ, "--format", "json", "--out", str(out))
    assert run(home, tmp_path, *zone)[0] == 0
    assert json.loads(out.read_text())["figures"]
    assert out.stat().st_mode & 0o777 == 0o600
    code, _, error = run(home, tmp_path, *zone)
    assert (code, "is there already" in error) == (2, True)


def test_the_command_draws(tmp_path: Path, home: Path) -> None:
    out = tmp_path / "digest.png"
    assert run(home, tmp_path, "--timezone", TZ, "--format", "png", "--out", str(out))[0] == 0
    assert out.read_bytes().startswith(b"\x89PNG")


def test_without_an_archive_it_says_what_to_set(tmp_path: Path) -> None:
    done = jit("digest", cwd=tmp_path, JIT_HOME=str(tmp_path / "nowhere"))
    assert (done.returncode, "there is no archive" in done.stderr) == (2, True)


def test_no_question_goes_through_all_events(archive: Archive) -> None:
    asked: list[str] = []
    kept(archive, days.busy())
    sa.event.listen(archive.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    with archive.begun() as db:
        made(archive)
        for statement in [each for each in asked if each.startswith("SELECT") and "jit_events" in each]:
            plan = str(db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", ("x",) * statement.count("?")).all())
            assert "SCAN" not in plan, statement
