"""The digest is one screen that says what needs somebody; the rest is in its thread. Both fit, whatever happened."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from bot.playground import LocalSlack
from bot.playground.block_tree import texts
from bot.policy.permission_diff import Right
from bot.reports.digest.editions import Edition
from bot.reports.digest.facts import MOST, CountedLine, Digest
from bot.reports.digest.tally import Grant, Trouble
from handlers.views.digest import announcement, details
from tests.handlers.views.shown import flaws
from tests.reports.digest.days import digest_of, golden

EVIL = "<!channel> & <https://evil.example|safe> *bold* `code` " * 10


def crowd() -> Digest:
    """The busy day, with each list full of the longest that there is."""
    grant = Grant("J-22222222", EVIL, tuple(EVIL for _ in range(10)), "critical", 1.8e9, 1.9e9, closed=False)
    trouble = Trouble("stuck", "J-22222222", EVIL, (EVIL,), 9e6, EVIL)
    right, line = Right(EVIL, "approve", EVIL), CountedLine(EVIL, 10**9)
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


@pytest.mark.parametrize("as_table", [True, False])
def test_the_fullest_day_fits_into_its_two_messages(*, as_table: bool) -> None:
    slack = LocalSlack()
    body = announcement(crowd(), ["2026-11-23"] * 7, late=True)
    thread = details(crowd(), ["2026-11-23"] * 7, as_table=as_table)
    for message in (body, thread):
        slack.payloads.append(("message", {"text": message.text, "blocks": message.blocks}))
        assert "<!channel>" not in "".join(_markdown(message.blocks))
        assert "<https" not in "".join(_markdown(message.blocks))
    assert flaws(slack) == []
    said = str(thread.blocks)
    assert "*Trouble*" in said
    assert "There is more: `jit digest --date 2026-11-24" in said
    assert "jit audit verify --head" in said


def test_a_day_that_fits_says_nothing_of_more() -> None:
    assert "There is more" not in str(details(golden("busy")).blocks)


@pytest.mark.parametrize("name", ["busy", "quiet"])
def test_the_body_has_no_command_no_hash_and_no_id_of_a_group(name: str) -> None:
    found = golden(name)
    said = "".join(texts(announcement(found, ["2026-11-23"], late=True).blocks))
    assert "jit " not in said
    assert "/jit" not in said
    assert not re.search(r"[0-9a-f]{16}|S0[A-Z0-9]{6}", said)
    thread = str(details(found).blocks)
    assert found.verify in thread


@pytest.mark.parametrize(("name", "most"), [("quiet", 12), ("busy", 38)])
def test_the_body_is_one_screen_of_a_phone(name: str, most: int) -> None:
    shown = [re.sub(r"<!date[^|]*\|([^>]*)>", r"\1", text) for text in texts(announcement(golden(name)).blocks)]
    assert sum(-(-len(line) // 42) for text in shown for line in text.split("\n")) <= most


def test_what_does_not_fit_on_the_screen_is_counted() -> None:
    said = " ".join(texts(announcement(crowd()).blocks))
    assert "… and 6 more, in the thread." in said


def test_each_thing_that_needs_somebody_has_the_button_that_does_it() -> None:
    buttons = _buttons(announcement(golden("busy")).blocks)
    assert [(label, value) for label, _, value in buttons] == [
        ("Show", "J-8888"),
        ("Review", "J-CCCC"),
        ("Show", "J-9999"),
        ("Show", "kind:found 2026-11-24 Europe/Berlin"),
        ("Show", "kind:alarm 2026-11-24 Europe/Berlin"),
        ("Revoke…", "J-AAAA"),
    ]


@pytest.mark.parametrize("name", ["busy", "quiet"])
def test_a_grant_is_listed_once(name: str) -> None:
    found = golden(name)
    for message in (announcement(found), details(found)):
        said = " ".join(text for text in texts(message.blocks) if not text.startswith("*Refused*"))
        assert [id_ for id_, count in Counter(re.findall(r"J-[A-Z0-9]{4}\b", said)).items() if count > 1] == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "Quiet: no requests, 1 grant still open"),
        ({"live": ()}, "Quiet: no requests"),
        ({"live": (), "figures": {"asked": 12, "opened": 9}}, "Quiet: 12 requests, all ended on time"),
        ({"live": (), "figures": {"asked": 1, "by rule": 1}}, "Quiet: 2 requests, none granted"),
        ({"figures": {"asked": 12, "opened": 9, "late": 2}}, "Quiet: 12 requests, 2 revoked late"),
        ({"figures": {"asked": 3, "alarms": 2}}, "1 thing needs you"),
        ({"live": (), "edition": Edition.WEEKLY, "figures": {"asked": 60, "opened": 50}},
         "Quiet week: 60 requests, all ended on time"),
        ({"whole": False, "figures": {"asked": 3}}, "Incomplete: 3 requests so far"),
    ],
)  # fmt: skip
def test_the_headline_says_it_in_a_few_words(change: dict[str, Any], expected: str) -> None:
    found = golden("quiet")
    counts = change.pop("figures", {})
    figures = tuple(replace(figure, count=counts.get(figure.name, figure.count)) for figure in found.figures)
    message = announcement(replace(found, figures=figures, **change))
    assert message.blocks[0]["text"]["text"] == expected
    assert message.text.startswith(expected)
    assert len(message.text) <= 150


def _markdown(value: Any) -> list[str]:
    """Every text in which Slack reads signs: those of a table are shown as they are."""
    if isinstance(value, dict):
        mine = [value["text"]] if value.get("type") == "mrkdwn" else []
        return [*mine, *(text for part in value.values() for text in _markdown(part))]
    return [text for part in value for text in _markdown(part)] if isinstance(value, list) else []


def _buttons(blocks: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    found = [block["accessory"] for block in blocks if "accessory" in block]
    return [(each["text"]["text"], each["action_id"], each["value"]) for each in found]
