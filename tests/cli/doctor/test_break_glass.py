"""An operator at a terminal sees which break-glass access waits for its review, and the doctor which is overdue."""

from __future__ import annotations

from dataclasses import replace

from bot.cli import requests
from bot.cli.doctor.store import judged
from bot.core import deadlines
from bot.core.lifecycle import advance
from bot.store.redis.health import OpenCounts
from tests.core.test_lifecycle import ended

COUNTS = OpenCounts((), (), (), 0.0, 0.0, 0, (), (), "")


def test_an_overdue_review_is_wrong_and_one_that_is_not_due_is_well() -> None:
    waits = ended()
    event = deadlines.due_event(waits, 3000.0)
    assert event
    late = advance(waits, event)
    [well] = judged(replace(COUNTS, requests=(waits,)), None)
    assert "nothing overdue" in well.found
    [wrong] = judged(replace(COUNTS, requests=(late,)), None)
    assert wrong.found == "break-glass reviews that are overdue: J-7K3Q"
    assert "have an owner of the system review each" in wrong.fix
    assert "break-glass, to be reviewed" in requests.row(waits)
    assert "its review is overdue (day 1)" in requests.row(late)
    assert requests.entry(waits)["lacks_review"] is True
