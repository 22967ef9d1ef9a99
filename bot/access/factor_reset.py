"""Resetting a person's second factors: one operator proposes it, another one carries it out, neither for themself.

Both act at a terminal that counts as them. A reset is the only thing that helps where the stored record is in doubt.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from bot.access.context import AccessContext
from bot.access.enrolment import AUDIT_ROW, BoundAddress, bound_person
from bot.core.enrolment_errors import NothingToReset, OtherReason, OwnReset
from bot.core.errors import StoreAway, TerminalDoesNotCount
from bot.core.factor_resets import ResetProposal
from bot.core.ids import bounded
from bot.core.lockdown import Operator
from bot.core.verdict import Roster
from bot.policy import authorization
from bot.store.factors import RESET, KnownFactors
from bot.store.indexes.factor_resets import FactorResets

PROPOSED: Final = "factor_reset_proposed"
"""The kind of the audit event."""
_TRIES: Final = 20


@dataclass(frozen=True)
class ResetOutcome:
    """What became of an operator's word. ``done``: it was reset; ``repeated``: this operator had proposed it before.

    ``doubt``: why the record was not believed here, '' where it was.
    """

    person: BoundAddress
    proposal: ResetProposal
    done: bool = False
    repeated: bool = False
    doubt: str = ""


async def reset(context: AccessContext, operator: Operator, roster: Roster, address: str, reason: str) -> ResetOutcome:
    """Propose to reset all factors of a person, or carry out what another operator proposed for the same reason.

    ``roster``: the groups by which an earlier proposal is checked again. Raises `BadReason`, `NobodyBound`,
    `OwnReset`, `NothingToReset`, `OtherReason`, `TerminalDoesNotCount`.
    """
    reason, person = bounded(reason, 3, "how you made sure who asks for it"), await bound_person(context, address)
    if operator.person is None:
        raise TerminalDoesNotCount(operator.by)
    if person.identity == operator.counts_as or person.user == operator.person.id:
        raise OwnReset
    resets = FactorResets(context.store)
    for _ in range(_TRIES):
        known = await context.store.factors.read(person.identity)
        if not known.doubt and not known.record.factors and not known.record.offer:
            raise NothingToReset(person.identity)
        waiting = await resets.of(person.identity)
        mine = waiting is not None and waiting.operator.is_one_with(operator)
        if waiting and mine and waiting.reason == reason and _covers(waiting, known):
            return ResetOutcome(person, waiting, repeated=True, doubt=known.doubt)
        if waiting and not mine and _counts(context, waiting, known, roster):
            if waiting.reason != reason:
                raise OtherReason(waiting.operator.name, waiting.reason)
            if await _carry_out(context, known, person, waiting, operator):
                await resets.drop(person.identity)
                return ResetOutcome(person, waiting, done=True, doubt=known.doubt)
        elif proposal := await _propose(context, known, person, operator, reason, instead=waiting is not None):
            return ResetOutcome(person, proposal, doubt=known.doubt)
    raise StoreAway("the factors change faster than they can be read")


def _counts(context: AccessContext, proposal: ResetProposal, known: KnownFactors, roster: Roster) -> bool:
    """Whether an earlier proposal still counts: it is of these factors, and who made it may still be an operator."""
    if proposal.operator.person is None or not _covers(proposal, known):
        return False
    verdict = authorization.may_lock_down(context.catalog(), roster, proposal.operator.person)
    # It was allowed by Slack's user groups then; a terminal does not know them, and must not undo it.
    return verdict.allowed or verdict.unknown


def _covers(proposal: ResetProposal, known: KnownFactors) -> bool:
    """Whether the person has no factor that was set up since: such a one was not meant.

    So a proposal that was carried out, and is put back, resets nothing that was set up after it.
    """
    return {factor.id for factor in known.record.usable} <= set(proposal.factors)


async def _propose(
    context: AccessContext,
    known: KnownFactors,
    person: BoundAddress,
    operator: Operator,
    reason: str,
    *,
    instead: bool,
) -> ResetProposal | None:
    """The new proposal; None where another one came first."""
    proposal = ResetProposal(
        identity=person.identity,
        operator=operator,
        reason=reason,
        at=known.now,
        factors=tuple(factor.id for factor in known.record.usable),
    )
    said = f"{operator.name} proposed to reset the second factors of {person.identity}: {reason}"
    fields = {
        "by": operator.by,
        "identity": person.identity,
        "reason": reason,
        "said": f"{said}. It takes another operator, within an hour",
        "well": True,
    }
    # Posted before it counts: an unwanted one is noticed in time.
    await context.store.audit_event(PROPOSED, json.dumps(fields, ensure_ascii=False), row=AUDIT_ROW)
    return proposal if await FactorResets(context.store).propose(proposal, instead=instead) else None


async def _carry_out(
    context: AccessContext, known: KnownFactors, person: BoundAddress, proposal: ResetProposal, operator: Operator
) -> bool:
    """All factors are gone; False where the record changed meanwhile."""
    operators = f"{proposal.operator.name} and {operator.name}"
    facts = {
        "by": operator.by,
        "person": person.user,
        "operators": [proposal.operator.name, operator.name],
        "reason": proposal.reason,
        "doubt": known.doubt,
        "said": f"{operators} reset the second factors of {person.identity}: {proposal.reason}",
        "well": True,
        "dm": f"{operators} reset your second factors: {proposal.reason}. To set up a new one, ask an operator for a "
        "code, then type `/jit mfa`. If you did not ask for this, tell your security team now.",
    }
    return await context.store.factors.write(
        known, known.record.without_factors(), RESET, facts, (AUDIT_ROW, person.dm_row)
    )
