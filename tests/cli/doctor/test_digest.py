"""The doctor says when the digest is told, and how to have its picture where the library for it is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.cli.doctor.checks import CheckVerdict
from bot.reports.digest import chart as digest_picture
from tests.cli.doctor.examining import Env, look, policy
from tests.house import POLICY

TOLD = POLICY.replace("workspace:\n", 'workspace:\n  digest: {at: "09:00", timezone: Europe/Berlin}\n')


async def test_it_says_when_and_where_and_of_which_day_the_last_one_was(env: Env, tmp_path: Path) -> None:
    found = await look(env, JIT_POLICY=policy(tmp_path, TOLD))
    said = found.said("digest", CheckVerdict.GOOD)
    assert "daily at 09:00 (Europe/Berlin), in C0AUDIT01; last due for " in said
    assert "with its picture" in said


async def test_it_names_the_other_editions_too(env: Env, tmp_path: Path) -> None:
    editions = TOLD.replace('{at: "09:00"', "{weekly: Monday 09:00, monthly: 1 08:30")
    said = (await look(env, JIT_POLICY=policy(tmp_path, editions))).said("digest", CheckVerdict.GOOD)
    assert "weekly on monday 09:00, monthly on day 1 08:30 (Europe/Berlin)" in said
    assert "daily" not in said


async def test_without_the_library_it_says_how_to_have_the_picture(
    env: Env, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest_picture, "available", lambda: False)
    found = await look(env, JIT_POLICY=policy(tmp_path, TOLD))
    assert "pip install 'jit-access[picture]'" in found.said("digest", CheckVerdict.NOTE)


async def test_of_a_policy_without_one_it_says_nothing(env: Env) -> None:
    assert (await look(env)).of("digest") == []
