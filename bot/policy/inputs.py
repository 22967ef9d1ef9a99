"""The typed inputs of a role: what the requester has to give, and whether what they typed will do.

A role's `grants` name an input as ``{ask: NAME}`` in the place of a value; how its value gets there is in bindings.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from bot.core import ssh_keys, typed
from bot.core.errors import BadInput
from bot.core.role_snapshot import GivenInput
from bot.policy import regex_cost

LONGEST = 200
"""Characters of a value that has to fit a pattern."""
FEWEST_CHOICES, MOST_CHOICES = 2, 50
LONGEST_CHOICE = 75
"""Characters of one that is chosen: what an option in Slack has room for."""


def one_line(value: str) -> str:
    """A text of the policy as people read it. Raises `ValueError`."""
    if not value.isprintable() or value != value.strip():
        raise ValueError("this should be one line, with nothing blank around it")
    return value


def quick(pattern: str) -> str:
    """A pattern that surely does not take for ever. Raises `ValueError`."""
    regex_cost.check(pattern)
    return pattern


def _plain(value: str) -> str:
    """Exactly what would be read if somebody typed it."""
    if typed.line(value) != value:
        raise ValueError("this should be one line without hidden signs, and with single blanks only within it")
    return value


InputName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]
"""A name that is typed: letters, digits, dashes, underscores."""
Value = Annotated[str, Field(min_length=1, max_length=LONGEST_CHOICE), AfterValidator(_plain)]


class InputShape(BaseModel):
    """One input: a choice, a text that fits a pattern as a whole, or an SSH public key."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    title: Annotated[str, Field(min_length=1, max_length=60), AfterValidator(one_line)] | None = None
    choice: Annotated[tuple[Value, ...], Field(strict=False, max_length=MOST_CHOICES)] | None = None
    pattern: Annotated[str, AfterValidator(quick)] | None = None
    example: Annotated[str, Field(max_length=LONGEST), AfterValidator(_plain)] = ""
    ssh_public_key: Literal[True] | None = None
    default: Annotated[str, Field(min_length=1, max_length=LONGEST), AfterValidator(_plain)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> InputShape:
        kinds = [self.choice is not None, self.pattern is not None, self.ssh_public_key is not None]
        if kinds.count(True) != 1:
            raise ValueError("an input is one of `choice: […]`, `pattern: …` with an `example`, `ssh_public_key: true`")
        if self.choice is not None and len(self.choice) < FEWEST_CHOICES:
            raise ValueError(f"a `choice` has {FEWEST_CHOICES} to {MOST_CHOICES} values: with one, nothing is asked")
        if self.choice and len(set(self.choice)) < len(self.choice):
            raise ValueError("a `choice` is here twice")
        if self.example and not self.pattern:
            raise ValueError("only a `pattern` has an `example`: leave it out")
        if self.pattern and not self.example:
            raise ValueError("a `pattern` needs an `example` beside it that it fits: people read that")
        if self.pattern and not self._fits(self.example):
            raise ValueError("the whole `example` has to fit the `pattern`: write one that does")
        if self.default is not None and (self.ssh_public_key or not self._fits(self.default)):
            raise ValueError("the `default` would be refused if somebody typed it: write another, or leave it out")
        return self

    @property
    def kind(self) -> Literal["choice", "pattern", "ssh_public_key"]:
        """Which of the three it is."""
        return "choice" if self.choice else "pattern" if self.pattern else "ssh_public_key"

    @property
    def samples(self) -> tuple[str, ...]:
        """Values to check a role with: each that can be chosen, or one that fits."""
        return self.choice or (self.example or ssh_keys.EXAMPLE,)

    @property
    def expected(self) -> str:
        """What will do, as people read it."""
        if self.choice:
            return f"{', '.join(self.choice[:-1])} or {self.choice[-1]}"
        return (
            f"like {self.example}"
            if self.pattern
            else "an SSH public key: Ed25519, ECDSA, or RSA of at least 3072 bits"
        )

    def means_the_same(self, other: InputShape) -> bool:
        """Whether both take exactly the same values."""
        return (self.choice, self.pattern, self.ssh_public_key) == (other.choice, other.pattern, other.ssh_public_key)

    def titled(self, name: str) -> str:
        """What people call it."""
        return self.title or name.replace("_", " ").replace("-", " ").capitalize()

    def check(self, name: str, text: str) -> str:
        """The value that a text stands for, the default for none. Raises `BadInput`."""
        value = typed.line(text[: ssh_keys.LONGEST + 1]) or self.default or ""
        if not value:
            raise self.refused(name, "missing")
        if len(value) > (ssh_keys.LONGEST if self.ssh_public_key else LONGEST):
            raise self.refused(name, "long")
        if self.choice:
            return self._chosen(name, value)
        if self.pattern and not self._fits(value):
            raise self.refused(name, "form", value)
        try:
            return value if self.pattern else ssh_keys.normalized(value)
        except ssh_keys.BadKey as error:
            raise self.refused(name, "key", why=str(error)) from None

    def takes(self, value: str) -> bool:
        """Whether this very value would do."""
        return bool(value) and self.typed_as(value) == value

    def typed_as(self, text: str) -> str:
        """The value that a text stands for; '' for one that will not do."""
        try:
            return self.check("", text)
        except BadInput:
            return ""

    def refused(self, name: str, problem: str, text: str = "", why: str = "") -> BadInput:
        """Why a text will not do."""
        return BadInput(name, problem, title=self.titled(name), typed=text, expected=self.expected, why=why)

    def given(self, name: str, value: str) -> GivenInput:
        """A value that was checked, as the record keeps it."""
        return GivenInput(name=name, title=self.titled(name), kind=self.kind, value=value)

    def _chosen(self, name: str, value: str) -> str:
        """The choice of that spelling, or the only one that differs in capitals alone."""
        choices = self.choice or ()
        near = [each for each in choices if each.casefold() == value.casefold()]
        if value in choices or len(near) == 1:
            return value if value in choices else near[0]
        raise self.refused(name, "choice", value)

    def _fits(self, value: str) -> bool:
        """Only ASCII is a letter or a digit of a pattern: those of other alphabets look alike."""
        return value in self.choice if self.choice else bool(re.fullmatch(self.pattern or "", value, re.ASCII))


Asks = Mapping[str, InputShape]
"""The inputs of a role or a choice, by name, in the order of the policy."""


def first_of_each(asks: Iterable[Asks]) -> Asks:
    """Those of several roles: the first of a name has the title, and a default only where all have the same one."""
    found: dict[str, InputShape] = {}
    for each in asks:
        for name, shape in each.items():
            first = found.setdefault(name, shape)
            if first.default != shape.default:
                found[name] = first.model_copy(update={"default": None})
    return found


def checked(asks: Asks, what: str, given: Mapping[str, str]) -> dict[str, str]:
    """The value of each input, in order. ``what`` asks for them. Raises `BadInput` for the first that will not do."""
    for name, text in given.items():
        if name not in asks:
            raise BadInput(name, "unasked", title=what, typed=text, expected=", ".join(asks))
    return {name: shape.check(name, given.get(name, "")) for name, shape in asks.items()}
