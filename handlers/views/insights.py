"""Insights in a modal, each finding with its evidence and a snooze button, and as a table in a message; pure.

Each press is judged again. Slack takes no table in a modal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slack_sdk.models.blocks import ActionsBlock, Block, ButtonElement, ContextBlock, MarkdownTextObject, SectionBlock
from slack_sdk.models.views import View

from bot.core import human_times
from bot.reports.insights.cases import Insight, InsightSeverity
from bot.reports.insights.findings import explained
from bot.reports.insights.scan import Scan, SeenInsight
from handlers.views import action_ids, tables
from handlers.views.message import SlackMessage
from handlers.views.tables import Table
from handlers.views.text import code, plain, safe, when

_MOST = 20
_EVIDENCE = 5
_MARKS = {
    InsightSeverity.HIGH: ":red_circle:",
    InsightSeverity.MEDIUM: ":large_orange_circle:",
    InsightSeverity.LOW: ":white_circle:",
}
NOBODY_LOOKED = "No scan yet: a worker scans every six hours, and needs the archive for it."


SENT = "The table is in your direct messages."


def modal(look: Scan, *, shows: bool, said: str = "") -> View:
    """All of it. ``shows``: whether its reader may use `/jit show` for any request; ``said``: what came of a press."""
    return View(
        type="modal",
        callback_id=action_ids.INSIGHTS_VIEW,
        title="Insights",
        close="Close",
        blocks=[*_blocks(look, shows=shows), *([_context(said)] if said else [])],
    )


def message(look: Scan, *, as_table: bool = True) -> SlackMessage:
    """The findings that are not snoozed: a table, or lines for a Slack that refuses tables."""
    found = _table(look)
    blocks = [_section(f"*Insights* · scanned {when(look.at)}").to_dict()]
    if found.rows and as_table:
        blocks.append(tables.block(found))
    else:
        blocks += [_section(line).to_dict() for line in (tables.lines(found) or ["No findings."])[:_MOST]]
    return SlackMessage("The insights that you asked for.", blocks)


def _table(look: Scan) -> Table:
    rows = [
        (
            each.finding.severity.value,
            each.finding.sentence,
            each.finding.act,
            "1 case" if each.finding.count == 1 else f"{each.finding.count:,} cases",
            human_times.spelled(each.first)[:10],
            ", ".join((each.finding.requests[::-1] or each.finding.people)[:_EVIDENCE]),
        )
        for each in look.seen
        if not each.snoozed
    ]
    return Table(("Severity", "Finding", "What to do", "Cases", "First seen", "Evidence"), rows, numbers=frozenset({3}))


def new_ones(findings: Sequence[Insight]) -> list[dict[str, Any]]:
    """Findings, as a digest shows them; nothing where there are none."""
    blocks = [_section("*Findings*"), *map(_said, findings)] if findings else []
    return [block.to_dict() for block in blocks]


def evidence(finding: Insight) -> str:
    """What proves a finding, in a line of a digest's thread."""
    return f"{safe(finding.sentence, 200)} {_evidence(finding, shows=False)}"


def snoozed(look: Scan, key: str) -> str:
    """What somebody reads who pressed the button beneath a digest."""
    until = next((seen.snoozed for seen in look.seen if seen.finding.key == key), 0.0)
    return f"Snoozed until {when(until)}." if until else "This finding is gone, so nothing is snoozed."


def _blocks(look: Scan, *, shows: bool) -> list[Block]:
    if not look.at:
        return [_section(NOBODY_LOOKED)]
    awake = [seen for seen in look.seen if not seen.snoozed]
    asleep = [seen for seen in look.seen if seen.snoozed]
    looked = f"Scanned {when(look.at)}; new findings first."
    head = looked if awake else f"No findings. {looked.partition(';')[0]}."
    blocks: list[Block] = [_section(head)]
    for seen in awake[:_MOST]:
        blocks += _one(seen, shows=shows)
    if len(awake) > _MOST:
        blocks.append(_section(f"… and {len(awake) - _MOST} more: `jit insights` at a terminal shows all of them."))
    if asleep:
        blocks.append(_context(_asleep(asleep)))
    if awake:
        button = ButtonElement(
            text="Send as a table",
            action_id=action_ids.INSIGHTS_TABLE,
            value="table",
            accessibility_label="Send these findings as a table",
        )
        blocks.append(ActionsBlock(elements=[button]))
    return blocks


def _one(seen: SeenInsight, *, shows: bool) -> list[Block]:
    finding = seen.finding
    below = f"{_rule(finding)} · first seen {when(seen.first)}\n{_evidence(finding, shows=shows)}"
    return [_said(finding), _context(below)]


def _said(finding: Insight) -> SectionBlock:
    """The finding, what could be done, and its snooze button."""
    said = f"{_MARKS[finding.severity]} *{safe(finding.sentence, 500)}*\n{safe(finding.act, 200)}"
    label = plain(f"Snooze for 30 days: {finding.sentence}", 75)
    button = ButtonElement(
        text="Snooze 30 days", action_id=action_ids.SNOOZE, value=finding.key, accessibility_label=label
    )
    return SectionBlock(text=MarkdownTextObject(text=said[:3000], verbatim=True), accessory=button)


def _rule(finding: Insight) -> str:
    says = explained().get(finding.rule, "")
    return f"{code(finding.rule, 40)}: {says}" if says else code(finding.rule, 40)


def _evidence(finding: Insight, *, shows: bool) -> str:
    """The latest of it, and how its reader looks at one."""
    if not finding.requests:
        return f"Evidence: {safe(', '.join(finding.people), 500)}"
    ids = finding.requests[::-1][:_EVIDENCE]
    more = f" and {count} more" if (count := len(finding.requests) - len(ids)) > 0 else ""
    look = "/jit show" if shows else "/jit audit"
    return f"Evidence: {', '.join(safe(id_, 20) for id_ in ids)}{more} · `{look} {safe(ids[0], 20)}`"


def _asleep(seen: Sequence[SeenInsight]) -> str:
    shown = [f"{safe(each.finding.sentence, 200)} (until {when(each.snoozed)})" for each in seen[:_EVIDENCE]]
    more = [f"… and {len(seen) - _EVIDENCE} more"] if len(seen) > _EVIDENCE else []
    return "\n".join([f"*Snoozed: {len(seen)}*", *shown, *more])


def _section(text: str) -> SectionBlock:
    return SectionBlock(text=MarkdownTextObject(text=text[:3000], verbatim=True))


def _context(text: str) -> ContextBlock:
    return ContextBlock(elements=[MarkdownTextObject(text=text[:3000], verbatim=True)])
