"""A person at the local Slack: types, clicks, fills in and submits what stands before them, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.playground import chat, filling, modals
from bot.playground.delivery import Acked
from bot.playground.elements import Flaws, check_groups, check_options, offered
from bot.playground.errors import BadAnswer, NotThere
from bot.playground.filling import Seen
from bot.playground.payloads import Payloads
from bot.playground.workspace import Json, Message, View


@dataclass(frozen=True)
class Reply:
    """What came of it: the status (0: nothing within 3 s), the text shown to the person, the errors at inputs."""

    status: int
    text: str
    seconds: float
    errors: dict[str, str] = field(default_factory=dict)
    body: Any = ""


class Human(Payloads):
    """Someone's hands and eyes."""

    # what they see

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

    @property
    def home(self) -> View | None:
        """The app's Home tab, once it was published for this person."""
        return self._slack.world.homes.get(self.id)

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

    async def sees_home(self, wanted: Callable[[View], bool] = bool, patience: float = 10.0) -> View:
        """Wait for a Home tab that is as wanted."""

        def find() -> View | None:
            return self.home if self.home and wanted(self.home) else None

        return await self._slack.world.until(find, f"the Home tab of {self.id}", patience)

    # what they do

    async def says(self, text: str, channel: str, thread: str | None = None) -> Message:
        """Write a message; the app, which has no history scope, is not told."""
        self._check_inside(channel)
        message = Message(channel, self._slack.world.ts(), text, [], thread=thread, author=self.id)
        self._slack.world.messages.append(message)
        await self._slack.world.changed()
        return message

    async def command(self, command: str, text: str = "", channel: str = "C0GENERAL") -> Reply:
        """Type a slash command."""
        self._check_inside(channel)
        return await self.deliver_command(self.command_payload(command, text, channel))

    async def shortcut(self, callback: str, message: Message | None = None) -> Reply:
        """Use a shortcut: from anywhere, or from the menu of a message."""
        if message is not None:
            self._check_sees(message)
        app = self._slack.installed
        if app is not None and callback not in app.shortcuts:
            raise NotThere(f"the app has no shortcut {callback}")
        return _reply(await self._slack.delivery.interactive(self.shortcut_payload(callback, message)))

    async def click(self, seen: Seen, action: str, *, value: str | None = None) -> Reply:
        """Press a button as it was seen: one of a message that was kept and has changed since is a stale click."""
        if isinstance(seen, Message):
            self._check_sees(seen)
            now = self._slack.world.message(seen.channel, seen.ts)
            seen = now if now and action not in seen.buttons() else seen
        button = filling.find(seen, action, value)
        if button["type"] != "button":
            raise NotThere(f"{action} is a {button['type']}: choose something")
        return _reply(await self._slack.delivery.interactive(self.click_payload(seen, button)))

    async def choose(self, seen: Seen, action: str, value: Any) -> Reply:
        """Select something; the app is told unless it stands in an input that does not dispatch."""
        if isinstance(seen, View) and filling.find(seen, action)["type"] != "overflow":
            element, chosen = filling.fill(seen, action, value)
        else:
            element = filling.find(seen, action)
            chosen = filling.chosen(element, value)
        block = next(b for b in filling.blocks_of(seen) if b["block_id"] == element["block_id"])
        if block["type"] == "input" and not block.get("dispatch_action"):
            return Reply(200, "", 0.0)
        return _reply(await self._slack.delivery.interactive(self.click_payload(seen, element, chosen)))

    async def searches(self, view: View, action: str, typed: str) -> list[Json]:
        """Type into a select whose options the app looks up; what it offers."""
        element = filling.find(view, action)
        named = {"action_id": element["action_id"], "block_id": element["block_id"], "value": typed}
        place = {"container": {"type": "view", "view_id": view.id}, "view": self._json(view)}
        acked = await self._slack.delivery.interactive({**self._sender("block_suggestion"), **named, **place})
        answer, flaws = acked.body if isinstance(acked.body, dict) else {}, Flaws()
        if "option_groups" in answer:
            check_groups(flaws, "/option_groups", answer["option_groups"])
        elif answer.get("options") != []:
            check_options(flaws, "/options", answer.get("options"), 100)
        if flaws.found:
            raise BadAnswer(f"the options for {action}: {flaws.found}")
        self._slack.payloads.append(("options", answer))
        view.suggested[element["action_id"]] = offered(answer)
        return view.suggested[element["action_id"]]

    def fill(self, view: View, values: Mapping[str, Any]) -> None:
        """Put something into inputs, named by action id or block id; the app is not told."""
        self._check_open(view)
        for name, value in values.items():
            filling.fill(view, name, value)

    async def submit(self, view: View, values: Mapping[str, Any] | None = None) -> Reply:
        """Fill in a modal and submit it; the client checks what Slack's own clients check."""
        self.fill(view, values or {})
        filling.check_complete(view)
        return await self.deliver_submission(view, self.submission(view))

    def close_view(self, view: View, *, whole_stack: bool = False) -> asyncio.Future[Any]:
        """Close a modal, or all of its stack, without submitting it; await it to have the app told."""
        self._check_open(view)
        whole_stack = whole_stack or bool(view.body.get("clear_on_close"))
        closed = [v for v in self._slack.world.stack(self.id) if v is view or (whole_stack and v.root == view.root)]
        for each in closed:
            each.open = False
        told = [self._closed(each, whole_stack) for each in closed if each.body.get("notify_on_close")]
        return asyncio.gather(self._slack.world.changed(), *map(self._slack.delivery.interactive, told))

    async def opens_home(self) -> None:
        """Look at the app's Home tab; the app is told."""
        event = {"type": "app_home_opened", "user": self.id, "channel": self._slack.world.dm(self.id).id, "tab": "home"}
        await self._slack.delivery.event({**event, **({"view": self._json(self.home)} if self.home else {})})

    async def deliver_command(self, payload: Json) -> Reply:
        """Deliver a command's payload, perhaps once more, and show what the app answers."""
        app = self._slack.installed
        if app is not None and payload["command"] not in app.commands:
            raise NotThere(f"{payload['command']} is not a valid command")
        acked = await self._slack.delivery.command(payload)
        reply = _reply(acked)
        if acked.ok and acked.body:
            body = acked.body if isinstance(acked.body, dict) else {"text": str(acked.body)}
            chat.answer(self._slack, self.id, payload["channel_id"], body)
            await self._slack.world.changed()
        return reply

    async def deliver_submission(self, view: View, payload: Json) -> Reply:
        """Deliver a submission's payload, perhaps once more, and do what the app answers."""
        acked = await self._slack.delivery.interactive(payload)
        if not acked.ok:
            return _reply(acked)
        answer = acked.body or {}
        errors = self._obey(view, answer)
        await self._slack.world.changed()
        return Reply(acked.status, "", acked.seconds, errors, answer)

    def _obey(self, view: View, answer: Any) -> dict[str, str]:
        """Do what the answer to a submission says; the errors that the person is shown at the inputs."""
        match answer:
            case {"response_action": "errors", "errors": {**errors}} if errors:
                inputs = {block["block_id"] for block in view.body["blocks"] if block["type"] == "input"}
                if astray := [block for block in errors if block not in inputs]:
                    raise BadAnswer(f"errors for {astray}, which are no input blocks here")
                return {str(block): str(said) for block, said in errors.items()}
            case {"response_action": "update", "view": body}:
                modals.check_shown(self._slack, body, view)
                modals.replace(self._slack, view, body)
            case {"response_action": "push", "view": body}:
                modals.check_shown(self._slack, body, None)
                modals.show(self._slack, self.id, body, view)
            case {"response_action": "clear"}:
                for other in self._slack.world.stack(self.id):
                    other.open = other.open and other.root != view.root
            case {} if not answer:
                view.open = False
            case _:
                raise BadAnswer(f"to a submission, {answer!r} is no answer")
        return {}

    def _check_inside(self, channel: str) -> None:
        found = self._slack.world.channels.get(channel)
        if found is None or self.id not in found.members:
            raise NotThere(f"{self.id} is not in {channel}: there is no such channel, or add them to its members")

    def _check_sees(self, message: Message) -> None:
        if message.to is None:
            self._check_inside(message.channel)
        elif message.to != self.id:
            raise NotThere(f"this message is only before {message.to}, not before {self.id}")

    def _check_open(self, view: View) -> None:
        if view.user != self.id or not view.open:
            raise NotThere(f"the view {view.id} is not open before {self.id}")


def _reply(acked: Acked) -> Reply:
    text = str(acked.body.get("text") or "") if isinstance(acked.body, dict) else str(acked.body)
    return Reply(acked.status, text, acked.seconds, body=acked.body)
