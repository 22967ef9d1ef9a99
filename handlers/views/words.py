"""Words for people: what someone typed made harmless, times in the reader's zone; it knows no block and no rule."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime

from bot.core import durations
from bot.core.model import ByRule, Person, Request, State

_MESSAGE = r"/archives/[CDG][A-Z0-9]{5,20}/p[0-9]{16}(?:\?thread_ts=[0-9]{10}\.[0-9]{6}&cid=[CDG][A-Z0-9]{5,20})?"
"""A message, or an answer in a thread, as Slack names it."""
_FEW = 3
_SPACES = re.compile(r"\s+")
_SAFE = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def plain(typed: str, most: int) -> str:
    """One line of at most ``most`` characters, without controls and marks that turn the writing round."""
    seen = "".join(" " if c in "\n\r\t" else c for c in typed)
    seen = "".join(c for c in seen if unicodedata.category(c) not in _INVISIBLE)
    line = _SPACES.sub(" ", seen).strip()
    return line if len(line) <= most else line[: most - 1] + "…"


def safe(typed: str, most: int = 300) -> str:
    """`plain`, with Slack's own signs escaped: no mention, no link, no channel comes of it."""
    return plain(typed, most).translate(_SAFE)


def linked(typed: str, most: int, site: str) -> str:
    """`safe`, in which a link to a message of our own workspace can be followed; every other address stays text.

    ``site``: the workspace's own, ``https://acme.slack.com``; without it nothing is a link.
    """
    text = plain(typed, most)
    if not site:
        return text.translate(_SAFE)
    ours = re.compile(rf"(?<!\S)({re.escape(site)}{_MESSAGE})(?!\S)", re.ASCII)
    parts = (part.translate(_SAFE) for part in ours.split(text))
    return "".join(f"<{part}>" if n % 2 else part for n, part in enumerate(parts))


def copyable(typed: str) -> str:
    """A line to be copied, as a block of code, which nothing in it ends early."""
    return f"```{safe(typed, 500).replace('```', '` ` `')}```"


def when(at: float, form: str = "{date_short_pretty} {time}") -> str:
    """A moment in the reader's own zone, with UTC for clients that cannot."""
    fallback = datetime.fromtimestamp(at, UTC).strftime("%d %b %H:%M UTC")
    return f"<!date^{int(at)}^{form}|{fallback}>"


def clock(at: float) -> str:
    """A moment of today or tomorrow, as a time of day."""
    return when(at, "{time}")


def length(seconds: float) -> str:
    """How long, in words."""
    return durations.words(int(seconds))


def who(person: Person) -> str:
    """A person by name and bound address: the name alone could be anybody's, a mention would ping."""
    return f"*{safe(person.name or person.email, 80)}* ({safe(person.email, 80)})"


def name(person: Person) -> str:
    """A person by name, for a sentence that says elsewhere who it is."""
    return safe(person.name or person.email, 80)


def roles(request: Request) -> str:
    """What the request opens."""
    return ", ".join(safe(leg.role.title, 120) for leg in request.legs)


def by_rule(rule: ByRule) -> str:
    """The rule that approved it, and how much of it is used up; its groups are named, and not mentioned."""
    groups = f"in {' or '.join(safe(group, 40) for group in rule.asker_in)}" if rule.asker_in else ""
    said = [f"{safe(rule.sensitivity, 20)} at most", groups, f"up to {length(rule.at_most)}"]
    if rule.what:
        more = "…" if len(rule.what) > _FEW else ""
        said.append(f"only {' or '.join(safe(each, 80) for each in rule.what[:_FEW])}{more}")
    return f"rule {rule.n} ({', '.join(each for each in said if each)}; {rule.used} of {rule.budget} in 24 hours)"


def approvers(request: Request) -> str:
    """Who approved it: people by name, or a rule."""
    return by_rule(request.rule) if request.rule else ", ".join(name(review.by) for review in request.reviews)


def title(request: Request) -> str:
    """What was asked for, as its card is headed."""
    return safe(request.title, 80)


def standing(request: Request) -> str:
    """Where a request stands, in a few words of a list."""
    match request.state:
        case State.PENDING:
            return f"waits for a decision, lapses {clock(request.decide_by)}"
        case State.SCHEDULED:
            return f"approved, opens {when(request.starts_at)}"
        case State.GRANTING:
            return "approved, being opened"
        case State.ACTIVE:
            return f"open until {clock(request.ends_at)}"
        case State.REVOKING:
            return "being closed"
        case State.DENIED:
            return f"denied by {user(request.closed_by)}"
        case State.CANCELLED:
            return "void" if request.closed_by == "policy" else "taken back"
        case State.LAPSED:
            return "lapsed"
        case State.FAILED:
            return "could not be opened"
        case State.ENDED:
            return f"closed {when(request.closed_at)}"


def user(id_: str) -> str:
    """Who closed it, from the id in the record."""
    if id_.startswith("cli:"):
        return safe(id_)
    return {"clock": "the clock", "worker": "the system", "policy": "the policy"}.get(id_, f"<@{id_}>")
