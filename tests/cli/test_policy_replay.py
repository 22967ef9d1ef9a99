"""`jit policy replay` on a machine that has the archive and a policy, and nothing else."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from bot.audit.archive.archive import Archive
from bot.core.audit_chain import PURPOSE, Signer
from bot.store.keyring import KeyRing
from tests.audit.stories import keep
from tests.cli.test_main import jit
from tests.house import POLICY, catalog
from tests.reports.insights.stories import DAY, Story, W

TESTS = "groups: {dba: [dan@example.com]}\ncases: [{as: mia@example.com, what: debug, expect: asks}]\n"
RULE = "\nrules: [{when: {sensitivity: low, at_most: 1h, requester_in: [security]}, then: approve, budget: 2/day}]\n"
NEW = POLICY.replace("may_ask: [everyone]", "may_ask: [security, platform]", 1) + RULE

NONE = (
    "You cannot do this: you are in none of the groups that may request `vault/read-only`; an operator can tell you "
    "which may."
)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """An archive with one request each of Mia, Kim and Pat, approved within five minutes, and a new policy."""
    now, story = time.time(), Story()
    for n, who in enumerate(("mia", "kim", "pat")):
        story.approved(who, "dan", now - (10 - n) * DAY)
    opened = Archive.open("", tmp_path / "home", create=True)
    keep(opened, Signer(KeyRing.generate().subkeys(PURPOSE)), W, story.entries())
    opened.close()
    (tmp_path / "new.yaml").write_text(NEW, encoding="utf-8")
    (tmp_path / "t.test.yaml").write_text(TESTS, encoding="utf-8")
    return tmp_path


def replayed(desk: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return jit("policy", "replay", "new.yaml", *options, cwd=desk, JIT_HOME=str(desk / "home"))


def test_it_counts_what_would_have_come_and_names_what_would_have_gone_otherwise(desk: Path) -> None:
    done = replayed(desk, "--groups", "t.test.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"3 requests of the last 90d, replayed by policy {catalog(NEW).generation}",
        "  1 approved -> approved",
        "  1 approved -> approved by rule 1, 5 min sooner",
        "  1 approved -> refused",
        "Those that would have gone otherwise, the latest first:",
        "  J-4222 kim@example.com, vault/read-only 1h: approved -> approved by rule 1, 5 min sooner",
        f"  J-3222 mia@example.com, vault/read-only 1h: approved -> refused: {NONE}",
    ]


def test_machines_get_every_request(desk: Path) -> None:
    found = json.loads(replayed(desk, "--groups", "t.test.yaml", "--json").stdout)
    assert [(each["who"], each["was"], each["would"], each["same"]) for each in found["requests"]] == [
        ("mia@example.com", "approved", "refused", False),
        ("kim@example.com", "approved", "approved-by-rule", False),
        ("pat@example.com", "approved", "approved", True),
    ]
    assert [each["longer"] for each in found["requests"]] == [None, -300.0, 0.0]
    assert "in none of the groups" in found["requests"][0]["sentence"]


def test_without_the_people_of_a_user_group_it_says_what_to_give(desk: Path) -> None:
    done = replayed(desk)
    assert "-> depends on who is in a user group" in done.stdout
    assert done.stdout.endswith("Who is in dba is not in the policy: say it in a file, and add --groups FILE.\n")


def test_it_looks_back_no_further_than_asked_and_says_what_is_no_time(desk: Path) -> None:
    assert replayed(desk, "--last", "5d").stdout.startswith("0 requests of the last 5d")
    done = replayed(desk, "--last", "ever")
    assert (done.returncode, "--last: 'ever' is no duration" in done.stderr) == (2, True)
