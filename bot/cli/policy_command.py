"""`jit policy`: what is said of a policy file, and of lines that people type, before a bot reads them."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot import terminal

if TYPE_CHECKING:
    from bot.access.parsed_line import RequestLine
    from bot.policy.catalog import Catalog
    from bot.policy.problems import PolicyMistakes

STARTER = "jit.yaml"


@click.group()
def policy() -> None:
    """The policy file."""


@policy.command("check")
@click.argument("file", type=click.Path(path_type=Path), envvar="JIT_POLICY", default=STARTER)
@click.option("--json", "as_json", is_flag=True, help="For machines: every mistake as JSON.")
def check(file: Path, *, as_json: bool) -> None:
    """Check a policy FILE, or a folder of them: every mistake at once, each with its place.

    Without FILE it is the one of JIT_POLICY, or jit.yaml.
    """
    from bot.policy import loader
    from bot.policy.problems import PolicyMistakes

    file = file.expanduser()
    if not file.exists():
        raise terminal.Cannot(f"there is no {file}: name a FILE, set JIT_POLICY, or write one with `jit init`")
    catalog: Catalog | PolicyMistakes
    try:
        catalog = loader.load(file)
    except PolicyMistakes as error:
        catalog = error
    bad = isinstance(catalog, PolicyMistakes)
    if as_json:
        terminal.document(_document(file, catalog), indent=2)
    else:
        terminal.say(*_lines(file, catalog), err=bad)
    sys.exit(int(bad))


@policy.command("line")
@click.argument("words", nargs=-1, required=True)
@click.option("--file", type=click.Path(path_type=Path), envvar="JIT_POLICY", default=STARTER, show_default=True)
@click.option("--timezone", default="UTC", show_default=True, metavar="ZONE", help="Where the person is who types it.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def line(words: tuple[str, ...], file: Path, timezone: str, *, as_json: bool) -> None:
    """Show how a line after `/jit request` is understood by a policy, without a bot: jit policy line -- prod-db 1h."""
    from bot.access.request_line import parse_line
    from bot.core import start_times
    from bot.core.time_phrases import Clock
    from bot.policy import loader
    from bot.policy.problems import PolicyMistakes

    if not start_times.known(timezone):
        raise terminal.Cannot(f"there is no time zone {timezone[:60]!r}; write it like Europe/Berlin, or UTC")
    try:
        catalog = loader.load(file.expanduser())
    except PolicyMistakes as error:
        raise terminal.Cannot(f"{file} has mistakes: `jit policy check {file}` shows them") from error
    found = parse_line(" ".join(words), catalog.vocabulary, Clock(timezone, time.time()))
    if as_json:
        terminal.document({**found.model_dump(mode="json"), "clear": found.clear}, indent=2)
    else:
        terminal.say(*_understood(found, timezone))
    sys.exit(int(not found.clear))


@policy.command("schema")
def schema() -> None:
    """Print the JSON Schema of the policy file, for editors: jit policy schema > jit.schema.json."""
    from importlib.resources import files

    terminal.json_text(files("bot").joinpath("guides", "policy.schema.json").read_text(encoding="utf-8").rstrip())


def _understood(found: RequestLine, timezone: str) -> list[str]:
    from datetime import UTC, datetime

    from bot.core import durations, start_times

    starts = datetime.fromtimestamp(found.starts_at, UTC).astimezone(start_times.zone(timezone))
    said = {
        "requests": " or ".join(found.names) or "nothing that the policy names",
        "for": "not said" if found.duration is None else durations.words(found.duration),
        "from": f"{starts:%A %Y-%m-%d %H:%M %Z}" if found.starts_at else "now",
        "inputs": ", ".join(f"{name}: {value}" for name, value in found.inputs),
        "reason": found.reason or "not said",
        "for somebody else": found.person,
        "not understood": ", ".join(found.unknown),
    }
    last = "It is understood." if found.clear else "The form opens, filled in with this, and asks back."
    return [*(f"{name}: {value}" for name, value in said.items() if value), last]


def _lines(file: Path, found: Catalog | PolicyMistakes) -> list[str]:
    from bot.policy.problems import PolicyMistakes

    if isinstance(found, PolicyMistakes):
        count = len(found.mistakes)
        return [*str(found).split("\n"), f"{count} mistake{'s' if count != 1 else ''}"]
    roles = sum(len(system.roles) for system in found.systems.values())
    counted = f"{len(found.systems)} systems, {roles} roles, {len(found.templates)} templates"
    return [f"{file} is good: {counted}; generation {found.policy_hash}"]


def _document(file: Path, found: Catalog | PolicyMistakes) -> dict[str, object]:
    """For machines; keys stay, more may come."""
    from bot.policy.problems import PolicyMistakes

    if not isinstance(found, PolicyMistakes):
        return {"good": True, "file": str(file), "generation": found.policy_hash, "mistakes": []}
    return {"good": False, "file": str(file), "generation": None, "mistakes": mistakes(found)}


def mistakes(error: PolicyMistakes) -> list[dict[str, object]]:
    """Each of them for machines."""
    return [
        {**vars(mistake.mark), "path": mistake.path, "sentence": mistake.sentence, "hint": mistake.hint}
        for mistake in error.mistakes
    ]
