"""A server that answers as Google's token endpoint and Directory API are documented to, and refuses as they do."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from providers.directories.google import PEOPLE_SCOPE, SCOPE
from providers.directories.oauth import JWT_BEARER
from tests.providers.api_server import again
from tests.providers.oauth import OAuthServer, key, pem, read

ACCOUNT = "jit@jit-test.iam.gserviceaccount.com"
KEY_ID = "0123456789abcdef0123456789abcdef01234567"
ADMIN = "ada@example.com"
GROUP, GROUP_ID = "dbas@example.com", "00gjdgxs2xrmj2u"


def key_file(**changed: Any) -> str:
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "jit-test",
            "private_key_id": KEY_ID,
            "private_key": pem(key()),
            "client_email": ACCOUNT,
            "client_id": "100000000000000000000",
            "token_uri": "https://oauth2.example.com/token",
            **changed,
        }
    )


def failed(status: int, reason: str, domain: str = "global", headers: dict[str, str] | None = None) -> web.Response:
    cause = {"message": "…", "domain": domain, "reason": reason}
    said = {"error": {"code": status, "message": "…", "errors": [cause]}}
    return web.json_response(said, status=status, headers=headers)


def no_token(status: int, error: str) -> web.Response:
    return web.json_response({"error": error, "error_description": "…"}, status=status)


class GoogleServer(OAuthServer):
    """An organization with a service account, and groups within groups."""

    TOKEN_PATH = "/token"

    def __init__(self) -> None:
        super().__init__()
        self.delegated = {SCOPE, PEOPLE_SCOPE}
        self.accounts: list[dict[str, Any]] = []
        """Users as they are described by themselves, whatever groups they are in."""
        self.users, self.admins = {ADMIN, "eve@example.com"}, {ADMIN}
        self.enabled = True
        self.ids = {GROUP: GROUP_ID}
        """Of each group, by its address; an id without members here is a group of somebody else's."""
        self.members: dict[str, list[dict[str, Any]]] = {GROUP_ID: []}
        self.page_token: str | None = None
        """In place of each token of a next page."""
        self.nested_answer: web.Response | None = None
        """In place of each answer but those about the first group."""

    def put(self, addresses: Iterable[str], group: str = GROUP_ID, **more: Any) -> None:
        self.members[group] = [self.user(address, **more) for address in addresses]

    def user(self, address: str | None, **more: Any) -> dict[str, Any]:
        named = {} if address is None else {"email": address}
        about = {"kind": "admin#directory#member", "id": "1157", "role": "MEMBER", "type": "USER", "status": "ACTIVE"}
        return {name: value for name, value in {**about, **named, **more}.items() if value is not None}

    def nested(self, id_: str, address: str = "team@example.com") -> dict[str, Any]:
        return self.user(address, type="GROUP", id=id_)

    def routes(self) -> list[web.RouteDef]:
        return [
            *super().routes(),
            web.get("/admin/directory/v1/groups/{key}/members", self._members),
            web.get("/admin/directory/v1/users/{key}", self._user),
        ]

    def malformed(self) -> web.Response:
        return no_token(400, "invalid_grant")

    def unauthorized(self) -> web.Response:
        return failed(401, "authError")

    def refused(self, form: dict[str, str]) -> web.Response | None:
        if form["grant_type"] != JWT_BEARER:
            return no_token(400, "unsupported_grant_type")
        header, claims = read(form["assertion"], key().public_key())
        if header != {"alg": "RS256", "typ": "JWT", "kid": KEY_ID} or claims["aud"] != f"{self.url}/token":
            return no_token(400, "invalid_grant")
        if not claims["iat"] <= self.now < claims["exp"] <= claims["iat"] + 3600:
            return no_token(400, "invalid_grant")
        if claims["iss"] != ACCOUNT or claims["sub"] not in self.users:
            return no_token(400, "invalid_grant")
        if not set(claims["scope"].split()) <= self.delegated:
            return no_token(401, "unauthorized_client")
        form |= {"subject": claims["sub"], "scope": claims["scope"]}
        return None

    def hire(self, address: str, **more: Any) -> dict[str, Any]:
        """Have an account of this address, which no other one has."""
        about = {"kind": "admin#directory#user", "id": f"1{len(self.accounts):020}", "primaryEmail": address}
        states = {"suspended": False, "archived": False, "isAdmin": False, "name": {"fullName": "…"}}
        self.accounts.append({**about, **states, **more})
        return self.accounts[-1]

    def _disallowed(self, request: web.Request, scope: str) -> web.Response | None:
        if not self.enabled:
            return failed(403, "accessNotConfigured", "usageLimits")
        form = self.tokens[request.headers["Authorization"].partition(" ")[2]]
        if form["scope"] != scope:
            return failed(403, "insufficientPermissions")
        return failed(403, "forbidden") if form["subject"] not in self.admins else None

    async def _user(self, request: web.Request) -> web.Response:
        if (refused := self._disallowed(request, PEOPLE_SCOPE)) is not None:
            return refused
        if request.query.get("projection") not in {"basic", "full"} or len(request.query) != 1:
            return failed(400, "invalid")
        key = request.match_info["key"].lower()
        if "@" in key and not key.endswith("@example.com"):
            return failed(403, "forbidden")
        for each in self.accounts:
            if key in {each["id"], each["primaryEmail"].lower(), *each.get("aliases", ())}:
                shown = {name: value for name, value in each.items() if name != "customSchemas"}
                return web.json_response(each if request.query["projection"] == "full" else shown)
        return failed(404, "notFound")

    async def _members(self, request: web.Request) -> web.Response:
        if (refused := self._disallowed(request, SCOPE)) is not None:
            return refused
        if self.nested_answer is not None and request.match_info["key"] not in {GROUP, GROUP_ID}:
            return again(self.nested_answer)
        group = self.ids.get(request.match_info["key"], request.match_info["key"])
        if group not in self.members:
            known = group in self.ids.values()
            return failed(403, "forbidden") if known else failed(404, "notFound")
        return self._page(request, self.members[group])

    def _page(self, request: web.Request, members: list[dict[str, Any]]) -> web.Response:
        most, start = int(request.query.get("maxResults", "200")), request.query.get("pageToken", "from-0")
        if not set(request.query) <= {"maxResults", "pageToken"} or not 1 <= most <= 200:
            return failed(400, "invalid")
        skipped = int(start.removeprefix("from-"))
        page: dict[str, Any] = {"kind": "admin#directory#members", "etag": '"…"'}
        if found := members[skipped : skipped + most]:
            page["members"] = found
        if self.page_token is not None or skipped + most < len(members):
            page["nextPageToken"] = self.page_token if self.page_token is not None else f"from-{skipped + most}"
        return web.json_response(page)
