"""Each payload on its way through Bolt: in its turn, timed, and named for the log; it changes nothing of it.

Every way in passes here, over HTTP and over Socket Mode. A payload's own texts are not told: people typed them.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp
from slack_bolt.context.async_context import AsyncBoltContext
from slack_bolt.request.async_request import AsyncBoltRequest

from bot import logs
from bot.core.errors import Crowded, JitError, StoreAway
from bot.core.request import ID_ALPHABET
from handlers.slack.admission import Queue
from handlers.slack.outcome import worded_errors
from handlers.slack.payloads import Payload
from handlers.slack.verbs import COMMANDS

log = logging.getLogger(__name__)

CommandObserver = Callable[[str, str, float], None]
"""Of each payload: its kind, its outcome, and how many seconds its answer took.

Kinds: `KINDS` and ``other``. Outcomes: ``ok``, ``refused`` (on purpose), ``away`` (the store does not answer),
``crowded`` (its turn did not come in time), ``broke``, ``unheard`` (nobody listens to such a payload).
"""
KINDS = ("command", "action", "view", "options", "shortcut", "event")
_TOO_LATE = "too_late"
_SLOW = 2.5
"""Seconds; Slack gives up after three."""
_TYPES = {
    "block_actions": "action",
    "view_submission": "view",
    "view_closed": "view",
    "block_suggestion": "options",
    "shortcut": "shortcut",
    "message_action": "shortcut",
    "event_callback": "event",
}
_ID = re.compile(rf"\bJ-[{ID_ALPHABET}]{{4,8}}\b", re.IGNORECASE)
_NAME = re.compile(r"[\w.-]{1,60}")


class Receiving(AsyncApp):
    """Bolt's app, which tells of each payload."""

    def __init__(self, told: CommandObserver, queue: Queue | None = None, **more: Any) -> None:
        """``told`` changes nothing, and raises nothing; the rest is Bolt's."""
        super().__init__(**more)
        self._told, self._queue = told, queue or Queue()
        self.use(_in_time)

    async def async_dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        """What Bolt does."""
        came, errors = time.monotonic(), list[Exception]()
        keeping = worded_errors.set(errors)
        try:
            with logs.about(**facts(req.body)):
                response = await self._answered(req)
                took = time.monotonic() - came
                if took > _SLOW:
                    log.warning("Slack had to wait %.1f s for an answer, and may have given up", took)
        finally:
            worded_errors.reset(keeping)
        self._told(kind(req.body), _outcome(errors, response), took)
        return response

    async def _answered(self, req: AsyncBoltRequest) -> BoltResponse:
        try:
            async with self._queue.turn():
                return await super().async_dispatch(req)
        except Crowded as error:
            # Worded where every refusal is.
            req.context[_TOO_LATE] = error
            return await super().async_dispatch(req)


async def _in_time(context: AsyncBoltContext, next_: Callable[[], Awaitable[None]]) -> None:
    """Whose turn did not come goes no further."""
    if (error := context.get(_TOO_LATE)) is not None:
        raise error
    await next_()


def _outcome(errors: Sequence[Exception], response: BoltResponse) -> str:
    if not errors:
        return {200: "ok", 404: "unheard"}.get(response.status, "broke")
    match errors[-1]:
        case StoreAway():
            return "away"
        case Crowded():
            return "crowded"
        case JitError():
            return "refused"
        case _:
            return "broke"


def kind(body: Payload) -> str:
    """One of `KINDS`, or ``other``."""
    return "command" if "command" in body else _TYPES.get(str(body.get("type")), "other")


def facts(body: Payload) -> dict[str, str]:
    """What the log says of a payload: whose it is, which conversation's, about which request."""
    actions, view = body.get("actions"), _mapping(body.get("view"))
    action = _mapping(actions[0]) if isinstance(actions, list) and actions else {}
    word, _, rest = str(body.get("text") or "").strip().partition(" ")
    command = word.lower() if word.lower() in COMMANDS else ""
    event = _mapping(body.get("event"))
    about = (action.get("value"), view.get("private_metadata"), rest.split("--")[0] if command else "")
    return {
        "event": _name(body.get("event_id") or body.get("trigger_id")),
        "person": _name(body.get("user_id") or _user(body.get("user")) or _user(event.get("user"))),
        "verb": _name(action.get("action_id") or view.get("callback_id") or body.get("callback_id"))
        or command
        or _name(event.get("type")),
        "request": next((found[0].upper() for text in about if (found := _ID.search(str(text or "")))), ""),
    }


def _user(user: Any) -> Any:
    return user.get("id") if isinstance(user, dict) else user


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _name(value: Any) -> str:
    """A name as Slack and we make them, and nothing else."""
    return str(value) if _NAME.fullmatch(str(value or "")) else ""
