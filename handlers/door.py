"""What every conversation with Slack needs: the desk, the people, and who is knocking; it decides nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.desk import Desk
from bot.record.looking import Looking
from bot.wishes import Actor
from handlers.announcer import Announcer
from handlers.aside import Aside
from handlers.homes import Homes
from handlers.payloads import Payload, sender
from handlers.people import People


@dataclass(frozen=True)
class Door:
    """The Slack side of one workspace. ``bot`` is our own bot id, by which our messages are known."""

    desk: Desk
    people: People
    announcer: Announcer
    homes: Homes
    bot: str
    looking: Looking
    aside: Aside = field(default_factory=Aside)

    async def who(self, payload: Payload) -> Actor:
        """Who sent it, looked up and judged anew. Raises `NotAMember`, `CouldNotCheck`, `IdentityTaken`."""
        said = sender(payload)
        return await self.people.actor(said.user, said.team)
