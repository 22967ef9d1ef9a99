"""`jit policy replay` on a machine that has the archive and a policy, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

from bot.audit.archive.archive import Archive
from bot.core.audit_chain import PURPOSE, Signer
from bot.store.keyring import KeyRing
from tests.audit.stories import HOUR, keep
from tests.cli.test_main import jit
from tests.house import POLICY, catalog
from tests.policy.flows import FLOWS
from tests.reports.insights.stories import DAY, Story, W
from tests.reports.test_replay_flows import Told

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


@pytest.fixture
def flows(desk: Path) -> Path:
    """The same with a request of each other flow, and a policy that has them all."""
    now, story = time.time() - 20 * DAY, Told()
    for hour in (0, 3, 6):
        story.held("mia", now + hour * HOUR)
    story.answer(story.shared("kim", now + DAY), "dan", now + DAY + 60)
    story.approved("kim", "dan", now + DAY + 600)
    filed = story.accepted(story.filed("dan", "eve", now + 2 * DAY), "eve", now + 2 * DAY + 60)
    story.answer(filed, "dan", now + 2 * DAY + 90)
    story.approved("lea", "sam", now + 3 * DAY, wait=2400)
    story.broke_glass("sam", now + 4 * DAY)
    story.broke_glass("sam", now + 6 * DAY)
    story.broke_glass("ned", now + 7 * DAY)
    opened = Archive.open("", desk / "home2", create=True)
    keep(opened, Signer(KeyRing.generate().subkeys(PURPOSE)), W, story.entries())
    opened.close()
    (desk / "new.yaml").write_text(FLOWS, encoding="utf-8")
    return desk


def replayed(desk: Path, *options: str) -> subprocess.CompletedProcess[str]:
    home = desk / "home2" if (desk / "home2").exists() else desk / "home"
    return jit("policy", "replay", "new.yaml", *options, cwd=desk, JIT_HOME=str(home))


def test_it_counts_what_would_have_come_and_names_what_would_have_gone_otherwise(desk: Path) -> None:
    done = replayed(desk, "--groups", "t.test.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"3 requests of the last 90d, replayed by policy {catalog(NEW).policy_hash}",
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


def test_the_other_flows_are_said_in_a_line_each(flows: Path) -> None:
    done = replayed(flows, "--groups", "t.test.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [re.sub(r"\d\d \w\w\w \d\d:\d\d", "TIME", line.removeprefix("  ")) for line in done.stdout.splitlines()]
    split = lines.index("Those that would have gone otherwise, the latest first:")
    assert lines[1:split] == [
        "3 approved -> approved",
        "1 approved -> approved, escalated to security",
        "1 approved -> refused",
        "1 approved -> refused by a conflict",
        "1 approved -> refused by a limit",
        "1 break-glass -> break-glass",
        "1 break-glass -> refused",
        "1 break-glass -> waits for one of dba, about 5 min later",
    ]
    asked = ", vault/read-only 1h: "
    assert [re.sub(r"^J-\w+ ", "", line).split(asked)[0] for line in lines[split + 1 :]] == [
        "ned@example.com",
        "sam@example.com",
        "lea@example.com",
        "dan@example.com for eve@example.com",
        "kim@example.com",
        "mia@example.com",
    ]
    may_not = "You cannot do this: you are in none of the groups that may"
    conflict = (
        "Nobody may hold both `vault/read-only` and `vault/shared`, and your request J-6222 is for `vault/shared`."
    )
    limit = "`vault/read-only` was approved 2 times for you within 24 hours, the maximum."
    overdue = "since the review of the requester's break-glass access J-A222 is overdue"
    assert [line.split(asked)[1] for line in lines[split + 1 :]] == [
        f"break-glass -> refused: {may_not} use break-glass for `vault/read-only`.",
        f"break-glass -> waits for one of dba, about 5 min later: {overdue}",
        "approved -> approved, escalated to security",
        f"approved -> refused: {may_not} request `vault/read-only` for others.",
        f"approved -> refused by a conflict: {conflict} End or cancel it first: `/jit list`.",
        f"approved -> refused by a limit: {limit} There is room again at TIME UTC.",
    ]


def test_machines_read_of_the_other_flows_too(flows: Path) -> None:
    found = json.loads(replayed(flows, "--groups", "t.test.yaml", "--json").stdout)["requests"]
    assert [each["refused_by"] for each in found] == [None, None, "limit", None, "conflict", *[None] * 5]
    by = {(each["who"], each["requested_by"]): each for each in found}
    assert by["eve@example.com", "dan@example.com"]["would"] == "refused"
    assert by["lea@example.com", None]["would_escalate"] == ["security"]
    assert (by["sam@example.com", None]["was"], by["sam@example.com", None]["would"]) == ("break-glass", "asks")
    assert [each["would_review"] for each in found if each["was"] == "break-glass"] == ["overdue", None, None]
