"""How far the approvals of a request go: what each of its steps has, and still needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from bot.core.frozen import Frozen
from bot.core.request import Review
from bot.policy.steps import RequestStep


class StepProgress(Frozen):
    """A step, and the approvals that fill it. ``waits``: another step of its role has to be filled first."""

    step: RequestStep
    by: tuple[Review, ...] = ()
    waits: bool = False

    @property
    def name(self) -> str:
        """Its role, ``system/role``."""
        return self.step.name

    @property
    def any_of(self) -> tuple[str, ...]:
        """The groups whose people can fill it now."""
        return self.step.any_of

    @property
    def missing(self) -> int:
        """How many more people it needs."""
        return 0 if self.step.skipped_by else self.step.count - len(self.by)


class ApprovalProgress(Frozen):
    """How far the answers go: the steps with what they have, those that are not needed included, and what counts."""

    steps: tuple[StepProgress, ...] = ()
    counted: tuple[Review, ...] = ()

    @property
    def open(self) -> tuple[StepProgress, ...]:
        """The steps that still need somebody."""
        return tuple(step for step in self.steps if step.missing)

    @property
    def now(self) -> tuple[StepProgress, ...]:
        """Those of them that can be answered now: where a role has them in order, its first."""
        return tuple(step for step in self.open if not step.waits)

    @property
    def given(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Each person whose answer counts, by account, and the groups of a step that it fills."""
        return tuple((review.by.id, step.any_of) for step in self.steps for review in step.by)

    @property
    def complete(self) -> bool:
        """Whether every step of every role is filled."""
        return not self.open

    @property
    def people(self) -> int:
        """How many more people have to approve, at least."""
        return sum(step.missing for step in self.open)

    @property
    def missing(self) -> dict[tuple[str, ...], int]:
        """How many more people each set of groups has to give, for all roles together."""
        return _summed(self.open)

    @property
    def missing_now(self) -> dict[tuple[str, ...], int]:
        """The same of the steps that can be answered now."""
        return _summed(self.now)

    def missing_for(self, roles: Iterable[str]) -> dict[tuple[str, ...], int]:
        """The same for some of its roles (``system/role``)."""
        names = frozenset(roles)
        return _summed(step for step in self.open if step.name in names)

    def comes_before(self, step: StepProgress) -> tuple[str, ...]:
        """The groups whose answer a step waits for."""
        return next((each.any_of for each in self.now if each.name == step.name and each.step.ordered), ())


def _summed(steps: Iterable[StepProgress]) -> dict[tuple[str, ...], int]:
    found = Counter[tuple[str, ...]]()
    for step in steps:
        found[step.any_of] += step.missing
    return dict(found)
