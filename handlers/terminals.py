"""`/jit terminal`: an operator binds an account of a machine to themself, or removes it."""

from __future__ import annotations

from bot.access import terminal_binding
from handlers.context import Door
from handlers.slack import payloads
from handlers.slack.payloads import Payload
from handlers.views.text import code, safe, when

_REMOVE = "remove"


async def command(door: Door, payload: Payload, rest: str) -> str:
    """``/jit terminal CODE``, ``/jit terminal remove cli:USER@HOST``: the answer's text."""
    actor = await door.who(payload)
    first, more = payloads.id_and_rest(rest)
    if first.lower() == _REMOVE:
        await terminal_binding.unbind(door.context, actor, more[:300])
        return f"{code(more, 300)} no longer counts as anybody. The audit channel was notified."
    await terminal_binding.require_operator(door.context, actor)
    actor = await door.people.look_up_now(actor.person.id, (), door.context.catalog().workspace.operators)
    bound = await terminal_binding.confirm(door.context, actor, first[:20])
    terminal = safe(bound.terminal.by, 300)
    said = f"`{terminal}` counts as you until {when(bound.until)} wherever operators are counted."
    return f"{said} The audit channel was notified. If this terminal is not yours: `/jit terminal remove {terminal}`."
