"""What Slack would deliver of a person's doings: commands, clicks, shortcuts, submissions; it delivers none of them."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from bot.playground import filling
from bot.playground.errors import NotThere
from bot.playground.filling import Seen
from bot.playground.workspace import Account, Json, Message, ResponseUrl, View

if TYPE_CHECKING:
    from bot.playground.slack import LocalSlack


class Payloads:
    """The payloads of one person."""

    def __init__(self, slack: LocalSlack, account: Account) -> None:
        """Whoever it is."""
        self._slack, self.account = slack, account

    @property
    def id(self) -> str:
        """The Slack user id."""
        return self.account.id

    def command_payload(self, command: str, text: str, channel: str) -> Json:
        """A slash command."""
        found = self._slack.world.channels.get(channel)
        return {
            "token": "unused",
            "team_id": self.account.team,
            "team_domain": "local",
            "channel_id": channel,
            "channel_name": "privategroup" if found and found.private else found.name if found else "unknown",
            "user_id": self.id,
            "user_name": self.account.handle,
            "command": command,
            "text": text,
            "api_app_id": self._slack.app_id,
            "is_enterprise_install": "false",
            "response_url": self._response(channel),
            "trigger_id": self._slack.world.trigger(self.id),
        }

    def click_payload(self, seen: Seen, element: Json, chosen: Json | None = None) -> Json:
        """A click, or something chosen."""
        what = chosen or ({"value": element["value"]} if "value" in element else {})
        action = {"type": element["type"], "action_id": element["action_id"], "block_id": element["block_id"]}
        stamped = {**action, **what, "action_ts": self._slack.world.ts()}
        if "text" in element:
            stamped["text"] = element["text"]
        trigger = self._slack.world.trigger(self.id)
        click = {**self._sender("block_actions"), "trigger_id": trigger, "actions": [stamped]}
        if isinstance(seen, View):
            return {**click, "container": {"type": "view", "view_id": seen.id}, "view": self._json(seen)}
        channel = self._slack.world.channels[seen.channel]
        where = {"message_ts": seen.ts, "channel_id": seen.channel, "is_ephemeral": seen.to is not None}
        return {
            **click,
            "container": {"type": "message", **where},
            "channel": {"id": channel.id, "name": "privategroup" if channel.private else channel.name},
            **({"message": self._slack.as_ours(seen)} if seen.to is None else {}),
            "response_url": self._response(seen.channel, seen.ts),
            "state": {"values": {**filling.values(seen), **_stated(element, chosen)}},
        }

    def shortcut_payload(self, callback: str, message: Message | None = None) -> Json:
        """A shortcut, of the kind that has a message where there is one."""
        kind = "shortcut" if message is None else "message_action"
        used = {**self._sender(kind), "callback_id": callback, "trigger_id": self._slack.world.trigger(self.id)}
        stamped = {**used, "action_ts": self._slack.world.ts()}
        if message is None:
            return stamped
        if message.to is not None:
            raise NotThere("a message that only one person sees has no shortcuts")
        channel = self._slack.world.channels[message.channel]
        return {
            **stamped,
            "message_ts": message.ts,
            "channel": {"id": channel.id, "name": "privategroup" if channel.private else channel.name},
            "message": self._slack.as_ours(message),
            "response_url": self._response(message.channel, message.ts),
        }

    def submission(self, view: View) -> Json:
        """A modal, submitted as it is filled in now."""
        trigger = self._slack.world.trigger(self.id)
        return {**self._sender("view_submission"), "view": self._json(view), "trigger_id": trigger, "response_urls": []}

    def _closed(self, view: View, cleared: bool) -> Json:
        return {**self._sender("view_closed"), "view": self._json(view), "is_cleared": cleared}

    # what payloads have in common

    def _sender(self, kind: str) -> Json:
        name = self.account.handle
        return {
            "type": kind,
            "user": {"id": self.id, "username": name, "name": name, "team_id": self.account.team},
            "team": {"id": self._slack.team, "domain": "local"},
            "api_app_id": self._slack.app_id,
            "token": "unused",
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _json(self, view: View) -> Json:
        shown = view.json(self._slack.team, self._slack.app_id, self._slack.bot_id)
        return {**shown, "state": {"values": filling.values(view)}}

    def _response(self, channel: str, ts: str | None = None) -> str:
        id_ = secrets.token_hex(16)
        self._slack.world.responses[id_] = ResponseUrl(self.id, channel, self._slack.clock(), ts)
        return self._slack.response_url(id_)


def _stated(element: Json, chosen: Json | None) -> Json:
    """What was just chosen in a message, as its state has it."""
    if not chosen or element["type"] == "overflow":
        return {}
    return {element["block_id"]: {element["action_id"]: {"type": element["type"], **chosen}}}
