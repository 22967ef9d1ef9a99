"""The ``chat.*`` methods: the app posts, updates and deletes its own messages, and nobody else's."""

from __future__ import annotations

from bot.playground import blocks
from bot.playground.block_tree import Json, with_ids
from bot.playground.directory import channel_of
from bot.playground.elements import Flaws
from bot.playground.errors import SlackRefusal, bad_arguments
from bot.playground.installation import Installation
from bot.playground.workspace import Channel, Message


def post(slack: Installation, args: Json) -> Json:
    """``chat.postMessage``; a user id means the DM with that person."""
    blocks.check_message(args.get("text"), args.get("blocks"), slack.unknown_blocks)
    _check_files(slack, args.get("blocks") or [])
    metadata = _metadata(args)
    channel = _writable(slack, args)
    message = _message(slack, channel.id, args, thread=_thread(slack, channel, args), metadata=metadata)
    slack.record_post(message)
    return {"channel": channel.id, "ts": message.ts, "message": slack.message_json(message)}


def post_ephemeral(slack: Installation, args: Json) -> Json:
    """``chat.postEphemeral``."""
    blocks.check_message(args.get("text"), args.get("blocks"), slack.unknown_blocks)
    if len(args.get("text") or "") > blocks.TEXT:
        raise SlackRefusal("msg_too_long")
    channel = _writable(slack, args)
    if args["user"] not in channel.members:
        raise SlackRefusal("user_not_in_channel")
    thread = _thread(slack, channel, args)
    return {"message_ts": _message(slack, channel.id, args, to=str(args["user"]), thread=thread).ts}


def update(slack: Installation, args: Json) -> Json:
    """``chat.update``: it removes blocks that are left out."""
    blocks.check_message(args.get("text"), args.get("blocks"), slack.unknown_blocks)
    if len(args.get("text") or "") > blocks.UPDATED_TEXT:
        raise SlackRefusal("msg_too_long")
    _check_files(slack, args.get("blocks") or [])
    metadata = _metadata(args)
    channel, message = channel_of(slack, args), _ours(slack, args, "cant_update_message")
    if channel.archived:
        raise SlackRefusal("is_inactive")
    if slack.edit_window is not None and slack.clock() - float(message.ts) > slack.edit_window:
        raise SlackRefusal("edit_window_closed")
    changes: Json = {"metadata": metadata} if metadata else {}
    body = with_ids(args.get("blocks") or [])
    message = slack.world.change(message, text=args.get("text") or "", blocks=body, **changes)
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": slack.message_json(message)}


def _check_files(slack: Installation, found: list[Json]) -> None:
    """An image shows only a file that is there, and shown to somebody already."""
    for index, block in enumerate(found):
        named = block.get("slack_file", {}).get("id")
        file = slack.world.files.get(named) if named else None
        if named and not (file and file.ts):
            flaws = Flaws()
            flaws.say(f"/blocks/{index}/slack_file", "invalid slack file")
            raise SlackRefusal("invalid_blocks", response_metadata=flaws.messages())


def delete(slack: Installation, args: Json) -> Json:
    """``chat.delete``."""
    message = _ours(slack, args, "cant_delete_message")
    slack.world.messages.remove(message)
    return {"channel": message.channel, "ts": message.ts}


def permalink(slack: Installation, args: Json) -> Json:
    """``chat.getPermalink``."""
    message = _existing(slack, {**args, "ts": args["message_ts"]})
    path = f"archives/{message.channel}/p{message.ts.replace('.', '')}"
    return {"channel": message.channel, "permalink": f"https://local.slack.com/{path}"}


def respond(slack: Installation, user: str, channel: str, body: Json, ts: str | None = None) -> None:
    """The app's answer to a command or a click: only the person sees it, unless ``in_channel``.

    ``ts`` is the clicked message; only that one can be replaced or deleted.
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


def validate(_: Installation, args: Json) -> Json:
    """``blocks.validate``: it lists the flaws, and posts nothing."""
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
    if flaws.all:
        found = [{"code": "failed_constraint", "message": what, "pointer": where} for where, what in flaws.all]
        raise SlackRefusal(f"invalid_{part}", errors=found)
    return {}


def _message(
    slack: Installation,
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


def _writable(slack: Installation, args: Json) -> Channel:
    if args["channel"] in slack.world.people:
        return slack.world.dm(str(args["channel"]))
    channel = channel_of(slack, args)
    if channel.archived:
        raise SlackRefusal("is_archived")
    if not channel.bot_inside:
        raise SlackRefusal("not_in_channel")
    slack.check_granted(channel.team or slack.team)
    return channel


def _thread(slack: Installation, channel: Channel, args: Json) -> str | None:
    """The thread's first message. Slack posts a reply to a deleted message outside of any thread, without an error."""
    if not args.get("thread_ts"):
        return None
    parent = slack.world.message(channel.id, str(args["thread_ts"]))
    if parent and parent.to:
        raise SlackRefusal("cannot_reply_to_message")
    return (parent.thread or parent.ts) if parent else None


def _existing(slack: Installation, args: Json) -> Message:
    channel = channel_of(slack, args)
    message = slack.world.message(channel.id, str(args["ts"]))
    if message is None or message.to:
        raise SlackRefusal("message_not_found")
    return message


def _ours(slack: Installation, args: Json, code: str) -> Message:
    message = _existing(slack, args)
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
