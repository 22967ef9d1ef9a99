"""The digest tells what newly stands out that day, at most five, with its evidence and a way to snooze it."""

from __future__ import annotations

import json
from datetime import date

import pytest

from bot.digest import facts as digest
from bot.digest import words as digest_words
from bot.digest.facts import Digest
from bot.insights import findings as insights
from bot.insights.cases import Finding, Severity
from bot.playground.blocks import message_flaws
from bot.record.archive import Archive
from bot.record.seals import Signer
from handlers.views import digest as views
from handlers.views import insights as shown
from handlers.views.card import Message
from tests.audit.stories import keep, note
from tests.insights.stories import DAY, NOON, Story, W


def finding(n: int) -> Finding:
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
    return digest.make(archive, W, date(2026, 3, 9), "UTC", NOON + 3 * DAY, lambda _: None)


def buttons(message: Message) -> list[str]:
    return [block["accessory"]["value"] for block in message.blocks if "accessory" in block]


def test_five_of_the_new_ones_are_told(archive: Archive, signer: Signer) -> None:
    found = made(archive, signer, 7)
    assert [each.count for each in found.findings] == [12, 11, 10, 9, 8]
    assert not found.others
    message = views.told(found)
    assert buttons(message) == [each.key for each in found.findings]
    said = json.dumps(message.blocks)
    assert "was given s7/read-only 12 times in 30 d." in said
    assert "Evidence: " in said
    assert "/jit audit J-" in said
    assert message_flaws(message.blocks).found == []
    text = digest_words.text(found)
    assert "low: mia@example.com was given s7/read-only 12 times in 30 d. Make a template of it" in text
    assert "and 7 more." in text
    assert json.loads(digest_words.as_json(found))["findings"][0]["severity"] == "low"


def test_a_quiet_day_is_one_line_and_what_stands_out(archive: Archive, signer: Signer) -> None:
    found = made(archive, signer, 1, quiet=True)
    assert found.quiet
    message = views.told(found)
    assert len(message.blocks) == 3
    assert buttons(message) == [found.findings[0].key]
    assert "was given s1/read-only 6 times" in digest_words.text(found)


def test_a_day_without_has_no_word_of_it(archive: Archive, signer: Signer) -> None:
    found = made(archive, signer, 0)
    assert found.findings == ()
    assert buttons(views.told(found)) == []
    assert "stands out" not in digest_words.text(found)


@pytest.mark.parametrize("typed", ["<!channel>", "<https://evil.example|x>", "a" * 900])
def test_what_a_finding_says_is_harmless(typed: str) -> None:
    odd = Finding("x", f"x {typed}"[:300], Severity.HIGH, typed, typed, 1, NOON, ("J-2222",), (1,))
    said = json.dumps(shown.new_ones([odd]))
    assert "<!channel>" not in said.replace('"value": "x <!channel>"', "")
    assert "<https" not in said.replace('"value": "x <https', "")
    assert message_flaws(shown.new_ones([odd])).found == []
