"""Who and what there is in the local Slack: accounts, channels, user groups, messages, views; plain facts."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

T = TypeVar("T")
Kind = Literal["member", "guest", "single_channel_guest", "deactivated", "bot", "stranger", "external"]
TRIGGER_SECONDS = 3.0
RESPONSE_SECONDS = 1800.0
RESPONSE_USES = 5


@dataclass
class Account:
    """Someone, or some app."""

    id: str
    name: str
    email: str
    kind: Kind
    team: str
    tz: str = "Europe/Berlin"

    def json(self) -> dict[str, Any]:
        """As ``users.info`` has it."""
        return {
            "id": self.id,
            "team_id": self.team,
            "name": self.name.lower().replace(" ", "."),
            "real_name": self.name,
            "deleted": self.kind == "deactivated",
            "is_bot": self.kind == "bot",
            "is_app_user": False,
            "is_restricted": self.kind in {"guest", "single_channel_guest"},
            "is_ultra_restricted": self.kind == "single_channel_guest",
            "is_stranger": self.kind == "stranger",
            "tz": self.tz,
            "tz_offset": 3600,
            "profile": {"real_name": self.name, **({"email": self.email} if self.email else {})},
        }


@dataclass
class Channel:
    """A channel or a DM."""

    id: str
    name: str
    members: set[str]
    bot_inside: bool = True
    ext_shared: bool = False
    pending_ext_shared: bool = False
    archived: bool = False
    is_im: bool = False


@dataclass
class Usergroup:
    """A handle for several people."""

    id: str
    handle: str
    users: list[str]


@dataclass
class Message:
    """A message as it stands; ``edits`` counts its updates. ``to`` is set on an ephemeral one."""

    channel: str
    ts: str
    text: str
    blocks: list[dict[str, Any]]
    thread: str | None = None
    metadata: dict[str, Any] | None = None
    to: str | None = None
    edits: int = 0
    deleted: bool = False

    def json(self) -> dict[str, Any]:
        """As Slack's payloads have it."""
        body: dict[str, Any] = {"type": "message", "ts": self.ts, "text": self.text, "blocks": self.blocks}
        return {**body, **({"thread_ts": self.thread} if self.thread else {})}

    def said(self) -> str:
        """All its text, for a test to look in."""
        return "\n".join([self.text, *_texts(self.blocks)])

    def buttons(self) -> dict[str, dict[str, Any]]:
        """Its buttons by action id."""
        return elements(self.blocks)


@dataclass
class View:
    """A modal that is open before someone."""

    id: str
    user: str
    body: dict[str, Any]
    root: str
    hash: str = ""
    state: dict[str, dict[str, Any]] = field(default_factory=dict)
    open: bool = True

    def said(self) -> str:
        """All its text."""
        return "\n".join(_texts(self.body))

    def json(self, team: str, app: str, bot: str) -> dict[str, Any]:
        """As Slack's payloads have it."""
        return {
            "private_metadata": "",
            "callback_id": "",
            "external_id": "",
            **self.body,
            "id": self.id,
            "team_id": team,
            "app_id": app,
            "bot_id": bot,
            "hash": self.hash,
            "root_view_id": self.root,
            "previous_view_id": None,
            "state": {"values": self.state},
        }


@dataclass
class Trigger:
    """What allows a view to be opened, once and soon."""

    user: str
    at: float
    used: bool = False


@dataclass
class ResponseUrl:
    """Where an app may answer to a command or a click."""

    user: str
    channel: str
    at: float
    ts: str | None
    uses: int = 0


@dataclass
class Workspace:
    """Everything, and a way to wait for it to change."""

    team: str
    clock: Callable[[], float] = time.time
    people: dict[str, Account] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    usergroups: dict[str, Usergroup] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    views: dict[str, View] = field(default_factory=dict)
    homes: dict[str, dict[str, Any]] = field(default_factory=dict)
    triggers: dict[str, Trigger] = field(default_factory=dict)
    responses: dict[str, ResponseUrl] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing has happened yet."""
        self._changed = asyncio.Condition()
        self._numbers = itertools.count(1)
        self._last = 0.0

    def number(self) -> str:
        """An id part that was not used before."""
        return f"{next(self._numbers):04d}{secrets.token_hex(2).upper()}"

    def ts(self) -> str:
        """A message's timestamp: the time, and never the same twice."""
        self._last = max(self.clock(), self._last + 1e-6)
        return f"{self._last:.6f}"

    async def changed(self) -> None:
        """Wake whoever waits for something to be seen."""
        async with self._changed:
            self._changed.notify_all()

    async def until(self, find: Callable[[], T | None], what: str, patience: float) -> T:
        """The first thing that ``find`` finds. Raises `TimeoutError`, saying what there is instead."""
        try:
            async with asyncio.timeout(patience), self._changed:
                while (found := find()) is None:
                    await self._changed.wait()
                return found
        except TimeoutError:
            seen = "\n".join(f"  {m.channel} {m.ts} {m.text[:140]!r}" for m in self.messages[-12:])
            raise TimeoutError(f"waited {patience} s for {what}; the last messages are:\n{seen}") from None

    def trigger(self, user: str) -> str:
        """A new trigger id."""
        id_ = f"{self.number()}.{secrets.token_hex(8)}"
        self.triggers[id_] = Trigger(user, self.clock())
        return id_

    def stack(self, user: str) -> list[View]:
        """The modals that are open before someone, the topmost last."""
        return [view for view in self.views.values() if view.user == user and view.open]

    def dm(self, user: str) -> Channel:
        """The DM between the app and someone."""
        id_ = f"D{user[1:]}"
        return self.channels.setdefault(id_, Channel(id_, f"dm-{user}", {user}, is_im=True))


def elements(blocks: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Each interactive element by action id, with its block id."""
    found: dict[str, dict[str, Any]] = {}
    for block in blocks:
        inner = [*block.get("elements", []), block.get("accessory"), block.get("element")]
        for element in inner:
            if isinstance(element, dict) and "action_id" in element:
                found[element["action_id"]] = {**element, "block_id": block.get("block_id", "")}
    return found


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [s for k, v in value.items() for s in ([v] if k == "text" and isinstance(v, str) else _texts(v))]
    return [s for inner in value for s in _texts(inner)] if isinstance(value, list) else []
