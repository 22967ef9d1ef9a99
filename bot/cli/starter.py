"""The files that `jit init` writes to start from: a policy, and tests that it passes; it writes over none."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from bot import terminal


def write(file: Path) -> None:
    """Write both, and say what to do next."""
    tests = file.with_suffix(".test.yaml")
    if not _written(file, _text("starter.yaml")):
        raise terminal.Failed(f"{file} is there already; it is left as it is")
    text = _text("starter.test.yaml").replace("jit.test.yaml", tests.name).replace("jit.yaml", file.name)
    also = f", and {tests} beside it" if _written(tests, text) else f"; {tests} is left as it is"
    terminal.say(f"{file} is written{also}. Change it, then: jit policy check {file} && jit policy test {tests}")


def _text(name: str) -> str:
    return files("bot").joinpath("guides", name).read_text(encoding="utf-8")


def _written(file: Path, text: str) -> bool:
    """Whether it was not there before. Raises `Cannot`."""
    try:
        with file.open("x", encoding="utf-8") as output:
            output.write(text)
    except FileExistsError:
        return False
    except OSError as error:
        raise terminal.Cannot(f"{file} cannot be written: {error.strerror}") from error
    return True
