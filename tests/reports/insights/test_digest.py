"""The digest has the new findings of its days, at most five, each with a button to snooze it; the thread has proof."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from bot.audit.archive.archive import Archive
from bot.core.audit_chain import Signer
from bot.playground.blocks import message_flaws
from bot.reports.digest import editions
from bot.reports.digest import facts as digest
from bot.reports.digest import text as digest_words
from bot.reports.digest.facts import Digest
from bot.reports.insights import findings as insights
from bot.reports.insights.cases import Insight, InsightSeverity
from handlers.views import digest as views
from handlers.views import insights as shown
from handlers.views.message import SlackMessage
from tests.audit.stories import keep, note
from tests.reports.insights.stories import DAY, NOON, Story, W


def finding(n: int) -> Insight:
    """Something that stands out."""
    story = Story()
    for day in range(5 + n):
        story.approved("mia", "dan", NOON + day * 3600, system=f"s{n}")
    [found] = story.found("asked-again", NOON + DAY)
    return insights.brief(found)


def made(archive: Archive, signer: Signer, count: int, *, quiet: bool = False) -> Digest:
    """The digest of a day on which so much was new."""
    story = Story()
    if not quiet:
        story.approved("mia", "dan", NOON)
    told = story.entries()
    told += [
        note(len(told) + n, NOON + 600 + n, "insight", json.dumps({"finding": insights.document(finding(n))}))
        for n in range(1, count + 1)
    ]
    keep(archive, signer, W, [*told, note(len(told) + 1, NOON + DAY, "alarm", "{}")])
    return digest.make(archive, W, editions.day(date(2026, 3, 9)), "UTC", NOON + 3 * DAY, lambda _: None)


def buttons(message: SlackMessage) -> list[str]:
    found = [block["accessory"] for block in message.blocks if "accessory" in block]
    return [button["value"] for button in found if button["action_id"] == "snooze"]


def test_five_new_findings_are_kept_and_three_fit_on_the_screen(archive: Archive, signer: Signer) -> None:
    found = made(archive, signer, 7)
    assert [each.count for each in found.findings] == [12, 11, 10, 9, 8]
    assert not found.others
    message = views.announcement(found)
    assert buttons(message) == [each.key for each in found.findings[:3]]
    assert "got s7/read-only 12 times in 30 d." in json.dumps(message.blocks)
    thread = json.dumps(views.details(found).blocks)
    assert thread.count("Evidence: ") == 5
    assert "/jit audit J-" in thread
    assert message_flaws(message.blocks).all == []
    text = digest_words.text(found)
    assert "low: mia@example.com got s7/read-only 12 times in 30 d. Make a template with" in text
    assert "and 7 more." in text
    assert json.loads(digest_words.as_json(found))["findings"][0]["severity"] == "low"


def test_a_quiet_day_has_its_findings_too(archive: Archive, signer: Signer) -> None:
    found = made(archive, signer, 1, quiet=True)
    assert found.quiet
    message = views.announcement(found)
    assert buttons(message) == [found.findings[0].key]
    assert "got s1/read-only 6 times" in digest_words.text(found)


def test_a_day_without_has_no_word_of_it(archive: Archive, signer: Signer) -> None:
    found = made(archive, signer, 0)
    assert found.findings == ()
    assert buttons(views.announcement(found)) == []
    assert "New findings" not in digest_words.text(found)


def written(blocks: Any) -> Any:
    """The blocks without the values of buttons and their labels for screen readers, which Slack takes as plain text."""
    if isinstance(blocks, list):
        return [written(each) for each in blocks]
    if isinstance(blocks, dict):
        return {key: written(value) for key, value in blocks.items() if key not in {"value", "accessibility_label"}}
    return blocks


@pytest.mark.parametrize("typed", ["<!channel>", "<https://evil.example|x>", "a" * 900])
def test_what_a_finding_says_is_harmless(typed: str) -> None:
    odd = Insight("x", f"x {typed}"[:300], InsightSeverity.HIGH, typed, typed, 1, NOON, ("J-2222",), (1,))
    said = json.dumps(written(shown.new_ones([odd])))
    assert "<!channel>" not in said
    assert "<https" not in said
    assert message_flaws(shown.new_ones([odd])).all == []
