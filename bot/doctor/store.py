"""What the doctor looks at where the bot remembers: the store, its keys, and the books in it; it changes nothing there.

An embedded store that does not run is not started: who ends it would end it for everyone.
"""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import time

from bot import operators
from bot.core import durations
from bot.core.catalog import Catalog
from bot.core.errors import StoreAway
from bot.doctor.findings import Check, Finding, Once, good, note, unchecked, wrong
from bot.doctor.slack import Slack, Unknown
from bot.keyring import BadKeys, KeyRing
from bot.settings import Settings
from bot.store import embedded, fitness, health
from bot.store.connecting import Link
from bot.store.fitness import Level
from bot.store.health import Books, Vitals
from bot.store.keys import Keys, home
from bot.store.store import Store

MOST_SKEW = 2.0
"""Seconds by which the clocks may differ."""
_LATE = 60.0
"""Seconds after which something that is due should long have been taken up."""
_FULL, _NEARLY = 0.95, 0.8
_MOST_NAMED = 10
_STUCK = "`jit requests stuck` says why; mend the system, or close it by hand there and with `jit requests close`"


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
        return [Check("store", self._store), Check("keys", self._keys), Check("books", self._books, 60.0)]

    async def _where(self) -> str | Finding:
        """The store's address, or why there is none."""
        if self._settings.redis_url:
            return self._settings.redis_url.get_secret_value()
        if self._settings.store is None:
            return unchecked("store", "REDIS_URL is missing", "set it, or JIT_STORE=embedded to have one here")
        running = await asyncio.to_thread(embedded.running, self._settings.home)
        if running:
            return running
        try:
            server = await asyncio.to_thread(embedded.binary)
        except embedded.CannotEmbed as error:
            return wrong("store", "no embedded store can be started here", str(error))
        return note("store", f"the embedded one does not run; `jit run` starts it ({server.name})")

    def _link(self, url: str) -> Link:
        link = Link(url)
        self._links.append(link)
        return link

    async def _store(self) -> Sequence[Finding]:
        url = await self._url()
        if isinstance(url, Finding):
            return [url]
        link = self._link(url)
        redis = link.commands(home(""))
        try:
            vitals = await health.vitals(redis, self._clock)
            fit = await fitness.findings(redis, link.address.kind)
        except StoreAway as error:
            return [wrong("store", f"it does not answer: {error}", "see that it runs, and that REDIS_URL is right")]
        flaws = [wrong("store", finding.said, finding.mend) for finding in fit if finding.level is not Level.FINE]
        fine = ", ".join(finding.said for finding in fit if finding.level is Level.FINE)
        return [*([good("store", fine)] if fine else []), *flaws, *_vital(vitals)]

    # the keys

    async def _keys(self) -> Sequence[Finding]:
        if self._settings.keys is not None:
            named = self._env.get("JIT_KEYS_FILE", "").strip()
            open_to = _open_to_others("keys", Path(named)) if named else None
            ring = KeyRing.parse(self._settings.keys.get_secret_value())
            return [open_to or good("keys", _counted(ring))]
        if self._settings.store != "embedded":
            return [unchecked("keys", "JIT_KEYS is missing", "`jit keys` prints one; every replica needs the same")]
        file = self._settings.home / "keys"
        if not file.exists():
            return [note("keys", f"there are none yet; the first start makes them in {file}")]
        if flaw := _open_to_others("keys", file):
            return [flaw]
        try:
            return [good("keys", f"{_counted(KeyRing.load_or_create(file))}, in {file}")]
        except (BadKeys, OSError) as error:
            said = str(error) if isinstance(error, BadKeys) else f"{file}: {error.strerror}"
            return [wrong("keys", said, "put the file back from a backup: without its keys no record is believed")]

    def _ring(self) -> KeyRing | None:
        """The ring, if there is one; nothing is made."""
        if self._settings.keys is not None:
            return KeyRing.parse(self._settings.keys.get_secret_value())
        file = self._settings.home / "keys"
        try:
            return KeyRing.load_or_create(file) if self._settings.store and file.exists() else None
        except (BadKeys, OSError):
            return None

    # the books

    async def _books(self) -> Sequence[Finding]:
        url, ring = await self._url(), self._ring()
        if isinstance(url, Finding):
            return [unchecked("books", "there is no store to look into")]
        if ring is None:
            return [unchecked("books", "there are no keys to tell our records by")]
        link = self._link(url)
        try:
            workspace = await self._workspace(link)
            if workspace is None:
                return [unchecked("books", "this store knows no workspace of this token yet: the first start notes it")]
            redis = link.commands(Keys(workspace).due)
            found = await health.books(Store(redis, workspace, ring))
        except StoreAway as error:
            said = f"they cannot be read: {error}"
            return [wrong("books", said, "see what is said of the store; if it is well, see who else writes to it")]
        return judged(found, None if self._catalog is None else self._catalog.generation)

    async def _workspace(self, link: Link) -> str | None:
        if self._slack is not None:
            try:
                return (await self._slack.identity()).home
            except Unknown:
                pass
        token = self._settings.slack_bot_token
        given = token.get_secret_value() if token else ""
        return await health.workspace(link.commands(home(given)), given)


def judged(books: Books, generation: str | None) -> list[Finding]:
    """What the books tell. ``generation``: the policy file's, None when it cannot be read."""
    stuck = [request.id for request in books.requests if operators.stuck(request)]
    found = []
    if stuck:
        found.append(wrong("books", f"cannot be closed: {_named(stuck)}", _STUCK))
    if books.tampered:
        said = f"records that bear no seal of ours: {_named(books.tampered)}"
        mend = "see who can write to Redis, and that JIT_KEYS has every key that was ever used; nothing is done by them"
        found.append(wrong("books", said, mend))
    if books.missing:
        mend = (
            "compare the systems by hand with what should be open: somebody deleted them, or the store is an old copy"
        )
        found.append(wrong("books", f"records that are gone: {_named(books.missing)}", mend))
    if books.overdue > _LATE:
        said = f"the oldest thing that is due has been so for {_long(books.overdue)}"
        found.append(wrong("books", said, "see that a worker runs (jit run --role worker), and its log"))
    if books.silent > _LATE:
        said = f"{books.waiting} notices wait, the oldest for {_long(books.silent)}"
        found.append(wrong("books", said, "see that a worker runs, and that Slack takes its posts"))
    if books.dead:
        said = f"{len(books.dead)} notices could never be given; the last: {books.dead[0]}"
        found.append(wrong("books", said, "mend what it says; a card is shown again with the request's next event"))
    known = {*books.tampered, *books.missing}
    if old := [f"{id_} ({kind})" for kind, id_ in books.alarmed if id_ not in known]:
        found.append(note("books", f"alarms lately, over by now: {_named(old)}"))
    if books.generation and generation and books.generation != generation:
        said = f"the workspace decides by policy {books.generation}, this file is {generation}"
        found.append(note("books", said, "restart every process with the same file"))
    return found or [good("books", f"{len(books.requests)} open, nothing overdue, stuck or untold")]


def _vital(vitals: Vitals) -> list[Finding]:
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


def _open_to_others(check: str, file: Path) -> Finding | None:
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
