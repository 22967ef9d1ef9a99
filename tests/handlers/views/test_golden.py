"""What people see is written down, view by view; whoever changes one sees it in the difference, and so do reviewers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from slack_sdk.models.views import View

from bot.playground import Call, LocalSlack
from handlers.views import home, modals
from tests.handlers.views.drawing import DRAWINGS, FOLDER, drawn, spelled
from tests.handlers.views.shown import assert_labelled, buttons_of, flaws


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_view_is_as_its_golden_file_has_it(name: str) -> None:
    golden = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert spelled(name) == golden, (
        "if this is meant: `python -m tests.handlers.views.drawing`, and look at the difference"
    )


def test_there_is_no_golden_file_without_a_view() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(DRAWINGS)


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_view_goes_past_a_limit_and_nothing_that_was_typed_is_more_than_text(name: str) -> None:
    body = drawn(name)
    slack = LocalSlack()
    kind = "options" if isinstance(body, list) else "view" if "type" in body else "message"
    slack.payloads.append((kind, {"option_groups": body} if kind == "options" else body))
    assert flaws(slack) == []
    for evil in ("<!channel>", "<https://evil"):
        assert evil not in "".join(_markdown(body))


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_screen_reader_says_what_each_button_does(name: str) -> None:
    for button in buttons_of(drawn(name)):
        assert_labelled(button)


def test_every_view_of_these_modules_is_drawn() -> None:
    makers = {
        function.__name__
        for module in (modals, home)
        for function in vars(module).values()
        if getattr(function, "__annotations__", {}).get("return") in {View, "View"} and function.__name__[0] != "_"
    }
    # A secret belongs in no file, not even a made-up one: the journeys look at that modal.
    assert {name.partition("-")[0] for name in DRAWINGS} >= {
        name.partition("_")[0] for name in makers - {"secret", "refused"}
    }
    assert "home-refused" in DRAWINGS


# what holds all that journeys show against the limits


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("message", {"text": "x", "blocks": [{"type": "divider"}] * 51}),
        ("message", {"text": "x", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]}),
        ("view", {"type": "home", "blocks": [{"type": "divider"}] * 101}),
        ("view", {"type": "modal", "title": {"type": "plain_text", "text": "x" * 25}, "blocks": []}),
        ("options", {"options": [{"text": {"type": "plain_text", "text": "x"}, "value": "v"}] * 101}),
        ("novelty", {}),
    ],
)
def test_what_goes_past_a_limit_is_found(kind: str, body: dict[str, Any]) -> None:
    slack = LocalSlack()
    slack.payloads.append((kind, body))
    assert len(flaws(slack)) == 1


@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update", "views.publish"])
def test_what_slack_refused_or_never_answered_is_looked_at_too(method: str) -> None:
    slack = LocalSlack()
    body = {"type": "home", "blocks": [{"type": "divider"}] * 101} if method.startswith("views") else {}
    slack.calls.append(Call(method, {"view": body, "text": "x" * 40_001}, "error_500", 0.0))
    assert len(flaws(slack)) == 1


def _markdown(value: Any) -> list[str]:
    """Every text in which Slack reads signs."""
    if isinstance(value, dict):
        mine = [value["text"]] if value.get("type") == "mrkdwn" or set(value) == {"text"} else []
        return [*mine, *(text for part in value.values() for text in _markdown(part))]
    return [text for part in value for text in _markdown(part)] if isinstance(value, list) else []


def test_golden_files_are_json() -> None:
    for path in FOLDER.glob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))
