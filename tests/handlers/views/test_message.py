"""What a phone shows before it is unlocked: of every golden message, the thing itself, short and whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.views.message import LOCK_SCREEN, SlackMessage, lock_screen
from handlers.views.text import safe, when
from tests.handlers.views import cards, drawing

_PIECES = st.one_of(
    st.text(max_size=40).map(safe),
    st.sampled_from(
        ["<@UDAN>", "<!subteam^S0DBA0001>", "<https://local.slack.com/archives/C0/p1|Open the card>", "*b*"]
    ),
    st.integers(0, 2_000_000_000).map(when),
    st.text(alphabet="\u05d0\u05d1 &<", max_size=20).map(safe),
)


def _golden() -> Iterator[tuple[str, str]]:
    """The texts of all golden messages; a line of a thread is a message, too."""
    for path in (*drawing.FOLDER.glob("*.json"), *cards.FOLDER.glob("*.json")):
        body = json.loads(path.read_text(encoding="utf-8"))
        for name, text in _texts(body):
            yield f"{path.stem} {name}", text


def _texts(body: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(body, dict) or "type" in body:
        return
    if {"text", "blocks"} <= set(body):
        yield "", body["text"]
    for name, part in body.items():
        if name in {"thread", "rings"}:
            yield from ((f"{name} {n}", SlackMessage(line, []).text) for n, line in enumerate(part))
        elif isinstance(part, dict):
            yield from ((f"{name} {more}", text) for more, text in _texts(part))


GOLDEN = dict(_golden())


def whole(text: str) -> bool:
    """Whether no mark-up is cut in two: what begins ends, and an escaped sign is all there."""
    bare = re.sub(r"<[^<>]*>|&(?:amp|lt|gt);", "", text)
    isolates = text.count("\u2068") == text.count("\u2069")
    return not set(bare) & set("<>&") and text.count("*") % 2 == text.count("`") % 2 == 0 and isolates


def test_there_are_messages_of_each_kind() -> None:
    kinds = {name.split(" ")[1] for name in GOLDEN}
    assert {"", "card", "thread", "rings", "granted", "ended", "ending", "extension", "decided", "alarm"} <= kinds


@pytest.mark.parametrize("name", GOLDEN)
def test_a_lock_screen_shows_the_thing_itself(name: str) -> None:
    text = GOLDEN[name]
    assert 0 < len(text) <= LOCK_SCREEN
    assert whole(text), text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("story", "said"),
    [
        ("active", ["You have access until", "Debug the vault"]),
        ("active-warned", ["Debug the vault", "ends <!date"]),
        ("active-extended", ["Debug the vault", "is extended until"]),
        ("active-later-end-denied", ["Debug the vault", "is not extended", "as planned"]),
        ("active-later-end-failed", ["Debug the vault", "is not extended", "as planned"]),
        ("denied", ["Debug the vault", "Eve denied: not tonight"]),
        ("request_expired", ["Debug the vault", "Nobody answered in time"]),
        ("void", ["Debug the vault", "The policy cancelled it"]),
        ("failed", ["Debug the vault", "could not be granted", "no account there"]),
        ("ended-expired", ["Debug the vault", "Access expired"]),
        ("ended-revoked", ["Debug the vault", "<@UEVE> ended it early: INC-2"]),
        ("scheduled", ["Debug the vault", "Dan approved", "Access starts <!date"]),
        ("scheduled-missed", ["Debug the vault", "could not start in time"]),
        ("scheduled-taken-away", ["Debug the vault", "<@UEVE> cancelled it: not tonight"]),
    ],
)
def test_what_rang_last_says_what_happened_to_what(story: str, said: list[str]) -> None:
    last = cards.told(story)["rings"][-1]
    assert [words for words in said if words not in last] == []


@pytest.mark.parametrize("story", ["cancelled", "pending", "granting", "scheduled-by-rule"])
def test_what_the_requester_did_themself_or_was_told_in_place_rings_nobody(story: str) -> None:
    assert cards.told(story)["rings"] == []


def test_no_message_has_a_secret_or_shows_on_a_lock_screen_how_to_connect() -> None:
    assert not [name for name, text in GOLDEN.items() if cards.CONNECT[:4] in text or "password" in text.lower()]


@given(st.lists(_PIECES, min_size=1, max_size=12).map(" ".join))
def test_whatever_is_said_it_is_cut_at_a_word_and_never_within_mark_up(said: str) -> None:
    shown = lock_screen(said)
    assert len(shown) <= LOCK_SCREEN
    assert whole(shown)
    assert shown == " ".join(said.replace("*", "").replace("`", "").split()) or shown.endswith("…")


def test_a_line_that_is_too_long_for_a_lock_screen_is_read_whole_in_slack() -> None:
    line = f"Dan denied: {'too risky ' * 30}<@UMIA>"
    message = SlackMessage(line, [])
    assert message.text.endswith("…")
    assert message.blocks[0]["text"]["text"] == line
    assert SlackMessage("Access granted. *Now*", []) == SlackMessage("Access granted. *Now*", [])
    assert SlackMessage("Access granted. *Now*", []).blocks == []
