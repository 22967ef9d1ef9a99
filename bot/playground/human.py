"""A person at the local Slack: types, clicks, fills in and submits, but only what they can see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.playground import chat, inputs, views
from bot.playground.block_tree import Json, options
from bot.playground.delivery import Ack, Delivery
from bot.playground.elements import Flaws, check_groups, check_options
from bot.playground.errors import BadAnswer, NotThere
from bot.playground.inputs import Surface
from bot.playground.installation import Installation
from bot.playground.payloads import Payloads
from bot.playground.workspace import Account, Message, View


@dataclass(frozen=True)
class Reply:
    """The app's answer: the status (0: none within 3 s), the text for the person, the errors at inputs."""

    status: int
    text: str
    seconds: float
    errors: dict[str, str] = field(default_factory=dict)
    body: Any = ""


class Human(Payloads):
    """Acts as one person, and sees what that person sees."""

    def __init__(self, slack: Installation, delivery: Delivery, account: Account) -> None:
        super().__init__(slack, account)
        self._delivery = delivery

    # what the person sees

    @property
    def ephemerals(self) -> list[Message]:
        """The messages that only this person sees."""
        return [message for message in self._slack.world.messages if message.to == self.id]

    @property
    def dms(self) -> list[Message]:
        """The app's messages to this person."""
        return self._slack.world.messages_in(self._slack.world.dm(self.id).id)

    @property
    def view(self) -> View | None:
        """The topmost modal."""
        stack = self._slack.world.stack(self.id)
        return stack[-1] if stack else None

    @property
    def home(self) -> View | None:
        """The app's Home tab; None until it is published for this person."""
        return self._slack.world.homes.get(self.id)

    async def sees_dm(self, wanted: Callable[[Message], bool], patience: float = 30.0) -> Message:
        """Wait for a matching DM."""
        return await self._slack.world.sees(self._slack.world.dm(self.id).id, wanted, patience=patience)

    async def sees_ephemeral(self, wanted: Callable[[Message], bool], patience: float = 30.0) -> Message:
        """Wait for a matching message that only this person sees."""

        def find() -> Message | None:
            return next((m for m in reversed(self.ephemerals) if wanted(m)), None)

        return await self._slack.world.until(find, f"an ephemeral message to {self.id}", patience)

    async def sees_view(self, callback: str, wanted: Callable[[View], bool] = bool, patience: float = 30.0) -> View:
        """Wait for a matching modal."""

        def find() -> View | None:
            view = self.view
            return view if view and view.body.get("callback_id") == callback and wanted(view) else None

        return await self._slack.world.until(find, f"the modal {callback} for {self.id}", patience)

    async def sees_home(self, wanted: Callable[[View], bool] = bool, patience: float = 30.0) -> View:
        """Wait for a matching Home tab."""

        def find() -> View | None:
            return self.home if self.home and wanted(self.home) else None

        return await self._slack.world.until(find, f"the Home tab of {self.id}", patience)

    # what the person does

    async def says(self, text: str, channel: str, thread: str | None = None) -> Message:
        """Write a message; the app does not receive it, as it has no history scope."""
        self._check_inside(channel)
        message = Message(channel, self._slack.world.ts(), text, [], thread=thread, author=self.id)
        self._slack.world.messages.append(message)
        await self._slack.world.changed()
        return message

    async def mentions_app(self, text: str, channel: str, thread: str | None = None) -> Ack:
        """Write a message that begins with the app's mention; the app receives it where it is in the channel."""
        message = await self.says(f"<@{self._slack.bot_user_id}> {text}", channel, thread)
        if not self._slack.world.channels[channel].bot_inside:
            return Ack(0, "", 0.0, "not_in_channel")
        return await self._delivery.event(self._message_event("app_mention", message))

    async def writes_to_app(self, text: str) -> Ack:
        """Write in the conversation with the app."""
        message = await self.says(text, self._slack.world.dm(self.id).id)
        return await self._delivery.event({**self._message_event("message", message), "channel_type": "im"})

    def _message_event(self, kind: str, message: Message) -> Json:
        thread = {"thread_ts": message.thread} if message.thread else {}
        text = {"text": message.text, "channel": message.channel, "ts": message.ts, "team": self.account.team}
        return {"type": kind, "user": self.id, **text, **thread, "event_ts": message.ts}

    async def command(self, command: str, text: str = "", channel: str = "C0GENERAL") -> Reply:
        """Type a slash command."""
        self._check_inside(channel)
        return await self.deliver_command(self.command_payload(command, text, channel))

    async def shortcut(self, callback: str, message: Message | None = None) -> Reply:
        """Use a global shortcut, or one from the menu of a message."""
        if message is not None:
            self._check_sees(message)
        manifest = self._slack.manifest
        if manifest is not None and callback not in manifest.shortcuts:
            raise NotThere(f"the app has no shortcut {callback}")
        return _reply(await self._delivery.interactive(self.shortcut_payload(callback, message)))

    async def click(self, seen: Surface, action: str, *, value: str | None = None) -> Reply:
        """Click a button; in a kept message that has changed since, this is a stale click."""
        if isinstance(seen, Message):
            self._check_sees(seen)
            now = self._slack.world.message(seen.channel, seen.ts)
            seen = now if now and action not in seen.buttons() else seen
        button = inputs.find(seen, action, value)
        if button["type"] != "button":
            raise NotThere(f"{action} is a {button['type']}: choose something")
        return _reply(await self._delivery.interactive(self.click_payload(seen, button)))

    async def choose(self, seen: Surface, action: str, value: Any) -> Reply:
        """Select an option; the app receives it unless the input does not dispatch."""
        if isinstance(seen, View) and inputs.find(seen, action)["type"] != "overflow":
            element, chosen = inputs.fill(seen, action, value)
        else:
            element = inputs.find(seen, action)
            chosen = inputs.chosen(element, value)
        block = next(b for b in inputs.blocks_of(seen) if b["block_id"] == element["block_id"])
        if block["type"] == "input" and not block.get("dispatch_action"):
            return Reply(200, "", 0.0)
        return _reply(await self._delivery.interactive(self.click_payload(seen, element, chosen)))

    async def searches(self, view: View, action: str, typed: str) -> list[Json]:
        """Type into an external select. Returns the options that the app offers."""
        element = inputs.find(view, action)
        named = {"action_id": element["action_id"], "block_id": element["block_id"], "value": typed}
        place = {"container": {"type": "view", "view_id": view.id}, "view": self._json(view)}
        acked = await self._delivery.interactive({**self._sender("block_suggestion"), **named, **place})
        answer, flaws = acked.body if isinstance(acked.body, dict) else {}, Flaws()
        if "option_groups" in answer:
            check_groups(flaws, "/option_groups", answer["option_groups"])
        elif answer.get("options") != []:
            check_options(flaws, "/options", answer.get("options"), 100)
        if flaws.all:
            raise BadAnswer(f"the options for {action}: {flaws.all}")
        self._slack.payloads.append(("options", answer))
        view.suggested[element["action_id"]] = options(answer)
        return view.suggested[element["action_id"]]

    def fill(self, view: View, values: Mapping[str, Any]) -> None:
        """Fill in inputs, named by action id or block id; the app does not receive it."""
        self._check_open(view)
        for name, value in values.items():
            inputs.fill(view, name, value)

    async def submit(self, view: View, values: Mapping[str, Any] | None = None) -> Reply:
        """Fill in a modal and submit it, with the checks of Slack's own clients."""
        self.fill(view, values or {})
        inputs.check_complete(view)
        return await self.deliver_submission(view, self.submission(view))

    def close_view(self, view: View, *, whole_stack: bool = False) -> asyncio.Future[Any]:
        """Close a modal, or its whole stack; await the result to deliver ``view_closed``."""
        self._check_open(view)
        whole_stack = whole_stack or bool(view.body.get("clear_on_close"))
        closed = [v for v in self._slack.world.stack(self.id) if v is view or (whole_stack and v.root == view.root)]
        for each in closed:
            each.open = False
        payloads = [self._closed(each, whole_stack) for each in closed if each.body.get("notify_on_close")]
        return asyncio.gather(self._slack.world.changed(), *map(self._delivery.interactive, payloads))

    async def opens_home(self) -> None:
        """Open the app's Home tab; the app receives the event."""
        event = {"type": "app_home_opened", "user": self.id, "channel": self._slack.world.dm(self.id).id, "tab": "home"}
        await self._delivery.event({**event, **({"view": self._json(self.home)} if self.home else {})})

    async def deliver_command(self, payload: Json) -> Reply:
        """Deliver a command's payload, which may be a second time, and show the answer."""
        manifest = self._slack.manifest
        if manifest is not None and payload["command"] not in manifest.commands:
            raise NotThere(f"{payload['command']} is not a valid command")
        acked = await self._delivery.command(payload)
        reply = _reply(acked)
        if acked.ok and acked.body:
            body = acked.body if isinstance(acked.body, dict) else {"text": str(acked.body)}
            chat.respond(self._slack, self.id, payload["channel_id"], body)
            await self._slack.world.changed()
        return reply

    async def deliver_submission(self, view: View, payload: Json) -> Reply:
        """Deliver a submission's payload, which may be a second time, and apply the answer."""
        acked = await self._delivery.interactive(payload)
        if not acked.ok:
            return _reply(acked)
        answer = acked.body or {}
        errors = self._apply(view, answer)
        await self._slack.world.changed()
        return Reply(acked.status, "", acked.seconds, errors, answer)

    def _apply(self, view: View, answer: Any) -> dict[str, str]:
        """Apply the answer to a submission. Returns the errors at the inputs."""
        match answer:
            case {"response_action": "errors", "errors": {**errors}} if errors:
                input_ids = {block["block_id"] for block in view.body["blocks"] if block["type"] == "input"}
                if unknown := [block for block in errors if block not in input_ids]:
                    raise BadAnswer(f"errors for {unknown}, which are not input blocks of this view")
                return {str(block): str(error) for block, error in errors.items()}
            case {"response_action": "update", "view": body}:
                views.check_showable(self._slack, body, view)
                views.replace(self._slack, view, body)
            case {"response_action": "push", "view": body}:
                views.check_showable(self._slack, body, None)
                views.show(self._slack, self.id, body, view)
            case {"response_action": "clear"}:
                for other in self._slack.world.stack(self.id):
                    other.open = other.open and other.root != view.root
            case {} if not answer:
                view.open = False
            case _:
                raise BadAnswer(f"{answer!r} is not a valid answer to a submission")
        return {}

    def _check_inside(self, channel: str) -> None:
        found = self._slack.world.channels.get(channel)
        if found is None or self.id not in found.members:
            raise NotThere(f"{self.id} is not in {channel}: no such channel, or not a member")

    def _check_sees(self, message: Message) -> None:
        if message.to is None:
            self._check_inside(message.channel)
        elif message.to != self.id:
            raise NotThere(f"only {message.to} sees this message, not {self.id}")

    def _check_open(self, view: View) -> None:
        if view.user != self.id or not view.open:
            raise NotThere(f"the view {view.id} is not open for {self.id}")


def _reply(acked: Ack) -> Reply:
    text = str(acked.body.get("text") or "") if isinstance(acked.body, dict) else str(acked.body)
    return Reply(acked.status, text, acked.seconds, body=acked.body)
