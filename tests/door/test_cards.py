"""The card contract: for each state and kind, the card, its lock screen, its buttons, its thread and the letters."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core import notices
from bot.core.lifecycle import TRANSITIONS, fold
from bot.core.model import State
from bot.playground import LocalSlack
from tests.door.cards import FOLDER, STORIES, spelled, told
from tests.door.shown import flaws


@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_told_as_its_golden_file_has_it(name: str) -> None:
    golden = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert spelled(name) == golden, "if this is meant: `python -m tests.door.cards`, and look at the difference"


def test_there_is_a_story_of_each_state_and_no_file_without_one() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(STORIES)
    assert {fold(events).state for events in STORIES.values()} == set(State)


@pytest.mark.parametrize("name", STORIES)
def test_it_keeps_to_the_limits_and_what_was_typed_is_only_text(name: str) -> None:
    slack, shown = LocalSlack(), told(name)
    messages = [message for message in shown.values() if isinstance(message, dict)]
    slack.payloads += [("message", message) for message in messages]
    assert flaws(slack) == []
    for message in messages:
        assert message["text"], "a lock screen would show nothing"
        assert all("fields" not in block for block in message["blocks"])
    everything = "".join((*shown["thread"], *map(str, messages)))
    assert not any(evil in everything for evil in ("<!channel>", "<!here>", "<https://evil"))


@pytest.mark.parametrize("name", STORIES)
def test_who_asks_for_what_comes_first_then_why_then_what_it_opens_then_who_decides(name: str) -> None:
    who, why, consequence, standing = (block["text"]["text"] for block in told(name)["card"]["blocks"][:4])
    assert who.startswith("*Mia* (mia@example.com) · *")
    assert why.startswith("> ")
    assert " · opens the sandbox door " in consequence
    assert standing


@pytest.mark.parametrize("name", STORIES)
def test_buttons_that_no_longer_apply_are_gone(name: str) -> None:
    state, shown = fold(STORIES[name]).state, told(name)
    if not TRANSITIONS[state]:
        assert not any(_buttons(message) for message in shown.values() if isinstance(message, dict))
    assert len(_buttons(shown["card"])) <= 3


@pytest.mark.parametrize("name", STORIES)
def test_a_request_is_one_message_its_thread_and_at_most_three_letters(name: str) -> None:
    # A later end, which somebody approved, has a warning of its own.
    later = {notices.ending(n) for n in range(1, fold(STORIES[name]).extended + 1)}
    assert set(told(name)) <= {"card", "thread", "received", "decided", "ending", "alarm", "audit", *later}


def test_approving_is_one_tap_and_a_confirmation_where_it_is_critical() -> None:
    def confirms(name: str) -> list[bool]:
        return ["confirm" in button for button in _buttons(told(name)["card"]) if button["action_id"] == "approve"]

    assert confirms("pending") == [False]
    assert confirms("pending-critical") == [True]


def _buttons(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [element for block in message["blocks"] if block["type"] == "actions" for element in block["elements"]]
