"""The card in the system's channel: the whole request, rendered from the record; an alarm about it, too.

Pure: a request in, a message out. What a button may do is judged when it is pressed, never here.
"""

from __future__ import annotations

from slack_sdk.models.blocks import ActionsBlock, Block, HeaderBlock

from bot.access.track_record import TrackRecord
from bot.core.request import Leg, Request, Review, Verb
from handlers.views import break_glass, confirmed, ended, status
from handlers.views.message import Needed, SlackMessage, context, section, warning
from handlers.views.questions import CHANGED, asked
from handlers.views.text import (
    by_rule,
    by_whom,
    fitting,
    headed,
    inert,
    inputs,
    lasts,
    length,
    linked,
    name,
    risk,
    safe,
    sensitivity,
    tappable,
    title,
    when,
    who_reviewed,
)

DECIDE = "decide"
"""The blocks of a card with the buttons of approvers and operators have ids that begin with it."""
_OPENS = 2_400
"""Characters of what the roles give: a section has 3,000, a message 13,000."""


def card(
    request: Request, needed: Needed, site: str = "", earlier: TrackRecord | None = None, channel: str = ""
) -> SlackMessage:
    """The card of a request, in whatever state it is.

    ``site``: the workspace's own address, as `linked` has it; ``earlier``: what came of such requests before;
    ``channel``: which of its cards, where it has several.
    """
    row = status.of(request)
    loud = [HeaderBlock(text="🚨 Break-glass: access without approval")] if request.break_glass else []
    blocks: list[Block] = [
        *loud,
        section(_heading(request, site)),
        section(_reason(request, site)),
        section(consequence(request, channel=channel)),
        *([section(given)] if (given := inputs(request)) else []),
        section(_standing(request, needed, earlier)),
        *([section("\n".join(needed.ladder))] if needed.ladder else []),
        *(section(asked(request, question)) for question in request.questions),
    ]
    for n, buttons in enumerate(row.card_buttons(request)):
        blocks.append(ActionsBlock(block_id=f"{DECIDE}_{n}" if n else DECIDE, elements=list(buttons)))
    requested = f"requested {when(request.created_at)}{confirmed.after(request.proof)}"
    blocks.append(context(f"{request.id} · {requested}"))
    lock_screen = f"🚨 Break-glass: {row.lock_screen(request)}" if request.break_glass else row.lock_screen(request)
    return SlackMessage(lock_screen, [block.to_dict() for block in blocks])


def alarm(request: Request) -> SlackMessage:
    """A message of its own: access that should have ended and may not have."""
    about = f"{request.id}, {name(request.requester)}, {title(request)}"
    if not request.is_closing:
        return warning(f"It took several tries to revoke this; access has ended: {about}.")
    said = ended.stuck(request)
    text = f"Access not revoked yet: {about}. The worker keeps trying."
    blocks = [section(f":rotating_light: *{text}*"), section(said or "The worker is checking again.")]
    return SlackMessage(text, [block.to_dict() for block in blocks])


def consequence(request: Request, most: int = _OPENS, channel: str = "") -> str:
    """What it gives, in ``most`` characters. Several roles have a line each, short enough for all of them.

    ``channel``: whose part to mark, where the roles are decided in several channels.
    """
    if len(request.legs) == 1:
        leg = request.legs[0]
        gives = _gives(leg, min(most, 600))
        alone = gives[:1].upper() + gives[1:]
        return alone if leg.role.title == request.title else f"{safe(leg.role.title, 120)} · {gives}"
    own = channel if len(request.channels) > 1 else ""
    return "\n".join(
        f"{'*Your part* · ' if own == leg.role.channel else ''}{_line(leg, most // len(request.legs))}"
        for leg in request.legs
    )


def _line(leg: Leg, most: int) -> str:
    """One role of several: each has a risk of its own."""
    heading = f"{risk(leg.role.sensitivity)} · {fitting(leg.role.title, min(120, most // 2))}"
    return f"{heading} · {_gives(leg, max(40, most - len(heading)))}"


def _gives(leg: Leg, most: int) -> str:
    """A system says there what was typed for an input, too."""
    said = fitting(leg.role.consequence, most)
    return inert(said) if leg.role.inputs else said


def _reason(request: Request, site: str) -> str:
    said = f"> {linked(request.reason, 600, site) or '_no reason given_'}"
    return f"{said}\n{CHANGED}" if request.reason_changes else said


def _heading(request: Request, site: str) -> str:
    """Who requests what for how long; how risky it is, and where it is."""
    asks = f"{tappable(request.requester, site)} · *{headed(request)}* · {lasts(request)}"
    return f"{asks}\n{risk(sensitivity(request))} · {status.of(request).badge(request)}"


def _standing(request: Request, needed: Needed, earlier: TrackRecord | None) -> str:
    """Whose approval it needs, by when, and what follows; or what came of it, and who did it."""
    said = [f":busts_in_silhouette: {by}{_accepted_with(request)}"] if (by := by_whom(request)) else []
    said += [_answered(request, review, needed) for review in request.reviews]
    if request.rule:
        said.append(f":ballot_box_with_check: Approved by {by_rule(request.rule)}")
    said += by_rules(request)
    said += [*break_glass.lines(request), *status.of(request).details(request, needed)]
    return "\n".join([*said, *([_earlier(earlier)] if earlier and request.awaits_decision else [])])


def _accepted_with(request: Request) -> str:
    proof = request.consent_proof
    return f" {name(request.requester)} confirmed it with {confirmed.factor(proof.factor)}." if proof else ""


def by_rules(request: Request) -> list[str]:
    """What rules did to the request, a line each."""
    said = []
    if short := request.shortened:
        said.append(f":scissors: Rule {short.rule} shortened it from {length(short.asked)} to {length(short.duration)}")
    by = {step.rule: step.because for step in request.required_steps if step.rule}
    said += [f":busts_in_silhouette: Rule {n} requires {fitting(because, 300)}" for n, because in by.items()]
    exist = {True: "exists", False: "does not exist"}
    return said + [f":ticket: {safe(t.ticket, 100)} {exist[t.exists]} in {safe(t.check, 40)}" for t in request.tickets]


def _answered(request: Request, review: Review, needed: Needed) -> str:
    if review.verb is Verb.DENY:
        return f":x: {who_reviewed(review)} denied: {fitting(review.reason, 1_500)}"
    approved = f"{who_reviewed(review)} approved ({for_how_long(request, review)}){_for(needed, review)}"
    return f":white_check_mark: {approved}{confirmed.after(review.proof)}"


def _for(needed: Needed, review: Review) -> str:
    """Which step an approval fills, while others are open."""
    step = needed.given.get(review.by.id)
    return f" for {step}" if step else ""


def for_how_long(request: Request, review: Review) -> str:
    """The time that an approval is for."""
    lasts = length(review.duration)
    return f"{lasts} of {length(request.asked)}" if review.duration < request.asked else lasts


def _earlier(record: TrackRecord) -> str:
    """What came of the person's requests for the same roles."""
    said = f"Earlier requests for this in the last {record.days} days: {record.approved} of {record.requests} approved"
    return f"{said}, {record.denied} denied" if record.denied else said
