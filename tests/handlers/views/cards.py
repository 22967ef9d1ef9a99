"""What people see of a request, story by story: the card, its lock screen, its thread and the DMs.

``python -m tests.handlers.views.cards`` writes the golden files anew. Look at what changed in them before you commit
it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bot.core import notifications
from bot.core.break_glass import BreakGlass, BreakGlassReview
from bot.core.break_glass_events import (
    BreakGlassReviewed,
    BreakGlassUsed,
    ReviewOverdue,
    SwitchedToBreakGlass,
)
from bot.core.events import (
    AccessExpired,
    Approved,
    ApprovedByRule,
    Cancelled,
    ClosedManually,
    Consented,
    Denied,
    Drafted,
    EndedEarly,
    Endorsed,
    Escalated,
    Event,
    Extended,
    ExtensionApproved,
    ExtensionDenied,
    ExtensionFailed,
    ExtensionRequested,
    GrantAttempted,
    Granted,
    GrantRefused,
    QuestionAnswered,
    QuestionAsked,
    Reminded,
    RequestExpired,
    Retried,
    Revoked,
    Started,
    Submitted,
    Warned,
)
from bot.core.lifecycle import advance, begin
from bot.core.proof import Proof
from bot.core.questions import DurationChange, ReasonChange
from bot.core.request import (
    ApproverQuestion,
    ByRule,
    DraftWait,
    Ending,
    Extension,
    Request,
    RequiredStep,
    Review,
    State,
    Verb,
)
from bot.core.rule_effects import CheckedTicket, Shortened
from bot.core.verdict import Members
from bot.policy import authorization, steps
from bot.policy.catalog import Catalog
from handlers.views import break_glass as glass_views
from handlers.views import card, dms, for_others, thread
from handlers.views.ladder import ladder
from handlers.views.message import EscalatedStep, Needed, SlackMessage
from handlers.views.thread import line
from tests.handlers.views.drawing import (
    AT,
    DAN,
    EVE,
    EVIL,
    HOUR,
    KIM,
    LINK,
    MIA,
    NAMES,
    policy,
    snapshot,
    with_inputs,
    with_key,
    write,
)
from tests.house import POLICY, catalog, person

FOLDER = Path(__file__).parent / "golden" / "cards"
SITE = "https://local.slack.com"
SAM = person("T0LOCAL01", "sam")
CONNECT = "psql 'host=db.example.com dbname=<!channel> user=jit_j_7k3q_0'"
ORDERS = """
  orders:
    title: Orders
    provider: sandbox
    channel: C0ORDERS1
    approvers: [security]
    roles:
      read-only: {grants: {door: orders, secret: true}, sensitivity: medium, max: 2h, may_ask: [everyone]}
templates:
"""
_ABSENT = {"presence": "absent", "killed": 1}


def asked(what: str = "debug", rules: Catalog | None = None, **more: Any) -> Submitted:
    """Mia asks."""
    rules = rules or policy()
    known = rules.find(what)
    assert known is not None
    roles = tuple(snapshot(rules, ref.system, ref.role) for ref in known.roles)
    plain: dict[str, Any] = {"by": MIA.id, "requester": MIA, "title": known.title, "reason": EVIL, "duration": 1800}
    plain |= {"generation": rules.policy_hash, "grant_budget": 600, "decide_by": AT + 4 * HOUR, "warn_before": 600}
    return Submitted(at=AT, id="J-7K3Q", what=known.name, roles=roles, **{**plain, **more})


def asked_with(made: Request) -> Submitted:
    """Mia asks for a role that wants to know more."""
    roles = tuple(leg.role for leg in made.legs)
    return asked().model_copy(update={"what": made.what, "title": made.title, "roles": roles})


_BY_RULES: dict[str, Any] = {
    "duration": 600,
    "shortened": Shortened(rule=3, asked=1800, duration=600),
    "required_steps": (
        RequiredStep(any_of=("security",), rule=2, because="one of security"),
        RequiredStep(any_of=("platform",), rule=4, because="one of <!here> platform"),
    ),
    "tickets": (CheckedTicket(check="jira", ticket="INC-42", exists=True),),
}
"""What rules did to it."""


def by_rule(also: tuple[str, ...] = (), **more: Any) -> ApprovedByRule:
    """Mia asks, and a rule says yes; its group is called what would be a mention."""
    first = asked(**more)
    facts = {name: getattr(first, name) for name in Submitted.model_fields if name not in {"kind", "by"}}
    said: dict[str, Any] = {
        "sensitivity": "low",
        "requester_in": ("dba", "channel"),
        "at_most": 3600,
        "what": ("debug",),
    }
    return ApprovedByRule(rule=ByRule(n=1, key="k", used=2, budget=3, also=also, **said), **facts)


def for_mia(what: str = "debug", **more: Any) -> Drafted:
    """Kim asks for Mia, who has half an hour to accept it."""
    first = asked(what, **more)
    facts = {name: getattr(first, name) for name in Submitted.model_fields if name not in {"kind", "by"}}
    facts |= {"waits_for": DraftWait.CONSENT, "waits_until": AT + 1800, "requested_by": KIM}
    return Drafted(by=KIM.id, **facts)


def accepted(**more: Any) -> Consented:
    """Mia accepts it."""
    return Consented(at=AT + 50, by=MIA.id, decide_by=AT + 50 + 4 * HOUR, **more)


def break_glass(**more: Any) -> BreakGlassUsed:
    """Mia takes it at once."""
    first = asked(**more)
    facts = {name: getattr(first, name) for name in Submitted.model_fields if name != "kind"}
    return BreakGlassUsed(break_glass=GLASS, **facts)


def yes(who: Any = DAN, duration: int = 1800) -> Review:
    """An approval."""
    return Review(verb=Verb.APPROVE, by=who, at=AT + 60, duration=duration)


def no(reason: str = "not *tonight* <!here>") -> Review:
    """A denial."""
    return Review(verb=Verb.DENY, by=EVE, at=AT + 60, duration=0, reason=reason)


def approved(duration: int = 1800) -> Approved:
    """The last answer."""
    return Approved(at=AT + 60, by=DAN.id, review=yes(duration=duration), duration=duration)


def granted(leg: int = 0) -> list[Event]:
    """Opened, one role."""
    at = AT + 61 + leg
    prior = {"present": False, "facts": {}}
    return [
        GrantAttempted(
            at=at, leg=leg, subject={"native": "a", "own": True}, target="t", prior=prior, in_flight_until=at + 5
        ),
        Granted(at=at + 1, leg=leg, receipt={"native": "a", "facts": {}, "ours": True}, connect=CONNECT),
    ]


IN_PLACE: dict[str, Any] = {"stands_in_for": DAN, "delegation": "D-7K3QWX"}
INSTEAD = yes(EVE).model_copy(update=IN_PLACE)
"""Eve's approval in Dan's place."""
OPEN: list[Event] = [asked(), approved(), *granted()]
TWO = catalog(POLICY.replace("templates:\n", ORDERS, 1))
"""A policy with a second system, which has a channel and approvers of its own."""


def of_two(**more: Any) -> Submitted:
    """Mia asks for a role on each of two systems."""
    return asked("vault/read-only + orders/read-only", TWO, **more)


SAM_AGREES = Review(verb=Verb.APPROVE, by=SAM, at=AT + 50, duration=1800)
BOTH: list[Event] = [of_two(), Endorsed(at=AT + 50, by=SAM.id, review=SAM_AGREES), approved()]
_END = AT + 62 + 1800
_WISH = ExtensionRequested(
    at=AT + 900, by=MIA.id, extension=Extension(n=1, until=_END + 1800, reason=EVIL, at=AT + 900)
)
_MORE = ExtensionApproved(at=AT + 960, by=DAN.id, review=yes(), until=_END + 1800)
_LATER: dict[str, Any] = {"starts_at": AT + 10 * HOUR, "start_grace": 900, "decide_by": AT + 10 * HOUR + 900}
_AWAY = "the server does not answer <!channel>"


_LONG = "a-group-with-a-name-of-forty-characters-x"[:40]
_STEP = f"{{any_of: [{_LONG}, dba, security, platform], count: 10}}"
_WRITTEN = {
    "ordered": (
        "ordered: true\n          steps: [{any_of: [dba], escalate: {after: 1h, to: [platform]}}, "
        "{any_of: [security], escalate: {after: 30m, to: [platform, dba]}}]"
    ),
    "skipped": "steps: [{any_of: [dba], skip_if_requester_in: [platform]}, {any_of: [security]}]",
    "owner": "steps: [{any_of: [security], count: 2}, {owner: true}]",
    "ten": f"ordered: true\n          steps: [{', '.join([_STEP] * 10)}]",
}
LADDERS: Mapping[str, Catalog] = {
    name: catalog(
        POLICY.replace("steps: [{any_of: [dba]}, {any_of: [security]}]", written).replace(
            "groups:\n", f"groups:\n  {_LONG}: {{slack_usergroup: S0DBA0002}}\n"
        )
    )
    for name, written in _WRITTEN.items()
}
"""Policies in which the vault's admin has other steps."""
_ROSTER = {
    "dba": Members(users=frozenset({DAN.id, EVE.id})),
    "security": Members(users=frozenset({SAM.id})),
    "platform": Members(users=frozenset({MIA.id})),
    _LONG: Members(users=frozenset({DAN.id, EVE.id})),
}


def in_steps(name: str, **more: Any) -> Submitted:
    """Mia asks for a role whose steps are shown one by one."""
    rules = LADDERS[name]
    found = rules.find("vault/admin")
    assert found
    opened = steps.first_open(steps.steps_of_roles(rules, _ROSTER, MIA, found.roles, AT))
    return asked("vault/admin", rules, escalations=steps.escalations_of(opened, (), AT, AT + 4 * HOUR), **more)


def next_step() -> Endorsed:
    """Dan approves the first step, and the second opens."""
    rules = LADDERS["ordered"]
    found = rules.systems["vault"].roles["admin"].steps
    opened = steps.steps_of(rules, _ROSTER, begin(in_steps("ordered")), AT)[1:]
    assert len(found) == 2
    escalations = steps.escalations_of(opened, (), AT + 60, AT + 4 * HOUR)
    return Endorsed(at=AT + 60, by=DAN.id, review=yes(), opened=("vault/admin",), escalations=escalations)


FROZEN = RequiredStep(any_of=("platform",), rule=2, because="production is frozen until Monday")


def question(n: int = 1, who: Any = DAN) -> QuestionAsked:
    """An approver wants to know more."""
    asked_ = ApproverQuestion(n=n, by=who, text=f"Which table? {EVIL}", at=AT + 60 * n)
    return QuestionAsked(at=AT + 60 * n, by=who.id, question=asked_)


ANSWER = QuestionAnswered(at=AT + 90, by=MIA.id, n=1, answer=f"Only orders. {EVIL}")


CHANGED = ANSWER.model_copy(
    update={
        "reason_change": ReasonChange(before=EVIL, after=f"INC-43 the disk is full. {EVIL}"),
        "duration_change": DurationChange(before=4 * HOUR, after=HOUR),
    }
)
SHORTENED = QuestionAnswered(
    at=AT + 90, by=MIA.id, n=1, answer="", duration_change=DurationChange(before=1800, after=900)
)


def _stuck(tries: int) -> list[Event]:
    return [Retried(at=_END + n, leg=0, error=_AWAY, retry_at=_END + n + 1) for n in range(tries)]


def _withdrawn(ending: Any, by: str, reason: str = "") -> EndedEarly:
    return EndedEarly(at=AT + 900, by=by, ending=ending, reason=reason)


GLASS = BreakGlass(at=AT, review_by=AT + 24 * HOUR)
SWITCHED = SwitchedToBreakGlass(
    at=AT + 60,
    by=MIA.id,
    reason=f"The vault burns. {EVIL}",
    duration=900,
    break_glass=BreakGlass(at=AT + 60, review_by=AT + 24 * HOUR, by_list=True),
)
OVERDUE = ReviewOverdue(at=AT + 24 * HOUR, days=1)


def reviewed(*, justified: bool, **more: Any) -> BreakGlassReviewed:
    """Dan reviews it."""
    at = AT + 25 * HOUR
    return BreakGlassReviewed(at=at, by=DAN.id, review=BreakGlassReview(justified=justified, by=DAN, at=at, **more))


CLOSED = Revoked(at=_END + 5, leg=0, outcome=_ABSENT)
CLOSED_LATER = Revoked(at=_END + 1805, leg=0, outcome=_ABSENT)
_LEFT = {"remains": "a cached token until 10:00 <!channel>", "kept": "1 table", "detail": "CLIENT KILL was not allowed"}
CLOSED_IN_PART = Revoked(at=_END + 5, leg=0, outcome={**_ABSENT, **_LEFT})
_LONGER: list[Event] = [
    *OPEN,
    Warned(at=_END - 450),
    _WISH,
    _MORE,
    Extended(at=AT + 970, receipts=({"native": "a"},)),
]
APP, RECOVERY = Proof(factor="totp", at=AT), Proof(factor="recovery", at=AT + 60)
STORIES: Mapping[str, Sequence[Event]] = {
    "pending": [asked()],
    "pending-reminded": [asked(remind_at=AT + 2 * HOUR), Reminded(at=AT + 2 * HOUR)],
    "pending-critical": [asked("vault/admin")],
    "pending-critical-half": [asked("vault/admin"), Endorsed(at=AT + 60, by=DAN.id, review=yes())],
    "pending-confirmed": [
        asked("vault/admin", proof=APP),
        Endorsed(at=AT + 60, by=DAN.id, review=yes().model_copy(update={"proof": RECOVERY})),
    ],
    "extension-confirmed": [
        asked(proof=APP),
        Approved(at=AT + 60, by=DAN.id, review=yes().model_copy(update={"proof": APP}), duration=1800),
        *granted(),
        ExtensionRequested(
            at=AT + 900,
            by=MIA.id,
            extension=Extension(n=1, until=AT + 3600, reason="it takes longer", at=AT + 900, proof=APP),
        ),
    ],
    "steps-first-open": [in_steps("ordered")],
    "steps-second-open": [in_steps("ordered"), next_step()],
    "steps-escalated": [in_steps("ordered"), Escalated(at=AT + HOUR, role="vault/admin", step=1)],
    "steps-escalated-second": [
        in_steps("ordered"),
        next_step(),
        Escalated(at=AT + 1860, role="vault/admin", step=2),
    ],
    "steps-skipped": [in_steps("skipped")],
    "steps-owner": [in_steps("owner"), Endorsed(at=AT + 60, by=SAM.id, review=yes(SAM))],
    "steps-required": [in_steps("skipped", required_steps=(FROZEN,))],
    "steps-ten": [in_steps("ten"), Endorsed(at=AT + 60, by=DAN.id, review=yes())],
    "pending-critical-half-by-a-stand-in": [asked("vault/admin"), Endorsed(at=AT + 60, by=EVE.id, review=INSTEAD)],
    "open-by-a-stand-in": [asked(), Approved(at=AT + 60, by=EVE.id, review=INSTEAD, duration=1800), *granted()],
    "denied-by-a-stand-in": [asked(), Denied(at=AT + 60, by=EVE.id, review=no().model_copy(update=IN_PLACE))],
    "pending-question": [asked(), question()],
    "pending-answered": [asked(), question(), ANSWER, question(2, EVE)],
    "pending-changed": [asked(duration=4 * HOUR), question(), CHANGED],
    "pending-shortened": [asked(), question(), SHORTENED],
    "pending-shortened-once-approved": [
        asked("vault/admin"),
        Endorsed(at=AT + 60, by=DAN.id, review=yes()),
        question(1, EVE),
        SHORTENED,
    ],
    "denied-unanswered": [asked(), question(), Denied(at=AT + 160, by=EVE.id, review=no())],
    "pending-from-a-message": [asked(reason=f"{SITE}/archives/C0GENERAL/p1800000000000100")],
    "pending-several-roles": [asked("both")],
    "pending-inputs": [asked_with(with_inputs())],
    "pending-key": [asked_with(with_key())],
    "active-inputs": [asked_with(with_inputs()), approved(), *granted()],
    "two-systems-pending": [of_two()],
    "two-systems-half": BOTH[:2],
    "two-systems-granting": [*BOTH, *granted(0)],
    "two-systems-active": [*BOTH, *granted(0), *granted(1)],
    "two-systems-failed": [*BOTH, GrantRefused(at=AT + 61, leg=0, error=f"Mia has no account there {EVIL}")],
    "two-systems-refused": [*BOTH, *granted(0), GrantRefused(at=AT + 64, leg=1, error=f"Mia has no account {EVIL}")],
    "two-systems-refused-ended": [
        *BOTH,
        *granted(0),
        GrantRefused(at=AT + 64, leg=1, error="Mia has no account there"),
        Revoked(at=AT + 66, leg=0, outcome=_ABSENT),
    ],
    "two-systems-revoking": [
        *BOTH,
        *granted(0),
        *granted(1),
        AccessExpired(at=_END),
        Revoked(at=_END + 6, leg=1, outcome=_ABSENT),
    ],
    "pending-later": [asked(**_LATER)],
    "pending-by-rules": [asked(**_BY_RULES)],
    "pending-ticket-unknown-there": [asked(tickets=(CheckedTicket(check="jira", ticket=EVIL[:40], exists=False),))],
    "denied": [asked(), Denied(at=AT + 60, by=EVE.id, review=no())],
    "cancelled": [asked(), Cancelled(at=AT + 60, by=MIA.id)],
    "void": [asked(), Cancelled(at=AT + 60, by="policy", reason="its role was changed in the policy")],
    "request_expired": [asked(), RequestExpired(at=AT + 4 * HOUR)],
    "scheduled": [asked(**_LATER), approved()],
    "scheduled-by-rule": [by_rule(**_LATER)],
    "scheduled-by-rule-void": [
        by_rule(**_LATER),
        Cancelled(at=AT + 10 * HOUR, by="policy", reason="the rule that approved it no longer applies"),
    ],
    "scheduled-started": [asked(**_LATER), approved(), Started(at=AT + 10 * HOUR)],
    "scheduled-missed": [asked(**_LATER), approved(), RequestExpired(at=AT + 10 * HOUR + 900)],
    "scheduled-taken-away": [asked(**_LATER), approved(), _withdrawn(Ending.REVOKED, EVE.id, "not tonight")],
    "granting": [asked(), approved(duration=900)],
    "granting-by-rule": [by_rule()],
    "granting-trouble": [asked(), approved(), Retried(at=AT + 62, leg=0, error=_AWAY, retry_at=AT + 63)],
    "failed": [asked(), approved(), GrantRefused(at=AT + 61, leg=0, error="Mia has no account there")],
    "active": OPEN,
    "granting-by-rule-on-call": [by_rule(also=("requester on call", "starting Mon-Fri 09:00-18:00 (UTC) <!here>"))],
    "active-by-rule": [by_rule(), *granted()],
    "ended-by-rule-revoked": [by_rule(), *granted(), _withdrawn(Ending.REVOKED, EVE.id, "INC-2"), CLOSED],
    "active-several-roles": [asked("both"), approved(), *granted(0), *granted(1)],
    "active-warned": [*OPEN, Warned(at=_END - 450)],
    "active-later-end-asked": [*OPEN, _WISH],
    "active-later-end-approved": [*OPEN, _WISH, _MORE],
    "active-later-end-denied": [*OPEN, _WISH, ExtensionDenied(at=AT + 960, by=EVE.id, review=no())],
    "active-later-end-failed": [*OPEN, _WISH, _MORE, ExtensionFailed(at=AT + 970, error="it is gone already")],
    "active-extended": [*OPEN, _WISH, _MORE, Extended(at=AT + 970, receipts=({"native": "a"},))],
    "active-extended-warned": [*_LONGER, Warned(at=_END + 1350)],
    "ended-extended": [*_LONGER, Warned(at=_END + 1350), AccessExpired(at=_END + 1800), CLOSED_LATER],
    "revoking-expired": [*OPEN, AccessExpired(at=_END)],
    "revoking-stuck": [*OPEN, AccessExpired(at=_END), *_stuck(3)],
    "ended-expired": [*OPEN, Warned(at=_END - 450), AccessExpired(at=_END), CLOSED],
    "ended-in-part": [*OPEN, AccessExpired(at=_END), CLOSED_IN_PART],
    "ended-released": [*OPEN, _withdrawn(Ending.RELEASED, MIA.id), CLOSED],
    "ended-revoked": [*OPEN, _withdrawn(Ending.REVOKED, EVE.id, "INC-2 <!channel>"), CLOSED],
    "revoked-at-a-terminal": [*OPEN, _withdrawn(Ending.REVOKED, "cli:pat@host", "INC-2 <!channel>")],
    "for-mia-draft": [for_mia()],
    "for-mia-draft-later": [for_mia(**_LATER)],
    "for-mia-declined": [for_mia(), Cancelled(at=AT + 60, by=MIA.id, reason=EVIL)],
    "for-mia-cancelled": [for_mia(), Cancelled(at=AT + 60, by=KIM.id)],
    "for-mia-not-accepted": [for_mia(), RequestExpired(at=AT + 1800)],
    "for-mia-void": [for_mia(), Cancelled(at=AT + 60, by="policy", reason="its role was changed in the policy")],
    "for-mia-pending": [for_mia(), accepted()],
    "for-mia-pending-critical": [for_mia("vault/admin"), accepted()],
    "for-mia-pending-cancelled": [for_mia(), accepted(), Cancelled(at=AT + 90, by=KIM.id)],
    "for-mia-taken-back": [for_mia(), accepted(), Cancelled(at=AT + 90, by=MIA.id)],
    "for-mia-denied": [for_mia(), accepted(), Denied(at=AT + 60, by=EVE.id, review=no())],
    "for-mia-scheduled": [for_mia(**_LATER), accepted(), approved()],
    "for-mia-by-rule": [for_mia(), accepted(rule=by_rule().rule)],
    "for-mia-by-rule-active": [for_mia(), accepted(rule=by_rule().rule), *granted()],
    "for-mia-active": [for_mia(), accepted(), approved(), *granted()],
    "for-mia-failed": [
        for_mia(),
        accepted(),
        approved(),
        GrantRefused(at=AT + 61, leg=0, error="Mia has no account there"),
    ],
    "for-mia-ended-by-kim": [
        for_mia(),
        accepted(),
        approved(),
        *granted(),
        _withdrawn(Ending.REVOKED, KIM.id, "requested for somebody else, and no longer needed"),
        CLOSED,
    ],
    "break-glass-granting": [break_glass()],
    "break-glass-active": [break_glass(what="vault/admin"), *granted()],
    "break-glass-from-pending": [asked(may_break_glass=True), question(), SWITCHED, *granted()],
    "break-glass-could-be-used": [asked(may_break_glass=True)],
    "break-glass-of-an-owner": [
        asked(
            only_required=True,
            required_steps=(RequiredStep(any_of=("dba",), because=f"the review of J-2ABC is overdue {EVIL}"),),
        )
    ],
    "break-glass-reviewed-early": [break_glass(), *granted(), reviewed(justified=True)],
    "break-glass-refused": [break_glass(), GrantRefused(at=AT + 61, leg=0, error="Mia has no account there")],
    "break-glass-revoking": [break_glass(), *granted(), AccessExpired(at=_END)],
    "break-glass-to-be-reviewed": [break_glass(), *granted(), AccessExpired(at=_END), CLOSED],
    "break-glass-overdue": [break_glass(), *granted(), AccessExpired(at=_END), CLOSED, OVERDUE],
    "break-glass-justified": [
        *(break_glass(), *granted(), AccessExpired(at=_END), CLOSED),
        reviewed(justified=True, reason=EVIL),
    ],
    "break-glass-not-justified": [
        *(break_glass(), *granted(), AccessExpired(at=_END), CLOSED, OVERDUE),
        reviewed(justified=False, reason=f"It could wait. {EVIL}", follow_up=f"Write a runbook. {EVIL}"),
    ],
    "ended-by-hand": [
        *OPEN,
        AccessExpired(at=_END),
        *_stuck(3),
        ClosedManually(at=_END + 99, by="cli:pat@host", reason="the server is gone"),
    ],
}
"""Each story by the name of its golden file: the events that led there."""


def told(name: str) -> dict[str, Any]:
    """All that stands in Slack once everything of the story was told, and what rang whose phone meanwhile."""
    request: Request | None = None
    lines, rings, stand, audiences = list[str](), list[str](), dict[str, Event](), set[str]()
    rings_other = list[str]()
    for event in STORIES[name]:
        request = advance(request, event) if request else begin(event)  # type: ignore[arg-type]  # the first one
        asked_for = notifications.notices(request, event)
        audiences |= set(asked_for)
        if notifications.THREAD in asked_for and (said := line(request, event, needed(request))):
            lines.append(said)
        for audience in asked_for:
            if not _is_dm(audience) or (audience in stand and audience != notifications.EXTENSION):
                continue
            if notifications.is_news(request, audience):
                stand[audience] = event
                whose = (
                    rings_other
                    if audience in {notifications.REQUESTED_BY, notifications.REQUESTED_BY_OUTCOME}
                    else rings
                )
                whose.append(_dm(audience, request, event).text)
    assert request
    places = dict(zip(notifications.cards(request), request.channels, strict=True))
    shown: dict[str, Any] = {
        audience: _sent(card.card(request, needed(request, channel), SITE, channel=channel))
        for audience, channel in places.items()
        if audience in audiences
    }
    shown |= {"thread": lines, "rings": rings, **({"rings who requested it": rings_other} if rings_other else {})}
    shown |= {audience.removesuffix(":#"): _sent(_dm(audience, request, event)) for audience, event in stand.items()}
    if request.break_glass:
        shown |= {"owner": _sent(glass_views.to_owner(request, LINK))}
        shown |= {"break_glass": _sent(glass_views.alarm(request, NAMES["dba"]))}
        if OVERDUE in STORIES[name]:
            shown |= {"overdue": _sent(glass_views.overdue_alarm(request, NAMES["dba"]))}
    if by_hand := [event for event in STORIES[name] if event.by.startswith("cli:")]:
        shown |= {"audit": _sent(thread.by_hand(request, by_hand[-1]))}
    return shown | ({"alarm": _sent(card.alarm(request))} if notifications.ALARM in audiences else {})


def _is_dm(audience: str) -> bool:
    numbered = (notifications.which_end(audience), notifications.which_question(audience))
    return audience in _DMS or any(n is not None for n in numbered)


_DMS: Mapping[str, Callable[[Request, Event], SlackMessage]] = {
    notifications.DECIDED: lambda request, _: dms.decided(request),
    notifications.GRANTED: lambda request, _: dms.granted(request, secret=True),
    notifications.EXTENSION: dms.extension_decided,
    notifications.ENDED: lambda request, _: dms.ended_access(request),
    notifications.CONSENT: lambda request, _: for_others.consent(request),
    notifications.REQUESTED_BY: lambda request, _: for_others.answer(request),
    notifications.REQUESTED_BY_OUTCOME: lambda request, _: for_others.outcome(request),
    notifications.REVIEWED: lambda request, _: glass_views.reviewed(request) or SlackMessage("", []),
}


def _dm(audience: str, request: Request, event: Event) -> SlackMessage:
    if n := notifications.which_question(audience):
        return dms.question(request, request.questions[n - 1], LINK)
    end = notifications.which_end(audience)
    message = _DMS[audience](request, event) if end is None else dms.ending(request, needed(request), end)
    return dms.with_card(message, LINK)


def needed(request: Request, channel: str = "") -> Needed:
    """Who is to decide, as the announcer finds it: the first step of the role."""
    for rules in LADDERS.values():
        if request.generation == rules.policy_hash:
            return of_its_steps(rules, request)
    if len(request.channels) > 1:
        return of_its_part(request, channel) if request.state is State.PENDING else Needed()
    wishes = request.extension is not None and request.extension.state.value == "pending"
    if request.state is not State.PENDING and not (request.state is State.ACTIVE and wishes):
        return Needed()
    critical = any(leg.role.sensitivity == "critical" for leg in request.legs)
    groups = ("dba", "security") if critical else ("dba",)
    waiting = groups[len(request.reviews) :] if request.state is State.PENDING else groups
    given = {review.by.id: f"`{group}`" for review, group in zip(request.reviews, groups, strict=False)}
    return Needed(tuple((NAMES[group], 1) for group in waiting), given=given if len(groups) > 1 else {})


def of_its_steps(rules: Catalog, request: Request) -> Needed:
    """The same of a request whose steps are counted as they really are."""
    progress = authorization.approval_progress(rules, _ROSTER, request, AT)
    said = {group: NAMES.get(group, f"`{group}`") for group in rules.groups}
    return Needed(
        tuple((" or ".join(said[group] for group in step.any_of), step.missing) for step in progress.now),
        later=sum(step.missing for step in progress.open if step.waits),
        ladder=ladder(request, progress, [leg.role.name for leg in request.legs]),
        escalated={
            (step.name, step.step.n): EscalatedStep(
                step.missing,
                " or ".join(f"`{group}`" for group in step.step.own),
                " or ".join(said[group] for group in step.step.escalated),
            )
            for step in progress.now
            if step.step.escalated
        },
    )


def of_its_part(request: Request, channel: str) -> Needed:
    """The same of a request on two systems, the first of the dba and the second of security."""
    open_ = ["dba", ""] if request.reviews else ["dba", "security"]
    own = [n for n, leg in enumerate(request.legs) if channel in {"", leg.role.channel}]
    others = {n: ((f"`{open_[n]}`", 1),) if open_[n] else () for n in range(len(open_)) if n not in own}
    steps = tuple((NAMES[open_[n]], 1) for n in own if open_[n])
    return Needed(steps, given={review.by.id: "`security`" for review in request.reviews}, others=others)


def _sent(message: SlackMessage) -> dict[str, Any]:
    return {"text": message.text, "blocks": message.blocks}


def spelled(name: str) -> str:
    """As its golden file has it."""
    return json.dumps(told(name), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    write(FOLDER, STORIES, spelled)
