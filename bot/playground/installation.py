"""The app as installed in the local Slack: its ids, tokens and scopes, what it may see, and what it has called."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bot.playground.block_tree import Json
from bot.playground.errors import SlackRefusal
from bot.playground.manifests import Manifest
from bot.playground.workspace import Account, Message, Workspace

SCOPES = (
    "app_mentions:read",
    "commands",
    "chat:write",
    "dnd:read",
    "files:write",
    "users:read",
    "users:read.email",
    "usergroups:read",
    "im:history",
    "im:write",
    "channels:read",
    "groups:read",
    "metadata.message:read",
)


@dataclass(frozen=True)
class Call:
    """One Web API call: its arguments, ``ok`` or the error, and the whole answer."""

    method: str
    args: Json
    answer: str
    at: float
    result: Json = field(default_factory=dict)


@dataclass
class Installation:
    """``clock`` in Unix seconds. ``edit_window``: for how many seconds a message may be changed (None: no limit).

    ``unknown_blocks``: the types of blocks that this Slack refuses in a message, as if it did not have them yet.
    ``enterprise``: the Enterprise Grid organisation of the team; empty for a team outside of any.
    ``organisation``: the app is installed for the whole organisation, and reaches the ``granted`` teams (None: all).
    """

    team: str = "T0LOCAL01"
    enterprise: str = ""
    organisation: bool = False
    granted: set[str] | None = None
    scopes: Iterable[str] = SCOPES
    clock: Callable[[], float] = time.time
    metadata_events: bool = True
    port: int = 0
    edit_window: float | None = None
    unknown_blocks: frozenset[str] = frozenset()
    calls: list[Call] = field(default_factory=list)
    payloads: list[tuple[str, Json]] = field(default_factory=list)
    """Each message, view and list of options that was accepted."""
    away: set[str] = field(default_factory=set)
    """Who is away; everybody else is active."""
    do_not_disturb: dict[str, tuple[float, float]] = field(default_factory=dict)
    """The next time for which a person's schedule mutes notifications, from and until, in Unix seconds."""
    snoozed: dict[str, float] = field(default_factory=dict)
    """Until when a person paused notifications by hand, in Unix seconds."""

    def __post_init__(self) -> None:
        self.world = Workspace(self.team, self.clock)
        self.bot_token, self.app_token = f"xoxb-{secrets.token_hex(12)}", f"xapp-1-A0LOCAL01-{secrets.token_hex(12)}"
        self.signing_secret = secrets.token_hex(16)
        self.app_id, self.bot_id, self.bot_user_id = "A0LOCAL01", "B0LOCAL01", "U0JITBOT1"
        self.world.people[self.bot_user_id] = Account(self.bot_user_id, "jit", "", "bot", self.team)
        self.socket_mode = True
        self.manifest: Manifest | None = None
        """None: the app has `SCOPES`, and receives everything."""
        self.events: list[Json] = []
        """Events that the app's own calls caused, until `Delivery` takes them."""
        self._tickets: set[str] = set()

    # addresses

    @property
    def base(self) -> str:
        """The URL of the server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        """The base URL for a client."""
        return f"{self.base}/api/"

    def response_url(self, id_: str) -> str:
        """Where the app may answer a command or a click."""
        return f"{self.base}/response/{id_}"

    def upload_url(self, ticket: str) -> str:
        """Where the bytes of a file go."""
        return f"{self.base}/upload/v1/{ticket}"

    def socket_url(self) -> str:
        """The address of one new socket, with a ticket."""
        ticket = f"{self.world.number()}-{secrets.token_hex(8)}"
        self._tickets.add(ticket)
        return f"ws://127.0.0.1:{self.port}/socket?ticket={ticket}&app_id={self.app_id}"

    def admits(self, ticket: str) -> bool:
        """Whether the ticket opens a socket; it works once."""
        valid = ticket in self._tickets
        self._tickets.discard(ticket)
        return valid and self.socket_mode

    # what the app may see

    def user_json(self, account: Account) -> Json:
        """An account, without the e-mail address if the app lacks the scope."""
        return account.json(self.clock(), email="users:read.email" in self.scopes)

    def message_json(self, message: Message) -> Json:
        """A message as payloads have it: with the team, and the app if it is the author."""
        author = {"bot_id": self.bot_id, "app_id": self.app_id} if message.author == self.bot_user_id else {}
        return {**message.json(), "team": self.team, **author}

    def enterprise_json(self) -> Json | None:
        """The organisation, as payloads name it."""
        return {"id": self.enterprise, "name": "Local"} if self.enterprise else None

    def team_of(self, args: Json) -> str:
        """The team of a call: an organisation's token has to name it."""
        if not self.organisation:
            return self.team
        if not args.get("team_id"):
            raise SlackRefusal("missing_argument", arg="team_id")
        self.check_granted(str(args["team_id"]))
        return str(args["team_id"])

    def check_granted(self, team: str) -> None:
        """Raise `SlackRefusal` for a team that the organisation's app may not reach."""
        if self.organisation and self.granted is not None and team not in self.granted:
            raise SlackRefusal("team_access_not_granted")

    def subscribes_to(self, event: Json) -> bool:
        """Whether the app receives an event."""
        return self.manifest is None or self.manifest.subscribes_to(event)

    @property
    def interactive(self) -> bool:
        """Whether the app receives clicks and submissions."""
        return self.manifest is None or self.manifest.interactive

    # what the app has called

    async def record_call(self, method: str, args: Json, answer: str, result: Json) -> None:
        """Record a call, and the message that it showed if it was accepted."""
        self.calls.append(Call(method, args, answer, self.clock(), result))
        if answer == "ok" and method in {"chat.postMessage", "chat.update", "chat.postEphemeral"}:
            self.payloads.append(("message", {"text": args.get("text"), "blocks": args.get("blocks")}))
        await self.world.changed()

    def record_post(self, message: Message) -> None:
        """Record the metadata event of a message that the app posted, if the app may receive it."""
        if not self.metadata_events or message.metadata is None or "metadata.message:read" not in self.scopes:
            return
        self.events.append(
            {
                "type": "message_metadata_posted",
                "app_id": self.app_id,
                "bot_id": self.bot_id,
                "user_id": self.bot_user_id,
                "team_id": self.team,
                "channel_id": message.channel,
                "message_ts": message.ts,
                "metadata": message.metadata,
            }
        )
