"""What a person fills in to request something, and the same with its choice found and allowed; nothing is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field, SecretStr

from bot.core.frozen import Frozen
from bot.core.proof import NO_CODE
from bot.core.request import Person
from bot.core.verdict import Actor
from bot.policy.catalog import Catalog, Choice
from bot.policy.conditions import RequestedAccess


class RequestForm(Frozen):
    """The fields of a line or a modal; those not filled in are None or empty.

    ``what``: a template or system/role. ``duration`` in seconds; None for the first that is offered. ``token`` makes
    the submission idempotent: delivered twice, it creates one request.
    """

    what: str = ""
    duration: int | None = None
    reason: str = ""
    starts_at: float = 0
    """The start in Unix seconds; 0 for now."""
    inputs: Mapping[str, str] = Field(default_factory=dict)
    """What was typed for the inputs of its roles, by name."""
    token: str = ""
    requested_for: Person | None = None
    """Who is to get the access; None for who requests it."""
    code: SecretStr = NO_CODE
    """The second-factor code that was typed, if any."""


@dataclass(frozen=True)
class Submission:
    """A form whose choice was found and allowed by ``catalog``, the policy; nothing is recorded yet."""

    actor: Actor
    form: RequestForm
    catalog: Catalog
    choice: Choice

    @property
    def requester(self) -> Person:
        """Who gets the access."""
        return self.form.requested_for or self.actor.person

    @property
    def requested_by(self) -> Person | None:
        """Who requests it for somebody else; None if the requester does."""
        return self.actor.person if self.form.requested_for else None

    @property
    def complete(self) -> bool:
        """Whether no field has to be guessed: such a line needs no modal."""
        given = self.form.duration is not None or len(self.choice.durations) == 1
        asked = [name for name, shape in self.choice.inputs.items() if shape.default is None]
        given = given and all(self.form.inputs.get(name) for name in asked)
        return given and (bool(self.form.reason) or not self.choice.reason.required)

    @property
    def requested_access(self) -> RequestedAccess:
        """What is requested, for the rules."""
        form, choice = self.form, self.choice
        return RequestedAccess(
            requester=self.requester,
            what=choice.name,
            roles=choice.roles,
            duration=form.duration or 0,
            reason=form.reason,
            inputs=form.inputs,
        )
