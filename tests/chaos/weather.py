"""What the programs of this folder and their workers share: the house they all see, and how long things take in it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from bot.store.keyring import KeyRing
from bot.store.keys import Keys
from bot.store.redis.client import Link
from bot.store.store import Store
from bot.store.types import CommitOutcome
from providers.systems.base import Order, Outcome, Prior, Receipt
from providers.systems.sandbox import Sandbox, SandboxConfig
from tests.house import POLICY, House, catalog

LEASE, MARGIN, SETTLES = 2.0, 0.3, 0.5
RING = KeyRing({"k1": bytes(32)})


class Diary:
    """One line a happening in a file of the doors' directory, by the machine's clock, from however many processes."""

    def __init__(self, directory: Path) -> None:
        """Nothing is written yet."""
        self._path = directory / "diary"

    def note(self, what: str, of: str = "") -> None:
        """Write a line, whole."""
        line = f"{time.time():.6f} {os.getpid()} {what} {of}\n"
        with self._path.open("ab", buffering=0) as file:
            file.write(line.encode())

    def read(self, what: str) -> list[tuple[float, int, str]]:
        """When, by which process and of what it happened, in the order in which it was written."""
        if not self._path.exists():
            return []
        lines = [line.split(" ") for line in self._path.read_text().splitlines()]
        return [(float(at), int(process), of) for at, process, which, of in lines if which == what]


class Watched(Sandbox):
    """A sandbox that writes down when it is told to close something."""

    def __init__(self, config: SandboxConfig) -> None:
        """As the sandbox; its doors are in a directory."""
        super().__init__(config)
        self._diary = Diary(Path(str(config.path)))

    async def revoke(self, order: Order, prior: Prior | None, receipt: Receipt | None) -> Outcome:
        self._diary.note("revoke", order.id)
        return await super().revoke(order, prior, receipt)


def house(
    link: Link,
    workspace: str,
    directory: Path,
    replicas: int | None = None,
    watch: Callable[[CommitOutcome], None] = lambda _: None,
    policy: str = POLICY,
) -> House:
    """A house whose doors and record outlive every process. ``replicas``, ``watch``: see `Store`."""
    store = Store(link.commands(Keys(workspace).due), workspace, RING, replicas=replicas, watch=watch)
    doors = Watched(SandboxConfig(path=str(directory), settles_within=SETTLES))
    return House(store, catalog(policy), systems={"vault": doors}, lease=LEASE, margin=MARGIN)


def policy_of(directory: Path) -> str:
    """The policy by which whole processes of the bot serve the same doors."""
    config = f'provider: sandbox\n    config: {{path: "{directory}", settles_within: {SETTLES}}}'
    return POLICY.replace("provider: sandbox", config)
