"""Words for people: what someone typed made harmless, times in the reader's zone; it knows no block and no rule."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime

from bot.core import durations
from bot.core.model import Person, Request, State

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
