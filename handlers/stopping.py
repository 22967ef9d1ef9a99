"""The conversation of stopping: all of somebody's, all of a system's, or all that is new; each press is judged."""

from __future__ import annotations

from pydantic import ValidationError
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot import books
from bot.core import policy
from bot.core.errors import NotFound
from bot.core.lockdown import Lock
from bot.stopping import Stopping, Target
from bot.wishes import Actor
from handlers import payloads
from handlers.door import Door
from handlers.payloads import Payload
from handlers.views import actions, modals
from handlers.views import stopping as views
from handlers.views.words import safe

LIFT = "lift"


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the two modals; the commands come through commands.py."""

    @app.view(actions.REVOKE_ALL_VIEW)
    async def all_taken(ack: AsyncAck, body: Payload) -> None:
        actor = await door.who(body)
        done = await Stopping(door.desk).take_all(actor, _target(payloads.about(body)), payloads.reason(body))
        said = views.taken(done, operator=_operates(door, actor))
        await ack(response_action="update", view=modals.note("End all of it", said))

    @app.view(actions.LOCKDOWN_VIEW)
    async def locked(ack: AsyncAck, body: Payload) -> None:
        actor, scope = await door.who(body), payloads.scope(body)
        system = "" if scope == views.EVERYTHING else scope
        lock = await Stopping(door.desk).lock(actor, system, payloads.reason(body))
        await ack(response_action="update", view=modals.note("Lockdown", _locked(lock)))


async def revoke(door: Door, payload: Payload, rest: str, client: AsyncWebClient) -> str | None:
    """``/jit revoke ID|@person|SYSTEM REASON``: the answer's text, or None when there is more than one to confirm."""
    actor = await door.who(payload)
    first, reason = payloads.id_and_rest(rest)
    target = payloads.target(first, books.systems(door.desk, actor))
    if target is None:
        request = await door.desk.revoke(actor, first, reason)
        return f"{request.id} is being closed."
    stopping, operator = Stopping(door.desk), _operates(door, actor)
    found = await stopping.takeable(actor, target)
    if not found:
        nothing = f"Nothing is open there that you can end: {_whose(target)}."
        return nothing if operator else f"{nothing} {views.NOT_YOURS}"
    if len(found) == 1:
        return views.taken(await stopping.take_all(actor, target, reason), operator=operator)
    view = views.revoke_all(_whose(target), target.model_dump_json(exclude_defaults=True), found, reason)
    await client.views_open(trigger_id=payloads.trigger(payload), view=view)
    return None


async def lockdown(door: Door, payload: Payload, rest: str, client: AsyncWebClient) -> str | None:
    """``/jit lockdown [SYSTEM] REASON``, ``/jit lockdown lift [SYSTEM]``: the answer, or None for the modal."""
    actor, stopping = await door.who(payload), Stopping(door.desk)
    first, more = payloads.id_and_rest(rest)
    if first.lower() == LIFT:
        return views.lifting(await stopping.lift(actor, more.lower()[:40]))
    await stopping.may_lock(actor)
    systems = {name: system.title for name, system in door.desk.catalog().systems.items()}
    system = first.lower() if first.lower() in systems else ""
    standing = await stopping.standing()
    view = views.lockdown(systems, system, more if system else rest, standing.locks)
    await client.views_open(trigger_id=payloads.trigger(payload), view=view)
    return None


async def banner(door: Door) -> str:
    """The lockdowns that stand, above what somebody looks at."""
    return views.banner((await Stopping(door.desk).standing()).locks)


def _locked(lock: Lock) -> str:
    return f"{views.locked(lock)} What is open is being closed; `/jit list` shows what still is."


def _operates(door: Door, actor: Actor) -> bool:
    return policy.may_stop(door.desk.catalog(), actor.roster, actor.person).allowed


def _target(metadata: str) -> Target:
    """Whose access the modal is about, as it was opened with. Raises `NotFound`."""
    try:
        return Target.model_validate_json(metadata)
    except ValidationError:
        raise NotFound("that") from None


def _whose(target: Target) -> str:
    if target.user:
        return f"<@{safe(target.user, 30)}>"
    return f"`{safe(target.system or target.email, 250)}`"
