"""What the outbox holds: a row is one notification to be delivered, a posted message is where it is in Slack."""

from __future__ import annotations

from dataclasses import dataclass

from bot.store.encoding import text


@dataclass(frozen=True)
class Row:
    """One notification to be delivered, at the ``version`` of the record that asked for it."""

    request: str
    audience: str
    version: int

    @classmethod
    def parsed(cls, name: str, value: str) -> Row:
        """The row that is stored under this name, at the version that its value begins with."""
        request, _, audience = name.partition("|")
        word = value.partition(" ")[0]
        return cls(request, audience, int(word) if word.isascii() and word.isdigit() and len(word) < 16 else 0)

    @property
    def name(self) -> str:
        """The row's name in Redis."""
        return f"{self.request}|{self.audience}"

    @property
    def kind(self) -> str:
        """The audience, without which event or end it is about."""
        return self.audience.partition(":")[0]

    @property
    def seq(self) -> int | None:
        """The audit event's number, None for a projection of the whole record."""
        _, _, seq = self.audience.partition(":")
        return int(seq) if seq.isascii() and seq.isdigit() and len(seq) < 16 else None

    @property
    def copy(self) -> tuple[str, str] | None:
        """The channel and ts of the second copy that is to be removed, if that is what the row asks for."""
        kind, _, where = self.audience.partition(":")
        channel, _, ts = where.partition(" ")
        return (channel, ts) if kind == "copy" else None


@dataclass(frozen=True)
class PostedMessage:
    """Where a notification is in Slack; ``ts`` is empty while that is unknown."""

    channel: str
    ts: str


class OnItsWay(Exception):
    """The message is posted already, or may be: look again in ``seconds``."""

    def __init__(self, seconds: float) -> None:
        """Keep how long its outcome is still waited for."""
        super().__init__(seconds)
        self.seconds = seconds


def is_row(name: bytes) -> bool:
    """Whether it has the form of a row, so that it is found again by what it says."""
    request, bar, audience = name.partition(b"|")
    return bool(request and bar and audience) and text(name).encode() == name
