r"""What reaches a terminal: the only writer of all commands. No sign that a terminal would obey gets there as it is.

What people, Slack, the store, providers and the policy say is shown with such signs spelled out, ``\x1b``.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import IO, Any, TypeVar

import click

T = TypeVar("T")
_BLINK = 0.2
"""Seconds between two drawings of a line."""
_LONG = 2.0
"""Seconds after which work is long enough to be told of."""
_LINES = 10.0
"""Seconds between two lines about it."""

OBEYED = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: a terminal reads U+009B as it reads ESC [
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what turns writing round
    "\u200b\u2028\u2029\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"  # line ends, hidden text, half signs
)


def shown(text: str) -> str:
    """One line, in which what a terminal would obey is spelled out."""
    return OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def text(lines: str) -> str:
    """The same, of several lines of ours: what is in them has no line end of its own."""
    return "\n".join(map(shown, lines.split("\n")))


def say(*lines: str, err: bool = False) -> None:
    """Print each as a line; a line end within one is spelled out, so that nobody's words make a line of their own."""
    for line in lines or ("",):
        click.echo(shown(line), err=err)


def marked(sign: str, colour: str, line: str) -> None:
    """Print a line behind a coloured sign, if it has one."""
    click.echo(f"{click.style(sign, fg=colour, bold=True)} {shown(line)}" if sign else shown(line))


def status(line: str) -> None:
    """Draw what goes on over what went on before, on stderr, which must be a terminal; '' clears it."""
    click.echo(f"\r\x1b[K{shown(line)}", err=True, nl=False)


def document(found: Any, indent: int | None = None) -> None:
    """Print as JSON; what a terminal would obey is spelled as JSON does, so that it reads back as it was."""
    json_text(json.dumps(found, indent=indent, ensure_ascii=False))


def json_text(said: str) -> None:
    """Print what is JSON already, in the same way."""
    click.echo(spelled(said))


def spelled(said: str) -> str:
    """JSON, in which what a terminal would obey is spelled out."""
    lines = said.split("\n")
    return "\n".join(OBEYED.sub(lambda found: json.dumps(found[0])[1:-1], line) for line in lines).replace(
        "\x7f", "\\u007f"
    )


def pipe() -> IO[str]:
    """Standard output for a file's worth of text: as it is for whoever reads a pipe, spelled out for a terminal."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", newline="")
    return _Shown(sys.stdout) if sys.stdout.isatty() else sys.stdout  # type: ignore[return-value]  # it writes


def bytes_out(content: bytes) -> None:
    """A file's worth of bytes, for whoever reads a pipe; text for a terminal."""
    if sys.stdout.isatty():
        pipe().write(content.decode(errors="backslashreplace"))
        return
    sys.stdout.flush()  # what was written as text comes first
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


class Failed(click.ClickException):
    """It cannot be done; the sentence says why. One exit code, and no trace."""

    def format_message(self) -> str:
        """What stands behind "Error:"."""
        return text(self.message)


class Cannot(Failed):
    """It could not be looked at or done from here: a setting, a file, a store that is away."""

    exit_code = 2


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """Say on stderr what is being done: at once on a terminal, else in a line when it takes a while."""
    if sys.stderr.isatty():
        status(f"{what} …")
        try:
            yield
        finally:
            status("")
        return
    done = threading.Event()
    telling = threading.Thread(target=_tell_late, args=(done, what), daemon=True)
    telling.start()
    try:
        yield
    finally:
        done.set()
        telling.join()


def _tell_late(done: threading.Event, what: str) -> None:
    if not done.wait(_LONG):
        _line(what)


def counted(items: Iterable[T], what: str) -> Iterator[T]:
    """Count on stderr what passes: in place on a terminal, where it keeps out of the way of the output, else in lines.

    ``what``: what is counted.
    """
    on_terminal, shown = sys.stderr.isatty(), time.monotonic()
    count, pause = 0, _BLINK if on_terminal else _LONG
    for count, item in enumerate(items, start=1):  # told when it is over
        if (now := time.monotonic()) - shown > pause:
            shown, pause = now, _BLINK if on_terminal else _LINES
            (status if on_terminal else _line)(f"{count:,} {what}")
        yield item
    if on_terminal:
        status("")
        say(f"{count:,} {what}", err=True)


def _line(text: str) -> None:
    say(f"{text} …", err=True)


class _Shown:
    """What is written to a terminal."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, said: str) -> int:
        return self._stream.write(text(said.replace("\r\n", "\n")))

    def flush(self) -> None:
        self._stream.flush()


def guard() -> None:
    """An error that nobody expected is shown with its trace, which may quote anything."""
    sys.excepthook = _trace


def _trace(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    click.echo(text("".join(traceback.format_exception(kind, error, trace))), err=True, nl=False)
