"""Reads groups of directories at once when somebody waits for them, and each at most once in a few seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from bot.background import Loop, Wait
from bot.policy.catalog import Catalog
from bot.store.indexes.read_requests import GroupReadRequests
from bot.worker.directory_refresh import DirectoryRefresh

APART = 4.0
"""Seconds between two reads of a group, whoever waits: less than for how long the first one will do."""
_INTERVAL = 5.0
"""Seconds after which it looks without having been woken."""


@dataclass
class FreshGroupReader:
    """The loop of one process: it reads where that process also reads the groups each minute, under the same lease."""

    refresh: DirectoryRefresh
    wait: Wait
    apart: float = APART
    _read_at: dict[tuple[str, str], float] = field(default_factory=dict, init=False)
    """Monotonic seconds at which the last read of a group began, by policy generation and name."""

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self.read_requests = GroupReadRequests(self.refresh.store)

    async def run(self, stop: asyncio.Event) -> None:
        """Read when woken until ``stop`` is set."""
        await Loop("reading groups for a click", self.run_once, _INTERVAL, wait=self.wait).run(stop)

    async def run_once(self) -> float | None:
        """Read what is wanted."""
        catalog, directories = self.refresh.catalog(), self.refresh.sources.directories
        if not directories or not self.refresh.leads(catalog):
            return None
        due = self._due(catalog, await self.read_requests.take())
        reads = (
            self.refresh.read_groups(catalog, name, directory, groups)
            for name, directory in directories.items()
            if (groups := [group for group in due if catalog.groups[group].directory == name])
        )
        results = await asyncio.gather(*reads, return_exceptions=True)
        if error := next((each for each in results if isinstance(each, BaseException)), None):
            raise error
        return None

    def _due(self, catalog: Catalog, wanted: Collection[str]) -> list[str]:
        """The groups of directories among these that were not read a moment ago."""
        now = time.monotonic()
        self._read_at = {key: at for key, at in self._read_at.items() if now - at < self.apart}
        known = [group for group in catalog.groups if group in wanted and catalog.groups[group].directory]
        due = [group for group in known if (catalog.policy_hash, group) not in self._read_at]
        self._read_at |= {(catalog.policy_hash, group): now for group in due}
        return due
