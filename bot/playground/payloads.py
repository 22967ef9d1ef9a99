"""What Slack delivers when a person acts: commands, clicks, shortcuts, submissions; it only builds the payloads."""

from __future__ import annotations

import secrets

from bot.playground import inputs
from bot.playground.block_tree import Json
from bot.playground.errors import NotThere
from bot.playground.inputs import Surface
from bot.playground.installation import Installation
from bot.playground.workspace import Account, Message, ResponseUrl, View


class Payloads:
    """The payloads of one person."""

    def __init__(self, slack: Installation, account: Account) -> None:
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
            "is_enterprise_install": "true" if self._slack.organisation else "false",
            **self._enterprise(),
            "response_url": self._response(channel),
            "trigger_id": self._slack.world.trigger(self.id),
        }

    def click_payload(self, seen: Surface, element: Json, chosen: Json | None = None) -> Json:
        """A click, or a choice."""
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
            **({"message": self._slack.message_json(seen)} if seen.to is None else {}),
            "response_url": self._response(seen.channel, seen.ts),
            "state": {"values": {**inputs.values(seen), **_state(element, chosen)}},
        }

    def shortcut_payload(self, callback: str, message: Message | None = None) -> Json:
        """A global shortcut, or one of a message."""
        kind = "shortcut" if message is None else "message_action"
        used = {**self._sender(kind), "callback_id": callback, "trigger_id": self._slack.world.trigger(self.id)}
        stamped = {**used, "action_ts": self._slack.world.ts()}
        if message is None:
            return stamped
        if message.to is not None:
            raise NotThere("an ephemeral message has no shortcuts")
        channel = self._slack.world.channels[message.channel]
        return {
            **stamped,
            "message_ts": message.ts,
            "channel": {"id": channel.id, "name": "privategroup" if channel.private else channel.name},
            "message": self._slack.message_json(message),
            "response_url": self._response(message.channel, message.ts),
        }

    def submission(self, view: View) -> Json:
        """The submission of a modal as filled in now."""
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
            "team": {"id": self._slack.team, "domain": "local", **self._enterprise()},
            "api_app_id": self._slack.app_id,
            "token": "unused",
            "enterprise": self._slack.enterprise_json(),
            "is_enterprise_install": self._slack.organisation,
        }

    def _enterprise(self) -> Json:
        enterprise = self._slack.enterprise_json()
        return {"enterprise_id": enterprise["id"], "enterprise_name": enterprise["name"]} if enterprise else {}

    def _json(self, view: View) -> Json:
        shown = view.json(self._slack.team, self._slack.app_id, self._slack.bot_id)
        if self._slack.organisation:
            shown["app_installed_team_id"] = self._slack.enterprise
        return {**shown, "state": {"values": inputs.values(view)}}

    def _response(self, channel: str, ts: str | None = None) -> str:
        id_ = secrets.token_hex(16)
        self._slack.world.responses[id_] = ResponseUrl(self.id, channel, self._slack.clock(), ts)
        return self._slack.response_url(id_)


def _state(element: Json, chosen: Json | None) -> Json:
    """A choice in a message, as its state has it."""
    if not chosen or element["type"] == "overflow":
        return {}
    return {element["block_id"]: {element["action_id"]: {"type": element["type"], **chosen}}}
