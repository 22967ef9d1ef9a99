"""The contract between the pump and a place that audit events are shipped to; it knows nothing of Slack or Redis.

A sink is one class per protocol. It gets records in the order of their numbers, and answers only when the receiver
has them. What was not answered is sent again, perhaps by another process: a receiver may get a record twice, and
tells it by its number. How to write one, and the tests that it must pass: `providers.sinks.conformance`.

Errors: `RecordRefused` is about a record that can never be taken, `NotDelivered` about everything else that time or a
person cures, `ReceiverGone` says that the receiver wants no more. Anything else from a sink counts as `NotDelivered`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Protocol, runtime_checkable

from providers import base
from providers.base import Frozen, Health, ProviderError

__all__ = [
    "Frozen",
    "Health",
    "NotDelivered",
    "ProviderError",
    "ReceiverGone",
    "Record",
    "RecordRefused",
    "Severity",
    "Sink",
    "SinkCapabilities",
]


class Severity(Enum):
    """How loud a record is, by the syslog level (RFC 5424) and the number that OpenTelemetry has for it."""

    CRITICAL = (2, 21)
    """The record itself, or access that cannot be closed, needs a hand."""
    WARNING = (4, 13)
    """Something is not known for sure."""
    NOTICE = (5, 10)
    """A no: refused, denied, lapsed."""
    INFO = (6, 9)
    """What happens each day."""

    @property
    def syslog(self) -> int:
        """0 to 7, 0 the loudest."""
        return self.value[0]

    @property
    def otel(self) -> int:
        """1 to 24, 24 the loudest."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Record:
    """One sealed audit event. ``number`` tells it from every other of its workspace, and twice is the same record.

    ``at``: Unix seconds. ``request``: its request's id, or ''. ``text``: a JSON object in one line of ASCII.
    """

    workspace: str
    number: int
    at: float
    kind: str
    request: str
    text: str
    severity: Severity = Severity.INFO

    @property
    def id(self) -> str:
        """What tells it from the records of every workspace."""
        return f"{self.workspace}-{self.number}"


class RecordRefused(base.Refused):
    """A record that can never be taken, as it is: too large, not understood. It is one of the batch after ``taken``.

    A receiver that takes nothing from us (a wrong token, a wrong address) is `NotDelivered`: no record is at fault.
    """

    def __init__(self, said: str, taken: int = 0) -> None:
        """``taken``: how many of the batch, from its beginning, the receiver has for sure."""
        super().__init__(said)
        self.taken = taken


class NotDelivered(base.Unsure):
    """Not taken, or not known to be: to be sent again. ``after``: not before so many seconds, as the receiver says."""

    def __init__(self, said: str, taken: int = 0, after: float = 0.0) -> None:
        """``taken``: how many of the batch, from its beginning, the receiver has for sure."""
        super().__init__(said)
        self.taken, self.after = taken, after


class ReceiverGone(ProviderError):
    """The receiver says that nothing is to be sent to it any more: a person decides what to do."""

    def __init__(self, said: str, taken: int = 0) -> None:
        """``taken``: how many of the batch, from its beginning, the receiver has for sure."""
        super().__init__(said)
        self.taken = taken


class SinkCapabilities(Frozen):
    """What a protocol can do, told beforehand so that docs are honest."""

    most: int
    """Records in a batch."""
    answer: str
    """In words, what an answer of the receiver proves."""


@runtime_checkable
class Sink(Protocol):
    """What the pump needs of a protocol. Implementations open nothing before the first verb, and send one at a time."""

    Config: ClassVar[type[Frozen]]
    """How to reach the receiver; secret fields are `SecretStr`, resolved from references before it is built."""

    def __init__(self, config: Any) -> None:
        """Take a valid `Config`. Raises nothing that a connection could tell."""

    @property
    def settles_within(self) -> float:
        """Seconds after which a call has surely ended, by its own timeouts."""

    @classmethod
    def capabilities(cls) -> SinkCapabilities:
        """What this protocol can do. Asked of the class."""

    async def send(self, batch: Sequence[Record]) -> None:
        """Hand over records, in their order, and return once the receiver has them. Raises any of the three."""

    async def check(self) -> Health:
        """Whether the receiver would take records, as far as that can be told without one. Raises as `send` does."""

    async def close(self) -> None:
        """Let go of connections and files. Called once, at the end."""
