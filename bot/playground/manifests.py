"""App manifests: what Slack refuses in one, and what the app gets from it.

Sources: Slack's reference "App manifest" and its published schema; the rules across parts, from its validator's
answers. A part that no app of this kind has is refused as unsupported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.playground.elements import Flaws
from bot.playground.errors import SlackRefusal

Rule = Callable[[Flaws, str, Any], None]
_URL = re.compile(r"^https?://")
_EVENT_SCOPES = {
    "app_home_opened": (),
    "app_mention": ("app_mentions:read",),
    "app_uninstalled": (),
    "message.im": ("im:history",),
    "message_metadata_posted": ("metadata.message:read",),
    "subteam_members_changed": ("usergroups:read",),
    "subteam_updated": ("usergroups:read",),
    "team_join": ("users:read",),
    "tokens_revoked": (),
    "user_change": ("users:read",),
}
_BOT_SCOPES = frozenset(
    {
        *("app_mentions:read", "bookmarks:write", "channels:history", "channels:join", "channels:manage"),
        *("channels:read", "chat:write", "chat:write.customize", "chat:write.public", "commands", "dnd:read"),
        *("files:read", "files:write", "groups:history", "groups:read", "groups:write", "im:history", "im:read"),
        *("im:write", "metadata.message:read", "mpim:history", "mpim:read", "mpim:write", "reactions:read"),
        *("reactions:write", "team:read", "usergroups:read", "usergroups:write", "users.profile:read", "users:read"),
        *("users:read.email", "users:write"),
    }
)


@dataclass(frozen=True)
class Manifest:
    """What the app gets from a manifest: scopes, commands, shortcuts, events, and the metadata that it receives."""

    scopes: tuple[str, ...]
    commands: frozenset[str]
    shortcuts: frozenset[str]
    events: frozenset[str]
    metadata: frozenset[tuple[str, str]]
    interactive: bool
    socket_mode: bool
    url: str | None

    def subscribes_to(self, event: Mapping[str, Any]) -> bool:
        """Whether the app receives an event."""
        kind = str(event.get("type"))
        if kind == "message_metadata_posted":
            named = (event.get("metadata") or {}).get("event_type")
            wanted = {(app, named) for app in ("*", event.get("app_id"))}
            return kind in self.events and bool(wanted & self.metadata)
        return (f"message.{event.get('channel_type')}" if kind == "message" else kind) in self.events


def read_manifest(manifest: Any) -> Manifest:
    """Check and read a manifest. Raises `SlackRefusal` ``invalid_manifest`` with each flaw and its place."""
    flaws = Flaws()
    _MANIFEST(flaws, "", manifest)
    if not flaws.all:
        _check_across(flaws, manifest)
    if flaws.all:
        errors = [{"message": what, "pointer": where or "/"} for where, what in flaws.all]
        raise SlackRefusal("invalid_manifest", errors=errors)
    features, settings = manifest.get("features", {}), manifest.get("settings", {})
    subscribed, commands = settings.get("event_subscriptions", {}), features.get("slash_commands", [])
    return Manifest(
        scopes=tuple(_scopes(manifest)),
        commands=frozenset(command["command"] for command in commands),
        shortcuts=frozenset(shortcut["callback_id"] for shortcut in features.get("shortcuts", [])),
        events=frozenset(subscribed.get("bot_events", [])),
        metadata=frozenset((s["app_id"], s["event_type"]) for s in subscribed.get("metadata_subscriptions", [])),
        interactive=bool(settings.get("interactivity", {}).get("is_enabled")),
        socket_mode=bool(settings.get("socket_mode_enabled")),
        url=subscribed.get("request_url"),
    )


def _scopes(manifest: Any) -> list[str]:
    found: list[str] = manifest.get("oauth_config", {}).get("scopes", {}).get("bot", [])
    return found


def _check_across(flaws: Flaws, manifest: Any) -> None:
    """Check what one part requires of another."""
    features, settings, scopes = manifest.get("features", {}), manifest.get("settings", {}), _scopes(manifest)
    for index, scope in enumerate(scopes):
        if scope not in _BOT_SCOPES:
            flaws.say(f"/oauth_config/scopes/bot/{index}", f"invalid scope: {scope}")
    if scopes and "bot_user" not in features:
        flaws.say("/features", "a bot user is required for bot scopes")
    if (features.get("slash_commands") or features.get("shortcuts")) and "commands" not in scopes:
        flaws.say("/oauth_config/scopes/bot", "Slash Commands requires `commands` bot scope")
    subscribed = settings.get("event_subscriptions", {})
    for index, event in enumerate(subscribed.get("bot_events", [])):
        where = f"/settings/event_subscriptions/bot_events/{index}"
        if event not in _EVENT_SCOPES:
            flaws.say(where, f"unknown event: {event}")
        elif missing := set(_EVENT_SCOPES[event]) - set(scopes):
            flaws.say(where, f"{event} requires the bot scope {min(missing)}")
    if not settings.get("socket_mode_enabled"):
        _check_addresses(flaws, features, settings)


def _check_addresses(flaws: Flaws, features: Any, settings: Any) -> None:
    """Check that everything delivered over HTTP has an address."""
    for index, command in enumerate(features.get("slash_commands", [])):
        if "url" not in command:
            flaws.say(f"/features/slash_commands/{index}", "url is required without Socket Mode")
    subscribed, interactivity = settings.get("event_subscriptions", {}), settings.get("interactivity", {})
    if subscribed.get("bot_events") and "request_url" not in subscribed:
        flaws.say("/settings/event_subscriptions", "request_url is required without Socket Mode")
    if interactivity.get("is_enabled") and "request_url" not in interactivity:
        flaws.say("/settings/interactivity", "request_url is required without Socket Mode")


# the schema of each part


def _text(most: int, least: int = 1, pattern: re.Pattern[str] | None = None) -> Rule:
    def check(flaws: Flaws, where: str, value: Any) -> None:
        flaws.length(where, value, most, least)
        if pattern and isinstance(value, str) and not pattern.match(value):
            flaws.say(where, f"must match {pattern.pattern}")

    return check


def _flag(flaws: Flaws, where: str, value: Any) -> None:
    if not isinstance(value, bool):
        flaws.say(where, "must be a boolean")


def _one_of(*words: str) -> Rule:
    def check(flaws: Flaws, where: str, value: Any) -> None:
        if value not in words:
            flaws.say(where, f"must be one of {', '.join(words)}")

    return check


def _each(rule: Rule, most: int, least: int = 0) -> Rule:
    def check(flaws: Flaws, where: str, value: Any) -> None:
        items = flaws.array(where, value, most, least)
        for index, item in enumerate(items):
            rule(flaws, f"{where}/{index}", item)
            if item in items[:index]:
                flaws.say(f"{where}/{index}", "is a duplicate")

    return check


def _parts(required: Mapping[str, Rule], optional: Mapping[str, Rule] | None = None) -> Rule:
    rules = {**required, **(optional or {})}

    def check(flaws: Flaws, where: str, value: Any) -> None:
        if not flaws.object(where, value, rules):
            return
        for name in required:
            if name not in value:
                flaws.say(where, f"missing required field: {name}")
        for name in value.keys() & rules:
            rules[name](flaws, f"{where}/{name}", value[name])

    return check


_ADDRESS = _text(3000, pattern=_URL)
_COMMAND = _parts(
    {"command": _text(32, 2, re.compile(r"^/[^\s/]+$")), "description": _text(2000)},
    {"url": _ADDRESS, "usage_hint": _text(1000), "should_escape": _flag},
)
_SHORTCUT = _parts(
    {
        "name": _text(24),
        "type": _one_of("message", "global"),
        "callback_id": _text(255),
        "description": _text(150),
    }
)
_EVENT_SUBSCRIPTIONS = _parts(
    {},
    {
        "request_url": _ADDRESS,
        "bot_events": _each(_text(50), 100),
        "metadata_subscriptions": _each(_parts({"app_id": _text(50), "event_type": _text(50)}), 20, 1),
    },
)
_MANIFEST = _parts(
    {
        "display_information": _parts(
            {"name": _text(35)},
            {
                "description": _text(140),
                "long_description": _text(4000, 175),
                "background_color": _text(7, 4, re.compile(r"^#[0-9a-fA-F]{3}([0-9a-fA-F]{3})?$")),
            },
        )
    },
    {
        "features": _parts(
            {},
            {
                "app_home": _parts(
                    {},
                    {
                        "home_tab_enabled": _flag,
                        "messages_tab_enabled": _flag,
                        "messages_tab_read_only_enabled": _flag,
                    },
                ),
                "bot_user": _parts({"display_name": _text(80)}, {"always_online": _flag}),
                "slash_commands": _each(_COMMAND, 50, 1),
                "shortcuts": _each(_SHORTCUT, 10, 1),
            },
        ),
        "oauth_config": _parts({}, {"scopes": _parts({}, {"bot": _each(_text(50), 255)})}),
        "settings": _parts(
            {},
            {
                "event_subscriptions": _EVENT_SUBSCRIPTIONS,
                "interactivity": _parts({"is_enabled": _flag}, {"request_url": _ADDRESS}),
                "org_deploy_enabled": _flag,
                "socket_mode_enabled": _flag,
                "token_rotation_enabled": _flag,
            },
        ),
    },
)
