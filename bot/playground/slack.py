"""The local Slack, put together and listening on loopback; tests and the demo set it up and watch it here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from bot.playground.block_tree import Json
from bot.playground.delivery import Delivery
from bot.playground.faults import Faults
from bot.playground.human import Human
from bot.playground.installation import Call, Installation
from bot.playground.manifests import read_manifest
from bot.playground.rate_limits import RateLimits
from bot.playground.server import Server
from bot.playground.workspace import Account, Channel, Kind, Message, Usergroup


class LocalSlack(Installation):
    """A workspace, the app in it, and a server for that app; the arguments are those of `Installation`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.faults, self.limits = Faults(), RateLimits(self.clock)
        self.delivery = Delivery(self)
        self._runner: web.AppRunner | None = None

    # running

    async def start(self) -> LocalSlack:
        """Listen on loopback."""
        server = Server(self, self.delivery, self.faults, self.limits)
        self._runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        """Release the calls that hang, and close every connection."""
        self.faults.clear()
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

    # the app

    def install(self, manifest: Json) -> None:
        """Create the app from a manifest: it gets those scopes and commands, and only the subscribed events.

        Raises `SlackRefusal` ``invalid_manifest``. Without a manifest, the app has `SCOPES` and receives everything.
        """
        self.manifest = read_manifest(manifest)
        self.scopes, self.socket_mode = self.manifest.scopes, self.manifest.socket_mode
        self.deliver_to(None if self.socket_mode else self.manifest.url)

    def deliver_to(self, url: str | None) -> None:
        """Deliver over HTTP to the app's request URL; None: over Socket Mode."""
        self.delivery.url = url

    # people, channels, user groups

    def add_person(
        self,
        id_: str,
        name: str,
        email: str = "",
        kind: Kind = "member",
        team: str | None = None,
        tz: str = "Europe/Berlin",
        teams: Iterable[str] | None = None,
    ) -> Human:
        """Add a person. An external one has a team of their own; on a Grid a person is in one or several ``teams``."""
        outside = kind in {"external", "stranger"}
        home = team if team is not None else ("T0ELSEWHR" if outside else self.team)
        within = tuple(teams) if teams is not None else (home,)
        account = Account(id_, name, email, kind, home, tz, updated=self._yesterday())
        if self.enterprise:
            account.enterprise, account.teams = "E0ELSEWHR" if outside else self.enterprise, within
        self.world.people[id_] = account
        return self.person(id_)

    def add_channel(self, id_: str, name: str, members: Iterable[str] = (), **more: Any) -> Channel:
        """Add a channel."""
        channel = Channel(id_, name, set(members), **more)
        self.world.channels[id_] = channel
        return channel

    def add_usergroup(self, id_: str, handle: str, users: Iterable[str], team: str = "") -> Usergroup:
        """Add a user group; on a Grid it belongs to one team."""
        group = Usergroup(id_, handle, list(users), team=team or self.team, updated=self._yesterday())
        self.world.usergroups[id_] = group
        return group

    def person(self, id_: str) -> Human:
        """A person, to act as."""
        return Human(self, self.delivery, self.world.people[id_])

    async def deactivate(self, id_: str) -> None:
        """Deactivate an account, and deliver the event."""
        await self.set_kind(id_, "deactivated")

    async def set_kind(self, id_: str, kind: Kind) -> Json:
        """Change the kind of an account, and deliver the event. Returns the event, to deliver it again."""
        account = self.world.people[id_]
        account.kind, account.updated = kind, self.world.second()
        event = {"type": "user_change", "user": self.user_json(account)}
        await self.delivery.event(event)
        return event

    async def set_usergroup(self, id_: str, users: Iterable[str]) -> list[Json]:
        """Change the members of a user group, and deliver the events. Returns the events, to deliver them again."""
        group = self.world.usergroups[id_]
        before, group.users = set(group.users), list(users)
        was, group.updated = group.updated, self.world.second()
        added, removed = [u for u in group.users if u not in before], sorted(before - set(group.users))
        changed = {"subteam_id": id_, "team_id": group.team, "date_previous_update": was, "date_update": group.updated}
        counted = {"added_users_count": len(added), "removed_users_count": len(removed)}
        events: list[Json] = [
            {"type": "subteam_updated", "subteam": group.json(users=True)},
            {"type": "subteam_members_changed", **changed, "added_users": added, "removed_users": removed, **counted},
        ]
        for event in events:
            await self.delivery.event(event)
        return events

    def _yesterday(self) -> int:
        return int(self.clock()) - 86_400

    # what can be waited for

    async def connected(self, sockets: int = 1, patience: float = 30.0) -> None:
        """Wait for the app's sockets."""
        await self.delivery.connected(sockets, patience)

    async def was_called(self, method: str, wanted: Callable[[Call], bool] = bool, patience: float = 30.0) -> Call:
        """Wait for a matching call of a method."""

        def find() -> Call | None:
            return next((call for call in reversed(self.calls) if call.method == method and wanted(call)), None)

        return await self.world.until(find, f"a call of {method}", patience)

    def messages(self, channel: str, thread: str | None = None) -> list[Message]:
        """The messages in a channel, or in a thread of it, that everyone sees."""
        return self.world.messages_in(channel, thread)

    async def sees(
        self, channel: str, wanted: Callable[[Message], bool], *, thread: str | None = None, patience: float = 30.0
    ) -> Message:
        """Wait for a matching message that everyone in the channel sees."""
        return await self.world.sees(channel, wanted, thread=thread, patience=patience)

    async def settled(self) -> None:
        """Wait until every event in the background was delivered or given up."""
        await self.delivery.settled()
