"""Delivers what is read from the archive: files to the auditor who requested them, and changes of rights.

The audit log records what a file holds before it is sent; the auditor reads why a file cannot be made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.access import audit_files
from bot.access.audit_files import PAGE, AuditFile, AuditFiles, CannotMake
from bot.audit.archive.archive import NoArchive
from bot.core.errors import CouldNotCheck, IdentityTaken, NotAMember
from bot.policy import authorization
from bot.policy.catalog import Catalog
from bot.store.outbox import Row
from bot.store.store import Store
from handlers.notify.channels import Channels, Undeliverable
from handlers.notify.poster import Poster, Waits
from handlers.notify.uploads import UploadedFile, Uploads
from handlers.slack.directory import People
from handlers.views import policy_change
from handlers.views.message import SlackMessage
from handlers.views.text import safe

_AGAIN = 1.0


@dataclass
class FileDeliveries:
    """``patience``: seconds for which an archive that lags is waited for, before what it has is sent."""

    store: Store
    catalog: Callable[[], Catalog]
    people: People
    files: AuditFiles
    channels: Channels
    poster: Poster
    patience: float = 60.0

    async def _audits(self, user: str) -> bool:
        """Judged again: the row is in Redis, and write access there makes nobody an auditor."""
        try:
            actor = await self.people.actor(user)
        except (NotAMember, IdentityTaken):
            return False
        except CouldNotCheck as error:
            raise Waits(_AGAIN) from error
        verdict = authorization.may_audit(self.catalog(), actor.roster, actor.person)
        if verdict.unknown:
            raise Waits(_AGAIN)
        return verdict.allowed

    async def deliver_policy_change(self, row: Row, fields: Mapping[str, Any], channel: str, now: float) -> None:
        """Tell who gained and who lost by a change of the policy. Raises what `Poster.show` does."""
        try:
            shift = await self.files.shifted(fields)
        except NoArchive:
            shift = None
        if shift is None and now - float(fields.get("at") or 0) < self.patience:
            raise Waits(_AGAIN)  # the new text is on its way into the archive
        await self.poster.show(row, policy_change.announcement(fields, shift), channel, row.version)

    async def deliver(self, row: Row, fields: Mapping[str, Any], now: float) -> None:
        """Send it. ``fields``: its event. Raises what `Poster.show` and `Uploads.share` do."""
        if not await self._audits(row.request) or fields.get("by") != row.request:
            raise Undeliverable(f"{row.request} did not ask for it, or is no auditor any more")
        channel = await self.channels.dm(row.request)
        try:
            made = await self._made(row, fields, late=now - float(fields.get("at") or 0) >= self.patience)
            await audit_files.audit_sending(self.store, fields, row.name, made)
            await self._share(row, made, channel)
        except (CannotMake, Undeliverable) as error:
            if row.kind != PAGE:  # of two files it is said once
                await self.poster.show(row, SlackMessage(safe(str(error), 600), []), channel, row.version)
        await self.poster.outbox.done(row, row.version)

    async def _made(self, row: Row, fields: Mapping[str, Any], *, late: bool) -> AuditFile:
        """The file, once what came before the question is sealed, or cannot be waited for any longer."""
        try:
            if not await self.files.sealed(row.seq or 0) and not late:
                raise Waits(_AGAIN)
            return await self.files.generate(fields, "page" if row.kind == PAGE else "file")
        except NoArchive as error:
            if not late:
                raise Waits(_AGAIN) from error
            raise CannotMake(f"The file could not be made: {error}.") from error

    async def _share(self, row: Row, made: AuditFile, channel: str) -> None:
        stands = (await self.poster.outbox.posts(row.request)).get(row.audience)
        if stands and stands.ts:
            return
        uploads = Uploads(self.poster.outbox, self.poster.client, self.poster.unknown_for)
        try:
            await uploads.share(
                row, UploadedFile(made.content, made.name, made.name, comment=made.description), channel
            )
        except Undeliverable as error:
            raise Undeliverable(
                f"{made.name} could not be sent: {error}. `jit audit` at a terminal makes it too."
            ) from error
