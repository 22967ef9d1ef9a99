"""How approvers are reached, as each role says: mentioned on the card, or by a message; it judges nobody.

A message to an approver links to the card, is edited once the request is decided, and is never followed by a second.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from slack_sdk.web.async_client import AsyncWebClient

from bot.access import read
from bot.access.review import awaiting_decision
from bot.core import notifications
from bot.core.errors import CouldNotCheck, IdentityTaken, NotAMember
from bot.core.request import Request
from bot.core.verdict import Roster
from bot.policy import authorization, stand_ins
from bot.policy.approval_progress import ApprovalProgress, StepProgress
from bot.policy.catalog import Catalog, Role
from bot.store.indexes.card_queue import CardQueue
from bot.store.outbox import Outbox, PostedMessage, Row
from bot.store.store import Store
from handlers.notify.channels import Channels
from handlers.notify.poster import Poster, Waits
from handlers.slack.api import NotNow, SlackRefused, Unanswered, answered, error_name
from handlers.slack.directory import People
from handlers.views import dms
from handlers.views.ladder import ladder
from handlers.views.message import EscalatedStep, Needed, given
from handlers.views.text import code, name

log = logging.getLogger(__name__)

APPROVERS = "approvers"
"""The audience of all approvers who get a message: it becomes a row of `APPROVER` for each of them."""
APPROVER = "approver:"
MOST = 20
"""How many get a message about one request; the card says when there are more."""
_MOST_LOOKED_AT = 60
_STAND_INS = 5
"""Stand-ins that a card names."""
_AGAIN = 1.0


@dataclass(frozen=True)
class ApproverMessages:
    """The ways to the approvers of one workspace."""

    store: Store
    outbox: Outbox
    poster: Poster
    channels: Channels
    people: People
    client: AsyncWebClient
    catalog: Callable[[], Catalog]

    async def needed(self, request: Request, channel: str = "") -> Needed:
        """The approvals that are missing, with the approvers written as the roles say.

        ``channel``: of which card; the approvers of the roles on other cards are named there, and not mentioned.
        """
        open_ = awaiting_decision(request)
        if open_ is None:
            return Needed()
        catalog, roster, now = self.catalog(), await self.people.roster(), await self.store.now()
        progress = authorization.approval_progress(catalog, roster, open_, now)
        there = {leg.role.name for leg in request.legs if channel in {"", leg.role.channel}}
        own = [step for step in progress.now if step.name in there]
        each, missing = Counter[tuple[str, ...]](), Counter[str]()
        for step in own:
            each[step.any_of] += step.missing
        for step in {step.any_of: step for step in own}.values():
            who = await self._named_groups(catalog, roster, step)
            missing[who + _stand_ins(catalog, roster, step, request, now)] += each[step.any_of]
        note = "" if request.awaits_extension else _delivery_note(catalog, roster, own)
        others = {leg.n: _named(progress, leg.role.name) for leg in request.legs if leg.role.name not in there}
        steps = ladder(open_, progress, [leg.role.name for leg in request.legs if leg.role.name in there])
        return Needed(
            tuple(missing.items()),
            note,
            {} if steps else given(progress),
            others,
            sum(step.missing for step in progress.open if step.waits and step.name in there),
            steps,
            {(step.name, step.step.n): await self._escalated(catalog, step) for step in own if step.step.escalated},
        )

    async def _escalated(self, catalog: Catalog, step: StepProgress) -> EscalatedStep:
        """Those whom it reached are mentioned, unless the role mentions nobody."""
        role, _ = _role(catalog, step)
        to = step.step.escalated
        silent = role is not None and role.notify.mention == "none"
        return EscalatedStep(
            step.missing, _names(step.step.own), _names(to) if silent else await self.people.mention(to)
        )

    async def _named_groups(self, catalog: Catalog, roster: Roster, step: StepProgress) -> str:
        """The groups of a step: mentioned, named only, or named beside who is on call."""
        role, on_call = _role(catalog, step)
        if role is None or role.notify.mention == "group" or _on_call_is_unknown(catalog, roster, step, "mention"):
            return await self.people.mention(step.any_of)
        names = _names(step.any_of)
        if role.notify.mention == "none" or on_call is None:
            return names
        return f"{await self.people.mention([on_call])} (on call) or {names}"

    async def refresh(self, request: Request, *, again: bool = True) -> None:
        """The card changes: those who get a message get it, or have it edited; not ``again``, where one has it."""
        posts = await self.outbox.posts(request.id) if not request.awaits_decision else {}
        have = any(audience.startswith(APPROVER) for audience in posts)
        if have and not again:
            return
        if _may_dm(self.catalog(), request) or have:
            await self.outbox.ask([Row(request.id, APPROVERS, request.version)])

    async def deliver(self, row: Row, request: Request) -> None:
        """The row of all of them, or of one."""
        if row.audience == APPROVERS:
            kept = [a for a in await self.outbox.posts(request.id) if a.startswith(APPROVER)]
            new = [f"{APPROVER}{user}" for user in await self._recipients(request)]
            await self.outbox.ask([Row(request.id, a, request.version) for a in dict.fromkeys((*kept, *new))])
            await self.outbox.done(row, request.version)
        else:
            await self._deliver_to_one(row, request)

    async def _deliver_to_one(self, row: Row, request: Request) -> None:
        user, posts = row.audience.removeprefix(APPROVER), await self.outbox.posts(request.id)
        waits = request.awaits_decision
        if not waits and row.audience not in posts:
            await self.outbox.done(row, request.version)  # decided before it was posted
            return
        link = await self._link(request, posts, await self._card(request, user))
        message = dms.to_decide(request, await self.needed(request), link)
        await self.poster.show(row, message, await self.channels.dm(user), request.version)
        if not waits:
            await self.outbox.not_posted(row)  # this was its last edit
        elif (now := await self.store.load(request.id)) and now.request.version != request.version:
            await self.outbox.ask([Row(request.id, row.audience, now.request.version)])

    async def _card(self, request: Request, user: str) -> str:
        """The card with this approver's part: they may not be in the channels of the others."""
        if len(request.channels) == 1:
            return notifications.CARD
        try:
            person = await self.people.person(user)
        except (NotAMember, IdentityTaken, CouldNotCheck):
            return notifications.CARD
        return read.card_for(self.catalog(), await self.people.roster(), request, person)

    async def _link(self, request: Request, posts: dict[str, PostedMessage], audience: str) -> str:
        """The link to a card; empty when Slack does not answer. Raises `Waits` before the card is posted."""
        card = posts.get(audience)
        if card is None or not card.ts:
            channel = notifications.card_channel(request, audience)
            comes = await CardQueue(self.store).has_room(channel, request.id)
            if comes and await self.outbox.waits(request.id, audience):
                raise Waits(_AGAIN)
            return ""
        try:
            told = await answered(self.client.chat_getPermalink(channel=card.channel, message_ts=card.ts))
        except (NotNow, SlackRefused, Unanswered) as error:
            log.info("%s: Slack gave no link to the card: %s", request.id, error_name(error))
            return ""
        return str(told["permalink"])

    async def _recipients(self, request: Request) -> list[str]:
        """The accounts that get a message: as the roles say, who can decide now, and no more than `MOST`."""
        if not request.awaits_decision:
            return []
        catalog, roster = self.catalog(), await self.people.roster()
        now = await self.store.now()
        progress = authorization.approval_progress(catalog, roster, request, now)
        groups = [group for step in progress.now for group in _by_message(catalog, roster, step)]
        accounts = await self.people.accounts_of(dict.fromkeys(groups))
        # Whoever stands in for somebody comes first: that person is away.
        instead = [each.stand_in.id for name in groups if name in roster for each in roster[name].delegations]
        found: list[str] = []
        for user in [*dict.fromkeys((*instead, *accounts))][:_MOST_LOOKED_AT]:
            if len(found) < MOST and await self._may_decide(catalog, roster, request, user, now):
                found.append(user)
        return found

    async def _may_decide(self, catalog: Catalog, roster: Roster, request: Request, user: str, now: float) -> bool:
        try:
            person = await self.people.person(user)
        except (NotAMember, IdentityTaken):
            return False
        except CouldNotCheck as error:
            raise Waits(_AGAIN) from error
        return authorization.may_review(catalog, roster, request, person, now).allowed


def _stand_ins(catalog: Catalog, roster: Roster, step: StepProgress, request: Request, now: float) -> str:
    """Who can answer in the place of somebody of a step's groups, to follow its groups; empty where nobody can."""
    role, _ = _role(catalog, step)
    mentioned = role is None or role.notify.mention != "none"
    found = [
        each
        for each in stand_ins.standing_in(catalog, roster, step.any_of, now)
        if stand_ins.apart_from(roster, request.parties, (each.person, each.stand_in), now)
    ]
    said_ = [
        f"{f'<@{each.stand_in.id}>' if mentioned else name(each.stand_in)} (for {name(each.person)})"
        for each in found[:_STAND_INS]
    ]
    return "".join(f" or {one}" for one in said_)


def _names(groups: Iterable[str]) -> str:
    """Groups by name: nobody is mentioned."""
    return " or ".join(code(group, 40) for group in groups)


def _named(progress: ApprovalProgress, role: str) -> tuple[tuple[str, int], ...]:
    """What is missing for one role."""
    return tuple((_names(groups), count) for groups, count in progress.missing_for([role]).items())


def _role(catalog: Catalog, step: StepProgress) -> tuple[Role | None, str | None]:
    """The role that a step belongs to, and the group that is on call for its system."""
    system, _, name = step.name.partition("/")
    role = catalog.role(system, name)
    return role, catalog.systems[system].on_call if role else None


def _on_call_is_unknown(catalog: Catalog, roster: Roster, step: StepProgress, *by: str) -> bool:
    """Whether those on call are to be reached, by one of these ways, and nobody knows who they are: then all are."""
    role, on_call = _role(catalog, step)
    if role is None or on_call is None or (on_call in roster and roster[on_call].known):
        return False
    return "on-call" in {getattr(role.notify, way) for way in by}


def _by_message(catalog: Catalog, roster: Roster, step: StepProgress) -> Sequence[str]:
    """The groups of which people get a message."""
    role, on_call = _role(catalog, step)
    if role is None or role.notify.dm == "none":
        return ()
    if _on_call_is_unknown(catalog, roster, step, "dm"):
        return step.any_of
    return step.any_of if role.notify.dm == "all" else [on_call] if on_call else ()


def _may_dm(catalog: Catalog, request: Request) -> bool:
    """Whether anybody may get a message about it."""
    roles = (catalog.role(leg.role.system, leg.role.role) for leg in request.legs)
    return request.awaits_decision and any(role is not None and role.notify.dm != "none" for role in roles)


def _delivery_note(catalog: Catalog, roster: Roster, steps: Iterable[StepProgress]) -> str:
    """What the card says about how approvers were reached; empty in the usual case."""
    said_: dict[str, None] = {}
    for step in steps:
        groups = [roster[group] for group in _by_message(catalog, roster, step) if group in roster]
        count = len({who for members in groups for who in members.people})
        role, on_call = _role(catalog, step)
        if count > MOST:
            said_[f"{MOST} of {count} approvers got a direct message."] = None
        if _on_call_is_unknown(catalog, roster, step, "mention", "dm"):
            said_["Who is on call is not known right now, so all approvers are notified."] = None
        if (
            on_call
            and role
            and "on-call" in {role.notify.mention, role.notify.dm}
            and _surely_none(roster, on_call, step)
        ):
            said_["Nobody on call may approve it."] = None
    return " ".join(said_)


def _surely_none(roster: Roster, on_call: str, step: StepProgress) -> bool:
    """Whether nobody on call is in any group of the step; what cannot be compared may well be."""
    calls, groups = roster.get(on_call), [roster[group] for group in step.any_of if group in roster]
    if calls is None or not calls.known or not all(group.known for group in groups):
        return False
    if any(bool(group.users) != bool(calls.users) for group in groups):
        return False
    return not any(calls.users & group.users or calls.identities & group.identities for group in groups)
