"""The files that `jit init` writes to start from: a policy, and tests that it passes; it writes over none."""

from __future__ import annotations

from pathlib import Path

from bot import terminal

TEMPLATES = (
    *("read-only-debug", "production-deploy", "on-call-debug", "production-push", "admin-dual-control"),
    "break-glass",
)
"""What a policy can be begun with instead of the starter, each for one purpose."""


def write(file: Path, template: str = "") -> None:
    """Write both, of a template where one is named, and say what to do next."""
    tests = file.with_suffix(".test.yaml")

    def text(suffix: str) -> str:
        found = _text(f"templates/{template}{suffix}" if template else f"starter{suffix}")
        return found.replace("jit.test.yaml", tests.name).replace("jit.yaml", file.name)

    if not _written(file, text(".yaml")):
        raise terminal.Failed(f"{file} is there already; it is left as it is")
    also = f", and {tests} beside it" if _written(tests, text(".test.yaml")) else f"; {tests} is left as it is"
    terminal.say(f"{file} is written{also}. Change it, then: jit policy check {file} && jit policy test {tests}")


def _text(name: str) -> str:
    from importlib.resources import files

    return files("bot").joinpath("guides", *name.split("/")).read_text(encoding="utf-8")


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
