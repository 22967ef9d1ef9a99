"""`/jit lockdown`, and lifting it; every press is judged again."""

from __future__ import annotations

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.access import lockdown as verbs
from bot.core.lockdown import Lock, Lockdowns
from bot.core.verdict import Actor
from handlers.context import Door
from handlers.slack import payloads
from handlers.slack.payloads import Payload
from handlers.views import action_ids, modals
from handlers.views import lockdown as views

LIFT = "lift"


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the modal; the command comes through commands.py."""

    @app.view(action_ids.LOCKDOWN_VIEW)
    async def locked(ack: AsyncAck, body: Payload) -> None:
        actor, scope = await door.who(body), payloads.scope(body)
        system = "" if scope == views.EVERYTHING else scope
        lock = await verbs.lock(door.context, actor, system, payloads.reason(body))
        await ack(response_action="update", view=modals.note("Lockdown", _locked(lock)))


async def lockdown(door: Door, payload: Payload, rest: str, client: AsyncWebClient) -> str | None:
    """``/jit lockdown [SYSTEM] REASON``, ``/jit lockdown lift [SYSTEM]``: the answer, or None for the modal."""
    actor = await door.who(payload)
    first, more = payloads.id_and_rest(rest)
    if first.lower() == LIFT:
        await verbs.require_operator(door.context, actor)
        system = more.lower()[:40]
        actor = await _afresh(door, actor, await verbs.current(door.context), system)
        return views.lifting(await verbs.lift(door.context, actor, system))
    await verbs.require_operator(door.context, actor)
    systems = {name: system.title for name, system in door.context.catalog().systems.items()}
    system = first.lower() if first.lower() in systems else ""
    standing = await verbs.current(door.context)
    view = views.lockdown(systems, system, more if system else rest, standing.locks)
    await client.views_open(trigger_id=payloads.trigger(payload), view=view)
    return None


async def banner(door: Door) -> str:
    """The active lockdowns, above other content."""
    return views.banner((await verbs.current(door.context)).locks)


def _locked(lock: Lock) -> str:
    return f"{views.locked(lock)} The worker is ending all active access; `/jit list` shows what is left."


async def _afresh(door: Door, actor: Actor, standing: Lockdowns, system: str) -> Actor:
    """Whoever lifts, and those who said so before, by what Slack says of them now."""
    lock = standing.of(system)
    others = [vote.operator.person.id for vote in lock.votes if vote.operator.person] if lock else []
    return await door.people.look_up_now(actor.person.id, others, door.context.catalog().workspace.operators)
