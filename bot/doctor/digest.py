"""What the doctor says of the daily digest: when it is told next, and whether with its picture; it reads no record."""

from __future__ import annotations

from collections.abc import Sequence
from time import time

from bot.core.catalog import Catalog
from bot.core.shapes import DigestShape
from bot.digest import picture as digest_picture
from bot.digest import telling as digesting
from bot.digest.words import long_day
from bot.doctor.findings import Check, Finding, good, note


def checks(catalog: Catalog) -> list[Check]:
    """One, where the policy has a time for it."""
    shape = catalog.workspace.digest
    if shape is None:
        return []

    async def look() -> Sequence[Finding]:
        return [found(catalog, shape, time(), drawn=digest_picture.available())]

    return [Check("digest", look)]


def found(catalog: Catalog, shape: DigestShape, now: float, *, drawn: bool) -> Finding:
    """How it is at a moment."""
    last = long_day(digesting.last_slot(shape, now).day.isoformat())
    said = f"at {shape.at} {shape.timezone}, in {catalog.workspace.audit_channel}; the last one due is for {last}"
    if not drawn:
        return note("digest", f"{said}; without its picture, since matplotlib is not installed", digest_picture.EXTRA)
    return good("digest", f"{said}; with its picture")
