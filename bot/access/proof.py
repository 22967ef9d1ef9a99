"""Checks a second factor for a verb: whether the policy asks for a proof, and whether the code that was typed is one.

A proof is spent in the commit of the verb that it was checked for, and in no other: the commit fails where the same
code was spent meanwhile, and the verb judges again. A wrong code is recorded before the refusal, so that tries are
counted however many arrive at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pydantic import SecretStr

from bot.access.context import AccessContext
from bot.core.factor_errors import (
    FactorLocked,
    FactorsDoubted,
    FactorTooNew,
    NotEnrolled,
    NotProved,
    ProofRequired,
    WrongProof,
)
from bot.core.factors import EnrolledFactor, FactorRecord
from bot.core.proof import Proof, ProofUse
from bot.core.verdict import Actor
from bot.policy import mfa
from bot.policy.catalog import Catalog, RoleRef
from bot.policy.mfa import ProofTerms
from bot.store.factors import KnownFactors
from bot.store.keyring import CannotDecrypt
from bot.store.types import CommitGuard, ExtraWrite
from providers.factors.base import Refused

LONGEST_CODE = 64
"""Characters of a code that are looked at; a longer one proves nothing."""
_TOLD_AFTER = 3
"""Wrong codes in a row after which the person and the audit channel are told."""


@dataclass(frozen=True)
class CheckedProof:
    """A proof that counts, and what it adds to the commit; all of it is empty where the policy asks for none."""

    proof: Proof | None = None
    guards: tuple[CommitGuard, ...] = ()
    extra_writes: tuple[ExtraWrite, ...] = ()
    identity: str = ""
    after: FactorRecord | None = None

    def committed(self, context: AccessContext) -> None:
        """Called after the commit: from now on this process trusts no older record of the person's factors."""
        if self.after:
            context.store.factors.committed(self.identity, self.after)


@dataclass(frozen=True)
class ProofPreview:
    """What a form has to say of the proof that its verb will need, as of ``now``; one of the three.

    ``factors``: the kinds of which a code is asked for. ``fresh``: the earlier proof that still counts. ``refusal``:
    why no code would count.
    """

    factors: tuple[str, ...] = ()
    fresh: Proof | None = None
    refusal: NotProved | None = None
    now: float = 0.0

    @classmethod
    def of_refusal(cls, error: NotProved) -> ProofPreview:
        """What a form says after it was refused so."""
        return cls(factors=error.factors) if isinstance(error, ProofRequired) else cls(refusal=error)


async def preview(
    context: AccessContext, catalog: Catalog, actor: Actor, roles: Iterable[RoleRef], use: ProofUse
) -> ProofPreview | None:
    """What `check` will ask for, as far as the policy says it of the roles; None where it asks for nothing.

    A rule that asks for a proof is judged only when the verb is.
    """
    terms = mfa.asks_proof(catalog, roles, use)
    if terms is None:
        return None
    known = await context.store.factors.read(actor.person.identity)
    try:
        usable, fresh = _judged(known, terms, use, context.factors)
    except NotProved as error:
        return ProofPreview(refusal=error)
    return ProofPreview(fresh=fresh, now=known.now) if fresh else ProofPreview(factors=_kinds(usable))


async def check(
    context: AccessContext,
    catalog: Catalog,
    actor: Actor,
    roles: Iterable[RoleRef],
    use: ProofUse,
    code: SecretStr,
    *,
    by_rule: bool = False,
) -> CheckedProof:
    """The proof that this verb needs of this person, if any; to be called when nothing else can refuse it any more.

    ``by_rule``: whether a rule of the policy asks for one, too. Raises what is under `NotProved`; a wrong code is
    recorded and audited.
    """
    terms = mfa.asks_proof(catalog, roles, use, by_rule=by_rule)
    return await check_terms(context, actor, terms, use, code) if terms else CheckedProof()


async def check_terms(
    context: AccessContext, actor: Actor, terms: ProofTerms, use: ProofUse, code: SecretStr
) -> CheckedProof:
    """The same, on these terms."""
    while True:
        known = await context.store.factors.read(actor.person.identity)
        usable, fresh = _judged(known, terms, use, context.factors)
        if fresh:
            guards, _ = context.store.factors.guards_and_ops(known, known.record)
            return CheckedProof(proof=fresh, guards=guards)
        if not code.get_secret_value():
            raise ProofRequired(use, _kinds(usable))
        if found := _proved(context, known, usable, use, code.get_secret_value()):
            factor, after = found
            guards, extra_writes = context.store.factors.guards_and_ops(known, after)
            proof = Proof(factor=factor.kind, at=known.now)
            return CheckedProof(proof, guards, extra_writes, actor.person.identity, after)
        await _refuse(context, actor, known, use)


def _judged(
    known: KnownFactors, terms: ProofTerms, use: ProofUse, installed: Collection[str]
) -> tuple[list[EnrolledFactor], Proof | None]:
    """The factors of which a code counts, and the earlier proof that makes one needless. Raises what `_usable` does."""
    return _usable(known, terms, use, installed), _fresh(known, terms)


def _kinds(usable: Iterable[EnrolledFactor]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(factor.kind for factor in usable))


def _usable(known: KnownFactors, terms: ProofTerms, use: ProofUse, installed: Collection[str]) -> list[EnrolledFactor]:
    """The person's factors that count here, now. Raises why none does."""
    if known.doubt:
        raise FactorsDoubted(use, known.doubt)
    counted = [kind for kind in terms.factors if kind in installed]
    enrolled = [factor for factor in known.record.usable if factor.kind in counted]
    if not enrolled:
        raise NotEnrolled(use, terms.factors)
    if known.record.locked_until > known.now:
        raise FactorLocked(use, known.record.locked_until)
    trusted = [factor for factor in enrolled if not terms.critical or factor.trusted_from <= known.now]
    if not trusted:
        raise FactorTooNew(use, min(factor.trusted_from for factor in enrolled))
    return trusted


def _fresh(known: KnownFactors, terms: ProofTerms) -> Proof | None:
    """An earlier proof that still counts, where the policy allows it for these roles."""
    record = known.record
    # A time in the future is no proof: the window is only ever behind us. Nor is a kind that does no more.
    if terms.fresh_for and record.proved_with in terms.factors and 0 <= known.now - record.proved_at < terms.fresh_for:
        return Proof(factor=record.proved_with, at=record.proved_at)
    return None


def _proved(
    context: AccessContext, known: KnownFactors, usable: list[EnrolledFactor], use: ProofUse, code: str
) -> tuple[EnrolledFactor, FactorRecord] | None:
    """The factor that the code proves, and the record after it was spent. Raises `FactorsDoubted`."""
    if len(code) > LONGEST_CODE:
        return None
    for factor in usable:
        try:
            secret = context.store.factors.decrypt(known.identity, factor).get_secret_value()
            spent = context.factors[factor.kind].prove(secret, factor.spent, code, known.now)
        except (CannotDecrypt, Refused) as error:
            raise FactorsDoubted(use, str(error)) from None
        if spent is not None:
            return factor, known.record.with_proof(factor.id, spent, known.now)
    return None


async def _refuse(context: AccessContext, actor: Actor, known: KnownFactors, use: ProofUse) -> None:
    """Record a wrong code. Raises `WrongProof`, `FactorLocked`; neither where the record changed: judge again."""
    after = known.record.with_failure(known.now)
    person = actor.person
    facts = {"by": person.id, "identity": person.identity, "use": str(use), "failures": after.failures}
    rows: tuple[str, ...] = ()
    if after.failures == _TOLD_AFTER:
        sentence = f"{person.name or person.email} gave {after.failures} wrong second-factor codes in a row"
        facts |= {"said": sentence, "well": True, "dm": _DM}
        rows = ("people|record:#", f"{person.id}|person:#")
    if not await context.store.factors.write(known, after, "factor_failed", facts, rows):
        return
    if after.locked_until > known.now:
        raise FactorLocked(use, after.locked_until)
    raise WrongProof(use, after.tries_left)


_DM = (
    "Somebody gave 3 wrong second-factor codes in a row as you. If it was not you, sign out of Slack everywhere and "
    "tell your security team."
)
