"""What is told out of the archive: files for the one person who asked for them, and who may what by a new policy.

What a file holds is on the record before it is sent; one that cannot be made is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.core import policy
from bot.core.catalog import Catalog
from bot.core.errors import CouldNotCheck, IdentityTaken, NotAMember
from bot.record import handing
from bot.record.archive import NoArchive
from bot.record.handing import FILE, PAGE, CannotMake, Files, Made
from bot.store.outbox import Row
from bot.store.store import Store
from handlers.people import People
from handlers.poster import Poster, Waits
from handlers.rooms import Rooms, Undeliverable
from handlers.uploads import File, Uploads
from handlers.views import changing
from handlers.views.card import Message
from handlers.views.words import safe

_AGAIN = 1.0
KINDS = (FILE, PAGE)


def lane(row: Row) -> str:
    """Files keep no other notice to the same person waiting."""
    return f"{row.request} {FILE}"


@dataclass
class Handouts:
    """``patience``: seconds for which an archive that lags is waited for, before what it has is sent."""

    store: Store
    catalog: Callable[[], Catalog]
    people: People
    files: Files
    rooms: Rooms
    poster: Poster
    patience: float = 60.0

    async def _audits(self, user: str) -> bool:
        """Judged again: the notice lies in Redis, and whoever can write there is no auditor by it."""
        try:
            actor = await self.people.actor(user, None)
        except (NotAMember, IdentityTaken):
            return False
        except CouldNotCheck as error:
            raise Waits(_AGAIN) from error
        verdict = policy.may_audit(self.catalog(), actor.roster, actor.person)
        if verdict.unknown:
            raise Waits(_AGAIN)
        return verdict.allowed

    async def changed(self, row: Row, noted: Mapping[str, Any], channel: str, now: float) -> None:
        """Tell who gained and who lost by a change of the policy. Raises what `Poster.show` does."""
        try:
            shift = await self.files.shifted(noted)
        except NoArchive:
            shift = None
        if shift is None and now - float(noted.get("at") or 0) < self.patience:
            raise Waits(_AGAIN)  # the new text is on its way into the archive
        await self.poster.show(row, changing.told(noted, shift), channel, row.version)

    async def give(self, row: Row, noted: Mapping[str, Any], now: float) -> None:
        """Send it. ``noted``: its event. Raises what `Poster.show` and `Uploads.share` do."""
        if not await self._audits(row.request) or noted.get("by") != row.request:
            raise Undeliverable(f"{row.request} did not ask for it, or is no auditor any more")
        channel = await self.rooms.dm(row.request)
        try:
            made = await self._made(row, noted, late=now - float(noted.get("at") or 0) >= self.patience)
            await handing.sent(self.store, noted, row.name, made)
            await self._share(row, made, channel)
        except (CannotMake, Undeliverable) as error:
            if row.kind != PAGE:  # of two files it is said once
                await self.poster.show(row, Message(safe(str(error), 600), []), channel, row.version)
        await self.poster.outbox.done(row, row.version)

    async def _made(self, row: Row, noted: Mapping[str, Any], *, late: bool) -> Made:
        """The file, once what came before the question is sealed, or cannot be waited for any longer."""
        try:
            if not await self.files.sealed(row.seq or 0) and not late:
                raise Waits(_AGAIN)
            return await self.files.of(noted, "page" if row.kind == PAGE else "file")
        except NoArchive as error:
            if not late:
                raise Waits(_AGAIN) from error
            raise CannotMake(f"The file could not be made: {error}.") from error

    async def _share(self, row: Row, made: Made, channel: str) -> None:
        stands = (await self.poster.outbox.posts(row.request)).get(row.audience)
        if stands and stands.ts:
            return
        uploads = Uploads(self.poster.outbox, self.poster.client, self.poster.unknown_for)
        try:
            await uploads.share(row, File(made.content, made.name, made.name, comment=made.said), channel)
        except Undeliverable as error:
            raise Undeliverable(
                f"{made.name} could not be sent: {error}. `jit audit` at a terminal makes it too."
            ) from error
