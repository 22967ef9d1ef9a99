"""The doctor's check of the digest: when each edition is due, and whether its chart can be drawn; it reads no log."""

from __future__ import annotations

from collections.abc import Sequence
from time import time

from bot.cli.doctor.checks import Check, CheckResult, good, note
from bot.policy.catalog import Catalog
from bot.policy.schema import DigestShape
from bot.reports.digest import chart as digest_picture
from bot.reports.digest import editions
from bot.reports.digest.text import days_of


def checks(catalog: Catalog) -> list[Check]:
    """One, where the policy has a time for it."""
    shape = catalog.workspace.digest
    if shape is None:
        return []

    async def look() -> Sequence[CheckResult]:
        return [found(catalog, shape, time(), drawn=digest_picture.available())]

    return [Check("digest", look)]


def found(catalog: Catalog, shape: DigestShape, now: float, *, drawn: bool) -> CheckResult:
    """How it is at a moment."""
    times = [f"daily at {shape.at}"] if shape.at else []
    times += [f"weekly on {shape.weekly}"] if shape.weekly else []
    times += [f"monthly on day {shape.monthly}"] if shape.monthly else []
    last = ", ".join(days_of(slot.span) for slot in editions.last_slots(shape, now))
    said = f"{', '.join(times)} ({shape.timezone}), in {catalog.workspace.audit_channel}; last due for {last}"
    if not drawn:
        return note("digest", f"{said}; without its picture, since matplotlib is not installed", digest_picture.EXTRA)
    return good("digest", f"{said}; with its picture")
