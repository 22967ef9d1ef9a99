"""E-mail addresses → Slack accounts, by what Slack says; a wrong guess is never made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from slack_sdk.web.async_client import AsyncWebClient

from bot.core.identity import identity_of, identity_or_none
from handlers.slack.api import AWAY, code
from handlers.slack.lookups import LookupAnswer, remember


@dataclass
class Addresses:
    """Looks accounts up by address. ``found`` hears of each account and the identity that its address is."""

    client: AsyncWebClient
    found: Callable[[str, str], None]
    _known: dict[str, LookupAnswer] = field(default_factory=dict, repr=False)

    async def mention(self, address: str) -> str:
        """``<@U…>`` for an address, or the address when nobody has it or Slack does not answer."""
        seen = self._known.get(address)
        if seen is not None and seen.fresh:
            return str(seen.value)
        try:
            answer = await self.client.users_lookupByEmail(email=address)
        except AWAY as error:
            return str(remember(self._known, address, address).value) if code(error) == "users_not_found" else address
        # Slack's own idea of which addresses are alike is wider than ours.
        user = answer["user"]
        told = identity_or_none(str((user.get("profile") or {}).get("email") or ""))
        if told != identity_of(address):
            return str(remember(self._known, address, address).value)
        self.found(str(user["id"]), identity_of(address))
        return str(remember(self._known, address, f"<@{user['id']}>").value)


def account_in(mention: str) -> str:
    """The account of a mention; '' where it is an address."""
    return mention[2:-1] if mention.startswith("<@") else ""
