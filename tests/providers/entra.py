"""A server that answers as Microsoft's token endpoint and Graph v1.0 are documented to, and refuses as they do."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives import hashes

from providers.directories.oauth import CLIENT_ASSERTION, base64url
from tests.providers.oauth import OAuthServer, certificate, key, read

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
SECRET = "s3cret~of.the-test"
GROUP = "0b5c5f3e-1111-4222-8333-944444444444"
RIGHTS = ("GroupMember.Read.All", "User.Read.All")
_FILTER = re.compile(r"(mail|userPrincipalName) eq '((?:[^']|'')*)'")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def guid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def failed(status: int, code: str, headers: dict[str, str] | None = None) -> web.Response:
    inner = {"date": "2026-11-30T10:00:00", "request-id": guid(1), "client-request-id": guid(1)}
    said = {"error": {"code": code, "message": "…", "innerError": inner}}
    return web.json_response(said, status=status, headers=headers)


def no_token(status: int, error: str, number: int) -> web.Response:
    text = f"AADSTS{number}: … Trace ID: {guid(2)} Timestamp: 2026-11-30 10:00:00Z"
    return web.json_response({"error": error, "error_description": text, "error_codes": [number]}, status=status)


class EntraServer(OAuthServer):
    """A tenant with one app, and groups within groups."""

    TOKEN_PATH = "/{tenant}/oauth2/v2.0/token"

    def __init__(self) -> None:
        super().__init__()
        self.rights = set(RIGHTS)
        self.groups: dict[str, dict[str, Any]] = {}
        self.members: dict[str, list[dict[str, Any]]] = {}
        self.group(GROUP)
        self.others: list[dict[str, Any]] = []
        """People in no group."""
        self.largest_page = 999
        self.link: str | None = None
        """In place of each link to a next page."""
        self._used: set[str] = set()
        self._users_made = itertools.count(1_000)

    def group(self, id_: str, **more: Any) -> dict[str, Any]:
        """Have a group; to be put into another."""
        found = {"@odata.type": "#microsoft.graph.group", "id": id_, "securityEnabled": True, "groupTypes": []}
        self.groups[id_] = {**found, "visibility": None, "mail": None, **more}
        self.members.setdefault(id_, [])
        return self.groups[id_]

    def user(self, mail: str | None, **more: Any) -> dict[str, Any]:
        id_ = guid(next(self._users_made))
        found = {"@odata.type": "#microsoft.graph.user", "id": id_, "mail": mail, "accountEnabled": True}
        return {**found, "userPrincipalName": f"{id_}@example.onmicrosoft.com", **more}

    def put(self, addresses: Iterable[str | None], group: str = GROUP) -> None:
        self.members[group] = []
        for address in addresses:
            self.members[group].append(self.user(address))

    def routes(self) -> list[web.RouteDef]:
        return [
            *super().routes(),
            web.get("/v1.0/groups", self._groups),
            web.get("/v1.0/users", self._users),
            web.get("/v1.0/groups/{id}", self._group),
            web.get("/v1.0/groups/{id}/transitiveMembers", self._members),
        ]

    def malformed(self) -> web.Response:
        return no_token(400, "invalid_request", 900144)

    def unauthorized(self) -> web.Response:
        return failed(401, "InvalidAuthenticationToken")

    def refused(self, form: dict[str, str]) -> web.Response | None:
        if form["tenant"] != TENANT:
            return no_token(400, "invalid_request", 90002)
        if form["grant_type"] != "client_credentials":
            return no_token(400, "unsupported_grant_type", 70003)
        if form["client_id"] != CLIENT:
            return no_token(400, "unauthorized_client", 700016)
        if form["scope"] != f"{self.url}/.default":
            return no_token(400, "invalid_scope", 70011)
        if "client_secret" in form:
            return None if form["client_secret"] == SECRET else no_token(401, "invalid_client", 7000215)
        return self._asserted(form)

    def _asserted(self, form: dict[str, str]) -> web.Response | None:
        if form["client_assertion_type"] != CLIENT_ASSERTION:
            return no_token(400, "invalid_request", 900144)
        header, claims = read(form["client_assertion"], key().public_key())
        thumbprint = base64url(certificate(key()).fingerprint(hashes.SHA256()))
        if header != {"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}:
            return no_token(401, "invalid_client", 700027)
        audience = f"{self.url}/{TENANT}/oauth2/v2.0/token"
        if (claims["iss"], claims["sub"], claims["aud"]) != (CLIENT, CLIENT, audience) or claims["jti"] in self._used:
            return no_token(401, "invalid_client", 700023)
        self._used.add(claims["jti"])
        if not claims["iat"] <= self.now < claims["exp"] <= claims["iat"] + 600:
            return no_token(401, "invalid_client", 700024)
        return None

    async def _groups(self, request: web.Request) -> web.Response:
        return self._some(request, "GroupMember.Read.All", [*self.groups.values()])

    async def _users(self, request: web.Request) -> web.Response:
        if "$filter" in request.query:
            return self._filtered(request)
        everybody = [each for members in self.members.values() for each in members if "user" in each["@odata.type"]]
        return self._some(request, "User.Read.All", everybody)

    def _filtered(self, request: web.Request) -> web.Response:
        if "User.Read.All" not in self.rights:
            return failed(403, "Authorization_RequestDenied")
        asked = _FILTER.fullmatch(request.query["$filter"])
        if set(request.query) != {"$filter", "$select", "$top"} or asked is None:
            return failed(400, "Request_UnsupportedQuery")
        address, top = asked[2].replace("''", "'").lower(), int(request.query["$top"])
        found = [each for each in self.others if str(each.get(asked[1])).lower() == address]
        page: dict[str, Any] = {"value": [self._selected(request, each) for each in found[:top]]}
        if len(found) > top:
            page["@odata.nextLink"] = f"{self.url}/v1.0/users?$skiptoken=x"
        return web.json_response(page)

    def _some(self, request: web.Request, right: str, found: list[dict[str, Any]]) -> web.Response:
        if right not in self.rights:
            return failed(403, "Authorization_RequestDenied")
        if set(request.query) != {"$select", "$top"}:
            return failed(400, "BadRequest")
        return web.json_response({"value": [self._selected(request, each) for each in found[:1]]})

    async def _group(self, request: web.Request) -> web.Response:
        if (refused := self._unreadable(request)) is not None:
            return refused
        if set(request.query) != {"$select"}:
            return failed(400, "BadRequest")
        found = self._selected(request, self.groups[request.match_info["id"]])
        return web.json_response({"@odata.context": f"{self.url}/v1.0/$metadata#groups/$entity", **found})

    async def _members(self, request: web.Request) -> web.Response:
        if (refused := self._unreadable(request)) is not None:
            return refused
        top, skipped = int(request.query.get("$top", "100")), int(request.query.get("$skiptoken", "0"))
        if not {"$select", "$top"} <= set(request.query) <= {"$select", "$top", "$skiptoken"} or not 1 <= top <= 999:
            return failed(400, "BadRequest")
        top = min(top, self.largest_page)
        found = self._below(request.match_info["id"])
        page: dict[str, Any] = {"value": [self._selected(request, each) for each in found[skipped : skipped + top]]}
        if self.link is not None or skipped + top < len(found):
            following = request.url.update_query({"$skiptoken": str(skipped + top)})
            page["@odata.nextLink"] = self.link if self.link is not None else str(following)
        return web.json_response(page)

    def _unreadable(self, request: web.Request) -> web.Response | None:
        if not _GUID.fullmatch(request.match_info["id"]):
            return failed(400, "Request_BadRequest")
        if "GroupMember.Read.All" not in self.rights:
            return failed(403, "Authorization_RequestDenied")
        return None if request.match_info["id"] in self.groups else failed(404, "Request_ResourceNotFound")

    def _below(self, id_: str) -> list[dict[str, Any]]:
        """Everything in a group and in those within it, once each, whatever circle they make."""
        found: dict[str, dict[str, Any]] = {}
        waiting = [id_]
        while waiting:
            for each in self.members.get(waiting.pop(), []):
                if each["id"] not in found:
                    found[each["id"]] = each
                    waiting.append(each["id"])
        return [*found.values()]

    def _selected(self, request: web.Request, about: dict[str, Any]) -> dict[str, Any]:
        """What was asked for; of users without the right to read them, all but the id is null."""
        names = request.query["$select"].split(",")
        hidden = "user" in about["@odata.type"] and "User.Read.All" not in self.rights
        shown = {name: None if hidden and name != "id" else about[name] for name in names if name in about}
        return {"@odata.type": about["@odata.type"], **shown}
