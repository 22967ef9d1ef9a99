"""What Slack has to know of the app, drawn from what the handlers listen to and the methods that are called.

It asks for no scope, event or command that nothing uses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast
from urllib.parse import urlsplit

import yaml
from slack_bolt.async_app import AsyncApp

import handlers
from bot.http_server import PATH
from handlers.context import Door
from handlers.notify.poster import METADATA

F = TypeVar("F", bound=Callable[..., Any])
Json = dict[str, Any]

METHODS: Mapping[str, tuple[str, ...]] = {
    "apps.connections.open": (),  # with the app-level token, see APP_SCOPES
    "auth.test": (),
    "blocks.validate": (),
    "bots.info": ("users:read",),
    "chat.delete": ("chat:write",),
    "chat.getPermalink": (),
    "chat.postEphemeral": ("chat:write",),
    "chat.postMessage": ("chat:write",),
    "chat.update": ("chat:write",),
    "conversations.info": ("channels:read", "groups:read"),
    "conversations.open": ("im:write",),
    "dnd.teamInfo": ("dnd:read",),
    "files.completeUploadExternal": ("files:write",),
    "files.getUploadURLExternal": ("files:write",),
    "usergroups.list": ("usergroups:read",),
    "usergroups.users.list": ("usergroups:read",),
    "users.getPresence": ("users:read",),
    "users.info": ("users:read", "users:read.email"),
    "users.lookupByEmail": ("users:read.email",),
    "views.open": (),
    "views.publish": (),
    "views.push": (),
    "views.update": (),
}
"""Each Web API method that we call, and the bot scopes that our use of it needs (Slack, "Methods")."""
OPTIONAL: Mapping[str, str] = {"dnd:read": "nobody sees whose notifications are off"}
"""The bot scopes that earlier installs lack and that nothing needs to work, and what is missing without each."""
APP_SCOPES = ("connections:write",)
"""What the app-level token of Socket Mode needs; a manifest cannot say it."""
EVENTS: Mapping[str, tuple[str, ...]] = {
    "app_home_opened": (),
    "app_mention": ("app_mentions:read",),
    "app_uninstalled": (),
    "message": ("im:history",),
    "message_metadata_posted": ("metadata.message:read",),
    "subteam_members_changed": ("usergroups:read",),
    "subteam_updated": ("usergroups:read",),
    "team_join": ("users:read",),
    "tokens_revoked": (),
    "user_change": ("users:read",),
}
"""Events, and the bot scopes that Slack wants for them; those that nobody listens to are not subscribed."""
SUBSCRIPTIONS: Mapping[str, str] = {"message": "message.im"}
"""The subscription of an event where it has another name: of messages, only those in the conversation with the bot."""


@dataclass(frozen=True)
class Command:
    """A slash command as people see it."""

    description: str
    usage_hint: str


@dataclass(frozen=True)
class Shortcut:
    """A shortcut as people see it; ``name`` at most 24 signs."""

    name: str
    kind: Literal["global", "message"]
    description: str


COMMANDS: Mapping[str, Command] = {
    "/jit": Command("Ask for access, give it back, see what you have", "request WHAT 30m -- why"),
}
SHORTCUTS: Mapping[str, Shortcut] = {
    "request_access": Shortcut("Request access", "global", "Ask for access for a while"),
    "request_access_here": Shortcut("Request access", "message", "Ask for access, with this message as the reason"),
}
"""By callback id."""


class BadUrl(ValueError):
    """An address at which Slack could not reach the bot."""


@dataclass
class ListenerNames:
    """What handlers listen to, by the names that Slack knows; it stands in for the app while they register."""

    commands: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    shortcuts: list[str] = field(default_factory=list)
    interactive: list[str] = field(default_factory=list)

    def command(self, name: str) -> Callable[[F], F]:
        """A slash command."""
        return _noted(self.commands, name)

    def event(self, name: str) -> Callable[[F], F]:
        """An event."""
        return _noted(self.events, name)

    def shortcut(self, callback: str) -> Callable[[F], F]:
        """A shortcut, global or of a message."""
        self.interactive.append(callback)
        return _noted(self.shortcuts, callback)

    global_shortcut = message_shortcut = shortcut

    def action(self, name: Any) -> Callable[[F], F]:
        """A button, a select or a modal: all come to the one interactivity URL."""
        return _noted(self.interactive, str(name))

    block_action = view = view_submission = view_closed = options = block_suggestion = action

    def error(self, listener: F) -> F:
        """Slack does not know of it."""
        return listener


def heard() -> ListenerNames:
    """All that the handlers register."""
    listeners = ListenerNames()
    # Registering calls nothing of the door: listeners only close over it.
    handlers.register(cast("AsyncApp", listeners), cast("Door", None))
    return listeners


def scopes(listeners: ListenerNames) -> list[str]:
    """The bot scopes that the code needs, sorted."""
    wanted = {scope for needed in METHODS.values() for scope in needed}
    wanted |= {scope for event in listeners.events for scope in _known(EVENTS, event, "EVENTS")}
    return sorted(wanted | ({"commands"} if listeners.commands or listeners.shortcuts else set()))


def manifest(url: str | None = None, app: str = "*", *, organisation: bool = False) -> Json:
    """The manifest, for Socket Mode without a ``url``, else for HTTP. ``app`` is our app's id, if it is known already.

    ``organisation``: the app can be installed for all teams of an Enterprise Grid at once.

    Raises `BadUrl`.
    """
    listeners = heard()
    address = None if url is None else {"request_url": endpoint(url)}
    return {
        "display_information": {
            "name": "JIT Access",
            "description": "Access when it is needed: requested and approved here, granted and revoked on time.",
            "background_color": "#1f3a5f",
        },
        "features": _features(listeners, address),
        "oauth_config": {"scopes": {"bot": scopes(listeners)}},
        "settings": {
            "event_subscriptions": {**(address or {}), **_subscriptions(listeners.events, app)},
            "interactivity": {"is_enabled": bool(listeners.interactive), **(address or {})},
            "org_deploy_enabled": organisation,
            "socket_mode_enabled": address is None,
            "token_rotation_enabled": False,
        },
    }


def endpoint(url: str) -> str:
    """Where Slack would deliver. Raises `BadUrl`."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise BadUrl(f"{url} is no address: write it like https://jit.example.com") from None
    if parts.scheme != "https" or not host or parts.username or parts.query or parts.fragment:
        raise BadUrl(f"{url} will not do: Slack delivers to https://your.host, with nothing after the path")
    path = parts.path.rstrip("/").removesuffix(PATH)
    return f"https://{parts.netloc}{path}{PATH}"


def spelled(said: Json, *, as_yaml: bool = False) -> str:
    """As the page "From a manifest" takes it."""
    if as_yaml:
        return yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=120)
    return json.dumps(said, indent=2, ensure_ascii=False) + "\n"


def _features(listeners: ListenerNames, address: Mapping[str, str] | None) -> Json:
    place = {"url": address["request_url"]} if address else {}
    features: Json = {
        "app_home": {
            "home_tab_enabled": "app_home_opened" in listeners.events,
            # Where people find what the bot told them, and may type commands.
            "messages_tab_enabled": True,
            "messages_tab_read_only_enabled": "message" not in listeners.events,
        },
        "bot_user": {"display_name": "jit", "always_online": True},
    }
    if listeners.commands:
        features["slash_commands"] = [
            {"command": name, **place, **vars(_known(COMMANDS, name, "COMMANDS")), "should_escape": True}
            for name in listeners.commands
        ]
    if listeners.shortcuts:
        features["shortcuts"] = [_shortcut(name) for name in listeners.shortcuts]
    return features


def _shortcut(callback: str) -> Json:
    known = _known(SHORTCUTS, callback, "SHORTCUTS")
    return {"name": known.name, "type": known.kind, "callback_id": callback, "description": known.description}


def _subscriptions(events: Iterable[str], app: str) -> Json:
    """Of metadata, Slack tells only the event types that are named, by app."""
    said: Json = {"bot_events": sorted(SUBSCRIPTIONS.get(event, event) for event in events)}
    if "message_metadata_posted" in said["bot_events"]:
        said["metadata_subscriptions"] = [{"app_id": app, "event_type": METADATA}]
    return said


T = TypeVar("T")


def _known(table: Mapping[str, T], name: str, where: str) -> T:
    if name not in table:
        raise LookupError(f"the handlers listen to {name}, of which {where} in bot/cli/manifest.py says nothing")
    return table[name]


def _noted(names: list[str], name: str) -> Callable[[F], F]:
    if name not in names:
        names.append(name)
    return lambda listener: listener
