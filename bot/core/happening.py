"""What every event of a request has, and how a request begins; the events themselves are in events.py."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bot.core.escalation import Escalation
from bot.core.frozen import Frozen
from bot.core.proof import Proof
from bot.core.request import Person, RequiredStep
from bot.core.role_snapshot import RoleSnapshot
from bot.core.rule_effects import CheckedTicket, Shortened


class Happening(Frozen):
    """What every event has. ``via``: the process that wrote it, ``web@host``; ``generation``: of the policy it held."""

    at: float
    by: str = "worker"
    via: str = ""
    generation: str = ""


class Requested(Happening):
    """How a request begins; each fact that later decisions rest on is in it."""

    kind: Literal["submitted", "approved_by_rule", "drafted", "break_glass_used"]
    id: str
    requester: Person
    requested_by: Person | None = None
    what: str
    title: str
    reason: str
    duration: int
    roles: tuple[RoleSnapshot, ...] = Field(min_length=1)
    generation: str
    grant_budget: int
    decide_by: float
    remind_at: float = 0
    starts_at: float = 0
    start_grace: int = 0
    warn_before: int = 0
    required_steps: tuple[RequiredStep, ...] = ()
    only_required: bool = False
    """Whether the required steps stand in place of those of its roles."""
    shortened: Shortened | None = None
    """Where a rule shortened it: ``duration`` is what is left."""
    tickets: tuple[CheckedTicket, ...] = ()
    escalations: tuple[Escalation, ...] = ()
    may_break_glass: bool = False
    """Whether the requester could use break-glass for it then; judged again when they do."""
    proof: Proof | None = None
    """How whoever requested it proved that it is them; None where the policy asked for no proof."""
