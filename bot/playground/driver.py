"""A person at the local Slack: types, clicks, fills in and submits what stands before them, and nothing else."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.playground import blocks
from bot.playground.delivery import Acked
from bot.playground.workspace import Account, Message, ResponseUrl, View, elements

if TYPE_CHECKING:
    from bot.playground.slack import LocalSlack


class NotThere(LookupError):
    """What a person wanted to click or fill in is not before them."""


@dataclass(frozen=True)
class Reply:
    """What came of it: the status, the text that the person was shown, the errors at a view's inputs."""

    status: int
    text: str
    seconds: float
    errors: dict[str, str] = field(default_factory=dict)


class Human:
    """Someone's hands and eyes."""

    def __init__(self, slack: LocalSlack, account: Account) -> None:
        """Whoever it is."""
        self._slack, self.account = slack, account

    @property
    def id(self) -> str:
        """The Slack user id."""
        return self.account.id

    @property
    def ephemerals(self) -> list[Message]:
        """What only this person was shown."""
        return [message for message in self._slack.world.messages if message.to == self.id]

    @property
    def dms(self) -> list[Message]:
        """The app's messages to this person."""
        return self._slack.messages(self._slack.world.dm(self.id).id)

    @property
    def view(self) -> View | None:
        """The topmost modal."""
        stack = self._slack.world.stack(self.id)
        return stack[-1] if stack else None

    async def sees_dm(self, wanted: Callable[[Message], bool], patience: float = 10.0) -> Message:
        """Wait for a DM that is as wanted."""
        return await self._slack.sees(self._slack.world.dm(self.id).id, wanted, patience=patience)

    async def sees_told(self, wanted: Callable[[Message], bool], patience: float = 10.0) -> Message:
        """Wait for something that only this person is shown."""

        def find() -> Message | None:
            return next((m for m in reversed(self.ephemerals) if wanted(m)), None)

        return await self._slack.world.until(find, f"an ephemeral message to {self.id}", patience)

    async def sees_view(self, callback: str, wanted: Callable[[View], bool] = bool, patience: float = 10.0) -> View:
        """Wait for a modal that is as wanted."""

        def find() -> View | None:
            view = self.view
            return view if view and view.body.get("callback_id") == callback and wanted(view) else None

        return await self._slack.world.until(find, f"the modal {callback} before {self.id}", patience)

    async def command(self, command: str, text: str = "", channel: str = "C0GENERAL") -> Reply:
        """Type a slash command."""
        payload = self.command_payload(command, text, channel)
        return await self.deliver_command(payload)

    def command_payload(self, command: str, text: str, channel: str) -> dict[str, Any]:
        """What Slack would deliver."""
        return {
            "token": "unused",
            "team_id": self.account.team,
            "team_domain": "local",
            "channel_id": channel,
            "channel_name": "general",
            "user_id": self.id,
            "user_name": self.account.name.lower(),
            "command": command,
            "text": text,
            "api_app_id": self._slack.app_id,
            "is_enterprise_install": "false",
            "response_url": self._response(channel),
            "trigger_id": self._slack.world.trigger(self.id),
        }

    async def deliver_command(self, payload: dict[str, Any]) -> Reply:
        """Deliver a command's payload, perhaps once more."""
        acked = await self._slack.delivery.command(payload)
        text = ""
        if acked.status == 200 and acked.body:
            body = acked.body if isinstance(acked.body, dict) else {"text": acked.body}
            self._slack.respond(self.id, payload["channel_id"], body)
            text = str(body.get("text", ""))
            await self._slack.world.changed()
        return Reply(acked.status, text, acked.seconds)

    async def click(self, seen: Message, action: str) -> Reply:
        """Press a button of a message as it was seen; it may have changed since, as on a slow screen."""
        buttons = seen.buttons()
        if action not in buttons:
            raise NotThere(f"no button {action} on this message; there are {', '.join(buttons) or 'none'}")
        return _reply(await self._slack.delivery.interactive(self.click_payload(seen, buttons[action])))

    def click_payload(self, seen: Message, button: dict[str, Any]) -> dict[str, Any]:
        """What Slack would deliver."""
        container = {"type": "message", "message_ts": seen.ts, "channel_id": seen.channel, "is_ephemeral": False}
        return {
            **self._actions(button, {"value": button.get("value", "")}),
            "container": container,
            "channel": {"id": seen.channel, "name": "channel"},
            "message": seen.json(),
            "response_url": self._response(seen.channel, seen.ts),
            "state": {"values": {}},
        }

    async def choose(self, view: View, action: str, value: str) -> Reply:
        """Select an option in a modal; the app is told where the input dispatches."""
        block, element = _input(view, action)
        options = [*element.get("options", []), *(o for g in element.get("option_groups", []) for o in g["options"])]
        option = next((option for option in options if option["value"] == value), None)
        if option is None:
            raise NotThere(f"no option {value} at {action}; there are {', '.join(o['value'] for o in options)}")
        state = {"type": element["type"], "selected_option": option}
        view.state.setdefault(block["block_id"], {})[action] = state
        if not block.get("dispatch_action"):
            return Reply(200, "", 0.0)
        payload = {
            **self._actions({**element, "block_id": block["block_id"]}, {"selected_option": option}),
            "container": {"type": "view", "view_id": view.id},
            "view": self._json(view),
        }
        return _reply(await self._slack.delivery.interactive(payload))

    async def submit(self, view: View, values: dict[str, str] | None = None) -> Reply:
        """Fill in a modal and submit it; the client checks what Slack's own clients check."""
        for action, value in (values or {}).items():
            _, element = _input(view, action)
            if element["type"] == "plain_text_input":
                self._type(view, action, value)
            else:
                await self.choose(view, action, value)
        self._complete(view)
        return await self.deliver_submission(view, self.submission(view))

    def submission(self, view: View) -> dict[str, Any]:
        """What Slack would deliver."""
        return {
            **self._sender("view_submission"),
            "view": self._json(view),
            "trigger_id": self._slack.world.trigger(self.id),
            "response_urls": [],
            "is_enterprise_install": False,
        }

    async def deliver_submission(self, view: View, payload: dict[str, Any]) -> Reply:
        """Deliver a submission's payload, perhaps once more, and do what the app answers."""
        acked = await self._slack.delivery.interactive(payload)
        if acked.status != 200:
            return _reply(acked)
        answer = acked.body if isinstance(acked.body, dict) else {}
        match answer.get("response_action"):
            case "errors":
                return Reply(200, "", acked.seconds, errors=dict(answer["errors"]))
            case "update":
                blocks.check_view(answer["view"])
                self._slack.replace_view(view, answer["view"])
            case "clear":
                for other in self._slack.world.stack(self.id):
                    other.open = False
            case _:
                view.open = False
        await self._slack.world.changed()
        return Reply(200, "", acked.seconds)

    def close_view(self, view: View) -> None:
        """Close a modal without submitting it."""
        view.open = False

    # what a client keeps

    def _type(self, view: View, action: str, text: str) -> None:
        block, element = _input(view, action)
        most = int(element.get("max_length", 3000))
        if len(text) > most:
            raise NotThere(f"the input {action} takes {most} characters, not {len(text)}")
        view.state.setdefault(block["block_id"], {})[action] = {"type": "plain_text_input", "value": text or None}

    def _complete(self, view: View) -> None:
        """Initial values count, and an input that is not optional must have one."""
        for block in view.body["blocks"]:
            if block["type"] != "input":
                continue
            element = block["element"]
            action = element["action_id"]
            state = view.state.setdefault(block["block_id"], {})
            if action not in state:
                value = {"value": element.get("initial_value"), "selected_option": element.get("initial_option")}
                key = "value" if element["type"] == "plain_text_input" else "selected_option"
                state[action] = {"type": element["type"], key: value[key]}
            filled = state[action].get("value") or state[action].get("selected_option")
            if not filled and not block.get("optional"):
                raise NotThere(f"the input {action} is required")

    def _actions(self, element: dict[str, Any], chosen: dict[str, Any]) -> dict[str, Any]:
        action = {"type": element["type"], "action_id": element["action_id"], "block_id": element["block_id"]}
        stamped = {**action, **chosen, "action_ts": self._slack.world.ts()}
        trigger = self._slack.world.trigger(self.id)
        return {**self._sender("block_actions"), "trigger_id": trigger, "actions": [stamped]}

    def _sender(self, kind: str) -> dict[str, Any]:
        name = self.account.name.lower()
        return {
            "type": kind,
            "user": {"id": self.id, "username": name, "name": name, "team_id": self.account.team},
            "team": {"id": self._slack.team, "domain": "local"},
            "api_app_id": self._slack.app_id,
            "token": "unused",
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _json(self, view: View) -> dict[str, Any]:
        return view.json(self._slack.team, self._slack.app_id, self._slack.bot_id)

    def _response(self, channel: str, ts: str | None = None) -> str:
        id_ = secrets.token_hex(8)
        self._slack.world.responses[id_] = ResponseUrl(self.id, channel, self._slack.clock(), ts)
        return self._slack.response_url(id_)


def _input(view: View, action: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """An input and its block, by action id."""
    for block in view.body["blocks"]:
        element = block.get("element") or {}
        if element.get("action_id") == action:
            return block, element
    raise NotThere(f"no input {action} in this modal; there are {', '.join(elements(view.body['blocks']))}")


def _reply(acked: Acked) -> Reply:
    text = acked.body.get("text", "") if isinstance(acked.body, dict) else str(acked.body)
    return Reply(acked.status, text, acked.seconds)
