"""The log of a process: a line an event on stderr, JSON or pretty, which shows no secret and keeps nobody waiting.

What people typed is in no line of ours: a reason may hold a secret. Redaction is the second lock, not the first.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import select
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

from bot.redaction import Secrets
from bot.terminal import shown, spelled

Form = Literal["json", "pretty"]
ROOMS = ("bot", "handlers", "providers")
_LONGEST, _LONGEST_TRACE = 2_000, 8_000
"""Characters of a text and of a trace: much of what collects logs cuts a line at 16 kB, and half a line is no JSON."""
_MOST_READ = 64_000
_BETWEEN = "\x1f"
"""White space, to the patterns of what looks like a secret: none of them reaches beyond its own text."""
_MOST_WAITING = 10_000
_GRACE = 1.0
"""Seconds for which a reader may read nothing at the end before the lines that wait are given up."""
_ADDRESS = re.compile(r"(?<!cli:)(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
"""An e-mail address is no secret, and nobody asked to stand in a log; `cli:user@host` is who acts at a terminal."""
_NUMBERS = int | float
_about: ContextVar[Mapping[str, str]] = ContextVar("about")

Facts = Mapping[str, Any]


@contextlib.contextmanager
def about(**facts: str) -> Iterator[None]:
    """Each line from within, and from tasks that begin within, bears these facts; empty ones are left out.

    ``request`` J-…, ``event`` what Slack calls the payload, ``person`` a Slack user id, ``system``, ``verb``.
    """
    known = _about.set({**_about.get({}), **{name: said for name, said in facts.items() if said}})
    try:
        yield
    finally:
        _about.reset(known)


def facts(**told: Any) -> dict[str, Facts]:
    """``extra`` of one line: more facts; those that are None or empty are left out."""
    return {"facts": {name: value for name, value in told.items() if not (value is None or value in ("", ()))}}


class Lines(logging.Formatter):
    """One record → one line of the form that is wanted."""

    def __init__(self, form: Form, secrets: Secrets) -> None:
        """Keep both."""
        super().__init__()
        self._form, self._secrets = form, secrets

    def format(self, record: logging.LogRecord) -> str:
        """``time level logger message``, what it is about, and ``exception`` where there is one."""
        at = datetime.fromtimestamp(record.created, UTC)
        context: Mapping[str, Any] = {**_about.get({}), **getattr(record, "facts", {})}
        texts = {name: str(value) for name, value in context.items() if not isinstance(value, _NUMBERS)}
        trace = self.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""
        said, *told, trace = self._struck([record.getMessage(), *texts.values(), trace[-_MOST_READ:]])
        more = {**context, **{name: text[:_LONGEST] for name, text in zip(texts, told, strict=True)}}
        # Cut only now, since half a secret is not known for one; the end of a trace says what it was.
        said, trace = said[:_LONGEST], trace[-_LONGEST_TRACE:]
        if self._form == "pretty":
            return _pretty(at, record, said, more, trace)
        time = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"time": time, "level": record.levelname, "logger": record.name, "message": said, **more}
        # Whoever looks at it looks with a terminal, too.
        return spelled(json.dumps(line | ({"exception": trace} if trace else {})))

    def _struck(self, texts: Sequence[str]) -> list[str]:
        """Without secrets and addresses; all at once, since looking for them is the dearest part of a line."""
        joined = _BETWEEN.join(text[:_MOST_READ] for text in texts)
        if joined.count(_BETWEEN) >= len(texts):
            joined = _BETWEEN.join(text[:_MOST_READ].replace(_BETWEEN, " ") for text in texts)
        joined = self._secrets.strike(joined)
        return (_ADDRESS.sub("…@…", joined) if "@" in joined else joined).split(_BETWEEN)


def _pretty(at: datetime, record: logging.LogRecord, said: str, more: Mapping[str, Any], trace: str) -> str:
    """For a person at a terminal, which obeys control characters: none that somebody chose gets there."""
    facts_ = " ".join(f"{name}={_seen(str(value))}" for name, value in more.items())
    line = f"{at.astimezone():%H:%M:%S} {record.levelname:<8} {record.name:<20} {_seen(said)}"
    told = [f"    {_seen(text)}" for text in trace.splitlines()]
    return "\n".join([f"{line}  {facts_}" if facts_ else line, *told])


def _seen(text: str) -> str:
    return shown(text)


class Log(logging.Handler):
    """Writes lines to ``fd`` as far as somebody reads them: a reader who stalls keeps nothing open past its end.

    What is not taken waits for the next line; over ``most`` that wait, further ones are counted in ``dropped``, and
    told of once there is room. Never more is written at once than what an open pipe takes without waiting.
    """

    def __init__(self, form: Form, secrets: Secrets, fd: int, most: int = _MOST_WAITING) -> None:
        """Nothing is written before the first line."""
        super().__init__()
        self.form, self.secrets = form, secrets
        self.dropped = 0
        self._untold, self._most, self._fd = 0, most, fd
        self._lines = Lines(form, secrets)
        self._waiting: deque[bytes] = deque()

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, after those that wait."""
        try:
            self._write(0.0)
            if len(self._waiting) >= self._most:
                self.dropped += 1
                self._untold += 1
                return
            if untold := self._untold:
                self._untold = 0
                said = f"{untold} lines were dropped: nobody read the log"
                self._add(logging.LogRecord(__name__, logging.WARNING, "", 0, said, None, None))
            self._add(record)
            self._write(0.0)
        except Exception:  # noqa: BLE001  # logging's own way with a line that cannot be made
            self.handleError(record)

    def close(self) -> None:
        """Write what waits, for as long as somebody reads it."""
        self._write(_GRACE)
        self._waiting.clear()
        super().close()

    def _add(self, record: logging.LogRecord) -> None:
        self._waiting.append(f"{self._lines.format(record)}\n".encode(errors="backslashreplace"))

    def _write(self, patience: float) -> None:
        with contextlib.suppress(OSError):  # nobody reads it any more, or not just now
            while self._waiting and select.select([], [self._fd], [], patience)[1]:
                line = self._waiting[0]
                taken = os.write(self._fd, line[: select.PIPE_BUF])
                if taken < len(line):
                    self._waiting[0] = line[taken:]
                else:
                    self._waiting.popleft()


def begin(form: Form | None, level: str, secrets: Iterable[str] = ()) -> Log:
    """Log to stderr from now on, at ``level``: pretty on a terminal, JSON elsewhere, unless ``form`` says which.

    Libraries are heard from WARNING on: what they tell below that is noise, or what they carry, which has secrets.
    """
    asked = logging.getLevelName(level)
    form = form or ("pretty" if sys.stderr.isatty() else "json")
    log = Log(form, Secrets(secrets), sys.stderr.fileno())
    root = logging.getLogger()
    root.handlers[:] = [log]
    root.setLevel(max(logging.WARNING, asked))
    for room in ROOMS:
        logging.getLogger(room).setLevel(asked)
    # Nobody asks which thread or process of Python's a line is from, and finding out costs a third of it.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # It looks at its own level, not at the root's, before it spells out each call.
    logging.getLogger("slack_sdk.web.async_base_client").setLevel(max(logging.WARNING, asked))
    return log


def hide(secrets: Iterable[str]) -> None:
    """More values that no line may show, where `begin` was called."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, Log):
            handler.secrets.add(secrets)


def dropped() -> int:
    """How many lines nobody read in time."""
    return sum(handler.dropped for handler in logging.getLogger().handlers if isinstance(handler, Log))
