"""What a workspace of the local Slack contains: accounts, channels, user groups, messages, views, files; plain data."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, TypeVar
from zoneinfo import ZoneInfo

from bot.playground.block_tree import Json, elements, texts

T = TypeVar("T")
Kind = Literal["member", "guest", "single_channel_guest", "deactivated", "bot", "stranger", "external"]
TRIGGER_SECONDS = 3.0
RESPONSE_SECONDS = 1800.0
RESPONSE_USES = 5


@dataclass
class Account:
    """A person, or an app."""

    id: str
    name: str
    email: str
    kind: Kind
    team: str
    tz: str = "Europe/Berlin"
    enterprise: str = ""
    """Its Enterprise Grid organisation."""
    teams: tuple[str, ...] = ()
    """Its teams in that organisation; ``team`` is one of them, or empty."""
    updated: int = 0

    @property
    def handle(self) -> str:
        """The name as payloads have it."""
        return self.name.lower().replace(" ", ".")

    def json(self, now: float, *, email: bool = True) -> Json:
        """As ``users.info`` has it; ``email``: with the address."""
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
            "updated": self.updated,
            "profile": {**profile, **({"email": self.email} if self.email and email else {})},
            **self._grid(),
        }

    def _grid(self) -> Json:
        if not self.enterprise:
            return {}
        facts = {"id": self.id, "enterprise_id": self.enterprise, "enterprise_name": "Local", "is_admin": False}
        return {"enterprise_user": {**facts, "is_owner": False, "teams": list(self.teams)}}


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
    team: str = ""
    """Its team on a Grid; empty for the app's own."""
    private: bool = False
    is_im: bool = False

    def scope(self) -> str:
        """The scope to read it."""
        return "im:read" if self.is_im else "groups:read" if self.private else "channels:read"


@dataclass
class Usergroup:
    """A handle for several people."""

    id: str
    handle: str
    users: list[str]
    disabled: bool = False
    team: str = ""
    updated: int = 0

    def json(self, *, users: bool) -> Json:
        """As ``usergroups.list`` has it; ``users``: with the members."""
        named = {"id": self.id, "team_id": self.team, "handle": self.handle, "name": self.handle}
        facts = {"is_usergroup": True, "date_update": self.updated, "date_delete": int(self.disabled)}
        members = {"users": list(self.users)} if users else {}
        return {**named, **facts, "user_count": len(self.users), **members}


@dataclass(frozen=True)
class Message:
    """One version of a message: an update replaces it, so a kept one is stale.

    ``edits`` counts the updates; ``to`` is set on an ephemeral message.
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
    """The ids of its files."""

    def json(self) -> Json:
        """As Slack's payloads have it."""
        body: Json = {"type": "message", "user": self.author, "ts": self.ts, "text": self.text, "blocks": self.blocks}
        return {**body, **({"thread_ts": self.thread} if self.thread else {})}

    def said(self) -> str:
        """All its text."""
        return "\n".join([self.text, *texts(self.blocks)])

    def buttons(self) -> dict[str, Json]:
        """Its buttons, selects and menus by action id."""
        return {element["action_id"]: element for element in elements(self.blocks)}


@dataclass
class File:
    """An upload; ``channel``, ``thread`` and ``ts`` are empty until it is shown."""

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
    """A person's modal or Home tab."""

    id: str
    user: str
    body: Json
    root: str
    previous: str | None = None
    hash: str = ""
    state: dict[str, Json] = field(default_factory=dict)
    open: bool = True
    suggested: dict[str, list[Json]] = field(default_factory=dict)
    """The last options of an external select, by action id."""

    @property
    def home(self) -> bool:
        """Whether it is a Home tab, which is in no stack."""
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
    """Allows one view to be opened, within `TRIGGER_SECONDS`."""

    user: str
    at: float
    used: bool = False


@dataclass
class ResponseUrl:
    """Where the app may answer a command or a click."""

    user: str
    channel: str
    at: float
    ts: str | None
    uses: int = 0


@dataclass
class Workspace:
    """Everything in the workspace, and a way to wait for a change."""

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
        self._changed = asyncio.Condition()
        self._numbers = itertools.count(1)
        self._last = 0.0
        self._second = 0

    def number(self) -> str:
        """A new part of an id."""
        return f"{next(self._numbers):04d}{secrets.token_hex(2).upper()}"

    def second(self) -> int:
        """The time in whole seconds, for accounts and user groups; never the same twice, so that it gives the order."""
        self._second = max(int(self.clock()), self._second + 1)
        return self._second

    def ts(self) -> str:
        """A message's timestamp; never the same twice."""
        self._last = max(self.clock(), self._last + 2e-6)  # a step that six decimals can show
        return f"{self._last:.6f}"

    async def changed(self) -> None:
        """Wake everyone who waits."""
        async with self._changed:
            self._changed.notify_all()

    async def until(self, find: Callable[[], T | None], what: str, patience: float) -> T:
        """Wait for what ``find`` returns. Raises `TimeoutError` with the last messages."""
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
        """A person's open modals, the topmost last."""
        return [view for view in self.views.values() if view.user == user and view.open and not view.home]

    def dm(self, user: str) -> Channel:
        """The DM between the app and a person."""
        id_ = f"D{user[1:]}"
        return self.channels.setdefault(id_, Channel(id_, "directmessage", {user}, is_im=True))

    def message(self, channel: str, ts: str | None) -> Message | None:
        """The current version of a message; None if there is none."""
        return next((m for m in self.messages if m.channel == channel and m.ts == ts), None)

    def change(self, message: Message, **changes: Any) -> Message:
        """Replace a message by its next version."""
        changed = replace(message, **changes, edits=message.edits + 1)
        self.messages[self.messages.index(message)] = changed
        return changed

    def messages_in(self, channel: str, thread: str | None = None) -> list[Message]:
        """The messages in a channel, or in a thread of it, that everyone sees."""
        return [m for m in self.messages if m.channel == channel and m.thread == thread and m.to is None]

    async def sees(
        self, channel: str, wanted: Callable[[Message], bool], *, thread: str | None = None, patience: float = 10.0
    ) -> Message:
        """Wait for a matching message that everyone in the channel sees."""

        def find() -> Message | None:
            return next((m for m in reversed(self.messages_in(channel, thread)) if wanted(m)), None)

        return await self.until(find, f"a message in {channel}", patience)
