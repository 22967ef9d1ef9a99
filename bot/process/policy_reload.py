"""Reads the policy file again when it changes or SIGHUP comes; all of it is taken over, or nothing; it judges nobody.

A file that cannot be used changes nothing: the policy from before stays in force, and the log, ``/readyz`` and the
audit channel say so. A generation is the hash of a policy; the workspace decides by the one that Redis has.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import time
from dataclasses import dataclass, field

from bot import tasks
from bot.background import Loop
from bot.core.errors import StoreAway
from bot.policy import loader
from bot.policy.loader import FileStamp, LoadedPolicy
from bot.policy.problems import PolicyMistakes
from bot.process.parts import Parts, PreparedPolicy
from bot.process.running import start
from bot.startup import CannotStart, require_teams

log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between two looks at the files."""
SETTLED = 2.0
"""Seconds for which files are unchanged before they are read: a deploy may write them slowly."""
PATIENCE = 10.0
"""The same before what cannot be used is reported: half of a file has mistakes, too."""
_SAME = 120
"""Seconds within which several processes that find the same mistakes tell the audit channel once."""
_SHOWN = 5
_ROW = "policy|policy_file:#"


async def watch_policy(parts: Parts, stack: contextlib.AsyncExitStack) -> None:
    """Watch the file for as long as the process runs."""
    start(stack, parts.rereading.set, {"policy file": PolicyReload(parts).run})


@dataclass
class PolicyReload:
    """The watch of one process. ``interval``, ``settled``, ``patience``: as the constants above."""

    parts: Parts
    interval: float = INTERVAL
    settled: float = SETTLED
    patience: float = PATIENCE
    _done: FileStamp | None = field(default=None, init=False)
    """The files that were read last, whatever came of it."""
    _seen: FileStamp | None = field(default=None, init=False)
    _since: float = field(default=0.0, init=False)
    _unsure: str = field(default="", init=False)
    """The generation that was to be taken over, until the store has said that it has it."""
    _told: str = field(default="", init=False)
    """The mistakes that the audit channel was told of last; '' once they are gone."""

    async def run(self, stop: asyncio.Event) -> None:
        """Look at the files again and again until ``stop`` is set."""
        await Loop("loading the policy file", self._run_once, self.interval, wait=self._wait).run(stop)

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await tasks.within(self.parts.rereading.wait(), seconds)

    async def _run_once(self) -> None:
        asked = self.parts.rereading.is_set()
        self.parts.rereading.clear()
        path = self.parts.settings.policy
        stamp = await asyncio.to_thread(loader.file_stamp, path)
        if stamp != self._seen:
            self._seen, self._since = stamp, time.monotonic()
        unchanged = time.monotonic() - self._since
        if not asked and (stamp == self._done or unchanged < self.settled):
            return
        try:
            loaded = await asyncio.to_thread(loader.read, path)
        except PolicyMistakes as error:
            if not asked and unchanged < self.patience:
                return
            await self._refuse("\n".join(map(str, error.mistakes)))
        else:
            if not asked and await asyncio.to_thread(loader.file_stamp, path) != stamp:
                return  # it was written while it was read
            await self._load(loaded)
        self._done = stamp

    async def _load(self, loaded: LoadedPolicy) -> None:
        """Take it over, if all that it needs can be made ready. Raises `StoreAway`, and then it is tried again."""
        parts, catalog = self.parts, loaded.catalog
        if catalog.policy_hash != parts.catalog.policy_hash:
            prepared: list[PreparedPolicy] = []
            self._unsure = catalog.policy_hash
            try:
                require_teams(catalog, parts.identity)
                for prepare in parts.prepares:
                    prepared.append(prepare(catalog))  # noqa: PERF401  # what is ready is dropped where the next is not
                # Before it is in force here: until then, whatever is decided by the one from before fails its guard.
                await parts.store.policy.adopt(catalog.policy_hash)
            except StoreAway:
                await _discard(prepared)
                raise
            except Exception as error:
                await _discard(prepared)
                if not isinstance(error, CannotStart):
                    log.exception("an error that nobody expected")
                await self._refuse(str(error) or type(error).__name__)
                return
            before = parts.catalog.policy_hash
            # No await from here on: nothing sees half of it.
            for each in prepared:
                each.commit()
            parts.catalog, parts.policy_text = catalog, loaded.text
            parts.store.retention = catalog.workspace.retention
            log.info("the policy is %s now, in place of %s", catalog.policy_hash, before)
        elif self._unsure and await parts.store.policy.current() == self._unsure:
            # The store took over what nobody here did, and the file is again as it was.
            await parts.store.policy.adopt(catalog.policy_hash)
        self._unsure = ""
        await self._well()

    async def _refuse(self, mistakes: str) -> None:
        """Say so everywhere, once for the same mistakes. Raises `StoreAway`, and then it is told at the next look."""
        parts, lines = self.parts, mistakes.split("\n")
        stays = parts.catalog.policy_hash
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        parts.policy_trouble = f"the policy file cannot be used, so policy {stays} stays in force: {lines[0]}{more}"
        if mistakes == self._told:
            return
        log.error("%s", parts.policy_trouble)
        digest = hashlib.sha256(mistakes.encode()).hexdigest()[:16]
        told = {
            "said": lines[0][:300],
            "mistakes": [line[:300] for line in lines[:_SHOWN]],
            "more": max(0, len(lines) - _SHOWN),
        }
        event = {"alarm": "policy_file", "by": "policy", "stays": stays, **told}
        await parts.store.audit_event("alarm", json.dumps(event), window=_SAME, once=f"policy_file {digest}", row=_ROW)
        self._told = mistakes

    async def _well(self) -> None:
        """It can be used; if it could not before, that is told once, too. Raises `StoreAway`."""
        self.parts.policy_trouble = ""
        if self._told:
            log.info("the policy file can be used again")
            event = {"by": "policy", "said": "The policy file can be used again.", "well": True}
            digest = hashlib.sha256(self._told.encode()).hexdigest()[:16]
            once = f"policy_file_good {digest}"
            await self.parts.store.audit_event("policy_file_good", json.dumps(event), window=_SAME, once=once, row=_ROW)
            self._told = ""


async def _discard(prepared: list[PreparedPolicy]) -> None:
    for each in prepared:
        await each.discard()
