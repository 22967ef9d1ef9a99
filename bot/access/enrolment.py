"""Setting up a second factor: an operator gives out a code outside Slack, and its person sets up an app with it.

Who has taken over a Slack account cannot set one up: it takes the operator's code. That code is used up in the write
that confirms the factor, so that a form which is closed half way loses nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import SecretStr

from bot.access.context import AccessContext
from bot.core.enrolment_errors import (
    EnrolmentLocked,
    EnrolmentOver,
    FactorsUnreadable,
    NobodyBound,
    NoEnrolmentCode,
    NothingInstalled,
    TooManyFactors,
    WrongEnrolmentCode,
    WrongFirstCode,
)
from bot.core.errors import StoreAway
from bot.core.factors import (
    FREE_TRIES,
    MOST_FACTORS,
    MOST_OFFER_TRIES,
    TRUSTED_AFTER,
    EnrolledFactor,
    FactorRecord,
)
from bot.core.identity import NotAnIdentity, identity_of
from bot.core.ids import bounded
from bot.core.request import ID_ALPHABET
from bot.core.verdict import Actor
from bot.store.factors import ENROLLED, FAILED, LOCKED, OFFER_FAILED, KnownFactors
from bot.store.keyring import CannotDecrypt
from providers.factors.base import CodeFactor, FactorLine, Refused

APP: Final = "totp"
"""The kind that is set up in Slack: an authenticator app."""
RECOVERY: Final = "recovery"
"""The kind that comes with it."""
AUDIT_ROW: Final = "people|record:#"
"""The outbox row of a message in the audit channel."""
LONGEST_CODE: Final = 64
"""Characters of a code that are looked at."""
_ISSUER: Final = "JIT Access"
_LETTERS: Final = 10
_TRIES: Final = 20
_CONTENDED: Final = "the factors change faster than they can be read"


@dataclass(frozen=True)
class BoundAddress:
    """A person whose address is bound to an account. ``user``: that account in Slack."""

    identity: str
    user: str

    @property
    def dm_row(self) -> str:
        """The outbox row of a message to them."""
        return dm_row(self.user)


@dataclass(frozen=True)
class BegunFactor:
    """A new factor that its first code has to confirm. ``lines``: what the person is shown, once."""

    id: str
    lines: tuple[FactorLine, ...]


@dataclass(frozen=True)
class ConfirmedFactor:
    """It counts from now on. ``recovery``: the new recovery codes, shown once; none where it was confirmed before."""

    trusted_from: float
    recovery: tuple[FactorLine, ...] = ()


@dataclass(frozen=True)
class OwnFactor:
    """One of a person's factors. ``left``: how many codes of it are left; None where they do not run out."""

    kind: str
    since: float
    trusted_from: float
    left: int | None


@dataclass(frozen=True)
class OwnFactors:
    """What a person has at ``now``. ``offered_until``: of the enrolment code that waits, 0 for none."""

    now: float
    factors: tuple[OwnFactor, ...] = ()
    locked_until: float = 0
    offered_until: float = 0
    doubt: str = ""


def dm_row(user: str) -> str:
    """The outbox row of a message to a person, whose event says ``dm``."""
    return f"{user}|person:#"


# an operator, at a terminal


async def offer(context: AccessContext, by: str, address: str, reason: str) -> str:
    """A code with which the person of this address can set up a factor within a day. ``by``: ``cli:<user>@<host>``.

    Raises `BadReason`, `NobodyBound`, `FactorsUnreadable`.
    """
    reason = bounded(reason, 3, "how you made sure who asks for it")
    person = await bound_person(context, address)
    await _believed(context, person.identity)
    facts = {
        "person": person.user,
        "reason": reason,
        "said": f"{by} issued a code with which {person.identity} can set up a second factor within a day: {reason}",
        "well": True,
        "dm": f"An operator ({by}) issued a code with which you can set up a second factor within a day: get it from "
        "them, and type it into the form that `/jit mfa` opens. If you did not ask for one, tell your security team.",
    }
    return await context.store.factors.offer_enrolment(person.identity, by, (AUDIT_ROW, person.dm_row), facts)


async def bound_person(context: AccessContext, address: str) -> BoundAddress:
    """Who has this address. Raises `NobodyBound`."""
    try:
        identity = identity_of(address.strip(" "))
    except NotAnIdentity:
        raise NobodyBound(address[:80]) from None
    user = await context.store.identities.bound(identity)
    if not user:
        raise NobodyBound(identity)
    return BoundAddress(identity, user)


# the person, in Slack


async def own_factors(context: AccessContext, actor: Actor) -> OwnFactors:
    """What this person has; no secret."""
    known = await context.store.factors.read(actor.person.identity)
    record = known.record
    try:
        found = tuple(_own(context, known, factor) for factor in record.usable)
    except (CannotDecrypt, Refused) as error:
        return OwnFactors(known.now, doubt=str(error))
    waits = record.offer.until if record.offer and record.offer.until > known.now else 0
    return OwnFactors(known.now, found, record.locked_until, waits, known.doubt)


async def begin(context: AccessContext, actor: Actor, code: SecretStr) -> BegunFactor:
    """Begin to set up an authenticator app, by the code of an operator, which goes on to serve until it is confirmed.

    Raises `NoEnrolmentCode`, `WrongEnrolmentCode`, `TooManyFactors`, `NothingInstalled`, `FactorsUnreadable`.
    """
    for _ in range(_TRIES):
        known = await _believed(context, actor.person.identity)
        if not context.store.factors.is_enrolment_code(known, code.get_secret_value()):
            await _refuse_enrolment_code(context, actor, known)
        elif begun := await _begun(context, actor, known):
            return begun
    raise StoreAway(_CONTENDED)


async def confirm(context: AccessContext, actor: Actor, factor_id: str, code: SecretStr) -> ConfirmedFactor:
    """The app's first code confirms it: it counts, the operator's code is used up, and there are new recovery codes.

    Whoever confirms the same one twice, as by pressing twice, is told so, and shown nothing again. Raises
    `EnrolmentOver`, `WrongFirstCode`, `EnrolmentLocked`, `NothingInstalled`, `FactorsUnreadable`.
    """
    for _ in range(_TRIES):
        known = await _believed(context, actor.person.identity)
        factor = next((each for each in known.record.factors if (each.id, each.kind) == (factor_id, APP)), None)
        if factor and factor.confirmed:
            return ConfirmedFactor(factor.trusted_from)
        if factor is None or known.record.offer is None or known.record.offer.until <= known.now:
            raise EnrolmentOver
        if known.record.locked_until > known.now:
            raise EnrolmentLocked(known.record.locked_until)
        if (spent := _proved(context, known, factor, code)) is None:
            await _refuse_first_code(context, actor, known)
        elif confirmed := await _confirmed(context, actor, known, factor, spent):
            return confirmed
    raise StoreAway(_CONTENDED)


# steps of them: None where the record changed meanwhile, so that it has to be judged again


async def _begun(context: AccessContext, actor: Actor, known: KnownFactors) -> BegunFactor | None:
    app = _installed(context, APP)
    # Of those that stay, recovery codes make place for the new ones.
    if sum(factor.kind != RECOVERY for factor in known.record.usable) + 2 > MOST_FACTORS:
        raise TooManyFactors(MOST_FACTORS - 1)
    enrolment, id_ = app.enrol(actor.person.email, _ISSUER), _new_id()
    secret = context.store.factors.encrypt(known.identity, id_, enrolment.secret)
    after = known.record.with_factor(id_, APP, secret, known.now)
    facts = {"by": actor.person.id, "factor": id_, "factor_kind": APP, "confirmed": False}
    return BegunFactor(id_, enrolment.lines) if await _write(context, known, after, ENROLLED, facts) else None


async def _confirmed(
    context: AccessContext, actor: Actor, known: KnownFactors, factor: EnrolledFactor, spent: str
) -> ConfirmedFactor | None:
    person, id_ = actor.person, _new_id()
    recovery = _installed(context, RECOVERY).enrol(person.email, _ISSUER)
    after = known.record.with_confirmed(factor.id, spent, known.now).without_offer()
    secret = context.store.factors.encrypt(known.identity, id_, recovery.secret)
    after = after.with_factor(id_, RECOVERY, secret, known.now, confirmed=True, alone=True)
    offered_by = known.record.offer.by if known.record.offer else ""
    who = f"{person.name or person.email} ({person.email})"
    facts = {
        "by": person.id,
        "factor": factor.id,
        "factor_kind": APP,
        "confirmed": True,
        "offered_by": offered_by,
        "said": f"{who} set up an authenticator app, with the code that {offered_by} issued",
        "well": True,
        "dm": "An authenticator app was set up as your second factor, and you have new recovery codes. If it was not "
        "you, tell your security team now: two operators can reset it.",
    }
    rows = (AUDIT_ROW, dm_row(person.id))
    if not await _write(context, known, after, ENROLLED, facts, rows):
        return None
    return ConfirmedFactor(after.factor(factor.id).trusted_from, recovery.lines)


async def _refuse_enrolment_code(context: AccessContext, actor: Actor, known: KnownFactors) -> None:
    """Count a wrong one, and refuse it. Raises `NoEnrolmentCode`, `WrongEnrolmentCode`."""
    offered, person = known.record.offer, actor.person
    if offered is None or offered.until <= known.now:
        error = NoEnrolmentCode()
        await context.audit_refusal("mfa", actor, "enrolment code", error)
        raise error
    after = known.record.with_offer_tried()
    facts: dict[str, Any] = {"by": person.id, "offered_by": offered.by, "tries": offered.tries + 1}
    rows: tuple[str, ...] = ()
    if after.offer is None:
        said = f"{person.name or person.email} ({person.email}) typed {MOST_OFFER_TRIES} wrong enrolment codes"
        facts |= {"said": f"{said}: the one that {offered.by} issued serves no more", "well": True, "dm": _VOID}
        rows = (AUDIT_ROW, dm_row(person.id))
    if not await _write(context, known, after, OFFER_FAILED, facts, rows):
        return
    if after.offer is None:
        raise NoEnrolmentCode(void=True)
    raise WrongEnrolmentCode(MOST_OFFER_TRIES - after.offer.tries)


async def _refuse_first_code(context: AccessContext, actor: Actor, known: KnownFactors) -> None:
    """Count a wrong one, and refuse it. Raises `WrongFirstCode`, `EnrolmentLocked`."""
    after = known.record.with_failure(known.now)
    locked = after.locked_until > known.now
    person, rows = actor.person, tuple[str, ...]()
    facts: dict[str, Any] = {"by": person.id, "use": "enrolment", "failures": after.failures}
    if after.failures == FREE_TRIES + 1:
        said = (
            f"{person.name or person.email} ({person.email}) typed {after.failures} wrong codes in a row for a new app"
        )
        facts |= {"said": said, "well": True, "dm": _WRONG}
        rows = (AUDIT_ROW, dm_row(person.id))
    if not await _write(context, known, after, LOCKED if locked else FAILED, facts, rows):
        return
    if locked:
        raise EnrolmentLocked(after.locked_until)
    raise WrongFirstCode(after.tries_left)


# what they are made of


async def _believed(context: AccessContext, identity: str) -> KnownFactors:
    """The person's record. Raises `FactorsUnreadable` for one that is in doubt."""
    known = await context.store.factors.read(identity)
    if known.doubt:
        raise FactorsUnreadable(known.doubt)
    return known


async def _write(
    context: AccessContext,
    known: KnownFactors,
    after: FactorRecord,
    kind: str,
    facts: dict[str, Any],
    rows: Sequence[str] = (),
) -> bool:
    return await context.store.factors.write(known, after, kind, facts, rows)


def _proved(context: AccessContext, known: KnownFactors, factor: EnrolledFactor, code: SecretStr) -> str | None:
    """What is spent of the factor, where the code is one of it. Raises `FactorsUnreadable`."""
    typed = code.get_secret_value()
    if len(typed) > LONGEST_CODE:
        return None
    try:
        secret = context.store.factors.decrypt(known.identity, factor).get_secret_value()
        return _installed(context, APP).prove(secret, factor.spent, typed, known.now)
    except (CannotDecrypt, Refused) as error:
        raise FactorsUnreadable(str(error)) from None


def _own(context: AccessContext, known: KnownFactors, factor: EnrolledFactor) -> OwnFactor:
    left, since = None, factor.trusted_from - TRUSTED_AFTER
    if factor.kind in context.factors:
        secret = context.store.factors.decrypt(known.identity, factor).get_secret_value()
        left = context.factors[factor.kind].left(secret, factor.spent)
    return OwnFactor(factor.kind, since, factor.trusted_from, left)


def _installed(context: AccessContext, kind: str) -> CodeFactor:
    if kind not in context.factors:
        raise NothingInstalled(kind)
    return context.factors[kind]


def _new_id() -> str:
    return "F-" + "".join(secrets.choice(ID_ALPHABET) for _ in range(_LETTERS))


_WRONG = (
    "Three wrong codes in a row were typed as you for a new authenticator app. If it was not you, sign out of Slack "
    "everywhere and tell your security team."
)
_VOID = (
    "Five wrong codes were typed as you into the form that sets up a second factor, so the code that an operator "
    "issued for you serves no more. If it was not you, sign out of Slack everywhere and tell your security team."
)
