"""Ending the access of others: `/jit revoke`, for one request, a person or a system."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.access import read
from bot.access import revoke as verbs
from bot.access.revoke import RevokeTarget
from bot.core.errors import NotFound
from bot.core.ids import is_id
from bot.core.request import Request
from bot.core.verdict import Actor
from bot.policy import authorization
from handlers import show
from handlers.context import Door
from handlers.slack import payloads
from handlers.slack.payloads import Payload
from handlers.views import action_ids, modals
from handlers.views.revoke import NOT_YOURS, revoke_all, taken
from handlers.views.text import code, safe, title


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the modal; the command comes through commands.py."""

    @app.view(action_ids.REVOKE_ALL_VIEW)
    async def all_taken(ack: AsyncAck, body: Payload) -> None:
        actor = await door.who(body)
        done = await verbs.revoke_all(door.context, actor, _target(payloads.about(body)), payloads.reason(body))
        said = taken(done, operator=_operates(door, actor))
        await ack(response_action="update", view=modals.note("End all access", said))


async def revoke(door: Door, payload: Payload, rest: str, client: AsyncWebClient) -> str | None:
    """``/jit revoke ID|@person|SYSTEM REASON``: the answer's text, or None when there is more than one to confirm."""
    actor = await door.who(payload)
    first, reason = payloads.id_and_rest(rest)
    systems = await read.systems(door.context, actor)
    target = payloads.target(first, systems)
    if target is None:
        request = await _revoke(door, actor, first, reason, systems)
        said = f"You ended {request.id}, {title(request)}; the worker is revoking the access."
        return await show.with_card(door, request, said)
    operator = _operates(door, actor)
    found = await verbs.revocable_all(door.context, actor, target)
    if not found:
        nothing = f"You can end nothing there: {_whose(target)}."
        return nothing if operator else f"{nothing} {NOT_YOURS}"
    if len(found) == 1:
        return taken(await verbs.revoke_all(door.context, actor, target, reason), operator=operator)
    view = revoke_all(_whose(target), target.model_dump_json(exclude_defaults=True), found, reason)
    await client.views_open(trigger_id=payloads.trigger(payload), view=view)
    return None


async def _revoke(door: Door, actor: Actor, typed: str, reason: str, systems: Sequence[str]) -> Request:
    """One request. Raises what `payloads.unknown_target` returns for a short name that is spelled like an id."""
    try:
        return await verbs.revoke(door.context, actor, typed, reason)
    except NotFound as error:
        if typed and not is_id(typed):
            raise payloads.unknown_target(typed, systems) from error
        raise


def _operates(door: Door, actor: Actor) -> bool:
    return authorization.may_lock_down(door.context.catalog(), actor.roster, actor.person).allowed


def _target(metadata: str) -> RevokeTarget:
    """Whose access the modal is about, as it was opened with. Raises `NotFound`."""
    try:
        return RevokeTarget.model_validate_json(metadata)
    except ValidationError:
        raise NotFound("that") from None


def _whose(target: RevokeTarget) -> str:
    if target.user:
        return f"<@{safe(target.user, 30)}>"
    return code(target.system or target.email, 250)
