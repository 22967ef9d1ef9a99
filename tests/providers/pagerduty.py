"""A server that answers as PagerDuty's REST API v2 is documented to, and refuses what that refuses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from tests.providers.api_server import ApiServer

TOKEN = "u+a-token-of-the-test"
ACCEPT = "application/vnd.pagerduty+json;version=2"
LARGEST_PAGE = 100


class PagerDutyServer(ApiServer):
    """An account with schedules and escalation policies, and who is on call by them."""

    def __init__(self) -> None:
        super().__init__()
        self.schedules: set[str] = {"PSCHED1"}
        self.policies: set[str] = {"PPOLICY1"}
        self.oncalls: list[dict[str, Any]] = []

    def on_call(self, addresses: Iterable[str], level: int = 1, schedule: str | None = "PSCHED1") -> None:
        """Have these on call by an escalation policy, which uses a schedule or names them itself."""
        for address in addresses:
            self.oncalls.append(
                {
                    "escalation_policy": {"id": "PPOLICY1", "type": "escalation_policy_reference"},
                    "escalation_level": level,
                    "schedule": {"id": schedule, "type": "schedule_reference"} if schedule else None,
                    "user": {"id": f"PU{len(self.oncalls)}", "type": "user", "name": "…", "email": address},
                    "start": None,
                    "end": None,
                }
            )

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/oncalls", self._oncalls),
            web.get("/schedules/{id}", self._schedule),
            web.get("/escalation_policies/{id}", self._policy),
        ]

    def refusal(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") != f"Token token={TOKEN}":
            return web.json_response({"error": {"message": "Unauthorized", "code": 2006}}, status=401)
        if request.headers.get("Accept") != ACCEPT:
            return web.json_response({"error": {"message": "Unacceptable", "code": 2008}}, status=406)
        return None

    async def _oncalls(self, request: web.Request) -> web.Response:
        known = {"include[]", "schedule_ids[]", "escalation_policy_ids[]", "time_zone", "limit", "offset", "total"}
        limit, offset = int(request.query.get("limit", "25")), int(request.query.get("offset", "0"))
        if not set(request.query) <= known or not 1 <= limit <= LARGEST_PAGE or offset + limit > 10_000:
            return web.json_response({"error": {"message": "Invalid Input Provided", "code": 2001}}, status=400)
        schedules, policies = (request.query.getall(name, []) for name in ("schedule_ids[]", "escalation_policy_ids[]"))
        found = [
            entry
            for entry in self.oncalls
            if (not schedules or (entry["schedule"] or {}).get("id") in schedules)
            and (not policies or entry["escalation_policy"]["id"] in policies)
        ]
        page = found[offset : offset + limit]
        if "users" not in request.query.getall("include[]", []):
            page = [{**entry, "user": {**entry["user"], "type": "user_reference", "email": None}} for entry in page]
        more = offset + limit < len(found)
        return web.json_response({"oncalls": page, "limit": limit, "offset": offset, "more": more, "total": None})

    async def _schedule(self, request: web.Request) -> web.Response:
        return _one("schedule", request.match_info["id"], self.schedules)

    async def _policy(self, request: web.Request) -> web.Response:
        return _one("escalation_policy", request.match_info["id"], self.policies)


def _one(kind: str, id_: str, there: set[str]) -> web.Response:
    if id_ in there:
        return web.json_response({kind: {"id": id_, "type": kind, "name": "…"}})
    return web.json_response({"error": {"message": "Not Found", "code": 2100}}, status=404)
