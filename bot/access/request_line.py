"""Parses a typed line: what is requested, for how long, from when and why; it guesses nothing and drops nothing.

Words come in any order. A dash, or "because", begins the reason; without one the reason is the rest. A dash within the
value of an input does not begin it: where that may have been meant, or where an input is in the reason, the person has
to confirm the line. Each word is used, is shown as not understood, or remains in the reason. A choice is what can be
requested: a role, or a template (several roles under one name).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.access import input_words
from bot.access.line_words import FILLERS, JOINS, LINKS, MOST_LINKS, REASON_FILLERS, TIME_WORDS
from bot.access.parsed_line import Problem, RequestLine, WordUse
from bot.core import reason_dash, time_phrases, typed
from bot.core.request import REASON_LIMIT
from bot.core.time_phrases import Clock, TimePhrase
from bot.policy.vocabulary import TOGETHER, Vocabulary, phrase, together

LONGEST_LINE = 4000
"""Characters of a line that are read; the rest is ignored."""
_ANY_TIME = re.compile(r"\d:\d\d|\d ?[ap]m\b|\b(?:in|noon|until|till|til)\b", re.ASCII | re.IGNORECASE)
_PUNCTUATION = "\"'`\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb.,;:!?()[]{}*_~"
_PERSON = re.compile(r"<@([UW][A-Z0-9]{1,30})(?:\|[^<>]*)?>")
_NAMED = re.compile(r"@[\w.-]{1,80}")
_ADDRESS = re.compile(r"[^\s<>|@]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")


_NONE = Vocabulary({}, {}, {}, 0)


def names_a_time(text: str) -> bool:
    """Whether the meaning of the line may depend on the current time."""
    return _ANY_TIME.search(text[:LONGEST_LINE]) is not None


def parse_line(text: str, vocabulary: Vocabulary | None, clock: Clock, *, optional: bool = False) -> RequestLine:
    """Parse the line. It raises nothing: words that it does not understand are in the result.

    Without a ``vocabulary`` no name is searched for; ``optional``: a line without a name is clear, too.
    """
    names = vocabulary or _NONE
    head, dash, reason = reason_dash.split(
        typed.line(text[:LONGEST_LINE]), lambda words, at: (input_words.read_input(words, at, names.inputs) or (0,))[0]
    )
    head = [part for word in head for part in _split_plus(word, names)]
    parser = _LineParser(head, names, clock, optional or vocabulary is None)
    if dash:
        parser.read_all()
    else:
        parser.read_with_reason()
    return parser.result(dash, reason)


@dataclass
class _LineParser:
    """The words before the reason, and what each was used as. ``optional``: see `parse_line`."""

    words: list[str]
    vocabulary: Vocabulary
    clock: Clock
    optional: bool
    names: tuple[str, ...] = ()
    partial: bool = False
    """Whether a system alone was named."""
    seconds: int | None = None
    starts_at: float | None = None
    until: float | None = None
    person: str = ""
    inputs: dict[str, str] = field(default_factory=dict)
    reason_at: int | None = None
    reason_end: int = 0
    in_reason: bool = False
    """Whether a reason without a dash has begun: an address that ends it is a part of it."""
    problems: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self.clean = [_clean(word) for word in self.words]
        self.uses: list[WordUse] = [WordUse.UNKNOWN] * len(self.words)

    def read_all(self) -> None:
        """Read all words as a choice, a duration or a time; words that are not understood are shown."""
        at = 0
        while at < len(self.words):
            at += self._take(at) or 1

    def read_with_reason(self) -> None:
        """Read until a word is not understood; from there to the last such word is the reason."""
        at = 0
        while at < len(self.words) and (taken := self._take(at) or self._rejected_input(at)):
            at += taken
        if at == len(self.words):
            return
        if self._ends_in_long_duration(at) or TOGETHER in "".join(self.names):  # the last role may belong to the reason
            self.problems.append(Problem.UNSURE)
        first = at
        while first and self.uses[first - 1] is WordUse.FILLER and self.clean[first - 1] in REASON_FILLERS:
            first -= 1
        end = self._end_of_reason(at)
        if not (self.names or self.optional):
            self._find_choice_in_reason(at, end)
        self._keep_reason(first, at, end)

    def _ends_in_long_duration(self, end: int) -> bool:
        """Whether a duration of several words ends at ``end``, as in "two days old": it may belong to what follows."""
        first = end
        while first and self.uses[first - 1] is WordUse.DURATION:
            first -= 1
        return end - first > 1 and self.clean[first - 1 : first] != ["for"]

    def _keep_reason(self, first: int, at: int, end: int) -> None:
        """Mark the reason. ``at``: the first word that is not understood; ``first`` includes the fillers before it."""
        nameless = not (self.names or self.optional)
        doubtful = nameless or self.clean[at] in TIME_WORDS or self.clean[at].isdigit()
        if doubtful and not nameless:  # a time that was not understood is no reason
            first = at + 1
            while first < end and self.clean[first] in FILLERS - REASON_FILLERS:
                first += self._mark(first, 1, WordUse.FILLER)
        if first < end and not (nameless and end == at + 1):  # one word alone is a name that was not found
            self.uses[first:end] = [WordUse.REASON] * (end - first)
            self.reason_at, self.reason_end = first, end
        if doubtful:
            self.problems.append(Problem.UNSURE)
            self.uses[at] = WordUse.UNKNOWN

    def _end_of_reason(self, start: int) -> int:
        """The end of a reason that has no dash: where the words begin that state, after it, what, how long or when.

        The end of the line if there are none.
        """
        self.in_reason = True
        for end in range(start + 1, len(self.words)):
            before, at = self._state(), end
            while at < len(self.words) and (taken := self._take(at)):
                at += taken
            if at == len(self.words) and self._state() != before:
                self.problems.append(Problem.UNSURE)
                return end
            self._restore(before, end)
        return len(self.words)

    def _find_choice_in_reason(self, start: int, end: int) -> None:
        """Find a choice that is named within the reason; its words remain part of the reason."""
        for at in range(start, end):
            if found := self._choice(at):
                self.names, self.partial = found[1], found[2]
                self.problems.append(Problem.UNSURE)
                return

    def _state(self) -> tuple[object, ...]:
        return self.names, self.partial, self.seconds, self.starts_at, self.until, self.person, self.inputs

    def _restore(self, state: tuple[object, ...], at: int) -> None:
        self.names, self.partial, self.seconds, self.starts_at, self.until, self.person, self.inputs = state  # type: ignore[assignment]
        self.uses[at:] = [WordUse.UNKNOWN] * (len(self.words) - at)

    def _take(self, at: int) -> int:
        """Read what begins at ``at``, if none of its kind was read before. How many words; 0 if not understood."""
        if person := self._for_whom(at):
            self.person = person
            return self._mark(at, 1, WordUse.PERSON)
        if given := input_words.read_input(self.words, at, self.vocabulary.inputs - self.inputs.keys()):
            self.inputs = {**self.inputs, given[1]: given[2]}
            return self._mark(at, given[0], WordUse.INPUT)
        if not self.names and (found := self._choice(at)):
            count, self.names, self.partial = found
            return self._mark(at, count, WordUse.CHOICE)
        if another := self._another_role(at):
            count, name = another
            self.names = (name,)
            return self._mark(at, count, WordUse.CHOICE)
        if (stated := time_phrases.read(self.clean, at, self.clock)) and self._fits(stated):
            self.seconds = stated.seconds if stated.seconds is not None else self.seconds
            self.starts_at = stated.starts_at if stated.starts_at is not None else self.starts_at
            self.until = stated.until if stated.until is not None else self.until
            return self._mark(at, stated.words, WordUse.DURATION if stated.starts_at is None else WordUse.START)
        return self._mark(at, 1, WordUse.FILLER) if self.clean[at] in FILLERS or not self.clean[at] else 0

    def _mark(self, at: int, count: int, use: WordUse) -> int:
        self.uses[at : at + count] = [use] * count
        return count

    def _rejected_input(self, at: int) -> int:
        """1 if the word has the form of an input, and its name is unknown or was given before; else 0.

        Such a word is shown as not understood. It does not begin the reason.
        """
        return int(bool(self.vocabulary.inputs) and input_words.looks_like_input(self.words[at]))

    def _fits(self, stated: TimePhrase) -> bool:
        return not (
            (stated.seconds is not None and self.seconds is not None)
            or (stated.starts_at is not None and self.starts_at is not None)
            or (stated.until is not None and self.until is not None)
        )

    def _for_whom(self, at: int) -> str:
        """The account at the beginning of the line, or after "for"; there, before a reason, an e-mail address too."""
        word, behind = self.words[at].rstrip(",:"), at > 0 and self.clean[at - 1] == "for"
        if self.person or not (at == 0 or behind):
            return ""
        if found := _PERSON.fullmatch(word):
            return found[1]
        by_address = behind and not (self.optional or self.in_reason) and _ADDRESS.fullmatch(word)
        return word if by_address or _NAMED.fullmatch(word) else ""

    def _choice(self, at: int) -> tuple[int, tuple[str, ...], bool] | None:
        """The longest name or title that begins at ``at``: its word count, what it may mean, whether it is partial."""
        if self.clean[at] in LINKS and self.clean[at] != self.words[at]:
            return None
        for count in range(min(self.vocabulary.longest + MOST_LINKS, len(self.words) - at), 0, -1):
            if found := self._named(self.clean[at : at + count]):
                return count, *found
        return None

    def _another_role(self, at: int) -> tuple[int, str] | None:
        """One more role, right after those that were named: its word count, and the name of all of them together."""
        if len(self.names) != 1 or self.partial or at == 0 or self.uses[at - 1] is not WordUse.CHOICE:
            return None
        joined = self.words[at].casefold() in JOINS
        if not joined and not self.words[at - 1].endswith(","):
            return None
        found = self._choice(at + joined) if at + joined < len(self.words) else None
        if found is None or found[2] or len(found[1]) != 1:
            return None
        names = [*self.names[0].split(TOGETHER), *found[1]]
        name = together(names) if all("/" in each for each in names) else None
        return (joined + found[0], name) if name else None

    def _named(self, words: Sequence[str]) -> tuple[tuple[str, ...], bool] | None:
        """The choices of that name, and whether it is partial: a whole name precedes a system, and that a role."""
        if not phrase(words[0]) or not phrase(words[-1]):
            return None
        if words[-1] in LINKS and len(words) > 1 and phrase(" ".join(words)) not in self.vocabulary.choices:
            return None
        phrases = dict.fromkeys(
            (
                phrase(" ".join(words)),
                phrase(" ".join([words[0], *(word for word in words[1:] if word not in LINKS)])),
            )
        )
        for meanings in (self.vocabulary.choices, self.vocabulary.systems, self.vocabulary.roles):
            for each in phrases:
                if each in meanings:
                    return meanings[each], meanings is not self.vocabulary.choices
        return None

    def result(self, dash: str, reason: str) -> RequestLine:
        """The parsed line."""
        if self.reason_at is not None:
            reason = " ".join(self.words[self.reason_at : self.reason_end])
        words = list(zip(self.words, self.uses, strict=True))
        if not self.optional and input_words.named_in(reason, self._not_given()):
            self.problems.append(Problem.UNSURE)
        if not dash and any(use is WordUse.INPUT and input_words.may_begin_reason(word) for word, use in words):
            self.problems.append(Problem.UNSURE)
        words += [(dash, WordUse.DASH)] if dash else []
        words += [(word, WordUse.REASON) for word in reason.split()] if dash else []
        return RequestLine(
            names=self.names,
            partial_name=self.partial,
            duration=self._duration(),
            starts_at=self.starts_at or 0,
            reason=reason[: REASON_LIMIT + 1],
            inputs=tuple(self.inputs.items()),
            unknown=_groups(words),
            problems=tuple(dict.fromkeys(self.problems)),
            person=self.person,
            words=tuple(words),
        )

    def _not_given(self) -> frozenset[str]:
        """The inputs of the choices that may be meant, without those that were given before the reason."""
        asked = frozenset[str]().union(*(self.vocabulary.asked_for(name) for name in self.names))
        return asked - self.inputs.keys()

    def _duration(self) -> int | None:
        """The stated duration, or the time until the stated end; None where the two contradict each other."""
        if self.until is None:
            return self.seconds
        left = self.until - (self.starts_at or self.clock.now)
        if self.seconds is None and left >= 60:
            return int(left // 60) * 60
        if self.seconds != left:
            self.problems.append(Problem.ENDS)
            return None
        return self.seconds


def _groups(words: Sequence[tuple[str, WordUse]]) -> tuple[str, ...]:
    """The words that were not understood; adjacent ones together."""
    groups: list[list[str]] = []
    last = -2
    for n, (word, use) in enumerate(words):
        if use is WordUse.UNKNOWN:
            if n != last + 1:
                groups.append([])
            groups[-1].append(word)
            last = n
    joined = (" ".join(group) for group in groups)
    return tuple(each if len(each) <= 80 else f"{each[:79]}…" for each in joined)[:5]


def _split_plus(word: str, vocabulary: Vocabulary) -> list[str]:
    """``prod-db/read-only+vault/ops`` → its names, with a plus in between; any other word as it is."""
    names = word.split("+")
    all_choices = all(phrase(name) in vocabulary.choices for name in names)
    return [part for name in names for part in ("+", name)][1:] if all_choices else [word]


def _clean(word: str) -> str:
    return word.strip(_PUNCTUATION).casefold()
