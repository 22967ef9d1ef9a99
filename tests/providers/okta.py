"""A server that answers as Okta's core API is documented to, for groups, and refuses what that refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.providers.api_server import ApiServer

TOKEN = "00-a-token-of-the-test"
GROUP = "00g1emaKYZTWRYYRRTSK"
LARGEST_PAGE = 200
_TEXT = r'("(?:[^"\\]|\\.)*")'
_SEARCH = re.compile(rf"profile\.name eq {_TEXT}")
_USER_SEARCH = re.compile(rf'(status eq "DEPROVISIONED" and )?profile\.email eq {_TEXT}')


@dataclass
class OktaGroup:
    """A group, and the people in it as Okta describes them."""

    name: str
    users: list[dict[str, Any]] = field(default_factory=list)


class OktaServer(ApiServer):
    """An organisation with groups. ``next_page``: in place of the address of a next page."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: dict[str, OktaGroup] = {GROUP: OktaGroup("dba")}
        self.others: list[dict[str, Any]] = []
        """People in no group."""
        self.user_index: dict[str, str] = {}
        """The status of accounts as a search knows it, where that is not what it is now."""
        self.next_page = ""
        self.links = True
        """Whether its pages say where the next is."""
        self.goes = False
        """Whether a group is deleted once a page of its people was read."""
        self.index: dict[str, str] | None = None
        """What a search knows of each group's name; None for what they are now."""

    def put(self, addresses: Iterable[str], status: str = "ACTIVE", group: str = GROUP) -> None:
        """Have these in a group, besides those who are."""
        users = self.groups[group].users
        for address in addresses:
            users.append(self.user(len(users), address, status))

    def user(self, number: int, address: str, status: str = "ACTIVE", **profile: Any) -> dict[str, Any]:
        """An account as Okta describes one."""
        return {
            "id": f"00u{number:017}",
            "status": status,
            "profile": {"login": f"login{number}", "email": address, "firstName": "…", **profile},
            "_links": {"self": {"href": f"{self.url}/api/v1/users/00u{number:017}"}},
        }

    def hire(self, address: str, status: str = "ACTIVE", **profile: Any) -> dict[str, Any]:
        """Have one more account, which is in no group."""
        self.others.append(self.user(500_000 + len(self.others), address, status, **profile))
        return self.others[-1]

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/groups", self._search),
            web.get("/api/v1/groups/{id}", self._group),
            web.get("/api/v1/groups/{id}/users", self._users),
            web.get("/api/v1/users", self._accounts),
            web.get("/api/v1/users/{id}", self._account),
        ]

    def refusal(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") != f"SSWS {TOKEN}":
            return _error(401, "E0000011", "Invalid token provided")
        if request.headers.get("Accept") != "application/json":
            return _error(406, "E0000019", "Not Acceptable")
        return None

    async def _search(self, request: web.Request) -> web.Response:
        limit = int(request.query.get("limit", "10000"))
        if not set(request.query) <= {"search", "limit", "after"} or not 1 <= limit <= 10_000:
            return _error(400, "E0000001", "Api validation failed")
        found = list(self.groups)
        if "search" in request.query:
            asked = _SEARCH.fullmatch(request.query["search"])
            if asked is None:
                return _error(400, "E0000031", "Invalid search criteria.")
            # Letters of either size agree.
            name = json.loads(asked[1]).lower()
            found = [id_ for id_ in found if (self.index or {}).get(id_, self.groups[id_].name).lower() == name]
        return self._page(request, [self._described(id_, indexed=True) for id_ in found], limit)

    async def _group(self, request: web.Request) -> web.Response:
        id_ = request.match_info["id"]
        return web.json_response(self._described(id_)) if id_ in self.groups else _gone(id_)

    async def _users(self, request: web.Request) -> web.Response:
        id_, limit = request.match_info["id"], int(request.query.get("limit", "1000"))
        if not set(request.query) <= {"limit", "after"} or not 1 <= limit <= LARGEST_PAGE:
            return _error(400, "E0000001", "Api validation failed")
        if id_ not in self.groups:
            return _gone(id_)
        page = self._page(request, self.groups[id_].users, limit)
        if self.goes:
            del self.groups[id_]
        return page

    async def _accounts(self, request: web.Request) -> web.Response:
        limit = int(request.query.get("limit", "200"))
        asked = _USER_SEARCH.fullmatch(request.query.get("search", ""))
        if set(request.query) - {"search", "limit", "after"} or not 1 <= limit <= LARGEST_PAGE or asked is None:
            return _error(400, "E0000031", "Invalid search criteria.")
        # Letters of either size agree; who was deactivated is found by whoever asks for them.
        address, gone = json.loads(asked[2]).lower(), bool(asked[1])
        found = [each for each in self.others if str(each["profile"]["email"]).lower() == address]
        found = [each for each in found if (self.user_index.get(each["id"], each["status"]) == "DEPROVISIONED") == gone]
        return self._page(request, found, limit)

    async def _account(self, request: web.Request) -> web.Response:
        found = [each for each in self.others if each["id"] == request.match_info["id"]]
        return web.json_response(found[0]) if found else _gone(request.match_info["id"])

    def _described(self, id_: str, *, indexed: bool = False) -> dict[str, Any]:
        name = (self.index or {}).get(id_, self.groups[id_].name) if indexed else self.groups[id_].name
        return {"id": id_, "type": "OKTA_GROUP", "objectClass": ["okta:user_group"], "profile": {"name": name}}

    def _page(self, request: web.Request, found: list[dict[str, Any]], limit: int) -> web.Response:
        begin = int(request.query.get("after", "0"))
        answer = web.json_response(found[begin : begin + limit])
        if not self.links:
            return answer
        here = f"{self.url}{request.path}"
        answer.headers.add("Link", f'<{here}?limit={limit}>; rel="self"')
        if begin + limit < len(found):
            answer.headers.add(
                "Link", f'<{self.next_page or f"{here}?after={begin + limit}&limit={limit}"}>; rel="next"'
            )
        return answer


def _error(status: int, code: str, said: str) -> web.Response:
    return web.json_response(
        {"errorCode": code, "errorSummary": said, "errorLink": code, "errorId": "oae", "errorCauses": []}, status=status
    )


def _gone(id_: str) -> web.Response:
    return _error(404, "E0000007", f"Not found: Resource not found: {id_} (UserGroup)")
