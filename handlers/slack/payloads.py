"""Slack's JSON → typed commands; the only place that digs in a payload, and it believes none of it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import SecretStr, ValidationError

from bot.access.revoke import RevokeTarget
from bot.access.submit import RequestForm
from bot.core import typed
from bot.core.errors import UnknownPerson, UnknownSystem
from bot.core.frozen import Frozen
from bot.core.identity import identity_or_none
from bot.core.ids import is_id, may_be_id
from bot.core.reason_dash import DASHES
from bot.policy.vocabulary import TOGETHER
from handlers.views import action_ids

Payload = Mapping[str, Any]

TEXT_LIMIT = 4000
"""Characters of a slash line that are read at all."""
_ESCAPED = re.compile(r"<(#[A-Z0-9]+(?:\|[^<>|]*)?|(?:https?://|mailto:)[^<>|\s]+(?:\|[^<>|]*)?)>")
"""What Slack makes of a channel, a link or an address in a slash line."""
_FIRST = 5
"""Words among which an id is looked for where it may stand behind a duration."""
PERSON = re.compile(r"<@([UW][A-Z0-9]{1,30})(?:\|[^<>]*)?>")
"""An account as Slack writes it in a text."""


class CommandLine(Frozen):
    """A slash line: its first word, the rest, and all of it as it was typed."""

    verb: str
    rest: str
    whole: str


class NoTrigger(Exception):
    """Nothing was pressed or typed that allows a view to be opened."""


class Notice(Frozen):
    """A message of ours that Slack shows: which notification it is, and its place."""

    request: str
    audience: str
    channel: str
    ts: str


def line(text: str | None) -> CommandLine:
    """``request db 30m -- why`` → ``request``, ``db 30m -- why``; what Slack escaped is as it was typed again.

    An account stays one, ``<@U0MIA>``: its name could be anybody's.
    """
    return split(typed.line(_typed((text or "")[:TEXT_LIMIT])))


def split(whole: str) -> CommandLine:
    """A line that was read already."""
    verb, _, rest = whole.partition(" ")
    return CommandLine(verb=verb.lower()[:40], rest=rest, whole=whole)


def _typed(text: str) -> str:
    """``<https://x.example|x>`` → ``https://x.example``, ``<#C0|db>`` → ``#db``, ``<@U0|Mia W>`` → ``<@U0>``."""
    known = PERSON.sub(r"<@\1>", _ESCAPED.sub(_said, text))
    return known.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _said(found: re.Match[str]) -> str:
    about, _, shown = found[1].partition("|")
    if about.startswith("#"):
        return f"#{shown or about[1:]}"
    if shown and about == f"http://{shown}":
        return shown  # a bare name with a dot in it, of which Slack makes a link by itself
    return about.removeprefix("mailto:")


def target(word: str, systems: Sequence[str]) -> RevokeTarget | None:
    """``<@U0MIA>``, ``mia@example.com`` or a system that the person can see; None for a request's id, or nothing.

    Raises what `unknown_target` returns.
    """
    if person := PERSON.fullmatch(word):
        return RevokeTarget(user=person[1])
    if "@" in word:
        if identity_or_none(word) is None:
            raise UnknownPerson(word[:40])
        return RevokeTarget(email=word)
    if word.lower() in systems:
        return RevokeTarget(system=word.lower())
    if word and not may_be_id(word):
        raise unknown_target(word, systems)
    return None


def unknown_target(word: str, systems: Sequence[str]) -> UnknownPerson | UnknownSystem:
    """A word that names neither a request nor a system that the person can see: nearly one, or somebody's name."""
    near = difflib.get_close_matches(word.lower(), systems, n=2, cutoff=0.7)
    return UnknownSystem(word[:80], tuple(near)) if near else UnknownPerson(word[:40])


def id_and_rest(rest: str) -> tuple[str, str]:
    """``J-7K3Q because``, ``J-7K3Q -- because`` → both parts."""
    first, _, more = rest.partition(" ")
    return first.strip(".,;:"), more.strip().lstrip(DASHES).strip()


def which(rest: str) -> str | None:
    """``J-7K3Q, thank you`` → the id; anything else as it was typed; None where nothing was."""
    first = id_and_rest(rest)[0]
    return first if is_id(first) else rest[:90].strip() or None


def id_and_line(rest: str) -> tuple[str, str]:
    """``J-7K3Q 30m -- why``, ``30m J-7K3Q`` → the id among the first words, '' for none, and the line without it."""
    words = rest.split(" ")
    at = next((n for n, word in enumerate(words[:_FIRST]) if is_id(word.strip(",.:;"))), None)
    if at is None:
        return "", rest
    return words[at].strip(",.:;"), " ".join(words[:at] + words[at + 1 :])


def id_and_number(value: str) -> tuple[str, int]:
    """``J-7K3Q 2`` → the request, and the number of its extension, or of a place in a list; 0 where there is none."""
    first, _, number = value.partition(" ")
    return first, int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0


def sender(payload: Payload) -> str:
    """The account behind a command, a click or a submission; of which team it says it is, is not believed."""
    return str(payload["user_id"] if "user_id" in payload else payload["user"]["id"])


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


def page(payload: Payload) -> str:
    """Where in which list of those who wait it was pressed, ``C0VAULT01 20``; empty where it was pressed elsewhere."""
    return about(payload) if callback(payload) == action_ids.WAITING_VIEW else ""


def id_and_page(payload: Payload) -> tuple[str, str, int]:
    """The request that a form is about, and the list that it was opened from: its channel, and where in it."""
    id_, _, listed = about(payload).partition(" ")
    return id_.partition("#")[0], *id_and_number(listed)


def trigger(payload: Payload) -> str:
    """What allows one view to be opened, within three seconds. Raises `NoTrigger`."""
    if "trigger_id" not in payload:
        raise NoTrigger
    return str(payload["trigger_id"])


def token(payload: Payload) -> str:
    """What names a command, so that one delivered twice makes one request."""
    return str(payload["written"] if "written" in payload else payload["trigger_id"])


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


def chosen(payload: Payload) -> RequestForm:
    """What is filled in in the ask modal so far."""
    values, (duration, starts_at) = _values(payload), _carried(payload)
    seconds = next((v for k, v in values.items() if k.startswith(action_ids.DURATION)), duration)
    start = values.get(action_ids.START, starts_at)
    what, more = (
        next((value for block, value in values.items() if block.partition(":")[0] == wanted), "")
        for wanted in (action_ids.CHOICE, action_ids.ADD_ROLE)
    )
    # What cannot be combined is refused with why, rather than left out.
    several = TOGETHER.join([*what.split(TOGETHER), more]) if what and more else ""
    return RequestForm(
        what=several or what,
        duration=int(seconds) if seconds.isdigit() and int(seconds) else None,
        reason=values.get(action_ids.REASON, ""),
        starts_at=float(start) if start.isdigit() else 0,
        inputs=_inputs(values),
        code=code(payload),
    )


def _inputs(values: Mapping[str, str]) -> dict[str, str]:
    """What is filled in for the inputs of roles: ``input:NAME:CHOICE`` → by name."""
    parts = ((block.split(":", 2), value) for block, value in values.items())
    return {
        block[1]: value for block, value in parts if block[0] == action_ids.INPUT and block[1:] and block[1] and value
    }


def _carried(payload: Payload) -> tuple[str, str]:
    """The duration and the start that a form keeps while nothing is chosen in it, as digits."""
    if callback(payload) != action_ids.ASK_VIEW:
        return "", ""
    duration, _, start = about(payload).partition(" ")
    return duration, start


def chosen_person(payload: Payload) -> str:
    """The account that access is requested for in the ask modal; empty for one's own."""
    return next((value for block, value in _values(payload).items() if block.startswith(action_ids.FOR)), "")


def reason(payload: Payload) -> str:
    """What was typed as a reason."""
    return _values(payload).get(action_ids.REASON, "")


def code(payload: Payload) -> SecretStr:
    """What was typed as a second-factor code."""
    return SecretStr(_values(payload).get(action_ids.CODE, ""))


def scope(payload: Payload) -> str:
    """What was selected to be locked down."""
    return _values(payload).get(action_ids.SCOPE, "")


def field(payload: Payload, block: str) -> str:
    """What was typed or selected in that block of a form."""
    return _values(payload).get(block, "")


def _values(payload: Payload) -> dict[str, str]:
    """Each input block's value by block id."""
    found: dict[str, str] = {}
    for block, inputs in payload["view"]["state"]["values"].items():
        for entry in inputs.values():
            picked = (entry.get("selected_option") or {}).get("value") or entry.get("selected_date_time")
            found[block] = str(entry.get("value") or picked or entry.get("selected_user") or "")
    return found
