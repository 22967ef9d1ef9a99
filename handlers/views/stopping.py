"""The stop button as people see it: what stands still and why, the two modals, and what channels are told; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slack_sdk.models.blocks import InputBlock, Option, PlainTextInputElement, StaticSelectElement
from slack_sdk.models.views import View

from bot.core.lockdown import NEEDED, Lock
from bot.core.model import REASON_LIMIT, Request
from bot.stopping import Lift, Taken
from handlers.views import actions, modals
from handlers.views.card import Message, warning
from handlers.views.words import plain, safe, standing, title, when, who

EVERYTHING = "*"
"""In the modal, what stands for no one system; no system has that name."""
_SHOWN = 10
_MOST_OPTIONS = 100


def stopped(system: str) -> str:
    """What is locked down."""
    return f"`{safe(system, 40)}`" if system else "Everything"


def locked(lock: Lock) -> str:
    """A lockdown to those whom it keeps from something: since when, by whom and why."""
    by = safe(lock.operator.name, 80)
    lift = f"until {NEEDED} operators lift it" + (f" ({len(lock.votes)} said so)" if lock.votes else "")
    where = "there" if lock.system else "anywhere"
    since = f"{stopped(lock.system)} is locked down by {by} since {when(lock.at)}: {safe(lock.reason, 300)}"
    return f"{since}. Nothing new is opened {where} {lift}."


def banner(locks: Sequence[Lock]) -> str:
    """All that stand, above what somebody looks at; empty without any."""
    shown = [f":octagonal_sign: {locked(lock)}" for lock in locks[:_SHOWN]]
    return "\n".join([*shown, *([f"… and {len(locks) - _SHOWN} more"] if len(locks) > _SHOWN else [])])


def told(noted: Mapping[str, Any]) -> Message:
    """What the audit channel and the systems' channels read of it."""
    system, by, reason = str(noted["system"]), safe(str(noted["name"]), 80), safe(str(noted["reason"]), 500)
    names = " and ".join(safe(str(name), 80) for name in noted.get("votes", ()))
    command = f"`/jit lockdown lift{f' {safe(system, 40)}' if system else ''}`"
    match noted["what"]:
        case "lift_voted":
            said = f"{stopped(system)}: {names} wants the lockdown lifted, 1 of {NEEDED}."
            return warning(f"{said} Another operator lifts it with {command}. Until then it stands: {reason}.")
        case "lifted":
            return warning(f"{stopped(system)}: the lockdown is lifted by {names}. New access can be asked for again.")
        case _:
            where = "there" if system else "anywhere"
            said = f"{stopped(system)} is locked down by {by}: {reason}."
            ends = f"Nothing new is opened {where}, and what is open is being closed."
            return warning(f"{said} {ends} {NEEDED} operators lift it with {command}.")


def lockdown(systems: Mapping[str, str], system: str, reason: str, standing_: Sequence[Lock]) -> View:
    """What is to be locked down, and why; a word that is no system's name is seen before it locks down everything."""
    everything = Option(value=EVERYTHING, text="Everything")
    ours = [Option(value=name, text=plain(f"{name}: {heading}", 75)) for name, heading in systems.items()]
    chosen = next((option for option in ours if option.value == system), everything)
    options = [everything, *ours][:_MOST_OPTIONS]
    if chosen not in options:
        options[-1] = chosen
    scope = StaticSelectElement(action_id=actions.SCOPE, options=options, initial_option=chosen)
    stands = [modals.text(banner(standing_))] if standing_ else []
    means = "Nothing new is asked for, approved, started or opened, and what is open is closed at once."
    return View(
        type="modal",
        callback_id=actions.LOCKDOWN_VIEW,
        title="Lockdown",
        submit="Lock down",
        close="Not now",
        blocks=[
            *stands,
            modals.text(f"{means} Closing goes on as always. {NEEDED} operators lift it."),
            InputBlock(block_id=actions.SCOPE, label="What is locked down?", element=scope),
            _why(reason, "Why? Everybody whom it stops reads this."),
        ],
    )


def revoke_all(whose: str, target: str, requests: Sequence[Request], reason: str) -> View:
    """All that would be taken away, before it is. ``target``: what the submission brings back."""
    lines = [
        f"• {request.id} · {who(request.asker)} · {title(request)} · {standing(request)}"
        for request in requests[:_SHOWN]
    ]
    if len(requests) > _SHOWN:
        lines.append(f"… and {len(requests) - _SHOWN} more")
    return View(
        type="modal",
        callback_id=actions.REVOKE_ALL_VIEW,
        private_metadata=target,
        title="End all of it",
        submit=f"End all {len(requests)}",
        close="Not now",
        blocks=[
            modals.text(f"{whose}: *{len(requests)}* that you can end."),
            modals.text("\n".join(lines)),
            _why(reason, "Why? Those who have it read this."),
        ],
    )


def taken(done: Taken, *, operator: bool) -> str:
    """What became of taking all of it away; of what the person may not know of, nothing is counted."""
    count = len(done.taken)
    said = [f"{count} {'is' if count == 1 else 'are'} being closed."]
    if done.over:
        said.append(f"{done.over} {'was' if done.over == 1 else 'were'} over already, or not yours to take any more.")
    if done.left:
        said.append(f"*{done.left} are still open*: there was no time for them. Say it once more.")
    return " ".join([*said, *([] if operator else [NOT_YOURS])])


NOT_YOURS = "If there is more, it is not yours to take: an operator can."


def lifting(lift: Lift) -> str:
    """What an operator's word for lifting came to."""
    what = stopped(lift.lock.system)
    if lift.lifted:
        return f"{what}: the lockdown is lifted. New access can be asked for again."
    missing = f"{len(lift.lock.votes)} of {NEEDED} operators want it lifted; it stands until another one says so too."
    own = " You have said so already, and count once." if lift.repeated else ""
    return f"{what}: {missing}{own}"


def _why(reason: str, label: str) -> InputBlock:
    element = PlainTextInputElement(
        action_id=actions.REASON,
        multiline=True,
        max_length=REASON_LIMIT,
        initial_value=plain(reason, REASON_LIMIT) or None,
    )
    return InputBlock(block_id=actions.REASON, label=label, element=element)
