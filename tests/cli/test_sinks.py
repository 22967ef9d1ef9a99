"""`jit sinks` as an operator types it, on a machine that has the policy and the archive and nothing else."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from bot.audit.archive.archive import Archive
from bot.audit.shipping import cursors
from bot.audit.shipping.cursors import Refusal
from bot.core.audit_chain import Signer
from tests.audit.stories import keep, note
from tests.cli.test_main import jit
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
    assert "siem continues after event 2." in done.stdout
    archive = Archive.open("", home)
    found = cursors.cursors(archive, W)["siem"]
    archive.close()
    assert (found.stopped, found.number, found.refused) == ("", 2, 0)
    again = jit("sinks", "--resume", "siem", cwd=tmp_path, JIT_HOME=str(home))
    assert (again.returncode, "siem is not stopped: nothing to resume." in again.stdout) == (0, True)


def test_a_name_that_is_none_and_an_archive_that_is_none_are_told(home: Path, tmp_path: Path) -> None:
    done = jit("sinks", "--resume", "siam", cwd=tmp_path, JIT_HOME=str(home))
    assert done.returncode == 1
    assert "nothing was ever shipped to a sink 'siam': did you mean `siem`?" in done.stderr
    done = jit("sinks", cwd=tmp_path, JIT_HOME=str(tmp_path / "elsewhere"))
    assert done.returncode == 2
    assert "there is no archive" in done.stderr


def test_machines_get_a_line_of_json_for_each(home: Path, tmp_path: Path) -> None:
    done = jit("sinks", "--json", cwd=tmp_path, JIT_HOME=str(home))
    former, siem, coming = map(json.loads, done.stdout.splitlines())
    assert (former["sink"], former["number"], former["in_policy"]) == ("former", 5, False)
    assert (siem["number"], siem["behind"], siem["refused"]) == (2, 3, 1)
    assert coming == {"sink": "coming", "number": None, "in_policy": True}
