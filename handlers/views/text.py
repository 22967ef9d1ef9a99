"""Words for people: what someone typed made harmless, times in the reader's zone; it knows no block and no rule."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from bot.core import durations
from bot.core.given_inputs import given_inputs, shown
from bot.core.request import ByRule, Person, Request, Review
from bot.core.role_snapshot import GivenInput
from bot.core.typed import bounded, isolated

_MESSAGE = r"/archives/[CDG][A-Z0-9]{5,20}/p[0-9]{16}(?:\?thread_ts=[0-9]{10}\.[0-9]{6}&cid=[CDG][A-Z0-9]{5,20})?"
"""A message, or an answer in a thread, as Slack names it."""
OPEN_CARD = "Open the card"
_FEW = 3
_INERT = str.maketrans({"`": "\u02cb", "*": "\u2217", "~": "\u223c"})
_TICK = str.maketrans({"`": "\u02cb"})
_EMOJI = re.compile(r":(?=[^\s:]+:)")
_ITALIC = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
"""An underscore that is not within a name, as it is in `audit_readers`."""
_PLAIN_VALUE = re.compile(r"[^\W_]+(?:(?:_+|[-./+]+)[^\W_]+)*\u2026?")
"""A value in which nothing is a mark of Slack's, or looks as if another value began."""
_GIVEN = 160
"""Characters of what was given, in brackets behind a title."""
_FIELD_ERROR = 150
_LONG = 20 * 3600
_MARKS = {
    "low": ":large_green_circle:",
    "medium": ":large_yellow_circle:",
    "high": ":large_orange_circle:",
    "critical": ":red_circle:",
}
"""From the least to the most sensitive."""
_ACCOUNT = re.compile(r"[UW][A-Z0-9]{1,30}")
_SAFE = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_LABELLED = re.compile(r"<[^<>|]+\|([^<>]*)>")
"""A moment with its fallback, or a link with its words."""
_MENTION = re.compile(r"<@[UW][A-Z0-9]+>")


def plain(typed: str, most: int) -> str:
    """One line of at most ``most`` characters, without controls and marks that turn the writing round."""
    return bounded(typed, most)


def safe(typed: str, most: int = 300) -> str:
    """`plain`, with Slack's own signs escaped: no mention, no link, no channel comes of it.

    Writing from right to left is kept to itself, so that it does not move what stands beside it.
    """
    return isolated(plain(typed, most).translate(_SAFE))


def unmarked(said: str) -> str:
    """A sentence of ours as Slack would show it, where its marks are not read: under a field of a form, in a terminal.

    Times are UTC, and nobody is named by a mention, which is an account's id there.
    """
    return spelt_out(said).replace("`", "")


def spelt_out(said: str) -> str:
    """The same with code between backticks, as a terminal tells names from words."""
    text = _LABELLED.sub(r"\1", _MENTION.sub("somebody", said))
    return html.unescape(re.sub("[\u2068\u2069]", "", text))


def field_error(said: str) -> str:
    """A sentence of ours beneath a field of a form, where there is room for few characters."""
    return bounded(unmarked(said), _FIELD_ERROR)


def code(typed: str, most: int = 300) -> str:
    """`safe`, as code, which nothing in it ends early."""
    return f"`{safe(typed, most).translate(_TICK)}`"


def linked(typed: str, most: int, site: str) -> str:
    """`safe`, in which a link to a message of our own workspace can be followed; every other address stays text.

    ``site``: the workspace's own, ``https://acme.slack.com``; without it nothing is a link.
    """
    text = plain(typed, most)
    if not site:
        return isolated(text.translate(_SAFE))
    ours = re.compile(rf"(?<!\S)({re.escape(site)}{_MESSAGE})(?!\S)", re.ASCII)
    parts = (part.translate(_SAFE) for part in ours.split(text))
    return isolated("".join(f"<{part}>" if n % 2 else part for n, part in enumerate(parts)))


def fitting(typed: str, most: int) -> str:
    """`safe`, in which what is written for Slack's signs counts too: never longer than ``most``."""
    at_most = most
    while len(text := safe(typed, at_most)) > most:
        at_most = max(1, at_most - max(1, (len(text) - most) // 5))
    return text


def message_link(site: str, channel: str, ts: str) -> str:
    """Where a message can be opened; empty where it cannot be told. ``site``: as `linked` has it."""
    path = f"/archives/{channel}/p{ts.replace('.', '')}"
    return f"{site}{path}" if site and re.fullmatch(_MESSAGE, path, re.ASCII) else ""


def linked_as(link: str, words: str) -> str:
    """Our own words, which lead to a link of ours."""
    return f"<{link}|{words}>"


def copyable(typed: str) -> str:
    """A line to be copied, as a block of code, which nothing in it ends early."""
    return f"```{plain(typed, 500).translate(_SAFE).replace('```', '` ` `')}```"


def when(at: float, form: str = "{date_short_pretty} {time}") -> str:
    """A moment in the reader's own zone, with UTC for clients that cannot."""
    fallback = datetime.fromtimestamp(at, UTC).strftime("%d %b %H:%M UTC")
    return f"<!date^{int(at)}^{form}|{fallback}>"


def clock(at: float) -> str:
    """A moment of today or tomorrow, as a time of day."""
    return when(at, "{time}")


def until(at: float, away: float) -> str:
    """A moment that is so many seconds away: with its day, where the time alone could be any day's."""
    return when(at) if away > _LONG else clock(at)


def length(seconds: float) -> str:
    """How long, in words."""
    return durations.words(int(seconds))


def lasts(request: Request) -> str:
    """For how long access was requested or approved, and to how much it was extended, in whole minutes."""
    first = length(request.duration)
    if not request.extended:
        return first
    return f"{first}, extended to {length(60 * round((request.ends_at - request.granted_at) / 60))}"


def who(person: Person) -> str:
    """A person by name and bound address: the name alone could be anybody's, a mention would ping."""
    return f"*{safe(person.name or person.email, 80)}* ({safe(person.email, 80)})"


def tappable(person: Person, site: str) -> str:
    """`who`, whose name leads to their profile: a mention would ping them. ``site``: as `linked` has it."""
    if not site or not _ACCOUNT.fullmatch(person.id):
        return who(person)
    shown = safe(person.name or person.email, 80).replace("|", "/")
    return f"*<{site}/team/{person.id}|{shown}>* ({safe(person.email, 80)})"


def name(person: Person) -> str:
    """A person by name, for a sentence that says elsewhere who it is."""
    return safe(person.name or person.email, 80)


def reviewer(review: Review) -> str:
    """Who gave a review by name, and in whose place: ``Kim for Dan``."""
    return f"{name(review.by)}{_in_place(review)}"


def who_reviewed(review: Review) -> str:
    """The same by name and bound address."""
    return f"{who(review.by)}{_in_place(review)}"


def _in_place(review: Review) -> str:
    return f" for {name(review.stands_in_for)}" if review.stands_in_for else ""


def by_whom(request: Request) -> str:
    """Who requested it for whom, and that they accepted; empty for what somebody requested for themself."""
    if request.requested_by is None:
        return ""
    them = name(request.requester)
    answered = f"{them} accepted {clock(request.consented_at)}" if request.consented_at else f"{them} has not accepted"
    return f"{who(request.requested_by)} requested it for {them}; {answered}."


def asks(request: Request) -> str:
    """Who requests it, and for whom where that is somebody else."""
    requested_by = request.requested_by
    return (
        f"{who(requested_by)} requests for {who(request.requester)}:"
        if requested_by
        else f"{who(request.requester)} requests"
    )


def roles(request: Request) -> str:
    """What the request grants."""
    return ", ".join(safe(leg.role.title, 120) for leg in request.legs)


def risk(sensitivity: str) -> str:
    """How much harm a role can do: a mark to see at a glance, and the words that say it all."""
    mark = _MARKS.get(sensitivity, _MARKS["high"])
    return f"{mark} *{safe(sensitivity, 20).capitalize()} risk*"


def sensitivity(request: Request) -> str:
    """The highest of its roles."""
    known = list(_MARKS)
    levels = (leg.role.sensitivity for leg in request.legs)
    return max(levels, key=lambda level: known.index(level) if level in known else len(known))


def by_rule(rule: ByRule) -> str:
    """The rule that approved it, and how much of it is used up; its groups are named, and not mentioned."""
    groups = " or ".join(safe(group, 40) for group in rule.requester_in)
    said = [f"{safe(rule.sensitivity, 20)} risk", groups, f"up to {length(rule.at_most)}"]
    if rule.what:
        more = "…" if len(rule.what) > _FEW else ""
        said.append(f"only {' or '.join(safe(each, 80) for each in rule.what[:_FEW])}{more}")
    said += [safe(each, 80) for each in rule.also[:_FEW]]
    return f"rule {rule.n}: {', '.join(each for each in said if each)} ({rule.used} of {rule.budget} uses today)"


def approvers(request: Request) -> str:
    """Who approved it: people by name, or a rule."""
    return by_rule(request.rule) if request.rule else " and ".join(reviewer(review) for review in request.reviews)


def title(request: Request) -> str:
    """What was asked for, with what was given for it in brackets."""
    given = in_brackets(given_inputs(request))
    return f"{safe(request.title, 80)}{f' {given}' if given else ''}"


def in_brackets(inputs: Sequence[GivenInput]) -> str:
    """What was given, short, for the line that names what was asked for; empty where nothing was."""
    said: list[str] = []
    for each in inputs:
        value = f"{safe(each.name, 40)}={_value(each, 40)}"
        if len(", ".join([*said, value])) > _GIVEN:
            said.append("…")
            break
        said.append(value)
    return f"({', '.join(said)})" if said else ""


def inputs(request: Request) -> str:
    """All that was given, an input a line; empty where nothing was asked for."""
    return "\n".join(f"*{safe(each.title, 60)}*: {_value(each, 220)}" for each in given_inputs(request))


def _value(given: GivenInput, most: int) -> str:
    """What was given for an input, as code wherever it could be taken for more than a value.

    What would end the code, or mark up the text where Slack reads no code, is replaced by a sign that looks alike.
    """
    text = fitting(shown(given), most)
    if given.kind == "ssh_public_key" or _PLAIN_VALUE.fullmatch(text):
        return text
    return f"`{inert(text)}`"


def inert(text: str) -> str:
    """A text in which each sign that would mark it up is replaced by one that looks alike."""
    return _ITALIC.sub("\u02cd", _EMOJI.sub("\u2236", text.translate(_INERT)))


def headed(request: Request, most: int = 80) -> str:
    """What was asked for, where what was given for it is shown beside it."""
    return safe(request.title, most)


def user(id_: str) -> str:
    """Who closed it, from the id in the record."""
    if id_.startswith("cli:"):
        return safe(id_)
    return {"clock": "the clock", "worker": "the system", "policy": "the policy"}.get(id_, f"<@{id_}>")
