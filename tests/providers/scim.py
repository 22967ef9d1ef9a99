"""SCIM 2.0 servers: a real one in a process of its own, and one of the protocol's form with others' faults."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tests import servers
from tests.providers.api_server import ApiServer
from tests.system_servers import lacking

TOKEN = "a-token-of-the-test"
USERNAME, PASSWORD = "jit", "a-password-of-the-test"
BASIC = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
_SCHEMAS = "urn:ietf:params:scim:schemas:core:2.0"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_MESSAGES = "urn:ietf:params:scim:api:messages:2.0"
_NAME = re.compile(r'displayName eq ("(?:[^"\\]|\\.)*")')
_IDS = re.compile(r'id eq "[^"\\ ]+"(?: or id eq "[^"\\ ]+")*')
_EMAIL = re.compile(r'emails\.value eq ("(?:[^"\\]|\\.)*")')
_GROUP = re.compile(r'groups\.value eq "([^"\\ ]+)"')


def user(
    name: str, *emails: dict[str, Any], active: bool | None = True, enterprise: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A user as one is created."""
    shape: dict[str, Any] = {"schemas": [f"{_SCHEMAS}:User"], "userName": name}
    if enterprise:
        shape |= {"schemas": [f"{_SCHEMAS}:User", ENTERPRISE], ENTERPRISE: enterprise}
    return shape | ({} if active is None else {"active": active}) | ({"emails": [*emails]} if emails else {})


def email(address: str, kind: str = "work", *, primary: bool = True) -> dict[str, Any]:
    """One of somebody's addresses."""
    return {"value": address, "primary": primary} | ({"type": kind} if kind else {})


@dataclass
class RealScim:
    """The ``scim2-server`` of the ``dev`` extra. What it has ends with its process."""

    directory: Path
    port: int = field(default_factory=servers.free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v2"

    def start(self) -> None:
        """Start it, with nothing in it, and wait until it answers."""
        if importlib.util.find_spec("scim2_server") is None:
            lacking("scim2-server", "pip install 'jit-access[dev]'", from_pip=True)
        words = ["--port", str(self.port), "--bearer-token", TOKEN]
        self.process = servers.program("scim2_server.testserver.cli", *words, log=self.directory / "scim.log")
        servers.until(self._answers, "the SCIM server to answer")

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            servers.end(self.process, how)
            self.process = None

    def create(self, kind: str, shape: dict[str, Any]) -> str:
        """The id of what was created."""
        return str(self.call("POST", kind, shape)["id"])

    def group(self, name: str, members: Sequence[str] = (), groups: Sequence[str] = ()) -> str:
        """The id of a new group with these users and groups in it."""
        inside = [{"value": id_, "type": "User"} for id_ in members] + [
            {"value": id_, "type": "Group"} for id_ in groups
        ]
        shape = {"schemas": [f"{_SCHEMAS}:Group"], "displayName": name}
        return self.create("Groups", shape | ({"members": inside} if inside else {}))

    def empty(self) -> None:
        """Have no user and no group any more."""
        for kind in ("Groups", "Users"):
            while found := self.call("GET", f"{kind}?attributes=id&count=1000").get("Resources"):
                self._bulk([{"method": "DELETE", "path": f"/{kind}/{each['id']}"} for each in found])

    def create_users(self, users: Sequence[dict[str, Any]]) -> list[str]:
        """The ids of new users."""
        done = self._bulk(
            [{"method": "POST", "path": "/Users", "bulkId": f"u{n}", "data": one} for n, one in enumerate(users)]
        )
        return [each["location"].rpartition("/")[2] for each in done]

    def call(self, method: str, path: str, shape: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/scim+json"}
        body = None if shape is None else json.dumps(shape).encode()
        asked = urllib.request.Request(f"{self.url}/{path}", body, headers, method=method)
        with urllib.request.urlopen(asked, timeout=20) as answer:
            content = answer.read()
        found: dict[str, Any] = json.loads(content) if content else {}
        return found

    def patch(self, path: str, operation: dict[str, Any]) -> None:
        self.call("PATCH", path, {"schemas": [f"{_MESSAGES}:PatchOp"], "Operations": [operation]})

    def _bulk(self, operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not operations:
            return []
        shape = {"schemas": [f"{_MESSAGES}:BulkRequest"], "Operations": operations}
        done: list[dict[str, Any]] = self.call("POST", "Bulk", shape)["Operations"]
        assert all(str(each["status"]).startswith("2") for each in done), done
        return done

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.directory / "scim.log").read_text()
        try:
            self.call("GET", "ServiceProviderConfig")
        except urllib.error.HTTPError:
            raise
        except OSError:
            return False
        return True


@dataclass
class Faults:
    """What a server does that it should not, or need not do."""

    keeps_members: bool = False
    """Leaves `members` out unless they are asked for."""
    never_members: bool = False
    """Leaves them out even then."""
    page: int = 1_000
    """The most that it puts on a page."""
    lies: int | None = None
    """What it says for `totalResults`."""
    filters: Sequence[str] = ("displayName", "id", "groups.value", "emails.value")
    """What it can filter by; to anything else it answers ``unfiltered``."""
    unfiltered: int = 400
    """A status; 200 for everything that there is, as if nothing had been asked."""
    repeats: bool = False
    """Begins at the start, whatever is asked."""
    typed: bool = True
    """Says what a member is."""
    references: bool = False
    """Says it by `$ref`."""
    unlisted: Sequence[str] = ()
    """What it leaves out of users in a list."""


class FaultyScim(ApiServer):
    """Users and groups, read by the letter of the protocol but for ``faults``."""

    def __init__(self) -> None:
        super().__init__()
        self.users: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        self.faults = Faults()

    def put(self, name: str, *addresses: str) -> list[str]:
        """Have these in a group, which is new unless it is there. Their ids."""
        ids = []
        for address in addresses:
            ids.append(f"u{len(self.users)}")
            self.users[ids[-1]] = user(address, email(address))
        group = self.groups.setdefault(f"g-{name}", {"displayName": name, "members": []})
        group["members"] += [{"value": id_, "type": "User"} for id_ in ids]
        return ids

    def nest(self, outer: str, inner: str) -> None:
        """Put a group into another, by their names."""
        self.groups[f"g-{outer}"]["members"].append({"value": f"g-{inner}", "type": "Group"})

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/scim/v2/{kind:Users|Groups}", self._list),
            web.get("/scim/v2/{kind:Users|Groups}/{id}", self._one),
        ]

    def refusal(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") not in {f"Bearer {TOKEN}", f"Basic {BASIC}"}:
            return _error(401, "Authorization failure.")
        if "application/scim+json" not in request.headers.get("Accept", ""):
            return _error(406, "Not acceptable.")
        return None

    async def _list(self, request: web.Request) -> web.Response:
        kind, asked = request.match_info["kind"], request.query
        if not set(asked) <= {"filter", "attributes", "startIndex", "count"}:
            return _error(400, "invalidSyntax")
        found = [*self._there(kind)]
        if "filter" in asked:
            matching = self._matching(kind, asked["filter"])
            if matching is None and self.faults.unfiltered != 200:
                return _error(self.faults.unfiltered, "invalidFilter")
            found = found if matching is None else matching
        begin = 0 if self.faults.repeats else int(asked.get("startIndex", "1")) - 1
        page = found[begin : begin + min(int(asked.get("count", "100")), self.faults.page)]
        total = len(found) if self.faults.lies is None else self.faults.lies
        listed = [self._shown(kind, id_, asked.get("attributes"), listed=True) for id_ in page]
        shape = {"schemas": [f"{_MESSAGES}:ListResponse"], "totalResults": total, "startIndex": begin + 1}
        return _answered(shape | ({"Resources": listed} if listed else {}))

    async def _one(self, request: web.Request) -> web.Response:
        kind, id_ = request.match_info["kind"], request.match_info["id"]
        if id_ not in self._there(kind):
            return _error(404, f"Resource {id_} not found.")
        return _answered(self._shown(kind, id_, request.query.get("attributes")))

    def _there(self, kind: str) -> dict[str, dict[str, Any]]:
        return self.users if kind == "Users" else self.groups

    def _matching(self, kind: str, filter_: str) -> list[str] | None:
        """The ids; None for a filter that it does not know."""
        there, known = self._there(kind), self.faults.filters
        if (name := _NAME.fullmatch(filter_)) and kind == "Groups" and "displayName" in known:
            wanted = json.loads(name[1]).lower()
            return [id_ for id_, group in there.items() if group["displayName"].lower() == wanted]
        if (address := _EMAIL.fullmatch(filter_)) and kind == "Users" and "emails.value" in known:
            wanted = json.loads(address[1]).lower()
            return [id_ for id_, one in there.items() if wanted in {e["value"].lower() for e in one.get("emails", ())}]
        if _IDS.fullmatch(filter_) and "id" in known:
            ids = set(re.findall(r'"([^"]+)"', filter_))
            return [id_ for id_ in there if id_ in ids]
        if (group := _GROUP.fullmatch(filter_)) and kind == "Users" and "groups.value" in known:
            return [id_ for id_ in there if group[1] in self._groups_of(id_)]
        return None

    def _groups_of(self, id_: str) -> Iterable[str]:
        return [name for name, group in self.groups.items() if any(m.get("value") == id_ for m in group["members"])]

    def _shown(self, kind: str, id_: str, attributes: str | None, *, listed: bool = False) -> dict[str, Any]:
        shape = dict(self._there(kind)[id_])
        wanted = set(attributes.split(",")) if attributes is not None else None
        if kind == "Groups":
            members = [self._member(each) for each in shape.pop("members")]
            asked_for = wanted is not None and "members" in wanted
            if members and not self.faults.never_members and (asked_for or not self.faults.keeps_members):
                shape["members"] = members
        else:
            shape["groups"] = [{"value": each} for each in self._groups_of(id_)]
            if listed:
                shape = {key: value for key, value in shape.items() if key not in self.faults.unlisted}
        return {"id": id_} | {key: value for key, value in shape.items() if wanted is None or key in wanted}

    def _member(self, member: Any) -> Any:
        if not isinstance(member, dict):
            return member
        member = dict(member)
        kind = member.get("type")
        if self.faults.references:
            member["$ref"] = f"{self.url}/scim/v2/{kind}s/{member['value']}"
        if not self.faults.typed:
            del member["type"]
        return member


def _answered(shape: dict[str, Any], status: int = 200) -> web.Response:
    return web.json_response(shape, status=status, content_type="application/scim+json")


def _error(status: int, said: str) -> web.Response:
    return _answered({"schemas": [f"{_MESSAGES}:Error"], "status": str(status), "detail": said}, status)
