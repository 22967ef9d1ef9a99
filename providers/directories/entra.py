"""Microsoft Entra ID: who is in a group, and who has an address, by Microsoft Graph v1.0; it writes nothing.

Nested groups are followed by Graph itself. The list is asked for as a whole and not as that of users alone: the latter
comes from an index that lags behind, and can be empty where that index is not asked for in the right way.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from pydantic import AfterValidator, SecretStr, model_validator
from yarl import URL

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
from providers.directories.oauth import CLIENT_ASSERTION, JwtKey, OAuthReader, base64url
from providers.directories.people import attributes_of, known_person, one_of, value_at

MOST_PAGES = 5
_PAGE_SIZE = 999
_MOST_NAMESAKES = 10
_LONGEST_LINK = 8_000
_GUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_TENANT = rf"{_GUID}|[A-Za-z0-9-]{{1,63}}(?:\.[A-Za-z0-9-]{{1,63}})+"
_USER = "#microsoft.graph.user"
_GONE = "Request_ResourceNotFound"
_NONSENSE = "it answers something else than Microsoft Graph does"
_RIGHTS = "give the app the application permissions GroupMember.Read.All and User.Read.All, with admin consent"
_HINTS = {401: "it does not take the token: `url` and `login_url` have to be of one cloud", 403: _RIGHTS}
_ACCOUNTS = (
    "it does not say whether accounts are enabled: give the app the application permission User.Read.All "
    "(User.ReadBasic.All is not enough), with admin consent"
)
_TOKEN_HINTS = {
    "invalid_client": "see `client_secret` or `certificate`, when it expires, and this machine's clock",
    "unauthorized_client": "see `tenant` and `client_id`: there is no such app in this tenant, or it may not be used",
    "invalid_request": "see `tenant`",
    "invalid_scope": "see `url`: it has to be Graph's in the cloud of `login_url`",
    "invalid_resource": "see `url`: it has to be Graph's in the cloud of `login_url`",
}


def _tenant(text: str) -> str:
    if not re.fullmatch(_TENANT, text):
        raise ValueError("this is neither the id of a tenant nor one of its domains")
    return text


def _client(text: str) -> str:
    if not re.fullmatch(_GUID, text):
        raise ValueError("this is no application id")
    return text


def _certificate(pem: SecretStr) -> SecretStr:
    _signer(pem.get_secret_value())
    return pem


def _signer(pem: str) -> JwtKey:
    """What signs with a certificate's key. Raises `ValueError`."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise ValueError("it holds no certificate in PEM beside the private key") from None
    key = JwtKey(pem, "PS256", {"x5t#S256": base64url(certificate.fingerprint(hashes.SHA256()))})
    if not key.belongs_to(certificate.public_key()):
        raise ValueError("its private key is not that of its certificate")
    return key


class EntraConfig(PeopleOptions, HttpOptions):
    """An app of a tenant, which proves itself with a secret or with a certificate."""

    tenant: Annotated[str, AfterValidator(_tenant)]
    """Its id, or one of its domains."""
    client_id: Annotated[str, AfterValidator(_client)]
    client_secret: SecretStr | None = None
    certificate: Annotated[SecretStr, AfterValidator(_certificate)] | None = None
    """The private key and the certificate, both in PEM, one after the other."""
    address: Literal["mail", "user_principal_name"] = "mail"
    """Which attribute is somebody's e-mail address."""
    url: WebAddress = "https://graph.microsoft.com"
    """Graph in a national cloud, such as ``https://graph.microsoft.us``; ``login_url`` goes with it."""
    login_url: WebAddress = "https://login.microsoftonline.com"

    @model_validator(mode="before")
    @classmethod
    def _proves_itself_in_one_way(cls, config: Any) -> Any:
        # Before the values are looked at: in a policy file they are references, which are no certificate yet.
        if isinstance(config, Mapping):
            given = [name for name in ("client_secret", "certificate") if config.get(name) is not None]
            if len(given) != 1:
                raise ValueError("give `client_secret` or `certificate`, one of them")
        return config


class Entra:
    """One tenant."""

    Config: ClassVar[type[Frozen]] = EntraConfig

    def __init__(self, config: EntraConfig) -> None:
        """Open nothing."""
        self._config = config
        self._base = f"{config.url.rstrip('/')}/v1.0"
        self._token_url = f"{config.login_url.rstrip('/')}/{config.tenant}/oauth2/v2.0/token"
        self._signer = _signer(config.certificate.get_secret_value()) if config.certificate else None
        self._reader = OAuthReader(config, self._token_url, self._form, _token_hint)

    def __repr__(self) -> str:
        """Without the secret."""
        return "Entra()"

    @property
    def settles_within(self) -> float:
        """A look-up has a limit of its own."""
        return LOOK_UP + self._reader.settles_within

    @classmethod
    def capabilities(cls) -> DirectoryCapabilities:
        """Groups that are kept by hand or by a rule."""
        return DirectoryCapabilities(shifts=False, group="the object id of a group", people=True)

    @classmethod
    def group_flaw(cls, group: str) -> str:
        """An object id."""
        if re.fullmatch(_GUID, group):
            return ""
        return "write `group:` with the object id of a group, as its overview has it"

    async def members(self, group: str, now: float) -> GroupAnswer:  # noqa: ARG002  # its present is Entra's own
        """Who is in the group, directly or by a nested one. Raises `Refused`, `NoAnswer`."""
        async with look_up():
            await self._require(group)
            return await self._members(group)

    async def person(self, email: str, now: float) -> DirectoryPerson | None:  # noqa: ARG002  # its present is Entra's own
        """Who has this address. Raises `Refused`, `NoAnswer`."""
        attributes = {name.partition(".")[0] for name in self._config.attributes}
        selected = ["id", self._address, "accountEnabled", *sorted(attributes)]
        # A quote within a text is doubled (OData 4.01, 5.1.1.14.1); letters of either size agree.
        condition = f"{self._address} eq '{email.replace(chr(39), chr(39) * 2)}'"
        asked = [("$filter", condition), ("$select", ",".join(dict.fromkeys(selected))), ("$top", str(_MOST_NAMESAKES))]
        async with look_up():
            page = await self._loaded("users", asked)
        if "@odata.nextLink" in page:
            raise Refused("more accounts have this address than are read")
        accounts = [each for each in _entries(page) if email_address(each.get(self._address)) == email]
        return one_of([self._person(account, email) for account in accounts])

    def _person(self, account: Mapping[str, Any], email: str) -> DirectoryPerson:
        if (enabled := account.get("accountEnabled")) is None:
            raise Refused(_ACCOUNTS)
        if not isinstance(enabled, bool) or not re.fullmatch(_GUID, str(account.get("id"))):
            raise NoAnswer(_NONSENSE)
        attributes = attributes_of(self._config.attributes, lambda name: value_at(account, name))
        return known_person(str(account["id"]).lower(), email, active=enabled, attributes=attributes)

    async def check(self) -> Health:
        """Whether the app may read groups and accounts. Raises `Refused`, `NoAnswer`."""
        async with look_up():
            _entries(await self._loaded("groups", [("$select", "id"), ("$top", "1")]))
            page = await self._loaded("users", [("$select", "id,accountEnabled"), ("$top", "1")])
        if any(user.get("accountEnabled") is None for user in _entries(page)):
            raise Refused(_ACCOUNTS)
        return Health(target="Microsoft Entra ID", detail="the app may read groups and accounts")

    @property
    def _address(self) -> str:
        return "mail" if self._config.address == "mail" else "userPrincipalName"

    async def close(self) -> None:
        """Let go of the connection."""
        await self._reader.close()

    async def _require(self, group: str) -> None:
        """That the group is there, and one whose people can be read. Raises `Refused`, `NoAnswer`."""
        found = await self._loaded(f"groups/{group}", [("$select", "id,securityEnabled,groupTypes,visibility")], group)
        kinds, secures = found.get("groupTypes"), found.get("securityEnabled")
        is_it = str(found.get("id")).lower() == group.lower()
        if not is_it or not isinstance(kinds, list) or not isinstance(secures, bool):
            raise NoAnswer(_NONSENSE)
        if not secures and "Unified" not in kinds:
            raise Refused(f"{group} is neither a security group nor a Microsoft 365 group")
        if found.get("visibility") == "HiddenMembership":
            # Without a right of its own, such a group may be told as an empty one.
            raise Refused(f"{group} hides its members: name another group")

    async def _members(self, group: str) -> GroupAnswer:
        accounts: list[dict[str, Any]] = []
        path, seen = f"groups/{group}/transitiveMembers", set[str]()
        asked = [("$select", "id,mail,userPrincipalName,accountEnabled"), ("$top", str(_PAGE_SIZE))]
        for _ in range(MOST_PAGES):
            page = await self._loaded(path, [] if seen else asked, group)
            accounts += [entry for entry in _entries(page) if _kind(entry) == _USER]
            if (link := page.get("@odata.nextLink")) is None:
                return self._answer(accounts, whole=True)
            path = self._followed(link)
            if path in seen:
                raise NoAnswer("its list of members never ends")
            seen.add(path)
        return self._answer(accounts, whole=False)

    def _answer(self, accounts: list[dict[str, Any]], *, whole: bool) -> GroupAnswer:
        enabled = [account.get("accountEnabled") for account in accounts]
        if not all(each is None or isinstance(each, bool) for each in enabled):
            raise NoAnswer(_NONSENSE)
        if enabled and all(each is None for each in enabled):
            raise Refused(_ACCOUNTS)
        # Of whom it is not known whether the account is enabled is nobody, and makes the answer not whole.
        people = [
            email_address(account.get(self._address)) if account.get("accountEnabled") else None
            for account in accounts
            if account.get("accountEnabled") is not False
        ]
        return GroupAnswer(frozenset(filter(None, people)), whole=whole and all(people))

    def _followed(self, link: object) -> str:
        """The address of the next page, which gets the token: of the same host, port and version. Raises `NoAnswer`."""
        if not isinstance(link, str) or len(link) > _LONGEST_LINK:
            raise NoAnswer(_NONSENSE)
        try:
            target = URL(link)
            same = target.origin() == URL(self._base).origin() and target.user is None
        except ValueError:
            raise NoAnswer(_NONSENSE) from None
        if not same or not target.path.startswith(f"{URL(self._base).path}/"):
            raise NoAnswer("its next page is on another host, which is not asked")
        return link

    async def _loaded(self, path: str, params: list[tuple[str, str]], group: str = "") -> dict[str, Any]:
        """What is at a path, or at the address of a next page. Raises `Refused`, `NoAnswer`."""
        url = path if path.startswith(("http://", "https://")) else f"{self._base}/{path}"
        page = await self._reader.get(url, params)
        found = json_object(page)
        if page.ok and found is not None:
            return found
        if group and page.status == 404 and _code(found) == _GONE:
            raise Refused(f"Microsoft Entra ID has no group {group}")
        raise NoAnswer(_NONSENSE) if page.ok else refusal(page, _HINTS)

    def _form(self) -> Mapping[str, str]:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._config.client_id,
            "scope": f"{self._config.url.rstrip('/')}/.default",
        }
        if self._signer is None:
            return {**form, "client_secret": (self._config.client_secret or SecretStr("")).get_secret_value()}
        who = self._config.client_id
        claims = {"aud": self._token_url, "iss": who, "sub": who, "jti": str(uuid.uuid4())}
        return {
            **form,
            "client_assertion_type": CLIENT_ASSERTION,
            "client_assertion": self._signer.assertion(claims),
        }


def _entries(page: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries = page.get("value")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise NoAnswer(_NONSENSE)
    return entries


def _kind(entry: Mapping[str, Any]) -> str:
    """What a member is: a user, or a nested group, whose people are listed themselves, a device, an app, a contact."""
    kind = entry.get("@odata.type")
    if not isinstance(kind, str):
        raise NoAnswer(_NONSENSE)
    return kind


def _code(found: Mapping[str, Any] | None) -> object:
    error = (found or {}).get("error")
    return error.get("code") if isinstance(error, dict) else None


def _token_hint(error: str, answer: Mapping[str, Any]) -> str:
    """With the number that Microsoft's pages explain."""
    numbers = answer.get("error_codes")
    known = isinstance(numbers, list) and numbers and isinstance(numbers[0], int)
    said = f" (AADSTS{numbers[0]})" if known and numbers else ""
    return f"{_TOKEN_HINTS.get(error, 'see the app in Microsoft Entra ID')}{said}"
