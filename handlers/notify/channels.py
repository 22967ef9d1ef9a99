"""Where a notification may be posted: the system's channel if nobody outside can read it, or a DM; it posts nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from slack_sdk.web.async_client import AsyncWebClient

from handlers.slack.api import NotNow, SlackRefused, Unanswered, answered

_NOBODY = frozenset({"user_disabled"})


class Undeliverable(Exception):
    """A notification that can never be delivered; the message says why."""


class Unread(Exception):
    """The recipient's account is deactivated: nobody is there to read it, and there is nothing to repair."""


@dataclass(frozen=True)
class Looked:
    """What was found out about a channel, and when; ``flaw`` is empty when it can be used."""

    flaw: str
    at: float


@dataclass
class Channels:
    """The channels and DMs of one workspace.

    ``good_for``, ``bad_for``: seconds for which a look at a channel stays valid; a channel that was just
    repaired, by inviting the bot, is to be used soon.
    """

    client: AsyncWebClient
    good_for: float = 60.0
    bad_for: float = 5.0
    _channels: dict[str, Looked] = field(default_factory=dict, repr=False)
    _dms: dict[str, str] = field(default_factory=dict, repr=False)

    async def channel(self, id_: str) -> str:
        """The channel, if it can be used. Raises `Undeliverable`; `NotNow`, `Unanswered` while that is not known."""
        known = self._channels.get(id_)
        if known is None or not self._fresh(known):
            known = await self._look(id_, known)
            self._channels[id_] = known
        if known.flaw:
            raise Undeliverable(known.flaw)
        return id_

    def _fresh(self, known: Looked) -> bool:
        return time.monotonic() - known.at < (self.bad_for if known.flaw else self.good_for)

    async def dm(self, user: str) -> str:
        """The DM with someone. Raises `Unread`, `Undeliverable`, `NotNow`, `Unanswered`."""
        if user not in self._dms:
            try:
                answer = await answered(self.client.conversations_open(users=user))
            except SlackRefused as error:
                if error.code in _NOBODY:
                    raise Unread(user) from error
                raise Undeliverable(f"no DM with {user}: {error.code}") from error
            self._dms[user] = str(answer["channel"]["id"])
        return self._dms[user]

    async def _look(self, id_: str, known: Looked | None) -> Looked:
        try:
            info = (await answered(self.client.conversations_info(channel=id_)))["channel"]
        except SlackRefused as error:
            return Looked(f"the channel {id_} cannot be used: {error.code}", time.monotonic())
        except (NotNow, Unanswered):
            # A channel that was never looked at may be anybody's: nothing is posted until Slack tells.
            if known is None:
                raise
            return known
        return Looked(_flaw(id_, info), time.monotonic())


def _flaw(id_: str, info: dict[str, object]) -> str:
    if info.get("is_ext_shared") or info.get("is_pending_ext_shared"):
        return f"the channel {id_} is shared outside; requests are not shown there"
    if info.get("is_archived"):
        return f"the channel {id_} is archived"
    if not info.get("is_member", True):
        return f"the bot is not in the channel {id_}: invite it there"
    return ""
