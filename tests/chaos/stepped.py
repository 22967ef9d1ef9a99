"""The bot in a process whose clock is put forward or back when it gets SIGUSR1; nothing else about it is changed.

`python -m tests.chaos.stepped SECONDS run --role all`: what follows the seconds is the bot's own command line.
"""

from __future__ import annotations

import datetime as dt
import signal
import sys
import time
from typing import TypeAlias

_real, _real_ns = time.time, time.time_ns
_Real: TypeAlias = dt.datetime


class _Kind(type):
    """What C code makes is a datetime, too."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _Real)


class Stepped(_Real, metaclass=_Kind):
    """A datetime by the stepped clock."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Stepped:
        """By the clock that was stepped."""
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls) -> Stepped:
        """By the clock that was stepped."""
        return cls.now(dt.UTC).replace(tzinfo=None)


def obey(seconds: int) -> None:
    """Step every clock of this process that tells the time of day, once it is told to."""
    offset = 0

    def step(*_: object) -> None:
        nonlocal offset
        offset = seconds
        print(f"the clock says {time.time():.0f} from here on, it was {_real():.0f}", file=sys.stderr, flush=True)

    time.time = lambda: _real() + offset
    time.time_ns = lambda: _real_ns() + offset * 1_000_000_000
    dt.datetime = Stepped  # type: ignore[misc]  # for all who import it from here on
    signal.signal(signal.SIGUSR1, step)


if __name__ == "__main__":
    obey(int(sys.argv.pop(1)))
    from bot.cli.main import main

    main()
