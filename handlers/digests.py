"""Digests on their way out of the outbox: told when their own event is sealed, with the picture beneath; never a part.

What is told is read out of the archive at that moment. An archive that lags is waited for, and after that it is said.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

from bot.digest import picture as digest_picture
from bot.digest.facts import Digest
from bot.digest.picture import NoPicture, Picture
from bot.digest.telling import DIGEST, PICTURE, TOLD
from bot.digest.words import long_day
from bot.record.archive import NoArchive
from bot.store.outbox import Row
from handlers.poster import Poster, Waits
from handlers.rooms import Rooms, Undeliverable
from handlers.uploads import File, Uploads
from handlers.views import digest as views

log = logging.getLogger(__name__)

_AGAIN = 1.0
_AWAY = 10.0
"""Seconds before an archive that does not answer is asked again."""
KINDS = (DIGEST, TOLD, PICTURE)


class Reads(Protocol):
    """Where digests are read."""

    async def of(self, day: date, tz: str, now: float) -> Digest:
        """The digest of a day."""

    async def sealed(self, number: int) -> bool:
        """Whether all events up to a number are in the archive."""


Draw = Callable[[Picture], Awaitable[bytes]]
"""The PNG of a picture. Raises `NoPicture`."""


def lane(row: Row, audit: str) -> str:
    """Pictures keep no notice of their channel waiting."""
    if row.kind == PICTURE:
        return f"{row.request} {PICTURE}"
    return row.request if row.kind == TOLD else audit


@dataclass
class Digests:
    """``patience``: seconds for which an archive that lags is waited for, before a digest goes out that says so."""

    reads: Reads
    draw: Draw
    rooms: Rooms
    poster: Poster
    patience: float = 900.0
    _drawn: dict[str, bytes] = field(default_factory=dict, init=False, repr=False)

    async def give(self, row: Row, noted: Mapping[str, Any], audit: Callable[[], Awaitable[str]], now: float) -> None:
        """Post it, or its picture. ``noted``: its event; ``audit`` finds the audit channel.

        Raises what `Poster.show` and `Uploads.share` do.
        """
        try:
            await self._give(row, noted, audit, now)
        except NoArchive as error:
            log.warning("%s waits: %s", row.name, error)
            raise Waits(_AWAY) from error

    async def _give(self, row: Row, noted: Mapping[str, Any], audit: Callable[[], Awaitable[str]], now: float) -> None:
        asked_at = float(noted.get("at") or 0)
        if not await self.reads.sealed(row.seq or 0) and now - asked_at < self.patience:
            raise Waits(_AGAIN)
        found = await self.reads.of(date.fromisoformat(str(noted["day"])), str(noted["timezone"]), now)
        if row.kind == PICTURE:
            await self._picture(row, found)
            return
        channel = await self.rooms.dm(row.request) if row.kind == TOLD else await audit()
        missed = [str(day) for day in noted.get("missed", [])]
        await self.poster.show(row, views.told(found, missed, late=bool(noted.get("late"))), channel, row.version)

    async def _picture(self, row: Row, found: Digest) -> None:
        """Beneath the message that it belongs to; a quiet day has none, and a picture that fails is only logged."""
        outbox = self.poster.outbox
        posts = await outbox.posts(row.request)
        there = next((p for a in (DIGEST, TOLD) if (p := posts.get(f"{a}:{row.seq}"))), None)
        if there is None or not there.ts:
            for audience in (DIGEST, TOLD):
                if await outbox.waits(row.request, f"{audience}:{row.seq}"):
                    raise Waits(_AGAIN)
            raise Undeliverable("its digest was never posted")
        stands = posts.get(row.audience)
        if not found.quiet and not (stands and stands.ts):
            try:
                png = await self._png(row, found)
            except NoPicture as error:
                log.warning("the digest for %s has no picture: %s", found.day, error)
            else:
                title = f"{long_day(found.day)}: by system, and thirty days"
                picture = File(png, f"digest-{found.day}.png", title, digest_picture.alt(found.picture))
                uploads = Uploads(outbox, self.poster.client, self.poster.unknown_for)
                await uploads.share(row, picture, there.channel, there.ts)
        await outbox.done(row, row.version)
        self._drawn.pop(row.name, None)

    async def _png(self, row: Row, found: Digest) -> bytes:
        """Drawn once, however often Slack is asked to take it."""
        if row.name not in self._drawn:
            self._drawn[row.name] = await self.draw(found.picture)
        return self._drawn[row.name]
