"""What was read at a terminal, put on the record as far as it can be from there; where it cannot, that is said aloud.

Refusing would protect nothing: who has the archive can read it without this command.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bot import terminal

if TYPE_CHECKING:
    from bot.audit.archive.archive import Archive
    from bot.cli.audit_context import AtHand


def recorded(archive: Archive, workspace: str, what: str, asked: Mapping[str, Any], **more: Any) -> None:
    """Kept in the archive, and on the record as soon as a worker seals there. ``what``, ``more``: see `Read`."""
    from bot.audit.archive.archive import NoArchive
    from bot.audit.read_log import queue

    try:
        queue(archive, workspace, _read(what, asked, more))
    except NoArchive as error:
        terminal.say(f"this read is not on the record: {error}", err=True)


async def recorded_at(hand: AtHand, what: str, asked: Mapping[str, Any], **more: Any) -> None:
    """On the record now where Redis is at hand, else kept in the archive."""
    from bot.audit.read_log import record
    from bot.core.errors import StoreAway

    if hand.store:
        try:
            await record(hand.store, _read(what, asked, more))
        except StoreAway as error:
            terminal.say(f"this read is not on the record: the store is away: {error}", err=True)
    elif hand.trail.archive:
        recorded(hand.trail.archive, hand.trail.workspace, what, asked, **more)


def _read(what: str, asked: Mapping[str, Any], more: Mapping[str, Any]) -> Any:
    from bot.audit.read_log import Read
    from bot.cli import requests

    said = {name: str(value)[:300] for name, value in asked.items() if value not in {None, "", False}}
    return Read(at=time.time(), by=requests.whoami()[:300], read=what, asked=said, **more)
