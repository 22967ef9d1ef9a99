"""The Web API methods of a bot of this kind, with arguments, scopes and tiers; any other is an ``unknown_method``.

Source: Slack's method reference.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bot.playground import chat, directory, files, views
from bot.playground.block_tree import Json
from bot.playground.errors import SlackRefusal, bad_arguments
from bot.playground.installation import Installation

_STRUCTURES = {
    "blocks": "invalid_blocks_format",
    "metadata": "invalid_metadata_format",
    "view": "",
    "message": "",
    "attachments": "",
    "files": "",
}
"""The arguments that are JSON texts, and the error code for a malformed one."""
_FLAGS = {"include_users", "include_disabled", "include_num_members", "return_im"}


@dataclass(frozen=True)
class Method:
    """``scopes``: one of them is needed. ``tier`` None: not limited by a tier.

    ``caller``: whose token it takes. ``json``: whether it reads a JSON body; Slack ignores one where its reference
    does not offer it.
    """

    run: Callable[[Installation, Json], Json]
    required: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    tier: int | None = None
    caller: Literal["bot", "app", "anyone"] = "bot"
    json: bool = True

    def check(self, args: Json) -> None:
        """Raise `SlackRefusal` if a required argument is missing."""
        missing = [name for name in self.required if args.get(name) in (None, "")]
        if missing:
            raise bad_arguments(*(f"missing required field: {name}" for name in missing))


def method_of(name: str) -> Method:
    """The method with this name. Raises `SlackRefusal` ``unknown_method``."""
    if name not in METHODS:
        raise SlackRefusal("unknown_method", req_method=name)
    return METHODS[name]


def arguments(method: Method, query: Mapping[str, Any], form: Mapping[str, Any], body: bytes | None) -> Json:
    """The arguments of a call: a query, a form with JSON texts in it, or (``body``) a JSON object."""
    parsed: Any = {}
    if body is not None and method.json:
        try:
            parsed = json.loads(body or b"{}")
        except ValueError:
            raise SlackRefusal("invalid_json") from None
        if not isinstance(parsed, dict):
            raise SlackRefusal("json_not_object")
    both = {name: value for name, value in {**query, **form, **parsed}.items() if value is not None}
    return {name: _typed(name, value) for name, value in both.items()}


def _typed(name: str, value: Any) -> Any:
    if name in _FLAGS:
        return str(value).lower() in {"true", "1"}
    if name in _STRUCTURES and isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            code = _STRUCTURES[name]
            raise (SlackRefusal(code) if code else bad_arguments(f"{name} is not valid JSON")) from None
    if name not in _STRUCTURES and isinstance(value, list | dict):
        raise bad_arguments(f"{name} must be a string")
    return value


def _test(_: Installation, args: Json) -> Json:
    if args.get("error"):
        raise SlackRefusal(str(args["error"]), args=args)
    return {"args": args}


def _auth_test(slack: Installation, _: Json) -> Json:
    return {
        "url": "https://local.enterprise.slack.com/" if slack.organisation else "https://local.slack.com/",
        "team": "Local",
        "team_id": slack.enterprise if slack.organisation else slack.team,
        "user": "jit",
        "user_id": slack.bot_user_id,
        "bot_id": slack.bot_id,
        **({"enterprise_id": slack.enterprise} if slack.enterprise else {}),
        "is_enterprise_install": slack.organisation,
    }


def _team(slack: Installation, _: Json) -> Json:
    return {"team": {"id": slack.team, "name": "Local", "domain": "local"}}


def _connections_open(slack: Installation, _: Json) -> Json:
    if not slack.socket_mode:
        raise SlackRefusal("forbidden_team")
    return {"url": slack.socket_url()}


_CHANNELS = ("channels:read", "groups:read", "im:read", "mpim:read")
_DMS = ("im:write", "channels:manage", "groups:write", "mpim:write")
METHODS: Mapping[str, Method] = {
    "api.test": Method(_test, tier=4, caller="anyone"),
    "apps.connections.open": Method(_connections_open, tier=3, scopes=("connections:write",), caller="app"),
    "auth.test": Method(_auth_test),
    "blocks.validate": Method(chat.validate),
    "bots.info": Method(directory.bot_info, (), ("users:read",), 3, json=False),
    "chat.delete": Method(chat.delete, ("channel", "ts"), ("chat:write",), 3),
    "chat.getPermalink": Method(chat.permalink, ("channel", "message_ts"), json=False),
    "chat.postEphemeral": Method(chat.post_ephemeral, ("channel", "user"), ("chat:write",), 4),
    "chat.postMessage": Method(chat.post, ("channel",), ("chat:write",)),
    "chat.update": Method(chat.update, ("channel", "ts"), ("chat:write",), 3),
    "conversations.info": Method(directory.channel_info, ("channel",), _CHANNELS, 3, json=False),
    "conversations.members": Method(directory.channel_members, ("channel",), _CHANNELS, 4, json=False),
    "conversations.open": Method(directory.open_dm, (), _DMS, 3),
    "dnd.info": Method(directory.dnd_info, (), ("dnd:read",), 3, json=False),
    "dnd.teamInfo": Method(directory.dnd_team_info, (), ("dnd:read",), 2, json=False),
    "files.completeUploadExternal": Method(files.complete, ("files",), ("files:write",), 4),
    "files.getUploadURLExternal": Method(files.begin, ("filename", "length"), ("files:write",), 4, json=False),
    "team.info": Method(_team, (), ("team:read",), 3),
    "usergroups.list": Method(directory.usergroups, (), ("usergroups:read",), 2, json=False),
    "usergroups.users.list": Method(directory.usergroup_users, ("usergroup",), ("usergroups:read",), 2, json=False),
    "users.getPresence": Method(directory.presence, (), ("users:read",), 3),
    "users.info": Method(directory.user_info, ("user",), ("users:read",), 4, json=False),
    "users.list": Method(directory.users, (), ("users:read",), 2, json=False),
    "users.lookupByEmail": Method(directory.user_by_email, ("email",), ("users:read.email",), 3, json=False),
    "views.open": Method(views.open_view, ("view",), (), 4),
    "views.publish": Method(views.publish_view, ("user_id", "view"), (), 4),
    "views.push": Method(views.push_view, ("view",), (), 4),
    "views.update": Method(views.update_view, ("view",), (), 4),
}
