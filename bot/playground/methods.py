"""The Web API methods that such a bot uses: their arguments, scopes and tiers, and what they do.

Source: Slack's method reference. A method that is not here is an ``unknown_method``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.playground import blocks
from bot.playground.errors import SlackRefusal
from bot.playground.workspace import TRIGGER_SECONDS, Channel, Message, View

if TYPE_CHECKING:
    from bot.playground.slack import LocalSlack

Arguments = dict[str, Any]
Answer = dict[str, Any]
_MODALS = 3


@dataclass(frozen=True)
class Method:
    """``scopes``: one of them is needed. ``tier`` None: not limited, or limited in another way."""

    run: Callable[[LocalSlack, Arguments], Answer]
    required: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    tier: int | None = None
    kind: str = "bot"


def arguments(content_type: str, body: bytes, query: Mapping[str, str], form: Mapping[str, Any]) -> Arguments:
    """What a call says, as JSON or as a form whose structures are JSON texts."""
    if content_type.startswith("application/json"):
        try:
            said = json.loads(body or b"{}")
        except ValueError:
            raise SlackRefusal("invalid_json") from None
        return {**query, **said}
    both = {**query, **form}
    return {name: _structured(name, value) for name, value in both.items()}


def _structured(name: str, value: Any) -> Any:
    if name in {"blocks", "view", "metadata", "attachments"} and isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            raise SlackRefusal("invalid_blocks_format" if name == "blocks" else "invalid_arguments") from None
    return {"true": True, "True": True, "1": True, "false": False, "False": False, "0": False}.get(str(value), value)


def _auth_test(slack: LocalSlack, _: Arguments) -> Answer:
    return {
        "url": "https://local.slack.test/",
        "team": "Local",
        "team_id": slack.team,
        "user": "jit",
        "user_id": slack.bot_user_id,
        "bot_id": slack.bot_id,
        "is_enterprise_install": False,
    }


def _connections_open(slack: LocalSlack, _: Arguments) -> Answer:
    return {"url": slack.socket_url()}


def _channel(slack: LocalSlack, args: Arguments, *, post: bool = False) -> Channel:
    id_ = str(args["channel"])
    if post and id_ in slack.world.people:
        return slack.world.dm(id_)
    channel = slack.world.channels.get(id_)
    if channel is None:
        raise SlackRefusal("channel_not_found")
    if post and channel.archived:
        raise SlackRefusal("is_archived")
    if post and not channel.bot_inside:
        raise SlackRefusal("not_in_channel")
    return channel


def _post(slack: LocalSlack, args: Arguments) -> Answer:
    blocks.check_message(args.get("text"), args.get("blocks"))
    channel = _channel(slack, args, post=True)
    thread = args.get("thread_ts")
    if thread and not any(m.ts == thread and m.channel == channel.id for m in slack.world.messages):
        raise SlackRefusal("thread_not_found")
    metadata = args.get("metadata")
    if metadata is not None and not {"event_type", "event_payload"} <= set(metadata):
        raise SlackRefusal("invalid_metadata_format")
    text = str(args.get("text") or "")[: blocks.TEXT]
    message = Message(channel.id, slack.world.ts(), text, args.get("blocks") or [], thread, metadata)
    slack.world.messages.append(message)
    slack.posted(message)
    return {"channel": channel.id, "ts": message.ts, "message": message.json()}


def _post_ephemeral(slack: LocalSlack, args: Arguments) -> Answer:
    blocks.check_message(args.get("text"), args.get("blocks"))
    channel = _channel(slack, args, post=True)
    if args["user"] not in channel.members:
        raise SlackRefusal("user_not_in_channel")
    text = str(args.get("text") or "")
    message = Message(channel.id, slack.world.ts(), text, args.get("blocks") or [], to=args["user"])
    slack.world.messages.append(message)
    return {"message_ts": message.ts}


def _ours(slack: LocalSlack, args: Arguments) -> Message:
    _channel(slack, args)
    for message in slack.world.messages:
        if message.channel == args["channel"] and message.ts == str(args["ts"]) and not message.deleted:
            return message
    raise SlackRefusal("message_not_found")


def _update(slack: LocalSlack, args: Arguments) -> Answer:
    message = _ours(slack, args)
    if "blocks" in args or "text" not in args:
        blocks.check_message(args.get("text"), args.get("blocks"))
    message.text = str(args.get("text") or "")[: blocks.TEXT]
    message.blocks = args.get("blocks") or []
    message.edits += 1
    return {"channel": message.channel, "ts": message.ts, "text": message.text}


def _delete(slack: LocalSlack, args: Arguments) -> Answer:
    message = _ours(slack, args)
    message.deleted = True
    slack.world.messages.remove(message)
    return {"channel": message.channel, "ts": message.ts}


def _permalink(slack: LocalSlack, args: Arguments) -> Answer:
    message = _ours(slack, {**args, "ts": args["message_ts"]})
    return {"channel": message.channel, "permalink": f"https://local.slack.test/{message.channel}/{message.ts}"}


def _open_dm(slack: LocalSlack, args: Arguments) -> Answer:
    user = str(args.get("users") or "")
    account = slack.world.people.get(user)
    if account is None:
        raise SlackRefusal("user_not_found")
    if account.kind == "deactivated":
        raise SlackRefusal("user_disabled")
    return {"channel": {"id": slack.world.dm(user).id}}


def _channel_info(slack: LocalSlack, args: Arguments) -> Answer:
    channel = _channel(slack, args)
    return {
        "channel": {
            "id": channel.id,
            "name": channel.name,
            "is_channel": not channel.is_im,
            "is_im": channel.is_im,
            "is_member": channel.bot_inside,
            "is_archived": channel.archived,
            "is_ext_shared": channel.ext_shared,
            "is_pending_ext_shared": channel.pending_ext_shared,
        }
    }


def _members(slack: LocalSlack, args: Arguments) -> Answer:
    return {"members": sorted(_channel(slack, args).members), "response_metadata": {"next_cursor": ""}}


def _user(slack: LocalSlack, args: Arguments) -> Answer:
    account = slack.world.people.get(str(args["user"]))
    if account is None:
        raise SlackRefusal("user_not_found")
    return {"user": account.json()}


def _users(slack: LocalSlack, _: Arguments) -> Answer:
    return {"members": [a.json() for a in slack.world.people.values()], "response_metadata": {"next_cursor": ""}}


def _by_email(slack: LocalSlack, args: Arguments) -> Answer:
    for account in slack.world.people.values():
        if account.email.casefold() == str(args["email"]).casefold() and account.kind != "deactivated":
            return {"user": account.json()}
    raise SlackRefusal("users_not_found")


def _usergroups(slack: LocalSlack, args: Arguments) -> Answer:
    groups = []
    for group in slack.world.usergroups.values():
        one: dict[str, Any] = {"id": group.id, "handle": group.handle, "name": group.handle, "date_delete": 0}
        groups.append({**one, "users": list(group.users)} if args.get("include_users") else one)
    return {"usergroups": groups}


def _usergroup_users(slack: LocalSlack, args: Arguments) -> Answer:
    group = slack.world.usergroups.get(str(args["usergroup"]))
    if group is None:
        raise SlackRefusal("no_such_subteam")
    return {"users": list(group.users)}


def _triggered(slack: LocalSlack, args: Arguments) -> str:
    """Who may be shown a view; a trigger is used once, within three seconds."""
    trigger = slack.world.triggers.get(str(args.get("trigger_id") or ""))
    if trigger is None:
        raise SlackRefusal("invalid_trigger_id")
    if trigger.used:
        raise SlackRefusal("exchanged_trigger_id")
    if slack.world.clock() - trigger.at > TRIGGER_SECONDS:
        raise SlackRefusal("expired_trigger_id")
    trigger.used = True
    return trigger.user


def _open_view(slack: LocalSlack, args: Arguments) -> Answer:
    blocks.check_view(args["view"])
    return _shown(slack, _triggered(slack, args), args["view"], None)


def _push_view(slack: LocalSlack, args: Arguments) -> Answer:
    blocks.check_view(args["view"])
    user = _triggered(slack, args)
    stack = slack.world.stack(user)
    if len(stack) >= _MODALS:
        raise SlackRefusal("push_limit_reached")
    return _shown(slack, user, args["view"], stack[0].root if stack else None)


def _shown(slack: LocalSlack, user: str, body: dict[str, Any], root: str | None) -> Answer:
    id_ = f"V{slack.world.number()}"
    view = View(id_, user, body, root or id_, hash=slack.world.ts())
    slack.world.views[id_] = view
    return {"view": view.json(slack.team, slack.app_id, slack.bot_id)}


def _update_view(slack: LocalSlack, args: Arguments) -> Answer:
    blocks.check_view(args["view"])
    views = slack.world.views.values()
    found = slack.world.views.get(str(args.get("view_id"))) if args.get("view_id") else None
    if args.get("external_id"):
        found = next((view for view in views if view.body.get("external_id") == args["external_id"]), None)
    if found is None or not found.open:
        raise SlackRefusal("not_found")
    if args.get("hash") and args["hash"] != found.hash:
        raise SlackRefusal("hash_conflict")
    slack.replace_view(found, args["view"])
    return {"view": found.json(slack.team, slack.app_id, slack.bot_id)}


def _publish_view(slack: LocalSlack, args: Arguments) -> Answer:
    blocks.check_view(args["view"])
    if args["view"].get("type") != "home":
        raise SlackRefusal("invalid_arguments")
    if args["user_id"] not in slack.world.people:
        raise SlackRefusal("user_not_found")
    slack.world.homes[args["user_id"]] = args["view"]
    return {"view": args["view"]}


def _team(slack: LocalSlack, _: Arguments) -> Answer:
    return {"team": {"id": slack.team, "name": "Local", "domain": "local"}}


def _validate(_: LocalSlack, args: Arguments) -> Answer:
    blocks.check_message("x", args["blocks"])
    return {}


def _dnd(_: LocalSlack, __: Arguments) -> Answer:
    return {"dnd_enabled": False, "snooze_enabled": False}


def _nothing(_: LocalSlack, __: Arguments) -> Answer:
    return {}


METHODS: Mapping[str, Method] = {
    "api.test": Method(_nothing, tier=4),
    "auth.test": Method(_auth_test),
    "apps.connections.open": Method(_connections_open, tier=1, scopes=("connections:write",), kind="app"),
    "blocks.validate": Method(_validate, ("blocks",), tier=4),
    "chat.delete": Method(_delete, ("channel", "ts"), ("chat:write",), 3),
    "chat.getPermalink": Method(_permalink, ("channel", "message_ts")),
    "chat.postEphemeral": Method(_post_ephemeral, ("channel", "user"), ("chat:write",), 4),
    "chat.postMessage": Method(_post, ("channel",), ("chat:write",)),
    "chat.update": Method(_update, ("channel", "ts"), ("chat:write",), 3),
    "conversations.info": Method(_channel_info, ("channel",), ("channels:read", "groups:read", "im:read"), 3),
    "conversations.members": Method(_members, ("channel",), ("channels:read", "groups:read", "im:read"), 4),
    "conversations.open": Method(_open_dm, (), ("im:write", "channels:manage", "groups:write", "mpim:write"), 3),
    "dnd.info": Method(_dnd, (), ("dnd:read",), 3),
    "team.info": Method(_team, (), ("team:read",), 3),
    "usergroups.list": Method(_usergroups, (), ("usergroups:read",), 2),
    "usergroups.users.list": Method(_usergroup_users, ("usergroup",), ("usergroups:read",), 2),
    "users.info": Method(_user, ("user",), ("users:read",), 4),
    "users.list": Method(_users, (), ("users:read",), 2),
    "users.lookupByEmail": Method(_by_email, ("email",), ("users:read.email",), 3),
    "views.open": Method(_open_view, ("view",), (), 4),
    "views.publish": Method(_publish_view, ("user_id", "view"), (), 4),
    "views.push": Method(_push_view, ("view",), (), 4),
    "views.update": Method(_update_view, ("view",), (), 4),
}
