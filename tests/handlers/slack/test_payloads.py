"""A line is read as it was typed, whatever Slack makes of the words in it."""

from __future__ import annotations

import pytest

from handlers.slack import payloads


@pytest.mark.parametrize(
    ("sent", "typed"),
    [
        ("request db host=<http://app.example.com|app.example.com> 30m", "request db host=app.example.com 30m"),
        ("see <http://app.example.com|the app>", "see http://app.example.com"),
        ("see <https://app.example.com|app.example.com>", "see https://app.example.com"),
        ("see <https://app.example.com>", "see https://app.example.com"),
        ("key=AAAA <mailto:mia@example.com|mia@example.com>", "key=AAAA mia@example.com"),
        ("for <@U0MIA|mia>, <#C0DB|db> &amp; more", "for <@U0MIA>, #db & more"),
    ],
)
def test_what_slack_wrote_for_a_word_is_the_word_again(sent: str, typed: str) -> None:
    assert payloads.line(sent).whole == typed


def test_inputs_are_read_by_their_name_and_only_what_is_filled_in() -> None:
    values = {
        "choice": {"choice": {"selected_option": {"value": "db/reader"}}},
        "input:group:db/reader": {"input": {"selected_option": {"value": "app_readers"}}},
        "input:host:db/reader": {"input": {"value": "a:b"}},
        "input:empty:db/reader": {"input": {"value": None}},
        "input:": {"input": {"value": "x"}},
        "input": {"input": {"value": "y"}},
    }
    form = payloads.chosen({"view": {"state": {"values": values}, "callback_id": "ask", "private_metadata": ""}})
    assert form.inputs == {"group": "app_readers", "host": "a:b"}
    assert form.what == "db/reader"
