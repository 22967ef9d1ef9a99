"""The directories and calendars of a worker: built at the start, and again where another policy changes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bot import logs
from bot.policy.catalog import Catalog
from bot.policy.groups import CalendarShape, DirectoryShape
from bot.process.parts import Parts, PreparedPolicy
from bot.redaction import referred
from bot.startup import CannotStart
from bot.worker.directory_refresh import DirectoryRefresh, Sources
from providers.directories import registry
from providers.directories.base import Directory, ProviderError
from providers.directories.ical.calendar import Calendar, CalendarConfig
from providers.secret_refs import Misconfigured, resolve


@dataclass
class WorkerDirectories:
    """Those of one worker. One that is replaced is open until the end: a look may be under way."""

    parts: Parts
    _built: dict[tuple[str, str], tuple[Any, Directory | Calendar]] = field(default_factory=dict, init=False)
    """Each by its kind and name, with the shape that it was built of."""
    _open: list[Directory | Calendar] = field(default_factory=list, init=False)

    def begin(self) -> Sources:
        """Those of the policy that the process starts with. Raises `CannotStart` with all that is wrong at once."""
        return self._sources(self.parts.catalog)

    async def close(self) -> None:
        """Close all of them."""
        for each in self._open:
            await each.close()

    def prepare(self, refresh: DirectoryRefresh, catalog: Catalog) -> PreparedPolicy:
        """Build what is new in a policy or has another config. Raises `CannotStart`."""
        before, opened = dict(self._built), len(self._open)
        sources = self._sources(catalog)

        async def discard() -> None:
            fresh, self._open = self._open[opened:], self._open[:opened]
            self._built = before
            for each in fresh:
                await each.close()

        return PreparedPolicy(lambda: refresh.replace_sources(sources), discard)

    def _sources(self, catalog: Catalog) -> Sources:
        wrong: list[str] = []
        directories: dict[str, Directory] = {}
        calendars: dict[str, Calendar] = {}
        for name, shape in catalog.directories.items():
            try:
                directories[name] = self._directory(name, shape)
            except ProviderError as error:
                wrong.append(f"directory {name}: {error}")
        for name, calendar in catalog.calendars.items():
            try:
                calendars[name] = self._calendar(name, calendar)
            except ProviderError as error:
                wrong.append(f"calendar {name}: {error}")
        if wrong:
            raise CannotStart("\n".join(wrong))
        return Sources(directories, calendars)

    def _directory(self, name: str, shape: DirectoryShape) -> Directory:
        known = self._built.get(("directory", name))
        if known and known[0] == shape and not isinstance(known[1], Calendar):
            return known[1]
        logs.hide(referred(shape.config, self.parts.environment))
        built = registry.build(shape.kind, shape.config, self.parts.environment)
        self._built["directory", name] = (shape, built)
        self._open.append(built)
        return built

    def _calendar(self, name: str, shape: CalendarShape) -> Calendar:
        known = self._built.get(("calendar", name))
        if known and known[0] == shape and isinstance(known[1], Calendar):
            return known[1]
        logs.hide(calendar_secrets(shape, self.parts.environment))
        built = calendar_of(shape, self.parts.environment)
        self._built["calendar", name] = (shape, built)
        self._open.append(built)
        return built


def calendar_of(shape: CalendarShape, env: Mapping[str, str]) -> Calendar:
    """A calendar of the policy. Raises `Misconfigured`."""
    registry.require("ical")
    where = {"file": Path(shape.ical.removeprefix("file:"))} if shape.ical.startswith("file:") else _url(shape, env)
    try:
        return Calendar(CalendarConfig.model_validate({**where, "timezone": shape.timezone}))
    except ValidationError as error:
        # Neither the text nor the cause may show the address.
        said = error.errors(include_input=False, include_url=False, include_context=False)[0]["msg"]
        raise Misconfigured(f"ical: {said}") from None


def calendar_secrets(shape: CalendarShape, env: Mapping[str, str]) -> list[str]:
    """What its reference leads to. Raises `Misconfigured`."""
    return [_url(shape, env)["url"]] if shape.ical.startswith("env:") else []


def _url(shape: CalendarShape, env: Mapping[str, str]) -> dict[str, str]:
    return {"url": str(resolve({"ical": shape.ical}, env)["ical"])}
