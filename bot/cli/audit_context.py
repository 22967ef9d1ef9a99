"""What an auditor has at hand at the terminal: the archive, Redis where it is set, the keys where they are here.

Nothing of it is needed but one of the first two; what is missing is said, in a sentence for each.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from pydantic import SecretStr

from bot.audit.archive.archive import Archive, NoArchive
from bot.audit.archive.timeline import Timeline
from bot.audit.sealer import Sealer, signer
from bot.core.audit_chain import AuditEntry, Signer
from bot.core.errors import StoreAway
from bot.settings import Settings
from bot.store.audit_stream import AuditStream
from bot.store.encoding import away
from bot.store.keyring import KeyRing
from bot.store.keys import Keys, home
from bot.store.provenance import Provenance
from bot.store.redis import embedded, health
from bot.store.redis.client import Link
from bot.store.store import Store

_MOST = 200_000
"""Events that are read from the window: far more than wait while all is well."""


class CannotAudit(RuntimeError):
    """What was asked for cannot be looked at from here; the sentence says what to set."""


@dataclass(frozen=True)
class AtHand:
    """What there is; ``said``: what was not looked at, and why. ``store`` is None where Redis is not at hand."""

    trail: Timeline
    said: tuple[str, ...]
    store: Store | None = None


@contextlib.contextmanager
def archive_of(settings: Settings) -> Iterator[Archive]:
    """The archive. Raises `NoArchive`."""
    opened = Archive.open(_url(settings), settings.home)
    try:
        yield opened
    finally:
        opened.close()


def whose(archive: Archive, asked: str) -> str:
    """Which workspace is meant: the one that is asked for, or the only one. Raises `CannotAudit`."""
    known = archive.workspaces()
    if asked in known:
        return asked
    if asked or not known:
        there = f": it has {', '.join(sorted(known))}" if known else ""
        raise CannotAudit(f"the archive has no events of {asked or 'any workspace'}{there}")
    if len(known) > 1:
        raise CannotAudit(f"the archive has several workspaces: say which, --workspace {' or '.join(sorted(known))}")
    return known[0]


def trusted(settings: Settings) -> Signer | None:
    """Whose heads are believed: the key ring's, where it is here; no ring is made."""
    if settings.keys:
        return signer(KeyRing.parse(settings.keys.get_secret_value()))
    path = settings.home / "keys"
    return signer(KeyRing.load_or_create(path)) if path.exists() else None


@contextlib.asynccontextmanager
async def at_hand(settings: Settings, asked: str) -> AsyncIterator[AtHand]:
    """All that can be searched from here. Raises `CannotAudit`, `NoArchive`."""
    said: list[str] = []
    async with contextlib.AsyncExitStack() as stack:
        archive: Archive | None = None
        try:
            archive = stack.enter_context(archive_of(settings))
        except NoArchive as error:
            said.append(f"only Redis was looked at: {error}")
        workspace = whose(archive, asked) if archive and (asked or archive.workspaces()) else asked
        tail: list[AuditEntry] = []
        store: Store | None = None
        try:
            window = await stack.enter_async_context(window_of(settings, workspace))
            workspace = window.store.workspace
            last = archive.last(workspace) if archive else None
            tail = await window.tail(last.last if last else 0, _MOST)
            store = window.store
        except (CannotAudit, StoreAway) as error:
            if archive is None:
                raise CannotAudit(f"{said[0]}; and {error}") from error
            said.append(f"only the archive was looked at, and what is not sealed yet is not in it: {error}")
        yield AtHand(Timeline(workspace, archive, tail), tuple(said), store)


@contextlib.asynccontextmanager
async def window_of(settings: Settings, workspace: str = "") -> AsyncIterator[AuditStream]:
    """The window in Redis. Raises `CannotAudit`, `StoreAway`."""
    if not settings.redis_url and not settings.store:
        raise CannotAudit("REDIS_URL is not set here")
    started = None if settings.redis_url else embedded.start(settings.home)
    link = Link(started.url if started else _secret(settings.redis_url))
    try:
        known = workspace or await _workspace(settings, link)
        ring = _ring(settings)
        provenance = Provenance(f"cli@{socket.gethostname()}")
        yield AuditStream(Store(link.commands(Keys(known).due), known, ring, provenance=provenance))
    finally:
        await link.aclose()
        if started:
            started.stop()


@contextlib.asynccontextmanager
async def sealer_of(settings: Settings) -> AsyncIterator[Sealer]:
    """The sealing part of this host. Raises `CannotAudit`, `StoreAway`."""
    async with window_of(settings) as window:
        url = _url(settings)
        part = Sealer(window.store, lambda: Archive.open(url, settings.home, create=True), settings.home)
        try:
            yield part
        finally:
            await part.close()


async def _workspace(settings: Settings, link: Link) -> str:
    token = _secret(settings.slack_bot_token)
    redis = link.commands(home(token))
    await away(redis.ping())
    known = await health.workspace(redis, token)
    if known is None:
        raise CannotAudit("the store knows no workspace of this SLACK_BOT_TOKEN; say which one, --workspace T…")
    return known


def _ring(settings: Settings) -> KeyRing:
    """The key ring: what is not sealed yet is told from what somebody else wrote by nothing else."""
    if settings.keys:
        return KeyRing.parse(_secret(settings.keys))
    path = settings.home / "keys"
    if not path.exists():
        raise CannotAudit(f"JIT_KEYS is not set here and there is no {path}: what Redis has cannot be verified")
    return KeyRing.load_or_create(path)


def _url(settings: Settings) -> str:
    return _secret(settings.archive_url)


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""
