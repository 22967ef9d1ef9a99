# ruff: noqa: ASYNC240 -- a test may wait for its disk
"""The file sink: private, rotated by size and by period, found again when logrotate moved it, and never half a line."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from providers.sinks.base import NotDelivered
from providers.sinks.conformance import records
from providers.sinks.file import FileConfig, FileSink

DAY = 86_400


class Clock:
    """A clock that is set by hand, and by which files are touched too."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def sink(path: Path, clock: Callable[[], float] | None = None, **more: Any) -> FileSink:
    config = FileConfig.model_validate({"path": str(path), **more})
    return FileSink(config, clock) if clock else FileSink(config)


def aside(path: Path) -> list[Path]:
    return sorted(each for each in path.parent.iterdir() if each != path)


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


async def test_nobody_else_can_read_it_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        one = sink(path)
        await one.send(records(1, 1))
        await one.close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_what_logrotate_moved_away_is_left_and_a_new_one_is_made(path: Path) -> None:
    one = sink(path)
    await one.send(records(1, 2))
    moved = path.rename(path.with_name("audit.jsonl.1"))
    await one.send(records(3, 3))
    await one.close()
    assert (lines(moved), lines(path)) == (2, 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_full_file_is_put_aside_between_two_batches(path: Path) -> None:
    one = sink(path, rotate_bytes=100)
    await one.send(records(1, 3))
    await one.send(records(4, 4))
    await one.send(records(5, 5))
    await one.close()
    assert [(each.name.rpartition("-")[2], lines(each)) for each in aside(path)] == [("4", 3), ("5", 1)]
    assert lines(path) == 1


async def test_a_new_period_begins_a_new_file_also_after_a_restart(path: Path) -> None:
    clock = Clock(20_000 * DAY + 10.0)
    one = sink(path, clock)
    await one.send(records(1, 1))
    await one.close()
    os.utime(path, (clock.at, clock.at))
    clock.at += DAY - 20
    two = sink(path, clock)
    await two.send(records(2, 2))
    os.utime(path, (clock.at, clock.at))
    assert not aside(path), "the day is not over"
    clock.at += 20
    await two.send(records(3, 3))
    await two.close()
    assert [lines(each) for each in aside(path)] == [2]
    assert lines(path) == 1


async def test_only_our_own_rotated_files_are_removed_and_only_where_that_is_said(path: Path) -> None:
    strangers = [path.with_name(name) for name in ("audit.jsonl.1", "audit.jsonl.2.gz", "audit.jsonl.20260101")]
    for each in strangers:
        each.write_text("not ours\n")
    one = sink(path, rotate_bytes=1, keep=2)
    for number in range(1, 7):
        await one.send(records(number, number))
    await one.close()
    ours = [each for each in aside(path) if each not in strangers]
    assert sorted(each.name.rpartition("-")[2] for each in ours) == ["5", "6"]
    assert all(each.exists() for each in strangers)


async def test_a_line_that_a_crash_cut_short_takes_none_along(path: Path) -> None:
    path.write_text('{"seq":1}\n{"seq":2,"ev')
    one = sink(path)
    await one.send(records(2, 3))
    await one.close()
    assert path.read_text().splitlines()[1:] == ['{"seq":2,"ev', *(record.text for record in records(2, 3))]


async def test_a_disk_that_is_full_leaves_no_half_batch(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = sink(path)
    await one.send(records(1, 1))
    write, full = os.write, True

    def short(fd: int, data: Any) -> int:
        if full and len(data) <= 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, bytes(data)[:100])

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(NotDelivered, match="No space left"):
        await one.send(records(2, 3))
    assert lines(path) == 1
    full = False
    await one.send(records(2, 3))
    await one.close()
    assert path.read_text().splitlines() == [record.text for record in records(1, 3)]


async def test_two_processes_do_not_write_it_at_once(path: Path) -> None:
    one, two = sink(path), sink(path)
    await one.send(records(1, 1))
    with pytest.raises(NotDelivered, match="another process writes it"):
        await two.send(records(2, 2))
    await one.close()
    await two.send(records(2, 2))
    await two.close()
    assert lines(path) == 2


async def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    path.symlink_to(tmp_path / "elsewhere")
    one = sink(path)
    with pytest.raises(NotDelivered, match="a link, which is not followed"):
        await one.send(records(1, 1))
    await one.close()
    assert not (tmp_path / "elsewhere").read_text()


async def test_check_makes_nothing_and_says_who_can_read(path: Path) -> None:
    one = sink(path)
    assert "not made yet" in (await one.check()).detail
    assert not path.exists()
    path.write_text("x\n")
    path.chmod(0o644)
    assert "chmod 600" in (await one.check()).detail
    await one.close()
    other = sink(path.parent / "nowhere" / "audit.jsonl")
    with pytest.raises(NotDelivered, match="its folder is not there"):
        await other.check()
    await other.close()


@pytest.mark.parametrize("given", ["audit.jsonl", "/", "../x", ""])
def test_a_path_is_whole(given: str) -> None:
    with pytest.raises(ValidationError, match="whole path"):
        FileConfig.model_validate({"path": given})
