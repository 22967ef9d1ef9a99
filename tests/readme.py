"""Writes what is generated into the README: guide, state diagram, settings. `python -m tests.readme`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from bot.core import lifecycle
from bot.settings import SETTINGS

README = Path(__file__).parents[1] / "README.md"


def generated() -> dict[str, str]:
    """Each part by the name in its comment."""
    rows = [f"| `{s.name}` | {s.meaning} | {s.default or 'none'} |" for s in SETTINGS]
    table = "\n".join(["| variable | meaning | default |", "| --- | --- | --- |", *rows])
    guide = files("bot").joinpath("guides", "workspace.md").read_text(encoding="utf-8").rstrip()
    return {"workspace": guide, "states": f"```mermaid\n{lifecycle.diagram()}\n```", "settings": table}


def written(text: str) -> str:
    """The README with its generated parts renewed."""
    for name, part in generated().items():
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition(f"<!-- /{name} -->")
        text = f"{before}{opening}{part}\n{closing}{after}"
    return text


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
