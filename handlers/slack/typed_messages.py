"""A message that a person wrote to the bot, in a channel or directly: Slack's JSON, none of it believed."""

from __future__ import annotations

from bot.core.frozen import Frozen
from handlers.slack.payloads import PERSON, TEXT_LIMIT, Payload


class TypedMessage(Frozen):
    """A message that a person wrote to the bot, ``text`` without its mention; ``thread`` is empty outside one."""

    user: str
    channel: str
    ts: str
    thread: str
    text: str

    @property
    def payload(self) -> Payload:
        """As a command: it has no trigger, and one delivered twice is one."""
        place = {"channel_id": self.channel, "thread_ts": self.thread or None}
        return {"user_id": self.user, "text": self.text, "written": f"{self.channel}:{self.ts}", **place}


def mention(payload: Payload) -> TypedMessage | None:
    """A message that mentions the bot; None for one that no person wrote."""
    bots = {str(each.get("user_id")) for each in payload.get("authorizations") or [] if each.get("is_bot")}
    return _message(payload["event"], bots)


def direct_message(payload: Payload) -> TypedMessage | None:
    """A message in the conversation with the bot; None for any other, an edit, or one that no person wrote."""
    event = payload["event"]
    return _message(event, set()) if event.get("channel_type") == "im" else None


def _message(event: Payload, bots: set[str]) -> TypedMessage | None:
    if event.get("subtype") or event.get("bot_id") or not event.get("user"):
        return None
    text = str(event.get("text") or "")[:TEXT_LIMIT]
    return TypedMessage(
        user=str(event["user"]),
        channel=str(event["channel"]),
        ts=str(event["ts"]),
        thread=str(event.get("thread_ts") or ""),
        text=PERSON.sub(lambda found: "" if found[1] in bots else found[0], text).strip(" ,:\u00a0"),
    )
