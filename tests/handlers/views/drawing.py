"""Every view of the door with the same facts each time, and where its golden file is.

``python -m tests.handlers.views.drawing`` writes the golden files anew. Look at what changed in them before you
commit it: they are what people see, and what Slack is sent.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from slack_sdk.models.views import View

from bot.access import submit, terms
from bot.access.audit_query import AuditPage, SearchFilters
from bot.access.decision_times import DecisionTimes
from bot.access.delegate import OwnDelegations
from bot.access.enrolment import ConfirmedFactor, OwnFactor, OwnFactors
from bot.access.inputs import check_inputs
from bot.access.lockdown import LiftVote
from bot.access.proof import ProofPreview
from bot.access.read import Overview
from bot.access.request_form import RequestForm
from bot.access.revoke import BulkRevocation
from bot.access.rule_preview import preview
from bot.audit.archive.projection import Holding
from bot.core import ssh_keys
from bot.core.audit_chain import AuditEntry
from bot.core.break_glass import BreakGlass
from bot.core.delegation import Delegation
from bot.core.events import QuestionAnswered, QuestionAsked, Submitted
from bot.core.factor_errors import FactorLocked, FactorTooNew, NotEnrolled
from bot.core.lifecycle import advance, begin
from bot.core.lockdown import Lock, Operator, Vote
from bot.core.proof import Proof, ProofUse
from bot.core.questions import DurationChange, ReasonChange
from bot.core.request import ApproverQuestion, DraftWait, Ending, Extension, Request, RequiredStep, Review, State, Verb
from bot.core.role_snapshot import RoleSnapshot
from bot.core.verdict import Actor, Members
from bot.policy.catalog import Catalog, Choice, catalog_of
from bot.policy.conditions import Circumstances
from bot.policy.loader import can_extend, consequence
from bot.policy.permission_diff import Right, Shift
from bot.policy.schema import PolicyShape
from bot.reports.insights.cases import Insight, InsightSeverity
from bot.reports.insights.scan import Scan, SeenInsight
from bot.store.outbox import PostedMessage
from handlers.views import (
    audit,
    break_glass,
    delegation,
    dms,
    explain,
    extension,
    home,
    insights,
    lockdown,
    mfa,
    modals,
    people,
    policy_change,
    proof,
    reach,
    record_alarms,
    request_line,
    request_list,
    role_terms,
    secrets,
    summary_card,
)
from handlers.views import digest as views_digest
from handlers.views import request as showing
from handlers.views.message import Needed, SlackMessage
from handlers.views.modals import Chosen
from handlers.views.reach import Candidate, SlackPresence, StepReach
from handlers.views.request import Reader
from handlers.views.revoke import revoke_all, taken
from tests.house import POLICY, catalog, person
from tests.reports.digest.days import golden, weekly_of

FOLDER = Path(__file__).parent / "golden"
AT = 1_800_000_000.0
HOUR = 3600
NAMES = {"dba": "<!subteam^S0DBA0001>", "security": "<@USAM> or <@UKIM>"}
MIA, DAN, EVE, KIM = (person("T0LOCAL01", name) for name in ("mia", "dan", "eve", "kim"))
PROOF = Proof(factor="totp", at=AT)
CODE = ProofPreview(factors=("totp", "recovery"))
EVIL = "INC-1 <!channel> & *bold* <https://evil.example|safe>"


def policy() -> Catalog:
    """The policy that all of it is drawn from."""
    return catalog()


def choice(name: str) -> Choice:
    """Something that can be asked for."""
    found = policy().find(name)
    assert found is not None
    return found


def chosen(name: str, rules: Catalog | None = None) -> Chosen:
    """It, as the form has it."""
    found = (rules or policy()).find(name)
    assert found is not None
    return Chosen(terms.terms(rules or policy(), found), NAMES, AT + 4 * HOUR)


def request(id_: str = "J-7K3Q", what: str = "debug", reason: str = EVIL, asked: int = 1800, at: float = AT) -> Request:
    """Mia's request, as it is first recorded."""
    known, rules = choice(what), policy()
    return begin(
        Submitted(
            at=at,
            by=MIA.id,
            id=id_,
            requester=MIA,
            what=known.name,
            title=known.title,
            reason=reason,
            duration=asked,
            roles=tuple(snapshot(rules, ref.system, ref.role) for ref in known.roles),
            generation=rules.policy_hash,
            grant_budget=600,
            decide_by=at + 4 * HOUR,
        )
    )


def taken_at_once() -> Request:
    """The same, taken by break-glass while user groups could not be read, and active."""
    glass = BreakGlass(at=AT, review_by=AT + 24 * HOUR, by_list=True)
    return opened().model_copy(update={"break_glass": glass, "reviews": ()})


def snapshot(rules: Catalog, system: str, name: str) -> RoleSnapshot:
    """A role as it was asked for."""
    return submit.snapshot(rules, system, name, consequence, can_extend)


ASKING = """
systems:
  db:
    title: Orders database
    provider: postgresql
    config: {dsn: "env:DSN"}
    channel: C0VAULT01
    approvers: [dba]
    roles:
      reader:
        grants: {member_of: [{ask: group}], database: {ask: database}}
        asks:
          group: {title: Which data, choice: [app_readers, audit_readers], default: app_readers}
          database: {pattern: ".+", example: orders}
        max: 8h
        may_ask: [everyone]
"""
GIVEN = {"group": "audit_readers", "database": EVIL}


def asking() -> Catalog:
    """The policy with a role that asks for inputs, one of which takes any text; its vault asks for a key."""
    text = POLICY.replace("systems:\n", ASKING[1:], 1)
    key = "grants: {door: {ask: public_key}, secret: true}\n        asks: {public_key: {ssh_public_key: true}}"
    return catalog(text.replace("grants: {door: vault, secret: true}", key))


def given(rules: Catalog, system: str, role: str, values: Mapping[str, str]) -> RoleSnapshot:
    """A role as it was asked for, with what was given for its inputs."""
    found = rules.find(f"{system}/{role}")
    assert found is not None
    return submit.snapshot(rules, system, role, consequence, can_extend, check_inputs(rules, found, values))


def with_inputs(id_: str = "J-7K3Q") -> Request:
    """Mia's request for the role that asks for inputs."""
    asked = request(id_)
    leg = asked.legs[0].model_copy(update={"role": given(asking(), "db", "reader", GIVEN)})
    return asked.model_copy(update={"what": "db/reader", "title": leg.role.title, "legs": (leg,)})


def with_key(id_: str = "J-7K3T") -> Request:
    """Mia's request for the role that asks for a key."""
    asked = request(id_)
    typed = {"public_key": f"{ssh_keys.EXAMPLE} mia@laptop"}
    leg = asked.legs[0].model_copy(update={"role": given(asking(), "vault", "read-only", typed)})
    return asked.model_copy(update={"legs": (leg,)})


def opened(id_: str = "J-7K3R") -> Request:
    """One that is open."""
    approved = Review(verb=Verb.APPROVE, by=DAN, at=AT + 60, duration=1800)
    times = {"approved_at": AT + 60, "opened_at": AT + 62, "granted_at": AT + 62, "ends_at": AT + 1862}
    asked = request(id_)
    legs = tuple(leg.model_copy(update={"connect": "knock at vault as jit-j-7k3r-0"}) for leg in asked.legs)
    return asked.model_copy(update={"state": State.ACTIVE, "reviews": (approved,), "legs": legs, **times})


def draft(id_: str = "J-7K3U") -> Request:
    """One that Kim requested for Mia, who has not answered."""
    waits = {"state": State.DRAFT, "waits_for": DraftWait.CONSENT, "waits_until": AT + 1800}
    return request(id_).model_copy(update={"requested_by": KIM, **waits})


def accepted_for_mia() -> Request:
    """One that Kim requested for Mia, who accepted."""
    return request("J-7K3W").model_copy(update={"requested_by": KIM, "consented_at": AT + 50})


def opened_for_mia() -> Request:
    """One that is open, requested by Kim for Mia."""
    return opened("J-7K3X").model_copy(update={"requested_by": KIM, "consented_at": AT + 50})


def longer(id_: str = "J-6668") -> Request:
    """One whose end is asked to be later."""
    wish = Extension(n=1, until=AT + 3600, reason=EVIL, at=AT + 900)
    return opened(id_).model_copy(update={"requester": EVE, "extension": wish})


def ended(id_: str = "J-7K3S", at: float = AT - HOUR) -> Request:
    """One that is over."""
    over = {"state": State.ENDED, "ending": Ending.RELEASED, "closed_by": MIA.id, "closed_at": at + 900}
    return request(id_, "vault/shared", "to look around", at=at).model_copy(update=over)


def of_two() -> Request:
    """A request of two roles."""
    return request("J-7K3T", "vault/read-only + vault/shared")


def mine(**more: Any) -> Overview:
    """What concerns somebody; nothing where it is not told."""
    nothing: dict[str, Any] = {"open": (), "waiting": (), "recent": (), "offers": ()}
    return Overview(**{**nothing, **more})


def _full() -> Overview:
    offers = tuple(choice for choice in policy().choices() if choice.name != "vault/admin")
    past = tuple(ended(id_, AT - n * HOUR) for n, id_ in enumerate(("J-2222", "J-3333", "J-4444", "J-5555")))
    waits = (request("J-6666", "vault/admin").model_copy(update={"requester": EVE}), request("J-6667"), longer())
    both = (request(), opened())
    cards = {"J-6666": PostedMessage("C0VAULT01", "1800000000.000100")}
    return mine(
        open=both, waiting=waits, recent=(*both, *past), offers=offers, secrets=frozenset({"J-7K3R"}), cards=cards
    )


PAT = Operator(by="UPAT", name="Pat", person=person("T0LOCAL01", "pat"))
LOCK = Lock(system="", operator=PAT, reason=EVIL, at=AT, votes=(Vote(operator=PAT, at=AT + 60),))
LOCK_OF_VAULT = Lock(system="vault", operator=Operator(by="cli:kim@host", name="cli:kim@host"), reason=EVIL, at=AT)


def told(what: str, **more: Any) -> dict[str, Any]:
    """A lockdown as the audit trail has it."""
    return {"what": what, "by": PAT.by, "name": PAT.name, "system": "", "reason": EVIL, "votes": [], **more}


STANDS_IN = Delegation(id="D-7K3QWX", person=DAN, stand_in=EVE, at=AT, until=AT + 72 * HOUR)


def _back() -> Delegation:
    """The other way round, with a name that is none."""
    return STANDS_IN.model_copy(update={"person": EVE.model_copy(update={"name": EVIL}), "stand_in": DAN})


def delegated(**more: Any) -> dict[str, Any]:
    """A delegation as the audit trail has it."""
    plain = {"by": DAN.id, "person": DAN.id, "name": "Dan", "stand_in": EVE.id, "stand_in_name": EVIL}
    return {**plain, "until": STANDS_IN.until, **more}


LINK = "https://local.slack.com/archives/C0VAULT01/p1800000000000100"


def half() -> Request:
    """One that needs two answers, and has one."""
    yes = Review(verb=Verb.APPROVE, by=DAN, at=AT + 60, duration=1800)
    return request(what="vault/admin").model_copy(update={"reviews": (yes,)})


def void() -> Request:
    """One that the policy took back before it was decided."""
    return request().model_copy(update={"state": State.CANCELLED, "closed_by": "policy", "closed_at": AT + 60})


def with_another_reason() -> Request:
    """Mia gave a better reason, and asks for less, when she answered."""
    event = QuestionAsked(at=AT, by=DAN.id, question=ApproverQuestion(n=1, by=DAN, text="Which?", at=AT))
    answered = QuestionAnswered(
        at=AT + 60,
        by=MIA.id,
        n=1,
        answer="",
        reason_change=ReasonChange(before=EVIL, after="INC-43 disk full"),
        duration_change=DurationChange(before=3600, after=1800),
    )
    return advance(advance(request(asked=3600), event), answered)


def _open_ones(count: int) -> list[Request]:
    return [opened(f"J-{2222 + n:04}".replace("0", "A").replace("1", "B")) for n in range(count)]


def _many() -> list[Choice]:
    return [choice("debug").model_copy(update={"name": f"t{n}", "title": f"Template {n}"}) for n in range(101)]


def _crowd() -> list[Request]:
    return [request(f"J-66{a}{b}", reason=EVIL * 20) for a in "23" for b in "23456789ABCDEFG"]


def _explained(*names: str) -> str:
    return role_terms.all_explained([terms.terms(policy(), choice(name)) for name in names], NAMES)


_RULES = """
rules:
  - {when: {sensitivity: low, at_most: 1h, requester_in: [dba]}, then: approve, budget: 3/day}
  - {when: {sensitivity: low, at_most: 1h}, unless: {frozen: [release]}, then: approve, budget: 1/day}
  - when: {hours: {days: [friday], from: "16:00", to: "06:00", timezone: Europe/Berlin}}
    then: {deny: Nothing begins on a Friday <!here> evening.}
  - {when: {frozen: [release]}, then: {require: {steps: [{any_of: [security, platform], count: 2}]}}}
  - {when: {what: [vault]}, unless: {requester_in: [dba]}, then: {shorten: 1h}}
  - {when: {frozen: [release]}, then: {deny: "The release runs."}}
  - {when: {sensitivity: low, requester_in: [security], at_most: 1h, what: [both]}, then: approve, budget: 1/day}
"""


def _explained_by_rules(name: str) -> str:
    """What rules would make of it for Mia, of whom and of a calendar not everything is known."""
    shape = PolicyShape.model_validate(yaml.safe_load(POLICY + _RULES))
    known = catalog_of(shape)
    roster = {"dba": Members(), "security": Members(), "platform": Members()}
    facts = Circumstances(now=AT, begins=AT)
    actor = Actor(person=MIA, roster=roster)
    found = known.find(name)
    assert found is not None
    explained = terms.terms(known, found, found=preview(known, actor, found, facts))
    return role_terms.all_explained([explained], NAMES)


def _candidate(name: str, presence: SlackPresence) -> Candidate:
    return Candidate(f"U{name[:8].upper()}", name, presence)


REACH = (
    StepReach(
        ("dba",),
        1,
        (
            _candidate("Dan", SlackPresence(active=True, muted_until=AT + HOUR)),
            _candidate("Eve", SlackPresence(active=True, muted_until=0.0)),
            _candidate("Sam <!channel> `x`", SlackPresence(active=False, muted_until=math.inf)),
            Candidate("UUNKNOWN1"),
        ),
        12,
    ),
    StepReach(("security",), 1, (_candidate("Kim", SlackPresence(active=False, muted_until=0.0)),)),
)


def _explain(name: str, reach: tuple[StepReach, ...], lately: DecisionTimes | None, **more: Any) -> SlackMessage:
    return explain.explained(terms.terms(policy(), choice(name), **more), NAMES, reach, lately, AT)


def _told(steps: tuple[StepReach, ...], *helps: str) -> SlackMessage:
    """What the requester reads beneath the answer."""
    return reach.message(request(), reach.reachable_approvers(request(), steps, NAMES, helps, LINK))


def _explained_steps() -> str:
    """Of a role by itself, and together with another."""
    written = (
        "ordered: true\n          steps: [{owner: true, skip_if_requester_in: [platform]}, "
        "{any_of: [security], count: 2, escalate: {after: 30m, to: [platform, dba]}}]"
    )
    rules = catalog(POLICY.replace("steps: [{any_of: [dba]}, {any_of: [security]}]", written))
    found = [rules.find(what) for what in ("vault/admin", "vault/admin + vault/shared")]
    return role_terms.all_explained([terms.terms(rules, each) for each in found if each], NAMES)


_BAD_FILE = {"stays": "0123456789abcdef", "mistakes": [f"jit.yaml:2:1: {EVIL}"] * 5, "more": 3}
_CHANGED = {"was": "0123456789abcdef", "now": "fedcba9876543210", "via": "worker@host"}


def _question() -> SearchFilters:
    return SearchFilters(
        person="UMIA", system="vault", when="last week", since=AT - 7 * 24 * HOUR, until=AT, pages=(40,)
    )


def _page() -> AuditPage:
    """Of a request, a refusal with a hostile reason, and one that is not sealed yet."""
    refused = {"by": "UEVE", "verb": "review", "about": EVIL, "why": EVIL}
    entries = [
        (AuditEntry(39, AT + 70, "J-7K3R", 4, "granted", '{"by":"worker"}'), opened()),
        (AuditEntry(38, AT + 60, "J-7K3R", 2, "approved", '{"by":"UDAN"}'), opened()),
        (AuditEntry(37, AT + 50, "", 0, "refused", json.dumps(refused)), None),
        (AuditEntry(36, 1e300, "", 0, "read", '{"by":"cli:ada@host","read":"search"}'), None),
    ]
    return AuditPage(_question(), entries=entries, more=36, sealed=38, tail=1)


def _page_with_inputs() -> AuditPage:
    entry = AuditEntry(38, AT + 60, "J-7K3Q", 2, "approved", '{"by":"UDAN"}')
    return AuditPage(_question(), entries=[(entry, with_inputs())], sealed=38)


def _held() -> AuditPage:
    sure = Holding("J-7K3R", 1, 0, "UMIA", "mia@example.com", "vault", "read-only", AT + 61, AT + 62)
    maybe = Holding("J-7K3S", 9, 0, "UEVE", "eve@example.com", "vault", "admin", AT + 63, None, AT + 90, "revoked")
    return AuditPage(SearchFilters(at=AT + 70, when="at 2027-01-15T08:01Z"), holdings=[sure, maybe], total=2, sealed=38)


def _look() -> Scan:
    ids = tuple(f"J-{n}{n}{n}{n}" for n in range(2, 9))
    fast = f"{EVIL} approved within 10 s 7 times, of 9 decisions in 30 d."
    seven = Insight(
        "rubber-stamp", "rubber-stamp x", InsightSeverity.HIGH, fast, "Ask.", 7, AT, ids, tuple(range(1, 8))
    )
    gone = Insight("inactive", "inactive dba", InsightSeverity.MEDIUM, "1 of 2 people.", "Look.", 1, AT, people=(EVIL,))
    known = Insight(
        "asked-again", "asked-again x", InsightSeverity.LOW, "Mia was given it.", "A template.", 5, AT, ids, (1,)
    )
    return Scan(
        AT + HOUR, (SeenInsight(seven, AT), SeenInsight(gone, AT - HOUR), SeenInsight(known, AT, AT + 30 * 24 * HOUR))
    )


def _with_proof(preview: ProofPreview) -> View:
    return modals.ask(
        policy().choices(), chosen("debug"), modals.Filled(3600, "INC-1 why", confirm=proof.asked(preview))
    )


DRAWINGS: Mapping[str, Callable[[], View | SlackMessage | str | list[Any]]] = {
    "ask-empty": lambda: modals.ask(policy().choices()),
    "ask-template": lambda: modals.ask(policy().choices(), chosen("debug"), modals.Filled(3600, EVIL)),
    "ask-role-of-two-steps": lambda: modals.ask(policy().choices(), chosen("vault/admin")),
    "ask-too-long": lambda: modals.ask(policy().choices(), chosen("debug"), modals.Filled(9 * HOUR, "INC-1")),
    "ask-here": lambda: modals.ask(
        policy().choices(), None, modals.Filled(3600, "https://local.slack.com/archives/C0GENERAL/p1")
    ),
    "ask-of-many": lambda: modals.ask(_many(), chosen("debug")),
    "ask-suggested": lambda: modals.suggested(policy().choices(), "vault"),
    "ask-inputs": lambda: modals.ask(
        asking().choices(), chosen("db/reader", asking()), modals.Filled(3600, EVIL, inputs={"database": EVIL})
    ),
    "ask-inputs-given": lambda: modals.ask(
        asking().choices(), chosen("db/reader", asking()), modals.Filled(inputs={**GIVEN, "database": "x" * 300})
    ),
    "ask-inputs-of-nothing": lambda: modals.ask(asking().choices(), None, modals.Filled(inputs=GIVEN)),
    "ask-key": lambda: modals.ask(
        asking().choices(), chosen("debug", asking()), modals.Filled(inputs={"public_key": ssh_keys.EXAMPLE})
    ),
    "approve-less": lambda: modals.approve_less(request()),
    "deny": lambda: modals.deny(request()),
    "ask-for-others": lambda: modals.ask(
        policy().choices(), chosen("debug"), modals.Filled(3600, EVIL, person="UMIA", for_others=True)
    ),
    "ask-for-others-empty": lambda: modals.ask(policy().choices(), None, modals.Filled(for_others=True)),
    "decline": lambda: modals.decline(draft()),
    "home-for-others": lambda: home.home(
        mine(open=(draft(),), requested_for_others=(draft("J-7K3V"), opened_for_mia()), waiting=(accepted_for_mia(),))
    ),
    "list-for-others": lambda: request_list.listing([draft()], [accepted_for_mia()], (), [opened_for_mia()]),
    "show-own-draft": lambda: showing.shown(draft(), Needed(), Reader(asked=True)),
    "show-filed-draft": lambda: showing.shown(draft(), Needed(), Reader(requested_by=True)),
    "show-filed-open": lambda: showing.shown(opened_for_mia(), Needed(), Reader(requested_by=True, acts=True)),
    "approver-asked-for-others": lambda: dms.to_decide(accepted_for_mia(), Needed(((NAMES["dba"], 1),)), LINK),
    "answer-requested-for-others": lambda: request_line.answer(draft()),
    "question": lambda: modals.question(request()),
    "answer": lambda: modals.answer(
        request(asked=3600), ApproverQuestion(n=2, by=DAN, text=EVIL, at=AT), choice("debug").reason
    ),
    "answer-once-approved": lambda: modals.answer(half(), ApproverQuestion(n=2, by=DAN, text=EVIL, at=AT)),
    "approve-less-after-a-change": lambda: modals.approve_less(with_another_reason()),
    "revoke": lambda: modals.revoke(opened()),
    "break-glass": lambda: break_glass.use(request(asked=7200), 2700),
    "break-glass-with-a-code": lambda: break_glass.use(request(asked=7200), 2700, confirm=proof.asked(CODE)),
    "break-glass-new": lambda: break_glass.use_new(
        choice("vault/read-only"),
        2700,
        RequestForm(what="vault/read-only", duration=600, reason=EVIL),
        proof.NOT_IN_A_COMMAND,
        proof.asked(CODE),
    ),
    "ask-with-a-code": lambda: _with_proof(CODE),
    "ask-confirmed-before": lambda: _with_proof(ProofPreview(fresh=PROOF, now=PROOF.at + 200)),
    "ask-without-a-factor": lambda: _with_proof(ProofPreview(refusal=NotEnrolled(ProofUse.REQUEST, ("totp",)))),
    "ask-while-locked": lambda: _with_proof(ProofPreview(refusal=FactorLocked(ProofUse.REQUEST, AT + 60))),
    "ask-with-a-new-factor": lambda: _with_proof(ProofPreview(refusal=FactorTooNew(ProofUse.REQUEST, AT + 24 * HOUR))),
    "approve-less-with-a-code": lambda: modals.approve_less(request(), "", proof.asked(CODE), 900, proof.NOT_YET),
    "extend-with-a-code": lambda: extension.extend(opened(), 1800, EVIL, proof.NOT_YET, proof.asked(CODE)),
    "approve-code": lambda: proof.approve(request(), ("totp", "recovery")),
    "approve-extension-code": lambda: proof.approve_extension(longer(), ("totp",)),
    "accept-code": lambda: proof.accept(draft(), ("totp",)),
    "reveal-code": lambda: proof.reveal(opened(), ("totp",)),
    "break-glass-review": lambda: break_glass.review(taken_at_once()),
    "break-glass-answer": lambda: break_glass.answer(taken_at_once()),
    "break-glass-answer-of-an-owner": lambda: break_glass.answer(
        request().model_copy(
            update={
                "only_required": True,
                "required_steps": (
                    RequiredStep(any_of=("dba",), because="the review of the requester's J-2ABC is overdue"),
                ),
            }
        )
    ),
    "ask-several": lambda: modals.ask(
        [choice("vault/shared + vault/read-only"), *policy().choices()],
        chosen("vault/shared + vault/read-only"),
        modals.Filled(3600, EVIL),
    ),
    "secrets": lambda: secrets.choose(of_two(), of_two().legs),
    "mfa-none": lambda: mfa.own(OwnFactors(AT)),
    "mfa-offered": lambda: mfa.own(OwnFactors(AT, offered_until=AT + HOUR), typed=True),
    "mfa-full": lambda: mfa.own(
        OwnFactors(
            AT,
            (
                OwnFactor("totp", AT - 100 * HOUR, AT - 76 * HOUR, None),
                OwnFactor("totp", AT - HOUR, AT + 23 * HOUR, None),
                OwnFactor("recovery", AT - HOUR, AT + 23 * HOUR, 7),
            ),
            locked_until=AT + 60,
        )
    ),
    "mfa-used-up": lambda: mfa.own(OwnFactors(AT, (OwnFactor("recovery", AT - HOUR, AT - 1, 0),))),
    "mfa-doubted": lambda: mfa.own(OwnFactors(AT, doubt="it is an older one, put back")),
    "mfa-message": lambda: mfa.to_open(typed=True),
    "mfa-twice": lambda: mfa.done_before(ConfirmedFactor(AT + 24 * HOUR)),
    "mfa-told": lambda: people.notified({"dm": f"Two operators reset it: {EVIL}"}, "UMIA"),
    "note": lambda: modals.note("JIT Access", "Nobody decides about their own request."),
    "overview-empty": lambda: home.overview(mine()),
    "overview": lambda: home.overview(_full()),
    "home-empty": lambda: home.home(mine()),
    "home": lambda: home.home(_full(), "https://local.slack.com", "You approved *Debug the vault* (J-7K3Q), 30 min."),
    "home-refused": lambda: home.refused("Guests cannot request or approve access."),
    "show-own": lambda: showing.shown(request(), Needed(((NAMES["dba"], 1),)), Reader(asked=True)),
    "show-own-open": lambda: showing.shown(opened(), Needed(), Reader(asked=True, secret=True)),
    "show-decider": lambda: showing.shown(request(), Needed(((NAMES["dba"], 1),)), Reader(acts=True)),
    "show-reader": lambda: showing.shown(request(), Needed(((NAMES["dba"], 1),)), Reader()),
    "show-decider-of-the-end": lambda: showing.shown(longer(), Needed(((NAMES["dba"], 1),)), Reader(acts=True)),
    "home-locked-down": lambda: home.home(mine(locks=(LOCK, LOCK_OF_VAULT))),
    "overview-locked-down": lambda: home.overview(mine(locks=(LOCK,))),
    "lockdown": lambda: lockdown.lockdown({"vault": "Vault", "shed": "Shed"}, "", EVIL, ()),
    "lockdown-of-a-system": lambda: lockdown.lockdown({"vault": "Vault"}, "vault", EVIL, (LOCK_OF_VAULT,)),
    "lockdown-of-many": lambda: lockdown.lockdown({f"s{n}": f"System {n}" for n in range(200)}, "s150", "", ()),
    "digest-busy": lambda: views_digest.announcement(golden("busy"), ("2026-11-23",), late=True),
    "digest-busy-details": lambda: views_digest.details(golden("busy"), ("2026-11-23",)),
    "digest-busy-details-as-lines": lambda: views_digest.details(golden("busy"), ("2026-11-23",), as_table=False),
    "digest-busy-with-its-chart": lambda: views_digest.announcement(golden("busy"), picture="F0CHART01"),
    "digest-delegations": lambda: views_digest.announcement(golden("delegations")),
    "digest-delegations-details": lambda: views_digest.details(golden("delegations")),
    "digest-quiet": lambda: views_digest.announcement(golden("quiet")),
    "digest-quiet-details": lambda: views_digest.details(golden("quiet")),
    "digest-weekly": lambda: views_digest.announcement(weekly_of(), ("weekly-2026-11-13",), late=True),
    "digest-weekly-details": lambda: views_digest.details(weekly_of(), ("weekly-2026-11-13",)),
    "delegation-named": lambda: delegation.named(STANDS_IN, ("dba", "security")),
    "delegation-ended": lambda: delegation.ended(STANDS_IN),
    "delegation-list": lambda: delegation.listed(OwnDelegations(DAN, (STANDS_IN, _back()))),
    "delegation-nobody": lambda: delegation.NOBODY,
    "delegation-not-understood": lambda: delegation.not_understood(EVIL),
    "delegation-told-the-stand-in": lambda: delegation.notified(delegated(), EVE.id),
    "delegation-told-the-approver": lambda: delegation.notified(delegated(by="cli:pat@host"), DAN.id),
    **{
        f"delegation-{why}-told": lambda why=why, by=by: delegation.notified(delegated(by=by, why=why), EVE.id)  # type: ignore[misc]  # bound now
        for why, by in (("ended", "UDAN"), ("expired", "clock"), ("deactivated", "worker"), ("replaced", "UDAN"))
    },
    "delegation-ended-at-a-terminal-told": lambda: delegation.notified(
        delegated(by="cli:pat@host", why="ended"), DAN.id
    ),
    "delegation-over": lambda: record_alarms.delegation_over("J-7K3Q"),
    "home-standing-in": lambda: home.home(mine(delegations=OwnDelegations(DAN, (STANDS_IN, _back())))),
    "lockdown-told": lambda: lockdown.announcement(told("locked_down")),
    "lockdown-told-of-a-system": lambda: lockdown.announcement(told("locked_down", system="vault")),
    "lockdown-lift-told": lambda: lockdown.announcement(told("lift_voted", votes=["Pat"])),
    "lockdown-lifted-told": lambda: lockdown.announcement(told("lifted", system="vault", votes=["Pat", EVIL])),
    "lockdown-lift": lambda: lockdown.lifting(LiftVote(LOCK, lifted=False, repeated=False)),
    "lockdown-lift-again": lambda: lockdown.lifting(LiftVote(LOCK, lifted=False, repeated=True)),
    "lockdown-lifted": lambda: lockdown.lifting(LiftVote(LOCK_OF_VAULT, lifted=True, repeated=False)),
    "revoke-all": lambda: revoke_all("`vault`", '{"system":"vault"}', _open_ones(3), EVIL),
    "revoke-all-of-many": lambda: revoke_all("<@UMIA>", '{"user":"UMIA"}', _open_ones(40), ""),
    "revoked-all": lambda: taken(BulkRevocation(tuple(_open_ones(2)), already_ended=1, not_tried=0), operator=True),
    "revoked-all-in-part": lambda: taken(
        BulkRevocation(tuple(_open_ones(1)), already_ended=0, not_tried=7), operator=False
    ),
    "crowd": lambda: summary_card.summary("C0VAULT01", 23, [request(), request("J-6667", at=AT + 60)]),
    "crowd-of-one": lambda: summary_card.summary("C0VAULT01", 1, [request()]),
    "crowd-over": lambda: summary_card.summary("C0VAULT01", 0, []),
    "waiting": lambda: summary_card.waiting("C0VAULT01", [request(), request("J-6667", "vault/admin")]),
    "waiting-of-many": lambda: summary_card.waiting("C0VAULT01", _crowd()),
    "waiting-after": lambda: summary_card.waiting("C0VAULT01", _crowd(), 20),
    "waiting-for-others": lambda: summary_card.waiting("C0VAULT01", []),
    "approver-asked": lambda: dms.to_decide(request(), Needed(((NAMES["dba"], 1),)), LINK),
    "approver-asked-without-a-link": lambda: dms.to_decide(request(), Needed((("`dba`", 1),)), "javascript:<evil>"),
    "approver-asked-with-inputs": lambda: dms.to_decide(with_inputs(), Needed(((NAMES["dba"], 1),)), LINK),
    "approver-half-answered": lambda: dms.to_decide(half(), Needed(((NAMES["security"], 1),)), LINK),
    "approver-of-the-second-step": lambda: dms.to_decide(
        half(), Needed(((NAMES["security"], 1),), ladder=("1. `dba`: Dan approved · 2. `security`: waits for 1",)), LINK
    ),
    "approver-of-the-first-of-two-places": lambda: dms.to_decide(
        half(), Needed(((NAMES["dba"], 1),), later=1, ladder=("1. `dba`: Dan approved, waits for 1 more",)), LINK
    ),
    "approver-answered": lambda: dms.to_decide(opened(), Needed(), LINK),
    "approver-void": lambda: dms.to_decide(void(), Needed(), LINK),
    "list": lambda: request_list.listing([request(), opened()], [ended()]),
    "list-inputs": lambda: request_list.listing([with_inputs(), with_key()], []),
    "who-inputs": lambda: request_list.holders("db", "Orders database", [with_inputs()]),
    "show-inputs": lambda: showing.shown(with_key(), Needed(((NAMES["dba"], 1),)), Reader(asked=True)),
    "home-inputs": lambda: home.home(
        mine(open=(with_key(),), waiting=(with_inputs(),), recent=(with_key(),), offers=tuple(asking().choices()))
    ),
    "waiting-inputs": lambda: summary_card.waiting("C0VAULT01", [with_inputs()]),
    "explain-inputs": lambda: role_terms.all_explained(
        [chosen(name, asking()).terms for name in ("debug", "db/reader")], NAMES
    ),
    "who-auditor": lambda: request_list.holders("vault", "Vault", [opened()], everything=True),
    "audit-waiting": lambda: audit.waiting(_question()),
    "audit-page": lambda: audit.page(_page()),
    "audit-nothing": lambda: audit.page(
        AuditPage(SearchFilters(kind="granted"), sealed=7, not_searched=("There is no archive.",))
    ),
    "audit-held": lambda: audit.page(_held()),
    "audit-page-table": lambda: audit.message(_page()),
    "audit-page-inputs": lambda: audit.page(_page_with_inputs()),
    "audit-page-inputs-table": lambda: audit.message(_page_with_inputs()),
    "audit-page-table-as-lines": lambda: audit.message(_page(), as_table=False),
    "audit-held-table": lambda: audit.message(_held()),
    "audit-page-sent": lambda: audit.page(_page(), audit.SENT),
    "policy-changed": lambda: policy_change.announcement(_CHANGED, Shift((Right(EVIL, "request", "vault/admin"),), ())),
    "policy-changed-unknown": lambda: policy_change.announcement(_CHANGED, None),
    "policy-file-bad": lambda: policy_change.of_file(_BAD_FILE),
    "policy-file-good": lambda: policy_change.of_file({"well": True}),
    "policy-changed-nobody": lambda: policy_change.announcement(_CHANGED, Shift((), ())),
    "who": lambda: request_list.holders("vault", "Vault", [opened()]),
    "who-nobody": lambda: request_list.holders("vault", "Vault", []),
    "explain": lambda: _explained("debug", "vault/admin"),
    "explain-rules": lambda: _explained_by_rules("debug"),
    "explain-one": lambda: _explain("debug", REACH[:1], DecisionTimes((30.0, 700.0, 60.0), 1)),
    "explain-critical": lambda: _explain("vault/admin", REACH, DecisionTimes((130.0,)), may_request=False),
    "explain-not-told": lambda: _explain("debug", (), None),
    "reach": lambda: _told(REACH[:1]),
    "reach-nobody": lambda: _told(
        REACH, *reach.helps(["C0VAULT01", "C0ORDERS1"], [NAMES["dba"]], ["<@UPAT>", "<@USAM>"])
    ),
    "explain-steps": _explained_steps,
    "insights": lambda: insights.modal(_look(), shows=True),
    "insights-table": lambda: insights.message(_look()),
    "insights-table-as-lines": lambda: insights.message(_look(), as_table=False),
    "insights-of-an-auditor": lambda: insights.modal(_look(), shows=False),
    "insights-none": lambda: insights.modal(Scan(AT), shows=True),
    "insights-nobody-looked": lambda: insights.modal(Scan(0), shows=True),
}
"""Each view, by the name of its golden file."""


def drawn(name: str) -> Any:
    """What Slack would be sent."""
    view = DRAWINGS[name]()
    if isinstance(view, SlackMessage):
        return {"text": view.text, "blocks": view.blocks}
    if isinstance(view, str):
        return {"text": view}
    return [part.to_dict() for part in view] if isinstance(view, list) else view.to_dict()


def spelled(name: str) -> str:
    """As its golden file has it."""
    return json.dumps(drawn(name), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def write(folder: Path, names: Iterable[str], content: Callable[[str], str]) -> None:
    """The golden files of a folder, anew: one a name, and no other."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    for name in names:
        (folder / f"{name}.json").write_text(content(name), encoding="utf-8")


if __name__ == "__main__":
    write(FOLDER, DRAWINGS, spelled)
