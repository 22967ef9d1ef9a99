"""What every conversation with Slack needs: the verbs' context, the people, and who sent it; it decides nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.access.audit_query import AuditSearch
from bot.access.context import AccessContext
from bot.access.decision_times import DecisionHistory
from bot.core.errors import IdentityTaken, LimitReached, LockedDown, NotAMember, UnknownPerson
from bot.core.identity import NotAnIdentity, identity_of
from bot.core.request import Person, Request
from bot.core.verdict import Actor
from bot.policy import authorization, stand_ins
from handlers.notify.announcer import Announcer
from handlers.notify.home_tabs import HomeTabs
from handlers.slack.background import BackgroundTasks
from handlers.slack.directory import People
from handlers.slack.payloads import Payload, sender

TURNED_AWAY = (IdentityTaken, LimitReached, LockedDown, NotAMember)
"""Refused before a verb judges, so that no verb audits it."""


@dataclass(frozen=True)
class Door:
    """The Slack side of one workspace. ``bot`` is our own bot id, by which our messages are known."""

    context: AccessContext
    people: People
    announcer: Announcer
    home_tabs: HomeTabs
    bot: str
    audit_search: AuditSearch
    decision_history: DecisionHistory
    background: BackgroundTasks = field(default_factory=BackgroundTasks)

    async def look_up_now(self, actor: Actor, request: Request) -> Actor:
        """Whoever approves: where a role is critical, by answers of Slack's that are asked for now.

        They were judged by what is known already, so that a press which is refused anyway costs Slack nothing. Raises
        what `People.look_up_now` does.
        """
        catalog = self.context.catalog()
        if not authorization.is_critical(catalog, request):
            return actor
        reviews = (*request.reviews, *(request.extension.reviews if request.extension else ()))
        instead = [review.stands_in_for.id for review in reviews if review.stands_in_for]
        instead += [each.person.id for each in stand_ins.of_stand_in(actor.roster, actor.person)]
        others = (*(party.id for party in request.parties), *(review.by.id for review in reviews), *instead)
        groups = stand_ins.with_stand_ins(catalog, authorization.concerned(catalog, request))
        return await self.people.look_up_now(actor.person.id, others, groups)

    async def person_for(self, typed: str) -> Person:
        """The person whom access is requested for, by account or by e-mail address.

        Raises `UnknownPerson`, `NotAMember` with whose account it is, `CouldNotCheck`.
        """
        try:
            user = typed if "@" not in typed else await self.people.account_of(identity_of(typed))
        except NotAnIdentity:
            user = ""
        if not user:
            raise UnknownPerson(typed[:80])
        try:
            return await self.people.person(user)
        except NotAMember as error:
            raise NotAMember(error.kind, user, error.directory) from error
        except IdentityTaken as error:
            raise NotAMember("taken", user) from error

    async def who(self, payload: Payload) -> Actor:
        """Who sent it, looked up again. Raises `NotAMember`, `CouldNotCheck`, `IdentityTaken`."""
        return await self.people.actor(sender(payload))
