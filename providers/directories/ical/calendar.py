"""A calendar: fetched from an address or a file, and read into events; both bounded in time, size and number."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationError, model_validator

from providers.base import Frozen
from providers.directories.base import NoAnswer, Refused
from providers.directories.http import LARGEST, HttpOptions, HttpReader, SecretAddress, refusal
from providers.http_client import connection_error

AHEAD = 8 * 86_400.0
"""Seconds for which events are known beforehand."""
BEFORE = 600.0
"""Seconds for which events are known that are over."""
_READ_AGAIN = 3600.0
"""Seconds after which a calendar that did not change is read again, since the present has moved."""
_PATIENCE = 10.0
"""Seconds that reading one may take, by the wall clock."""
_LONGEST_OUTPUT = 20_000_000
_PROGRAM = Path(__file__).with_name("expand.py")
_HINTS = {
    401: "the address does not let us in; have the tool make one that can be read",
    403: "the address does not let us in; have the tool make one that can be read",
    404: "there is no calendar at the address",
    410: "the calendar is gone; have the tool make a new address",
}
_HEADERS = {"Accept": "text/calendar, */*;q=0.1"}


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ValueError("there is no such time zone; write it like Europe/Berlin, or UTC") from None
    return name


class CalendarConfig(HttpOptions):
    """Where a calendar is: at an address, which is a secret, or in a file."""

    url: SecretAddress | None = None
    file: Path | None = None
    timezone: Annotated[str, Field(max_length=60), AfterValidator(_zone)] | None = None
    """Of days and of times without a zone, where the calendar itself does not say one."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.url) == bool(self.file):
            raise ValueError("say where the calendar is: either `url` or `file`")
        return self


class CalendarEvent(Frozen):
    """One event of a calendar, Unix seconds; ``whole``: whether it names somebody, and each with an address."""

    start: float
    end: float
    categories: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()
    whole: bool = True

    def runs(self, at: float) -> bool:
        """Whether it is on then."""
        return self.start <= at < self.end


class _Output(Frozen):
    events: tuple[CalendarEvent, ...] = ()
    unusable: str = ""


@dataclass(frozen=True)
class _Known:
    digest: bytes
    at: float
    events: tuple[CalendarEvent, ...]


class Calendar:
    """One calendar. It is fetched at each look, and read when it has changed or an hour has passed."""

    def __init__(self, config: CalendarConfig) -> None:
        """Open nothing."""
        self._config, self._reader = config, HttpReader(config)
        self._known: _Known | None = None

    def __repr__(self) -> str:
        """Without the address, which has a secret in it."""
        return "Calendar()"

    @property
    def settles_within(self) -> float:
        """Fetching, with redirects, and reading."""
        return self._reader.settles_within * 4 + _PATIENCE

    async def events(self, now: float) -> tuple[CalendarEvent, ...]:
        """The events from `BEFORE` now until `AHEAD`. Raises `Refused`, `NoAnswer`."""
        content = await self._content()
        digest = hashlib.sha256(content).digest()
        known = self._known
        if known is None or known.digest != digest or not 0 <= now - known.at < _READ_AGAIN:
            # For longer than is asked: what is read once serves for an hour.
            events = await read(content, now - BEFORE, now + AHEAD + _READ_AGAIN, self._config.timezone or "")
            known = self._known = _Known(digest, now, events)
        return tuple(event for event in known.events if event.end > now - BEFORE and event.start < now + AHEAD)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._reader.close()

    async def _content(self) -> bytes:
        if self._config.file is not None:
            return await asyncio.to_thread(_from_file, self._config.file)
        url = self._config.url.get_secret_value() if self._config.url else ""
        page = await self._reader.get(url, _HEADERS, redirects=2)
        if not page.ok:
            raise refusal(page, _HINTS)
        return page.content


def _from_file(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise Refused(f"there is no file {path}: mount it for the worker")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise NoAnswer(f"the file {path} cannot be read: {connection_error(error)}") from None
    if len(content) > LARGEST:
        raise NoAnswer(f"the file {path} is longer than {LARGEST // 1_000_000} MB")
    return content


async def read(content: bytes, begin: float, end: float, zone: str) -> tuple[CalendarEvent, ...]:
    """The events of a calendar between two times, by a process of its own. Raises `NoAnswer`."""
    asked = json.dumps({"begin": begin, "end": end, "zone": zone}).encode() + b"\n"
    output = await _run(asked + content)
    try:
        found = _Output.model_validate_json(output)
    except ValidationError:
        raise NoAnswer("the calendar takes too much time or memory to read: it may recur too often") from None
    if found.unusable:
        raise NoAnswer(f"the calendar cannot be used: {found.unusable}")
    return found.events


async def _run(given: bytes) -> bytes:
    # Isolated, without an environment: it has no secret, and finds no code but what is installed.
    pipe = asyncio.subprocess.PIPE
    words = (sys.executable, "-I", str(_PROGRAM))
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, env={}
        )
    except OSError as error:
        raise NoAnswer(f"no process can be started to read the calendar: {connection_error(error)}") from None
    try:
        async with asyncio.timeout(_PATIENCE):
            output, _ = await process.communicate(given)
    except TimeoutError:
        raise NoAnswer("the calendar takes too long to read: it may recur too often") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if len(output) > _LONGEST_OUTPUT:
        raise NoAnswer("the calendar has more events than can be kept")
    return output


def busy(events: Sequence[CalendarEvent]) -> tuple[tuple[float, float], ...]:
    """The times at which any event is on, in order, those that touch as one."""
    spans: list[tuple[float, float]] = []
    for event in sorted(events, key=lambda each: each.start):
        if event.end <= event.start:
            continue
        if spans and event.start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], event.end))
        else:
            spans.append((event.start, event.end))
    return tuple(spans)
