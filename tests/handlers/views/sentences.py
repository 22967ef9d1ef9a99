"""Each way in which something can be refused, and the golden file of what a person reads then.

``python -m tests.handlers.views.sentences`` writes it anew. Read each line as somebody who is paged at three in the
night: what is the matter, why, and what now?
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from bot.core import enrolment_errors, errors, factor_errors
from bot.core.errors import JitError
from bot.core.identity_errors import IdentityChanged
from bot.core.limit_errors import Conflicting, NotCounted, OverLimit
from bot.core.lockdown import Lock, Operator
from bot.core.proof import ProofUse
from bot.core.question_errors import NoSuchQuestion, ReasonChanged, ReasonFixed
from bot.core.request import DraftWait, Ending, Request, Review, State, Verb
from bot.core.usage import Conflict, LimitHit
from bot.core.verdict import Code, Reason, Verdict
from handlers.error_messages import sentence
from tests.handlers.views.drawing import AT, DAN, EVIL, HOUR, MIA, opened, request

FILE = Path(__file__).parent / "golden" / "sentences.txt"
_ODD = "no <!channel> `such`"
_LOCK = Lock(system="vault", operator=Operator(by="UPAT", name="Pat", person=MIA), reason=EVIL, at=AT)
_CONFLICT = Conflict(mine="vault/admin", other="billing", request="J-7K3Q")
_HITS: tuple[tuple[Literal["live", "per_day", "per_week", "cooldown"], int, float, bool, bool], ...] = (
    ("live", 3, AT + HOUR, False, True),
    ("live", 3, AT + HOUR, False, False),
    ("live", 1, 0, True, True),
    ("live", 2, 0, True, False),
    ("per_day", 1, AT + HOUR, False, True),
    ("per_day", 2, AT + HOUR, True, True),
    ("per_week", 5, AT + HOUR, True, False),
    ("cooldown", HOUR, AT + HOUR, True, True),
)


def _in(state: State, **more: object) -> Request:
    """Mia's request in a state."""
    yes = Review(verb=Verb.APPROVE, by=DAN, at=AT + 60, duration=1800)
    plain = {"state": state, "reviews": (yes,), "closed_at": AT + 900, "closed_by": "UDAN", "closed_reason": EVIL}
    return request().model_copy(update={**plain, **more})


def _not(code: Code) -> JitError:
    about: tuple[str, ...] = ("dba", "security")
    if code in {Code.DENIED_BY_RULE, Code.RULE_UNSURE}:
        unsure = ("during release",) if code is Code.RULE_UNSURE else ()
        about = ("2", f"Nothing is deployed <!here> while {_ODD} runs.", *unsure)
    return errors.NotAllowed(Verdict(reasons=(Reason(code=code, about=about),)))


REFUSALS: Mapping[str, Exception] = {
    "ProofRequired": factor_errors.ProofRequired(ProofUse.REQUEST, ("totp", "recovery")),
    "ProofRequired, of another kind": factor_errors.ProofRequired(ProofUse.APPROVE, (_ODD,)),
    "NotEnrolled": factor_errors.NotEnrolled(ProofUse.REQUEST, ("totp",)),
    "WrongProof": factor_errors.WrongProof(ProofUse.REQUEST, 2),
    "WrongProof, the last try": factor_errors.WrongProof(ProofUse.REQUEST, 1),
    "FactorLocked": factor_errors.FactorLocked(ProofUse.APPROVE, AT),
    "FactorTooNew": factor_errors.FactorTooNew(ProofUse.BREAK_GLASS, AT),
    "FactorsDoubted": factor_errors.FactorsDoubted(ProofUse.REQUEST, "it is an older one, put back"),
    "NobodyBound": enrolment_errors.NobodyBound(_ODD),
    "NoEnrolmentCode": enrolment_errors.NoEnrolmentCode(),
    "NoEnrolmentCode, void": enrolment_errors.NoEnrolmentCode(void=True),
    "WrongEnrolmentCode": enrolment_errors.WrongEnrolmentCode(4),
    "WrongEnrolmentCode, the last try": enrolment_errors.WrongEnrolmentCode(1),
    "WrongFirstCode": enrolment_errors.WrongFirstCode(2),
    "EnrolmentLocked": enrolment_errors.EnrolmentLocked(AT),
    "EnrolmentOver": enrolment_errors.EnrolmentOver(),
    "FactorsUnreadable": enrolment_errors.FactorsUnreadable("it does not have our MAC"),
    "TooManyFactors": enrolment_errors.TooManyFactors(9),
    "NothingInstalled": enrolment_errors.NothingInstalled("totp"),
    "OwnReset": enrolment_errors.OwnReset(),
    "NothingToReset": enrolment_errors.NothingToReset("mia@example.com"),
    "OtherReason": enrolment_errors.OtherReason("Pat (cli:pat@host)", EVIL),
    "ReasonChanged": ReasonChanged(request()),
    "ReasonFixed, approved": ReasonFixed(_in(State.PENDING), "approved"),
    "ReasonFixed, a ticket": ReasonFixed(request(), "ticket"),
    "ReasonFixed, the policy": ReasonFixed(request(), "policy"),
    "UnknownChoice": errors.UnknownChoice(_ODD),
    "CannotCombine, too many": errors.CannotCombine("many", most=4),
    "CannotCombine, long names": errors.CannotCombine("long", most=150),
    "CannotCombine, too many inputs": errors.CannotCombine("inputs", most=10),
    "CannotCombine, other values": errors.CannotCombine("differs", name=_ODD),
    "UnknownChoice, one is like it": errors.UnknownChoice("debg", ("debug",)),
    "UnknownSystem": errors.UnknownSystem(_ODD),
    "UnknownSystem, one is like it": errors.UnknownSystem("valt", ("vault",)),
    "UnknownPerson": errors.UnknownPerson(_ODD),
    "BadDuration": errors.BadDuration(_ODD, (), 0),
    "BadDuration, too long": errors.BadDuration("9h", (), 8 * HOUR),
    "BadDuration, too long for a template": errors.BadDuration("9h", (1800, HOUR), HOUR),
    "BadDuration, too short": errors.BadDuration("1s", (), 8 * HOUR),
    "BadDay": errors.BadDay(_ODD),
    "UnknownWord": errors.UnknownWord(_ODD, ()),
    "UnknownWord, one is like it": errors.UnknownWord("valt", ("vault",)),
    "UnknownWord, asked twice": errors.UnknownWord("vault", (), twice="system"),
    **{
        f"BadReason, {problem}": errors.BadReason(problem, "Incident or ticket", 500 if problem == "long" else 3)
        for problem in ("missing", "short", "long", "form")
    },
    **{
        f"BadInput, {problem}": errors.BadInput("database", problem, title="Database", typed=_ODD, **more)
        for problem, more in {
            "missing": {"expected": "app or audit"},
            "choice": {"expected": "app or audit"},
            "form": {"expected": "like INC-42"},
            "long": {"expected": "like INC-42"},
            "key": {"why": "an RSA key needs 3072 to 8192 bits, and this has 2048"},
            "refused": {"why": "member_of: pg_signal_backend is never granted"},
        }.items()
    },
    "BadInput, unasked": errors.BadInput("databse", "unasked", title="db/reader", typed=_ODD, expected="database"),
    "BadInput, nothing is asked": errors.BadInput("database", "unasked", title="vault/admin", typed=_ODD),
    "BadQuestion, empty": errors.BadQuestion("question"),
    "BadQuestion, too long": errors.BadQuestion("answer", 300),
    "BadStart": errors.BadStart(0, text=_ODD),
    "BadStart, past or too far": errors.BadStart(AT - HOUR, AT + 30 * 24 * HOUR),
    **{
        f"NotAMember, {kind}": errors.NotAMember(kind)
        for kind in ("guest", "external", "bot", "deactivated", "no_email", "odd_email")
    },
    "NotAMember, inactive": errors.NotAMember("inactive", directory="ad"),
    "NotAMember, inactive, requested for": errors.NotAMember("inactive", "UMIA", "ad"),
    **{
        f"NotAMember, {kind}, requested for": errors.NotAMember(kind, "UMIA")
        for kind in ("guest", "external", "bot", "deactivated", "no_email", "odd_email", "taken")
    },
    **{f"NotAllowed, {code.value}": _not(code) for code in Code},
    **{
        f"OverLimit, {kind}{', per person' if personal else ''}{'' if own else ', to an approver'}": OverLimit(
            LimitHit(
                scope="vault/admin",
                kind=kind,
                limit=HOUR if kind == "cooldown" else limit,
                until=until,
                personal=personal,
            ),
            own=own,
        )
        for kind, limit, until, personal, own in _HITS
    },
    **{
        f"OverLimit, {kind}, per person, requested for": OverLimit(
            LimitHit(
                scope="vault/admin", kind=kind, limit=HOUR if kind == "cooldown" else limit, until=until, personal=True
            ),
            requested_for=MIA,
        )
        for kind, limit, until, personal, own in _HITS
        if own and (personal or kind == "cooldown")
    },
    "OverLimit, live, nobody knows until when": OverLimit(LimitHit(scope="vault", kind="live", limit=1)),
    "Conflicting": Conflicting(_CONFLICT),
    "Conflicting, to an approver": Conflicting(_CONFLICT, own=False),
    "Conflicting, requested for": Conflicting(_CONFLICT, requested_for=MIA),
    "Conflicting, in one request": Conflicting(Conflict(mine="vault/admin", other="billing")),
    "NotCounted": NotCounted(("vault/admin", "billing")),
    "LimitReached, open": errors.LimitReached("open", 5),
    "LimitReached, open, of another": errors.LimitReached("open_for", 5),
    "LimitReached, submits": errors.LimitReached("submits", 10, 600),
    "LimitReached, break-glass": errors.LimitReached("break_glass", 3, 86_400),
    "LimitReached, reminders": errors.LimitReached("reminders", 1, 600),
    "LimitReached, questions": errors.LimitReached("questions", 5),
    "LimitReached, delegations": errors.LimitReached("delegations", 500),
    "AlreadyRequested": errors.AlreadyRequested(request()),
    "AlreadyRequested, of another": errors.AlreadyRequested(request(), of_another=True),
    "NotFound": errors.NotFound(_ODD),
    "Ambiguous, none": errors.Ambiguous(()),
    "Ambiguous, several": errors.Ambiguous(("J-7K3Q", "J-7K3R")),
    **{
        f"CannotExtend, {why}": errors.CannotExtend(opened(), why, AT + HOUR)
        for why in ("cap", "rule", "asked", "systems")
    },
    "CannotExtend, changed": errors.CannotExtend(opened(), "changed"),
    "Late": errors.Late("J-7K3Q", AT),
    **{f"Overtaken, {state.value}": errors.Overtaken(_in(state, ending=Ending.REVOKED)) for state in State},
    "Overtaken, void": errors.Overtaken(_in(State.CANCELLED, closed_by="policy")),
    "Overtaken, declined": errors.Overtaken(
        _in(State.CANCELLED, waits_for=DraftWait.CONSENT, closed_by="UMIA", waits_until=AT + 1800)
    ),
    "Overtaken, not accepted": errors.Overtaken(
        _in(State.EXPIRED, waits_for=DraftWait.CONSENT, closed_by="clock", waits_until=AT + 1800)
    ),
    "AlreadyAnswered": errors.AlreadyAnswered(_in(State.PENDING)),
    "NoSuchQuestion": NoSuchQuestion(request()),
    "RoleChanged": errors.RoleChanged(request()),
    "LockedDown": errors.LockedDown(_LOCK),
    "LockedDown, everything": errors.LockedDown(_LOCK.model_copy(update={"system": ""})),
    "TerminalDoesNotCount": errors.TerminalDoesNotCount("cli:pat@host"),
    "TerminalDoesNotCount, uncertain": errors.TerminalDoesNotCount("cli:root@host", "this is root"),
    "WrongCode": errors.WrongCode(_ODD),
    "NotLockedDown": errors.NotLockedDown("", ()),
    "NotLockedDown, another is": errors.NotLockedDown("hall", ("vault",)),
    "PolicyMoved": errors.PolicyMoved(),
    "DelegationsChanged": errors.DelegationsChanged(),
    "CouldNotCheck": errors.CouldNotCheck("who is in dba"),
    "IdentityTaken": errors.IdentityTaken("UMIA"),
    "IdentityChanged": IdentityChanged("UMIA", "ad"),
    "Tampered": errors.Tampered("J-7K3Q"),
    "RolledBack": errors.RolledBack("J-7K3Q"),
    "Crowded": errors.Crowded(),
    "StoreAway": errors.StoreAway("ConnectionError"),
    "what nobody expected": KeyError("a fault of ours"),
}
"""Each leaf of the error tree, in each of its kinds."""


def spelled() -> str:
    """The golden file: a name and its sentence a paragraph."""
    return "\n".join(f"{name}\n    {sentence(error)}\n" for name, error in REFUSALS.items())


if __name__ == "__main__":
    FILE.write_text(spelled(), encoding="utf-8")
