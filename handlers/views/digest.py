"""The digest in Slack: one screen of what needs somebody, the numbers and what is open; the details in its thread.

Pure: facts in, messages out. Its body has no command, no hash and no id of a group. Each button is judged when it is
pressed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from slack_sdk.models.blocks import (
    ActionsBlock,
    ButtonElement,
    HeaderBlock,
    ImageBlock,
    MarkdownTextObject,
    SectionBlock,
)
from slack_sdk.models.blocks.basic_components import SlackFile

from bot.policy.permission_diff import Right
from bot.reports.digest import chart
from bot.reports.digest import text as words
from bot.reports.digest.editions import Edition, Span
from bot.reports.digest.facts import MOST, CountedLine, Digest
from bot.reports.digest.facts import when as searched
from bot.reports.digest.needs import FINDS, Need, NeedKind, headline, length, needs, some, still_open, wrong
from bot.reports.digest.tally import DecisionTime, Grant, Trouble, rank
from bot.reports.digest.text import counted
from handlers.views import action_ids, insights, tables
from handlers.views.message import SlackMessage, context, section
from handlers.views.tables import Table
from handlers.views.text import code, safe, when

_NEEDS, _OPEN, _FINDINGS = 5, 4, 3
"""Of each, as many as one screen of a phone has room for; the thread has the rest."""
_BLOCK, _ALL = 1_500, 6_400
"""Characters of a list, and of all lists: a message has 13,000, and the rest of the message may have the others."""
_MARKS = {"critical": ":red_circle:", "high": ":large_orange_circle:"}
_SIGNS = {
    NeedKind.STUCK: ":rotating_light:",
    NeedKind.UNVERIFIED: ":warning:",
    NeedKind.REVIEW: ":rotating_light:",
    NeedKind.WAITING: ":hourglass_flowing_sand:",
    NeedKind.DRIFT: ":warning:",
    NeedKind.ALARM: ":rotating_light:",
}
_KINDS = {NeedKind.DRIFT: "found", NeedKind.ALARM: "alarm"}
"""What the audit log is searched for, where no request is to be shown."""


def announcement(digest: Digest, missed: Sequence[str] = (), *, late: bool = False, picture: str = "") -> SlackMessage:
    """The body. ``missed``: editions before it that were not sent; ``late``: it is sent after its time.

    ``picture``: the id of the chart's file, once Slack has it.
    """
    said = headline(digest)
    blocks: list[dict[str, Any]] = [HeaderBlock(text=said).to_dict(), _context(_about(digest, missed, late=late))]
    needed = needs(digest)
    blocks += [_need(need, digest) for need in needed[:_NEEDS]]
    if (more := len(needed) - _NEEDS) > 0:
        blocks.append(_context(f"… and {more} more, in the thread."))
    blocks += [] if digest.quiet else [_numbers(digest)]
    blocks += [_picture(digest, picture)] if picture else []
    blocks += _open(digest)
    blocks += [_section(safe(line, 600)) for line in words.adoption(digest)]
    blocks += _findings(digest)
    blocks.append(_context("Details, commands and the signed checkpoint are in the thread."))
    return SlackMessage(f"{said}. {words.titled(digest)}.", blocks)


def details(digest: Digest, missed: Sequence[str] = (), *, as_table: bool = True) -> SlackMessage:
    """The thread. ``as_table``: the figures are a table; without it they are lines, for a Slack that refuses tables."""
    figures = _figures(digest)
    blocks: list[dict[str, Any]] = [_section(f"*Details* · {safe(words.range_of(digest), 1_000)}")]
    if figures.rows:
        blocks.append(tables.block(figures) if as_table else _section("\n".join(tables.lines(figures))))
    blocks += [_section(part) for part in _fitting(digest)]
    blocks += [_section(_missed_commands(missed))] if missed else []
    blocks.append(_context(f"One request: `jit audit evidence ID` · Checkpoint: {code(digest.verify, 200)}"))
    title = words.titled(digest)
    return SlackMessage(f"Details of the {title[:1].lower()}{title[1:]}.", blocks)


def _about(digest: Digest, missed: Sequence[str], *, late: bool) -> str:
    """Which days it covers, and what is missing or unknown."""
    said = [
        words.days_of(digest.span),
        safe(digest.timezone, 60),
        *(f":warning: {safe(doubt, 200)}" for doubt in words.doubts(digest)),
    ]
    said += ["Sent late: no worker was running."] if late else []
    days = ", ".join(words.days_of(Span.named(name)) for name in missed)
    said += [f"No digest was sent for {days}."] if missed else []
    return " · ".join(said)


def _need(need: Need, digest: Digest) -> dict[str, Any]:
    """What needs somebody, with the button that does it."""
    until = f" Expires {when(need.until)}." if need.until else ""
    said = f"{_SIGNS[need.kind]} {safe(need.sentence, 400)}{until}"
    return _section(said, _show(need, digest))


def _show(need: Need, digest: Digest) -> ButtonElement:
    if kind := _KINDS.get(need.kind):
        value = f"kind:{kind} {searched(digest.span, digest.timezone)}"
        label = f"Show the events of kind {kind}"
        return ButtonElement(text="Show", action_id=action_ids.SHOW_EVENTS, value=value, accessibility_label=label)
    review = need.kind in {NeedKind.WAITING, NeedKind.REVIEW}
    label = f"{'Review' if review else 'Show'} request {need.id}"
    return ButtonElement(
        text="Review" if review else "Show",
        action_id=action_ids.SHOW_REQUEST,
        value=need.id,
        style="primary" if review else None,
        accessibility_label=label,
    )


def _numbers(digest: Digest) -> dict[str, Any]:
    """The four numbers, each with what is usual."""
    fields = []
    for number in digest.numbers:
        usual = words.usual(number, digest.edition)
        fields.append(f"*{number.count:,}* {number.name}" + (f"\n{usual}" if usual else ""))
    block = SectionBlock(fields=[MarkdownTextObject(text=field, verbatim=True) for field in fields])
    found: dict[str, Any] = block.to_dict()
    return found


def _picture(digest: Digest, file: str) -> dict[str, Any]:
    block = ImageBlock(alt_text=chart.alt(digest.picture), slack_file=SlackFile(id=file))
    found: dict[str, Any] = block.to_dict()
    return found


def _open(digest: Digest) -> Iterator[dict[str, Any]]:
    """The grants that are open now, the most sensitive first, each with the button that ends it."""
    ids = still_open(digest)
    grants = sorted((grant for grant in digest.live if grant.id in ids), key=rank)
    over = " · all ended since" if digest.live and all(grant.over for grant in digest.live) else ""
    yield _section(f"*{words.open_at_end(digest)}*{over}")
    for grant in grants[:_OPEN]:
        button = ButtonElement(
            text="Revoke…",
            action_id=action_ids.REVOKE,
            value=grant.id,
            style="danger",
            accessibility_label=f"Revoke {grant.id}",
        )
        yield _section(_grant(grant), button)
    if len(grants) > _OPEN:
        yield _context(f"… and {len(grants) - _OPEN} more, in the thread.")


def _findings(digest: Digest) -> Iterator[dict[str, Any]]:
    """What is new or stands out. The evidence is in the thread."""
    rights = {"gained": digest.gained, "lost": digest.lost_rights}
    changed = [f"{_at_least(each)} {verb}" for verb, each in rights.items() if each]
    if changed:
        yield _section(f"The policy changed: {', '.join(changed)}. The thread says who.")
    if found := list({finding.key: finding for finding in (*digest.findings, *digest.stamps)}.values()):
        yield from insights.new_ones(found[:_FINDINGS])
        button = ButtonElement(
            text="Show all findings",
            action_id=action_ids.SHOW_FINDINGS,
            value="all",
            accessibility_label="Show all findings of the audit log",
        )
        found_block: dict[str, Any] = ActionsBlock(elements=[button]).to_dict()
        yield found_block


def _at_least(rights: Sequence[Right]) -> str:
    """How many; a full list may have been cut."""
    return f"{'at least ' * (len(rights) >= MOST)}{some(len(rights), 'right')}"


def _fitting(digest: Digest) -> Iterable[str]:
    """The lists, the most urgent first, as many as there is room for."""
    left = _ALL
    for part in filter(None, _parts(digest)):
        left -= len(part)
        if left < 0:
            option = f"{_edition(digest.edition)} --timezone {safe(digest.timezone, 60)}"
            yield f"There is more: `jit digest --date {digest.day}{option}`."
            return
        yield part


def _parts(digest: Digest) -> Iterable[str]:
    yield _list("*Trouble*", map(_trouble, digest.trouble))
    yield _list("*Waiting for approval*", (_waiting(need) for need in needs(digest) if need.kind is NeedKind.WAITING))
    if digest.slowest is not None:
        yield f"*{words.took(digest)}*; the slowest {_decision(digest.slowest)}."
    unseen = digest.count("live") - sum(len(grant.roles) for grant in digest.live)
    yield _list(
        f"*{words.open_at_end(digest)}*, the first to end on top", map(_grant, words.listed_open(digest)), unseen
    )
    yield _list("*Other grants*, the most sensitive and the longest", map(_grant, words.others(digest)))
    yield _list("*Drift found in the systems*", (_line(line, FINDS.get(line.said, line.said)) for line in digest.found))
    yield _list("*Refused*", (_line(line, line.said) for line in digest.refused))
    yield _list("*Cancelled by the policy*", (safe(said, 300) for said in digest.taken))
    yield _list("*Gained rights*", map(_right, digest.gained))
    yield _list("*Lost rights*", map(_right, digest.lost_rights))
    yield _list("*Policies that cannot be compared*", (code(name, 64) for name in digest.unknown_policies))
    yield _list("*Evidence of the findings*", map(insights.evidence, (*digest.findings, *digest.stamps)))
    yield _list("*Also*", (f"{line.count:,} × `--kind {safe(line.said, 60)}`" for line in digest.others))


def _figures(digest: Digest) -> Table:
    """Each count with the command that shows what was counted."""
    rows = [(f"{figure.count:,}", counted(figure), figure.look) for figure in digest.figures if figure.count]
    return Table(("Count", "What", "Command"), rows, code=frozenset({2}), numbers=frozenset({0}))


def _list(name: str, lines: Iterable[str], unseen: int = 0) -> str:
    """As many whole lines as there is room for; ``unseen``: roles that are in none of them."""
    found = list(lines)
    shown: list[str] = []
    for line in found:
        if sum(map(len, shown)) + len(line) > _BLOCK:
            break
        shown.append(line)
    more = [f"… and {len(found) - len(shown)} more"] if len(found) > len(shown) else []
    more += [f"… and {some(unseen, 'grant')} more"] if unseen > 0 else []
    return "\n".join([name, *(f"• {line}" for line in shown), *more]) if found else ""


def _trouble(trouble: Trouble) -> str:
    about = f"{trouble.id} · {safe(trouble.who, 80)} · {_roles(trouble.roles)}"
    return f"{about} · *{wrong(trouble)}*{f': {safe(trouble.said, 200)}' if trouble.said else ''}"


def _waiting(need: Need) -> str:
    return f"{need.id} · {safe(need.sentence, 300)} Expires {when(need.until)}."


def _grant(grant: Grant) -> str:
    mark = f"{_MARKS[grant.sensitivity]} " if grant.sensitivity in _MARKS else ""
    ends = f"{'ended' if grant.closed else 'until'} {when(grant.ends_at)}{' (ended since)' * grant.over}"
    opened = length(max(0.0, grant.ends_at - grant.opened_at))
    given = f" {safe(grant.given, 90)}" if grant.given else ""
    roles = f"{_roles(grant.roles)}{given} ({safe(grant.sensitivity, 20)})"
    doubt = " · unconfirmed" if grant.unconfirmed else ""
    return f"{mark}{safe(grant.who, 80)} · {roles} · {opened}, {ends}{doubt} · {grant.id}"


def _decision(decision: DecisionTime) -> str:
    about = f"{safe(decision.what, 80)} for {safe(decision.who, 80)}, by {safe(decision.by, 80)}"
    return f"{length(decision.seconds)} ({decision.id}, {about})"


def _right(right: Right) -> str:
    return f"{safe(right.who, 80)}: {right.verb} {code(right.role, 90)}"


def _line(line: CountedLine, said: str) -> str:
    return f"{line.count:,} × {safe(said, 200)}"


def _roles(names: Sequence[str]) -> str:
    return safe(", ".join(names), 120)


def _missed_commands(missed: Sequence[str]) -> str:
    """How to read the editions that were not sent."""
    given = [f"`jit digest --date {span.last}{_edition(span.edition)}`" for span in map(Span.named, missed)]
    return f"*Not sent*: {', '.join(given)}"


def _edition(edition: Edition) -> str:
    """The option of the command, for all but the daily one."""
    return "" if edition is Edition.DAILY else f" --edition {edition}"


def _section(text: str, button: ButtonElement | None = None) -> dict[str, Any]:
    block = section(text)
    block.accessory = button
    found: dict[str, Any] = block.to_dict()
    return found


def _context(text: str) -> dict[str, Any]:
    found: dict[str, Any] = context(text[:3000]).to_dict()
    return found
