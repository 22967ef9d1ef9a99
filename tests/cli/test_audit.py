"""`jit audit` as an auditor types it, on a machine that has the archive and nothing else, and on one that has Redis."""

from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.audit.archive.archive import Archive
from bot.audit.archive.tables import EVENTS
from bot.audit.sealer import write_head
from bot.core.audit_chain import PURPOSE, Signer
from bot.store.keyring import KeyRing
from bot.store.keys import home as home_key
from bot.store.store import Store
from tests.archives import MakeSealer
from tests.audit.stories import commit, entries, keep, life, notes
from tests.cli.test_main import jit
from tests.servers import RedisServer

W = "T000001"
START = 1_773_000_000.0
KEY = base64.b64encode(b"1" * 32).decode()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An archive with two requests, and the last head."""
    path = tmp_path / "home"
    opened = Archive.open("", path, create=True)
    told = [*entries(life("J-2222", "mia", at=START), "J-2222", 1)]
    told += entries(life("J-3333", "eve", "hall", at=START + 86_400), "J-3333", 7)
    seals = keep(opened, Signer(KeyRing({"k1": b"1" * 32}).subkeys(PURPOSE)), W, told, most=5)
    opened.close()
    write_head(path, W, seals[-1].head)
    return path


def head(home: Path, last: int) -> str:
    opened = Archive.open("", home)
    seal = opened.seal_ending(W, last)
    opened.close()
    assert seal is not None
    return str(seal.head)


def tamper(home: Path, seq: int) -> None:
    opened = Archive.open("", home)
    with opened.begun() as db:
        db.execute(EVENTS.update().where(EVENTS.c.seq == seq).values(event="{}"))
    opened.close()


def test_verify_says_what_is_whole_and_what_is_not_shown(home: Path, tmp_path: Path) -> None:
    done = jit("audit", "verify", cwd=tmp_path, JIT_HOME=str(home), JIT_KEYS=f"k1:{KEY}")
    assert done.returncode == 0, done.stderr
    assert "whole: events 1 to 12" in done.stdout
    assert "Not shown by this" in done.stdout
    assert "Who signed is not shown" not in done.stdout


def test_verify_without_keys_says_that_it_cannot_tell_who_signed(home: Path, tmp_path: Path) -> None:
    (home / f"audit-head-{W}").unlink()
    done = jit("audit", "verify", cwd=tmp_path, JIT_HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert "Who signed is not shown" in done.stdout


def test_verify_takes_a_head_from_a_digest(home: Path, tmp_path: Path) -> None:
    known = head(home, 10)
    done = jit("audit", "verify", "--head", known, cwd=tmp_path, JIT_HOME=str(home))
    assert (done.returncode, "heads that are known" in done.stdout) == (0, True)
    other = known[:-1] + ("1" if known.endswith("0") else "0")
    wrong = jit("audit", "verify", "--head", other, cwd=tmp_path, JIT_HOME=str(home))
    assert (wrong.returncode, "events 1 to 10 were rewritten" in wrong.stdout) == (1, True)
    bad = jit("audit", "verify", "--head", "today", cwd=tmp_path, JIT_HOME=str(home))
    assert (bad.returncode, "is no head" in bad.stderr) == (2, True)


def test_verify_names_the_first_event_and_exits_1(home: Path, tmp_path: Path) -> None:
    tamper(home, 9)
    tamper(home, 4)
    done = jit("audit", "verify", cwd=tmp_path, JIT_HOME=str(home))
    assert done.returncode == 1
    assert "NOT WHOLE: event 4 was changed" in done.stdout


def test_an_end_that_was_cut_off_is_found_by_the_head_in_jit_home(home: Path, tmp_path: Path) -> None:
    opened = Archive.open("", home)
    with opened.begun() as db:
        db.execute(sa.text("DELETE FROM jit_events WHERE seq > 10"))
        db.execute(sa.text("DELETE FROM jit_seals WHERE last > 10"))
    opened.close()
    done = jit("audit", "verify", cwd=tmp_path, JIT_HOME=str(home))
    assert (done.returncode, "11 to 12 were removed" in done.stdout) == (1, True)


def test_an_export_is_complete_says_so_and_verifies_anywhere(home: Path, tmp_path: Path) -> None:
    made = jit("audit", "export", "--from", "3", "--to", "9", "--output", "x.jsonl", cwd=tmp_path, JIT_HOME=str(home))
    assert (made.returncode, "Complete from number 3 to 9." in made.stderr) == (0, True), made.stderr
    file = tmp_path / "x.jsonl"
    assert file.stat().st_mode & 0o077 == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = jit("audit", "verify", "--file", str(file), cwd=elsewhere)
    assert (done.returncode, "whole: events 3 to 9" in done.stdout) == (0, True), done.stderr
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if '"seq":6,' not in line))
    done = jit("audit", "verify", "--file", str(file), cwd=elsewhere)
    assert (done.returncode, "event 6 was removed" in done.stdout) == (1, True)
    file.write_text("".join(lines[:-1]))
    assert jit("audit", "verify", "--file", str(file), cwd=elsewhere).returncode == 2


def test_an_export_leaves_a_file_that_is_there_alone(home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    done = jit("audit", "export", "--output", "mine", cwd=tmp_path, JIT_HOME=str(home))
    assert (done.returncode, (tmp_path / "mine").read_text()) == (2, "mine")


def test_csv_is_for_people_and_starts_no_formula(home: Path, tmp_path: Path) -> None:
    words = ("audit", "export", "--format", "csv", "--when", "2026-03-08..2026-03-08")
    done = jit(*words, cwd=tmp_path, JIT_HOME=str(home))
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["number"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert (rows[3]["kind"], rows[3]["requester"], rows[3]["roles"]) == (
        "granted",
        "mia@example.com",
        "vault/read-only",
    )


def test_a_sample_says_that_it_is_one(home: Path, tmp_path: Path) -> None:
    words = ("audit", "export", "--sample", "1", "--seed", "3")
    one, again = (jit(*words, cwd=tmp_path, JIT_HOME=str(home)) for _ in range(2))
    assert "1 of the 2 requests" in one.stderr
    assert "not complete" in one.stderr
    assert one.stdout.splitlines()[1:] == again.stdout.splitlines()[1:]


def test_a_machine_without_redis_searches_the_archive_and_says_so(home: Path, tmp_path: Path) -> None:
    done = jit("audit", "search", "--person", "mia@example.com", "--kind", "granted", cwd=tmp_path, JIT_HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert "only the archive was looked at" in done.stderr
    [line] = done.stdout.splitlines()
    assert line.split()[:3] == ["4", "2026-03-08T20:01:02.000Z", "granted"]
    assert "mia@example.com vault/read-only" in line


def test_search_turns_pages(home: Path, tmp_path: Path) -> None:
    one = jit("audit", "search", "--json", "--limit", "5", cwd=tmp_path, JIT_HOME=str(home))
    assert "--before 8" in one.stderr
    two = jit("audit", "search", "--json", "--limit", "50", "--before", "8", cwd=tmp_path, JIT_HOME=str(home))
    numbers = [json.loads(line)["seq"] for line in (one.stdout + two.stdout).splitlines()]
    assert numbers == list(range(12, 0, -1))


def test_who_held_what_at_a_moment(home: Path, tmp_path: Path) -> None:
    done = jit("audit", "search", "--when", "at 2026-03-08T20:30Z", cwd=tmp_path, JIT_HOME=str(home))
    assert done.returncode == 0, done.stderr
    said = "mia@example.com held vault/read-only, 2026-03-08T20:01:02.000Z to 2026-03-08T21:01:03.000Z (J-2222)"
    assert done.stdout.strip() == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["search", "--when", "soonish"], "is no time"),
        (["search", "--before", "99"], "no event 99"),
        (["export", "--from", "9", "--to", "3"], "is no range"),
        (["export", "--to", "99"], "ends at 12"),
        (["export", "--when", "1999"], "is no time"),
        (["export", "--when", "1999-01"], "nothing happened"),
        (["verify", "--workspace", "T9"], "no events of T9"),
    ],
)
def test_what_cannot_be_looked_at_is_said_with_exit_code_2(
    home: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    done = jit("audit", *words, cwd=tmp_path, JIT_HOME=str(home))
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


def test_without_anything_at_hand_it_says_what_to_set(tmp_path: Path) -> None:
    for words in (("search",), ("verify",), ("export",)):
        done = jit("audit", *words, cwd=tmp_path, JIT_HOME=str(tmp_path / "none"))
        assert (done.returncode, "JIT_ARCHIVE_URL" in done.stderr) == (2, True)
        assert not (tmp_path / "none").exists(), "looking makes nothing"


async def test_what_is_not_sealed_yet_is_found_in_redis(
    store: Store, redis: RedisServer, sealer: MakeSealer, tmp_path: Path
) -> None:
    part = sealer()
    await commit(store, life("J-2222", "mia", workspace=store.workspace)[:3])
    await part.once()
    await part.close()
    await notes(store, 2)
    env = {"JIT_HOME": str(part.home), "REDIS_URL": redis.url, "JIT_KEYS": store.ring.spelled()}
    words = ("audit", "search", "--json", "--workspace", store.workspace)
    done = jit(*words, "--person", "UMIA", cwd=tmp_path, **env)
    assert [json.loads(line)["seq"] for line in done.stdout.splitlines()] == [5, 4, 3, 2, 1], done.stderr
    away = jit(*words, cwd=tmp_path, **{**env, "REDIS_URL": "redis://127.0.0.1:1/0"})
    assert [json.loads(line)["seq"] for line in away.stdout.splitlines()] == [3, 2, 1]
    assert "only the archive was looked at" in away.stderr


def test_evidence_is_one_signed_pack_that_verifies_elsewhere(home: Path, tmp_path: Path) -> None:
    env = {"JIT_HOME": str(home), "JIT_KEYS": f"k1:{KEY}"}
    made = jit("audit", "evidence", "j-2222", "--output", "pack.json", cwd=tmp_path, **env)
    assert made.returncode == 0, made.stderr
    whole = jit("audit", "verify", "--file", "pack.json", "--head", head(home, 10), cwd=tmp_path)
    assert (whole.returncode, "whole: events 1 to 6" in whole.stdout) == (0, True), whole.stderr
    file = tmp_path / "pack.json"
    file.write_text(file.read_text().replace("INC-1 is on fire", "INC-1 is not"))
    broken = jit("audit", "verify", "--file", "pack.json", cwd=tmp_path)
    assert (broken.returncode, "NOT WHOLE: event 1" in broken.stdout) == (1, True), broken.stdout
    page = jit("audit", "evidence", "J-2222", "--html", cwd=tmp_path, **env)
    assert (page.returncode, page.stdout.startswith("<!doctype html>")) == (0, True)


def test_evidence_needs_a_key_and_a_request(home: Path, tmp_path: Path) -> None:
    done = jit("audit", "evidence", "J-2222", cwd=tmp_path, JIT_HOME=str(home))
    assert (done.returncode, "set JIT_KEYS" in done.stderr) == (2, True)
    done = jit("audit", "evidence", "J-9999", cwd=tmp_path, JIT_HOME=str(home), JIT_KEYS=f"k1:{KEY}")
    assert (done.returncode, "no sealed event tells of J-9999" in done.stderr) == (2, True)


async def test_an_operator_adopts_an_archive_and_it_is_recorded(
    store: Store, redis: RedisServer, sealer: MakeSealer, tmp_path: Path
) -> None:
    gone, new = sealer("gone"), sealer("new")
    await notes(store, 2)
    await gone.once()
    await gone.close()
    token = "xoxb-1"
    await store.redis.set(home_key(token), json.dumps({"home": store.workspace}))
    env = {
        "JIT_HOME": str(new.home),
        "REDIS_URL": redis.url,
        "JIT_KEYS": store.ring.spelled(),
        "SLACK_BOT_TOKEN": token,
    }
    done = jit("audit", "adopt", "--reason", "the disk is gone", cwd=tmp_path, **env)
    assert done.returncode == 0, done.stderr
    assert await new.once() == 3
    await new.close()
    found = jit("audit", "search", "--kind", "archive_adopted", cwd=tmp_path, **env)
    assert ("cli:" in found.stdout, found.stderr) == (True, "")


def test_reindex_says_what_it_did(home: Path, tmp_path: Path) -> None:
    done = jit("audit", "reindex", cwd=tmp_path, JIT_HOME=str(home))
    assert (done.returncode, done.stdout) == (0, "12 events are indexed again.\n")


def test_a_kind_that_is_none_is_told_with_those_that_there_are(home: Path, tmp_path: Path) -> None:
    done = jit("audit", "search", "--kind", "grantd", cwd=tmp_path, JIT_HOME=str(home))
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no kind of event 'grantd'; did you mean `granted`" in done.stderr
    assert "submitted" in done.stderr
    assert "archive_adopted" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--person", "mia"), "No event names the person 'mia'; did you mean `mia@example.com`?"),
        (("--person", "mia@exmaple.com"), "did you mean `mia@example.com`"),
        (("--system", "valt"), "No event names the system 'valt'; did you mean `vault`?"),
        (("--role", "vault/readonly"), "did you mean `vault/read-only`"),
        (("--request", "J-2223"), "No event names the request 'J-2223'."),
        (("--person", "mia", "--when", "at 2026-03-08T20:30Z"), "did you mean `mia@example.com`?"),
    ],
)
def test_where_nothing_fits_a_name_that_no_event_has_is_told_with_what_was_probably_meant(
    home: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    done = jit("audit", "search", *words, cwd=tmp_path, JIT_HOME=str(home))
    assert (done.returncode, done.stdout) == (0, "")
    assert said in done.stderr


def test_where_nothing_fits_names_that_are_right_are_not_doubted(home: Path, tmp_path: Path) -> None:
    words = ("audit", "search", "--person", "mia@example.com", "--kind", "denied", "--request", "J-3333")
    done = jit(*words, cwd=tmp_path, JIT_HOME=str(home))
    assert "Nothing fits." in done.stderr
    assert "No event names" not in done.stderr


async def test_on_a_healthy_archive_there_is_nothing_to_adopt(
    store: Store, redis: RedisServer, sealer: MakeSealer, tmp_path: Path
) -> None:
    part = sealer("here")
    await notes(store, 2)
    await part.once()
    await part.close()
    await store.redis.set(home_key("xoxb-1"), json.dumps({"home": store.workspace}))
    env = {"JIT_HOME": str(part.home), "REDIS_URL": redis.url, "JIT_KEYS": store.ring.spelled()}
    before = await store.redis.xlen(store.keys.audit)
    done = jit("audit", "adopt", "--reason", "to try it", cwd=tmp_path, SLACK_BOT_TOKEN="xoxb-1", **env)
    assert (done.returncode, done.stdout) == (0, "Nothing to adopt: this archive has all that was sealed.\n")
    assert await store.redis.xlen(store.keys.audit) == before
