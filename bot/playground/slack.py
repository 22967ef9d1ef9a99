"""One workspace of the local Slack: its people, what the app has called and shown, and its doors on loopback."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from bot.playground.delivery import Delivery
from bot.playground.driver import Human
from bot.playground.faults import Faults
from bot.playground.limits import Limits
from bot.playground.manifests import Installed, installed
from bot.playground.server import Server
from bot.playground.workspace import Account, Channel, Json, Kind, Message, Usergroup, Workspace

SCOPES = (
    "commands",
    "chat:write",
    "files:write",
    "users:read",
    "users:read.email",
    "usergroups:read",
    "im:write",
    "channels:read",
    "groups:read",
    "metadata.message:read",
)


@dataclass(frozen=True)
class Call:
    """One Web API call: what was asked, ``ok`` or the error, and the whole answer."""

    method: str
    args: Json
    answer: str
    at: float
    result: Json = field(default_factory=dict)


@dataclass
class LocalSlack:
    """``clock`` in Unix seconds. ``edit_window``: for how many seconds a message may be changed; None: for ever."""

    team: str = "T0LOCAL01"
    scopes: Iterable[str] = SCOPES
    clock: Callable[[], float] = time.time
    metadata_events: bool = True
    port: int = 0
    edit_window: float | None = None
    calls: list[Call] = field(default_factory=list)
    payloads: list[tuple[str, Json]] = field(default_factory=list)
    do_not_disturb: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Make the tokens; nothing listens before `start`."""
        self.world = Workspace(self.team, self.clock)
        self.faults, self.limits = Faults(), Limits(self.clock)
        self.bot_token, self.app_token = f"xoxb-{secrets.token_hex(12)}", f"xapp-1-A0LOCAL01-{secrets.token_hex(12)}"
        self.signing_secret = secrets.token_hex(16)
        self.app_id, self.bot_id, self.bot_user_id = "A0LOCAL01", "B0LOCAL01", "U0JITBOT1"
        self.world.people[self.bot_user_id] = Account(self.bot_user_id, "jit", "", "bot", self.team)
        self.socket_mode = True
        self.installed: Installed | None = None
        self.delivery = Delivery(self)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._tickets = itertools.count(1)
        self._valid_tickets: set[str] = set()
        self._runner: web.AppRunner | None = None

    # running

    async def start(self) -> LocalSlack:
        """Listen on loopback."""
        self._runner = web.AppRunner(Server(self).app(), access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        """Let go of everything."""
        self.faults.clear()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.delivery.close()
        if self._runner:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    @property
    def base(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        """What a client takes as its base URL."""
        return f"{self.base}/api/"

    def response_url(self, id_: str) -> str:
        """Where the app may answer."""
        return f"{self.base}/response/{id_}"

    def socket_url(self) -> str:
        """A ticket for one socket."""
        ticket = f"{next(self._tickets)}-{secrets.token_hex(8)}"
        self._valid_tickets.add(ticket)
        return f"ws://127.0.0.1:{self.port}/socket?ticket={ticket}&app_id={self.app_id}"

    def admits(self, ticket: str) -> bool:
        """Whether a socket may be opened with the ticket; it serves once."""
        valid = ticket in self._valid_tickets
        self._valid_tickets.discard(ticket)
        return valid and self.socket_mode

    def install(self, manifest: Json) -> None:
        """Make the app from a manifest and install it: it then has what that says, and is told of nothing else.

        Raises `SlackRefusal` ``invalid_manifest``. Without it, the app has `SCOPES` and is told of everything.
        """
        self.installed = installed(manifest)
        self.scopes, self.socket_mode = self.installed.scopes, self.installed.socket_mode
        self.deliver_to(None if self.socket_mode else self.installed.url)

    # what there is

    def add_person(
        self,
        id_: str,
        name: str,
        email: str = "",
        kind: Kind = "member",
        team: str | None = None,
        tz: str = "Europe/Berlin",
    ) -> Human:
        """Someone. An external has a team of their own."""
        home = team or ("T0ELSEWHR" if kind in {"external", "stranger"} else self.team)
        self.world.people[id_] = Account(id_, name, email, kind, home, tz)
        return self.person(id_)

    def add_channel(self, id_: str, name: str, members: Iterable[str] = (), **more: Any) -> Channel:
        """A channel."""
        channel = Channel(id_, name, set(members), **more)
        self.world.channels[id_] = channel
        return channel

    def add_usergroup(self, id_: str, handle: str, users: Iterable[str]) -> Usergroup:
        """A user group."""
        group = Usergroup(id_, handle, list(users))
        self.world.usergroups[id_] = group
        return group

    def person(self, id_: str) -> Human:
        """Someone's hands and eyes."""
        return Human(self, self.world.people[id_])

    async def deactivate(self, id_: str) -> None:
        """Take someone's account away; the app is told."""
        self.world.people[id_].kind = "deactivated"
        await self.delivery.event({"type": "user_change", "user": self.shown(self.world.people[id_])})

    async def set_usergroup(self, id_: str, users: Iterable[str]) -> None:
        """Change who is in a user group; the app is told."""
        group = self.world.usergroups[id_]
        group.users = list(users)
        await self.delivery.event({"type": "subteam_updated", "subteam": self.shown_group(group, users=True)})

    def deliver_to(self, url: str | None) -> None:
        """Deliver over HTTP to the app's request URL; None: over Socket Mode."""
        self.delivery.url = url

    # what can be seen and waited for

    async def connected(self, sockets: int = 1, patience: float = 10.0) -> None:
        """Wait for the app's sockets."""
        await self.world.until(lambda: len(self.delivery.sockets) >= sockets or None, f"{sockets} sockets", patience)

    async def was_called(self, method: str, wanted: Callable[[Call], bool] = bool, patience: float = 10.0) -> Call:
        """Wait until the app has called a method so."""

        def find() -> Call | None:
            return next((call for call in reversed(self.calls) if call.method == method and wanted(call)), None)

        return await self.world.until(find, f"a call of {method}", patience)

    def messages(self, channel: str, thread: str | None = None) -> list[Message]:
        """What stands in a channel, or in a thread of it, for everyone to see."""
        return [m for m in self.world.messages if m.channel == channel and m.thread == thread and m.to is None]

    async def sees(
        self, channel: str, wanted: Callable[[Message], bool], *, thread: str | None = None, patience: float = 10.0
    ) -> Message:
        """Wait until a message there is as wanted."""

        def find() -> Message | None:
            return next((m for m in reversed(self.messages(channel, thread)) if wanted(m)), None)

        return await self.world.until(find, f"a message in {channel}", patience)

    def shown(self, account: Account) -> Json:
        """An account as far as the app's scopes go."""
        return account.json(self.clock(), email="users:read.email" in self.scopes)

    def shown_group(self, group: Usergroup, *, users: bool) -> Json:
        """A user group as the app is told of it."""
        facts: Json = {"id": group.id, "team_id": self.team, "handle": group.handle, "name": group.handle}
        facts |= {"is_usergroup": True, "date_delete": int(group.disabled), "user_count": len(group.users)}
        return {**facts, **({"users": list(group.users)} if users else {})}

    def as_ours(self, message: Message) -> Json:
        """A message as payloads have it, with whose it is."""
        ours = {"bot_id": self.bot_id, "app_id": self.app_id} if message.author == self.bot_user_id else {}
        return {**message.json(), "team": self.team, **ours}

    # what happens

    async def called(self, method: str, args: Json, answer: str, result: Json) -> None:
        """Note a call, and what it has shown if it was accepted."""
        self.calls.append(Call(method, args, answer, self.clock(), result))
        if answer == "ok" and method in {"chat.postMessage", "chat.update", "chat.postEphemeral"}:
            self.payloads.append(("message", {"text": args.get("text"), "blocks": args.get("blocks")}))
        await self.world.changed()

    def upload_url(self, ticket: str) -> str:
        """Where a file's bytes go."""
        return f"{self.base}/upload/v1/{ticket}"

    def posted(self, message: Message) -> None:
        """The app posted: tell it so, when it asked for that by metadata and may read that."""
        if not self.metadata_events or message.metadata is None or "metadata.message:read" not in self.scopes:
            return
        event = {
            "type": "message_metadata_posted",
            "app_id": self.app_id,
            "bot_id": self.bot_id,
            "user_id": self.bot_user_id,
            "team_id": self.team,
            "channel_id": message.channel,
            "message_ts": message.ts,
            "metadata": message.metadata,
        }
        self.spawn(self.delivery.event(event))

    def hears(self, event: Json) -> bool:
        """Whether the app has subscribed to an event."""
        return self.installed is None or self.installed.hears(event)

    async def settled(self) -> None:
        """Wait until what is delivered beside has arrived, or was given up."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do it beside."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
