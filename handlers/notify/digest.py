"""Delivers digests: posted when their own event is sealed, with the details and the chart in the thread.

The facts are read from the archive at that moment. An archive that lags is waited for; after that the digest says so.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, Protocol

from bot.audit.archive.archive import NoArchive
from bot.reports.digest import chart as digest_picture
from bot.reports.digest import schedule
from bot.reports.digest.chart import NoPicture, Picture
from bot.reports.digest.editions import Edition, Span
from bot.reports.digest.facts import Digest
from bot.reports.digest.schedule import DIGEST, TOLD
from bot.reports.digest.text import title_of
from bot.store.outbox import PostedMessage, Row
from handlers.notify.channels import Channels, Undeliverable
from handlers.notify.poster import Poster, Waits
from handlers.notify.uploads import UploadedFile, Uploads
from handlers.slack.api import SlackRefused, answered
from handlers.views import digest as views
from handlers.views.message import SlackMessage
from handlers.views.tables import REFUSED

log = logging.getLogger(__name__)

_AGAIN = 1.0
_AWAY = 10.0
"""Seconds before an archive that does not answer is asked again."""


class Reads(Protocol):
    """Where digests are read."""

    async def of(self, span: Span, tz: str, now: float) -> Digest:
        """The digest of some days."""

    async def sealed(self, number: int) -> bool:
        """Whether all events up to a number are in the archive."""


Draw = Callable[[Picture], Awaitable[bytes]]
"""The PNG of a picture. Raises `NoPicture`."""


@dataclass
class DigestDeliveries:
    """``patience``: seconds for which an archive that lags is waited for, before a digest goes out that says so."""

    reads: Reads
    draw: Draw
    channels: Channels
    poster: Poster
    patience: float = 900.0
    _drawn: dict[str, bytes] = field(default_factory=dict, init=False, repr=False)

    async def deliver(
        self, row: Row, fields: Mapping[str, Any], audit: Callable[[], Awaitable[str]], now: float
    ) -> None:
        """Post it, its details or its chart. ``fields``: its event; ``audit`` finds the audit channel.

        Raises what `Poster.show` and `Uploads.share` do.
        """
        try:
            await self._deliver(row, fields, audit, now)
        except NoArchive as error:
            log.warning("%s waits: %s", row.name, error)
            raise Waits(_AWAY) from error

    async def _deliver(
        self, row: Row, fields: Mapping[str, Any], audit: Callable[[], Awaitable[str]], now: float
    ) -> None:
        asked_at = float(fields.get("at") or 0)
        if not await self.reads.sealed(row.seq or 0) and now - asked_at < self.patience:
            raise Waits(_AGAIN)
        # Before the facts are read, which takes a while for a month: as long as the digest waits, so does its thread.
        above = await self._above(row) if row.kind in {schedule.DETAILS, schedule.PICTURE} else None
        found = await self.reads.of(_span(fields), str(fields["timezone"]), now)
        missed, late = [str(name) for name in fields.get("missed", [])], bool(fields.get("late"))
        body = partial(views.announcement, found, missed, late=late)
        if above is None:
            channel = await self.channels.dm(row.request) if row.kind == TOLD else await audit()
            await self.poster.show(row, body(), channel, row.version)
        elif row.kind == schedule.DETAILS:
            await self._details(row, partial(views.details, found, missed), above)
        else:
            await self._picture(row, found, body, above)

    async def _details(self, row: Row, draw: Callable[..., SlackMessage], above: PostedMessage) -> None:
        """In the thread; where Slack refuses the table, the same as lines."""
        try:
            await self.poster.show(row, draw(), above.channel, row.version, above.ts)
        except Undeliverable as error:
            if not (isinstance(error.__cause__, SlackRefused) and error.__cause__.code in REFUSED):
                raise
            log.info("%s: Slack refuses the table, so lines are posted instead: %s", row.name, error)
            await self.poster.show(row, draw(as_table=False), above.channel, row.version, above.ts)

    async def _above(self, row: Row) -> PostedMessage:
        """The digest whose thread it belongs to, once it is posted. Raises `Waits`, `Undeliverable`."""
        outbox, names = self.poster.outbox, [f"{audience}:{row.seq}" for audience in (DIGEST, TOLD)]
        # Asked first: a digest that waits no longer by then has its place noted before the places are read.
        waiting = [await outbox.waits(row.request, name) for name in names]
        posts = await outbox.posts(row.request)
        above = next((posts[name] for name in names if name in posts), None)
        if above and above.ts:
            return above
        if any(waiting):
            raise Waits(_AGAIN)
        raise Undeliverable("its digest was never posted")

    async def _picture(self, row: Row, found: Digest, body: Callable[..., SlackMessage], above: PostedMessage) -> None:
        """In the thread, and then in the body; a day on which nothing happened has none.

        A chart that fails is only logged. Everybody who reads the thread may see the file, so the body can show it.
        """
        outbox = self.poster.outbox
        there = (await outbox.posts(row.request)).get(row.audience)
        if not found.quiet and not (there and there.ts):
            try:
                png = await self._png(row, found)
            except NoPicture as error:
                log.warning("the digest for %s has no picture: %s", found.day, error)
            else:
                title = f"{title_of(found.span)}: by system, and thirty days"
                picture = UploadedFile(png, f"digest-{found.span.name}.png", title, digest_picture.alt(found.picture))
                uploads = Uploads(outbox, self.poster.client, self.poster.unknown_for)
                await uploads.share(row, picture, above.channel, above.ts)
                there = (await outbox.posts(row.request)).get(row.audience)
        if there and there.ts:  # the file's id, which stands where a message has its timestamp
            await self._show(above, body(picture=there.ts))
        await outbox.done(row, row.version)
        self._drawn.pop(row.name, None)

    async def _show(self, above: PostedMessage, message: SlackMessage) -> None:
        """The body again, with the chart; where Slack does not want it there, the thread has it."""
        call = self.poster.client.chat_update(
            channel=above.channel, ts=above.ts, text=message.text, blocks=message.blocks
        )
        try:
            await answered(call)
        except SlackRefused as error:
            log.info("the digest at %s shows its chart in the thread only: %s", above.ts, error.code)

    async def _png(self, row: Row, found: Digest) -> bytes:
        """Drawn once, however often Slack is asked to take it."""
        if row.name not in self._drawn:
            self._drawn[row.name] = await self.draw(found.picture)
        return self._drawn[row.name]


def _span(fields: Mapping[str, Any]) -> Span:
    """The days of an event; one that names no edition is of the daily one."""
    return Span(Edition(fields.get("edition", Edition.DAILY)), date.fromisoformat(str(fields["day"])))
