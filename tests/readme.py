"""Writes what is generated into the README and the guides: `python -m tests.readme`.

The picture of a card, the five minutes, the states, the settings, the exit codes, and the policy's JSON Schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from bot.cli import exit_codes
from bot.core import lifecycle, notifications
from bot.core.events import AccessExpired, Event, Revoked
from bot.core.lifecycle import advance, begin
from bot.policy import json_schema
from bot.settings import SETTINGS
from handlers.views import card
from handlers.views.thread import line
from providers.systems.sandbox.provider import Sandbox
from tests.cards.blocks import in_text
from tests.cards.mrkdwn import to_text
from tests.handlers.views.cards import SITE, approved, granted, needed
from tests.handlers.views.cards import asked as asked_for
from tests.handlers.views.drawing import AT

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
GUIDES = ROOT / "bot" / "guides"
SCHEMA = GUIDES / "policy.schema.json"
_END = AT + 62 + 1800


def picture() -> str:
    """A card as it waits, and the thread below it until access has ended, in the product's own words."""
    asked = asked_for(reason="INC-42 disk full")
    reads = Sandbox.consequence({"door": "vault", "write": False})
    asked = asked.model_copy(update={"roles": tuple(r.model_copy(update={"consequence": reads}) for r in asked.roles)})
    request = begin(asked)
    waiting = [f" │ {line}".rstrip() for line in in_text(card.card(request, needed(request), SITE).blocks)]
    thread: list[str] = []
    over: list[Event] = [
        AccessExpired(at=_END),
        Revoked(at=_END + 5, leg=0, outcome={"presence": "absent", "killed": 1}),
    ]
    for event in (approved(), *granted(), *over):
        request = advance(request, event)
        if notifications.THREAD in notifications.notices(request, event):
            thread.append(f"   ↳ {to_text(line(request, event, needed(request)))}")
    return "\n".join(["```", " /jit request debug 30m -- INC-42 disk full", " ┌──", *waiting, " └──", *thread, "```"])


def states() -> str:
    """Which state may follow which, and by what; the guide has all: what expires, and what changes no state."""
    pairs: dict[tuple[str, str], list[str]] = {}
    table = {"[*]": lifecycle.BEGINNINGS} | {state.name: row for state, row in lifecycle.TRANSITIONS.items()}
    for before, row in table.items():
        for kind, targets in row.items():
            for target in targets if kind != "request_expired" else ():
                pairs.setdefault((before, target.name), []).append(kind)
    arrows = [f"    {pair[0]} --> {pair[1]}: {', '.join(kinds)}" for pair, kinds in pairs.items() if len({*pair}) == 2]
    return "\n".join(["stateDiagram-v2", *arrows])


def settings() -> str:
    """Each setting that the bot reads."""
    rows = [f"| `{s.name}` | {s.meaning} | {s.default or 'none'} |" for s in SETTINGS]
    return "\n".join(["| variable | meaning | default |", "| --- | --- | --- |", *rows])


def _diagram(text: str) -> str:
    return f"```mermaid\n{text}\n```"


def generated() -> Mapping[Path, Mapping[str, str]]:
    """Each document's parts by the names in their comments."""
    workspace = files("bot").joinpath("guides", "workspace.md").read_text(encoding="utf-8").rstrip()
    return {
        README: {"picture": picture(), "workspace": workspace, "states": _diagram(states())},
        GUIDES / "architecture.md": {"transitions": _diagram(lifecycle.diagram())},
        GUIDES / "running.md": {"settings": settings(), "exits": exit_codes.table()},
    }


def written(text: str, parts: Mapping[str, str]) -> str:
    """A document with its generated parts renewed; each has to have its place."""
    for name, part in parts.items():
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition(f"<!-- /{name} -->")
        if not closing:
            raise ValueError(f"there is no place for {name}")
        text = f"{before}{opening}{part}\n{closing}{after}"
    return text


if __name__ == "__main__":
    SCHEMA.write_text(json_schema.text(), encoding="utf-8")
    for path, parts in generated().items():
        path.write_text(written(path.read_text(encoding="utf-8"), parts), encoding="utf-8")
