"""A short storm, for every run of the tests; `python -m tests.chaos.storm` is the long one."""

from __future__ import annotations

from tests.chaos import storm


async def test_after_a_storm_nothing_is_open_and_the_books_are_right() -> None:
    found = await storm.run(requests=120, seconds=12, seed=7)
    assert found["wrong"] == []
    assert found["requests"] == 120
    assert found["workers killed"] + found["workers stopped and resumed"] + found["Redis killed and started"] > 5
