"""However much happened, the digest fits into one message, and what is urgent is not what is left out."""

from __future__ import annotations

from dataclasses import replace

from bot.core.rights import Right
from bot.digest.facts import MOST, Digest, Line
from bot.digest.tally import Grant, Trouble
from bot.playground import LocalSlack
from handlers.views.digest import told
from tests.audit.days import digest_of
from tests.door.shown import flaws

EVIL = "<!channel> & <https://evil.example|safe> *bold* `code` " * 10


def crowd() -> Digest:
    """The busy day, with each list full of the longest that there is."""
    grant = Grant("J-22222222", EVIL, tuple(EVIL for _ in range(10)), "critical", 1.8e9, 1.9e9, closed=False)
    trouble = Trouble("stuck", "J-22222222", EVIL, (EVIL,), 9e6, EVIL)
    right, line = Right(EVIL, "decide about", EVIL), Line(EVIL, 10**9)
    return replace(
        digest_of("busy"),
        live=(grant,) * MOST,
        longest=(grant,) * 3,
        sensitive=(grant,) * MOST,
        trouble=(trouble,) * MOST,
        found=(line,) * MOST,
        refused=(line,) * MOST,
        others=(line,) * MOST,
        gained=(right,) * MOST,
        lost_rights=(right,) * MOST,
        taken=(EVIL,) * MOST,
        unknown_policies=(EVIL, EVIL),
        lost=((1, 2),) * 1000,
        unread=10**9,
        whole=False,
    )


def test_the_fullest_day_fits_into_one_message() -> None:
    slack = LocalSlack()
    message = told(crowd(), ["2026-11-23"] * 7, late=True)
    slack.payloads.append(("message", {"text": message.text, "blocks": message.blocks}))
    assert flaws(slack) == []
    said = str(message.blocks)
    assert "Not right" in said
    assert "There is more: `jit digest --date 2026-11-24" in said
    assert "jit audit verify --head" in said
    assert "<!channel>" not in said
    assert "<https" not in said


def test_a_day_that_fits_says_nothing_of_more() -> None:
    assert "There is more" not in str(told(digest_of("busy")).blocks)
