"""Who and what there is in the local Slack: accounts, channels, user groups, messages, views; plain facts."""

from __future__ import annotations

import asyncio
import copy
import itertools
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, TypeVar
from zoneinfo import ZoneInfo

T = TypeVar("T")
Kind = Literal["member", "guest", "single_channel_guest", "deactivated", "bot", "stranger", "external"]
Json = dict[str, Any]
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

    @property
    def handle(self) -> str:
        """The name as payloads spell it."""
        return self.name.lower().replace(" ", ".")

    def json(self, now: float, *, email: bool = True) -> Json:
        """As ``users.info`` has it; an address is shown only to who has the scope for it."""
        profile = {"real_name": self.name, "display_name": self.handle, "team": self.team}
        offset = datetime.fromtimestamp(now, ZoneInfo(self.tz)).utcoffset()
        return {
            "id": self.id,
            "team_id": self.team,
            "name": self.handle,
            "real_name": self.name,
            "deleted": self.kind == "deactivated",
            "is_bot": self.kind == "bot",
            "is_app_user": False,
            "is_restricted": self.kind in {"guest", "single_channel_guest"},
            "is_ultra_restricted": self.kind == "single_channel_guest",
            "is_stranger": self.kind == "stranger",
            "tz": self.tz,
            "tz_offset": int(offset.total_seconds()) if offset else 0,
            "profile": {**profile, **({"email": self.email} if self.email and email else {})},
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
    private: bool = False
    is_im: bool = False

    def scope(self) -> str:
        """What one needs to read about it."""
        return "im:read" if self.is_im else "groups:read" if self.private else "channels:read"


@dataclass
class Usergroup:
    """A handle for several people."""

    id: str
    handle: str
    users: list[str]
    disabled: bool = False


@dataclass(frozen=True)
class Message:
    """A message as it was seen: an update puts another in its place, so one that was kept is a stale one.

    ``edits`` counts its updates; ``to`` is set on an ephemeral one.
    """

    channel: str
    ts: str
    text: str
    blocks: list[Json]
    thread: str | None = None
    metadata: Json | None = None
    to: str | None = None
    edits: int = 0
    author: str = ""
    files: tuple[str, ...] = ()
    """The ids of those shown in it."""

    def json(self) -> Json:
        """As Slack's payloads have it."""
        body: Json = {"type": "message", "user": self.author, "ts": self.ts, "text": self.text, "blocks": self.blocks}
        return {**body, **({"thread_ts": self.thread} if self.thread else {})}

    def said(self) -> str:
        """All its text, for a test to look in."""
        return "\n".join([self.text, *texts(self.blocks)])

    def buttons(self) -> dict[str, Json]:
        """Its buttons, selects and menus by action id."""
        return {element["action_id"]: element for element in elements(self.blocks)}


@dataclass
class File:
    """A file on its way, or shown: where it stands is empty until it is."""

    id: str
    name: str
    length: int
    alt: str
    ticket: str
    content: bytes | None = None
    title: str = ""
    channel: str = ""
    thread: str | None = None
    ts: str = ""


@dataclass
class View:
    """A modal that is open before someone, or their Home tab."""

    id: str
    user: str
    body: Json
    root: str
    previous: str | None = None
    hash: str = ""
    state: dict[str, Json] = field(default_factory=dict)
    open: bool = True
    suggested: dict[str, list[Json]] = field(default_factory=dict)
    """What an external select last offered, by action id."""

    @property
    def home(self) -> bool:
        """Whether it is a Home tab; those are in no stack."""
        return self.body.get("type") == "home"

    def said(self) -> str:
        """All its text."""
        return "\n".join(texts(self.body))

    def buttons(self) -> dict[str, Json]:
        """Its buttons, selects and menus by action id."""
        return {element["action_id"]: element for element in elements(self.body["blocks"])}

    def json(self, team: str, app: str, bot: str) -> Json:
        """As Slack's payloads have it."""
        return {
            "private_metadata": "",
            "callback_id": "",
            "external_id": "",
            "clear_on_close": False,
            "notify_on_close": False,
            **self.body,
            "id": self.id,
            "team_id": team,
            "app_id": app,
            "app_installed_team_id": team,
            "bot_id": bot,
            "hash": self.hash,
            "root_view_id": self.root,
            "previous_view_id": self.previous,
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
    homes: dict[str, View] = field(default_factory=dict)
    triggers: dict[str, Trigger] = field(default_factory=dict)
    responses: dict[str, ResponseUrl] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)

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
        self._last = max(self.clock(), self._last + 2e-6)  # a step that survives the six decimals it is written with
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
        id_ = f"{secrets.randbelow(10**12)}.{next(self._numbers)}.{secrets.token_hex(16)}"
        self.triggers[id_] = Trigger(user, self.clock())
        return id_

    def stack(self, user: str) -> list[View]:
        """The modals that are open before someone, the topmost last."""
        return [view for view in self.views.values() if view.user == user and view.open and not view.home]

    def dm(self, user: str) -> Channel:
        """The DM between the app and someone."""
        id_ = f"D{user[1:]}"
        return self.channels.setdefault(id_, Channel(id_, "directmessage", {user}, is_im=True))

    def message(self, channel: str, ts: str | None) -> Message | None:
        """The message as it stands now; None if there is none, or no longer."""
        return next((m for m in self.messages if m.channel == channel and m.ts == ts), None)

    def change(self, message: Message, **changes: Any) -> Message:
        """Put the message as changed in its place."""
        changed = replace(message, **changes, edits=message.edits + 1)
        self.messages[self.messages.index(message)] = changed
        return changed


def elements(blocks: Iterable[Json]) -> list[Json]:
    """Each interactive element, with its block id."""
    found = []
    for block in blocks:
        inner = [*block.get("elements", []), block.get("accessory"), block.get("element")]
        named = [element for element in inner if isinstance(element, dict) and "action_id" in element]
        found += [{**element, "block_id": block.get("block_id", "")} for element in named]
    return found


def with_ids(blocks: list[Json]) -> list[Json]:
    """A copy in which each block and element has an id, since Slack makes up those that are left out."""
    copied = copy.deepcopy(blocks)
    for block in copied:
        block.setdefault("block_id", secrets.token_urlsafe(4))
        if block["type"] not in {"section", "actions", "input"}:
            continue
        for element in [*block.get("elements", []), block.get("accessory"), block.get("element")]:
            if element and element["type"] != "image":
                element.setdefault("action_id", secrets.token_urlsafe(4))
    return copied


def texts(value: Any) -> list[str]:
    """Every text in a tree of blocks."""
    if isinstance(value, dict):
        return [s for k, v in value.items() for s in ([v] if k == "text" and isinstance(v, str) else texts(v))]
    return [s for inner in value for s in texts(inner)] if isinstance(value, list) else []
