"""Lockdowns as people see them: the banner, the modal, and what the channels read; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slack_sdk.models.blocks import InputBlock, Option, StaticSelectElement
from slack_sdk.models.views import View

from bot.access.lockdown import LiftVote
from bot.core.errors import NotLockedDown
from bot.core.lockdown import NEEDED, Lock
from handlers.views import action_ids, form_fields, modals
from handlers.views.message import SlackMessage, warning
from handlers.views.text import code, plain, safe, when

EVERYTHING = "*"
"""The modal's value for all systems; no system has that name."""
MOST_SHOWN = 10
_MOST_OPTIONS = 100


def stopped(system: str) -> str:
    """What is locked down."""
    return code(system, 40) if system else "Everything"


def _object(system: str) -> str:
    """As part of a sentence."""
    return stopped(system) if system else "everything"


def locked(lock: Lock) -> str:
    """A lockdown, for people whom it blocks: by whom, since when and why."""
    by = safe(lock.operator.name, 80)
    lift = f"until {NEEDED} operators lift it" + (f" ({len(lock.votes)} of {NEEDED} voted)" if lock.votes else "")
    where = "there" if lock.system else "anywhere"
    since = f"{by} locked down {_object(lock.system)} {when(lock.at)}: {safe(lock.reason, 300)}"
    return f"{since}. No access can be requested or granted {where} {lift}."


def banner(locks: Sequence[Lock]) -> str:
    """All active lockdowns, above other content; empty without any."""
    shown = [f":octagonal_sign: {locked(lock)}" for lock in locks[:MOST_SHOWN]]
    return "\n".join([*shown, *([f"… and {len(locks) - MOST_SHOWN} more"] if len(locks) > MOST_SHOWN else [])])


def announcement(fields: Mapping[str, Any]) -> SlackMessage:
    """What the audit channel and the systems' channels read of it."""
    system, by, reason = str(fields["system"]), safe(str(fields["name"]), 80), safe(str(fields["reason"]), 500)
    names = " and ".join(safe(str(name), 80) for name in fields.get("votes", ()))
    command = f"`/jit lockdown lift{f' {safe(system, 40)}' if system else ''}`"
    match fields["what"]:
        case "lift_voted":
            said = f"{names} voted to lift the lockdown of {_object(system)} (1 of {NEEDED}). Its reason: {reason}."
            return warning(f"{said} One more operator has to confirm: {command}.")
        case "lifted":
            return warning(f"{names} lifted the lockdown of {_object(system)}. Access can be requested again.")
        case _:
            where = "there" if system else "anywhere"
            said = f"{by} locked down {_object(system)}: {reason}."
            ends = f"No access can be requested or granted {where}, and the worker is ending all active access."
            return warning(f"{said} {ends} To lift it, {NEEDED} operators type {command}.")


def lockdown(systems: Mapping[str, str], system: str, reason: str, standing_: Sequence[Lock]) -> View:
    """What is to be locked down, and why; a word that is no system's name is seen before it locks down everything."""
    everything = Option(value=EVERYTHING, text="Everything")
    ours = [Option(value=name, text=plain(f"{name}: {heading}", 75)) for name, heading in systems.items()]
    chosen = next((option for option in ours if option.value == system), everything)
    options = [everything, *ours][:_MOST_OPTIONS]
    if chosen not in options:
        options[-1] = chosen
    scope = StaticSelectElement(action_id=action_ids.SCOPE, options=options, initial_option=chosen)
    stands = [modals.text(banner(standing_))] if standing_ else []
    means = "A lockdown blocks every new request, approval and grant, and ends active access at once."
    return View(
        type="modal",
        callback_id=action_ids.LOCKDOWN_VIEW,
        title="Lockdown",
        submit="Lock down",
        close="Cancel",
        blocks=[
            *stands,
            modals.text(f"{means} Revoking goes on as always. {NEEDED} operators lift it."),
            InputBlock(block_id=action_ids.SCOPE, label="What to lock down", element=scope),
            form_fields.reason("Reason (everybody affected will see this)", reason),
        ],
    )


def lifting(lift: LiftVote) -> str:
    """What became of an operator's vote to lift."""
    what = _object(lift.lock.system)
    if lift.lifted:
        return f"You lifted the lockdown of {what}. Access can be requested again."
    missing = (
        f"{len(lift.lock.votes)} of {NEEDED} operators voted to lift the lockdown of {what}. One more has to confirm."
    )
    own = " You have already voted." if lift.repeated else ""
    return f"{missing}{own}"


def not_locked(error: NotLockedDown) -> str:
    """Nothing to lift there."""
    if not error.locked:
        return "Nothing is locked down, so there is nothing to lift."
    none, stand = (_object(system) for system in (error.system, error.locked[0]))
    lift = f"/jit lockdown lift {error.locked[0]}".strip()
    return f"There is no lockdown of {none}, only of {stand}: {code(lift, 80)} lifts it."
