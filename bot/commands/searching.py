"""`jit audit search`: events and who held what as lines; that it was looked at is recorded before it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from bot.commands.reads import recorded_at

if TYPE_CHECKING:
    from bot.record.audit import Wanted
    from bot.record.auditor import AtHand
    from bot.settings import Settings


async def looked(
    settings: Settings, workspace: str, wanted: Wanted, asked: Mapping[str, Any], at: float | None, *, as_json: bool
) -> None:
    """Show what fits. ``asked``: the question as it was typed; ``at``: of which moment it is asked who held what."""
    from bot.record import auditor

    async with auditor.at_hand(settings, workspace) as hand:
        for sentence in hand.said:
            click.echo(sentence, err=True)
        if at is None:
            await _events(hand, wanted, asked, as_json=as_json)
        else:
            await _holders(hand, wanted, asked, at, as_json=as_json)


async def _events(hand: AtHand, wanted: Wanted, asked: Mapping[str, Any], *, as_json: bool) -> None:
    import json

    from bot.record import words as audit_words

    trail = hand.trail
    page = trail.search(wanted)
    lines = []
    for entry in page.entries:
        found = trail.request(entry.id) if entry.id and not as_json else None
        request = found[1] if found and found[0] <= entry.seq else None
        lines.append(json.dumps(entry._asdict(), ensure_ascii=False) if as_json else audit_words.row(entry, request))
    await recorded_at(hand, "search", asked, **page.shown)
    for line in lines:
        click.echo(line)
    if page.more is not None:
        click.echo(f"There are more: --before {page.more}", err=True)
    elif not page.entries:
        click.echo("Nothing fits.", err=True)


async def _holders(hand: AtHand, wanted: Wanted, asked: Mapping[str, Any], at: float, *, as_json: bool) -> None:
    import json
    from dataclasses import asdict

    from bot import times
    from bot.record import words as audit_words

    found = hand.trail.holders(at, wanted)
    await recorded_at(hand, "held", asked, rows=len(found))
    for holding in found:
        click.echo(json.dumps(asdict(holding), ensure_ascii=False) if as_json else audit_words.holding(holding, at))
    click.echo(f"At {times.spelled(at)} {len(found)} roles were held, or may have been.", err=True)
