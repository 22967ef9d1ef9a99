"""Messages: posted, changed and taken back by the app; it touches nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.playground import blocks
from bot.playground.directory import channel_of
from bot.playground.elements import Flaws
from bot.playground.errors import SlackRefusal, bad_arguments
from bot.playground.workspace import Channel, Json, Message, with_ids

if TYPE_CHECKING:
    from bot.playground.slack import LocalSlack


def post(slack: LocalSlack, args: Json) -> Json:
    """``chat.postMessage``; a user id stands for the DM with that person."""
    blocks.check_message(args.get("text"), args.get("blocks"))
    metadata = _metadata(args)
    channel = _writable(slack, args)
    message = _message(slack, channel.id, args, thread=_thread(slack, channel, args), metadata=metadata)
    slack.posted(message)
    return {"channel": channel.id, "ts": message.ts, "message": slack.as_ours(message)}


def post_ephemeral(slack: LocalSlack, args: Json) -> Json:
    """``chat.postEphemeral``."""
    blocks.check_message(args.get("text"), args.get("blocks"))
    if len(args.get("text") or "") > blocks.TEXT:
        raise SlackRefusal("msg_too_long")
    channel = _writable(slack, args)
    if args["user"] not in channel.members:
        raise SlackRefusal("user_not_in_channel")
    return {"message_ts": _message(slack, channel.id, args, to=str(args["user"])).ts}


def update(slack: LocalSlack, args: Json) -> Json:
    """``chat.update``: blocks that are left out are taken away."""
    blocks.check_message(args.get("text"), args.get("blocks"))
    if len(args.get("text") or "") > blocks.UPDATED_TEXT:
        raise SlackRefusal("msg_too_long")
    metadata = _metadata(args)
    channel, message = channel_of(slack, args), _ours(slack, args, "cant_update_message")
    if channel.archived:
        raise SlackRefusal("is_inactive")
    if slack.edit_window is not None and slack.clock() - float(message.ts) > slack.edit_window:
        raise SlackRefusal("edit_window_closed")
    changes: Json = {"metadata": metadata} if metadata else {}
    body = with_ids(args.get("blocks") or [])
    message = slack.world.change(message, text=args.get("text") or "", blocks=body, **changes)
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": slack.as_ours(message)}


def delete(slack: LocalSlack, args: Json) -> Json:
    """``chat.delete``."""
    message = _ours(slack, args, "cant_delete_message")
    slack.world.messages.remove(message)
    return {"channel": message.channel, "ts": message.ts}


def permalink(slack: LocalSlack, args: Json) -> Json:
    """``chat.getPermalink``."""
    message = _standing(slack, {**args, "ts": args["message_ts"]})
    path = f"archives/{message.channel}/p{message.ts.replace('.', '')}"
    return {"channel": message.channel, "permalink": f"https://local.slack.com/{path}"}


def answer(slack: LocalSlack, user: str, channel: str, body: Json, ts: str | None = None) -> None:
    """What an app answers to a command or a click: to the person alone, unless it says otherwise.

    ``ts`` is the message that was clicked in; only that one can be replaced or deleted.
    """
    original = slack.world.message(channel, ts)
    if body.get("delete_original"):
        if original:
            slack.world.messages.remove(original)
        return
    blocks.check_message(body.get("text"), body.get("blocks"))
    slack.payloads.append(("message", {"text": body.get("text"), "blocks": body.get("blocks")}))
    if body.get("replace_original") and original:
        changed = {"text": body.get("text") or "", "blocks": with_ids(body.get("blocks") or [])}
        slack.world.change(original, **changed)
        return
    thread = str(body["thread_ts"]) if body.get("thread_ts") else None
    _message(slack, channel, body, thread=thread, to=None if body.get("response_type") == "in_channel" else user)


def validate(_: LocalSlack, args: Json) -> Json:
    """``blocks.validate``: what would be wrong with it, and nothing is posted."""
    given = [part for part in ("blocks", "message", "view") if part in args]
    if len(given) != 1:
        raise bad_arguments("must provide exactly one of `blocks`, `view`, or `message`")
    part, value = given[0], args[given[0]]
    if part == "view":
        flaws = blocks.view_flaws(value, "")
    elif part == "blocks":
        flaws = blocks.message_flaws(value, "")
    elif isinstance(value, dict):
        flaws = blocks.message_flaws(value.get("blocks", []))
    else:
        flaws = Flaws()
        flaws.say("", "must be an object")
    if flaws.found:
        found = [{"code": "failed_constraint", "message": what, "pointer": where} for where, what in flaws.found]
        raise SlackRefusal(f"invalid_{part}", errors=found)
    return {}


def _message(
    slack: LocalSlack,
    channel: str,
    body: Json,
    *,
    thread: str | None = None,
    metadata: Json | None = None,
    to: str | None = None,
) -> Message:
    message = Message(
        channel,
        slack.world.ts(),
        (body.get("text") or "")[: blocks.TEXT],
        with_ids(body.get("blocks") or []),
        thread=thread,
        metadata=metadata,
        to=to,
        author=slack.bot_user_id,
    )
    slack.world.messages.append(message)
    return message


def _writable(slack: LocalSlack, args: Json) -> Channel:
    if args["channel"] in slack.world.people:
        return slack.world.dm(str(args["channel"]))
    channel = channel_of(slack, args)
    if channel.archived:
        raise SlackRefusal("is_archived")
    if not channel.bot_inside:
        raise SlackRefusal("not_in_channel")
    return channel


def _thread(slack: LocalSlack, channel: Channel, args: Json) -> str | None:
    """The thread's first message. Slack quietly posts a reply to a deleted message outside any thread."""
    if not args.get("thread_ts"):
        return None
    parent = slack.world.message(channel.id, str(args["thread_ts"]))
    if parent and parent.to:
        raise SlackRefusal("cannot_reply_to_message")
    return (parent.thread or parent.ts) if parent else None


def _standing(slack: LocalSlack, args: Json) -> Message:
    channel = channel_of(slack, args)
    message = slack.world.message(channel.id, str(args["ts"]))
    if message is None or message.to:
        raise SlackRefusal("message_not_found")
    return message


def _ours(slack: LocalSlack, args: Json, code: str) -> Message:
    message = _standing(slack, args)
    if message.author != slack.bot_user_id:
        raise SlackRefusal(code)
    return message


def _metadata(args: Json) -> Json | None:
    metadata: Json | None = args.get("metadata")
    if metadata is None:
        return None
    if not isinstance(metadata, dict) or set(metadata) != {"event_type", "event_payload"}:
        raise SlackRefusal("invalid_metadata_format")
    if not isinstance(metadata["event_type"], str) or not isinstance(metadata["event_payload"], dict):
        raise SlackRefusal("invalid_metadata_schema")
    return metadata
