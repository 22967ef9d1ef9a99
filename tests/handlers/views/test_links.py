"""A reason may link to a message of our own workspace, and to nothing else in the world."""

from __future__ import annotations

import re

import pytest

from handlers.views.text import fitting, linked, message_link, tappable, who
from tests.house import person

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


@pytest.mark.parametrize("most", [10, 75, 300])
@pytest.mark.parametrize("typed", ["&" * 500, "x" * 500, "<!channel>" * 50, "א" * 500, "short"])
def test_what_has_to_fit_is_never_longer_once_its_signs_are_escaped(typed: str, most: int) -> None:
    assert 0 < len(fitting(typed, most)) <= most
    assert not re.search(r"&(?!amp;|lt;|gt;)", fitting(typed, most)), "no sign is cut in two"


def test_only_an_account_of_slack_s_leads_to_a_profile() -> None:
    mia = person("T0LOCAL01", "mia")
    assert tappable(mia, SITE) == f"*<{SITE}/team/UMIA|Mia>* (mia@example.com)"
    assert tappable(mia, "") == who(mia)
    assert tappable(mia.model_copy(update={"id": "cli:mia@host"}), SITE) == "*Mia* (mia@example.com)"
    odd = mia.model_copy(update={"name": "a|b> <!channel>"})
    assert tappable(odd, SITE) == f"*<{SITE}/team/UMIA|a/b&gt; &lt;!channel&gt;>* (mia@example.com)"


@pytest.mark.parametrize(
    ("site", "channel", "ts"),
    [("", "C0VAULT01", "1700000000.000100"), (SITE, "../x", "1700000000.000100"), (SITE, "C0VAULT01", "1|x>")],
)
def test_a_place_that_is_none_is_no_link(site: str, channel: str, ts: str) -> None:
    assert message_link(site, channel, ts) == ""
    assert message_link(SITE, "C0VAULT01", "1700000000.000100") == f"{SITE}/archives/C0VAULT01/p1700000000000100"
