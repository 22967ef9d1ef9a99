"""People who leave: Slack says that an account was deactivated, and it is looked at soon; nobody is judged here."""

from __future__ import annotations

from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.store.sightings import Sightings
from handlers.door import Door


def register(app: AsyncApp, door: Door) -> None:
    """Listen to accounts being changed, of which being deactivated is a hint."""

    @app.event("user_change")
    async def changed(event: dict[str, Any], ack: AsyncAck) -> None:
        user = event.get("user")
        if isinstance(user, dict) and user.get("deleted") is True and isinstance(user.get("id"), str):
            await Sightings(door.desk.store).hint(user["id"])
        await ack()
