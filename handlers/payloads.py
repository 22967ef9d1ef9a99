"""Slack's JSON → typed commands; the only place that digs in a payload, and it believes none of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from bot.core import durations
from bot.core.durations import NotADuration
from bot.core.errors import BadDuration, UnknownPerson
from bot.core.model import Frozen
from bot.stopping import Target
from handlers.views import actions

Payload = Mapping[str, Any]

TEXT_LIMIT = 4000
"""Characters of a slash line that are read at all."""
_ESCAPED = re.compile(r"<(#[A-Z0-9]+(?:\|[^<>|]*)?|(?:https?://|mailto:)[^<>|\s]+(?:\|[^<>|]*)?)>")
"""What Slack makes of a channel, a link or an address in a slash line."""
_PERSON = re.compile(r"<@([UW][A-Z0-9]{1,30})(?:\|[^<>]*)?>")


class Line(Frozen):
    """A slash line: its first word, and the rest."""

    verb: str
    rest: str


class Wish(Frozen):
    """What a request line, or the modal, asks for; what is not said is None or empty."""

    what: str = ""
    duration: int | None = None
    reason: str = ""
    start: str = ""
    """When it is to start, as it was typed."""
    starts_at: float = 0
    """When it is to start, Unix seconds; 0 for at once, or while ``start`` is not understood yet."""


class Sender(Frozen):
    """Who sent a payload, and from which team, as Slack says."""

    user: str
    team: str | None


class Notice(Frozen):
    """A message of ours that Slack shows: which notice it is, and where it stands."""

    request: str
    audience: str
    channel: str
    ts: str


def line(text: str | None) -> Line:
    """``request db 30m -- why`` → ``request``, ``db 30m -- why``; what Slack escaped is as it was typed again.

    An account stays one, ``<@U0MIA>``: its name could be anybody's.
    """
    verb, _, rest = _typed((text or "")[:TEXT_LIMIT]).strip().partition(" ")
    return Line(verb=verb.lower()[:40], rest=rest.strip())


def _typed(text: str) -> str:
    """``<https://x.example|x>`` → ``https://x.example``, ``<#C0|db>`` → ``#db``, ``<@U0|Mia W>`` → ``<@U0>``."""
    known = _PERSON.sub(r"<@\1>", _ESCAPED.sub(_said, text))
    return known.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _said(found: re.Match[str]) -> str:
    about, _, shown = found[1].partition("|")
    if about.startswith("#"):
        return f"#{shown or about[1:]}"
    return about.removeprefix("mailto:")


def wish(rest: str) -> Wish:
    """``WHAT [30m] [at TIME] [-- REASON]``. Raises `BadDuration` for a second word that is no duration."""
    head, dashes, reason = _split(rest)
    what, *words = head.split() or [""]
    duration = None
    if words and words[0].lower() != "at":
        try:
            duration = durations.parse(words[0])
        except NotADuration as error:
            raise BadDuration(words[0][:20], (), 0) from error
        words = words[1:]
    start, words = _start(words)
    # What stands after that without dashes is a reason too: people forget them.
    return Wish(what=what[:90], duration=duration, reason=reason if dashes else " ".join(words), start=start)


def target(word: str, systems: Sequence[str]) -> Target | None:
    """``<@U0MIA>``, ``mia@example.com`` or a system that the person can see; None for what may be a request's id.

    Raises `UnknownPerson` for a name.
    """
    if person := _PERSON.fullmatch(word):
        return Target(user=person[1])
    if "@" in word:
        if not re.fullmatch(r"[^@\s<>|]{1,64}@[^@\s<>|]{1,190}", word):
            raise UnknownPerson(word[:40])
        return Target(email=word)
    return Target(system=word.lower()) if word.lower() in systems else None


def id_and_rest(rest: str) -> tuple[str, str]:
    """``J-7K3Q because`` → both parts."""
    first, _, more = rest.partition(" ")
    return first, more.strip()


def id_and_number(value: str) -> tuple[str, int]:
    """``J-7K3Q 2`` → the request, and the number of its extension, or of a place in a list; 0 where there is none."""
    first, _, number = value.partition(" ")
    return first, int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0


def extension(rest: str) -> Wish:
    """``[ID] [30m] [-- REASON]``. Raises `BadDuration` for a word that is neither."""
    head, _, reason = _split(rest)
    id_, duration = "", None
    for word in head.split():
        try:
            duration = durations.parse(word)
        except NotADuration as error:
            if id_:
                raise BadDuration(word[:20], (), 0) from error
            id_ = word[:20]
    return Wish(what=id_, duration=duration, reason=reason)


def sender(payload: Payload) -> Sender:
    """The account behind a command, a click or a submission."""
    if "user_id" in payload:
        return Sender(user=str(payload["user_id"]), team=_home(payload, payload.get("team_id")))
    user = payload["user"]
    team = user.get("team_id") or (payload.get("team") or {}).get("id")
    return Sender(user=str(user["id"]), team=_home(payload, team))


def tried(payload: Payload) -> str:
    """What somebody wanted to do: the command's first word, the button, or the view that was submitted."""
    if "command" in payload:
        return line(payload.get("text")).verb or "jit"
    actions_ = payload.get("actions") or [{}]
    return str(actions_[0].get("action_id") or callback(payload) or payload.get("callback_id") or payload.get("type"))


def notice(event: Payload, kind: str, bot: str) -> Notice | None:
    """The notice behind a ``message_metadata_posted`` event; None for a message that is not ours, or not readable."""
    metadata = event.get("metadata")
    if event.get("bot_id") != bot or not isinstance(metadata, dict) or metadata.get("event_type") != kind:
        return None
    ids = metadata.get("event_payload")
    try:
        about = ids if isinstance(ids, dict) else {}
        return Notice(
            request=about.get("request"),
            audience=about.get("audience"),
            channel=event.get("channel_id"),
            ts=event.get("message_ts"),
        )
    except ValidationError:
        return None


def pressed(payload: Payload) -> str:
    """The request id that a button carries."""
    return str(payload["actions"][0].get("value") or "")


def about(payload: Payload) -> str:
    """The request id that a modal carries."""
    return str(payload["view"].get("private_metadata") or "")


def page(payload: Payload) -> int:
    """Where in the list of those who wait it was pressed, counted from 0; 0 where it was pressed anywhere else."""
    return id_and_number(about(payload))[1] if callback(payload) == actions.WAITING_VIEW else 0


def trigger(payload: Payload) -> str:
    """What allows one view to be opened, within three seconds."""
    return str(payload["trigger_id"])


def within(payload: Payload) -> str:
    """Where it was pressed: ``modal``, ``home``, or empty for a message, a command or a shortcut."""
    return str((payload.get("view") or {}).get("type") or "")


def callback(payload: Payload) -> str:
    """The view that it was pressed in, by its callback id."""
    return str((payload.get("view") or {}).get("callback_id") or "")


def stacked(payload: Payload) -> bool:
    """Whether the modal lies on top of another."""
    return bool(beneath(payload))


def beneath(payload: Payload) -> str:
    """The modal that this one lies on, by its id; empty where there is none."""
    return str(payload["view"].get("previous_view_id") or "")


def opened_home(payload: Payload) -> str | None:
    """Who looks at the Home tab; None for the tab with the messages."""
    event = payload["event"]
    return str(event["user"]) if event.get("tab") == "home" else None


def message(payload: Payload) -> tuple[str, str]:
    """The channel and the timestamp of the message that a shortcut was used on."""
    return str(payload["channel"]["id"]), str(payload["message"]["ts"])


def searched(payload: Payload) -> str:
    """What was typed into a select whose options are looked up."""
    return str(payload.get("value") or "")[:TEXT_LIMIT]


def view_id(payload: Payload) -> str:
    """The modal that was submitted or clicked in."""
    return str(payload["view"]["id"])


def chosen(payload: Payload) -> Wish:
    """What is filled in in the ask modal so far."""
    values = _values(payload)
    seconds = next((v for k, v in values.items() if k.startswith(actions.DURATION)), "")
    return Wish(
        what=values.get(actions.CHOICE, ""),
        duration=int(seconds) if seconds.isdigit() else None,
        reason=values.get(actions.REASON, ""),
        starts_at=float(start) if (start := values.get(actions.START, "")).isdigit() else 0,
    )


def reason(payload: Payload) -> str:
    """What was typed as a reason."""
    return _values(payload).get(actions.REASON, "")


def scope(payload: Payload) -> str:
    """What was selected to be locked down."""
    return _values(payload).get(actions.SCOPE, "")


def seconds(payload: Payload) -> int | None:
    """The duration that was selected."""
    return chosen(payload).duration


def first_input(payload: Payload) -> str:
    """The block under which an error of a submission is shown."""
    blocks = [str(block["block_id"]) for block in payload["view"]["blocks"] if block["type"] == "input"]
    return blocks[-1] if blocks else ""


def _values(payload: Payload) -> dict[str, str]:
    """Each input block's value by block id."""
    found: dict[str, str] = {}
    for block, inputs in payload["view"]["state"]["values"].items():
        for entry in inputs.values():
            option = entry.get("selected_option") or {}
            found[block] = str(entry.get("value") or option.get("value") or entry.get("selected_date_time") or "")
    return found


def _start(words: list[str]) -> tuple[str, list[str]]:
    """``at tomorrow 9:30 …`` → the time, and what follows it."""
    if not words or words[0].lower() != "at":
        return "", words
    two = len(words) > 2 and ":" in words[2] and ":" not in words[1]
    count = 3 if two else 2
    return " ".join(words[1:count])[:40] or "at", words[count:]


def _split(rest: str) -> tuple[str, str, str]:
    """At the first ``--`` (or the dash that phones make of it) that stands alone."""
    found = re.search(r"(?:^|\s)(--|—|–)(?:\s|$)", rest)
    if not found:
        return rest, "", ""
    return rest[: found.start()].strip(), found[1], rest[found.end() :].strip()


def _home(payload: Payload, team: Any) -> str | None:
    """On an organisation-wide install people belong to the enterprise, else to their team."""
    if payload.get("is_enterprise_install") in {True, "true"}:
        enterprise = payload.get("enterprise") or {}
        return str(payload.get("enterprise_id") or enterprise.get("id") or "") or None
    return str(team) if team else None
