"""Methods that look up people, user groups and channels, as far as the scopes allow; only `open_dm` adds anything."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, TypeVar

from bot.playground.block_tree import Json
from bot.playground.errors import SlackRefusal, lacks_scope
from bot.playground.installation import Installation
from bot.playground.workspace import Account, Channel

T = TypeVar("T")
_MOST_A_PAGE = 1000
_MOST_DND = 50


def channel_of(slack: Installation, args: Json) -> Channel:
    """The channel of a call; a private one is hidden unless the bot is a member."""
    channel = slack.world.channels.get(str(args["channel"]))
    if channel is None or (channel.private and not channel.bot_inside):
        raise SlackRefusal("channel_not_found")
    return channel


def _readable(slack: Installation, args: Json) -> Channel:
    channel = channel_of(slack, args)
    if channel.scope() not in slack.scopes:
        raise lacks_scope(channel.scope(), slack.scopes)
    return channel


def channel_info(slack: Installation, args: Json) -> Json:
    """``conversations.info``."""
    channel = _readable(slack, args)
    facts = {
        "id": channel.id,
        "is_channel": not channel.is_im and not channel.private,
        "is_group": channel.private,
        "is_im": channel.is_im,
        "is_private": channel.private or channel.is_im,
        "is_archived": channel.archived,
    }
    if channel.is_im:
        return {"channel": {**facts, "user": next(iter(channel.members))}}
    shared = {"is_ext_shared": channel.ext_shared, "is_pending_ext_shared": channel.pending_ext_shared}
    facts |= {"name": channel.name, "is_member": channel.bot_inside, "is_shared": channel.ext_shared, **shared}
    return {"channel": {**facts, **({"num_members": len(channel.members)} if args.get("include_num_members") else {})}}


def channel_members(slack: Installation, args: Json) -> Json:
    """``conversations.members``."""
    channel = _readable(slack, args)
    inside = {slack.bot_user_id} if channel.bot_inside else set()
    return _page("members", sorted(channel.members | inside), args, 100)


def open_dm(slack: Installation, args: Json) -> Json:
    """``conversations.open``, for a DM with one person."""
    if not args.get("users"):
        raise SlackRefusal("users_list_not_supplied")
    users = [user for user in str(args["users"]).split(",") if user]
    for user in users:
        if _account(slack, user).kind == "deactivated":
            raise SlackRefusal("user_disabled")
    if len(users) > 1:
        raise lacks_scope("mpim:write", slack.scopes)
    channel = slack.world.dm(users[0])
    full = {"is_im": True, "is_open": True, "user": users[0]} if args.get("return_im") else {}
    return {"channel": {"id": channel.id, **full}}


def _account(slack: Installation, id_: str) -> Account:
    account = slack.world.people.get(id_)
    if account is None:
        raise SlackRefusal("user_not_found")
    return account


def user_info(slack: Installation, args: Json) -> Json:
    """``users.info``."""
    return {"user": slack.user_json(_account(slack, str(args["user"])))}


def users(slack: Installation, args: Json) -> Json:
    """``users.list``."""
    team = slack.team_of(args)
    people = [one for one in slack.world.people.values() if not slack.organisation or team in one.teams]
    return _page("members", [slack.user_json(account) for account in people], args, _MOST_A_PAGE)


def user_by_email(slack: Installation, args: Json) -> Json:
    """``users.lookupByEmail``; a deactivated person is not found."""
    email = str(args["email"]).casefold()  # the widest match: callers must not rely on the address being exact
    for account in slack.world.people.values():
        if account.email.casefold() == email and account.kind != "deactivated":
            return {"user": slack.user_json(account)}
    raise SlackRefusal("users_not_found")


def bot_info(slack: Installation, args: Json) -> Json:
    """``bots.info``."""
    if args.get("bot", slack.bot_id) != slack.bot_id:
        raise SlackRefusal("bot_not_found")
    ours = {"id": slack.bot_id, "deleted": False, "name": "jit", "app_id": slack.app_id, "user_id": slack.bot_user_id}
    return {"bot": ours}


def presence(slack: Installation, args: Json) -> Json:
    """``users.getPresence``; nobody who is deactivated is active."""
    account = _account(slack, str(args.get("user") or slack.bot_user_id))
    is_away = account.id in slack.away or account.kind == "deactivated"
    return {"presence": "away" if is_away else "active"}


def dnd_info(slack: Installation, args: Json) -> Json:
    """``dnd.info``."""
    return _dnd(slack, _account(slack, str(args.get("user") or slack.bot_user_id)).id)


def dnd_team_info(slack: Installation, args: Json) -> Json:
    """``dnd.teamInfo``."""
    slack.team_of(args)
    users = [user for user in str(args.get("users") or "").split(",") if user]
    if not users:
        raise SlackRefusal("no_users_provided")
    if len(users) > _MOST_DND:
        raise SlackRefusal("too_many_users")
    return {"users": {user: _dnd(slack, _account(slack, user).id) for user in users}}


def _dnd(slack: Installation, user: str) -> Json:
    start, end = slack.do_not_disturb.get(user, (1, 1))
    facts = {"dnd_enabled": end > 1, "next_dnd_start_ts": int(start), "next_dnd_end_ts": int(end)}
    until = slack.snoozed.get(user, 0)
    if until <= slack.clock():
        return {**facts, "snooze_enabled": False}
    remaining = {"snooze_endtime": int(until), "snooze_remaining": int(until - slack.clock())}
    return {**facts, "snooze_enabled": True, **remaining}


def usergroups(slack: Installation, args: Json) -> Json:
    """``usergroups.list``."""
    team = slack.team_of(args)
    there = [group for group in slack.world.usergroups.values() if group.team == team]
    shown = [group for group in there if args.get("include_disabled") or not group.disabled]
    return {"usergroups": [group.json(users=bool(args.get("include_users"))) for group in shown]}


def usergroup_users(slack: Installation, args: Json) -> Json:
    """``usergroups.users.list``."""
    team, group = slack.team_of(args), slack.world.usergroups.get(str(args["usergroup"]))
    if group is None or group.team != team or (group.disabled and not args.get("include_disabled")):
        raise SlackRefusal("no_such_subteam")
    return {"users": list(group.users)}


def _page(name: str, items: Sequence[T], args: Json, default: int) -> Json:
    """One page from the cursor on, and the next cursor: empty at the end."""
    limit = _number(args.get("limit") or default, "invalid_limit")
    start = _number(_cursor(args["cursor"]) if args.get("cursor") else 0, "invalid_cursor")
    if not 1 <= limit <= _MOST_A_PAGE:
        raise SlackRefusal("invalid_limit")
    end = start + limit
    following = base64.b64encode(b"next:%d" % end).decode() if end < len(items) else ""
    return {name: list(items[start:end]), "response_metadata": {"next_cursor": following}}


def _cursor(cursor: Any) -> str:
    try:
        return base64.b64decode(str(cursor), validate=True).decode().removeprefix("next:")
    except (binascii.Error, UnicodeDecodeError):
        raise SlackRefusal("invalid_cursor") from None


def _number(value: Any, code: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise SlackRefusal(code) from None
