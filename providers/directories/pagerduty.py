"""PagerDuty: who is on call now, by a schedule or an escalation policy (REST API v2, ``/oncalls``); it writes nothing.

A schedule counts where an escalation policy uses it, since PagerDuty tells of nobody else as on call. Of an
escalation policy the first level counts, or as many as ``levels`` says.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr

from providers.base import Frozen, Health
from providers.directories.base import DirectoryCapabilities, GroupAnswer, NoAnswer, Refused
from providers.directories.http import HttpOptions, HttpReader, WebAddress, email_address, json_object, refusal
from providers.http_client import HttpAnswer

_ID = re.compile(r"[A-Z0-9]{5,30}")
_PAGE_SIZE = 100
_MOST_PAGES = 5
_CALLS = _MOST_PAGES + 2
_HINTS = {
    401: "see the token",
    402: "the account's plan does not allow it",
    403: "see the rights of the token: it has to read schedules, escalation policies, on-calls and users",
}
_NONSENSE = "it answers something else than PagerDuty's API does"
_GONE = 404

Kind = Literal["schedule", "escalation_policy"]
_PATHS: dict[Kind, str] = {"schedule": "schedules", "escalation_policy": "escalation_policies"}


class PagerDutyConfig(HttpOptions):
    """The account, by a token that only has to read."""

    token: SecretStr
    url: WebAddress = "https://api.pagerduty.com"
    """``https://api.eu.pagerduty.com`` for an account in Europe."""
    levels: int = Field(default=1, ge=1, le=20)
    """So many levels of an escalation policy are on call."""


class PagerDuty:
    """One account."""

    Config: ClassVar[type[Frozen]] = PagerDutyConfig

    def __init__(self, config: PagerDutyConfig) -> None:
        """Open nothing."""
        self._config, self._reader = config, HttpReader(config)
        self._kinds: dict[str, Kind] = {}
        """What each id was found to be."""

    def __repr__(self) -> str:
        """Without the token."""
        return "PagerDuty()"

    @property
    def settles_within(self) -> float:
        """A look-up is so many calls, one after the other."""
        return self._reader.settles_within * _CALLS

    @classmethod
    def capabilities(cls) -> DirectoryCapabilities:
        """Shifts."""
        return DirectoryCapabilities(shifts=True, group="the id of a schedule or an escalation policy, like PSCHED1")

    @classmethod
    def group_flaw(cls, group: str) -> str:
        """An id, as the address of its page has it."""
        if _ID.fullmatch(group):
            return ""
        return "write `group:` with the id of a schedule or an escalation policy, as the address of its page ends"

    async def members(self, group: str, now: float) -> GroupAnswer:  # noqa: ARG002  # its present is PagerDuty's own
        """Who is on call now. Raises `Refused`, `NoAnswer`."""
        kind = self._kinds.get(group) or await self._kind(group)
        people, whole, offset = set[str](), True, 0
        for _ in range(_MOST_PAGES):
            page = await self._page(group, kind, offset)
            entries = page.get("oncalls")
            if not isinstance(entries, list) or not isinstance(page.get("more"), bool):
                raise NoAnswer(_NONSENSE)
            for entry in entries:
                address = self._address(group, kind, entry)
                whole = whole and address is not None
                people |= {address} if address else set()
            if not page["more"]:
                break
            if not entries:
                raise NoAnswer(_NONSENSE)
            offset += len(entries)
        else:
            whole = False
        if not people and whole:
            # Nobody at all: also what would be said of an id that is gone by now.
            self._kinds.pop(group, None)
            await self._kind(group)
        return GroupAnswer(frozenset(people), whole=whole)

    async def check(self) -> Health:
        """Whether the token may read who is on call. Raises `Refused`, `NoAnswer`."""
        page = await self._get("oncalls", [("limit", "1")])
        if not page.ok:
            raise refusal(page, _HINTS)
        _loaded(page)
        return Health(target="PagerDuty", detail="the token may read who is on call")

    async def close(self) -> None:
        """Let go of the connection."""
        await self._reader.close()

    async def _kind(self, group: str) -> Kind:
        """What the id is of; asked once."""
        for kind, path in _PATHS.items():
            page = await self._get(f"{path}/{group}", [])
            if page.ok:
                found = _loaded(page).get(kind)
                if not isinstance(found, dict) or found.get("id") != group:
                    raise NoAnswer(_NONSENSE)
                self._kinds[group] = kind
                return kind
            if page.status != _GONE:
                raise refusal(page, _HINTS)
        raise Refused(f"PagerDuty has no schedule and no escalation policy {group}, or the token may not read it")

    async def _page(self, group: str, kind: Kind, offset: int) -> dict[str, Any]:
        asked = [("include[]", "users"), (f"{kind}_ids[]", group), ("time_zone", "UTC")]
        page = await self._get("oncalls", [*asked, ("limit", str(_PAGE_SIZE)), ("offset", str(offset))])
        if page.ok:
            return _loaded(page)
        self._kinds.pop(group, None)
        raise refusal(page, _HINTS)

    def _address(self, group: str, kind: Kind, entry: Any) -> str | None:
        """Whose turn an entry says it is: '' for nobody who counts, None for somebody without a usable address."""
        if not isinstance(entry, dict) or not isinstance(about := entry.get(kind), dict) or about.get("id") != group:
            raise NoAnswer(_NONSENSE)
        level, user = entry.get("escalation_level"), entry.get("user")
        if not isinstance(level, int) or not isinstance(user, dict):
            raise NoAnswer(_NONSENSE)
        if kind == "escalation_policy" and level > self._config.levels:
            return ""
        return email_address(user.get("email"))

    async def _get(self, path: str, params: list[tuple[str, str]]) -> HttpAnswer:
        headers = {
            "Accept": "application/vnd.pagerduty+json;version=2",
            "Authorization": f"Token token={self._config.token.get_secret_value()}",
        }
        return await self._reader.get(f"{self._config.url.rstrip('/')}/{path}", headers, params)


def _loaded(page: HttpAnswer) -> dict[str, Any]:
    if (found := json_object(page)) is None:
        raise NoAnswer(_NONSENSE)
    return found
