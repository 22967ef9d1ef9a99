"""Accounts and user groups change, as Slack's events tell: what somebody lost holds at once, in every process.

An event only takes away: it may be old, or come late, so what it would add is asked of Slack. Access that is open is
not ended here; the account is looked at soon, and twice (bot/worker/offboarding.py).
"""

from __future__ import annotations

from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.core.errors import NotAMember
from bot.store.indexes.offboarding import Sightings
from handlers.context import Door
from handlers.slack.membership import LOST, member, updated


def register(app: AsyncApp, door: Door) -> None:
    """Listen to accounts and user groups being changed."""

    @app.event("user_change")
    async def changed(event: dict[str, Any], ack: AsyncAck) -> None:
        user = event.get("user")
        if isinstance(user, dict) and isinstance(user.get("id"), str):
            door.people.forget(user["id"])
            if kind := _lost(user, door.people.home):
                await door.people.changes.gone(user["id"], await _at(door, updated(user), event), kind)
            if user.get("deleted") is True:
                await Sightings(door.context.store).hint(user["id"])
        await ack()

    @app.event("subteam_members_changed")
    async def members_changed(event: dict[str, Any], ack: AsyncAck) -> None:
        group, removed = event.get("subteam_id"), _users(event.get("removed_users"))
        if removed and group in door.people.usergroups.wanted:
            at = await _at(door, event.get("date_update"), event)
            await door.people.changes.left(str(group), at, removed)
        await ack()

    @app.event("subteam_updated")
    async def group_updated(event: dict[str, Any], ack: AsyncAck) -> None:
        found = event.get("subteam")
        group = found if isinstance(found, dict) else {}
        # A disabled group is told with the people that it had.
        users = [] if group.get("date_delete") else group.get("users")
        if isinstance(users, list) and group.get("id") in door.people.usergroups.wanted:
            at = await _at(door, group.get("date_update"), event)
            await door.people.changes.left(str(group["id"]), at, _users(users), only=True)
        await ack()


def _lost(user: dict[str, Any], home: str) -> str:
    """What the account became, where that is none which can act; empty for whatever has to be asked about."""
    try:
        member(user, home)
    except NotAMember as error:
        return error.kind if error.kind in LOST else ""
    return ""


def _users(told: object) -> list[str]:
    return [user for user in told if isinstance(user, str) and user.isalnum()] if isinstance(told, list) else []


async def _at(door: Door, told: object, event: dict[str, Any]) -> float:
    """When it happened, as Slack says of the thing itself, else of the event; else now."""
    for value in (told, event.get("event_ts")):
        try:
            if (at := float(str(value))) > 0:
                return at
        except ValueError:
            continue
    return await door.context.store.now()
