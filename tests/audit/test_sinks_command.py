"""`jit sinks` as an operator types it, on a machine that has the policy and the archive and nothing else."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from bot.record import cursors
from bot.record.archive import Archive
from bot.record.cursors import Refusal
from bot.record.seals import Signer
from tests.audit.stories import keep, note
from tests.door.test_cli import jit
from tests.house import POLICY

W = "T000001"


@pytest.fixture
def home(tmp_path: Path, signer: Signer) -> Path:
    """An archive of five events, a sink that stands at the second and was stopped, and one that is not named now."""
    path = tmp_path / "home"
    archive = Archive.open("", path, create=True)
    keep(archive, signer, W, [note(n, time.time()) for n in range(1, 6)])
    begun = cursors.begin(archive, W, "siem", "c", now=time.time(), all_of_it=True)
    moved = cursors.move(archive, begun, 2, time.time(), Refusal(2, "too large"))
    cursors.stop(archive, moved, "it answers 410 Gone\x1b[2J")
    cursors.begin(archive, W, "former", "c", now=time.time(), all_of_it=False)
    archive.close()
    named = {name: {"kind": "file", "config": {"path": f"/tmp/{name}"}} for name in ("siem", "coming")}
    text = POLICY.replace("  operators: [platform]\n", f"  operators: [platform]\n  sinks: {json.dumps(named)}\n", 1)
    (tmp_path / "jit.yaml").write_text(text, encoding="utf-8")
    return path


def test_it_shows_where_each_cursor_stands(home: Path, tmp_path: Path) -> None:
    done = jit("sinks", cwd=tmp_path, JIT_HOME=str(home))
    assert done.returncode == 0, done.stderr
    former, siem, coming = done.stdout.splitlines()
    assert former.split() == [W, "former", "up", "to", "5", "behind", "0", "refused", "0", "not", "in", "the", "policy"]
    assert "siem" in siem
    assert "up to 2  behind 3  refused 1  stopped: it answers 410 Gone" in siem
    assert "\x1b" not in siem
    assert coming == "coming: nothing was shipped there yet"


def test_a_stopped_one_goes_on_by_a_persons_word(home: Path, tmp_path: Path) -> None:
    done = jit("sinks", "--resume", "siem", cwd=tmp_path, JIT_HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert "siem goes on behind 2." in done.stdout
    archive = Archive.open("", home)
    found = cursors.cursors(archive, W)["siem"]
    archive.close()
    assert (found.stopped, found.number, found.refused) == ("", 2, 0)


def test_a_name_that_is_none_and_an_archive_that_is_none_are_told(home: Path, tmp_path: Path) -> None:
    done = jit("sinks", "--resume", "siam", cwd=tmp_path, JIT_HOME=str(home))
    assert done.returncode == 1
    assert "no sink 'siam' was ever shipped to" in done.stderr
    done = jit("sinks", cwd=tmp_path, JIT_HOME=str(tmp_path / "elsewhere"))
    assert done.returncode == 1
    assert "there is no archive" in done.stderr
