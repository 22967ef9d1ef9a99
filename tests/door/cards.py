"""What people see of a request, story by story: the card, its lock screen, its thread and the asker's letters.

``python -m tests.door.cards`` writes the golden files anew. Look at what changed in them before you commit it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bot.core import notices
from bot.core.events import (
    Approved,
    ApprovedByRule,
    Asked,
    Attempted,
    Cancelled,
    ClosedByHand,
    Denied,
    Endorsed,
    Event,
    Expired,
    Extended,
    ExtensionApproved,
    ExtensionAsked,
    ExtensionDenied,
    ExtensionFailed,
    Granted,
    Lapsed,
    Refused,
    Reminded,
    Retried,
    Revoked,
    Started,
    Submitted,
    Warned,
    Withdrawn,
)
from bot.core.lifecycle import advance, begin
from bot.core.model import ByRule, Ending, Extension, Request, Review, State, Verb
from handlers.views import card, letters
from handlers.views.card import Message, Needed
from tests.door.drawing import AT, DAN, EVE, EVIL, HOUR, MIA, NAMES, choice, policy, snapshot, write
from tests.house import person

FOLDER = Path(__file__).parent / "golden" / "cards"
SITE = "https://local.slack.com"
SAM = person("T0LOCAL01", "sam")
CONNECT = "psql 'host=db.example.com dbname=<!channel> user=jit_j_7k3q_0'"
_ABSENT = {"presence": "absent", "killed": 1}


def asked(what: str = "debug", **more: Any) -> Submitted:
    """Mia asks."""
    known, rules = choice(what), policy()
    roles = tuple(snapshot(rules, ref.system, ref.role) for ref in known.roles)
    plain: dict[str, Any] = {"by": MIA.id, "asker": MIA, "title": known.title, "reason": EVIL, "duration": 1800}
    plain |= {"generation": rules.generation, "grant_budget": 600, "decide_by": AT + 4 * HOUR, "warn_before": 600}
    return Submitted(at=AT, id="J-7K3Q", what=known.name, roles=roles, **{**plain, **more})


def by_rule(**more: Any) -> ApprovedByRule:
    """Mia asks, and a rule says yes; its group is called what would be a mention."""
    first = asked(**more)
    facts = {name: getattr(first, name) for name in Submitted.model_fields if name not in {"kind", "by"}}
    said: dict[str, Any] = {"sensitivity": "low", "asker_in": ("dba", "channel"), "at_most": 3600, "what": ("debug",)}
    return ApprovedByRule(rule=ByRule(n=1, key="k", used=2, budget=3, **said), **facts)


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
        Attempted(
            at=at, leg=leg, subject={"native": "a", "own": True}, target="t", prior=prior, in_flight_until=at + 5
        ),
        Granted(at=at + 1, leg=leg, receipt={"native": "a", "facts": {}, "ours": True}, connect=CONNECT),
    ]


OPEN: list[Event] = [asked(), approved(), *granted()]
_END = AT + 62 + 1800
_WISH = ExtensionAsked(at=AT + 900, by=MIA.id, extension=Extension(n=1, until=_END + 1800, reason=EVIL, at=AT + 900))
_MORE = ExtensionApproved(at=AT + 960, by=DAN.id, review=yes(), until=_END + 1800)
_LATER: dict[str, Any] = {"starts_at": AT + 10 * HOUR, "start_grace": 900, "decide_by": AT + 10 * HOUR + 900}
_AWAY = "the server does not answer <!channel>"


def _stuck(tries: int) -> list[Event]:
    return [Retried(at=_END + n, leg=0, error=_AWAY, retry_at=_END + n + 1) for n in range(tries)]


def _withdrawn(ending: Any, by: str, reason: str = "") -> Withdrawn:
    return Withdrawn(at=AT + 900, by=by, ending=ending, reason=reason)


CLOSED = Revoked(at=_END + 5, leg=0, outcome=_ABSENT)
CLOSED_LATER = Revoked(at=_END + 1805, leg=0, outcome=_ABSENT)
_LONGER: list[Event] = [
    *OPEN,
    Warned(at=_END - 450),
    _WISH,
    _MORE,
    Extended(at=AT + 970, receipts=({"native": "a"},)),
]
STORIES: Mapping[str, Sequence[Event]] = {
    "pending": [asked()],
    "pending-reminded": [asked(remind_at=AT + 2 * HOUR), Reminded(at=AT + 2 * HOUR)],
    "pending-critical": [asked("vault/admin")],
    "pending-critical-half": [asked("vault/admin"), Endorsed(at=AT + 60, by=DAN.id, review=yes())],
    "pending-from-a-message": [asked(reason=f"{SITE}/archives/C0GENERAL/p1800000000000100")],
    "pending-several-roles": [asked("both")],
    "pending-later": [asked(**_LATER)],
    "denied": [asked(), Denied(at=AT + 60, by=EVE.id, review=no())],
    "cancelled": [asked(), Cancelled(at=AT + 60, by=MIA.id)],
    "void": [asked(), Cancelled(at=AT + 60, by="policy", reason="its role was changed in the policy")],
    "lapsed": [asked(), Lapsed(at=AT + 4 * HOUR)],
    "scheduled": [asked(**_LATER), approved()],
    "scheduled-by-rule": [by_rule(**_LATER)],
    "scheduled-by-rule-void": [
        by_rule(**_LATER),
        Cancelled(at=AT + 10 * HOUR, by="policy", reason="the rule that approved it does not hold any more"),
    ],
    "scheduled-started": [asked(**_LATER), approved(), Started(at=AT + 10 * HOUR)],
    "scheduled-missed": [asked(**_LATER), approved(), Lapsed(at=AT + 10 * HOUR + 900)],
    "scheduled-taken-away": [asked(**_LATER), approved(), _withdrawn(Ending.REVOKED, EVE.id, "not tonight")],
    "granting": [asked(), approved(duration=900)],
    "granting-by-rule": [by_rule()],
    "granting-trouble": [asked(), approved(), Retried(at=AT + 62, leg=0, error=_AWAY, retry_at=AT + 63)],
    "failed": [asked(), approved(), Refused(at=AT + 61, leg=0, error="Mia has no account there")],
    "active": OPEN,
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
    "ended-extended": [*_LONGER, Warned(at=_END + 1350), Expired(at=_END + 1800), CLOSED_LATER],
    "revoking-expired": [*OPEN, Expired(at=_END)],
    "revoking-stuck": [*OPEN, Expired(at=_END), *_stuck(3)],
    "ended-expired": [*OPEN, Warned(at=_END - 450), Expired(at=_END), CLOSED],
    "ended-released": [*OPEN, _withdrawn(Ending.RELEASED, MIA.id), CLOSED],
    "ended-revoked": [*OPEN, _withdrawn(Ending.REVOKED, EVE.id, "INC-2 <!channel>"), CLOSED],
    "revoked-at-a-terminal": [*OPEN, _withdrawn(Ending.REVOKED, "cli:pat@host", "INC-2 <!channel>")],
    "ended-by-hand": [
        *OPEN,
        Expired(at=_END),
        *_stuck(3),
        ClosedByHand(at=_END + 99, by="cli:pat@host", reason="the server is gone"),
    ],
}
"""Each story by the name of its golden file: the events that led there."""


def told(name: str) -> dict[str, Any]:
    """All that stands in Slack once everything of the story was told."""
    first, *more = STORIES[name]
    assert isinstance(first, Asked)
    request = begin(first)
    audiences = set(notices.notices(request, first))
    lines = [card.line(request, first, needed(request))] if notices.THREAD in audiences else []
    for event in more:
        request = advance(request, event)
        audiences |= set(notices.notices(request, event))
        if notices.THREAD in notices.notices(request, event) and (said := card.line(request, event, needed(request))):
            lines.append(said)
    shown = {"card": _sent(card.card(request, needed(request), SITE)), "thread": lines}
    shown |= {audience: _sent(message) for audience, message in _letters(request).items() if audience in audiences}
    ends = {audience: of for audience in audiences if (of := notices.which_end(audience)) is not None}
    shown |= {audience: _sent(letters.ending(request, needed(request), of)) for audience, of in sorted(ends.items())}
    if by_hand := [event for event in more if event.by.startswith("cli:")]:
        shown |= {"audit": _sent(card.by_hand(request, by_hand[-1]))}
    return shown | ({"alarm": _sent(card.alarm(request))} if notices.ALARM in audiences else {})


def needed(request: Request) -> Needed:
    """Who is to decide, as the announcer finds it: the first step of the role."""
    wishes = request.extension is not None and request.extension.state.value == "pending"
    if request.state is not State.PENDING and not (request.state is State.ACTIVE and wishes):
        return Needed("", 0)
    critical = any(leg.role.sensitivity == "critical" for leg in request.legs)
    groups = ("dba", "security") if critical else ("dba",)
    waiting = groups[len(request.reviews) :] if request.state is State.PENDING else groups
    return Needed(", ".join(NAMES[group] for group in waiting), len(waiting))


def _letters(request: Request) -> dict[str, Message]:
    return {
        notices.RECEIVED: letters.received(request, needed(request)),
        notices.DECIDED: letters.decided(request, secret=True),
    }


def _sent(message: Message) -> dict[str, Any]:
    return {"text": message.text, "blocks": message.blocks}


def spelled(name: str) -> str:
    """As its golden file has it."""
    return json.dumps(told(name), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    write(FOLDER, STORIES, spelled)
