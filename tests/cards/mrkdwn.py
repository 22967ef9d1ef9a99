"""Slack's text as HTML, and as plain text: its marks, mentions, dates and emoji. All that somebody typed is escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime

EMOJI = {
    "alarm_clock": "⏰",
    "bell": "🔔",
    "calendar": "📅",
    "closed_lock_with_key": "🔐",
    "information_source": "ℹ️",
    "key": "🔑",
    "mag": "🔍",
    "arrow_right_hook": "↪️",
    "ballot_box_with_check": "☑️",
    "busts_in_silhouette": "👥",
    "gear": "⚙️",
    "grey_question": "❔",
    "hourglass_flowing_sand": "⏳",
    "large_green_circle": "🟢",
    "large_orange_circle": "🟠",
    "large_yellow_circle": "🟡",
    "leftwards_arrow_with_hook": "↩️",
    "lock": "🔒",
    "lock_with_ink_pen": "🔏",
    "no_entry": "⛔",
    "octagonal_sign": "🛑",
    "pencil2": "✏️",
    "red_circle": "🔴",
    "rotating_light": "🚨",
    "scissors": "✂️",
    "speech_balloon": "💬",
    "ticket": "🎫",
    "unlock": "🔓",
    "warning": "⚠️",
    "white_check_mark": "✅",
    "white_circle": "⚪",
    "x": "❌",
    "zzz": "💤",
}
GROUPS = {"S0DBA0001": "dba"}
_DATES = {
    "{time}": "%H:%M",
    "{time_secs}": "%H:%M:%S",
    "{date_short_pretty}": "%-d %b",
    "{date_short}": "%-d %b %Y",
    "{date_num}": "%Y-%m-%d",
    "{date}": "%-d %B %Y",
}
_SHORTCODE = re.compile(r":([a-z][a-z_0-9+-]*):")
_TOKEN = re.compile(r"<([^<>\n]+)>")
_CODE = re.compile(r"```(.+?)```|`([^`\n]+)`", re.DOTALL)
_MARKS = ((r"\*", "b"), ("_", "i"), ("~", "s"))
_HELD = re.compile("\ue000(\\d+)\ue001")

Mark = Callable[[str, str], str]
"""The kind of a piece (``mention``, ``link``, ``time``, ``code``) and what it says → how it is shown."""


class UnknownText(Exception):
    """Something in a text that this does not know how to show."""


def to_html(text: str) -> str:
    """``mrkdwn`` as HTML."""
    return _lines(_shown(text, lambda kind, said: f'<span class="{kind}">{html.escape(said)}</span>', html.escape))


def to_text(text: str) -> str:
    """``mrkdwn`` as it reads, without its marks."""
    found = _shown(text, lambda _kind, said: said, str)
    return re.sub(r"</?[bis]>", "", found)


def literal(text: str, *, emoji: bool = False) -> str:
    """``plain_text`` as HTML: no mark in it means anything."""
    return html.escape(_faces(text) if emoji else text)


def _shown(text: str, mark: Mark, escape: Callable[[str], str]) -> str:
    """Every piece that is shown in its own way is held apart, so that no mark is looked for in it."""
    held: list[str] = []

    def hold(shown: str) -> str:
        held.append(shown)
        return f"\ue000{len(held) - 1}\ue001"

    text = _CODE.sub(lambda m: hold(mark("code", _unescaped(m[1] or m[2]))), text)
    text = _TOKEN.sub(lambda m: hold(mark(*_token(m[1]))), text)
    text = escape(_faces(_unescaped(text)))
    for sign, tag in _MARKS:
        pattern = rf"(?<![\w{sign}]){sign}(?=\S)([^{sign}\n]+?)(?<=\S){sign}(?![\w{sign}])"
        text = re.sub(pattern, rf"<{tag}>\1</{tag}>", text)
    return _HELD.sub(lambda m: held[int(m[1])], text)


def _unescaped(text: str) -> str:
    """The three characters that Slack has escaped, and no others."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _token(inside: str) -> tuple[str, str]:
    """What stands between angle brackets: a mention, a date or a link."""
    target, _, label = inside.partition("|")
    if target.startswith("!date^"):
        return "time", _date(target)
    if target.startswith("!subteam^"):
        return "mention", f"@{GROUPS.get(target[9:], target[9:])}"
    if target.startswith("@"):
        return "mention", f"@{target[2:].title()}"
    if target.startswith("#"):
        return "mention", f"#{label or target[1:]}"
    if target.startswith("https://"):
        return "link", _unescaped(label or target)
    raise UnknownText(f"<{inside}>")


def _date(target: str) -> str:
    _, at, form, *_ = target.split("^")
    moment = datetime.fromtimestamp(int(at), UTC)
    for name, pattern in _DATES.items():
        form = form.replace(name, moment.strftime(pattern))
    if "{" in form:
        raise UnknownText(form)
    return form


def _faces(text: str) -> str:
    def face(match: re.Match[str]) -> str:
        if match[1] not in EMOJI:
            raise UnknownText(match[0])
        return EMOJI[match[1]]

    return _SHORTCODE.sub(face, text)


def _lines(text: str) -> str:
    """Lines that begin with ``>`` are quoted, the others broken."""
    quoted = "&gt; "
    parts: list[str] = []
    for line in text.split("\n"):
        is_quote = line.startswith(quoted)
        if parts and is_quote == parts[-1].startswith(quoted):
            parts[-1] += "\n" + line
        else:
            parts.append(line)
    return "".join(map(_part, parts))


def _part(text: str) -> str:
    if text.startswith("&gt; "):
        inner = "<br>".join(line.removeprefix("&gt; ") for line in text.split("\n"))
        return f"<blockquote>{inner}</blockquote>"
    return f"<p>{'<br>'.join(text.split(chr(10)))}</p>" if text.strip() else ""
