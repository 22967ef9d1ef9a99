"""Uploads in three steps: request an address, send the bytes, complete; files of every type are treated alike.

Sources: Slack's references `files.getUploadURLExternal` and `files.completeUploadExternal`. That an upload can
be completed only once follows from the wording of the reference; it was not tried on Slack itself.
"""

from __future__ import annotations

import secrets

from bot.playground.block_tree import Json
from bot.playground.directory import channel_of
from bot.playground.errors import SlackRefusal, bad_arguments
from bot.playground.installation import Installation
from bot.playground.workspace import Channel, File, Message

_MOST_ALT = 1_000
_MOST_BYTES = 1_000_000_000


def begin(slack: Installation, args: Json) -> Json:
    """``files.getUploadURLExternal``."""
    written = str(args["length"])
    if not (written.isascii() and written.isdigit()):
        raise bad_arguments("length must be an integer")
    if not int(written):
        raise SlackRefusal("missing_argument")
    if int(written) > _MOST_BYTES:
        raise SlackRefusal("file_upload_size_restricted")
    alt = str(args.get("alt_txt") or "")
    if len(alt) > _MOST_ALT:
        raise SlackRefusal("alt_txt_too_large")
    file = File(f"F{slack.world.number()}", str(args["filename"]), int(written), alt, secrets.token_urlsafe(24))
    slack.world.files[file.id] = file
    return {"file_id": file.id, "upload_url": slack.upload_url(file.ticket)}


def receive(slack: Installation, ticket: str, content: bytes) -> None:
    """Receive the bytes; their number must match."""
    file = next((file for file in slack.world.files.values() if file.ticket == ticket), None)
    if file is None:
        raise SlackRefusal("invalid_ticket")
    if len(content) != file.length:
        raise SlackRefusal("wrong_length")
    file.content = content


def complete(slack: Installation, args: Json) -> Json:
    """``files.completeUploadExternal``: show it in a channel or a thread, or only to the app."""
    files = [_uploaded(slack, entry) for entry in _entries(args)]
    channel = _channel(slack, args)
    for file, entry in zip(files, _entries(args), strict=True):
        file.title = str(entry.get("title") or file.name)
        if channel:
            file.channel, file.thread = channel.id, str(args["thread_ts"]) if args.get("thread_ts") else None
            file.ts = _post(slack, file, str(args.get("initial_comment") or ""))
        else:
            file.ts = "private"
    return {"files": [{"id": file.id, "title": file.title} for file in files]}


def _entries(args: Json) -> list[Json]:
    found = args["files"]
    if not isinstance(found, list) or not found or not all(isinstance(entry, dict) for entry in found):
        raise bad_arguments("files must be an array of objects")
    if any(not isinstance(entry.get("id"), str) for entry in found):
        raise bad_arguments("missing required field: id")
    return found


def _uploaded(slack: Installation, entry: Json) -> File:
    """A file whose bytes arrived and which is not completed."""
    file = slack.world.files.get(entry["id"])
    if file is None or file.content is None or file.ts:
        raise SlackRefusal("file_not_found")
    return file


def _channel(slack: Installation, args: Json) -> Channel | None:
    if not args.get("channel_id"):
        return None
    channel = channel_of(slack, {"channel": args["channel_id"]})
    if not channel.bot_inside:
        raise SlackRefusal("not_in_channel")
    if channel.archived:
        raise SlackRefusal("posting_to_channel_denied")
    return channel


def _post(slack: Installation, file: File, comment: str) -> str:
    message = Message(
        file.channel,
        slack.world.ts(),
        comment,
        [],
        thread=file.thread,
        author=slack.bot_user_id,
        files=(file.id,),
    )
    slack.world.messages.append(message)
    return message.ts
