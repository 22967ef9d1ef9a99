"""`jit audit search`: events and who held what as lines; that it was looked at is recorded before it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bot import terminal
from bot.cli.audit_reads import recorded_at

if TYPE_CHECKING:
    from bot.audit.archive.timeline import EventQuery
    from bot.cli.audit_context import AtHand
    from bot.settings import Settings


def complete_kind(_: object, __: object, incomplete: str) -> list[str]:
    """For the shell."""
    from bot.audit.archive.projection import KINDS

    return sorted(kind for kind in KINDS if kind.startswith(incomplete))


async def looked(
    settings: Settings, workspace: str, wanted: EventQuery, asked: Mapping[str, Any], at: float | None, *, as_json: bool
) -> None:
    """Show what fits. ``asked``: the question as it was typed; ``at``: of which moment it is asked who held what."""
    from bot.cli import audit_context

    async with audit_context.at_hand(settings, workspace) as hand:
        for sentence in hand.said:
            terminal.say(sentence, err=True)
        _require_kind(hand, wanted.kind)
        if at is None:
            await _events(hand, wanted, asked, as_json=as_json)
        else:
            await _holders(hand, wanted, asked, at, as_json=as_json)


async def _events(hand: AtHand, wanted: EventQuery, asked: Mapping[str, Any], *, as_json: bool) -> None:
    from bot.audit import text as audit_words

    trail = hand.trail
    page = trail.search(wanted)
    lines = []
    for entry in page.entries if not as_json else ():
        found = trail.request(entry.id) if entry.id else None
        lines.append(audit_words.row(entry, found[1] if found and found[0] <= entry.seq else None))
    await recorded_at(hand, "search", asked, **page.shown)
    for entry in page.entries if as_json else ():
        terminal.document(entry._asdict())
    for line in lines:
        terminal.say(line)
    if page.more is not None:
        terminal.say(f"There are more: --before {page.more}", err=True)
    elif not page.entries:
        terminal.say("Nothing fits.", *_unknown(hand, wanted), err=True)


def _require_kind(hand: AtHand, kind: str) -> None:
    from bot.audit.archive.projection import KINDS
    from bot.policy.problems import did_you_mean, like

    known = KINDS | hand.trail.named("kind")
    if kind and kind not in known:
        near = did_you_mean(like(kind, sorted(known)))
        raise terminal.Cannot(f"there is no kind of event {kind!r}; {near} There are {', '.join(sorted(known))}.")


def _unknown(hand: AtHand, wanted: EventQuery) -> list[str]:
    """Which of the names no event has, and which were probably meant."""
    from bot.policy.problems import did_you_mean, like

    said = []
    for what in ("person", "system", "role", "request"):
        name = getattr(wanted, what)
        known = hand.trail.named(what) if name else frozenset()
        if name and name not in known and not (what == "request" and hand.trail.request(name)):
            begun = sorted(each for each in known if each.partition("@")[0] == name.lower())
            near = begun or like(name, sorted(known))
            said.append(f"No event names the {what} {name!r}{f'; {did_you_mean(near)}' if near else '.'}")
    return said


async def _holders(hand: AtHand, wanted: EventQuery, asked: Mapping[str, Any], at: float, *, as_json: bool) -> None:
    from dataclasses import asdict

    from bot.audit import text as audit_words
    from bot.core import human_times

    found = hand.trail.holders(at, wanted)
    await recorded_at(hand, "held", asked, rows=len(found))
    for holding in found:
        if as_json:
            terminal.document(asdict(holding))
        else:
            terminal.say(audit_words.holding(holding, at))
    terminal.say(f"At {human_times.spelled(at)} {len(found)} roles were held, or may have been.", err=True)
    if not found:
        terminal.say(*_unknown(hand, wanted), err=True)
