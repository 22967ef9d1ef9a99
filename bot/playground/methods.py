"""The Web API methods that such a bot uses: their arguments, scopes and tiers; any other is an ``unknown_method``.

Source: Slack's method reference.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bot.playground import chat, directory, files, modals
from bot.playground.errors import SlackRefusal, bad_arguments
from bot.playground.workspace import Json

if TYPE_CHECKING:
    from bot.playground.slack import LocalSlack

_STRUCTURES = {
    "blocks": "invalid_blocks_format",
    "metadata": "invalid_metadata_format",
    "view": "",
    "message": "",
    "attachments": "",
    "files": "",
}
"""What is JSON within the call, and the code for what is none."""
_FLAGS = {"include_users", "include_disabled", "include_num_members", "return_im"}


@dataclass(frozen=True)
class Method:
    """``scopes``: one of them is needed. ``tier`` None: not limited, or limited in another way.

    ``caller``: whose token it takes. ``json``: whether a JSON body is read at all; Slack ignores one where its
    reference does not offer it.
    """

    run: Callable[[LocalSlack, Json], Json]
    required: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    tier: int | None = None
    caller: Literal["bot", "app", "anyone"] = "bot"
    json: bool = True

    def check(self, args: Json) -> None:
        """Raise `SlackRefusal` if a required argument is left out."""
        missing = [name for name in self.required if args.get(name) in (None, "")]
        if missing:
            raise bad_arguments(*(f"missing required field: {name}" for name in missing))


def method_of(name: str) -> Method:
    """The method of that name."""
    if name not in METHODS:
        raise SlackRefusal("unknown_method", req_method=name)
    return METHODS[name]


def arguments(method: Method, query: Mapping[str, Any], form: Mapping[str, Any], body: bytes | None) -> Json:
    """What a call says: a query, a form whose structures are JSON texts, or (``body``) a JSON object."""
    said: Any = {}
    if body is not None and method.json:
        try:
            said = json.loads(body or b"{}")
        except ValueError:
            raise SlackRefusal("invalid_json") from None
        if not isinstance(said, dict):
            raise SlackRefusal("json_not_object")
    both = {name: value for name, value in {**query, **form, **said}.items() if value is not None}
    return {name: _typed(name, value) for name, value in both.items()}


def _typed(name: str, value: Any) -> Any:
    if name in _FLAGS:
        return str(value).lower() in {"true", "1"}
    if name in _STRUCTURES and isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            code = _STRUCTURES[name]
            raise (SlackRefusal(code) if code else bad_arguments(f"{name} is no JSON")) from None
    if name not in _STRUCTURES and isinstance(value, list | dict):
        raise bad_arguments(f"{name} must be a string")
    return value


def _test(_: LocalSlack, args: Json) -> Json:
    if args.get("error"):
        raise SlackRefusal(str(args["error"]), args=args)
    return {"args": args}


def _auth_test(slack: LocalSlack, _: Json) -> Json:
    return {
        "url": "https://local.slack.com/",
        "team": "Local",
        "team_id": slack.team,
        "user": "jit",
        "user_id": slack.bot_user_id,
        "bot_id": slack.bot_id,
        "is_enterprise_install": False,
    }


def _team(slack: LocalSlack, _: Json) -> Json:
    return {"team": {"id": slack.team, "name": "Local", "domain": "local"}}


def _connections_open(slack: LocalSlack, _: Json) -> Json:
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
    "files.completeUploadExternal": Method(files.complete, ("files",), ("files:write",), 4),
    "files.getUploadURLExternal": Method(files.begin, ("filename", "length"), ("files:write",), 4, json=False),
    "team.info": Method(_team, (), ("team:read",), 3),
    "usergroups.list": Method(directory.usergroups, (), ("usergroups:read",), 2, json=False),
    "usergroups.users.list": Method(directory.usergroup_users, ("usergroup",), ("usergroups:read",), 2, json=False),
    "users.info": Method(directory.user_info, ("user",), ("users:read",), 4, json=False),
    "users.list": Method(directory.users, (), ("users:read",), 2, json=False),
    "users.lookupByEmail": Method(directory.user_by_email, ("email",), ("users:read.email",), 3, json=False),
    "views.open": Method(modals.open_view, ("view",), (), 4),
    "views.publish": Method(modals.publish_view, ("user_id", "view"), (), 4),
    "views.push": Method(modals.push_view, ("view",), (), 4),
    "views.update": Method(modals.update_view, ("view",), (), 4),
}
