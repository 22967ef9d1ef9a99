"""Where a view goes: on top of the modal that someone pressed in, before them by itself, or on their Home tab."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TypeVar

from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from bot import tasks
from handlers.slack.api import AWAY, SlackRefused, answered, error_name
from handlers.slack.payloads import Payload, beneath, trigger, view_id, within
from handlers.views import modals

log = logging.getLogger(__name__)
T = TypeVar("T")

_PATIENCE = 1.5
"""Seconds that an answer may wait for a view to be changed."""


async def show(client: AsyncWebClient, payload: Payload, view: View) -> str:
    """Before the person who pressed, within the three seconds that their trigger lives. The view's id."""
    call = client.views_push if within(payload) == "modal" else client.views_open
    answer = await call(trigger_id=trigger(payload), view=view)
    return str(answer["view"]["id"])


async def say(client: AsyncWebClient, payload: Payload, text: str) -> None:
    """A sentence, where there is no message to answer to; nothing can be done for who waited too long."""
    try:
        await show(client, payload, modals.note("JIT Access", text))
    except AWAY as error:
        log.warning("a person could not be answered: %s", error_name(error))


async def change(client: AsyncWebClient, payload: Payload, view: View) -> None:
    """In place of the modal that was pressed in; one that was closed or changed meanwhile is left alone.

    Raises what `calls.answered` does, and `TimeoutError`.
    """
    seen = payload["view"].get("hash")
    try:
        await _soon(client.views_update(view_id=view_id(payload), hash=seen, view=view))
    except SlackRefused as error:
        if error.code not in {"hash_conflict", "not_found"}:
            raise


async def change_beneath(client: AsyncWebClient, payload: Payload, view: View) -> None:
    """In place of the modal beneath the one that is submitted. Raises what `change` does."""
    try:
        await _soon(client.views_update(view_id=beneath(payload), view=view))
    except SlackRefused as error:
        if error.code != "not_found":
            raise


async def publish(client: AsyncWebClient, user: str, view: View, seen: str) -> str:
    """On somebody's Home tab, in place of the view of the hash ``seen``; of whichever, where that is empty. Its hash.

    Raises what `calls.answered` does, and `TimeoutError`.
    """
    answer = await _soon(client.views_publish(user_id=user, view=view, hash=seen or None))
    return str(answer["view"]["hash"])


async def _soon(call: Awaitable[T]) -> T:
    return await tasks.within(answered(call), _PATIENCE)
