"""What the doctor looks at where the bot remembers: the store, its keys, and its records; it changes nothing there.

An embedded store that does not run is not started: who ends it would end it for everyone.
"""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import time

from bot.cli import requests
from bot.cli.doctor.checks import Check, CheckResult, CheckVerdict, Once, good, note, stops_run, unchecked, wrong
from bot.cli.doctor.slack import Slack, SlackUnavailable
from bot.core import durations
from bot.core.errors import StoreAway
from bot.policy.catalog import Catalog
from bot.settings import Settings
from bot.startup import last_identity
from bot.store.indexes.directory_snapshots import DirectorySnapshots, Snapshots
from bot.store.keyring import BadKeys, KeyRing
from bot.store.keys import Keys, home
from bot.store.known_home import KnownHome
from bot.store.redis import embedded, health, requirements
from bot.store.redis.client import Link
from bot.store.redis.health import OpenCounts, Vitals
from bot.store.redis.requirements import Level
from bot.store.store import Store

MOST_SKEW = 2.0
"""Seconds by which the clocks may differ."""
_LATE = 60.0
"""Seconds after which something that is due should long have been taken up."""
_FULL, _NEARLY = 0.95, 0.8
_MOST_NAMED = 10
_STUCK = "`jit requests stuck` says why; fix the system, or revoke it there yourself and use `jit requests close`"


class StoreDoctor:
    """The store of one environment. ``slack`` None without a token, ``catalog`` None without a policy."""

    def __init__(
        self,
        settings: Settings,
        env: Mapping[str, str],
        catalog: Catalog | None,
        slack: Slack | None,
        clock: Callable[[], float] = time,
    ) -> None:
        """Nothing is asked yet."""
        self._settings, self._env, self._catalog, self._slack, self._clock = settings, env, catalog, slack, clock
        self._url = Once(self._where)
        self._links: list[Link] = []

    async def stop(self) -> None:
        """Close what was opened."""
        await self._url.stop()
        for link in self._links:
            await link.aclose()

    def checks(self) -> list[Check]:
        """What there is to look at."""
        return [Check("store", self._store), Check("keys", self._keys), Check("records", self._records, 60.0)]

    async def _where(self) -> str | CheckResult:
        """The store's address, or why there is none."""
        if self._settings.redis_url:
            return self._settings.redis_url.get_secret_value()
        if self._settings.store is None:
            return unchecked("store", "there is no REDIS_URL or JIT_STORE that can be used")
        running = await asyncio.to_thread(embedded.running, self._settings.home)
        if running:
            return running
        if obstacle := await asyncio.to_thread(embedded.obstacle, self._settings.home):
            return stops_run("store", "no embedded store can be started here", obstacle)
        return note("store", "the embedded one does not run; `jit run` starts it")

    def _link(self, url: str) -> Link:
        link = Link(url)
        self._links.append(link)
        return link

    async def _store(self) -> Sequence[CheckResult]:
        url = await self._url()
        if isinstance(url, CheckResult):
            return [url]
        link = self._link(url)
        redis = link.commands(home(""))
        try:
            vitals = await health.vitals(redis, self._clock)
            fit = await requirements.findings(redis, link.address.kind)
        except StoreAway as error:
            fix = "see that it runs, and that REDIS_URL is right"
            return [stops_run("store", f"it does not answer: {error}", fix)]
        flaws = [
            CheckResult("store", CheckVerdict.WRONG, f.said, f.fix, stops_run=f.level is Level.UNFIT)
            for f in fit
            if f.level is not Level.FINE
        ]
        fine = ", ".join(finding.said for finding in fit if finding.level is Level.FINE)
        return [*([good("store", fine)] if fine else []), *flaws, *_vital(vitals)]

    # the keys

    async def _keys(self) -> Sequence[CheckResult]:
        if self._settings.keys is not None:
            named = self._env.get("JIT_KEYS_FILE", "").strip()
            open_to = _open_to_others("keys", Path(named)) if named else None
            ring = KeyRing.parse(self._settings.keys.get_secret_value())
            return [open_to or good("keys", _counted(ring))]
        if self._settings.store != "embedded":
            return [unchecked("keys", "there is no JIT_KEYS that can be used")]
        file = self._settings.home / "keys"
        if obstacle := await asyncio.to_thread(embedded.unwritable, file):
            return [stops_run("keys", f"none can be kept in {file}", f"{obstacle}: set JIT_HOME to a folder of yours")]
        if not file.exists():
            return [note("keys", f"there are none yet; the first start makes them in {file}")]
        if flaw := _open_to_others("keys", file):
            return [replace(flaw, stops_run=True)]
        try:
            return [good("keys", f"{_counted(KeyRing.load_or_create(file))}, in {file}")]
        except (BadKeys, OSError) as error:
            said = str(error) if isinstance(error, BadKeys) else f"{file}: {error.strerror}"
            return [stops_run("keys", said, "put the file back from a backup: without its keys no record is believed")]

    def _ring(self) -> KeyRing | None:
        """The ring, if there is one; nothing is made."""
        if self._settings.keys is not None:
            return KeyRing.parse(self._settings.keys.get_secret_value())
        file = self._settings.home / "keys"
        try:
            return KeyRing.load_or_create(file) if self._settings.store and file.exists() else None
        except (BadKeys, OSError):
            return None

    async def remembers(self) -> bool:
        """Whether a start knows who we are without Slack."""
        url, ring, token = await self._url(), self._ring(), self._settings.slack_bot_token
        if isinstance(url, CheckResult) or ring is None or token is None:
            return False
        try:
            kept = KnownHome(self._link(url), token.get_secret_value())
            return await last_identity(kept, ring, self._settings.home) is not None
        except StoreAway:
            return False

    # the records

    async def snapshots(self, catalog: Catalog) -> Snapshots | None:
        """What the worker read last from the directories and calendars of a policy; None where nobody can look."""
        store = await self._opened()
        if isinstance(store, CheckResult):
            return None
        try:
            return await DirectorySnapshots(store).read(
                [*catalog.directories], [*catalog.calendars], [*catalog.directories]
            )
        except StoreAway:
            return None

    async def _records(self) -> Sequence[CheckResult]:
        store = await self._opened()
        if isinstance(store, CheckResult):
            return [store]
        try:
            found = await health.open_counts(store)
        except StoreAway as error:
            return [_unread(error)]
        return judged(found, None if self._catalog is None else self._catalog.policy_hash)

    async def _opened(self) -> Store | CheckResult:
        """The workspace's store, or why its records cannot be looked at."""
        url, ring = await self._url(), self._ring()
        if isinstance(url, CheckResult):
            return unchecked("records", "there is no store to look into")
        if ring is None:
            return unchecked("records", "there are no keys to tell our records by")
        link = self._link(url)
        try:
            workspace = await self._workspace(link)
            if workspace is None:
                return unchecked("records", "this store knows no workspace of this token before the first start")
            return Store(link.commands(Keys(workspace).due), workspace, ring)
        except StoreAway as error:
            return _unread(error)

    async def _workspace(self, link: Link) -> str | None:
        if self._slack is not None:
            try:
                return (await self._slack.identity()).home
            except SlackUnavailable:
                pass
        token = self._settings.slack_bot_token
        given = token.get_secret_value() if token else ""
        return await health.workspace(link.commands(home(given)), given)


def _unread(error: StoreAway) -> CheckResult:
    said = f"they cannot be read: {error}"
    return wrong("records", said, "see what is said of the store; if it is well, see who else writes to it")


def judged(counts: OpenCounts, generation: str | None) -> list[CheckResult]:
    """What the records tell. ``generation``: the policy file's, None when it cannot be read."""
    stuck = [request.id for request in counts.requests if requests.stuck(request)]
    found = []
    if stuck:
        found.append(wrong("records", f"cannot be closed: {_named(stuck)}", _STUCK))
    if counts.tampered:
        said = f"records that failed their integrity check: {_named(counts.tampered)}"
        fix = "see who can write to Redis, and that JIT_KEYS has every key that was ever used; nothing is done by them"
        found.append(wrong("records", said, fix))
    if counts.missing:
        fix = "compare the systems with what should be open: somebody deleted them, or the store is an old copy"
        found.append(wrong("records", f"records that are gone: {_named(counts.missing)}", fix))
    if late := [request.id for request in counts.requests if request.break_glass and request.break_glass.overdue]:
        said = f"break-glass reviews that are overdue: {_named(late)}"
        found.append(wrong("records", said, "have an owner of the system review each: *Review…* on its card"))
    if counts.overdue > _LATE:
        said = f"the oldest thing that is due has been so for {_long(counts.overdue)}"
        found.append(wrong("records", said, "see that a worker runs (jit run --role worker), and its log"))
    if counts.silent > _LATE:
        said = f"{counts.waiting} notifications wait, the oldest for {_long(counts.silent)}"
        found.append(wrong("records", said, "see that a worker runs, and that Slack takes its posts"))
    if counts.dead:
        said = f"{len(counts.dead)} notifications could never be delivered; the last: {counts.dead[0]}"
        found.append(wrong("records", said, "fix what it says; a card is shown again with the request's next event"))
    known = {*counts.tampered, *counts.missing}
    if old := [f"{id_} ({kind})" for kind, id_ in counts.alarmed if id_ not in known]:
        found.append(note("records", f"alarms lately, over by now: {_named(old)}"))
    if counts.generation and not generation:
        said = f"the workspace goes on deciding by policy {counts.generation}, which is not the file here"
        found.append(note("records", said, "correct the policy file: a running bot loads it as soon as it can be used"))
    if counts.generation and generation and counts.generation != generation:
        said = f"the workspace decides by policy {counts.generation}, this file is {generation}"
        found.append(
            note("records", said, "have every process read the same file: it does within seconds, or restart it")
        )
    return found or [good("records", f"{len(counts.requests)} open, nothing overdue, stuck or undelivered")]


def _vital(vitals: Vitals) -> list[CheckResult]:
    found = []
    if abs(vitals.skew) >= MOST_SKEW:
        way = "ahead of" if vitals.skew > 0 else "behind"
        said = f"this machine's clock is {abs(vitals.skew):.1f} s {way} Redis'"
        found.append(wrong("clock", said, "have both keep the time (NTP): what people are told is off by that"))
    else:
        found.append(good("clock", f"within {MOST_SKEW:g} s of Redis'"))
    share = vitals.used / vitals.limit if vitals.limit else 0.0
    if share >= _NEARLY:
        said = f"{share:.0%} of its memory is used: when it is full, nothing is recorded any more"
        grave = wrong if share >= _FULL else note
        found.append(grave("memory", said, "raise maxmemory, or see what else is in this Redis"))
    else:
        found.append(good("memory", f"{share:.0%} of maxmemory used" if vitals.limit else "no maxmemory is set"))
    if vitals.fsync not in {None, "always"}:
        said = f"appendfsync is {vitals.fsync}: a crash of the machine loses the last second or more"
        found.append(note("store", said, "set appendfsync always where you can"))
    if vitals.events is not None and not ("E" in vitals.events and set("xA") & set(vitals.events)):
        said = "it publishes no expired events: nothing is late without them, they only wake"
        found.append(note("store", said, "set notify-keyspace-events Ex if you like"))
    return found


def _open_to_others(check: str, file: Path) -> CheckResult | None:
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except OSError as error:
        return wrong(check, f"{file}: {error.strerror}", "let the bot's user read it")
    if not mode & 0o077:
        return None
    said = f"{file} has mode {mode:04o}: others on this machine can read it"
    return wrong(check, said, f"chmod 600 {file}, or mount it with mode 0400")


def _counted(ring: KeyRing) -> str:
    first, *others = ring.ids
    more = (
        f", {', '.join(others)} still verify" if len(others) > 1 else f", {others[0]} still verifies" if others else ""
    )
    return f"{len(ring.ids)} in the ring: {first} signs{more}"


def _named(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
    return ", ".join(ids[:_MOST_NAMED]) + more


def _long(seconds: float) -> str:
    return durations.words(int(seconds))
