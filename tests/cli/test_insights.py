"""`jit insights` on a machine that has the archive and nothing else."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from bot.audit.archive.archive import Archive
from bot.core.audit_chain import PURPOSE, Signer
from bot.store.keyring import KeyRing
from tests.audit.stories import keep, note
from tests.cli.test_main import jit
from tests.house import POLICY, catalog
from tests.reports.insights.stories import DAY, Story, W

KEY = "asked-again mia@example.com vault/read-only"
SAID = "mia@example.com got vault/read-only 6 times in 14 d."


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An archive with six requests of the last six days, and the policy of that time."""
    path, now, story = tmp_path / "home", time.time(), Story()
    for n in range(6):
        story.approved("mia", "dan", now - (6 - n) * DAY + 3600)
    opened = Archive.open("", path, create=True)
    opened.keep_policy(W, catalog().policy_hash, json.dumps({"jit.yaml": POLICY}), now)
    keep(opened, Signer(KeyRing.generate().subkeys(PURPOSE)), W, story.entries())
    opened.close()
    return path


def test_it_tells_with_the_archive_alone(home: Path, tmp_path: Path) -> None:
    done = jit("insights", cwd=tmp_path, JIT_HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert SAID in done.stdout
    assert "asked-again: One person gets the same access again and again." in done.stdout
    assert "Make a template with" in done.stdout
    assert "Evidence: J-3222, J-4222, J-5222, J-6222, J-7222, J-8222" in done.stdout
    assert "the last archived one applies" in done.stderr


def test_for_machines(home: Path, tmp_path: Path) -> None:
    done = jit("insights", "--format", "json", cwd=tmp_path, JIT_HOME=str(home))
    said = json.loads(done.stdout)
    [found] = said["findings"]
    assert said["workspace"] == W
    assert found["key"] == KEY
    assert found["count"] == len(found["requests"]) == 6
    assert found["events"] == [1, 3, 5, 7, 9, 11]
    assert found["snoozed"] is None
    assert "inactive" in said["rules"]


def test_it_looks_back_no_further_than_asked(home: Path, tmp_path: Path) -> None:
    assert "No findings" in jit("insights", "--since", "4d", cwd=tmp_path, JIT_HOME=str(home)).stdout
    assert SAID in jit("insights", "--since", "30d", cwd=tmp_path, JIT_HOME=str(home)).stdout
    wrong = jit("insights", "--since", "soon", cwd=tmp_path, JIT_HOME=str(home))
    assert wrong.returncode == 2
    assert "--since: 'soon' is no duration" in wrong.stderr


def test_the_policy_that_is_here_has_the_thresholds(home: Path, tmp_path: Path) -> None:
    (tmp_path / "jit.yaml").write_text(POLICY.replace("  operators:", "  insights: {asked-again: off}\n  operators:"))
    done = jit("insights", cwd=tmp_path, JIT_HOME=str(home))
    assert done.stdout == "No findings.\n"
    assert done.stderr == ""


def test_who_snoozed_what_is_told_from_the_record(home: Path, tmp_path: Path) -> None:
    opened, now = Archive.open("", home), time.time()
    facts = {"by": "UADA", "key": KEY, "until": now + DAY, "finding": SAID}
    keep(opened, Signer(KeyRing.generate().subkeys(PURPOSE)), W, [note(13, now - 60, "snoozed", json.dumps(facts))])
    opened.close()
    done = jit("insights", cwd=tmp_path, JIT_HOME=str(home))
    assert done.stdout.startswith("No findings.\nSnoozed by UADA until 20")
    assert SAID in done.stdout


def test_without_an_archive_it_says_what_to_set(tmp_path: Path) -> None:
    done = jit("insights", cwd=tmp_path, JIT_HOME=str(tmp_path / "nothing"))
    assert done.returncode == 2
    assert "JIT_ARCHIVE_URL" in done.stderr
