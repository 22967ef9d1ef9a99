"""A reason may link to a message of our own workspace, and to nothing else in the world."""

from __future__ import annotations

import pytest

from handlers.views.words import linked

SITE = "https://acme.slack.com"
MESSAGE = f"{SITE}/archives/C0GENERAL/p1700000000000100"
ANSWER = f"{MESSAGE}?thread_ts=1700000000.000100&cid=C0GENERAL"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (MESSAGE, f"<{MESSAGE}>"),
        (f"see {MESSAGE} please", f"see <{MESSAGE}> please"),
        (ANSWER, f"<{ANSWER.replace('&', '&amp;')}>"),
        (f"{MESSAGE} {MESSAGE}", f"<{MESSAGE}> <{MESSAGE}>"),
        (f"*a* <b> & {MESSAGE}", f"*a* &lt;b&gt; &amp; <{MESSAGE}>"),
    ],
)
def test_what_slack_calls_a_message_of_ours_can_be_followed(typed: str, shown: str) -> None:
    assert linked(typed, 600, SITE) == shown


@pytest.mark.parametrize(
    "typed",
    [
        "https://evil.example/archives/C0GENERAL/p1700000000000100",
        MESSAGE.replace("acme", "acme-evil"),
        MESSAGE.replace("slack.com", "slack.com.evil.example"),
        MESSAGE.replace("https://", "https://x@"),
        MESSAGE.replace("https", "http"),
        MESSAGE.replace("acme.slack.com", "acme.slack.com:8443"),
        MESSAGE.replace("acme.slack.com", "acmeXslack.com"),
        MESSAGE.upper(),
        f"{MESSAGE}|Approve this",
        f"<{MESSAGE}|Approve this>",
        f"<{MESSAGE}>",
        f"https://evil.example/?{MESSAGE}",
        f"{MESSAGE}.evil.example",
        f"{MESSAGE}?redirect=https://evil.example",
        f"{ANSWER}&x=1",
        f"{SITE}/archives/C0GENERAL",
        f"{SITE}/services/p1700000000000100",
        f"{SITE}/archives/C0GENERAL/p１７00000000000100",
        f"{SITE}/archives/../p1700000000000100",
    ],
)
def test_everything_else_stays_the_text_that_it_is(typed: str) -> None:
    shown = linked(typed, 600, SITE)
    assert "<" not in shown
    assert ">" not in shown
    assert linked(typed, 600, "") == shown


def test_marks_that_nobody_sees_do_not_hide_what_is_linked() -> None:
    assert linked(f"\u202e{MESSAGE}\u200b", 600, SITE) == f"<{MESSAGE}>"


def test_a_link_that_was_cut_off_is_none() -> None:
    assert "<" not in linked(f"{'x' * 580} {MESSAGE}", 600, SITE)


def test_without_an_address_of_our_own_nothing_is_a_link() -> None:
    assert linked(MESSAGE, 600, "") == MESSAGE
