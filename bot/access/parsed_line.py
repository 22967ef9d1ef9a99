"""The parsed line of a request, with what each word was used as; the parser is request_line.py."""

from __future__ import annotations

from enum import StrEnum

from bot.core.frozen import Frozen


class WordUse(StrEnum):
    """What a word was used as."""

    CHOICE = "choice"
    """It names what is requested."""
    DURATION = "duration"
    """It states for how long, or until when."""
    START = "start"
    """It states from when."""
    INPUT = "input"
    """It gives an input of a role: `database=app`."""
    PERSON = "person"
    """It states for whom."""
    FILLER = "filler"
    """It means nothing here."""
    DASH = "dash"
    """It begins the reason."""
    REASON = "reason"
    """It is part of the reason."""
    UNKNOWN = "unknown"
    """It is not understood, and shown."""


class Problem(StrEnum):
    """Why the form asks the person to check, apart from what is missing."""

    ENDS = "ends"
    """The duration and the end contradict each other, or the end is past."""
    UNSURE = "unsure"
    """A person has to confirm it: a time, the role or an input is in or behind the reason, or a value may begin it."""


class RequestLine(Frozen):
    """A parsed line. Durations in seconds, ``starts_at`` in Unix seconds, 0 for now.

    ``names``: the choices that may be meant, one where it is clear. ``partial_name``: only a system, or a role without
    its system, was named, and ``names`` are its choices. ``person``: the account that it is for, or ``@name`` where
    Slack knows none of that name.
    ``inputs``: names and values, as they were typed. ``words``: each word and its use.
    """

    names: tuple[str, ...] = ()
    partial_name: bool = False
    duration: int | None = None
    starts_at: float = 0
    reason: str = ""
    inputs: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    person: str = ""
    words: tuple[tuple[str, WordUse], ...] = ()

    @property
    def clear(self) -> bool:
        """Whether it can mean only one thing, even if something is missing."""
        unsure = self.partial_name or self.unknown or self.problems or self.person.startswith("@")
        return len(self.names) == 1 and not unsure

    @property
    def typed(self) -> str:
        """The words that name what is requested, as they were typed."""
        return " ".join(word for word, use in self.words if use is WordUse.CHOICE)

    @property
    def partial(self) -> bool:
        """Whether several choices may be meant, or a part of a name was typed."""
        return self.partial_name or len(self.names) > 1

    @property
    def named_only(self) -> str:
        """A bare name of whom it may be for, which names no account: the only unknown word after "for"."""
        for (before, _), (word, use), after in zip(self.words, self.words[1:], [*self.words[2:], None], strict=False):
            alone = after is None or after[1] is not WordUse.UNKNOWN
            if before.casefold() == "for" and use is WordUse.UNKNOWN and alone and word.rstrip(",:").isalpha():
                return word.rstrip(",:")
        return ""

    @property
    def empty(self) -> bool:
        """Whether nothing in it was understood, and it has no reason."""
        understood = self.names or self.duration or self.starts_at or self.reason or self.person or self.inputs
        return not understood
