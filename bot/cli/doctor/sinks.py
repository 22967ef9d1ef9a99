"""What the doctor looks at where the record is shipped to: whether each sink would take it, and how far it is behind.

It sends no record, and moves no cursor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from time import time

from bot.audit.archive.archive import Archive, NoArchive
from bot.audit.shipping import cursors
from bot.audit.shipping.cursors import Cursor, Lag
from bot.cli.doctor.checks import Check, CheckResult, good, note, stops_run, unchecked, wrong
from bot.core import durations
from bot.policy.catalog import Catalog
from bot.policy.schema import SinkShape
from bot.redaction import Secrets, referred
from bot.settings import Settings
from providers.base import ProviderError, Refused, Unsure
from providers.sinks import registry
from providers.sinks.base import ReceiverGone

PATIENCE = 20.0
"""Seconds that a sink may take."""
_MOST_NAMED = 10


def checks(catalog: Catalog, settings: Settings, env: Mapping[str, str], secrets: Secrets) -> list[Check]:
    """One check a sink; what its config refers to becomes a secret of the doctor's."""
    return [_check(name, shape, settings, env, secrets) for name, shape in catalog.workspace.sinks.items()]


def _check(name: str, shape: SinkShape, settings: Settings, env: Mapping[str, str], secrets: Secrets) -> Check:
    title = f"sink {name}"

    async def look() -> Sequence[CheckResult]:
        reached = await _reached(title, shape, env, secrets)
        shipped = await asyncio.to_thread(_shipped, title, name, shape, settings)
        return [*reached, *shipped]

    return Check(title, look, PATIENCE)


async def _reached(title: str, shape: SinkShape, env: Mapping[str, str], secrets: Secrets) -> Sequence[CheckResult]:
    try:
        secrets.add(referred(shape.config, env))
        built = registry.build(shape.kind, shape.config, env)
    except ProviderError as error:
        return [stops_run(title, str(error), "the worker does not start without it")]
    try:
        health = await built.check()
    except ReceiverGone as error:
        return [wrong(title, str(error), "take it out of the policy, or have its receiver take records again")]
    except Refused as error:
        return [wrong(title, f"{shape.kind} refuses: {error}", "fix what it says")]
    except Unsure as error:
        said = f"{shape.kind} takes nothing: {error}"
        return [wrong(title, said, "see the receiver, and that it can be reached from here; what waits is kept")]
    finally:
        await built.close()
    return [good(title, f"{shape.kind} {health.target}{f': {health.detail}' if health.detail else ''}")]


def _shipped(title: str, name: str, shape: SinkShape, settings: Settings) -> list[CheckResult]:
    """How far its cursor is, in each workspace of the archive."""
    try:
        archive = Archive.open(settings.archive_url.get_secret_value() if settings.archive_url else "", settings.home)
    except NoArchive as error:
        return [unchecked(title, f"how far it is: {error}")]
    try:
        found: list[CheckResult] = []
        for workspace in archive.workspaces():
            if cursor := cursors.cursors(archive, workspace).get(name):
                refused = cursors.refusals(archive, workspace).get(name, [])
                found += judged(title, shape, cursor, cursors.lag(archive, cursor, time()), refused)
    except NoArchive as error:
        return [unchecked(title, f"how far it is: {error}")]
    finally:
        archive.close()
    return found or [note(title, "nothing was shipped there yet: a worker with this policy begins it")]


def judged(title: str, shape: SinkShape, cursor: Cursor, lag: Lag, refused: Sequence[int]) -> list[CheckResult]:
    """What a cursor tells."""
    found = []
    how_far = f"it has everything up to {cursor.number}" if not lag.events else _behind(lag)
    if cursor.stopped:
        fix = f"when its receiver takes records again: jit sinks --resume {cursor.sink}"
        found.append(wrong(title, f"stopped, {how_far}: {cursor.stopped}", fix))
    elif lag.seconds > shape.behind:
        found.append(wrong(title, how_far, "see what is said above, that a worker runs, and its log"))
    else:
        found.append(good(title, how_far))
    if refused:
        named = ", ".join(map(str, refused[-_MOST_NAMED:]))
        said = f"it can never take {len(refused)} of the events: {named}"
        found.append(note(title, said, "`jit audit export --from N --to N` has them; `jit audit verify` what is whole"))
    return found


def _behind(lag: Lag) -> str:
    return f"{lag.events} events behind, the oldest waits for {durations.words(max(1, int(lag.seconds)))}"
