"""Google Workspace: who is in a group, and who has an address, by the Admin SDK's Directory API; it writes nothing.

Nested groups are followed here, one list each: what Google puts together itself (``includeDerivedMembership``) has been
seen to differ from one time to the next, and says nothing of a group that could not be followed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

from pydantic import AfterValidator, Field, SecretStr

from providers.base import Frozen, Health
from providers.directories.base import (
    DirectoryCapabilities,
    DirectoryPerson,
    GroupAnswer,
    NoAnswer,
    PeopleOptions,
    Refused,
)
from providers.directories.http import LOOK_UP, HttpOptions, WebAddress, email_address, json_object, look_up, refusal
from providers.directories.oauth import JWT_BEARER, JwtKey, OAuthReader
from providers.directories.people import attributes_of, known_person, value_at
from providers.http_client import HttpAnswer

SCOPE = "https://www.googleapis.com/auth/admin.directory.group.member.readonly"
PEOPLE_SCOPE = "https://www.googleapis.com/auth/admin.directory.user.readonly"
"""For people alone: where the admin console does not allow it, groups can still be read."""
MOST_CALLS = 40
"""Lists of a look-up, one for each 200 members of each group."""
_PAGE_SIZE = 200
_LONGEST_PAGE_TOKEN = 4_000
_ADDRESS = re.compile(r"[a-z0-9][a-z0-9._+'-]{0,63}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+")
_ID = re.compile(r"[a-z0-9]{10,30}")
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_DOMAIN = re.compile(r"[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+")
_NONSENSE = "it answers something else than Google's Directory API does"
_GONE = frozenset({"notFound"})
_BUSY = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"})
_OFF = frozenset({"accessNotConfigured", "SERVICE_DISABLED"})
_INACTIVE = frozenset({"SUSPENDED", "ARCHIVED"})
_HINTS = {
    401: "it does not take the token: see `key` and `subject`",
    403: "`subject` has to be an administrator who may read groups, and the group one of its organization",
}
_PERSON_HINT = "`subject` has to be an administrator who may read users, and the address one of its organization"
_DELEGATION = "allow the client id of `key` the scope {} in the domain-wide delegation of the admin console"
_TOKEN_HINTS = {
    "invalid_grant": "see `key` (it may be deleted), `subject` (a user of the organization), and this machine's clock",
    "invalid_client": "see `key`: its service account may be deleted or disabled",
    "unauthorized_client": _DELEGATION,
    "access_denied": _DELEGATION,
    "invalid_scope": _DELEGATION,
    "admin_policy_enforced": "the organization does not let this service account in: see its API controls",
}


def _signer(text: str) -> tuple[str, JwtKey]:
    """The address of a service account, and what signs with its key. Raises `ValueError`, which shows nothing of it."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("type") != "service_account":
        raise ValueError("it is no key file of a service account, in JSON")
    account, pem, key_id = (found.get(name) for name in ("client_email", "private_key", "private_key_id"))
    if email_address(account) is None or not isinstance(pem, str):
        raise ValueError("the key file lacks `client_email` or `private_key`")
    header = {"kid": key_id} if isinstance(key_id, str) and _KEY_ID.fullmatch(key_id) else {}
    return str(account), JwtKey(pem, "RS256", header)


def _key_file(key: SecretStr) -> SecretStr:
    _signer(key.get_secret_value())
    return key


def _subject(text: str) -> str:
    if email_address(text) is None:
        raise ValueError("this is no e-mail address")
    return text


def _domain(text: str) -> str:
    if not _DOMAIN.fullmatch(text.lower()):
        raise ValueError("this is no domain")
    return text.lower()


class GoogleConfig(PeopleOptions, HttpOptions):
    """A service account, by its key file, that reads in the name of an administrator."""

    key: Annotated[SecretStr, AfterValidator(_key_file)]
    subject: Annotated[str, AfterValidator(_subject)]
    """The administrator's address."""
    domains: tuple[Annotated[str, AfterValidator(_domain)], ...] = Field(default=(), max_length=600)
    """All domains of the organization; that of ``subject`` where it is left out."""
    external: bool = False
    """Whether people of other organizations count, by their address."""
    url: WebAddress = "https://admin.googleapis.com"
    token_url: WebAddress = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address


@dataclass
class _Found:
    """What is known so far. ``waiting``: nested groups that are still to be read."""

    waiting: list[str]
    seen: set[str] = field(default_factory=set)
    people: set[str] = field(default_factory=set)
    whole: bool = True
    calls: int = 0

    def answer(self) -> GroupAnswer:
        return GroupAnswer(frozenset(self.people), whole=self.whole)


class GoogleWorkspace:
    """One organization."""

    Config: ClassVar[type[Frozen]] = GoogleConfig

    def __init__(self, config: GoogleConfig) -> None:
        """Open nothing."""
        self._config = config
        self._account, self._signer = _signer(config.key.get_secret_value())
        self._domains = frozenset(config.domains or {config.subject.rpartition("@")[2].lower()})
        self._reader = OAuthReader(config, config.token_url, partial(self._form, SCOPE), partial(_token_hint, SCOPE))
        self._people = OAuthReader(
            config, config.token_url, partial(self._form, PEOPLE_SCOPE), partial(_token_hint, PEOPLE_SCOPE)
        )

    def __repr__(self) -> str:
        """Without the key."""
        return "GoogleWorkspace()"

    @property
    def settles_within(self) -> float:
        """A look-up has a limit of its own."""
        return LOOK_UP + self._reader.settles_within

    @classmethod
    def capabilities(cls) -> DirectoryCapabilities:
        """Groups that are kept by hand or by a rule."""
        return DirectoryCapabilities(shifts=False, group="the e-mail address or the id of a group", people=True)

    @classmethod
    def group_flaw(cls, group: str) -> str:
        """An address, or an id."""
        if _ADDRESS.fullmatch(group) or _ID.fullmatch(group):
            return ""
        return "write `group:` with the e-mail address of a group, in small letters, or its id"

    async def members(self, group: str, now: float) -> GroupAnswer:  # noqa: ARG002  # its present is Google's own
        """Who is in the group, directly or by a nested one. Raises `Refused`, `NoAnswer`."""
        found = _Found([group])
        async with look_up():
            while found.waiting:
                await self._read(found.waiting.pop(), found)
        return found.answer()

    async def person(self, email: str, now: float) -> DirectoryPerson | None:  # noqa: ARG002  # its present is Google's own
        """Who has this address, which is of one account at most. Raises `Refused`, `NoAnswer`."""
        url = f"{self._config.url.rstrip('/')}/admin/directory/v1/users/{quote(email, safe='@')}"
        projection = "full" if self._config.attributes else "basic"
        async with look_up():
            page = await self._people.get(url, [("projection", projection)])
        found = json_object(page)
        if page.ok:
            return self._person(found or {}, email)
        reasons = _reasons(found)
        if page.status == 404 and reasons & _GONE:
            return None
        if page.status == 403 and not reasons & (_BUSY | _OFF):
            raise Refused(f"it answers {page.named()}: {_PERSON_HINT}")
        raise _refusal("", page, reasons)

    def _person(self, account: Mapping[str, Any], email: str) -> DirectoryPerson:
        aliases = [each for name in ("aliases", "nonEditableAliases") for each in account.get(name) or ()]
        addresses = {email_address(each) for each in (account.get("primaryEmail"), *aliases)}
        states = [account.get("suspended"), account.get("archived", False)]
        # An id is asked for at the same place: what comes back has to be whom the address is of.
        if account.get("kind") != "admin#directory#user" or email not in addresses:
            raise NoAnswer(_NONSENSE)
        if not all(isinstance(state, bool) for state in states):
            raise NoAnswer(_NONSENSE)
        attributes = attributes_of(self._config.attributes, lambda name: value_at(account, name))
        return known_person(account.get("id"), email, active=not any(states), attributes=attributes)

    async def check(self) -> Health:
        """Whether there is a token for the members of groups. Raises `Refused`, `NoAnswer`."""
        await self._reader.token()
        return Health(target="Google Workspace", detail="the key may ask for the members of groups")

    async def close(self) -> None:
        """Let go of the connection."""
        await self._reader.close()
        await self._people.close()

    async def _read(self, group: str, found: _Found) -> None:
        """Add the members of one group. Raises `Refused`, `NoAnswer`."""
        if group in found.seen:
            return
        nested = bool(found.seen)
        found.seen.add(group)
        tokens = [""]
        while found.calls < MOST_CALLS:
            found.calls += 1
            page = await self._page(group, tokens[-1], nested=nested)
            if page is None:
                found.whole = False
                return
            for entry in _entries(page):
                self._add(entry, found)
            following = page.get("nextPageToken") or ""
            if not isinstance(following, str) or len(following) > _LONGEST_PAGE_TOKEN:
                raise NoAnswer(_NONSENSE)
            if not following:
                return
            if following in tokens:
                raise NoAnswer("its list of members never ends")
            tokens.append(following)
        found.whole = False

    def _add(self, entry: Any, found: _Found) -> None:
        """Count a member, or have its group read; of whom nothing sure is known makes the answer not whole."""
        if not isinstance(entry, dict) or not isinstance(kind := entry.get("type"), str):
            raise NoAnswer(_NONSENSE)
        if kind == "GROUP" and isinstance(nested := entry.get("id"), str) and _ID.fullmatch(nested):
            found.waiting.append(nested)
            return
        address, status = email_address(entry.get("email")), entry.get("status")
        if kind in {"USER", "EXTERNAL"} and address and status in _INACTIVE:
            return
        # A member of type CUSTOMER is everybody of an organization, who are not listed.
        if kind in {"USER", "EXTERNAL"} and address and self._counts(kind, address, status):
            found.people.add(address)
        else:
            found.whole = False

    def _counts(self, kind: str, address: str, status: object) -> bool:
        ours = kind == "USER" and address.rpartition("@")[2] in self._domains
        # Of accounts elsewhere Google does not know whether they are active.
        return status == "ACTIVE" if ours else self._config.external and status in {None, "ACTIVE"}

    async def _page(self, group: str, token: str, *, nested: bool) -> dict[str, Any] | None:
        """A page of a group's members; None for a nested group that is not to be read. Raises `Refused`, `NoAnswer`."""
        asked = [("maxResults", str(_PAGE_SIZE)), *([("pageToken", token)] if token else [])]
        url = f"{self._config.url.rstrip('/')}/admin/directory/v1/groups/{group}/members"
        page = await self._reader.get(url, asked)
        found = json_object(page)
        if page.ok:
            if found is None or found.get("kind") != "admin#directory#members":
                raise NoAnswer(_NONSENSE)
            return found
        reasons = _reasons(found)
        if nested and (page.status == 404 or (page.status == 403 and not reasons & (_BUSY | _OFF))):
            return None
        raise _refusal(group, page, reasons)

    def _form(self, scope: str) -> Mapping[str, str]:
        claims = {
            "iss": self._account,
            "sub": self._config.subject,
            "scope": scope,
            "aud": self._config.token_url,
        }
        return {"grant_type": JWT_BEARER, "assertion": self._signer.assertion(claims)}


def _refusal(group: str, page: HttpAnswer, reasons: frozenset[str]) -> Refused | NoAnswer:
    if page.status == 404 and reasons & _GONE:
        return Refused(f"Google Workspace has no group {group}")
    if page.status == 403 and reasons & _BUSY:
        return NoAnswer(f"it answers {page.named()}: too much is asked of it", page.after)
    if page.status == 403 and reasons & _OFF:
        return Refused(f"it answers {page.named()}: enable the Admin SDK API in the project of `key`")
    return refusal(page, _HINTS)


def _entries(page: Mapping[str, Any]) -> list[Any]:
    entries = page.get("members", [])  # left out where there are none
    if not isinstance(entries, list):
        raise NoAnswer(_NONSENSE)
    return entries


def _reasons(found: Mapping[str, Any] | None) -> frozenset[str]:
    """Why a call failed, in Google's words, of both forms in which it says so."""
    error = (found or {}).get("error")
    said = [error.get(name) for name in ("errors", "details")] if isinstance(error, dict) else []
    causes = [cause for each in said if isinstance(each, list) for cause in each if isinstance(cause, dict)]
    return frozenset(reason for cause in causes if isinstance(reason := cause.get("reason"), str))


def _token_hint(scope: str, error: str, answer: Mapping[str, Any]) -> str:  # noqa: ARG001  # the code says it all
    return _TOKEN_HINTS.get(error, "see `key` and its project").format(scope)
