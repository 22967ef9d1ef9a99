"""What stands out in the record, as a modal: each finding with its evidence, what could be done, and a snooze button.

Pure: a look in, a view out. What its reader may do was decided before, and is judged again when a button is pressed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slack_sdk.models.blocks import Block, ButtonElement, ContextBlock, MarkdownTextObject, SectionBlock
from slack_sdk.models.views import View

from bot.insights.cases import Finding, Severity
from bot.insights.findings import explained
from bot.insights.watching import Look, Seen
from handlers.views import actions
from handlers.views.words import safe, when

_MOST = 20
_EVIDENCE = 5
_MARKS = {Severity.HIGH: ":red_circle:", Severity.MEDIUM: ":large_orange_circle:", Severity.LOW: ":white_circle:"}
NOBODY_LOOKED = "Nobody has looked yet: a worker does every six hours, and needs the archive for it."


def modal(look: Look, *, shows: bool) -> View:
    """The whole. ``shows``: whether `/jit show` is for its reader, who answers for every request then."""
    return View(
        type="modal",
        callback_id=actions.INSIGHTS_VIEW,
        title="Insights",
        close="Close",
        blocks=[*_blocks(look, shows=shows)],
    )


def new_ones(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """What newly stands out, as a digest has it; nothing where there is none."""
    if not findings:
        return []
    head = "*Newly stands out*; `/jit insights` has all of it."
    blocks = [_section(head)]
    blocks += [_said(finding, f"\n{_evidence(finding, shows=False)}") for finding in findings]
    return [block.to_dict() for block in blocks]


def snoozed(look: Look, key: str) -> str:
    """What somebody reads who pressed the button beneath a digest."""
    until = next((seen.snoozed for seen in look.seen if seen.finding.key == key), 0.0)
    return f"Snoozed until {when(until)}." if until else "This does not stand out any more: nothing is snoozed."


def _blocks(look: Look, *, shows: bool) -> list[Block]:
    if not look.at:
        return [_section(NOBODY_LOOKED)]
    awake = [seen for seen in look.seen if not seen.snoozed]
    asleep = [seen for seen in look.seen if seen.snoozed]
    looked = f"Looked at {when(look.at)}; what is new stands on top."
    head = looked if awake else f"Nothing stands out. {looked.partition(';')[0]}."
    blocks: list[Block] = [_section(head)]
    for seen in awake[:_MOST]:
        blocks += _one(seen, shows=shows)
    if len(awake) > _MOST:
        blocks.append(_section(f"… and {len(awake) - _MOST} more: `jit insights` at a terminal has all of them."))
    if asleep:
        blocks.append(_context(_asleep(asleep)))
    return blocks


def _one(seen: Seen, *, shows: bool) -> list[Block]:
    finding = seen.finding
    below = f"{_rule(finding)} · first seen {when(seen.first)}\n{_evidence(finding, shows=shows)}"
    return [_said(finding), _context(below)]


def _said(finding: Finding, below: str = "") -> SectionBlock:
    """The finding, what could be done, and the way to be rid of it."""
    said = f"{_MARKS[finding.severity]} *{safe(finding.sentence, 500)}*\n{safe(finding.act, 200)}{below}"
    button = ButtonElement(text="Snooze 30 days", action_id=actions.SNOOZE, value=finding.key)
    return SectionBlock(text=MarkdownTextObject(text=said[:3000], verbatim=True), accessory=button)


def _rule(finding: Finding) -> str:
    says = explained().get(finding.rule, "")
    return f"`{safe(finding.rule, 40)}`: {says}" if says else f"`{safe(finding.rule, 40)}`"


def _evidence(finding: Finding, *, shows: bool) -> str:
    """The latest of it, and how its reader looks at one."""
    if not finding.requests:
        return f"Evidence: {safe(', '.join(finding.people), 500)}"
    ids = finding.requests[::-1][:_EVIDENCE]
    more = f" and {count} more" if (count := len(finding.requests) - len(ids)) > 0 else ""
    look = "/jit show" if shows else "/jit audit"
    return f"Evidence: {', '.join(safe(id_, 20) for id_ in ids)}{more} · `{look} {safe(ids[0], 20)}`"


def _asleep(seen: Sequence[Seen]) -> str:
    shown = [f"{safe(each.finding.sentence, 200)} (until {when(each.snoozed)})" for each in seen[:_EVIDENCE]]
    more = [f"… and {len(seen) - _EVIDENCE} more"] if len(seen) > _EVIDENCE else []
    return "\n".join([f"*Snoozed: {len(seen)}*", *shown, *more])


def _section(text: str) -> SectionBlock:
    return SectionBlock(text=MarkdownTextObject(text=text[:3000], verbatim=True))


def _context(text: str) -> ContextBlock:
    return ContextBlock(elements=[MarkdownTextObject(text=text[:3000], verbatim=True)])
